# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The versions that the collection supports: said alike everywhere, and none left out in silence."""

from __future__ import annotations

import shutil
from pathlib import Path

import matrix
import pytest
from runner import ROOT, GateFailed, Session

SAY_THE_RANGE = [
    "meta/runtime.yml",
    "README.md",
    "requirements.txt",
    "roles/gateway/meta/main.yml",
    "tools/locks/floor.txt",
]
NO_SUCH_PYTHON = matrix.Environment("core-9.9", ("tests",), "collections", ("9.9",))


class Log(Session):
    """Keeps what a gate says, and starts nothing."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The files that name versions."""
    for name in SAY_THE_RANGE:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("meta/runtime.yml", f">={matrix.cores()[0]}", ">=2.16"),
        ("README.md", f" to {matrix.cores()[-1]}", " to 2.16"),
        ("requirements.txt", "boto3>=1.35.0", "boto3>=1.34.0"),
        ("roles/gateway/meta/main.yml", matrix.cores()[0], "2.16"),
        ("tools/locks/floor.txt", f"ansible-core=={matrix.cores()[0]}.", "ansible-core==2.16."),
    ],
)
def test_other_version_than_the_groups_have_is_found(copy: Path, name: str, right: str, wrong: str) -> None:
    assert matrix.check_range(copy) == []
    text = (copy / name).read_text()
    assert right in text
    (copy / name).write_text(text.replace(right, wrong))
    assert name in [complaint.split(":")[0] for complaint in matrix.check_range(copy)]


def test_version_that_has_no_python_here_is_named_and_fails_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    log = Log()
    assert not matrix.make(log, NO_SUCH_PYTHON)
    assert log.said == ["core-9.9 can't run: no Python 9.9 on this machine"]
    monkeypatch.setenv("CI", "true")
    with pytest.raises(GateFailed, match=r"core-9\.9 can't run"):
        matrix.make(Log(), NO_SUCH_PYTHON)
