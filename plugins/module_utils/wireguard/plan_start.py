# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The plans of the unit's start, reload and timer, which go by the files that the last apply left. Pure.

Start and reload are in two parts: the firewall first, under the lock of a whole apply alone, since no revocation may
wait for nft; then the peers, from what is read once the interface is there.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Container

from . import config as wg_config
from .commands import GatewayError
from .config import Interface, body, digest
from .device import interface_changes
from .gateway import CLOCKS_APART
from .plan import Plan, device_steps, saved_state
from .read import Snapshot
from .report import NOTHING, Report
from .state import State
from .steps import ChangeInterface, CheckFirewall, LoadFirewall, RecordFirewall, StartInterface, Step

_SHOWN = 5  # names in a message


class UnsafeError(GatewayError):
    """The files aren't those that the last apply left."""


def filed_interface(snapshot: Snapshot) -> Interface:
    """Return what the file says of the interface. :raises ConfigError: it can't be read."""
    return wg_config.parse(snapshot.sections.interface).interface


def plan_interface(snapshot: Snapshot, max_age: int) -> Plan:
    """Plan the start of an interface without peers; its firewall comes first (R13, firewall before peers).

    :param max_age: see why_no_peers().
    :raises GatewayError: the interface can't be started from the file.
    """
    if not snapshot.config_text.strip():
        raise UnsafeError(f"{snapshot.site.config} is missing or empty; run a reconcile")
    if why_no_peers(snapshot, max_age):
        wg_config.parse(snapshot.sections.interface)
    else:
        wg_config.parse(snapshot.config_text)
    return _plan(snapshot, [*_load_firewall(snapshot), Step(StartInterface(snapshot.sections.interface))])


def plan_started_peers(snapshot: Snapshot, max_age: int) -> Plan:
    """Plan the peers of an interface that was just started, if the files can be trusted to name them.

    :param max_age: see why_no_peers().
    :raises GatewayError: the device can't be read, or the peers can't.
    """
    why = why_no_peers(snapshot, max_age)
    if not why:
        return _plan_peers(snapshot, snapshot.config_text)
    return _plan_peers(snapshot, snapshot.sections.interface, Report(without_peers=f"started WITHOUT PEERS: {why}"))


def plan_firewall(snapshot: Snapshot) -> Plan:
    """Plan the first part of a reload.

    :raises UnsafeError: the files aren't those that the last apply left, so that nothing is changed.
    """
    _refuse_untrusted(snapshot)
    wg_config.parse(snapshot.config_text)
    return _plan(snapshot, _load_firewall(snapshot))


def plan_reloaded_peers(snapshot: Snapshot, max_age: int) -> Plan:
    """Plan the second part of a reload: repair the device. A roster that is too old adds no peer to it.

    :param max_age: see why_no_peers().
    :raises GatewayError: the device can't be read, or the files changed by hand meanwhile.
    """
    _refuse_untrusted(snapshot)
    missing = snapshot.sections.comments().keys() - snapshot.live.keys()
    too_old = _why_too_old(snapshot, max_age)
    if not missing or not too_old:
        return _plan_peers(snapshot, snapshot.config_text)
    said = f"still WITHOUT PEERS: {too_old}"
    if snapshot.live:
        said = f"{_names(snapshot, missing)} not added: {too_old}"
    return _plan_peers(snapshot, snapshot.sections.without(missing).text(), Report(without_peers=said))


def _names(snapshot: Snapshot, keys: Container[str]) -> str:
    comments = snapshot.sections.comments()
    names = [wg_config.label_of(comment).name or key for key, comment in comments.items() if key in keys]
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def plan_lost_firewall(snapshot: Snapshot) -> Plan:
    """Plan what loads rules again that the kernel has no more.

    :raises UnsafeError: the file isn't the one that the last apply left.
    """
    state = snapshot.state
    if snapshot.link is None or state is None:
        return _plan(snapshot, [])
    untrusted = _why_firewall_untrusted(snapshot, state)
    if untrusted:
        raise UnsafeError(f"the firewall isn't loaded: {untrusted}")
    check, load = _load_firewall(snapshot)
    steps = [check, replace(load, reports=Report(repaired=["firewall"])), Step(RecordFirewall(state.firewall))]
    return _plan(snapshot, steps)


def plan_watch(snapshot: Snapshot) -> Plan:
    """Plan what repairs the interface between two runs; peers are left to the next one."""
    if snapshot.link is None or why_untrusted(snapshot):
        return _plan(snapshot, [])
    changes = interface_changes(snapshot.site.name, snapshot.link, snapshot.device, filed_interface(snapshot))
    return _plan(snapshot, [Step(ChangeInterface(change), Report(repaired=[change.what])) for change in changes])


def why_no_peers(snapshot: Snapshot, max_age: int) -> str:
    """Say why the interface must start without peers; empty if it need not (R12, no peers from an old roster).

    :param max_age: of the roster, in seconds; 0 means any age will do. Which age it has no clock tells that is behind.
    """
    return why_untrusted(snapshot) or _why_too_old(snapshot, max_age)


def _refuse_untrusted(snapshot: Snapshot) -> None:
    untrusted = why_untrusted(snapshot)
    if untrusted:
        raise UnsafeError(f"{untrusted}; nothing was changed")


def why_untrusted(snapshot: Snapshot) -> str:
    """Say why the files can't be trusted to name the peers; empty if they can."""
    site, state = snapshot.site, snapshot.state
    if snapshot.state_error:
        return f"{snapshot.state_error}; run a reconcile"
    if state is None:
        return f"{site.state} is missing, so nothing says whose peers are in {site.config}; run a reconcile"
    if digest(body(snapshot.config_text)) not in state.config:
        return f"{site.config} is not what the last apply left, it was changed by hand or lost; run a reconcile"
    return _why_firewall_untrusted(snapshot, state)


def _why_firewall_untrusted(snapshot: Snapshot, state: State) -> str:
    if digest(snapshot.firewall_text) in state.firewall:
        return ""
    file = snapshot.site.firewall
    return f"{file} is not what the last apply left, it was changed by hand or lost; run a reconcile"


def _why_too_old(snapshot: Snapshot, max_age: int) -> str:
    age = snapshot.now - (saved_state(snapshot).made_at or 0)
    if age < -CLOCKS_APART:
        return f"the roster is from {-age // 60} minutes ahead of this gateway's clock; set the clock, run a reconcile"
    if not max_age or age <= max_age:
        return ""
    return f"the roster is {age // 60} minutes old, {max_age // 60} are allowed; peers wait for the next reconcile"


def _load_firewall(snapshot: Snapshot) -> list[Step]:
    text = snapshot.firewall_text
    return [Step(CheckFirewall(text)), Step(LoadFirewall(text))]


def _plan_peers(snapshot: Snapshot, text: str, report: Report = NOTHING) -> Plan:
    """Plan the peers of a text, but nobody who is being removed, is barred or has expired."""
    if snapshot.device_error:
        raise snapshot.device_error
    config = wg_config.parse(text)
    state, comments = saved_state(snapshot), config.comments()
    gone = {key for key in config.peers if digest(key)[:16] in snapshot.gone}
    config = config.without(
        {*state.pending(), *state.barred(comments), *wg_config.expired(comments, snapshot.now), *gone}
    )
    return _plan(snapshot, device_steps(snapshot, config, snapshot.config_text, {}), report)


def _plan(snapshot: Snapshot, steps: list[Step], report: Report = NOTHING) -> Plan:
    state = saved_state(snapshot)
    return Plan(tuple(steps), state, state, snapshot, report)
