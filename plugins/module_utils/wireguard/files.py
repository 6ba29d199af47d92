# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""A gateway interface's files: where they are, how they are replaced, and the locks that keep two runs apart."""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Iterator, NamedTuple

from .commands import GatewayError

_POLL = 0.05  # seconds between two tries to take a lock that another process holds


class LockHeldError(GatewayError):
    """Another process has kept a lock for too long."""


class Site(NamedTuple):
    """Where the files of one interface are."""

    name: str
    config_dir: Path = Path("/etc/wireguard")
    state_dir: Path = Path("/var/lib/tracklib-vpn")
    run_dir: Path = Path("/run/tracklib-vpn")

    @property
    def config(self) -> Path:
        """The WireGuard configuration, private key included."""
        return self.config_dir / f"{self.name}.conf"

    @property
    def firewall(self) -> Path:
        """The nftables rules."""
        return self.config_dir / f"{self.name}.nft"

    @property
    def state(self) -> Path:
        """The state file."""
        return self.state_dir / f"{self.name}.json"

    @property
    def state_copy(self) -> Path:
        """A copy of what no run could tell again, should the state file be lost."""
        return self.config_dir / f"{self.name}.state-copy"

    @property
    def next_expiry(self) -> Path:
        """When the next peer expires, for the timer that takes it off."""
        return self.run_dir / f"{self.name}.next-expiry"

    @property
    def seen(self) -> Path:
        """What look.sh printed when all was found well, for the timer that repairs what was changed since."""
        return self.run_dir / f"{self.name}.seen"

    @property
    def apply_lock(self) -> Path:
        """Held during a whole apply, start or reload."""
        return self.state_dir / f"{self.name}.lock"

    @property
    def state_lock(self) -> Path:
        """Held while state, file and device change together; so short that a revocation can wait for it."""
        return self.state_dir / f"{self.name}.state.lock"


def read_text(path: Path) -> str:
    """Return a file's text; empty if there is none that can be read. Bytes that aren't UTF-8 are replaced.

    What is in a file's place, such as a directory, keeps no revocation waiting. Who writes the file finds it.
    """
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def write(path: Path, text: str) -> None:
    """Replace a file as a whole, mode 0600, on the disk when this returns.

    The name beside it is fixed, so that a killed run leaves at most one, which the next one overwrites.
    """
    try:
        _write(path, text)
    except OSError as error:  # of a full disk it doesn't say where
        raise OSError(error.errno, error.strerror, str(path)) from error


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.new")
    with suppress(FileNotFoundError):
        beside.unlink()
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(handle, "w", encoding="utf-8", newline="\n") as file:
        file.write(text)
        file.flush()
        os.fsync(handle)
    beside.replace(path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


@contextmanager
def locked(path: Path, timeout: float) -> Iterator[None]:
    """Hold a lock that ends with the process, whatever happens to it.

    A file system that can't be written, or something odd in the lock's place, keeps nobody from taking a peer off:
    where there is nothing to lock, there is no lock.

    :param timeout: how long to wait for another process, in seconds.
    :raises LockHeldError: naming the process that holds it.
    """
    handle = _open(path)
    if handle is None:
        yield
        return
    try:
        _wait(handle, path, timeout)
        yield
    finally:
        os.close(handle)


def _open(path: Path) -> int | None:
    """Open a lock's file; not inheritable: a wireguard-go that wg-quick starts would keep it for ever."""
    with suppress(OSError):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    with suppress(OSError):
        return os.open(path, os.O_RDONLY)
    return None


def _wait(handle: int, path: Path, timeout: float) -> None:
    end = time.monotonic() + timeout
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= end:
                raise LockHeldError(
                    f"{path} was held by {_holder(handle)} for {timeout:g} seconds; find out why that process doesn't "
                    "end, stop it if need be, and run again"
                ) from None
            time.sleep(_POLL)
        else:
            return


def _holder(handle: int) -> str:
    """Names the process that holds a lock; /proc/locks has it, so nothing need be written into the file."""
    inode = str(os.fstat(handle).st_ino)
    for line in Path("/proc/locks").read_text(encoding="ascii").splitlines():
        fields = line.split()
        if "FLOCK" in fields and "->" not in fields and fields[5].rpartition(":")[2] == inode:
            return f"process {fields[4]}"
    return "another process"
