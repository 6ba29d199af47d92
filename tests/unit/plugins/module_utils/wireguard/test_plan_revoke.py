# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Taking peers off without a roster, planned."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.commands import CommandError
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.config import PeerLabel
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.order import RefusedError, RevokeOrder
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.plan_revoke import plan_expire, plan_revoke
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.state import StateError
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.steps import RecordState, RemovePeers, WriteFile

from tests.support.snapshots import SITE, actions, device, full_report, only, snapshot
from tests.support.wireguard_host import NOW, Person, key

ALICE, BOB = Person("alice", 1), Person("bob", 2)
PHONE = Person("alice", 3, device="phone")
EXPIRED, LATER = ALICE._replace(expires_at=NOW), BOB._replace(expires_at=NOW + 60)
REMOVAL = ["RecordState", "WriteFile", "RemovePeers", "RecordState"]


def test_r4_all_devices_of_a_user_are_barred_before_they_are_taken_off() -> None:
    plan = plan_revoke(RevokeOrder(PeerLabel("ALICE")), snapshot([ALICE, BOB, PHONE]))
    assert actions(plan) == REMOVAL
    first = plan.steps[0].action
    assert isinstance(first, RecordState)
    assert first.state.revoked.keys() == {key(ALICE.number), key(PHONE.number)}
    assert only(plan, RemovePeers).keys == (key(ALICE.number), key(PHONE.number))
    assert {each.reason for each in plan.state.removals} == {"revoked"}


@pytest.mark.parametrize(
    ("label", "means"),
    [
        (PeerLabel("alice"), True),
        (PeerLabel("Alice", "laptop"), True),
        (PeerLabel("alice", "Laptop"), False),
        (PeerLabel("alice", "phone"), False),
        (PeerLabel("alice", account_id="111122223333"), True),
        (PeerLabel("alice", account_id="999999999999"), False),
        (PeerLabel("alice", user_id="AIDAALICE"), True),
        (PeerLabel("alice", user_id="AIDAOTHER"), False),
        (PeerLabel("alic"), False),
    ],
)
def test_order_means_whoever_has_what_it_names(label: PeerLabel, means: bool) -> None:
    assert RevokeOrder(label).means(ALICE.label()) is means
    assert not RevokeOrder(label).means(PeerLabel())


def test_r6_generation_of_the_word_is_kept_if_it_is_the_highest() -> None:
    higher = plan_revoke(RevokeOrder(PeerLabel("alice"), generation=9), snapshot([ALICE], generation=5))
    lower = plan_revoke(RevokeOrder(PeerLabel("alice"), generation=4), snapshot([ALICE], generation=5))
    assert (higher.state.generation, higher.state.content, higher.report.generation) == (9, None, 9)
    assert (lower.state.generation, lower.report.generation) == (5, 5)


def test_second_word_about_the_same_user_needs_no_step() -> None:
    plan = plan_revoke(RevokeOrder(PeerLabel("alice")), snapshot([ALICE, BOB]))
    again = plan_revoke(RevokeOrder(PeerLabel("alice")), replace(plan.afterwards, state=plan.state))
    assert again.steps == ()


def test_live_peers_without_a_name_are_refused_if_nobody_else_is_meant() -> None:
    gateway = snapshot([BOB], device=device([Person("x", number) for number in range(10, 17)]))
    with pytest.raises(RefusedError, match=r"7 live peers have no name: .*wg set wg0 peer KEY remove") as error:
        plan_revoke(RevokeOrder(PeerLabel("alice")), gateway)
    assert str(error.value).count("=") == 5  # so many keys are shown


def test_peer_that_only_the_state_names_is_meant_too() -> None:
    gateway = snapshot([ALICE, BOB])
    begun = plan_revoke(RevokeOrder(PeerLabel("alice")), gateway).steps[0].action
    assert isinstance(begun, RecordState)
    forgotten = replace(begun.state, revoked={})
    later = snapshot([BOB], device=device([ALICE, BOB]), state=forgotten)
    assert only(plan_revoke(RevokeOrder(PeerLabel("alice")), later), RemovePeers).keys == (key(ALICE.number),)


def test_unreadable_device_is_a_problem_and_nobody_is_noted_as_off() -> None:
    gateway = snapshot([ALICE], device=None, device_error=CommandError("unreadable"))
    plan = plan_revoke(RevokeOrder(PeerLabel("alice")), gateway)
    assert plan.report.problems == ["unreadable"]
    assert [each.removed_at for each in plan.state.removals] == [None]


def test_r2_expired_peer_is_taken_off_and_the_next_expiry_noted() -> None:
    plan = plan_expire(snapshot([EXPIRED, LATER]))
    assert actions(plan) == [*REMOVAL, "WriteFile"]
    assert full_report(plan).removed == ["alice/laptop"]
    assert [(each.reason, each.removed_at) for each in plan.state.removals] == [("expired", NOW)]
    assert plan.steps[-1].action == WriteFile(SITE.next_expiry, f"{NOW + 60}\n")


def test_nobody_expires_before_the_time_and_only_that_is_noted() -> None:
    plan = plan_expire(snapshot([LATER]))
    assert [step.action for step in plan.steps] == [WriteFile(SITE.next_expiry, f"{NOW + 60}\n")]


def test_without_any_expiry_there_is_nothing_to_do_for_ever() -> None:
    (step,) = plan_expire(snapshot([ALICE])).steps
    assert isinstance(step.action, WriteFile)
    assert int(step.action.text) > 2**33


def test_expiry_does_not_bar_who_renews() -> None:
    assert plan_expire(snapshot([EXPIRED])).state.revoked == {}


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
