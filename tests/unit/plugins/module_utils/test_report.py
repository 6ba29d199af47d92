# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What a run says in the end."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils.report import (
    Scope,
    StepResults,
    gateways_to_record,
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


def lines(result: Mapping[str, Any], *, roster: Mapping[str, Any] | None = None, **scope: Any) -> list[str]:
    """What is said of one gateway, without the summary."""
    shown = run_lines(roster or {}, StepResults({"gateway-1": result}), Scope(**scope))
    (summary,) = (number for number, line in enumerate(shown) if line.startswith("in short: "))
    return shown[:summary]


def summary(*results: Mapping[str, Any], **scope: Any) -> str:
    gateways = {f"gateway-{number}": result for number, result in enumerate(results, start=1)}
    return run_lines({}, StepResults(gateways), Scope(**scope))[-1]


def removal(device: str, reason: str) -> dict[str, str]:
    return {"user_name": "alice", "user_id": "AIDA1", "device": device, "reason": reason}


def test_stale_roster_whose_revocations_were_done_says_so() -> None:
    result = {"stale": True, "changed": True, "removed": ["alice/laptop"], "removals": []}
    assert lines(result)[0] == "gateway-1: a later roster is already in force, only confirmed revocations were done"


@pytest.mark.parametrize(
    ("result", "check_mode", "outcome"),
    [
        ({"failed": True, "changed": True}, False, "FAILED: see above"),
        ({"failed": True, "changed": True, "msg": "wg failed\nat once"}, False, "FAILED: wg failed"),
        ({"stale": True, "changed": False}, False, "a later roster is already in force, nothing was changed"),
        ({"changed": False}, True, "no change"),
        ({"changed": True}, False, "changed"),
        ({"changed": True}, True, "would change"),
    ],
)
def test_each_gateways_outcome_is_one_line(result: dict[str, Any], check_mode: bool, outcome: str) -> None:
    assert lines(result, check_mode=check_mode) == [f"gateway-1: {outcome}"]


def test_what_a_gateway_did_is_named_with_the_cause_of_each_addition() -> None:
    done = {"changed": True, "added": ["bob/phone", "eve/pc"], "updated": [], "repaired": ["firewall"]}
    roster = {"joined": [{"name": "bob/phone", "cause": "unblocked"}]}
    assert lines(done, roster=roster)[1:] == [
        *("  added: bob/phone (unblocked)", "  added: eve/pc", "  repaired: firewall")
    ]


def test_r8_what_is_not_ours_is_named_below_the_gateway_and_is_no_problem() -> None:
    result = {"changed": False, "notices": ["ip filter FORWARD may drop", "a route is in the way"]}
    assert lines(result) == [
        *("gateway-1: no change", "  notice: ip filter FORWARD may drop", "  notice: a route is in the way")
    ]


def test_removal_has_the_rosters_cause_or_the_gateways_reason_in_words() -> None:
    removals = [
        removal("laptop", "expired"),
        removal("laptop", "blocked"),
        removal("phone", "expired"),
        removal("tv", "key_replaced"),
    ]
    roster = {"left": [{"user_id": "AIDA1", "device": "phone", "name": "alice/phone", "cause": "user blocked: left"}]}
    done = {"changed": True, "removed": ["alice/laptop", "alice/phone", "alice/tv", "carol/pc"], "removals": removals}
    assert lines(done, roster=roster)[1:] == [
        "  removed: alice/laptop (blocked)",
        "  removed: alice/phone (user blocked: left)",
        "  removed: alice/tv (the device has another key now)",
        "  removed: carol/pc",
    ]


def test_removal_that_a_gateway_did_late_has_the_cause_of_its_receipt() -> None:
    done = {"changed": True, "removed": ["alice/laptop"], "removals": [removal("laptop", "blocked")]}
    receipts = [
        {**RECEIPT, "user_id": "AIDA1", "detail": "blocked: lost", "by": "arn:op"},
        {**RECEIPT, "user_id": "AIDA1", "detail": "elsewhere", "gateway": "gateway-2"},
    ]
    shown = run_lines({}, StepResults({"gateway-1": done}, recording={"receipts": receipts}))
    assert shown[1] == "  removed: alice/laptop (blocked: lost, by arn:op)"


