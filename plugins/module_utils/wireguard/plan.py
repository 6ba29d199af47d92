# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What a plan is, and what several plans have in common. Pure: planning changes nothing and asks nobody."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Iterable, Mapping, Sequence

from . import config as wg_config
from . import device as wg_device
from .config import Config, PeerLabel, Sections, body, device_of, digest, is_filed
from .device import Difference
from .order import GatewayReason, RefusedError, Revocation
from .read import Snapshot
from .report import NOTHING, Report
from .state import Removal, State
from .steps import ChangeInterface, MoveAside, ReadBack, RecordState, RemovePeers, SetPeers, Step, WriteFile

# seconds; AWS's signatures keep a controller's clock within 5 minutes, and no time zone is apart from another by this
_MISTAKE = 20 * 60


@dataclass(frozen=True)
class Plan:
    """Steps to do one after the other, and what there is afterwards if all of them work."""

    steps: tuple[Step, ...]
    before: State  # as it is saved
    state: State  # as it is saved afterwards
    afterwards: Snapshot  # the gateway, apart from the state
    report: Report = NOTHING  # what is to be said whatever is done; the rest is with the steps


def saved_state(snapshot: Snapshot) -> State:
    """Return the state as it is saved; an empty one if there is none."""
    return snapshot.state or State()


def known_state(snapshot: Snapshot) -> State:
    """Return the state, as far as state file and configuration tell it.

    :raises RefusedError: the interface isn't ours.
    """
    marked = wg_config.generation(snapshot.config_text)
    if snapshot.state is None and snapshot.state_error is None and marked is None:
        _refuse_foreign(snapshot)
    state = snapshot.state or snapshot.state_copy or State()
    return replace(state, generation=max(state.generation, marked or 0))


def lost_state(snapshot: Snapshot) -> Report:
    """Say that the state was lost, and what of it is known all the same."""
    site = snapshot.site
    if snapshot.state is not None or wg_config.generation(snapshot.config_text) is None:
        return NOTHING
    if snapshot.state_copy is not None:
        return Report(repaired=[f"{site.state} lost; the registry to follow and the bars are from {site.state_copy}"])
    problem = (
        f"{site.state} was lost, and its copy {site.state_copy}: which registry this gateway follows and whom it bars "
        "is forgotten. Repeat the revocations that the registry didn't get"
    )
    return Report(problems=[problem])


def is_overtaken(generation: int, state: State, now: int) -> bool:
    """Tell whether a later roster than that of a generation was here (R6, no resurrection).

    One that is recorded as more than 20 minutes ahead of this gateway's clock, and of the controller's when it made the
    roster that had it, was made by a mistake. It would keep out all that is made now, revocations too.
    """
    return generation < state.generation and not _is_mistaken(generation, state, now)


