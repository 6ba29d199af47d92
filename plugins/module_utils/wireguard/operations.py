# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What can be done to a gateway: for each, which locks are held while it is read, planned and executed.

None of these raises GatewayError or OSError: they are in the report's problems.
"""

from __future__ import annotations

from contextlib import ExitStack, suppress
from dataclasses import replace
from typing import Callable, Sequence

from .check import CheckedRoster, check, has_firewall
from .commands import GatewayError
from .config import Interface
from .execute import Execution, execute
from .files import LockHeldError, write
from .gateway import LOCK_TIMEOUT, Gateway
from .order import ApplyOrder, RefusedError, RevokeOrder
from .plan import Plan, saved_state
from .plan_apply import plan_new_firewall, plan_rest, plan_restart, plan_revocations
from .plan_former import former_sites, heir, other_sites, plan_inheritance, plan_moving_aside, plan_takedown
from .plan_revoke import plan_expire, plan_revoke
from .plan_start import (
    filed_interface,
    plan_firewall,
    plan_interface,
    plan_lost_firewall,
    plan_reloaded_peers,
    plan_started_peers,
    plan_watch,
    why_untrusted,
)
from .plan_surroundings import plan_surroundings
from .read import Snapshot, read, read_again
from .report import NOTHING, Report
from .state import forget_gone
from .surroundings import read_surroundings, read_units

Planner = Callable[[Snapshot], Plan]


def apply(order: ApplyOrder, gateway: Gateway) -> Report:
    """Apply a roster. Confirmed revocations wait for no other run, and for no check of anything else."""
    try:
        applied = _apply(order, gateway)
        if applied.failed or applied.report.stale or applied.afterwards.link:
            return applied.report
        return _apply_again_once_started(order, gateway, applied)
    except (GatewayError, OSError) as error:
        return Report(generation=order.generation).with_problem(error)


def revoke(order: RevokeOrder, gateway: Gateway) -> Report:
    """Take a user's peers off every interface of ours without any roster, and bar them until a later roster."""
    unseen = NOTHING
    gateways = [gateway]
    try:
        gateways += filter(_is_used, map(gateway.of, other_sites(gateway.site)))
    except OSError as error:
        unseen = unseen.with_problem(error)
    found = [snapshot for each in gateways for snapshot in _read_if_possible(each)]
    own, *others = [_revoke(order, each, found) for each in gateways]
    report = own
    for each in (*others, unseen):
        report = report.followed_by(replace(each, removals=own.removals))
    unheard = [each.stale for each in (own, *others, unseen) if each.stale or each.problems]
    # an interface that heard of a later roster excuses no other one's failure
    return replace(report, stale=bool(unheard) and all(unheard), problems=list(dict.fromkeys(report.problems)))


def _revoke(order: RevokeOrder, gateway: Gateway, found: Sequence[Snapshot]) -> Report:
    others = [each for each in found if each.site != gateway.site]
    return _report_of(lambda: _at_once(lambda now: plan_revoke(order, now, others), gateway, order.lock_timeout))


def _is_used(gateway: Gateway) -> bool:
    """Tell an interface of ours from a copy of its configuration, which has neither a state nor an interface."""
    found = [] if gateway.site.state.exists() else _read_if_possible(gateway)
    return not any(each.link is None and each.device_error is None for each in found)


def _read_if_possible(gateway: Gateway) -> list[Snapshot]:
    """Read an interface. One that can't be read keeps no other one waiting; its own revocation says why."""
    with suppress(GatewayError, OSError):
        return [read(gateway)]
    return []


def expire(gateway: Gateway, lock_timeout: float = LOCK_TIMEOUT) -> Report:
    """Take off whose registration has expired. Like a revocation this waits for nothing but the short lock."""
    return _report_of(lambda: _at_once(plan_expire, gateway, lock_timeout))


def start(gateway: Gateway, max_age: int) -> Report:
    """Start the interface: firewall, then interface, then the peers, if they can be trusted.

    :param max_age: of the roster, in seconds; an older one gives no peers. 0 means any age will do.
    """
    return _report_of(lambda: _start(gateway, max_age))


def reload(gateway: Gateway, max_age: int) -> Report:
    """Load the firewall again and repair the device, from the files that the last apply left.

    :param max_age: of the roster, in seconds; an older one adds no peers. 0 means any age will do.
    """
    return _report_of(lambda: _reload(gateway, max_age))


def watch(gateway: Gateway, look: Callable[[], str]) -> Report:
    """Repair what was changed since the last run, unless one is at work: it looks for itself.

    :param look: gives what identifies the state of everything that is watched. It is kept where all was found well,
        so that the timer's unit can tell that nothing has changed since.
    """
    try:
        with gateway.apply_lock_if_free() as is_ours:
            return _watch(gateway, look) if is_ours else NOTHING
    except (GatewayError, OSError) as error:
        return NOTHING.with_problem(error)


