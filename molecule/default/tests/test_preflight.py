# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Hosts and settings that `site` refuses before it changes anything."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils import keys

from tests.lab import actions

INTERFACE = "wg9"
CONFIG = f"/etc/wireguard/{INTERFACE}.conf"
SAFE_METADATA = {"http_endpoint": "enabled", "http_tokens": "required", "http_put_response_hop_limit": 1}


@pytest.fixture
def foreign_peer() -> Iterator[str]:
    """The public key of the one peer of an interface that someone made by hand on gateway-13."""
    private_key, public_key = keys.generate()
    config = (
        f"[Interface]\nPrivateKey = {private_key}\nListenPort = 51999\n"
        f"[Peer]\nPublicKey = {public_key}\nAllowedIPs = 10.99.0.2/32\n"
    )
    actions.shell("gateway-13", f"umask 077; printf '{config}' > {CONFIG}; wg-quick up {INTERFACE} 2>&1")
    yield public_key
    actions.shell("gateway-13", f"wg-quick down {INTERFACE} 2>&1; rm {CONFIG}")


def site(**variables: Any) -> actions.Run:
    """A run of `site` for gateway-13 that must fail."""
    return actions.run_playbook("site", "--limit=localhost,gateway-13", rc=2, **variables)


def test_existing_interface_is_left_alone_and_its_peers_are_named(foreign_peer: str) -> None:
    before = actions.shell("gateway-13", f"sha256sum {CONFIG}; wg show {INTERFACE}")
    refusal = site(gateway_interface=INTERFACE, gateway_listen_port=51999)
    assert foreign_peer in refusal.failures[0]
    assert "gateway_replace_existing" in refusal.failures[0]
    assert [each for each in refusal.changed if not each.startswith("localhost: Decide who may be a peer")] == []
    assert actions.shell("gateway-13", f"sha256sum {CONFIG}; wg show {INTERFACE}") == before


@pytest.mark.parametrize("unsafe", [{"http_tokens": "optional"}, {"http_put_response_hop_limit": 2}], ids=str)
def test_reachable_instance_metadata_is_refused(unsafe: dict[str, Any]) -> None:
    refusal = site(metadata_options={**SAFE_METADATA, **unsafe})
    assert "instance metadata is open" in refusal.failures[0]
    assert "modify-instance-metadata-options" in refusal.failures[0]


def test_host_key_of_an_unknown_instance_is_refused_before_anything_is_changed() -> None:
    refusal = site(gateway_publish_host_key=True, instance_id="{{ undef() }}")
    assert "no instance_id for gateway-13" in refusal.failures[0]


@pytest.mark.parametrize("pools", [["10.20.0.0/20"], ["10.44.0.0/20", "10.44.8.0/24"], ["10.44.0.1/20"]], ids=str)
def test_bad_address_pools_are_refused(pools: list[str]) -> None:
    refusal = site(vpn_address_pools=pools)
    assert any(pool in refusal.failures[0] for pool in pools)


def test_grant_whose_ports_are_not_enforced_is_warned_of_by_name() -> None:
    grants = [
        {"groups": ["vpn-developers"], "networks": ["10.20.0.0/16"]},
        {"groups": ["vpn-dba"], "networks": ["10.20.8.0/24"], "ports": ["5432/tcp"]},
    ]
    # the metadata stops the run after the warning
    refusal = site(vpn_access=grants, metadata_options={**SAFE_METADATA, "http_tokens": "optional"})
    (warning,) = refusal.result("ports aren't enforced", "gateway-13")["results"]
    assert "WARNING: vpn_access limits vpn-dba to the ports 5432/tcp" in warning["msg"]
