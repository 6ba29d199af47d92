# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The registry's items: their keys and attributes, and that what was written reads back the same."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils.aws import AWSCallError
from ansible_collections.tracklib.vpn.plugins.module_utils.model import (
    Block,
    Decision,
    Departure,
    LeftOut,
    Lifted,
    Receipt,
    Registration,
    Removed,
    Sign,
    Sweep,
    Tombstone,
    User,
)
from ansible_collections.tracklib.vpn.plugins.module_utils.registry import items
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.dynamodb import Item

DAY = 24 * 3600
ACCOUNT = "111122223333"
REGISTRATION = Registration(
    account_id=ACCOUNT,
    user_id="AIDAALICE",
    device="laptop",
    user_name="alice",
    public_key="KEY",
    addresses=("10.44.0.2", "fd44::2"),
    created_at=1000.0,
)
RENEWED = REGISTRATION._replace(expires_at=3000.0, renewed_at=2000.0, handed_out=True, fixed_end=True)
RECEIPT = Receipt(
    gateway="gateway-1",
    removal_id="42",
    account_id=ACCOUNT,
    user_id="AIDAALICE",
    user_name="alice",
    device="laptop",
    fingerprint="9f86",
    reason="tombstoned",
    generation=7,
    event_id="event-1",
    deleted_at=1_800_000_000,
    removed_at=1_800_000_042,
    last_handshake=None,
)


def test_registration_is_written_in_the_form_that_tables_have() -> None:
    assert items.registration_item(REGISTRATION) == {
        "pk": "registration",
        "sk": "111122223333/AIDAALICE/laptop",
        "user_name": "alice",
        "public_key": "KEY",
        "addresses": ["10.44.0.2", "fd44::2"],
        "created_at": 1000,
    }
    further = {"expires_at": 3000, "renewed_at": 2000, "handed_out": True, "fixed_end": True}
    assert items.registration_item(RENEWED) == {**items.registration_item(REGISTRATION), **further}


def test_handout_that_nobody_has_used_says_when_it_ends_once_somebody_has() -> None:
    unused = REGISTRATION._replace(expires_at=3000.0, handed_out=True, confirmed_end=9000.0)
    item = items.registration_item(unused)
    assert (item["expires_at"], item["confirmed_end"]) == (3000, 9000)
    assert items.read_registration(item) == unused


def test_time_that_nothing_could_read_again_is_not_written() -> None:
    for odd in (2**40, float("inf")):
        with pytest.raises(ValueError, match="instead of a time"):
            items.registration_item(REGISTRATION._replace(expires_at=odd))
        with pytest.raises(ValueError, match="instead of a time"):
            items.block_item(Block(ACCOUNT, "AIDAALICE", None, "lost", odd))


@pytest.mark.parametrize("registration", [REGISTRATION, RENEWED])
def test_registration_reads_back_the_same(registration: Registration) -> None:
    found = items.read_registration(items.registration_item(registration))
    assert found == registration
    assert [type(value) for value in found] == [type(value) for value in registration]


def test_registration_that_lacks_attributes_is_read_for_the_decision_to_leave_out() -> None:
    assert items.read_registration({"pk": "registration", "sk": f"{ACCOUNT}/AIDAALICE/laptop"}) == Registration(
        ACCOUNT, "AIDAALICE", "laptop", "?", "", (), 0.0, None, None, False
    )


@pytest.mark.parametrize("user_id", ["AIDAALICE", None])
def test_tombstone_reads_back_the_same(user_id: str | None) -> None:
    tombstone = Tombstone(ACCOUNT, "event/1", "alice", user_id, 1000.0)
    item = items.tombstone_item(tombstone)
    assert (item["pk"], item["sk"], "user_id" in item) == ("tombstone", "111122223333/event/1", user_id is not None)
    assert items.read_tombstone(item) == tombstone


def test_r4_tombstone_lives_for_90_days_and_more() -> None:
    item = items.tombstone_item(Tombstone(ACCOUNT, "event-1", "alice", None, 1000.9))
    assert (item["event_time"], item["ttl"]) == (1000, 1000 + 120 * DAY)


@pytest.mark.parametrize(("device", "sk"), [(None, "111122223333/AIDABOB"), ("phone", "111122223333/AIDABOB/phone")])
def test_block_reads_back_the_same(device: str | None, sk: str) -> None:
    block = Block(ACCOUNT, "AIDABOB", device, "lost", 1000.0)
    assert items.block_item(block) == {"pk": "block", "sk": sk, "reason": "lost", "created_at": 1000}
    assert items.read_block(items.block_item(block)) == block


