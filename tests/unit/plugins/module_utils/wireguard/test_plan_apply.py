# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Applying a roster, planned: neither root nor `wg` is needed to say what is to be done, and in which order."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.bars import Bar
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.commands import CommandError
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.config import body, digest
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.order import RefusedError, Revocation
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.plan import (
    known_state,
    report_interface,
    saved_state,
)
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.plan_apply import (
    plan_new_firewall,
    plan_rest,
    plan_revocations,
)
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.read import Snapshot
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.report import NewEnd
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.state import State, StateError
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.steps import (
    ChangeInterface,
    LoadFirewall,
    MoveAside,
    RecordFirewall,
    RecordState,
    RemovePeers,
    SetPeers,
    WriteFile,
)

from tests.support.snapshots import (
    FIREWALL,
    SITE,
    actions,
    checked,
    config_text,
    device,
    full_report,
    live,
    only,
    order,
    snapshot,
)
from tests.support.wireguard_host import NOW, REGISTRY, Person, key

NEW: dict[str, Any] = {"config_text": "", "firewall_text": "", "link": None, "device": None, "state": None}
ALICE, BOB, CAROL, DAVE = (Person(name, number) for number, name in enumerate(("alice", "bob", "carol", "dave"), 1))


def test_r11_rest_is_file_then_removals_then_updates_and_additions_then_read_back() -> None:
    wanted = order(2, [CAROL._replace(address=9), DAVE])
    plan = plan_rest(wanted, checked(wanted), snapshot([BOB, CAROL]))
    assert actions(plan) == ["RecordState", "WriteFile", "RemovePeers", "SetPeers", "ReadBack", "RecordState"]
    assert only(plan, RemovePeers).keys == (key(BOB.number),)
    report = full_report(plan)
    assert (report.removed, report.added, report.updated) == (
        ["bob/laptop"],
        ["dave/laptop"],
        {"carol/laptop": "allowed_ips"},
    )
    assert report.settings == ["file"]


def test_same_roster_again_needs_no_step() -> None:
    wanted = order(1, [ALICE, BOB])
    gateway = snapshot([ALICE, BOB])
    assert plan_revocations(wanted, gateway).steps == ()
    assert plan_rest(wanted, checked(wanted), gateway).steps == ()


def test_r7_who_stays_the_same_is_in_no_step() -> None:
    wanted = order(2, [ALICE, BOB, CAROL])
    plan = plan_rest(wanted, checked(wanted), snapshot([ALICE, BOB]))
    difference = only(plan, SetPeers).difference
    assert [peer.public_key for peer in difference.added] == [key(CAROL.number)]
    assert (difference.removed, difference.updated) == ((), ())


def test_r4_revocation_is_recorded_then_out_of_the_file_then_off_the_device_then_done() -> None:
    plan = plan_revocations(order(2, [BOB], revoked=[ALICE]), snapshot([ALICE, BOB]))
    assert actions(plan) == ["RecordState", "WriteFile", "RemovePeers", "RecordState"]
    assert [step.urgent for step in plan.steps] == [True, True, True, False]
    begun = plan.steps[0].action
    assert isinstance(begun, RecordState)
    assert [(each.name, each.reason, each.removed_at) for each in begun.state.removals] == [
        ("alice/laptop", "tombstoned", None)
    ]
    assert [each.removed_at for each in plan.state.removals] == [NOW]
    assert key(ALICE.number) not in only(plan, WriteFile).text
    assert only(plan, RemovePeers).keys == (key(ALICE.number),)


def test_r4_state_and_file_stay_in_step_at_every_record_of_a_revocation() -> None:
    gateway = snapshot([ALICE, BOB])
    plan = plan_revocations(order(2, [BOB], revoked=[ALICE]), gateway)
    for step in plan.steps:
        if isinstance(step.action, RecordState):
            assert digest(body(gateway.config_text)) in step.action.state.config
            assert digest(body(plan.afterwards.config_text)) in step.action.state.config


