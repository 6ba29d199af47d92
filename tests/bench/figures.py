# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Figures, rows of the table, and measuring in pairs."""

from __future__ import annotations

import dataclasses
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

_started = time.monotonic()


@dataclasses.dataclass(frozen=True)
class Sizes:
    """How much is measured, and how often."""

    few: int = 1000  # users, devices, peers
    many: int = 20_000  # devices, peers
    users_of_many: int = 5000  # IAM's limit for an account
    repetitions: int = 7
    long_repetitions: int = 3  # of what takes many seconds
    applies: int = 20  # under the probe


QUICK = Sizes(few=100, many=500, users_of_many=250, repetitions=2, long_repetitions=1, applies=3)


@dataclasses.dataclass(frozen=True)
class Figure:
    """Several measurements of one thing."""

    values: tuple[float, ...]
    unit: str = "s"

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    def __str__(self) -> str:
        if len(set(self.values)) == 1:
            return f"{_short(self.median)} {self.unit}"
        return f"{_short(self.median)} {self.unit} ({_short(min(self.values))}-{_short(max(self.values))})"


@dataclasses.dataclass(frozen=True)
class Row:
    """One line of the table."""

    what: str
    at: str
    ours: Figure
    against: str
    theirs: Figure | None
    ratio: str
    target: str
    met: bool | None  # None: nothing was promised
    note: str = ""

    def cells(self) -> list[str]:
        """The line's cells as text."""
        met = {True: "met", False: "MISSED", None: ""}[self.met]
        theirs = "" if self.theirs is None else str(self.theirs)
        return [self.what, self.at, str(self.ours), self.against, theirs, self.ratio, self.target, met, self.note]

    @property
    def subject(self) -> tuple[str, str, str]:
        """What is measured."""
        return self.what, self.at, self.against

    def record(self) -> dict[str, Any]:
        """The line for bench/results.json, with every measurement."""
        return dataclasses.asdict(self)

    @classmethod
    def of(cls, record: dict[str, Any]) -> Row:
        """The line of such a record."""
        figures = {side: record[side] and Figure(tuple(record[side]["values"]), record[side]["unit"]) for side in SIDES}
        return cls(**{**record, **figures})


SIDES = ("ours", "theirs")
HEADINGS = ["what", "at", "ours", "against", "theirs", "ratio", "target", "", "note"]


def faster(what: str, at: str, pair: tuple[Figure, Figure], against: str, factor: float | None, note: str = "") -> Row:
    """A row whose target is to be so many times faster; None: no target, the row informs."""
    ours, theirs = pair
    ratio = theirs.median / ours.median
    target = "" if factor is None else f">= {factor:g}x"
    met = None if factor is None else ratio >= factor
    return Row(what, at, ours, against, theirs, f"{ratio:.1f}x faster", target, met, note)


def at_most(what: str, at: str, pair: tuple[Figure, Figure], against: str, factor: float, note: str = "") -> Row:
    """A row whose target is to take no more than so many times as long."""
    ours, theirs = pair
    ratio = ours.median / theirs.median
    return Row(what, at, ours, against, theirs, f"{ratio:.2f}x as long", f"<= {factor:g}x", ratio <= factor, note)


def in_pairs(
    ours: Callable[[], float], theirs: Callable[[], float], repetitions: int, name: str
) -> tuple[Figure, Figure]:
    """Measure both alternately, so that what else the machine does falls on both. Both return seconds."""
    found: tuple[list[float], list[float]] = ([], [])
    for number in range(repetitions):
        for side, measure in zip(found, (ours, theirs), strict=True):
            side.append(measure())
        say(f"  {name}: {number + 1} of {repetitions}: {_short(found[0][-1])} s against {_short(found[1][-1])} s")
    return Figure(tuple(found[0])), Figure(tuple(found[1]))


def timed(work: Callable[[], object]) -> float:
    """How long it takes, in seconds."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def table(rows: Sequence[Row]) -> str:
    """The rows in Markdown, aligned."""
    lines = [HEADINGS, *(row.cells() for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADINGS))]
    text = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines
    ]
    text.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(text) + "\n"


def say(text: str) -> None:
    """A line of progress."""
    sys.stdout.write(f"bench {time.monotonic() - _started:6.1f}s  {text}\n")
    sys.stdout.flush()


def _short(number: float) -> str:
    return f"{number:.0f}" if number >= 100 or number == int(number) else f"{number:.3g}"
