# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Whether a build is due, by the decision and by what builds and gateways show. Pure.

A build is the truth, and takes minutes and money; a look takes a second. So a look each minute tells whether a build
would change anything that gateways don't do by themselves.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from ansible_collections.tracklib.vpn.plugins.module_utils.model import Decision, Device, Registration, SweeperState
from ansible_collections.tracklib.vpn.plugins.module_utils.run import RunResult

MINUTE, HOUR = 60, 3600  # seconds
RENEWAL = HOUR  # before the earliest end; renewals until then reach the gateways together
AWAITED = 10 * MINUTE  # between builds in the last hour of a handout that nobody has used: only a build finds out
_NAMED = 5  # devices, in the log
_LONGEST = 60  # minutes from one try to the next, after 1, 2, 4 …
_FORGOTTEN = 2 * HOUR  # after the last try for a goal; another one for the same begins anew

_Peers = Mapping[Device, Registration]


class Builds(NamedTuple):
    """What CodeBuild says of the project's last builds. Times are seconds since the epoch."""

    is_running: bool = False
    has_failed: bool = False  # whether the last one that ended did anything but succeed
    began_at: float | None = None  # of the last one that succeeded; None if none did
    ended_at: float = 0  # of the same
    code: str = ""  # what it ran, as `Look.code`


class Look(NamedTuple):
    """What the sweeper sees."""

    result: RunResult  # of a run that changed nothing
    decided_at: float  # when the last run stored another decision than the one before
    builds: Builds
    code: str  # what builds run now: the hashes of bundle and inventory
    started_at: float  # when the gateway that started last did; 0 where none runs
    drift: float  # seconds for which what changes on a gateway may wait for a build


class Due(NamedTuple):
    """That a build is due. The goal stays the same as long as nothing else is wanted."""

    goal: str
    why: str


def due(look: Look, now: float) -> Due | None:
    """Tell whether a build is due, and why; the first reason counts."""
    return next(_reasons(look, now), None)


def may_try(state: SweeperState, goal: str, now: float) -> bool:
    """Tell whether it is time to start a build for a goal: at once for another, else after 1, 2, 4 … 60 minutes."""
    tries = tries_for(state, goal, now)
    return tries == 0 or now >= state.tried_at + MINUTE * min(2 ** (tries - 1), _LONGEST)


def tries_for(state: SweeperState, goal: str, now: float) -> int:
    """Return how many times a build was tried for a goal."""
    return state.tries if state.goal == goal and now < state.tried_at + _FORGOTTEN else 0


def _reasons(look: Look, now: float) -> Iterator[Due]:
    peers, last = _by_device(look.result.roster.peers), _by_device((look.result.facts.decision or Decision()).peers)
    yield from _by_peers(look, peers, last, now)
    yield from _by_builds(look)
    yield from _by_ends(peers, last, now)
    yield from _by_operators(look.result)
    yield from _by_time(look, peers, now)


def _by_peers(look: Look, peers: _Peers, last: _Peers, now: float) -> Iterator[Due]:
    """Gateways have others than the decision; both reasons have one goal, so that a failing build isn't repeated."""
    goal = f"peers {_digest(map(_as_peer, peers.values()))}"
    # who has expired is off by the gateways' own clocks
    before = {device: peer for device, peer in last.items() if device in peers or not peer.has_expired(now)}
    changed = [
        (peers.get(device) or before[device]).label
        for device in {*peers, *before}
        if device not in peers or device not in before or _as_peer(peers[device]) != _as_peer(before[device])
    ]
    if changed:
        yield Due(goal, f"the decision is another one for {_names(changed)}")
    if look.builds.began_at is None or look.builds.has_failed:
        yield Due(goal, "the last build failed, or none has succeeded yet")
    elif look.decided_at > look.builds.ended_at:
        yield Due(goal, "the last decision is of a run that was no build")


def _by_builds(look: Look) -> Iterator[Due]:
    """No build has run on what is there now."""
    if look.builds.code not in ("", look.code):
        yield Due(f"code {look.code}", "another bundle or inventory was deployed")
    if look.started_at > (look.builds.began_at or 0):
        yield Due(f"gateway {look.started_at:.0f}", "a gateway started after the last build that succeeded")


def _by_ends(peers: _Peers, last: _Peers, now: float) -> Iterator[Due]:
    moved = [peer for device, peer in peers.items() if _waits_no_longer(last.get(device), peer, now)]
    if moved:
        goal = f"ends {_digest((peer.identity, peer.expires_at) for peer in moved)}"
        yield Due(goal, f"another end can't wait for {_names(peer.label for peer in moved)}")


def _by_operators(result: RunResult) -> Iterator[Due]:
    if result.facts.signs:
        yield Due("signs", "early signs of leaving wait to be checked")
    if result.problems:
        yield Due("problems", f"it needs an operator, whom a build tells: {result.problems[0]}")


def _by_time(look: Look, peers: _Peers, now: float) -> Iterator[Due]:
    began_at = look.builds.began_at or 0
    ends_soon = any(_end(peers[device]) < now + HOUR for device in look.result.awaited & peers.keys())
    if ends_soon and now > began_at + AWAITED:
        yield Due(f"awaited {began_at:.0f}", "a handout is about to end unless it was used")
    if now > began_at + look.drift:
        yield Due("drift", "it is time for a look at the gateways")


def _by_device(registrations: Iterable[Registration]) -> _Peers:
    return {each.identity: each for each in registrations}


def _as_peer(registration: Registration) -> tuple[object, ...]:
    """What a gateway has of a peer, but for its end."""
    return registration.identity, registration.user_name, registration.public_key, registration.addresses


def _waits_no_longer(before: Registration | None, after: Registration, now: float) -> bool:
    """Tell whether gateways have to know of another end now: an earlier one, or a later one before the old comes."""
    if before is None:
        return False
    return _end(after) < _end(before) or _end(before) < min(_end(after), now + RENEWAL)


def _names(labels: Iterable[str]) -> str:
    named = sorted(labels)
    more = f" and {len(named) - _NAMED} more" if len(named) > _NAMED else ""
    return f"{', '.join(named[:_NAMED])}{more}"


def _end(registration: Registration) -> float:
    return math.inf if registration.expires_at is None else registration.expires_at


def _digest(values: Iterable[object]) -> str:
    """Make of values, in whatever order, what is short and the same only for the same ones."""
    return hashlib.sha256(repr(sorted(map(repr, values))).encode()).hexdigest()[:16]
