# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What is around an interface: what of ours is missing there, and what of others is in the way."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.commands import CommandError, CommandResult
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.config import Interface
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.device import Link
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.plan_surroundings import plan_surroundings
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.surroundings import (
    Route,
    RouteLookup,
    Surroundings,
    foreign_decisions,
    foreign_routes,
    read_surroundings,
    surrounding_changes,
)

from tests.support.snapshots import actions, full_report, snapshot

INTERFACE = Interface("key", 51820, ("10.44.0.1/16", "fd44::1/64"), None, 0)
LINK = Link(True, 1420, INTERFACE.addresses)
IPV4, IPV6 = Route("10.44.0.0/16", "wg0", ""), Route("fd44::/64", "wg0", "")
LOOKUPS = (
    RouteLookup("10.44.0.0/16", "10.44.255.254", "wg0", "dev wg0 table main"),
    RouteLookup("fd44::/64", "fd44::ffff:ffff:ffff:fffe", "wg0", "dev wg0 table main"),
)
GOOD = Surroundings(LINK, (IPV4, IPV6), LOOKUPS, (), ())
ADDRESSES = [
    {"local": "10.44.0.1", "prefixlen": 16, "scope": "global"},
    {"local": "fd44::1", "prefixlen": 64, "scope": "global"},
]
ROUTES: list[dict[str, Any]] = [
    {"dst": "default", "gateway": "10.20.0.1", "dev": "eth0"},
    {"dst": "10.44.0.0/16", "dev": "wg0"},
    {"dst": "10.44.0.9", "gateway": "10.20.0.1", "dev": "eth0"},
    {"type": "blackhole", "dst": "10.44.1.0/24"},
    {"dst": "10.44.2.0/24", "nexthops": [{"dev": "eth0"}, {"dev": "eth1"}]},
    {"type": "local", "dst": "10.44.0.1", "dev": "wg0", "table": "local"},
    {"dst": "fd44::/64", "dev": "wg0"},
]


class Host:
    """Answers the commands that read a host."""

    def __init__(self, forwarding: str, addresses: Sequence[dict[str, Any]] = ADDRESSES, units: str = "") -> None:
        self.calls: list[list[str]] = []
        self._answers = {
            "address": json.dumps([{"flags": ["UP"], "mtu": 1420, "addr_info": list(addresses)}]),
            "show table all": json.dumps(ROUTES),
            "route get": '[{"dev": "wg0"}]',
            "/proc/net": "",
            "sysctl": forwarding,
            "chains": '{"nftables": []}',
            "systemctl": units,
        }

    def __call__(self, args: Sequence[str], stdin: str = "") -> CommandResult:
        assert not stdin
        self.calls.append(list(args))
        (answer,) = (text for word, text in self._answers.items() if word in " ".join(args))
        return CommandResult(0, answer, "")


def test_routes_of_the_main_table_and_switches_are_read() -> None:
    found = read_surroundings(Host("1\n0\n1\n"), "wg0")
    assert found is not None
    assert [(route.network, route.interface, route.text) for route in found.routes] == [
        ("10.44.0.0/16", "wg0", "10.44.0.0/16 dev wg0"),
        ("10.44.0.9/32", "eth0", "10.44.0.9/32 via 10.20.0.1 dev eth0"),
        ("10.44.1.0/24", "", "blackhole 10.44.1.0/24"),
        ("10.44.2.0/24", "", "10.44.2.0/24"),
        ("fd44::/64", "wg0", "fd44::/64 dev wg0"),
    ]
    assert (found.link, found.lookups) == (LINK, LOOKUPS)
    assert found.not_forwarding == ("net/ipv4/conf/wg0/forwarding",)


@pytest.mark.parametrize(
    ("addresses", "parameters"),
    [
        (ADDRESSES[:1], ["net/ipv4/ip_forward", "net/ipv4/conf/wg0.5/forwarding"]),
        (ADDRESSES[1:], ["net/ipv6/conf/all/forwarding"]),
    ],
)
def test_only_the_families_of_the_tunnel_have_to_be_forwarded(
    addresses: list[dict[str, Any]], parameters: list[str]
) -> None:
    host = Host("1\n" * len(parameters), addresses)
    read_surroundings(host, "wg0.5")
    assert ["sysctl", "-n", *parameters] in host.calls


UNITS = """\
Id=wg-quick@wg0.service
UnitFileState=disabled
ActiveState=active

Id=tracklib-vpn-expire@wg0.timer
UnitFileState=disabled
ActiveState=inactive
"""


@pytest.mark.parametrize(
    ("units", "commands"),
    [
        (
            UNITS,
            [
                "--quiet enable wg-quick@wg0.service",
                "--quiet enable tracklib-vpn-expire@wg0.timer",
                "start tracklib-vpn-expire@wg0.timer",
            ],
        ),
        (UNITS.replace("disabled", "enabled"), ["start tracklib-vpn-expire@wg0.timer"]),
        (UNITS.replace("disabled", "enabled").replace("inactive", "active"), []),
        (UNITS.replace("disabled", ""), []),  # there are no such units
        ("", []),
    ],
)
def test_r8_units_that_somebody_disabled_are_enabled_again(units: str, commands: list[str]) -> None:
    found = read_surroundings(Host("1\n1\n1\n", units=units), "wg0")
    assert found is not None
    changes = [change for change in surrounding_changes("wg0", found, INTERFACE) if change.command[0] == "systemctl"]
    assert [" ".join(change.command[1:]) for change in changes] == commands


def test_surroundings_of_a_missing_interface_are_none() -> None:
    assert read_surroundings(lambda _args, _stdin="": CommandResult(1, "", "does not exist"), "wg0") is None