def test_r15_no_line_and_no_problem_can_talk_to_the_terminal() -> None:
    result = {"changed": True, "failed": True, "msg": "a\x1b[2Jb"}
    said = run_lines({}, StepResults({"gateway-1": result}))
    said += run_problems({"problems": ["c\x1b]0;d"]}, StepResults(), [])
    assert "\x1b" not in "".join(said)


def test_peer_that_expired_by_the_gateways_clock_is_named_unless_it_was_removed_now() -> None:
    done = {"changed": True, "removed": ["a/b"], "expired": ["a/b", "c/d"]}
    assert "  left out, expired by this gateway's clock: c/d" in lines(done)


def test_long_lists_are_cut_and_counted_unless_details_are_wanted() -> None:
    many = [f"user{number}/pc" for number in range(22)]
    done = {"changed": True, "added": many, "repaired": many, "removed": many}
    shown = lines(done)
    assert "  and 2 more added" in shown
    assert "  and 2 more removed" in shown
    assert "user19/pc and 2 more" in " ".join(line.strip() for line in shown)
    assert [line for line in shown if "user21/pc" in line] == []
    assert len([line for line in lines(done, details=True) if "user21/pc" in line]) == 3
    assert run_lines({"held": many}, StepResults())[-2].startswith("held: user19/pc ")


def test_no_line_is_wider_than_a_screen_of_100_columns_has_room_for() -> None:
    notice = "ip filter FORWARD (hook forward, policy drop) may drop the tunnel's packets: no rule there accepts wg0"
    shown = lines({"changed": False, "notices": [notice]})
    assert max(map(len, shown)) <= 88
    assert " ".join(line.strip() for line in shown[1:]) == f"notice: {notice}"
    assert shown[2].startswith("      ")


def test_report_of_a_whole_run_with_the_longest_names_fits_a_screen_of_100_columns() -> None:
    user, device = "u" * 64, "d" * 64  # the longest that IAM and the registry take
    label = f"{user}/{device}"
    who = {"user_id": "AIDA" + "X" * 124, "device": device, "name": label, "cause": "c" * 300}
    roster = {
        **ROSTER,
        "held": [label],
        "left": [who],
        "joined": [who],
        "left_out": [who],
        "gateways": ["g" * 63],
        "missed": {"gateway-2": [label]},
    }
    results = {
        "gateway-1": {"changed": True, "added": [label], "removals": [{**who, "user_name": user, "reason": "blocked"}]},
        "gateway-2": {"unreachable": True, "msg": "m" * 300},
        "gateway-3": {"failed": True, "msg": " ".join(["why"] * 80), "removed": [label]},
    }
    steps = StepResults(
        results,
        recording={"receipts": [{**RECEIPT, "user_name": user, "device": device, "gateway": "g" * 63}]},
        signs={**SIGNS, "names": [user]},
        revocation={"revocations": [{**who, "user_name": user, "kind": "block"}], "elsewhere": ["1" * 12]},
    )
    shown = run_lines(roster, steps)
    begins = ("NOT REACHED", "gateway-3: FAILED", "written", "roster", "gateway-1", "left out now", "early", "receipts")
    assert [part for part in begins if not any(line.startswith(part) for line in shown)] == []
    assert max(map(len, shown)) <= 88


def test_roster_and_its_notices_surround_the_gateways() -> None:
    shown = run_lines(ROSTER, StepResults({"gateway-1": {"changed": False}}, signs=SIGNS))
    assert shown == [
        "roster 1790000000000: 20 peers, 1 held, 2 revoked, 3 left out",
        "gateway-1: no change",
        "held: erin/laptop stays a peer until an operator releases the removal",
        "early sign: dave has neither a login profile nor an active access key left in IAM",
        "early sign: gina has neither a login profile nor an active access key left in IAM;",
        "    suspended, the next run takes the tunnel away",
        "early sign: 3 more are checked by the next runs",
        "in short: nothing changed for anybody",
    ]


MISSED = {
    "left": [{"name": "kim/laptop", "user_id": "AIDA2", "device": "laptop", "cause": "user blocked: left"}],
    "missed": {"gateway-2": ["bob/phone"]},
}