def test_sign_reads_back_the_same_and_lives_for_30_days() -> None:
    sign = Sign(ACCOUNT, "AIDABOB", "DeleteLoginProfile", 1000.0)
    assert items.sign_item(sign) == {
        "pk": "sign",
        "sk": "111122223333/AIDABOB",
        "event_name": "DeleteLoginProfile",
        "event_time": 1000,
        "ttl": 1000 + 30 * DAY,
    }
    assert items.read_sign(items.sign_item(sign)) == sign


def test_receipt_is_found_by_its_time_and_lacks_what_is_not_known() -> None:
    item = items.receipt_item(RECEIPT)
    assert (item["pk"], item["sk"]) == ("receipt", "2027-01-15T08:00:42Z/gateway-1/42")
    assert "last_handshake" not in item
    stored = {name: Decimal(value) if isinstance(value, int) else value for name, value in item.items()}
    found = items.read_receipt(stored)
    assert found == RECEIPT
    assert [type(value) for value in found] == [type(value) for value in RECEIPT]


SWEEP = Sweep(
    ACCOUNT,
    1000.0,
    {
        "AIDAALICE": User(ACCOUNT, "AIDAALICE", "alice", 10.0, ("vpn", "dba")),
        "AIDABOB": User(ACCOUNT, "AIDABOB", "bob", 20.0),
    },
)


DECIDING = RENEWED._replace(fixed_end=False)  # what a decision has of it
DECISION = Decision((REGISTRATION, DECIDING._replace(device="phone")), (Departure(ACCOUNT, "AIDABOB", "laptop", 5.0),))


def test_sweep_reads_back_with_what_decides() -> None:
    (item,) = items.sweep_items(SWEEP, 7)
    assert (item["pk"], item["sk"], item["begun_at"], item["generation"]) == ("sweep", ACCOUNT, 1000, 7)
    assert items.read_sweep(item) == SWEEP


def test_sweep_that_an_earlier_version_stored_is_read() -> None:
    users = [["AIDAALICE", "alice", 10, [1, 0]], ["AIDABOB", "bob", 20, []]]
    data = zlib.compress(json.dumps({"groups": ["dba", "vpn"], "users": users}).encode())
    stored = {"pk": "sweep", "sk": ACCOUNT, "begun_at": 1000, "generation": 7, "data": data}
    assert items.read_sweep(stored) == SWEEP


HEAD: Item = items.sweep_items(SWEEP, 1)[0]


@pytest.mark.parametrize(
    "damage", [{"data": b"no"}, {"data": None}, {"data": HEAD["data"][:-9]}, {"parts": 1}, {"parts": "?"}]
)
def test_damaged_sweep_says_what_to_do(damage: dict[str, Any]) -> None:
    with pytest.raises(AWSCallError, match=r"the stored sweep of account 111122223333 can't be read .* delete that"):
        items.read_sweep({**HEAD, **damage})


def test_what_a_run_decided_reads_back_the_same() -> None:
    (item,) = items.decision_items(DECISION, 7)
    assert (item["pk"], item["sk"], item["generation"]) == ("sweep", "decision", 7)
    assert items.read_decision(item) == DECISION


def test_registration_that_a_decision_gives_back_is_as_the_registry_has_it() -> None:
    """Else each run would find its own decision changed."""
    given_back = items.read_decision(items.decision_items(DECISION, 7)[0]).peers[1]
    read = items.read_registration(items.registration_item(given_back))
    assert given_back == read
    assert [type(value) for value in given_back] == [type(value) for value in read]


@pytest.mark.parametrize(
    ("name", "odd"),
    [
        ("user_id", None),
        ("user_name", None),
        ("public_key", []),
        ("addresses", [["10.44.0.2"]]),
        ("expires_at", "y"),
        ("created_at", None),
    ],
)
def test_r17_decision_with_odd_values_is_refused_as_one_that_cant_be_read(name: str, odd: Any) -> None:
    packed = {"peers": [list(REGISTRATION._replace(**{name: odd}))], "departures": []}
    with pytest.raises(items.UNREADABLE):
        items.read_decision({"sk": "decision", "data": zlib.compress(json.dumps(packed).encode())})


