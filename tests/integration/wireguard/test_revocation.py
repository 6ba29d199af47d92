# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Confirmed revocations go through, whatever else is broken (R4)."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard import device, operations
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.commands import CommandMissing
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.order import Revocation
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.report import Report
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.state import load, save

from tests.support.wireguard_host import NOW, Host, Person, allowed, held, key

ALICE, BOB, CAROL, DAVE = (Person(name, number) for number, name in enumerate(("alice", "bob", "carol", "dave"), 1))


class Killed(BaseException):
    """The run ends here."""


@pytest.mark.parametrize(
    ("broken", "complaint"),
    [
        ({"config": "[Interface]\nTable = off\n"}, "ListenPort is missing"),
        ({"config": None, "config_error": "template x: no"}, "template x: no"),
        ({"firewall": "table inet tracklib_vpn { chain x { nonsense } }"}, "nft refuses the firewall"),
        ({"firewall": ""}, "no `table`"),
        ({"firewall": None, "firewall_error": "template y: no"}, "template y: no"),
        ({"private_key_file": Path("/nowhere")}, "no private key in /nowhere"),
    ],
)
def test_r4_revocation_is_done_although_the_rest_is_refused(host: Host, broken: dict[str, Any], complaint: str) -> None:
    host.apply(host.order(1, [ALICE, BOB]))
    rules, firewall = host.rules, host.site.firewall.read_text()
    outcome = host.apply(host.order(2, [BOB, CAROL], revoked=[ALICE], **broken))
    assert outcome.removed == ["alice/laptop"]
    assert complaint in outcome.problems[0]
    assert host.peers == allowed(BOB)
    assert key(1) not in host.site.config.read_text()
    assert (host.rules, host.site.firewall.read_text()) == (rules, firewall)
    assert host.run.changes == [["wg", "set", host.name, "peer", key(1), "remove"]]
    assert [removal.name for removal in outcome.removals if removal.removed_at] == ["alice/laptop"]


def test_r4_revocation_is_done_although_another_run_holds_the_lock(host: Host) -> None:
    host.apply(host.order(1, [ALICE, BOB]))
    with held(host.site.apply_lock) as process:
        outcome = host.apply(host.order(2, [BOB, CAROL], revoked=[ALICE]))
    assert (outcome.removed, outcome.added, host.peers) == (["alice/laptop"], [], allowed(BOB))
    (problem,) = outcome.problems
    assert f"{host.site.apply_lock} was held by process {process} for 0.1 seconds" in problem
    assert problem.endswith("Only the confirmed revocations were done")


def _until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_r4_revocation_does_not_wait_for_the_lock_that_the_rest_waits_for(host: Host) -> None:
    host.apply(host.order(1, [ALICE, BOB]))
    order = host.order(2, [BOB, CAROL], revoked=[ALICE], lock_timeout=60)
    with ThreadPoolExecutor() as other, held(host.site.apply_lock):
        applying = other.submit(host.apply, order)
        _until(lambda: host.peers == allowed(BOB))
        assert not applying.done()
    assert (applying.result().problems, host.peers) == ([], allowed(BOB, CAROL))


class Stuck:
    """Keeps a command from ending, once the commands before it have been run; for `Host.run.before`."""

    def __init__(self, *commands: str) -> None:
        self._left = [command.split() for command in commands]
        self.waiting, self.go_on = threading.Event(), threading.Event()

    def __call__(self, command: Sequence[str]) -> None:
        if not self._left or list(command[: len(self._left[0])]) != self._left[0]:
            return
        self._left.pop(0)
        if not self._left:
            self.waiting.set()
            assert self.go_on.wait(60)


NFT = [["nft -c"], ["nft -f"], ["nft -f", "nft -s"], ["ip -j route"]]


