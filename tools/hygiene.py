# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Checks that no linter makes: traces of one machine, unfinished work, silenced failures without a reason, secrets."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

HEADER = "# Copyright: (c) 2026, Tracklib"
LICENSE = "# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)"
EXEMPT = {"LICENSE", "tools/hygiene.py"}
MAX_BYTES = 1_000_000

FORBIDDEN = {
    "a path of one person's machine": re.compile(r"/home/(?!admin/)[a-z]\w*/|/Users/\w+/"),
    "an index or download address": re.compile(
        r"--(?:extra-)?index-url|--find-links|pythonhosted\.org|pypi\.org/simple"
    ),
    "unfinished work": re.compile(r"\b(?:TODO|FIXME|XXX|HACK)\b"),
    "a merge's leftover": re.compile(r"^(?:<{7}|>{7}) "),
    "a private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY"),
}
ACCESS_KEY = re.compile(r"\b(?:AKIA|ASIA)(?![A-Z0-9]*EXAMPLE)[A-Z0-9]{16}\b")
# Each may stand only with a reason: behind it on the line, or as a comment right above.
SILENCERS = re.compile(
    r"#\s*noqa\b(?::\s*[A-Z0-9, ]+)?"
    r"|#\s*type:\s*ignore\b(?:\[[\w, -]+\])?"
    r"|#\s*pragma: no cover"
    r"|\bignore_errors:\s*(?:true|yes)"
    r"|\bfailed_when:\s*false"
    r"|\|\|\s*(?:true\b|:(?=\s|$))"
    r"|\bmark\.(?:skip|skipif|xfail)\b"
    r"|#\s*shellcheck disable=\S+"
)
REASON = re.compile(r"\w{2,}\W+\w{2,}")


def check(root: Path, names: Iterable[str]) -> list[str]:
    """Complaints about the files `names` below `root`, each as `file:line: what`."""
    return [complaint for name in names if name not in EXEMPT for complaint in _check_file(root, name)]


def _check_file(root: Path, name: str) -> Iterator[str]:
    path = root / name
    if path.stat().st_size > MAX_BYTES:
        yield f"{name}:1: larger than {MAX_BYTES} bytes"
        return
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        return
    if path.suffix == ".py" and lines:
        yield from _check_header(name, lines)
    above = ""
    for number, line in enumerate(lines, 1):
        for what in _line_faults(line, above, str(root)):
            yield f"{name}:{number}: {what}: {line.strip()[:120]}"
        above = line


def _check_header(name: str, lines: list[str]) -> Iterator[str]:
    head = lines[:5]
    if HEADER not in head or LICENSE not in head:
        yield f"{name}:1: the copyright and license lines are missing"
    if "from __future__ import annotations" not in lines and any(
        re.match(r"(?:from|import|def|class) ", x) for x in lines
    ):
        yield f"{name}:1: 'from __future__ import annotations' is missing"


def _line_faults(line: str, above: str, root: str) -> Iterator[str]:
    for what, pattern in FORBIDDEN.items():
        if pattern.search(line):
            yield what
    if root in line:
        yield "the path of this work tree"
    explained = above.lstrip().startswith("#")
    silencer = SILENCERS.search(line)
    if silencer and not explained and not REASON.search(line[silencer.end() :]):
        yield "a failure is silenced without a reason beside it"
    if ACCESS_KEY.search(line) and not explained:
        yield "an AWS access key (a made-up one needs a comment above that says so)"
