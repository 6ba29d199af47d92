# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Makes what runs in AWS: bundle.tar for the builds, functions.zip for the Lambda functions.

Everything in them is pinned and checked: packages against the hashes of their locks, amazon.aws as a part of the
environment that was made from its own lock. The same sources and locks give the same bytes on every machine.

    bundle.tar     site-packages/ for PYTHONPATH, collections/ for ANSIBLE_COLLECTIONS_PATH
    functions.zip  dispatcher/, self_service/, what they need of the collection, and packages

Run by `make bundle`, which lets Python find the collection.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

from ansible_collections.tracklib.vpn.plugins.module_utils.archive import pack
from gates import CACHE, COLLECTION, SITE_PACKAGES, stage
from runner import ROOT

PYTHON = "3.13"  # of the build's image and of the functions' runtime
# what Amazon Linux 2023 can load, the newest first
PLATFORMS = ("manylinux_2_34_x86_64", "manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")
WORK = CACHE / "bundle-work"
FUNCTIONS = ("dispatcher", "self_service")
NO_SOURCES = shutil.ignore_patterns("__pycache__", "*.pyc")


def main() -> int:
    """Make both, and say what they are."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", default=PYTHON, help=f"version of the Python that runs them ({PYTHON})")
    parser.add_argument("--output", type=Path, default=CACHE / "bundle", help="directory for both (.cache/bundle)")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    made = {
        "bundle.tar": pack(str(bundle_tree(arguments.python))),
        "functions.zip": zipped(functions_tree(arguments.python)),
    }
    for name, content in made.items():
        (arguments.output / name).write_bytes(content)
        print(f"{hashlib.sha256(content).hexdigest()}  {arguments.output / name}  ({len(content) / 1e6:.0f} MB)")
    return 0


def bundle_tree(python: str) -> Path:
    """A directory with what bundle.tar has."""
    tree = _empty("bundle")
    unpack_wheels("bundle", python, tree / "site-packages")
    collections = tree / "collections/ansible_collections"
    amazon = Path("ansible_collections/amazon/aws")
    shutil.copytree(SITE_PACKAGES / amazon, tree / "collections" / amazon, ignore=NO_SOURCES)
    with tarfile.open(build_collection()) as archive:
        archive.extractall(collections / "tracklib/vpn", filter="data")
    return tree


def functions_tree(python: str) -> Path:
    """A directory with what functions.zip has."""
    tree = _empty("functions")
    unpack_wheels("functions", python, tree)
    for name in FUNCTIONS:
        source = ROOT / "roles/control_plane/files" / name
        if source.is_dir():
            shutil.copytree(source, tree / name, ignore=NO_SOURCES)
    utils = Path("plugins/module_utils")
    shutil.copytree(COLLECTION / utils, tree / "ansible_collections/tracklib/vpn" / utils, ignore=NO_SOURCES)
    return tree


def build_collection() -> Path:
    """The collection's tarball."""
    output = _empty("collection")
    command = ["ansible-galaxy", "collection", "build", "--output-path", str(output)]
    subprocess.run(command, cwd=stage("bundle-work/staged"), check=True, stdout=subprocess.DEVNULL)
    return next(output.glob("*.tar.gz"))


def unpack_wheels(name: str, python: str, target: Path) -> None:
    """Fetch the wheels of a lock for that Python, each checked against its hash, and put their contents together."""
    lock = ROOT / f"tools/locks/{name}.txt"
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()[:16]
    wheels = WORK / f"wheels-{name}-{python}-{digest}"
    if not wheels.is_dir():
        unfinished = _empty(f"{wheels.name}.unfinished")
        platforms = [word for platform in PLATFORMS for word in ("--platform", platform)]
        subprocess.run(
            [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input",
             "--no-deps", "--require-hashes", "--only-binary=:all:", "--implementation", "cp", "--python-version",
             python, *platforms, "--dest", unfinished, "--requirement", lock],
            check=True,
        )  # fmt: skip
        unfinished.rename(wheels)
    for wheel in sorted(wheels.glob("*.whl")):
        with zipfile.ZipFile(wheel) as archive:
            # NAME.data has scripts, which nobody calls here
            members = [member for member in archive.namelist() if not member.split("/")[0].endswith(".data")]
            archive.extractall(target, members)


def zipped(tree: Path) -> bytes:
    """All files of a directory as a zip archive without times, uncompressed as pack's archives are."""
    path = WORK / "functions.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for file in sorted(file for file in tree.rglob("*") if file.is_file()):
            member = zipfile.ZipInfo(file.relative_to(tree).as_posix())
            member.create_system = 3  # Unix, or the mode counts for nothing
            member.external_attr = 0o644 << 16
            archive.writestr(member, file.read_bytes())
    return path.read_bytes()


def _empty(name: str) -> Path:
    directory = WORK / name
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    return directory


if __name__ == "__main__":
    sys.exit(main())
