# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""An interface that is configured no more: what takes it down, and what the one in its place remembers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.bars import Bar
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.files import Site
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.order import Origin, RefusedError
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.plan_former import (
    former_sites,
    heir,
    other_sites,
    plan_inheritance,
    plan_moving_aside,
    plan_takedown,
)
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.read import Snapshot
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.state import Removal, State, StateError
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.steps import ChangeInterface, MoveAside

from tests.support.snapshots import SITE, actions, checked, config_text, full_report, order, snapshot
from tests.support.wireguard_host import NOW, REGISTRY, Person, key

ALICE, BOB, CAROL = Person("alice", 1), Person("bob", 2), Person("carol", 3)
OLD = SITE._replace(name="wg9")
LOST: dict[str, Any] = {"link": None, "device": None}


def former(*people: Person, **changes: Any) -> Snapshot:
    """wg9, which had these peers."""
    return snapshot(people, site=OLD, **changes)


def removal(number: int = 1, removed_at: int | None = None) -> Removal:
    return Removal(
        f"removal-{number}", "alice", "laptop", "1", "AIDA1", key(number), "f", 1, "tombstoned", None, removed_at
    )


def known(gateway: Snapshot, **changes: Any) -> Snapshot:
    """The same, of which more is known."""
    assert gateway.state is not None
    return replace(gateway, state=replace(gateway.state, **changes))


# -- which there are


def test_interface_is_ours_by_its_state_file_or_by_what_its_configuration_says(tmp_path: Path) -> None:
    site = Site("wg0", tmp_path / "etc", tmp_path / "var", tmp_path / "run")
    for directory in (site.config_dir, site.state_dir):
        directory.mkdir()
    for name in ("wg0", "wg9"):
        (site.state_dir / f"{name}.json").write_text("{}")
    (site.config_dir / "wg0.conf").write_text(config_text(7, []))
    (site.config_dir / "wg8.conf").write_text(config_text(7, []))
    (site.config_dir / "wg7.conf").write_text("[Interface]\nPrivateKey = mine\n")
    (site.config_dir / "wg6.conf").mkdir()
    assert [each.name for each in other_sites(site)] == ["wg8", "wg9"]
    assert [each.name for each in former_sites(site, ["wg8"])] == ["wg9"]
    assert former_sites(site, ["wg8"])[0].config_dir == site.config_dir


# -- taking it down


def test_r13_link_goes_first_then_units_and_the_rules_last() -> None:
    wanted = order(2, [ALICE])
    plan = plan_takedown(wanted, checked(wanted), former(ALICE))
    changes = [step.action.change for step in plan.steps if isinstance(step.action, ChangeInterface)]
    assert [(each.what, each.command) for each in changes] == [
        ("link", ["ip", "link", "delete", "dev", "wg9"]),
        ("units", ["systemctl", "disable", "--now", "wg-quick@wg9.service", "tracklib-vpn-expire@wg9.timer"]),
        ("firewall", ["nft", "-f", "-"]),
    ]
    table = changes[-1].stdin.splitlines()
    assert (table[0][:6], table[1]) == ("table ", f"delete {table[0]}")
    assert "wg9" in table[0]


def test_interface_whose_link_is_gone_loses_units_and_rules() -> None:
    wanted = order(2, [ALICE])
    plan = plan_takedown(wanted, checked(wanted), former(ALICE, **LOST))
    assert actions(plan) == ["ChangeInterface", "ChangeInterface"]
    assert full_report(plan).repaired == ["wg9, an interface that is configured no more, taken down"]


def test_r4_who_is_no_peer_any_more_is_recorded_before_the_link_goes_and_who_stays_is_not() -> None:
    wanted = order(2, [BOB], [ALICE])
    plan = plan_takedown(wanted, checked(wanted), former(ALICE, BOB))
    assert actions(plan)[:2] == ["RecordState", "ChangeInterface"]
    assert [(each.name, each.reason) for each in plan.state.removals] == [("alice/laptop", "unknown")]
    assert full_report(plan).removed == ["alice/laptop"]


