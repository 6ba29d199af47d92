# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What is new in a decision: who joined, who left and who is left out, each with the cause in words. Pure."""

from __future__ import annotations

from typing import Mapping, NamedTuple

from .model import Decision, Device, Registration
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


def news(before: Decision, roster: Roster) -> DecisionNews:
    """Compare a decision with the one before it.

    Who is left out is new only if it is known who was before: earlier versions didn't store that.
    """
    peers = {peer.identity for peer in before.peers}
    reasons = {each.identity: each.reason for each in before.left_out or ()}
    removed = {record.identity: record for record in roster.removed}
    gone = {each.registration.identity: each for each in roster.excluded}
    remaining = {peer.identity for peer in roster.peers}
    left = [_change(each.registration, _why(each)) for identity, each in gone.items() if identity in peers]
    left += [
        _change(peer, "its registration was removed")
        for peer in before.peers
        if peer.identity in removed and peer.identity not in gone and peer.identity not in remaining
    ]
    return DecisionNews(
        joined=[_change(each, _cause(each, reasons)) for each in roster.peers if each.identity not in peers],
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


def _cause(registration: Registration, reasons: Mapping[Device, str]) -> str:
    return _ENDED.get(reasons.get(registration.identity, ""), "registered")
