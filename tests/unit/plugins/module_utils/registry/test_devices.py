# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Registering, changing and removing devices: one key, one device; one address, one device (R9)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils.addresses import PoolError, parse_pools
from ansible_collections.tracklib.vpn.plugins.module_utils.model import Registration
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.devices import QUARANTINE, RegisteredDevices
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.dynamodb import (
    Item,
    Put,
    RegistryError,
    RegistryErrorCode,
    Table,
    Write,
)
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.items import user_key
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.quotas import Quota
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.table import Registry

from tests.support.tables import NOW, TABLE, Clock

DAY = 24 * 3600
ACCOUNT = "111122223333"
ALICE, BOB = (ACCOUNT, "AIDAALICE"), (ACCOUNT, "AIDABOB")
POOLS = parse_pools(["10.44.0.0/24", "fd44::/64"])
CHANGES = 7  # that a user may make on a day
TINY = parse_pools(["10.44.0.0/29"])  # five addresses


@pytest.fixture
def devices(registry: Registry) -> RegisteredDevices:
    return registry.devices


def laptop(**changes: Any) -> Registration:
    wanted = Registration(ACCOUNT, "AIDAALICE", "laptop", "alice", "KEY", (), NOW, NOW + DAY)
    return wanted._replace(**changes)


def bobs(**changes: Any) -> Registration:
    return laptop(user_id="AIDABOB", user_name="bob", **changes)


def claims(registry: Registry) -> dict[str, dict[str, Any]]:
    return {item["sk"]: item for item in registry.items() if item["pk"] == "claim"}


def add(devices: RegisteredDevices, wanted: Registration, limit: int | None, pools: Any = POOLS) -> Registration:
    quota = None if limit is None else Quota(limit, changes=CHANGES)
    return devices.change(wanted.owner, wanted.device, lambda _before: wanted, pools, quota=quota)[1]


# -- what is there


def test_registrations_are_found_by_user_and_by_device(devices: RegisteredDevices) -> None:
    for wanted in (laptop(), laptop(device="desktop", public_key="2"), bobs(public_key="3")):
        devices.register(wanted, POOLS)
    devices.register(laptop(user_id="AIDAALICE2", public_key="4"), POOLS)
    assert [found.device for found in devices.registrations_of(ALICE)] == ["desktop", "laptop"]
    assert {found.public_key for found in devices.registrations()} == {"KEY", "2", "3", "4"}
    found = devices.registration(BOB, "laptop")
    assert found is not None
    assert found.public_key == "3"
    assert devices.registration(BOB, "desktop") is None


# -- registering


def test_who_asks_for_what_is_there_already_changes_nothing_and_who_changes_it_is_named(
    devices: RegisteredDevices,
) -> None:
    first = devices.register(laptop(by="arn:first"), POOLS)[1]
    assert devices.register(laptop(by="arn:second"), POOLS) == (first, first)
    devices.register(laptop(by="arn:third", expires_at=NOW + 2 * DAY), POOLS)
    assert [each.by for each in devices.registrations()] == ["arn:third"]


def test_new_device_gets_an_address_of_each_version_and_claims_them_with_its_key(
    registry: Registry, devices: RegisteredDevices
) -> None:
    before, after = devices.register(laptop(), POOLS)
    assert before is None
    assert after == laptop(addresses=("10.44.0.2", "fd44::2"))
    assert devices.registration(ALICE, "laptop") == after
    holder = "111122223333/AIDAALICE/laptop"
    assert claims(registry) == {
        "address#10.44.0.2": {"pk": "claim", "sk": "address#10.44.0.2", "holder": holder},
        "address#fd44::2": {"pk": "claim", "sk": "address#fd44::2", "holder": holder},
        "key#KEY": {"pk": "claim", "sk": "key#KEY", "holder": holder, "owner": "111122223333/AIDAALICE"},
    }


def test_same_registration_again_writes_nothing(registry: Registry, devices: RegisteredDevices) -> None:
    _before, first = devices.register(laptop(), POOLS)
    table = registry.items()
    assert devices.register(laptop(created_at=NOW + 5), POOLS) == (first, first)
    assert registry.items() == table


