# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What runs in AWS is made of what was checked."""

from __future__ import annotations

import hashlib
import io
import json
import re
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils.bundle import BundleError, Fetcher, collection_files, make

FILES = {
    "plugins/module_utils/keys.py": "KEYS = 1\n",
    "plugins/module_utils/iam/sweep.py": "SWEEP = 1\n",
    "roles/control_plane/files/dispatcher/handler.py": "HANDLER = 1\n",
    "roles/control_plane/files/self_service/handler.py": "SELF_SERVICE = 1\n",
    "playbooks/reconcile.yml": "- hosts: all\n",
}
PACKAGES = {"bundle": "ansible-core", "bundle-collections": "ansible", "functions": "pydantic"}
PURE = "py3-none-any"


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _wheel(name: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(zipfile.ZipInfo(f"{name}/__init__.py"), name)
        archive.writestr(zipfile.ZipInfo(f"{name}-1.0.data/scripts/run"), "a program")
        archive.writestr(zipfile.ZipInfo("ansible_collections/amazon/aws/README.md"), "amazon.aws")
    return buffer.getvalue()


def _lock(*packages: str) -> str:
    return "".join(f"{package}==1.0 \\\n    --hash=sha256:{_sha256(_wheel(package))}\n" for package in packages)


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A collection as Galaxy installs it."""
    root = tmp_path / "collection"
    locks = {f"roles/control_plane/files/locks/{name}.txt": _lock(package) for name, package in PACKAGES.items()}
    entries = [{"name": ".", "ftype": "dir", "chksum_sha256": None}]
    for name, text in {**FILES, **locks}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
        entries.append({"name": name, "ftype": "file", "chksum_sha256": _sha256(text.encode())})
    (root / "FILES.json").write_text(json.dumps({"files": entries, "format": 1}))
    digest = _sha256((root / "FILES.json").read_bytes())
    (root / "MANIFEST.json").write_text(json.dumps({"file_manifest_file": {"chksum_sha256": digest}}))
    return root


class Pip:
    """Stands in for pip: leaves the wheels that the lock names, or others."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.wheel: Callable[[str], bytes] = _wheel
        self.errors = ""
        self.tags = PURE

    def __call__(self, command: list[str]) -> tuple[int, str, str]:
        self.calls.append(command)
        if self.errors:
            return 1, "", self.errors
        target = Path(command[command.index("--dest") + 1])
        target.mkdir()
        for package in re.findall("^(.+)==", Path(command[-1]).read_text(), re.MULTILINE):
            name = package.replace("-", "_")
            (target / f"{name}-1.0-{self.tags}.whl").write_bytes(self.wheel(package))
        return 0, "", ""


@pytest.fixture
def pip() -> Pip:
    return Pip()


@pytest.fixture
def fetcher(tmp_path: Path, pip: Pip) -> Fetcher:
    return Fetcher(tmp_path / "cache", ["pip"], pip)


def test_builds_get_packages_collections_and_nothing_that_is_not_listed(installed: Path, fetcher: Fetcher) -> None:
    (installed / "inventories").mkdir()
    (installed / "inventories/notes.txt").write_text("not a part of the collection")
    bundle, functions = make(installed, fetcher)
    ours = "collections/ansible_collections/tracklib/vpn"
    locks = {f"{ours}/roles/control_plane/files/locks/{name}.txt" for name in PACKAGES}
    with tarfile.open(fileobj=io.BytesIO(bundle.content)) as archive:
        assert set(archive.getnames()) == {
            "site-packages/ansible-core/__init__.py",
            "site-packages/ansible_collections/amazon/aws/README.md",
            "collections/ansible_collections/amazon/aws/README.md",
            *(f"{ours}/{name}" for name in (*FILES, "FILES.json", "MANIFEST.json")),
            *locks,
        }
    with zipfile.ZipFile(io.BytesIO(functions.content)) as archive:
        assert set(archive.namelist()) == {
            "pydantic/__init__.py",
            "ansible_collections/amazon/aws/README.md",
            "ansible_collections/tracklib/vpn/plugins/module_utils/keys.py",
            "ansible_collections/tracklib/vpn/plugins/module_utils/iam/sweep.py",
            "dispatcher/handler.py",
            "self_service/handler.py",
        }
    assert [(one.name, one.version) for one in bundle.packages] == [("ansible_core", "1.0"), ("ansible", "1.0")]
    assert functions.packages[0].sha256 == _sha256(_wheel("pydantic"))


def test_wheels_are_fetched_once_and_again_when_one_was_changed(
    installed: Path, fetcher: Fetcher, pip: Pip, tmp_path: Path
) -> None:
    first = make(installed, fetcher)
    assert len(pip.calls) == 3
    assert make(installed, fetcher) == first
    assert len(pip.calls) == 3
    (changed,) = (tmp_path / "cache").glob("*/pydantic-*.whl")
    with zipfile.ZipFile(changed, "a") as archive:
        archive.writestr("sitecustomize.py", "a stranger")
    assert make(installed, fetcher) == first
    assert len(pip.calls) == 4


def test_cache_that_lacks_a_package_is_not_taken_for_whole(fetcher: Fetcher, pip: Pip) -> None:
    lock = _lock("boto3", "Py.YAML")
    whole = fetcher.wheels(lock, "3.13")
    assert [wheel.name.split("-")[0] for wheel in whole] == ["Py.YAML", "boto3"]
    whole[1].unlink()
    assert fetcher.wheels(lock, "3.13") == whole
    assert len(pip.calls) == 2


@pytest.mark.parametrize(
    "tags",
    [
        "cp313-cp313-win_amd64",
        "cp313-cp313-macosx_11_0_arm64",
        "cp313-cp313-manylinux_2_17_aarch64.manylinux2014_aarch64",
        "cp311-cp311-manylinux_2_17_x86_64",
        "py2-none-any",
    ],
)
def test_wheel_that_aws_can_not_load_is_refused_whatever_pips_configuration_asked_for(
    fetcher: Fetcher, pip: Pip, tags: str
) -> None:
    """A lock has the hashes of all platforms."""
    pip.tags = tags
    with pytest.raises(BundleError, match=r"something else than the lock pins .* pydantic-1\.0.*platform or abi"):
        fetcher.wheels(_lock("pydantic"), "3.13")
    for fitting in ("cp313-cp313-manylinux_2_17_x86_64.manylinux2014_x86_64", "cp36-abi3-manylinux_2_28_x86_64"):
        pip.tags = fitting
        assert len(fetcher.wheels(_lock("pydantic"), "3.13")) == 1


@pytest.mark.parametrize("damage", ["file", "link", "directory in it"])
def test_broken_cache_is_made_anew(fetcher: Fetcher, tmp_path: Path, damage: str) -> None:
    (wheel,) = fetcher.wheels(_lock("pydantic"), "3.13")
    directory = wheel.parent
    if damage == "directory in it":
        (directory / "aa-1-py3-none-any.whl").mkdir()
    else:
        directory.rename(tmp_path / "elsewhere")
        if damage == "file":
            directory.touch()
        else:
            directory.symlink_to(tmp_path / "nowhere")
    assert fetcher.wheels(_lock("pydantic"), "3.13") == [wheel]


def test_deployment_that_fetched_at_the_same_time_is_no_failure(fetcher: Fetcher, tmp_path: Path, pip: Pip) -> None:
    lock = _lock("pydantic")
    (wheel,) = Fetcher(tmp_path / "other", ["pip"], Pip()).wheels(lock, "3.13")

    def at_the_same_time(package: str) -> bytes:
        shutil.copytree(wheel.parent, tmp_path / "cache" / wheel.parent.name)
        return _wheel(package)

    pip.wheel = at_the_same_time
    assert [one.name for one in fetcher.wheels(lock, "3.13")] == [wheel.name]


def test_cache_that_can_not_be_used_is_named(tmp_path: Path, pip: Pip) -> None:
    (tmp_path / "cache").touch()
    with pytest.raises(BundleError, match=f"the packages can't be kept in {tmp_path}/cache: "):
        Fetcher(tmp_path / "cache", ["pip"], pip).wheels(_lock("pydantic"), "3.13")


def test_what_the_lock_does_not_pin_is_refused(installed: Path, fetcher: Fetcher, pip: Pip) -> None:
    pip.wheel = lambda name: _wheel(name) + b" "
    with pytest.raises(BundleError, match=r"something else than the lock pins .*: ansible_core-1\.0"):
        make(installed, fetcher)


def test_pips_own_words_say_why_nothing_was_fetched(
    installed: Path, fetcher: Fetcher, pip: Pip, tmp_path: Path
) -> None:
    pip.errors = "ERROR: no route to host\n"
    with pytest.raises(BundleError, match="could not fetch the packages: ERROR: no route to host"):
        make(installed, fetcher)
    assert list((tmp_path / "cache").iterdir()) == []


def test_files_that_changed_since_the_installation_are_named(installed: Path) -> None:
    (installed / "plugins/module_utils/keys.py").write_text("KEYS = 2\n")
    (installed / "playbooks/reconcile.yml").unlink()
    with pytest.raises(BundleError, match=r"2 such as playbooks/reconcile.yml, plugins/module_utils/keys"):
        collection_files(installed)


def test_a_list_of_files_that_changed_is_named(installed: Path) -> None:
    listing = (installed / "FILES.json").read_text()
    (installed / "FILES.json").write_text(listing + "\n")
    with pytest.raises(BundleError, match=r"1 such as FILES\.json"):
        collection_files(installed)


@pytest.mark.parametrize("name", ["MANIFEST.json", "FILES.json"])
@pytest.mark.parametrize("text", ["", "{}", "[]", None])
def test_manifest_that_is_none_is_named(installed: Path, name: str, text: str | None) -> None:
    if text is None:
        (installed / "FILES.json").unlink()
    else:
        (installed / name).write_text(text)
    with pytest.raises(BundleError, match=r"can't be read .*install the collection again"):
        collection_files(installed)


def test_version_without_locks_is_named(installed: Path, fetcher: Fetcher) -> None:
    listing = json.loads((installed / "FILES.json").read_text())
    listing["files"] = [entry for entry in listing["files"] if "locks" not in entry["name"]]
    (installed / "FILES.json").write_text(json.dumps(listing))
    digest = _sha256((installed / "FILES.json").read_bytes())
    (installed / "MANIFEST.json").write_text(json.dumps({"file_manifest_file": {"chksum_sha256": digest}}))
    with pytest.raises(BundleError, match="is an earlier version, without locks"):
        make(installed, fetcher)


def test_a_checkout_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="make bundle"):
        collection_files(tmp_path)
