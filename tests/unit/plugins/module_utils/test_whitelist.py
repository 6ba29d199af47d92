# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Who may connect by IAM, tombstones and blocks (R1, identity; R2, whitelist; R4, confirmed revocation)."""

from __future__ import annotations

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils.model import CONSISTENCY, Tombstone
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.items import read_tombstone
from ansible_collections.tracklib.vpn.plugins.module_utils.timespan import utc
from ansible_collections.tracklib.vpn.plugins.module_utils.whitelist import AccountSweeps, Reason, refusal

from tests.support.decisions import (
    ACCOUNT,
    GRANTING,
    NOW,
    OTHER,
    POLICY,
    account,
    block,
    decided,
    key,
    names,
    reasons,
    registration,
    registrations,
    sweep,
    tombstone,
    unswept,
    user,
    users,
)

# -- R1, identity


def test_r1_recreated_user_inherits_nothing() -> None:
    again = user(2, user_name="user1")
    roster = decided([account(sweep(again))], [registration(1)])
    assert reasons(roster) == {"user1/laptop": "not_in_sweep"}


def test_r1_renamed_user_keeps_everything_even_under_a_deleted_users_name() -> None:
    renamed = user(1, user_name="user2")
    roster = decided([account(sweep(renamed))], [registration(1), registration(2)], tombstones=[tombstone(2)])
    assert names(roster) == ["user1/laptop"]
    assert reasons(roster) == {"user2/laptop": "tombstoned"}


def test_r1_two_users_of_one_id_in_two_accounts_are_two_users() -> None:
    """Each account's own sweep, tombstones and blocks decide."""
    granting = {account_id: frozenset({"vpn"}) for account_id in (ACCOUNT, OTHER)}
    there = registration(1, account_id=OTHER, device="phone", public_key=key(60), addresses=("10.44.0.60",))
    accounts = [account(sweep(user(1))), account(sweep(user(1, account_id=OTHER), account=OTHER))]
    for foreign in ({"tombstones": [tombstone(1)]}, {"blocks": [block(1)]}):
        roster = decided(accounts, [registration(1), there], policy=POLICY._replace(granting=granting), **foreign)
        assert roster.peers == [there]


# -- R2, whitelist


def test_r2_block_of_one_device_leaves_the_users_others() -> None:
    phone = registration(1, device="phone", public_key=key(50), addresses=("10.44.0.50",))
    roster = decided([account(sweep(user(1)))], [registration(1), phone], blocks=[block(1, device="phone")])
    assert names(roster) == ["user1/laptop"]
    assert [exclusion.registration for exclusion in roster.revoked] == [phone]


def test_r2_grant_counts_only_in_its_accounts() -> None:
    foreign = registration(1, account_id=OTHER)
    swept = account(sweep(user(1, account_id=OTHER), account=OTHER))
    assert reasons(decided([swept], [foreign])) == {"user1/laptop": "not_in_group"}
    granting = {OTHER: frozenset({"vpn"})}
    assert names(decided([swept], [foreign], policy=POLICY._replace(granting=granting))) == ["user1/laptop"]


def test_r2_grants_of_several_groups_add_up() -> None:
    granting = {ACCOUNT: frozenset({"dba", "ops", "vpn"})}
    swept = account(sweep(user(1, groups=("ops", "x")), user(2), user(3, groups=("x",))))
    roster = decided([swept], registrations((1, 2, 3)), policy=POLICY._replace(granting=granting))
    assert names(roster) == ["user1/laptop", "user2/laptop"]
    assert roster.excluded[0].detail == "in none of the groups that grant access: dba, ops, vpn"


def test_refusal_of_a_user_is_decided_as_in_the_roster() -> None:
    """What self-service asks: about the user alone, whatever device is blocked."""
    swept = sweep(user(1), user(2, groups=()), user(3), user(4))
    blocks = [block(3), block(1, device="laptop")]
    refused = {number: refusal(swept, f"AIDA{number}", [tombstone(4)], blocks, GRANTING) for number in (1, 2, 3, 4, 5)}
    assert {number: grounds and grounds.reason for number, grounds in refused.items()} == {
        1: None,
        2: Reason.NOT_IN_GROUP,
        3: Reason.BLOCKED,
        4: Reason.TOMBSTONED,
        5: Reason.NOT_IN_SWEEP,
    }


