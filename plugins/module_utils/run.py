# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""One run on the controller: take a generation, read every fact, decide, write the registry. Clients are given."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Callable, Iterable, Mapping, NamedTuple, Sequence

from .access import GrantingGroups
from .addresses import holds
from .aws import AWSCallError
from .guard import is_token
from .iam.absences import ask
from .iam.sweep import sweep
from .model import Block, Decision, Device, Registration, RegistryIdentity
from .registry.dynamodb import RegistryError
from .registry.facts import RegistryFacts
from .registry.table import Registry
from .roster import Policy, Roster, decide
from .whitelist import Absences, AccountSweeps, Whitelist

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient

_SHOWN = 5  # devices in a message
_MOST_FAILURES = 3


class AccountToSweep(NamedTuple):
    """An account whose users may be peers, and the role to sweep it with; without one, the given credentials do."""

    account_id: str
    role_arn: str | None = None


class RunOptions(NamedTuple):
    """What operators configure of a run."""

    accounts: Sequence[AccountToSweep]
    policy: Policy
    refused: str | None = None  # why pools or networks can't be used; the policy has no pools then
    assumed: Sequence[Block] = ()  # as if they were in the registry, for the preview of a revocation
    given: str = ""  # the same as text, for the next who decides
    made_by: str = ""  # the build that decides


class RunResult(NamedTuple):
    """What a run found and decided."""

    registry: RegistryIdentity
    generation: int
    made_at: float
    facts: RegistryFacts
    renamed: Sequence[Registration]  # whose users have another name in IAM than in the registry
    accounts: Sequence[AccountSweeps]
    before: Decision  # what the last run decided
    roster: Roster
    refused: str | None  # why gateways must do nothing but revocations
    problems: list[str]
    release_token: str | None = None  # what releases the held removals; None where a mistake may explain them
    registered_by: Mapping[Device, str] = {}  # ARNs of who registered or renewed devices last
    awaited: frozenset[Device] = frozenset()  # handouts that nobody has used

    @property
    def signs(self) -> int:
        """How many early signs of leaving wait to be checked."""
        return len(self.facts.signs)


IamOf = Callable[[AccountToSweep], "IAMClient"]  # raises AWSCallError where the credentials can't be had


def run(
    table: Registry,
    iam_of: IamOf,
    options: RunOptions,
    *,
    check_mode: bool,
    clock: Callable[[], float] = time.time,
) -> RunResult:
    """Decide who is a peer. What the next run needs is written by `keep_books`, once the roster is.

    The registry's identity comes first (R16, the wrong world is refused), then the generation, so that a run with a
    higher one has seen later facts (R6, no resurrection). Tombstones are written before the roster leaves the
    controller (R4, confirmed revocation).

    :param check_mode: whether to leave the registry as it is.
    :raises AWSCallError: the registry doesn't answer.
    :raises RegistryError: the table is no registry.
    """
    registry = table.identity()
    damage: list[str] = []
    generation = table.generations.last(damage.append) if check_mode else table.generations.take(damage.append)
    found = table.facts()
    facts = _deciding(found)
    granting = options.policy.granting
    before = facts.decision or _assumed(facts, granting)
    accounts = [_swept(iam_of, account, facts, before, granting, clock) for account in options.accounts]
    registrations = _relabelled(facts.registered.registrations, accounts)
    renamed = [new for new, old in zip(registrations, facts.registered.registrations) if new != old]
    last = before._replace(peers=tuple(_relabelled(before.peers, accounts)))
    now = clock()
    refused = facts.decision_problem or options.refused or _lost_by_pools(facts, before, options.policy, now)
    policy = options.policy._replace(gateway_keys=options.policy.gateway_keys | facts.gateway_keys)
    roster = decide(
        accounts=accounts,
        registered=facts.registered._replace(registrations=registrations),
        tombstones=facts.tombstones,
        blocks=[*facts.blocks, *options.assumed],
        policy=policy._replace(pools=None) if refused else policy,
        last=last,
        now=now,
    )
    roster = roster._replace(decision=roster.decision._replace(options=options.given, made_by=options.made_by))
    mistakes = _mistakes(accounts, roster, granting)
    release_token = None if mistakes else roster.release_token
    problems = [*_absences(accounts), *mistakes, *_held(roster, release_token), *damage, *facts.problems]
    problems += [*_released_nobody(policy.release, roster), *_forgotten(facts, before)]
    if refused:
        problems.append(refused)
    if not check_mode:
        problems += _write_all(
            Write(f"the tombstone of {leaver.user_name}", partial(table.write_tombstone, leaver))
            for leaver in roster.leavers
        )
    registered_by = {each.identity: each.by for each in found.registered.registrations if each.by}
    awaited = {each.identity for each in found.registered.registrations if each.confirmed_end is not None}
    return RunResult(
        registry,
        generation,
        now,
        facts,
        renamed,
        accounts,
        last,
        roster,
        refused,
        problems,
        release_token,
        registered_by,
        frozenset(awaited),
    )


