# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What the script for users without Ansible makes of an answer of the function, and of where the machine is."""

from __future__ import annotations

import argparse
import io
import ipaddress
from collections.abc import Sequence
from typing import Any

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils.client.config import DEFAULT_MTU, DnsFlavour
from ansible_collections.tracklib.vpn.plugins.module_utils.client.overlap import Attached
from ansible_collections.tracklib.vpn.plugins.module_utils.enroll import script
from ansible_collections.tracklib.vpn.plugins.module_utils.enroll.device import Enrollment
from ansible_collections.tracklib.vpn.plugins.module_utils.enroll.machine import Machine, MachineError
from ansible_collections.tracklib.vpn.plugins.module_utils.enroll.terminal import Screen
from ansible_collections.tracklib.vpn.plugins.module_utils.enroll.tunnel import check_networks, client_tunnel

TUNNEL: dict[str, Any] = {
    "gateways": [{"endpoint": "vpn.example.com:51820", "public_key": "KEY"}],
    "networks": ["10.20.0.0/16"],
    "dns_servers": ["10.44.0.1"],
    "domains": [],
}


@pytest.mark.parametrize(("said", "mtu"), [({"mtu": 1380}, 1380), ({"mtu": 8921}, 8921), ({}, DEFAULT_MTU)], ids=str)
def test_device_has_the_mtu_of_the_gateways_and_the_usual_one_where_an_earlier_function_does_not_say_it(
    said: dict[str, int], mtu: int
) -> None:
    enrollment = Enrollment({"addresses": ["10.44.0.2"]}, None, (), False, None, {**TUNNEL, **said}, [])
    assert client_tunnel(enrollment, None, DnsFlavour.NONE).mtu == mtu


def test_timer_that_can_not_be_set_up_costs_no_tunnel(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_arguments: object) -> None:
        raise MachineError("`systemctl enable` ended with 1")

    shown = io.StringIO()
    monkeypatch.setattr(Machine, "remind", fail)
    monkeypatch.setattr("zipfile.is_zipfile", lambda _path: True)
    arguments = argparse.Namespace(profile=None, settings=None)
    script._set_timer(Machine("vpn0"), arguments, Screen(shown), wanted=True)
    assert "can't be set up: `systemctl enable` ended with 1" in shown.getvalue()


class AtHome(Machine):
    """A machine in a network."""

    home: str = "10.20.7.0/24"

    def attached(self) -> list[Attached]:
        return [Attached(ipaddress.ip_network(self.home), "eth0")]


def checked(home: str, *excluded: str) -> str:
    """What is shown to somebody whose machine is in that network."""
    machine, shown = AtHome("vpn0"), io.StringIO()
    AtHome.home = home
    check_networks(machine, TUNNEL, excluded, Screen(shown))
    return shown.getvalue()


@pytest.mark.parametrize(
    ("home", "lost"),
    [("10.20.0.0/16", "10.20.0.0/16"), ("10.0.0.0/8", "10.20.0.0/16"), ("10.44.0.0/24", "10.44.0.1/32")],
)
def test_network_that_the_tunnel_would_take_away_is_named_before_anything_is_done(home: str, lost: str) -> None:
    """The last is the address of the gateway's resolver, which may be that of the router at home."""
    with pytest.raises(MachineError) as caught:
        checked(home)
    assert f"{lost} of the tunnel lies in {home} at eth0" in str(caught.value)
    assert f"--exclude-network {lost}" in str(caught.value)
    assert checked(home, "none") == ""


def test_own_network_inside_one_of_the_tunnels_is_told_and_keeps_nobody_out() -> None:
    assert "10.20.7.0/24 at eth0 is this machine's own" in checked("10.20.7.0/24")
    assert checked("192.168.1.0/24") == ""
    assert checked("10.20.7.0/24", "10.20.7.0/24") == ""


def test_tunnel_of_which_nothing_is_left_is_refused() -> None:
    with pytest.raises(MachineError, match=r"nothing is left for the tunnel: you may reach 10.20.0.0/16, and"):
        checked("192.168.1.0/24", "10.0.0.0/8")


@pytest.mark.parametrize(
    ("excluded", "networks", "servers", "dns"),
    [
        ([], ["10.20.0.0/16"], ["10.44.0.1"], DnsFlavour.LINE),
        (["none"], ["10.20.0.0/16"], ["10.44.0.1"], DnsFlavour.LINE),
        (["10.20.128.0/17"], ["10.20.0.0/17"], ["10.44.0.1"], DnsFlavour.LINE),
        (["10.44.0.0/24"], ["10.20.0.0/16"], [], DnsFlavour.NONE),
    ],
)
def test_tunnel_goes_without_what_is_excluded(
    excluded: Sequence[str], networks: list[str], servers: list[str], dns: DnsFlavour
) -> None:
    enrollment = Enrollment({"addresses": ["10.44.0.2"]}, None, (), False, None, TUNNEL, [])
    tunnel = client_tunnel(enrollment, None, DnsFlavour.LINE, excluded)
    assert (tunnel.networks, tunnel.dns_servers, tunnel.dns) == (networks, servers, dns)
