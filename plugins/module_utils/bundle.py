# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What runs in AWS, made of the installed collection alone: bundle.tar for the builds, functions.zip for the functions.

Everything in them was checked: the collection's files against its own manifest, packages against the hashes of the
locks that the collection carries. The same version of it gives the same bytes on every machine.

    bundle.tar     site-packages/ for PYTHONPATH, collections/ for ANSIBLE_COLLECTIONS_PATH
    functions.zip  dispatcher/, self_service/, what they need of the collection, and packages
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import shutil
import tempfile
import zipfile
from pathlib import Path
from typing import Any, Callable, List, NamedTuple, Tuple

from ansible_collections.tracklib.vpn.plugins.module_utils.archive import File, Files, sha256, tarred, zipped

PYTHON = "3.13"  # of the builds' image and of the functions' runtime
# what Amazon Linux 2023 can load, the newest first
PLATFORMS = ("manylinux_2_34_x86_64", "manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")
LOCKS = "roles/control_plane/files/locks"
FUNCTIONS = "roles/control_plane/files"
FUNCTION_PACKAGES = ("dispatcher", "self_service")
UTILS = "plugins/module_utils"
OURS = "ansible_collections/tracklib/vpn"
AMAZON = "ansible_collections/amazon/aws"

_AGAIN = "install the collection again (ansible-galaxy collection install --force tracklib.vpn)"

# Run a command without a shell, such as pip: status, stdout, stderr.
Run = Callable[[List[str]], Tuple[int, str, str]]


class BundleError(Exception):
    """They can't be made; the message says why, and what to do."""


class Package(NamedTuple):
    """A package of an archive, as its lock pins it."""

    name: str
    version: str
    sha256: str  # of the wheel


class Archive(NamedTuple):
    """One of the two archives, and the packages in it."""

    name: str
    content: bytes
    packages: list[Package]


class Fetcher:
    """Fetches the wheels that locks pin, with pip, into a directory that keeps them for the next time."""

    def __init__(self, cache: Path, pip: list[str], run: Run) -> None:
        """Take where wheels are kept, the command that is pip, and what runs it."""
        self._cache = cache
        self._pip = pip
        self._run = run

    def wheels(self, lock: str, python: str) -> list[Path]:
        """The wheels of a lock for a version of Python on AWS's machines.

        Each has a hash of the lock, also where it was fetched by an earlier run.

        :param lock: the lock's text, as pip reads it.
        :raises BundleError: pip can't fetch them, or what it fetched isn't what the lock pins.
        """
        directory = self._cache / f"wheels-{python}-{sha256(lock.encode())[:16]}"
        try:
            wheels = sorted(directory.glob("*.whl"))
            unfit = _unfit(wheels, lock, python)
            if unfit:
                _remove(directory)
                self._fetch(lock, python, directory)
                wheels = sorted(directory.glob("*.whl"))
                unfit = _unfit(wheels, lock, python)
        except OSError as error:
            raise BundleError(f"the packages can't be kept in {self._cache}: {error}") from None
        if unfit:
            raise BundleError(
                f"pip fetched something else than the lock pins for Python {python} on Linux: {', '.join(unfit)}. If "
                "its configuration sets platform or abi (pip config list), take them out"
            )
        return wheels

    def _fetch(self, lock: str, python: str, directory: Path) -> None:
        self._cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self._cache) as temporary:
            requirements, fetched = Path(temporary, "lock.txt"), Path(temporary, "wheels")
            requirements.write_text(lock, encoding="utf-8")
            platforms = [word for platform in PLATFORMS for word in ("--platform", platform)]
            status, _output, errors = self._run([
                *self._pip, "download", "--quiet", "--disable-pip-version-check", "--no-input", "--no-deps",
                "--require-hashes", "--only-binary=:all:", "--implementation", "cp", "--python-version", python,
                *platforms, "--dest", str(fetched), "--requirement", str(requirements),
            ])  # fmt: skip
            if status != 0:
                raise BundleError(f"pip could not fetch the packages: {errors.strip()[-1000:]}")
            try:
                fetched.rename(directory)
            except OSError:
                if not directory.is_dir():  # another deployment fetched them meanwhile
                    raise


def make(root: Path, fetcher: Fetcher, python: str = PYTHON) -> list[Archive]:
    """Make both archives.

    :param root: directory of the installed collection.
    :param python: version of the Python that runs them.
    :raises BundleError: they can't be made.
    """
    collection = collection_files(root)
    if f"{LOCKS}/bundle.txt" not in collection:
        raise BundleError(f"{root} is an earlier version, without locks of what runs in AWS: {_AGAIN}")
    packages = {
        name: fetcher.wheels(collection[f"{LOCKS}/{name}.txt"].content.decode(), python)
        for name in ("bundle", "bundle-collections", "functions")
    }
    return [
        Archive(
            "bundle.tar",
            tarred(
                {
                    **_below("site-packages", _unpacked(packages["bundle"])),
                    **_below("collections", _unpacked(packages["bundle-collections"], only=f"{AMAZON}/")),
                    **_below(f"collections/{OURS}", collection),
                }
            ),
            _named([*packages["bundle"], *packages["bundle-collections"]]),
        ),
        Archive(
            "functions.zip",
            zipped(
                {
                    **_unpacked(packages["functions"]),
                    **_below(f"{OURS}/{UTILS}", _part(collection, UTILS)),
                    **{
                        name: file
                        for package in FUNCTION_PACKAGES
                        for name, file in _below(package, _part(collection, f"{FUNCTIONS}/{package}")).items()
                    },
                }
            ),
            _named(packages["functions"]),
        ),
    ]


