# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Who may connect by IAM, tombstones and blocks, apart from what is particular to a registration. Pure.

It holds the rules R1 (identity), R2 (whitelist) and R4 (confirmed revocation).
"""

from __future__ import annotations

from enum import Enum
from typing import Iterable, Mapping, NamedTuple, Sequence

from .access import GrantingGroups
from .model import CONSISTENCY, Block, Device, Owner, Registration, Sweep, Tombstone
from .timespan import utc


class Reason(str, Enum):
    """Why a device is no peer, as the roster file says it."""

    TOMBSTONED = "tombstoned"
    BLOCKED = "blocked"
    EXPIRED = "expired"
    NOT_IN_SWEEP = "not_in_sweep"
    NOT_IN_GROUP = "not_in_group"
    INVALID_KEY = "invalid_key"
    DUPLICATE_KEY = "duplicate_key"
    DUPLICATE_ADDRESS = "duplicate_address"
    ADDRESS_OUTSIDE_POOL = "address_outside_pool"
    UNREADABLE = "unreadable"  # its item in the registry
    NOT_REGISTERED = "not_registered"  # it was a peer, and its item is gone without a record of its removal

    @property
    def is_revocation(self) -> bool:
        """Whether it is a confirmed revocation, which nothing holds or delays (R4, confirmed revocation)."""
        return self in (Reason.TOMBSTONED, Reason.BLOCKED)

    @property
    def is_explained(self) -> bool:
        """Whether nobody has to look for a mistake behind it (R5, mass-removal guard)."""
        return self.is_revocation or self is Reason.EXPIRED


class Grounds(NamedTuple):
    """What speaks against a user or a device, and in which words."""

    reason: Reason
    detail: str


class Absences(NamedTuple):
    """What IAM said of users, by user_id, whom a complete sweep no longer lists."""

    confirmed: frozenset[str] = frozenset()
    held: frozenset[str] = frozenset()  # too many to believe it, or to ask
    problems: tuple[str, ...] = ()


class AccountSweeps(NamedTuple):
    """What is known of the users of one identity account."""

    account_id: str
    sweep: Sweep | None  # this run's; None if incomplete
    stored: Sweep | None  # the last complete one before
    absences: Absences = Absences()
    labels: Mapping[str, str] = {}  # the names under which the registry has users, by user_id
    error: str | None = None

    @property
    def in_force(self) -> Sweep | None:
        """What decides: this run's sweep if it is complete, else the stored one (R3, partial knowledge)."""
        return self.sweep or self.stored

    def was_otherwise_named(self, user_id: str, user_name: str) -> bool:
        """Tell whether a sweep or the registry knows the id under another name."""
        listed = (sweep.users.get(user_id) for sweep in (self.sweep, self.stored) if sweep is not None)
        names = [user.user_name for user in listed if user is not None]
        names.append(self.labels.get(user_id, user_name))
        return any(name.casefold() != user_name.casefold() for name in names)


