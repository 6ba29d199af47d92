# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Faults that the collection had once, or nearly had: each puts one back, for the state machine to find."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, cast
from unittest.mock import patch

from ansible_collections.tracklib.vpn.plugins.module_utils import guard, revocation, roster, run, whitelist
from ansible_collections.tracklib.vpn.plugins.module_utils.aws import AWSCallError
from ansible_collections.tracklib.vpn.plugins.module_utils.iam.sweep import sweep
from ansible_collections.tracklib.vpn.plugins.module_utils.model import Sweep
from ansible_collections.tracklib.vpn.plugins.module_utils.registry import facts
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.dynamodb import RegistryError
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard import (
    accept,
    bars,
    plan_apply,
    plan_revoke,
    refusals,
)

Fault = Callable[[], AbstractContextManager[Any]]


def absence_is_enough() -> AbstractContextManager[Any]:
    """An empty answer of IAM empties the gateways."""

    def ask(_iam: Any, swept: Sweep, expected: Mapping[str, str], *_others: Any) -> whitelist.Absences:
        return whitelist.Absences(confirmed=frozenset(expected.keys() - swept.users.keys()))

    return patch.object(run, "ask", ask)


class _Hopeful:
    """IAM whose pages are all taken for the last one, unless they say that something follows."""

    def __init__(self, iam: Any) -> None:
        self._iam = iam

    def __getattr__(self, name: str) -> Any:
        return getattr(self._iam, name)

    def get_account_authorization_details(self, **request: Any) -> Any:
        return {"IsTruncated": False, **self._iam.get_account_authorization_details(**request)}


def untold_page_is_the_last() -> AbstractContextManager[Any]:
    """A page that doesn't say whether something follows is taken for the last one."""
    return patch.object(run, "sweep", lambda iam, *others: sweep(cast(Any, _Hopeful(iam)), *others))


def unexpected_exception_ends_the_run() -> AbstractContextManager[Any]:
    """An exception that nobody expected in one account's sweep ends the run for all."""
    swept = run._swept

    def only_expected(iam_of: Any, *others: Any) -> Any:
        account = swept(iam_of, *others)
        if account.error is not None and account.error.startswith("OddError"):
            raise RuntimeError(account.error)
        return account

    return patch.object(run, "_swept", only_expected)


def guard_counts_few_as_nothing() -> AbstractContextManager[Any]:
    """3 of 3 by a mistyped group go through, since they aren't more than 5."""
    return patch.object(guard.Limits, "exceeded_by", lambda _limits, count, total: count > 5 and 4 * count > total)


def guard_forgets_the_run_before() -> AbstractContextManager[Any]:
    """A few removals in each of many runs go through."""
    held = guard.guard
    return patch.object(roster, "guard", lambda losses, **given: held(losses, **{**given, "departures": ()}))


@contextmanager
def revocation_believes_a_name() -> Iterator[None]:
    """A revocation of a name blocks whom IAM calls so now, whoever has the peer of that label."""

    def identify(find: Callable[[], Any], _table: Any, revoked: revocation.Revoked) -> revocation.Whom:
        user = find()
        if user is None:
            raise RegistryError(f"there is no {revoked.user_name}")
        return revocation.Whom({user.user_id: user.user_name}, deleted=False, error=None)

    with patch.object(revocation, "identify", identify):
        yield


def labels_stay_as_registered() -> AbstractContextManager[Any]:
    """A renamed user's peers keep the name that they were registered under."""
    return patch.object(run, "_relabelled", lambda registrations, _accounts: list(registrations))


def name_decides_before_the_id() -> AbstractContextManager[Any]:
    """A tombstone by name cuts a user who was renamed to a just deleted name."""
    return patch.object(whitelist.AccountSweeps, "was_otherwise_named", lambda *_arguments: False)


def stale_name_gives_the_id() -> AbstractContextManager[Any]:
    """A tombstone cuts the id that an old sweep gave its name, though that user has another name by now."""
    return patch.object(whitelist, "_was_renamed", lambda *_arguments: False)


def bar_ends_with_any_roster() -> AbstractContextManager[Any]:
    """An older roster brings back whom an operator took off."""
    return patch.object(bars.Bar, "is_ended", lambda *_arguments: True)


def bar_is_on_nobody() -> AbstractContextManager[Any]:
    """A revocation on the gateway takes the peer off, and leaves no bar."""
    return patch.object(plan_revoke, "joined", lambda present, _new: tuple(present))


@contextmanager
def any_registry_will_do() -> Iterator[None]:
    """A gateway applies a roster of whatever registry."""
    with (
        patch.object(plan_apply, "refuse_other_registry", lambda *_arguments: None),
        patch.object(accept, "refuse_other_registry", lambda *_arguments: None),
    ):
        yield


def empty_roster_empties() -> AbstractContextManager[Any]:
    """A gateway lets a roster take the last of its peers for no reason."""
    return patch.object(accept, "refuse_emptying", lambda *_arguments: None)


def first_stranger_replaces_everybody() -> AbstractContextManager[Any]:
    """A registry that was accepted while it was new takes off whom it doesn't have."""
    return patch.object(refusals, "is_too_much", lambda *_arguments: False)


def nonsense_ends_the_run() -> AbstractContextManager[Any]:
    """An item that can't be read ends the run for all."""
    return patch.object(facts, "UNREADABLE", (AWSCallError,))


FAULTS: tuple[Fault, ...] = (
    absence_is_enough,
    untold_page_is_the_last,
    unexpected_exception_ends_the_run,
    guard_counts_few_as_nothing,
    guard_forgets_the_run_before,
    revocation_believes_a_name,
    labels_stay_as_registered,
    name_decides_before_the_id,
    stale_name_gives_the_id,
    bar_ends_with_any_roster,
    bar_is_on_nobody,
    any_registry_will_do,
    empty_roster_empties,
    first_stranger_replaces_everybody,
    nonsense_ends_the_run,
)
