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

from ansible_collections.tracklib.vpn.plugins.module_utils.model import (
    Decision,
    Device,
    Registration,
    SweeperState,
    Tries,
)
from ansible_collections.tracklib.vpn.plugins.module_utils.run import RunResult

MINUTE, HOUR = 60, 3600  # seconds
RENEWAL = HOUR  # before the earliest end; renewals until then reach the gateways together
AWAITED = 10 * MINUTE  # between builds in the last hour of a handout that nobody has used: only a build finds out
SKEW = 5 * MINUTE  # of an operator's clock, at most: AWS takes no call of another
FAILED = "failed"  # the goal of a build after one that failed
_NAMED = 5  # devices, in the log
_LONGEST = 60  # minutes from one try to the next, after 1, 2, 4 …
_FORGOTTEN = 2 * HOUR  # after the last try for a goal; another one for the same begins anew

_Peers = Mapping[Device, Registration]


class Builds(NamedTuple):
    """What CodeBuild says of the project's last builds. Times are seconds since the epoch."""

    is_running: bool = False
    has_failed: bool = False  # whether the last one that ended did anything but succeed
    began_at: float | None = None  # of the last one that succeeded; None if none did
    succeeded: str = ""  # its id
    code: str = ""  # what it ran, as `Look.code`


class Look(NamedTuple):
    """What the sweeper sees."""

    result: RunResult  # of a run that changed nothing
    decided_at: float  # when the run began that stored the last decision; 0 if that can't be known
    builds: Builds
    code: str  # what builds run now: the hashes of bundle and inventory
    started_at: float  # when the gateway that came last did, by starting or getting its tag; 0 where none runs
    drift: float  # seconds for which what changes on a gateway may wait for a build


class Due(NamedTuple):
    """That a build is due. The goal stays the same as long as nothing else is wanted."""

    goal: str
    why: str


def due(look: Look, now: float) -> list[Due]:
    """List why a build is due: each reason is tried at once, and repeated at its own pace."""
    peers, last = _by_device(look.result.roster.peers), _by_device((look.result.facts.decision or Decision()).peers)
    return [
        *_by_peers(look, peers, last, now),
        *_by_builds(look),
        *_by_ends(peers, last, now),
        *_by_operators(look),
        *_by_time(look, peers, now),
    ]


def may_try(state: SweeperState, goal: str, now: float) -> bool:
    """Tell whether it is time to start a build for a goal: at once for a new one, else after 1, 2, 4 … 60 minutes."""
    tries = state.tried.get(goal)
    return tries is None or now >= tries.at + MINUTE * min(2 ** (tries.number - 1), _LONGEST)


def after_try(state: SweeperState, goals: Iterable[str], now: float) -> SweeperState:
    """Count a try for each of the goals, and for another one after it, should it fail."""
    counts = {goal: state.tried[goal].number if goal in state.tried else 0 for goal in (*goals, FAILED)}
    tried = {goal: Tries(count + 1, now) for goal, count in counts.items()}
    return state._replace(tried={**state.tried, **tried}, is_refused=False)


def without_old_tries(state: SweeperState, builds: Builds, now: float) -> SweeperState:
    """Forget tries of long ago, and those for a failed build once one that began later has succeeded."""
    tried = {goal: tries for goal, tries in state.tried.items() if now < tries.at + _FORGOTTEN}
    if FAILED in tried and not builds.has_failed and (builds.began_at or 0) > tried[FAILED].at:
        del tried[FAILED]
    return state._replace(tried=tried)


def _by_peers(look: Look, peers: _Peers, last: _Peers, now: float) -> Iterator[Due]:
    """Gateways have others than the decision. Who has expired is off by their own clocks, so that it makes no goal."""
    before = {device: peer for device, peer in last.items() if device in peers or not peer.has_expired(now)}
    changed = {
        device: (peers.get(device) or before[device]).label
        for device in {*peers, *before}
        if device not in peers or device not in before or _as_peer(peers[device]) != _as_peer(before[device])
    }
    if changed:
        goal = _digest(_as_peer(peers[device]) if device in peers else device for device in changed)
        yield Due(f"peers {goal}", f"the decision is another one for {_names(changed.values())}")
    if look.builds.began_at is None or look.builds.has_failed:
        yield Due(FAILED, "the last build failed, or none has succeeded yet")
    elif _is_anothers(look):
        yield Due(f"decision {look.decided_at:.0f}", "the last decision isn't of the last build")


def _is_anothers(look: Look) -> bool:
    """Tell whether the last build that succeeded may have run on an earlier decision than the last one."""
    decision = look.result.facts.decision or Decision()
    skew = 0 if decision.made_by else SKEW
    return decision.made_by != look.builds.succeeded and look.decided_at + skew > (look.builds.began_at or 0)


def _by_builds(look: Look) -> Iterator[Due]:
    """No build has run on what is there now."""
    if look.builds.code not in ("", look.code):
        yield Due(f"code {look.code}", "another bundle or inventory was deployed")
    if look.started_at > (look.builds.began_at or 0):
        yield Due(
            f"gateway {look.started_at:.0f}", "a gateway started or got its tag after the last build that succeeded"
        )


def _by_ends(peers: _Peers, last: _Peers, now: float) -> Iterator[Due]:
    moved = [peer for device, peer in peers.items() if _waits_no_longer(last.get(device), peer, now)]
    if moved:
        goal = f"ends {_digest((peer.identity, peer.expires_at) for peer in moved)}"
        yield Due(goal, f"another end can't wait for {_names(peer.label for peer in moved)}")


def _by_operators(look: Look) -> Iterator[Due]:
    if any(sign.event_time > (look.builds.began_at or 0) for sign in look.result.facts.signs):
        yield Due("signs", "early signs of leaving wait to be checked")
    if look.result.problems:
        yield Due("problems", f"it needs an operator, whom a build tells: {look.result.problems[0]}")


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
