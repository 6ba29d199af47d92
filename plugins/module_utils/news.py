# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What is new in a decision: who joined, who left and who is left out, each with the cause in words. Pure."""

from __future__ import annotations

from typing import Callable, Iterable, Mapping, NamedTuple

from .model import Decision, Device, Lifted, Registration, Removed
from .roster import Exclusion, Roster
from .whitelist import Reason

# What ended if a device is a peer again that was left out for a reason.
_ENDED = {
    Reason.TOMBSTONED.value: "in IAM again",
    Reason.NOT_IN_SWEEP.value: "in IAM again",
    Reason.NOT_IN_GROUP.value: "in a group that grants access again",
    Reason.EXPIRED.value: "renewed",
    Reason.BLOCKED.value: "unblocked",
    Reason.INVALID_KEY.value: "registered with another key",
    Reason.DUPLICATE_KEY.value: "its key is no other device's any more",
    Reason.DUPLICATE_ADDRESS.value: "its address is no other device's any more",
    Reason.ADDRESS_OUTSIDE_POOL.value: "its address is in the pools again",
    Reason.UNREADABLE.value: "its item in the registry can be read again",
    Reason.NOT_REGISTERED.value: "registered again",
}


_ORDERED = ("registered", "registered again", "registered with another key", "renewed")  # by whom is known


class DeviceNews(NamedTuple):
    """A device about which a decision says something new, and why."""

    account_id: str
    user_id: str
    device: str
    name: str  # alice/laptop
    cause: str


class DecisionNews(NamedTuple):
    """What is new since the last decision."""

    joined: list[DeviceNews]
    left: list[DeviceNews]  # peers before
    left_out: list[DeviceNews]  # no peers before either, and not left out then for this reason


def news(
    before: Decision, roster: Roster, registered_by: Mapping[Device, str], lifted: Callable[[], Iterable[Lifted]]
) -> DecisionNews:
    """Compare a decision with the one before it.

    Who is left out is new only if it is known who was before: earlier versions didn't store that.

    :param registered_by: the ARNs of who registered or renewed devices last.
    :param lifted: reads who lifted which block; called only if somebody is back who was blocked.
    """
    peers = {peer.identity for peer in before.peers}
    reasons = {each.identity: each.reason for each in before.left_out or ()}
    removed = {record.identity: record for record in roster.removed}
    gone = {each.registration.identity: each for each in roster.excluded}
    joining = [each for each in roster.peers if each.identity not in peers]
    is_any_blocked = any(reasons.get(each.identity) == Reason.BLOCKED.value for each in joining)
    unblocked = list(lifted()) if is_any_blocked else []
    remaining = {peer.identity for peer in roster.peers}
    left = [_change(each.registration, _why(each)) for identity, each in gone.items() if identity in peers]
    left += [
        _change(peer, _removed(removed[peer.identity]))
        for peer in before.peers
        if peer.identity in removed and peer.identity not in gone and peer.identity not in remaining
    ]
    return DecisionNews(
        joined=[_change(each, _cause(each, reasons, registered_by, unblocked)) for each in joining],
        left=left,
        left_out=[
            _change(each.registration, _why(each))
            for identity, each in gone.items()
            if before.left_out is not None and identity not in peers and reasons.get(identity) != each.reason.value
        ],
    )


def _change(registration: Registration, cause: str) -> DeviceNews:
    return DeviceNews(*registration.identity, registration.label, cause)


def _why(exclusion: Exclusion) -> str:
    released = ", released by an operator" if exclusion.is_released else ""
    return f"{exclusion.detail}{released}"


def _cause(
    registration: Registration, reasons: Mapping[Device, str], registered_by: Mapping[Device, str], lifted: list[Lifted]
) -> str:
    reason = reasons.get(registration.identity, "")
    ended = _ENDED.get(reason, "registered")
    if reason == Reason.BLOCKED.value:
        of_device = [each for each in lifted if each.block.covers(registration.identity)]
        last = max(of_device, key=lambda each: each.lifted_at, default=None)
        return ended if last is None else _ordered(ended, last.by, last.reason)
    by = registered_by.get(registration.identity)
    return f"{ended} by {by}" if by and ended in _ORDERED else ended


def _removed(record: Removed) -> str:
    return _ordered("its registration was removed", record.by, record.reason)


def _ordered(what: str, by: str | None, reason: str | None) -> str:
    """Write what was ordered, by whom and why, as far as that is known."""
    words = f"{what} by {by}" if by else what
    return f"{words}: {reason}" if reason else words
