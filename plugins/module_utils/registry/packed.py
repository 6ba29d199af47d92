# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Values that may be larger than an item: compressed JSON, cut over a head and parts. Pure.

The head's key stays the same; parts have its generation in theirs. So parts are written before the head that counts
them, and a reader finds the parts of one moment, whatever is written meanwhile.
"""

from __future__ import annotations

import json
import zlib
from decimal import Decimal
from typing import Any, Iterable, Mapping

from .dynamodb import Item

_CHUNK = 380_000  # bytes; DynamoDB's limit is 400 KB for an item
_LEVEL = (
    1  # of compression: a decision of 20,000 devices takes 0.1 s; the best takes ten times as long for a tenth less
)


def pack(pk: str, sk: str, generation: int, value: Any, attributes: Mapping[str, Any]) -> list[Item]:
    """Write a value as items: the head first, and its parts.

    :param attributes: what the head has as well.
    """
    data = zlib.compress(json.dumps(value, separators=(",", ":")).encode(), _LEVEL)
    first, *others = [data[start : start + _CHUNK] for start in range(0, len(data), _CHUNK)]
    head = {"pk": pk, "sk": sk, "generation": generation, **attributes, "data": first, "parts": len(others)}
    return [head, *({"pk": pk, "sk": key, "data": part} for key, part in zip(part_keys(head), others))]


def unpack(head: Item, items: Iterable[Item]) -> Any:
    """Read a value from its head and whatever items lie beside it.

    :raises KeyError, TypeError, ValueError, zlib.error: a part is missing or damaged.
    """
    present = {item["sk"]: item for item in items}
    chunks = [head["data"], *(present[key]["data"] for key in part_keys(head))]
    return json.loads(zlib.decompress(b"".join(map(bytes, chunks))))


def part_keys(head: Item) -> list[str]:
    """List the sks of a head's parts."""
    return [f"{head['sk']}#{head['generation']}#{number:04}" for number in range(int(head.get("parts", 0)))]


def is_part(item: Item) -> bool:
    """Tell a part from a head."""
    return "#" in item["sk"]


def is_surplus(item: Item, heads: Iterable[Item]) -> bool:
    """Tell whether an item is a part of an earlier value than its head counts; later ones may just be written."""
    sk, _hash, of_value = item["sk"].partition("#")
    generation = of_value.partition("#")[0]
    of_heads = (head.get("generation") for head in heads if head["sk"] == sk)
    return generation.isdecimal() and any(
        isinstance(of_head, (int, Decimal)) and int(generation) < of_head for of_head in of_heads
    )