@pytest.mark.parametrize("left_at", ["x", None, True])
def test_r17_departure_at_an_odd_time_is_refused(left_at: Any) -> None:
    packed = {"peers": [], "departures": [[ACCOUNT, "AIDA1", "laptop", left_at]]}
    with pytest.raises(items.UNREADABLE):
        items.read_decision({"sk": "decision", "data": zlib.compress(json.dumps(packed).encode())})


@pytest.mark.parametrize("odd", [False, "0", "1790000000", [], None])
def test_r5_registration_with_an_odd_end_is_unreadable_and_not_expired(odd: Any) -> None:
    with pytest.raises(items.UNREADABLE):
        items.read_registration({"sk": f"{ACCOUNT}/AIDA1/laptop", "expires_at": odd})


def test_who_was_left_out_reads_back_and_costs_no_decision_where_it_is_missing_or_nonsense() -> None:
    left_out = (LeftOut(ACCOUNT, "AIDABOB", "phone", "blocked"),)
    (head,) = items.decision_items(DECISION._replace(left_out=left_out), 7)
    assert items.read_decision(head) == DECISION._replace(left_out=left_out)
    packed = json.loads(zlib.decompress(head["data"]))
    for nonsense in ({}, {"left_out": 5}, {"left_out": [["too", "short"]]}, {"left_out": [[1, 2, 3, 4]]}):
        document = {**{name: packed[name] for name in ("peers", "departures")}, **nonsense}
        damaged = {**head, "data": zlib.compress(json.dumps(document).encode())}
        assert items.read_decision(damaged) == DECISION


def test_record_of_a_removed_registration_reads_back_and_lives_for_90_days() -> None:
    item = items.removed_item(REGISTRATION, 5000.9)
    assert item == {
        "pk": "removed",
        "sk": "111122223333/AIDAALICE/laptop",
        "user_name": "alice",
        "public_key": "KEY",
        "removed_at": 5000,
        "ttl": 5000 + 90 * DAY,
    }
    assert items.read_removed(item) == Removed(ACCOUNT, "AIDAALICE", "laptop", "alice", "KEY", 5000.0)


BY = "arn:aws:iam::111122223333:user/operator"
ORDERED: list[tuple[Any, Callable[[Any], Item], Callable[[Item], Any]]] = [
    (RENEWED._replace(by=BY), items.registration_item, items.read_registration),
    (Tombstone(ACCOUNT, "event-1", "alice", None, 1.0, by=BY), items.tombstone_item, items.read_tombstone),
    (Block(ACCOUNT, "AIDABOB", "laptop", "lost", 1.0, BY), items.block_item, items.read_block),
    (
        Lifted(Block(ACCOUNT, "AIDABOB", None, "lost", 1.0, "arn:other"), "found", 2.0, BY),
        items.lifted_item,
        items.read_lifted,
    ),
    (RECEIPT._replace(detail="blocked: lost", by=BY), items.receipt_item, items.read_receipt),
]


@pytest.mark.parametrize(("record", "write", "read"), ORDERED, ids=lambda each: type(each).__name__)
def test_record_keeps_whose_order_it_was(
    record: Any, write: Callable[[Any], Item], read: Callable[[Item], Any]
) -> None:
    assert read(write(record)) == record
    assert record.by == BY


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("given back", "given back"),
        ("given\n back\t\u00a0now", "given back now"),
        ("\x1b[31mred", "[31mred"),
        ("\U0001f468\u200d\U0001f469 back", "\U0001f468 \U0001f469 back"),
    ],
)
def test_removal_keeps_whose_order_it_was_and_why_on_one_line(typed: str, read: str) -> None:
    removed = items.read_removed(items.removed_item(REGISTRATION, 5000.0, BY, typed))
    assert (removed.by, removed.reason) == (BY, read)


@pytest.mark.parametrize(
    "damage",
    [{"reason": None}, {"gateway": 5}, {"removed_at": "yesterday"}, {"generation": None}, {"last_handshake": "never"}],
)
def test_r17_receipt_that_lacks_what_is_shown_costs_itself_alone(damage: dict[str, Any]) -> None:
    item = items.receipt_item(RECEIPT)
    assert list(items.readable([{**item, **damage}, item], items.read_receipt)) == [RECEIPT]


