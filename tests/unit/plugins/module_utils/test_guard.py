# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""R5, the mass-removal guard: how many unexplained removals go, in one run and in the runs of a day."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils.guard import Guarded, Limits, Loss, guard, token
from ansible_collections.tracklib.vpn.plugins.module_utils.model import Departure
from ansible_collections.tracklib.vpn.plugins.module_utils.roster import Roster
from ansible_collections.tracklib.vpn.plugins.module_utils.whitelist import Grounds, Reason

from tests.support.decisions import (
    ACCOUNT,
    DAY,
    NOW,
    POLICY,
    account,
    block,
    decided,
    held,
    key,
    reasons,
    registration,
    registrations,
    sweep,
    tombstone,
    users,
)


def out_of_group(lost: int, total: int, *, release: set[str] | None = None, **limits: Any) -> Roster:
    """Decide after the first of so many peers were put out of the group."""
    everyone = registrations(range(total))
    listed = sweep(*users(range(lost), groups=()), *users(range(lost, total)))
    policy = POLICY._replace(limits=Limits(**limits), release=frozenset(release or ()))
    return decided([account(listed)], everyone, policy=policy, peers=everyone)


@pytest.mark.parametrize(
    ("lost", "total"),
    [(3, 3), (5, 5), (2, 2), (2, 3), (6, 23), (7, 27), (6, 10), (21, 1000), (250, 1000)],
)
def test_r5_too_many_unexplained_removals_are_all_held(lost: int, total: int) -> None:
    roster = out_of_group(lost, total)
    assert (len(roster.held), len(roster.peers)) == (lost, total)
    assert roster.excluded == []


@pytest.mark.parametrize(
    ("lost", "total"),
    [(1, 1), (1, 2), (2, 4), (5, 10), (5, 11), (6, 24), (7, 28), (20, 1000), (21, 1050)],
)
def test_r5_few_unexplained_removals_go(lost: int, total: int) -> None:
    roster = out_of_group(lost, total)
    assert (roster.held, roster.release_token) == (set(), None)
    assert set(reasons(roster).values()) == {"not_in_group"}
    assert len(roster.excluded) == lost


@pytest.mark.parametrize(
    ("lost", "total", "limits"),
    [
        (6, 20, {"some": 6}),
        (6, 20, {"some_share": 30.0}),
        (3, 5, {"majority": 60.0}),
        (30, 1000, {"many": 30}),
        (30, 1000, {"many_share": 3.0}),
    ],
)
def test_r5_each_number_of_the_guard_is_a_variable(lost: int, total: int, limits: dict[str, Any]) -> None:
    assert len(out_of_group(lost, total).held) == lost
    assert out_of_group(lost, total, **limits).held == set()


@pytest.mark.parametrize(
    ("alone", "count", "total", "is_exceeded"),
    [
        ({"some": 5}, 6, 23, True),
        ({"some": 5}, 6, 24, False),
        ({"some": 5}, 51, 203, True),
        ({"some": 5}, 51, 204, False),
        ({"some": 5}, 5, 19, False),
        ({"majority": 50.0}, 51, 101, True),
        ({"majority": 50.0}, 50, 100, False),
        ({"majority": 50.0}, 1, 1, False),
        ({"many": 20}, 21, 1049, True),
        ({"many": 20}, 21, 1050, False),
        ({"many": 20}, 20, 999, False),
    ],
)
def test_r5_each_limit_holds_beyond_its_number_and_not_at_it(
    alone: dict[str, Any], count: int, total: int, is_exceeded: bool
) -> None:
    others: dict[str, Any] = {"some": 999, "majority": 100.0, "many": 999}
    assert Limits(**{**others, **alone}).exceeded_by(count, total) is is_exceeded


@pytest.mark.parametrize(("count", "total"), [(6, 23), (51, 101), (21, 1049)])
def test_r5_limits_are_those_of_the_rule_unless_set(count: int, total: int) -> None:
    assert Limits() == Limits(some=5, some_share=25.0, majority=50.0, many=20, many_share=2.0)
    assert Limits().exceeded_by(count, total)