def _watch(gateway: Gateway, look: Callable[[], str]) -> Report:
    seen = look()
    done = _load_lost_firewall(gateway)
    if not done.failed:
        done = done.followed_by(_at_once(plan_watch, gateway, LOCK_TIMEOUT))
    snapshot = done.afterwards
    if snapshot.link and why_untrusted(snapshot) == "":
        done = _repair_surroundings(gateway, done, filed_interface(snapshot))
    report = done.report
    if not report.changed and not report.problems and look() == seen:
        write(gateway.site.seen, seen)
    return report


def _load_lost_firewall(gateway: Gateway) -> Execution:
    """Load the firewall again if the kernel lost it. This keeps no revocation waiting."""
    snapshot = read(gateway)
    if has_firewall(gateway, snapshot):
        return Execution(NOTHING, snapshot)
    return execute(plan_lost_firewall(snapshot), gateway)


def _report_of(do: Callable[[], Execution], report: Report = NOTHING) -> Report:
    """Do it, and return its report; `report` with the problem if it could not even begin."""
    try:
        return do().report
    except (GatewayError, OSError) as error:
        return report.with_problem(error)


def _at_once(planner: Planner, gateway: Gateway, lock_timeout: float) -> Execution:
    """Read, plan and execute under the short lock alone."""
    with gateway.state_lock(lock_timeout):
        return execute(planner(read(gateway)), gateway)


def _apply(order: ApplyOrder, gateway: Gateway, so_far: str = "the confirmed revocations") -> Execution:
    """Apply everything but the start of an interface that doesn't exist.

    :param so_far: what is done although another run keeps the lock.
    """
    with gateway.apply_lock_if_free() as is_ours:
        if is_ours:
            return _apply_alone(order, gateway)
    revocations = _revoke_meanwhile(order, gateway)
    if revocations.failed or revocations.report.stale:
        return revocations
    with ExitStack() as stack:
        try:
            stack.enter_context(gateway.apply_lock(order.lock_timeout))
        except LockHeldError as error:
            return revocations.stopped_by(RefusedError(f"{error}. Only {so_far} were done"))
        try:
            return revocations.followed_by(_apply_alone(order, gateway))
        except (GatewayError, OSError) as error:
            return revocations.stopped_by(error)


def _revoke_meanwhile(order: ApplyOrder, gateway: Gateway) -> Execution:
    """Do confirmed revocations while another run works. Where there are none, that run is left to finish."""
    with gateway.state_lock(order.lock_timeout):
        snapshot = read(gateway)
        present = {**snapshot.live, **snapshot.sections.comments()}
        nobody = snapshot.device_error is None and present.keys().isdisjoint(order.revoked)
        if nobody and saved_state(snapshot).generation <= order.generation:
            return Execution(Report(generation=order.generation), snapshot)
        return execute(plan_revocations(order, snapshot), gateway)


def _apply_alone(order: ApplyOrder, gateway: Gateway) -> Execution:
    """Apply everything while no other run does."""
    former = list(filter(_is_used, map(gateway.of, former_sites(gateway.site, order.other_interfaces))))
    states = [saved_state(read(each)) for each in former]
    revocations = _at_once(lambda now: plan_revocations(order, heir(now, states)), gateway, order.lock_timeout)
    if revocations.failed or revocations.report.stale:
        return revocations
    try:
        for each in former:
            there = _at_once(lambda now: plan_revocations(order, now), each, order.lock_timeout)
            revocations = revocations.joined_by(there)
    except (GatewayError, OSError) as error:
        return revocations.stopped_by(error)
    return _apply_rest(order, gateway, revocations, former)


def _apply_rest(order: ApplyOrder, gateway: Gateway, revocations: Execution, former: Sequence[Gateway]) -> Execution:
    """Check the rest and apply it. No revocation waits for nft, only for what changes the peers."""
    done = revocations
    try:
        _refuse_other_content(order, gateway, done.afterwards)
        _refuse_unprepared(gateway, former)
        roster = check(order, done.afterwards, gateway)
        for each in former:
            done = done.joined_by(_take_down(order, roster, gateway, each))
            if done.failed:
                return done
        firewall = execute(plan_new_firewall(order, roster, read_again(gateway, done.afterwards)), gateway)
        done = done.followed_by(firewall)
        if done.failed or done.report.stale:
            return done
        with gateway.state_lock(order.lock_timeout):
            rest = execute(plan_rest(order, roster, read_again(gateway, done.afterwards)), gateway)
            if not (rest.failed or gateway.check_mode):
                forget_gone(gateway.site)
    except (GatewayError, OSError) as error:
        return done.stopped_by(error)
    return _repair_surroundings(gateway, done.followed_by(rest), roster.config.interface)


