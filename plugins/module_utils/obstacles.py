# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What keeps a user's device off the gateways, in words for an operator. Pure: no AWS, no Ansible, no clock."""

from __future__ import annotations

from typing import Collection, Iterable, Iterator, NamedTuple, Sequence

from .access import GrantingGroups
from .model import Block, Owner, Registration, Tombstone, User, printable
from .timespan import utc
from .whitelist import AccountSweeps, Reason, Whitelist


class Standing(NamedTuple):
    """What is known of a user whom an order is about; records of others do no harm."""

    owner: Owner
    registrations: Sequence[Registration]
    tombstones: Sequence[Tombstone]
    blocks: Sequence[Block]
    account: AccountSweeps
    granting: GrantingGroups | None = None  # None: which groups grant access wasn't said

    @property
    def devices(self) -> list[Registration]:
        """The user's registrations."""
        return [each for each in self.registrations if each.owner == self.owner]

    @property
    def user(self) -> User | None:
        """The user as IAM or the last complete sweep has it."""
        sweep = self.account.in_force
        return None if sweep is None else sweep.users.get(self.owner[1])

    @property
    def own_blocks(self) -> list[Block]:
        """The user's blocks, the whole user's first."""
        own = [block for block in self.blocks if (block.account_id, block.user_id) == self.owner]
        return sorted(own, key=lambda block: block.device or "")


def obstacles(standing: Standing, device: str | None, now: float) -> list[str]:
    """List everything that keeps a device off the gateways; for a user as a whole, whichever device it is.

    :param device: None for the user as a whole.
    :param now: seconds since the epoch.
    """
    blocks = [block for block in standing.own_blocks if device in (None, block.device) or block.device is None]
    devices = [each for each in standing.devices if device in (None, each.device)]
    return [*map(block_in_words, blocks), *_of_user(standing), *_of_devices(devices, device, now)]


def _of_user(standing: Standing) -> Iterator[str]:
    """Say what speaks against a user besides blocks: a deletion, IAM, or the groups."""
    granting = standing.granting or {}
    whitelist = Whitelist([standing.account], standing.tombstones, (), granting)
    grounds = whitelist.refusal_of_user(standing.owner)
    if grounds is not None and not (grounds.reason is Reason.NOT_IN_GROUP and standing.granting is None):
        yield grounds.detail


def _of_devices(devices: Sequence[Registration], device: str | None, now: float) -> Iterator[str]:
    if device is not None and not devices:
        yield f"{device} isn't registered"
    for each in devices:
        if each.expires_at is not None and each.has_expired(now):
            yield f"the registration of {each.device} expired at {utc(each.expires_at)}"


def block_in_words(block: Block) -> str:
    """Write a block as `laptop (by arn:…, 'lost', since 2026-11-29T08:00:00Z)`."""
    since = utc(block.created_at) if block.created_at else "-"
    return f"{block.what} (by {block.by or '-'}, '{' '.join(printable(block.reason).split())}', since {since})"


def blocks_in_words(blocks: Iterable[Block]) -> str:
    """Write blocks in a row; `nothing` if there is none."""
    return ", ".join(map(block_in_words, blocks)) or "nothing"


def devices_in_words(devices: Iterable[Registration], blocks: Collection[Block], now: float) -> str:
    """Write a user's devices in a row, as in `laptop (blocked), phone`; `none` if there is none."""
    known = {each.device: each for each in devices}
    return ", ".join(_with_state(known[name], blocks, now) for name in sorted(known)) or "none"


def _with_state(registration: Registration, blocks: Iterable[Block], now: float) -> str:
    states = []
    if any(block.covers(registration.identity) for block in blocks):
        states.append("blocked")
    if registration.has_expired(now):
        states.append("expired")
    return f"{registration.device} ({', '.join(states)})" if states else registration.device
