# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""One run on the controller: take a generation, read every fact, decide, write the registry. Clients are given."""

from __future__ import annotations

import time
from enum import Enum
from typing import TYPE_CHECKING, Callable, Iterable, Mapping, NamedTuple, Sequence

from .access import Granted
from .addresses import PoolError, holds, parse_pools
from .aws import AWSCallError
from .iam.signs import Signs, check, suspension
from .iam.sweep import merged, sweep
from .model import Block, Registration, Sweep
from .registry.table import Registry, RegistryFacts
from .roster import AccountSweeps, LastRun, Policy, Reason, Roster, decide

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient


class EarlySigns(str, Enum):
    """What to do about users who can't sign in to AWS any more."""

    WARN = "warn"
    SUSPEND = "suspend"


class AccountToSweep(NamedTuple):
    """An account whose users may be peers, and the role to sweep it with; without one, the given credentials do."""

    account_id: str
    role_arn: str | None = None


class RunOptions(NamedTuple):
    """What operators configure of a run."""

    accounts: Sequence[AccountToSweep]
    policy: Policy
    early_signs: EarlySigns = EarlySigns.WARN


class RunResult(NamedTuple):
    """What a run found and decided."""

    generation: int
    made_at: float
    accounts: Sequence[AccountSweeps]
    roster: Roster
    signs: Sequence[Signs]
    acknowledge: list[str]  # ids of removals that the gateways may forget
    registry: Mapping[str, str] = dict.fromkeys(("identity", "account_id", "region", "table", "table_id"), "")

    @property
    def early_signs(self) -> list[str]:
        """Names of the users who can't sign in to AWS any more."""
        return sorted(confirmed.user_name for checked in self.signs for confirmed in checked.confirmed)


IamOf = Callable[[AccountToSweep], "IAMClient"]  # raises AWSCallError where the credentials can't be had


def run(
    table: Registry, iam_of: IamOf, options: RunOptions, *, check_mode: bool, clock: Callable[[], float] = time.time
) -> RunResult:
    """Decide who is a peer, and write to the registry what the next run needs.

    The generation comes first, so that a run with a higher one has seen later facts (R6, no resurrection). Tombstones
    and blocks are written before the roster leaves the controller (R4, confirmed revocation).

    :param check_mode: whether to leave the registry as it is.
    :raises AWSCallError: the registry doesn't answer.
    :raises PoolError: the pools no longer hold the address of a peer; nothing was changed.
    """
    generation = table.generation() if check_mode else table.take_generation()
    facts = table.facts()
    accounts = [_sweeps(iam_of, account, facts) for account in options.accounts]
    signs = [
        _signs(iam_of, account, swept, facts, clock) for account, swept in zip(options.accounts, accounts, strict=True)
    ]
    suspensions = _suspensions(signs, options.early_signs)
    granted = _granted(options)
    now = clock()
    roster = _decide(facts, accounts, suspensions, granted, options.policy, now)
    check_pools(roster, options.policy, facts.granted or granted)
    if not check_mode:
        _write_suspensions(table, signs, suspensions)
        _write_decision(table, accounts, roster, generation)
        if not roster.held and granted != facts.granted:
            table.store_granted(granted, generation)
    return RunResult(generation, now, accounts, roster, signs, facts.acknowledge)


def _sweeps(iam_of: IamOf, account: AccountToSweep, facts: RegistryFacts) -> AccountSweeps:
    """Sweep an account; again if registered users are missing, since only a second absence confirms."""
    stored = facts.sweeps.get(account.account_id)
    try:
        iam = iam_of(account)
        first = sweep(iam, account.account_id)
        if not missing(first, stored, facts.registrations):
            return AccountSweeps(account.account_id, first, stored)
        both = merged(first, sweep(iam, account.account_id))
    except AWSCallError as error:
        return AccountSweeps(account.account_id, None, stored, error=str(error))
    return AccountSweeps(account.account_id, both, stored, missing(both, stored, facts.registrations))


def missing(swept: Sweep, stored: Sweep | None, registrations: Iterable[Registration]) -> frozenset[str]:
    """List the user_ids of registered users whom the stored sweep of an account lists and a new one doesn't."""
    if stored is None:
        return frozenset()
    return frozenset(
        registration.user_id
        for registration in registrations
        if registration.account_id == swept.account_id
        and registration.user_id in stored.users
        and registration.user_id not in swept.users
    )