def test_r5_mistyped_group_in_the_policy_is_held() -> None:
    everyone = registrations(range(10))
    mistyped = POLICY._replace(granting={ACCOUNT: frozenset({"vnp"})})
    roster = decided([account(sweep(*users(range(10))))], everyone, policy=mistyped, peers=everyone)
    assert len(roster.held) == len(roster.peers) == 10


def test_r5_account_that_is_configured_no_more_is_held() -> None:
    everyone = registrations(range(10))
    assert len(decided([], everyone, peers=everyone).held) == 10


def test_r5_confirmed_revocations_go_while_others_are_held() -> None:
    everyone = registrations(range(10))
    swept = account(sweep(*users(range(1, 10), groups=())), confirmed={"AIDA0"})
    roster = decided([swept], everyone, tombstones=[tombstone(1)], blocks=[block(2)], peers=everyone)
    assert len(roster.held) == 7
    assert {exclusion.registration.label for exclusion in roster.revoked} == {
        f"user{number}/laptop" for number in range(3)
    }
    assert [leaver.user_id for leaver in roster.leavers] == ["AIDA0"]


def test_r5_removals_that_something_explains_do_not_count() -> None:
    """Of six absent users one is expired, one blocked, one deleted: three of seven are no mass removal."""
    everyone = [*registrations(range(9)), registration(9, expires_at=NOW - 1)]
    roster = decided(
        [account(sweep(*users(range(4))))],
        everyone,
        tombstones=[tombstone(8)],
        blocks=[block(7)],
        policy=POLICY._replace(limits=Limits(some=3)),
        peers=everyone,
    )
    assert roster.held == set()
    assert reasons(roster) == {
        "user4/laptop": "not_in_sweep",
        "user5/laptop": "not_in_sweep",
        "user6/laptop": "not_in_sweep",
        "user7/laptop": "blocked",
        "user8/laptop": "tombstoned",
        "user9/laptop": "expired",
    }


def test_r5_only_removals_from_what_there_was_count() -> None:
    """Ten users who never were peers are left out, and nothing is held."""
    roster = decided([account(sweep(*users(range(10), groups=())))], registrations(range(10)))
    assert (roster.held, len(roster.excluded)) == (set(), 10)


def test_r5_explained_registrations_do_not_count_as_peers_that_there_were() -> None:
    """With the expired ones, six removals would be less than a quarter, and go."""
    everyone = [*registrations(range(10)), *registrations(range(10, 30), expires_at=NOW - 1)]
    listed = sweep(*users(range(6), groups=()), *users(range(6, 30)))
    assert len(decided([account(listed)], everyone, peers=everyone).held) == 6


def test_r5_release_token_names_user_and_device_of_each_removal_in_any_order() -> None:
    everyone = registrations(range(10))
    nobody = [account(sweep())]
    token = decided(nobody, everyone, peers=everyone).release_token
    assert token == decided(nobody, everyone[::-1], peers=everyone).release_token == "8ed1b49bf051"
    phone = [*everyone[:9], registration(9, device="phone")]
    assert token != decided(nobody, phone, peers=phone).release_token
    released = decided(nobody, everyone, policy=POLICY._replace(release=frozenset({token})), peers=everyone)
    assert (released.peers, released.held, len(released.excluded)) == ([], set(), 10)
    assert released.leavers == []


def test_r5_held_peer_whose_new_key_is_anothers_is_not_held() -> None:
    everyone = registrations(range(10))
    registered = [*everyone[:9], registration(9, public_key=key(0))]
    roster = decided([account(sweep())], registered, peers=everyone)
    assert len(roster.held) == len(roster.peers) == 9
    assert reasons(roster) == {"user9/laptop": "duplicate_key"}


# -- the runs of a day


def losses(numbers: Iterable[int], **changes: Any) -> list[Loss]:
    """These peers' losses."""
    return [Loss(each, Grounds(Reason.NOT_IN_GROUP, "in none"), **changes) for each in registrations(numbers)]