def test_r4_peer_that_is_only_on_the_device_is_taken_off_without_touching_the_file() -> None:
    gateway = snapshot([BOB], device=device([ALICE, BOB]))
    plan = plan_revocations(order(2, [BOB], revoked=[ALICE]), gateway)
    assert actions(plan) == ["RecordState", "RemovePeers", "RecordState"]
    assert full_report(plan).removed == ["alice/laptop"]


def test_r4_peer_that_is_only_in_the_file_is_taken_out_of_it() -> None:
    gateway = snapshot([ALICE, BOB], device=device([BOB]))
    plan = plan_revocations(order(2, [BOB], revoked=[ALICE]), gateway)
    assert actions(plan) == ["RecordState", "WriteFile", "RecordState"]
    assert full_report(plan).removed == ["alice/laptop"]


def test_r4_unreadable_device_is_sent_every_revocation_and_none_is_noted_as_done() -> None:
    gateway = snapshot([BOB], device=None, device_error=CommandError("unreadable"))
    plan = plan_revocations(order(2, [BOB], revoked=[ALICE, CAROL]), gateway)
    assert only(plan, RemovePeers).keys == (key(ALICE.number), key(CAROL.number))
    assert plan.state.removals == ()


def test_r4_revoked_who_is_still_in_the_file_of_an_unreadable_device_stays_barred() -> None:
    gateway = snapshot([ALICE, BOB], device=None, device_error=CommandError("unreadable"))
    plan = plan_revocations(order(2, [BOB], revoked=[ALICE]), gateway)
    assert plan.state.pending().keys() == {key(ALICE.number)}


def test_r4_removal_that_a_killed_run_began_is_not_recorded_twice() -> None:
    gateway = snapshot([ALICE, BOB])
    begun = plan_revocations(order(2, [BOB], revoked=[ALICE]), gateway).steps[0].action
    assert isinstance(begun, RecordState)
    again = plan_revocations(order(2, [BOB], revoked=[ALICE]), replace(gateway, state=begun.state))
    assert [each.id for each in again.state.removals] == [each.id for each in begun.state.removals]
    assert [each.removed_at for each in again.state.removals] == [NOW]


def test_r6_older_roster_changes_nothing_and_says_which_generation_was_here() -> None:
    plan = plan_revocations(order(4, [], revoked=[ALICE]), snapshot([ALICE], generation=5))
    assert (plan.steps, plan.report.stale, plan.report.generation) == ((), True, 5)


def test_what_the_words_of_an_operator_end_and_which_hit_nothing_is_noticed() -> None:
    gateway = snapshot([ALICE, BOB])
    assert gateway.state is not None
    barred = replace(gateway, state=replace(gateway.state, bars=(Bar("bob", user_id="AIDABOB"),)))
    said = plan_revocations(order(2, [ALICE], release_revoked=["kym", " ", "bob"], accept_registry="table-9"), barred)
    released = "no longer barred here, by vpn_release_revoked: bob"
    assert said.report.notices == [
        released,
        "vpn_release_revoked names nobody who is barred here: kym; barred: bob",
        "vpn_accept_registry is table-9, and this roster is of table id table-1: nothing was accepted",
    ]
    by_id = order(2, [ALICE], release_revoked=["AIDABOB"], accept_registry=REGISTRY.table_id)
    assert plan_revocations(by_id, barred).report.notices == [released]
    assert plan_revocations(order(2, [ALICE]), barred).report.notices == []


def test_awaited_peer_that_has_had_a_handshake_is_reported_as_used() -> None:
    silent = live(ALICE)
    connected = live(BOB, latest_handshake=str(NOW - 5))
    found = device([])._replace(peers={silent.public_key: silent, connected.public_key: connected})
    wanted = order(2, [ALICE, BOB], awaited=[silent.public_key, connected.public_key, key(77)])
    plan = plan_rest(wanted, checked(wanted), snapshot([ALICE, BOB], device=found))
    assert full_report(plan).used == {connected.public_key: BOB.label()}
    (used,) = full_report(plan).result("wg0")["used"]
    assert (used["user_name"], used["public_key"]) == ("bob", connected.public_key)
    assert not full_report(plan).changed
    quiet = order(2, [ALICE, BOB])
    assert full_report(plan_rest(quiet, checked(quiet), snapshot([ALICE, BOB], device=found))).used == {}


