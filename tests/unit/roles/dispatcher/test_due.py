# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""When a build is due, and how often one is tried."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils.model import (
    Decision,
    Registration,
    Sign,
    SweeperState,
    Tries,
)
from dispatcher.due import (
    AWAITED,
    FAILED,
    HOUR,
    MINUTE,
    SKEW,
    Builds,
    Look,
    after_try,
    due,
    may_try,
    without_old_tries,
)

from tests.support.decisions import ACCOUNT, NOW, key, registration
from tests.unit.plugins.module_utils.test_roster_file import FACTS, result, roster

ALICE, BOB = registration(1), registration(2)
CODE = "bundle inventory"
BEGAN = NOW - 30 * MINUTE  # the last build that succeeded
DRIFT = 6 * HOUR
SERVED = Builds(began_at=BEGAN, succeeded="build-1", code=CODE)


def look(
    peers: list[Registration],
    last: list[Registration] | None = None,
    builds: Builds = SERVED,
    **changes: Any,
) -> Look:
    """What the sweeper sees where `peers` are to be and the last run decided for `last`; by default for the same."""
    decision = Decision(tuple(peers if last is None else last), made_by=changes.pop("made_by", "build-1"))
    facts = FACTS._replace(decision=decision, signs=changes.pop("signs", FACTS.signs))
    decided = result(roster(peers=peers), facts=facts, **{each: changes.pop(each) for each in ("problems", "awaited")
                                                          if each in changes})  # fmt: skip
    seen = Look(
        decided, decided_at=BEGAN + MINUTE, builds=builds, code=CODE, started_at=BEGAN - DRIFT - HOUR, drift=DRIFT
    )
    return seen._replace(**changes)


def why(seen: Look) -> str:
    return "; ".join(each.why for each in due(seen, NOW))


def test_nothing_is_due_where_gateways_have_what_is_decided() -> None:
    assert due(look([ALICE, BOB]), NOW) == []


@pytest.mark.parametrize(
    ("peers", "last"),
    [
        ([ALICE, BOB], [ALICE]),
        ([ALICE], [ALICE, BOB]),
        ([ALICE, BOB._replace(public_key=key(9))], [ALICE, BOB]),
        ([ALICE, BOB._replace(addresses=("10.44.0.99",))], [ALICE, BOB]),
        ([ALICE, BOB._replace(user_name="robert")], [ALICE, BOB]),
    ],
)
def test_another_decision_is_due_at_once_and_names_whom(peers: list[Registration], last: list[Registration]) -> None:
    assert why(look(peers, last)) in {
        f"the decision is another one for {label}" for label in (BOB.label, f"robert/{BOB.device}")
    }


def test_many_are_named_in_part() -> None:
    joined = [registration(number) for number in range(10, 17)]
    assert why(look([ALICE, *joined], [ALICE])).endswith("user14/laptop and 2 more")


def test_who_expired_is_off_without_a_build() -> None:
    assert due(look([ALICE], [ALICE, BOB._replace(expires_at=NOW - 1)]), NOW) == []
    assert why(look([ALICE], [ALICE, BOB._replace(expires_at=NOW + 1)])) != ""


@pytest.mark.parametrize(
    ("builds", "reason"),
    [
        (Builds(), "none has succeeded yet"),
        (SERVED._replace(has_failed=True), "the last build failed"),
        (SERVED._replace(code="bundle another"), "another bundle or inventory"),
        (SERVED._replace(began_at=NOW - DRIFT - 1), "time for a look"),
    ],
)
def test_builds_that_gateways_can_not_have_all_of_are_repeated(builds: Builds, reason: str) -> None:
    assert reason in why(look([ALICE], builds=builds))


def test_builds_whose_variables_codebuild_does_not_tell_are_no_reason() -> None:
    assert due(look([ALICE], builds=SERVED._replace(code="")), NOW) == []


def test_gateway_that_started_since_is_served() -> None:
    assert "a gateway started" in why(look([ALICE], started_at=BEGAN + 1))


def test_renewals_wait_together_until_an_hour_before_the_earliest_old_end() -> None:
    later = BOB._replace(expires_at=NOW + 30 * 24 * HOUR)
    assert due(look([ALICE, later], [ALICE, BOB._replace(expires_at=NOW + HOUR + 1)]), NOW) == []
    assert "another end can't wait for" in why(look([ALICE, later], [ALICE, BOB._replace(expires_at=NOW + HOUR - 1)]))
    endless = BOB._replace(expires_at=None)
    assert "another end" in why(look([endless], [BOB._replace(expires_at=NOW - HOUR)])), "who was off comes back"
    assert due(look([endless], [endless]), NOW) == []


def test_earlier_end_is_told_at_once() -> None:
    endless, sooner = BOB._replace(expires_at=None), BOB._replace(expires_at=NOW + 20 * 24 * HOUR)
    assert "another end" in why(look([sooner], [endless]))
    assert "another end" in why(look([sooner], [sooner._replace(expires_at=NOW + 30 * 24 * HOUR)]))


def test_what_needs_an_operator_and_early_signs_are_a_builds_to_tell() -> None:
    assert "3 removals are held" in why(look([ALICE], problems=["3 removals are held"]))
    assert "early signs" in why(look([ALICE], signs=[Sign(ACCOUNT, "AIDA1", "DeleteLoginProfile", NOW)]))
    known = Sign(ACCOUNT, "AIDA1", "DeleteLoginProfile", BEGAN - 1)
    assert due(look([ALICE], signs=[known]), NOW) == [], "which builds have warned of"


