# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""When a build is due, and how often one is tried."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils.model import Decision, Registration, Sign, SweeperState
from dispatcher.due import AWAITED, HOUR, MINUTE, Builds, Due, Look, due, may_try, tries_for

from tests.support.decisions import ACCOUNT, NOW, key, registration
from tests.unit.plugins.module_utils.test_roster_file import FACTS, result, roster

ALICE, BOB = registration(1), registration(2)
CODE = "bundle inventory"
BEGAN = NOW - 30 * MINUTE  # the last build that succeeded
DRIFT = 6 * HOUR
SERVED = Builds(began_at=BEGAN, ended_at=BEGAN + 2 * MINUTE, code=CODE)


def look(
    peers: list[Registration],
    last: list[Registration] | None = None,
    builds: Builds = SERVED,
    **changes: Any,
) -> Look:
    """What the sweeper sees where `peers` are to be and the last run decided for `last`; by default for the same."""
    facts = FACTS._replace(
        decision=Decision(tuple(peers if last is None else last)), signs=changes.pop("signs", FACTS.signs)
    )
    decided = result(roster(peers=peers), facts=facts, **{each: changes.pop(each) for each in ("problems", "awaited")
                                                          if each in changes})  # fmt: skip
    seen = Look(
        decided, decided_at=BEGAN + MINUTE, builds=builds, code=CODE, started_at=BEGAN - DRIFT - HOUR, drift=DRIFT
    )
    return seen._replace(**changes)


def why(seen: Look) -> str:
    found = due(seen, NOW)
    return "" if found is None else found.why


def test_nothing_is_due_where_gateways_have_what_is_decided() -> None:
    assert due(look([ALICE, BOB]), NOW) is None


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
    assert due(look([ALICE], [ALICE, BOB._replace(expires_at=NOW - 1)]), NOW) is None
    assert why(look([ALICE], [ALICE, BOB._replace(expires_at=NOW + 1)])) != ""


@pytest.mark.parametrize(
    ("builds", "reason"),
    [
        (Builds(), "none has succeeded yet"),
        (SERVED._replace(has_failed=True), "the last build failed"),
        (SERVED._replace(ended_at=BEGAN), "a run that was no build"),
        (SERVED._replace(code="bundle another"), "another bundle or inventory"),
        (SERVED._replace(began_at=NOW - DRIFT - 1), "time for a look"),
    ],
)
def test_builds_that_gateways_can_not_have_all_of_are_repeated(builds: Builds, reason: str) -> None:
    assert reason in why(look([ALICE], builds=builds))


def test_builds_whose_variables_codebuild_does_not_tell_are_no_reason() -> None:
    assert due(look([ALICE], builds=SERVED._replace(code="")), NOW) is None


def test_gateway_that_started_since_is_served() -> None:
    assert "a gateway started" in why(look([ALICE], started_at=BEGAN + 1))


def test_renewals_wait_together_until_an_hour_before_the_earliest_old_end() -> None:
    later = BOB._replace(expires_at=NOW + 30 * 24 * HOUR)
    assert due(look([ALICE, later], [ALICE, BOB._replace(expires_at=NOW + HOUR + 1)]), NOW) is None
    assert "another end can't wait for" in why(look([ALICE, later], [ALICE, BOB._replace(expires_at=NOW + HOUR - 1)]))
    endless = BOB._replace(expires_at=None)
    assert "another end" in why(look([endless], [BOB._replace(expires_at=NOW - HOUR)])), "who was off comes back"
    assert due(look([endless], [endless]), NOW) is None


def test_earlier_end_is_told_at_once() -> None:
    endless, sooner = BOB._replace(expires_at=None), BOB._replace(expires_at=NOW + 20 * 24 * HOUR)
    assert "another end" in why(look([sooner], [endless]))
    assert "another end" in why(look([sooner], [sooner._replace(expires_at=NOW + 30 * 24 * HOUR)]))


def test_what_needs_an_operator_and_early_signs_are_a_builds_to_tell() -> None:
    assert "3 removals are held" in why(look([ALICE], problems=["3 removals are held"]))
    assert "early signs" in why(look([ALICE], signs=[Sign(ACCOUNT, "AIDA1", "DeleteLoginProfile", NOW)]))


def test_handout_that_is_about_to_end_is_asked_for_every_10_minutes() -> None:
    """Only a build finds out that it was used."""
    ending, awaited = ALICE._replace(expires_at=NOW + HOUR - 1), frozenset({ALICE.identity})
    seen = look([ending], awaited=awaited)
    assert "a handout is about to end" in why(seen)
    assert due(look([ending]), NOW) is None, "a registration that ends is no handout"
    just_now = SERVED._replace(began_at=NOW - AWAITED + 1)
    assert due(look([ending], awaited=awaited, builds=just_now), NOW) is None
    assert due(look([ending._replace(expires_at=NOW + HOUR + 1)], awaited=awaited), NOW) is None


def tried(looks: list[tuple[float, Look]], lasting: float = 2 * MINUTE) -> list[float]:
    """At which of the looks a build is started that fails after a time."""
    state, started, busy_until = SweeperState(), [], 0.0
    for now, seen in looks:
        found = due(seen, now)
        if found is not None and now >= busy_until and may_try(state, found.goal, now):
            state = state._replace(goal=found.goal, tries=tries_for(state, found.goal, now) + 1, tried_at=now)
            started.append(now)
            busy_until = now + lasting
    return started


@pytest.mark.parametrize(
    "seen",
    [
        look([ALICE], builds=SERVED._replace(has_failed=True)),  # such as for a gateway that doesn't answer
        look([ALICE], problems=["a removal is held"], builds=SERVED._replace(has_failed=True)),
        look([ALICE, BOB], [ALICE]),
    ],
    ids=["a gateway is dead", "a hold", "nothing can be stored"],
)
def test_an_hour_in_which_every_build_fails_has_at_most_7(seen: Look) -> None:
    minutes = [(NOW + number * MINUTE, seen) for number in range(60)]
    assert 4 <= len(tried(minutes)) <= 7
    a_day = [
        (NOW + number * MINUTE, seen._replace(builds=seen.builds._replace(began_at=NOW))) for number in range(24 * 60)
    ]
    assert len(tried(a_day)) <= 7 + 24


def test_a_new_decision_waits_for_no_earlier_try() -> None:
    failing = SERVED._replace(has_failed=True)
    before = [(NOW + number * MINUTE, look([ALICE, BOB], builds=failing)) for number in range(30)]
    after = [(NOW + number * MINUTE, look([ALICE], [ALICE, BOB], builds=failing)) for number in range(30, 32)]
    assert tried([*before, *after])[-1] == NOW + 30 * MINUTE


def test_retry_of_a_decision_that_the_failing_build_has_stored_counts_on() -> None:
    """What was decided is stored before gateways are asked, so that only the build's failure is left to see."""
    first, then = look([ALICE], [ALICE, BOB]), look([ALICE], builds=SERVED._replace(has_failed=True))
    goals = {found.goal for found in (due(first, NOW), due(then, NOW)) if found is not None}
    assert len(goals) == 1


def test_tries_of_long_ago_are_forgotten() -> None:
    state = SweeperState("drift", tries=9, tried_at=NOW - 2 * HOUR)
    assert (tries_for(state, "drift", NOW), may_try(state, "drift", NOW)) == (0, True)
    assert not may_try(state._replace(tried_at=NOW - HOUR + 1), "drift", NOW)
    assert may_try(state._replace(tried_at=NOW - 1), Due("gateway 7", "").goal, NOW)
