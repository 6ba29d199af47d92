# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The roster decision: who is a peer, who isn't and why. Pure: no AWS, no Ansible, no clock.

It holds the rules R1 (identity), R2 (whitelist), R3 (partial knowledge), R4 (confirmed revocation), R5 (mass-removal
guard) and R9 (one key, one device).
"""

from __future__ import annotations

import hashlib
from enum import Enum
from typing import Iterable, NamedTuple, Sequence

from .access import GrantingGroups
from .addresses import Network, holds
from .keys import check_public_key
from .model import CONSISTENCY, Block, Owner, Registration, Sweep, Tombstone


class Reason(str, Enum):
    """Why a registration is no peer, as the roster file says it."""

    TOMBSTONED = "tombstoned"
    BLOCKED = "blocked"
    NOT_IN_SWEEP = "not_in_sweep"
    NOT_IN_GROUP = "not_in_group"
    EXPIRED = "expired"
    INVALID_KEY = "invalid_key"
    DUPLICATE_KEY = "duplicate_key"
    DUPLICATE_ADDRESS = "duplicate_address"
    ADDRESS_OUTSIDE_POOL = "address_outside_pool"

    @property
    def is_revocation(self) -> bool:
        """Whether it is a confirmed revocation, which nothing holds or delays (R4, confirmed revocation)."""
        return self in (Reason.TOMBSTONED, Reason.BLOCKED)


class Grounds(NamedTuple):
    """What speaks against a user or a device, and in which words."""

    reason: Reason
    detail: str


class Exclusion(NamedTuple):
    """A registration that is no peer, and why."""

    registration: Registration
    reason: Reason
    detail: str


class AccountSweeps(NamedTuple):
    """What is known of the users of one identity account."""

    account_id: str
    sweep: Sweep | None  # this run's; None if incomplete
    stored: Sweep | None  # the last complete one before
    absent_twice: frozenset[str] = frozenset()  # user_ids stored, but absent from two sweeps of this run
    error: str | None = None

    @property
    def in_force(self) -> Sweep | None:
        """What decides: this run's sweep if it is complete, else the stored one (R3, partial knowledge)."""
        return self.sweep or self.stored


class Policy(NamedTuple):
    """What operators configure. A registration outside the pools is left out."""

    granting: GrantingGroups
    pools: Sequence[Network]
    guard_count: int = 5
    guard_share: float = 25.0  # percent
    release: str | None = None  # the token of the removals that an operator lets go


class LastRun(NamedTuple):
    """What the last run decided by. The registrations that it let in are what the gateways have."""

    sweeps: Sequence[Sweep]
    granting: GrantingGroups


class Roster(NamedTuple):
    """The decision. `leavers` must be written to the registry before the roster leaves the controller."""

    peers: list[Registration]
    held: set[Registration]  # subset of peers
    revoked: list[Exclusion]  # subset of excluded
    excluded: list[Exclusion]
    leavers: list[Tombstone]
    reversed: list[Tombstone]
    release_token: str | None


class _Candidate(NamedTuple):
    """A registration, what speaks against its user or device, and what speaks against the registration itself."""

    registration: Registration
    refused: Grounds | None
    fault: Grounds | None


class _Guarded(NamedTuple):
    """What the guard makes of the unexplained removals."""

    leavers: dict[Owner, Tombstone]
    held: set[Registration]
    release_token: str | None


def decide(
    *,
    accounts: Sequence[AccountSweeps],
    registrations: Sequence[Registration],
    tombstones: Sequence[Tombstone],
    blocks: Iterable[Block],
    policy: Policy,
    last: LastRun,
    now: float,
) -> Roster:
    """Decide for every registration.

    :param last: a removal is one from what this gave, so that a mistake in the policy is held as one in IAM is.
    :param now: seconds since the epoch; registrations that expire at or before it are left out.
    """
    blocked = _reasons_of_blocks(blocks)
    whitelist = _Whitelist([account.in_force for account in accounts], tombstones, blocked, policy.granting)
    candidates = [
        _Candidate(registration, whitelist.refusal(registration), _fault(registration, policy, now))
        for registration in registrations
    ]
    before = _Whitelist(last.sweeps, tombstones, blocked, last.granting)
    guarded = _guard(accounts, candidates, before, policy)

    peers: list[Registration] = []
    excluded: list[Exclusion] = []
    for candidate in candidates:
        grounds = _grounds(candidate, guarded)
        if grounds is None:
            peers.append(candidate.registration)
        else:
            excluded.append(Exclusion(candidate.registration, grounds.reason, grounds.detail))
    revoked = [exclusion for exclusion in excluded if exclusion.reason.is_revocation]
    others = [exclusion for exclusion in excluded if not exclusion.reason.is_revocation]
    peers, duplicates = _without_duplicates(peers, {exclusion.registration.public_key for exclusion in revoked})
    return Roster(
        peers=peers,
        held=guarded.held & set(peers),
        revoked=revoked,
        excluded=revoked + others + duplicates,
        leavers=list(guarded.leavers.values()),
        reversed=whitelist.reversed,
        release_token=guarded.release_token,
    )


