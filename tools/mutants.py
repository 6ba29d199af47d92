# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Break the pure rooms on purpose, by Cosmic Ray, and count how often their own unit tests notice: `make mutants`.

    make mutants ROOMS="roster access"    # some; all of them without it

tests/mutants.toml lists the rooms, each with its tests and with the mutants that don't count. A room passes with 85 %,
and with at most 5 % of its mutants left out. The working tree is never touched: mutants are made in a copy of it.
docs/mutants.md gets the rates.
"""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from cosmic_ray.work_db import WorkDB, use_db
from cosmic_ray.work_item import MutationSpec, WorkerOutcome, WorkResult

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache/mutants"
TREE = CACHE / "tree"
PAGE = ROOT / "docs/mutants.md"
LINK = ".ansible/collections/ansible_collections/tracklib/vpn"
ENOUGH = 85.0  # percent
MOST_EXCLUDED = 5.0  # percent
# Cosmic Ray replaces each operator by every other one, eleven times the same question. These are asked: the opposite,
# and the boundary of a comparison.
REPLACEMENTS = {
    "BinaryOperator": {
        "Add": ["Sub"],
        "Sub": ["Add"],
        "Mul": ["Div"],
        "Div": ["Mul"],
        "FloorDiv": ["Mul"],
        "Mod": ["Mul"],
        "Pow": ["Mul"],
        "LShift": ["RShift"],
        "RShift": ["LShift"],
        "BitOr": ["BitAnd"],
        "BitAnd": ["BitOr"],
        "BitXor": ["BitAnd"],
    },
    "ComparisonOperator": {
        "Eq": ["NotEq"],
        "NotEq": ["Eq"],
        "Lt": ["LtE", "GtE"],
        "LtE": ["Lt", "Gt"],
        "Gt": ["GtE", "LtE"],
        "GtE": ["Gt", "Lt"],
        "Is": ["IsNot"],
        "IsNot": ["Is"],
    },
}
INTRODUCTION = f"""\
`make mutants` breaks each pure room of `plugins/module_utils` by Cosmic Ray, one line after another, \
and runs the room's own unit tests each time. At least {ENOUGH:.0f} % of the mutants must be noticed. Mutants that \
can't be are left out, at most {MOST_EXCLUDED:.0f} %, each with its reason in `tests/mutants.toml`. It takes hours, \
runs nightly, and is no part of `make test`. A room of `tests/mutants.toml` without a row here wasn't measured yet."""


class Excluded(NamedTuple):
    """Mutants that don't count: those of an operator in a line of code."""

    line: str
    operator: re.Pattern[str]
    reason: str


class Room(NamedTuple):
    """A module of pure code, and the tests that are to notice whatever breaks in it."""

    module: str
    tests: Sequence[str]
    excluded: Sequence[Excluded]

    @property
    def name(self) -> str:
        """What it is called for short: `registry/items`."""
        return self.module.removeprefix("plugins/module_utils/").removesuffix(".py")


class Rate(NamedTuple):
    """How many mutants a room's tests noticed."""

    room: Room
    killed: int
    survivors: Sequence[str]
    excluded: int
    unused: Sequence[Excluded]  # exclusions that no mutant is of

    @property
    def percent(self) -> float:
        """The share of the mutants that were noticed, of those that count."""
        return 100 * self.killed / max(self.killed + len(self.survivors), 1)

    @property
    def percent_excluded(self) -> float:
        """The share of the mutants that don't count."""
        return 100 * self.excluded / max(self.killed + len(self.survivors) + self.excluded, 1)

    @property
    def passes(self) -> bool:
        """Whether enough were noticed and few enough left out."""
        return self.percent >= ENOUGH and self.percent_excluded <= MOST_EXCLUDED and not self.unused


def rooms() -> list[Room]:
    """Read tests/mutants.toml."""
    with (ROOT / "tests/mutants.toml").open("rb") as file:
        return [_room(entry) for entry in tomllib.load(file)["room"]]


def _room(entry: dict[str, Any]) -> Room:
    excluded = [
        Excluded(each["line"], re.compile(each["operator"]), each["reason"]) for each in entry.get("excluded", [])
    ]
    return Room(entry["module"], entry["tests"], excluded)


def copy_tree() -> None:
    """Copy what git knows of to where it can be broken."""
    shutil.rmtree(TREE, ignore_errors=True)
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (TREE / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, TREE / name)
    (TREE / LINK).parent.mkdir(parents=True)
    (TREE / LINK).symlink_to("../../../..")


def measure(room: Room) -> Rate:
    """Make the mutants of a room and run its tests on each."""
    slug = room.name.replace("/", "-")
    config, session = CACHE / f"{slug}.toml", CACHE / f"{slug}.sqlite"
    session.unlink(missing_ok=True)
    with _test_server(room) as port:
        config.write_text(
            "[cosmic-ray]\n"
            f'module-path = "{room.module}"\n'
            "timeout = 40.0\n"
            "excluded-modules = []\n"
            f"test-command = '{sys.executable} -S -E {ROOT}/tools/test_client.py {port}'\n"
            "[cosmic-ray.distributor]\n"
            'name = "local"\n'
        )
        _cosmic_ray("init", config, session)
        _cosmic_ray("baseline", config)
        unused = _skip(room, session)
        _cosmic_ray("exec", config, session)
    return _rate(room, session, unused)


