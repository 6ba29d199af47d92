# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The plans that apply a roster: confirmed revocations at once, then the checked firewall, then the rest. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import Mapping

from . import config as wg_config
from .accept import Accepted, accept, from_long_ago, problems_of
from .bars import Bar
from .check import CheckedRoster
from .config import PeerLabel, body, digest
from .order import ApplyOrder, GatewayReason, Revocation
from .plan import (
    Plan,
    device_steps,
    is_overtaken,
    known_state,
    lost_state,
    mistaken_generation,
    named_peers,
    plan_removal,
    record,
    report_interface,
    saved_state,
    with_reasons,
    with_removals,
)
from .read import Snapshot
from .refusals import refuse_other_registry
from .report import NewEnd, Report
from .state import State
from .steps import LoadFirewall, RecordFirewall, RestartUnit, Step, WriteFile

_TOMBSTONED = "tombstoned"  # a roster's reason


def plan_revocations(order: ApplyOrder, snapshot: Snapshot) -> Plan:
    """Plan confirmed revocations, which wait for nothing, unless a later roster was here (R6, no resurrection).

    :raises RefusedError: the interface isn't ours, or the roster is of another registry.
    """
    state = known_state(snapshot)
    refuse_other_registry(order, state)
    state = replace(state, removals=tuple(each for each in state.removals if each.id not in order.acknowledge))
    state = replace(state, bars=tuple(each for each in state.bars if not each.is_released(order.release_revoked)))
    if is_overtaken(order.generation, state, snapshot.now):
        return plan_removal(snapshot, state, {}, Report(generation=state.generation, stale=True))
    notices = [*mistaken_generation(order.generation, state, snapshot.now), *_operators_words(order, snapshot)]
    report = lost_state(snapshot).followed_by(Report(generation=order.generation, notices=notices))
    if state.registry in (None, order.registry):  # another one is followed once its whole roster is accepted
        state = _following(order, state)
    barred = {
        key: Revocation(label, GatewayReason.REVOKED.value)
        for key, label in named_peers(snapshot).items()
        if any(each.names(label) for each in state.bars)
    }
    return plan_removal(snapshot, state, {**barred, **order.revoked}, report, order.generation)


def _operators_words(order: ApplyOrder, snapshot: Snapshot) -> list[str]:
    """Say what an operator's words end here, and which hit nothing; another gateway may need them."""
    notices = []
    bars = saved_state(snapshot).bars
    given = [name for name in order.release_revoked if name.strip()]
    released = [each.name for each in bars if each.is_released(given)]
    if released:
        notices.append(f"no longer barred here, by vpn_release_revoked: {', '.join(released)}")
    nobody = [name for name in given if not any(each.is_released([name]) for each in bars)]
    if nobody:
        barred = ", ".join(each.name for each in bars) or "nobody"
        notices.append(f"vpn_release_revoked names nobody who is barred here: {', '.join(nobody)}; barred: {barred}")
    if order.accept_registry not in ("", order.registry.table_id):
        notices.append(
            f"vpn_accept_registry is {order.accept_registry}, and this roster is of table id "
            f"{order.registry.table_id}: nothing was accepted"
        )
    return notices


def _following(order: ApplyOrder, state: State) -> State:
    """Return the state of a gateway that follows the roster's registry."""
    content = state.content if order.generation == state.generation else None
    return replace(
        state,
        registry=order.registry,
        generation=order.generation,
        heard_at=order.made_at,
        content=content,
        bars=_bars_left(order, state),
    )


