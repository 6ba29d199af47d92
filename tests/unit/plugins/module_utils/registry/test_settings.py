# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What is written for the self-service function is what it takes: anything else would take it from everybody."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils.client.config import ClientTunnel, DnsFlavour, render
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.dynamodb import Put, RegistryError, Table
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.settings import RANGES, check
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.table import Registry
from ansible_collections.tracklib.vpn.plugins.module_utils.timespan import LONGEST
from hypothesis import given
from hypothesis import strategies as st
from self_service.proof import Sts
from self_service.settings import read

KEY = "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo="
DOCUMENT: dict[str, Any] = {
    "account_id": "111122223333",
    "access": [{"groups": ["vpn"], "networks": ["10.20.0.0/16"]}],
    "address_pools": ["10.44.0.0/20"],
    "gateways": [{"endpoint": "vpn.example.com:51820", "public_key": KEY}],
}


def gateways(endpoint: str) -> dict[str, Any]:
    return {"gateways": [{"endpoint": endpoint, "public_key": KEY}]}


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        *(({name: True}, f"{name} is True, expected") for name in RANGES),
        *(({name: False}, f"{name} is False, expected") for name in RANGES),
        ({"address_quarantine": 10**40}, "address_quarantine is 1000000"),
        ({"life": 3599}, "life is 3599, expected 3600 to"),
        ({"account_id": "1"}, "'1' is no account's id"),
        ({"identity_accounts": [{"account_id": "x"}]}, "'x' is no account's id"),
        ({"identity_accounts": [{"account_id": "1" * 12, "role_arn": "sweep"}]}, "role_arn 'sweep' is no role's ARN"),
        ({"access": []}, "access and gateways must have an entry each"),
        ({"access": [{"groups": [], "networks": ["10.0.0.0/8"]}]}, "has no groups or no networks"),
        ({"access": [{"groups": ["\ud800"], "networks": ["10.20.0.0/16"]}]}, "is no character"),
        ({"address_pools": ["10.20.0.0/20"]}, "overlaps 10.20.0.0/16"),
        *(
            (gateways(endpoint), "endpoint")
            for endpoint in ("", "vpn", "vpn:0", "vpn:99999", "[::::]:1", "300.1.1.1:1")
        ),
        *((gateways(endpoint), "endpoint") for endpoint in ("vpn.example.com.:1", "-vpn:1", "...:1")),
        *(({"domains": [domain]}, "domain") for domain in ("a b", "", "x\ny", "*.x", "10.1")),
    ],
)
def test_settings_that_would_serve_nobody_are_refused(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        check({**DOCUMENT, **changes})


BOUNDS = {
    "mtu": (576, 65_535),
    "devices_per_user": (1, 1_000_000),
    "changes_per_day": (1, 1_000_000),
    "life": (3_600, LONGEST),
    "address_quarantine": (0, LONGEST),
    "in_force_within": (0, LONGEST),
}


@pytest.mark.parametrize("name", RANGES)
def test_numbers_up_to_their_bounds_are_taken_and_none_beyond(name: str) -> None:
    least, most = BOUNDS[name]
    for number in (least, most):
        check({**DOCUMENT, name: number})
    for number in (least - 1, most + 1):
        with pytest.raises(ValueError, match=f"{name} is {number}, expected {least} to {most}"):
            check({**DOCUMENT, name: number})


def test_document_is_kept_in_the_registry_and_replaced(registry: Registry, table: Table) -> None:
    assert registry.self_service.read() is None
    registry.self_service.write("{}")
    registry.self_service.write("[]")
    assert registry.self_service.read() == "[]"
    assert table.scan() == [{"pk": "settings", "sk": "self-service", "value": "[]"}]
    table.write(Put({"pk": "settings", "sk": "self-service", "value": 5}))
    assert registry.self_service.read() is None


def test_document_that_is_too_long_for_an_item_is_refused_with_both_lengths(registry: Registry) -> None:
    longest = "ü" * 175_000
    registry.self_service.write(longest)
    with pytest.raises(RegistryError, match="take 350001 bytes, and an item of the registry holds 350000 of them"):
        registry.self_service.write(longest + "x")
    assert registry.self_service.read() == longest


TEXTS = st.one_of(
    st.text(max_size=9),
    st.sampled_from(["vpn.example.com:51820", "[fd00::1]:1", "10.20.0.0/16", "internal.example", "111122223333", KEY]),
)
CHANGES = st.fixed_dictionaries(
    {},
    optional={
        **{name: st.one_of(st.integers(), st.integers(*RANGES[name]), st.booleans()) for name in RANGES},
        "account_id": TEXTS,
        "identity_accounts": st.lists(st.fixed_dictionaries({"account_id": TEXTS}, optional={"role_arn": TEXTS})),
        "access": st.lists(
            st.fixed_dictionaries(
                {"groups": st.lists(TEXTS, max_size=2), "networks": st.lists(TEXTS, max_size=2)},
                optional={"accounts": st.lists(TEXTS, max_size=2), "ports": st.lists(TEXTS, max_size=2)},
            ),
            max_size=2,
        ),
        "address_pools": st.lists(TEXTS, max_size=2),
        "gateways": st.lists(st.fixed_dictionaries({"endpoint": TEXTS, "public_key": TEXTS}), max_size=2),
        "domains": st.lists(TEXTS, max_size=2),
        "answers_other_names": st.booleans(),
    },
)


@given(CHANGES)
def test_what_is_written_is_read_by_the_function_and_makes_a_tunnel(changes: dict[str, Any]) -> None:
    document = {**DOCUMENT, **changes}
    try:
        check(document)
    except ValueError:
        return
    settings = read(Sts("https://sts.example", "eu-west-1"), json.dumps(document))
    for gateway in settings.document.gateways:
        tunnel = ClientTunnel(
            addresses=["10.44.0.2"],
            gateway_public_key=gateway.public_key,
            endpoint=gateway.endpoint,
            networks=["10.20.0.0/16"],
            dns_servers=settings.dns_servers,
            domains=settings.document.domains,
            dns=DnsFlavour.LINE,
            mtu=settings.document.mtu,
        )
        assert gateway.endpoint in render(tunnel)