@pytest.mark.parametrize("odd", [None, 5, {"arn": BY}, " \n", b"arn"])
@pytest.mark.parametrize(("record", "write", "read"), ORDERED[:4], ids=lambda each: type(each).__name__)
def test_r17_record_of_nobodys_or_an_odd_order_holds_all_the_same(
    record: Any, write: Callable[[Any], Item], read: Callable[[Item], Any], odd: Any
) -> None:
    item = {**write(record), "by": odd}
    if odd is None:
        del item["by"]
    assert read(item) == record._replace(by=None)


def test_decision_is_stored_in_the_form_that_earlier_versions_read() -> None:
    decision = Decision(peers=(RENEWED._replace(by=BY),))  # what orders its end decides nothing
    (head,) = items.decision_items(decision, 1)
    (peer,) = json.loads(zlib.decompress(head["data"]))["peers"]
    assert len(peer) == 10
    assert items.read_decision(head).peers == (DECIDING,)


EVERY = [
    items.registration_item(REGISTRATION),
    items.tombstone_item(Tombstone(ACCOUNT, "event-1", "alice", None, 1.0)),
    items.block_item(Block(ACCOUNT, "AIDABOB", None, "lost", 1.0)),
    items.lifted_item(Lifted(Block(ACCOUNT, "AIDABOB", None, "lost", 1.0), None, 2.0)),
    items.sign_item(Sign(ACCOUNT, "AIDABOB", "DeleteLoginProfile", 1.0)),
    items.receipt_item(RECEIPT),
    items.acknowledged_item("gateway-1", ["1", "2"]),
    HEAD,
    items.decision_items(DECISION, 1)[0],
    {"pk": "sweep", "sk": f"{ACCOUNT}#1#0000", "data": b"part"},
    {"pk": "sweep", "sk": "granted", "accounts": [], "grants": [], "pools": []},
    items.removed_item(REGISTRATION, 1.0),
    {"pk": "registry", "sk": "identity", "value": "4f2a"},
    {"pk": "gateway", "sk": "gateway-1", "public_key": "KEY"},
    {"pk": "claim", "sk": "key#KEY", "holder": "1/AIDA/laptop"},
    {"pk": "devices", "sk": "1/AIDA", "version": 1},
    {"pk": "generation", "sk": "generation", "value": 1},
    {"pk": "settings", "sk": "self-service", "value": "{}"},
]


@pytest.mark.parametrize("item", EVERY, ids=lambda item: f"{item['pk']} {item['sk']}")
def test_item_of_every_kind_passes_the_check(item: dict[str, Any]) -> None:
    items.check_item(item)


@pytest.mark.parametrize(
    ("item", "complaint"),
    [
        (
            {"pk": "x", "sk": "y"},
            "its pk is 'x', expected one of registry, registration, removed, claim, devices, block",
        ),
        ({"pk": "block", "sk": ""}, "its sk is '', expected a text"),
        ({"pk": "block", "sk": 5}, "its sk is 5, expected a text"),
        ({"pk": "registration", "sk": "1/AIDA"}, "not enough values"),
        ({"pk": "block", "sk": "1"}, "not enough values"),
        ({"pk": "tombstone", "sk": "1/event"}, "it names nobody"),
        ({"pk": "removed", "sk": "1/AIDA/laptop"}, "user_name"),
        ({"pk": "registry", "sk": "identity"}, "value"),
        ({"pk": "claim", "sk": "key#KEY"}, "holder"),
        ({"pk": "devices", "sk": "1/AIDA"}, "version"),
        ({"pk": "recorded", "sk": "gateway-1"}, "removal_ids"),
        ({"pk": "gateway", "sk": "gateway-1"}, "public_key"),
        ({"pk": "generation", "sk": "generation"}, "value"),
        ({"pk": "settings", "sk": "self-service"}, "value"),
        ({"pk": "sweep", "sk": "decision"}, "data"),
        ({"pk": "sweep", "sk": f"{ACCOUNT}#1#0000"}, "data"),
        ({"pk": "sweep", "sk": ACCOUNT, "begun_at": 1}, "can't be read"),
    ],
)
def test_item_that_no_run_could_read_is_refused(item: dict[str, Any], complaint: str) -> None:
    with pytest.raises((ValueError, KeyError, AWSCallError), match=complaint):
        items.check_item(item)


def test_items_are_counted_by_kind() -> None:
    assert items.counts([{"pk": "sign"}, {"pk": "block"}, {"pk": "sign"}]) == {"block": 1, "sign": 2}
