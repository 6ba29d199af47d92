# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What becomes of a run when IAM is silent, wrong or empty, and of the next one.

R3, partial knowledge; R4, confirmed revocation; R17, one bad item costs itself alone.
"""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils.aws import AWSCallError
from ansible_collections.tracklib.vpn.plugins.module_utils.model import Decision
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.dynamodb import Table
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.table import Registry
from ansible_collections.tracklib.vpn.plugins.module_utils.run import AccountToSweep
from botocore.parsers import ResponseParserError

from tests.support.decisions import (
    ACCOUNT,
    OTHER,
    block,
    details,
    held,
    key,
    names,
    reasons,
    registration,
    sweep,
    tombstone,
    user,
    users,
)
from tests.support.iam_client import Iam, error
from tests.support.runs import BOTH, made, register
from tests.support.tables import NOW, TABLE, Clock

SWEEP = "get_account_authorization_details"
ELSEWHERE = user(9, account_id=OTHER)


def begin(registry: Registry, *numbers: int) -> None:
    """Make these users' laptops peers, and one of the other account."""
    register(registry, *numbers)
    register(registry, 9, account_id=OTHER)
    done = made(registry, {ACCOUNT: Iam(users(numbers)), OTHER: Iam([ELSEWHERE])}, options=BOTH)
    assert (done.problems, len(done.roster.peers)) == ([], len(numbers) + 1)


# -- sweeps that are incomplete


@pytest.mark.parametrize(
    ("raised", "words"),
    [
        (AWSCallError("access denied: no role"), "access denied: no role"),
        (error("Throttling"), "Throttling"),
        (ResponseParserError("<html>"), "<html>"),
        (KeyError("Users"), "KeyError: 'Users'"),
        (ZeroDivisionError("?"), "ZeroDivisionError: ?"),
        (OSError("reset"), "OSError: reset"),
    ],
    ids=repr,
)
@pytest.mark.parametrize("where", ["client", "sweep"])
def test_r3_whatever_goes_wrong_with_a_sweep_costs_its_account_the_sweep_and_nothing_else(
    registry: Registry, where: str, raised: Exception, words: str
) -> None:
    begin(registry, 1, 2)

    def iam_of(account: AccountToSweep) -> Iam:
        if account.account_id == OTHER:
            return Iam()  # its only user is gone
        if where == "client":
            raise raised
        return Iam(refusing={SWEEP: raised})

    done = made(registry, iam_of, options=BOTH)
    assert names(done.roster) == ["user1/laptop", "user2/laptop"]
    (problem,) = done.problems
    assert problem.startswith(f"the sweep of account {ACCOUNT} is incomplete, the last complete one decided: ")
    assert words in problem
    assert [leaver.account_id for leaver in done.roster.leavers] == [OTHER]
    assert registry.facts().sweeps[ACCOUNT].users.keys() == {"AIDA1", "AIDA2"}


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"IsTruncated": False},
        {"UserDetailList": []},
        {"UserDetailList": [], "IsTruncated": True},
        {"UserDetailList": [{"UserName": "user1"}], "IsTruncated": False},
        {"UserDetailList": [None], "IsTruncated": False},
        None,
    ],
    ids=str,
)
def test_r3_foreign_answer_is_an_incomplete_sweep(registry: Registry, answer: Any) -> None:
    begin(registry, 1, 2)
    iam = Iam()
    iam.get_account_authorization_details = lambda **_request: answer  # type: ignore[method-assign]  # that is the point
    done = made(registry, {ACCOUNT: iam, OTHER: Iam([ELSEWHERE])}, options=BOTH)
    assert len(done.roster.peers) == 3
    assert [problem.partition(":")[0] for problem in done.problems] == [
        f"the sweep of account {ACCOUNT} is incomplete, the last complete one decided"
    ]
    assert len(registry.facts().sweeps[ACCOUNT].users) == 2


