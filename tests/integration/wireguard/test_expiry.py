# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Expired peers go by themselves, and neither a run, a reload nor a start brings them back (R2)."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tests.support.wireguard_host import Host, Person, allowed, held, key

STARTED = int(time.time())
EXPIRY = STARTED + 6 * 3600  # by the clock of the unit's program, too, which starts the interface
ALICE, BOB, CAROL = (Person(name, number) for number, name in enumerate(("alice", "bob", "carol"), 1))
ALICE = ALICE._replace(expires_at=EXPIRY)
RENEWED = ALICE._replace(expires_at=EXPIRY + 1000)
REMOVE_ALICE = ["peer", key(ALICE.number), "remove"]


class Killed(BaseException):
    """The process ends here."""


@pytest.fixture(autouse=True)
def clock(host: Host) -> None:
    """The gateway's clock is right."""
    host.now = STARTED


@pytest.fixture
def overdue(host: Host) -> Host:
    """A gateway with two peers, one of whom has expired since, by its own clock."""
    host.apply(host.order(1, [ALICE, BOB]))
    host.now = EXPIRY
    return host


def _without_alice(host: Host) -> None:
    assert host.peers == allowed(BOB)
    assert key(ALICE.number) not in host.site.config.read_text()


def _reasons(host: Host) -> list[tuple[str, str, int | None]]:
    return [(removal.name, removal.reason, removal.removed_at) for removal in host.state.removals]


def test_nobody_is_taken_off_before_the_time(host: Host) -> None:
    host.apply(host.order(1, [ALICE, BOB]))
    before = host.files()
    host.now = EXPIRY - 1
    outcome = host.expire()
    assert (outcome.changed, outcome.problems, host.run.changes) == (False, [], [])
    differing = {path for path, found in host.files().items() if before[path] != found}
    assert (differing, host.peers) == ({str(host.site.next_expiry)}, allowed(ALICE, BOB))


def test_r2_expired_peer_is_taken_off_without_a_roster_and_r7_nobody_else_is_mentioned(overdue: Host) -> None:
    outcome = overdue.expire()
    assert (outcome.removed, outcome.problems) == (["alice/laptop"], [])
    _without_alice(overdue)
    assert overdue.run.changes == [["wg", "set", overdue.name, *REMOVE_ALICE]]
    assert _reasons(overdue) == [("alice/laptop", "expired", EXPIRY)]
    assert outcome.removals == list(overdue.state.removals)
    again = overdue.expire()
    assert (again.changed, overdue.run.changes) == (False, [])


@pytest.mark.parametrize("in_the_roster", [True, False])
def test_r8_what_expired_is_no_drift_to_the_next_run(overdue: Host, in_the_roster: bool) -> None:
    overdue.expire()
    outcome = overdue.apply(overdue.order(2, [ALICE, BOB] if in_the_roster else [BOB]))
    assert (outcome.changed, outcome.repaired, outcome.problems, overdue.run.changes) == (False, [], [], [])
    assert outcome.expired == (["alice/laptop"] if in_the_roster else [])
    _without_alice(overdue)


def test_r2_apply_takes_off_whom_the_roster_still_has(overdue: Host) -> None:
    planned = overdue.apply(overdue.order(2, [ALICE, BOB, CAROL]), check_mode=True)
    assert (planned.removed, planned.expired, overdue.run.changes) == (["alice/laptop"], ["alice/laptop"], [])
    assert [removal.reason for removal in planned.removals] == ["expired"]
    outcome = overdue.apply(overdue.order(2, [ALICE, BOB, CAROL]))
    assert (outcome.removed, outcome.added, outcome.problems) == (["alice/laptop"], ["carol/laptop"], [])
    assert overdue.peers == allowed(BOB, CAROL)
    assert _reasons(overdue) == [("alice/laptop", "expired", EXPIRY)]
    assert key(ALICE.number) not in overdue.site.config.read_text()


def test_r2_who_is_past_the_time_never_gets_on_the_device(host: Host) -> None:
    host.apply(host.order(1, [BOB]))
    host.now = EXPIRY
    outcome = host.apply(host.order(2, [ALICE, BOB]))
    assert (outcome.changed, outcome.expired, outcome.removals) == (False, ["alice/laptop"], [])
    assert not any(key(ALICE.number) in text for text in [*host.run.inputs, *map(str, host.run.calls)])
    _without_alice(host)


