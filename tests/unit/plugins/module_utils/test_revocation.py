# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Whom an operator's revocation hits, and what it writes (R1, identity; R4, confirmed revocation)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils.addresses import parse_pools
from ansible_collections.tracklib.vpn.plugins.module_utils.aws import AWSCallError
from ansible_collections.tracklib.vpn.plugins.module_utils.model import (
    Block,
    Decision,
    Lifted,
    Registration,
    Sweep,
    Tombstone,
    User,
)
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.dynamodb import RegistryError, Table
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.table import Registry
from ansible_collections.tracklib.vpn.plugins.module_utils.revocation import (
    RecordKind,
    RevocationRecord,
    Revoked,
    UnknownUserError,
    Whom,
    check_device,
    identify,
    identify_one,
    lift,
    missing,
    write,
)

from tests.support.tables import NOW, TABLE

ACCOUNT, OTHER = "111122223333", "444455556666"
ALICE = Revoked(ACCOUNT, "alice", None)
PHONE = Revoked(ACCOUNT, "alice", "phone")
USER = User(ACCOUNT, "AIDA1", "alice", 0)
BLOCK = RevocationRecord(RecordKind.BLOCK, "AIDA1", "alice")
TOMBSTONE = RevocationRecord(RecordKind.TOMBSTONE, "AIDA1", "alice")


def register(registry: Registry, user_id: str, user_name: str, **changes: Any) -> None:
    wanted = Registration(ACCOUNT, user_id, "laptop", user_name, f"key of {user_id}", (), 0)._replace(**changes)
    registry.devices.register(wanted, parse_pools(["10.44.0.0/24"]))


def sweep(**names: str) -> Sweep:
    """A sweep that lists these names by id."""
    return Sweep(ACCOUNT, 0, {user_id: User(ACCOUNT, user_id, name, 0) for user_id, name in names.items()})


def has(user: User | None) -> Callable[[], User | None]:
    """What IAM says of the name."""
    return lambda: user


def silent() -> User | None:
    raise AWSCallError("throttled")


# -- whom it hits


def test_user_whom_iam_has_is_blocked_by_id(registry: Registry) -> None:
    whom = identify(has(USER), registry, ALICE)
    assert whom == Whom({"AIDA1": "alice"}, deleted=False, error=None)
    assert whom.records(None) == [BLOCK]


def test_r4_user_whom_iam_does_not_have_is_blocked_and_gets_a_tombstone(registry: Registry) -> None:
    registry.store_sweep(sweep(AIDA1="alice"), 1)
    whom = identify(has(None), registry, ALICE)
    assert whom == Whom({"AIDA1": "alice"}, deleted=True, error=None)
    assert whom.records(None) == [BLOCK, TOMBSTONE]


def test_r4_device_of_a_user_whom_iam_does_not_have_is_blocked_and_its_user_gets_no_tombstone(
    registry: Registry,
) -> None:
    """A tombstone would take all of the user's devices, and come undone when the user is listed again."""
    registry.store_sweep(sweep(AIDA1="alice"), 1)
    assert identify(has(None), registry, PHONE).records("phone") == [BLOCK]


def test_name_stands_for_who_has_it_in_the_last_sweep_in_any_case(registry: Registry) -> None:
    registry.store_sweep(sweep(AIDA1="Alice", AIDA2="bob"), 1)
    assert identify(has(None), registry, ALICE).names == {"AIDA1": "Alice"}


def test_label_of_a_registration_stands_for_its_user_whatever_the_name_is_now(registry: Registry) -> None:
    register(registry, "AIDA1", "alice")
    registry.store_sweep(sweep(AIDA1="alice.smith", AIDA2="bob"), 1)
    assert identify(has(None), registry, ALICE).names == {"AIDA1": "alice.smith"}


def test_new_name_stands_for_the_user_whose_registration_has_the_old_one(registry: Registry) -> None:
    register(registry, "AIDA1", "alice")
    registry.store_sweep(sweep(AIDA1="alice"), 1)
    renamed = USER._replace(user_name="alice.smith")
    whom = identify(has(renamed), registry, ALICE._replace(user_name="alice.smith"))
    assert whom == Whom({"AIDA1": "alice.smith"}, deleted=False, error=None)


@pytest.mark.parametrize("user", [None, USER._replace(user_id="AIDA9", user_name="carol")])
def test_id_stands_for_its_user_and_needs_no_name(registry: Registry, user: User | None) -> None:
    register(registry, "AIDA1", "alice")
    registry.store_sweep(sweep(AIDA2="bob"), 1)
    for user_id, name in (("AIDA1", "alice"), ("AIDA2", "bob")):
        whom = identify(has(user), registry, Revoked(ACCOUNT, user_id, None))
        assert (whom.names, whom.records(None)) == (
            {user_id: name},
            [RevocationRecord(RecordKind.BLOCK, user_id, name)],
        )


