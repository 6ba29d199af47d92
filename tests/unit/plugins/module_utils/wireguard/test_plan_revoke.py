# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Taking peers off without a roster, planned."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.bars import Bar
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.commands import CommandError
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.order import RevokeOrder
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.plan import Plan, saved_state
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.plan_revoke import plan_expire, plan_revoke
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.read import Snapshot
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.state import StateError
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.steps import RecordState, RemovePeers, WriteFile

from tests.support.snapshots import SITE, actions, device, full_report, only, snapshot
from tests.support.wireguard_host import NOW, Person, key

ALICE, BOB = Person("alice", 1), Person("bob", 2)
PHONE = Person("alice", 3, device="phone")
EXPIRED, LATER = ALICE._replace(expires_at=NOW), BOB._replace(expires_at=NOW + 60)
OTHER = "999999999999"
REMOVAL = ["RecordState", "WriteFile", "RemovePeers", "RecordState"]


def _revoke(user_name: str = "", generation: int = 0, **options: str) -> RevokeOrder:
    return RevokeOrder.of_options({"user_name": user_name, **options}, generation, lock_timeout=1)


def _bar(person: Person, generation: int = 0, device: str = "") -> Bar:
    return Bar(person.user_name, device, "111122223333", person.id, generation)


def _after(plan: Plan) -> Snapshot:
    return replace(plan.afterwards, state=plan.state)


def test_r4_r6_user_is_barred_by_id_before_all_devices_are_taken_off() -> None:
    plan = plan_revoke(_revoke("ALICE"), snapshot([ALICE, BOB, PHONE]))
    assert actions(plan) == REMOVAL
    first = plan.steps[0].action
    assert isinstance(first, RecordState)
    assert first.state.bars == (_bar(ALICE),)
    assert only(plan, RemovePeers).keys == (key(ALICE.number), key(PHONE.number))
    assert {each.reason for each in plan.state.removals} == {"revoked"}
    assert plan.report.problems == []


def test_operators_words_are_kept_for_the_receipts() -> None:
    order = _revoke("alice", detail="lost in the train " * 100)
    plan = plan_revoke(order, snapshot([ALICE, BOB]))
    assert [each.detail for each in plan.state.removals] == [("lost in the train " * 100)[:1000]]
    assert [each.detail for each in plan_revoke(_revoke("alice"), snapshot([ALICE])).state.removals] == [""]


@pytest.mark.parametrize("order", [_revoke("Alice/Phone"), _revoke("alice", device="phone")])
def test_one_device_is_meant_by_its_label_or_by_its_name(order: RevokeOrder) -> None:
    plan = plan_revoke(order, snapshot([ALICE, BOB, PHONE]))
    assert only(plan, RemovePeers).keys == (key(PHONE.number),)
    assert plan.state.bars == (_bar(ALICE, device=order.whom.device),)


def test_r1_everything_of_an_id_is_taken_off_whatever_its_label_says() -> None:
    renamed = BOB._replace(user_name="alice.smith", user_id=ALICE.id)
    plan = plan_revoke(_revoke("alice"), snapshot([ALICE, renamed]))
    assert only(plan, RemovePeers).keys == (key(ALICE.number), key(renamed.number))


@pytest.mark.parametrize("order", [_revoke(user_id=ALICE.id), _revoke(ALICE.id)])
def test_r1_user_is_found_by_id_too(order: RevokeOrder) -> None:
    plan = plan_revoke(order, snapshot([ALICE, BOB]))
    assert (full_report(plan).removed, plan.state.bars) == (["alice/laptop"], (_bar(ALICE),))


AWS_ID = "AIDACKCEVSQ6C2EXAMPLE"


@pytest.mark.parametrize(
    "order",
    [
        _revoke(AWS_ID.lower()),
        _revoke(f" {AWS_ID}\n"),
        _revoke(user_id=f" {AWS_ID.lower()} "),
        _revoke(f" {AWS_ID.lower()}/laptop "),
        _revoke(" ALICE "),
    ],
)
def test_name_or_id_is_understood_in_any_case_and_with_blanks_around(order: RevokeOrder) -> None:
    alice = ALICE._replace(user_id=AWS_ID)
    plan = plan_revoke(order, snapshot([alice, BOB]))
    assert (full_report(plan).removed, plan.report.problems) == (["alice/laptop"], [])
    assert [bar.user_id for bar in plan.state.bars] == [AWS_ID]