def keep_books(table: Registry, result: RunResult) -> list[str]:
    """Write what the next run needs, once the roster is where it belongs (R17: bookkeeping costs no revocation).

    :returns: what couldn't be written, in sentences for an operator.
    """
    swept = [account.sweep for account in result.accounts if account.sweep is not None]
    writes = [
        Write(f"the sweep of account {sweep.account_id}", partial(table.store_sweep, sweep, result.generation))
        for sweep in swept
    ]
    if result.refused is None and _is_new(result.roster.decision, result.facts.decision):
        decision = partial(table.store_decision, result.roster.decision, result.generation)
        writes.append(Write("the decision, from which the next run counts removals", decision))
    writes += [
        Write(f"the new name of {registration.label}", partial(table.devices.relabel, registration))
        for registration in result.renamed
    ]
    writes += [
        Write(f"whom tombstone {each.event_id} doesn't mean", partial(table.spare, each))
        for each in result.roster.spared
    ]
    writes += [Write(f"when {pk} {sk} was received", partial(table.receive, pk, sk)) for pk, sk in result.facts.ahead]
    if result.facts.surplus:
        writes.append(Write("that old parts are gone", partial(table.forget_surplus, result.facts.surplus)))
    return _write_all(writes)


def _is_new(decision: Decision, last: Decision | None) -> bool:
    """Tell whether a run decided otherwise than the last one, whoever both were."""
    return last is None or decision != last._replace(made_by=decision.made_by)


class Write(NamedTuple):
    """Something to write to the registry."""

    what: str  # for people
    write: Callable[[], object]


def _write_all(writes: Iterable[Write]) -> list[str]:
    """Write one after the other, whatever becomes of each; return the failures as sentences."""
    problems: list[str] = []
    for what, write in writes:
        if len(problems) == _MOST_FAILURES:  # each may have taken all its retries
            problems.append(f"{what}, and perhaps more, was not tried")
            break
        try:
            write()
        except (AWSCallError, RegistryError) as error:
            problems.append(f"{what} could not be written to the registry, run it again: {error}")
    return problems


def _deciding(facts: RegistryFacts) -> RegistryFacts:
    """Leave out who registered what, who set its end, and what confirms it: no decision has that."""
    registered = facts.registered.registrations
    registrations = [each._replace(by=None, fixed_end=False, confirmed_end=None) for each in registered]
    return facts._replace(registered=facts.registered._replace(registrations=registrations))


def _assumed(facts: RegistryFacts, granting: GrantingGroups) -> Decision:
    """Decide by the stored sweeps where no decision is known: an earlier version kept none, or somebody deleted it."""
    accounts = [AccountSweeps(account_id, sweep, stored=None) for account_id, sweep in facts.sweeps.items()]
    whitelist = Whitelist(accounts, facts.tombstones, facts.blocks, granting)
    return Decision(tuple(each for each in facts.registered.registrations if whitelist.refusal(each) is None))


