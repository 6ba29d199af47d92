# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""docs/one-deletion.md walks from the event to the receipt through files that exist, each named once."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/one-deletion.md").read_text(encoding="utf-8")
FILE = re.compile(r"`((?:plugins|roles|playbooks)/[^`]+)`")
FILES = FILE.findall(PAGE)


def test_every_file_of_the_walk_exists() -> None:
    assert [name for name in FILES if not (ROOT / name).is_file()] == []


def test_no_file_of_the_walk_is_named_twice() -> None:
    assert sorted(FILES) == sorted(set(FILES))


def test_the_walk_leads_from_the_event_to_the_receipt() -> None:
    assert FILES[0] == "roles/control_plane/files/identity_account.yml"
    walk, fast = (
        re.findall(r"`((?:plugins|roles|playbooks)/[^`]+)`", part) for part in PAGE.split("\n## The fast way\n")
    )
    assert walk[-1] == "playbooks/receipts.yml"
    assert fast[0] == "roles/control_plane/files/dispatcher/listeners.py"
    assert "plugins/module_utils/registry/receipts.py" in FILES


def test_steps_are_counted() -> None:
    steps = [int(number) for number in re.findall(r"^(\d+)\. ", PAGE, re.MULTILINE)]
    assert steps == list(range(1, len(steps) + 1))