def test_r17_gateway_that_was_not_reached_comes_first_with_the_reason_and_who_may_still_be_a_peer_there() -> None:
    silent = {"unreachable": True, "msg": "Failed to connect to the host via ssh: timed out\r\nmore", "changed": False}
    steps = StepResults({"gateway-1": {"changed": True, "removed": ["kim/laptop"]}, "gateway-2": silent})
    shown = run_lines(MISSED, steps)
    assert shown[:3] == [
        "NOT REACHED: gateway-2, Failed to connect to the host via ssh: timed out",
        "  may still be peers there: bob/phone, kim/laptop",
        "  the registry has their removal; repeat this once the gateway answers",
    ]
    short = "in short: kim/laptop is off where the run got to, and may still connect through gateway-2"
    assert " ".join(line.strip() for line in shown[-2:]) == f"{short}; NOT served: gateway-2"
    (problem,) = run_problems(MISSED, steps, [])
    assert problem.startswith(
        "gateway-2 wasn't reached (Failed to connect to the host via ssh: timed out); still peers"
    )
    assert "bob/phone, kim/laptop. Run this again" in problem


def test_gateway_that_limit_leaves_out_is_named_and_a_problem_only_of_a_revocation() -> None:
    gateways: dict[str, dict[str, Any]] = {"gateway-1": {"changed": False}, "gateway-2": {}}
    scope = Scope(limited=["gateway-2"])
    assert run_lines(MISSED, StepResults(gateways), scope)[:2] == [
        "LEFT OUT by --limit: gateway-2",
        "  may still be peers there: bob/phone, kim/laptop",
    ]
    assert run_problems(MISSED, StepResults(gateways), [], scope) == []
    revoked = StepResults(gateways, revocation={"revocations": []})
    assert run_problems({"left": [], "missed": {}}, revoked, [], scope) == []
    (problem,) = run_problems(MISSED, revoked, [], scope)
    assert problem.startswith(
        "gateway-2 was left out by --limit; still peers there, as far as is known: bob/phone, kim"
    )


@pytest.mark.parametrize(("check", "words"), [(False, "is off where the run got to"), (True, "would be off where the")])
def test_r17_without_a_roster_nobody_is_said_to_be_off_a_gateway_that_was_not_reached(check: bool, words: str) -> None:
    off = {
        "changed": True,
        "removed": ["erin/laptop"],
        "removals": [{**removal("laptop", "revoked"), "user_name": "erin"}],
    }
    steps = StepResults({"gateway-1": off, "gateway-2": {"unreachable": True, "msg": "no route"}})
    short = " ".join(" ".join(run_lines({}, steps, Scope(check_mode=check))).split()).partition("in short: ")[2]
    assert short.startswith(f"erin/laptop {words}")
    assert "may still connect through gateway-2" in short
    whole = run_lines({}, StepResults({"gateway-1": off}), Scope(check_mode=check))
    assert "connect any more" in whole[-1]


def test_limit_that_leaves_no_gateway_is_a_problem_whoever_left() -> None:
    steps = StepResults({"gateway-1": {}, "gateway-2": {}})
    (problem,) = run_problems({}, steps, [], Scope(limited=["gateway-2", "gateway-1"]))
    assert problem.startswith("--limit leaves out every gateway: nothing was applied anywhere.")


def test_gateway_that_was_not_reached_is_a_problem_also_when_there_is_no_roster() -> None:
    (problem,) = run_problems({}, StepResults({"gateway-1": {"skipped": True}}), [])
    assert problem.startswith("gateway-1 wasn't reached; whoever was a peer there still is.")


@pytest.mark.parametrize("result", [{}, {"skipped": True, "changed": False}])
def test_check_of_a_gateway_that_has_nothing_yet_is_named_and_no_problem(result: dict[str, Any]) -> None:
    steps, check = StepResults({"gateway-1": result}), Scope(check_mode=True)
    assert run_lines(MISSED, steps, check)[0].startswith("not checked: gateway-1")
    assert run_problems(MISSED, steps, [], check) == []
    silent = StepResults({"gateway-1": {"unreachable": True, "changed": False}})
    assert len(run_problems(MISSED, silent, [], check)) == 1


