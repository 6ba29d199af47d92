# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Networks behind the gateway that the device is in already, such as that of the home it is at. Pure."""

from __future__ import annotations

import ipaddress
import json
import re
from typing import Any, Iterator, NamedTuple, Sequence, cast

from ..addresses import Network, collapsed, parse_network


class Attached(NamedTuple):
    """A network that a machine is in, and the interface to it."""

    network: Network
    interface: str


def linux_routes(text: str) -> Iterator[Attached]:
    """Read the networks that a machine is in from what `ip -json route show` prints, of either IP version.

    Networks behind a router and single hosts aren't among them.

    :raises ValueError: it is no such text.
    """
    for route in json.loads(text or "[]"):
        if {"dst", "dev"} <= set(route) and "gateway" not in route and route.get("type", "unicast") == "unicast":
            yield from _attached(str(route["dst"]), str(route["dev"]))


def bsd_routes(text: str) -> Iterator[Attached]:
    """Read the same from what `netstat -rn -f inet` prints on macOS.

    Zeros at the end of a network are left out, as in `192.168.1`. There is no prefix length where it is the one of the
    address's class: 8 for each number that is there. A gateway `link#6` is an interface.
    """
    for line in text.splitlines():
        words = line.split()
        found = re.fullmatch(r"([0-9]{1,3}(?:\.[0-9]{1,3}){0,3})(?:/([0-9]{1,2}))?", words[0] if words else "")
        if found is not None and len(words) > 3 and words[1].startswith("link#"):
            numbers = found[1].split(".")
            length = found[2] or 8 * len(numbers)
            yield from _attached(f"{'.'.join([*numbers, *['0'] * (4 - len(numbers))])}/{length}", words[3])


def _attached(destination: str, interface: str) -> Iterator[Attached]:
    try:
        network = ipaddress.ip_network(destination, strict=False)
    except ValueError:
        return
    is_special = network.is_link_local or network.is_loopback or network.is_multicast
    if not is_special and 0 < network.prefixlen < network.max_prefixlen:
        yield Attached(network, interface)


def taken(networks: Sequence[str], attached: Sequence[Attached]) -> list[tuple[str, Attached]]:
    """List the networks that the tunnel would take away from a machine: each lies in one that the machine is in.

    A network around the machine's own isn't among them: the machine goes on to reach its own, which is the smaller one.

    :param networks: CIDR of the tunnel.
    """
    pairs = ((text, parse_network(text, "network"), one) for text in networks for one in attached)
    return [(text, one) for text, network, one in pairs if _lies_in(network, one.network)]


def hidden(networks: Sequence[str], attached: Sequence[Attached]) -> list[Attached]:
    """List the machine's own networks that lie in one of the tunnel's: what is there isn't reached by the tunnel."""
    granted = [network for network in (parse_network(text, "network") for text in networks) if network.prefixlen]
    return [one for one in attached if any(_lies_in(one.network, network) for network in granted)]


def without(networks: Sequence[str], excluded: Sequence[str]) -> list[str]:
    """Return what is left of networks without others, in CIDR form.

    :raises ValueError: a network is none.
    """
    left = [parse_network(text, "network") for text in networks]
    for text in excluded:
        other = parse_network(text, "network to exclude")
        left = [part for network in left for part in _minus(network, other)]
    return [str(network) for network in collapsed(left)]


def _minus(network: Network, other: Network) -> list[Network]:
    if _lies_in(network, other):
        return []
    if _lies_in(other, network):
        return list(cast(Any, network).address_exclude(other))
    return [network]


def _lies_in(inner: Network, outer: Network) -> bool:
    return inner.version == outer.version and cast(Any, inner).subnet_of(outer)