@pytest.mark.parametrize("reason", list(Reason))
def test_deletions_and_blocks_alone_are_revocations_and_only_an_expiry_is_explained_besides(reason: Reason) -> None:
    assert reason.is_revocation is (reason.value in ("tombstoned", "blocked"))
    assert reason.is_explained is (reason.value in ("tombstoned", "blocked", "expired"))


# -- R3, partial knowledge


def test_r3_incomplete_sweep_freezes_membership_but_not_revocations() -> None:
    stored = sweep(*users((1, 2, 3, 4)), begun_at=NOW - 600)
    roster = decided(
        [unswept(stored=stored)],
        [registration(1), registration(2), registration(3, expires_at=NOW - 1), registration(4)],
        tombstones=[tombstone(2)],
        blocks=[block(4)],
    )
    assert names(roster) == ["user1/laptop"]
    assert reasons(roster) == {"user2/laptop": "tombstoned", "user3/laptop": "expired", "user4/laptop": "blocked"}


def test_r3_who_is_not_in_an_old_sweep_is_left_out_with_its_time() -> None:
    roster = decided([unswept(stored=sweep(user(1), begun_at=NOW))], registrations((1, 2)))
    (left,) = roster.excluded
    assert left.detail == (
        f"no IAM user with the id AIDA2 in account {ACCOUNT} by the sweep of {utc(NOW)}, the last complete one"
    )


def test_r3_account_never_swept_contributes_nothing_and_others_go_on() -> None:
    roster = decided([unswept(OTHER), account(sweep(user(1)))], [registration(1), registration(2, account_id=OTHER)])
    assert names(roster) == ["user1/laptop"]


def test_sweep_in_force_is_this_runs_else_the_stored_one() -> None:
    new, old = sweep(user(1)), sweep(user(2))
    assert account(new, stored=old).in_force is new
    assert unswept(stored=old).in_force is old
    assert unswept().in_force is None


# -- R4, confirmed revocation: absences


def test_r4_absent_user_whom_iam_confirms_is_a_leaver_with_a_tombstone_of_the_sweep_that_missed_them() -> None:
    swept = account(sweep(user(2), begun_at=NOW - 7), stored=sweep(user(1), user(2)), confirmed={"AIDA1"})
    roster = decided([swept], registrations((1, 2)))
    expected = Tombstone(
        account_id=ACCOUNT, event_id="sweep-AIDA1", user_name="user1", user_id="AIDA1", event_time=NOW - 7
    )
    assert roster.leavers == [expected]
    assert [exclusion.registration.label for exclusion in roster.revoked] == ["user1/laptop"]
    assert roster.revoked[0].detail == "absent from a complete sweep of IAM, which has no user of that name and id"


def test_r4_absent_user_whom_iam_does_not_confirm_is_left_out_and_no_leaver() -> None:
    swept = account(sweep(user(2)), stored=sweep(user(1), user(2)))
    roster = decided([swept], registrations((1, 2)))
    assert (roster.leavers, roster.revoked) == ([], [])
    assert reasons(roster) == {"user1/laptop": "not_in_sweep"}


def test_r4_absence_in_another_account_confirms_nothing() -> None:
    elsewhere = account(sweep(account=OTHER), confirmed={"AIDA1"})
    here = account(sweep(user(2)), stored=sweep(user(1), user(2)))
    roster = decided([here, elsewhere], registrations((1, 2)))
    assert (roster.leavers, roster.revoked) == ([], [])
    assert reasons(roster) == {"user1/laptop": "not_in_sweep"}


def test_r4_all_devices_of_a_leaver_are_revoked_with_one_tombstone() -> None:
    phone = registration(1, device="phone", public_key=key(50), addresses=("10.44.0.50",))
    expired = registration(1, device="old", expires_at=NOW - 1)
    swept = account(sweep(), stored=sweep(user(1)), confirmed={"AIDA1"})
    roster = decided([swept], [registration(1), phone, expired])
    assert len(roster.leavers) == 1
    assert [exclusion.reason for exclusion in roster.revoked] == [Reason.TOMBSTONED] * 3


# -- R4, confirmed revocation: tombstones


@pytest.mark.parametrize(
    ("age", "expected"), [(60, {"user1/laptop": "tombstoned"}), (CONSISTENCY + 60, {})], ids=["young", "old"]
)
def test_r4_tombstone_outweighs_sweeps_for_15_minutes_then_a_listing_wins(age: float, expected: dict[str, str]) -> None:
    deleted = tombstone(1, age=age)
    roster = decided([account(sweep(user(1)))], [registration(1)], tombstones=[deleted])
    assert reasons(roster) == expected
    assert roster.reversed == ([] if expected else [deleted])


