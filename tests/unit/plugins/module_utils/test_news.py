# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What a decision says that the one before it didn't."""

from __future__ import annotations

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils.model import Decision, LeftOut, Lifted
from ansible_collections.tracklib.vpn.plugins.module_utils.news import DecisionNews, news
from ansible_collections.tracklib.vpn.plugins.module_utils.roster import Roster
from ansible_collections.tracklib.vpn.plugins.module_utils.whitelist import Reason

from tests.support.decisions import ACCOUNT, NOW, account, block, decided, registration, removed, sweep, user

OPERATOR = f"arn:aws:iam::{ACCOUNT}:user/operator"
BY = {(ACCOUNT, "AIDA1", "laptop"): OPERATOR}
LIFTED = [
    Lifted(block(1, device="laptop"), "found", NOW - 5, OPERATOR),
    Lifted(block(1), "came back", NOW - 9, OPERATOR),
    Lifted(block(1, device="phone"), "found", NOW, OPERATOR),
    Lifted(block(2), "another", NOW, OPERATOR),
]


def of(before: Decision, roster: Roster) -> dict[str, list[tuple[str, str]]]:
    """The changes by their kind, each as name and cause."""
    found: DecisionNews = news(before, roster, BY, lambda: LIFTED)
    return {kind: [(each.name, each.cause) for each in listed] for kind, listed in found._asdict().items() if listed}


def left_out(number: int, reason: str) -> LeftOut:
    return LeftOut(ACCOUNT, f"AIDA{number}", "laptop", reason)


ONE = decided([account(sweep(user(1)))], [registration(1)])


def test_same_decision_is_no_news() -> None:
    assert of(ONE.decision, ONE) == {}
    blocked = decided([account(sweep(user(1)))], [registration(1)], blocks=[block(1)])
    assert of(blocked.decision, blocked) == {}


def test_new_device_was_registered() -> None:
    assert of(Decision(left_out=()), ONE) == {"joined": [("user1/laptop", f"registered by {OPERATOR}")]}


@pytest.mark.parametrize(
    ("reason", "cause"),
    [
        ("blocked", f"unblocked by {OPERATOR}: found"),
        ("not_in_group", "in a group that grants access again"),
        ("tombstoned", "in IAM again"),
        ("expired", f"renewed by {OPERATOR}"),
        ("of a later version", f"registered by {OPERATOR}"),
    ],
)
def test_device_that_was_left_out_is_back_because_that_ended(reason: str, cause: str) -> None:
    before = Decision(left_out=(left_out(1, reason),))
    assert of(before, ONE) == {"joined": [("user1/laptop", cause)]}


@pytest.mark.parametrize("reason", Reason)
def test_each_reason_has_words_for_its_end(reason: Reason) -> None:
    (joined,) = of(Decision(left_out=(left_out(1, reason.value),)), ONE)["joined"]
    assert joined[1] != f"registered by {OPERATOR}"


def test_peer_that_is_none_any_more_left_for_the_decisions_reason() -> None:
    blocked = decided([account(sweep(user(1)))], [registration(1)], blocks=[block(1)], peers=[registration(1)])
    assert of(ONE.decision, blocked) == {"left": [("user1/laptop", "user blocked: left (since 2027-01-15T08:00:00Z)")]}


def test_peer_whose_registration_somebody_removed_left_for_that() -> None:
    gone = decided([account(sweep(user(1)))], [], removals=[removed(1)], peers=[registration(1)])
    assert of(ONE.decision, gone) == {"left": [("user1/laptop", "its registration was removed")]}


def test_who_was_no_peer_is_left_out_anew_once_for_each_reason() -> None:
    expired = registration(1, expires_at=NOW - 1)
    roster = decided([account(sweep(user(1)))], [expired])
    said = {"left_out": [("user1/laptop", "the registration expired; renew it")]}
    assert of(Decision(left_out=()), roster) == said
    assert of(Decision(left_out=(left_out(1, "blocked"),)), roster) == said
    assert of(Decision(left_out=(left_out(1, "expired"),)), roster) == {}


def test_who_is_left_out_is_no_news_where_the_last_decision_did_not_say_who_was() -> None:
    roster = decided([account(sweep(user(1)))], [registration(1, expires_at=NOW - 1)])
    assert of(Decision(), roster) == {}
