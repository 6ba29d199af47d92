# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""docs/self-service.md has every code: the function's beside its status, and the client's."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from self_service.refusal import STATUS

ROOT = Path(__file__).parents[4]
DOCUMENT = ROOT / "docs/self-service.md"
ROW = re.compile(r"^\| (\d{3}(?:, \d{3})?)[^|]*\|(.*)\|$", re.MULTILINE)


def test_every_code_is_documented_beside_its_status() -> None:
    documented: dict[str, int] = {}
    for statuses, text in ROW.findall(DOCUMENT.read_text(encoding="utf-8")):
        codes, numbers = re.findall(r"`([a-z_]+)`", text), [int(status) for status in statuses.split(", ")]
        # a row of two statuses has their codes in the same order
        documented.update(zip(codes, numbers if len(numbers) > 1 else numbers * len(codes), strict=True))
    assert documented == STATUS


def _raised_by_the_client() -> Iterator[str]:
    """The codes that are written out where a `SelfServiceError` is made; others are the function's, passed on."""
    for path in (ROOT / "plugins").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", None) == "SelfServiceError":
                code = node.args[1]
                if isinstance(code, ast.Constant):
                    yield str(code.value)


def test_every_code_of_the_client_is_documented() -> None:
    table = DOCUMENT.read_text(encoding="utf-8").split("add codes of their own:\n\n")[1].split("\n\n")[0]
    documented = {code for row in table.splitlines() for code in re.findall(r"`([a-z_]+)`", row.split("|")[1])}
    assert documented == set(_raised_by_the_client())