def test_r4_every_id_that_had_the_name_is_blocked(registry: Registry) -> None:
    register(registry, "AIDA3", "alice")
    register(registry, "AIDA0", "Alice")
    registry.store_sweep(sweep(AIDA2="alice"), 1)
    assert list(identify(has(None), registry, ALICE).names) == ["AIDA0", "AIDA2", "AIDA3"]


def test_r1_who_had_a_name_before_iam_gave_it_to_another_is_not_meant_without_being_asked_for(
    registry: Registry,
) -> None:
    """Between a change of names and the next sweep nobody knows whether the other user was renamed or deleted."""
    registry.store_sweep(sweep(AIDA2="alice"), 1)
    sentence = r"alice may mean several users: AIDA1 \(now alice\), AIDA2 \(before\)"
    with pytest.raises(RegistryError, match=sentence):
        identify(has(USER), registry, ALICE)
    registry.write_tombstone(Tombstone(ACCOUNT, "event", "alice", "AIDA2", NOW))
    assert list(identify(has(USER), registry, ALICE).names) == ["AIDA1", "AIDA2"]


@pytest.mark.parametrize("device", ["lpatop", "Laptop"])
def test_r4_device_that_its_user_does_not_have_is_refused_with_those_there_are(registry: Registry, device: str) -> None:
    register(registry, "AIDA1", "alice")
    whom = identify(has(USER), registry, ALICE)
    check_device(whom, registry, ALICE._replace(device="laptop"))
    with pytest.raises(RegistryError, match=f"alice has no device {device}; registered: laptop. Nothing was written"):
        check_device(whom, registry, ALICE._replace(device=device))


def test_r4_device_that_was_removed_can_be_revoked_since_a_gateway_may_have_missed_that(registry: Registry) -> None:
    register(registry, "AIDA1", "alice")
    (laptop,) = registry.devices.registrations()
    registry.devices.remove(laptop, quarantine=0)
    whom = identify(has(USER), registry, ALICE)
    check_device(whom, registry, ALICE._replace(device="laptop"))
    with pytest.raises(RegistryError, match="alice has no device phone; registered: none"):
        check_device(whom, registry, PHONE)


def test_r1_name_that_means_users_of_different_names_by_now_is_refused_with_their_ids(registry: Registry) -> None:
    register(registry, "AIDA1", "alice")
    registry.store_sweep(sweep(AIDA1="alice.smith", AIDA2="alice"), 1)
    sentence = (
        r"alice may mean several users: AIDA1 \(now alice.smith\), AIDA2 \(now alice\). Nothing was written; give the "
        "id of the one you mean as the user's name"
    )
    with pytest.raises(RegistryError, match=sentence):
        identify(has(USER._replace(user_id="AIDA2")), registry, ALICE)
    assert list(identify(has(None), registry, Revoked(ACCOUNT, "AIDA1", None)).names) == ["AIDA1"]


def test_name_that_means_nobody_is_refused_with_the_nearest_names(registry: Registry) -> None:
    registry.store_sweep(sweep(AIDA1="alice.smith", AIDA2="malice", AIDA3="bob"), 1)
    sentence = (
        f"nobody is called alicia in account {ACCOUNT}: neither IAM, the last sweep nor a registration knows the name "
        "or id, and nothing was written. The nearest names: malice, alice.smith"
    )
    with pytest.raises(RegistryError, match=sentence):
        identify(has(None), registry, ALICE._replace(user_name="alicia"))
    with pytest.raises(RegistryError, match="none is like it"):
        identify(has(None), registry, ALICE._replace(user_name="zzz"))


def test_registrations_of_other_accounts_are_not_meant(registry: Registry) -> None:
    register(registry, "AIDA1", "alice", account_id=OTHER)
    with pytest.raises(RegistryError, match=f"nobody is called alice in account {ACCOUNT}"):
        identify(has(None), registry, ALICE)


