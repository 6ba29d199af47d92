# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""`receipts` and `receipts_info` against an emulated AWS over HTTP, with faults between the two."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from tests.support import fault_proxy as faults
from tests.support.fault_proxy import FaultProxy
from tests.support.waiting import PATIENCE

from .names import Playbook
from .vpn import ACCOUNT, Vpn

FEW_TRIES = {"retries": {"mode": "standard", "total_max_attempts": 2}}


def removal(number: int, **changes: Any) -> dict[str, Any]:
    """As a gateway returns it."""
    now = int(time.time())
    found = {
        "id": f"{number:016x}",
        "user_name": f"user-{number}",
        "device": "laptop",
        "account_id": ACCOUNT,
        "user_id": f"AIDA{number}",
        "public_key": "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=",
        "fingerprint": "9f86d081884c7d65",
        "generation": now * 1000,
        "reason": "tombstoned",
        "last_handshake": None,
        "removed_at": now,
    }
    return {**found, **changes}


def record(vpn: Vpn, *removals: dict[str, Any], gateway: str = "gateway-1", **options: Any) -> dict[str, Any]:
    return vpn.module("receipts", gateways=[{"name": gateway, "removals": list(removals)}], **options)


def listed(vpn: Vpn, **options: Any) -> list[dict[str, Any]]:
    receipts: list[dict[str, Any]] = vpn.module("receipts_info", **options)["receipts"]
    return receipts


def acknowledged(vpn: Vpn) -> set[str]:
    return {removal_id for ids in vpn.registry().acknowledged().values() for removal_id in ids}


def test_receipt_of_a_deletion_has_its_event_and_delay(vpn: Vpn, tmp_path: Path) -> None:
    user_id = vpn.user("alice")
    vpn.register("alice", "laptop", "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=")
    vpn.module("roster", dest=str(tmp_path / "roster.json"))
    vpn.delete_user("alice")
    vpn.module("roster", dest=str(tmp_path / "roster.json"))
    gone = removal(1, user_name="alice", user_id=user_id)
    assert record(vpn, gone)["changed"]
    (receipt,) = listed(vpn)
    assert receipt["event_id"] == f"sweep-{user_id}"
    assert 0 <= receipt["delay"] == receipt["removed_at"] - receipt["deleted_at"] < PATIENCE
    assert (receipt["gateway"], receipt["fingerprint"]) == ("gateway-1", gone["fingerprint"])


def test_recording_again_changes_nothing(vpn: Vpn) -> None:
    gone = removal(1)
    assert record(vpn, gone)["changed"]
    again = record(vpn, gone)
    assert not again["changed"]
    assert again["receipts"] == listed(vpn)
    assert len(vpn.items("receipt")) == 1


def test_each_gateway_has_a_receipt_of_its_own(vpn: Vpn) -> None:
    gateways = [{"name": name, "removals": [removal(1)]} for name in ("gateway-1", "gateway-2")]
    assert len(vpn.module("receipts", gateways=gateways)["receipts"]) == 2
    assert sorted(receipt["gateway"] for receipt in listed(vpn)) == ["gateway-1", "gateway-2"]


def test_removal_that_is_not_certain_yet_has_no_receipt(vpn: Vpn) -> None:
    assert not record(vpn, removal(1, removed_at=None))["changed"]
    assert listed(vpn) == []
    assert acknowledged(vpn) == set()


def test_check_mode_records_nothing(vpn: Vpn) -> None:
    assert record(vpn, removal(1), check=True)["changed"]
    assert listed(vpn) == []


def test_next_roster_lets_the_gateways_forget_what_is_recorded(vpn: Vpn, tmp_path: Path) -> None:
    record(vpn, removal(1), removal(2))
    record(vpn, removal(3), gateway="gateway-2")
    assert acknowledged(vpn) == {removal(number)["id"] for number in (1, 2, 3)}
    record(vpn, removal(4))  # the gateway has forgotten 1 and 2
    assert acknowledged(vpn) == {removal(number)["id"] for number in (3, 4)}
    vpn.module("roster", dest=str(tmp_path / "roster.json"))
    assert f'"acknowledge":["{removal(4)["id"]}","{removal(3)["id"]}"]' in (tmp_path / "roster.json").read_text()


def test_receipts_that_may_not_be_there_are_not_acknowledged_and_come_again(vpn: Vpn, fault_proxy: FaultProxy) -> None:
    env = {"AWS_URL": fault_proxy.url}
    fault_proxy.fail("BatchWriteItem", faults.json_error(400, "AccessDeniedException"))
    gone = removal(1)
    gateways = [{"name": "gateway-1", "removals": [gone]}]
    failure = vpn.fails("receipts", env=env, gateways=gateways, aws_config=FEW_TRIES)
    assert "these credentials need dynamodb:BatchWriteItem on table tracklib-vpn" in failure
    assert len(listed(vpn)) == 1
    assert acknowledged(vpn) == set()
    assert record(vpn, gone)["changed"]
    assert len(listed(vpn)) == 1
    assert acknowledged(vpn) == {gone["id"]}


