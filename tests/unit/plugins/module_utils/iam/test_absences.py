# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What IAM says of users whom a complete sweep no longer lists (R4, confirmed revocation)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils.aws import AWSCallError
from ansible_collections.tracklib.vpn.plugins.module_utils.iam.absences import ask
from ansible_collections.tracklib.vpn.plugins.module_utils.whitelist import Absences

from tests.support.decisions import ACCOUNT, sweep, user, users
from tests.support.iam_client import Iam, error


def asked(iam: Iam, *, listed: Iterable[int], expected: Iterable[int], registered: Iterable[int] = ()) -> Absences:
    """Ask about who is expected and not listed; each had the name of the same number."""
    names = {f"AIDA{number}": f"user{number}" for number in expected}
    return ask(cast(Any, iam), sweep(*users(listed)), names, [f"AIDA{number}" for number in registered])


def test_nobody_is_asked_for_who_is_listed() -> None:
    iam = Iam()
    assert asked(iam, listed=(1, 2), expected=(1, 2)) == Absences()
    assert iam.asked == []


def test_r4_absent_user_of_whose_name_iam_has_none_is_confirmed() -> None:
    iam = Iam(users((1, 2)))
    assert asked(iam, listed=(1, 2), expected=(1, 2, 3)) == Absences(confirmed=frozenset({"AIDA3"}))
    assert iam.asked == ["user3"]


def test_r1_absent_user_whose_name_another_id_has_is_confirmed() -> None:
    again = user(9, user_name="user3")
    iam = Iam([*users((1, 2)), again])
    assert asked(iam, listed=(1, 2, 9), expected=(1, 3)).confirmed == {"AIDA3"}


def test_r3_absent_user_whom_iam_names_makes_the_sweep_incomplete() -> None:
    iam = Iam(unlisted=users((2, 3)))
    sentence = rf"IAM has user3 \(AIDA3\), whom the sweep of account {ACCOUNT} left out; run it again"
    with pytest.raises(AWSCallError, match=sentence):
        asked(iam, listed=(1, 2), expected=(1, 2, 3, 4))


@pytest.mark.parametrize("count", [2, 5])
@pytest.mark.parametrize("exist", [True, False])
def test_r4_if_all_are_absent_all_are_held_whatever_iam_says_of_each(count: int, exist: bool) -> None:
    """A directory that answers with success and nothing."""
    iam = Iam(unlisted=users(range(count)) if exist else [])
    found = asked(iam, listed=(), expected=range(count))
    sentence = (
        f"the sweep of account {ACCOUNT} lists 0 users, and none of the {count} who have devices: their removal is "
        "held, whatever IAM says of each"
    )
    assert found == Absences(held=frozenset(f"AIDA{number}" for number in range(count)), problems=(sentence,))
    assert iam.asked == []


def test_r4_all_are_absent_also_when_the_sweep_lists_strangers() -> None:
    assert asked(Iam(), listed=(7, 8, 9), expected=(1, 2)).held == {"AIDA1", "AIDA2"}


def test_r4_peers_who_are_all_absent_are_asked_for_while_another_user_with_a_device_is_listed() -> None:
    """Their deletion is confirmed revocation, which goes through."""
    found = asked(Iam(), listed=(3,), expected=(1, 2), registered=(1, 2, 3))
    assert found == Absences(confirmed=frozenset({"AIDA1", "AIDA2"}))


def test_r4_only_peer_is_held_if_all_who_have_devices_are_absent() -> None:
    assert asked(Iam(), listed=(), expected=(1,), registered=(1, 2)).held == {"AIDA1"}


def test_r4_only_user_with_a_device_is_asked_for() -> None:
    assert asked(Iam(), listed=(), expected=(1,)) == Absences(confirmed=frozenset({"AIDA1"}))


@pytest.mark.parametrize("code", ["AccessDenied", "Throttling"])
def test_r4_user_about_whom_the_question_fails_is_unexplained_and_a_problem(code: str) -> None:
    iam = Iam(refusing={"get_user user3": error(code)})
    found = asked(iam, listed=(1,), expected=(1, 2, 3, 4))
    assert (found.confirmed, found.held) == (frozenset({"AIDA2", "AIDA4"}), frozenset())
    (problem,) = found.problems
    assert problem.startswith(
        f"1 users of account {ACCOUNT} are absent from a complete sweep, and IAM didn't say whether they are deleted: "
    )
    assert "iam:GetUser on user user3" in problem


def test_r4_questions_end_after_three_failures() -> None:
    """Each may have taken all its retries, and confirmed revocations wait for the run."""
    iam = Iam(refusing={"get_user": error("Throttling")})
    found = asked(iam, listed=(0,), expected=range(11))
    assert len(iam.asked) == 3
    assert (found.confirmed, found.held) == (frozenset(), frozenset())
    assert found.problems[0].startswith(f"10 users of account {ACCOUNT}")


def test_first_of_several_failures_is_told() -> None:
    iam = Iam(refusing={"get_user user2": error("AccessDenied"), "get_user user3": error("Throttling")})
    (problem,) = asked(iam, listed=(1,), expected=(1, 2, 3)).problems
    assert problem.startswith("2 users")
    assert "access denied" in problem


def test_r4_of_101_absent_users_100_are_asked_for_and_the_rest_is_held() -> None:
    iam = Iam()
    found = asked(iam, listed=(0,), expected=range(102))
    assert len(iam.asked) == len(found.confirmed) == 100
    assert found.held == {"AIDA101"}
    (problem,) = found.problems
    assert problem == (
        f"101 users of account {ACCOUNT} are absent at once; 100 are asked for in a run, the removal of the other 1 is "
        "held until the next ones"
    )


def test_100_absent_users_are_all_asked_for() -> None:
    found = asked(Iam(), listed=(0,), expected=range(101))
    assert (len(found.confirmed), found.held, found.problems) == (100, frozenset(), ())


def test_what_the_client_raises_besides_is_not_taken_for_an_answer() -> None:
    with pytest.raises(ZeroDivisionError):
        asked(Iam(refusing={"get_user": ZeroDivisionError()}), listed=(1,), expected=(1, 2))
