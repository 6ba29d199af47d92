# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The registry as a file of JSON lines. Pure: no calls to AWS, no Ansible.

The first line says what the file is, how many items follow, one a line, in DynamoDB's own JSON (binary values in
base64), and the SHA-256 of these lines. Items and attributes are sorted, so that the same registry is the same file.

An odd item, which no run could read, stops neither an export nor an import: a backup that can't be made, or read back,
is none. An export has it as it is, an import leaves it out, and both name it.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
from typing import Any, Mapping, NamedTuple, Sequence

from .dynamodb import Item
from .items import UNREADABLE, check_item

with contextlib.suppress(ImportError):  # AnsibleAWSModule reports the missing SDK
    from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

_FORMAT = {"format": "tracklib.vpn registry", "version": 2}


class Refused(NamedTuple):
    """An item of a file that isn't imported: its line, and why."""

    line: str
    why: str


class Contents(NamedTuple):
    """What a file has: items that can be imported, and those that can't."""

    items: list[Item]
    refused: list[Refused]


def to_file(items: Sequence[Item]) -> bytes:
    """Return the file's content.

    :param items: as Registry.items gives them.
    """
    lines = "".join(f"{_line(_typed(item))}\n" for item in items).encode()
    head = _line({**_FORMAT, "items": len(items), "sha256": hashlib.sha256(lines).hexdigest()})
    return f"{head}\n".encode() + lines


def from_file(content: bytes, accept: str = "") -> Contents:
    """Read the items of a file, and check each.

    :param accept: SHA-256 of a content that is read although it isn't what was exported.
    :raises ValueError: it is no such file, or was edited or cut.
    """
    first, _newline, rest = content.partition(b"\n")
    _check_head(first, rest, accept)
    items: dict[tuple[str, str], tuple[Item, str]] = {}
    refused = []
    for number, line in enumerate(rest.decode("utf-8", "replace").splitlines(), 2):
        try:
            item = _read(line)
            check_item(item)
            if items.setdefault((item["pk"], item["sk"]), (item, line))[0] is not item:
                raise ValueError("the file has another item with these keys")
        except UNREADABLE as error:
            refused.append(Refused(line, f"line {number}: {_explained(error)}"))
    for item, line in list(items.values()):
        if _is_torn(item, items):
            del items[item["pk"], item["sk"]]
            refused.append(Refused(line, f"registration {item['sk']}: {_TORN}"))
    return Contents([item for item, _line_ in items.values()], refused)


def odd_items(items: Sequence[Item]) -> list[str]:
    """Name the items that from_file() would refuse, each with why."""
    by_keys = {(item["pk"], item["sk"]): (item, "") for item in items}
    odd = []
    for item in items:
        try:
            check_item(item)
        except UNREADABLE as error:
            odd.append(f"{item['pk']} {item['sk']}: {_explained(error)}")
        else:
            if _is_torn(item, by_keys):
                odd.append(f"registration {item['sk']}: {_TORN}")
    return odd


_TORN = (
    "the claims of its key and addresses aren't there, or another device's; a registration and its claims change at "
    "once (R9, one key, one device)"
)


def _is_torn(item: Item, items: Mapping[tuple[str, str], tuple[Item, str]]) -> bool:
    """Tell whether an item is a registration without the claims that it was made with.

    :param items: all, by pk and sk.
    """
    if item["pk"] != "registration":
        return False
    claims = (f"key#{item.get('public_key')}", *(f"address#{address}" for address in item.get("addresses", ())))
    held = (items.get(("claim", claim), ({}, ""))[0] for claim in claims)
    return any(claim.get("holder") != item["sk"] or "released_at" in claim or "free_at" in claim for claim in held)


def _check_head(first: bytes, rest: bytes, accept: str) -> None:
    try:
        head = json.loads(first)
        count, promised = head.pop("items"), head.pop("sha256", None)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        head, count, promised = None, None, None
    if head not in (_FORMAT, {**_FORMAT, "version": 1}) or not isinstance(count, int):
        expected = _line({**_FORMAT, "items": 0, "sha256": "…"})
        raise ValueError(f"line 1 is {first[:100]!r}; expected {expected} with their number")
    found = hashlib.sha256(rest).hexdigest()
    if found not in (promised, accept):
        said = f"line 1 says {promised}" if promised else "line 1 says none, as in files of an earlier version"
        raise ValueError(
            f"the {count} items that line 1 promises have another SHA-256, {found}, and {said}: the file was edited or "
            "cut. Take another export, or accept exactly this content by its SHA-256 (registry_import_accept)"
        )


def _explained(error: Exception) -> str:
    return f"{type(error).__name__} {error}"


def _read(line: str) -> Item:
    """Read an item of a line.

    :raises: one of UNREADABLE.
    """
    try:
        typed = json.loads(line)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    item = {name: _value(value) for name, value in typed.items()}
    if json.loads(_line(_typed(item))) != typed:
        raise ValueError("it isn't in DynamoDB's JSON")
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
