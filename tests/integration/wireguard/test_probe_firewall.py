# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What a probe reads of the firewall that the role's template made, through a real nft."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ansible_collections.tracklib.vpn.plugins.action.wireguard_interface import render
from ansible_collections.tracklib.vpn.plugins.module_utils.probe.firewall import TunnelFirewall, read_firewall

from tests.support.wireguard_host import TEMPLATES, Host, variables

NETWORKS = ["10.20.0.0/16", "10.30.0.7/32", "fd20:7472:6163:6b::/64"]


def _load(host: Host, networks: Sequence[str] = NETWORKS, **changes: Any) -> None:
    text = render(
        TEMPLATES / "nftables.j2",
        {"generation": 1, "made_at": 1, "peers": []},
        {**variables(host.name, networks), **changes},
    )
    host.sh("nft", "-f", "-", stdin=text)


def test_networks_of_the_live_firewall_are_those_of_the_template(host: Host) -> None:
    _load(host)
    assert read_firewall(host.run, host.name) == TunnelFirewall(
        ["10.20.0.0/16", "10.30.0.7", "fd20:7472:6163:6b::/64"], False
    )


def test_rule_for_another_direction_is_no_grant(host: Host) -> None:
    _load(host, networks=NETWORKS[:1])
    rule = f"add rule inet tracklib_vpn_{host.name} to_tunnel ip daddr 10.99.0.0/16 accept"
    host.sh("nft", *rule.split())
    assert read_firewall(host.run, host.name) == TunnelFirewall(NETWORKS[:1], False)


def test_open_port_53_is_seen(host: Host) -> None:
    _load(host, networks=NETWORKS[:1], private_dns=True)
    assert read_firewall(host.run, host.name) == TunnelFirewall(NETWORKS[:1], True)


def test_rule_taken_away_by_hand_is_missed(host: Host) -> None:
    _load(host, networks=NETWORKS[:1])
    host.sh("nft", "flush", "chain", "inet", f"tracklib_vpn_{host.name}", "from_tunnel")
    assert read_firewall(host.run, host.name) == TunnelFirewall([], False)


def test_firewall_that_is_not_loaded_is_none(host: Host) -> None:
    assert read_firewall(host.run, host.name) is None
