# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The roster decision: who is a peer, who isn't and why. Pure: no AWS, no Ansible, no clock.

`whitelist` says who may connect, `guard` what becomes of removals that nothing explains (R5, mass-removal guard). Here
is what is particular to a registration: its end, its key, its addresses (R9, one key, one device).
"""

from __future__ import annotations

from collections import Counter
from typing import Iterable, Iterator, NamedTuple, Sequence

from .access import GrantingGroups
from .addresses import Network, holds
from .guard import Guarded, Limits, Loss, guard
from .keys import check_public_key
from .model import Block, Decision, Device, LeftOut, Owner, Registered, Registration, Removed, Tombstone
from .whitelist import AccountSweeps, Grounds, Reason, Whitelist


class Exclusion(NamedTuple):
    """A registration that is no peer, and why."""

    registration: Registration
    reason: Reason
    detail: str
    is_released: bool = False  # an operator let it go
    of_user: bool = False  # a tombstone or block is about the user as a whole

    @property
    def is_explained(self) -> bool:
        """Whether nobody has to look for a mistake behind it."""
        return self.is_released or self.reason.is_explained


class Policy(NamedTuple):
    """What operators configure."""

    granting: GrantingGroups
    pools: Sequence[Network] | None  # a registration outside them is left out; None to go without that check
    limits: Limits = Limits()
    release: frozenset[str] = frozenset()  # which held removals an operator lets go, as `guard` has it
    gateway_keys: frozenset[str] = frozenset()  # public keys that no device may have


class Roster(NamedTuple):
    """The decision. `leavers` must be written to the registry before the roster leaves the controller."""

    peers: list[Registration]
    held: set[Registration]  # subset of peers
    revoked: list[Exclusion]  # subset of excluded
    excluded: list[Exclusion]
    removed: list[Removed]  # whose keys are no peers'
    leavers: list[Tombstone]
    reversed: list[Tombstone]
    spared: list[Tombstone]
    release_token: str | None
    decision: Decision  # for the next run to count from

    @property
    def held_names(self) -> list[str]:
        """The names of who is held, with the user's id where several users have the label (R1, identity)."""
        labels = Counter(each.label for each in (*self.peers, *(each.registration for each in self.excluded)))
        return sorted(f"{each.label} ({each.user_id})" if labels[each.label] > 1 else each.label for each in self.held)


def decide(
    *,
    accounts: Sequence[AccountSweeps],
    registered: Registered,
    tombstones: Iterable[Tombstone],
    blocks: Iterable[Block],
    policy: Policy,
    last: Decision,
    now: float,
) -> Roster:
    """Decide for every registration.

    :param last: a removal is one from what this gave, so that a mistake in the policy is held as one in IAM is.
    :param now: seconds since the epoch; registrations that expire at or before it are left out.
    """
    whitelist = Whitelist(accounts, tombstones, blocks, policy.granting)
    excluded: dict[Device, Exclusion] = {}
    peers: dict[Device, Registration] = {}
    for registration in registered.registrations:
        grounds = _grounds(registration, whitelist, policy, now)
        if grounds is None:
            peers[registration.identity] = registration
        else:
            excluded[registration.identity] = Exclusion(registration, *grounds)
    missing = [peer for peer in last.peers if peer.identity not in peers and peer.identity not in excluded]
    for peer in missing:
        grounds = _ending(peer, whitelist, now)
        if grounds is not None:
            excluded[peer.identity] = Exclusion(peer, *grounds)
    _exclude_duplicates(peers, excluded, last)

    explained = {identity for identity, exclusion in excluded.items() if exclusion.is_explained}
    explained.update(record.identity for record in registered.removed)
    explained.update(
        each.identity
        for each in last.departures
        if whitelist.revocation_of_user((each.account_id, each.user_id)) is not None
    )
    before = {peer.identity: peer for peer in last.peers if peer.identity in peers or peer.identity not in explained}
    must_hold = {(account.account_id, user_id) for account in accounts for user_id in account.absences.held}
    must_hold |= _of_missing_accounts(accounts, last)
    guarded = guard(
        [
            _loss(peer, excluded.get(identity), registered, policy)._replace(must_hold=peer.owner in must_hold)
            for identity, peer in before.items()
            if identity not in peers
        ],
        before=before,
        present=peers,
        departures=[each for each in last.departures if each.identity not in explained],
        limits=policy.limits,
        release=policy.release,
        now=now,
    )
    _settle(guarded, peers, excluded)
    if guarded.held:  # what they had may have been given to others meanwhile
        _exclude_duplicates(peers, excluded, last)
    revoked = [
        exclusion._replace(of_user=whitelist.revocation_of_user(exclusion.registration.owner) is not None)
        for exclusion in excluded.values()
        if exclusion.reason.is_revocation
    ]
    others = [exclusion for exclusion in excluded.values() if not exclusion.reason.is_revocation]
    keys = {peer.public_key for peer in peers.values()}
    return Roster(
        peers=list(peers.values()),
        held={loss.kept for loss in guarded.held if loss.kept.identity in peers},
        revoked=revoked,
        excluded=revoked + others,
        removed=[record for record in registered.removed if record.public_key not in keys],
        leavers=list(_leavers(accounts, excluded.values())),
        reversed=whitelist.reversed,
        spared=whitelist.spared,
        release_token=guarded.token,
        decision=Decision(tuple(peers.values()), guarded.departures, _left_out(excluded.values())),
    )


