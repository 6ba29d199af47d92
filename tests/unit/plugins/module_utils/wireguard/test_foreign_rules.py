# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Which chains of other programs may drop the tunnel's packets, from the rules as nft and iptables list them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.commands import CommandError, CommandResult, Runner
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.config import Interface
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.foreign_rules import (
    ForeignChain,
    foreign_drops,
    read_foreign_chains,
)

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


# What nft 1.0.6 and iptables-legacy 1.8.9 print.
_CHAINS = [
    {"family": "ip", "table": "filter", "name": "DOCKER", "handle": 1},
    {"family": "ip", "table": "filter", "name": "FORWARD", "type": "filter", "hook": "forward", "policy": "drop"},
    {"family": "ip", "table": "filter", "name": "OUTPUT", "type": "filter", "hook": "output", "policy": "drop"},
    {"family": "ip", "table": "filter", "name": "nat", "type": "nat", "hook": "input", "policy": "accept"},
    {"family": "inet", "table": "tracklib_vpn_wg0", "name": "f", "type": "filter", "hook": "forward", "policy": "drop"},
    {"family": "bridge", "table": "b", "name": "in", "type": "filter", "hook": "input", "policy": "drop"},
    {"family": "ip6", "table": "raw", "name": "in", "type": "filter", "hook": "input", "policy": "accept"},
]
_FILTER = """\
table ip filter {
\tchain DOCKER {
\t\tiifname "docker0" jump USER

\t}

\tchain USER {
\t\treturn
\t}

\tchain FORWARD {
\t\ttype filter hook forward priority filter; policy drop;
\t\tcounter jump USER
\t\toifname "docker0" goto DOCKER
\t\tjump DOCKER
\t}

\tchain OUTPUT {
\t\ttype filter hook output priority filter; policy drop;
\t\taccept
\t}
}
"""
_RAW = """\
table ip6 raw {
\tchain in {
\t\ttype filter hook input priority filter; policy accept;
\t\tmeta l4proto udp drop
\t}
}
"""
_LEGACY = """\
# Generated by iptables-save v1.8.9 on Mon Nov 30 17:12:27 2026
*nat
:INPUT ACCEPT [0:0]
-A INPUT -j DROP
COMMIT
*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
:MINE - [0:0]
-A INPUT -p tcp -j REJECT --reject-with icmp-port-unreachable
-A FORWARD -i eth+ -j MINE
-A FORWARD -o wg0 -j ACCEPT
-A MINE -m conntrack --ctstate INVALID -j DROP
-A OUTPUT -j ACCEPT
COMMIT
*security
:FORWARD DROP [0:0]
COMMIT
"""


def listings(printed: Mapping[str, str]) -> Runner:
    """A runner that prints what was recorded, and fails for all else."""

    def run(args: Sequence[str], stdin: str = "") -> CommandResult:
        assert stdin == ""
        command = " ".join(args)
        if command not in printed:
            return CommandResult(1, "", f"{command} isn't there")
        return CommandResult(0, printed[command], "")

    return run


_NFT = {
    "nft -j list chains": json.dumps({"nftables": [{"metainfo": {}}, *({"chain": chain} for chain in _CHAINS)]}),
    "nft -s -t list table ip filter": _FILTER,
    "nft -s -t list table ip6 raw": _RAW,
}
_IPTABLES = {
    "cat /proc/net/ip_tables_names /proc/net/ip6_tables_names": "nat\nfilter\n",
    "iptables-legacy-save": _LEGACY,
    "ip6tables-legacy-save": "",
}
_OF_NFT = (
    ForeignChain(
        "ip filter FORWARD",
        "forward",
        "drop",
        (
            "counter jump USER",
            'oifname "docker0" goto DOCKER',
            "jump DOCKER",
            "return",
            'iifname "docker0" jump USER',
        ),
    ),
    ForeignChain("ip6 raw in", "input", "accept", ("meta l4proto udp drop",)),
)


def test_chains_of_others_that_may_drop_are_read_with_all_rules_that_a_packet_meets() -> None:
    assert read_foreign_chains(listings(_NFT)) == _OF_NFT


def test_chains_of_iptables_older_interface_are_read_in_nfts_words() -> None:
    assert read_foreign_chains(listings({**_NFT, **_IPTABLES})) == (
        *_OF_NFT,
        ForeignChain(
            "ip iptables-legacy INPUT", "input", "accept", ("-p tcp drop --reject-with icmp-port-unreachable",)
        ),
        ForeignChain(
            "ip iptables-legacy FORWARD",
            "forward",
            "drop",
            ('iifname "eth*" jump MINE', 'iifname "wg0" jump ACCEPT', "-m conntrack ct state invalid drop"),
        ),
    )


def test_iptables_without_a_filter_table_is_not_asked() -> None:
    asked = "cat /proc/net/ip_tables_names /proc/net/ip6_tables_names"
    assert read_foreign_chains(listings({**_NFT, asked: "nat\n"})) == _OF_NFT


@pytest.mark.parametrize("missing", ["nft -j list chains", "iptables-legacy-save"])
def test_listing_that_fails_is_an_error_and_no_absence_of_chains(missing: str) -> None:
    known = {command: printed for command, printed in {**_NFT, **_IPTABLES}.items() if command != missing}
    with pytest.raises(CommandError, match=f"{missing} isn't there"):
        read_foreign_chains(listings(known))
