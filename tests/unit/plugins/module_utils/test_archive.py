# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Archives that depend on names and contents alone."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils.archive import pack_program, read_files, sha256, tarred


def _tree(root: Path, names: list[str]) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"content of {name}")
    return root


NAMES = ["group_vars/all.yml", "b.yml", "a.yml"]


def test_the_same_files_are_the_same_bytes_whatever_their_times_order_and_owners(tmp_path: Path) -> None:
    first, second = _tree(tmp_path / "first", NAMES), _tree(tmp_path / "second", NAMES[::-1])
    os.utime(second / "a.yml", (1, 1))
    (second / "b.yml").chmod(0o600)
    assert tarred(read_files(str(first))) == tarred(read_files(str(second)))
    assert len(sha256(tarred(read_files(str(first))))) == 64


def test_another_content_name_or_executable_bit_is_another_archive(tmp_path: Path) -> None:
    tree = _tree(tmp_path, NAMES)
    seen = {tarred(read_files(str(tree)))}
    (tree / "a.yml").write_text("another content")
    seen.add(tarred(read_files(str(tree))))
    (tree / "a.yml").rename(tree / "c.yml")
    seen.add(tarred(read_files(str(tree))))
    (tree / "c.yml").chmod(0o755)
    seen.add(tarred(read_files(str(tree))))
    assert len(seen) == 4


def test_everything_but_caches_comes_back(tmp_path: Path) -> None:
    tree = _tree(tmp_path / "tree", [*NAMES, "__pycache__/x.pyc", ".git/config"])
    (tree / "link.yml").symlink_to("a.yml")
    with tarfile.open(fileobj=io.BytesIO(tarred(read_files(str(tree))))) as archive:
        archive.extractall(tmp_path / "out", filter="data")
    found = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert found == {*NAMES, "link.yml"}
    assert (tmp_path / "out/link.yml").read_text() == "content of a.yml"


def test_what_can_not_be_packed_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no directory with files"):
        read_files(str(tmp_path / "missing"))
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="pipe is neither a file nor a directory"):
        read_files(str(tmp_path))


def _package(root: Path) -> Path:
    package = root / "greeting"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "words.py").write_text('HELLO = "hello"\n')
    (package / "say.py").write_text(
        "from .words import HELLO\n\n\ndef main(arguments):\n    print(HELLO, *arguments)\n    return 3\n"
    )
    return package


def test_a_packed_program_runs_isolated_with_its_arguments_and_exit_status(tmp_path: Path) -> None:
    program = tmp_path / "greeting.pyz"
    program.write_bytes(pack_program([_package(tmp_path)], "greeting.say"))
    done = subprocess.run([sys.executable, "-I", program, "wg0"], check=False, capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("hello wg0\n", 3)


def test_packages_of_a_program_import_from_each_other(tmp_path: Path) -> None:
    package = _package(tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    (other / "__init__.py").write_text("")
    (other / "call.py").write_text("from ..greeting.say import main\n")
    program = tmp_path / "greeting.pyz"
    program.write_bytes(pack_program([package, other], "other.call"))
    done = subprocess.run([sys.executable, "-I", program, "wg1"], check=False, capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("hello wg1\n", 3)


def test_a_program_is_the_same_bytes_whatever_the_times_of_its_files_and_what_python_left_beside(
    tmp_path: Path,
) -> None:
    first, second = _package(tmp_path / "first"), _package(tmp_path / "second")
    os.utime(second / "say.py", (1, 1))
    (second / "__pycache__").mkdir()
    (second / "__pycache__/say.pyc").write_bytes(b"compiled")
    assert pack_program([first], "greeting.say") == pack_program([second], "greeting.say")