def test_handout_that_is_about_to_end_is_asked_for_every_10_minutes() -> None:
    """Only a build finds out that it was used."""
    ending, awaited = ALICE._replace(expires_at=NOW + HOUR - 1), frozenset({ALICE.identity})
    seen = look([ending], awaited=awaited)
    assert "a handout is about to end" in why(seen)
    assert due(look([ending]), NOW) == [], "a registration that ends is no handout"
    just_now = SERVED._replace(began_at=NOW - AWAITED + 1)
    assert due(look([ending], awaited=awaited, builds=just_now), NOW) == []
    assert due(look([ending._replace(expires_at=NOW + HOUR + 1)], awaited=awaited), NOW) == []


@pytest.mark.parametrize(
    ("made_by", "decided_at", "is_due"),
    [
        ("build-1", BEGAN + 1, False),  # the build's own
        ("build-0", BEGAN - 1, False),  # which it has read
        ("build-2", BEGAN + 1, True),
        ("", BEGAN + 1, True),  # an operator's, while the build ran
        ("", BEGAN - SKEW + 1, True),  # perhaps, by a clock that is behind
        ("", BEGAN - SKEW - 1, False),
        ("", 0, False),  # nobody knows when
    ],
)
def test_decision_that_the_last_build_may_not_have_seen_is_due(made_by: str, decided_at: float, is_due: bool) -> None:
    assert bool(due(look([ALICE], made_by=made_by, decided_at=decided_at), NOW)) is is_due


def started(looks: list[tuple[float, Look]], lasting: float = 2 * MINUTE) -> list[float]:
    """At which of the looks a build is started that fails after a time."""
    state, at, busy_until = SweeperState(), [], 0.0
    for now, seen in looks:
        goals = [each.goal for each in due(seen, now)]
        state = without_old_tries(state, seen.builds, now)
        if now >= busy_until and any(may_try(state, goal, now) for goal in goals):
            state = after_try(state, goals, now)
            at.append(now)
            busy_until = now + lasting
    return at


FAILING = SERVED._replace(has_failed=True)


@pytest.mark.parametrize(
    "seen",
    [
        look([ALICE], builds=FAILING),  # such as for a gateway that doesn't answer
        look([ALICE], problems=["a removal is held"], builds=FAILING),
        look([ALICE, BOB], [ALICE]),
        look([ALICE], builds=Builds()),
    ],
    ids=["a gateway is dead", "a hold", "nothing can be stored", "none has succeeded"],
)
def test_an_hour_in_which_every_build_fails_has_at_most_7(seen: Look) -> None:
    minutes = [(NOW + number * MINUTE, seen) for number in range(60)]
    assert 4 <= len(started(minutes)) <= 7
    a_day = [(NOW + number * MINUTE, seen._replace(drift=48 * HOUR)) for number in range(24 * 60)]
    assert len(started(a_day)) <= 7 + 24


def test_expiries_make_no_new_goal_of_a_failing_build() -> None:
    many = [registration(number)._replace(expires_at=NOW + number * 3 * MINUTE) for number in range(1, 20)]
    looks = []
    for number in range(60):
        now = NOW + number * MINUTE
        left = [each for each in many if not each.has_expired(now)]
        looks.append((now, look(left, many, builds=FAILING)))
    assert len(started(looks)) <= 7


@pytest.mark.parametrize(
    "other",
    [
        {"peers": [ALICE], "last": [ALICE, BOB]},
        {"builds": FAILING._replace(code="bundle another")},
        {"started_at": NOW},
        {"peers": [ALICE, BOB._replace(expires_at=NOW + 5 * MINUTE)]},
        {"problems": ["a removal is held"]},
        {"signs": [Sign(ACCOUNT, "AIDA1", "DeleteLoginProfile", NOW)]},
        {"peers": [ALICE, BOB._replace(expires_at=NOW + 50 * MINUTE)], "awaited": frozenset({BOB.identity})},
    ],
    ids=["decision", "code", "gateway", "end", "problem", "sign", "handout"],
)
def test_another_reason_waits_for_no_earlier_try(other: dict[str, Any]) -> None:
    before = [(NOW + number * MINUTE, look([ALICE, BOB], builds=FAILING)) for number in range(20)]
    then = look(**{"peers": [ALICE, BOB], "last": [ALICE, BOB], "builds": FAILING, **other})
    assert started(before)[-1] < NOW + 19 * MINUTE
    assert started([*before, (NOW + 20 * MINUTE, then)])[-1] == NOW + 20 * MINUTE


def test_tries_are_forgotten_in_time_and_those_for_a_failure_once_a_build_succeeds() -> None:
    state = SweeperState({FAILED: Tries(9, BEGAN - 1), "drift": Tries(9, NOW - HOUR), "code": Tries(1, NOW - 2 * HOUR)})
    assert without_old_tries(state, FAILING, NOW).tried.keys() == {FAILED, "drift"}
    assert without_old_tries(state, SERVED, NOW).tried.keys() == {"drift"}
    running = SERVED._replace(began_at=BEGAN - 2)
    assert without_old_tries(state, running, NOW).tried.keys() == {FAILED, "drift"}, "how it goes isn't known yet"
    assert may_try(state, "drift", NOW)
    assert not may_try(state, "drift", NOW - 1)
