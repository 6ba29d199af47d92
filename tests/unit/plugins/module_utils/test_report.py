# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What a run says in the end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils.report import (
    StepResults,
    revocation_problems,
    run_lines,
    run_problems,
)

ROSTER = {
    "generation": 1790000000000,
    "counts": {"peers": 20, "held": 1, "revoked": 2, "excluded": 3},
    "early_signs": 1,
    "held": ["erin/laptop"],
    "excluded": [{"name": "bob/phone", "reason": "expired", "detail": "yesterday"}],
}
SIGNS = {"names": ["dave", "gina"], "suspended": ["gina"], "left": 3}
RECEIPT = {
    "gateway": "gateway-1",
    "user_name": "alice",
    "device": "laptop",
    "account_id": "111122223333",
    "fingerprint": "0123456789abcdef",
    "reason": "tombstoned",
    "event_id": "sweep-AIDA1",
    "deleted_at": 1790000000,
    "removed_at": 1790000042,
    "last_handshake": None,
    "delay": 42,
    "delay_in_run": 2,
}


def lines(result: Mapping[str, Any], *, check_mode: bool = False) -> list[str]:
    return run_lines({"gateway-1": result}, {}, [], {}, check_mode=check_mode)


def removal(device: str, reason: str) -> dict[str, str]:
    return {"user_name": "alice", "device": device, "reason": reason}


def test_stale_roster_whose_revocations_were_done_says_so() -> None:
    result = {"stale": True, "changed": True, "removed": ["alice/laptop"], "removals": []}
    assert lines(result)[0] == "gateway-1: a later roster is already in force, only confirmed revocations were done"


@pytest.mark.parametrize(
    ("result", "check_mode", "outcome"),
    [
        ({}, False, "not reached, see above"),
        ({"skipped": True, "changed": False}, False, "not reached, see above"),
        ({"unreachable": True, "msg": "timed out\nat once", "changed": False}, False, "FAILED: timed out"),
        ({"failed": True, "changed": True}, False, "FAILED: see above"),
        ({"failed": True, "changed": True, "msg": ""}, False, "FAILED: "),
        ({"stale": True, "changed": False}, False, "a later roster is already in force, nothing was changed"),
        ({"changed": False}, True, "no change"),
        ({"changed": True}, False, "changed"),
        ({"changed": True}, True, "would change"),
    ],
)
def test_each_gateways_outcome_is_one_line(result: dict[str, Any], check_mode: bool, outcome: str) -> None:
    assert lines(result, check_mode=check_mode) == [f"gateway-1: {outcome}"]


def test_what_a_gateway_did_is_named() -> None:
    done = {"changed": True, "added": ["bob/phone", "eve/pc"], "updated": [], "repaired": ["firewall"]}
    assert lines(done)[1:] == ["  added: bob/phone, eve/pc", "  repaired: firewall"]


def test_r8_what_is_not_ours_is_named_below_the_gateway_and_is_no_problem() -> None:
    result = {"changed": False, "notices": ["ip filter FORWARD may drop", "a route is in the way"]}
    assert lines(result) == [
        *("gateway-1: no change", "  notice: ip filter FORWARD may drop", "  notice: a route is in the way")
    ]


def test_removal_has_the_reason_of_the_last_one_of_its_name() -> None:
    removals = [removal("laptop", "expired"), removal("laptop", "blocked"), removal("phone", "expired")]
    done = {"changed": True, "removed": ["alice/laptop", "carol/pc"], "removals": removals}
    assert lines(done)[1:] == ["  removed: alice/laptop (blocked)", "  removed: carol/pc"]


def test_peer_that_expired_by_the_gateways_clock_is_named_unless_it_was_removed_now() -> None:
    done = {"changed": True, "removed": ["a/b"], "expired": ["a/b", "c/d"]}
    assert "  left out, expired by this gateway's clock: c/d" in lines(done)


def test_long_lists_are_cut_and_counted() -> None:
    many = [f"user{number}/pc" for number in range(22)]
    shown = lines({"changed": True, "added": many, "removed": many})
    assert shown[1].endswith("user19/pc and 2 more")
    assert shown[-1] == "  and 2 more removed"
    assert len(shown) == 1 + 1 + 20 + 1
    assert run_lines({}, {"held": many}, [], {}, check_mode=False)[-1].startswith("held: user19/pc ")


