# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The roster decision, rule by rule."""

from __future__ import annotations

import base64
import ipaddress
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
    Account,
    Last,
    Policy,
    Roster,
    decide,
)

ACCOUNT = "111122223333"
OTHER = "444455556666"
NOW = 1_800_000_000.0
POOLS = [ipaddress.ip_network("10.44.0.0/20"), ipaddress.ip_network("fd44::/64")]
GRANTING = {ACCOUNT: frozenset({"vpn"})}
POLICY = Policy(GRANTING, POOLS)


def key(number: int) -> str:
    return base64.b64encode((number + 1000).to_bytes(32, "little")).decode()


def user(number: int, account: str = ACCOUNT, **changes: Any) -> User:
    return User(account, f"AIDA{number}", f"user{number}", NOW - 9_000_000, ("vpn",))._replace(**changes)


def sweep(*users: User, begun_at: float = NOW - 10, account: str = ACCOUNT) -> Sweep:
    return Sweep(account, begun_at, {each.user_id: each for each in users})


def registration(number: int, device: str = "laptop", **changes: Any) -> Registration:
    made = Registration(
        ACCOUNT, f"AIDA{number}", device, f"user{number}", key(number), (f"10.44.0.{number + 2}",), NOW - 1000 + number
    )
    return made._replace(**changes)


def decided(
    accounts: list[Account],
    registrations: list[Registration],
    tombstones: tuple[Tombstone, ...] = (),
    blocks: tuple[Block, ...] = (),
    policy: Policy = POLICY,
    last: Last | None = None,
) -> Roster:
    """By default the last run decided by the accounts' stored sweeps and the same policy."""
    stored = [account.stored for account in accounts if account.stored is not None]
    return decide(accounts, registrations, tombstones, blocks, policy, last or Last(stored, policy.granting), NOW)


def reasons(roster: Roster) -> dict[str, str]:
    return {verdict.registration.label: verdict.reason for verdict in roster.excluded}


def names(roster: Roster) -> list[str]:
    return [peer.label for peer in roster.peers]


def account(found: Sweep | None, stored: Sweep | None = None, absent: frozenset[str] = frozenset()) -> Account:
    return Account(found.account_id if found else ACCOUNT, found, stored, absent)


def test_r1_recreated_user_inherits_nothing() -> None:
    again = user(2, user_name="user1")
    roster = decided([account(sweep(again))], [registration(1)])
    assert reasons(roster) == {"user1/laptop": "not_in_sweep"}


def test_r1_renamed_user_keeps_everything_even_under_a_deleted_users_name() -> None:
    renamed = user(1, user_name="user2")
    gone = Tombstone(ACCOUNT, "event", "user2", "AIDA2", NOW - 60)
    roster = decided([account(sweep(renamed))], [registration(1), registration(2)], (gone,))
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
        blocks=(Block(ACCOUNT, "AIDA4", None, "gone", NOW),),
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
    phone = registration(1, "phone", public_key=key(50), addresses=("10.44.0.50",))
    block = Block(ACCOUNT, "AIDA1", "phone", "lost", NOW)
    roster = decided([account(sweep(user(1)))], [registration(1), phone], blocks=(block,))
    assert names(roster) == ["user1/laptop"]
    assert [verdict.registration for verdict in roster.revoked] == [phone]


def test_r2_grant_counts_only_in_its_accounts() -> None:
    foreign = registration(1, account_id=OTHER)
    roster = decided([account(sweep(user(1, OTHER), account=OTHER))], [foreign])
    assert reasons(roster) == {"user1/laptop": "not_in_group"}
    granting = {OTHER: frozenset({"vpn"})}
    roster = decided(
        [account(sweep(user(1, OTHER), account=OTHER))], [foreign], policy=POLICY._replace(granting=granting)
    )
    assert names(roster) == ["user1/laptop"]


def test_r3_incomplete_sweep_freezes_membership_but_not_revocations() -> None:
    stored = sweep(user(1), user(2), user(3), user(4), begun_at=NOW - 600)
    roster = decided(
        [Account(ACCOUNT, None, stored, error="throttled")],
        [registration(1), registration(2), registration(3, expires_at=NOW - 1), registration(4)],
        (Tombstone(ACCOUNT, "event", "user2", "AIDA2", NOW - 60),),
        (Block(ACCOUNT, "AIDA4", None, "left", NOW),),
    )
    assert names(roster) == ["user1/laptop"]
    assert reasons(roster) == {"user2/laptop": "tombstoned", "user3/laptop": "expired", "user4/laptop": "blocked"}


