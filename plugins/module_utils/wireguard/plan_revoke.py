# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The plans that take peers off without any roster: by an operator's word, or because they have expired. Pure."""

from __future__ import annotations

from dataclasses import replace

from . import config as wg_config
from .config import PeerLabel
from .order import GatewayReason, RefusedError, Revocation, RevokeOrder
from .plan import Plan, known_state, plan_removal, saved_state
from .read import Snapshot
from .report import Report
from .steps import Step, WriteFile

_NEVER = 2**62  # seconds since the epoch
_SHOWN_NAMELESS = 5


def plan_revoke(order: RevokeOrder, snapshot: Snapshot) -> Plan:
    """Plan what takes a user's peers off and bars them until a roster agrees.

    :raises RefusedError: the interface isn't ours, or live peers without a name could be the user's.
    """
    state = known_state(snapshot)
    labels = _labels(snapshot)
    means = {key: label for key, label in labels.items() if order.means(label)}
    nameless = [key for key in snapshot.live if not labels.get(key, PeerLabel()).user_name]
    if nameless and not means:
        raise RefusedError(
            f"none of the named peers is {order.label.user_name}'s, but {len(nameless)} live peers have no name: "
            f"{', '.join(nameless[:_SHOWN_NAMELESS])}. Run a reconcile to have them removed, or take the right one "
            f"off with `wg set {snapshot.site.name} peer KEY remove`"
        )
    state = replace(state, revoked={**state.revoked, **means})
    if order.generation > state.generation:
        state = replace(state, generation=order.generation, content=None)
    revocations = {key: Revocation(label, GatewayReason.REVOKED.value) for key, label in means.items()}
    return plan_removal(snapshot, state, revocations, _report(snapshot, state.generation))


def _labels(snapshot: Snapshot) -> dict[str, PeerLabel]:
    """Return whose each public key is, as far as file and state tell."""
    state = saved_state(snapshot)
    labels = {key: wg_config.label_of(comment) for key, comment in snapshot.sections.comments().items()}
    labels.update({key: removal.label for key, removal in state.pending().items()})
    labels.update(state.revoked)
    return labels


def plan_expire(snapshot: Snapshot) -> Plan:
    """Plan what takes off whose registration has expired by the gateway's clock (R2, whitelist).

    :raises RefusedError: the interface isn't ours, but names somebody who has expired.
    """
    labels = _overdue(snapshot)
    if labels:
        state = known_state(snapshot)
        revocations = {key: Revocation(label, GatewayReason.EXPIRED.value) for key, label in labels.items()}
        plan = plan_removal(snapshot, state, revocations, _report(snapshot, state.generation))
    else:
        state = saved_state(snapshot)
        plan = Plan((), state, state, snapshot, _report(snapshot, state.generation))
    if snapshot.device_error:
        return plan
    return replace(plan, steps=(*plan.steps, _note_next_expiry(plan.afterwards)))


def _overdue(snapshot: Snapshot) -> dict[str, PeerLabel]:
    """Find who has expired, and whose removal for that was begun by a killed run; by public key."""
    labels = wg_config.expired(snapshot.sections.comments(), snapshot.now)
    begun = saved_state(snapshot).pending()  # of a damaged state nothing: the file alone says enough
    expired = {key: each.label for key, each in begun.items() if each.reason == GatewayReason.EXPIRED.value}
    return {**labels, **expired}


def _note_next_expiry(snapshot: Snapshot) -> Step:
    """Let the timer's unit know until when there is nothing to do, as long as wg0.conf stays as it is."""
    times = [wg_config.expires_at(comment) for comment in snapshot.sections.comments().values()]
    earliest = min((time for time in times if time is not None), default=_NEVER)
    return Step(WriteFile(snapshot.site.next_expiry, f"{earliest}\n"))


def _report(snapshot: Snapshot, generation: int) -> Report:
    report = Report(generation=generation)
    return report.with_problem(snapshot.device_error) if snapshot.device_error else report