def _bars_left(order: ApplyOrder, state: State) -> tuple[Bar, ...]:
    """Return the bars that a roster doesn't end (R6, no resurrection).

    No run of another registry has read what was recorded in the one before; only a record of its own ends such a bar.
    """
    bars = state.bars
    if state.registry not in (None, order.registry):
        bars = tuple(each._replace(generation=0) for each in bars)
    if not bars:
        return ()
    if order.config is None:  # whom it has is not known
        return tuple(each for each in bars if not each.is_ended(order.generation, [], []))
    revoked = [(why.label, why.of_user) for why in order.revoked.values()]
    # of a name that nobody here has: a user who was deleted with it earlier isn't the one whom an operator means
    blocked = [(why.label, why.of_user) for why in order.revoked.values() if why.reason != _TOMBSTONED]
    comments = wg_config.split(order.config).comments()
    peers = [wg_config.label_of(comment) for comment in comments.values()]
    return tuple(
        each for each in bars if not each.is_ended(order.generation, revoked if each.user_id else blocked, peers)
    )


def plan_new_firewall(order: ApplyOrder, roster: CheckedRoster, snapshot: Snapshot) -> Plan:
    """Plan the checked new firewall: after confirmed revocations, before all else (R13, firewall before peers).

    :raises RefusedError: what comes after it would be refused, see plan_rest().
    """
    state, new = saved_state(snapshot), digest(roster.firewall)
    if is_overtaken(order.generation, state, snapshot.now):
        return _plan_overtaken(snapshot)
    if not roster.load_firewall:
        return Plan((), state, state, snapshot, Report(generation=order.generation))
    accept(order, roster, snapshot)
    report = Report(settings=["firewall"])
    if new in state.firewall:
        report = Report(repaired=["firewall"])
    replaced = tuple(old for old in state.firewall[-1:] if old != new)
    steps = (
        Step(RecordFirewall((*replaced, new))),
        Step(WriteFile(snapshot.site.firewall, roster.firewall)),
        Step(LoadFirewall(roster.firewall), report),
        Step(RecordFirewall((new,))),
    )
    afterwards = replace(snapshot, firewall_text=roster.firewall)
    return Plan(steps, state, replace(state, firewall=(new,)), afterwards, Report(generation=order.generation))


def _plan_overtaken(snapshot: Snapshot) -> Plan:
    """Plan nothing, since a later roster came while this one was checked."""
    state = saved_state(snapshot)
    return Plan((), state, state, snapshot, Report(generation=state.generation, stale=True))


def plan_rest(order: ApplyOrder, roster: CheckedRoster, snapshot: Snapshot) -> Plan:
    """Plan what comes after the firewall: the file, other removals, updates, additions, and reading the device back.

    :raises RefusedError: the roster would leave the gateway without peers, or another registry was accepted meanwhile.
    """
    before = saved_state(snapshot)
    if is_overtaken(order.generation, before, snapshot.now):
        return _plan_overtaken(snapshot)
    accepted = accept(order, roster, snapshot)
    roster = accepted.roster
    removed = _removed({**order.excluded, **accepted.reasons()}, roster, snapshot)
    following = _following(order, replace(before, held=tuple(accepted.held)))
    begun = _begun(following, order, roster, snapshot, removed)
    done = _done(begun, order, snapshot)
    steps = [
        *record(before, begun),
        *_write_config(order, roster, snapshot, removed),
        *device_steps(snapshot, roster.config, roster.text, removed),
        *record(begun, done),
    ]
    report = _report(order, accepted, replace(snapshot, state=following))
    return Plan(tuple(steps), before, done, snapshot, report)


def plan_restart(snapshot: Snapshot) -> Plan:
    """Plan the start of an interface that doesn't exist, by its unit."""
    state = saved_state(snapshot)
    return Plan((Step(RestartUnit(f"wg-quick@{snapshot.site.name}")),), state, state, snapshot)


def _removed(reasons: Mapping[str, Revocation], roster: CheckedRoster, snapshot: Snapshot) -> dict[str, Revocation]:
    """Find peers in the file or on the device that are wanted no more, as far as anything names them."""
    filed, pending = snapshot.sections.comments(), saved_state(snapshot).pending()
    removed = {}
    for key in {**filed, **snapshot.live}:
        if key in roster.config.peers:
            continue
        labels = [wg_config.label_of(filed.get(key, ""))]
        labels += [known[key].label for known in (pending, reasons) if key in known]
        label = next((label for label in labels if label.user_name), None)
        if label is not None:
            removed[key] = label
    return with_reasons(removed, reasons, roster.config)