def test_peer_that_nobody_has_a_name_for_goes_without_a_receipt() -> None:
    stranger = former(BOB)
    text = stranger.config_text + f"\n[Peer]\nPublicKey = {key(9)}\nAllowedIPs = 10.44.0.99/32\n"
    wanted = order(2, [BOB])
    assert full_report(plan_takedown(wanted, checked(wanted), former(BOB, config_text=text))).removed == []


def test_r5_roster_that_takes_everybody_off_without_a_reason_is_refused() -> None:
    wanted = order(2, [])
    with pytest.raises(RefusedError, match="would take the last of 2 peers off wg9 without a reason"):
        plan_takedown(wanted, checked(wanted), former(ALICE, BOB))


# -- what the one in its place remembers


def test_r6_heir_refuses_what_the_former_one_refused() -> None:
    bar, other = Bar("alice", user_id="AIDA1"), Bar("bob", user_id="AIDA2")
    before = known(snapshot([BOB], generation=3), bars=(other,))
    state = heir(before, [State(generation=5, bars=(bar,), registry=Origin("other", "1", "r", "t", "i"))]).state
    assert state is not None
    assert (state.generation, state.content, set(state.bars)) == (5, None, {bar, other})
    assert state.registry == REGISTRY, "its own, where it follows one"


def test_heir_of_an_earlier_generation_keeps_its_own() -> None:
    before = snapshot([BOB], generation=3)
    assert heir(before, [State(generation=3)]).state == before.state
    assert heir(before, []) is before


def test_interface_that_is_made_now_follows_the_former_ones_registry() -> None:
    nothing = snapshot([], **LOST, state=None, config_text="", firewall_text="")
    state = heir(nothing, [State(generation=5, registry=REGISTRY)]).state
    assert state is not None
    assert (state.registry, state.generation) == (REGISTRY, 5)


def test_removals_without_a_receipt_are_inherited_once_as_done() -> None:
    before = known(snapshot([BOB]), removals=(removal(2, removed_at=NOW - 9),))
    plan = plan_inheritance(before, State(removals=(removal(1), removal(2))))
    assert [(each.id, each.removed_at) for each in plan.state.removals] == [
        ("removal-2", NOW - 9),
        ("removal-1", NOW),
    ]
    assert actions(plan) == ["RecordState"]
    assert actions(plan_inheritance(replace(before, state=plan.state), State(removals=(removal(1),)))) == []


# -- its files


def test_files_that_an_interface_is_known_by_are_moved_last() -> None:
    plan = plan_moving_aside(former(ALICE))
    moves = [step.action for step in plan.steps]
    assert [each.file.name for each in moves if isinstance(each, MoveAside)] == [
        OLD.firewall.name,
        OLD.state_copy.name,
        OLD.config.name,
        OLD.state.name,
    ]
    assert {each.aside.name.rpartition(".")[2] for each in moves if isinstance(each, MoveAside)} == {f"replaced-{NOW}"}


@pytest.mark.parametrize(
    ("changes", "moved"),
    [
        ({"state": None, "state_copy": State()}, ["firewall", "state_copy", "config"]),
        ({"state": None}, ["firewall", "config"]),
        ({"state": None, "state_error": StateError("corrupt")}, ["firewall", "config", "state"]),
        ({"firewall_text": ""}, ["state_copy", "config", "state"]),
        ({"config_text": ""}, ["firewall", "state_copy", "state"]),
    ],
)
def test_what_is_lost_is_not_moved(changes: dict[str, Any], moved: list[str]) -> None:
    steps = plan_moving_aside(former(ALICE, **changes)).steps
    assert [step.action.file for step in steps if isinstance(step.action, MoveAside)] == [
        getattr(OLD, name) for name in moved
    ]
