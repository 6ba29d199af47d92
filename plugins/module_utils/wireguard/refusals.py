# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What a gateway refuses whatever the controller decided: rosters of another world, and ones that empty it. Pure."""

from __future__ import annotations

from . import config as wg_config
from .config import Config, PeerLabel, body, device_of, digest, first_of
from .order import ApplyOrder, RefusedError
from .read import Snapshot
from .state import State


def refuse_other_registry(order: ApplyOrder, state: State) -> None:
    """Refuse a roster of a registry that this gateway doesn't follow (R16, the wrong world is refused).

    :raises RefusedError: naming both registries, and the variable that accepts the change.
    """
    known, found = state.registry, order.registry
    if known in (None, found) or order.accept_registry == found.table_id:
        return
    kind = "another registry"
    if known is not None and known.identity == found.identity:
        kind = "another table of the same registry, as a restored copy or a replica is"
    raise RefusedError(
        f"this roster is from {kind}, and nothing was changed: it is from {found}, but this gateway follows {known}; "
        "check credentials, region and vpn_registry_table, or have the gateway follow the new one by "
        f"-e vpn_accept_registry={found.table_id}"
    )


def our_peers(snapshot: Snapshot) -> dict[str, PeerLabel]:
    """Return whose peers a gateway has, by public key: those of the file.

    If the file isn't what the last apply left, it may have lost some: then those on the device are ours, too.
    """
    state = snapshot.state or State()
    comments = dict(snapshot.sections.comments())
    if digest(body(snapshot.config_text)) not in state.config:
        comments = {**dict.fromkeys(snapshot.live, ""), **comments}
    return {key: wg_config.label_of(comment) for key, comment in comments.items()}


def is_too_much(lost: int, total: int) -> bool:
    """Tell whether peers must not all go at once without a reason (R5, mass-removal guard)."""
    return (lost > 5 and lost * 4 > total) or (total >= 2 and lost * 2 > total)


def peers_before(order: ApplyOrder, snapshot: Snapshot) -> int:
    """Count our peers before this roster took any off, in this run or in one that was killed."""
    state = snapshot.state or State()
    removed = {removal.public_key for removal in state.removals if removal.generation == order.generation}
    return len(removed.union(our_peers(snapshot)))


def unexplained(order: ApplyOrder, snapshot: Snapshot) -> dict[str, PeerLabel]:
    """Return our peers whom neither roster nor clock gives a reason to go, by public key.

    A device whose key the registry changed since is known by its label.
    """
    explained = _explained(order, snapshot)
    devices = {device_of(label) for label in explained.values() if label.user_id}
    ours = our_peers(snapshot)
    return {key: label for key, label in ours.items() if key not in explained and device_of(label) not in devices}


def refuse_emptying(order: ApplyOrder, wanted: Config, snapshot: Snapshot) -> None:
    """Have the last word on emptiness (R5, mass-removal guard): each of two or more peers must go for a reason.

    A registry that the gateway didn't follow before has no memory of whom it should have, so there it is too much that
    counts, as for the controller's guard.

    :param snapshot: after this roster's confirmed revocations, which are done whatever is refused here.
    :raises RefusedError: naming whom the roster doesn't explain.
    """
    is_new = (snapshot.state or State()).registry not in (None, order.registry)
    if wanted.peers and not is_new:
        return
    count = peers_before(order, snapshot)
    devices = {device_of(wg_config.label_of(peer.comment)) for peer in wanted.peers.values()}
    gone = {
        key: label
        for key, label in unexplained(order, snapshot).items()
        if key not in wanted.peers and device_of(label) not in devices
    }
    if count < 2 or not gone or (wanted.peers and not is_too_much(len(gone), count)):
        return
    names = [label.name or f"peer {key}" for key, label in gone.items()]
    advice = "whoever is to go, revoke or remove, or release by the word that the run of a held removal prints"
    if is_new:
        advice = (
            "import the registry that was followed before (registry_import), or have its users registered in the new "
            "one first; whoever is to go, revoke"
        )
    what = f"{len(gone)} of {count} peers" if wanted.peers else f"the last of {count} peers"
    raise RefusedError(
        f"this roster would take {what} off {snapshot.site.name} without a reason for {len(names)} of them: "
        f"{first_of(names)}. Only its confirmed revocations were done. Check that the registry has its registrations, "
        f"and IAM's groups and vpn_access; {advice}"
    )


def _explained(order: ApplyOrder, snapshot: Snapshot) -> dict[str, PeerLabel]:
    """Return whom a roster or the gateway's clock gives a reason to go, by public key."""
    reasons = {**order.excluded, **order.revoked}
    by_roster = {key: why.label for key, why in reasons.items() if why.explained}
    by_clock = wg_config.expired(snapshot.sections.comments(), snapshot.now)
    by_clock.update(wg_config.expired(wg_config.split(order.config or "").comments(), snapshot.now))
    pending = {key: removal.label for key, removal in (snapshot.state or State()).pending().items()}
    return {**pending, **by_roster, **by_clock}