def test_id_of_nobody_is_barred_as_iam_spells_it() -> None:
    plan = plan_revoke(_revoke(AWS_ID.lower()), snapshot([BOB]))
    assert [bar.user_name for bar in plan.state.bars] == [AWS_ID]


def test_r1_id_outweighs_a_name() -> None:
    again = ALICE._replace(number=7, user_id="AIDANEW")
    plan = plan_revoke(_revoke("alice", user_id=ALICE.id), snapshot([ALICE, again]))
    assert only(plan, RemovePeers).keys == (key(ALICE.number),)


def test_name_of_two_ids_takes_both_and_says_so() -> None:
    again = ALICE._replace(number=7, device="desktop", user_id="AIDANEW")
    plan = plan_revoke(_revoke("alice"), snapshot([ALICE, again, BOB]))
    assert full_report(plan).removed == ["alice/laptop", "alice/desktop"]
    assert plan.state.bars == (_bar(ALICE), _bar(again))
    (problem,) = plan.report.problems
    assert problem.startswith("alice is more than one user here, and all are barred: alice/laptop (AIDAALICE in acc")
    assert problem.endswith('run reconcile once with -e \'{"vpn_release_revoked": ["AIDA…"]}\'')


@pytest.mark.parametrize("order", [_revoke("Alice", account_id=OTHER), _revoke(ALICE.id, account_id=OTHER)])
def test_r16_account_that_does_not_fit_bars_nobody_and_names_the_one_that_does(order: RevokeOrder) -> None:
    plan = plan_revoke(order, snapshot([ALICE, BOB]))
    assert (plan.steps, plan.state.bars) == ((), ())
    (problem,) = plan.report.problems
    assert problem == (
        f"{order.whom.name} of account 999999999999 is nobody on wg0: no peer was taken off, and nobody is barred. Who "
        "is called so here: alice/laptop (AIDAALICE in account 111122223333). If that is who is meant, repeat it with "
        'the account, -e \'{"revoke_account_id": "111122223333"}\'; if not, find out the right account or name'
    )


def test_r4_r6_recorded_word_bars_whom_an_older_roster_may_bring_although_the_name_is_elsewhere_too() -> None:
    plan = plan_revoke(_revoke("alice", 9, account_id=OTHER), snapshot([ALICE, BOB]))
    assert plan.state.bars == (Bar("alice", account_id=OTHER, generation=9),)
    assert len(plan.report.problems) == 1


def test_name_of_nobody_in_an_account_is_barred_there_and_the_account_is_named() -> None:
    plan = plan_revoke(_revoke("carol", account_id=OTHER), snapshot([ALICE, BOB]))
    (problem,) = plan.report.problems
    assert problem.startswith("carol of account 999999999999 is nobody on wg0: no peer was taken off, but the name")
    assert plan.state.bars == (Bar("carol", account_id=OTHER),)


def test_r4_user_of_another_interface_is_barred_by_id_here_too_without_a_complaint() -> None:
    second = snapshot([ALICE], site=SITE._replace(name="wg1"))
    plan = plan_revoke(_revoke("alice"), snapshot([BOB]), [second])
    assert (actions(plan), plan.state.bars, plan.report.problems) == (["RecordState"], (_bar(ALICE),), [])


def test_nobody_is_said_of_all_interfaces_in_the_same_words() -> None:
    first, second = snapshot([ALICE]), snapshot([BOB], site=SITE._replace(name="wg1"))
    problems = [plan_revoke(_revoke("alcie"), *each).report.problems for each in [(first, [second]), (second, [first])]]
    assert problems[0] == problems[1]
    assert problems[0][0].startswith("alcie is nobody on wg0, wg1: ")


def test_interface_that_is_not_there_gets_no_state_where_others_are() -> None:
    absent = snapshot([], config_text="", site=SITE._replace(name="wg9"), link=None, device=None, state=None)
    plan = plan_revoke(_revoke("alice"), absent, [snapshot([ALICE])])
    assert (plan.steps, plan.report.problems) == ((), [])
    assert actions(plan_revoke(_revoke("alice"), absent)) == ["RecordState"]
    (problem,) = plan_revoke(_revoke("bob"), snapshot([ALICE]), [absent]).report.problems
    assert problem.startswith("bob is nobody on wg0: ")


