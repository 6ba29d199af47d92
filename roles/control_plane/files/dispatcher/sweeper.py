# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The sweeper: a Lambda that decides each minute as a build would, and starts one only where it would change anything.

It leaves what it decides to the builds, but for leavers whom IAM confirms: they get their tombstones and are off by the
gateways' listeners at once. Else it writes nothing to the registry but when it tried which build.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ansible_collections.tracklib.vpn.plugins.module_utils import run_options
from ansible_collections.tracklib.vpn.plugins.module_utils.aws import AWSCallError, calling
from ansible_collections.tracklib.vpn.plugins.module_utils.iam.clients import IamClients
from ansible_collections.tracklib.vpn.plugins.module_utils.model import Decision, SweeperState, Tombstone
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.table import Registry
from ansible_collections.tracklib.vpn.plugins.module_utils.run import AccountToSweep, RunResult, run
from ansible_collections.tracklib.vpn.plugins.module_utils.whitelist import AccountSweeps
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from .builds import last_builds, start_build
from .due import Builds, Due, Look, after_try, due, may_try, without_old_tries
from .listeners import Leaver, Listeners, tell
from .settings import NAMESPACE, DispatcherSettings

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient

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
        listeners: Listeners,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._registry = registry
        self._iam_of = iam_of
        self._codebuild = codebuild
        self._ec2 = ec2
        self._listeners = listeners
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
        now = self.clock()
        builds = last_builds(self._codebuild, self._settings.reconcile_project)
        state = without_old_tries(self._registry.sweeper_state(), builds, now)
        gateways = self._running(state.gateways, now)
        state = state._replace(gateways=gateways)
        decision, decided_at = self._registry.decision() or (Decision(), 0)
        if decision.options:
            look = Look(
                result=self._decide(decision.options),
                decided_at=decided_at,
                builds=builds,
                code=self._settings.code,
                started_at=max(gateways.values(), default=0),
                drift=self._settings.drift,
            )
            state = state._replace(swept=_swept(look.result.accounts, state.swept))
            for problem in look.result.problems:
                self._logger.warning("problem", problem=problem)
            self._tell_of(look.result.roster.leavers)
            found = due(look, self.clock())
        else:
            state = state._replace(swept={**self._stored_sweeps(), **state.swept})
            found = [Due("first", "no run has left by what it decides")]
        state = self._act(state, builds, found)
        self._measure(state, builds)

    def _act(self, state: SweeperState, builds: Builds, found: Sequence[Due]) -> SweeperState:
        """Start a build if one is due and it is time for it; keep what the next look needs first, come what may."""
        now = self.clock()
        if not found or builds.is_running:
            state = state._replace(is_refused=False)
        if builds.is_running or not any(may_try(state, each.goal, now) for each in found):
            self._registry.keep_sweeper_state(state)
            return state
        for each in found:
            self._logger.info("due", goal=each.goal, why=each.why)
        tried = after_try(state, (each.goal for each in found), now)
        self._registry.keep_sweeper_state(tried)
        if start_build(self._codebuild, self._settings.reconcile_project, self._logger, self._metrics):
            return tried
        state = state._replace(is_refused=True)  # which is no try: it cost nothing
        self._registry.keep_sweeper_state(state)
        return state

    def _tell_of(self, leavers: Sequence[Tombstone]) -> None:
        """Have the gateways take off whom no event told of, once the registry has it on record."""
        recorded = []
        for each in leavers if self._settings.listeners else ():
            try:
                if self._registry.write_tombstone(each):
                    recorded.append(Leaver(each.account_id, str(each.user_id), each.user_name, each.event_id))
            except AWSCallError as error:
                self._logger.error("the build does it instead", why=str(error))
        tell(self._listeners, recorded, self._logger, self._metrics)

    def _decide(self, options: str) -> RunResult:
        """Decide as the last run did, by what is so now."""
        return run(self._registry, self._iam, run_options.read(options), check_mode=True, clock=self.clock)

    def _iam(self, account: AccountToSweep) -> IAMClient:
        """The client that reads an account's users, as it was deployed.

        :raises AWSCallError: it wasn't, or its role can't be assumed.
        """
        account_id = account.account_id
        is_own = account_id == self._settings.gateway_account
        if account_id not in self._settings.identity_accounts or not (is_own or self._settings.roles[account_id]):
            raise AWSCallError(
                f"the sweeper has no role in account {account_id}: have the account with its role_arn in "
                "vpn_identity_accounts, and deploy the part events again"
            )
        return self._iam_of(account_id)

    def _stored_sweeps(self) -> dict[str, float]:
        """When the last complete sweep began that runs stored, by account."""
        stored = {account_id: self._registry.sweep(account_id) for account_id in self._settings.identity_accounts}
        return {account_id: sweep.begun_at for account_id, sweep in stored.items() if sweep is not None}

    def _running(self, before: Mapping[str, float] | None, now: float) -> dict[str, float]:
        """List the gateways that run, each with the time since when it does, or has the tag that makes it one.

        One that came since may have missed what others were told. What the first look finds has had its tag before.
        """
        filters = [
            {"Name": "tag:Role", "Values": [self._settings.gateway_role]},
            {"Name": "instance-state-name", "Values": ["running"]},
        ]
        with calling("ec2:DescribeInstances", f"instances with the tag Role={self._settings.gateway_role}"):
            pages = list(self._ec2.get_paginator("describe_instances").paginate(Filters=filters))
        reservations = (reservation for page in pages for reservation in page["Reservations"])
        instances = (instance for reservation in reservations for instance in reservation["Instances"])
        found = {instance["InstanceId"]: instance["LaunchTime"].timestamp() for instance in instances}
        return {each: at if before is None else max(at, before.get(each, now)) for each, at in found.items()}

    def _measure(self, state: SweeperState, builds: Builds) -> None:
        """Publish what alarms watch, at every look: a missing value is an alarm, too."""
        for account_id in sorted(self._settings.identity_accounts):
            age = max(0, self.clock() - state.swept.get(account_id, 0))
            self._metrics.add_metric("SweepAge", MetricUnit.Seconds, age)
        self._metrics.add_metric("ReconcileFails", MetricUnit.Count, int(builds.has_failed))
        self._metrics.add_metric("StartsRefused", MetricUnit.Count, int(state.is_refused))


def _swept(accounts: Iterable[AccountSweeps], before: Mapping[str, float]) -> dict[str, float]:
    """Say when the last complete sweep of each account began: this one, an earlier look's, or a build's."""
    last = {each.account_id: each.in_force.begun_at for each in accounts if each.in_force is not None}
    return {account_id: max(last.get(account_id, 0), before.get(account_id, 0)) for account_id in {*last, *before}}
