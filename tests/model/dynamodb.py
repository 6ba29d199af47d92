# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""As much of a DynamoDB client as the registry uses, in memory: 2,000 steps take moto a minute, and this a third of it.

Longer runs of the state machine use moto. Unlike moto this one pages, and it can be down or throttle writes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, EndpointConnectionError

REGION = "eu-west-1"
PAGE = 7  # items of a query
Item = Mapping[str, Any]  # by attribute, each value with its type: {"S": "text"}
_Key = tuple[str, str]
_TOKEN = re.compile(r"\(|\)|<=|>=|<|=|\+|,|[#:]?\w+")
_COUNTER = "generation"


def _error(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "told to"}}, "DynamoDB")


def _key(keys: Item) -> _Key:
    return (keys["pk"]["S"], keys["sk"]["S"])


def _page(items: list[Item]) -> dict[str, Any]:
    page: dict[str, Any] = {"Items": [dict(item) for item in items[:PAGE]]}
    if len(items) > PAGE:
        page["LastEvaluatedKey"] = {"pk": page["Items"][-1]["pk"], "sk": page["Items"][-1]["sk"]}
    return page


def _plain(value: Mapping[str, Any] | None) -> Any:
    """A value that can be compared; None for an attribute that isn't there."""
    if value is None:
        return None
    ((kind, content),) = value.items()
    return Decimal(content) if kind == "N" else content


class _Expression:
    """A condition or an update, about one item."""

    def __init__(self, text: str, request: Mapping[str, Any], item: Item) -> None:
        self._tokens = _TOKEN.findall(text)
        self._names = request.get("ExpressionAttributeNames", {})
        self._values = request.get("ExpressionAttributeValues", {})
        self._item = item

    def holds(self) -> bool:
        """Whether the condition holds."""
        result = self._any()
        assert not self._tokens, f"the end of a condition isn't understood: {self._tokens}"
        return result

    def assigned(self) -> dict[str, Any]:
        """The attributes that `SET a = b, c = d + e` gives the item."""
        assert self._tokens.pop(0) == "SET"
        changes = {}
        while True:
            name = self._name(self._tokens.pop(0))
            assert self._tokens.pop(0) == "="
            value = self._value(self._tokens.pop(0))
            if self._tokens[:1] == ["+"]:
                self._tokens.pop(0)
                value = {"N": str(_plain(value) + _plain(self._value(self._tokens.pop(0))))}
            changes[name] = value
            if self._tokens[:1] != [","]:
                assert not self._tokens, f"the end of an update isn't understood: {self._tokens}"
                return changes
            self._tokens.pop(0)

    def _any(self) -> bool:
        result = self._all()
        while self._tokens[:1] == ["OR"]:
            self._tokens.pop(0)
            result = self._all() or result
        return result

    def _all(self) -> bool:
        result = self._one()
        while self._tokens[:1] == ["AND"]:
            self._tokens.pop(0)
            result = self._one() and result
        return result

    def _one(self) -> bool:
        token = self._tokens.pop(0)
        if token == "(":
            result = self._any()
            assert self._tokens.pop(0) == ")"
            return result
        if token in ("attribute_exists", "attribute_not_exists"):
            _open, name, _close = (self._tokens.pop(0) for _ in range(3))
            return (self._name(name) in self._item) is (token == "attribute_exists")
        if token == "NOT":
            return not self._one()
        if token == "attribute_type":
            _open, name, _comma, kind, _close = (self._tokens.pop(0) for _ in range(5))
            return _plain(self._value(kind)) in self._item.get(self._name(name), {})
        if token == "begins_with":
            _open, name, _comma, prefix, _close = (self._tokens.pop(0) for _ in range(5))
            return bool(_plain(self._value(name)).startswith(_plain(self._value(prefix))))
        operator, other = self._tokens.pop(0), self._tokens.pop(0)
        return self._compare(_plain(self._value(token)), operator, _plain(self._value(other)))

    @staticmethod
    def _compare(left: Any, operator: str, right: Any) -> bool:
        if left is None or right is None or type(left) is not type(right):
            return False
        results = {"=": left == right, "<": left < right, "<=": left <= right, ">=": left >= right}
        return bool(results[operator])

    def _name(self, token: str) -> str:
        return str(self._names[token]) if token.startswith("#") else token

    def _value(self, token: str) -> Any:
        return self._values[token] if token.startswith(":") else self._item.get(self._name(token))


