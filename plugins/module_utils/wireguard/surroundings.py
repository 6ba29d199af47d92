# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What is on the host beside the device and its firewall: routes, forwarding, other rules, and the interface's units.

Deciding (`surrounding_changes`, `foreign_routes`, `foreign_decisions`) is pure.
"""

from __future__ import annotations

import ipaddress
import json
from typing import Iterable, Iterator, NamedTuple, Sequence, Union

from .commands import Runner, output
from .config import Interface
from .device import InterfaceChange, Link, read_link
from .foreign_rules import ForeignChain, read_foreign_chains

_Network = Union[ipaddress.IPv4Network, ipaddress.IPv6Network]


class Route(NamedTuple):
    """A route of the main table: its network in CIDR form, and the interface, empty if it has none or several."""

    network: str
    interface: str
    text: str  # as ip(8) prints it, for people


class RouteLookup(NamedTuple):
    """Where the kernel says that it sends packets for an address of a network, as ip(8) prints it."""

    network: str
    address: str
    interface: str  # empty where it sends none
    text: str


class Unit(NamedTuple):
    """A unit of systemd that exists."""

    name: str
    disabled: bool  # it doesn't start with the host
    active: bool


class Surroundings(NamedTuple):
    """What was read of the host around an interface."""

    link: Link
    routes: tuple[Route, ...]  # of one network in the order in which the kernel prefers them
    lookups: tuple[RouteLookup, ...]  # one for each network of the link's addresses
    not_forwarding: tuple[str, ...]  # kernel parameters that are off, as sysctl(8) takes them
    chains: tuple[ForeignChain, ...]
    units: tuple[Unit, ...] = ()


def read_surroundings(run: Runner, name: str) -> Surroundings | None:
    """Read what is around an interface; None if there is no such interface.

    :raises CommandError: a command failed.
    """
    link = read_link(run, name)
    if link is None:
        return None
    routes = json.loads(output(run, ["ip", "-j", "route", "show", "table", "all"]))
    parameters = _forwarding_parameters(name, link)
    values = output(run, ["sysctl", "-n", *parameters]).split()
    return Surroundings(
        link=link,
        routes=tuple(_route(each) for each in routes if "table" not in each and each["dst"] != "default"),
        lookups=tuple(_look_up(run, address, network) for address, network in _networks(link.addresses)),
        not_forwarding=tuple(each for each, value in zip(parameters, values) if value == "0"),
        chains=read_foreign_chains(run),
        units=tuple(read_units(run, name)),
    )


def read_units(run: Runner, name: str) -> list[Unit]:
    """Read the units of an interface: what starts it, and the timer that takes expired peers off.

    :returns: none where systemd has none of them, or there is no systemd.
    """
    names = [f"wg-quick@{name}.service", f"tracklib-vpn-expire@{name}.timer"]
    shown = run(["systemctl", "show", "--property=Id,UnitFileState,ActiveState", *names])
    blocks = shown.stdout.split("\n\n") if shown.rc == 0 else []
    read = [dict(line.split("=", 1) for line in block.splitlines() if "=" in line) for block in blocks]
    return [
        Unit(each["Id"], each["UnitFileState"] == "disabled", each.get("ActiveState") == "active")
        for each in read
        if each.get("UnitFileState")
    ]


def _route(found: dict[str, str]) -> Route:
    network = str(ipaddress.ip_network(found["dst"]))
    kind, interface = found.get("type", ""), found.get("dev", "")
    words = [kind, network, "via" if "gateway" in found else "", found.get("gateway", "")]
    words += ["dev" if interface else "", interface]
    return Route(network, interface, " ".join(word for word in words if word))


def _look_up(run: Runner, own_address: str, network: str) -> RouteLookup:
    """Ask the kernel about one of the last addresses of a network; its rules may come before any route."""
    last, before_last = (str(ipaddress.ip_network(network)[index]) for index in (-1, -2))
    address = last if before_last == own_address else before_last
    result = run(["ip", "-j", "route", "get", address])
    if result.rc != 0:
        return RouteLookup(network, address, "", result.stderr.strip())
    (found,) = json.loads(result.stdout)
    words = ["via", found["gateway"]] if "gateway" in found else []
    words += ["dev", found.get("dev", "none"), "table", found.get("table", "main")]
    return RouteLookup(network, address, found.get("dev", ""), " ".join(words))


def _forwarding_parameters(name: str, link: Link) -> list[str]:
    """List the parameters that forwarding of the link's families needs; slashes, as a name may have dots."""
    parameters = []
    if any(":" not in address for address in link.addresses):
        parameters += ["net/ipv4/ip_forward", f"net/ipv4/conf/{name}/forwarding"]
    if any(":" in address for address in link.addresses):
        parameters += ["net/ipv6/conf/all/forwarding"]
    return parameters