@pytest.mark.parametrize("name", ["Zoe", "AIDA9"])
def test_name_that_another_account_knows_is_refused_with_the_account_and_the_variable(
    registry: Registry, name: str
) -> None:
    registry.store_sweep(Sweep(OTHER, 0, {"AIDA9": User(OTHER, "AIDA9", "zoe", 0)}), 1)
    sentence = (
        f"nobody is called {name} in account {ACCOUNT}, and nothing was written. Somebody of this name or id is in "
        f"account {OTHER}: if you mean that user, name the account by the playbook's variable, such as "
        r"revoke_account_id \(identity_account_id of the module\)"
    )
    with pytest.raises(UnknownUserError, match=sentence):
        identify(has(None), registry, ALICE._replace(user_name=name))
    with pytest.raises(UnknownUserError, match=sentence):
        identify_one(has(None), registry.facts(), ALICE._replace(user_name=name))


def test_r1_namesake_in_another_account_is_not_meant_and_told(registry: Registry) -> None:
    register(registry, "AIDA9", "Alice", account_id=OTHER)
    whom = identify(has(USER), registry, ALICE)
    assert (whom.names, whom.elsewhere) == ({"AIDA1": "alice"}, (OTHER,))
    assert identify(has(USER), registry, ALICE._replace(user_name="AIDA1")).elsewhere == ()


def test_r4_silence_of_iam_blocks_the_known_ids_and_deletes_nobody(registry: Registry) -> None:
    registry.store_sweep(sweep(AIDA1="alice"), 1)
    whom = identify(silent, registry, ALICE)
    assert (whom.names, whom.deleted, str(whom.error)) == ({"AIDA1": "alice"}, False, "throttled")
    assert whom.records(None) == [BLOCK]


def test_silence_of_iam_about_an_unknown_name_is_an_error(registry: Registry) -> None:
    with pytest.raises(AWSCallError, match="throttled"):
        identify(silent, registry, ALICE)


def test_r17_sweep_that_cannot_be_read_stops_no_revocation(registry: Registry, client: Any) -> None:
    register(registry, "AIDA1", "alice")
    Table(client, TABLE).write_all([{"pk": "sweep", "sk": ACCOUNT, "generation": 1, "data": b"no"}])
    assert identify(has(None), registry, ALICE).names == {"AIDA1": "alice"}


def test_r4_peer_whose_registration_is_gone_is_found_by_its_label(registry: Registry) -> None:
    peer = Registration(ACCOUNT, "AIDA1", "laptop", "alice", "KEY", (), 0)
    registry.store_decision(Decision(peers=(peer,)), 1)
    assert identify(has(None), registry, ALICE).names == {"AIDA1": "alice"}


# -- what it writes


def test_only_the_same_block_makes_a_new_one_needless(registry: Registry) -> None:
    registry.block(Block(OTHER, "AIDA1", None, "left", 0))
    registry.block(Block(ACCOUNT, "AIDA1", "phone", "left", 0))
    registry.block(Block(ACCOUNT, "AIDA2", None, "left", 0))
    assert missing([BLOCK], registry, ALICE) == [BLOCK]
    assert missing([BLOCK], registry, PHONE) == []
    registry.block(Block(ACCOUNT, "AIDA1", None, "left", 0))
    assert missing([BLOCK, TOMBSTONE], registry, ALICE) == [TOMBSTONE]


def test_tombstone_of_the_user_makes_a_new_one_needless(registry: Registry) -> None:
    for other in (("event-1", ACCOUNT, None), ("event-2", OTHER, "AIDA1"), ("event-3", ACCOUNT, "AIDA2")):
        event_id, account_id, user_id = other
        registry.write_tombstone(Tombstone(account_id, event_id, "alice", user_id, 5.0))
    assert missing([BLOCK, TOMBSTONE], registry, ALICE) == [BLOCK, TOMBSTONE]
    registry.write_tombstone(Tombstone(ACCOUNT, "event-4", "alice", "AIDA1", 5.0))
    assert missing([BLOCK, TOMBSTONE], registry, ALICE) == [BLOCK]


def test_block_is_written_with_device_reason_and_time(registry: Registry) -> None:
    write(registry, [BLOCK], PHONE, "lost", 5.0)
    assert registry.blocks() == [Block(ACCOUNT, "AIDA1", "phone", "lost", 5.0)]
    assert registry.tombstones() == []


def test_block_and_tombstone_say_whose_order_they_are(registry: Registry) -> None:
    write(registry, [BLOCK, TOMBSTONE], ALICE, "left", 5.0, "arn:aws:iam::111122223333:user/op")
    assert [each.by for each in registry.blocks()] == ["arn:aws:iam::111122223333:user/op"]
    assert [each.by for each in registry.tombstones()] == ["arn:aws:iam::111122223333:user/op"]


