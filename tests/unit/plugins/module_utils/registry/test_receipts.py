# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Receipts: what explains a removal, and how they are shown."""

from __future__ import annotations

import csv
import json
import math
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.tracklib.vpn.plugins.filter.receipt_lines import receipt_lines
from ansible_collections.tracklib.vpn.plugins.module_utils.aws_module import receipt_result
from ansible_collections.tracklib.vpn.plugins.module_utils.keys import fingerprint
from ansible_collections.tracklib.vpn.plugins.module_utils.model import (
    Block,
    Receipt,
    Registration,
    Removed,
    Tombstone,
)
from ansible_collections.tracklib.vpn.plugins.module_utils.people.layout import WIDTH
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.receipts import Causes, delay, delay_in_run, receipt

ACCOUNT = "111122223333"
REMOVED = 1_790_000_042


def removal(**changes: Any) -> dict[str, Any]:
    found = {
        "id": "0123456789abcdef",
        "user_name": "alice",
        "device": "laptop",
        "account_id": ACCOUNT,
        "user_id": "AIDA1",
        "public_key": "key",
        "fingerprint": "9f86d081884c7d65",
        "generation": (REMOVED - 2) * 1000,
        "reason": "tombstoned",
        "last_handshake": None,
        "removed_at": REMOVED,
    }
    return {**found, **changes}


def tombstone(event_id: str, seconds: int, user_id: str | None = "AIDA1", **changes: Any) -> Tombstone:
    return Tombstone(ACCOUNT, event_id, "alice", user_id, REMOVED - seconds)._replace(**changes)


def made(found: dict[str, Any], *causes: Tombstone | Block | Registration | Removed) -> Receipt:
    return receipt(
        "gateway-1",
        found,
        Causes(
            [cause for cause in causes if isinstance(cause, Tombstone)],
            [cause for cause in causes if isinstance(cause, Block)],
            [cause for cause in causes if isinstance(cause, Registration)],
            [cause for cause in causes if isinstance(cause, Removed)],
        ),
    )


def test_event_of_the_deletion_explains_it_not_the_sweep_that_missed_the_user_later() -> None:
    proof = made(removal(), tombstone("sweep-AIDA1", 10), tombstone("event", 40))
    assert (proof.event_id, proof.deleted_at, delay(proof), delay_in_run(proof)) == ("event", REMOVED - 40, 40, 2)


def test_r1_deletion_of_an_earlier_user_of_that_name_explains_nothing() -> None:
    proof = made(removal(), tombstone("old", 9000, user_id="AIDA0"), tombstone("other", 90, account_id="444455556666"))
    assert (proof.event_id, proof.deleted_at, delay(proof)) == (None, None, None)


def test_tombstone_by_name_explains_it_when_none_has_the_id() -> None:
    by_name = [tombstone("old", 9000, None), tombstone("event", 40, None), tombstone("later", -5, None)]
    assert made(removal(user_name="Alice"), *by_name).event_id == "event"
    assert made(removal(), *by_name, tombstone("own", 50)).event_id == "own"
    assert made(removal(user_name="bob"), *by_name).event_id is None


def test_r17_deletion_whose_time_cannot_be_read_explains_it_without_a_time() -> None:
    proof = made(removal(), tombstone("event", 0, event_time=math.inf))
    assert (proof.event_id, proof.deleted_at, delay(proof)) == ("event", None, None)


@pytest.mark.parametrize("reason", ["blocked", "revoked"])
def test_block_of_the_user_or_device_explains_it(reason: str) -> None:
    others = [Block(ACCOUNT, "AIDA1", "phone", "lost", 1.0), Block(ACCOUNT, "AIDA2", None, "left", 2.0)]
    found = removal(reason=reason)
    assert made(found, *others).deleted_at is None
    for device in ("laptop", None):
        assert made(found, *others, Block(ACCOUNT, "AIDA1", device, "left", REMOVED - 7.5)).deleted_at == REMOVED - 8


def test_expiry_explains_it_unless_it_was_renewed_since() -> None:
    laptop = Registration(ACCOUNT, "AIDA1", "laptop", "alice", "key", (), 1.0, REMOVED - 3.0)
    phone = laptop._replace(device="phone", expires_at=5.0)
    proof = made(removal(reason="expired"), phone, laptop)
    assert (proof.deleted_at, delay(proof), delay_in_run(proof)) == (REMOVED - 3, 3, None)
    assert made(removal(reason="expired"), phone, laptop._replace(expires_at=REMOVED + 9.0)).deleted_at is None


def test_reason_decides_which_cause_counts() -> None:
    causes = (tombstone("event", 40), Block(ACCOUNT, "AIDA1", None, "left", REMOVED - 20.0))
    assert made(removal(reason="blocked"), *causes).deleted_at == REMOVED - 20
    assert made(removal(reason="revoked"), *causes).event_id == "event"
    assert made(removal(reason="not_in_group"), *causes).deleted_at is None


OPERATOR = "arn:aws:sts::111122223333:assumed-role/operator/kim"
REMOVED_LAPTOP = Removed(ACCOUNT, "AIDA1", "laptop", "alice", "key", 5.0, "given back", OPERATOR)


