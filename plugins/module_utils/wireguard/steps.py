# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The steps that plans are made of. Each does one thing, and a run may be killed between any two of them."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Mapping, Protocol, Sequence

from . import device as wg_device
from . import firewall
from .commands import GatewayError, output
from .config import Config, Interface, first_of
from .device import Difference, InterfaceChange
from .files import write
from .gateway import LOCK_TIMEOUT, Gateway
from .report import NOTHING, Report
from .state import State, load, save
from .surroundings import read_surroundings, surrounding_changes

_SHOWN_DIFFERENCES = 5


class Action(Protocol):
    """What one step does."""

    def run(self, gateway: Gateway, state: State, /) -> State:
        """Do it.

        :param state: what is remembered when the step begins.
        :returns: what is remembered when it has ended.
        :raises GatewayError: or OSError; it could not be done.
        """


@dataclass(frozen=True)
class Step:
    """A part of a plan."""

    action: Action
    reports: Report = NOTHING  # once it is done
    urgent: bool = False  # done although an earlier step has failed


@dataclass(frozen=True)
class RecordState:
    """Save the state. The lock of state, file and device is held."""

    state: State

    def run(self, gateway: Gateway, _state: State) -> State:
        """Replace the state file."""
        save(gateway.site, self.state)
        return self.state


@dataclass(frozen=True)
class RecordFirewall:
    """Save what is known of the firewall. The lock of a whole apply is held, and no other: nft may be slow."""

    known: tuple[str, ...]  # digests of what the firewall's file may be

    def run(self, gateway: Gateway, state: State) -> State:
        """Change nothing of the state but that, since a revocation may have changed the rest meanwhile."""
        with gateway.state_lock(LOCK_TIMEOUT):
            saved = replace(load(gateway.site) or state, firewall=self.known, loaded=state.loaded)
            save(gateway.site, saved)
        return saved


@dataclass(frozen=True)
class MoveAside:
    """Keep a damaged file, or one of the past, under another name."""

    file: Path
    aside: Path

    def run(self, _gateway: Gateway, state: State) -> State:
        """Rename the file; one that isn't there was moved by a run that was killed after that."""
        with suppress(FileNotFoundError):
            self.file.replace(self.aside)
        return state


@dataclass(frozen=True)
class WriteFile:
    """Replace a file as a whole."""

    file: Path
    text: str = field(repr=False)  # it may hold the private key

    def run(self, _gateway: Gateway, state: State) -> State:
        """Write it beside the old one, and rename it."""
        write(self.file, self.text)
        return state


@dataclass(frozen=True)
class CheckFirewall:
    """Let nft check rules before anything is touched."""

    text: str

    def run(self, gateway: Gateway, state: State) -> State:
        """Ask nft; nothing is loaded."""
        firewall.check(gateway.run, self.text)
        return state


@dataclass(frozen=True)
class LoadFirewall:
    """Load the firewall, in one transaction."""

    text: str  # what the file says

    def run(self, gateway: Gateway, state: State) -> State:
        """Load the rules; what the kernel made of them is saved by the next RecordFirewall."""
        firewall.load(gateway.run, self.text, gateway.site.name)
        return replace(state, loaded=firewall.loaded(gateway.run, self.text))


class PartlyDoneError(GatewayError):
    """A step was done in part: what is remembered, and what is to be reported of it."""

    def __init__(self, message: str, state: State, report: Report) -> None:
        super().__init__(message)
        self.state = state
        self.report = report


@dataclass(frozen=True)
class RemovePeers:
    """Take peers off the device."""

    keys: tuple[str, ...]
    names: Mapping[str, str] = field(default_factory=dict)  # of user and device, by key, where they are known

    def run(self, gateway: Gateway, state: State) -> State:
        """Send their removal. Who can't be removed keeps nobody else on the device (R17, one bad item).

        :raises PartlyDoneError: naming who is still there; the removal of the others is saved.
        """
        refused = _refused_removals(gateway, self.keys)
        if not refused:
            return state
        gone = [key for key in self.keys if key not in refused]
        state = state.finished(gone, gateway.now())
        save(gateway.site, state)
        there = [self.names.get(key, f"peer {key}") for key in refused]
        raise PartlyDoneError(
            f"{first_of(there)} could not be taken off {gateway.site.name}, the next run tries again: "
            f"{next(iter(refused.values()))}",
            state,
            Report(removed=[self.names[key] for key in gone if key in self.names]),
        )