def test_r3_incomplete_sweep_stops_no_revocation_of_its_account(registry: Registry) -> None:
    begin(registry, 1, 2, 3)
    registry.write_tombstone(tombstone(1, event_time=NOW))
    registry.block(block(2))
    done = made(registry, {ACCOUNT: Iam(refusing={SWEEP: error("Throttling")}), OTHER: Iam([ELSEWHERE])}, options=BOTH)
    assert reasons(done.roster) == {"user1/laptop": "tombstoned", "user2/laptop": "blocked"}


# -- users who are absent


@pytest.mark.parametrize("count", [2, 5])
def test_r4_empty_answer_holds_all_devices_whatever_iam_says_of_each(registry: Registry, count: int) -> None:
    begin(registry, *range(count))
    empty = Iam()
    done = made(registry, {ACCOUNT: empty, OTHER: Iam([ELSEWHERE])}, options=BOTH)
    assert len(done.roster.held) == count
    assert (empty.asked, done.roster.leavers, registry.tombstones()) == ([], [], [])
    assert done.problems[0].startswith(
        f"the sweep of account {ACCOUNT} lists 0 users, and none of the {count} who have"
    )


def test_r3_who_is_held_for_an_empty_answer_stays_when_the_next_sweep_is_incomplete(registry: Registry) -> None:
    """The empty sweep is the last complete one then; two of seven are few enough to go."""
    begin(registry, 1, 2)
    register(registry, *range(10, 14), account_id=OTHER)
    elsewhere = Iam([ELSEWHERE, *users(range(10, 14), account_id=OTHER)])
    assert len(made(registry, {ACCOUNT: Iam(), OTHER: elsewhere}, options=BOTH).roster.held) == 2
    throttled = Iam(refusing={SWEEP: error("Throttling")})
    assert held(made(registry, {ACCOUNT: throttled, OTHER: elsewhere}, options=BOTH).roster) == [
        "user1/laptop",
        "user2/laptop",
    ]
    back = made(registry, {ACCOUNT: Iam(users((1, 2))), OTHER: elsewhere}, options=BOTH)
    assert (back.problems, len(back.roster.peers)) == ([], 7)


def test_r3_iam_naming_an_absent_user_makes_the_sweep_incomplete(registry: Registry) -> None:
    begin(registry, 1, 2)
    done = made(registry, {ACCOUNT: Iam([user(1)], unlisted=[user(2)]), OTHER: Iam([ELSEWHERE])}, options=BOTH)
    assert len(done.roster.peers) == 3
    (problem,) = done.problems
    assert problem == (
        f"the sweep of account {ACCOUNT} is incomplete, the last complete one decided: IAM has user2 (AIDA2), whom the "
        f"sweep of account {ACCOUNT} left out; run it again"
    )
    assert len(registry.facts().sweeps[ACCOUNT].users) == 2


@pytest.mark.parametrize("code", ["AccessDenied", "Throttling"])
def test_r4_question_without_an_answer_leaves_the_sweep_complete_and_the_user_unexplained(
    registry: Registry, code: str
) -> None:
    register(registry, *range(1, 6))
    made(registry, Iam(users(range(1, 6))))
    done = made(registry, Iam(users(range(2, 6)), refusing={"get_user": error(code)}))
    assert (reasons(done.roster), done.roster.revoked) == ({"user1/laptop": "not_in_sweep"}, [])
    assert [each.user_id for each in (registry.facts().decision or Decision()).departures] == ["AIDA1"]
    assert len(registry.facts().sweeps[ACCOUNT].users) == 4
    (problem,) = done.problems
    assert problem.startswith(f"1 users of account {ACCOUNT} are absent from a complete sweep, and IAM didn't say")


def test_r4_user_is_asked_for_by_the_name_that_the_last_sweep_has(registry: Registry) -> None:
    register(registry, 1, 2)
    made(registry, Iam(users((1, 2))))
    registry.store_sweep(sweep(user(1, user_name="alice"), user(2)), int(NOW * 1000) + 1)
    iam = Iam([user(2)])
    made(registry, iam)
    assert iam.asked == ["alice"]


