# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The one place where a plan is done: a loop over its steps that carries the state from each to the next."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Sequence

from .commands import GatewayError
from .gateway import Gateway
from .plan import Plan
from .read import Snapshot
from .report import Report
from .state import State, note_gone
from .steps import PartlyDoneError, RecordState, RemovePeers, Step, WriteFile


@dataclass(frozen=True)
class Execution:
    """How far a plan was done."""

    report: Report
    afterwards: Snapshot
    failed: bool = False  # a step was not done; a problem alone may be nothing but news

    def stopped_by(self, error: Exception) -> Execution:
        """Return the same, ended by an error."""
        return replace(self, report=self.report.with_problem(error), failed=True)

    def joined_by(self, other: Execution) -> Execution:
        """Return the same together with what was done to another interface, whose own removals aren't this one's."""
        report = self.report.followed_by(replace(other.report, removals=self.report.removals))
        return replace(self, report=report, failed=self.failed or other.failed)

    def followed_by(self, later: Execution) -> Execution:
        """Return both as one, done one after the other."""
        return replace(later, report=self.report.followed_by(later.report))


def execute(plan: Plan, gateway: Gateway) -> Execution:
    """Do a plan step by step; in check mode, say only what it would do.

    After a step has failed, only urgent ones are done. A file that the saved state doesn't know would have the next
    start of the interface leave everybody out; so where the state can't be saved, who is off is noted instead.
    """
    if gateway.check_mode:
        report = _report(plan, [step.reports for step in plan.steps], plan.state)
        return Execution(report, replace(plan.afterwards, state=plan.state))
    state = plan.before
    unsaved: State | None = None
    is_noted = False
    off: set[str] = set()
    reports: list[Report] = []
    failures: list[tuple[Step, Exception]] = []
    for step in plan.steps:
        if (failures and not step.urgent) or (is_noted and isinstance(step.action, WriteFile)):
            continue
        try:
            state = perform(step, gateway, state)
            reports.append(step.reports)
            off.update(step.action.keys if isinstance(step.action, RemovePeers) else ())
        except PartlyDoneError as error:
            state = error.state
            reports.append(error.report)
            failures.append((step, error))
        except (GatewayError, OSError) as error:
            failures.append((step, error))
            if isinstance(step.action, RecordState):
                unsaved, is_noted = step.action.state, note_gone(gateway.site, step.action.state)
    # where no state can be saved, nobody but this report remembers the removals for their receipts
    report = _report(plan, reports, unsaved.finished(off, gateway.now()) if unsaved else state)
    problems = _problems(failures, report.removed) + report.problems
    report = replace(report, problems=problems, complete=report.complete and not failures)
    return Execution(report, replace(plan.afterwards, state=state), failed=bool(failures))


def perform(step: Step, gateway: Gateway, state: State) -> State:
    """Do one step. :returns: what is remembered when it has ended."""
    return step.action.run(gateway, state)


def _report(plan: Plan, reports: Sequence[Report], state: State) -> Report:
    report = plan.report
    for done in reports:
        report = report.followed_by(done)
    return replace(report, removals=list(state.removals))


def _problems(failures: Sequence[tuple[Step, Exception]], removed: Sequence[str]) -> list[str]:
    """Say what failed: the first failure, and each of a removal."""
    problems = [str(error) for step, error in failures if isinstance(step.action, RemovePeers)]
    if failures and not isinstance(failures[0][0].action, RemovePeers):
        step, error = failures[0]
        names = ", ".join(removed) or "none"
        only = f"only removals from the live device were done ({names}): "
        problems.insert(0, f"{only if step.urgent else ''}{error}")
    return problems
