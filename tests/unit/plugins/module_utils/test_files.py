# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Where a path of the caller's leads."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils.files import callers_path, file_to_write


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory that the caller stands in; its shell calls it `link`, which is beside it."""
    directory = tmp_path / "here"
    directory.mkdir()
    (tmp_path / "link").symlink_to(directory)
    monkeypatch.chdir(directory)
    return directory


def test_relative_path_begins_where_the_caller_stands(here: Path) -> None:
    assert callers_path("receipts.csv", {}) == f"{here}/receipts.csv"
    assert callers_path("../receipts.csv", {}) == f"{here.parent}/receipts.csv"


def test_directory_is_called_as_the_shell_calls_it(here: Path) -> None:
    assert callers_path("receipts.csv", {"PWD": f"{here.parent}/link"}) == f"{here.parent}/link/receipts.csv"


@pytest.mark.parametrize("named", ["", ".", "/", "/nowhere"])
def test_name_of_another_directory_is_not_believed(here: Path, named: str) -> None:
    assert callers_path("receipts.csv", {"PWD": named}) == f"{here}/receipts.csv"


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("path", ["~/receipts.csv", "$HOME/receipts.csv"])
def test_home_is_the_callers(monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    monkeypatch.setenv("HOME", "/srv/kim")
    assert callers_path(path, {}) == "/srv/kim/receipts.csv"


@pytest.mark.usefixtures("here")
def test_absolute_path_stays() -> None:
    assert callers_path("/srv/receipts.csv", {}) == "/srv/receipts.csv"


@pytest.mark.usefixtures("here")
def test_empty_path_is_refused() -> None:
    with pytest.raises(ValueError, match="found an empty text"):
        callers_path("", {})


def test_r16_only_a_file_is_replaced_by_a_file(tmp_path: Path) -> None:
    """As root a report would take the place of /dev/null for everybody."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/dev/null")
    for other in ("/dev/null", str(tmp_path / "pipe"), str(tmp_path / "link")):
        with pytest.raises(ValueError, match="is no regular file, expected the path of a file"):
            file_to_write(other)
    with pytest.raises(ValueError, match="is a directory, expected"):
        file_to_write(str(tmp_path))
    (tmp_path / "file").write_text("x")
    for name in ("file", "new", "missing/new"):
        assert file_to_write(str(tmp_path / name)) == str(tmp_path / name)


def test_file_within_a_file_is_refused_and_missing_directories_are_not(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=f"{tmp_path}/file is no directory, and .*/file/a/b would be in"):
        file_to_write(f"{tmp_path}/file/a/b")
    with pytest.raises(ValueError, match=r"^/ is a directory, expected the path of a file"):
        file_to_write("/")
    assert file_to_write(f"{tmp_path}/new/a/b") == f"{tmp_path}/new/a/b"