def test_what_a_gateway_missed_is_recorded_until_it_is_reached() -> None:
    known = {**MISSED, "gateways": ["gateway-1", "gateway-2"]}
    assert gateways_to_record(known, {"gateway-1": {}, "gateway-2": {"unreachable": True}}) == [
        {"name": "gateway-1", "removals": [], "missed": ["kim/laptop"], "used": []},
        {"name": "gateway-2", "removals": [], "missed": ["bob/phone", "kim/laptop"], "used": []},
    ]
    done = {"changed": False, "removals": []}
    assert gateways_to_record(MISSED, {"gateway-1": done, "gateway-2": done}) == [
        {"name": "gateway-2", "removals": [], "missed": [], "used": []}
    ]
    assert gateways_to_record(MISSED, {"mistaken": {"unreachable": True}}) == [], "no gateway was ever set up there"
    removals = [removal("laptop", "blocked")]
    assert gateways_to_record({}, {"gateway-1": {"changed": True, "removals": removals}, "gateway-2": {}}) == [
        {"name": "gateway-1", "removals": removals, "missed": [], "used": []}
    ]


def test_used_handout_is_recorded_and_told() -> None:
    used = [{"user_name": "carol", "device": "laptop", "account_id": "1", "user_id": "AIDA3", "public_key": "key"}]
    assert gateways_to_record({}, {"gateway-1": {"changed": False, "used": used}}) == [
        {"name": "gateway-1", "removals": [], "missed": [], "used": used}
    ]
    steps = StepResults({"gateway-1": {"changed": False}}, recording={"receipts": [], "confirmed": ["carol/laptop"]})
    assert "handed out and used now: carol/laptop, which lives on" in run_lines({}, steps)


def test_r17_gateway_that_failed_may_keep_whom_it_did_not_remove() -> None:
    left = [{"user_id": "AIDA1", "device": each, "name": f"alice/{each}", "cause": "x"} for each in ("laptop", "phone")]
    roster = {"generation": 1, "counts": ROSTER["counts"], "left": left, "gateways": ["gateway-1", "gateway-2"]}
    off = {"changed": True, "removed": ["alice/laptop", "alice/phone"], "removals": []}
    broken = {"failed": True, "msg": "Read-only file system", "removed": ["alice/laptop"], "removals": []}
    steps = StepResults({"gateway-1": off, "gateway-2": broken})
    said = " ".join(" ".join(run_lines(roster, steps)).split())
    assert said.startswith("gateway-2: FAILED: Read-only file system may still be peers there: alice/phone")
    assert said.endswith("FAILED: gateway-2")
    (problem,) = run_problems(roster, steps, [])
    assert problem == (
        "gateway-2 failed (Read-only file system); still peers there, as far as is known: alice/phone. Run this again "
        "once that is mended"
    )
    assert (
        "in short: alice/laptop can't connect any more; alice/phone is off where the run got to, and may still" in said
    )
    assert gateways_to_record(roster, steps.gateways) == [
        {"name": "gateway-2", "removals": [], "missed": ["alice/phone"], "used": []}
    ]


def test_r17_revocation_says_which_gateways_no_inventory_named() -> None:
    left = [{"user_id": "AIDA1", "device": "laptop", "name": "alice/laptop", "cause": "x"}]
    roster = {"generation": 1, "counts": ROSTER["counts"], "left": left, "gateways": ["gateway-1", "gateway-2"]}
    ordered = {"revocations": [{"kind": "block", "user_id": "AIDA1", "user_name": "alice", "device": None}]}
    done = {"changed": True, "removed": ["alice/laptop"], "removals": []}
    steps = StepResults({"gateway-1": done}, revocation=ordered)
    said = " ".join(" ".join(run_lines(roster, steps)).split())
    assert said.startswith("NOT IN THE INVENTORY: gateway-2, which was set up; whoever was a peer there still is")
    assert "may still connect through gateway-2; NOT served: gateway-2" in said
    (problem,) = run_problems(roster, steps, [])
    assert problem.startswith("gateway-2 isn't in this inventory, though it was set up: whoever was a peer there still")
    assert run_problems(roster, steps._replace(revocation={}), []) == []


@pytest.mark.parametrize(("check_mode", "verb"), [(False, "written"), (True, "would be written")])
def test_revocation_is_said_as_it_stands_in_the_registry_or_would(check_mode: bool, verb: str) -> None:
    records = [
        {"kind": "block", "user_name": "kim", "user_id": "AIDA1", "device": "phone"},
        {"kind": "block", "user_name": "eve", "user_id": "AIDA2", "device": None},
    ]
    steps = StepResults(revocation={"revocations": records})
    assert run_lines({}, steps, Scope(check_mode))[:2] == [
        f"{verb}: block of kim/phone (AIDA1)",
        f"{verb}: block of eve, all devices (AIDA2)",
    ]


