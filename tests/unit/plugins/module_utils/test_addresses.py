# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Address pools."""

from __future__ import annotations

import ipaddress

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils.addresses import (
    PoolError,
    choose,
    collapsed,
    gateway_address,
    holds,
    parse_network,
    parse_pools,
)
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("pools", "behind", "complaint"),
    [
        ([], [], "no address pools"),
        (["10.44.0.0"], [], "has only 1 addresses"),
        (["10.44.0.1/20"], [], "host bits set"),
        (["ten"], [], "not a network"),
        (["10.44.0.0/20", "10.44.8.0/24"], [], "overlap"),
        (["10.20.8.0/24"], ["10.20.0.0/16"], "overlaps 10.20.0.0/16"),
    ],
)
def test_unusable_pools_are_refused_with_the_reason(pools: list[str], behind: list[str], complaint: str) -> None:
    with pytest.raises(PoolError, match=complaint):
        parse_pools(pools, behind)


def test_pool_does_not_conflict_with_a_default_route_that_is_granted() -> None:
    assert [str(pool) for pool in parse_pools(["10.44.0.0/20"], ["0.0.0.0/0", "::/0"])] == ["10.44.0.0/20"]


def test_r15_network_with_an_ipv6_scope_is_refused() -> None:
    with pytest.raises(PoolError, match="is not a network in CIDR form: it has a scope"):
        parse_network("fe80::%\naccept\n/64", "a network in vpn_access")


def test_device_gets_one_address_of_each_version_and_never_the_gateways() -> None:
    pools = parse_pools(["10.44.0.0/29", "fd44::/64"])
    assert [gateway_address(pool) for pool in pools] == ["10.44.0.1", "fd44::1"]
    assert choose(pools, [], set()) == ("10.44.0.2", "fd44::2")


def test_address_that_a_pool_still_holds_stays() -> None:
    pools = parse_pools(["10.44.0.0/24", "fd44::/64"])
    assert choose(pools, ["10.44.0.9", "fd99::1"], {"10.44.0.9"}) == ("10.44.0.9", "fd44::2")


def test_exhausted_pool_says_what_to_do() -> None:
    pools = parse_pools(["10.44.0.0/29"])
    taken = {f"10.44.0.{number}" for number in range(2, 7)}
    with pytest.raises(PoolError, match="exhausted; remove registrations"):
        choose(pools, [], taken)


@given(st.sets(st.integers(0, 15)), st.integers(0, 20))
def test_r9_a_chosen_address_is_free_and_one_the_pool_gives(taken_numbers: set[int], skip: int) -> None:
    pools = parse_pools(["10.44.0.0/28"])
    taken = {str(ipaddress.ip_address("10.44.0.0") + number) for number in taken_numbers}
    try:
        (chosen,) = choose(pools, [], taken, skip)
    except PoolError:
        assert {f"10.44.0.{number}" for number in range(2, 15)} <= taken
    else:
        assert chosen not in taken
        assert holds(pools, chosen)


@pytest.mark.parametrize("pool", ["10.44.0.0/29", "10.44.0.0/28", "fd44::/125"])
def test_pool_of_eight_addresses_or_more_is_large_enough(pool: str) -> None:
    assert [str(network) for network in parse_pools([pool])] == [pool]


@pytest.mark.parametrize("pool", ["10.44.0.0/30", "10.44.0.1/32", "fd44::/126"])
def test_smaller_pool_is_refused_with_its_size(pool: str) -> None:
    with pytest.raises(PoolError, match=f"has only {ipaddress.ip_network(pool).num_addresses} addresses; expected at"):
        parse_pools([pool])


@pytest.mark.parametrize("order", [1, -1])
def test_each_pool_is_compared_with_each_other_one(order: int) -> None:
    pools = ["10.44.0.0/24", "10.45.0.0/24", "10.44.0.0/25"][::order]
    with pytest.raises(PoolError, match=r"10\.44\.0\.0/2[45] and 10\.44\.0\.0/2[45] overlap"):
        parse_pools(pools)