def collection_files(root: Path) -> Files:
    """The files of an installed collection: what its manifest lists, each with the content that it had when built.

    Galaxy's format 1: MANIFEST.json has the SHA-256 of FILES.json, and that of each file.

    :raises BundleError: there is no manifest, as in a checkout, or files were changed or removed since.
    """
    if not (root / "MANIFEST.json").exists():
        raise BundleError(
            f"{root} isn't an installed collection, such as a checkout, in which nothing says what its files should "
            "be: run `make bundle` there and set control_plane_bundle to .cache/bundle, or install the collection"
        )
    try:
        manifest: dict[str, Any] = json.loads((root / "MANIFEST.json").read_bytes())
        listed = {
            entry["name"]: entry["chksum_sha256"]
            for entry in json.loads((root / "FILES.json").read_bytes())["files"]
            if entry["ftype"] == "file"
        }
        listed["FILES.json"] = manifest["file_manifest_file"]["chksum_sha256"]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise BundleError(
            f"MANIFEST.json or FILES.json of {root} can't be read ({type(error).__name__} {error}): {_AGAIN}"
        ) from None
    files = {}
    changed = []
    for name, expected in sorted(listed.items()):
        path = root / name
        content = path.read_bytes() if path.is_file() else b""
        if sha256(content) != expected:
            changed.append(name)
        files[name] = File(content)
    if changed:
        raise BundleError(
            f"{root} has files that aren't what was installed, {len(changed)} such as {', '.join(changed[:3])}: "
            + _AGAIN
        )
    files["MANIFEST.json"] = File((root / "MANIFEST.json").read_bytes())
    return files


def _unfit(wheels: list[Path], lock: str, python: str) -> list[str]:
    """Names of wheels that the lock doesn't pin or that Python can't load there, and of packages without a wheel."""
    pinned = set(re.findall(r"--hash=sha256:([0-9a-f]{64})", lock))
    wrong = [
        wheel.name
        for wheel in wheels
        if not wheel.is_file() or not _can_load(wheel.stem, python) or _digest(wheel) not in pinned
    ]
    there = {_normalized(wheel.name.split("-")[0]) for wheel in wheels}
    wanted = {_normalized(name) for name in re.findall(r"^([A-Za-z0-9._-]+)==", lock, re.MULTILINE)}
    return [*wrong, *(f"no {name}" for name in sorted(wanted - there))]


def _can_load(stem: str, python: str) -> bool:
    """Tell by a wheel's tags, NAME-VERSION-PYTHON-ABI-PLATFORM, whether AWS's Python can load it."""
    tag, abi, platform = (set(tags.split(".")) for tags in stem.split("-")[-3:])
    is_pure = "any" in platform and "py3" in tag
    return is_pure or ((f"cp{python.replace('.', '')}" in tag or "abi3" in abi) and not platform.isdisjoint(PLATFORMS))


def _normalized(name: str) -> str:
    """A package's name as PyPI compares it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _remove(path: Path) -> None:
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.is_dir():
        shutil.rmtree(path)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _named(wheels: list[Path]) -> list[Package]:
    # a wheel's name begins with NAME-VERSION-, and neither has another hyphen (the binary distribution format)
    parts = [(wheel, wheel.name.split("-")) for wheel in wheels]
    return [Package(name, version, _digest(wheel)) for wheel, (name, version, *_tags) in parts]


def _unpacked(wheels: list[Path], only: str = "") -> Files:
    """The files of wheels together, or those alone whose names begin so."""
    files = {}
    for wheel in wheels:
        with zipfile.ZipFile(io.BytesIO(wheel.read_bytes())) as archive:
            for name in archive.namelist():
                # NAME.data has scripts, which nobody calls here
                if name.endswith("/") or name.split("/")[0].endswith(".data") or not name.startswith(only):
                    continue
                files[name] = File(archive.read(name))
    return files


def _part(files: Files, directory: str) -> Files:
    """The files below one directory, named from there."""
    prefix = f"{directory}/"
    return {name[len(prefix) :]: file for name, file in files.items() if name.startswith(prefix)}


def _below(directory: str, files: Files) -> Files:
    return {f"{directory}/{name}": file for name, file in files.items()}