def _grounds(candidate: _Candidate, guarded: _Guarded) -> Grounds | None:
    """Why a candidate is no peer once the guard has spoken; None if it is one."""
    if candidate.registration.owner in guarded.leavers:
        return Grounds(Reason.TOMBSTONED, "absent from two complete sweeps of IAM")
    if candidate.registration in guarded.held:
        return None
    return candidate.refused or candidate.fault


def refusal(
    sweep: Sweep, user_id: str, tombstones: Sequence[Tombstone], blocks: Iterable[Block], granting: GrantingGroups
) -> Grounds | None:
    """Tell why no device of a user may be a peer; None if nothing speaks against the user.

    :param sweep: the sweep in force of the user's account; of its users only this one counts.
    """
    whitelist = _Whitelist([sweep], tombstones, _reasons_of_blocks(blocks), granting)
    return whitelist.refusal_of_user((sweep.account_id, user_id))


def _reasons_of_blocks(blocks: Iterable[Block]) -> dict[tuple[str, str, str | None], str]:
    return {(block.account_id, block.user_id, block.device): block.reason for block in blocks}


class _Whitelist:
    """Who may connect by one set of sweeps and grants, apart from what is particular to a registration."""

    def __init__(
        self,
        sweeps: Sequence[Sweep | None],
        tombstones: Sequence[Tombstone],
        blocked: dict[tuple[str, str, str | None], str],
        granting: GrantingGroups,
    ) -> None:
        self._sweeps = {sweep.account_id: sweep for sweep in sweeps if sweep is not None}
        self._blocked = blocked
        self._granting = granting
        self.reversed: list[Tombstone] = []
        self._tombstoned: dict[Owner, str] = {}
        for tombstone in tombstones:
            self._apply(tombstone)
        self._refusals: dict[Owner, Grounds | None] = {}

    def _apply(self, tombstone: Tombstone) -> None:
        sweep = self._sweeps.get(tombstone.account_id)
        outweighed = sweep is not None and sweep.begun_at > tombstone.event_time + CONSISTENCY
        detail = f"deleted: tombstone {tombstone.event_id}"
        if tombstone.user_id is not None:
            if outweighed and sweep is not None and tombstone.user_id in sweep.users:
                self.reversed.append(tombstone)
            else:
                self._tombstoned[(tombstone.account_id, tombstone.user_id)] = detail
        elif sweep is not None and not outweighed:
            name = tombstone.user_name.casefold()
            for user in sweep.users.values():
                if user.user_name.casefold() == name and user.created_at < tombstone.event_time:
                    self._tombstoned[(user.account_id, user.user_id)] = detail

    def refusal(self, registration: Registration) -> Grounds | None:
        """What speaks against the user of a registration, or against its device."""
        owner = registration.owner
        if owner not in self._refusals:
            self._refusals[owner] = self.refusal_of_user(owner)
        of_user = self._refusals[owner]
        device_block = self._blocked.get((*owner, registration.device))
        if device_block is None or (of_user is not None and of_user.reason is Reason.TOMBSTONED):
            return of_user
        return Grounds(Reason.BLOCKED, f"device blocked: {device_block}")

    def refusal_of_user(self, owner: Owner) -> Grounds | None:
        """What speaks against a user, whatever the device."""
        account_id, user_id = owner
        if owner in self._tombstoned:
            return Grounds(Reason.TOMBSTONED, self._tombstoned[owner])
        if (account_id, user_id, None) in self._blocked:
            return Grounds(Reason.BLOCKED, f"user blocked: {self._blocked[(account_id, user_id, None)]}")
        sweep = self._sweeps.get(account_id)
        if sweep is None:
            return Grounds(Reason.NOT_IN_SWEEP, f"account {account_id} isn't configured or was never swept completely")
        user = sweep.users.get(user_id)
        if user is None:
            return Grounds(Reason.NOT_IN_SWEEP, f"no IAM user with the id {user_id} in account {account_id}")
        granting = self._granting.get(account_id, frozenset())
        if granting.isdisjoint(user.groups):
            groups = ", ".join(sorted(granting))
            return Grounds(Reason.NOT_IN_GROUP, f"in none of the groups that grant access: {groups}")
        return None