def test_older_roster_still_acknowledges_removals() -> None:
    gateway = snapshot([BOB], generation=5)
    removed = plan_revocations(order(5, [BOB], revoked=[ALICE]), replace(gateway, device=device([ALICE, BOB]))).state
    (removal,) = removed.removals
    plan = plan_revocations(order(4, [], acknowledge=[removal.id]), replace(gateway, state=removed))
    assert (actions(plan), plan.state.removals, plan.report.stale) == (["RecordState"], (), True)


def test_r6_roster_that_was_overtaken_while_it_was_checked_changes_nothing() -> None:
    wanted = order(2, [BOB])
    plan = plan_rest(wanted, checked(wanted), snapshot([ALICE], generation=3))
    assert (plan.steps, plan.report.stale, plan.report.generation) == ((), True, 3)


def test_r6_lost_state_takes_its_generation_from_the_file() -> None:
    plan = plan_revocations(order(4, []), snapshot([ALICE], generation=5, state=None))
    assert (plan.report.stale, plan.state.generation) == (True, 5)


def test_r6_generation_is_recorded_before_anything_else() -> None:
    plan = plan_revocations(order(7, [ALICE]), snapshot([ALICE]))
    assert (actions(plan), plan.state.generation, plan.state.content) == (["RecordState"], 7, None)


def test_damaged_state_is_set_aside_before_a_new_one_is_written() -> None:
    gateway = snapshot([ALICE, BOB], state=None, state_error=StateError("wg0.json is corrupt"))
    plan = plan_revocations(order(2, [BOB], revoked=[ALICE]), gateway)
    assert actions(plan)[0] == "MoveAside"
    assert only(plan, MoveAside).aside.name == f"wg0.json.corrupt-{NOW}"
    (repaired,) = full_report(plan).repaired
    assert repaired.startswith("wg0.json is corrupt; moved to ")


def test_foreign_interface_is_refused() -> None:
    gateway = snapshot([], config_text="[Interface]\n# his\n[Peer]\nPublicKey = " + key(9) + "\n", state=None)
    with pytest.raises(RefusedError, match="was not made by this collection"):
        plan_revocations(order(1, [ALICE]), gateway)


def test_foreign_interface_without_a_file_is_refused_with_its_peers() -> None:
    gateway = snapshot([], config_text="", state=None, device=device([ALICE]))
    with pytest.raises(RefusedError, match=key(ALICE.number).replace("+", r"\+")):
        plan_revocations(order(1, [ALICE]), gateway)


def test_r2_expired_peer_of_the_roster_is_no_peer_and_its_reason_is_the_clock() -> None:
    expired = ALICE._replace(expires_at=NOW)
    wanted = order(2, [expired, BOB])
    plan = plan_rest(wanted, checked(wanted), snapshot([expired, BOB]))
    assert [(each.name, each.reason) for each in plan.state.removals] == [("alice/laptop", "expired")]
    assert plan.report.expired == ["alice/laptop"]
    assert key(ALICE.number) not in only(plan, WriteFile).text


def _barred(gateway: Snapshot, *bars: Bar) -> Snapshot:
    return replace(gateway, state=replace(saved_state(gateway), bars=bars))


BAR = Bar("alice", "", "111122223333", ALICE.id)