@pytest.mark.parametrize(
    ("results", "check_mode", "said"),
    [
        ([{"changed": False}], False, "in short: nothing changed for anybody"),
        ([{"changed": False}], True, "in short: nothing would change for anybody"),
        ([{"changed": True, "added": ["a/b"]}] * 2, False, "in short: a/b can connect now"),
        (
            [{"changed": True, "added": ["a/b"], "removed": ["c/d", "e/f"]}],
            True,
            "in short: c/d, e/f couldn't connect any more; a/b could connect",
        ),
        (
            [{"changed": True, "added": ["a/b"], "removed": ["a/b"]}],
            False,
            "in short: a/b can connect with another key",
        ),
    ],
)
def test_summary_says_in_words_what_changed_for_whom(
    results: list[dict[str, Any]], check_mode: bool, said: str
) -> None:
    assert summary(*results, check_mode=check_mode) == said


def news(user_id: str, cause: str) -> dict[str, str]:
    return {"user_id": user_id, "device": "laptop", "name": "alice/laptop", "cause": cause}


def test_r1_who_has_the_name_of_somebody_who_left_is_another_user() -> None:
    done = {
        "changed": True,
        "added": ["alice/laptop"],
        "removed": ["alice/laptop"],
        "removals": [removal("laptop", "blocked")],
    }
    roster = {"joined": [news("AIDA2", "registered")], "left": [news("AIDA1", "user deleted")]}
    shown = run_lines(roster, StepResults({"gateway-1": done, "gateway-2": done}))
    assert shown[1:3] == [
        "  added: alice/laptop (AIDA2) (registered)",
        "  removed: alice/laptop (AIDA1) (user deleted)",
    ]
    assert " ".join(line.strip() for line in shown[6:]) == (
        "in short: alice/laptop (AIDA1) can't connect any more; alice/laptop (AIDA2) can connect now"
    )


def test_r1_two_users_of_one_name_who_leave_are_two() -> None:
    others = {**removal("laptop", "tombstoned"), "user_id": "AIDA2"}
    done = {"changed": True, "removed": ["alice/laptop"] * 2, "removals": [removal("laptop", "blocked"), others]}
    shown = run_lines({"left": [news("AIDA1", "user blocked: left")]}, StepResults({"gateway-1": done}))
    assert shown[1:3] == [
        "  removed: alice/laptop (AIDA1) (user blocked: left)",
        "  removed: alice/laptop (AIDA2) (its user was deleted)",
    ]
    assert " ".join(line.strip() for line in shown[3:]) == (
        "in short: alice/laptop (AIDA1), alice/laptop (AIDA2) can't connect any more"
    )


def test_r1_check_knows_from_the_roster_alone_who_would_leave_and_come() -> None:
    roster = {"joined": [news("AIDA2", "registered")], "left": [news("AIDA1", "user deleted")]}
    done = {"changed": True, "added": ["alice/laptop"], "removed": ["alice/laptop"]}
    said = run_lines(roster, StepResults({"gateway-1": done}), Scope(check_mode=True))
    assert "alice/laptop (AIDA1) couldn't connect any more" in " ".join(line.strip() for line in said)


def test_device_that_has_another_key_now_did_not_leave() -> None:
    done = {"changed": True, "added": ["alice/laptop"], "removed": ["alice/laptop"]}
    rekeyed = {**done, "removals": [removal("laptop", "key_replaced")]}
    assert summary(rekeyed) == "in short: alice/laptop can connect with another key"
    left = {**done, "removals": [removal("laptop", "tombstoned")]}
    assert summary(left) == "in short: alice/laptop can't connect any more; alice/laptop can connect now"


def test_r1_who_is_left_out_under_a_name_that_others_have_is_told_apart() -> None:
    roster = {"left_out": [news("AIDA1", "user blocked: left")], "joined": [news("AIDA2", "registered")]}
    assert "left out now: alice/laptop (AIDA1) (user blocked: left)" in run_lines(roster, StepResults())


