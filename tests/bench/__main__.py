# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Measures the collection against the usual ways: a table, bench/results.md and bench/results.json.

Run by `make bench`; needs root. `--only NAME` measures one thing. `--quick` tries everything at small sizes, and writes
nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from . import gateway, modules, names, playbooks
from .figures import QUICK, Row, Sizes, say, table

RESULTS = Path(__file__).parents[2] / "bench"
PARTS: dict[str, Callable[[Sizes], Iterator[Row]]] = {
    "sweep": modules.sweep,
    "one-peer": gateway.one_peer,
    "no-change": gateway.no_change,
    "survivors": gateway.survivors,
    "runs": playbooks.runs,
    "forwarder": names.forwarder,
}


def main() -> int:
    """Measure what the command line says; 1 if a target was missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes, few repetitions: to try, not to quote")
    parser.add_argument("--only", choices=PARTS, action="append", help="measure just this; may be repeated")
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        parser.error("network namespaces need root: run it by sudo")
    sizes = QUICK if arguments.quick else Sizes()
    rows: list[Row] = []
    for name in arguments.only or PARTS:
        say(name)
        for row in PARTS[name](sizes):
            rows.append(row)
            if not arguments.quick:
                _write(row)
    sys.stdout.write("\n" + table(rows))
    return 1 if any(row.met is False for row in rows) else 0


def _write(row: Row) -> None:
    """Put a row in the place of what was measured of the same before."""
    RESULTS.mkdir(exist_ok=True)
    results = RESULTS / "results.json"
    rows = [Row.of(record) for record in json.loads(results.read_text())] if results.exists() else []
    at = next((number for number, each in enumerate(rows) if each.subject == row.subject), len(rows))
    rows[at : at + 1] = [row]
    (RESULTS / "results.md").write_text(table(rows))
    results.write_text(json.dumps([each.record() for each in rows], indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main())
