# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What runs rely on in devices' registrations: gateways' keys, records of removals, labels."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils.addresses import parse_pools
from ansible_collections.tracklib.vpn.plugins.module_utils.model import Registration, Removed
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.dynamodb import (
    RegistryError,
    RegistryErrorCode,
    Table,
)
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.table import Registry

from tests.support.tables import NOW, TABLE, Clock

ACCOUNT = "111122223333"
ALICE = (ACCOUNT, "AIDAALICE")
POOLS = parse_pools(["10.44.0.0/24"])


def laptop(**changes: Any) -> Registration:
    return Registration(ACCOUNT, "AIDAALICE", "laptop", "alice", "KEY", (), NOW, NOW + 60)._replace(**changes)


# -- gateways' keys


def test_r9_key_of_a_gateway_is_refused_and_nothing_is_written(registry: Registry) -> None:
    """Self-service hands it out to every user."""
    registry.claim_key("gateway-1", "KEY")
    table = registry.items()
    complaint = (
        "the public key of alice/laptop is that of gateway/gateway-1: make a key on this device with `wg genkey`"
    )
    for check_mode in (True, False):
        with pytest.raises(RegistryError, match=complaint) as caught:
            registry.devices.register(laptop(), POOLS, check_mode=check_mode)
        assert caught.value.code is RegistryErrorCode.KEY_HELD
    assert registry.items() == table


@pytest.mark.parametrize("claim", [{}, {"holder": 5}, {"holder": "alice"}], ids=str)
def test_r9_claim_that_cannot_be_read_holds_its_key(registry: Registry, client: Any, claim: dict[str, Any]) -> None:
    Table(client, TABLE).write_all([{"pk": "claim", "sk": "key#KEY", **claim}])
    with pytest.raises(RegistryError, match="the public key of alice/laptop is that of ") as caught:
        registry.devices.register(laptop(), POOLS)
    assert caught.value.code is RegistryErrorCode.KEY_HELD


def test_r9_device_cannot_change_to_the_key_of_a_gateway(registry: Registry) -> None:
    registry.claim_key("gateway-1", "GATEWAY")
    _before, first = registry.devices.register(laptop(), POOLS)
    with pytest.raises(RegistryError, match="is that of gateway/gateway-1"):
        registry.devices.register(laptop(public_key="GATEWAY"), POOLS)
    assert registry.devices.registrations() == [first]


# -- records of removals


def test_r5_removal_leaves_a_record_with_the_key_that_the_device_had_last(registry: Registry, clock: Clock) -> None:
    _before, first = registry.devices.register(laptop(), POOLS)
    registry.devices.register(laptop(public_key="NEW"), POOLS)
    clock.now += 60
    registry.devices.remove(first)
    (record,) = registry.facts().registered.removed
    assert record == Removed(ACCOUNT, "AIDAALICE", "laptop", "alice", "NEW", NOW + 60)


def test_r5_record_of_a_removal_ends_when_the_device_is_registered_again(registry: Registry) -> None:
    """Else its next removal by mistake would be explained."""
    registry.devices.remove(registry.devices.register(laptop(), POOLS)[1])
    registry.devices.remove(registry.devices.register(laptop(device="phone", public_key="2"), POOLS)[1])
    registry.devices.register(laptop(public_key="3"), POOLS)
    assert [each.device for each in registry.facts().registered.removed] == ["phone"]


# -- labels


def test_r1_label_is_written_and_nothing_else(registry: Registry) -> None:
    """What somebody else changed since it was read stays as they wrote it."""
    _before, first = registry.devices.register(laptop(), POOLS)
    _before, changed = registry.devices.register(laptop(public_key="NEW", expires_at=None), POOLS)
    registry.devices.relabel(first._replace(user_name="alice.smith"))
    assert registry.devices.registrations() == [changed._replace(user_name="alice.smith")]


def test_label_of_a_removed_device_is_not_written(registry: Registry) -> None:
    _before, first = registry.devices.register(laptop(), POOLS)
    registry.devices.remove(first)
    registry.devices.relabel(first._replace(user_name="alice.smith"))
    assert registry.devices.registrations() == []


def test_r17_registration_that_cannot_be_read_is_left_out_of_lists(registry: Registry, client: Any) -> None:
    _before, first = registry.devices.register(laptop(), POOLS)
    Table(client, TABLE).write_all([{"pk": "registration", "sk": f"{ACCOUNT}/AIDAALICE/phone", "public_key": 5}])
    assert registry.devices.registrations() == registry.devices.registrations_of(ALICE) == [first]


# -- registrations that can't be read


def damage(registry: Registry, client: Any, **changes: Any) -> None:
    (item,) = [each for each in registry.items() if each["pk"] == "registration"]
    Table(client, TABLE).write_all([{**item, **changes}])


DAMAGES: list[dict[str, Any]] = [{"expires_at": 2**45}, {"public_key": 5}, {"addresses": 5}]


@pytest.mark.parametrize("change", DAMAGES, ids=str)
def test_r17_registration_that_cannot_be_read_is_removed_with_its_claims(
    registry: Registry, client: Any, change: dict[str, Any]
) -> None:
    registry.devices.register(laptop(), POOLS)
    damage(registry, client, **change)
    found = registry.devices.registration(ALICE, "laptop")
    assert found == laptop(addresses=("10.44.0.2",), expires_at=0)
    assert registry.devices.remove(found) == found
    claims = {item["sk"]: item for item in registry.items() if item["pk"] == "claim"}
    assert claims["key#KEY"]["released_at"] == NOW
    assert claims["address#10.44.0.2"]["free_at"] > NOW
    assert registry.devices.registrations() == []


@pytest.mark.parametrize("change", DAMAGES, ids=str)
def test_r17_registration_that_cannot_be_read_is_replaced_and_keeps_its_address(
    registry: Registry, client: Any, change: dict[str, Any]
) -> None:
    registry.devices.register(laptop(), POOLS)
    damage(registry, client, **change)
    _before, after = registry.devices.register(laptop(public_key="NEW"), POOLS)
    assert registry.devices.registrations() == [after] == [laptop(public_key="NEW", addresses=("10.44.0.2",))]
    claims = {item["sk"]: item for item in registry.items() if item["pk"] == "claim"}
    assert claims["key#KEY"]["released_at"] == NOW
    assert "released_at" not in claims["key#NEW"]


def test_r9_registration_that_cannot_be_read_frees_nothing_that_others_hold(registry: Registry, client: Any) -> None:
    registry.devices.register(laptop(), POOLS)
    damage(registry, client, public_key="BOBS", addresses=["10.44.0.3"], expires_at=2**45)
    bob = registry.devices.register(laptop(user_id="AIDABOB", user_name="bob", public_key="BOBS"), POOLS)[1]
    found = registry.devices.registration(ALICE, "laptop")
    assert found is not None
    registry.devices.remove(found)
    assert [(each["sk"], each["holder"]) for each in registry.items() if each["pk"] == "claim" and len(each) < 5] == [
        ("address#10.44.0.3", f"{ACCOUNT}/AIDABOB/laptop"),
        ("key#BOBS", f"{ACCOUNT}/AIDABOB/laptop"),
    ]
    assert registry.devices.registrations() == [bob]
