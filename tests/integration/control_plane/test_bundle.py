# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What `make bundle` makes runs alone, and is the same every time."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.support import PYTHONPATH, ROOT

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


def _make(output: Path) -> dict[str, str]:
    """SHA-256 by file."""
    command = [sys.executable, "tools/bundle.py", "--python", PYTHON, "--output", str(output)]
    env = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": PYTHONPATH,
    }
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return {Path(line.split()[1]).name: line.split()[0] for line in done.stdout.splitlines()}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both archives, made twice with the same content, the second time after every file was touched."""
    first, second = tmp_path_factory.mktemp("first"), tmp_path_factory.mktemp("second")
    digests = _make(first)
    for path in [*ROOT.glob("plugins/**/*.py"), *ROOT.glob("roles/**/*.py")]:
        os.utime(path)
    assert _make(second) == digests
    assert set(digests) == {"bundle.tar", "functions.zip"}
    return second


def test_a_build_needs_nothing_but_python_and_the_bundle(made: Path, tmp_path: Path) -> None:
    with tarfile.open(made / "bundle.tar") as archive:
        archive.extractall(tmp_path, filter="data")
    env = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(tmp_path),
        "PYTHONPATH": str(tmp_path / "site-packages"),
        "ANSIBLE_COLLECTIONS_PATH": str(tmp_path / "collections"),
    }
    for playbook in ("reconcile", "names"):
        done = subprocess.run(
            [sys.executable, "-S", "-m", "ansible", "playbook", "--syntax-check", f"tracklib.vpn.{playbook}"],
            cwd=tmp_path,
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr


def test_the_dispatcher_needs_nothing_but_its_archive(made: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(made / "functions.zip") as archive:
        archive.extractall(tmp_path)
    done = subprocess.run(
        [sys.executable, "-S", "-c", "import dispatcher.handler as found; print(found.__file__)"],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "AWS_DEFAULT_REGION": "eu-west-1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(tmp_path))
