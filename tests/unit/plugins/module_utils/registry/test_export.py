# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The registry as a file: what is in it comes back, and what can't is named."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils.archive import sha256
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.export import from_file, odd_items, to_file
from hypothesis import given
from hypothesis import strategies as st

GENERATION: dict[str, Any] = {"pk": "generation", "sk": "generation", "value": Decimal(1)}
SK = "111122223333/AIDA/laptop"
REGISTRATION: dict[str, Any] = {
    "pk": "registration",
    "sk": SK,
    "user_name": "alice",
    "public_key": "KEY",
    "addresses": ["10.44.0.2", "fd44::2"],
    "created_at": Decimal(1),
}
CLAIMS: list[dict[str, Any]] = [
    {"pk": "claim", "sk": sk, "holder": SK} for sk in ("address#10.44.0.2", "address#fd44::2", "key#KEY")
]
WHOLE = [*CLAIMS, GENERATION, REGISTRATION]


def refused(content: bytes, accept: str = "") -> list[str]:
    return [one.why for one in from_file(content, accept).refused]


def edited(items: list[dict[str, Any]], old: bytes, new: bytes) -> tuple[bytes, str]:
    """A file in which something was replaced below the first line, and what accepts it."""
    head, _newline, rest = to_file(items).partition(b"\n")
    assert old in rest
    return head + b"\n" + rest.replace(old, new), sha256(rest.replace(old, new))


def test_registry_comes_back_from_its_file() -> None:
    packed = {"pk": "sweep", "sk": "1", "users": b"\x00\xff", "generation": Decimal(1)}
    content = to_file([*WHOLE, packed])
    contents = from_file(content)
    assert contents.items == WHOLE, "a sweep that can't be read is left out, and named"
    assert [why.split(":")[0] for why in refused(content)] == ["line 7"]
    assert odd_items([*WHOLE, packed])[0].startswith("sweep 1: ")
    assert odd_items(WHOLE) == []


def test_file_begins_with_what_it_is_and_has_the_keys_of_each_line_in_order() -> None:
    head, line = to_file([{"sk": "b", "pk": "a", "n": Decimal(2), "z": b"\x01"}]).decode().splitlines()
    assert json.loads(head) == {
        "format": "tracklib.vpn registry",
        "version": 2,
        "items": 1,
        "sha256": sha256(f"{line}\n".encode()),
    }
    assert line == '{"n":{"N":"2"},"pk":{"S":"a"},"sk":{"S":"b"},"z":{"B":"AQ=="}}'


@pytest.mark.parametrize("version", [1, 2])
def test_earlier_version_is_read_and_its_content_accepted_by_name(version: int) -> None:
    rest = to_file([GENERATION]).partition(b"\n")[2]
    head = {"format": "tracklib.vpn registry", "version": version, "items": 1}
    content = json.dumps(head).encode() + b"\n" + rest
    with pytest.raises(ValueError, match=r"the 1 items that .*line 1 says none, as in files of an earlier version"):
        from_file(content)
    with pytest.raises(ValueError, match="says none"):
        from_file(content, "0" * 64)
    assert from_file(content, sha256(rest)).items == [GENERATION]


@pytest.mark.parametrize(
    "head",
    [
        {"format": "tracklib.vpn registry", "version": 3, "items": 1},
        {"format": "tracklib.vpn registry", "version": 0, "items": 1},
        {"format": "another", "version": 2, "items": 1},
        {"format": "tracklib.vpn registry", "version": 2, "items": "1"},
        {"format": "tracklib.vpn registry", "version": 2},
        [],
        "x" * 200,
    ],
    ids=str,
)
def test_file_of_something_else_is_refused_with_what_its_first_line_is(head: object) -> None:
    first = json.dumps(head).encode()
    with pytest.raises(ValueError, match=r'expected .*"items":0.*version.*with their number') as refusal:
        from_file(first + b"\n" + to_file([GENERATION]).partition(b"\n")[2])
    assert str(refusal.value).startswith(f"line 1 is {first[:100]!r}; expected ")


def test_edited_file_is_refused_unless_its_digest_is_given() -> None:
    content, digest = edited([GENERATION], b'"1"', b'"2"')
    with pytest.raises(ValueError, match=f"another SHA-256, {digest}, and line 1 says [0-9a-f]{{64}}: the file was ed"):
        from_file(content)
    assert from_file(content, digest).items == [{**GENERATION, "value": Decimal(2)}]


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (b'{"N":"1"}', b'{"N":"01"}', "line 2: ValueError it isn't in DynamoDB's JSON"),
        (b'{"S":"generation"},"sk"', b'{"S":"other"},"sk"', "line 2: ValueError its pk is 'other', expected one of "),
        (b'"sk":{"S":"generation"}', b'"sk":{"S":""}', "line 2: ValueError its sk is '', expected a text"),
        (b'{"N":"1"}', b'{"N":"x"}', "line 2: "),
        (b'{"N":"1"}', b"[" * 100_000, "line 2: ValueError it is nested too deeply"),
    ],
)
def test_line_that_is_no_item_is_refused_alone(old: bytes, new: bytes, why: str) -> None:
    content, digest = edited([GENERATION, *CLAIMS], old, new)
    found = refused(content, digest)
    assert len(found) == 1
    assert found[0].startswith(why)
    assert from_file(content, digest).items == CLAIMS


def test_second_item_with_the_same_keys_is_refused() -> None:
    twice = to_file([GENERATION, {**GENERATION, "value": Decimal(5)}])
    assert refused(twice) == ["line 3: ValueError the file has another item with these keys"]
    assert from_file(twice).items == [GENERATION]


@pytest.mark.parametrize("number", range(len(CLAIMS)))
@pytest.mark.parametrize("change", [None, {"holder": "1/B/x"}, {"released_at": Decimal(1)}, {"free_at": Decimal(1)}])
def test_r9_registration_without_its_claims_is_left_out_by_name(number: int, change: dict[str, Any] | None) -> None:
    claims = [*CLAIMS[:number], *([] if change is None else [{**CLAIMS[number], **change}]), *CLAIMS[number + 1 :]]
    contents = from_file(to_file([*claims, GENERATION, REGISTRATION]))
    assert contents.items == [*claims, GENERATION]
    (one,) = contents.refused
    assert one.why.startswith(f"registration {SK}: the claims of its key and addresses aren't there, or another device")
    assert json.loads(one.line)["public_key"] == {"S": "KEY"}
    assert odd_items([*claims, REGISTRATION]) == [one.why]


@given(st.data())
def test_no_edit_of_an_export_is_lost_in_silence_or_ends_in_a_traceback(data: st.DataObject) -> None:
    """Whatever a file holds, each line is imported or refused by name, or the file as a whole is."""
    items: list[dict[str, Any]] = [
        {"pk": "generation", "sk": "generation", "value": Decimal(1)},
        {"pk": "block", "sk": "1/AIDA", "user_id": "AIDA", "reason": "left", "since": Decimal(1)},
        {"pk": "sign", "sk": "x"},
    ]
    content = bytearray(to_file(items))
    for _edit in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at : at + data.draw(st.integers(0, 9))] = data.draw(st.binary(max_size=9))
    edited = bytes(content)
    accept = sha256(edited.partition(b"\n")[2])
    try:
        contents = from_file(edited, accept)
    except ValueError:
        return
    lines = edited.partition(b"\n")[2].decode("utf-8", "replace").splitlines()
    assert len(contents.items) + len(contents.refused) == len(lines)
    assert all(one.line in lines and one.why for one in contents.refused)
