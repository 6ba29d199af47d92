# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Times, sizes, names, tables and commands as operators read them. Pure."""

from __future__ import annotations

import json
import re
import textwrap
from itertools import zip_longest
from typing import Any, Mapping, NamedTuple, Sequence

from .. import timespan
from ..model import DEVICE_NAME, USER_NAME, printable

WIDTH = 88  # of a line: Ansible indents a list of lines and quotes each, which makes a screen of 100 columns
SHOWN = 20  # rows of one kind
_NAMES_SHOWN = 5
_NARROWEST = 8
_UNITS = (("d", 24 * 3600), ("h", 3600), ("m", 60))


class Explained(NamedTuple):
    """The answer to an operator's question."""

    lines: list[str]  # for people, the headline first
    failures: list[str]  # why a playbook that asked must end non-zero; none if it could answer
    data: Mapping[str, Any]  # the same for programs


def utc(seconds: float | None) -> str:
    """Write a time as ISO 8601 in UTC; `-` if there is none."""
    return "-" if seconds is None else timespan.utc(seconds)


def span(seconds: float) -> str:
    """Write a time span in its largest unit: `3d`, `5h`, `7m`, `20s`."""
    for unit, length in _UNITS:
        if seconds >= length:
            return f"{int(seconds // length)}{unit}"
    return f"{int(max(0, seconds))}s"


def ago(seconds: float | None) -> str:
    """Write an age, `never` if there is none."""
    return "never" if seconds is None else f"{span(seconds)} ago"


def life(expires_at: float | None, now: float) -> str:
    """Write how long a registration still lives."""
    if expires_at is None:
        return "no end"
    return f"{span(expires_at - now)} left" if expires_at > now else f"expired {span(now - expires_at)} ago"


def size(octets: int | None) -> str:
    """Write a number of bytes with its unit, as `wg show` does."""
    if octets is None:
        return "-"
    number, units = float(octets), ["B", "KiB", "MiB", "GiB", "TiB"]
    while number >= 1024 and len(units) > 1:
        number, units = number / 1024, units[1:]
    return f"{number:.0f} {units[0]}" if units[0] == "B" else f"{number:.1f} {units[0]}"


def count(number: int, what: str) -> str:
    """Write a number of things: `1 peer`, `2 peers`."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def names(given: Sequence[str]) -> str:
    """List the first names, and say how many more there are."""
    more = len(given) - _NAMES_SHOWN
    return ", ".join(given[:_NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")


def caller(arn: str) -> str:
    """Write whose order it was where room is short: of an ARN, the name."""
    return arn.rpartition("/")[2]


def paragraph(text: str, margin: str = "", *, begins: str | None = None) -> list[str]:
    """Wrap a sentence.

    :param begins: what is before its first line, by default the margin.
    """
    lines = textwrap.wrap(
        printable(text),
        WIDTH,
        initial_indent=margin if begins is None else begins,
        subsequent_indent=margin,
        break_on_hyphens=False,
    )
    return lines or [margin.rstrip()]


def table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lay out rows below a heading. Where a line would be too long, the widest cells are wrapped."""
    cells = [[printable(cell) or "-" for cell in row] for row in (heading, *rows)]
    widths = [max(map(len, column)) for column in zip(*cells)]
    room = WIDTH - 2 * (len(widths) - 1)
    while sum(widths) > room and max(widths) > _NARROWEST:
        widths[widths.index(max(widths))] -= 1
    return [line for row in cells for line in _row(row, widths)]


def _row(row: Sequence[str], widths: Sequence[int]) -> list[str]:
    wrapped = [textwrap.wrap(cell, width, break_on_hyphens=False) for cell, width in zip(row, widths)]
    return [
        "  ".join(part.ljust(width) for part, width in zip(parts, widths)).rstrip()
        for parts in zip_longest(*wrapped, fillvalue="")
    ]


def section(
    title: str, heading: Sequence[str], rows: Sequence[Sequence[str]], show_all: str | None = None
) -> list[str]:
    """Return a table with a title, and nothing without rows.

    :param show_all: the variable that shows all rows; None shows them.
    """
    if not rows:
        return []
    shown = rows if show_all is None else rows[:SHOWN]
    left = len(rows) - len(shown)
    more = [f"and {left} more ({show_all}=true shows them)"] if left else []
    return ["", title, *table(heading, shown), *more]


def command(playbook: str, **variables: str | None) -> str | None:
    """Write the call of a playbook for a shell; None if a value can't be a name or an id. What is None is left out.

    It has no quotes, since Ansible would show them escaped. Values of -e are templates to Ansible, so nothing but names
    may get there (R15, data is never code).
    """
    given = {name: value for name, value in variables.items() if value is not None}
    if not all(re.fullmatch(f"{USER_NAME}|{DEVICE_NAME}", value) for value in given.values()):
        return None
    extra = "".join(f" -e {playbook}_{name}={value}" for name, value in given.items())
    return f"ansible-playbook -i INVENTORY tracklib.vpn.{playbook}{extra}"


def output(explained: Explained, form: str) -> list[str]:
    """Return the lines of an answer as `table` or `json`.

    :raises ValueError: there is no such format.
    """
    if form == "table":
        return explained.lines
    if form == "json":
        return json.dumps({**explained.data, "failures": explained.failures}, indent=1).splitlines()
    raise ValueError(f"there is no format {form!r}, expected table or json")


def answer(explained: Explained, form: str) -> dict[str, Any]:
    """Return an answer as the filters of playbooks do: `lines` to show, and `failures`.

    :raises ValueError: there is no such format.
    """
    return {"lines": output(explained, form), "failures": explained.failures}
