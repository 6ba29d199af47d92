# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.tracklib.vpn.plugins.filter.gateway_addresses import gateway_addresses
from ansible_collections.tracklib.vpn.plugins.filter.granted_networks import granted_networks


def test_gateway_has_the_first_host_address_with_the_pools_prefix() -> None:
    assert gateway_addresses(["10.44.0.0/20", "fd44::/64"]) == ["10.44.0.1/20", "fd44::1/64"]


def test_pool_inside_the_vpc_is_refused_naming_both() -> None:
    with pytest.raises(AnsibleFilterError, match=r"10\.20\.8\.0/24 overlaps 10\.20\.0\.0/16"):
        gateway_addresses(["10.20.8.0/24"], ["10.20.0.0/16"])


def test_granted_networks_are_merged_so_that_none_overlaps() -> None:
    access = [
        {"groups": ["a"], "networks": ["fd20::/64", "10.20.0.0/16"]},
        {"groups": ["b"], "networks": ["10.20.8.0/24", "10.21.0.0/16"]},
    ]
    assert granted_networks(access) == ["10.20.0.0/15", "fd20::/64"]


@pytest.mark.parametrize("access", [[], [{"groups": ["a"], "networks": []}]])
def test_policy_without_networks_is_refused(access: list[dict[str, list[str]]]) -> None:
    with pytest.raises(AnsibleFilterError, match="grants no networks"):
        granted_networks(access)


@pytest.mark.parametrize("network", ["10.20.0.1/16", "vpc", "10.20.0.0/16; drop"])
def test_network_that_is_none_is_refused_by_name(network: str) -> None:
    with pytest.raises(AnsibleFilterError, match=r"vpn_access is not a network"):
        granted_networks([{"groups": ["a"], "networks": [network]}])
