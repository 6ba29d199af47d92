# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Runs of the controller on a registry in an emulated table, with an IAM of the test's."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple, cast

from ansible_collections.tracklib.vpn.plugins.module_utils.addresses import parse_pools
from ansible_collections.tracklib.vpn.plugins.module_utils.model import Registration
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.table import Registry
from ansible_collections.tracklib.vpn.plugins.module_utils.roster import Roster
from ansible_collections.tracklib.vpn.plugins.module_utils.run import (
    AccountToSweep,
    RunOptions,
    RunResult,
    keep_books,
    run,
)

from .decisions import ACCOUNT, OTHER, POLICY, registration
from .iam_client import Iam
from .tables import NOW, Noted

POOLS = parse_pools(["10.44.0.0/20"])
OPTIONS = RunOptions([AccountToSweep(ACCOUNT)], POLICY._replace(pools=POOLS))
BOTH = RunOptions(
    [AccountToSweep(ACCOUNT), AccountToSweep(OTHER)],
    OPTIONS.policy._replace(granting={ACCOUNT: frozenset({"vpn"}), OTHER: frozenset({"vpn"})}),
)


class Done(NamedTuple):
    """What a run left."""

    result: RunResult
    calls: list[str]  # of the registry
    problems: list[str]  # of the run and of its books

    @property
    def roster(self) -> Roster:
        """What was decided."""
        return self.result.roster


def register(registry: Registry, *numbers: int, **changes: Any) -> list[Registration]:
    """Register the laptops of these users."""
    return [registry.devices.register(registration(number, **changes), POOLS)[1] for number in numbers]


def made(
    registry: Registry,
    iam: Iam | Mapping[str, Iam] | Callable[[AccountToSweep], Any],
    *,
    options: RunOptions = OPTIONS,
    failing: Collection[str] = (),
    check_mode: bool = False,
    identity: bool = True,
    now: float = NOW,
) -> Done:
    """Run, and keep the books.

    :param iam: of every account, by account_id, or what gives each account's.
    :param failing: calls to the registry that fail.
    :param identity: whether `deploy` gave the table an identity.
    """
    if identity:
        registry.make_identity()
    noted = Noted(registry, failing=failing)
    table = cast(Registry, noted)
    result = run(table, _iam_of(iam), options, check_mode=check_mode, clock=lambda: now)
    books = [] if check_mode else keep_books(table, result)
    return Done(result, noted.calls, [*result.problems, *books])


def _iam_of(iam: Iam | Mapping[str, Iam] | Callable[[AccountToSweep], Any]) -> Callable[[AccountToSweep], Any]:
    if isinstance(iam, Iam):
        return lambda _account: iam
    if isinstance(iam, Mapping):
        return lambda account: iam[account.account_id]
    return iam
