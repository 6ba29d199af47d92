# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The unit's start and reload, planned from the files that the last apply left."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.bars import Bar
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.commands import CommandError
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.config import ConfigError
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.device import Link
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.plan import Plan
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.plan_apply import plan_revocations
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.plan_start import (
    UnsafeError,
    plan_firewall,
    plan_interface,
    plan_lost_firewall,
    plan_reloaded_peers,
    plan_started_peers,
    plan_watch,
    why_no_peers,
)
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.read import Snapshot
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.state import StateError
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.steps import (
    RecordFirewall,
    RecordState,
    RemovePeers,
    SetPeers,
    StartInterface,
)

from tests.support.snapshots import actions, device, full_report, only, order, snapshot
from tests.support.wireguard_host import NOW, Person, key

ALICE, BOB = Person("alice", 1), Person("bob", 2)
STOPPED: dict[str, Any] = {"link": None, "device": None}
UNTRUSTED = [
    ({"state": None}, "is missing, so nothing says whose peers"),
    ({"state": None, "state_error": StateError("wg0.json is corrupt")}, "wg0.json is corrupt; run a reconcile"),
    ({"config_text": "# mine\n"}, "wg0.conf is not what the last apply left"),
    ({"firewall_text": "# mine\n"}, "wg0.nft is not what the last apply left"),
]


def reloaded(gateway: Snapshot) -> Plan:
    """The plan of a reload for which any age of the roster will do."""
    return plan_reloaded_peers(gateway, max_age=0)


def test_r13_firewall_is_checked_and_loaded_before_the_interface_is_made_without_peers() -> None:
    plan = plan_interface(snapshot([ALICE], **STOPPED), max_age=0)
    assert actions(plan) == ["CheckFirewall", "LoadFirewall", "StartInterface"]
    assert "[Peer]" not in only(plan, StartInterface).config_text


def test_started_interface_gets_its_peers() -> None:
    plan = plan_started_peers(snapshot([ALICE, BOB], device=device([])), max_age=0)
    assert actions(plan) == ["SetPeers", "ReadBack"]
    assert [peer.public_key for peer in only(plan, SetPeers).difference.added] == [key(1), key(2)]
    assert plan.report.without_peers == ""


@pytest.mark.parametrize(("changes", "why"), UNTRUSTED)
def test_r12_start_from_files_of_unknown_origin_gives_no_peers_and_says_why(changes: dict[str, Any], why: str) -> None:
    if "config_text" in changes:
        changes = {"config_text": snapshot([ALICE]).config_text + "# mine\n"}
    plan = plan_started_peers(snapshot([ALICE], **{"device": device([]), **changes}), max_age=0)
    assert plan.steps == ()
    assert why in plan.report.without_peers


@pytest.mark.parametrize(
    ("age", "max_age", "has_peers"),
    [(60, 60, True), (61, 60, False), (10**9, 0, True), (-60, 60, True), (-300, 0, True), (-301, 0, False)],
)
def test_r12_start_with_a_roster_older_than_allowed_gives_no_peers(age: int, max_age: int, has_peers: bool) -> None:
    gateway = snapshot([ALICE])
    assert gateway.state is not None
    aged = replace(gateway, device=device([]), state=replace(gateway.state, made_at=NOW - age))
    plan = plan_started_peers(aged, max_age)
    assert ("SetPeers" in actions(plan)) is has_peers
    assert bool(plan.report.without_peers) is not has_peers


@pytest.mark.parametrize(("age", "is_allowed"), [(60, True), (61, False)])
def test_r12_reload_with_a_roster_older_than_allowed_adds_no_peers(age: int, is_allowed: bool) -> None:
    """As after a start without peers, or one that was killed before they came."""
    gateway = snapshot([ALICE, BOB])
    assert gateway.state is not None
    aged = replace(gateway, device=device([BOB]), state=replace(gateway.state, made_at=NOW - age))
    plan = plan_reloaded_peers(aged, max_age=60)
    assert actions(plan) == ["SetPeers", "ReadBack"] * is_allowed
    why = "the roster is 1 minutes old, 1 are allowed; peers wait for the next reconcile"
    assert plan.report.without_peers == ("" if is_allowed else f"alice/laptop not added: {why}")


def test_r12_reload_names_at_most_five_whom_it_does_not_add_or_says_that_nobody_is_there() -> None:
    people = [Person(f"user{number}", number) for number in range(1, 8)]
    gateway = snapshot(people)
    assert gateway.state is not None
    aged = replace(gateway, state=replace(gateway.state, made_at=NOW - 61))
    some = plan_reloaded_peers(replace(aged, device=device(people[:1])), max_age=60).report.without_peers
    assert some.startswith(
        "user2/laptop, user3/laptop, user4/laptop, user5/laptop, user6/laptop and 1 more not added: "
    )
    nobody = plan_reloaded_peers(replace(aged, device=device([])), max_age=60).report.without_peers
    assert nobody.startswith("still WITHOUT PEERS: the roster is 1 minutes old")


def test_r12_age_is_told_in_minutes() -> None:
    gateway = snapshot([ALICE])
    assert gateway.state is not None
    aged = replace(gateway, state=replace(gateway.state, made_at=NOW - 7200))
    assert why_no_peers(aged, 3600) == (
        "the roster is 120 minutes old, 60 are allowed; peers wait for the next reconcile"
    )
    ahead = replace(gateway, state=replace(gateway.state, made_at=NOW + 7300))
    assert why_no_peers(ahead, 0) == (
        "the roster is from 121 minutes ahead of this gateway's clock; set the clock, run a reconcile"
    )


