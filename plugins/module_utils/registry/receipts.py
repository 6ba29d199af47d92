# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Receipts: what a gateway says of a removal, with what the registry says of its cause. Pure: no AWS, no Ansible."""

from __future__ import annotations

import math
from typing import Any, Iterable, Mapping, NamedTuple, Sequence

from ..keys import fingerprint
from ..model import Block, Receipt, Registration, Removed, Tombstone
from ..whitelist import Reason

_REVOKED = "revoked"  # a gateway's reason for what an operator asked it for
_REMOVED = "removed"  # its reason for registrations that somebody removed
_WITHOUT_ROSTER = (_REVOKED, Reason.EXPIRED)  # reasons that a gateway finds by itself


class Causes(NamedTuple):
    """Why devices may have been removed."""

    tombstones: list[Tombstone]
    blocks: list[Block]
    registrations: list[Registration]
    removed: Sequence[Removed] = ()


class Cause(NamedTuple):
    """Why a device was removed, as far as the registry knows it."""

    event_id: str | None = None
    deleted_at: int | None = None
    detail: str | None = None
    by: str | None = None


def receipt(gateway: str, removal: Mapping[str, Any], causes: Causes) -> Receipt:
    """Make the receipt of a removal that is done.

    :param removal: as M(tracklib.vpn.wireguard_interface) returns it; `removed_at` isn't None.
    """
    cause = _cause(removal, causes)
    words = removal.get("detail")
    if cause.detail is None and words:
        cause = cause._replace(detail=f"revoked without a roster: {words}")
    return Receipt(
        gateway=gateway,
        removal_id=removal["id"],
        account_id=removal["account_id"],
        user_id=removal["user_id"],
        user_name=removal["user_name"],
        device=removal["device"],
        fingerprint=removal["fingerprint"],
        reason=removal["reason"],
        generation=removal["generation"],
        event_id=cause.event_id,
        deleted_at=cause.deleted_at,
        removed_at=removal["removed_at"],
        last_handshake=removal["last_handshake"],
        detail=cause.detail,
        by=cause.by,
    )


def delay(receipt: Receipt) -> int | None:
    """Return the seconds from deletion, block or expiry to the removal; None if its time isn't known."""
    return None if receipt.deleted_at is None else receipt.removed_at - receipt.deleted_at


def delay_in_run(receipt: Receipt) -> int | None:
    """Return the seconds from the start of the run that decided the removal; None if the gateway decided by itself.

    A generation is that start in milliseconds, unless runs follow each other faster.
    """
    return None if receipt.reason in _WITHOUT_ROSTER else receipt.removed_at - receipt.generation // 1000


def _cause(removal: Mapping[str, Any], causes: Causes) -> Cause:
    """Find a removal's cause; an operator's word left a tombstone or a block."""
    reason = removal["reason"]
    if reason in (Reason.TOMBSTONED, _REVOKED):
        deletion = _deletion(removal, causes.tombstones)
        if deletion is not None:
            is_known = math.isfinite(deletion.event_time)  # not so if the registry's item can't be read
            deleted_at = int(deletion.event_time) if is_known else None
            return Cause(deletion.event_id, deleted_at, "deleted in IAM", deletion.by)
    if reason in (Reason.BLOCKED, _REVOKED):
        block = _block(removal, causes.blocks)
        if block is not None:
            return Cause(None, int(block.created_at), f"blocked: {block.reason}", block.by)
    if reason == Reason.EXPIRED:
        return Cause(None, _expired_at(removal, causes.registrations), "its registration expired")
    if reason in (_REMOVED, _REVOKED):
        return _removal(removal, causes.removed)
    return Cause()


def _block(removal: Mapping[str, Any], blocks: Iterable[Block]) -> Block | None:
    """Find the first block of a device or its user."""
    device = (removal["account_id"], removal["user_id"], removal["device"])
    found = [block for block in blocks if block.covers(device)]
    return min(found, key=lambda block: block.created_at, default=None)


def _removal(removal: Mapping[str, Any], removed: Iterable[Removed]) -> Cause:
    """Find who removed the registration of a device, and when; its key tells it from a later one."""
    device = (removal["account_id"], removal["user_id"], removal["device"])
    for record in removed:
        if record.identity == device and fingerprint(record.public_key) == removal["fingerprint"]:
            why = "its registration was removed" if record.reason is None else f"removed: {record.reason}"
            return Cause(None, int(record.removed_at), why, record.by)
    return Cause()


def _deletion(removal: Mapping[str, Any], tombstones: Iterable[Tombstone]) -> Tombstone | None:
    """Find the user's first tombstone, since sweeps find out later; else the last one that has only the name."""
    account_id, name = removal["account_id"], removal["user_name"].casefold()
    of_account = [tombstone for tombstone in tombstones if tombstone.account_id == account_id]
    by_id = [tombstone for tombstone in of_account if tombstone.user_id == removal["user_id"]]
    by_name = [
        tombstone
        for tombstone in of_account
        if tombstone.user_id is None
        and tombstone.user_name.casefold() == name
        and tombstone.event_time <= removal["removed_at"]
    ]
    if by_id:
        return min(by_id, key=lambda tombstone: tombstone.event_time)
    return max(by_name, key=lambda tombstone: tombstone.event_time, default=None)


def _expired_at(removal: Mapping[str, Any], registrations: Iterable[Registration]) -> int | None:
    """Find when a device's registration expired; None also if it was renewed since."""
    device = (removal["account_id"], removal["user_id"], removal["device"])
    for registration in registrations:
        if (*registration.owner, registration.device) == device:
            expires_at = registration.expires_at
            if expires_at is not None and expires_at <= removal["removed_at"]:
                return int(expires_at)
    return None
