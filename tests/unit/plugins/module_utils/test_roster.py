# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The roster decision, rule by rule."""

from __future__ import annotations

import base64
import ipaddress
from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils.model import (
    CONSISTENCY,
    Block,
    Registration,
    Sweep,
    Tombstone,
    User,
)
from ansible_collections.tracklib.vpn.plugins.module_utils.roster import (
    AccountSweeps,
    LastRun,
    Policy,
    Reason,
    Roster,
    decide,
    refusal,
)

ACCOUNT = "111122223333"
OTHER = "444455556666"
NOW = 1_800_000_000.0
POOLS = [ipaddress.ip_network("10.44.0.0/20"), ipaddress.ip_network("fd44::/64")]
GRANTING = {ACCOUNT: frozenset({"vpn"})}
POLICY = Policy(GRANTING, POOLS)


def key(number: int) -> str:
    return base64.b64encode((number + 1000).to_bytes(32, "little")).decode()


def user(number: int, **changes: Any) -> User:
    made = User(
        account_id=ACCOUNT,
        user_id=f"AIDA{number}",
        user_name=f"user{number}",
        created_at=NOW - 9_000_000,
        groups=("vpn",),
    )
    return made._replace(**changes)


def sweep(*users: User, begun_at: float = NOW - 10, account: str = ACCOUNT) -> Sweep:
    return Sweep(account, begun_at, {each.user_id: each for each in users})


def registration(number: int, **changes: Any) -> Registration:
    made = Registration(
        account_id=ACCOUNT,
        user_id=f"AIDA{number}",
        device="laptop",
        user_name=f"user{number}",
        public_key=key(number),
        addresses=(f"10.44.0.{number + 2}",),
        created_at=NOW - 1000 + number,
    )
    return made._replace(**changes)


def block(number: int, *, device: str | None = None, reason: str = "left") -> Block:
    return Block(account_id=ACCOUNT, user_id=f"AIDA{number}", device=device, reason=reason, created_at=NOW)


def tombstone(number: int, *, age: float = 60, **changes: Any) -> Tombstone:
    made = Tombstone(
        account_id=ACCOUNT,
        event_id="event",
        user_name=f"user{number}",
        user_id=f"AIDA{number}",
        event_time=NOW - age,
    )
    return made._replace(**changes)


def decided(
    accounts: list[AccountSweeps],
    registrations: list[Registration],
    *,
    tombstones: Sequence[Tombstone] = (),
    blocks: Sequence[Block] = (),
    policy: Policy = POLICY,
    last: LastRun | None = None,
) -> Roster:
    """By default the last run decided by the accounts' stored sweeps and the same policy."""
    stored = [account.stored for account in accounts if account.stored is not None]
    return decide(
        accounts=accounts,
        registrations=registrations,
        tombstones=tombstones,
        blocks=blocks,
        policy=policy,
        last=last or LastRun(sweeps=stored, granting=policy.granting),
        now=NOW,
    )


def reasons(roster: Roster) -> dict[str, str]:
    return {exclusion.registration.label: exclusion.reason for exclusion in roster.excluded}


def names(roster: Roster) -> list[str]:
    return [peer.label for peer in roster.peers]


def account(swept: Sweep, *, stored: Sweep | None = None, absent_twice: Iterable[str] = ()) -> AccountSweeps:
    return AccountSweeps(account_id=swept.account_id, sweep=swept, stored=stored, absent_twice=frozenset(absent_twice))


def unswept(account_id: str = ACCOUNT, *, stored: Sweep | None = None) -> AccountSweeps:
    return AccountSweeps(account_id=account_id, sweep=None, stored=stored, error="denied")


def test_r1_recreated_user_inherits_nothing() -> None:
    again = user(2, user_name="user1")
    roster = decided([account(sweep(again))], [registration(1)])
    assert reasons(roster) == {"user1/laptop": "not_in_sweep"}