def test_roster_and_its_notices_surround_the_gateways() -> None:
    shown = run_lines({"gateway-1": {}}, ROSTER, [], SIGNS, check_mode=False)
    assert shown == [
        "roster 1790000000000: 20 peers, 1 held, 2 revoked, 3 left out",
        "gateway-1: not reached, see above",
        "early sign: dave has neither a login profile nor an active access key left in IAM",
        (
            "early sign: gina has neither a login profile nor an active access key left in IAM; suspended, the next "
            "run takes the tunnel away"
        ),
        "early sign: 3 more are checked by the next runs",
        "held: erin/laptop stays a peer until an operator releases the removal",
    ]


def test_check_names_who_is_left_out() -> None:
    assert run_lines({}, ROSTER, [], {}, check_mode=True)[-1] == "left out: bob/phone (expired: yesterday)"


def test_receipts_are_a_table_under_one_heading() -> None:
    heading, row = run_lines({}, {}, [RECEIPT], {}, check_mode=False)
    assert heading.startswith("receipts  ")
    assert row.startswith(" " * 10)
    assert "alice/laptop" in row


def test_problems_come_from_every_step() -> None:
    roster, login = {"problems": ["account 1: no sweep"]}, {"problems": ["gateway-2 has no host key"]}
    steps = StepResults(
        login=login,
        recording={"receipts": []},
        gateways={"gateway-1": {"stale": True}, "gateway-2": {"stale": False}, "gateway-3": {}},
        signs={"names": [], "problems": ["account 2: denied"]},
        claiming={"failed": False, "msg": "the key is alice's"},
    )
    assert [problem.split(";")[0] for problem in run_problems(roster, steps, ["erin is only barred"])] == [
        "erin is only barred",
        "account 1: no sweep",
        "gateway-2 has no host key",
        "gateway-1: a later roster is in force, twice in this run",
        "account 2: denied",
        "the gateways' keys could not be kept from being devices': the key is alice's",
    ]


@pytest.mark.parametrize("recording", [{}, {"skipped": True}, {"receipts": []}])
def test_receipts_that_were_recorded_or_not_needed_are_no_problem(recording: dict[str, Any]) -> None:
    assert run_problems({}, StepResults(recording=recording), []) == []


def test_receipts_that_were_not_recorded_are_a_problem_with_the_cause() -> None:
    (problem,) = run_problems({}, StepResults(recording={"failed": False, "msg": "DynamoDB is down."}), [])
    assert "could not be recorded: DynamoDB is down. The gateways keep these removals" in problem


GIVEN = {"revoke_user_name": "alice", "revoke_device": "laptop"}
KNOWN = {"revocations": [{"kind": "block", "user_id": "AIDA1"}]}


def test_revocation_that_is_written_and_applied_leaves_nothing_to_do() -> None:
    assert revocation_problems(KNOWN, GIVEN, None) == []


@pytest.mark.parametrize("written", [{}, {"failed": True, "msg": "down"}])
def test_revocation_that_is_not_written_is_to_be_repeated(written: dict[str, Any]) -> None:
    (problem,) = revocation_problems(written, GIVEN, "AWS is down.")
    assert problem.startswith("alice/laptop could not be blocked in the registry: AWS is down. The gateways that")
    command = """-e '{"revoke_user_name": "alice", "revoke_device": "laptop"}'"""
    assert problem.endswith(f"repeat: ansible-playbook tracklib.vpn.revoke {command}")


def test_revocation_without_a_roster_says_that_the_registry_has_it() -> None:
    (problem,) = revocation_problems(KNOWN, {"revoke_user_name": "alice"}, "throttled")
    assert problem.startswith("alice could not be taken through a new roster, the registry has the revocation: throt")


def test_revocation_that_left_out_a_gateway_is_to_be_repeated() -> None:
    (problem,) = revocation_problems(KNOWN, GIVEN, None, ["gateway-2"])
    assert problem.startswith(
        "gateway-2 wasn't reached, or was left out by --limit: whoever was a peer there still is."
    )