@contextmanager
def _stuck_apply(host: Host, commands: list[str]) -> Iterator[Future[Report]]:
    """An apply that brings carol, and doesn't get on."""
    host.run.before = stuck = Stuck(*commands)
    order = host.order(2, [ALICE, BOB, CAROL], networks=["10.30.0.0/16"], lock_timeout=60)
    with ThreadPoolExecutor() as other:
        applying = other.submit(operations.apply, order, host.gateway())
        try:
            assert stuck.waiting.wait(60)
            yield applying
            assert not applying.done()
        finally:
            stuck.go_on.set()


@pytest.mark.parametrize("commands", [*NFT, ["systemctl restart"]], ids=" ".join)
def test_r4_emergency_revocation_waits_for_nothing_slow_in_an_apply(host: Host, commands: list[str]) -> None:
    host.apply(host.order(1, [ALICE, BOB]))
    if commands == ["systemctl restart"]:
        host.sh("ip", "link", "del", host.name)
    with _stuck_apply(host, commands) as applying:
        outcome = host.revoke("alice")
        assert (outcome.removed, outcome.problems) == (["alice/laptop"], [])
    assert applying.result().generation == 2
    assert host.peers == allowed(BOB, CAROL)


@pytest.mark.parametrize("commands", NFT, ids=" ".join)
def test_r4_confirmed_revocation_of_a_roster_waits_for_nothing_slow_in_an_apply(
    host: Host, commands: list[str]
) -> None:
    host.apply(host.order(1, [ALICE, BOB]))
    with ThreadPoolExecutor() as other:
        with _stuck_apply(host, commands) as applying:
            order = host.order(3, [BOB, CAROL, DAVE], revoked=[ALICE], lock_timeout=60)
            later = other.submit(operations.apply, order, host.gateway())
            _until(lambda: key(ALICE.number) not in host.peers)
            assert not applying.done()
            assert not later.done()
        assert later.result().problems == []
    assert host.peers == allowed(BOB, CAROL, DAVE)


def test_r4_revocation_waits_for_no_firewall_that_the_timer_loads_again(host: Host) -> None:
    host.apply(host.order(1, [ALICE, BOB]))
    host.sh("nft", "flush", "ruleset")
    host.run.before = stuck = Stuck("nft -f")
    with ThreadPoolExecutor() as other:
        watching = other.submit(host.watch)
        assert stuck.waiting.wait(60)
        assert host.revoke("alice").problems == []
        assert not watching.done()
        stuck.go_on.set()
    assert watching.result().repaired == ["firewall"]
    assert (host.peers, len(host.state.bars)) == (allowed(BOB), 1)