def test_renewal_brings_the_peer_back_with_the_same_address(overdue: Host) -> None:
    overdue.expire()
    outcome = overdue.apply(overdue.order(2, [RENEWED, BOB]))
    assert (outcome.added, outcome.removed, outcome.repaired, outcome.problems) == (["alice/laptop"], [], [], [])
    assert overdue.peers == allowed(RENEWED, BOB)
    assert overdue.expire().changed is False


def test_r7_renewal_that_comes_before_the_removal_is_not_noticed(overdue: Host) -> None:
    outcome = overdue.apply(overdue.order(2, [RENEWED, BOB]))
    assert (outcome.settings, outcome.removed, outcome.added, outcome.updated) == (["file"], [], [], {})
    assert overdue.run.changes == []
    assert overdue.expire().changed is False
    assert overdue.peers == allowed(RENEWED, BOB)
    overdue.now = EXPIRY + 1000
    assert overdue.expire().removed == ["alice/laptop"]


def test_r4_expiry_waits_for_no_run(overdue: Host) -> None:
    with held(overdue.site.apply_lock):
        assert overdue.expire().problems == []
    _without_alice(overdue)


def test_expiry_says_who_keeps_it_waiting(overdue: Host) -> None:
    with held(overdue.site.state_lock) as process:
        (problem,) = overdue.expire().problems
    assert f"was held by process {process}" in problem


def test_expiry_in_the_middle_of_an_apply_is_not_undone_by_it(host: Host) -> None:
    host.apply(host.order(1, [ALICE, BOB]))

    def expired_meanwhile(args: list[str]) -> None:
        if args[:2] == ["nft", "-c"]:
            host.run.before = lambda _args: None
            host.now = EXPIRY
            host.expire()

    host.run.before = expired_meanwhile
    outcome = host.apply(host.order(2, [ALICE, BOB, CAROL], networks=["10.30.0.0/16"]))
    assert (outcome.problems, outcome.repaired, outcome.added, outcome.removed) == ([], [], ["carol/laptop"], [])
    assert host.peers == allowed(BOB, CAROL)
    assert _reasons(host) == [("alice/laptop", "expired", EXPIRY)]


@pytest.mark.parametrize("sent", [False, True])
def test_killed_expiry_is_completed_by_the_next(overdue: Host, sent: bool) -> None:
    def killed(args: list[str]) -> None:
        if "remove" in args:
            if sent:
                overdue.sh(*args)
            raise Killed

    overdue.run.before = killed
    with pytest.raises(Killed):
        overdue.expire()
    overdue.run.before = lambda _args: None
    assert overdue.peers == (allowed(BOB) if sent else allowed(ALICE, BOB))
    assert _reasons(overdue) == [("alice/laptop", "expired", None)]
    overdue.now += 5
    assert overdue.expire().removed == ([] if sent else ["alice/laptop"])
    _without_alice(overdue)
    assert _reasons(overdue) == [("alice/laptop", "expired", EXPIRY + 5)]


@pytest.mark.parametrize("state", [None, "{"])
def test_expiry_needs_no_state(overdue: Host, state: str | None) -> None:
    if state is None:
        overdue.site.state.unlink()
    else:
        overdue.site.state.write_text(state)
    outcome = overdue.expire()
    assert (outcome.removed, outcome.problems) == (["alice/laptop"], [])
    assert len(outcome.repaired) == (state is not None)
    _without_alice(overdue)
    assert _reasons(overdue) == [("alice/laptop", "expired", EXPIRY)]
    again = overdue.apply(overdue.order(2, [BOB]))
    assert (again.problems, again.repaired, again.added, again.removed) == ([], [], [], [])


def test_expiry_of_an_edited_file_leaves_it_an_edited_file(overdue: Host) -> None:
    overdue.site.config.write_text(overdue.site.config.read_text() + "# mine\n")
    assert overdue.expire().removed == ["alice/laptop"]
    _without_alice(overdue)
    assert "is not what the last apply left" in overdue.program("reload").stderr
    assert overdue.apply(overdue.order(2, [BOB])).repaired == ["file not as the last apply left it"]