class MemoryDynamoDb:
    """Tables with the keys `pk` and `sk`."""

    def __init__(self) -> None:
        self._tables: dict[str, dict[_Key, dict[str, Any]]] = {}

    def create_table(self, **request: Any) -> None:
        """Create a table."""
        self._tables[request["TableName"]] = {}

    def describe_table(self, **request: Any) -> dict[str, Any]:
        """Return what there is to say of a table; DynamoDB also says its id."""
        name = request["TableName"]
        assert name in self._tables
        return {"Table": {"TableArn": f"arn:aws:dynamodb:{REGION}:111122223333:table/{name}"}}

    def get_item(self, **request: Any) -> dict[str, Any]:
        """Return an item."""
        item = self._tables[request["TableName"]].get(_key(request["Key"]))
        return {} if item is None else {"Item": dict(item)}

    def query(self, **request: Any) -> dict[str, Any]:
        """Return a page of the items that a key condition chooses, in order."""
        chosen = [item for item in self._sorted(request) if self._is(request, "KeyConditionExpression", item)]
        return _page(chosen)

    def scan(self, **request: Any) -> dict[str, Any]:
        """Return a page of all items."""
        return _page(list(self._sorted(request)))

    def _sorted(self, request: Mapping[str, Any]) -> Iterator[Item]:
        after = request.get("ExclusiveStartKey")
        items = self._tables[request["TableName"]]
        return (items[key] for key in sorted(items) if after is None or key > _key(after))

    def _is(self, request: Mapping[str, Any], name: str, item: Item) -> bool:
        return name not in request or _Expression(request[name], request, item).holds()

    def _present(self, request: Mapping[str, Any], keys: Item) -> dict[str, Any]:
        return self._tables[request["TableName"]].get(_key(keys), {})

    def _allows(self, request: Mapping[str, Any], keys: Item) -> bool:
        return self._is(request, "ConditionExpression", self._present(request, keys))

    def put_item(self, **request: Any) -> dict[str, Any]:
        """Write an item."""
        if not self._allows(request, request["Item"]):
            raise _error("ConditionalCheckFailedException")
        self._tables[request["TableName"]][_key(request["Item"])] = dict(request["Item"])
        return {}

    def delete_item(self, **request: Any) -> dict[str, Any]:
        """Delete an item."""
        if not self._allows(request, request["Key"]):
            raise _error("ConditionalCheckFailedException")
        self._tables[request["TableName"]].pop(_key(request["Key"]), None)
        return {}

    def update_item(self, **request: Any) -> dict[str, Any]:
        """Change attributes of an item."""
        if not self._allows(request, request["Key"]):
            raise _error("ConditionalCheckFailedException")
        present = self._present(request, request["Key"])
        changes = _Expression(request["UpdateExpression"], request, present).assigned()
        self._tables[request["TableName"]][_key(request["Key"])] = {**request["Key"], **present, **changes}
        return {"Attributes": changes}

    def transact_write_items(self, **request: Any) -> dict[str, Any]:
        """Make all of the writes or none."""
        writes = [(kind, write) for each in request["TransactItems"] for kind, write in each.items()]
        if not all(self._allows(write, write["Item"] if kind == "Put" else write["Key"]) for kind, write in writes):
            raise _error("TransactionCanceledException")
        for kind, write in writes:
            {"Put": self.put_item, "Delete": self.delete_item}[kind](**write)
        return {}

    def batch_write_item(self, **request: Any) -> dict[str, Any]:
        """Write items, whatever was there before."""
        for table, puts in request["RequestItems"].items():
            for put in puts:
                self.put_item(TableName=table, Item=put["PutRequest"]["Item"])
        return {"UnprocessedItems": {}}


def moto_dynamodb() -> Any:
    """Make a client of the emulated DynamoDB, which has to be there (mock_aws)."""
    unchecked = Config(parameter_validation=False)  # which takes a tenth of the time
    return boto3.client("dynamodb", region_name=REGION, config=unchecked)


class FailingDynamoDb:
    """A client that can be down, or throttle writes; its tables have an id, which moto's lack."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.is_down = False
        self.throttles_writes = False  # but for the counter, so that a run begins

    def __getattr__(self, operation: str) -> Any:
        if self.is_down:
            return self._fail
        if self.throttles_writes and operation not in ("describe_table", "get_item", "query", "scan"):
            return self._throttle
        return getattr(self._client, operation)

    def _fail(self, **_request: Any) -> None:
        raise EndpointConnectionError(endpoint_url=f"https://dynamodb.{REGION}.amazonaws.com")

    def _throttle(self, **request: Any) -> Any:
        if request.get("Key", {}).get("pk", {}).get("S") == _COUNTER:
            return self._client.update_item(**request)
        raise _error("ProvisionedThroughputExceededException")

    def describe_table(self, **request: Any) -> dict[str, Any]:
        """Describe a table."""
        found: dict[str, Any] = self.__getattr__("describe_table")(**request)
        found["Table"]["TableId"] = f"id-of-{request['TableName']}"
        return found
