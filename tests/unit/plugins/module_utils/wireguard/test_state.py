# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What a gateway remembers, as a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.bars import Bar
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.files import Site
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.plan_apply import plan_revocations
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.state import (
    Removal,
    State,
    StateError,
    load,
    load_copy,
    save,
)

from tests.support.snapshots import order, snapshot
from tests.support.wireguard_host import REGISTRY, Person, key

ALICE, BOB = Person("alice", 1), Person("bob", 2)
REMOVED = plan_revocations(order(2, [BOB], revoked=[ALICE]), snapshot([ALICE, BOB])).state
EARLIER: dict[str, Any] = {  # as the version before this one wrote it
    "format": 1,
    "generation": 7,
    "content": None,
    "made_at": 1_790_000_000,
    "config": ["c"],
    "firewall": ["f"],
    "loaded": "l",
    "removals": [],
    "revoked": {
        key(1): {"user_name": "alice", "device": "laptop", "account_id": "111122223333", "user_id": "AIDAALICE"}
    },
}


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site("wg0", tmp_path / "etc", tmp_path / "state", tmp_path / "run")


@pytest.mark.parametrize(
    "state",
    [State(), State(registry=REGISTRY, bars=(Bar("alice", "phone", "111122223333", "AIDAALICE", 9, "e-1"),)), REMOVED],
)
def test_state_is_read_as_it_was_saved(site: Site, state: State) -> None:
    save(site, state)
    assert load(site) == state


def test_r6_who_was_barred_by_the_version_before_stays_barred_by_id(site: Site) -> None:
    site.state_dir.mkdir()
    site.state.write_text(json.dumps(EARLIER))
    assert load(site) == State(
        generation=7,
        made_at=1_790_000_000,
        config=("c",),
        firewall=("f",),
        loaded="l",
        bars=(Bar("alice", "laptop", "111122223333", "AIDAALICE"),),
    )


@pytest.mark.parametrize("change", [{"format": 3}, {"revoked": None}, {"revoked": {"x": {"y": 1}}}, {"removals": 1}])
def test_state_of_another_form_is_not_taken_for_one(site: Site, change: dict[str, Any]) -> None:
    site.state_dir.mkdir()
    site.state.write_text(json.dumps({**EARLIER, **change}))
    with pytest.raises(StateError):
        load(site)


def removal(number: int, removed_at: int | None = None) -> Removal:
    return Removal(
        f"r{number}", "alice", "laptop", "111122223333", "AIDAALICE", key(number), "9f86", 7, "blocked", None,
        removed_at,
    )  # fmt: skip


def test_only_removals_that_were_begun_are_pending_and_finishing_some_leaves_the_others() -> None:
    state = State(removals=(removal(1), removal(2, removed_at=50), removal(3)))
    assert state.pending() == {key(1): removal(1), key(3): removal(3)}
    done = state.finished({key(1), key(2)}, now=99)
    assert done.removals == (removal(1, removed_at=99), removal(2, removed_at=50), removal(3))
    assert state.finished(set(), now=99) == state


def test_peers_whom_a_bar_names_are_selected_with_their_labels() -> None:
    sections = snapshot([ALICE, BOB]).sections
    comments = sections.comments()
    assert State().barred(comments) == {}
    barred = State(bars=(Bar("alice"),)).barred(comments)
    assert {each: label.name for each, label in barred.items()} == {key(1): "alice/laptop"}
    assert State(bars=(Bar("carol"), Bar("alice", "phone"))).barred(comments) == {}


def test_r6_copy_has_what_outlasts_a_lost_state_and_is_written_when_that_changes(site: Site) -> None:
    bars = (Bar("alice", "phone", "111122223333", "AIDAALICE", 9, "e-1"),)
    save(site, State(registry=REGISTRY, generation=5, bars=bars, config=("c",)))
    assert load_copy(site) == State(registry=REGISTRY, bars=bars)
    first = site.state_copy.stat().st_ino
    save(site, State(registry=REGISTRY, generation=6, bars=bars))
    assert site.state_copy.stat().st_ino == first, "nothing that it has is new"
    save(site, State(registry=REGISTRY, generation=7))
    assert load_copy(site) == State(registry=REGISTRY)


def test_copy_that_can_not_be_read_or_written_costs_nothing(site: Site) -> None:
    assert load_copy(site) is None
    save(site, State(registry=REGISTRY))
    site.state_copy.write_text("{")
    assert load_copy(site) is None
    site.state_copy.unlink()
    site.state_copy.mkdir()
    assert load_copy(site) is None
    save(site, State(generation=8))
    assert load(site) == State(generation=8)


def test_file_says_its_format_and_is_laid_out_for_people(site: Site) -> None:
    save(site, State())
    first, second, *_others = site.state.read_text().splitlines()
    assert (first, second) == ("{", ' "format": 2,')
