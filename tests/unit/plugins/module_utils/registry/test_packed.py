# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Values split over items: what fits, what a reader finds while others write, and what is left over."""

from __future__ import annotations

import random
import zlib
from decimal import Decimal
from typing import Any

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils.model import Decision, Departure, Registration, Sweep, User
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.dynamodb import Item
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.items import (
    decision_items,
    read_decision,
    read_sweep,
    sweep_items,
)
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.packed import (
    is_part,
    is_surplus,
    pack,
    part_keys,
    unpack,
)

ACCOUNT = "111122223333"
LIMIT = 400_000  # bytes of an item, DynamoDB's
NOISE = random.Random(1).randbytes(600_000).hex()  # takes two items however it is compressed


def packed(value: Any, generation: int = 7) -> list[Item]:
    return pack("sweep", "decision", generation, value, {"begun_at": 5})


def size(item: Item) -> int:
    """The bytes that DynamoDB counts: names and values."""
    return sum(len(name) + len(value if isinstance(value, bytes) else str(value)) for name, value in item.items())


def text(chance: random.Random, length: int) -> str:
    return "".join(chance.choices("abcdefghijklmnopqrstuvwxyz0123456789", k=length))


def test_small_value_is_one_item_without_parts() -> None:
    (head,) = packed({"a": [1]})
    assert (head["pk"], head["sk"], head["generation"], head["begun_at"], head["parts"]) == (
        *("sweep", "decision", 7),
        *(5, 0),
    )
    assert unpack(head, []) == {"a": [1]}


def test_large_value_is_a_head_and_parts_in_the_order_of_their_keys() -> None:
    head, *parts = packed(NOISE)
    assert head["parts"] == len(parts) == 1
    assert [part["sk"] for part in parts] == part_keys(head) == ["decision#7#0000"]
    assert all(size(item) < LIMIT for item in (head, *parts))
    assert unpack(head, [*parts, head]) == NOISE


def test_value_that_an_earlier_version_stored_has_no_parts() -> None:
    (head,) = packed({"a": [1]})
    del head["parts"]
    assert unpack(head, []) == {"a": [1]}


def test_head_and_parts_but_the_last_are_as_large_as_they_may_be() -> None:
    """An item's names and its other attributes need the rest of DynamoDB's 400 KB."""
    head, *parts = packed(NOISE * 2)
    assert {len(item["data"]) for item in (head, *parts[:-1])} == {380_000}


def test_parts_are_found_whatever_type_dynamodb_gives_numbers() -> None:
    head, *parts = packed(NOISE)
    given = {**head, "generation": Decimal(head["generation"]), "parts": Decimal(head["parts"])}
    assert unpack(given, parts) == NOISE


def test_reader_finds_the_parts_of_the_head_that_it_read() -> None:
    """A later run writes its parts before its head."""
    (old, *old_parts), (new, *new_parts) = packed(NOISE, 7), packed(NOISE[::-1], 8)
    assert unpack(old, [*new_parts, *old_parts]) == NOISE
    assert unpack(new, [*old_parts, *new_parts]) == NOISE[::-1]


def test_torn_value_is_none() -> None:
    head, *_parts = packed(NOISE, 7)
    _head, *others = packed(NOISE, 8)
    with pytest.raises(KeyError):
        unpack(head, others)


@pytest.mark.parametrize("damage", [b"", b"no", None])
def test_damaged_part_is_none(damage: bytes | None) -> None:
    head, part = packed(NOISE)
    with pytest.raises((zlib.error, TypeError)):
        unpack(head, [{**part, "data": damage}])


# -- what is left over


def test_only_parts_of_earlier_generations_are_surplus() -> None:
    """Those of a later one may just be written, before their head."""
    heads = [{"sk": "decision", "generation": 7}, {"sk": ACCOUNT, "generation": Decimal(5)}]
    surplus = {
        "decision#6#0000": True,
        "decision#7#0000": False,
        "decision#8#0000": False,
        f"{ACCOUNT}#4#0001": True,
        f"{ACCOUNT}#6#0000": False,
        "444455556666#1#0000": False,
        "decision": False,
        "decision#x#0000": False,
        "decision#6": True,
    }
    assert {sk: is_surplus({"sk": sk}, heads) for sk in surplus} == surplus


@pytest.mark.parametrize("generation", [None, "x", b"7"])
def test_r17_head_without_a_generation_makes_nothing_surplus(generation: Any) -> None:
    assert not is_surplus({"sk": "decision#6#0000"}, [{"sk": "decision", "generation": generation}])
    assert not is_surplus({"sk": "decision#6#0000"}, [{"sk": "decision"}])


def test_parts_are_told_from_heads() -> None:
    assert [is_part({"sk": sk}) for sk in ("decision", ACCOUNT, f"{ACCOUNT}#1#0000")] == [False, False, True]


# -- what must fit


def test_r5_sweep_of_5000_users_with_names_of_64_characters_and_ten_groups_fits() -> None:
    """Over 390 KB every run failed."""
    chance = random.Random(5000)
    groups = [text(chance, 128) for _number in range(300)]
    users = [
        User(ACCOUNT, f"AIDA{text(chance, 17)}", text(chance, 64), float(number), tuple(chance.sample(groups, 10)))
        for number in range(5000)
    ]
    sweep = Sweep(ACCOUNT, 1000.0, {user.user_id: user for user in users})
    head, *parts = sweep_items(sweep, 7)
    assert parts
    assert all(size(item) < LIMIT for item in (head, *parts))
    assert read_sweep(head, parts) == sweep


def test_r5_decision_of_20000_devices_fits() -> None:
    chance = random.Random(20000)
    peers = tuple(
        Registration(
            account_id=ACCOUNT,
            user_id=f"AIDA{text(chance, 17)}",
            device=text(chance, 8),
            user_name=text(chance, 20),
            public_key=text(chance, 44),
            addresses=(f"10.44.{number // 256}.{number % 256}",),
            created_at=float(number),
        )
        for number in range(20_000)
    )
    decision = Decision(peers, tuple(Departure(*peer.identity, 5.0) for peer in peers[:1000]))
    head, *parts = decision_items(decision, 7)
    assert len(parts) > 1
    assert all(size(item) < LIMIT for item in (head, *parts))
    assert read_decision(head, parts[::-1]) == decision