def test_block_and_tombstone_of_a_deleted_user_are_both_written_once(registry: Registry) -> None:
    for now in (5.0, 6.0):
        write(registry, missing([BLOCK, TOMBSTONE], registry, ALICE), ALICE, "left", now)
    assert registry.blocks() == [Block(ACCOUNT, "AIDA1", None, "left", 5.0)]
    assert registry.tombstones() == [Tombstone(ACCOUNT, "operator-AIDA1", "alice", "AIDA1", 5.0)]


# -- taking it back


def test_lifting_takes_the_users_block_and_leaves_a_devices(registry: Registry) -> None:
    whom = Whom({"AIDA1": "alice"}, deleted=False, error=None)
    device, others = Block(ACCOUNT, "AIDA1", "phone", "lost", 0), Block(ACCOUNT, "AIDA2", None, "left", 0)
    for block in (device, others, Block(ACCOUNT, "AIDA1", None, "left", 0)):
        registry.block(block)
    assert [block.reason for block in lift(registry, whom, ALICE, now=NOW, check_mode=False)] == ["left"]
    assert registry.blocks() == [device, others]
    assert lift(registry, whom, ALICE, now=NOW, check_mode=False) == []
    assert lift(registry, whom, PHONE, now=NOW, check_mode=False) == [device]


def test_lifted_block_leaves_a_record_of_who_had_blocked_and_who_lifted_it(registry: Registry) -> None:
    whom = Whom({"AIDA1": "alice"}, deleted=False, error=None)
    block = Block(ACCOUNT, "AIDA1", "phone", "lost", 5.0, "arn:blocker")
    registry.block(block)
    lift(registry, whom, PHONE, now=7.0, check_mode=False, reason="found", by="arn:lifter")
    assert registry.lifted() == [Lifted(block, "found", 7.0, "arn:lifter")]


def test_lifting_a_block_that_somebody_else_lifted_meanwhile_says_so(registry: Registry) -> None:
    with pytest.raises(RegistryError, match=r"somebody else changed the block of phone \(AIDA1\) meanwhile"):
        registry.unblock(Lifted(Block(ACCOUNT, "AIDA1", "phone", "lost", 5.0), None, 7.0))


def test_lifting_in_check_mode_lifts_nothing(registry: Registry) -> None:
    registry.block(Block(ACCOUNT, "AIDA1", None, "left", 0))
    whom = Whom({"AIDA1": "alice"}, deleted=False, error=None)
    assert lift(registry, whom, ALICE, now=NOW, check_mode=True) == registry.blocks() != []


def test_block_of_a_user_who_is_gone_from_iam_can_be_lifted_by_id(registry: Registry) -> None:
    register(registry, "AIDA1", "alice")
    registry.block(Block(ACCOUNT, "AIDA1", None, "left", 0))
    revoked = Revoked(ACCOUNT, "AIDA1", None)
    assert len(lift(registry, identify(has(None), registry, revoked), revoked, now=NOW, check_mode=False)) == 1


# -- the one user whom other orders mean


def test_r1_user_who_came_back_under_the_name_is_not_the_earlier_one(registry: Registry) -> None:
    register(registry, "AIDA0", "alice")
    back = has(USER)
    with pytest.raises(RegistryError, match=r"may mean several users: AIDA0 \(before\), AIDA1 \(now alice\)"):
        identify_one(back, registry.facts(), ALICE)
    registry.write_tombstone(Tombstone(ACCOUNT, "event-1", "alice", "AIDA0", 5.0))
    person = identify_one(back, registry.facts(), ALICE)
    assert (person.owner, person.namesakes) == ((ACCOUNT, "AIDA1"), ("AIDA0",))
    assert person.hint == " An earlier alice has the id AIDA0; give it as the user's name to mean that one."
    assert identify_one(back, registry.facts(), Revoked(ACCOUNT, "AIDA0", None)).user_id == "AIDA0"


def test_r1_name_of_several_deleted_users_is_refused_with_their_ids(registry: Registry) -> None:
    for user_id in ("AIDA0", "AIDA1"):
        register(registry, user_id, "alice")
        registry.write_tombstone(Tombstone(ACCOUNT, f"event-{user_id}", "alice", user_id, 5.0))
    with pytest.raises(RegistryError, match=r"may mean several users: AIDA0 .*, AIDA1 "):
        identify_one(has(None), registry.facts(), ALICE)


def test_order_about_nobody_is_told_from_other_refusals(registry: Registry) -> None:
    register(registry, "AIDA1", "alice")
    with pytest.raises(UnknownUserError, match=r"nobody is called alicia in account 111122223333.*: alice$"):
        identify_one(has(None), registry.facts(), ALICE._replace(user_name="alicia"))