def _take_down(order: ApplyOrder, roster: CheckedRoster, gateway: Gateway, former: Gateway) -> Execution:
    """Take a former interface down, and have this one remember what it knew before its files are moved aside."""
    with former.apply_lock(order.lock_timeout), former.state_lock(order.lock_timeout):
        down = execute(plan_takedown(order, roster, read(former)), former)
        if down.failed:
            return down
        with gateway.state_lock(order.lock_timeout):
            inherited = execute(plan_inheritance(read(gateway), saved_state(down.afterwards)), gateway)
        if inherited.failed:
            return down.joined_by(inherited)
        return down.joined_by(execute(plan_moving_aside(down.afterwards), former))


def _repair_surroundings(gateway: Gateway, done: Execution, wanted: Interface) -> Execution:
    """Repair what is around the interface, once its firewall and its peers are as wanted."""
    if done.failed:
        return done
    try:
        found = read_surroundings(gateway.run, gateway.site.name)
        if found is None:
            return done
        return done.followed_by(execute(plan_surroundings(done.afterwards, found, wanted), gateway))
    except GatewayError as error:
        return done.stopped_by(error)


def _refuse_other_content(order: ApplyOrder, gateway: Gateway, snapshot: Snapshot) -> None:
    """Hold R6, no resurrection: a generation is one roster. A check takes no generation of its own."""
    state = saved_state(snapshot)
    if gateway.check_mode or state.generation != order.generation or state.content in (None, order.content):
        return
    raise RefusedError(f"generation {order.generation} was already applied with other content; run with a new roster")


def _refuse_unprepared(gateway: Gateway, former: Sequence[Gateway]) -> None:
    """Leave another interface of ours in force unless this one was set up to take its place (R16, the wrong world).

    `site` enables the unit of the configured interface; taking one down disables its unit. So a run from an older
    checkout, which has another interface's name, takes nobody's tunnel away.
    """
    name = gateway.site.name
    if former and any(unit.disabled for unit in read_units(gateway.run, name)):
        serving = ", ".join(each.site.name for each in former)
        raise RefusedError(
            f"{serving} serves this gateway, and {name} isn't set up to take its place: the inventory of this run says "
            f"gateway_interface {name}. If that is right, run site; else correct the inventory. Only confirmed "
            f"revocations were done, on {serving}"
        )


def _apply_again_once_started(order: ApplyOrder, gateway: Gateway, applied: Execution) -> Report:
    """Have the interface started, which takes the lock of a whole apply, and then apply what a start doesn't."""
    restarted = execute(plan_restart(applied.afterwards), gateway)
    if restarted.failed or gateway.check_mode:
        return applied.followed_by(restarted).report
    again = _apply(order, gateway, so_far=f"firewall, file and the start of {gateway.site.name}")
    if not again.failed and not again.afterwards.link:
        name = gateway.site.name
        again = again.stopped_by(GatewayError(f"{name} doesn't come up; see `journalctl -u wg-quick@{name}`"))
    news = [problem for problem in again.report.problems if problem not in applied.report.problems]
    report = applied.report.followed_by(Report(notices=again.report.notices, problems=news))
    return replace(report, removals=again.report.removals)


def _start(gateway: Gateway, max_age: int) -> Execution:
    with gateway.apply_lock(LOCK_TIMEOUT):
        snapshot = read(gateway)
        if snapshot.link:
            return _repair(gateway, snapshot, max_age)
        if snapshot.device_error:
            raise snapshot.device_error
        interface = execute(plan_interface(snapshot, max_age), gateway)
        if interface.failed:
            return interface
        started = _at_once(lambda now: plan_started_peers(now, max_age), gateway, LOCK_TIMEOUT)
        return _repair_surroundings(gateway, started, filed_interface(snapshot))


def _reload(gateway: Gateway, max_age: int) -> Execution:
    with gateway.apply_lock(LOCK_TIMEOUT):
        snapshot = read(gateway)
        if snapshot.link is None:
            raise snapshot.device_error or GatewayError(f"{gateway.site.name} doesn't exist; start its unit instead")
        return _repair(gateway, snapshot, max_age)


def _repair(gateway: Gateway, snapshot: Snapshot, max_age: int) -> Execution:
    firewall = execute(plan_firewall(snapshot), gateway)
    if firewall.failed:
        return firewall
    reloaded = _at_once(lambda now: plan_reloaded_peers(now, max_age), gateway, LOCK_TIMEOUT)
    return _repair_surroundings(gateway, reloaded, filed_interface(snapshot))