def test_r4_user_whom_no_sweep_knows_any_more_is_asked_for_by_label(registry: Registry) -> None:
    registry.store_decision(Decision(peers=tuple(register(registry, 1, 2))), 1)
    iam = Iam([user(2)])
    made(registry, iam)
    assert iam.asked == ["user1"]


def test_r4_iam_is_asked_for_nobody_whose_removal_is_known_or_who_was_no_peer(registry: Registry) -> None:
    register(registry, 1, 2, 3)
    made(registry, Iam(users((1, 2, 3))))
    register(registry, 4)
    registry.write_tombstone(tombstone(1, event_time=NOW))
    registry.block(block(2))
    iam = Iam([user(3)])
    assert len(made(registry, iam).roster.revoked) == 2
    assert iam.asked == []


def test_r5_sweeps_are_stored_while_removals_are_held(registry: Registry) -> None:
    """A hold and one throttle cut a newcomer."""
    register(registry, *range(4))
    made(registry, Iam(users(range(4))))
    register(registry, 7)
    ungrouped = [*users(range(4), groups=()), user(7)]
    hold = made(registry, Iam(ungrouped))
    assert (len(hold.roster.held), "store_sweep" in hold.calls) == (4, True)
    throttled = made(registry, Iam(refusing={SWEEP: error("Throttling")}))
    assert (len(throttled.roster.held), len(throttled.roster.peers)) == (4, 5)


# -- names


def test_r1_labels_follow_the_sweep_in_registry_roster_and_decision(registry: Registry) -> None:
    register(registry, 1)
    made(registry, Iam([user(1)]))
    done = made(registry, Iam([user(1, user_name="alice.smith")]))
    assert names(done.roster) == ["alice.smith/laptop"]
    facts = registry.facts()
    assert [each.user_name for each in facts.registered.registrations] == ["alice.smith"]
    assert [each.user_name for each in (facts.decision or Decision()).peers] == ["alice.smith"]
    assert "relabel" not in made(registry, Iam([user(1, user_name="alice.smith")])).calls


def test_r1_labels_follow_the_last_sweep_when_this_runs_is_incomplete(registry: Registry) -> None:
    register(registry, 1)
    registry.store_sweep(sweep(user(1, user_name="alice.smith")), 1)
    done = made(registry, Iam(refusing={SWEEP: error("Throttling")}))
    assert names(done.roster) == ["alice.smith/laptop"]


def test_r1_label_of_a_peer_whose_registration_is_gone_follows_the_sweep(registry: Registry) -> None:
    registry.store_decision(Decision(peers=(registration(1), registration(2))), 1)
    done = made(registry, Iam([user(1, user_name="alice"), user(2, user_name="bob")]))
    assert held(done.roster) == ["alice/laptop", "bob/laptop"]


def test_r1_who_got_a_deleted_users_name_is_spared_in_the_second_run_too(registry: Registry) -> None:
    register(registry, 1)
    made(registry, Iam([user(1, user_name="bob")]))
    registry.write_tombstone(tombstone(9, user_name="alice", user_id=None, event_time=NOW))
    for _run in range(2):
        assert names(made(registry, Iam([user(1, user_name="alice")])).roster) == ["alice/laptop"]
    assert [each.spared for each in registry.tombstones()] == [("AIDA1",)]


def test_r1_who_was_registered_under_another_name_is_spared_though_no_sweep_knew_that(registry: Registry) -> None:
    register(registry, 1)
    registry.write_tombstone(tombstone(9, user_name="alice", user_id=None, event_time=NOW))
    assert names(made(registry, Iam([user(1, user_name="alice")])).roster) == ["alice/laptop"]


def test_r1_sweep_that_lacks_a_user_does_not_make_a_tombstone_of_an_old_name_the_users(registry: Registry) -> None:
    """The id was looked up by a name that the user had no more: IAM is asked, and has the user."""
    register(registry, 1, 2)
    made(registry, Iam([user(1, user_name="alice.smith"), user(2)]))
    registry.write_tombstone(tombstone(1, user_name="alice", event_time=NOW - 60))
    done = made(registry, Iam([user(2)], unlisted=[user(1, user_name="alice.smith")]))
    assert names(done.roster) == ["alice.smith/laptop", "user2/laptop"]


