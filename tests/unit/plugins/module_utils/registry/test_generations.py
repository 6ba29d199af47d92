# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Generations: each is above those before it, whatever the clock or the item in the table."""

from __future__ import annotations

from decimal import Decimal

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.dynamodb import Item, Put, Table
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.table import Registry

from tests.support.tables import NOW, Clock


def test_r6_generation_is_the_time_in_ms_or_one_more_than_the_last(registry: Registry, clock: Clock) -> None:
    assert registry.generations.last() == 0
    first = registry.generations.take()
    assert first == int(NOW * 1000)
    assert [registry.generations.take() for _number in range(3)] == [first + 1, first + 2, first + 3]
    assert registry.generations.last() == first + 3
    clock.now += 1
    assert registry.generations.take() == first + 1000


def test_r6_generation_goes_on_above_a_clock_that_went_ahead(registry: Registry, clock: Clock) -> None:
    ahead = registry.generations.take()
    clock.now -= 600
    assert registry.generations.take() == ahead + 1


def test_r6_generation_of_the_same_millisecond_is_another(registry: Registry) -> None:
    assert registry.generations.take() < registry.generations.take()


@pytest.mark.parametrize(
    "damaged", [{"value": "x"}, {}, {"value": None}, {"value": True}, {"value": 9999999999999}], ids=str
)
def test_r17_damaged_generation_is_replaced_by_the_time_and_named(
    registry: Registry, table: Table, clock: Clock, damaged: Item
) -> None:
    table.write(Put({"pk": "generation", "sk": "generation", **damaged}))
    warned: list[str] = []
    assert registry.generations.last(warned.append) == int(NOW * 1000)
    clock.now += 1
    taken = registry.generations.take(warned.append)
    assert (taken, len(warned)) == (int(NOW * 1000) + 1000, 2)
    value = damaged.get("value")
    found = Decimal(value) if type(value) is int else value
    assert warned[1].startswith(
        f"the registry's generation is {found!r}, expected a number at most 20 minutes ahead of the time in ms; the "
        f"time, {taken}, takes its place"
    )
    assert registry.generations.take(warned.append) == registry.generations.last(warned.append) == taken + 1
    assert len(warned) == 2


@pytest.mark.parametrize(
    ("generation", "taken_at"),
    [
        (Decimal(5000), 5),
        (Decimal(int(NOW * 1000) + 20 * 60 * 1000 - 1), NOW + 20 * 60 - 0.001),
        (Decimal(int(NOW * 1000) + 20 * 60 * 1000), 0),
        *((odd, 0) for odd in (Decimal(0), Decimal(-1), None, "x", True, 5000)),
    ],
)
def test_r6_generation_says_when_it_was_taken_unless_it_can_be_none(
    registry: Registry, generation: object, taken_at: float
) -> None:
    assert registry.generations.taken_at(generation) == pytest.approx(taken_at)
