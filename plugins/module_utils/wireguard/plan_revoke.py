# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The plans that take peers off without any roster: by an operator's word, or because they have expired. Pure."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from difflib import get_close_matches
from typing import Sequence

from . import config as wg_config
from .bars import Bar, how_to_release, joined
from .config import PeerLabel
from .order import GatewayReason, Revocation, RevokeOrder
from .plan import Plan, is_overtaken, known_state, named_peers, plan_removal, saved_state
from .read import Snapshot
from .report import NOTHING, Report
from .steps import Step, WriteFile

_NEVER = 2**62  # seconds since the epoch
_SHOWN = 5  # names or keys in a message


def plan_revoke(order: RevokeOrder, snapshot: Snapshot, others: Sequence[Snapshot] = ()) -> Plan:
    """Plan what takes a user's peers off and bars the user (R6, no resurrection), leaving the generation as it is.

    Who was found by a name is barred by id, with whatever else that id is called here.

    :param others: the other interfaces of ours on this gateway; who is known there is barred here, too.
    :raises RefusedError: the interface isn't ours.
    """
    if others and snapshot.is_blank:
        return _plan_nothing(snapshot, NOTHING)
    state, whom = known_state(snapshot), order.whom
    if whom.generation and is_overtaken(whom.generation, state, snapshot.now):
        return _plan_too_late(whom, snapshot, state.generation)
    here = sorted([snapshot, *others], key=lambda each: each.site)
    owners = _owners(whom, here)
    report = _report(snapshot, state.generation)
    elsewhere = _owners(whom._replace(account_id=""), here)
    if not owners and elsewhere and not whom.generation:  # a recorded word is about a user whom the registry knows
        problem = _other_account(whom, elsewhere, here)
        return _plan_nothing(snapshot, replace(report, problems=[*report.problems, problem]))
    bars = [whom.of_owner(owner) for owner in owners] or [whom]
    revocations = {
        key: Revocation(label, GatewayReason.REVOKED.value, detail=order.detail)
        for key, label in named_peers(snapshot).items()
        if any(each.names(label) for each in bars)
    }
    notices = _nameless(here) if whom.user_id and not _are_peers(bars, here) else []
    report = replace(report, problems=report.problems + _doubts(whom, owners, bars, here), notices=notices)
    return plan_removal(snapshot, replace(state, bars=joined(state.bars, bars)), revocations, report)


def _plan_nothing(snapshot: Snapshot, report: Report) -> Plan:
    state = saved_state(snapshot)
    return Plan((), state, state, snapshot, report)


def _plan_too_late(whom: Bar, snapshot: Snapshot, generation: int) -> Plan:
    """Plan nothing: the run of a later roster has read the record of this revocation, and decided."""
    report = replace(_report(snapshot, generation), stale=True)
    names = [label.name for label in named_peers(snapshot).values() if whom.names(label)]
    if names:
        problem = (
            f"{', '.join(names)}: left connected, since the roster of generation {generation} was made after this "
            "revocation was recorded, and has them. Somebody took it back meanwhile; revoke again if it is to hold"
        )
        report = replace(report, problems=[*report.problems, problem])
    return _plan_nothing(snapshot, report)


def _known(here: Sequence[Snapshot]) -> list[list[PeerLabel]]:
    """Return who is a peer, who was one, and who is barred by id."""
    states = [saved_state(each) for each in here]
    barred = [
        PeerLabel(each.user_name, each.device, each.account_id, each.user_id)
        for state in states
        for each in state.bars
        if each.user_id
    ]
    peers = [label for each in here for label in named_peers(each).values()]
    return [peers, [removal.label for state in states for removal in state.removals], barred]


def _owners(whom: Bar, here: Sequence[Snapshot]) -> list[PeerLabel]:
    """Find the users who are meant: among the peers if there are such, else among those who were; a label of each."""
    user = whom._replace(device="")
    for labels in _known(here):
        found = {(label.account_id, label.user_id): label for label in labels if user.names(label)}
        if found:
            return list(found.values())
    return []


