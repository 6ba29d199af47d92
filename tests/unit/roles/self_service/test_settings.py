# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What operators set is checked before the first call is answered."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils.client.config import DEFAULT_MTU
from ansible_collections.tracklib.vpn.plugins.module_utils.model import User
from self_service.proof import Sts
from self_service.settings import SelfServiceSettings, read, read_environment

KEY = "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo="
DOCUMENT: dict[str, Any] = {
    "account_id": "111122223333",
    "access": [
        {"groups": ["vpn-developers"], "networks": ["10.20.0.0/16"]},
        {"groups": ["vpn-dba"], "networks": ["10.20.8.0/24", "10.30.0.0/16"], "ports": ["5432/tcp"]},
        {"groups": ["vpn-dba"], "networks": ["10.40.0.0/16"], "accounts": ["444455556666"]},
    ],
    "address_pools": ["10.44.0.0/20"],
    "gateways": [{"endpoint": "vpn.example.com:51820", "public_key": KEY}],
}
ENVIRONMENT = {"AWS_REGION": "eu-west-1", "REGISTRY_TABLE": "tracklib-vpn", "QUEUE_URL": "https://sqs.example/queue"}
STS = Sts("https://sts.example", "eu-west-1")


def settings(**changes: Any) -> SelfServiceSettings:
    return read(STS, json.dumps({**DOCUMENT, **changes}))


def test_sts_is_the_functions_regions_own_unless_it_is_set() -> None:
    assert read_environment(ENVIRONMENT).sts == ("https://sts.eu-west-1.amazonaws.com", "eu-west-1")
    china = read_environment({**ENVIRONMENT, "AWS_REGION": "cn-north-1"})
    assert china.sts.url == "https://sts.cn-north-1.amazonaws.com.cn"
    assert read_environment({**ENVIRONMENT, "STS_URL": "http://127.0.0.1:5000/"}).sts.url == "http://127.0.0.1:5000"


def test_defaults_are_those_of_the_documents() -> None:
    document = settings().document
    assert (document.devices_per_user, document.life, document.address_quarantine) == (5, 30 * 86400, 7 * 86400)
    assert document.mtu == DEFAULT_MTU


def test_the_functions_own_account_is_served_unless_others_are_named() -> None:
    assert settings().roles == {"111122223333": None}
    role_arn = "arn:aws:iam::444455556666:role/vpn-sweep"
    others = settings(identity_accounts=[{"account_id": "444455556666", "role_arn": role_arn}])
    assert others.roles == {"444455556666": role_arn}


@pytest.mark.parametrize(
    ("account_id", "groups", "networks"),
    [
        ("111122223333", ("vpn-developers",), ["10.20.0.0/16"]),
        ("111122223333", ("vpn-dba",), ["10.20.8.0/24", "10.30.0.0/16"]),
        ("111122223333", ("vpn-dba", "vpn-developers"), ["10.20.0.0/16", "10.30.0.0/16"]),
        ("444455556666", ("vpn-dba", "vpn-developers"), ["10.40.0.0/16"]),
    ],
)
def test_networks_are_what_the_users_groups_grant_in_their_account(
    account_id: str, groups: tuple[str, ...], networks: list[str]
) -> None:
    user = User(account_id, "AIDAIOSFODNN7EXAMPLE", "alice", 0, groups)
    assert settings().networks(user) == networks


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"account_id": 111122223333}, "account_id: Input should be a valid string"),
        ({"account_id": "1"}, "account_id: String should match pattern"),
        ({"acces": []}, "acces: Extra inputs are not permitted"),
        ({"access": []}, "access: List should have at least 1 item"),
        ({"access": [{"groups": ["x"], "networks": ["10.20.0.1/16"]}]}, "'10.20.0.1/16' in access is not a network"),
        ({"address_pools": []}, "no address pools are given"),
        ({"address_pools": ["10.20.0.0/20"]}, "overlaps 10.20.0.0/16"),
        (
            {"gateways": [{"endpoint": "vpn", "public_key": KEY}]},
            "gateways.0.endpoint: Value error, endpoint 'vpn' has no port",
        ),
        ({"mtu": 70000}, "mtu: Input should be less than or equal to 65535"),
        ({"gateways": [{"endpoint": "v:1", "public_key": "x"}]}, "gateways.0.public_key: Value error, the public key"),
        ({"devices_per_user": 0}, "devices_per_user: Input should be greater than or equal to 1"),
        ({"life": "30d"}, "life: Input should be a valid integer"),
        ({"life": 3599}, "life: Input should be greater than or equal to 3600"),
        ({"life": 10**10}, "life: Input should be less than or equal to 3153600000"),
    ],
)
def test_wrong_settings_are_refused_naming_what_is_wrong(changes: dict[str, Any], expected: str) -> None:
    with pytest.raises(ValueError, match="the settings in the registry are refused: ") as caught:
        settings(**changes)
    assert expected in str(caught.value)


def test_what_is_not_set_is_named() -> None:
    with pytest.raises(ValueError, match="QUEUE_URL are not set"):
        read_environment({"AWS_REGION": "eu-west-1", "REGISTRY_TABLE": "tracklib-vpn", "QUEUE_URL": ""})
    with pytest.raises(ValueError, match="refused: the document: Invalid JSON"):
        read(STS, "{")
    with pytest.raises(ValueError, match="no settings of self-service: deploy again"):
        read(STS, None)
