# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Address pools."""

from __future__ import annotations

import ipaddress

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils.addresses import (
    PoolError,
    choose,
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