def test_changed_device_keeps_its_addresses_and_its_creation(registry: Registry, devices: RegisteredDevices) -> None:
    _before, first = devices.register(laptop(), POOLS)
    held = claims(registry)
    changed = first._replace(expires_at=None, renewed_at=NOW + 9, user_name="alicia")
    assert devices.register(changed._replace(created_at=NOW + 9, addresses=()), POOLS) == (first, changed)
    assert devices.registration(ALICE, "laptop") == changed
    assert claims(registry) == held


def test_wish_is_asked_with_what_is_there(devices: RegisteredDevices) -> None:
    seen: list[Registration | None] = []

    def wish(before: Registration | None) -> Registration:
        seen.append(before)
        return laptop(expires_at=None if before else NOW + 5)

    _before, first = devices.change(ALICE, "laptop", wish, POOLS)
    devices.change(ALICE, "laptop", wish, POOLS)
    assert seen == [None, first]


def test_check_mode_says_what_would_be_and_writes_nothing(registry: Registry, devices: RegisteredDevices) -> None:
    before, after = devices.register(laptop(), POOLS, check_mode=True)
    assert (before, after.addresses) == (None, ("10.44.0.2", "fd44::2"))
    assert registry.items() == []


def test_check_mode_refuses_a_key_that_another_holds(devices: RegisteredDevices) -> None:
    devices.register(laptop(), POOLS)
    with pytest.raises(RegistryError, match="already held by alice/laptop"):
        devices.register(bobs(), POOLS, check_mode=True)


# -- keys


def test_r9_key_of_another_users_device_is_refused_and_nothing_is_written(
    registry: Registry, devices: RegisteredDevices
) -> None:
    devices.register(laptop(), POOLS)
    table = registry.items()
    complaint = (
        r"the public key of bob/laptop is already held by alice/laptop \(account 111122223333, AIDAALICE\); a key is"
    )
    with pytest.raises(RegistryError, match=complaint) as caught:
        devices.register(bobs(), POOLS)
    assert caught.value.code is RegistryErrorCode.KEY_HELD
    assert registry.items() == table


def test_r9_key_of_the_users_own_other_device_is_refused(devices: RegisteredDevices) -> None:
    devices.register(laptop(), POOLS)
    with pytest.raises(RegistryError, match="the public key of alice/phone is already held by alice/laptop"):
        devices.register(laptop(device="phone"), POOLS)


def test_r1_key_of_a_removed_device_stays_its_users(registry: Registry, devices: RegisteredDevices) -> None:
    _before, first = devices.register(laptop(), POOLS)
    devices.remove(first)
    assert claims(registry)["key#KEY"]["released_at"] == NOW
    with pytest.raises(RegistryError, match=r"already held by a removed device \(laptop\) of user id AIDAALICE"):
        devices.register(bobs(), POOLS)
    assert devices.register(laptop(device="phone"), POOLS)[1].public_key == "KEY"
    assert "released_at" not in claims(registry)["key#KEY"]


def test_claim_of_a_key_that_was_given_up_ends_with_the_record_of_the_device(
    registry: Registry, devices: RegisteredDevices, clock: Clock
) -> None:
    devices.remove(devices.register(laptop(), POOLS)[1])
    claim = claims(registry)["key#KEY"]
    assert claim["free_at"] == claim["ttl"] == NOW + 90 * DAY
    clock.now = NOW + 90 * DAY - 1
    with pytest.raises(RegistryError, match="already held"):
        devices.register(bobs(), POOLS)
    clock.now += 1
    assert devices.register(bobs(), POOLS)[1].public_key == "KEY"
    assert "free_at" not in claims(registry)["key#KEY"]


def test_r1_recreated_user_does_not_inherit_a_key(devices: RegisteredDevices) -> None:
    _before, first = devices.register(laptop(), POOLS)
    devices.remove(first)
    for other in ("AIDAALICE2", "AIDA0"):
        with pytest.raises(RegistryError, match="already held"):
            devices.register(laptop(user_id=other), POOLS)


