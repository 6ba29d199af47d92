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
from typing import Iterator

_IGNORED = ("__pycache__", ".git")


def pack(directory: str) -> bytes:
    """All files below a directory as a tar archive; links are followed, owners and times left out.

    :raises ValueError: the directory has no file, or something that is neither file nor directory.
    """
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name in _files(directory):
            path = os.path.join(directory, name)
            with open(path, "rb") as file:
                content = file.read()
            member = tarfile.TarInfo(name)
            member.size = len(content)
            member.mode = 0o755 if os.access(path, os.X_OK) else 0o644
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def pack_program(package: Path, module: str) -> bytes:
    """Pack a Python package into an archive that runs `main(arguments)` of one of its modules.

    `python3 -I FILE ARGUMENT...` starts it, with nothing but the archive and the standard library to import from.
    """
    main = f"import sys\n\nfrom {package.name}.{module} import main\n\nsys.exit(main(sys.argv[1:]))\n"
    files = {"__main__.py": main.encode()}
    files.update({f"{package.name}/{path.name}": path.read_bytes() for path in sorted(package.glob("*.py"))})
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, content in files.items():
            member = zipfile.ZipInfo(name)
            member.create_system = 3  # Unix, or the mode counts for nothing
            member.external_attr = 0o644 << 16
            archive.writestr(member, content)
    return buffer.getvalue()


def sha256(content: bytes) -> str:
    """Its hexadecimal digest."""
    return hashlib.sha256(content).hexdigest()


def _files(directory: str) -> list[str]:
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
