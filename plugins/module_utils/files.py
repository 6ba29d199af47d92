# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Files that only their owner reads, replaced whole or not at all, and where relative paths begin."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from pathlib import Path
from typing import Iterator, Mapping


@contextlib.contextmanager
def replacing(path: str, content: bytes) -> Iterator[None]:
    """Write `content` beside `path`, and rename it to `path` once the body of the `with` has succeeded.

    The file has mode 0600. Its directory is made, mode 0700, if missing. When the body fails, nothing is left.

    :raises ValueError: the file can't be written there; saying why.
    """
    directory = os.path.dirname(os.path.abspath(path))
    with _explained(path):
        if os.path.isdir(path):
            raise IsADirectoryError(21, "it is a directory")
        os.makedirs(directory, mode=0o700, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=directory, prefix=f".{os.path.basename(path)}-")
    try:
        with _explained(path), os.fdopen(handle, "wb") as file:
            file.write(content)
        yield
        with _explained(path):
            os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def write_private(path: str, content: bytes) -> None:
    """Replace a file atomically; see `replacing`."""
    with replacing(path, content):
        pass


def present(path: str) -> tuple[bytes, int | None]:
    """A file's content and mode; nothing and None without a file that can be read."""
    try:
        with open(path, "rb") as file:
            return file.read(), stat.S_IMODE(os.stat(path).st_mode)
    except OSError:
        return b"", None


def callers_path(path: str, environ: Mapping[str, str] | None = None) -> str:
    """The absolute path of what the caller calls `path`: relative to the directory that Ansible was started in.

    Ansible's own modules take the playbook's directory, which is within the installed collection. `~` and variables of
    the environment are replaced as Ansible does in paths.

    :raises ValueError: it is empty, which would be the directory itself.
    """
    if not path:
        raise ValueError("expected the path of a file, found an empty text")
    directory = _callers_directory(os.environ if environ is None else environ)
    return os.path.abspath(os.path.join(directory, os.path.expanduser(os.path.expandvars(path))))


def file_to_write(path: str) -> str:
    """The same of a file that is about to be replaced as a whole, as root would replace /dev/null, too.

    :raises ValueError: something else than a file is there, or above it than a directory, or the path is empty.
    """
    absolute = callers_path(path)
    above = next((each for each in Path(absolute).parents if os.path.lexists(each)), Path(os.sep))
    if not above.is_dir():
        raise ValueError(f"{above} is no directory, and {absolute} would be in it; nothing was written")
    with contextlib.suppress(OSError):  # there is nothing yet; whether it can be written is another question
        mode = os.stat(absolute).st_mode
        if not stat.S_ISREG(mode):
            what = "a directory" if stat.S_ISDIR(mode) else "no regular file"
            raise ValueError(
                f"{absolute} is {what}, expected the path of a file or of nothing yet; nothing was written"
            )
    return absolute


def _callers_directory(environ: Mapping[str, str]) -> str:
    """The process's directory as the shell calls it.

    PWD alone isn't enough: without a shell, as in AWX and cron, it may be missing or be another process's.
    """
    here, named = os.getcwd(), environ.get("PWD", "")
    return named if os.path.isabs(named) and os.path.realpath(named) == os.path.realpath(here) else here


@contextlib.contextmanager
def _explained(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ValueError(f"{path} can't be written: {error.strerror}") from None