def test_hundreds_of_removals_have_their_receipts(vpn: Vpn, fault_proxy: FaultProxy) -> None:
    env = {"AWS_URL": fault_proxy.url}
    fault_proxy.fail("BatchWriteItem", faults.json_error(400, "ThrottlingException"), last=1)
    record(vpn, *(removal(number) for number in range(130)), env=env)
    assert len(listed(vpn)) == 130
    assert fault_proxy.calls["BatchWriteItem"] == 1 + 6 + 1  # throttled, 25 a call, what may be forgotten


def test_listing_by_time_and_user(vpn: Vpn) -> None:
    now = int(time.time())
    record(vpn, removal(1, removed_at=now - 7200), removal(2, removed_at=now - 60, user_name="Bob"), removal(3))
    assert [receipt["removal_id"][-1] for receipt in listed(vpn)] == ["1", "2", "3"]
    assert [receipt["removal_id"][-1] for receipt in listed(vpn, since="1h")] == ["2", "3"]
    assert [receipt["removal_id"][-1] for receipt in listed(vpn, user_name="bob")] == ["2"]
    assert "since 'soon' is not a time span" in vpn.fails("receipts_info", since="soon")


def test_r17_who_may_still_be_a_peer_of_a_gateway_that_was_not_reached_is_remembered_until_it_is(
    vpn: Vpn, tmp_path: Path
) -> None:
    def missed() -> dict[str, list[str]]:
        found: dict[str, list[str]] = vpn.module("roster", dest=str(tmp_path / "roster.json"))["missed"]
        return found

    record(vpn, removal(1))
    behind = [{"name": "gateway-1", "missed": ["kim/laptop"]}, {"name": "gateway-2", "missed": ["kim/laptop"]}]
    assert vpn.module("receipts", True, gateways=behind)["changed"]
    assert missed() == {}
    assert vpn.module("receipts", gateways=behind)["changed"]
    assert not vpn.module("receipts", gateways=behind)["changed"]
    assert missed() == {"gateway-1": ["kim/laptop"], "gateway-2": ["kim/laptop"]}
    assert acknowledged(vpn) == {removal(1)["id"]}
    assert vpn.module("receipts", gateways=[{"name": "gateway-2"}])["changed"]
    assert record(vpn, removal(2))["changed"]
    assert missed() == {}
    assert not vpn.module("receipts", gateways=[{"name": "gateway-2"}])["changed"]


def test_receipts_are_found_by_the_name_of_then_or_now_by_the_id_and_by_a_label(vpn: Vpn) -> None:
    user_id = vpn.user("alice")
    vpn.register("alice", "laptop", "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=")
    record(vpn, removal(1, user_name="alice", user_id=user_id), removal(2, user_name="bob", user_id="AIDABOB"))
    (registration,) = vpn.registry().devices.registrations()
    vpn.registry().devices.relabel(registration._replace(user_name="alicia"))
    for given in ("Alice", "alicia", user_id, "alice/laptop", f"{user_id}/laptop"):
        assert [each["user_name"] for each in listed(vpn, user_name=given)] == ["alice"], given
    for given in ("alice/phone", "nosuch"):
        assert listed(vpn, user_name=given) == []


def test_r17_damaged_receipt_costs_no_other(vpn: Vpn) -> None:
    record(vpn, removal(1))
    for sk, attributes in (("2026-01-01T00:00:00Z/gateway/xx", {"reason": {"S": "odd"}}), ("zzz", {})):
        vpn.dynamodb.put_item(TableName=vpn.table, Item={"pk": {"S": "receipt"}, "sk": {"S": sk}, **attributes})
    found = vpn.module("receipts_info")
    assert [each["user_name"] for each in found["receipts"]] == ["user-1"]
    named = [sentence.partition(" can't be read (")[0] for sentence in found["unreadable"]]
    sks = ["2026-01-01T00:00:00Z/gateway/xx", "zzz"]
    assert named == [f"the registry's item receipt {sk}" for sk in sks]


def test_playbook_names_the_receipts_that_cannot_be_read(vpn: Vpn, playbook: Playbook) -> None:
    record(vpn, removal(1))
    vpn.dynamodb.put_item(TableName=vpn.table, Item={"pk": {"S": "receipt"}, "sk": {"S": "zzz"}})
    said = playbook("receipts", vpn_account_id=ACCOUNT)
    assert "1 receipt of everybody, since the first" in said
    assert "1 more could not be read, whosever they are:" in said
    assert "the registry's item receipt zzz can't be read (" in said


def test_name_that_nobody_has_or_had_ends_with_the_nearest_names(vpn: Vpn, playbook: Playbook) -> None:
    vpn.user("kim")
    vpn.register("kim", "laptop", "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=")
    record(vpn, removal(1, user_name="kimberly"))
    said = playbook("receipts", vpn_account_id=ACCOUNT, receipts_user_name="kimm", expect=2)
    assert "nobody is or was called kimm: no receipt, registration or sweep knows the name or id. The" in said
    assert "The nearest names: kim, kimberly" in said
    for known in ("KIM", "kim/laptop", "kimberly", "AIDA1"):
        assert vpn.module("receipts_info", user_name=known)["unknown"] is None
    said = playbook("receipts", vpn_account_id=ACCOUNT, receipts_user_name="KIM/fone", expect=2)
    assert "KIM has no device fone, and had none of which a record is left; known: laptop" in said