def test_r6_bar_keeps_a_peer_with_a_new_key_out_of_an_older_roster() -> None:
    gateway = _barred(snapshot([BOB]), BAR._replace(generation=9))
    wanted = order(9, [ALICE._replace(number=77), BOB])
    begun = plan_revocations(wanted, gateway)
    assert begun.state.bars == (BAR._replace(generation=9),)
    plan = plan_rest(wanted, checked(wanted), replace(begun.afterwards, state=begun.state))
    assert "SetPeers" not in actions(plan)
    assert (plan.report.barred, plan.report.problems) == (["alice/laptop"], [])
    assert key(77) not in plan.afterwards.config_text


def test_r6_bar_ends_with_a_roster_of_a_higher_generation_whatever_that_decided() -> None:
    gateway = _barred(snapshot([BOB]), BAR._replace(generation=9))
    assert plan_revocations(order(10, [ALICE, BOB]), gateway).state.bars == ()
    assert plan_revocations(order(9, [ALICE, BOB]), gateway).state.bars == (BAR._replace(generation=9),)


def test_r6_bar_that_the_registry_did_not_get_outlives_newer_rosters_which_say_so() -> None:
    gateway = _barred(snapshot([BOB]), BAR)
    wanted = order(2, [ALICE, BOB])
    begun = plan_revocations(wanted, gateway)
    plan = plan_rest(wanted, checked(wanted), replace(begun.afterwards, state=begun.state))
    assert (plan.state.bars, plan.report.barred) == ((BAR,), ["alice/laptop"])
    (problem,) = plan.report.problems
    assert problem == (
        "alice/laptop: in the roster of generation 2, but barred on this gateway by a revocation of alice that the "
        "registry didn't get; kept out. Repeat the revocation, or release it: run reconcile once with "
        '-e \'{"vpn_release_revoked": ["alice"]}\''
    )


def test_bar_that_keeps_nobody_out_is_no_problem() -> None:
    gateway = _barred(snapshot([BOB]), BAR)
    wanted = order(2, [BOB])
    assert plan_revocations(wanted, gateway).state.bars == (BAR,)
    assert plan_rest(wanted, checked(wanted), gateway).report.problems == []


def test_r6_bar_that_the_registry_did_not_get_ends_with_the_registrys_own_record() -> None:
    gateway = _barred(snapshot([BOB]), BAR)
    assert plan_revocations(order(2, [BOB], revoked=[ALICE]), gateway).state.bars == ()


def test_r6_roster_whose_peers_are_not_known_ends_only_bars_by_its_generation() -> None:
    bars = BAR, Bar("bob", generation=1)
    unknown = order(2, [], revoked=[ALICE], config=None)
    assert plan_revocations(unknown, _barred(snapshot([ALICE, BOB]), *bars)).state.bars == (BAR,)


def test_r6_record_about_one_device_does_not_end_a_bar_on_the_user() -> None:
    phone = ALICE._replace(number=7, device="phone")
    gateway = _barred(snapshot([BOB]), BAR)
    assert plan_revocations(order(2, [phone, BOB], revoked=[ALICE]), gateway).state.bars == (BAR,)
    laptop = BAR._replace(device="laptop")
    assert plan_revocations(order(2, [phone, BOB], revoked=[ALICE]), _barred(gateway, laptop)).state.bars == ()


@pytest.mark.parametrize(
    ("names", "released"),
    [
        (["Alice"], True),
        ([" alice "], True),
        (["alice/laptop"], False),
        ([ALICE.id.lower()], True),
        (["bob", "alice"], True),
        (["True"], False),
        (["yes"], False),
        ([""], False),
        ([], False),
    ],
)
def test_r6_bar_is_released_by_name_alone(names: list[str], released: bool) -> None:
    gateway = _barred(snapshot([BOB]), BAR)
    left = () if released else (BAR,)
    assert plan_revocations(order(2, [ALICE, BOB], release_revoked=names), gateway).state.bars == left


@pytest.mark.parametrize(("name", "released"), [("Alice/Laptop", True), ("alice", True), ("alice/phone", False)])
def test_r6_bar_on_a_device_is_released_by_its_label_or_its_user(name: str, released: bool) -> None:
    gateway = _barred(snapshot([BOB]), BAR._replace(device="laptop"))
    assert bool(plan_revocations(order(2, [BOB], release_revoked=[name]), gateway).state.bars) is not released


