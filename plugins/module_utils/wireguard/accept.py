# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What of a checked roster a gateway accepts: whom it leaves out, whom it keeps all the same, and why. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Mapping, Sequence

from . import config as wg_config
from .bars import Bar, how_to_release
from .check import CheckedRoster
from .config import Peer, PeerLabel, Sorted, Unfit, device_of, first_of
from .gateway import CLOCKS_APART
from .order import ApplyOrder, GatewayReason, Revocation
from .plan import saved_state
from .read import Snapshot
from .refusals import is_too_much, peers_before, refuse_emptying, refuse_other_registry, unexplained

_OLD = 3600  # seconds; a run applies what it decided within minutes


@dataclass(frozen=True)
class Accepted:
    """A roster as one gateway applies it."""

    roster: CheckedRoster  # the peers to have
    barred: Mapping[str, PeerLabel]  # kept out by bars of this gateway, by public key
    expired: Mapping[str, PeerLabel]  # by the gateway's clock
    lost: Mapping[str, PeerLabel]  # our peers whose items are unfit, by the public keys that they have
    held: Mapping[str, PeerLabel]  # of these, those who stay as they are filed

    def reasons(self) -> dict[str, Revocation]:
        """Return why this gateway takes peers off by itself, by public key."""
        expired = {key: Revocation(label, GatewayReason.EXPIRED.value) for key, label in self.expired.items()}
        lost = {key: Revocation(label, GatewayReason.UNFIT.value) for key, label in self.lost.items()}
        return {**lost, **expired}


def accept(order: ApplyOrder, roster: CheckedRoster, snapshot: Snapshot) -> Accepted:
    """Find what of a roster is to be applied, once its confirmed revocations are done.

    :raises RefusedError: it is of another registry, or would leave the gateway without peers.
    """
    state = saved_state(snapshot)
    refuse_other_registry(order, state)
    comments = roster.config.comments()
    barred = state.barred(comments)
    expired = wg_config.expired({key: line for key, line in comments.items() if key not in barred}, snapshot.now)
    if barred or expired:
        roster = roster.without({**barred, **expired})
    lost = _lost(order, roster, snapshot)
    held: dict[str, PeerLabel] = {}
    if not lost.keys().isdisjoint(state.held) or is_too_much(len(lost), peers_before(order, snapshot)):
        stay = _as_filed(lost, roster, snapshot)
        roster = roster.including(stay)
        held = {key: lost[key] for key in stay.peers}
    refuse_emptying(order, roster.config, snapshot)
    return Accepted(roster, barred, expired, lost, held)


def _lost(order: ApplyOrder, roster: CheckedRoster, snapshot: Snapshot) -> dict[str, PeerLabel]:
    """Find our peers that the roster means to have, but has in a form that none can have."""
    if not roster.unfit:
        return {}
    keys = {item.public_key for item in roster.unfit}
    devices = {device_of(item.label) for item in roster.unfit if item.label.user_id}
    return {
        key: label
        for key, label in unexplained(order, snapshot).items()
        if key not in roster.config.peers and (key in keys or device_of(label) in devices)
    }


def _as_filed(lost: Mapping[str, PeerLabel], roster: CheckedRoster, snapshot: Snapshot) -> Sorted:
    """Find lost peers as the file has them, but for those whose address the roster gives to somebody else."""
    taken = {address for peer in roster.config.peers.values() for address in peer.allowed_ips.split(",")}

    def refuse_taken(peer: Peer) -> None:
        if not taken.isdisjoint(peer.allowed_ips.split(",")):
            raise ValueError("its address is another peer's now")

    filed = [section for section in snapshot.sections.peers if section[0] in lost]
    return wg_config.sort_out(snapshot.sections._replace(peers=filed), check=refuse_taken)


def problems_of(accepted: Accepted, order: ApplyOrder, snapshot: Snapshot) -> list[str]:
    """Say what of a roster wasn't applied, and what an operator does about it."""
    bars = [each for each in saved_state(snapshot).bars if not each.generation]
    found = [_unrecorded(each, accepted.barred, order) for each in bars]
    found += [_left_out(accepted.roster.unfit), _held(accepted.held), _from_the_future(order, snapshot)]
    return [problem for problem in found if problem]


def _unrecorded(unrecorded: Bar, barred: Mapping[str, PeerLabel], order: ApplyOrder) -> str:
    """Say whom a bar keeps out that no later run can end; empty if nobody."""
    names = ", ".join(label.name for label in barred.values() if unrecorded.names(label))
    if not names:
        return ""
    return (
        f"{names}: in the roster of generation {order.generation}, but barred on this gateway by a revocation of "
        f"{unrecorded.name} that the registry didn't get; kept out. Repeat the revocation, or release it: "
        f"{how_to_release(unrecorded.name)}"
    )


def _left_out(unfit: Sequence[Unfit]) -> str:
    if not unfit:
        return ""
    problems = first_of([str(item) for item in unfit], between="; ")
    return f"left out of the roster; put these registrations right: {problems}"


def _held(held: Mapping[str, PeerLabel]) -> str:
    if not held:
        return ""
    names = first_of([label.name for label in held.values()])
    return f"{len(held)} peers stay as they were, since more are unfit than may go without a reason: {names}"


def _from_the_future(order: ApplyOrder, snapshot: Snapshot) -> str:
    """Say that the clocks are apart: a generation is milliseconds since the epoch, by the controller's clock."""
    ahead = order.generation // 1000 - snapshot.now
    if ahead <= CLOCKS_APART:
        return ""
    return (
        f"generation {order.generation} is {ahead // 60} minutes ahead of this gateway's clock. It was applied, but "
        "devices expire late here, and a restart would have no peers: set the clock of gateway or controller"
    )


def from_long_ago(order: ApplyOrder, snapshot: Snapshot) -> list[str]:
    """Say that the gateway's clock may be ahead; a roster may also have waited."""
    age = snapshot.now - order.made_at
    if age <= _OLD:
        return []
    words = (
        f"the roster was made {age // 60} minutes ago by this gateway's clock; if that is ahead, devices expire early"
    )
    return [f"{words} here: set it"]