@dataclass(frozen=True)
class SetPeers:
    """Update peers of the device, and add new ones."""

    difference: Difference = field(repr=False)  # it may hold preshared keys

    def run(self, gateway: Gateway, state: State) -> State:
        """Send updates and additions; nobody else is mentioned (R7, survivors don't notice)."""
        name = gateway.site.name
        output(gateway.run, ["wg", "addconf", name, "/dev/stdin"], wg_device.upserts(self.difference))
        return state


@dataclass(frozen=True)
class ChangeInterface:
    """Change one thing at the interface apart from its peers."""

    change: InterfaceChange = field(repr=False)  # it may hold the private key

    def run(self, gateway: Gateway, state: State) -> State:
        """Run the change's command."""
        output(gateway.run, self.change.command, self.change.stdin)
        return state


@dataclass(frozen=True)
class ReadBack:
    """Read the device and compare it with what was wanted (R8, the device is the truth)."""

    wanted: Config = field(repr=False)

    def run(self, gateway: Gateway, state: State) -> State:
        """Compare. :raises GatewayError: naming what still differs."""
        name = gateway.site.name
        device, link = wg_device.read(gateway.run, name), wg_device.read_link(gateway.run, name)
        left = wg_device.diff(device.peers, self.wanted.peers)
        differing = [f"peer {key} is still there" for key in left.removed]
        differing += [f"{update.peer.name} has other {' and '.join(update.fields)}" for update in left.updated]
        differing += [f"{peer.name} is missing" for peer in left.added]
        changes = wg_device.interface_changes(name, link, device, self.wanted.interface)
        differing += [change.what for change in changes]
        _refuse_differing(name, differing)
        return state


@dataclass(frozen=True)
class ReadSurroundingsBack:
    """Read what is around the interface and compare it with what was wanted (R8, the device is the truth)."""

    wanted: Interface = field(repr=False)

    def run(self, gateway: Gateway, state: State) -> State:
        """Compare. :raises GatewayError: naming what still differs."""
        name = gateway.site.name
        found = read_surroundings(gateway.run, name)
        differing = [change.what for change in surrounding_changes(name, found, self.wanted)] if found else []
        _refuse_differing(name, differing)
        return state


@dataclass(frozen=True)
class StartInterface:
    """Let wg-quick make the interface without any peer."""

    config_text: str = field(repr=False)  # it holds the private key

    def run(self, gateway: Gateway, state: State) -> State:
        """Give wg-quick a file of its own, in memory and only for as long as that takes."""
        file = gateway.site.run_dir / gateway.site.config.name
        write(file, self.config_text)
        try:
            output(gateway.run, ["wg-quick", "up", str(file)])
        finally:
            file.unlink()
        return state


@dataclass(frozen=True)
class RestartUnit:
    """Let systemd start the missing interface; its unit takes the lock of a whole apply itself."""

    unit: str

    def run(self, gateway: Gateway, state: State) -> State:
        """Restart the unit."""
        output(gateway.run, ["systemctl", "restart", self.unit])
        return state


def _refused_removals(gateway: Gateway, keys: Sequence[str]) -> dict[str, str]:
    """Take peers off, one by one where a batch fails. :returns: what was said of each that is still there."""
    refused: dict[str, str] = {}
    for batch in wg_device.batches(keys):
        try:
            result = gateway.run(wg_device.removal(gateway.site.name, batch))
        except GatewayError as error:  # one by one it wouldn't run either
            refused.update(dict.fromkeys(batch, str(error)))
            continue
        if result.rc != 0 and len(batch) == 1:
            refused[batch[0]] = result.stderr.strip()
        elif result.rc != 0:
            for key in batch:
                refused.update(_refused_removals(gateway, [key]))
    return refused


def _refuse_differing(name: str, differing: Sequence[str]) -> None:
    if differing:
        raise GatewayError(
            f"{name} still differs after applying: {', '.join(differing[:_SHOWN_DIFFERENCES])}. Something else "
            "changes it; find that, and run again"
        )
