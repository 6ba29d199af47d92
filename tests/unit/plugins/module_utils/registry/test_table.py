# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What runs write to the registry and read from it: facts, generations, revocations, receipts, sweeps, a restore."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils.access import Granted
from ansible_collections.tracklib.vpn.plugins.module_utils.addresses import parse_pools
from ansible_collections.tracklib.vpn.plugins.module_utils.model import (
    Block,
    Receipt,
    Registration,
    Sign,
    Sweep,
    Tombstone,
    User,
)
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.dynamodb import Item, RegistryError, Table
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.table import Registry, RegistryFacts

from .conftest import NOW, TABLE, Clock

ACCOUNT = "111122223333"
POOLS = parse_pools(["10.44.0.0/24"])
TOMBSTONE = Tombstone(ACCOUNT, "event-1", "bob", "AIDABOB", NOW)
BLOCK = Block(ACCOUNT, "AIDAALICE", None, "left", NOW)
SIGN = Sign(ACCOUNT, "AIDAALICE", "DeleteLoginProfile", NOW)
GRANTED = Granted((ACCOUNT,), {ACCOUNT: frozenset({"vpn"})}, ("10.44.0.0/24",))


def sweep(begun_at: float = NOW, account_id: str = ACCOUNT) -> Sweep:
    return Sweep(account_id, begun_at, {"AIDAALICE": User(account_id, "AIDAALICE", "alice", 1.0, ("vpn",))})


def receipt(removal_id: str, gateway: str = "gateway-1", removed_at: int = int(NOW)) -> Receipt:
    return Receipt(
        gateway, removal_id, ACCOUNT, "AIDABOB", "bob", "laptop", "9f86", "tombstoned", 7, None, None, removed_at, None
    )


def test_facts_of_an_empty_registry_are_none(registry: Registry) -> None:
    assert registry.facts() == RegistryFacts([], [], [], [], {}, None, [])


def test_facts_are_all_that_was_written(registry: Registry) -> None:
    wanted = Registration(ACCOUNT, "AIDAALICE", "laptop", "alice", "KEY", (), NOW)
    _before, registration = registry.devices.register(wanted, POOLS)
    registry.write_tombstone(TOMBSTONE)
    registry.block(BLOCK)
    registry.write_sign(SIGN)
    registry.store_sweep(sweep(), 1)
    registry.store_sweep(sweep(account_id="2"), 1)
    registry.store_granted(GRANTED, 1)
    registry.record([receipt("1"), receipt("2", "gateway-2"), receipt("3")])
    facts = registry.facts()
    assert facts._replace(acknowledge=sorted(facts.acknowledge)) == RegistryFacts(
        registrations=[registration],
        tombstones=[TOMBSTONE],
        blocks=[BLOCK],
        signs=[SIGN],
        sweeps={ACCOUNT: sweep(), "2": sweep(account_id="2")},
        granted=GRANTED,
        acknowledge=["1", "2", "3"],
    )


# -- generations


def test_r6_generation_is_the_time_in_ms_or_one_more_than_the_last(registry: Registry, clock: Clock) -> None:
    assert registry.generation() == 0
    first = registry.take_generation()
    assert first == int(NOW * 1000)
    assert [registry.take_generation() for _number in range(3)] == [first + 1, first + 2, first + 3]
    assert registry.generation() == first + 3
    clock.now += 1
    assert registry.take_generation() == first + 1000


def test_r6_generation_goes_on_above_a_clock_that_went_ahead(registry: Registry, clock: Clock) -> None:
    ahead = registry.take_generation()
    clock.now -= 3600
    assert registry.take_generation() == ahead + 1


def test_r6_generation_of_the_same_millisecond_is_another(registry: Registry) -> None:
    assert registry.take_generation() < registry.take_generation()


# -- what confirms a revocation


def test_tombstone_of_an_event_that_comes_again_stays_as_it_is(registry: Registry) -> None:
    registry.write_tombstone(TOMBSTONE)
    registry.write_tombstone(TOMBSTONE._replace(user_id=None))
    registry.write_tombstone(TOMBSTONE._replace(user_id=None, event_time=NOW - 1))
    assert registry.tombstones() == [TOMBSTONE]


def test_later_tombstone_of_the_same_event_replaces_the_earlier(registry: Registry) -> None:
    registry.write_tombstone(TOMBSTONE)
    registry.write_tombstone(TOMBSTONE._replace(event_time=NOW + 1))
    assert registry.tombstones() == [TOMBSTONE._replace(event_time=NOW + 1)]


def test_block_is_replaced_and_lifted_alone(registry: Registry) -> None:
    phone = BLOCK._replace(device="phone", reason="lost")
    registry.block(BLOCK._replace(reason="?"))
    registry.block(BLOCK)
    registry.block(phone)
    assert registry.blocks() == [BLOCK, phone]
    registry.unblock(BLOCK)
    registry.unblock(BLOCK)
    assert registry.blocks() == [phone]


def test_later_sign_replaces_the_earlier_and_not_the_other_way(registry: Registry) -> None:
    later = SIGN._replace(event_time=NOW + 1, event_name="DeactivateMFADevice")
    registry.write_sign(SIGN)
    registry.write_sign(later)
    registry.write_sign(SIGN)
    registry.write_sign(later._replace(event_name="again"))
    assert registry.facts().signs == [later]


def test_sign_that_was_answered_is_forgotten_unless_a_later_one_came(registry: Registry) -> None:
    later = SIGN._replace(event_time=NOW + 1)
    registry.write_sign(later)
    registry.forget_sign(SIGN)
    assert registry.facts().signs == [later]
    registry.forget_sign(later)
    registry.forget_sign(later)
    assert registry.facts().signs == []