def test_r1_renamed_user_keeps_everything_even_under_a_deleted_users_name() -> None:
    renamed = user(1, user_name="user2")
    roster = decided([account(sweep(renamed))], [registration(1), registration(2)], tombstones=[tombstone(2)])
    assert names(roster) == ["user1/laptop"]
    assert reasons(roster) == {"user2/laptop": "tombstoned"}


def test_r2_whitelist_gives_each_registration_left_out_its_reason() -> None:
    users = sweep(user(1), user(2, groups=("other",)), user(3), user(4), user(5), user(6), user(7))
    roster = decided(
        [account(users)],
        [
            registration(1),
            registration(2),
            registration(3, expires_at=NOW),
            registration(4),
            registration(5, public_key="AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
            registration(6, addresses=("10.99.0.1",)),
            registration(7, addresses=("10.44.0.1",)),
            registration(8),
        ],
        blocks=[block(4)],
    )
    assert names(roster) == ["user1/laptop"]
    assert reasons(roster) == {
        "user2/laptop": "not_in_group",
        "user3/laptop": "expired",
        "user4/laptop": "blocked",
        "user5/laptop": "invalid_key",
        "user6/laptop": "address_outside_pool",
        "user7/laptop": "address_outside_pool",
        "user8/laptop": "not_in_sweep",
    }


def test_r2_block_of_one_device_leaves_the_users_others() -> None:
    phone = registration(1, device="phone", public_key=key(50), addresses=("10.44.0.50",))
    roster = decided([account(sweep(user(1)))], [registration(1), phone], blocks=[block(1, device="phone")])
    assert names(roster) == ["user1/laptop"]
    assert [exclusion.registration for exclusion in roster.revoked] == [phone]


def test_r2_grant_counts_only_in_its_accounts() -> None:
    foreign = registration(1, account_id=OTHER)
    roster = decided([account(sweep(user(1, account_id=OTHER), account=OTHER))], [foreign])
    assert reasons(roster) == {"user1/laptop": "not_in_group"}
    granting = {OTHER: frozenset({"vpn"})}
    roster = decided(
        [account(sweep(user(1, account_id=OTHER), account=OTHER))], [foreign], policy=POLICY._replace(granting=granting)
    )
    assert names(roster) == ["user1/laptop"]


def test_r3_incomplete_sweep_freezes_membership_but_not_revocations() -> None:
    stored = sweep(user(1), user(2), user(3), user(4), begun_at=NOW - 600)
    roster = decided(
        [unswept(stored=stored)],
        [registration(1), registration(2), registration(3, expires_at=NOW - 1), registration(4)],
        tombstones=[tombstone(2)],
        blocks=[block(4)],
    )
    assert names(roster) == ["user1/laptop"]
    assert reasons(roster) == {"user2/laptop": "tombstoned", "user3/laptop": "expired", "user4/laptop": "blocked"}


def test_r3_account_never_swept_contributes_nothing_and_others_go_on() -> None:
    roster = decided(
        [unswept(OTHER), account(sweep(user(1)))],
        [registration(1), registration(2, account_id=OTHER)],
    )
    assert names(roster) == ["user1/laptop"]


def test_r4_user_absent_from_two_sweeps_is_a_confirmed_leaver() -> None:
    stored = sweep(user(1), user(2))
    roster = decided(
        [account(sweep(user(2)), stored=stored, absent_twice={"AIDA1"})], [registration(1), registration(2)]
    )
    assert [leaver.user_id for leaver in roster.leavers] == ["AIDA1"]
    assert [exclusion.registration.label for exclusion in roster.revoked] == ["user1/laptop"]


@pytest.mark.parametrize(
    ("age", "expected"), [(60, {"user1/laptop": "tombstoned"}), (CONSISTENCY + 60, {})], ids=["young", "old"]
)
def test_r4_tombstone_outweighs_sweeps_for_15_minutes_then_a_listing_wins(age: float, expected: dict[str, str]) -> None:
    deleted = tombstone(1, age=age)
    roster = decided([account(sweep(user(1)))], [registration(1)], tombstones=[deleted])
    assert reasons(roster) == expected
    assert roster.reversed == ([] if expected else [deleted])


def test_r4_tombstone_without_id_hits_the_name_but_no_user_created_later() -> None:
    by_name = tombstone(1, user_name="USER1", user_id=None)
    fresh = user(2, user_name="user1", created_at=NOW - 30)
    roster = decided([account(sweep(user(1), fresh))], [registration(1), registration(2)], tombstones=[by_name])
    assert reasons(roster) == {"user1/laptop": "tombstoned"}


def test_r4_tombstone_without_id_ends_with_the_consistency_window() -> None:
    by_name = tombstone(1, user_id=None, age=CONSISTENCY + 60)
    assert names(decided([account(sweep(user(1)))], [registration(1)], tombstones=[by_name])) == ["user1/laptop"]


def mass_removal(**policy: Any) -> Roster:
    everyone = [user(number) for number in range(10)]
    return decided(
        [
            account(
                sweep(*everyone[:4]),
                stored=sweep(*everyone),
                absent_twice=[each.user_id for each in everyone[4:]],
            )
        ],
        [registration(number) for number in range(10)],
        policy=POLICY._replace(**policy),
    )


def test_r5_unexplained_mass_removal_is_held_until_released() -> None:
    held = mass_removal()
    assert len(held.peers) == 10
    assert sorted(each.label for each in held.held) == [f"user{number}/laptop" for number in range(4, 10)]
    assert held.leavers == []
    released = mass_removal(release=held.release_token)
    assert len(released.peers) == 4
    assert len(released.leavers) == 6
    assert released.release_token is None


def test_r5_release_of_other_removals_lets_nothing_go() -> None:
    assert len(mass_removal(release="0123456789ab").held) == 6


@pytest.mark.parametrize("change", [{"guard_count": 6}, {"guard_share": 60.0}])
def test_r5_guard_needs_both_count_and_share(change: dict[str, float]) -> None:
    assert not mass_removal(**change).held


def test_r5_group_emptied_by_mistake_is_held() -> None:
    everyone = [user(number) for number in range(10)]
    emptied = sweep(*(each._replace(groups=()) for each in everyone))
    roster = decided([account(emptied, stored=sweep(*everyone))], [registration(number) for number in range(10)])
    assert len(roster.held) == 10


def test_r5_mistyped_group_in_the_policy_is_held() -> None:
    everyone = sweep(*(user(number) for number in range(10)))
    mistyped = POLICY._replace(granting={ACCOUNT: frozenset({"vnp"})})
    registrations = [registration(number) for number in range(10)]
    roster = decided(
        [account(everyone, stored=everyone)],
        registrations,
        policy=mistyped,
        last=LastRun(sweeps=[everyone], granting=GRANTING),
    )
    assert len(roster.held) == len(roster.peers) == 10


def test_r5_account_that_is_configured_no_more_is_held() -> None:
    everyone = sweep(*(user(number) for number in range(10)))
    roster = decided(
        [], [registration(number) for number in range(10)], last=LastRun(sweeps=[everyone], granting=GRANTING)
    )
    assert len(roster.held) == len(roster.peers) == 10


def test_r5_confirmed_revocations_go_while_others_are_held() -> None:
    everyone = [user(number) for number in range(10)]
    emptied = sweep(*(each._replace(groups=()) for each in everyone))
    registrations = [registration(number) for number in range(10)]
    roster = decided([account(emptied, stored=sweep(*everyone))], registrations, tombstones=[tombstone(0)])
    assert len(roster.held) == 9
    assert [exclusion.registration.label for exclusion in roster.revoked] == ["user0/laptop"]


def test_r9_duplicates_leave_the_older_registration_in() -> None:
    users = sweep(user(1), user(2), user(3))
    same_key = registration(2, public_key=key(1))
    same_address = registration(3, addresses=registration(1).addresses)
    roster = decided([account(users)], [same_address, same_key, registration(1)])
    assert names(roster) == ["user1/laptop"]
    assert reasons(roster) == {"user2/laptop": "duplicate_key", "user3/laptop": "duplicate_address"}


def test_r9_a_revoked_key_serves_nobody_else() -> None:
    registrations = [registration(1), registration(2, public_key=key(1))]
    roster = decided([account(sweep(user(1), user(2)))], registrations, blocks=[block(1)])
    assert roster.peers == []
    assert reasons(roster)["user2/laptop"] == "duplicate_key"


def test_r1_two_users_of_one_id_in_two_accounts_are_two_users() -> None:
    """Each account's own sweep, tombstones and blocks decide."""
    granting = {account_id: frozenset({"vpn"}) for account_id in (ACCOUNT, OTHER)}
    there = registration(1, account_id=OTHER, device="phone", public_key=key(60), addresses=("10.44.0.60",))
    accounts = [account(sweep(user(1))), account(sweep(user(1, account_id=OTHER), account=OTHER))]
    for foreign in ({"tombstones": [tombstone(1)]}, {"blocks": [block(1)]}):
        roster = decided(accounts, [registration(1), there], policy=POLICY._replace(granting=granting), **foreign)
        assert roster.peers == [there]


def test_r2_registration_without_an_address_is_left_out() -> None:
    roster = decided([account(sweep(user(1)))], [registration(1, addresses=())])
    assert reasons(roster) == {"user1/laptop": Reason.ADDRESS_OUTSIDE_POOL}
    assert roster.excluded[0].detail == "the registration has no address; register it again"


def test_r2_every_address_must_be_the_pools() -> None:
    outside = registration(1, addresses=("10.44.0.3", "10.99.0.1"))
    roster = decided([account(sweep(user(1)))], [outside])
    (exclusion,) = roster.excluded
    assert exclusion.reason is Reason.ADDRESS_OUTSIDE_POOL
    assert exclusion.detail == (
        "10.99.0.1 isn't one that the pools give to devices (10.44.0.0/20, fd44::/64); register the device again"
    )


def test_r2_registration_lives_until_the_second_of_its_expiry() -> None:
    roster = decided([account(sweep(user(1)))], [registration(1, expires_at=NOW + 1)])
    assert names(roster) == ["user1/laptop"]


def test_r2_grants_of_several_groups_add_up() -> None:
    granting = {ACCOUNT: frozenset({"dba", "ops", "vpn"})}
    swept = account(sweep(user(1, groups=("ops", "x")), user(2), user(3, groups=("x",))))
    roster = decided([swept], [registration(each) for each in (1, 2, 3)], policy=POLICY._replace(granting=granting))
    assert names(roster) == ["user1/laptop", "user2/laptop"]
    assert roster.excluded[0].detail == "in none of the groups that grant access: dba, ops, vpn"


def test_each_reason_is_explained() -> None:
    swept = account(sweep(user(1), user(2), user(3), user(4)))
    registrations = [
        registration(1),
        registration(2),
        registration(3, device="phone"),
        registration(4, expires_at=NOW),
        registration(5),
        registration(6, account_id=OTHER),
    ]
    roster = decided(
        [swept],
        registrations,
        tombstones=[tombstone(1)],
        blocks=[block(2), block(3, device="phone", reason="lost")],
    )
    assert {exclusion.registration.user_name: exclusion.detail for exclusion in roster.excluded} == {
        "user1": "deleted: tombstone event",
        "user2": "user blocked: left",
        "user3": "device blocked: lost",
        "user4": "the registration expired; renew it",
        "user5": f"no IAM user with the id AIDA5 in account {ACCOUNT}",
        "user6": f"account {OTHER} isn't configured or was never swept completely",
    }


def test_r4_blocked_device_of_a_deleted_user_is_named_by_the_deletion() -> None:
    roster = decided(
        [account(sweep())], [registration(1)], tombstones=[tombstone(1)], blocks=[block(1, device="laptop")]
    )
    assert reasons(roster) == {"user1/laptop": Reason.TOMBSTONED}


def test_r4_block_of_a_device_is_told_before_whatever_else_speaks_against_its_user() -> None:
    blocks = [block(1, device="laptop", reason="lost"), block(1)]
    (exclusion,) = decided([account(sweep(user(1)))], [registration(1)], blocks=blocks).revoked
    assert exclusion.detail == "device blocked: lost"
    gone = decided([account(sweep())], [registration(1)], blocks=[block(1, device="laptop")])
    assert [exclusion.reason for exclusion in gone.revoked] == [Reason.BLOCKED]


def test_r4_only_deletions_and_blocks_are_confirmed_revocations() -> None:
    users = sweep(user(1), user(2, groups=()), user(3), user(4), user(5), user(6), user(7))
    registrations = [
        registration(1, public_key=key(2)),
        registration(2),
        registration(3, expires_at=NOW),
        registration(4, public_key="no key"),
        registration(5, addresses=()),
        registration(6, public_key=key(7)),
        registration(7),
        registration(8),
        registration(9),
        registration(10, addresses=registration(1).addresses),
    ]
    roster = decided(
        [account(sweep(*users.users.values(), user(9), user(10)))],
        registrations,
        tombstones=[tombstone(8)],
        blocks=[block(9)],
    )
    assert {exclusion.registration.user_name for exclusion in roster.revoked} == {"user8", "user9"}
    assert roster.revoked == roster.excluded[:2]
    assert len(roster.excluded) == len(registrations) - len(roster.peers)


def test_r4_absence_in_another_account_confirms_nothing() -> None:
    elsewhere = account(sweep(account=OTHER), absent_twice={"AIDA1"})
    here = account(sweep(user(2)), stored=sweep(user(1), user(2)))
    roster = decided([here, elsewhere], [registration(1), registration(2)])
    assert (roster.leavers, roster.revoked) == ([], [])
    assert reasons(roster) == {"user1/laptop": Reason.NOT_IN_SWEEP}


def test_r4_leavers_tombstone_is_of_the_sweep_that_missed_them() -> None:
    swept = account(sweep(user(2), begun_at=NOW - 7), stored=sweep(user(1), user(2)), absent_twice={"AIDA1"})
    roster = decided([swept], [registration(1), registration(2)])
    expected = Tombstone(
        account_id=ACCOUNT, event_id="sweep-AIDA1", user_name="user1", user_id="AIDA1", event_time=NOW - 7
    )
    assert roster.leavers == [expected]
    assert roster.revoked[0].detail == "absent from two complete sweeps of IAM"


def test_r4_all_devices_of_a_leaver_are_revoked_with_one_tombstone() -> None:
    phone = registration(1, device="phone", public_key=key(50), addresses=("10.44.0.50",))
    expired = registration(1, device="old", expires_at=NOW - 1)
    swept = account(sweep(), stored=sweep(user(1)), absent_twice={"AIDA1"})
    roster = decided([swept], [registration(1), phone, expired])
    assert len(roster.leavers) == 1
    assert [exclusion.reason for exclusion in roster.revoked] == [Reason.TOMBSTONED] * 3


@pytest.mark.parametrize("begun_at", [NOW, NOW + 0.5])
def test_r4_tombstone_outweighs_a_sweep_begun_up_to_15_minutes_later(begun_at: float) -> None:
    swept = account(sweep(user(1), begun_at=begun_at))
    inside, outside = tombstone(1, age=CONSISTENCY), tombstone(1, age=CONSISTENCY + 1)
    within = decided([swept], [registration(1)], tombstones=[inside])
    assert bool(within.reversed) is (begun_at > NOW)
    assert decided([swept], [registration(1)], tombstones=[outside]).reversed == [outside]


def test_r4_old_tombstone_holds_while_no_sweep_lists_its_user() -> None:
    old = tombstone(1, age=CONSISTENCY * 100)
    roster = decided([account(sweep(user(2)))], [registration(1)], tombstones=[old])
    assert (reasons(roster), roster.reversed) == ({"user1/laptop": Reason.TOMBSTONED}, [])
    nothing_swept = decided([unswept()], [registration(1)], tombstones=[old])
    assert (reasons(nothing_swept), nothing_swept.reversed) == ({"user1/laptop": Reason.TOMBSTONED}, [])


def test_r4_tombstone_without_id_names_nobody_where_nothing_was_swept() -> None:
    roster = decided([unswept()], [registration(1)], tombstones=[tombstone(1, user_id=None)])
    assert reasons(roster) == {"user1/laptop": Reason.NOT_IN_SWEEP}


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


def test_r5_expired_and_faulty_registrations_do_not_count_as_peers_that_there_were() -> None:
    """With them, six removals would be less than a quarter, and go."""
    everyone = [user(number) for number in range(30)]
    registrations = [registration(number) for number in range(10)]
    registrations += [registration(number, expires_at=NOW - 1) for number in range(10, 20)]
    registrations += [registration(number, addresses=()) for number in range(20, 30)]
    swept = account(sweep(*everyone[:4], *everyone[10:]), stored=sweep(*everyone))
    assert len(decided([swept], registrations).held) == 6


def test_r5_removals_that_something_explains_do_not_count() -> None:
    """Of six absent users one is expired, one blocked, one deleted: three are no mass removal."""
    everyone = [user(number) for number in range(10)]
    registrations = [registration(number) for number in range(9)] + [registration(9, expires_at=NOW - 1)]
    swept = account(sweep(*everyone[:4]), stored=sweep(*everyone))
    roster = decided(
        [swept],
        registrations,
        tombstones=[tombstone(8)],
        blocks=[block(7)],
        policy=POLICY._replace(guard_count=3),
    )
    assert roster.held == set()
    assert reasons(roster) == {
        "user4/laptop": Reason.NOT_IN_SWEEP,
        "user5/laptop": Reason.NOT_IN_SWEEP,
        "user6/laptop": Reason.NOT_IN_SWEEP,
        "user7/laptop": Reason.BLOCKED,
        "user8/laptop": Reason.TOMBSTONED,
        "user9/laptop": Reason.NOT_IN_SWEEP,
    }


def test_r5_only_removals_from_what_there_was_count() -> None:
    """Ten users who never were peers are left out, and nothing is held."""
    everyone = [user(number, groups=()) for number in range(10)]
    swept = account(sweep(*everyone), stored=sweep(*everyone))
    roster = decided([swept], [registration(number) for number in range(10)])
    assert (roster.held, len(roster.excluded)) == (set(), 10)


@pytest.mark.parametrize(
    ("guard", "held"),
    [
        ({"guard_count": 5, "guard_share": 59.9}, 6),
        ({"guard_count": 6, "guard_share": 59.9}, 0),
        ({"guard_count": 5, "guard_share": 60.0}, 0),
    ],
)
def test_r5_guard_holds_more_than_its_count_and_more_than_its_share(guard: dict[str, float], held: int) -> None:
    assert len(mass_removal(**guard).held) == held


@pytest.mark.parametrize(("removed", "total", "held"), [(6, 23, 6), (6, 24, 0), (7, 27, 7), (7, 28, 0)])
def test_r5_guard_by_default_holds_more_than_a_quarter(removed: int, total: int, held: int) -> None:
    everyone = [user(number) for number in range(total)]
    swept = account(sweep(*everyone[removed:]), stored=sweep(*everyone))
    registrations = [registration(number) for number in range(total)]
    assert len(decided([swept], registrations).held) == held


def test_r5_five_removals_are_never_held() -> None:
    everyone = [user(number) for number in range(5)]
    swept = account(sweep(), stored=sweep(*everyone))
    assert decided([swept], [registration(number) for number in range(5)]).held == set()


def test_r5_few_absent_users_are_leavers_while_many_other_removals_are_held() -> None:
    everyone = [user(number) for number in range(10)]
    emptied = sweep(*(each._replace(groups=()) for each in everyone[1:]))
    swept = account(emptied, stored=sweep(*everyone), absent_twice={"AIDA0"})
    roster = decided([swept], [registration(number) for number in range(10)])
    assert [leaver.user_id for leaver in roster.leavers] == ["AIDA0"]
    assert len(roster.held) == 9
    assert roster.release_token is not None


def test_r5_release_token_names_user_and_device_of_each_removal_in_any_order() -> None:
    everyone = [user(number) for number in range(10)]
    swept = account(sweep(), stored=sweep(*everyone))
    registrations = [registration(number) for number in range(10)]
    token = decided([swept], registrations).release_token
    assert token == decided([swept], registrations[::-1]).release_token == "8ed1b49bf051"
    assert token != decided([swept], [*registrations[:9], registration(9, device="phone")]).release_token
    released = decided([swept], registrations, policy=POLICY._replace(release=token))
    assert (released.peers, released.held, len(released.excluded)) == ([], set(), 10)
    assert released.leavers == []


def test_r5_held_peer_that_is_a_duplicate_is_not_held() -> None:
    everyone = [user(number) for number in range(10)]
    registrations = [registration(number) for number in range(9)] + [registration(9, public_key=key(0))]
    roster = decided([account(sweep(), stored=sweep(*everyone))], registrations)
    assert len(roster.held) == len(roster.peers) == 9
    assert reasons(roster) == {"user9/laptop": Reason.DUPLICATE_KEY}


def test_r9_duplicates_name_who_has_the_key_or_the_address() -> None:
    users = sweep(user(1), user(2), user(3), user(4))
    registrations = [
        registration(1),
        registration(2, public_key=key(1)),
        registration(3, addresses=("10.44.0.77", "10.44.0.3")),
        registration(4, public_key=key(9)),
        registration(9, public_key=key(9)),
    ]
    roster = decided([account(users)], registrations, tombstones=[tombstone(9)])
    assert {exclusion.registration.user_name: exclusion.detail for exclusion in roster.excluded} == {
        "user2": "its key is already that of user1/laptop",
        "user3": "10.44.0.3 is already that of user1/laptop",
        "user4": "its key is already that of a revoked registration",
        "user9": "deleted: tombstone event",
    }


def test_peers_keep_the_registrys_order() -> None:
    roster = decided([account(sweep(user(1), user(2), user(3)))], [registration(each) for each in (3, 1, 2)])
    assert names(roster) == ["user3/laptop", "user1/laptop", "user2/laptop"]


def test_refusal_of_a_user_is_decided_as_in_the_roster() -> None:
    """What self-service asks: about the user alone, whatever device is blocked."""
    users = sweep(user(1), user(2, groups=()), user(3), user(4))
    blocks = [block(3), block(1, device="laptop")]
    refused = {number: refusal(users, f"AIDA{number}", [tombstone(4)], blocks, GRANTING) for number in (1, 2, 3, 4, 5)}
    assert {number: grounds and grounds.reason for number, grounds in refused.items()} == {
        1: None,
        2: Reason.NOT_IN_GROUP,
        3: Reason.BLOCKED,
        4: Reason.TOMBSTONED,
        5: Reason.NOT_IN_SWEEP,
    }


@pytest.mark.parametrize("reason", list(Reason))
def test_deletions_and_blocks_alone_are_revocations(reason: Reason) -> None:
    assert reason.is_revocation is (reason.value in ("tombstoned", "blocked"))


def test_sweep_in_force_is_this_runs_else_the_stored_one() -> None:
    new, old = sweep(user(1)), sweep(user(2))
    assert account(new, stored=old).in_force is new
    assert unswept(stored=old).in_force is old
    assert unswept().in_force is None
