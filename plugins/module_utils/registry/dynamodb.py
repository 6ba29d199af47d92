# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""A table in DynamoDB: consistent reads, conditional writes and transactions of plain items, each with `pk` and `sk`.

Importable without Ansible. Every method raises AWSCallError when DynamoDB refuses the call or can't be reached.
"""

from __future__ import annotations

import random
import re
import time
from enum import Enum
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterator, Mapping, NamedTuple, Sequence, Union

from ..aws import calling

try:
    from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
    from botocore.exceptions import ClientError
except ImportError:  # AnsibleAWSModule reports the missing SDK
    pass

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

ATTEMPTS = 12  # at a write that other writers are in the way of
_MAX_BATCH = 25  # items in a BatchWriteItem
_NOTHING: Mapping[str, Any] = {}
NUMBER = {"number": "N"}  # a value for a condition's attribute_type(…, :number)

Item = Dict[str, Any]


class RegistryErrorCode(Enum):
    """What callers tell refusals apart by; the values are those that the self-service API answers."""

    KEY_HELD = "key_held"
    DEVICE_LIMIT = "device_limit"
    TOO_MANY_REMOVALS = "too_many_removals"
    TOO_MANY_CHANGES = "too_many_changes"
    COLLIDED = "collided"


class RegistryError(RuntimeError):
    """A request that the registry refuses; the message says what it holds and what to do."""

    def __init__(self, message: str, code: RegistryErrorCode | None = None) -> None:
        super().__init__(message)
        self.code = code


class TableDescription(NamedTuple):
    """A table's ARN, and what another table of the same name hasn't: its id, or without one the time it was made."""

    arn: str
    table_id: str


class Put(NamedTuple):
    """A write of an item, if `condition` holds of the item that has its keys.

    In a condition, `:x` is the value `x` and `#x` the attribute `x`, for names that DynamoDB reserves.
    """

    item: Item
    condition: str = ""
    values: Mapping[str, Any] = _NOTHING


class Delete(NamedTuple):
    """A deletion of the item that has these keys, if `condition` holds of it."""

    pk: str
    sk: str
    condition: str = ""
    values: Mapping[str, Any] = _NOTHING


Write = Union[Put, Delete]


class Table:
    """The table `name`, through a DynamoDB client of the caller's."""

    def __init__(self, client: DynamoDBClient, name: str) -> None:
        self.name = name
        self._client: Any = client
        self._serialize = TypeSerializer().serialize
        self._deserialize = TypeDeserializer().deserialize

    def query(self, pk: str, prefix: str = "", start: str = "") -> Iterator[Item]:
        """Yield items in the order of their sk: all, those that begin with `prefix`, or those from `start` on."""
        conditions = {"pk = :pk": pk, "begins_with(sk, :sk)": prefix, "sk >= :sk": start}
        values = {"pk": pk, "sk": prefix or start}
        condition = " AND ".join(condition for condition, value in conditions.items() if value)
        given = {name: value for name, value in values.items() if value}
        request = {"ConsistentRead": True, **self._expressions(given, KeyConditionExpression=condition)}
        for page in self._pages("Query", self._client.query, request):
            for item in page["Items"]:
                yield self._plain(item)

    def scan(self) -> list[Item]:
        """Return every item, in the order of pk and sk. Others may write while it is read."""
        pages = self._pages("Scan", self._client.scan, {"ConsistentRead": True})
        return sorted((self._plain(item) for page in pages for item in page["Items"]), key=itemgetter("pk", "sk"))

    def get(self, pk: str, sk: str) -> Item | None:
        """Return an item, or None if there is none."""
        with self._calling("GetItem"):
            answer = self._client.get_item(
                TableName=self.name, Key=self._typed({"pk": pk, "sk": sk}), ConsistentRead=True
            )
        return self._plain(answer["Item"]) if "Item" in answer else None

    def describe(self) -> TableDescription:
        """Return what DynamoDB says of the table itself."""
        with self._calling("DescribeTable"):
            found = self._client.describe_table(TableName=self.name)["Table"]
        return TableDescription(found["TableArn"], found.get("TableId") or found["CreationDateTime"].isoformat())

    def write(self, write: Write) -> bool:
        """Put or delete one item; return whether the condition held. If it didn't, nothing happened."""
        ((kind, request),) = self._operation(write).items()
        call = self._client.put_item if kind == "Put" else self._client.delete_item
        return self._conditional(f"{kind}Item", call, request) is not None

    def write_all(self, items: Sequence[Item]) -> None:
        """Write items of different keys, whatever was there before.

        :raises RegistryError: DynamoDB put some off again and again.
        """
        puts: list[Any] = [{"PutRequest": {"Item": self._typed(item)}} for item in items]
        for attempt in range(len(puts) // _MAX_BATCH + ATTEMPTS):
            if not puts:
                return
            with self._calling("BatchWriteItem"):
                answer = self._client.batch_write_item(RequestItems={self.name: puts[:_MAX_BATCH]})
            left = answer["UnprocessedItems"].get(self.name, [])
            if left:
                time.sleep(random.uniform(0, 0.02 * 2 ** min(attempt, 6)))
            puts = [*left, *puts[_MAX_BATCH:]]
        if puts:
            raise RegistryError(f"table {self.name} takes no more writes, {len(puts)} are left; run it again")

    def transact(self, writes: Sequence[Write]) -> bool:
        """Make all of the writes or none; return False if a condition or another transaction was in the way."""
        with self._calling("TransactWriteItems"):
            try:
                self._client.transact_write_items(TransactItems=[self._operation(write) for write in writes])
            except ClientError as error:
                if error.response["Error"]["Code"] != "TransactionCanceledException":
                    raise
                return False
        return True

    def update(self, pk: str, sk: str, expression: str, values: Mapping[str, Any], condition: str = "") -> Item | None:
        """Change an item's attributes by an update expression, written as the condition of a Put is.

        :returns: the changed attributes as they are now; None if the condition didn't hold.
        """
        request = {
            "TableName": self.name,
            "Key": self._typed({"pk": pk, "sk": sk}),
            "ReturnValues": "UPDATED_NEW",
            **self._expressions(values, UpdateExpression=expression, ConditionExpression=condition),
        }
        answer = self._conditional("UpdateItem", self._client.update_item, request)
        return None if answer is None else self._plain(answer["Attributes"])

    def _pages(self, operation: str, call: Callable[..., Any], request: dict[str, Any]) -> Iterator[dict[str, Any]]:
        last: dict[str, Any] = {}
        while True:
            with self._calling(operation):
                page = call(TableName=self.name, **request, **last)
            yield page
            if "LastEvaluatedKey" not in page:
                return
            last = {"ExclusiveStartKey": page["LastEvaluatedKey"]}

    def _conditional(self, operation: str, call: Callable[..., Any], request: dict[str, Any]) -> dict[str, Any] | None:
        """Return the answer; None if the request's condition didn't hold."""
        with self._calling(operation):
            try:
                answer: dict[str, Any] = call(**request)
            except ClientError as error:
                if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                    raise
                return None
        return answer

    def _operation(self, write: Write) -> dict[str, Any]:
        if isinstance(write, Put):
            subject = {"Item": self._typed(write.item)}
        else:
            subject = {"Key": self._typed({"pk": write.pk, "sk": write.sk})}
        conditions = self._expressions(write.values, ConditionExpression=write.condition)
        return {type(write).__name__: {"TableName": self.name, **subject, **conditions}}

    def _expressions(self, values: Mapping[str, Any], **expressions: str) -> dict[str, Any]:
        """Return a request's expressions, with the values and names that stand in them."""
        names = re.findall(r"#(\w+)", " ".join(expressions.values()))
        parts = {
            **expressions,
            "ExpressionAttributeValues": {f":{name}": self._serialize(value) for name, value in values.items()},
            "ExpressionAttributeNames": {f"#{name}": name for name in names},
        }
        return {name: part for name, part in parts.items() if part}  # DynamoDB refuses empty ones

    def _typed(self, item: Item) -> dict[str, Any]:
        return {name: self._serialize(value) for name, value in item.items()}

    def _plain(self, item: Mapping[str, Any]) -> Item:
        return {name: self._deserialize(value) for name, value in item.items()}

    def _calling(self, operation: str) -> Any:
        return calling(f"dynamodb:{operation}", f"table {self.name}")