def test_command_that_fails_is_an_error() -> None:
    def run(args: Sequence[str], stdin: str = "") -> CommandResult:
        if args[0] == "sysctl":
            return CommandResult(1, "", "no such file")
        return Host("")(args, stdin)

    with pytest.raises(CommandError, match="no such file"):
        read_surroundings(run, "wg0")


def test_host_as_wanted_has_no_changes() -> None:
    assert surrounding_changes("wg0", GOOD, INTERFACE) == []


def test_r8_missing_routes_are_added_as_the_kernel_had_them() -> None:
    first, second = surrounding_changes("wg0", GOOD._replace(routes=()), INTERFACE)
    assert (first.what, " ".join(first.command)) == (
        "route 10.44.0.0/16 missing",
        "ip route prepend 10.44.0.0/16 dev wg0 proto kernel scope link src 10.44.0.1",
    )
    assert (second.what, " ".join(second.command)) == (
        "route fd44::/64 missing",
        "ip route prepend fd44::/64 dev wg0 proto kernel metric 256",
    )


@pytest.mark.parametrize(
    "link", [LINK._replace(up=False), LINK._replace(addresses=()), LINK._replace(addresses=("10.44.0.7/16",))]
)
def test_route_is_expected_once_the_link_is_up_and_has_the_address(link: Link) -> None:
    assert surrounding_changes("wg0", Surroundings(link, (), (), (), ()), INTERFACE) == []


def test_address_without_a_network_needs_no_route() -> None:
    alone = ("10.44.0.1/32", "fd44::1/128")
    found = Surroundings(LINK._replace(addresses=alone), (), (), (), ())
    assert surrounding_changes("wg0", found, INTERFACE._replace(addresses=alone)) == []


def test_r8_forwarding_is_switched_on_for_the_host_first() -> None:
    every = ("net/ipv4/ip_forward", "net/ipv4/conf/wg0/forwarding", "net/ipv6/conf/all/forwarding")
    changes = surrounding_changes("wg0", GOOD._replace(not_forwarding=every), INTERFACE)
    assert [change.command for change in changes] == [
        ["sysctl", "-q", "-w", "net/ipv4/ip_forward=1"],
        ["sysctl", "-q", "-w", "net/ipv6/conf/all/forwarding=1"],
    ]
    (change,) = surrounding_changes("wg0", GOOD._replace(not_forwarding=every[1:2]), INTERFACE)
    assert change.what == "net/ipv4/conf/wg0/forwarding 0 instead of 1"


@pytest.mark.parametrize(
    ("routes", "named"),
    [
        ((Route("10.44.0.0/16", "eth0", "x"), IPV4), True),
        ((IPV4, Route("10.44.0.0/16", "eth0", "x")), False),
        ((Route("10.44.0.0/24", "eth0", "x"), IPV4), True),
        ((IPV4, Route("10.44.255.255/32", "", "x")), True),
        ((Route("10.0.0.0/8", "eth0", "x"), IPV4), False),
        ((Route("10.45.0.0/24", "eth0", "x"), IPV4), False),
        ((Route("fd44::/64", "eth0", "x"), IPV4), True),
        ((Route("10.44.3.0/24", "wg0", "x"), IPV4), False),
        ((Route("10.44.3.0/24", "wg0", "x"), Route("10.44.0.0/16", "eth0", "x"), IPV4), True),
    ],
)
def test_foreign_route_is_named_only_where_the_kernel_prefers_it(routes: tuple[Route, ...], named: bool) -> None:
    assert bool(foreign_routes("wg0", GOOD._replace(routes=routes), INTERFACE)) is named


@pytest.mark.parametrize(("own", "asked"), [("10.44.0.1/24", "10.44.0.254"), ("10.44.0.254/24", "10.44.0.255")])
def test_kernel_is_asked_about_another_address_than_the_gateways_own(own: str, asked: str) -> None:
    address, _slash, length = own.partition("/")
    host = Host("1\n1\n", [{"local": address, "prefixlen": int(length), "scope": "global"}])
    found = read_surroundings(host, "wg0")
    assert found is not None
    assert [lookup.address for lookup in found.lookups] == [asked]


def test_kernel_that_sends_packets_of_the_tunnel_elsewhere_is_quoted() -> None:
    ipv4, ipv6 = LOOKUPS
    elsewhere = ipv4._replace(interface="eth1", text="dev eth1 table 100")
    (notice,) = foreign_decisions("wg0", GOOD._replace(lookups=(elsewhere, ipv6)))
    assert "10.44.255.254, an address of the tunnel, to wg0 (dev eth1 table 100)" in notice
    assert foreign_decisions("wg0", GOOD._replace(routes=(IPV6,), lookups=(elsewhere, ipv6))) == []


def test_each_change_is_a_step_that_is_reported_and_the_result_is_read_back() -> None:
    gateway = snapshot([])
    route = Route("10.44.9.0/24", "eth0", "10.44.9.0/24 dev eth0")
    found = GOOD._replace(routes=(route,), not_forwarding=("net/ipv4/ip_forward",))
    plan = plan_surroundings(gateway, found, INTERFACE)
    assert actions(plan) == [*["ChangeInterface"] * 3, "ReadSurroundingsBack"]
    report = full_report(plan)
    assert report.repaired == [
        *("net/ipv4/ip_forward 0 instead of 1", "route 10.44.0.0/16 missing", "route fd44::/64 missing")
    ]
    (notice,) = report.notices
    assert notice == (
        "the route 10.44.9.0/24 dev eth0 takes packets for the tunnel's network 10.44.0.0/16 elsewhere; delete it, or "
        "choose another address pool"
    )
    assert (plan.before, plan.state) == (gateway.state, gateway.state)


def test_host_as_wanted_is_not_read_twice() -> None:
    assert plan_surroundings(snapshot([]), GOOD, INTERFACE).steps == ()
