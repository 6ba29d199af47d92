# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What several plans have in common: which roster is the later one, and what is known where the state was lost."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.bars import Bar
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.order import Revocation
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.plan import (
    is_overtaken,
    known_state,
    lost_state,
    mistaken_generation,
    with_removals,
)
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.report import NOTHING
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.state import State

from tests.support.snapshots import SITE, snapshot
from tests.support.wireguard_host import NOW, Person, key

ALICE = Person("alice", 1)
MISTAKE = 20 * 60 * 1000  # ms by which a generation may be ahead


@pytest.mark.parametrize(
    ("generation", "recorded", "overtaken"),
    [
        (NOW * 1000, NOW * 1000, False),
        (NOW * 1000, NOW * 1000 + 1, True),
        (NOW * 1000 + 1, NOW * 1000, False),
        (NOW * 1000, NOW * 1000 + MISTAKE, True),
        (NOW * 1000, NOW * 1000 + MISTAKE + 1, False),  # a mistake keeps nothing out
        (NOW * 1000 + MISTAKE, NOW * 1000 + MISTAKE + 1, False),
        (NOW * 1000 + MISTAKE + 1, NOW * 1000 + MISTAKE + 2, True),  # but not for one that is as far ahead itself
    ],
)
def test_r6_later_roster_keeps_an_earlier_one_out_unless_it_is_ahead_by_mistake(
    generation: int, recorded: int, overtaken: bool
) -> None:
    assert is_overtaken(generation, State(generation=recorded), NOW) is overtaken


def test_r12_clock_of_the_controller_counts_where_it_is_ahead() -> None:
    state = State(generation=NOW * 1000 + MISTAKE + 60_000, made_at=NOW + 60)
    assert is_overtaken(NOW * 1000, state, NOW)
    assert not is_overtaken(NOW * 1000, replace(state, generation=state.generation + 1), NOW)
    assert not is_overtaken(NOW * 1000, replace(state, made_at=NOW - 60), NOW)


def test_generation_that_is_ahead_by_mistake_is_named_with_how_far() -> None:
    state = State(generation=(NOW + 90 * 60) * 1000)
    (notice,) = mistaken_generation(NOW * 1000, state, NOW)
    assert notice.startswith(
        f"generation {state.generation}, recorded here, is 90 minutes ahead of this gateway's clock"
    )
    assert notice.endswith(f"whose place {NOW * 1000} takes")
    assert mistaken_generation(NOW * 1000, State(generation=NOW * 1000), NOW) == []


def test_state_that_is_there_is_not_said_to_be_lost() -> None:
    assert lost_state(snapshot([ALICE])) == NOTHING
    nothing: dict[str, Any] = {"state": None, "config_text": "", "link": None, "device": None}
    assert lost_state(snapshot([], **nothing)) == NOTHING, "there never was one"


def test_lost_state_says_what_its_copy_knows_or_that_nothing_does() -> None:
    (repaired,) = lost_state(snapshot([ALICE], state=None, state_copy=State())).repaired
    assert repaired.startswith(f"{SITE.state} lost; the registry to follow and the bars are from {SITE.state_copy}")
    (problem,) = lost_state(snapshot([ALICE], state=None)).problems
    assert "which registry this gateway follows and whom it bars is forgotten" in problem


def test_known_generation_is_the_highest_that_state_or_file_tells() -> None:
    gateway = snapshot([ALICE], generation=7)
    assert known_state(gateway).generation == 7
    assert gateway.state is not None
    for state, known in ((replace(gateway.state, generation=9), 9), (replace(gateway.state, generation=5), 7)):
        assert known_state(replace(gateway, state=state)).generation == known
    bar = Bar("bob")
    lost = replace(gateway, state=None, state_copy=State(bars=(bar,)))
    assert (known_state(lost).generation, known_state(lost).bars) == (7, (bar,))
    unmarked = replace(gateway, config_text="")
    assert known_state(unmarked).generation == 7


def test_removal_is_recorded_with_the_generation_that_decided_it() -> None:
    gateway = snapshot([ALICE], generation=7)
    why = {key(1): Revocation(ALICE.label(), "blocked")}
    assert gateway.state is not None
    own = with_removals(gateway.state, gateway, why)
    assert [each.generation for each in own.removals] == [7]
    assert [each.generation for each in with_removals(gateway.state, gateway, why, 12).removals] == [12]
    assert with_removals(own, gateway, why).removals == own.removals, "it is begun once"