@pytest.mark.parametrize("begun_at", [NOW, NOW + 0.5])
def test_r4_tombstone_outweighs_a_sweep_begun_up_to_15_minutes_later(begun_at: float) -> None:
    swept = account(sweep(user(1), begun_at=begun_at))
    inside, outside = tombstone(1, age=CONSISTENCY), tombstone(1, age=CONSISTENCY + 1)
    within = decided([swept], [registration(1)], tombstones=[inside])
    assert bool(within.reversed) is (begun_at > NOW)
    assert decided([swept], [registration(1)], tombstones=[outside]).reversed == [outside]


def test_r4_old_tombstone_holds_while_no_sweep_lists_its_user() -> None:
    old = tombstone(1, age=CONSISTENCY * 100)
    for accounts in ([account(sweep(user(2)))], [unswept()], []):
        roster = decided(accounts, [registration(1)], tombstones=[old])
        assert (reasons(roster), roster.reversed) == ({"user1/laptop": "tombstoned"}, [])


def test_r4_tombstone_without_id_hits_the_name_but_no_user_created_later() -> None:
    by_name = tombstone(1, user_name="USER1", user_id=None)
    fresh = user(2, user_name="user1", created_at=NOW - 30)
    roster = decided([account(sweep(user(1), fresh))], registrations((1, 2)), tombstones=[by_name])
    assert reasons(roster) == {"user1/laptop": "tombstoned"}


def test_r4_tombstone_without_id_ends_with_the_consistency_window() -> None:
    by_name = tombstone(1, user_id=None, age=CONSISTENCY + 60)
    assert names(decided([account(sweep(user(1)))], [registration(1)], tombstones=[by_name])) == ["user1/laptop"]


def test_r4_tombstone_without_id_names_nobody_where_nothing_was_swept() -> None:
    roster = decided([unswept()], [registration(1)], tombstones=[tombstone(1, user_id=None)])
    assert reasons(roster) == {"user1/laptop": "not_in_sweep"}


def test_r4_tombstone_without_id_hits_nobody_of_another_name_or_account() -> None:
    granting = {account_id: frozenset({"vpn"}) for account_id in (ACCOUNT, OTHER)}
    there = registration(1, account_id=OTHER)
    accounts = [account(sweep(user(2))), account(sweep(user(1, account_id=OTHER), account=OTHER))]
    by_name = tombstone(1, user_id=None)
    roster = decided(
        accounts, [there, registration(2)], tombstones=[by_name], policy=POLICY._replace(granting=granting)
    )
    assert len(roster.peers) == 2


def test_r4_tombstone_without_id_spares_a_user_created_at_its_very_time() -> None:
    by_name = tombstone(1, user_id=None)
    swept = account(sweep(user(1, created_at=by_name.event_time)))
    assert names(decided([swept], [registration(1)], tombstones=[by_name])) == ["user1/laptop"]


# -- R4, confirmed revocation: blocks


def test_r4_blocked_device_of_a_deleted_user_is_named_by_the_deletion() -> None:
    roster = decided(
        [account(sweep())], [registration(1)], tombstones=[tombstone(1)], blocks=[block(1, device="laptop")]
    )
    assert reasons(roster) == {"user1/laptop": "tombstoned"}


def test_r4_block_of_a_device_is_told_before_whatever_else_speaks_against_its_user() -> None:
    blocks = [block(1, device="laptop", reason="lost"), block(1)]
    (exclusion,) = decided([account(sweep(user(1)))], [registration(1)], blocks=blocks).revoked
    assert exclusion.detail == "device blocked: lost (since 2027-01-15T08:00:00Z)"
    gone = decided([account(sweep())], [registration(1)], blocks=[block(1, device="laptop")])
    assert [exclusion.reason for exclusion in gone.revoked] == [Reason.BLOCKED]


@pytest.mark.parametrize("age", [0, 10, CONSISTENCY * 1000])
def test_r4_operators_block_of_a_known_id_outlives_every_sweep(age: float) -> None:
    blocked = block(1)._replace(created_at=NOW - age)
    for renamed in ("user1", "alice.smith"):
        swept = account(sweep(user(1, user_name=renamed), begun_at=NOW))
        assert reasons(decided([swept], [registration(1)], blocks=[blocked])) == {"user1/laptop": "blocked"}


# -- R1, identity: names never hit the innocent


