# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Address pools: checking them, and choosing a device's addresses."""

from __future__ import annotations

import ipaddress
from itertools import islice
from typing import Container, Iterator, Sequence, Union

Network = Union[ipaddress.IPv4Network, ipaddress.IPv6Network]


class PoolError(ValueError):
    """A pool that can't serve; the message says which, why and what to change."""


def parse_pools(pools: Sequence[str], reserved_networks: Sequence[str] = ()) -> list[Network]:
    """Check address pools before anything uses them.

    :param pools: CIDR, IPv4 or IPv6, such as `10.44.0.0/20`; the first host address of each is the gateway's.
    :param reserved_networks: CIDR that no pool may overlap (the VPC's and those that `vpn_access` grants), except for
        0.0.0.0/0 and ::/0: a default route yields to the pool's own.
    :raises PoolError: none given, not CIDR, host bits set, too small, or overlapping.
    """
    if not pools:
        raise PoolError("no address pools are given; expected at least one CIDR in vpn_address_pools")
    parsed = [parse_network(pool, f"address pool {pool!r}") for pool in pools]
    for index, pool in enumerate(parsed):
        if pool.num_addresses < 8:
            raise PoolError(f"address pool {pool} has only {pool.num_addresses} addresses; expected at least 8")
        for other in parsed[:index]:
            if pool.overlaps(other):
                raise PoolError(f"address pools {other} and {pool} overlap; give each address to one pool only")
        for reserved in (parse_network(text, f"network {text!r}") for text in reserved_networks):
            if reserved.prefixlen and pool.overlaps(reserved):
                raise PoolError(
                    f"address pool {pool} overlaps {reserved}, a network behind the gateway; "
                    "choose a pool that no VPC or granted network uses"
                )
    return parsed


def parse_network(text: str, subject: str) -> Network:
    """Read a network in CIDR form.

    :param subject: what the text is, for the message.
    :raises PoolError: it is no network, or has host bits set.
    """
    try:
        if "%" in text:  # Python takes anything, also a line break, for the name of an IPv6 scope
            raise ValueError("it has a scope")
        return ipaddress.ip_network(text)
    except ValueError as error:
        raise PoolError(f"{subject} is not a network in CIDR form: {error}") from None


def collapsed(networks: Sequence[Network]) -> list[Network]:
    """Merge networks so that none overlaps another, IPv4 first."""
    ipv4 = ipaddress.collapse_addresses(one for one in networks if isinstance(one, ipaddress.IPv4Network))
    ipv6 = ipaddress.collapse_addresses(one for one in networks if isinstance(one, ipaddress.IPv6Network))
    return [*ipv4, *ipv6]


def gateway_address(pool: Network) -> str:
    """Return the gateway's tunnel address in a pool: its first host address."""
    return str(pool.network_address + 1)


def holds(pools: Sequence[Network], address: str) -> bool:
    """Tell whether a pool gives `address` to devices: not the network's own, the broadcast or the gateway's address."""
    try:
        number = int(ipaddress.ip_address(address))
    except ValueError:
        return False
    version = 6 if ":" in address else 4
    return any(pool.version == version and number in _assignable(pool) for pool in pools)


def _assignable(pool: Network) -> range:
    first = int(pool.network_address)
    last = first + pool.num_addresses - (1 if pool.version == 4 else 0)
    return range(first + 2, last)


def choose(pools: Sequence[Network], kept: Sequence[str], taken: Container[str], skip: int = 0) -> tuple[str, ...]:
    """Choose a device's addresses: one for each IP version that the pools have.

    :param kept: addresses that the device has; those that a pool still holds stay.
    :param taken: addresses that are claimed or resting.
    :param skip: pass over that many free addresses, beginning anew if there are fewer, so that callers who raced for
        the first one part ways.
    :raises PoolError: when the pools of a version are exhausted.
    """
    chosen = []
    for version in sorted({pool.version for pool in pools}):
        mine = [pool for pool in pools if pool.version == version]
        stays = [address for address in kept if holds(mine, address)]
        chosen.append(stays[0] if stays else _free(mine, taken, skip))
    return tuple(chosen)


def _free(pools: Sequence[Network], taken: Container[str], skip: int) -> str:
    free = list(islice(_untaken(pools, taken), skip + 1))
    if not free:
        names = ", ".join(str(pool) for pool in pools)
        raise PoolError(
            f"address pool {names} is exhausted; remove registrations that are no longer needed, "
            "wait until freed addresses have rested, or add a pool to vpn_address_pools"
        )
    return free[skip % len(free)]


def _untaken(pools: Sequence[Network], taken: Container[str]) -> Iterator[str]:
    for pool in pools:
        build = ipaddress.IPv4Address if pool.version == 4 else ipaddress.IPv6Address
        for number in _assignable(pool):
            address = str(build(number))
            if address not in taken:
                yield address
