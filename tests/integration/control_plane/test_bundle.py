# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What `make bundle` and `deploy` make runs alone, and is the same every time."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils.bundle import PYTHON as CONTROL_PLANE_PYTHON

from tests.integration.vpn import ACCOUNT
from tests.support import PYTHONPATH, ROOT

from .conftest import Deployment, outputs

# of this machine; what `deploy` makes is for another one
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


def _make(output: Path, python: str = PYTHON) -> dict[str, str]:
    """SHA-256 by file."""
    command = [sys.executable, "tools/bundle.py", "--python", python, "--output", str(output)]
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


@pytest.fixture
def installed(made: Path, tmp_path: Path) -> Path:
    """Where Ansible finds collections for who has the tarball alone: it, as Galaxy installs it, and amazon.aws."""
    assert made.is_dir()  # by which there is a tarball
    (tarball,) = (ROOT / ".cache/bundle-work/collection").glob("tracklib-vpn-*.tar.gz")
    collections = tmp_path / "collections"
    command = ["ansible-galaxy", "collection", "install", "--no-deps", "-p", str(collections), str(tarball)]
    env = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "HOME": str(tmp_path)}
    subprocess.run(command, env=env, cwd=tmp_path, check=True, capture_output=True)
    amazon = next((ROOT / ".venv/lib").glob("python3*/site-packages")) / "ansible_collections/amazon"
    (collections / "ansible_collections/amazon").symlink_to(amazon)
    return collections


def test_module_makes_both_once_and_nothing_in_check_mode(
    installed: Path, run_module: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    dest = tmp_path / "made"
    options = {
        "collection": str(installed / "ansible_collections/tracklib/vpn"),
        "dest": str(dest),
        "cache": str(ROOT / ".cache/bundle-work"),
        "python": PYTHON,
    }
    checked = run_module("bundle", options, check=True)
    assert (checked["changed"], "diff" in checked, dest.exists()) == (True, False, False)
    first, second = run_module("bundle", options), run_module("bundle", options)
    assert (first["changed"], second["changed"], second["archives"]) == (True, False, checked["archives"])
    for archive in second["archives"]:
        assert hashlib.sha256(Path(archive["path"]).read_bytes()).hexdigest() == archive["sha256"]
        assert "boto3" in {package["name"] for package in archive["packages"]}


def test_deploy_needs_nothing_but_the_installed_collection(
    installed: Path, deployment: Deployment, tmp_path: Path
) -> None:
    """Nothing of the repository: it makes what builds and functions run, and what users get."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    expected = _make(tmp_path / "bundle-of-the-checkout", python=CONTROL_PLANE_PYTHON)
    (tmp_path / ".cache").mkdir()
    (tmp_path / ".cache/tracklib.vpn").symlink_to(ROOT / ".cache/bundle-work")  # packages that are there by now
    env = {"ANSIBLE_COLLECTIONS_PATH": str(installed), "ANSIBLE_CONFIG": "", "PYTHONPATH": "", "HOME": str(tmp_path)}
    alone = {"control_plane_bundle": "", "control_plane_self_service_directory": "for-users"}
    played = deployment.run(cwd=elsewhere, env=env, **alone)
    assert played.rc == 0, played.output

    s3 = deployment.client("s3")
    keys = {one["Key"] for one in s3.list_objects_v2(Bucket=f"tracklib-vpn-code-{ACCOUNT}")["Contents"]}
    assert {f"bundles/{expected['bundle.tar']}.tar", f"functions/{expected['functions.zip']}.zip"} <= keys
    assert {path.name for path in elsewhere.iterdir()} == {"for-users"}

    made_by_stack = outputs(deployment.client("cloudformation"), "tracklib-vpn-self-service")
    settings = json.loads((elsewhere / "for-users/vpn.json").read_text())["vpn_self_service"]
    assert settings == {
        "function_arn": made_by_stack["FunctionArn"],
        "manage_url": made_by_stack["ManageUrl"],
        "renew_url": made_by_stack["RenewUrl"],
    }
    script = elsewhere / "for-users/tracklib-vpn-enroll.pyz"
    assert hashlib.sha256(script.read_bytes()).hexdigest() in played.output
    done = subprocess.run(
        [script, "status"], env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=False
    )
    assert "Traceback" not in done.stderr


def test_a_collection_that_was_changed_is_not_deployed(installed: Path, deployment: Deployment) -> None:
    (installed / "ansible_collections/tracklib/vpn/CHANGELOG.md").write_text("changed")
    env = {"ANSIBLE_COLLECTIONS_PATH": str(installed)}
    played = deployment.run(env=env, control_plane_bundle="")
    assert played.rc != 0
    assert "1 such as CHANGELOG.md" in " ".join(played.output.split())
    assert deployment.client("cloudformation").describe_stacks()["Stacks"] == []