class Whitelist:
    """Who may connect.

    `reversed` has the tombstones that a complete sweep outweighs; `spared` those that were found not to mean users of
    their name, who are listed in them.
    """

    def __init__(
        self,
        accounts: Sequence[AccountSweeps],
        tombstones: Iterable[Tombstone],
        blocks: Iterable[Block],
        granting: GrantingGroups,
    ) -> None:
        self._accounts = {account.account_id: account for account in accounts}
        self._granting = granting
        self._blocked_users: dict[Owner, str] = {}
        self._blocked_devices: dict[Device, str] = {}
        for block in blocks:
            if block.device is None:
                self._blocked_users[(block.account_id, block.user_id)] = _in_words(block)
            else:
                self._blocked_devices[(block.account_id, block.user_id, block.device)] = _in_words(block)
        self.reversed: list[Tombstone] = []
        self.spared: list[Tombstone] = []
        self._tombstoned: dict[Owner, str] = {}
        for tombstone in tombstones:
            self._apply(tombstone)
        for account in accounts:
            for user_id in account.absences.confirmed:
                detail = "absent from a complete sweep of IAM, which has no user of that name and id"
                self._tombstoned.setdefault((account.account_id, user_id), detail)
        self._refusals: dict[Owner, Grounds | None] = {}

    def _apply(self, tombstone: Tombstone) -> None:
        account = self._accounts.get(tombstone.account_id)
        sweep = None if account is None else account.in_force
        outweighed = sweep is not None and sweep.begun_at > tombstone.event_time + CONSISTENCY
        if tombstone.user_id is None or _was_renamed(tombstone, sweep):
            if account is not None and not outweighed:
                self._apply_by_name(tombstone, account)
        elif sweep is not None and outweighed and tombstone.user_id in sweep.users:
            self.reversed.append(tombstone)
        else:
            self._tombstoned[(tombstone.account_id, tombstone.user_id)] = _deleted(tombstone)

    def _apply_by_name(self, tombstone: Tombstone, account: AccountSweeps) -> None:
        """Apply a tombstone without an id: to users who are older than it and had its name all along."""
        named = [] if account.in_force is None else account.in_force.all_named(tombstone.user_name)
        ids = [user.user_id for user in named if user.created_at < tombstone.event_time]
        spared = {user_id for user_id in ids if account.was_otherwise_named(user_id, tombstone.user_name)}
        for user_id in ids:
            if user_id not in spared.union(tombstone.spared):
                self._tombstoned[(account.account_id, user_id)] = _deleted(tombstone)
        if not spared.issubset(tombstone.spared):
            self.spared.append(tombstone._replace(spared=tuple(sorted(spared.union(tombstone.spared)))))

    def refusal(self, registration: Registration) -> Grounds | None:
        """What speaks against the user of a registration, or against its device."""
        of_user = self.refusal_of_user(registration.owner)
        if of_user is not None and of_user.reason is Reason.TOMBSTONED:
            return of_user
        device_block = self._blocked_devices.get(registration.identity)
        if device_block is not None:
            return Grounds(Reason.BLOCKED, f"device blocked: {device_block}")
        return of_user

    def is_revoked(self, registration: Registration) -> bool:
        """Tell whether a tombstone or block speaks against a registration."""
        refusal = self.refusal(registration)
        return refusal is not None and refusal.reason.is_revocation

    def refusal_of_user(self, owner: Owner) -> Grounds | None:
        """What speaks against a user, whatever the device."""
        if owner not in self._refusals:
            self._refusals[owner] = self.revocation_of_user(owner) or self._exclusion_of_user(owner)
        return self._refusals[owner]

    def revocation_of_user(self, owner: Owner) -> Grounds | None:
        """Tell which tombstone or block speaks against a user, whatever the sweeps say."""
        if owner in self._tombstoned:
            return Grounds(Reason.TOMBSTONED, self._tombstoned[owner])
        if owner in self._blocked_users:
            return Grounds(Reason.BLOCKED, f"user blocked: {self._blocked_users[owner]}")
        return None

    def _exclusion_of_user(self, owner: Owner) -> Grounds | None:
        account_id, user_id = owner
        account = self._accounts.get(account_id)
        if account is None or account.in_force is None:
            return Grounds(Reason.NOT_IN_SWEEP, f"account {account_id} isn't configured or was never swept completely")
        user = account.in_force.users.get(user_id)
        if user is None:
            detail = f"no IAM user with the id {user_id} in account {account_id}"
            if account.sweep is None:  # R3, partial knowledge: nobody who is new since is known
                detail += f" by the sweep of {utc(account.in_force.begun_at)}, the last complete one"
            return Grounds(Reason.NOT_IN_SWEEP, detail)
        granting = self._granting.get(account_id, frozenset())
        if granting.isdisjoint(user.groups):
            groups = ", ".join(sorted(granting)) or f"vpn_access has none of account {account_id}"
            return Grounds(Reason.NOT_IN_GROUP, f"in none of the groups that grant access: {groups}")
        return None


def refusal(
    sweep: Sweep, user_id: str, tombstones: Iterable[Tombstone], blocks: Iterable[Block], granting: GrantingGroups
) -> Grounds | None:
    """Tell why no device of a user may be a peer; None if nothing speaks against the user.

    :param sweep: the sweep in force of the user's account; of its users only this one counts.
    """
    account = AccountSweeps(sweep.account_id, sweep, stored=None)
    return Whitelist([account], tombstones, blocks, granting).refusal_of_user((sweep.account_id, user_id))


def _deleted(tombstone: Tombstone) -> str:
    by = f" by {tombstone.by}" if tombstone.by else ""
    return f"deleted{by}: tombstone {tombstone.event_id}"


def _in_words(block: Block) -> str:
    known = [f"by {block.by}"] if block.by else []
    known += [f"since {utc(block.created_at)}"] if block.created_at else []
    return f"{' '.join(block.reason.split())} ({', '.join(known)})" if known else block.reason


def _was_renamed(tombstone: Tombstone, sweep: Sweep | None) -> bool:
    """Tell whether the id that a tombstone has belongs to somebody else: its user is listed under another name.

    The id was looked up by name in a sweep that was older than a change of names. A sweep from before the event can't
    tell; and a tombstone whose name can't be read holds for its id.
    """
    if sweep is None or tombstone.user_id is None or sweep.begun_at <= tombstone.event_time:
        return False
    user = sweep.users.get(tombstone.user_id)
    if user is None or not tombstone.user_name:
        return False
    return user.user_name.casefold() != tombstone.user_name.casefold()
