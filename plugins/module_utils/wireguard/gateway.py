# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""One gateway interface: its files, commands and memory; what is found there; and sending it differences."""

from __future__ import annotations

import time
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Callable, ContextManager, Sequence

from . import config as wg_config
from . import device as wg_device
from .commands import GatewayError, Runner, output
from .config import Config, Sections
from .device import Device, Difference, InterfaceChange, Link, LivePeer
from .state import Site, State, load, locked, save, write


class Gateway:
    """One gateway interface: where its files are, how commands are run, and what was last remembered."""

    def __init__(self, site: Site, run: Runner, check_mode: bool = False, clock: Callable[[], float] = time.time):
        self.site = site
        self.run = run
        self.check_mode = check_mode
        self._clock = clock
        self.remembered = State()

    def now(self) -> int:
        """Seconds since the epoch."""
        return int(self._clock())

    def lock(self, path: Path, timeout: float) -> ContextManager[None]:
        """Hold a lock; nothing in check mode, which only reads."""
        return nullcontext() if self.check_mode else locked(path, timeout)

    def act(self, args: Sequence[str], stdin: str = "") -> None:
        """Run a command that changes something."""
        if not self.check_mode:
            output(self.run, args, stdin)

    def write(self, path: Path, text: str) -> None:
        """Replace a file."""
        if not self.check_mode:
            write(path, text)

    def recall(self) -> State:
        """The state as it is now: somebody may have been revoked since it was read."""
        if self.check_mode:
            return replace(self.remembered)
        return load(self.site) or State()

    def remember(self, state: State) -> None:
        """Save the state if it differs from what is saved."""
        if state != self.remembered:
            if not self.check_mode:
                save(self.site, state)
            self.remembered = replace(state)


@dataclass
class Seen:
    """What was found on the gateway."""

    text: str  # of wg0.conf, empty if there is none
    sections: Sections
    link: Link | None  # None if the interface doesn't exist
    device: Device | None
    error: GatewayError | None  # why an existing interface couldn't be read

    @property
    def live(self) -> dict[str, LivePeer]:
        """The device's peers by public key."""
        return self.device.peers if self.device else {}


def look(gateway: Gateway) -> Seen:
    """Read the file, the interface and the device, changing nothing."""
    text = read_text(gateway.site.config)
    link, device, error = None, None, None
    try:
        link = wg_device.read_link(gateway.run, gateway.site.name)
        device = wg_device.read(gateway.run, gateway.site.name) if link else None
    except GatewayError as found:
        error = found
    return Seen(text, wg_config.split(text), link, device, error)


def read_text(path: Path) -> str:
    """A file's text; empty if there is no such file. Bytes that aren't UTF-8 are replaced."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""


def converge(gateway: Gateway, difference: Difference, changes: Sequence[InterfaceChange], wanted: Config) -> None:
    """Send the differences in the order of R11, and read the device back (R8).

    :raises GatewayError: a command failed, or the device still differs.
    """
    name = gateway.site.name
    for command in wg_device.removals(name, difference.removed):
        gateway.act(command)
    if difference.updated or difference.added:
        gateway.act(["wg", "addconf", name, "/dev/stdin"], wg_device.upserts(difference))
    for change in changes:
        gateway.act(change.command, change.stdin)
    if gateway.check_mode or not (difference or changes):
        return
    device, link = wg_device.read(gateway.run, name), wg_device.read_link(gateway.run, name)
    left = wg_device.diff(device.peers, wanted.peers)
    names = [f"peer {key} is still there" for key in left.removed]
    names += [f"{change.peer.name} has other {' and '.join(change.fields)}" for change in left.updated]
    names += [f"{peer.name} is missing" for peer in left.added]
    names += [change.what for change in wg_device.interface_changes(name, link, device, wanted.interface)]
    if names:
        raise GatewayError(
            f"{name} still differs after applying: {', '.join(names[:5])}. Something else changes it; "
            "find that, and run again"
        )