@pytest.mark.parametrize(("check_mode", "done"), [(False, "is repaired"), (True, "would be repaired")])
def test_summary_says_that_a_gateway_was_put_right(check_mode: bool, done: str) -> None:
    result = {"changed": True, "repaired": ["alice/laptop missing on the device"]}
    assert summary(result, check_mode=check_mode) == (f"in short: gateway-1 differed from what was applied, and {done}")


def test_who_is_newly_left_out_is_named_in_a_normal_run_with_the_cause() -> None:
    roster = {"left_out": [{"name": "bob/phone", "cause": "in none of the groups that grant access: vpn"}]}
    assert run_lines(roster, StepResults())[0] == (
        "left out now: bob/phone (in none of the groups that grant access: vpn)"
    )


def test_check_names_everybody_who_is_left_out() -> None:
    assert "left out: bob/phone (yesterday)" in run_lines(ROSTER, StepResults(), Scope(check_mode=True))


def test_r16_changed_host_key_is_the_reason_that_is_given() -> None:
    banner = (
        "Failed to connect to the host via ssh: @@@@@@@@@@@@@@@@@@@@@\n@    WARNING: REMOTE HOST IDENTIFICATION HAS "
        "CHANGED!     @\n@@@@@@@@@@@@@@@@@@@@@\nIT IS POSSIBLE THAT SOMEONE IS DOING SOMETHING NASTY!"
    )
    steps = StepResults({"gateway-1": {"unreachable": True, "msg": banner}})
    for said in (run_lines({}, steps), run_problems({}, steps, [])):
        text = " ".join(" ".join(said).split())
        assert "gateway-1" in text
        assert "its SSH host key isn't the one that is known" in text
        assert "@@" not in text


def test_r1_receipts_of_namesakes_have_their_ids() -> None:
    receipts = [{**RECEIPT, "user_id": user_id} for user_id in ("AIDA1", "AIDA2")]
    said = run_lines({}, StepResults(recording={"receipts": receipts}))
    assert [f"alice/laptop (AIDA{number})" in said[1 + number] for number in (1, 2)] == [True, True]
    assert "AIDA" not in "".join(run_lines({}, StepResults(recording={"receipts": receipts[:1]})))


def test_receipts_are_a_table_under_one_heading() -> None:
    heading, columns, row, _summary = run_lines({}, StepResults(recording={"receipts": [RECEIPT]}))
    assert heading == "receipts:"
    assert columns.startswith("REMOVED")
    assert "alice/laptop" in row
    checked = run_lines({}, StepResults(recording={"receipts": [RECEIPT]}), Scope(check_mode=True))
    assert not [line for line in checked if "alice/laptop" in line], "nothing was removed that had a time"


