# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What a gateway remembers between calls: its files, its locks and its state.

The state is what makes rules R4, R6 and R12 hold across kills and reboots. It is written before the device is
touched, so that a killed run is completed by the next one and loses no receipt.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Container, Iterator, NamedTuple

from .commands import GatewayError
from .config import Owner

FORMAT = 1
_POLL = 0.05  # seconds between two looks at a lock that another process holds


class StateError(GatewayError):
    """The state file can't be read."""


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
    def next_expiry(self) -> Path:
        """When the next peer expires, for the timer that takes it off."""
        return self.run_dir / f"{self.name}.next-expiry"

    @property
    def apply_lock(self) -> Path:
        """Held during a whole apply, start or reload."""
        return self.state_dir / f"{self.name}.lock"

    @property
    def state_lock(self) -> Path:
        """Held while state, file and device change together; so short that a revocation can wait for it."""
        return self.state_dir / f"{self.name}.state.lock"


class Removal(NamedTuple):
    """A peer taken off the gateway. Times are seconds since the epoch; `removed_at` is None until it is done."""

    id: str
    user_name: str
    device: str
    account_id: str
    user_id: str
    public_key: str
    fingerprint: str
    generation: int
    reason: str
    last_handshake: int | None
    removed_at: int | None

    @property
    def name(self) -> str:
        """`alice/laptop`"""
        return f"{self.user_name}/{self.device}"


@dataclass
class State:
    """What is remembered. Digests are of texts as `config.body()` has them, so without the private key."""

    generation: int = 0  # the highest seen; lower ones are stale (R6)
    content: str | None = None  # digest of what that generation brought, once it is fully applied
    made_at: int | None = None  # when the installed roster was made (R12)
    config: list[str] = field(default_factory=list)  # what wg0.conf may be; two while it is being replaced
    firewall: list[str] = field(default_factory=list)  # the same for the firewall's file
    loaded: str | None = None  # of the firewall's text and of what the kernel made of it
    removals: list[Removal] = field(default_factory=list)  # until acknowledged
    revoked: dict[str, Owner] = field(default_factory=dict)  # by public key: an operator's word, until a roster agrees

    def pending(self) -> dict[str, Removal]:
        """Removals that were begun but not finished, by public key."""
        return {removal.public_key: removal for removal in self.removals if removal.removed_at is None}

    def finish(self, keys: Container[str], now: int) -> None:
        """Note that the pending removals of these public keys are done."""
        self.removals = [
            removal._replace(removed_at=now) if removal.removed_at is None and removal.public_key in keys else removal
            for removal in self.removals
        ]

    def barred(self) -> set[str]:
        """Public keys that never come up, whatever a file says: revoked, or being removed (R4)."""
        return {*self.revoked, *self.pending()}


def load(site: Site) -> State | None:
    """The state, or None if there is none.

    :raises StateError: the file isn't what save() wrote.
    """
    try:
        found = json.loads(site.state.read_text(encoding="utf-8"))
        if found.pop("format") != FORMAT:
            raise StateError(f"{site.state} is of another version of this collection")
        state = State(**found)
        state.removals = [Removal(**removal) for removal in found["removals"]]
        state.revoked = {key: Owner(**owner) for key, owner in found["revoked"].items()}
        state.generation = int(state.generation)
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError, AttributeError):
        raise StateError(f"{site.state} is corrupt") from None
    return state


def save(site: Site, state: State) -> None:
    """Replace the state file. :raises OSError: the old one is still there."""
    content: dict[str, Any] = {"format": FORMAT, **vars(state)}
    content["removals"] = [removal._asdict() for removal in state.removals]
    content["revoked"] = {key: owner._asdict() for key, owner in state.revoked.items()}
    site.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    write(site.state, json.dumps(content, indent=1) + "\n")


def write(path: Path, text: str) -> None:
    """Replace a file as a whole, mode 0600, on the disk when this returns.

    The name beside it is fixed, so that a killed run leaves at most one, which the next one overwrites.
    """
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

    :param timeout: how long to wait for another process, in seconds.
    :raises LockHeldError: naming the process that holds it.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # not inheritable: a wireguard-go that wg-quick starts would keep it for ever
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _wait(handle, path, timeout)
        yield
    finally:
        os.close(handle)


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