def test_r6_bar_by_name_keeps_out_who_was_nobody_here() -> None:
    gateway = _barred(snapshot([BOB]), Bar("CAROL", generation=9))
    wanted = order(5, [BOB, CAROL])
    assert plan_rest(wanted, checked(wanted), gateway).report.barred == ["carol/laptop"]


def test_r6_r16_bars_of_another_registry_are_ended_by_no_run_of_the_new_one() -> None:
    other = REGISTRY._replace(identity="77aa01", table_id="table-7")
    gateway = _barred(snapshot([BOB]), BAR._replace(generation=9))
    accepted = order(10, [ALICE, BOB], registry=other, accept_registry="table-7")
    assert plan_rest(accepted, checked(accepted), gateway).state.bars == (BAR,)
    recorded = order(10, [BOB], revoked=[ALICE], registry=other, accept_registry="table-7")
    assert plan_rest(recorded, checked(recorded), gateway).state.bars == ()


def test_r4_barred_peer_that_a_killed_revocation_left_in_the_file_is_taken_off() -> None:
    gateway = _barred(snapshot([ALICE, BOB]), BAR)
    plan = plan_revocations(order(2, [ALICE, BOB]), gateway)
    assert only(plan, RemovePeers).keys == (key(ALICE.number),)
    assert [(each.name, each.reason) for each in plan.state.removals] == [("alice/laptop", "revoked")]


def test_excluded_peer_is_removed_for_the_rosters_reason_and_another_as_unknown_to_it() -> None:
    excluded = {key(ALICE.number): Revocation(ALICE.label(), "not_in_group")}
    wanted = order(2, [CAROL], excluded=excluded)
    plan = plan_rest(wanted, checked(wanted), snapshot([ALICE, BOB, CAROL]))
    assert {each.name: each.reason for each in plan.state.removals} == {
        "alice/laptop": "not_in_group",
        "bob/laptop": "unknown",
    }


def test_key_of_a_device_that_has_another_one_in_the_roster_was_replaced() -> None:
    wanted = order(2, [ALICE._replace(number=71, address=ALICE.number), BOB])
    plan = plan_rest(wanted, checked(wanted), snapshot([ALICE, BOB]))
    assert [(each.name, each.public_key, each.reason) for each in plan.state.removals] == [
        ("alice/laptop", key(ALICE.number), "key_replaced")
    ]


def test_peer_that_nothing_names_is_drift_and_leaves_no_receipt() -> None:
    wanted = order(1, [BOB])
    plan = plan_rest(wanted, checked(wanted), snapshot([BOB], device=device([BOB, Person("mallory", 99)])))
    assert full_report(plan).repaired == [f"peer {key(99)} added by hand"]
    assert plan.state.removals == ()


def test_r8_peer_that_the_file_has_as_wanted_is_drift() -> None:
    gateway = snapshot([ALICE, BOB])
    assert gateway.device is not None
    peers = {key(ALICE.number): live(ALICE, allowed_ips="0.0.0.0/0")}
    tampered = replace(gateway, device=gateway.device._replace(peers=peers))
    wanted = order(1, [ALICE, BOB])
    report = full_report(plan_rest(wanted, checked(wanted), tampered))
    assert report.repaired == ["bob/laptop missing on the device", "alice/laptop with other allowed_ips"]
    assert (report.added, report.updated) == ([], {})


@pytest.mark.parametrize(
    ("text", "what"), [("", "file missing or empty"), ("# mine\n", "file not as the last apply left it")]
)
def test_r8_file_that_is_not_the_last_one_is_drift(text: str, what: str) -> None:
    wanted = order(1, [BOB])
    report = full_report(plan_rest(wanted, checked(wanted), snapshot([BOB], config_text=text)))
    assert (report.repaired, report.settings) == ([what], [])


