# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Former interfaces: ours by state file or configuration, and configured no more. They are taken down.

Nothing is forgotten by that.

Until then a former interface serves its peers under its own rules, and confirmed revocations apply to it, too. Pure,
apart from `other_sites` and `former_sites`.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Container, Sequence

from . import config as wg_config
from .bars import joined
from .check import CheckedRoster
from .device import InterfaceChange
from .files import Site, read_text
from .firewall import table
from .order import ApplyOrder
from .plan import Plan, known_state, named_peers, record, saved_state, with_reasons, with_removals
from .read import Snapshot
from .refusals import refuse_emptying
from .report import Report
from .state import State
from .steps import ChangeInterface, MoveAside, Step

_INTERFACE = re.compile(r"[A-Za-z0-9_=+.-]{1,15}")  # as wg-quick takes them


def other_sites(site: Site) -> list[Site]:
    """List the other interfaces of ours on a host, also one whose state file is lost."""
    names = {path.stem for path in site.state_dir.glob("*.json")}
    configs = (path for path in site.config_dir.glob("*.conf") if path.stem not in names and path.is_file())
    names |= {path.stem for path in configs if wg_config.generation(read_text(path)) is not None}
    names = {name for name in names if _INTERFACE.fullmatch(name)}  # not `wg0 (copy)`
    return [site._replace(name=name) for name in sorted(names - {site.name})]


def former_sites(site: Site, others: Container[str]) -> list[Site]:
    """List the former interfaces of a host.

    :param others: names of the interfaces that are configured beside this one.
    """
    return [each for each in other_sites(site) if each.name not in others]


def heir(snapshot: Snapshot, former: Sequence[State]) -> Snapshot:
    """Return a snapshot whose state also holds what the former ones do against rosters (R6, no resurrection).

    :raises RefusedError: the interface isn't ours.
    """
    if not former:
        return snapshot
    state = known_state(snapshot)
    for each in former:
        state = _joined(state, each)
    return replace(snapshot, state=state)


def _joined(state: State, former: State) -> State:
    if former.generation > state.generation:
        state = replace(state, generation=former.generation, content=None)
    return replace(state, registry=state.registry or former.registry, bars=joined(state.bars, former.bars))


def plan_takedown(order: ApplyOrder, roster: CheckedRoster, former: Snapshot) -> Plan:
    """Plan what takes a former interface down, the rules last, and records whom it takes off for good.

    :raises RefusedError: its peers would all be gone without a reason.
    """
    refuse_emptying(order, roster.config, former)
    name, state = former.site.name, saved_state(former)
    leaving = {
        key: label for key, label in named_peers(former).items() if key not in roster.config.peers and label.user_name
    }
    removed = with_reasons(leaving, order.excluded, roster.config)
    begun = with_removals(state, former, removed)
    units = [f"wg-quick@{name}.service", f"tracklib-vpn-expire@{name}.timer"]
    rules = " ".join(table(name))
    changes = [
        InterfaceChange("units", ["systemctl", "disable", "--now", *units]),
        InterfaceChange("firewall", ["nft", "-f", "-"], f"table {rules}\ndelete table {rules}\n"),
    ]
    if former.link is not None:
        changes.insert(0, InterfaceChange("link", ["ip", "link", "delete", "dev", name]))
    report = Report(
        removed=[why.label.name for why in removed.values()],
        repaired=[f"{name}, an interface that is configured no more, taken down"],
    )
    first, *others = (Step(ChangeInterface(change)) for change in changes)
    steps = [*record(state, begun), replace(first, reports=report), *others]
    return Plan(tuple(steps), state, begun, former)


def plan_inheritance(snapshot: Snapshot, former: State) -> Plan:
    """Plan to remember what a former interface did once it is down, its removals without a receipt among that."""
    before, state = saved_state(snapshot), saved_state(heir(snapshot, [former]))
    known = {removal.id for removal in state.removals}
    done = former.finished(former.pending(), snapshot.now)
    new = [removal for removal in done.removals if removal.id not in known]
    state = replace(state, removals=(*state.removals, *new))
    return Plan(tuple(record(before, state)), before, state, snapshot)


def plan_moving_aside(former: Snapshot) -> Plan:
    """Plan to move the files of a former interface aside, those last which it is known by."""
    state, site = saved_state(former), former.site
    files = [site.firewall] if former.firewall_text else []
    files += [site.state_copy] if former.state_copy or former.state else []
    files += [site.config] if former.config_text else []
    files += [site.state] if former.state or former.state_error else []
    steps = [Step(MoveAside(file, file.with_name(f"{file.name}.replaced-{former.now}"))) for file in files]
    return Plan(tuple(steps), state, state, former)
