# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What gates take for the repository's files."""

from __future__ import annotations

import subprocess
from pathlib import Path

import gates
import pytest


def test_what_git_does_not_know_is_checked_and_never_delivered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An operator's notes and keys may lie about in a checkout."""
    for name in ("known.py", "new.py"):
        (tmp_path / name).touch()
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    subprocess.run(["git", "add", "known.py"], cwd=tmp_path, check=True)
    monkeypatch.setattr(gates, "ROOT", tmp_path)
    assert gates.sources("*.py") == ["known.py", "new.py"]
    assert gates.sources("*.py", is_delivered=True) == ["known.py"]
