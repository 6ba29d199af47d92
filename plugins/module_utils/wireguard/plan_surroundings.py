# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The plan that repairs what is around the interface, once the device is as wanted. Pure."""

from __future__ import annotations

from .config import Interface
from .foreign_rules import foreign_drops
from .plan import Plan, saved_state
from .read import Snapshot
from .report import Report
from .steps import ChangeInterface, ReadSurroundingsBack, Step
from .surroundings import Surroundings, foreign_decisions, foreign_routes, surrounding_changes


def plan_surroundings(snapshot: Snapshot, found: Surroundings, wanted: Interface) -> Plan:
    """Plan what packets of the tunnel need of the host, and name what isn't ours (R8, the device is the truth)."""
    state, name = saved_state(snapshot), snapshot.site.name
    changes = surrounding_changes(name, found, wanted)
    steps = [Step(ChangeInterface(change), Report(repaired=[change.what])) for change in changes]
    if steps:
        steps.append(Step(ReadSurroundingsBack(wanted)))
    serves_names = "dport 53 accept" in snapshot.firewall_text
    notices = foreign_routes(name, found, wanted) or foreign_decisions(name, found)
    notices += foreign_drops(found.chains, name, wanted, serves_names=serves_names)
    report = Report(generation=state.generation, notices=notices)
    return Plan(tuple(steps), state, state, snapshot, report)
