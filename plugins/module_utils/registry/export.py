# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The registry as a file of JSON lines. Pure: no calls to AWS, no Ansible.

The first line says what the file is and how many items follow, one a line, in DynamoDB's own JSON (binary values in
base64). Items and attributes are sorted, so that the same registry is the same file.
"""

from __future__ import annotations

import base64
import contextlib
import json
from typing import Any, Sequence

from .dynamodb import Item
from .items import UNREADABLE, check_item

with contextlib.suppress(ImportError):  # AnsibleAWSModule reports the missing SDK
    from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

_NAMED = 5  # of what is wrong
_FORMAT = {"format": "tracklib.vpn registry", "version": 1}


def to_file(items: Sequence[Item]) -> bytes:
    """Return the file's content.

    :param items: as Registry.items gives them.
    """
    lines = [_line({**_FORMAT, "items": len(items)}), *(_line(_typed(item)) for item in items)]
    return "".join(f"{line}\n" for line in lines).encode()


def from_file(content: bytes) -> list[Item]:
    """Read the items of a file, and check each.

    :raises ValueError: it is no such file, or damaged; naming the line and what is wrong with it.
    """
    first, *lines = content.splitlines() or [b""]
    count = _count(first)
    items = [_read(number, line) for number, line in enumerate(lines, 2)]
    if len(items) != count:
        raise ValueError(f"line 1 promises {count} items and {len(items)} follow: the file isn't whole")
    numbers: dict[tuple[str, str], int] = {}
    for number, item in enumerate(items, 2):
        other = numbers.setdefault((item["pk"], item["sk"]), number)
        if other != number:
            raise ValueError(f"line {number} has the keys of line {other}: {item['pk']} {item['sk']}")
    check_whole(items)
    return items


def check_each(items: Sequence[Item]) -> None:
    """Refuse items that from_file() would refuse, for a file with one could never be imported.

    :raises ValueError: naming the items, and what to do.
    """
    odd = []
    for item in items:
        try:
            check_item(item)
        except UNREADABLE as error:
            odd.append(f"{item['pk']} {item['sk']} ({type(error).__name__}: {error})")
    if odd:
        more = f" and {len(odd) - _NAMED} more" if len(odd) > _NAMED else ""
        raise ValueError(
            f"these items can't be read, and no import would take them: {', '.join(odd[:_NAMED])}{more}. Look at who "
            "wrote them. Remove the device of a registration or claim (remove_device), and register it again "
            "(registrations_info has each device's key and addresses); delete any other item"
        )


def check_whole(items: Sequence[Item]) -> None:
    """Refuse items of different moments: a registration and its claims change at once (R9, one key, one device).

    :param items: each of which can be read.
    :raises ValueError: naming the devices.
    """
    held = {
        (item["sk"], item["holder"])
        for item in items
        if item["pk"] == "claim" and "released_at" not in item and "free_at" not in item
    }
    registered = {
        (claim, item["sk"])
        for item in items
        if item["pk"] == "registration"
        for claim in (f"key#{item.get('public_key')}", *(f"address#{address}" for address in item.get("addresses", ())))
    }
    torn = sorted({device for _claim, device in held ^ registered})
    if torn:
        raise ValueError(
            "registrations and claims of these devices don't belong together (account/user id/device): "
            + ", ".join(torn[:_NAMED])
        )


def _count(line: bytes) -> int:
    """Return how many items the first line promises."""
    try:
        head = json.loads(line)
        count = head.pop("items")
    except (ValueError, KeyError, TypeError, AttributeError):
        head, count = None, None
    if head != _FORMAT or not isinstance(count, int):
        raise ValueError(f"line 1 is {line[:100]!r}; expected {_line({**_FORMAT, 'items': 0})} with their number")
    return count


def _read(number: int, line: bytes) -> Item:
    try:
        typed = json.loads(line)
        item = {name: _value(value) for name, value in typed.items()}
        if json.loads(_line(_typed(item))) != typed:
            raise ValueError("it isn't in DynamoDB's JSON")
        check_item(item)
    except UNREADABLE as error:
        raise ValueError(f"line {number} is no item of a registry: {type(error).__name__} {error}") from None
    return item


def _value(typed: dict[str, Any]) -> Any:
    """Return what an attribute holds; in JSON a binary value is base64."""
    ((kind, value),) = typed.items()
    if kind == "B":
        value = base64.b64decode(value)
    attribute: Any = {kind: value}
    return TypeDeserializer().deserialize(attribute)


def _typed(item: Item) -> dict[str, Any]:
    serialize = TypeSerializer().serialize
    return {name: serialize(value) for name, value in item.items()}


def _line(value: dict[str, Any]) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=_base64)


def _base64(binary: bytes) -> str:
    return base64.b64encode(binary).decode()
