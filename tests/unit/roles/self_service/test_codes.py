# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""docs/self-service.md has every code beside its status."""

from __future__ import annotations

import re
from pathlib import Path

from self_service.refusal import STATUS

DOCUMENT = Path(__file__).parents[4] / "docs/self-service.md"
ROW = re.compile(r"^\| (\d{3}(?:, \d{3})?)[^|]*\|(.*)\|$", re.MULTILINE)


def test_every_code_is_documented_beside_its_status() -> None:
    documented: dict[str, int] = {}
    for statuses, text in ROW.findall(DOCUMENT.read_text(encoding="utf-8")):
        codes, numbers = re.findall(r"`([a-z_]+)`", text), [int(status) for status in statuses.split(", ")]
        # a row of two statuses has their codes in the same order
        documented.update(zip(codes, numbers if len(numbers) > 1 else numbers * len(codes), strict=True))
    assert documented == STATUS