# -- receipts


def test_removals_are_acknowledged_only_once_their_receipts_are_written(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[list[str]] = []
    write_all = Table.write_all

    def noting(self: Table, items: Sequence[Item]) -> None:
        written.append([item["pk"] for item in items])
        write_all(self, items)

    monkeypatch.setattr(Table, "write_all", noting)
    registry.record([receipt("1"), receipt("2")])
    assert written == [["receipt", "receipt"], ["recorded"]]


def test_gateway_acknowledges_what_it_returned_last(registry: Registry) -> None:
    registry.record([receipt("1"), receipt("2"), receipt("1", "gateway-2")])
    registry.record([receipt("3")])
    assert registry.acknowledged() == {"gateway-1": ["3"], "gateway-2": ["1"]}
    assert len(registry.receipts()) == 4


def test_receipts_are_listed_from_a_time_on_the_earliest_first(registry: Registry) -> None:
    early, late = receipt("2", removed_at=int(NOW)), receipt("1", removed_at=int(NOW) + 1)
    registry.record([late, early])
    assert registry.receipts() == registry.receipts(NOW) == [early, late]
    assert registry.receipts(NOW + 1) == [late]
    assert registry.receipts(NOW + 2) == []


# -- sweeps


def test_r6_older_run_does_not_overwrite_the_sweep_of_a_newer_one(registry: Registry) -> None:
    registry.store_sweep(sweep(NOW), 5)
    registry.store_sweep(sweep(NOW - 60), 4)
    registry.store_sweep(sweep(NOW - 60), 5)
    assert registry.sweep(ACCOUNT) == sweep(NOW)
    registry.store_sweep(sweep(NOW - 60), 6)
    assert registry.sweep(ACCOUNT) == sweep(NOW - 60)


def test_r6_older_run_does_not_overwrite_what_a_newer_one_decided_by(registry: Registry) -> None:
    older = GRANTED._replace(pools=("10.99.0.0/24",))
    registry.store_granted(GRANTED, 5)
    registry.store_granted(older, 4)
    assert registry.facts().granted == GRANTED
    registry.store_granted(older, 6)
    assert registry.facts().granted == older


def test_account_that_was_never_swept_has_no_sweep(registry: Registry) -> None:
    registry.store_sweep(sweep(), 1)
    assert registry.sweep("444455556666") is None


# -- a restore

BACKUP: list[dict[str, Any]] = [
    {"pk": "block", "sk": "1/A", "reason": "lost", "created_at": 1},
    {"pk": "registration", "sk": "1/A/laptop", "public_key": "KEY"},
    {"pk": "tombstone", "sk": "1/event", "user_name": "a", "event_time": 1},
]


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The kinds of items that were written together."""
    written: list[list[str]] = []
    write_all = Table.write_all

    def noting(self: Table, items: Sequence[Item]) -> None:
        written.append([item["pk"] for item in items])
        write_all(self, items)

    monkeypatch.setattr(Table, "write_all", noting)
    return written


def test_r4_restore_writes_registrations_after_all_that_revokes(registry: Registry, batches: list[list[str]]) -> None:
    assert registry.restore(BACKUP) == 3
    assert registry.items() == BACKUP
    assert batches == [["block", "tombstone"], ["registration"]]


def test_restore_goes_on_where_it_was_interrupted(registry: Registry, batches: list[list[str]]) -> None:
    registry.restore(BACKUP[:1])
    batches.clear()
    assert registry.restore(BACKUP) == 2
    assert batches == [["tombstone"], ["registration"]]
    assert registry.restore(BACKUP) == 0


def test_restore_in_check_mode_writes_nothing(registry: Registry) -> None:
    assert registry.restore(BACKUP, check_mode=True) == 3
    assert registry.items() == []


@pytest.mark.parametrize("other", [{"pk": "block", "sk": "1/B"}, {"pk": "block", "sk": "1/A", "reason": "other"}])
def test_restore_into_a_table_with_other_items_is_refused(registry: Registry, client: Any, other: Item) -> None:
    Table(client, TABLE).write_all([other, {"pk": "sign", "sk": "1/A"}])
    with pytest.raises(
        RegistryError,
        match=r"table tracklib-vpn holds items that the import doesn't have \(block: 1, sign: 1\): nothing was written",
    ):
        registry.restore(BACKUP)
    assert len(registry.items()) == 2


def test_restore_says_that_something_else_writes_to_the_table(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_all = Table.write_all

    def disturbed(self: Table, items: Sequence[Item]) -> None:
        write_all(self, [*items, {"pk": "sign", "sk": "1/A"}])

    monkeypatch.setattr(Table, "write_all", disturbed)
    with pytest.raises(RegistryError, match=r"\(sign: 1\): something writes to it meanwhile; stop that"):
        registry.restore(BACKUP)


@pytest.mark.parametrize(("ttl", "lost"), [(NOW + 1, True), (NOW, False), (None, True)])
def test_restored_item_may_be_missing_only_if_its_time_is_over(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, ttl: float | None, lost: bool
) -> None:
    items = [{**BACKUP[0], **({} if ttl is None else {"ttl": int(ttl)})}]
    monkeypatch.setattr(Table, "write_all", lambda _self, _items: None)
    if not lost:
        assert registry.restore(items) == 1
        return
    with pytest.raises(RegistryError, match="1 items aren't in table tracklib-vpn after all; run it again"):
        registry.restore(items)