def mistaken_generation(generation: int, state: State, now: int) -> list[str]:
    """Say that the recorded generation is taken for a mistake, if it is."""
    if not _is_mistaken(generation, state, now):
        return []
    minutes = (state.generation // 1000 - now) // 60
    notice = (
        f"generation {state.generation}, recorded here, is {minutes} minutes ahead of this gateway's clock: a mistake, "
        f"whose place {generation} takes"
    )
    return [notice]


def _is_mistaken(generation: int, state: State, now: int) -> bool:
    latest = (max(now, state.made_at or 0, state.heard_at or 0) + _MISTAKE) * 1000
    return generation <= latest < state.generation


def _refuse_foreign(snapshot: Snapshot) -> None:
    if not snapshot.config_text and not snapshot.link:
        if snapshot.device_error:
            raise snapshot.device_error
        return
    site = snapshot.site
    comments = {**dict.fromkeys(snapshot.live, ""), **snapshot.sections.comments()}
    peers = [f"{key} {comment.lstrip('# ')}".strip() for key, comment in comments.items()]
    raise RefusedError(
        f"{site.config} or the interface {site.name} was not made by this collection, and was left as it is; "
        f"its peers: {', '.join(peers) or 'none'}. Use another interface name, or stop it and move the file away"
    )


def record(before: State, after: State, *, urgent: bool = False) -> list[Step]:
    """Save the state if it differs."""
    if before == after:
        return []
    return [Step(RecordState(after), urgent=urgent)]


def with_reasons(
    leaving: Mapping[str, PeerLabel], reasons: Mapping[str, Revocation], wanted: Config
) -> dict[str, Revocation]:
    """Say why peers go, by public key. What a roster doesn't give a reason for got another key, or is unknown to it."""
    is_silent = any(key not in reasons for key in leaving)
    devices = {device_of(wg_config.label_of(peer.comment)) for peer in wanted.peers.values()} if is_silent else set()
    removed = {}
    for key, label in leaving.items():
        if key in reasons:
            removed[key] = reasons[key]._replace(label=label)
        else:
            reason = GatewayReason.KEY_REPLACED if device_of(label) in devices else GatewayReason.UNKNOWN
            removed[key] = Revocation(label, reason.value)
    return removed


def named_peers(snapshot: Snapshot) -> dict[str, PeerLabel]:
    """Return whose each public key is, as far as file and unfinished removals tell."""
    labels = {key: wg_config.label_of(comment) for key, comment in snapshot.sections.comments().items()}
    labels.update({key: removal.label for key, removal in saved_state(snapshot).pending().items()})
    return labels


def with_removals(
    state: State, snapshot: Snapshot, removed: Mapping[str, Revocation], generation: int | None = None
) -> State:
    """Add a record for each removal that isn't recorded yet.

    :param generation: of the roster that removes, if it isn't the one that is followed.
    """
    pending, decided = state.pending(), state.generation if generation is None else generation
    begun = [_removal(key, why, decided, snapshot) for key, why in removed.items() if key not in pending]
    return replace(state, removals=(*state.removals, *begun))


def _removal(key: str, why: Revocation, generation: int, snapshot: Snapshot) -> Removal:
    last_handshake = None
    if key in snapshot.live:
        last_handshake = int(snapshot.live[key].latest_handshake) or None
    return Removal(
        id=digest(snapshot.seed + key)[:16],
        **why.label._asdict(),
        public_key=key,
        fingerprint=digest(key)[:16],
        generation=generation,
        reason=why.reason,
        last_handshake=last_handshake,
        removed_at=None,
        detail=why.detail,
    )


def plan_removal(
    snapshot: Snapshot,
    state: State,
    revocations: Mapping[str, Revocation],
    report: Report = NOTHING,
    generation: int | None = None,
) -> Plan:
    """Plan what takes peers off, whatever else is wrong (R4, confirmed revocations always go through).

    Each removal is recorded before it is done; then the peer is taken out of the file and off the device. Each of
    these is tried although another has failed: who isn't out of both file and device stays barred by the record.

    :param state: what is to be remembered apart from these removals.
    :param revocations: who may not be a peer, by public key.
    :param generation: of the roster that says so, if it isn't the one that is followed.
    """
    filed = snapshot.sections.comments()
    removed = {key: why for key, why in revocations.items() if key in snapshot.live or key in filed}
    # a device that can't be read may have any of them
    on_device = [key for key in revocations if key in snapshot.live or snapshot.device_error]
    after = snapshot.without_live(removed)
    if any(key in filed for key in removed):
        after = after.with_config(_without(snapshot.sections, removed, state.generation))
    begun = _with_config_digest(with_removals(state, snapshot, removed, generation), snapshot, after)
    done = begun
    if snapshot.device_error is None:
        done = begun.finished(revocations, snapshot.now)
    steps = [
        *_set_state_aside(snapshot),
        *record(saved_state(snapshot), begun, urgent=True),
        *_take_out_of_file(snapshot, after, {key: why for key, why in removed.items() if key not in on_device}),
        *_take_off_device(on_device, removed),
        *record(begun, done),
    ]
    return Plan(tuple(steps), saved_state(snapshot), done, after, report)


def _without(sections: Sections, removed: Mapping[str, Revocation], generation: int) -> Sections:
    kept = sections.without(removed)
    return kept._replace(interface=wg_config.relabelled(kept.interface, generation))


def _with_config_digest(state: State, snapshot: Snapshot, after: Snapshot) -> State:
    """Know the file again while it is replaced, and afterwards; one that was edited by hand stays unknown."""
    before = digest(body(snapshot.config_text))
    if before not in state.config or after.config_text == snapshot.config_text:
        return state
    return replace(state, config=(before, digest(body(after.config_text))))


def _set_state_aside(snapshot: Snapshot) -> list[Step]:
    if snapshot.state_error is None:
        return []
    file = snapshot.site.state
    aside = file.with_name(f"{file.name}.corrupt-{snapshot.now}")
    report = Report(repaired=[f"{snapshot.state_error}; moved to {aside}"])
    return [Step(MoveAside(file, aside), report, urgent=True)]


def _take_out_of_file(snapshot: Snapshot, after: Snapshot, only_there: Mapping[str, Revocation]) -> list[Step]:
    if after.config_text == snapshot.config_text:
        return []
    report = Report(removed=_names(only_there.values()))
    return [Step(WriteFile(snapshot.site.config, after.config_text), report, urgent=True)]


def _take_off_device(keys: Sequence[str], removed: Mapping[str, Revocation]) -> list[Step]:
    if not keys:
        return []
    return [Step(_removal_of(keys, removed), _report_removed(keys, removed), urgent=True)]


def _names(revocations: Iterable[Revocation]) -> list[str]:
    return [revocation.label.name for revocation in revocations]


def device_steps(snapshot: Snapshot, config: Config, config_text: str, removed: Mapping[str, Revocation]) -> list[Step]:
    """Change what differs on the device: other removals, updates, additions, interface; and read it back.

    :param config_text: the same as it will be in the file, to tell drift from what was asked for.
    :param removed: peers that were in a roster and are in it no more, by public key.
    """
    difference = wg_device.diff(snapshot.live, config.peers)
    changes = wg_device.interface_changes(snapshot.site.name, snapshot.link, snapshot.device, config.interface)
    if snapshot.device is None or not (difference or changes):
        return []
    steps = []
    if difference.removed:
        by_hand = [f"peer {key} added by hand" for key in difference.removed if key not in removed]
        report = replace(_report_removed(difference.removed, removed), repaired=by_hand)
        steps.append(Step(_removal_of(difference.removed, removed), report))
    if difference.updated or difference.added:
        steps.append(Step(SetPeers(difference), _report_set(difference, snapshot.sections)))
    steps += [Step(ChangeInterface(change), report_interface(change.what, snapshot, config_text)) for change in changes]
    return [*steps, Step(ReadBack(config))]


def report_interface(what: str, snapshot: Snapshot, config_text: str) -> Report:
    """Report what differs at the interface: drift if the file has it as before, else what was asked for."""
    filed = wg_config.relabelled(snapshot.sections.interface, wg_config.generation(config_text) or 0)
    if filed and config_text.startswith(filed):
        return Report(repaired=[what])
    return Report(settings=[what])


def _removal_of(keys: Sequence[str], removed: Mapping[str, Revocation]) -> RemovePeers:
    return RemovePeers(tuple(keys), {key: removed[key].label.name for key in keys if key in removed})


def _report_removed(keys: Sequence[str], removed: Mapping[str, Revocation]) -> Report:
    return Report(removed=_names(removed[key] for key in keys if key in removed))


def _report_set(difference: Difference, sections: Sections) -> Report:
    """Report what differs at peers: drift if the file has them as wanted, else what was asked for."""
    filed = {key: (comment, settings) for key, comment, settings in sections.peers}
    added = [peer.name for peer in difference.added if peer.public_key not in filed]
    repaired = [f"{peer.name} missing on the device" for peer in difference.added if peer.public_key in filed]
    updated = {}
    for update in difference.updated:
        what, key = " and ".join(update.fields), update.peer.public_key
        if key in filed and is_filed(update.peer, *filed[key]):
            repaired.append(f"{update.peer.name} with other {what}")
        else:
            updated[update.peer.name] = what
    return Report(added=added, updated=updated, repaired=repaired)
