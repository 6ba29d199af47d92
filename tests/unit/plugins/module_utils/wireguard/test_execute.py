# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The loop that does the steps of any plan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.bars import Bar
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.commands import CommandError, CommandResult
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.execute import execute
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.files import Site
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.gateway import Gateway
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.plan import Plan
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.report import Report
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.state import Removal, State, load, save
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.steps import (
    Action,
    LoadFirewall,
    MoveAside,
    RecordFirewall,
    RecordState,
    RemovePeers,
    Step,
    WriteFile,
)

from tests.support.snapshots import snapshot

FAILING = "failing"


@dataclass(frozen=True)
class Fail:
    """Does nothing but fail."""

    def run(self, _gateway: Gateway, _state: State) -> State:
        raise CommandError("no")


class Commands:
    """Remembers commands in place of running them; those with `failing` in them fail."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.inputs: list[str] = []

    def __call__(self, args: Sequence[str], stdin: str = "") -> CommandResult:
        self.calls.append(list(args))
        self.inputs.append(stdin)
        return CommandResult(int(FAILING in args), "", "no")


@pytest.fixture
def gateway(tmp_path: Path) -> Gateway:
    return Gateway(Site("wg0", tmp_path / "etc", tmp_path / "state", tmp_path / "run"), Commands())


def _plan(*steps: Step, report: Report | None = None) -> Plan:
    read = replace(snapshot([]), state=State(generation=1))
    return Plan(steps, State(generation=1), State(generation=9), read, report or Report())


def _calls(gateway: Gateway) -> list[list[str]]:
    assert isinstance(gateway.run, Commands)
    return gateway.run.calls


def _off(key: str, *, urgent: bool = False) -> Step:
    return Step(RemovePeers((key,)), Report(removed=[key]), urgent=urgent)


def test_steps_are_done_in_order_and_each_reports_what_it_did(gateway: Gateway) -> None:
    done = execute(_plan(_off("a"), _off("b"), report=Report(generation=3)), gateway)
    assert _calls(gateway) == [["wg", "set", "wg0", "peer", key, "remove"] for key in "ab"]
    assert (done.report.removed, done.report.generation, done.failed) == (["a", "b"], 3, False)


def test_nothing_is_done_after_a_failure_and_nothing_claimed(gateway: Gateway) -> None:
    done = execute(_plan(_off("a"), Step(Fail()), _off("b")), gateway)
    assert len(_calls(gateway)) == 1
    assert (done.report.removed, done.report.problems, done.failed) == (["a"], ["no"], True)


def test_r4_urgent_steps_are_done_whatever_failed_before(gateway: Gateway) -> None:
    done = execute(_plan(Step(Fail(), urgent=True), _off("a", urgent=True), _off("b")), gateway)
    assert done.report.removed == ["a"]
    assert done.report.problems == ["only removals from the live device were done (a): no"]


def test_removal_that_failed_is_no_removal(gateway: Gateway) -> None:
    done = execute(_plan(_off(FAILING, urgent=True), _off("b", urgent=True)), gateway)
    assert done.report.removed == ["b"]
    (problem,) = done.report.problems
    assert problem == "peer failing could not be taken off wg0, the next run tries again: no"


def _begun(*names: str) -> State:
    removals = [
        Removal(f"id-{name}", name, "laptop", "1", "A", name, "f", 1, "blocked", last_handshake=None, removed_at=None)
        for name in names
    ]
    return State(generation=5, removals=tuple(removals))


def test_r17_peer_that_cannot_be_removed_keeps_nobody_else_there_and_stays_recorded(gateway: Gateway) -> None:
    names = {"a": "alice/laptop", FAILING: "bob/laptop", "b": "carol/laptop"}
    begun = _begun(*names)
    removal = Step(RemovePeers(tuple(names), names), Report(removed=list(names.values())), urgent=True)
    finished = Step(RecordState(begun.finished(names, 7)))
    done = execute(_plan(Step(RecordState(begun), urgent=True), removal, finished), gateway)
    assert [call[3:] for call in _calls(gateway)[1:]] == [["peer", name, "remove"] for name in names]
    assert done.report.removed == ["alice/laptop", "carol/laptop"]
    assert done.report.problems == ["bob/laptop could not be taken off wg0, the next run tries again: no"]
    state = load(gateway.site)
    assert state is not None
    assert {each.user_name: each.removed_at is None for each in state.removals} == {
        "a": False,
        FAILING: True,
        "b": False,
    }
    assert done.report.removals == list(state.removals)
    assert done.afterwards.state == state


class Missing(Commands):
    """A program that isn't installed."""

    def __call__(self, args: Sequence[str], stdin: str = "") -> CommandResult:
        super().__call__(args, stdin)
        raise CommandError("`wg` isn't installed")


