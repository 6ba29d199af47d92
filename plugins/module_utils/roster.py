# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The roster decision: who is a peer, who isn't and why. Pure: no AWS, no Ansible, no clock (rules R1 to R5, R9)."""

from __future__ import annotations

import hashlib
from typing import Iterable, NamedTuple, Sequence

from .access import GrantingGroups
from .addresses import Network, holds
from .keys import check_public_key
from .model import CONSISTENCY, Block, Owner, Registration, Sweep, Tombstone


class Account(NamedTuple):
    """What is known of one identity account."""

    account_id: str
    sweep: Sweep | None  # this run's; None if incomplete
    stored: Sweep | None  # the last complete one before
    absent_twice: frozenset[str] = frozenset()  # user_ids stored, but absent from two sweeps of this run
    error: str | None = None

    @property
    def in_force(self) -> Sweep | None:
        """What decides: this run's sweep if it is complete, else the stored one (R3)."""
        return self.sweep or self.stored


class Policy(NamedTuple):
    """What operators configure. A registration outside the pools is left out."""

    granting: GrantingGroups
    pools: Sequence[Network]
    guard_count: int = 5
    guard_share: float = 25.0  # percent
    release: str | None = None  # the token of the removals that an operator lets go


class Last(NamedTuple):
    """What the last run decided by. Registrations judged by it are what the gateways have, so far as nobody left."""

    sweeps: Sequence[Sweep]
    granting: GrantingGroups


class Verdict(NamedTuple):
    """Why a registration isn't a peer."""

    registration: Registration
    reason: str
    detail: str


class Roster(NamedTuple):
    """The decision. `leavers` must be written to the registry before the roster leaves the controller (R4)."""

    peers: list[Registration]
    held: set[Registration]  # subset of peers
    revoked: list[Verdict]
    excluded: list[Verdict]
    leavers: list[Tombstone]
    reversed: list[Tombstone]
    release_token: str | None


def decide(
    accounts: Sequence[Account],
    registrations: Sequence[Registration],
    tombstones: Sequence[Tombstone],
    blocks: Iterable[Block],
    policy: Policy,
    last: Last,
    now: float,
) -> Roster:
    """Decide for every registration.

    :param last: a removal is one from what this gave, so that a mistake in the policy is held as one in IAM is (R5).
    :param now: seconds since the epoch; registrations that expire at or before it are left out.
    """
    blocked = {(block.account_id, block.user_id, block.device): block.reason for block in blocks}
    wanted = _Standing([account.in_force for account in accounts], tombstones, blocked, policy.granting)
    before = _Standing(last.sweeps, tombstones, blocked, last.granting)

    judged = [(registration, wanted.verdict(registration)) for registration in registrations]
    fit = [
        (registration, verdict)
        for registration, verdict in judged
        if verdict is None or verdict.reason in ("not_in_sweep", "not_in_group")
    ]
    fit = [(registration, verdict) for registration, verdict in fit if not _unfit(registration, policy, now)]
    baseline = {registration for registration, _verdict in fit if before.verdict(registration) is None}
    removals = {registration for registration, verdict in fit if verdict is not None and registration in baseline}
    leavers, held, token = _guard(accounts, removals, len(baseline), policy)

    peers: list[Registration] = []
    revoked: list[Verdict] = []
    excluded: list[Verdict] = []
    for registration, verdict in judged:
        if registration.owner in leavers:
            verdict = Verdict(registration, "tombstoned", "absent from two complete sweeps of IAM")
        elif registration in held:
            verdict = None
        if verdict is None:
            verdict = _unfit(registration, policy, now)
        if verdict is None:
            peers.append(registration)
        elif verdict.reason in ("tombstoned", "blocked"):
            revoked.append(verdict)
        else:
            excluded.append(verdict)
    peers, duplicates = _without_duplicates(peers, {verdict.registration.public_key for verdict in revoked})
    return Roster(
        peers=peers,
        held=held & set(peers),
        revoked=revoked,
        excluded=revoked + excluded + duplicates,
        leavers=list(leavers.values()),
        reversed=wanted.reversed,
        release_token=token,
    )


def refusal(
    sweep: Sweep, user_id: str, tombstones: Sequence[Tombstone], blocks: Iterable[Block], granting: GrantingGroups
) -> tuple[str, str] | None:
    """Why no device of a user may be a peer, as (reason, detail); None if nothing speaks against the user.

    :param sweep: the sweep in force of the user's account; of its users only this one counts.
    """
    blocked = {(block.account_id, block.user_id, block.device): block.reason for block in blocks}
    return _Standing([sweep], tombstones, blocked, granting).user((sweep.account_id, user_id))


