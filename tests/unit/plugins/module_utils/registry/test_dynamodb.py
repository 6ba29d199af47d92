# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The table: its reads, conditional writes and transactions, as DynamoDB answers them."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils.aws import AWSCallError
from ansible_collections.tracklib.vpn.plugins.module_utils.model import Sweep, User
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.dynamodb import Delete, Put, RegistryError, Table
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.items import sweep_items
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.table import Registry
from botocore.awsrequest import AWSResponse
from botocore.stub import Stubber

from tests.support.tables import TABLE


@pytest.fixture
def table(client: Any, monkeypatch: pytest.MonkeyPatch) -> Table:
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    return Table(client, TABLE)


def item(sk: str, pk: str = "x", **attributes: Any) -> dict[str, Any]:
    return {"pk": pk, "sk": sk, **attributes}


def test_query_gives_the_items_of_one_kind_in_their_order(table: Table) -> None:
    table.write_all([item(sk) for sk in ("b/1", "a/2", "a/1", "c")] + [item("a/1", "y")])
    assert [found["sk"] for found in table.query("x")] == ["a/1", "a/2", "b/1", "c"]
    assert [found["sk"] for found in table.query("x", "a/")] == ["a/1", "a/2"]
    assert [found["sk"] for found in table.query("x", start="a/2")] == ["a/2", "b/1", "c"]


def test_item_reads_back_with_its_values(table: Table) -> None:
    wanted = item("a", text="t", number=5, truth=True, texts=["s", "t"], data=b"\x00\xff")
    table.write(Put(wanted))
    for found in (table.get("x", "a"), *table.query("x"), *table.scan()):
        assert found is not None
        assert {**found, "data": bytes(found["data"])} == wanted


def test_get_of_no_item_gives_none(table: Table) -> None:
    assert table.get("x", "a") is None


def test_scan_gives_all_items_by_pk_and_sk(table: Table) -> None:
    table.write_all([item("b", "y"), item("a", "y"), item("c", "x")])
    assert [(found["pk"], found["sk"]) for found in table.scan()] == [("x", "c"), ("y", "a"), ("y", "b")]


def test_write_happens_only_if_its_condition_holds(table: Table) -> None:
    fresh = "attribute_not_exists(pk) OR #value < :value"
    assert table.write(Put(item("a", value=5), fresh, {"value": 5}))
    assert not table.write(Put(item("a", value=4), fresh, {"value": 4}))
    assert table.get("x", "a") == item("a", value=5)
    assert not table.write(Delete("x", "a", "#value = :value", {"value": 4}))
    assert table.get("x", "a") is not None
    assert table.write(Delete("x", "a", "#value = :value", {"value": 5}))
    assert table.get("x", "a") is None


def test_transaction_makes_all_writes_or_none(table: Table) -> None:
    missing = "attribute_not_exists(pk)"
    assert table.transact([Put(item("a"), missing), Put(item("b"))])
    assert not table.transact([Put(item("c")), Delete("x", "b"), Put(item("a"), missing)])
    assert [found["sk"] for found in table.query("x")] == ["a", "b"]
    assert table.transact([Delete("x", "b"), Put(item("c"), missing)])
    assert [found["sk"] for found in table.query("x")] == ["a", "c"]


def test_update_returns_what_it_changed_or_none(table: Table) -> None:
    table.write(Put(item("a", value=5, other=1)))
    assert table.update("x", "a", "SET #value = #value + :one", {"one": 1}) == {"value": 6}
    changed = table.update("x", "a", "SET #value = :value", {"value": 1}, condition="#value < :value")
    assert changed is None
    assert table.get("x", "a") == item("a", value=6, other=1)


@pytest.mark.parametrize("count", [0, 1, 25, 26, 60])
def test_all_items_are_written_in_batches(table: Table, count: int) -> None:
    table.write_all([item(f"{number:02}") for number in range(count)])
    assert len(table.scan()) == count


ANSWERS: dict[str, Callable[[Table], object]] = {
    "Query": lambda table: list(table.query("x")),
    "Scan": Table.scan,
    "GetItem": lambda table: table.get("x", "a"),
    "PutItem": lambda table: table.write(Put(item("a"))),
    "DeleteItem": lambda table: table.write(Delete("x", "a")),
    "UpdateItem": lambda table: table.update("x", "a", "SET #value = :one", {"one": 1}),
    "BatchWriteItem": lambda table: table.write_all([item("a")]),
    "TransactWriteItems": lambda table: table.transact([Put(item("a"))]),
}


@pytest.fixture
def stubbed() -> Iterator[tuple[Table, Stubber]]:
    """A table whose answers a test lays down."""
    client = boto3.client("dynamodb", region_name="eu-west-1", aws_access_key_id="test", aws_secret_access_key="test")
    with Stubber(client) as stubber:
        yield Table(client, TABLE), stubber