def _signs(
    iam_of: IamOf, account: AccountToSweep, swept: AccountSweeps, facts: RegistryFacts, clock: Callable[[], float]
) -> Signs:
    """What IAM says of an account's early signs; no call is made where there are none."""
    signs = [sign for sign in facts.signs if sign.account_id == account.account_id]
    if swept.sweep is None or not signs:
        return Signs()
    blocked = {(block.account_id, block.user_id) for block in facts.blocks if block.device is None}
    registered = {registration.owner for registration in facts.registrations} - blocked
    try:
        return check(iam_of(account), swept.sweep, signs, registered, clock())
    except AWSCallError as error:
        return Signs(error=f"early signs of leaving in account {account.account_id} could not be checked: {error}")


def _suspensions(signs: Iterable[Signs], early_signs: EarlySigns) -> list[Block]:
    if early_signs is EarlySigns.WARN:
        return []
    return [suspension(confirmed.sign) for checked in signs for confirmed in checked.confirmed]


def _granted(options: RunOptions) -> Granted:
    policy = options.policy
    return Granted(
        accounts=tuple(account.account_id for account in options.accounts),
        granting=policy.granting,
        pools=tuple(map(str, policy.pools)),
    )


def _decide(
    facts: RegistryFacts,
    accounts: Sequence[AccountSweeps],
    suspensions: Sequence[Block],
    granted: Granted,
    policy: Policy,
    now: float,
) -> Roster:
    last = facts.granted or granted
    swept = [facts.sweeps[account_id] for account_id in last.accounts if account_id in facts.sweeps]
    return decide(
        accounts=accounts,
        registrations=facts.registrations,
        tombstones=facts.tombstones,
        blocks=[*facts.blocks, *suspensions],
        policy=policy,
        last=LastRun(swept, last.granting),
        now=now,
    )


def check_pools(roster: Roster, policy: Policy, last: Granted) -> None:
    """Refuse pools that leave out devices which the last run's held, before anything is changed.

    :raises PoolError: naming up to five of the devices and what to do.
    """
    before = parse_pools(last.pools)
    lost = sorted(
        f"{exclusion.registration.label} ({', '.join(exclusion.registration.addresses)})"
        for exclusion in roster.excluded
        if exclusion.reason is Reason.ADDRESS_OUTSIDE_POOL
        and exclusion.registration.addresses
        and all(holds(before, address) for address in exclusion.registration.addresses)
    )
    if lost:
        more = ", …" if len(lost) > 5 else ""
        raise PoolError(
            f"the address pools {', '.join(map(str, policy.pools))} no longer hold the addresses of {len(lost)} "
            f"devices that {', '.join(last.pools)} held: {', '.join(lost[:5])}{more}. Nothing was "
            "changed. Have the old pool in vpn_address_pools beside the new one until these devices are registered "
            "again or removed"
        )


def _write_suspensions(table: Registry, signs: Iterable[Signs], suspensions: Sequence[Block]) -> None:
    for block in suspensions:
        table.block(block)
    for checked in signs:
        for sign in checked.refuted:
            table.forget_sign(sign)
        if suspensions:
            for confirmed in checked.confirmed:
                table.forget_sign(confirmed.sign)


def _write_decision(table: Registry, accounts: Iterable[AccountSweeps], roster: Roster, generation: int) -> None:
    """Leavers' tombstones; and unless removals are held, the sweeps, from which the next run counts removals."""
    for tombstone in roster.leavers:
        table.write_tombstone(tombstone)
    if roster.held:
        return
    for account in accounts:
        if account.sweep is not None:
            table.store_sweep(account.sweep, generation)


def problems(result: RunResult) -> list[str]:
    """Say in sentences what an operator must look at; a run with any must end non-zero."""
    sentences = [checked.error for checked in result.signs if checked.error is not None]
    for account in result.accounts:
        if account.sweep is None and account.stored is None:
            sentences.append(
                f"account {account.account_id} was never swept completely, so none of its users is a peer: "
                f"{account.error}"
            )
        elif account.sweep is None:
            sentences.append(
                f"the sweep of account {account.account_id} is incomplete, the last complete one decided: "
                f"{account.error}"
            )
    if result.roster.held:
        names = ", ".join(sorted(registration.label for registration in result.roster.held))
        sentences.append(
            f"{len(result.roster.held)} removals are held, no deletion, block or expiry explains them: {names}. Look "
            "for a mistake in IAM's groups, vpn_access or vpn_identity_accounts. "
            f"If they are right, run again with vpn_release_held={result.roster.release_token}"
        )
    return sentences


def reversals(roster: Roster) -> list[str]:
    """Say of each tombstone that a complete sweep outweighs whom it was for."""
    return [
        f"{tombstone.user_name} ({tombstone.user_id}) is in IAM again: a complete sweep outweighs tombstone "
        f"{tombstone.event_id}"
        for tombstone in roster.reversed
    ]