def test_start_without_a_file_is_refused() -> None:
    with pytest.raises(UnsafeError, match=r"wg0\.conf is missing or empty; run a reconcile"):
        plan_interface(snapshot([], config_text=" \n", **STOPPED), max_age=0)


def test_start_from_a_file_that_is_no_configuration_is_refused_before_any_step() -> None:
    with pytest.raises(ConfigError, match="ListenPort is missing"):
        plan_interface(snapshot([], config_text="[Interface]\nTable = off\n", **STOPPED), max_age=0)


@pytest.mark.parametrize(("changes", "why"), UNTRUSTED)
def test_r11_reload_from_files_of_unknown_origin_changes_nothing(changes: dict[str, Any], why: str) -> None:
    for plan in (plan_firewall, reloaded):
        with pytest.raises(UnsafeError, match=f"{why}.*; nothing was changed"):
            plan(snapshot([ALICE], **changes))


def test_reload_loads_the_firewall_and_sends_nothing_to_a_device_that_is_as_wanted() -> None:
    gateway = snapshot([ALICE, BOB])
    assert actions(plan_firewall(gateway)) == ["CheckFirewall", "LoadFirewall"]
    assert reloaded(gateway).steps == ()


def test_r8_reload_repairs_only_what_differs() -> None:
    plan = reloaded(snapshot([ALICE, BOB], device=device([BOB, Person("mallory", 99)])))
    assert actions(plan) == ["RemovePeers", "SetPeers", "ReadBack"]
    assert only(plan, RemovePeers).keys == (key(99),)
    assert [peer.public_key for peer in only(plan, SetPeers).difference.added] == [key(ALICE.number)]


@pytest.mark.parametrize("planner", [reloaded, lambda gateway: plan_started_peers(gateway, 0)])
def test_r4_nobody_whose_removal_was_begun_comes_back(planner: Any) -> None:
    gateway = snapshot([ALICE, BOB])
    begun = plan_revocations(order(2, [BOB], revoked=[ALICE]), gateway).steps[0].action
    assert isinstance(begun, RecordState)
    plan = planner(replace(gateway, state=begun.state))
    assert only(plan, RemovePeers).keys == (key(ALICE.number),)


@pytest.mark.parametrize("generation", [0, 9])
@pytest.mark.parametrize("planner", [lambda gateway: plan_started_peers(gateway, 0), reloaded])
def test_r6_nobody_whom_a_bar_names_comes_back(planner: Callable[[Snapshot], Plan], generation: int) -> None:
    gateway = snapshot([ALICE, BOB], device=device([]))
    assert gateway.state is not None
    bar = Bar("alice", "", "111122223333", "AIDAALICE", generation)
    plan = planner(replace(gateway, state=replace(gateway.state, bars=(bar,))))
    assert [peer.public_key for peer in only(plan, SetPeers).difference.added] == [key(BOB.number)]


def test_r2_nobody_who_has_expired_comes_back() -> None:
    plan = plan_started_peers(snapshot([ALICE._replace(expires_at=NOW), BOB], device=device([])), 0)
    assert [peer.public_key for peer in only(plan, SetPeers).difference.added] == [key(BOB.number)]


def test_peers_of_an_unreadable_device_are_not_planned() -> None:
    with pytest.raises(CommandError, match="unreadable"):
        reloaded(snapshot([ALICE], device=None, device_error=CommandError("unreadable")))


def test_r8_lost_firewall_is_checked_and_loaded_again_and_what_was_loaded_is_remembered() -> None:
    gateway = snapshot([ALICE])
    assert gateway.state is not None
    plan = plan_lost_firewall(gateway)
    assert actions(plan) == ["CheckFirewall", "LoadFirewall", "RecordFirewall"]
    assert full_report(plan).repaired == ["firewall"]
    assert only(plan, RecordFirewall).known == gateway.state.firewall


def test_r8_watch_repairs_the_interface() -> None:
    gateway = snapshot([ALICE])
    assert gateway.link is not None
    plan = plan_watch(replace(gateway, link=gateway.link._replace(mtu=8921)))
    assert (actions(plan), full_report(plan).repaired) == (["ChangeInterface"], ["mtu 8921 instead of 1420"])


def test_watch_leaves_peers_to_the_next_run() -> None:
    assert plan_watch(snapshot([ALICE], device=device([BOB]))).steps == ()


@pytest.mark.parametrize("changes", [STOPPED, {"state": None}, {"state": None, "state_error": StateError("corrupt")}])
def test_watch_leaves_alone_what_was_stopped_or_what_nothing_is_known_of(changes: dict[str, Any]) -> None:
    assert plan_watch(snapshot([ALICE], **changes)).steps == ()
    assert plan_lost_firewall(snapshot([ALICE], **changes)).steps == ()


def test_watch_loads_no_rules_of_unknown_origin() -> None:
    with pytest.raises(UnsafeError, match=r"the firewall isn't loaded: .*wg0\.nft is not what the last apply left"):
        plan_lost_firewall(snapshot([ALICE], firewall_text="# mine\n"))


def test_watch_goes_by_no_edited_configuration() -> None:
    text = snapshot([ALICE]).config_text + "# mine\n"
    edited = snapshot([ALICE], config_text=text, link=Link(False, 1, ()))
    assert plan_watch(edited).steps == ()
    assert actions(plan_lost_firewall(edited)) == ["CheckFirewall", "LoadFirewall", "RecordFirewall"]