def _fault(registration: Registration, policy: Policy, now: float) -> Grounds | None:
    """What keeps a registration out whoever its user is."""
    if registration.expires_at is not None and registration.expires_at <= now:
        return Grounds(Reason.EXPIRED, "the registration expired; renew it")
    try:
        check_public_key(registration.public_key)
    except ValueError as error:
        return Grounds(Reason.INVALID_KEY, str(error))
    if not registration.addresses:
        return Grounds(Reason.ADDRESS_OUTSIDE_POOL, "the registration has no address; register it again")
    for address in registration.addresses:
        if not holds(policy.pools, address):
            pools = ", ".join(str(pool) for pool in policy.pools)
            return Grounds(
                Reason.ADDRESS_OUTSIDE_POOL,
                f"{address} isn't one that the pools give to devices ({pools}); register the device again",
            )
    return None


def _guard(
    accounts: Sequence[AccountSweeps], candidates: Sequence[_Candidate], before: _Whitelist, policy: Policy
) -> _Guarded:
    """Tell confirmed leavers from removals that nothing explains, and hold too many of these (R5, mass-removal guard).

    A registration that a revocation or a fault of its own keeps out counts neither as a removal nor as one before.
    """
    counted = [
        candidate
        for candidate in candidates
        if candidate.fault is None and (candidate.refused is None or not candidate.refused.reason.is_revocation)
    ]
    baseline = [candidate for candidate in counted if before.refusal(candidate.registration) is None]
    removals = {candidate.registration for candidate in baseline if candidate.refused is not None}
    absent = {
        registration
        for account in accounts
        for registration in removals
        if registration.account_id == account.account_id and registration.user_id in account.absent_twice
    }
    token = _release_token(removals)
    if policy.release is not None and policy.release == token:
        return _Guarded(_leavers(accounts, absent), set(), None)
    confirmed = set() if _exceeds(len(absent), len(baseline), policy) else absent
    unexplained = removals - confirmed
    if _exceeds(len(unexplained), len(baseline), policy):
        return _Guarded(_leavers(accounts, confirmed), unexplained, token)
    return _Guarded(_leavers(accounts, confirmed), set(), None)


def _exceeds(count: int, total: int, policy: Policy) -> bool:
    return count > policy.guard_count and count * 100 > total * policy.guard_share


def _leavers(accounts: Sequence[AccountSweeps], confirmed: Iterable[Registration]) -> dict[Owner, Tombstone]:
    """The tombstones of users whose absence is confirmed."""
    begun_at = {account.account_id: account.sweep.begun_at for account in accounts if account.sweep is not None}
    return {
        registration.owner: Tombstone(
            account_id=registration.account_id,
            event_id=f"sweep-{registration.user_id}",
            user_name=registration.user_name,
            user_id=registration.user_id,
            event_time=begun_at[registration.account_id],
        )
        for registration in confirmed
    }


def _release_token(removals: Iterable[Registration]) -> str:
    """Names exactly these removals: an operator who releases them releases no others."""
    names = sorted("/".join((*registration.owner, registration.device)) for registration in removals)
    return hashlib.sha256("\n".join(names).encode()).hexdigest()[:12]


def _without_duplicates(
    peers: Sequence[Registration], revoked_keys: set[str]
) -> tuple[list[Registration], list[Exclusion]]:
    """Should the registry ever hold a duplicate, the older registration keeps what a later one also claims.

    R9, one key, one device.
    """
    keys = dict.fromkeys(revoked_keys, "a revoked registration")
    addresses: dict[str, str] = {}
    kept: set[Registration] = set()
    duplicates: list[Exclusion] = []
    for peer in sorted(peers, key=lambda registration: registration.created_at):
        clash = next((address for address in peer.addresses if address in addresses), None)
        if peer.public_key in keys:
            detail = f"its key is already that of {keys[peer.public_key]}"
            duplicates.append(Exclusion(peer, Reason.DUPLICATE_KEY, detail))
        elif clash is not None:
            detail = f"{clash} is already that of {addresses[clash]}"
            duplicates.append(Exclusion(peer, Reason.DUPLICATE_ADDRESS, detail))
        else:
            keys[peer.public_key] = peer.label
            addresses.update((address, peer.label) for address in peer.addresses)
            kept.add(peer)
    return [peer for peer in peers if peer in kept], duplicates
