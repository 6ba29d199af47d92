# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Which chains of other programs may drop the tunnel's packets, from the rules as nft lists them."""

from __future__ import annotations

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.config import Interface
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.foreign_rules import ForeignChain, foreign_drops

INTERFACE = Interface("key", 51820, ("10.44.0.1/16", "fd44::1/64"), 1420, 0)
FORWARD = ForeignChain("ip filter FORWARD", "forward", "drop", ())
INPUT = ForeignChain("inet filter input", "input", "drop", ())


@pytest.mark.parametrize(
    ("rules", "named"),
    [
        ((), True),
        (('iifname "wg0" counter accept',), False),
        (('oifname { "lo", "wg0" } accept',), False),
        (('iifname "wg*" accept',), False),
        (('iifname "wg1" accept',), True),
        (('iifname "wg0" drop',), True),
        (('iifname "wg0" jump mine', "counter drop"), False),
        (('log prefix "wg0"',), True),
    ],
)
def test_chain_that_drops_is_named_unless_a_rule_lets_the_interface_through(
    rules: tuple[str, ...], named: bool
) -> None:
    assert bool(foreign_drops([FORWARD._replace(rules=rules)], "wg0", INTERFACE, serves_names=False)) is named


@pytest.mark.parametrize(
    ("rules", "named"),
    [
        ((), True),
        (("udp dport 51820 accept",), False),
        (("meta l4proto udp udp dport { 53, 51820 } accept",), False),
        (("udp dport 518200 accept",), True),
        (("udp dport 51820 drop",), True),
        (("udp sport 51820 accept",), True),
    ],
)
def test_chain_that_drops_what_comes_in_is_named_unless_a_rule_lets_the_port_through(
    rules: tuple[str, ...], named: bool
) -> None:
    assert bool(foreign_drops([INPUT._replace(rules=rules)], "wg0", INTERFACE, serves_names=False)) is named


@pytest.mark.parametrize(
    ("chain", "rule", "named"),
    [
        (FORWARD, "ct state invalid drop", False),
        (FORWARD, "tcp dport 25 reject with icmp port-unreachable", True),
        (FORWARD, 'log prefix "drop: "', False),
        (INPUT, "tcp dport 22 reject", False),
        (INPUT, "ip saddr 203.0.113.0/24 drop", True),
    ],
)
def test_chain_that_accepts_is_named_only_for_a_rule_that_may_meet_the_tunnel(
    chain: ForeignChain, rule: str, named: bool
) -> None:
    assert (
        bool(foreign_drops([chain._replace(policy="accept", rules=(rule,))], "wg0", INTERFACE, serves_names=False))
        is named
    )


def test_chain_for_ipv6_is_nobodys_business_where_the_tunnel_has_none() -> None:
    chain = FORWARD._replace(name="ip6 filter FORWARD")
    assert foreign_drops([chain], "wg0", INTERFACE, serves_names=False)
    assert not foreign_drops([chain], "wg0", INTERFACE._replace(addresses=("10.44.0.1/16",)), serves_names=False)


def test_notice_says_where_and_what_is_missing() -> None:
    assert foreign_drops([FORWARD, INPUT], "wg0", INTERFACE, serves_names=False) == [
        "ip filter FORWARD (hook forward, policy drop) may drop the tunnel's packets: no rule there accepts wg0",
        "inet filter input (hook input, policy drop) may drop what clients send: no rule there accepts UDP port 51820",
    ]


@pytest.mark.parametrize(
    ("rule", "named"), [("", True), ('iifname "wg0" accept', False), ("udp dport 53 accept", False)]
)
def test_chain_that_keeps_clients_from_asking_for_names_is_named_where_they_may(rule: str, named: bool) -> None:
    chain = INPUT._replace(rules=("udp dport 51820 accept", *filter(None, [rule])))
    notices = foreign_drops([chain], "wg0", INTERFACE, serves_names=True)
    assert [notice.split("may drop ")[1] for notice in notices] == (
        ["names that clients ask for: no rule there accepts wg0 or port 53"] if named else []
    )
    assert foreign_drops([chain], "wg0", INTERFACE, serves_names=False) == []
