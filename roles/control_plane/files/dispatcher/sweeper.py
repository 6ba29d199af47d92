# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The sweeper: a Lambda that decides each minute as a build would, and starts one only where it would change anything.

It leaves what it decides to the builds, and writes nothing to the registry but when it tried which.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ansible_collections.tracklib.vpn.plugins.module_utils import run_options
from ansible_collections.tracklib.vpn.plugins.module_utils.aws import calling
from ansible_collections.tracklib.vpn.plugins.module_utils.iam.clients import IamClients
from ansible_collections.tracklib.vpn.plugins.module_utils.model import Decision, SweeperState
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.table import Registry
from ansible_collections.tracklib.vpn.plugins.module_utils.run import RunResult, run
from ansible_collections.tracklib.vpn.plugins.module_utils.whitelist import AccountSweeps
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from .builds import last_builds, start_build
from .due import Builds, Due, Look, due, may_try, tries_for
from .settings import NAMESPACE, DispatcherSettings

_BLIND = 300  # seconds from one build to the next while the sweeper can't look


class Sweeper:
    """Looks whenever it is called."""

    def __init__(
        self,
        settings: DispatcherSettings,
        registry: Registry,
        iam_of: IamClients,
        codebuild: Any,
        ec2: Any,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._registry = registry
        self._iam_of = iam_of
        self._codebuild = codebuild
        self._ec2 = ec2
        self.clock = clock
        self._logger = Logger()
        self._metrics = Metrics(namespace=NAMESPACE)
        self._blind_at = 0.0  # when it started a build without having looked

    def __call__(self, _event: object, context: LambdaContext) -> None:
        """Look, and start a build if one is due. What keeps it from looking, a build may get past."""
        self._logger.append_keys(request_id=context.aws_request_id)
        try:
            self._sweep()
        except Exception:
            self._logger.exception("builds look instead, every 5 minutes")
            self._metrics.add_metric("Failed", MetricUnit.Count, 1)
            if self.clock() >= self._blind_at + _BLIND:
                self._blind_at = self.clock()
                start_build(self._codebuild, self._settings.reconcile_project, self._logger, self._metrics)
        finally:
            self._metrics.flush_metrics()

    def _sweep(self) -> None:
        state = self._registry.sweeper_state()
        builds = last_builds(self._codebuild, self._settings.reconcile_project)
        decision, decided_at = self._registry.decision() or (Decision(), 0)
        found: Due | None
        if not decision.options:
            found = Due("first", "no run has left by what it decides")
        else:
            look = Look(
                result=self._decide(decision.options),
                decided_at=decided_at,
                builds=builds,
                code=self._settings.code,
                started_at=self._last_start(),
                drift=self._settings.drift,
            )
            state = state._replace(swept=_swept(look.result.accounts, state.swept))
            for problem in look.result.problems:
                self._logger.warning("problem", problem=problem)
            found = due(look, self.clock())
        if found is not None and not builds.is_running and may_try(state, found.goal, self.clock()):
            state = self._try(state, found)
        self._measure(state, builds)
        self._registry.keep_sweeper_state(state)

    def _decide(self, options: str) -> RunResult:
        """Decide as the last run did, by what is so now."""
        return run(
            self._registry,
            lambda account: self._iam_of(account.account_id),
            run_options.read(options),
            check_mode=True,
            clock=self.clock,
        )

    def _last_start(self) -> float:
        """When the gateway that started last did: it may have missed what others were told."""
        filters = [
            {"Name": "tag:Role", "Values": [self._settings.gateway_role]},
            {"Name": "instance-state-name", "Values": ["running"]},
        ]
        with calling("ec2:DescribeInstances", f"instances with the tag Role={self._settings.gateway_role}"):
            pages = list(self._ec2.get_paginator("describe_instances").paginate(Filters=filters))
        reservations = (reservation for page in pages for reservation in page["Reservations"])
        instances = (instance for reservation in reservations for instance in reservation["Instances"])
        return max((instance["LaunchTime"].timestamp() for instance in instances), default=0.0)

    def _try(self, state: SweeperState, found: Due) -> SweeperState:
        now = self.clock()
        tries = tries_for(state, found.goal, now) + 1
        self._logger.info("due", goal=found.goal, why=found.why, tries=tries)
        started = start_build(self._codebuild, self._settings.reconcile_project, self._logger, self._metrics)
        return state._replace(goal=found.goal, tries=tries, tried_at=now, is_refused=not started)

    def _measure(self, state: SweeperState, builds: Builds) -> None:
        """Publish what alarms watch, at every look: a missing value is an alarm, too."""
        for account_id in sorted(self._settings.identity_accounts):
            age = max(0, self.clock() - state.swept.get(account_id, 0))
            self._metrics.add_metric("SweepAge", MetricUnit.Seconds, age)
        self._metrics.add_metric("ReconcileFails", MetricUnit.Count, int(builds.has_failed))
        self._metrics.add_metric("StartsRefused", MetricUnit.Count, int(state.is_refused and not builds.is_running))


def _swept(accounts: Iterable[AccountSweeps], before: Mapping[str, float]) -> dict[str, float]:
    """Say when the last complete sweep of each account began: this one, an earlier look's, or a build's."""
    last = {each.account_id: each.in_force.begun_at for each in accounts if each.in_force is not None}
    return {account_id: max(last.get(account_id, 0), before.get(account_id, 0)) for account_id in {*last, *before}}