@pytest.mark.parametrize(("firewall", "settings", "repaired"), [(FIREWALL, [], ["firewall"]), ("x", ["firewall"], [])])
def test_r8_firewall_that_was_loaded_before_is_drift_and_a_new_one_is_not(
    firewall: str, settings: list[str], repaired: list[str]
) -> None:
    wanted = order(1, [BOB], firewall=firewall)
    plan = plan_new_firewall(wanted, checked(wanted, load_firewall=True), snapshot([BOB]))
    assert (full_report(plan).settings, full_report(plan).repaired) == (settings, repaired)
    assert plan.state.firewall == (digest(firewall),)


@pytest.mark.parametrize("before", [(digest(FIREWALL),), (digest("older"), digest(FIREWALL))])
def test_r13_the_last_firewall_and_the_new_one_are_known_while_the_file_is_replaced(before: tuple[str, ...]) -> None:
    gateway = snapshot([BOB])
    wanted = order(1, [BOB], firewall="new")
    known = replace(gateway, state=replace(saved_state(gateway), firewall=before))
    plan = plan_new_firewall(wanted, checked(wanted, load_firewall=True), known)
    assert [step.action for step in plan.steps] == [
        RecordFirewall((digest(FIREWALL), digest("new"))),
        WriteFile(SITE.firewall, "new"),
        LoadFirewall("new"),
        RecordFirewall((digest("new"),)),
    ]


def test_firewall_that_is_loaded_needs_no_step() -> None:
    wanted = order(2, [BOB])
    assert plan_new_firewall(wanted, checked(wanted), snapshot([BOB])).steps == ()


def test_r5_firewall_of_a_roster_that_would_empty_the_gateway_is_not_loaded() -> None:
    wanted = order(2, [], firewall="new")
    with pytest.raises(RefusedError, match="last of 2 peers"):
        plan_new_firewall(wanted, checked(wanted, load_firewall=True), snapshot([ALICE, BOB]))


def test_r6_firewall_of_a_roster_that_was_overtaken_is_not_loaded() -> None:
    wanted = order(2, [BOB], firewall="new")
    plan = plan_new_firewall(wanted, checked(wanted, load_firewall=True), snapshot([BOB], generation=3))
    assert (plan.steps, plan.report.stale, plan.report.generation) == ((), True, 3)


@pytest.mark.parametrize(("ahead", "told"), [(300, False), (301, True), (-86400, False)])
def test_r6_roster_from_the_future_is_applied_and_reported(ahead: int, told: bool) -> None:
    wanted = order((NOW + ahead) * 1000, [ALICE, BOB])
    plan = plan_rest(wanted, checked(wanted), snapshot([ALICE]))
    assert full_report(plan).added == ["bob/laptop"]
    assert [" is 5 minutes ahead of this gateway's clock. It was applied" in each for each in plan.report.problems] == (
        [True] if told else []
    )


@pytest.mark.parametrize(("age", "told"), [(3600, False), (3601, True)])
def test_roster_that_is_old_by_the_gateways_clock_is_applied_and_the_clocks_are_reported(age: int, told: bool) -> None:
    wanted = order(2, [ALICE, BOB], made_at=NOW - age)
    plan = plan_rest(wanted, checked(wanted), snapshot([ALICE]))
    assert full_report(plan).added == ["bob/laptop"]
    assert ["made 60 minutes ago by this gateway's clock" in each for each in plan.report.notices] == [True] * told


def test_killed_removal_of_a_peer_that_is_wanted_again_and_never_left_is_forgotten() -> None:
    gateway = snapshot([ALICE, BOB])
    begun = plan_revocations(order(2, [BOB], revoked=[ALICE]), gateway).steps[0].action
    assert isinstance(begun, RecordState)
    wanted = order(3, [ALICE, BOB])
    plan = plan_rest(wanted, checked(wanted), replace(gateway, state=begun.state))
    assert plan.state.removals == ()