def guarded(
    lost: Sequence[Loss],
    *,
    peers: Iterable[int],
    departures: Iterable[Departure] = (),
    returned: Iterable[int] = (),
    release: Iterable[str] = (),
    now: float = NOW,
) -> Guarded:
    """Guard against losses among these peers; who isn't lost is still present."""
    before = {registration(number).identity for number in peers}
    present = before.union(registration(number).identity for number in returned)
    return guard(
        lost,
        before=before,
        present=present - {loss.kept.identity for loss in lost},
        departures=departures,
        limits=Limits(),
        release=frozenset(release),
        now=now,
    )


def left(numbers: Iterable[int], at: float = NOW - 60) -> list[Departure]:
    """Unexplained departures of these peers."""
    return [Departure(*registration(number).identity, at) for number in numbers]


def test_r5_five_in_each_of_four_runs_are_counted_together() -> None:
    """5 of 40, then 10, then 15 of the 40 that there were: the third and the fourth five stay."""
    departures: tuple[Departure, ...] = ()
    held_in_run = []
    for run in range(4):
        is_lost = range(5 * run, 5 * run + 5)
        before = range(5 * run if run < 3 else 10, 40)
        found = guarded(losses(is_lost), peers=before, departures=departures, now=NOW + run * 3600)
        departures = found.departures
        held_in_run.append(len(found.held))
    assert held_in_run == [0, 0, 5, 5]
    assert [each.identity for each in departures] == [registration(number).identity for number in range(10)]


@pytest.mark.parametrize(("age", "count"), [(DAY - 1, 1), (DAY, 0), (DAY + 1, 0)])
def test_r5_removal_counts_for_24_hours(age: float, count: int) -> None:
    """With the five before them, the sixth of 20 is one too many."""
    found = guarded(losses([5]), peers=range(5, 20), departures=left(range(5), NOW - age))
    assert len(found.held) == count
    assert len(found.departures) == (5 if count else 1)


def test_r5_who_came_back_leaves_the_count() -> None:
    found = guarded(losses([5]), peers=range(5, 20), departures=left(range(5)), returned=[0])
    assert (found.held, len(found.departures)) == ([], 5)
    assert registration(0).identity not in {each.identity for each in found.departures}


def test_r5_released_removals_leave_the_count() -> None:
    first = guarded(losses(range(6)), peers=range(20), release=["user0"])
    assert ([loss.kept.label for loss in first.released], first.held) == (["user0/laptop"], [])
    assert len(first.departures) == 5
    assert registration(0).identity not in {each.identity for each in first.departures}


def test_r5_peers_that_left_today_count_among_those_that_there_were() -> None:
    """Two of the four peers of this morning are no majority; of the three that are left they would be."""
    assert guarded(losses([1]), peers=[1, 2, 3], departures=left([0])).held == []
    assert len(guarded(losses([1, 2]), peers=[1, 2, 3], departures=left([0])).held) == 2


def test_r5_departures_of_held_removals_are_not_noted() -> None:
    assert guarded(losses(range(3)), peers=range(3)).departures == ()


def test_r4_user_of_whom_too_many_are_absent_is_held_however_few_are_lost() -> None:
    found = guarded([*losses([1], must_hold=True), *losses([2])], peers=range(100))
    assert [loss.kept.label for loss in found.held] == ["user1/laptop"]
    assert [loss.kept.label for loss in found.gone] == ["user2/laptop"]
    assert found.token == token(found.held)
    released = guarded(losses([1], must_hold=True), peers=range(100), release=["user1/laptop"])
    assert (released.held, len(released.released)) == ([], 1)


# -- what an operator releases


@pytest.mark.parametrize("name", ["user1/laptop", "user1", "AIDA1", "USER1/Laptop", "aida1"])
def test_r5_removal_is_released_by_label_user_or_id(name: str) -> None:
    found = guarded(losses(range(6)), peers=range(6), release=[name])
    assert [loss.kept.label for loss in found.released] == ["user1/laptop"]
    assert len(found.held) == 5