def test_r3_account_never_swept_contributes_nothing_and_others_go_on() -> None:
    roster = decided(
        [Account(OTHER, None, None, error="denied"), account(sweep(user(1)))],
        [registration(1), registration(2, account_id=OTHER)],
    )
    assert names(roster) == ["user1/laptop"]


def test_r4_user_absent_from_two_sweeps_is_a_confirmed_leaver() -> None:
    stored = sweep(user(1), user(2))
    roster = decided([account(sweep(user(2)), stored, frozenset({"AIDA1"}))], [registration(1), registration(2)])
    assert [leaver.user_id for leaver in roster.leavers] == ["AIDA1"]
    assert [verdict.registration.label for verdict in roster.revoked] == ["user1/laptop"]


@pytest.mark.parametrize(
    ("age", "expected"), [(60, {"user1/laptop": "tombstoned"}), (CONSISTENCY + 60, {})], ids=["young", "old"]
)
def test_r4_tombstone_outweighs_sweeps_for_15_minutes_then_a_listing_wins(age: float, expected: dict[str, str]) -> None:
    tombstone = Tombstone(ACCOUNT, "event", "user1", "AIDA1", NOW - age)
    roster = decided([account(sweep(user(1)))], [registration(1)], (tombstone,))
    assert reasons(roster) == expected
    assert roster.reversed == ([] if expected else [tombstone])


def test_r4_tombstone_without_id_hits_the_name_but_no_user_created_later() -> None:
    tombstone = Tombstone(ACCOUNT, "event", "USER1", None, NOW - 60)
    fresh = user(2, user_name="user1", created_at=NOW - 30)
    roster = decided([account(sweep(user(1), fresh))], [registration(1), registration(2)], (tombstone,))
    assert reasons(roster) == {"user1/laptop": "tombstoned"}


def test_r4_tombstone_without_id_ends_with_the_consistency_window() -> None:
    tombstone = Tombstone(ACCOUNT, "event", "user1", None, NOW - CONSISTENCY - 60)
    assert names(decided([account(sweep(user(1)))], [registration(1)], (tombstone,))) == ["user1/laptop"]


def mass_removal(**policy: Any) -> Roster:
    everyone = [user(number) for number in range(10)]
    return decided(
        [account(sweep(*everyone[:4]), sweep(*everyone), frozenset(each.user_id for each in everyone[4:]))],
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
    roster = decided([account(emptied, sweep(*everyone))], [registration(number) for number in range(10)])
    assert len(roster.held) == 10


def test_r5_mistyped_group_in_the_policy_is_held() -> None:
    everyone = sweep(*(user(number) for number in range(10)))
    mistyped = POLICY._replace(granting={ACCOUNT: frozenset({"vnp"})})
    registrations = [registration(number) for number in range(10)]
    roster = decided([account(everyone, everyone)], registrations, policy=mistyped, last=Last([everyone], GRANTING))
    assert len(roster.held) == len(roster.peers) == 10


def test_r5_account_that_is_configured_no_more_is_held() -> None:
    everyone = sweep(*(user(number) for number in range(10)))
    roster = decided([], [registration(number) for number in range(10)], last=Last([everyone], GRANTING))
    assert len(roster.held) == len(roster.peers) == 10


def test_r5_confirmed_revocations_go_while_others_are_held() -> None:
    everyone = [user(number) for number in range(10)]
    emptied = sweep(*(each._replace(groups=()) for each in everyone))
    tombstone = Tombstone(ACCOUNT, "event", "user0", "AIDA0", NOW - 60)
    roster = decided([account(emptied, sweep(*everyone))], [registration(number) for number in range(10)], (tombstone,))
    assert len(roster.held) == 9
    assert [verdict.registration.label for verdict in roster.revoked] == ["user0/laptop"]


def test_r9_duplicates_leave_the_older_registration_in() -> None:
    users = sweep(user(1), user(2), user(3))
    same_key = registration(2, public_key=key(1))
    same_address = registration(3, addresses=registration(1).addresses)
    roster = decided([account(users)], [same_address, same_key, registration(1)])
    assert names(roster) == ["user1/laptop"]
    assert reasons(roster) == {"user2/laptop": "duplicate_key", "user3/laptop": "duplicate_address"}


def test_r9_a_revoked_key_serves_nobody_else() -> None:
    block = Block(ACCOUNT, "AIDA1", None, "left", NOW)
    roster = decided(
        [account(sweep(user(1), user(2)))], [registration(1), registration(2, public_key=key(1))], blocks=(block,)
    )
    assert roster.peers == []
    assert reasons(roster)["user2/laptop"] == "duplicate_key"
