# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What a reload would repair on a gateway, found without changing anything (R8, the device is the truth)."""

from __future__ import annotations

import re
from typing import Iterator, NamedTuple, Sequence

from .check import has_firewall
from .commands import GatewayError
from .gateway import Gateway
from .operations import reload
from .read import Snapshot
from .report import Report
from .state import State

_OF_A_PEER = re.compile(r"^removal of | missing on the device$| added by hand$| with other ")


class Drift(NamedTuple):
    """What differs from the files that the last apply left, each for people."""

    differing: tuple[str, ...] = ()  # ours, which a reconcile repairs
    notices: tuple[str, ...] = ()  # what isn't ours and may be in the way
    problems: tuple[str, ...] = ()


def is_of_another_peer(differing: str, name: str) -> bool:
    """Tell whether a difference is one of a peer, and not of the one with this name."""
    return _OF_A_PEER.search(differing) is not None and name not in differing.split(" ")


def find_drift(gateway: Gateway, snapshot: Snapshot) -> Drift:
    """Look for drift of a managed interface, as a reload in check mode does, and whether the kernel has our rules."""
    if snapshot.state_error:
        return Drift(problems=(f"{snapshot.state_error}; run a reconcile",))
    if snapshot.state is None:
        return Drift()
    report = reload(Gateway(gateway.site, gateway.run, check_mode=True), max_age=0)
    undone = list(_undone(snapshot, snapshot.state))
    if snapshot.link is None:
        return _drift_of(report, undone)
    try:
        lost = [] if has_firewall(gateway, snapshot) else ["firewall not as it was loaded"]
    except (GatewayError, OSError) as error:
        return _drift_of(report.with_problem(error), undone)
    return _drift_of(report, [*undone, *lost])


def _undone(snapshot: Snapshot, state: State) -> Iterator[str]:
    """Say what the last run began and didn't end: it was stopped, or a disk is full."""
    for removal in state.pending().values():
        yield f"removal of {removal.name} not finished"
    for fingerprint in sorted(snapshot.gone):
        yield f"removal of key {fingerprint} not saved"
    if state.generation and state.content is None:
        yield f"roster {state.generation} applied in part only"


def _drift_of(report: Report, found_besides: Sequence[str]) -> Drift:
    updated = [f"{name} with other {what}" for name, what in report.updated.items()]
    found = [*found_besides, *report.repaired, *report.settings, *report.added, *report.removed, *updated]
    return Drift(tuple(found), tuple(report.notices), tuple(dict.fromkeys(report.problems)))