def test_removal_by_a_program_that_does_not_run_is_tried_once(gateway: Gateway) -> None:
    gateway.run = Missing()
    done = execute(_plan(Step(RemovePeers(("a", "b"), {"a": "alice/laptop"}))), gateway)
    assert len(_calls(gateway)) == 1
    assert done.report.problems == [
        "alice/laptop, peer b could not be taken off wg0, the next run tries again: `wg` isn't installed"
    ]


def test_failures_before_and_at_a_removal_are_both_told(gateway: Gateway) -> None:
    done = execute(_plan(Step(Fail(), urgent=True), _off(FAILING, urgent=True)), gateway)
    assert len(done.report.problems) == 2
    assert done.report.problems[0] == "only removals from the live device were done (none): no"


def test_check_mode_says_the_same_and_does_nothing(gateway: Gateway) -> None:
    careful = Gateway(gateway.site, gateway.run, check_mode=True)
    done = execute(_plan(Step(RecordState(State(generation=5))), _off("a")), careful)
    assert (_calls(gateway), load(gateway.site)) == ([], None)
    assert (done.report.removed, done.failed) == (["a"], False)
    assert done.afterwards.state == State(generation=9)


def test_state_is_saved_between_steps(gateway: Gateway) -> None:
    done = execute(_plan(Step(RecordState(State(generation=5))), Step(Fail())), gateway)
    assert load(gateway.site) == done.afterwards.state == State(generation=5)


def test_state_that_could_not_be_saved_is_not_taken_for_saved(gateway: Gateway) -> None:
    gateway.site.state.with_name(".wg0.json.new").mkdir(parents=True)
    done = execute(_plan(Step(RecordState(State(generation=5)), urgent=True)), gateway)
    assert (done.failed, done.afterwards.state) == (True, State(generation=1))


def test_what_the_kernel_made_of_the_firewall_is_saved_beside_what_a_revocation_left_meanwhile(
    gateway: Gateway,
) -> None:
    revoked = State(generation=5, bars=(Bar("alice"),))

    class Meanwhile(Fail):
        def run(self, gateway: Gateway, state: State) -> State:
            save(gateway.site, revoked)
            return state

    save(gateway.site, State(generation=5, firewall=("old",)))
    actions: list[Action] = [
        RecordFirewall(("old", "new")),
        LoadFirewall("table inet x { }\n"),
        Meanwhile(),
        RecordFirewall(("new",)),
    ]
    done = execute(_plan(*map(Step, actions)), gateway)
    state = load(gateway.site)
    assert state is not None
    assert (state.bars, state.firewall, bool(state.loaded)) == (revoked.bars, ("new",), True)
    assert done.afterwards.state == state


def test_damaged_file_is_moved_aside(gateway: Gateway) -> None:
    gateway.site.state_dir.mkdir()
    gateway.site.state.write_text("{")
    aside = gateway.site.state_dir / "aside"
    execute(_plan(Step(MoveAside(gateway.site.state, aside))), gateway)
    assert (gateway.site.state.exists(), aside.read_text()) == (False, "{")


def test_r10_no_step_shows_what_it_writes_or_sends() -> None:
    assert "secret" not in repr(WriteFile(Path("wg0.conf"), "secret"))


def test_report_says_whether_all_was_done_whatever_its_problems(gateway: Gateway) -> None:
    news = Report(problems=["bob is barred here by a revocation"])
    assert execute(_plan(report=news), gateway).report.result("wg0")["complete"]
    failed = execute(_plan(Step(Fail())), gateway)
    assert not failed.report.result("wg0")["complete"]
    assert not execute(_plan(), gateway).stopped_by(CommandError("no")).report.complete
    assert not failed.report.followed_by(Report()).complete
    assert not Report().followed_by(failed.report).complete


def test_removal_that_cannot_be_saved_is_told_all_the_same_and_one_that_failed_stays_open(gateway: Gateway) -> None:
    gateway.site.state.mkdir(parents=True)  # no file takes its place
    begun = _begun("a", FAILING)
    steps = [Step(RecordState(begun), urgent=True), _off("a", urgent=True), _off(FAILING, urgent=True)]
    done = execute(_plan(*steps), gateway)
    removed_at = {each.user_name: each.removed_at for each in done.report.removals}
    assert removed_at == {"a": gateway.now(), FAILING: None}
    assert done.afterwards.state == State(generation=1), "what is saved is another question"
