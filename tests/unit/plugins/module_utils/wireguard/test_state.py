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
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.state import State, StateError, load, save

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