def test_r4_run_that_does_not_get_the_lock_after_its_start_says_what_was_done(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.apply(host.order(1, [ALICE, BOB]))
    host.sh("ip", "link", "del", host.name)
    started = host.program
    with ExitStack() as stack:

        def lock_once_started(command: str) -> subprocess.CompletedProcess[str]:
            done = started(command)
            stack.enter_context(held(host.site.apply_lock))
            return done

        monkeypatch.setattr(host, "program", lock_once_started)
        (problem,) = host.apply(host.order(2, [ALICE, BOB, CAROL])).problems
    assert problem.endswith(f"Only firewall, file and the start of {host.name} were done")
    assert host.peers == allowed(ALICE, BOB, CAROL)


def test_r6_run_that_waited_for_a_later_one_is_stale(host: Host) -> None:
    host.apply(host.order(1, [ALICE, CAROL]))
    order = host.order(2, [ALICE, BOB], revoked=[CAROL], lock_timeout=60)
    with ThreadPoolExecutor() as other, held(host.site.apply_lock):
        applying = other.submit(host.apply, order)
        _until(lambda: host.state.generation == 2 and not host.state.pending())
        save(host.site, replace(host.state, generation=3, content="of the later one"))
    report = applying.result()
    assert (report.stale, report.generation, report.problems, host.peers) == (True, 3, [], allowed(ALICE))


def test_r6_run_that_revokes_nobody_leaves_the_one_before_it_to_finish(host: Host) -> None:
    host.apply(host.order(1, [ALICE]))
    checking, go_on = threading.Event(), threading.Event()

    def wait_in_the_check(command: Sequence[str]) -> None:
        if command[:2] == ["nft", "-c"] and not checking.is_set():
            checking.set()
            go_on.wait(60)

    host.run.before = wait_in_the_check
    with ThreadPoolExecutor() as other:
        earlier = other.submit(host.apply, host.order(2, [ALICE, BOB], networks=["10.30.0.0/16"], lock_timeout=60))
        assert checking.wait(60)
        later = other.submit(host.apply, host.order(3, [ALICE], config="garbage", lock_timeout=60))
        time.sleep(0.5)  # it has seen that the lock is held
        go_on.set()
    assert (earlier.result().stale, earlier.result().added) == (False, ["bob/laptop"])
    assert later.result().problems
    assert host.peers == allowed(ALICE, BOB)


def test_r6_stale_run_that_finds_the_lock_held_is_just_stale(host: Host) -> None:
    host.apply(host.order(2, [ALICE]))
    with held(host.site.apply_lock):
        outcome = host.apply(host.order(1, [], revoked=[ALICE]))
    assert (outcome.stale, outcome.problems, host.peers) == (True, [], allowed(ALICE))


def test_r4_revocation_is_done_although_the_file_was_edited(host: Host) -> None:
    host.apply(host.order(1, [ALICE, BOB]))
    host.site.config.write_text(host.site.config.read_text().replace("[Peer]", " [peer] # mine"))
    outcome = host.apply(host.order(2, [BOB, CAROL], revoked=[ALICE], config=None))
    assert (outcome.removed, host.peers) == (["alice/laptop"], allowed(BOB))
    assert key(1) not in host.site.config.read_text()
    assert "is not what the last apply left" in host.program("reload").stderr


def test_r4_who_could_not_be_taken_out_of_the_file_stays_out_after_a_restart(host: Host) -> None:
    host.apply(host.order(1, [ALICE, BOB]))
    in_the_way = host.site.config.with_name(f".{host.site.config.name}.new")
    in_the_way.mkdir()
    outcome = host.apply(host.order(2, [BOB, CAROL], revoked=[ALICE]))
    assert outcome.removed == ["alice/laptop"]
    assert "only removals from the live device were done (alice/laptop)" in outcome.problems[0]
    assert host.peers == allowed(BOB)
    host.sh("ip", "link", "del", host.name)
    assert host.program("up").returncode == 0
    assert host.peers == allowed(BOB)
    in_the_way.rmdir()
    outcome = host.apply(host.order(2, [BOB, CAROL], revoked=[ALICE]))
    assert (outcome.problems, host.peers) == ([], allowed(BOB, CAROL))
    assert [(removal.name, removal.removed_at) for removal in outcome.removals] == [("alice/laptop", int(host.now))]


def test_r4_revocation_is_sent_although_the_device_cannot_be_read(host: Host) -> None:
    host.apply(host.order(1, [ALICE, BOB]))
    host.site.config.unlink()

    def unreadable(args: list[str]) -> None:
        if args[:2] == ["wg", "show"]:
            raise CommandMissing("unreadable")

    host.run.before = unreadable
    outcome = host.apply(host.order(2, [BOB], revoked=[ALICE]))
    assert (outcome.problems, host.peers) == (["unreadable"], allowed(BOB))
    assert host.run.changes == [["wg", "set", host.name, "peer", key(1), "remove"]]


@pytest.mark.parametrize("revoked", [[ALICE], []])
def test_run_killed_between_record_and_removal_is_completed_by_the_next(host: Host, revoked: list[Person]) -> None:
    host.apply(host.order(1, [ALICE, BOB]))
    order = host.order(2, [BOB], revoked)

    def killed(args: list[str]) -> None:
        if "remove" in args:
            raise Killed

    host.run.before = killed
    with pytest.raises(Killed):
        host.apply(order)
    host.run.before = lambda _args: None
    assert [(removal.name, removal.removed_at) for removal in host.state.removals] == [("alice/laptop", None)]
    assert host.peers == allowed(ALICE, BOB)
    outcome = host.apply(order)
    assert (outcome.problems, host.peers) == ([], allowed(BOB))
    assert [(removal.name, removal.removed_at) for removal in outcome.removals] == [("alice/laptop", int(host.now))]


def test_start_after_a_killed_run_leaves_the_revoked_out(host: Host) -> None:
    host.apply(host.order(1, [ALICE, BOB]))

    def killed(args: list[str]) -> None:
        if "remove" in args:
            raise Killed

    host.run.before = killed
    with pytest.raises(Killed):
        host.apply(host.order(2, [BOB], [ALICE]))
    assert host.program("reload").returncode == 0
    assert host.peers == allowed(BOB)


def test_r6_emergency_revocation_bars_the_user_until_a_later_roster(host: Host) -> None:
    host.apply(host.order(1, [ALICE, BOB]))
    outcome = host.revoke("Alice", generation=3)
    assert (outcome.removed, outcome.problems, outcome.generation) == (["alice/laptop"], [], 1)
    assert host.peers == allowed(BOB)
    for generation in (1, 2, 3):
        new_key = ALICE._replace(number=9)
        older = host.apply(host.order(generation, [ALICE, BOB] if generation == 1 else [new_key, BOB, CAROL]))
        assert (older.problems, older.stale, older.barred) == ([], False, ["alice/laptop"])
    assert host.peers == allowed(BOB, CAROL)
    assert host.apply(host.order(4, [ALICE, BOB])).problems == []
    assert (host.peers, host.state.bars) == (allowed(ALICE, BOB), ())


def test_r6_revocation_that_the_registry_did_not_get_bars_until_its_own_record(host: Host) -> None:
    host.apply(host.order(1, [ALICE, BOB]))
    host.revoke("alice")
    (problem,) = host.apply(host.order(2, [ALICE._replace(number=9), BOB, CAROL])).problems
    assert problem.startswith("alice/laptop: in the roster of generation 2, but barred on this gateway")
    assert host.peers == allowed(BOB, CAROL)
    assert host.apply(host.order(3, [BOB, CAROL], revoked=[ALICE])).problems == []
    assert host.apply(host.order(4, [ALICE, BOB])).problems == []
    assert host.peers == allowed(ALICE, BOB)


def test_r6_revocation_of_one_device_ends_no_bar_of_the_user_whom_the_registry_does_not_know(host: Host) -> None:
    phone = Person("alice", 50, device="phone")
    host.apply(host.order(1, [ALICE, BOB]))
    assert host.revoke("alice").removed == ["alice/laptop"]
    of_device = {key(phone.number): Revocation(phone.label(), "blocked")}
    host.apply(replace(host.order(2, [BOB, CAROL]), revoked=of_device))
    outcome = host.apply(host.order(3, [ALICE, BOB]))
    assert (outcome.barred, host.peers) == (["alice/laptop"], allowed(BOB))
    whole = {key(phone.number): Revocation(phone.label(), "blocked", of_user=True)}
    host.apply(replace(host.order(4, [BOB]), revoked=whole))
    assert host.apply(host.order(5, [ALICE, BOB])).added == ["alice/laptop"], "unblocked since"


def test_r1_r6_record_of_a_namesake_who_was_deleted_ends_no_bar_of_a_name(host: Host) -> None:
    former = ALICE._replace(number=60, user_id="AIDAFORMER")
    host.apply(host.order(1, [BOB, CAROL]))
    assert "alice is nobody on" in host.revoke("alice").problems[0]
    host.apply(host.order(2, [BOB, CAROL], revoked=[former]))
    assert host.apply(host.order(3, [ALICE, BOB, CAROL])).barred == ["alice/laptop"]
    blocked = {key(ALICE.number): Revocation(ALICE.label(), "blocked", of_user=True)}
    host.apply(replace(host.order(4, [BOB, CAROL]), revoked=blocked))
    assert host.apply(host.order(5, [ALICE, BOB, CAROL])).added == ["alice/laptop"]


def test_r6_older_roster_brings_nobody_back_by_a_clock_that_is_behind(host: Host) -> None:
    """Of the later one the rest was refused, so that it was never installed."""
    first, later = NOW * 1000, (NOW + 3600) * 1000
    host.now -= 3 * 3600
    host.apply(host.order(first, [ALICE, BOB], made_at=NOW))
    refused = host.order(later, [BOB], revoked=[ALICE], made_at=NOW + 3600, firewall="nonsense")
    assert host.apply(refused).removed == ["alice/laptop"]
    outcome = host.apply(host.order(first, [ALICE, BOB], made_at=NOW))
    assert (outcome.stale, host.peers) == (True, allowed(BOB))


@pytest.mark.parametrize("text", ["", "garbage", None])
@pytest.mark.parametrize("generation", [0, 4])
def test_r4_who_may_be_a_peer_without_a_name_is_a_problem_although_they_were_one_before(
    host: Host, text: str | None, generation: int
) -> None:
    host.apply(host.order(1, [ALICE, BOB, CAROL]))
    host.apply(host.order(2, [ALICE, CAROL]))
    host.apply(host.order(3, [ALICE, BOB, CAROL]))
    host.site.config.unlink()
    if text is not None:
        host.site.config.write_text(text)
    outcome = host.revoke("bob", generation=generation)
    (problem,) = outcome.problems
    assert problem.startswith("bob is barred, and no peer has that name: 3 live peers have no name: ")
    assert host.apply(host.order(5, [ALICE, CAROL], revoked=[BOB])).removed == ["bob/laptop"]


def test_r1_r6_late_revocation_takes_nobody_off_whom_a_later_roster_has(host: Host) -> None:
    host.apply(host.order(5, [ALICE, BOB]))
    before = host.files()
    outcome = host.revoke("alice", generation=4)
    assert (outcome.stale, outcome.changed, host.files(), host.peers) == (True, False, before, allowed(ALICE, BOB))
    assert "left connected" in outcome.problems[0]


def test_r6_name_of_nobody_is_barred_so_that_an_older_roster_does_not_bring_it(host: Host) -> None:
    host.apply(host.order(1, [BOB]))
    (problem,) = host.revoke("alice", generation=5).problems
    assert problem.startswith(f"alice is nobody on {host.name}")
    outcome = host.apply(host.order(4, [ALICE, BOB, CAROL]))
    assert (outcome.problems, outcome.barred, host.peers) == ([], ["alice/laptop"], allowed(BOB, CAROL))


def test_emergency_revocation_can_be_released_by_name(host: Host) -> None:
    host.apply(host.order(1, [ALICE, BOB]))
    host.revoke("alice")
    assert host.apply(host.order(2, [ALICE, BOB], release_revoked=["bob"])).problems
    assert host.peers == allowed(BOB)
    outcome = host.apply(host.order(3, [ALICE, BOB], release_revoked=["alice"]))
    assert (outcome.problems, host.peers) == ([], allowed(ALICE, BOB))


def test_emergency_revocation_takes_only_the_named_device(host: Host) -> None:
    phone = Person("alice", 5, device="phone")
    host.apply(host.order(1, [ALICE, phone, BOB]))
    assert host.revoke("ALICE/phone").removed == ["alice/phone"]
    assert host.peers == allowed(ALICE, BOB)


def test_emergency_revocation_survives_a_restart_and_holds_the_second_time(host: Host) -> None:
    host.apply(host.order(1, [ALICE, BOB]))
    host.revoke("alice")
    host.sh("ip", "link", "del", host.name)
    assert host.program("up").returncode == 0
    assert host.peers == allowed(BOB)
    again = host.revoke("alice")
    assert (again.changed, again.problems) == (False, [])


@pytest.fixture
def second(host: Host) -> str:
    """The interface that the host had first, with alice and bob; the one that it is asked about now has carol."""
    host.apply(host.order(1, [ALICE, BOB]))
    name = host.rename_interface()
    host.apply(host.order(2, [CAROL], other_interfaces=[name], config=None, config_error="its port is taken"))
    return name


def test_r4_emergency_revocation_acts_on_every_interface_of_ours(host: Host, second: str) -> None:
    outcome = host.revoke("alice")
    assert (outcome.removed, outcome.problems) == (["alice/laptop"], [])
    assert device.parse_dump(host.sh("wg", "show", second, "dump")).allowed_ips() == allowed(BOB)
    sites = [host.site, host.site._replace(name=second)]
    states = [load(site) for site in sites]
    assert [state and [bar.user_id for bar in state.bars] for state in states] == [[ALICE.id], [ALICE.id]]
    again = host.revoke("alice")
    assert (again.changed, again.problems) == (False, [])


def test_r17_interface_whose_state_is_locked_keeps_no_other_one_from_revoking(host: Host, second: str) -> None:
    with held(host.site.state_lock) as process:
        outcome = host.revoke("alice")
    assert outcome.removed == ["alice/laptop"]
    (problem,) = outcome.problems
    assert f"{host.site.state_lock} was held by process {process}" in problem
    assert device.parse_dump(host.sh("wg", "show", second, "dump")).allowed_ips() == allowed(BOB)


@pytest.mark.usefixtures("second")
def test_r4_name_of_nobody_on_any_interface_is_said_once(host: Host) -> None:
    (problem,) = host.revoke("zoe").problems
    assert problem.startswith("zoe is nobody on ")


def test_emergency_revocation_in_check_mode_only_says_whom(host: Host) -> None:
    host.apply(host.order(1, [ALICE, BOB]))
    before = host.files()
    assert host.revoke("alice", check_mode=True).removed == ["alice/laptop"]
    assert (host.files(), host.run.changes, host.peers) == (before, [], allowed(ALICE, BOB))


def test_emergency_revocation_names_what_it_cannot_tell_apart(host: Host) -> None:
    host.apply(host.order(1, [ALICE, BOB]))
    host.site.config.unlink()
    outcome = host.revoke("alice")
    assert "2 live peers have no name" in outcome.problems[0]
    assert host.peers == allowed(ALICE, BOB)


def test_emergency_revocation_does_not_wait_for_a_run(host: Host) -> None:
    host.apply(host.order(1, [ALICE, BOB]))
    with held(host.site.apply_lock):
        assert host.revoke("alice").problems == []
    assert host.peers == allowed(BOB)


def test_emergency_revocation_says_who_keeps_it_waiting(host: Host) -> None:
    host.apply(host.order(1, [ALICE]))
    with held(host.site.state_lock) as process:
        (problem,) = host.revoke("alice").problems
    assert f"was held by process {process}" in problem
    assert "were done" not in problem


def test_revocation_in_the_middle_of_an_apply_is_not_undone_by_it(host: Host) -> None:
    host.apply(host.order(1, [ALICE, BOB]))

    def revoked_meanwhile(args: list[str]) -> None:
        if args[:2] == ["nft", "-c"]:
            host.run.before = lambda _args: None
            host.revoke("alice")

    host.run.before = revoked_meanwhile
    outcome = host.apply(host.order(2, [ALICE, BOB, CAROL], networks=["10.30.0.0/16"]))
    assert "alice/laptop: in the roster of generation 2, but barred on this gateway" in outcome.problems[0]
    assert host.peers == allowed(BOB, CAROL)