def surrounding_changes(name: str, found: Surroundings, wanted: Interface) -> list[InterfaceChange]:
    """Find what of ours is missing around an interface, in the order to change it."""
    return [*_forwarding_changes(found), *_route_changes(name, found, wanted), *_unit_changes(found)]


def _forwarding_changes(found: Surroundings) -> list[InterfaceChange]:
    off = list(found.not_forwarding)
    if "net/ipv4/ip_forward" in off:  # which also sets the interface's own
        off = [each for each in off if not each.startswith("net/ipv4/conf/")]
    return [InterfaceChange(f"{each} 0 instead of 1", ["sysctl", "-q", "-w", f"{each}=1"]) for each in off]


def _unit_changes(found: Surroundings) -> Iterator[InterfaceChange]:
    """Have the interface start with the host, and the timer run: without it nobody takes expired peers off."""
    for unit in found.units:
        if unit.disabled:
            yield InterfaceChange(f"{unit.name} disabled", ["systemctl", "--quiet", "enable", unit.name])
        if unit.name.endswith(".timer") and not unit.active:
            yield InterfaceChange(f"{unit.name} stopped", ["systemctl", "start", unit.name])


def _route_changes(name: str, found: Surroundings, wanted: Interface) -> list[InterfaceChange]:
    own = {route.network for route in found.routes if route.interface == name}
    return [
        InterfaceChange(f"route {network} missing", _add_route(name, address, network))
        for address, network in _tunnel_networks(found.link, wanted)
        if network not in own
    ]


def _tunnel_networks(link: Link, wanted: Interface) -> Iterator[tuple[str, str]]:
    """Give each wanted address with its network, which the kernel routes once the link is up and has the address."""
    if link.up:
        yield from _networks([cidr for cidr in wanted.addresses if cidr in link.addresses])


def _networks(addresses: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Give each address with its network, both without the other's part; not an address alone."""
    for cidr in addresses:
        address = ipaddress.ip_interface(cidr)
        if address.network.prefixlen < address.max_prefixlen:
            yield str(address.ip), str(address.network)


def _add_route(name: str, address: str, network: str) -> list[str]:
    """Add the route as the kernel does; before another one of that network, which isn't ours to replace."""
    command = ["ip", "route", "prepend", network, "dev", name, "proto", "kernel"]
    if ":" in address:
        return [*command, "metric", "256"]
    return [*command, "scope", "link", "src", address]


def foreign_routes(name: str, found: Surroundings, wanted: Interface) -> list[str]:
    """Say which routes that aren't ours take packets for the tunnel elsewhere."""
    return [
        f"the route {route.text} takes packets for the tunnel's network {network} elsewhere; delete it, or choose "
        "another address pool"
        for _address, network in _tunnel_networks(found.link, wanted)
        for route in _preferred(name, found.routes, ipaddress.ip_network(network))
    ]


def foreign_decisions(name: str, found: Surroundings) -> list[str]:
    """Say where the kernel sends packets for the tunnel elsewhere though the main table has the tunnel's route."""
    routed = {route.network for route in found.routes if route.interface == name}
    return [
        f"the kernel doesn't send packets for {lookup.address}, an address of the tunnel, to {name} ({lookup.text}); "
        "look for another program's routing policy: ip rule"
        for lookup in found.lookups
        if lookup.interface != name and lookup.network in routed
    ]


def _preferred(name: str, routes: Sequence[Route], network: _Network) -> Iterator[Route]:
    """Give the other interfaces' routes that the kernel prefers to ours."""
    is_before_ours = True
    for route in routes:
        routed = ipaddress.ip_network(route.network)
        if routed.network_address not in network or routed.prefixlen < network.prefixlen:
            continue
        if route.interface == name:
            is_before_ours = is_before_ours and routed != network
        elif routed != network or is_before_ours:
            yield route