class _Standing:
    """How each user stands by one set of sweeps, apart from what is particular to a registration."""

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
        self._users: dict[Owner, tuple[str, str] | None] = {}

    def _apply(self, tombstone: Tombstone) -> None:
        sweep = self._sweeps.get(tombstone.account_id)
        fresh = sweep is not None and sweep.begun_at > tombstone.event_time + CONSISTENCY
        detail = f"deleted: tombstone {tombstone.event_id}"
        if tombstone.user_id is not None:
            if fresh and sweep is not None and tombstone.user_id in sweep.users:
                self.reversed.append(tombstone)
            else:
                self._tombstoned[(tombstone.account_id, tombstone.user_id)] = detail
        elif sweep is not None and not fresh:
            name = tombstone.user_name.casefold()
            for user in sweep.users.values():
                if user.user_name.casefold() == name and user.created_at < tombstone.event_time:
                    self._tombstoned[(user.account_id, user.user_id)] = detail

    def verdict(self, registration: Registration) -> Verdict | None:
        owner = registration.owner
        if owner not in self._users:
            self._users[owner] = self.user(owner)
        found = self._users[owner]
        device_block = self._blocked.get((*owner, registration.device))
        if device_block is not None and (found is None or found[0] != "tombstoned"):
            found = ("blocked", f"device blocked: {device_block}")
        return None if found is None else Verdict(registration, *found)

    def user(self, owner: Owner) -> tuple[str, str] | None:
        account_id, user_id = owner
        if owner in self._tombstoned:
            return "tombstoned", self._tombstoned[owner]
        if (account_id, user_id, None) in self._blocked:
            return "blocked", f"user blocked: {self._blocked[(account_id, user_id, None)]}"
        sweep = self._sweeps.get(account_id)
        if sweep is None:
            return "not_in_sweep", f"account {account_id} isn't configured or was never swept completely"
        user = sweep.users.get(user_id)
        if user is None:
            return "not_in_sweep", f"no IAM user with the id {user_id} in account {account_id}"
        granting = self._granting.get(account_id, frozenset())
        if granting.isdisjoint(user.groups):
            return "not_in_group", "in none of the groups that grant access: " + ", ".join(sorted(granting))
        return None


def _unfit(registration: Registration, policy: Policy, now: float) -> Verdict | None:
    """What keeps a registration out whoever its user is."""
    if registration.expires_at is not None and registration.expires_at <= now:
        return Verdict(registration, "expired", "the registration expired; renew it")
    try:
        check_public_key(registration.public_key)
    except ValueError as error:
        return Verdict(registration, "invalid_key", str(error))
    for address in registration.addresses:
        if not holds(policy.pools, address):
            pools = ", ".join(str(pool) for pool in policy.pools)
            return Verdict(
                registration,
                "address_outside_pool",
                f"{address} isn't one that the pools give to devices ({pools}); register the device again",
            )
    if not registration.addresses:
        return Verdict(registration, "address_outside_pool", "the registration has no address; register it again")
    return None


def _exceeds(count: int, total: int, policy: Policy) -> bool:
    return count > policy.guard_count and count * 100 > total * policy.guard_share


def _guard(
    accounts: Sequence[Account], removals: set[Registration], baseline: int, policy: Policy
) -> tuple[dict[Owner, Tombstone], set[Registration], str | None]:
    """R4 and R5: who of the unexplained removals is a confirmed leaver, and which removals are held.

    :returns: leavers' tombstones by owner, held registrations, and the token that releases these.
    """
    absent = {
        registration
        for account in accounts
        for registration in removals
        if registration.account_id == account.account_id and registration.user_id in account.absent_twice
    }
    token = _token(removals)
    released = policy.release is not None and policy.release == token
    confirmed = absent if released or not _exceeds(len(absent), baseline, policy) else set()
    unexplained = removals - confirmed
    held = unexplained if not released and _exceeds(len(unexplained), baseline, policy) else set()
    begun_at = {account.account_id: account.sweep.begun_at for account in accounts if account.sweep is not None}
    leavers = {
        registration.owner: Tombstone(
            account_id=registration.account_id,
            event_id=f"sweep-{registration.user_id}",
            user_name=registration.user_name,
            user_id=registration.user_id,
            event_time=begun_at[registration.account_id],
        )
        for registration in confirmed
    }
    return leavers, held, token if held else None


def _token(removals: Iterable[Registration]) -> str:
    """Names exactly these removals: an operator who releases them releases no others."""
    names = sorted("/".join((*registration.owner, registration.device)) for registration in removals)
    return hashlib.sha256("\n".join(names).encode()).hexdigest()[:12]


def _without_duplicates(
    peers: Sequence[Registration], revoked_keys: set[str]
) -> tuple[list[Registration], list[Verdict]]:
    """R9, should the registry ever hold a duplicate: the older registration keeps what a later one also claims."""
    keys = dict.fromkeys(revoked_keys, "a revoked registration")
    addresses: dict[str, str] = {}
    kept: set[Registration] = set()
    left_out: list[Verdict] = []
    for peer in sorted(peers, key=lambda registration: registration.created_at):
        clash = next((address for address in peer.addresses if address in addresses), None)
        if peer.public_key in keys:
            left_out.append(Verdict(peer, "duplicate_key", f"its key is already that of {keys[peer.public_key]}"))
        elif clash is not None:
            left_out.append(Verdict(peer, "duplicate_address", f"{clash} is already that of {addresses[clash]}"))
        else:
            keys[peer.public_key] = peer.label
            addresses.update((address, peer.label) for address in peer.addresses)
            kept.add(peer)
    return [peer for peer in peers if peer in kept], left_out