def _forgotten(facts: RegistryFacts, assumed: Decision) -> list[str]:
    """Say that removals weren't counted from what the last run decided, though there was one."""
    is_first = not (facts.sweeps or facts.acknowledge or facts.missed)  # no gateway has taken anybody off
    if facts.decision is not None or facts.decision_problem is not None or is_first:
        return []
    counted = (
        f"so removals were counted from the {len(assumed.peers)} peers that the last complete sweeps give: a mistake "
        "that these have wasn't noticed"
    )
    if not facts.sweeps:
        counted = "nor any sweep, so no removal was counted, and no mistake noticed"
    return [f"the registry has no decision of an earlier run, {counted}. Look at who was removed"]


def _swept(
    iam_of: IamOf,
    account: AccountToSweep,
    facts: RegistryFacts,
    before: Decision,
    granting: GrantingGroups,
    clock: Callable[[], float],
) -> AccountSweeps:
    """Sweep an account, and ask IAM about the users who are absent.

    Whatever goes wrong costs this account its sweep, and nothing else (R3, partial knowledge changes nothing).
    """
    account_id, devices = account.account_id, facts.registered.registrations
    labels = {each.user_id: each.user_name for each in devices if each.account_id == account_id}
    unswept = AccountSweeps(account_id, None, facts.sweeps.get(account_id), labels=labels)
    # by the stored sweep: one that lacks a user can't tell that a tombstone of that name isn't the user's
    whitelist = Whitelist([unswept], facts.tombstones, facts.blocks, granting)
    listed = {} if unswept.stored is None else unswept.stored.users
    expected = _names(unswept, whitelist, before.peers)
    registered = _names(unswept, whitelist, (each for each in devices if each.user_id in listed))
    try:
        iam = iam_of(account)
        swept = sweep(iam, account_id, clock)
        return unswept._replace(sweep=swept, absences=ask(iam, swept, expected, registered))
    except Exception as error:  # noqa: BLE001  # whatever it is, other accounts go on
        what = "" if isinstance(error, AWSCallError) else f"{type(error).__name__}: "
        return unswept._replace(error=f"{what}{error}", absences=_unasked(unswept, expected))


def _unasked(account: AccountSweeps, expected: Iterable[str]) -> Absences:
    """Hold the peers whom the stored sweep doesn't list: nobody asked IAM about them in this run."""
    listed = {} if account.stored is None else account.stored.users
    return Absences(held=frozenset(user_id for user_id in expected if user_id not in listed))


def _names(account: AccountSweeps, whitelist: Whitelist, devices: Iterable[Registration]) -> dict[str, str]:
    """Return an account's users who have these devices, if nothing ended that, with the name that each had last."""
    listed = {} if account.stored is None else account.stored.users
    return {
        each.user_id: listed[each.user_id].user_name if each.user_id in listed else each.user_name
        for each in devices
        if each.account_id == account.account_id and whitelist.revocation_of_user(each.owner) is None
    }


def _relabelled(registrations: Iterable[Registration], accounts: Iterable[AccountSweeps]) -> list[Registration]:
    """Return registrations with the names that IAM has for their users now."""
    names = {
        (account.account_id, user.user_id): user.user_name
        for account in accounts
        if account.in_force is not None
        for user in account.in_force.users.values()
    }
    return [each._replace(user_name=names.get(each.owner, each.user_name)) for each in registrations]


def _lost_by_pools(facts: RegistryFacts, before: Decision, policy: Policy, now: float) -> str | None:
    """Say whether the pools leave out devices that are peers and not leaving anyway; None if they don't."""
    if policy.pools is None:
        return None
    addresses = {each.identity: each.addresses for each in facts.registered.registrations if not each.has_expired(now)}
    whitelist = Whitelist([], facts.tombstones, facts.blocks, policy.granting)
    lost = sorted(
        f"{peer.label} ({', '.join(peer.addresses)})"
        for peer in before.peers
        if addresses.get(peer.identity) == peer.addresses
        and not whitelist.is_revoked(peer)
        and not all(holds(policy.pools, address) for address in peer.addresses)
    )
    if not lost:
        return None
    more = ", …" if len(lost) > _SHOWN else ""
    return (
        f"the address pools {', '.join(map(str, policy.pools))} don't hold the addresses of {len(lost)} devices that "
        f"are peers: {', '.join(lost[:_SHOWN])}{more}. Confirmed revocations were applied, and nothing else. Have the "
        "old pool in vpn_address_pools beside the new one until these devices are registered again or removed"
    )