def bobs_rename(*, stored: str | None = "bob") -> AccountSweeps:
    """bob took the name of alice, who was deleted before any sweep knew her."""
    before = None if stored is None else sweep(user(1, user_name=stored), begun_at=NOW - 600)
    return account(sweep(user(1, user_name="alice")), stored=before)


ALICE = tombstone(9, user_name="alice", user_id=None)


def test_r1_tombstone_by_name_spares_a_user_whom_the_last_sweep_knew_under_another_name() -> None:
    roster = decided([bobs_rename()], [registration(1)], tombstones=[ALICE])
    assert names(roster) == ["user1/laptop"]
    assert roster.spared == [ALICE._replace(spared=("AIDA1",))]


def test_r1_user_once_spared_is_spared_by_the_next_run_whose_last_sweep_has_the_new_name() -> None:
    spared = ALICE._replace(spared=("AIDA1",))
    roster = decided([bobs_rename(stored="alice")], [registration(1)], tombstones=[spared])
    assert (names(roster), roster.spared) == (["user1/laptop"], [])


def test_r1_who_is_spared_is_added_to_those_before() -> None:
    spared = ALICE._replace(spared=("AIDA0",))
    roster = decided([bobs_rename()], [registration(1)], tombstones=[spared])
    assert roster.spared == [ALICE._replace(spared=("AIDA0", "AIDA1"))]


@pytest.mark.parametrize("stored", ["alice", "ALICE", None])
def test_r4_tombstone_by_name_hits_who_had_the_name_all_along(stored: str | None) -> None:
    roster = decided([bobs_rename(stored=stored)], [registration(1)], tombstones=[ALICE])
    assert (reasons(roster), roster.spared) == ({"user1/laptop": "tombstoned"}, [])


def test_r1_name_that_changed_hands_between_two_pages_is_the_deleted_ones() -> None:
    swept = account(sweep(user(1, user_name="alice"), user(2, user_name="Alice")), stored=sweep(user(2, user_name="x")))
    roster = decided([swept], registrations((1, 2)), tombstones=[ALICE])
    assert (names(roster), reasons(roster)) == (["user2/laptop"], {"user1/laptop": "tombstoned"})


def test_r1_tombstone_by_name_decides_by_the_last_sweep_when_this_runs_is_incomplete() -> None:
    stored = unswept(stored=sweep(user(1, user_name="alice"), begun_at=NOW - 600))
    assert reasons(decided([stored], [registration(1)], tombstones=[ALICE])) == {"user1/laptop": "tombstoned"}


def test_r1_id_that_was_looked_up_under_a_stale_name_is_spared() -> None:
    """The dispatcher's sweep still said that alice is AIDA1, who is bob by now."""
    stale = tombstone(1, user_name="alice")
    for age in (60, CONSISTENCY * 100):
        swept = account(sweep(user(1, user_name="bob")))
        roster = decided([swept], [registration(1)], tombstones=[stale._replace(event_time=NOW - age)])
        assert (names(roster), roster.reversed) == (["user1/laptop"], [])


def test_r1_tombstone_with_a_stale_id_still_means_the_one_who_has_its_name() -> None:
    stale = tombstone(1, user_name="alice")
    swept = account(sweep(user(1, user_name="bob"), user(2, user_name="Alice")))
    roster = decided([swept], registrations((1, 2)), tombstones=[stale])
    assert (names(roster), reasons(roster)) == (["user1/laptop"], {"user2/laptop": "tombstoned"})


def test_r1_id_of_a_tombstone_counts_whatever_case_its_name_is_in() -> None:
    roster = decided([account(sweep(user(1)))], [registration(1)], tombstones=[tombstone(1, user_name="USER1")])
    assert reasons(roster) == {"user1/laptop": "tombstoned"}


def test_r17_tombstone_of_which_only_the_id_is_readable_holds_for_good() -> None:
    item = {"pk": "tombstone", "sk": f"{ACCOUNT}/event", "user_id": "AIDA1", "event_time": "?"}
    roster = decided([account(sweep(user(1)))], [registration(1)], tombstones=[read_tombstone(item)])
    assert reasons(roster) == {"user1/laptop": "tombstoned"}


def test_r4_user_who_was_renamed_and_then_deleted_is_gone_although_the_last_sweep_has_the_old_name() -> None:
    stored = sweep(user(1, user_name="old"), begun_at=NOW - 100)
    roster = decided([unswept(stored=stored)], [registration(1)], tombstones=[tombstone(1, user_name="new")])
    assert reasons(roster) == {"user1/laptop": "tombstoned"}