def test_name_of_nobody_is_a_problem_that_names_the_nearest_and_is_barred_all_the_same() -> None:
    plan = plan_revoke(_revoke("alcie"), snapshot([ALICE, BOB]))
    (problem,) = plan.report.problems
    assert problem == (
        "alcie is nobody on wg0: no peer was taken off, but the name is barred. The nearest names: alice"
    )
    assert (actions(plan), plan.state.bars) == (["RecordState"], (Bar("alcie"),))
    assert len(plan_revoke(_revoke("alcie"), _after(plan)).report.problems) == 1


def test_device_that_a_user_does_not_have_is_a_problem_that_names_those_there_are() -> None:
    plan = plan_revoke(_revoke("alice/tablet"), snapshot([ALICE, PHONE, BOB]))
    (problem,) = plan.report.problems
    assert problem.startswith("alice/tablet is nobody on wg0")
    assert "alice/laptop" in problem
    assert "alice/phone" in problem
    assert plan.state.bars == (_bar(ALICE, device="tablet"),)


def test_nothing_like_a_name_is_said_to_be_there() -> None:
    (problem,) = plan_revoke(_revoke("zoe"), snapshot([ALICE, BOB])).report.problems
    assert problem.endswith("The nearest names: none is alike")


@pytest.mark.parametrize("generation", [0, 5, 6])
def test_r6_revocation_leaves_the_generation_as_it_is(generation: int) -> None:
    plan = plan_revoke(_revoke("alice", generation), snapshot([ALICE, BOB], generation=5))
    assert plan.state.bars == (_bar(ALICE, generation),)
    assert (plan.state.generation, plan.state.content, plan.report.generation) == (
        5,
        saved_state(snapshot([ALICE, BOB], generation=5)).content,
        5,
    )


@pytest.mark.parametrize("generation", [1, 4])
def test_r6_revocation_whose_record_a_later_roster_has_read_changes_nothing(generation: int) -> None:
    plan = plan_revoke(_revoke("carol", generation), snapshot([ALICE], generation=5))
    assert (plan.steps, plan.state.bars, plan.report.stale, plan.report.problems) == ((), (), True, [])


def test_r6_peer_whom_a_later_roster_has_all_the_same_stays_and_is_named() -> None:
    plan = plan_revoke(_revoke("alice", 4), snapshot([ALICE], generation=5))
    assert (plan.steps, plan.state.bars) == ((), ())
    (problem,) = plan.report.problems
    assert problem.startswith("alice/laptop: left connected, since the roster of generation 5 was made after this")


def test_second_word_about_the_same_user_needs_no_step() -> None:
    first = plan_revoke(_revoke("alice"), snapshot([ALICE, BOB]))
    for word in ("alice", "ALICE", "alice/laptop"):
        again = plan_revoke(_revoke(word), _after(first))
        assert again.report.problems == []
    assert plan_revoke(_revoke("alice"), _after(first)).steps == ()


def test_second_word_is_known_by_the_bar_once_the_removal_is_acknowledged() -> None:
    first = plan_revoke(_revoke("alice"), snapshot([ALICE, BOB]))
    acknowledged = replace(first.afterwards, state=replace(first.state, removals=()))
    again = plan_revoke(_revoke("Alice"), acknowledged)
    assert (again.steps, again.report.problems) == ((), [])


@pytest.mark.parametrize(
    ("words", "generation"), [([0, 9], 0), ([9, 0], 0), ([9, 8], 9), ([8, 9], 9), ([0, 0], 0), ([9, 9], 9)]
)
def test_r6_of_two_words_about_the_same_user_the_one_counts_whose_bar_ends_later(
    words: list[int], generation: int
) -> None:
    gateway = snapshot([ALICE, BOB], generation=5)
    for word in words:
        gateway = _after(plan_revoke(_revoke("alice", word), gateway))
    assert saved_state(gateway).bars == (_bar(ALICE, generation),)


def test_live_peers_without_a_name_are_told_if_nobody_is_meant() -> None:
    gateway = snapshot([BOB], device=device([Person("x", number) for number in range(10, 17)]))
    (problem,) = plan_revoke(_revoke("alice"), gateway).report.problems
    assert "7 live peers have no name: " in problem
    assert problem.endswith("`wg set wg0 peer KEY remove`")
    assert problem.count("=") == 5  # so many keys are shown