def test_r9_new_key_is_claimed_and_the_old_one_stays_the_users(registry: Registry, devices: RegisteredDevices) -> None:
    devices.register(laptop(), POOLS)
    devices.register(laptop(public_key="NEW"), POOLS)
    assert "released_at" not in claims(registry)["key#NEW"]
    assert claims(registry)["key#KEY"]["released_at"] == NOW
    with pytest.raises(RegistryError, match="already held"):
        devices.register(bobs(), POOLS)
    assert devices.register(laptop(), POOLS)[1].public_key == "KEY"


# -- addresses


def test_r9_freed_address_rests_before_another_device_gets_it(
    registry: Registry, devices: RegisteredDevices, clock: Clock
) -> None:
    _before, first = devices.register(laptop(), TINY)
    devices.remove(first)
    free_at = NOW + 7 * DAY
    claim = claims(registry)["address#10.44.0.2"]
    assert (claim["holder"], claim["free_at"], claim["ttl"]) == ("111122223333/AIDAALICE/laptop", free_at, free_at)
    assert devices.register(bobs(public_key="2"), TINY)[1].addresses == ("10.44.0.3",)
    clock.now = free_at - 1
    assert devices.register(bobs(device="2", public_key="3"), TINY)[1].addresses == ("10.44.0.4",)
    clock.now = free_at
    assert devices.register(bobs(device="3", public_key="4"), TINY)[1].addresses == ("10.44.0.2",)
    assert "free_at" not in claims(registry)["address#10.44.0.2"]


def test_claim_that_outlived_its_rest_is_as_none(devices: RegisteredDevices, clock: Clock) -> None:
    """DynamoDB deletes it hours or days later."""
    _before, first = devices.register(laptop(), TINY)
    devices.remove(first)
    clock.now += 8 * DAY
    assert devices.register(bobs(public_key="2"), TINY)[1].addresses == ("10.44.0.2",)


def test_device_that_moves_to_another_pool_gets_no_address_of_another_device(devices: RegisteredDevices) -> None:
    other = parse_pools(["10.45.0.0/24"])
    devices.register(laptop(), TINY)
    devices.register(bobs(public_key="2"), other)
    assert devices.register(laptop(), other)[1].addresses == ("10.45.0.3",)


def test_address_rests_as_long_as_the_caller_says(registry: Registry, devices: RegisteredDevices) -> None:
    _before, first = devices.register(laptop(), TINY)
    devices.remove(first, quarantine=60)
    assert claims(registry)["address#10.44.0.2"]["free_at"] == NOW + 60
    _before, second = devices.register(laptop(), TINY)
    devices.register(laptop(), parse_pools(["10.45.0.0/24"]), quarantine=30)
    assert claims(registry)[f"address#{second.addresses[0]}"]["free_at"] == NOW + 30


def test_device_gets_another_address_when_no_pool_holds_its_own(registry: Registry, devices: RegisteredDevices) -> None:
    devices.register(laptop(), POOLS)
    _before, after = devices.register(laptop(), parse_pools(["10.45.0.0/24", "fd44::/64"]))
    assert after.addresses == ("10.45.0.2", "fd44::2")
    resting = {sk for sk, claim in claims(registry).items() if "free_at" in claim}
    assert resting == {"address#10.44.0.2"}
    assert claims(registry)["address#10.44.0.2"]["free_at"] == NOW + QUARANTINE


def test_registration_without_address_gets_one(devices: RegisteredDevices) -> None:
    devices.register(laptop(), parse_pools(["10.44.0.0/24"]))
    _before, after = devices.register(laptop(), POOLS)
    assert after.addresses == ("10.44.0.2", "fd44::2")


def test_exhausted_pool_is_refused(devices: RegisteredDevices) -> None:
    for number in range(5):
        devices.register(laptop(device=f"d{number}", public_key=f"{number}"), TINY)
    with pytest.raises(PoolError, match="exhausted"):
        devices.register(laptop(), TINY)


# -- removing


def test_removed_device_is_gone_and_said(devices: RegisteredDevices) -> None:
    _before, first = devices.register(laptop(), POOLS)
    assert devices.remove(first) == first
    assert devices.registrations() == []
    assert devices.remove(first) is None


