# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Runs that are killed between any two steps of their plans: the next run completes them."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any, NamedTuple

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard import execute, operations
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.gateway import Gateway
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.report import Report
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.state import State
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.steps import Step

from tests.support.wireguard_host import REGISTRY, Host, Person, allowed, key

ALICE, BOB, CAROL, DAVE, ERIN = (
    Person(name, number) for number, name in enumerate(("alice", "bob", "carol", "dave", "erin"), 1)
)
MOVED = CAROL._replace(address=9)
# by the clock of the program that starts the interface, too; a busy machine may come to these tests after an hour
EXPIRY = int(time.time()) + 6 * 3600
EXPIRING = ALICE._replace(expires_at=EXPIRY)
OPENED = ["10.30.0.0/16"]


class Killed(BaseException):
    """The process ends here."""


class Killer:
    """Does as many steps as it is told to; before the next one the process is killed."""

    def __init__(self, steps: int) -> None:
        self._left = steps
        self.done: list[str] = []

    def __call__(self, step: Step, gateway: Gateway, state: State) -> State:
        if len(self.done) == self._left:
            raise Killed
        state = step.action.run(gateway, state)
        self.done.append(type(step.action).__name__)
        return state


class Scenario(NamedTuple):
    """Something to do to a gateway of alice, bob, carol and erin, and what it results in."""

    run: Callable[[Host], Report]
    steps: list[str]  # in order: what is read off here is the order of R11
    peers: list[Person]  # afterwards
    removed: list[str]
    prepare: Callable[[Host], None] = lambda _host: None


def _apply(host: Host) -> Report:
    return host.apply(host.order(2, [BOB, MOVED, DAVE], revoked=[ALICE], networks=OPENED))


def _apply_same(host: Host) -> Report:
    return host.apply(host.order(2, [BOB, CAROL, ERIN], revoked=[ALICE]))


def _apply_restored(host: Host) -> Report:
    restored = REGISTRY._replace(table="restored", table_id="table-2")
    order = host.order(2, [BOB, MOVED, DAVE], revoked=[ALICE], networks=OPENED, registry=restored)
    return host.apply(replace(order, accept_registry=restored.table_id))


def _apply_with_new_key(host: Host) -> Report:
    return host.apply(host.order(2, [BOB, CAROL._replace(number=77), DAVE], revoked=[ALICE], networks=OPENED))


def _bar_carol(host: Host) -> None:
    host.revoke("carol", generation=2)


def _stop(host: Host) -> None:
    host.sh("ip", "link", "del", host.name)
    host.sh("nft", "flush", "ruleset")


def _tamper(host: Host) -> None:
    host.sh("nft", "flush", "ruleset")
    host.sh("wg", "set", host.name, "peer", key(BOB.number), "remove")
    host.sh("wg", "set", host.name, "peer", key(99), "allowed-ips", "10.44.9.9/32")
    _cut_off(host)


def _cut_off(host: Host) -> None:
    host.sh("sysctl", "-qw", "net.ipv4.ip_forward=0", "net.ipv6.conf.all.forwarding=0")
    host.sh("ip", "route", "del", "10.44.0.0/16")


def _open(host: Host) -> None:
    host.sh("nft", "flush", "ruleset")
    host.sh("ip", "link", "set", "dev", host.name, "mtu", "8921")
    _cut_off(host)


def _damage_state(host: Host) -> None:
    host.site.state.write_text("{")


def _rename(host: Host) -> None:
    host.rename_interface()


def _pass_expiry(host: Host) -> None:
    host.now = EXPIRY


SURROUNDINGS = ["ChangeInterface", "ChangeInterface", "ChangeInterface", "ReadSurroundingsBack"]
REMOVAL = ["RecordState", "WriteFile", "RemovePeers", "RecordState"]
FIREWALL = ["RecordFirewall", "WriteFile", "LoadFirewall", "RecordFirewall"]
PEERS = ["RecordState", "WriteFile", "RemovePeers", "SetPeers", "ReadBack", "RecordState"]
ALL = [EXPIRING, BOB, CAROL, ERIN]
SCENARIOS = {
    "apply": Scenario(
        _apply,
        [*REMOVAL, *FIREWALL, *PEERS],
        [BOB, MOVED, DAVE],
        ["alice/laptop", "erin/laptop"],
    ),
    "apply with a damaged state": Scenario(
        _apply_same,
        ["MoveAside", *REMOVAL, *FIREWALL, "RecordState", "RecordState"],
        [BOB, CAROL, ERIN],
        ["alice/laptop"],
        _damage_state,
    ),
    "apply of a restored registry": Scenario(
        _apply_restored,
        [*REMOVAL, *FIREWALL, *PEERS],
        [BOB, MOVED, DAVE],
        ["alice/laptop", "erin/laptop"],
    ),
    "apply of a roster that is older than a bar": Scenario(
        _apply_with_new_key,
        [*REMOVAL, *FIREWALL, *PEERS],
        [BOB, DAVE],
        ["alice/laptop", "carol/laptop", "erin/laptop"],
        _bar_carol,
    ),
    "apply to a gateway that is cut off": Scenario(
        _apply,
        [*REMOVAL, *FIREWALL, *PEERS, *SURROUNDINGS],
        [BOB, MOVED, DAVE],
        ["alice/laptop", "erin/laptop"],
        _cut_off,
    ),
    "apply to a stopped gateway": Scenario(
        _apply,
        [
            *("RecordState", "WriteFile", "RecordState"),
            *FIREWALL,
            *("RecordState", "WriteFile", "RecordState", "RestartUnit", "RecordState"),
        ],
        [BOB, MOVED, DAVE],
        ["alice/laptop", "erin/laptop"],
        _stop,
    ),
    "apply under another interface name": Scenario(
        _apply,
        [
            "RecordState",
            *REMOVAL,
            *("RecordState", "ChangeInterface", "ChangeInterface", "ChangeInterface"),
            *("RecordState", "MoveAside", "MoveAside", "MoveAside", "MoveAside"),
            *FIREWALL,
            *("RecordState", "WriteFile", "RestartUnit", "RecordState"),
        ],
        [BOB, MOVED, DAVE],
        ["alice/laptop", "erin/laptop"],
        _rename,
    ),
    "revoke": Scenario(lambda host: host.revoke("alice"), REMOVAL, [BOB, CAROL, ERIN], ["alice/laptop"]),
    "expire": Scenario(
        lambda host: host.expire(), [*REMOVAL, "WriteFile"], [BOB, CAROL, ERIN], ["alice/laptop"], _pass_expiry
    ),
    "start": Scenario(
        lambda host: operations.start(host.gateway(), 0),
        ["CheckFirewall", "LoadFirewall", "StartInterface", "SetPeers", "ReadBack"],
        ALL,
        [],
        _stop,
    ),
    "watch": Scenario(
        lambda host: host.watch(),
        ["CheckFirewall", "LoadFirewall", "RecordFirewall", "ChangeInterface", *SURROUNDINGS],
        ALL,
        [],
        _open,
    ),
    "reload": Scenario(
        lambda host: operations.reload(host.gateway(), 0),
        ["CheckFirewall", "LoadFirewall", "RemovePeers", "SetPeers", "ReadBack", *SURROUNDINGS],
        ALL,
        [],
        _tamper,
    ),
}


