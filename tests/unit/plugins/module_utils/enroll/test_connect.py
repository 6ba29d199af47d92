# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The order in which a tunnel is started: whatever fails, the machine keeps a way to find names (R18, recovery)."""

from __future__ import annotations

import io
from typing import Any

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils.client.config import ClientTunnel, DnsFlavour
from ansible_collections.tracklib.vpn.plugins.module_utils.enroll import connect
from ansible_collections.tracklib.vpn.plugins.module_utils.enroll.connect import Connection, check_private_names
from ansible_collections.tracklib.vpn.plugins.module_utils.enroll.device import Enrollment
from ansible_collections.tracklib.vpn.plugins.module_utils.enroll.machine import MachineError
from ansible_collections.tracklib.vpn.plugins.module_utils.enroll.terminal import Screen

PUBLIC, PRIVATE = "self-service.example.com", "web.internal.example"
TUNNEL = ClientTunnel(
    addresses=["10.44.0.2"],
    gateway_public_key="hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=",
    endpoint="vpn.example.com:51820",
    networks=["10.20.0.0/16"],
    dns_servers=["10.44.0.1"],
    domains=["internal.example"],
    dns=DnsFlavour.LINE,
)
NEW = Enrollment({"addresses": ["10.44.0.2"]}, None, ("registered",), True, None, {}, [])
AS_BEFORE = NEW._replace(actions=(), unknown=False)


class Laptop:
    """A machine that notes whether it asks the tunnel for names whenever the tunnel starts or the gateway is asked."""

    interface, key_file = "vpn0", "/etc/wireguard/vpn0.key"

    def __init__(self, *, known: bool, answers_after: float) -> None:
        self.known, self.answers_after = known, answers_after
        self.asks_tunnel = False
        self.did: list[str] = []
        self.knocks = 0

    def bring_up(self, text: str, _restart: bool) -> None:
        self.asks_tunnel = "\nDNS = " in text
        self.did.append("up with DNS" if self.asks_tunnel else "up")

    def is_known(self) -> bool:
        return self.known or self.knocks >= self.answers_after

    def knock(self, _keepalive: int) -> None:
        self.knocks += 1
        self.did.append("waits with DNS" if self.asks_tunnel else "waits")


@pytest.fixture(autouse=True)
def found(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str] | None]:
    """Which names are found; nothing takes time."""
    names: dict[str, list[str] | None] = {PUBLIC: ["203.0.113.9"], PRIVATE: ["10.20.0.80"]}
    monkeypatch.setattr(connect, "_addresses", lambda name: names[name])
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    return names


def connection(machine: Any, **changes: Any) -> Connection:
    return Connection(machine, Screen(io.StringIO()), TUNNEL._replace(**changes))


@pytest.mark.parametrize(
    ("laptop", "enrollment", "did"),
    [
        (Laptop(known=False, answers_after=2), NEW, ["up", "waits", "waits", "up with DNS"]),
        (Laptop(known=True, answers_after=0), AS_BEFORE, ["up with DNS"]),
        (Laptop(known=False, answers_after=1), AS_BEFORE, ["up", "waits", "up with DNS"]),
    ],
)
def test_r18_every_name_is_asked_of_the_tunnel_only_once_the_gateway_answers(
    laptop: Laptop, enrollment: Enrollment, did: list[str]
) -> None:
    connection(laptop).establish(enrollment)
    assert laptop.did == did


def test_private_names_alone_are_asked_from_the_start() -> None:
    laptop = Laptop(known=False, answers_after=1)
    connection(laptop, dns=DnsFlavour.RESOLVED).establish(NEW)
    assert laptop.did == ["up", "waits"]


def test_r18_gateway_that_never_answers_leaves_the_machine_its_own_names(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter(range(0, 10_000, 20))
    monkeypatch.setattr("time.monotonic", lambda: next(moments))
    laptop = Laptop(known=False, answers_after=float("inf"))
    with pytest.raises(MachineError, match=r"vpn\.example\.com:51820 didn't answer within 30 s"):
        connection(laptop).establish(NEW)
    assert not laptop.asks_tunnel


def test_r18_public_name_that_is_lost_takes_dns_out_of_the_tunnel(found: dict[str, list[str] | None]) -> None:
    laptop = Laptop(known=True, answers_after=0)
    found[PUBLIC] = None
    with pytest.raises(MachineError, match=f"through the tunnel {PUBLIC} wasn't found"):
        connection(laptop).check_names(PRIVATE, PUBLIC)
    assert laptop.did == ["up"]


@pytest.mark.parametrize("flavour", [DnsFlavour.RESOLVED, DnsFlavour.LINE])
def test_private_name_that_is_not_found_is_said(flavour: DnsFlavour, found: dict[str, list[str] | None]) -> None:
    laptop = Laptop(known=True, answers_after=0)
    found[PRIVATE] = None
    with pytest.raises(MachineError, match=f"the private name {PRIVATE} doesn't resolve"):
        connection(laptop, dns=flavour).check_names(PRIVATE, PUBLIC)
    connection(laptop, dns=flavour).check_names(None, PUBLIC)
    connection(laptop, dns=DnsFlavour.NONE).check_names(PRIVATE, PUBLIC)


@pytest.mark.parametrize(("answers", "ways"), [(False, r"systemd-resolved\) and run"), (True, "or resolvconf")])
def test_machine_without_a_way_to_private_names_says_so_and_fails(answers: bool, ways: str) -> None:
    tunnel = TUNNEL._replace(dns=DnsFlavour.NONE)
    with pytest.raises(MachineError, match=ways):
        check_private_names(tunnel, {"answers_other_names": answers})
    check_private_names(tunnel._replace(domains=[]), {})
    check_private_names(TUNNEL, {})