@contextmanager
def _test_server(room: Room) -> Iterator[int]:
    """The port where the tests are run for whoever asks."""
    command = [str(ROOT / ".venv/bin/python"), str(ROOT / "tools/test_server.py"), room.module, *room.tests]
    with subprocess.Popen(command, cwd=TREE, stdout=subprocess.PIPE) as server:
        try:
            if server.stdout is None:
                raise RuntimeError("no pipe from the test server")
            yield int(server.stdout.readline())
        finally:
            server.terminate()


def _cosmic_ray(command: str, *files: Path) -> None:
    program = Path(sys.executable).with_name("cosmic-ray")
    subprocess.run([program, command, *files], cwd=TREE, check=True)


def _skip(room: Room, session: Path) -> list[Excluded]:
    """Take out the mutants of what never runs, and those that are excluded; return unused exclusions."""
    source = (TREE / room.module).read_text()
    lines, annotations = source.splitlines(), list(_annotations(source))
    unused = list(room.excluded)
    with use_db(session, WorkDB.Mode.open) as database:
        jobs = [(item.job_id, item.mutations[0]) for item in database.work_items]
        for job_id, mutation in jobs:
            never_runs = any(start <= mutation.start_pos and mutation.end_pos <= end for start, end in annotations)
            if never_runs or _is_marker(mutation, lines) or _is_repetition(mutation):
                database.set_result(job_id, WorkResult(WorkerOutcome.SKIPPED))
                continue
            matching = [each for each in room.excluded if _matches(each, mutation, lines)]
            if matching:
                database.set_result(job_id, WorkResult(WorkerOutcome.SKIPPED, output="excluded"))
                unused = [each for each in unused if each not in matching]
    return unused


def _is_marker(mutation: MutationSpec, lines: Sequence[str]) -> bool:
    """Whether it takes the `*` after which parameters have to be named for a multiplication."""
    row, column = mutation.start_pos
    return str(lines[row - 1]).startswith("*,", int(column))


def _is_repetition(mutation: MutationSpec) -> bool:
    """Whether another mutant of the same operator asks the same."""
    name = re.fullmatch(r"core/Replace(\w+)_(\w+)_(\w+)", mutation.operator_name)
    return name is not None and name[3] not in REPLACEMENTS.get(name[1], {}).get(name[2], [name[3]])


def _matches(excluded: Excluded, mutation: MutationSpec, lines: Sequence[str]) -> bool:
    line = lines[mutation.start_pos[0] - 1].strip()
    operator = mutation.operator_name.removeprefix("core/")
    return line == excluded.line and excluded.operator.fullmatch(operator) is not None


def _annotations(source: str) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """Where annotations stand, as ((line, column), (line, column)). They are strings to Python here."""
    for node in ast.walk(ast.parse(source)):
        annotation = getattr(node, "annotation", None) or getattr(node, "returns", None)
        if isinstance(annotation, ast.expr):
            end = (annotation.end_lineno or 0, annotation.end_col_offset or 0)
            yield (annotation.lineno, annotation.col_offset), end


def _rate(room: Room, session: Path, unused: Sequence[Excluded]) -> Rate:
    source = (TREE / room.module).read_text().splitlines()
    killed, excluded, survivors = 0, 0, []
    with use_db(session, WorkDB.Mode.open) as database:
        for item, result in database.completed_work_items:
            mutation = item.mutations[0]
            if result.worker_outcome is WorkerOutcome.SKIPPED:
                excluded += result.output == "excluded"
            elif result.is_killed:
                killed += 1
            else:
                row = mutation.start_pos[0]
                operator = mutation.operator_name.removeprefix("core/")
                survivors.append(f"{room.module}:{row}: {operator}: {source[row - 1].strip()}")
    return Rate(room, killed, sorted(survivors), excluded, unused)


def page(rates: Sequence[Rate]) -> str:
    """Write the rates into the page of the docs; rooms that weren't measured keep their rows."""
    rows = dict(re.findall(r"^\| `(.+?)` (\|.*)$", PAGE.read_text(), re.MULTILINE)) if PAGE.exists() else {}
    for rate in rates:
        count = rate.killed + len(rate.survivors)
        rows[rate.room.name] = f"| {count} | {rate.killed} | {rate.percent:.0f} % | {rate.excluded} |"
    known = [room.name for room in rooms()]
    table = [f"| `{name}` {row}" for name, row in sorted(rows.items()) if name in known]
    head = ["| room | mutants | noticed | rate | left out |", "|---|---|---|---|---|"]
    return "\n".join(["# What the unit tests notice", "", INTRODUCTION, "", *head, *table, ""])


def main(names: Sequence[str]) -> int:
    """Measure the rooms with these names, or all of them; 0 if all pass."""
    chosen = [room for room in rooms() if not names or room.name in names]
    unknown = set(names) - {room.name for room in chosen}
    if unknown:
        print(f"no such room in tests/mutants.toml: {', '.join(sorted(unknown))}", file=sys.stderr)
        return 2
    copy_tree()
    rates = []
    for room in chosen:
        rate = measure(room)
        rates.append(rate)
        for survivor in rate.survivors:
            print(f"survived: {survivor}")
        for each in rate.unused:
            print(f"excluded, but there is no such mutant: {each.line} ({each.operator.pattern})")
        count = rate.killed + len(rate.survivors)
        print(f"{room.name}: {rate.percent:.1f} % of {count}, {rate.excluded} left out", flush=True)
    PAGE.write_text(page(rates))
    return int(not all(rate.passes for rate in rates))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