def _of_missing_accounts(accounts: Sequence[AccountSweeps], last: Decision) -> set[Owner]:
    """Find the users of accounts that aren't configured any more, if such an account had two peers or more.

    An account that somebody left out by mistake is as if all its users were absent (R4, confirmed revocation).
    """
    swept = {account.account_id for account in accounts}
    missing = Counter(peer.account_id for peer in last.peers if peer.account_id not in swept)
    return {peer.owner for peer in last.peers if missing[peer.account_id] > 1}


def _grounds(registration: Registration, whitelist: Whitelist, policy: Policy, now: float) -> Grounds | None:
    """Why a registration is no peer before the guard has spoken; None if it is one."""
    return _ending(registration, whitelist, now) or whitelist.refusal(registration) or _fault(registration, policy)


def _ending(registration: Registration, whitelist: Whitelist, now: float) -> Grounds | None:
    """What ends a registration without any doubt: a revocation, or its expiry."""
    if whitelist.is_revoked(registration):
        return whitelist.refusal(registration)
    if registration.has_expired(now):
        return Grounds(Reason.EXPIRED, "the registration expired; renew it")
    return None


def _fault(registration: Registration, policy: Policy) -> Grounds | None:
    """What keeps a registration out whoever its user is, and however long it lives."""
    try:
        check_public_key(registration.public_key)
    except ValueError as error:
        return Grounds(Reason.INVALID_KEY, str(error))
    if registration.public_key in policy.gateway_keys:
        return Grounds(Reason.INVALID_KEY, "it is a gateway's own public key; make a key on the device")
    if not registration.addresses:
        return Grounds(Reason.ADDRESS_OUTSIDE_POOL, "the registration has no address; register it again")
    if policy.pools is None:
        return None
    for address in registration.addresses:
        if not holds(policy.pools, address):
            pools = ", ".join(str(pool) for pool in policy.pools)
            return Grounds(
                Reason.ADDRESS_OUTSIDE_POOL,
                f"{address} isn't one that the pools give to devices ({pools}); register the device again",
            )
    return None


def _exclude_duplicates(peers: dict[Device, Registration], excluded: dict[Device, Exclusion], last: Decision) -> None:
    """Should the registry ever hold a duplicate, who was a peer keeps what others also claim.

    Among those the older registration does (R9, one key, one device).
    """
    before = {_claims(peer) for peer in last.peers}
    revoked = (each.registration.public_key for each in excluded.values() if each.reason.is_revocation)
    keys = dict.fromkeys(revoked, "a revoked registration")
    addresses: dict[str, str] = {}
    in_order = sorted(peers.values(), key=lambda peer: (_claims(peer) not in before, peer.created_at))
    for peer in in_order:
        clash = next((address for address in peer.addresses if address in addresses), None)
        if peer.public_key in keys:
            grounds = Grounds(Reason.DUPLICATE_KEY, f"its key is already that of {keys[peer.public_key]}")
        elif clash is not None:
            grounds = Grounds(Reason.DUPLICATE_ADDRESS, f"{clash} is already that of {addresses[clash]}")
        else:
            keys[peer.public_key] = peer.label
            addresses.update((address, peer.label) for address in peer.addresses)
            continue
        excluded[peer.identity] = Exclusion(peers.pop(peer.identity), *grounds)


def _claims(peer: Registration) -> tuple[Device, str, tuple[str, ...]]:
    return (peer.identity, peer.public_key, peer.addresses)


def _loss(peer: Registration, exclusion: Exclusion | None, registered: Registered, policy: Policy) -> Loss:
    """Describe the loss of a peer of the last decision; held, it stays as its registration says, if that is fit."""
    if exclusion is not None:
        is_fit = _fault(exclusion.registration, policy) is None
        is_users = exclusion.reason in (Reason.NOT_IN_SWEEP, Reason.NOT_IN_GROUP)
        kept = exclusion.registration if is_fit and is_users else peer
        return Loss(kept, Grounds(exclusion.reason, exclusion.detail))
    if peer.identity in registered.unreadable:
        return Loss(peer, Grounds(Reason.UNREADABLE, registered.unreadable[peer.identity]))
    detail = "its registration is gone from the registry, without a record that anybody removed it"
    return Loss(peer, Grounds(Reason.NOT_REGISTERED, detail))


def _settle(guarded: Guarded, peers: dict[Device, Registration], excluded: dict[Device, Exclusion]) -> None:
    """Put the guard's word into the decision."""
    for loss in guarded.held:
        peers[loss.kept.identity] = loss.kept
        excluded.pop(loss.kept.identity, None)
    for loss in guarded.gone:
        excluded[loss.kept.identity] = Exclusion(loss.kept, *loss.grounds)
    for loss in guarded.released:
        excluded[loss.kept.identity] = Exclusion(loss.kept, *loss.grounds, is_released=True)


def _left_out(excluded: Iterable[Exclusion]) -> tuple[LeftOut, ...]:
    found = [LeftOut(*each.registration.identity, each.reason.value) for each in excluded]
    return tuple(sorted(found))


def _leavers(accounts: Iterable[AccountSweeps], excluded: Iterable[Exclusion]) -> Iterator[Tombstone]:
    """Write the tombstones of users whose absence IAM confirmed."""
    begun_at: dict[Owner, float] = {
        (account.account_id, user_id): account.sweep.begun_at
        for account in accounts
        if account.sweep is not None
        for user_id in account.absences.confirmed
    }
    leavers = {each.registration.owner: each.registration for each in excluded if each.registration.owner in begun_at}
    for owner, registration in leavers.items():
        yield Tombstone(
            account_id=registration.account_id,
            event_id=f"sweep-{registration.user_id}",
            user_name=registration.user_name,
            user_id=registration.user_id,
            event_time=begun_at[owner],
        )
