# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Whom an operator's revocation hits, and what it writes (R4, confirmed revocation)."""

from __future__ import annotations

from typing import Any, cast

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils.aws import AWSCallError
from ansible_collections.tracklib.vpn.plugins.module_utils.model import Block, Registration, Sweep, Tombstone, User
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.dynamodb import RegistryError
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.table import Registry
from ansible_collections.tracklib.vpn.plugins.module_utils.revocation import (
    RecordKind,
    RevocationRecord,
    Revoked,
    identify,
    known_ids,
    lift,
    missing,
    write,
)

ACCOUNT, OTHER = "111122223333", "444455556666"
ALICE = Revoked(ACCOUNT, "alice", None)
PHONE = Revoked(ACCOUNT, "alice", "phone")
USER = User(ACCOUNT, "AIDA1", "Alice", 0)


class Table:
    """A registry that keeps what is written in lists."""

    def __init__(self, registrations: list[Registration] | None = None, stored: Sweep | None = None) -> None:
        self.devices = self
        self._registrations = registrations or []
        self._stored = stored
        self.tombstones: list[Tombstone] = []
        self.written: list[Block] = []

    def registrations(self) -> list[Registration]:
        return self._registrations

    def sweep(self, account_id: str) -> Sweep | None:
        return self._stored if account_id == ACCOUNT else None

    def blocks(self) -> list[Block]:
        return list(self.written)

    def block(self, block: Block) -> None:
        self.written.append(block)

    def unblock(self, block: Block) -> None:
        self.written.remove(block)

    def write_tombstone(self, tombstone: Tombstone) -> None:
        self.tombstones.append(tombstone)


def registry(table: Table) -> Registry:
    return cast(Registry, table)


def registration(user_id: str = "AIDA1", **changes: Any) -> Registration:
    return Registration(ACCOUNT, user_id, "laptop", "Alice", "key", (), 0)._replace(**changes)


def sweep(*users: User) -> Sweep:
    return Sweep(ACCOUNT, 0, {user.user_id: user for user in users})


def silent() -> User | None:
    raise AWSCallError("throttled")


def test_name_stands_for_who_the_last_sweep_lists_in_any_case() -> None:
    assert known_ids(sweep(USER, USER._replace(user_id="AIDA2", user_name="bob")), [], ALICE) == ["AIDA1"]


def test_name_stands_for_everybody_whom_only_registrations_still_know() -> None:
    found = known_ids(sweep(USER), [registration("AIDA3"), registration("AIDA0")], ALICE)
    assert found == ["AIDA0", "AIDA1", "AIDA3"]


def test_r1_renamed_user_is_not_meant_by_the_old_name() -> None:
    assert known_ids(sweep(USER._replace(user_name="carol")), [registration()], ALICE) == []


def test_registrations_of_other_names_and_accounts_are_not_meant() -> None:
    assert known_ids(None, [registration(user_name="bob"), registration(account_id=OTHER)], ALICE) == []


def test_registrations_count_when_the_account_was_never_swept() -> None:
    assert known_ids(None, [registration()], ALICE) == ["AIDA1"]


def test_user_whom_iam_has_is_blocked_by_id() -> None:
    whom = identify(lambda: USER, registry(Table([registration("AIDA9")])), ALICE)
    assert (whom.records, whom.error) == ([RevocationRecord(RecordKind.BLOCK, "AIDA1")], None)


def test_user_whom_iam_does_not_have_gets_a_tombstone_for_each_known_id() -> None:
    whom = identify(lambda: None, registry(Table([registration("AIDA2"), registration("AIDA1")])), ALICE)
    assert whom.records == [RevocationRecord(RecordKind.TOMBSTONE, user_id) for user_id in ("AIDA1", "AIDA2")]


def test_name_that_nobody_knows_gets_a_tombstone_by_name() -> None:
    assert identify(lambda: None, registry(Table()), ALICE).records == [RevocationRecord(RecordKind.TOMBSTONE, None)]


def test_r4_silence_of_iam_blocks_the_known_ids() -> None:
    whom = identify(silent, registry(Table(stored=sweep(USER))), ALICE)
    assert whom.records == [RevocationRecord(RecordKind.BLOCK, "AIDA1")]
    assert str(whom.error) == "throttled"


def test_silence_of_iam_about_an_unknown_name_is_an_error() -> None:
    with pytest.raises(AWSCallError, match="throttled"):
        identify(silent, registry(Table()), ALICE)


def test_only_the_same_block_makes_a_new_one_needless() -> None:
    blocked = RevocationRecord(RecordKind.BLOCK, "AIDA1")
    assert missing([blocked], [Block(ACCOUNT, "AIDA1", None, "left", 0)], ALICE) == []
    others = [Block(OTHER, "AIDA1", None, "left", 0), Block(ACCOUNT, "AIDA1", "phone", "left", 0)]
    assert missing([blocked], others, ALICE) == [blocked]


def test_block_never_makes_a_tombstone_needless() -> None:
    tombstone = RevocationRecord(RecordKind.TOMBSTONE, "AIDA1")
    assert missing([tombstone], [Block(ACCOUNT, "AIDA1", None, "left", 0)], ALICE) == [tombstone]


def test_block_is_written_with_device_reason_and_time() -> None:
    table = Table()
    write(registry(table), [RevocationRecord(RecordKind.BLOCK, "AIDA1")], PHONE, "lost", 5.0)
    assert table.written == [Block(ACCOUNT, "AIDA1", "phone", "lost", 5.0)]


def test_tombstone_is_an_event_of_its_own_each_time() -> None:
    table = Table()
    records = [RevocationRecord(RecordKind.TOMBSTONE, "AIDA1"), RevocationRecord(RecordKind.TOMBSTONE, None)]
    write(registry(table), records, ALICE, "left", 5.0)
    assert [tombstone._replace(event_id="") for tombstone in table.tombstones] == [
        Tombstone(ACCOUNT, "", "alice", user_id, 5.0) for user_id in ("AIDA1", None)
    ]
    assert len({tombstone.event_id for tombstone in table.tombstones}) == 2
    assert all(tombstone.event_id.startswith("operator-") for tombstone in table.tombstones)


def test_lifting_takes_the_users_block_and_leaves_a_devices() -> None:
    table = Table()
    device = Block(ACCOUNT, "AIDA1", "phone", "lost", 0)
    table.written = [device, Block(ACCOUNT, "AIDA1", None, "left", 0)]
    assert [block.reason for block in lift(lambda: USER, registry(table), ALICE, check_mode=False)] == ["left"]
    assert table.written == [device]
    assert lift(lambda: USER, registry(table), ALICE, check_mode=False) == []


def test_lifting_in_check_mode_lifts_nothing() -> None:
    table = Table()
    table.written = [Block(ACCOUNT, "AIDA1", None, "left", 0)]
    assert lift(lambda: USER, registry(table), ALICE, check_mode=True) == table.written != []


def test_nobody_is_unblocked_by_a_name_that_iam_does_not_have() -> None:
    with pytest.raises(RegistryError, match="alice can't be unblocked: there is no IAM user of that name"):
        lift(lambda: None, registry(Table()), ALICE, check_mode=False)