def test_r9_gateways_key_in_the_registry_keeps_a_registration_out(registry: Registry, client: Any) -> None:
    """The registry refuses one such; what is written by hand is left out."""
    registry.claim_key("gateway-1", key(1))
    item = {"pk": "registration", "sk": f"{ACCOUNT}/AIDA1/laptop", "public_key": key(1), "addresses": ["10.44.0.3"]}
    Table(client, TABLE).write_all([item])
    done = made(registry, Iam(users((1, 2))))
    assert details(done.roster) == {"user1/laptop": "it is a gateway's own public key; make a key on the device"}


def test_r3_account_without_any_readable_sweep_loses_none_of_its_peers(registry: Registry, client: Any) -> None:
    begin(registry, 1, 2)
    register(registry, *range(10, 14), account_id=OTHER)
    elsewhere = Iam([ELSEWHERE, *users(range(10, 14), account_id=OTHER)])
    made(registry, {ACCOUNT: Iam(users((1, 2))), OTHER: elsewhere}, options=BOTH)
    Table(client, TABLE).write_all([{"pk": "sweep", "sk": ACCOUNT, "data": b"no"}])
    throttled = Iam(refusing={SWEEP: error("Throttling")})
    done = made(registry, {ACCOUNT: throttled, OTHER: elsewhere}, options=BOTH)
    assert held(done.roster) == ["user1/laptop", "user2/laptop"]


# -- R17: what can't be read, and what can't be written


def test_r17_what_cannot_be_read_is_named_and_everybody_else_is_served(registry: Registry, client: Any) -> None:
    begin(registry, *range(1, 6))
    registry.write_tombstone(tombstone(2, event_time=NOW))
    odd: list[dict[str, Any]] = [
        {"pk": "registration", "sk": f"{ACCOUNT}/AIDA1/laptop", "public_key": 5},
        {"pk": "block", "sk": "?"},
        {"pk": "sweep", "sk": "777788889999", "data": b"no"},
        {"pk": "gateway", "sk": "gateway-1"},
    ]
    Table(client, TABLE).write_all(odd)
    done = made(registry, {ACCOUNT: Iam(users(range(1, 6))), OTHER: Iam([ELSEWHERE])}, options=BOTH)
    assert reasons(done.roster) == {"user2/laptop": "tombstoned", "user1/laptop": "unreadable"}
    named = [problem.partition(" can't be read")[0] for problem in done.problems]
    assert sorted(named) == sorted(f"the registry's item {item['pk']} {item['sk']}" for item in odd)


def test_r4_tombstone_dated_ahead_is_named_and_holds_from_its_receipt_on(registry: Registry, clock: Clock) -> None:
    """Or no sweep would ever outweigh it."""
    register(registry, 1)
    registry.write_tombstone(tombstone(1, event_time=NOW + 10**9))
    first = made(registry, Iam([user(1)]))
    assert reasons(first.roster) == {"user1/laptop": "tombstoned"}
    (problem,) = first.problems
    assert problem == (
        f"the registry's item tombstone {ACCOUNT}/event (user1) is dated 2058-09-23 09:46 UTC, expected a time of "
        "the past, since no event is later than its receipt. It counts as received now; look at who wrote it"
    )
    clock.now += 15 * 60
    assert reasons(made(registry, Iam([user(1)]), now=clock.now).roster) == {"user1/laptop": "tombstoned"}
    clock.now += 1
    done = made(registry, Iam([user(1)]), now=clock.now)
    assert (names(done.roster), done.problems) == (["user1/laptop"], [])


