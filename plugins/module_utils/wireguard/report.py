# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What one call did, in the words of an operator: names, never keys of users or whole files."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Iterator, Mapping

from .commands import GatewayError
from .config import Peer, parse_peer, relabelled
from .device import Difference
from .gateway import Seen
from .state import Removal


@dataclass
class Outcome:
    """What one call did, by name. With any problem the call has failed, and still did what it lists."""

    generation: int = 0
    stale: bool = False
    added: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    expired: list[str] = field(default_factory=list)  # in the roster, but past their time by the gateway's clock
    updated: dict[str, str] = field(default_factory=dict)  # what is different now, by name
    settings: list[str] = field(default_factory=list)  # of interface, firewall and files
    repaired: list[str] = field(default_factory=list)
    removals: list[Removal] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def changed(self) -> bool:
        """Whether device, firewall or files changed."""
        return any((self.added, self.removed, self.updated, self.settings, self.repaired))

    def diff(self) -> dict[str, str]:
        """For Ansible's diff mode."""
        before = [*self.removed, *self.updated, *self.repaired]
        after = [*self.added, *(f"{name}: other {what}" for name, what in self.updated.items())]
        after += [f"{name}: repaired" for name in self.repaired] + [f"{name}: changed" for name in self.settings]
        return {"before": _lines(before), "after": _lines(after)}


def _lines(names: list[str]) -> str:
    return "".join(f"{name}\n" for name in sorted(names))


@contextmanager
def noted(outcome: Outcome) -> Iterator[None]:
    """Turn an error into a problem of the outcome."""
    try:
        yield
    except (GatewayError, OSError) as error:
        outcome.problems.append(str(error))


def tell_interface(outcome: Outcome, seen: Seen, text: str, generation: int, changes: list[str]) -> None:
    """Note what differed at the interface: drift if the file has it as before, else what was asked for."""
    before = relabelled(seen.sections.interface, generation)
    if before and text.startswith(before):
        outcome.repaired += changes
    else:
        outcome.settings += changes


def tell_peers(outcome: Outcome, seen: Seen, difference: Difference, gone: Mapping[str, str]) -> None:
    """Note what differed at the peers: drift if the file has them as wanted, else what was asked for.

    :param gone: names of removed peers by public key; one without a name was never in a roster.
    """
    filed = {key: (comment, settings) for key, comment, settings in seen.sections.peers}
    outcome.removed += gone.values()
    outcome.repaired += [f"peer {key} added by hand" for key in difference.removed if key not in gone]
    for peer in difference.added:
        if peer.public_key not in filed:
            outcome.added.append(peer.name)
        elif seen.link:
            outcome.repaired.append(f"{peer.name} missing on the device")
    for change in difference.updated:
        what, key = " and ".join(change.fields), change.peer.public_key
        if key in filed and _same(change.peer, *filed[key]):
            outcome.repaired.append(f"{change.peer.name} with other {what}")
        else:
            outcome.updated[change.peer.name] = what


def _same(peer: Peer, comment: str, settings: str) -> bool:
    try:
        return parse_peer(comment, settings)._replace(comment=peer.comment) == peer
    except ValueError:
        return False
