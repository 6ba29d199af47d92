# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Archives whose bytes depend on names and contents alone: the same files have the same SHA-256 on every machine.

They aren't compressed, since compressors differ from one version to the next.
"""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
import zipfile
from pathlib import Path
from typing import Dict, Iterator, Mapping, NamedTuple, Sequence

_IGNORED = ("__pycache__", ".git")
_ROOM = "library"  # the package that holds a program's packages, which refer to each other


class File(NamedTuple):
    """What an archive keeps of a file besides its name."""

    content: bytes
    is_executable: bool = False


Files = Dict[str, File]  # by name: relative, with slashes


def read_files(directory: str) -> Files:
    """All files below a directory; links are followed.

    :raises ValueError: the directory has no file, or something that is neither file nor directory.
    """
    files = {}
    for name in _names(directory):
        path = os.path.join(directory, name)
        with open(path, "rb") as file:
            files[name] = File(file.read(), os.access(path, os.X_OK))
    return files


def tarred(files: Mapping[str, File]) -> bytes:
    """A tar archive, without owners and times."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, file in sorted(files.items()):
            member = tarfile.TarInfo(name)
            member.size = len(file.content)
            member.mode = 0o755 if file.is_executable else 0o644
            archive.addfile(member, io.BytesIO(file.content))
    return buffer.getvalue()


def zipped(files: Mapping[str, File]) -> bytes:
    """A zip archive, without times."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, file in sorted(files.items()):
            member = zipfile.ZipInfo(name)
            member.create_system = 3  # Unix, or the mode counts for nothing
            member.external_attr = (0o755 if file.is_executable else 0o644) << 16
            archive.writestr(member, file.content)
    return buffer.getvalue()


def pack_program(packages: Sequence[Path], main: str) -> bytes:
    """Pack Python packages that lie beside each other into an archive that runs `main(arguments)` of a module.

    `python3 -I FILE ARGUMENT...` starts it, with nothing but the archive and the standard library to import from.

    :param main: the module, from its package on, such as `wireguard.unit`.
    """
    start = f"import sys\n\nfrom {_ROOM}.{main} import main\n\nsys.exit(main(sys.argv[1:]))\n"
    files = {"__main__.py": File(start.encode()), f"{_ROOM}/__init__.py": File(b"")}
    for package in packages:
        files.update({f"{_ROOM}/{package.name}/{path.name}": File(path.read_bytes()) for path in package.glob("*.py")})
    return zipped(files)


def sha256(content: bytes) -> str:
    """Its hexadecimal digest."""
    return hashlib.sha256(content).hexdigest()


def _names(directory: str) -> list[str]:
    names = sorted(_walk(directory))
    if not names:
        raise ValueError(f"{directory} is no directory with files")
    for name in names:
        if not os.path.isfile(os.path.join(directory, name)):
            raise ValueError(
                f"{os.path.join(directory, name)} is neither a file nor a directory, so it can't be packed"
            )
    return names


def _walk(directory: str) -> Iterator[str]:
    for parent, directories, files in os.walk(directory, followlinks=True):
        directories[:] = [name for name in directories if name not in _IGNORED]
        for name in files:
            yield os.path.relpath(os.path.join(parent, name), directory)