def _other_account(whom: Bar, owners: Sequence[PeerLabel], here: Sequence[Snapshot]) -> str:
    """Say that whoever is called so here isn't of the account that was given (R16, the wrong world is refused)."""
    return (
        f"{whom.name} of account {whom.account_id} is nobody on {_names(here)}: no peer was taken off, and nobody is "
        f"barred. Who is called so here: {_users(owners)}. If that is who is meant, repeat it with the account, "
        f'-e \'{{"revoke_account_id": "{owners[0].account_id}"}}\'; if not, find out the right account or name'
    )


def _names(here: Sequence[Snapshot]) -> str:
    return ", ".join(each.site.name for each in here if not each.is_blank)


def _users(owners: Sequence[PeerLabel]) -> str:
    return ", ".join(f"{owner.name} ({owner.user_id} in account {owner.account_id})" for owner in owners)


def _doubts(whom: Bar, owners: Sequence[PeerLabel], bars: Sequence[Bar], here: Sequence[Snapshot]) -> list[str]:
    """Say why it isn't certain that this revocation hit whom it was meant for, and nobody else."""
    if len(owners) > 1:
        problem = (
            f"{whom.name} is more than one user here, and all are barred: {_users(owners)}. Release who is to stay, "
            "by the id: "
        )
        return [problem + how_to_release("AIDA…")]
    if whom.user_id and whom.generation:  # the registry, which has the record, knows who that is
        return []
    known = [label for labels in _known(here) for label in labels]
    if any(each.names(label) for each in bars for label in known):
        # a file that is damaged names nobody; the peers of a user who was one before may be among those without a name
        unnamed = [] if _are_peers(bars, here) else _nameless(here)
        return [f"{whom.name} is barred, and no peer has that name: {each}" for each in unnamed]
    advice = ". ".join([_nearest(whom, known), *_nameless(here)])
    account = f" of account {whom.account_id}" if whom.account_id else ""
    return [
        f"{whom.name}{account} is nobody on {_names(here)}: no peer was taken off, but the name is barred. {advice}"
    ]


def _are_peers(bars: Sequence[Bar], here: Sequence[Snapshot]) -> bool:
    return any(each.names(label) for each in bars for found in here for label in named_peers(found).values())


def _nearest(whom: Bar, known: Sequence[PeerLabel]) -> str:
    """Name who could have been meant instead."""
    names = [label.name if whom.device else label.user_name for label in known]
    by_letters = {name.casefold(): name for name in names}
    alike = get_close_matches(whom.name.casefold(), by_letters, n=_SHOWN, cutoff=0.5)
    return f"The nearest names: {', '.join(by_letters[name] for name in alike) or 'none is alike'}"


def _nameless(here: Sequence[Snapshot]) -> list[str]:
    """Warn of live peers that could be anybody's."""
    warnings = []
    for snapshot in here:
        named = named_peers(snapshot)
        keys = [key for key in snapshot.live if not named.get(key, PeerLabel()).user_name]
        if keys:
            first = ", ".join(keys[:_SHOWN])
            by_hand = f"`wg set {snapshot.site.name} peer KEY remove`"
            warnings.append(
                f"{len(keys)} live peers have no name: {first}. Run a reconcile to remove them, or take one off by "
                f"{by_hand}"
            )
    return warnings


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
        plan = _plan_nothing(snapshot, _report(snapshot, saved_state(snapshot).generation))
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
    """Let the timer's unit know until when there is nothing to do, as long as wg0.conf has this digest.

    No time of a file counts (R12, no decision hangs on one): a clock that was ahead would have made this one newer than
    every wg0.conf to come.
    """
    times = [wg_config.expires_at(comment) for comment in snapshot.sections.comments().values()]
    earliest = min((time for time in times if time is not None), default=_NEVER)
    digest = hashlib.sha256(snapshot.config_text.encode()).hexdigest()
    return Step(WriteFile(snapshot.site.next_expiry, f"{earliest} {digest}\n"))


def _report(snapshot: Snapshot, generation: int) -> Report:
    report = Report(generation=generation)
    return report.with_problem(snapshot.device_error) if snapshot.device_error else report