def test_device_that_changed_is_removed_as_it_is_now_or_left(registry: Registry, devices: RegisteredDevices) -> None:
    _before, first = devices.register(laptop(), POOLS)
    _before, second = devices.register(laptop(public_key="NEW"), POOLS)
    assert devices.remove(first, unchanged=True) is None
    assert devices.remove(second._replace(public_key="A"), unchanged=True) is None
    assert devices.registrations() == [second]
    assert devices.remove(first) == second
    assert all("released_at" in claim or "free_at" in claim for claim in claims(registry).values())


def test_device_that_did_not_change_is_removed(devices: RegisteredDevices) -> None:
    _before, first = devices.register(laptop(expires_at=None), POOLS)
    assert devices.remove(first, unchanged=True) == first


# -- collisions


class Interrupted(Table):
    """Lets others act between what a caller has read and its transaction, once for each action."""

    meanwhile: Sequence[Callable[[], object]] = ()

    def transact(self, writes: Sequence[Write]) -> bool:
        if self.meanwhile:
            action, *self.meanwhile = self.meanwhile
            action()
        return super().transact(writes)


@pytest.fixture
def interrupted(client: Any) -> Interrupted:
    return Interrupted(client, TABLE)


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        ({"expires_at": NOW + 9}, {"expires_at": NOW + 9}),
        ({"expires_at": None}, {"expires_at": None}),
        ({"public_key": "OTHER"}, {}),
    ],
)
def test_change_that_came_meanwhile_is_not_lost(
    devices: RegisteredDevices,
    interrupted: Interrupted,
    clock: Clock,
    others: dict[str, Any],
    expected: dict[str, Any],
) -> None:
    _before, first = devices.register(laptop(), POOLS)
    interrupted.meanwhile = [lambda: devices.register(first._replace(**others), POOLS)]

    def wish(before: Registration | None) -> Registration:
        assert before is not None
        return before._replace(public_key="MINE")

    before, after = RegisteredDevices(interrupted, clock).change(ALICE, "laptop", wish, POOLS)
    assert before == first._replace(**others)
    assert after == first._replace(**{"public_key": "MINE", **expected})
    assert devices.registrations() == [after]


def test_change_that_finds_its_device_without_expiry_is_not_lost(
    devices: RegisteredDevices, interrupted: Interrupted, clock: Clock
) -> None:
    _before, first = devices.register(laptop(expires_at=None), POOLS)
    interrupted.meanwhile = [lambda: devices.register(first._replace(expires_at=NOW + 9), POOLS)]
    before, _after = RegisteredDevices(interrupted, clock).register(laptop(public_key="MINE"), POOLS)
    assert before == first._replace(expires_at=NOW + 9)


def test_two_who_choose_the_same_address_get_one_each(
    devices: RegisteredDevices, interrupted: Interrupted, clock: Clock
) -> None:
    interrupted.meanwhile = [lambda: devices.register(bobs(public_key="2"), POOLS)]
    _before, after = RegisteredDevices(interrupted, clock).register(laptop(), POOLS)
    first, second = devices.registrations_of(ALICE)[0], devices.registrations_of(BOB)[0]
    assert first == after
    assert set(first.addresses).isdisjoint(second.addresses)


def test_device_that_another_call_registered_meanwhile_is_changed(
    devices: RegisteredDevices, interrupted: Interrupted, clock: Clock
) -> None:
    interrupted.meanwhile = [lambda: devices.register(laptop(created_at=NOW - 9), POOLS)]
    before, after = RegisteredDevices(interrupted, clock).register(laptop(user_name="alicia"), POOLS)
    assert before is not None
    assert (after.created_at, after.user_name) == (NOW - 9, "alicia")


def test_key_that_was_registered_meanwhile_is_refused(
    devices: RegisteredDevices, interrupted: Interrupted, clock: Clock
) -> None:
    interrupted.meanwhile = [lambda: devices.register(bobs(), parse_pools(["10.45.0.0/24"]))]
    with pytest.raises(RegistryError, match="already held by bob/laptop"):
        RegisteredDevices(interrupted, clock).register(laptop(), POOLS)
    assert [found.user_name for found in devices.registrations()] == ["bob"]