@pytest.fixture
def by_the_real_clock(host: Host) -> Host:
    """A gateway whose first peer has expired meanwhile, by the clock that its programs have."""
    host.apply(host.order(1, [BOB._replace(expires_at=EXPIRY)]))
    host.now = STARTED - 100
    host.apply(host.order(2, [ALICE._replace(expires_at=STARTED - 1), BOB._replace(expires_at=EXPIRY)]))
    assert len(host.peers) == 2
    return host


def test_program_takes_off_who_has_expired_and_logs_the_name(by_the_real_clock: Host) -> None:
    done = by_the_real_clock.program("watch")
    name = by_the_real_clock.name
    assert (done.returncode, done.stderr) == (0, f"{name}: removed alice/laptop: its registration has expired\n")
    _without_alice(by_the_real_clock)


def test_program_that_cannot_do_its_work_says_so_and_fails(by_the_real_clock: Host) -> None:
    by_the_real_clock.site.config.with_name(f".{by_the_real_clock.site.config.name}.new").mkdir()
    done = by_the_real_clock.program("watch")
    assert done.returncode == 1
    assert "only removals from the live device were done (alice/laptop)" in done.stderr
    assert by_the_real_clock.peers == allowed(BOB)


def test_reload_takes_off_who_has_expired(by_the_real_clock: Host) -> None:
    assert by_the_real_clock.program("reload").returncode == 0
    _without_alice(by_the_real_clock)
    assert [removal.reason for removal in by_the_real_clock.state.removals] == ["expired"]


@pytest.mark.parametrize("unwritable", [[], ["config"], ["config", "state"]])
def test_start_leaves_out_who_has_expired_whatever_can_be_written(
    by_the_real_clock: Host, unwritable: list[str]
) -> None:
    host = by_the_real_clock
    host.sh("ip", "link", "del", host.name)
    for file in unwritable:
        path: Path = getattr(host.site, file)
        path.with_name(f".{path.name}.new").mkdir()
    done = host.program("up")
    assert done.returncode == 0, done.stderr
    assert "WITHOUT PEERS" not in done.stderr
    assert host.peers == allowed(BOB)


def test_timer_starts_the_program_only_when_there_is_something_to_do(by_the_real_clock: Host) -> None:
    host = by_the_real_clock
    assert host.timer_starts_program()  # nobody has looked yet
    host.program("watch")
    assert not host.timer_starts_program()
    _later, digest = host.site.next_expiry.read_text().split()
    host.site.next_expiry.write_text(f"{int(time.time())} {digest}\n")
    assert host.timer_starts_program()
    for damage in ("", "soon\n", f"soon {digest}\n", "9999999999\n"):
        host.site.next_expiry.write_text(damage)
        assert host.timer_starts_program()
    host.program("watch")
    assert not host.timer_starts_program()
    host.site.config.write_text(host.site.config.read_text())
    assert not host.timer_starts_program()


@pytest.mark.parametrize("apart", [-60, 60, 30 * 24 * 3600])
def test_r12_new_configuration_is_looked_at_whatever_the_times_of_files_are(
    by_the_real_clock: Host, apart: int
) -> None:
    """As a clock leaves them that was ahead, and was set right."""
    host = by_the_real_clock
    host.program("watch")
    at = time.time() + apart
    for file in (host.site.next_expiry, host.site.seen):
        os.utime(file, (at, at))
    assert not host.timer_starts_program()
    host.site.config.write_text(host.site.config.read_text() + "# changed\n")
    assert host.timer_starts_program()


def _next_expiry(host: Host) -> int:
    return int(host.site.next_expiry.read_text().split()[0])


def test_next_expiry_is_the_earliest_of_all_that_are_left(host: Host) -> None:
    host.apply(host.order(1, [RENEWED, ALICE._replace(number=9), BOB]))
    host.expire()
    assert _next_expiry(host) == EXPIRY
    host.now = EXPIRY
    host.expire()
    assert _next_expiry(host) == EXPIRY + 1000
    host.now = EXPIRY + 1000
    host.expire()
    assert _next_expiry(host) > 2**33
