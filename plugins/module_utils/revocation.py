# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""An operator's word that a user or device may not connect, written to the registry (R4, confirmed revocation)."""

from __future__ import annotations

import uuid
from enum import Enum
from typing import Callable, Iterable, NamedTuple, Sequence

from .aws import AWSCallError
from .model import Block, Registration, Sweep, Tombstone, User
from .registry.dynamodb import RegistryError
from .registry.table import Registry


class RecordKind(str, Enum):
    """What a revocation is written as: a block of a user whom IAM has, a tombstone of one whom it doesn't have."""

    BLOCK = "block"
    TOMBSTONE = "tombstone"


class Revoked(NamedTuple):
    """A user, or only one device of the user, by the name that the operator gave."""

    account_id: str
    user_name: str
    device: str | None


class RevocationRecord(NamedTuple):
    """What stands in the registry after a revocation. `user_id` is None if none is known for the name."""

    kind: RecordKind
    user_id: str | None


class Whom(NamedTuple):
    """Whom a revocation hits, and why IAM didn't say so itself; `error` is None if it did."""

    kind: RecordKind
    user_ids: Sequence[str]
    error: AWSCallError | None = None

    @property
    def records(self) -> list[RevocationRecord]:
        """One for each id; without any, one by name alone."""
        wanted: list[str | None] = [*self.user_ids] if self.user_ids else [None]
        return [RevocationRecord(self.kind, user_id) for user_id in wanted]


def known_ids(stored: Sweep | None, registrations: Iterable[Registration], revoked: Revoked) -> list[str]:
    """List the ids that a name stands for by the last complete sweep, or that only registrations still know."""
    name = revoked.user_name.casefold()
    listed = stored.named(name) if stored is not None else None
    ids = {listed.user_id} if listed is not None else set()
    ids |= {
        registration.user_id
        for registration in registrations
        if registration.account_id == revoked.account_id
        and registration.user_name.casefold() == name
        and (stored is None or registration.user_id not in stored.users)
    }
    return sorted(ids)


def identify(find: Callable[[], User | None], table: Registry, revoked: Revoked) -> Whom:
    """Find out whom a name means: who IAM says, else the ids that the registry knows.

    :param find: asks IAM for the user; returns None if there is none.
    :raises AWSCallError: IAM doesn't answer, and the registry knows no id for the name.
    """
    try:
        user = find()
    except AWSCallError as error:
        user_ids = _registry_ids(table, revoked)
        if not user_ids:
            raise
        return Whom(RecordKind.BLOCK, user_ids, error)
    if user is not None:
        return Whom(RecordKind.BLOCK, [user.user_id])
    return Whom(RecordKind.TOMBSTONE, _registry_ids(table, revoked))


def _registry_ids(table: Registry, revoked: Revoked) -> list[str]:
    return known_ids(table.sweep(revoked.account_id), table.devices.registrations(), revoked)


def missing(records: Iterable[RevocationRecord], blocks: Iterable[Block], revoked: Revoked) -> list[RevocationRecord]:
    """Leave out the blocks that exist already. A tombstone is written each time: its time of deletion is a new one."""
    existing = {
        block.user_id for block in blocks if (block.account_id, block.device) == (revoked.account_id, revoked.device)
    }
    return [record for record in records if record.kind is RecordKind.TOMBSTONE or record.user_id not in existing]


def write(table: Registry, records: Iterable[RevocationRecord], revoked: Revoked, reason: str, now: float) -> None:
    """Write blocks and tombstones to the registry.

    :param now: the time of deletion, or from which the block holds, in seconds since the epoch.
    """
    for record in records:
        if record.kind is RecordKind.TOMBSTONE:
            event_id = f"operator-{uuid.uuid4()}"
            table.write_tombstone(Tombstone(revoked.account_id, event_id, revoked.user_name, record.user_id, now))
        elif record.user_id is not None:
            table.block(Block(revoked.account_id, record.user_id, revoked.device, reason, now))


def lift(find: Callable[[], User | None], table: Registry, revoked: Revoked, *, check_mode: bool) -> list[Block]:
    """Delete the block of the user, or of the device, and return it; an empty list if there was none.

    :raises RegistryError: IAM has no user of that name.
    """
    user = find()
    if user is None:
        raise RegistryError(f"{revoked.user_name} can't be unblocked: there is no IAM user of that name")
    wanted = (user.account_id, user.user_id, revoked.device)
    lifted = [block for block in table.blocks() if (block.account_id, block.user_id, block.device) == wanted]
    if lifted and not check_mode:
        table.unblock(lifted[0])
    return lifted