@pytest.mark.parametrize("reserved", ["10.44.0.0/16", "10.44.1.0/24", "10.40.0.0/13"])
def test_each_pool_is_compared_with_each_network_behind_the_gateway(reserved: str) -> None:
    with pytest.raises(PoolError, match=r"address pool 10\.44\.0\.0/20 overlaps"):
        parse_pools(["10.50.0.0/24", "10.44.0.0/20"], ["192.168.0.0/24", reserved])


def test_networks_merge_and_ipv4_comes_first() -> None:
    texts = ["fd00::/64", "10.1.0.0/16", "fd00:0:0:1::/64", "10.0.0.0/16", "10.0.5.0/24"]
    merged = collapsed([parse_network(text, "x") for text in texts])
    assert [str(network) for network in merged] == ["10.0.0.0/15", "fd00::/63"]


def test_gateway_has_the_first_host_address() -> None:
    assert gateway_address(parse_network("10.44.0.0/20", "x")) == "10.44.0.1"
    assert gateway_address(parse_network("fd44::/64", "x")) == "fd44::1"


@pytest.mark.parametrize(
    ("pool", "assigned"),
    [
        ("10.44.0.8/29", ["10.44.0.10", "10.44.0.11", "10.44.0.12", "10.44.0.13", "10.44.0.14"]),
        ("fd44::8/125", ["fd44::a", "fd44::b", "fd44::c", "fd44::d", "fd44::e", "fd44::f"]),
    ],
)
def test_pool_gives_devices_neither_its_own_nor_the_gateways_nor_the_broadcast_address(
    pool: str, assigned: list[str]
) -> None:
    (network,) = parse_pools([pool])
    assert [str(address) for address in network if holds([network], str(address))] == assigned
    assert [str(address) for address in network if not holds([network], str(address))][:2] == [
        str(network[0]),
        str(network[1]),
    ]
    outside = [str(network[0] - 1), str(network[-1] + 1)]
    assert [address for address in outside if holds([network], address)] == []
    taken: set[str] = set()
    while len(taken) < len(assigned):
        taken.add(choose([network], [], taken)[0])
    assert sorted(taken) == sorted(assigned)


def test_address_of_one_version_is_not_in_a_pool_of_the_other_by_its_number() -> None:
    """10.44.0.5 and ::a2c:5 are the same number."""
    assert not holds(parse_pools(["::a2c:0/112"]), "10.44.0.5")
    assert holds(parse_pools(["::a2c:0/112"]), "::a2c:5")
    assert not holds(parse_pools(["10.44.0.0/24"]), "::a2c:5")


def test_what_is_no_address_is_in_no_pool() -> None:
    assert not holds(parse_pools(["10.44.0.0/24"]), "10.44.0.5/32")


@pytest.mark.parametrize(("skip", "last"), [(0, 3), (1, 4), (2, 6), (3, 3), (4, 4), (7, 4)])
def test_callers_who_skip_get_other_free_addresses_and_begin_anew(skip: int, last: int) -> None:
    pools = parse_pools(["10.44.0.0/29"])
    assert choose(pools, [], {"10.44.0.2", "10.44.0.5"}, skip) == (f"10.44.0.{last}",)


def test_second_pool_of_a_version_serves_when_the_first_is_used_up() -> None:
    pools = parse_pools(["10.44.0.0/29", "10.45.0.0/29"])
    taken = {f"10.44.0.{number}" for number in range(8)}
    assert choose(pools, [], taken) == ("10.45.0.2",)


def test_ipv4_address_comes_before_the_ipv6_one_whatever_the_order_of_the_pools() -> None:
    assert choose(parse_pools(["fd44::/64", "10.44.0.0/24"]), [], set()) == ("10.44.0.2", "fd44::2")