def test_live_peers_without_a_name_are_noticed_if_whom_the_registry_means_is_nobody_here() -> None:
    strangers = snapshot([BOB], generation=5, device=device([BOB, Person("x", 12)]))
    dave = _revoke(generation=9, user_id="AIDADAVE", account_id="111122223333")
    report = plan_revoke(dave, strangers).report
    assert (len(report.notices), report.problems) == (1, [])
    assert report.notices[0].startswith(f"1 live peers have no name: {key(12)}")
    bob = _revoke(generation=9, user_id=BOB.id, account_id="111122223333")
    assert plan_revoke(bob, strangers).report.notices == [], "bob is one of the others"
    assert plan_revoke(_revoke("dave"), strangers).report.notices == [], "a name is doubtful, which is a problem"


def test_peer_that_only_the_state_names_is_meant_too() -> None:
    gateway = snapshot([ALICE, BOB])
    begun = plan_revoke(_revoke("alice"), gateway).steps[0].action
    assert isinstance(begun, RecordState)
    later = snapshot([BOB], device=device([ALICE, BOB]), state=replace(begun.state, bars=()))
    assert only(plan_revoke(_revoke("alice"), later), RemovePeers).keys == (key(ALICE.number),)


def test_unreadable_device_is_a_problem_and_nobody_is_noted_as_off() -> None:
    gateway = snapshot([ALICE], device=None, device_error=CommandError("unreadable"))
    plan = plan_revoke(_revoke("alice"), gateway)
    assert plan.report.problems == ["unreadable"]
    assert [each.removed_at for each in plan.state.removals] == [None]


def test_r2_expired_peer_is_taken_off_and_the_next_expiry_noted() -> None:
    gateway = snapshot([EXPIRED, LATER])
    plan = plan_expire(gateway)
    assert actions(plan) == [*REMOVAL, "WriteFile"]
    assert full_report(plan).removed == ["alice/laptop"]
    assert [(each.reason, each.removed_at) for each in plan.state.removals] == [("expired", NOW)]
    assert plan.steps[-1].action == WriteFile(SITE.next_expiry, _next_expiry(NOW + 60, plan.afterwards))
    assert plan.afterwards.config_text != gateway.config_text


def _next_expiry(at: int, gateway: Snapshot) -> str:
    return f"{at} {hashlib.sha256(gateway.config_text.encode()).hexdigest()}\n"


def test_nobody_expires_before_the_time_and_only_that_is_noted() -> None:
    gateway = snapshot([LATER])
    plan = plan_expire(gateway)
    assert [step.action for step in plan.steps] == [WriteFile(SITE.next_expiry, _next_expiry(NOW + 60, gateway))]


def test_without_any_expiry_there_is_nothing_to_do_for_ever() -> None:
    (step,) = plan_expire(snapshot([ALICE])).steps
    assert isinstance(step.action, WriteFile)
    assert int(step.action.text.split()[0]) > 2**33


def test_expiry_does_not_bar_who_renews() -> None:
    assert plan_expire(snapshot([EXPIRED])).state.bars == ()


def test_killed_expiry_is_completed_although_the_file_names_nobody_any_more() -> None:
    begun = plan_expire(snapshot([EXPIRED, BOB])).steps[0].action
    assert isinstance(begun, RecordState)
    later = snapshot([BOB], device=device([EXPIRED, BOB]), state=begun.state)
    plan = plan_expire(later)
    assert only(plan, RemovePeers).keys == (key(ALICE.number),)
    assert [each.removed_at for each in plan.state.removals] == [NOW]


def test_expiry_goes_by_the_file_alone_if_the_state_is_damaged() -> None:
    plan = plan_expire(snapshot([EXPIRED, BOB], state=None, state_error=StateError("corrupt")))
    assert actions(plan) == ["MoveAside", *REMOVAL, "WriteFile"]


def test_unreadable_device_leaves_the_timer_looking() -> None:
    gateway = snapshot([LATER], device=None, device_error=CommandError("unreadable"))
    plan = plan_expire(gateway)
    assert (plan.steps, plan.report.problems) == ((), ["unreadable"])


def test_expired_peer_is_sent_to_an_unreadable_device() -> None:
    gateway = snapshot([EXPIRED], device=None, device_error=CommandError("unreadable"))
    plan = plan_expire(gateway)
    assert actions(plan) == ["RecordState", "WriteFile", "RemovePeers"]
    assert plan.report.problems == ["unreadable"]
