# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What a gateway refuses whatever the controller decided: another world's roster, and one that empties it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.order import Origin, RefusedError, Revocation
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.plan_apply import (
    plan_rest,
    plan_revocations,
)
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.read import Snapshot
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.refusals import our_peers
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.state import State
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.steps import RecordState

from tests.support.snapshots import checked, device, full_report, order, snapshot
from tests.support.wireguard_host import NOW, REGISTRY, Person, key

ALICE, BOB, CAROL, DAVE = (Person(name, number) for number, name in enumerate(("alice", "bob", "carol", "dave"), 1))
RESTORED = REGISTRY._replace(table="restored", table_id="table-2")
OTHERS = [
    REGISTRY._replace(identity="77aa01"),
    REGISTRY._replace(account_id="999999999999"),
    REGISTRY._replace(region="us-east-1"),
    RESTORED,
]


def _left_out(people: Iterable[Person], reason: str, *, explained: bool = True) -> dict[str, Revocation]:
    return {key(one.number): Revocation(one.label(), reason, explained) for one in people}


@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize("accepted", ["", "yes", "true", REGISTRY.table, REGISTRY.identity])
def test_r16_roster_of_another_registry_is_refused_wholly(other: Origin, accepted: str) -> None:
    foreign = order(2, [BOB], revoked=[ALICE], registry=other, accept_registry=accepted)
    with pytest.raises(RefusedError) as refused:
        plan_revocations(foreign, snapshot([ALICE, BOB]))
    message = str(refused.value)
    assert "nothing was changed" in message
    assert str(other) in message
    assert str(REGISTRY) in message
    assert message.endswith(f"-e vpn_accept_registry={other.table_id}")


@pytest.mark.parametrize(("other", "kind"), [(OTHERS[0], "another registry"), (RESTORED, "a restored copy or a repl")])
def test_r16_refusal_tells_a_copy_from_another_registry(other: Origin, kind: str) -> None:
    with pytest.raises(RefusedError, match=kind):
        plan_revocations(order(2, [ALICE], registry=other), snapshot([ALICE]))


def test_r16_registry_of_the_first_roster_is_remembered_with_its_generation() -> None:
    plan = plan_revocations(order(2, [ALICE]), snapshot([ALICE], state=State(generation=1)))
    first = plan.steps[0].action
    assert isinstance(first, RecordState)
    assert (first.state.registry, first.state.generation) == (REGISTRY, 2)


def test_r16_other_registry_is_followed_once_its_table_is_named() -> None:
    accepted = order(2, [ALICE], registry=RESTORED, accept_registry=RESTORED.table_id)
    assert plan_rest(accepted, checked(accepted), snapshot([ALICE])).state.registry == RESTORED


@pytest.mark.parametrize("wanted", [[], [CAROL]])
def test_r16_r5_accepted_registry_that_would_take_everybody_off_is_not_followed(wanted: list[Person]) -> None:
    gateway = snapshot([ALICE, BOB])
    accepted = order(2, wanted, registry=RESTORED, accept_registry=RESTORED.table_id)
    revocations = plan_revocations(accepted, gateway)
    assert revocations.state.registry == REGISTRY
    with pytest.raises(RefusedError, match=r"peers off wg0 without a reason for 2 of them.*registry_import"):
        plan_rest(accepted, checked(accepted), replace(gateway, state=revocations.state))
    own = plan_revocations(order(1, [BOB], revoked=[ALICE]), replace(gateway, state=revocations.state))
    assert [each.name for each in own.state.removals] == ["alice/laptop"], "its own registry's rosters still count"
    later = order(3, wanted, registry=RESTORED)
    with pytest.raises(RefusedError, match="another table of the same registry"):
        plan_revocations(later, replace(gateway, state=revocations.state))


def test_r4_what_an_accepted_registry_revokes_goes_whatever_else_is_refused() -> None:
    accepted = order(2, [CAROL], revoked=[ALICE], registry=RESTORED, accept_registry=RESTORED.table_id)
    assert [each.name for each in plan_revocations(accepted, snapshot([ALICE, BOB])).state.removals] == ["alice/laptop"]


def test_r16_accepted_registry_is_followed_where_most_stay_or_have_another_key() -> None:
    gateway = snapshot([ALICE, BOB, CAROL])
    accepted = order(2, [ALICE, BOB._replace(number=71)], registry=RESTORED, accept_registry=RESTORED.table_id)
    assert plan_rest(accepted, checked(accepted), gateway).state.registry == RESTORED


def test_r6_r16_stale_roster_of_an_accepted_registry_binds_nobody_to_it() -> None:
    accepted = order(2, [ALICE], registry=RESTORED, accept_registry=RESTORED.table_id)
    plan = plan_revocations(accepted, snapshot([ALICE], generation=5))
    assert (plan.steps, plan.state.registry) == ((), REGISTRY)


