# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Facts of a registry in which something can't be read (R17, one bad item costs itself alone)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils.model import Decision
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.dynamodb import Item, Table
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.facts import RegistryFacts, read_facts
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.items import (
    block_item,
    decision_items,
    registration_item,
    removed_item,
    sweep_items,
    tombstone_item,
)

from tests.support.decisions import ACCOUNT, OTHER, block, registration, sweep, tombstone, user
from tests.support.tables import NOW, TABLE

GOOD: list[Item] = [
    registration_item(registration(1)),
    removed_item(registration(2), 5.0),
    tombstone_item(tombstone(3)),
    block_item(block(4)),
    *sweep_items(sweep(user(1)), 7),
    *decision_items(Decision((registration(1),)), 7),
    {"pk": "gateway", "sk": "gateway-1", "public_key": "KEY"},
    {"pk": "recorded", "sk": "gateway-1", "removal_ids": ["1"]},
    {"pk": "sign", "sk": f"{ACCOUNT}/AIDA5", "event_name": "DeleteLoginProfile", "event_time": 5},
]
PARTS = [f"{ACCOUNT}#6#0000", f"{ACCOUNT}#8#0000", "decision#6#0000", "granted"]


@pytest.fixture
def table(client: Any) -> Table:
    """A table with one good item of every kind."""
    made = Table(client, TABLE)
    made.write_all(GOOD)
    return made


def facts(table: Table, *odd: dict[str, Any]) -> RegistryFacts:
    """Read the facts, with these items besides or instead."""
    table.write_all(odd)
    return read_facts(table, NOW)


def test_good_items_are_all_read(table: Table) -> None:
    found = facts(table)
    assert (found.problems, found.surplus) == ([], [])
    assert found.registered.registrations == [registration(1)]
    assert found.decision == Decision((registration(1),))


def test_last_decision_tells_who_was_a_peer(table: Table) -> None:
    found = facts(table)
    assert found.was_peer(registration(1).identity)
    assert not found.was_peer(registration(2).identity)
    assert not found._replace(decision=None).was_peer(registration(1).identity)


def test_block_of_a_device_is_no_odd_one(table: Table) -> None:
    assert facts(table, block_item(block(4, device="laptop"))).problems == []


def test_r17_each_of_two_unreadable_devices_has_its_own_reason(table: Table) -> None:
    odd = [{**registration_item(registration(number)), "addresses": [number]} for number in (1, 2)]
    unreadable = facts(table, *odd).registered.unreadable
    assert [each.identity[1] in unreadable[each.identity] for each in (registration(1), registration(2))] == [
        True,
        True,
    ]


@pytest.mark.parametrize(
    "odd",
    [
        {"pk": "registration", "sk": "?"},
        {**registration_item(registration(1)), "sk": f"{ACCOUNT}/AIDA9/Lap top\n[Peer]"},
        {"pk": "registration", "sk": f"{ACCOUNT}/AIDA9/laptop", "addresses": 5},
        {"pk": "removed", "sk": f"{ACCOUNT}/AIDA9/laptop"},
        {"pk": "tombstone", "sk": f"{ACCOUNT}/event-9"},
        {"pk": "block", "sk": "a"},
        {"pk": "sign", "sk": f"{ACCOUNT}/AIDA9"},
        {"pk": "gateway", "sk": "gateway-9"},
        {"pk": "recorded", "sk": "gateway-9"},
        {"pk": "sweep", "sk": OTHER, "data": b"no", "generation": 7},
        {"pk": "sweep", "sk": OTHER},
    ],
    ids=lambda odd: f"{odd['pk']} {odd['sk']}",
)
def test_r17_item_that_cannot_be_read_is_named_and_costs_no_other(table: Table, odd: dict[str, Any]) -> None:
    before, found = facts(table), facts(table, odd)
    (problem,) = found.problems
    assert problem.startswith(f"the registry's item {odd['pk']} {odd['sk']} can't be read (")
    step = "remove the device (remove_device), or register it again with replace (register_replace)"
    is_named = odd["pk"] == "registration" and odd["sk"].endswith("/laptop")
    assert problem.endswith(step if is_named else "write it again or delete it")
    unreadable = found.registered._replace(unreadable={})
    assert found._replace(problems=[], registered=unreadable, gateways=before.gateways) == before


def test_r17_block_of_a_device_that_can_not_be_holds_for_all_of_the_users(table: Table) -> None:
    found = facts(table, {"pk": "block", "sk": f"{ACCOUNT}/AIDA1/laptop/extra", "reason": "lost", "created_at": 1})
    assert [(each.user_id, each.device) for each in found.blocks if each.reason == "lost"] == [("AIDA1", None)]
    (problem,) = found.problems
    assert f"block {ACCOUNT}/AIDA1/laptop/extra names no device that can be" in problem


@pytest.mark.parametrize(
    "change",
    [
        {"public_key": 5},
        {"user_name": None},
        {"addresses": [5]},
        {"addresses": None},
        {"created_at": "yesterday"},
        {"created_at": []},
        {"expires_at": "soon"},
        {"expires_at": "nan"},
        {"expires_at": "Infinity"},
        {"renewed_at": {}},
    ],
    ids=str,
)
def test_r17_device_whose_item_cannot_be_read_is_known_as_unreadable(table: Table, change: dict[str, Any]) -> None:
    found = facts(table, {**registration_item(registration(1)), **change})
    assert found.registered.registrations == []
    assert list(found.registered.unreadable) == [registration(1).identity]
    assert [*found.registered.unreadable.values()] == found.problems