def _boundaries(*names: str) -> list[Any]:
    return [
        pytest.param(SCENARIOS[name], steps, id=f"{name}-{steps}")
        for name in names
        for steps in range(len(SCENARIOS[name].steps) + 1)
    ]


@pytest.fixture
def running(host: Host) -> Host:
    """A gateway of alice, bob, carol and erin."""
    assert host.apply(host.order(1, ALL)).problems == []
    return host


def _kill(host: Host, scenario: Scenario, steps: int, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Run a scenario, killed after so many steps. :returns: the steps that were done."""
    killer = Killer(steps)
    with monkeypatch.context() as patch:
        patch.setattr(execute, "perform", killer)
        with suppress(Killed):
            scenario.run(host)
    return killer.done


@pytest.mark.parametrize(("scenario", "steps"), _boundaries(*SCENARIOS))
def test_r4_r6_r7_run_killed_after_any_step_is_completed_by_the_next(
    running: Host, scenario: Scenario, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenario.prepare(running)
    assert _kill(running, scenario, steps, monkeypatch) == scenario.steps[:steps]
    mentioned = [*map(str, running.run.calls), *running.run.inputs]
    report = scenario.run(running)
    mentioned += [*map(str, running.run.calls), *running.run.inputs]
    assert report.problems == []
    assert running.peers == allowed(*scenario.peers)
    assert {removal.name: removal.removed_at for removal in running.state.removals} == {
        name: int(running.now) for name in scenario.removed
    }
    assert len(running.state.removals) == len(scenario.removed)
    assert "tracklib_vpn" in running.rules
    assert f"10.44.0.0/16 dev {running.name}" in running.sh("ip", "route")
    assert running.sh("sysctl", "-n", "net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding").split() == ["1", "1"]
    if scenario.prepare not in (_stop, _tamper, _rename):
        assert not any(key(BOB.number) in text for text in mentioned if "[Interface]" not in text)
    again = scenario.run(running)
    assert (again.changed, again.problems) == (False, [])


@pytest.mark.parametrize(("scenario", "steps"), _boundaries("apply", "revoke"))
def test_r4_whoever_is_gone_is_recorded_and_stays_away_after_a_restart_at_any_step(
    running: Host, scenario: Scenario, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    _kill(running, scenario, steps, monkeypatch)
    text = running.site.config.read_text()
    gone = [key(one.number) for one in ALL if key(one.number) not in text or key(one.number) not in running.peers]
    recorded = [removal.public_key for removal in running.state.removals]
    assert set(gone) <= set(recorded)
    running.sh("ip", "link", "del", running.name)
    assert operations.start(running.gateway(), 0).problems == []
    assert not running.peers.keys() & set(recorded)
    assert "tracklib_vpn" in running.rules


@pytest.mark.parametrize("steps", range(len(REMOVAL) + 1))
def test_r6_older_roster_undoes_no_revocation_of_a_killed_run(
    running: Host, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    _kill(running, SCENARIOS["apply"], steps, monkeypatch)
    older = running.apply(running.order(1, ALL))
    assert older.stale is (steps > 0)
    if steps >= len(REMOVAL) - 1:
        assert key(ALICE.number) not in running.peers


@pytest.mark.parametrize("steps", range(len(REMOVAL) + 1))
def test_r6_older_roster_brings_back_nobody_whom_a_killed_revocation_has_barred(
    running: Host, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    _kill(running, SCENARIOS["revoke"], steps, monkeypatch)
    older = running.apply(running.order(1, ALL))
    assert older.barred == (["alice/laptop"] if steps else [])
    assert running.peers == allowed(*(ALL[1:] if steps else ALL))
