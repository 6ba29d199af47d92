# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The access policy: who may be a peer, and which networks a peer reaches."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.tracklib.vpn.plugins.module_utils.access import ACCESS_OPTION, Access
from ansible_collections.tracklib.vpn.plugins.module_utils.model import User

HERE, OTHER = "111122223333", "444455556666"
ALICE = User(HERE, "AIDAALICE", "alice", 0, ("vpn-developers", "staff"))
ENTRIES: list[dict[str, Any]] = [
    {"groups": ["vpn-developers"], "networks": ["10.20.0.0/16", "fd20::/64"]},
    {"groups": ["vpn-dba"], "networks": ["10.30.0.0/24"], "accounts": None},
    {"groups": ["staff"], "networks": ["10.20.8.0/24", "10.21.0.0/16"], "accounts": []},
    {"groups": ["staff"], "networks": ["10.99.0.0/16"], "accounts": [OTHER]},
]
ACCESS = Access.parse(ENTRIES, HERE)


def test_user_is_granted_the_merged_networks_of_all_own_groups() -> None:
    assert ACCESS.granted_to(ALICE) == ["10.20.0.0/15", "fd20::/64"]


def test_grant_for_another_account_counts_for_users_of_that_account() -> None:
    assert ACCESS.granted_to(ALICE._replace(account_id=OTHER)) == ["10.99.0.0/16"]


def test_user_in_no_granting_group_is_refused_with_what_was_found_and_expected() -> None:
    complaint = (
        r"alice \(AIDAALICE, account 111122223333\) is in no group .* found sales, expected one of: staff, vpn-dba"
    )
    with pytest.raises(ValueError, match=complaint):
        ACCESS.granted_to(ALICE._replace(groups=("sales",)))


def test_user_of_an_account_without_grants_is_refused() -> None:
    foreign = ALICE._replace(account_id="777788889999", groups=())
    with pytest.raises(ValueError, match="found no group, expected one of: none"):
        ACCESS.granted_to(foreign)


def test_granting_groups_of_an_account_are_those_of_all_its_grants() -> None:
    assert ACCESS.granting == {HERE: {"vpn-developers", "vpn-dba", "staff"}, OTHER: {"staff"}}


def test_networks_are_everybodys_as_operators_wrote_them() -> None:
    assert [str(network) for network in ACCESS.networks()] == [
        *("10.20.0.0/16", "fd20::/64", "10.30.0.0/24"),
        *("10.20.8.0/24", "10.21.0.0/16", "10.99.0.0/16"),
    ]


def test_networks_need_neither_groups_nor_an_account() -> None:
    assert Access.parse([{"networks": ["10.20.0.0/16"]}]).networks() == [ipaddress.ip_network("10.20.0.0/16")]


def test_r15_network_with_an_ipv6_scope_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'fe80::%\\naccept\\n/64' in vpn_access is not a network in CIDR form"):
        Access.parse([{"networks": ["fe80::%\naccept\n/64"]}], option="vpn_access")


@pytest.mark.parametrize(
    ("parameters", "complaints"),
    [
        ({"access": [{"groups": ["vpn"], "networks": ["10.20.0.0/16"]}]}, []),
        ({"access": [{"groups": ["vpn"]}]}, ["missing required arguments: networks found in access"]),
        ({"access": [{"networks": ["10.20.0.0/16"]}]}, ["missing required arguments: groups found in access"]),
        ({}, ["missing required arguments: access"]),
    ],
)
def test_option_of_the_modules_wants_groups_and_networks(parameters: dict[str, Any], complaints: list[str]) -> None:
    assert ArgumentSpecValidator({"access": ACCESS_OPTION}).validate(parameters).error_messages == complaints