def test_removals_of_the_older_registry_are_kept_until_they_are_acknowledged() -> None:
    removed = plan_revocations(order(2, [BOB], revoked=[ALICE]), snapshot([ALICE, BOB]))
    later = replace(removed.afterwards, state=removed.state)
    accepted = order(3, [BOB], registry=RESTORED, accept_registry=RESTORED.table_id)
    assert plan_revocations(accepted, later).state.removals == removed.state.removals


def test_r16_roster_whose_registry_was_left_while_it_was_checked_is_refused() -> None:
    gateway = snapshot([ALICE])
    assert gateway.state is not None
    moved = replace(gateway, state=replace(gateway.state, registry=RESTORED))
    wanted = order(1, [ALICE, BOB])
    with pytest.raises(RefusedError, match="vpn_accept_registry"):
        plan_rest(wanted, checked(wanted), moved)


def _rest(gateway: Snapshot, **changes: Any) -> None:
    wanted = order(2, [], **changes)
    plan_rest(wanted, checked(wanted), gateway)


def test_r5_roster_without_peers_is_refused_with_the_names_of_whom_it_does_not_explain() -> None:
    people = [Person(f"user{number}", number) for number in range(1, 9)]
    with pytest.raises(RefusedError) as refused:
        _rest(snapshot(people), excluded=_left_out(people[:1], "expired"))
    message = str(refused.value)
    assert "take the last of 8 peers off wg0 without a reason for 7 of them" in message
    assert "user2/laptop, user3/laptop, user4/laptop, user5/laptop, user6/laptop, and 2 more. Only its" in message


def test_r5_removals_that_only_a_sweep_explains_do_not_empty_a_gateway() -> None:
    absent = _left_out([ALICE, BOB], "not_in_sweep", explained=False)
    with pytest.raises(RefusedError, match="2 of them"):
        _rest(snapshot([ALICE, BOB]), excluded=absent)


def test_r5_gateway_is_emptied_once_each_peer_has_a_reason() -> None:
    expired = CAROL._replace(expires_at=NOW)
    in_roster = DAVE._replace(expires_at=NOW)
    gateway = snapshot([ALICE, BOB, expired, DAVE])
    reasons = {**_left_out([ALICE], "not_in_group"), **_left_out([BOB], "removed")}
    wanted = order(2, [in_roster], excluded=reasons)
    plan = plan_rest(wanted, checked(wanted), gateway)
    assert {each.name: each.reason for each in plan.state.removals} == {
        "alice/laptop": "not_in_group",
        "bob/laptop": "removed",
        "carol/laptop": "unknown",
        "dave/laptop": "expired",
    }


def test_r5_device_that_the_registry_gave_another_key_since_is_explained_by_its_label() -> None:
    _rest(snapshot([ALICE, BOB]), excluded=_left_out([ALICE._replace(number=9), BOB], "removed"))


def test_r5_last_peer_goes_as_any_other() -> None:
    _rest(snapshot([ALICE]))


def test_r5_peers_that_this_roster_revoked_count_among_those_that_were_there() -> None:
    wanted = order(2, [], revoked=[ALICE])
    revoked = plan_revocations(wanted, snapshot([ALICE, BOB]))
    with pytest.raises(RefusedError, match="last of 2 peers off wg0 without a reason for 1 of them: bob/laptop"):
        plan_rest(wanted, checked(wanted), replace(revoked.afterwards, state=revoked.state))


def test_r5_peers_of_a_lost_file_are_those_of_the_device() -> None:
    lost = snapshot([], config_text="", device=device([ALICE, BOB]))
    with pytest.raises(RefusedError, match="2 of them: peer "):
        _rest(lost)


def test_r5_peer_that_was_added_by_hand_beside_a_known_file_is_not_ours() -> None:
    tampered = snapshot([ALICE], device=device([ALICE, BOB]))
    assert our_peers(tampered).keys() == {key(ALICE.number)}
    _rest(tampered)


def test_r5_removal_that_an_earlier_roster_began_needs_no_other_reason() -> None:
    gateway = snapshot([ALICE, BOB, CAROL])
    begun = plan_rest(order(2, [CAROL]), checked(order(2, [CAROL])), gateway).steps[0].action
    assert isinstance(begun, RecordState)
    wanted = order(3, [], excluded=_left_out([CAROL], "removed"))
    plan = plan_rest(wanted, checked(wanted), replace(gateway, state=begun.state))
    assert set(full_report(plan).removed) == {"alice/laptop", "bob/laptop", "carol/laptop"}