@pytest.mark.parametrize(
    ("reason", "cause", "detail"),
    [
        ("tombstoned", tombstone("event", 40, by=OPERATOR), "deleted in IAM"),
        ("blocked", Block(ACCOUNT, "AIDA1", None, "left", 5.0, OPERATOR), "blocked: left"),
        ("revoked", Block(ACCOUNT, "AIDA1", "laptop", "lost", 5.0, OPERATOR), "blocked: lost"),
        ("removed", REMOVED_LAPTOP, "removed: given back"),
    ],
)
def test_receipt_says_who_ordered_the_removal_and_why(reason: str, cause: Any, detail: str) -> None:
    proof = made(removal(reason=reason, fingerprint=fingerprint("key")), cause)
    assert (proof.by, proof.detail, proof.reason) == (OPERATOR, detail, reason)
    nobodys = made(removal(reason=reason, fingerprint=fingerprint("key")), cause._replace(by=None))
    assert (nobodys.by, nobodys.detail) == (None, detail)


def test_words_of_an_operator_without_a_roster_are_in_the_receipt_unless_the_registry_knows_more() -> None:
    proof = made(removal(reason="revoked", detail="lost"))
    assert (proof.detail, proof.by, proof.deleted_at) == ("revoked without a roster: lost", None, None)
    known = made(removal(reason="revoked", detail="lost"), Block(ACCOUNT, "AIDA1", None, "left", 5.0, OPERATOR))
    assert (known.detail, known.by) == ("blocked: left", OPERATOR)
    assert made(removal(reason="revoked")).detail is None


def test_removal_of_an_earlier_key_of_the_device_explains_nothing() -> None:
    cause = REMOVED_LAPTOP._replace(public_key="earlier key")
    assert made(removal(reason="removed", fingerprint=fingerprint("key")), cause).by is None


def test_table_has_a_line_for_each_receipt_with_who_and_why() -> None:
    cause = tombstone("event", 40, by=OPERATOR)
    rows = [receipt_result(made(removal(), cause)), receipt_result(made(removal(user_name="bo", reason="expired")))]
    heading, alice, bob = receipt_lines(rows)
    assert heading.split() == ["REMOVED", "GATEWAY", "DEVICE", "DELAY", "WHY", "BY"]
    assert alice == "2026-09-21T14:14:02Z  gateway-1  alice/laptop  40 s   deleted in IAM            kim"
    assert bob == "2026-09-21T14:14:02Z  gateway-1  bo/laptop     -      its registration expired  -"


def test_r1_users_who_have_had_one_name_are_shown_with_their_ids() -> None:
    rows = [receipt_result(made(removal(user_id=each))) for each in ("AIDA1", "AIDA2")]
    _heading, *lines = receipt_lines([*rows, receipt_result(made(removal(user_name="bo")))])
    assert [line.split("  ")[2] for line in lines] == ["alice/laptop (AIDA1)", "alice/laptop (AIDA2)", "bo/laptop"]


def test_table_fits_a_screen_of_100_columns_whatever_is_in_it() -> None:
    long = dict.fromkeys(("user_name", "device", "reason"), "x" * 64)
    cause = Block(ACCOUNT, "AIDA1", None, "because " * 20, 5.0, f"arn:aws:iam::{ACCOUNT}:user/{'x' * 64}")
    proof = receipt("gateway-of-a-very-long-name", removal(reason="blocked"), Causes([], [cause], []))
    rows = [receipt_result(proof), {**receipt_result(proof), **long, "delay": 10**9}]
    lines = receipt_lines(rows)
    assert max(map(len, lines)) <= WIDTH
    assert "".join(" ".join(lines).split()).count("because") == 20 * len(rows)


def test_receipt_of_an_earlier_version_is_shown_without_who() -> None:
    row = {name: value for name, value in receipt_result(made(removal())).items() if name not in ("by", "detail")}
    assert receipt_lines([row])[1].split()[-2:] == ["tombstoned", "-"]


def test_json_and_csv_have_every_field() -> None:
    result = receipt_result(made(removal(last_handshake=REMOVED - 60), tombstone("event", 40)))
    (as_json,) = json.loads("\n".join(receipt_lines([result], "json")))
    (as_csv,) = csv.DictReader(receipt_lines([result], "csv"))
    assert set(as_json) == set(result) == set(as_csv)
    assert as_json["last_handshake"] == "2026-09-21T14:13:02Z" == as_csv["last_handshake"]
    assert as_json["delay"] == 40 == int(as_csv["delay"])


def test_r15_csv_holds_no_formula() -> None:
    result = receipt_result(made(removal(user_name="=cmd|calc", device="a,b")))
    (row,) = csv.DictReader(receipt_lines([result], "csv"))
    assert (row["user_name"], row["device"]) == ("'=cmd|calc", "a,b")


def test_no_receipts_are_a_heading_alone() -> None:
    assert [len(receipt_lines([], form)) for form in ("table", "csv", "json")] == [1, 1, 1]


def test_unknown_format_is_named() -> None:
    with pytest.raises(AnsibleFilterError, match="no format 'xml', expected one of table, json, csv"):
        receipt_lines([], "xml")