def test_problems_come_from_every_step() -> None:
    roster, login = {"problems": ["account 1: no sweep"]}, {"problems": ["gateway-2 has no host key"]}
    steps = StepResults(
        login=login,
        recording={"receipts": []},
        gateways={"gateway-1": {"stale": True}, "gateway-2": {"stale": False}},
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


def test_r1_namesake_in_another_account_is_told_of() -> None:
    written = {"kind": "block", "user_name": "alice", "user_id": "AIDA1", "device": None}
    steps = StepResults(revocation={"revocations": [written], "elsewhere": ["444455556666"]})
    assert "not meant: alice of account 444455556666, who would be by revoke_account_id=444455556666" in run_lines(
        {}, steps
    )


def test_r4_gateway_that_refused_the_roster_is_named_with_what_was_done_there() -> None:
    (problem,) = revocation_problems(KNOWN, GIVEN, None, {"gateway-1": "it is from another registry.\nfurther"})
    assert problem.startswith("gateway-1 refused the roster of this revocation: it is from another registry. ")
    assert "was cut off there without it" in problem


def test_r19_gateway_with_a_later_roster_may_still_have_who_left() -> None:
    left = [{"name": "alice/laptop", "user_id": "AIDA1", "device": "laptop", "cause": "blocked"}]
    written = {"kind": "block", "user_name": "alice", "user_id": "AIDA1", "device": None}
    steps = StepResults({"gateway-1": {"stale": True, "changed": False}}, revocation={"revocations": [written]})
    lines = run_lines({**ROSTER, "left": left}, steps)
    assert "  may still be peers there: alice/laptop" in lines
    assert "off already" not in lines[-1]


def test_revocation_that_is_written_and_applied_leaves_nothing_to_do() -> None:
    assert revocation_problems(KNOWN, GIVEN, None) == []


@pytest.mark.parametrize("written", [{}, {"failed": True, "msg": "down"}])
def test_revocation_that_is_not_written_is_to_be_repeated(written: dict[str, Any]) -> None:
    (problem,) = revocation_problems(written, GIVEN, "AWS is down.")
    assert problem.startswith("alice/laptop could not be blocked in the registry: AWS is down. The gateways that")
    command = """-e '{"revoke_user_name": "alice", "revoke_device": "laptop"}'"""
    assert problem.endswith(f"repeat: ansible-playbook -i INVENTORY tracklib.vpn.revoke {command}")


@pytest.mark.parametrize(
    ("device", "name", "what"), [("laptop", "alice/laptop", "alice/laptop"), (None, "alice", "alice, all devices")]
)
@pytest.mark.parametrize("check_mode", [True, False])
def test_repeated_revocation_says_that_nothing_was_written_and_that_the_user_is_off(
    device: str | None, name: str, what: str, check_mode: bool
) -> None:
    record = {"kind": "block", "user_name": "alice", "user_id": "AIDA1", "device": device, "was_there": True}
    revocation = {"revocations": [record, {**record, "kind": "tombstone"}]}
    quiet = {"changed": False, "removals": [removal("laptop", "blocked")]}

    def said(*results: Mapping[str, Any], roster: Mapping[str, Any] = ROSTER) -> list[str]:
        gateways = {f"gateway-{number}": result for number, result in enumerate(results)}
        return run_lines(roster, StepResults(gateways, revocation=revocation), Scope(check_mode=check_mode))

    assert said(quiet)[0] == f"already written: block of {what} (AIDA1)"
    assert said(quiet)[-1] == f"in short: {name} was off already"
    off = {**quiet, "changed": True, "removed": ["alice/laptop"]}
    for unknown in (said(quiet, {}), said(off, quiet), said(quiet, {**quiet, "failed": True}), said(quiet, roster={})):
        assert "off already" not in " ".join(unknown)


def test_command_that_repeats_a_revocation_can_be_pasted_and_means_the_same_user() -> None:
    given = {**GIVEN, "revoke_account_id": "444455556666", "revoke_reason": "alice's laptop; $(id)"}
    (problem,) = revocation_problems({}, given, "AWS is down.")
    command = shlex.split(problem.partition("repeat: ")[2])
    assert command[:-1] == ["ansible-playbook", "-i", "INVENTORY", "tracklib.vpn.revoke", "-e"]
    assert json.loads(command[-1]) == given


def test_revocation_without_a_roster_says_that_the_registry_has_it() -> None:
    (problem,) = revocation_problems(KNOWN, {"revoke_user_name": "alice"}, "throttled")
    assert problem.startswith("alice could not be taken through a new roster, the registry has the revocation: throt")


def test_gateway_that_has_the_roster_and_another_fault_keeps_nobody() -> None:
    """As one where a bar of somebody else waits for an operator."""
    done = {"changed": False, "failed": True, "complete": True, "msg": "bob/phone: barred on this gateway"}
    roster = {**ROSTER, "left": [{"name": "carol/laptop", "cause": "blocked"}]}
    revocation = {"revocations": [{"user_id": "AIDA1", "user_name": "carol", "device": None, "kind": "block"}]}
    shown = run_lines(roster, StepResults({"gateway-1": done}, revocation=revocation))
    assert not [line for line in shown if "may still be peers" in line]
    assert shown[-1] == "in short: carol was off already; FAILED: gateway-1"


NEW_ENDS: list[dict[str, Any]] = [
    {"name": "bob/phone", "before": 1_792_592_000, "after": 1_790_432_000},
    {"name": "eve/pc", "before": None, "after": 1_790_432_000},
]


@pytest.mark.parametrize(("check_mode", "words"), [(False, "ends"), (True, "would end")])
def test_other_end_is_a_change_for_somebody(check_mode: bool, words: str) -> None:
    result = {"changed": True, "new_ends": NEW_ENDS}
    assert lines(result, check_mode=check_mode)[1:] == [
        "  other end: bob/phone (2026-09-26T14:13:20Z, before: 2026-10-21T14:13:20Z)",
        "  other end: eve/pc (2026-09-26T14:13:20Z, before: never)",
    ]
    assert summary(result, result, check_mode=check_mode) == f"in short: bob/phone, eve/pc {words} at another time"


def test_other_ends_beyond_the_first_20_are_counted() -> None:
    many = [{**NEW_ENDS[0], "name": f"user{number}/pc"} for number in range(22)]
    assert lines({"changed": True, "new_ends": many})[-1] == "  and 2 more with another end"
    assert len(lines({"changed": True, "new_ends": many}, details=True)) == 23


def test_r1_users_of_one_name_who_were_off_already_are_told_apart() -> None:
    records = [{"user_id": f"AIDA{number}", "user_name": "dave", "device": None, "kind": "block"} for number in (1, 2)]
    steps = StepResults({"gateway-1": {"changed": False}}, revocation={"revocations": records})
    assert run_lines(ROSTER, steps)[-1] == "in short: dave (AIDA1) was off already; dave (AIDA2) was off already"


LATE = (
    'Task failed: Data could not be sent to remote host "gw". Make sure this host can be reached over ssh: '
    "*** Access is denied to strangers ***\r\nadmin@gw: Permission denied (publickey).\r\n"
)


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("Task failed: Failed to connect to the host via ssh: no route:\nmore", "via ssh: no route"),
        (LATE, "Failed to connect to the host via ssh: admin@gw: Permission denied (publickey)."),
        (
            "Task failed: Timeout (12s) waiting for privilege escalation prompt:",
            "it took the connection, and sudo didn't answer within 12 s: the host hangs, or is overloaded",
        ),
    ],
)
def test_reason_of_ansible_is_said_in_words(message: str, words: str) -> None:
    shown = run_lines({}, StepResults({"gateway-1": {"unreachable": True, "msg": message}}))
    assert f"{words} " in " ".join(" ".join(shown).split()) + " "
    assert "Task failed" not in shown[0]