def _absences(accounts: Sequence[AccountSweeps]) -> list[str]:
    """Say in sentences what IAM's answers about absent users mean for an operator."""
    return [problem for account in accounts for problem in account.absences.problems]


def _mistakes(accounts: Sequence[AccountSweeps], roster: Roster, granting: GrantingGroups) -> list[str]:
    """Say in sentences what may explain removals, and is to be mended before anybody releases them."""
    sentences = []
    for account in accounts:
        if account.in_force is None:
            sentences.append(
                f"account {account.account_id} was never swept completely, so none of its users is a peer: "
                f"{account.error}"
            )
        elif account.sweep is None:
            sentences.append(
                f"the sweep of account {account.account_id} is incomplete, the last complete one decided: "
                f"{account.error}"
            )
    configured = {account.account_id for account in accounts}
    held = {each.account_id for each in roster.held}
    elsewhere = sorted(held - configured)
    if elsewhere:  # R16, the wrong world is refused
        sentences.append(
            f"users of account {', '.join(elsewhere)} are peers, and it isn't one of the accounts whose users may "
            f"connect ({', '.join(account.account_id for account in accounts)}): add it to vpn_identity_accounts. If "
            "they are to go, name them in vpn_release_held, or revoke them"
        )
    ungranted = sorted(account_id for account_id in held & configured if not granting.get(account_id))
    if ungranted:
        sentences.append(
            f"vpn_access has no group of account {', '.join(ungranted)}, whose users are peers: expected an entry with "
            "the groups that may connect. If all of them are to go, name them in vpn_release_held, or revoke them"
        )
    return sentences


def _held(roster: Roster, release_token: str | None) -> list[str]:
    """Say who is held, and how to go on; nobody is to release removals that a mistake may explain."""
    if not roster.held:
        return []
    held = (
        f"{len(roster.held)} removals are held, no deletion, block or expiry explains them: "
        f"{', '.join(roster.held_names)}."
    )
    if release_token is None:
        return [f"{held} Mend first what is named above, which may explain them"]
    way = (
        "Look for a mistake in IAM's groups, vpn_access, vpn_identity_accounts or the registry. If they are right, "
        f'release them by name, or all with -e \'{{"vpn_release_held": ["{release_token}"]}}\''
    )
    return [f"{held} {way}"]


def _released_nobody(release: Iterable[str], roster: Roster) -> list[str]:
    """Say which names of a release are nobody's: an order that hits nothing must not look like success.

    Who is off already is somebody, so that a run can be repeated; so is a token once nothing is held.
    """
    off = [*roster.held, *(each.registration for each in roster.excluded)]
    known = {name.casefold() for each in off for name in (each.label, each.user_name, each.user_id)}
    given = [text.strip() for text in sorted(release) if text.strip()]
    nobody = [text for text in given if text.casefold() not in known and not (is_token(text) and not roster.held)]
    if not nobody:
        return []
    held = ", ".join(roster.held_names) or "nobody"
    return [f"vpn_release_held names nobody whose removal is held: {', '.join(nobody)}. Held: {held}"]


def reversals(roster: Roster) -> list[str]:
    """Say of each tombstone that a complete sweep outweighs whom it was for."""
    return [
        f"{tombstone.user_name} ({tombstone.user_id}) is in IAM again: a complete sweep outweighs tombstone "
        f"{tombstone.event_id}"
        for tombstone in roster.reversed
    ]
