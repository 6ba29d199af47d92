# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Generations: the fencing tokens by which what a later run knows outweighs what an earlier one does."""

from __future__ import annotations

from decimal import Decimal
from typing import Callable

from .dynamodb import NUMBER, Item, RegistryError, Table
from .items import Warn, ignore

_KEY = ("generation", "generation")
# ms; AWS takes no call of a clock that is 5 minutes off, so no run has made a generation that is further ahead
_AHEAD = 20 * 60 * 1000


class Generations:
    """The registry's generations."""

    def __init__(self, table: Table, clock: Callable[[], float]) -> None:
        self._table = table
        self._clock = clock

    def last(self, warn: Warn = ignore) -> int:
        """Return the last generation that was taken; 0 before the first, and the time in ms if it is damaged."""
        item = self._table.get(*_KEY)
        value = Decimal(0) if item is None else item.get("value")
        if isinstance(value, Decimal) and value < self.ahead():
            return int(value)
        now = self._milliseconds()
        warn(_damaged(value, now))
        return now

    def take(self, warn: Warn = ignore) -> int:
        """Take a fencing token above all before it: max(previous + 1, Unix time in ms).

        So it goes on above what a restored table has seen (R6, no resurrection).

        :param warn: is told if the one before was damaged, so that the time replaces it. That lets nothing old in: each
            gateway still refuses what is below the highest that it has seen.
        """
        now = self._milliseconds()
        taken = self._table.update(
            *_KEY,
            "SET #value = :now",
            {"now": now, **NUMBER},
            condition="attribute_not_exists(pk) OR (attribute_type(#value, :number) AND #value < :now)",
        )
        if taken is None:
            values = {"one": 1, "ahead": self.ahead(), **NUMBER}
            condition = "attribute_type(#value, :number) AND #value < :ahead"
            taken = self._table.update(*_KEY, "SET #value = #value + :one", values, condition=condition)
        if taken is None:
            taken = self._replace_damaged(now, warn)
        if taken is None:
            raise RegistryError(f"table {self._table.name} gave no generation; run it again")
        return int(taken["value"])

    def _replace_damaged(self, now: int, warn: Warn) -> Item | None:
        damaged = self._table.get(*_KEY) or {}
        condition = "NOT attribute_type(#value, :number) OR #value >= :ahead"
        values = {"now": now, "ahead": self.ahead(), **NUMBER}
        taken = self._table.update(*_KEY, "SET #value = :now", values, condition=condition)
        if taken is not None:
            warn(_damaged(damaged.get("value"), now))
        return taken

    def ahead(self) -> int:
        """Return what no run can have taken yet, nor more."""
        return self._milliseconds() + _AHEAD

    def taken_at(self, generation: object) -> float:
        """Return when a generation was taken, in seconds since the epoch; 0 if it can be none."""
        if isinstance(generation, Decimal) and 0 < generation < self.ahead():
            return float(generation) / 1000
        return 0.0

    def _milliseconds(self) -> int:
        return int(self._clock() * 1000)


def _damaged(found: object, now: int) -> str:
    return (
        f"the registry's generation is {found!r}, expected a number at most 20 minutes ahead of the time in ms; the "
        f"time, {now}, takes its place. Gateways still refuse rosters of a lower one than they have seen, unless it is "
        "more than 20 minutes ahead of their clock. Look at who wrote the item (pk `generation`, sk `generation`). If "
        "a gateway says that a later roster is in force, a clock was ahead: run it again later"
    )