@pytest.mark.parametrize(
    "missing", [{"user_name"}, {"event_time"}, {"user_name", "event_time"}, {"user_name", "event_time", "ttl"}]
)
def test_r17_tombstone_that_names_an_id_holds_for_good_whatever_else_it_lacks(table: Table, missing: set[str]) -> None:
    (item,) = [tombstone_item(tombstone(3))]
    found = facts(table, {name: value for name, value in item.items() if name not in missing})
    assert found.problems == []
    until = float("inf") if "event_time" in missing else tombstone(3).event_time
    assert [(each.user_id, each.event_time) for each in found.tombstones] == [("AIDA3", until)]


@pytest.mark.parametrize("change", [{"event_time": "soon"}, {"user_id": 7}, {"user_id": None}, {"spared": [{"a": 1}]}])
def test_r17_tombstone_by_name_holds_whatever_is_odd_in_it(table: Table, change: dict[str, Any]) -> None:
    found = facts(table, {**tombstone_item(tombstone(3, user_id=None)), **change})
    assert (found.problems, [each.user_name for each in found.tombstones]) == ([], ["user3"])
    assert found.tombstones[0].spared == ()


def test_r17_block_of_an_impossible_time_holds_and_its_time_counts_as_unknown(table: Table) -> None:
    found = facts(table, {"pk": "block", "sk": f"{ACCOUNT}/AIDA4", "reason": "left", "created_at": Decimal("1e100")})
    assert [each.created_at for each in found.blocks] == [0.0]


@pytest.mark.parametrize("change", [{"spared": 5}, {"spared": None}, {"event_time": "nan"}, {"user_name": 5}], ids=str)
def test_r17_tombstone_that_names_an_id_holds_whatever_is_odd_in_it(table: Table, change: dict[str, Any]) -> None:
    found = facts(table, {**tombstone_item(tombstone(3)), **change})
    assert (found.problems, [each.user_id for each in found.tombstones]) == ([], ["AIDA3"])


@pytest.mark.parametrize("kept", [{}, {"reason": 5}, {"created_at": "?"}, {"reason": None, "created_at": None}])
def test_r17_block_holds_whatever_it_says_besides_whom_it_is_for(table: Table, kept: dict[str, Any]) -> None:
    found = facts(table, {"pk": "block", "sk": f"{ACCOUNT}/AIDA4", **kept})
    assert found.problems == []
    assert [(each.user_id, each.device) for each in found.blocks] == [("AIDA4", None)]


@pytest.mark.parametrize("ahead", [1, 300, 301, 10**9])
def test_r4_what_is_dated_ahead_counts_as_of_now_and_is_named_beyond_what_clocks_differ(
    table: Table, ahead: int
) -> None:
    later = NOW + ahead
    found = facts(
        table,
        tombstone_item(tombstone(3, event_time=later)),
        {"pk": "sign", "sk": f"{ACCOUNT}/AIDA5", "event_name": "DeleteLoginProfile", "event_time": int(later)},
        block_item(block(4)._replace(created_at=later)),
        *sweep_items(sweep(user(1), begun_at=later), 8),
    )
    times = [found.tombstones[0].event_time, found.signs[0].event_time, found.blocks[0].created_at]
    assert [*times, found.sweeps[ACCOUNT].begun_at] == [NOW] * 4
    named = [("tombstone", f"{ACCOUNT}/event"), ("sign", f"{ACCOUNT}/AIDA5")]
    assert list(found.ahead) == (named if ahead > 300 else [])
    assert [problem.partition(" is dated ")[0] for problem in found.problems] == [
        f"the registry's item {pk} {sk} ({'user3' if pk == 'tombstone' else 'a user'})" for pk, sk in found.ahead
    ]


# -- sweeps and decisions in parts


def test_surplus_is_what_earlier_runs_and_versions_left(table: Table) -> None:
    found = facts(table, *({"pk": "sweep", "sk": sk, "data": b""} for sk in PARTS))
    assert found.surplus == [f"{ACCOUNT}#6#0000", "decision#6#0000", "granted"]
    assert found.problems == []


def test_r17_part_of_a_head_whose_generation_cannot_be_read_is_left(table: Table) -> None:
    (head,) = sweep_items(sweep(user(1)), 7)
    part = {"pk": "sweep", "sk": f"{ACCOUNT}#6#0000", "data": b""}
    found = facts(table, {**head, "generation": "?"}, part)
    assert (found.surplus, list(found.sweeps)) == ([], [ACCOUNT])


def test_r3_torn_decision_is_a_problem_and_no_part_of_it_counts(table: Table) -> None:
    (head,) = decision_items(Decision((registration(1),)), 7)
    found = facts(table, {**head, "parts": 1})
    assert found.decision is None
    assert found.decision_problem is not None
    assert "can't be read (KeyError: 'decision#7#0000')" in found.decision_problem
    assert "Confirmed revocations are applied, and nothing else" in found.decision_problem