def test_device_that_is_removed_meanwhile_is_gone(
    devices: RegisteredDevices, interrupted: Interrupted, clock: Clock
) -> None:
    _before, first = devices.register(laptop(), POOLS)
    interrupted.meanwhile = [lambda: devices.remove(first)]
    assert RegisteredDevices(interrupted, clock).remove(first) is None


def test_device_that_changes_meanwhile_is_removed_with_what_it_has_then(
    registry: Registry, devices: RegisteredDevices, interrupted: Interrupted, clock: Clock
) -> None:
    _before, first = devices.register(laptop(), POOLS)
    interrupted.meanwhile = [lambda: devices.register(laptop(public_key="NEW"), POOLS)]
    removed = RegisteredDevices(interrupted, clock).remove(first)
    assert removed is not None
    assert removed.public_key == "NEW"
    assert all("released_at" in claim or "free_at" in claim for claim in claims(registry).values())


class Busy(Table):
    """A table in which others are always in the way."""

    tried = 0

    def transact(self, writes: Sequence[Write]) -> bool:
        self.tried += bool(writes)
        return False


def test_collisions_without_end_are_said_after_pauses(
    client: Any, devices: RegisteredDevices, monkeypatch: pytest.MonkeyPatch
) -> None:
    _before, first = devices.register(laptop(), POOLS)
    slept: list[float] = []
    monkeypatch.setattr("time.sleep", slept.append)
    monkeypatch.setattr("random.uniform", lambda least, most: most - least)
    busy = Busy(client, TABLE)
    with pytest.raises(RegistryError, match="alice/phone could not be registered: 12 attempts collided") as caught:
        RegisteredDevices(busy).register(laptop(device="phone", public_key="2"), POOLS)
    assert caught.value.code is RegistryErrorCode.COLLIDED
    with pytest.raises(RegistryError, match="alice/laptop could not be removed: 12 attempts collided"):
        RegisteredDevices(busy).remove(first)
    assert busy.tried == 24
    assert slept == 2 * [0.02 * 2 ** min(attempt, 7) for attempt in range(1, 12)]