SILENT = {"unreachable": True, "msg": "no route"}


@pytest.mark.parametrize(
    ("device", "left", "missed", "gateways", "words"),
    [
        ("laptop", ["kim/laptop"], [], [SILENT, SILENT], "may still connect through gateway-1, gateway-2; NOT served"),
        (None, [], ["kim/phone"], [{"changed": False}, SILENT], "may still connect through gateway-2; NOT served"),
    ],
)
def test_r17_summary_names_whom_a_revocation_reached_nowhere(
    device: str | None, left: list[str], missed: list[str], gateways: list[dict[str, Any]], words: str
) -> None:
    record = {"user_id": "AIDA2", "user_name": "kim", "device": device, "kind": "block"}
    names = dict(zip(("gateway-1", "gateway-2"), gateways, strict=True))
    steps = StepResults(names, revocation={"revocations": [record]})
    gone = [{"name": name, "user_id": "AIDA2", "device": device, "cause": "blocked"} for name in left]
    roster = {**ROSTER, "left": gone, "missed": {"gateway-2": missed}}
    who = "kim/laptop" if device else "kim"
    said = " ".join(" ".join(run_lines(roster, steps)).split())
    assert f"in short: {who} is blocked, and {words}" in said
    unreached = " ".join(" ".join(run_lines(roster, steps, Scope(check_mode=True))).split())
    assert f"in short: {who} would be blocked, and {words}" in unreached
    nobody = " ".join(run_lines({**ROSTER, "left": [], "missed": {}}, steps))
    assert "is blocked" not in nobody, "as far as is known, nobody is there"
    assert f"{who} is blocked, and may still" in " ".join(" ".join(run_lines({}, steps)).split())


def test_time_out_of_a_task_that_asks_aws_is_said_of_aws() -> None:
    given = {"revoke_user_name": "kim", "revoke_device": "laptop"}
    (problem,) = revocation_problems({}, given, "Task failed: Timed out after 15 second(s).")
    assert problem.startswith("kim/laptop could not be blocked in the registry: AWS didn't answer within 15 s. ")


def test_variable_that_keeps_a_roster_from_being_made_is_named_without_ansibles_inner_words() -> None:
    failure = (
        "Task failed: Finalization of task args for 'tracklib.vpn.roster' failed: Error while resolving value for "
        "'access': 'vpn_access' is undefined"
    )
    (problem,) = revocation_problems({"changed": True}, {"revoke_user_name": "kim"}, failure)
    assert "the registry has the revocation: 'vpn_access' is undefined. " in problem