@pytest.mark.parametrize("operation", ANSWERS)
def test_refused_call_names_the_permission_and_the_table(stubbed: tuple[Table, Stubber], operation: str) -> None:
    table, stubber = stubbed
    method = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in operation).lstrip("_")
    stubber.add_client_error(method, "AccessDeniedException")
    with pytest.raises(AWSCallError, match=f"access denied: these credentials need dynamodb:{operation} on table"):
        ANSWERS[operation](table)


def test_every_read_is_consistent(stubbed: tuple[Table, Stubber]) -> None:
    table, stubber = stubbed
    names = {"pk": {"S": "x"}, "sk": {"S": "a"}}
    asked = {"TableName": TABLE, "ConsistentRead": True}
    stubber.add_response("get_item", {"Item": names}, {**asked, "Key": names})
    stubber.add_response("scan", {"Items": [names], "LastEvaluatedKey": names}, asked)
    stubber.add_response("scan", {"Items": []}, {**asked, "ExclusiveStartKey": names})
    query = {**asked, "KeyConditionExpression": "pk = :pk", "ExpressionAttributeValues": {":pk": {"S": "x"}}}
    stubber.add_response("query", {"Items": [names], "LastEvaluatedKey": names}, query)
    stubber.add_response("query", {"Items": [names]}, {**query, "ExclusiveStartKey": names})
    assert (table.get("x", "a"), len(table.scan()), len(list(table.query("x")))) == (item("a"), 1, 2)
    stubber.assert_no_pending_responses()


def _batch(*sks: str) -> dict[str, Any]:
    return {TABLE: [{"PutRequest": {"Item": {"pk": {"S": "x"}, "sk": {"S": sk}}}} for sk in sks]}


def test_what_dynamodb_puts_off_is_written_again(
    stubbed: tuple[Table, Stubber], monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    monkeypatch.setattr("time.sleep", slept.append)
    table, stubber = stubbed
    stubber.add_response("batch_write_item", {"UnprocessedItems": _batch("b")}, {"RequestItems": _batch("a", "b")})
    stubber.add_response("batch_write_item", {"UnprocessedItems": {}}, {"RequestItems": _batch("b")})
    table.write_all([item("a"), item("b")])
    stubber.assert_no_pending_responses()
    assert len(slept) == 1
    assert 0 <= slept[0] <= 0.02


def test_table_that_takes_no_writes_is_given_up(
    stubbed: tuple[Table, Stubber], monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    monkeypatch.setattr("time.sleep", slept.append)
    table, stubber = stubbed
    for _attempt in range(12):
        stubber.add_response("batch_write_item", {"UnprocessedItems": _batch("a")})
    with pytest.raises(RegistryError, match="table tracklib-vpn takes no more writes, 1 are left; run it again"):
        table.write_all([item("a")])
    stubber.assert_no_pending_responses()
    assert max(slept) <= 0.02 * 2**6


class Body:
    """The body of an answer, as urllib3 gives it."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def stream(self) -> Iterator[bytes]:
        """The whole of it."""
        yield self._content


def test_stored_sweep_is_read_by_every_botocore_that_is_supported() -> None:
    """In an answer as DynamoDB sends it, binary values are base64."""
    users = {"AIDAALICE": User("111122223333", "AIDAALICE", "alice", 10.0, ("vpn",))}
    sweep = Sweep("111122223333", 1000.0, users)
    (stored,) = sweep_items(sweep, 7)
    typed = {
        "pk": {"S": "sweep"},
        "sk": {"S": stored["sk"]},
        "begun_at": {"N": "1000"},
        "generation": {"N": "7"},
        "parts": {"N": "0"},
        "data": {"B": base64.b64encode(stored["data"]).decode()},
    }

    def answer(request: Any, **_unused: Any) -> Any:
        wanted = json.loads(request.body).get("ExpressionAttributeValues", {}).get(":pk") in (None, {"S": "sweep"})
        found: list[dict[str, Any]] = [typed] if wanted else []
        body = json.dumps({"Items": found, "Item": typed, "Count": len(found)}).encode()
        headers: Any = {"x-amz-crc32": str(zlib.crc32(body))}
        return AWSResponse(request.url, 200, headers, Body(body))

    client = boto3.client("dynamodb", region_name="eu-west-1", aws_access_key_id="test", aws_secret_access_key="test")
    events: Any = client.meta.events
    events.register("before-send.dynamodb", answer)
    registry = Registry(client, TABLE)
    assert registry.facts().sweeps == {"111122223333": sweep}
    assert registry.sweep("111122223333") == sweep