@pytest.mark.usefixtures("registry")
def test_those_who_collided_choose_among_more_addresses_each_time(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ranges: list[int] = []

    def first(most: int) -> int:
        ranges.append(most)
        return 0

    monkeypatch.setattr("random.randrange", first)
    with pytest.raises(RegistryError):
        RegisteredDevices(Busy(client, TABLE)).register(laptop(), POOLS)
    assert ranges == [64 * attempt for attempt in range(1, 12)]


# -- the limit


def test_user_has_no_more_devices_than_the_limit(devices: RegisteredDevices) -> None:
    for number in range(2):
        add(devices, laptop(device=f"d{number}", public_key=f"{number}"), 2)
    complaint = "alice/d2 can't be registered: alice has 2 devices, and 2 are allowed; remove one first"
    with pytest.raises(RegistryError, match=complaint) as caught:
        add(devices, laptop(device="d2", public_key="2"), 2)
    assert caught.value.code is RegistryErrorCode.DEVICE_LIMIT
    assert len(devices.registrations()) == 2
    add(devices, bobs(public_key="3"), 2)
    add(devices, laptop(device="d0", public_key="0", user_name="alicia"), 2)  # no new one
    add(devices, laptop(device="d2", public_key="2"), None)
    assert len(devices.registrations_of(ALICE)) == 3


def test_each_device_registered_under_a_limit_raises_the_users_version(
    registry: Registry, devices: RegisteredDevices
) -> None:
    add(devices, laptop(), 5)
    add(devices, laptop(device="phone", public_key="2"), 5)
    counters = [item for item in registry.items() if item["pk"] == "devices"]
    today = int(NOW // DAY)
    assert counters == [{"pk": "devices", "sk": "111122223333/AIDAALICE", "version": 2, "day": today, "changes": 2}]


def test_new_devices_and_keys_of_a_user_have_a_limit_each_day(devices: RegisteredDevices, clock: Clock) -> None:
    for number in range(CHANGES - 1):
        add(devices, laptop(public_key=str(number)), 5)
    add(devices, laptop(public_key="0"), 5)  # back to an earlier key is a change, too
    for refused in (laptop(public_key="more"), laptop(device="phone", public_key="other")):
        with pytest.raises(RegistryError, match=f"alice has made {CHANGES} new devices and keys today") as caught:
            add(devices, refused, 5)
        assert caught.value.code is RegistryErrorCode.TOO_MANY_CHANGES
    add(devices, laptop(public_key="0", expires_at=NOW + 2 * DAY), 5)  # neither
    add(devices, bobs(public_key="bob's"), 5)
    add(devices, laptop(public_key="operator's"), None)
    clock.now = (NOW // DAY + 1) * DAY
    assert add(devices, laptop(public_key="next day"), 5).public_key == "next day"


@pytest.mark.parametrize(("network", "allowed"), [("10.44.0.0/24", 12), ("10.44.0.0/29", 2), ("10.44.0.0/20", 40)])
def test_removed_devices_of_a_user_hold_a_share_of_the_smallest_pool_at_most(
    devices: RegisteredDevices, network: str, allowed: int
) -> None:
    pools = parse_pools([network, "fd44::/64"])
    for number in range(allowed):
        device = add(devices, laptop(device=f"d{number}", public_key=f"{number}"), None, pools)
        devices.remove(device)
    with pytest.raises(RegistryError, match=f"and {allowed} in {network} may; the first is free from") as caught:
        add(devices, laptop(), 2, pools)
    assert caught.value.code is RegistryErrorCode.TOO_MANY_REMOVALS
    add(devices, bobs(), 2, pools)


@pytest.mark.parametrize("damaged", [{"version": "x"}, {}], ids=str)
def test_r17_damaged_version_costs_its_user_no_registration(
    devices: RegisteredDevices, table: Table, damaged: Item
) -> None:
    new = laptop()
    table.write(Put({"pk": "devices", "sk": user_key(new.owner), **damaged}))
    assert add(devices, new, limit=2).device == new.device
    assert (table.get("devices", user_key(new.owner)) or {})["version"] == 1


def test_device_that_came_meanwhile_counts_for_the_limit(
    devices: RegisteredDevices, interrupted: Interrupted, clock: Clock
) -> None:
    add(devices, laptop(), 2)
    elsewhere = parse_pools(["10.55.0.0/24"])  # so that nothing but the count collides
    interrupted.meanwhile = [lambda: add(devices, laptop(device="two", public_key="2"), 2, elsewhere)]
    with pytest.raises(RegistryError, match="alice has 2 devices, and 2 are allowed"):
        add(RegisteredDevices(interrupted, clock), laptop(device="three", public_key="3"), 2)
    assert {found.device for found in devices.registrations()} == {"laptop", "two"}


def test_user_who_registers_and_removes_all_day_has_to_wait(devices: RegisteredDevices, clock: Clock) -> None:
    pool = parse_pools(["10.44.0.0/20"])
    for number in range(20):
        devices.remove(add(devices, laptop(device=f"d{number}", public_key=f"{number}"), None, pool), quarantine=DAY)
        clock.now += 1
    complaint = (
        "alice/laptop can't be registered: 20 addresses of alice's removed devices rest, and 20 in 10.44.0.0/20 "
        "may; the first is free from 2027-01-16 08:00 UTC on, try again then"
    )
    with pytest.raises(RegistryError, match=complaint) as caught:
        add(devices, laptop(), 1, pool)
    assert caught.value.code is RegistryErrorCode.TOO_MANY_REMOVALS
    add(devices, bobs(public_key="2b"), 1, pool)
    add(devices, laptop(user_id="AIDAALICE2", public_key="2c"), 1, pool)
    clock.now = NOW + DAY
    add(devices, laptop(), 1, pool)


def test_user_with_a_higher_limit_may_remove_more(devices: RegisteredDevices) -> None:
    pool = parse_pools(["10.44.0.0/20"])
    for number in range(20):
        devices.remove(add(devices, laptop(device=f"d{number}", public_key=f"{number}"), None, pool))
    add(devices, laptop(), 2, pool)