def _begun(
    state: State, order: ApplyOrder, roster: CheckedRoster, snapshot: Snapshot, removed: Mapping[str, Revocation]
) -> State:
    """Return what is remembered before the file is touched.

    A start right after it knows old and new file as ours (R12, no peers from files of unknown origin).
    """
    wanted = roster.config.peers
    # a removal that a killed run had begun, of a peer that is wanted again and never left: there is nothing to record
    stayed = [key for key in state.pending() if key in wanted and key in snapshot.live]
    kept = [each for each in state.removals if each.removed_at is not None or each.public_key not in stayed]
    state = with_removals(replace(state, removals=tuple(kept)), snapshot, removed)
    old, new = digest(body(snapshot.config_text)), digest(body(roster.text))
    replaced = (old,) if old in state.config and old != new else ()
    return replace(state, made_at=order.made_at, config=(*replaced, new))


def _done(begun: State, order: ApplyOrder, snapshot: Snapshot) -> State:
    """Return what is remembered at the end. An interface that has still to be started hasn't the content yet."""
    done = replace(begun, config=begun.config[-1:]).finished(begun.pending(), snapshot.now)
    if snapshot.device is None:
        return done
    return replace(done, content=order.content)


def _write_config(
    order: ApplyOrder, roster: CheckedRoster, snapshot: Snapshot, removed: Mapping[str, Revocation]
) -> list[Step]:
    """Replace wg0.conf as a whole, if it differs."""
    if wg_config.relabelled(snapshot.config_text, order.generation) == roster.text:
        return []
    known = saved_state(snapshot).config
    names = [why.label.name for key, why in removed.items() if key not in snapshot.live]
    report = Report(removed=names, new_ends=_new_ends(roster, snapshot), settings=["file"])
    if known and digest(body(snapshot.config_text)) not in known:
        what = "file not as the last apply left it" if snapshot.config_text.strip() else "file missing or empty"
        report = Report(removed=names, repaired=[what])
    return [Step(WriteFile(snapshot.site.config, roster.text), report)]


def _new_ends(roster: CheckedRoster, snapshot: Snapshot) -> list[NewEnd]:
    """Find the peers that stay, and expire at another time than by the file before."""
    ends = [
        NewEnd(roster.config.peers[key].name, *map(wg_config.expires_at, (comment, roster.config.peers[key].comment)))
        for key, comment in snapshot.sections.comments().items()
        if key in roster.config.peers and wg_config.label_of(comment).user_name
    ]
    return [each for each in ends if each.before != each.after]


def _used(order: ApplyOrder, roster: CheckedRoster, snapshot: Snapshot) -> dict[str, PeerLabel]:
    """Find the awaited peers that have had a handshake since the interface was made."""
    wanted, live = roster.config.peers, snapshot.live
    used = (key for key in order.awaited if key in wanted and key in live and int(live[key].latest_handshake))
    return {key: wg_config.label_of(wanted[key].comment) for key in used}


def _report(order: ApplyOrder, accepted: Accepted, snapshot: Snapshot) -> Report:
    roster = accepted.roster
    report = Report(
        generation=order.generation,
        barred=[label.name for label in accepted.barred.values()],
        expired=[label.name for label in accepted.expired.values()],
        used=_used(order, roster, snapshot),
        notices=from_long_ago(order, snapshot),
        problems=problems_of(accepted, order, snapshot),
    )
    if snapshot.link is None:  # its start adds the peers
        filed = snapshot.sections.comments()
        added = [peer.name for key, peer in roster.config.peers.items() if key not in filed]
        missing = report_interface("interface missing", snapshot, roster.text)
        report = report.followed_by(replace(missing, added=added))
    return report