def test_new_gateway_gets_file_and_state_and_its_start_adds_the_peers() -> None:
    wanted = order(1, [ALICE])
    gateway = snapshot([], **{**NEW, "state": State(generation=1)})
    plan = plan_rest(wanted, checked(wanted, load_firewall=True), gateway)
    assert actions(plan) == ["RecordState", "WriteFile"]
    assert (full_report(plan).added, full_report(plan).settings) == (["alice/laptop"], ["interface missing", "file"])
    assert plan.state.content is None


def test_ids_of_removals_differ_between_gateways() -> None:
    ids: set[str] = set()
    for seed in ("00", "01"):
        plan = plan_revocations(order(2, [], revoked=[ALICE]), snapshot([ALICE, BOB], seed=seed))
        ids.update(each.id for each in plan.state.removals)
    assert len(ids) == 2
    assert {len(each) for each in ids} == {16}


def test_last_handshake_is_in_the_record() -> None:
    gateway = snapshot([ALICE])
    assert gateway.device is not None
    peers = {key(ALICE.number): live(ALICE, latest_handshake="1790000000")}
    seen = replace(gateway, device=gateway.device._replace(peers=peers))
    plan = plan_revocations(order(2, [], revoked=[ALICE]), seen)
    assert [each.last_handshake for each in plan.state.removals] == [1_790_000_000]
    assert SITE.config == only(plan, WriteFile).file


def test_fingerprint_in_the_record_is_the_first_16_digits_of_the_keys_digest() -> None:
    plan = plan_revocations(order(2, [], revoked=[ALICE]), snapshot([ALICE]))
    assert [each.fingerprint for each in plan.state.removals] == [digest(key(ALICE.number))[:16]]


def test_r4_damaged_state_is_set_aside_although_an_earlier_step_has_failed() -> None:
    gateway = snapshot([ALICE], state=None, state_error=StateError("wg0.json is corrupt"))
    first = plan_revocations(order(2, [], revoked=[ALICE]), gateway).steps[0]
    assert (type(first.action), first.urgent) == (MoveAside, True)


def test_r6_new_gateway_has_had_no_generation() -> None:
    assert known_state(snapshot([], **NEW)) == State(generation=0)


def test_foreign_file_without_its_interface_is_refused() -> None:
    gateway = snapshot([], **{**NEW, "config_text": "[Interface]\n# his\n"})
    with pytest.raises(RefusedError, match="its peers: none"):
        plan_revocations(order(1, [ALICE]), gateway)


def test_gateway_whose_interface_can_not_be_looked_for_is_not_taken_for_a_new_one() -> None:
    gateway = snapshot([], **{**NEW, "device_error": CommandError("unreadable")})
    with pytest.raises(CommandError, match="unreadable"):
        plan_revocations(order(1, [ALICE]), gateway)


def test_r7_roster_that_only_removes_sets_no_peer() -> None:
    wanted = order(2, [ALICE])
    plan = plan_rest(wanted, checked(wanted), snapshot([ALICE, BOB]))
    assert actions(plan) == ["RecordState", "WriteFile", "RemovePeers", "ReadBack", "RecordState"]


def test_r7_roster_that_only_updates_sets_the_peers_that_differ() -> None:
    wanted = order(2, [ALICE, BOB._replace(address=9)])
    difference = only(plan_rest(wanted, checked(wanted), snapshot([ALICE, BOB])), SetPeers).difference
    assert [update.peer.public_key for update in difference.updated] == [key(BOB.number)]
    assert (difference.removed, difference.added) == ((), ())


def test_r8_interface_that_the_file_of_an_older_generation_has_as_wanted_is_drift() -> None:
    gateway = snapshot([ALICE])
    assert gateway.device is not None
    tampered = replace(gateway, device=gateway.device._replace(listen_port="1"))
    wanted = order(2, [ALICE])
    plan = plan_rest(wanted, checked(wanted), tampered)
    report = full_report(plan)
    assert (report.repaired, report.settings) == ([only(plan, ChangeInterface).change.what], [])