def test_r4_stored_sweep_dated_ahead_outweighs_no_tombstone(registry: Registry) -> None:
    begin(registry, 1, 2)
    registry.store_sweep(sweep(*users((1, 2)), begun_at=NOW + 10**9), 2**50)
    registry.write_tombstone(tombstone(2, event_time=NOW - 60))
    done = made(registry, {ACCOUNT: Iam(refusing={SWEEP: error("Throttling")}), OTHER: Iam([ELSEWHERE])}, options=BOTH)
    assert reasons(done.roster) == {"user2/laptop": "tombstoned"}


def test_r17_tombstone_that_cannot_be_written_stops_nobodys_revocation(registry: Registry) -> None:
    begin(registry, 1, 2)
    clients = {ACCOUNT: Iam([user(1)]), OTHER: Iam([ELSEWHERE])}
    done = made(registry, clients, options=BOTH, failing={"write_tombstone"})
    assert done.problems == [
        "the tombstone of user2 could not be written to the registry, run it again: throttled",
    ]
    assert reasons(done.roster) == {"user2/laptop": "tombstoned"}


@pytest.mark.parametrize(
    ("call", "what"),
    [
        ("store_sweep", f"the sweep of account {ACCOUNT}"),
        ("store_decision", "the decision, from which the next run counts removals"),
        ("relabel", "the new name of alice/laptop"),
        ("spare", "whom tombstone event doesn't mean"),
        ("forget_surplus", "that old parts are gone"),
    ],
)
def test_r17_bookkeeping_that_fails_is_a_problem_and_no_other_is_left_out(
    registry: Registry, client: Any, call: str, what: str
) -> None:
    register(registry, 1)
    made(registry, Iam([user(1)]))
    registry.write_tombstone(tombstone(9, user_name="alice", user_id=None, event_time=NOW))
    Table(client, TABLE).write_all([{"pk": "sweep", "sk": f"{ACCOUNT}#1#0000", "data": b""}])
    done = made(registry, Iam([user(1, user_name="alice")]), failing={call})
    assert done.problems == [f"{what} could not be written to the registry, run it again: throttled"]
    assert done.calls[3:] == ["store_sweep", "store_decision", "relabel", "spare", "forget_surplus"]
    assert names(done.roster) == ["alice/laptop"]


def test_r17_books_are_given_up_after_three_failures(registry: Registry) -> None:
    """Each may have taken all its retries."""
    register(registry, *range(5))
    made(registry, Iam(users(range(5))))
    renamed = [user(number, user_name=f"u{number}") for number in range(5)]
    done = made(registry, Iam(renamed), failing={"relabel"})
    assert done.calls.count("relabel") == 3
    assert len(done.problems) == 4
    assert done.problems[-1] == "the new name of u3/laptop, and perhaps more, was not tried"


def test_parts_that_earlier_runs_left_are_deleted(registry: Registry, client: Any) -> None:
    register(registry, 1)
    made(registry, Iam([user(1)]))
    parts = [{"pk": "sweep", "sk": f"{sk}#1#0000", "data": b""} for sk in (ACCOUNT, "decision")]
    Table(client, TABLE).write_all([*parts, {"pk": "sweep", "sk": "granted"}])
    assert made(registry, Iam([user(1)])).problems == []
    assert [item["sk"] for item in registry.items() if item["pk"] == "sweep"] == [ACCOUNT, "decision"]


def test_r5_run_after_an_earlier_version_counts_from_the_stored_sweeps(registry: Registry) -> None:
    """It kept no decision, and what it held must not go unasked."""
    register(registry, *range(10))
    registry.store_sweep(sweep(*users(range(10))), 1)
    left = [user(number, groups=()) for number in range(6)]
    done = made(registry, Iam([*left, *users(range(6, 10))]))
    assert len(done.roster.peers) == 10
    assert held(done.roster) == [f"user{number}/laptop" for number in range(6)]


def test_r4_leaver_of_the_first_run_after_an_earlier_version_is_confirmed_by_iam(registry: Registry) -> None:
    register(registry, *range(3))
    registry.store_sweep(sweep(*users(range(3))), 1)
    done = made(registry, Iam(users((1, 2))))
    assert [leaver.user_id for leaver in done.roster.leavers] == ["AIDA0"]