def test_r5_user_is_released_with_all_devices_and_a_label_is_one_device() -> None:
    phone = losses([1])[0]
    both = [*losses([1]), phone._replace(kept=phone.kept._replace(device="phone"))]
    by_user = guarded(both, peers=(), release=["user1"])
    assert [loss.kept.device for loss in by_user.released] == ["laptop", "phone"]
    by_label = guarded(both, peers=(), release=["user1/phone"])
    assert [loss.kept.device for loss in by_label.released] == ["phone"]


def test_r5_token_releases_exactly_the_removals_that_were_held() -> None:
    first = guarded(losses(range(6)), peers=range(6))
    assert first.token is not None
    again = guarded(losses(range(6)), peers=range(6), release=[first.token])
    assert (again.held, again.token, len(again.released)) == ([], None, 6)


@pytest.mark.parametrize("others", [range(5), range(7), range(1, 7), range(10, 16)])
def test_r5_token_left_in_a_file_lets_nothing_else_through(others: range) -> None:
    old = guarded(losses(range(6)), peers=range(6)).token
    assert old is not None
    found = guarded(losses(others), peers=others, release=[old])
    assert (found.released, len(found.held)) == ([], len(others))
    assert found.token not in (None, old)


@pytest.mark.parametrize("word", ["yes", "true", "*", "", "laptop", "user", "111122223333", "user1/phone", "AIDA"])
def test_r5_no_other_word_releases_anything(word: str) -> None:
    assert guarded(losses(range(6)), peers=range(6), release=[word]).released == []


def test_r5_name_left_in_a_file_lets_no_others_through() -> None:
    found = guarded(losses(range(6)), peers=range(6), release=["user1", "user7/laptop"])
    assert [loss.kept.label for loss in found.held] == [f"user{number}/laptop" for number in (0, 2, 3, 4, 5)]


def test_r5_released_removal_is_explained_and_others_are_not() -> None:
    roster = out_of_group(6, 20, release={"user1"})
    explained = {each.registration.label for each in roster.excluded if each.is_explained}
    assert (explained, roster.held) == ({"user1/laptop"}, set())
    assert [each.identity for each in roster.decision.departures] == [
        registration(number).identity for number in (0, 2, 3, 4, 5)
    ]


def test_r5_what_is_held_is_still_a_peer_for_the_next_run_to_count_from() -> None:
    first = out_of_group(3, 5)
    assert set(first.decision.peers) == set(registrations(range(5)))
    swept = [account(sweep(*users(range(3), groups=()), *users((3, 4))))]
    again = decided(swept, registrations(range(5)), peers=first.decision.peers, departures=first.decision.departures)
    assert (again.held, again.release_token) == (first.held, first.release_token)


def test_r5_departed_device_that_is_explained_since_leaves_the_count() -> None:
    """Its tombstone came late."""
    gone, others = registrations(range(5)), registrations(range(5, 20))
    swept = [account(sweep(*users(range(6), groups=()), *users(range(6, 20))))]
    departures = left(range(5))
    before = decided(swept, [*gone, *others], peers=others, departures=departures)
    assert held(before) == ["user5/laptop"]
    after = decided(swept, [*gone, *others], peers=others, departures=departures, tombstones=[tombstone(0)])
    assert after.held == set()


def test_r5_departed_device_that_nobody_can_read_leaves_the_count_once_its_user_is_deleted() -> None:
    swept = [account(sweep(*users((1, 2), groups=()), *users((3, 4))))]
    four, unreadable = registrations(range(1, 5)), {registration(0).identity: "nonsense"}
    departed: dict[str, Any] = {"peers": four, "unreadable": unreadable, "departures": left([0])}
    assert held(decided(swept, four, **departed)) == ["user1/laptop", "user2/laptop"]
    assert held(decided(swept, four, **departed, tombstones=[tombstone(0)])) == []