def test_r8_interface_is_drift_in_a_file_of_generation_0_too() -> None:
    assert report_interface("port", snapshot([ALICE]), config_text(0, [ALICE])).repaired == ["port"]


def test_update_of_a_peer_whose_settings_in_the_file_are_damaged_is_no_drift() -> None:
    gateway = snapshot([ALICE])
    assert gateway.device is not None
    damaged = gateway.config_text.replace("AllowedIPs = ", "AllowedIPs = x")
    peers = {key(ALICE.number): live(ALICE, allowed_ips="0.0.0.0/0")}
    wanted = order(1, [ALICE])
    tampered = snapshot([ALICE], config_text=damaged, device=gateway.device._replace(peers=peers))
    report = full_report(plan_rest(wanted, checked(wanted), tampered))
    assert (report.updated, report.repaired) == (
        {"alice/laptop": "allowed_ips"},
        ["file not as the last apply left it"],
    )


def test_r4_killed_removal_of_a_peer_that_is_wanted_again_and_had_left_is_completed() -> None:
    gateway = snapshot([ALICE, BOB])
    begun = plan_revocations(order(2, [BOB], revoked=[ALICE]), gateway).steps[0].action
    assert isinstance(begun, RecordState)
    wanted = order(3, [ALICE, BOB])
    plan = plan_rest(wanted, checked(wanted), replace(gateway, state=begun.state, device=device([BOB])))
    assert [(each.name, each.removed_at) for each in plan.state.removals] == [("alice/laptop", NOW)]


def test_r4_completed_removal_stays_recorded_although_a_later_one_of_the_same_peer_is_forgotten() -> None:
    gateway = snapshot([ALICE, BOB])
    revoked = order(2, [BOB], revoked=[ALICE])
    earlier = plan_revocations(revoked, gateway).state
    begun = plan_revocations(revoked, replace(gateway, state=earlier)).steps[0].action
    assert isinstance(begun, RecordState)
    assert len(begun.state.removals) == 2
    wanted = order(3, [ALICE, BOB])
    plan = plan_rest(wanted, checked(wanted), replace(gateway, state=begun.state))
    assert plan.state.removals == earlier.removals


def test_r12_only_the_new_file_is_known_once_it_has_replaced_the_old_one() -> None:
    wanted = order(2, [BOB])
    plan = plan_rest(wanted, checked(wanted), snapshot([ALICE]))
    assert plan.state.config == (digest(body(checked(wanted).text)),)


def test_peer_after_one_that_stays_is_recorded_as_removed() -> None:
    wanted = order(2, [ALICE])
    plan = plan_rest(wanted, checked(wanted), snapshot([ALICE, BOB]))
    assert [each.name for each in plan.state.removals] == ["bob/laptop"]


def test_peers_that_end_at_another_time_are_named_with_both_times() -> None:
    """Their ends are in the file alone: the device doesn't know them."""
    sooner, later = NOW + 86_400, NOW + 30 * 86_400
    before = [ALICE._replace(expires_at=later), BOB._replace(expires_at=later), CAROL]
    after = [ALICE._replace(expires_at=sooner), *(each._replace(expires_at=later) for each in (BOB, CAROL))]
    wanted = order(2, after)
    plan = plan_rest(wanted, checked(wanted), snapshot(before))
    report = full_report(plan)
    assert report.new_ends == [NewEnd("alice/laptop", later, sooner), NewEnd("carol/laptop", None, later)]
    assert report.result("wg0")["new_ends"][1] == {"name": "carol/laptop", "before": None, "after": later}
    assert report.diff() == {
        "before": "alice/laptop: ends 2026-10-21T14:13:20Z\ncarol/laptop: no end\n",
        "after": "alice/laptop: ends 2026-09-22T14:13:20Z\ncarol/laptop: ends 2026-10-21T14:13:20Z\nfile: changed\n",
    }
