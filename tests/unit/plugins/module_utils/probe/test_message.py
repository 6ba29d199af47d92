# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""DNS messages: what is asked, and answers that may hold anything."""

from __future__ import annotations

import contextlib
import struct

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils.probe.message import (
    KINDS,
    MessageError,
    ResourceRecord,
    decode,
    encode_question,
)
from hypothesis import given
from hypothesis import strategies as st

from tests.support.dns_server import response

# recorded from NSD, with its compression: a CNAME and the address that it leads to, and an SRV record
CHAIN = bytes.fromhex(
    "1a2b850000010002000100000361706908696e7465726e616c076578616d706c650000010001c00c000500010000000f000603776562c010c032"
    "000100010000000f00040a140050c01000020001000003840008026e73036c616200"
)
SERVICE = bytes.fromhex(
    "1a2b85000001000100010002055f68747470045f74637008696e7465726e616c076578616d706c650000210001c00c002100010000000f001c00"
    "01000100500377656208696e7465726e616c076578616d706c6500c01700020001000003840008026e73036c61620003776562c0170001000100"
    "00000f00040a140050c069001c00010000000f0010fd2074726163006b0000000000000080"
)
_labels = st.from_regex(r"[a-z0-9_]([a-z0-9_-]{0,20}[a-z0-9])?", fullmatch=True)
_names = st.lists(_labels, min_size=1, max_size=5).map(".".join)
_ttls = st.integers(0, 2**31 - 1)
_records = st.one_of(
    st.tuples(_names, st.just("A"), _ttls, st.ip_addresses(v=4).map(str)),
    st.tuples(_names, st.just("AAAA"), _ttls, st.ip_addresses(v=6).map(str)),
    st.tuples(_names, st.just("CNAME"), _ttls, _names),
    st.tuples(
        _names, st.just("SRV"), _ttls, st.tuples(st.integers(0, 65535), _names).map(lambda one: f"{one[0]} {one[1]}")
    ),
)


@given(
    st.integers(0, 65535), _names, st.sampled_from(sorted(KINDS)), st.lists(_records, max_size=6), st.integers(0, 15)
)
def test_any_answer_to_a_question_comes_back(
    number: int, name: str, kind: str, records: list[tuple[str, str, int, str]], rcode: int
) -> None:
    message = decode(response(encode_question(number, name, kind), *records, rcode=rcode))
    assert (message.number, message.name, message.kind, message.rcode) == (number, name, kind, rcode)
    assert [(one.name, one.kind, one.ttl) for one in message.answers] == [record[:3] for record in records]
    values = [f"{one.port} {one.value}" if one.kind == "SRV" else one.value for one in message.answers]
    assert values == [record[3] for record in records]


@given(st.binary(max_size=600))
def test_any_octets_are_a_message_or_a_message_error(data: bytes) -> None:
    with contextlib.suppress(MessageError):
        decode(data)


@given(st.binary(max_size=80), st.integers(0, 4), st.booleans())
def test_any_octets_behind_a_question_are_a_message_or_a_message_error(
    tail: bytes, count: int, truncated: bool
) -> None:
    question = encode_question(7, "api.internal.example", "A")
    head = struct.pack("!6H", 7, 0x8180 | (0x0200 if truncated else 0), 1, count, 0, 0)
    with contextlib.suppress(MessageError):
        assert decode(head + question[12:] + tail).name == "api.internal.example"


@given(st.lists(_records, min_size=1, max_size=3), st.data())
def test_answer_cut_off_anywhere_is_a_message_error(
    records: list[tuple[str, str, int, str]], data: st.DataObject
) -> None:
    whole = response(encode_question(7, "api.internal.example", "A"), *records)
    with pytest.raises(MessageError):
        decode(whole[: data.draw(st.integers(0, len(whole) - 1))])


def test_compressed_names_of_a_real_server_are_read() -> None:
    message = decode(CHAIN)
    assert (message.number, message.name, message.kind, message.rcode) == (0x1A2B, "api.internal.example", "A", 0)
    assert message.answers == [
        ResourceRecord("api.internal.example", "CNAME", 15, "web.internal.example"),
        ResourceRecord("web.internal.example", "A", 15, "10.20.0.80"),
    ]
    service = ResourceRecord("_http._tcp.internal.example", "SRV", 15, "web.internal.example", 80)
    assert decode(SERVICE).answers == [service]


def test_address_of_the_other_version_is_refused() -> None:
    answer = response(encode_question(7, "a.example", "A"), ("a.example", "AAAA", 15, "fd20::1"))
    with pytest.raises(MessageError, match="an A record with an address of 16 octets"):
        decode(answer.replace(struct.pack("!3H", KINDS["AAAA"], 1, 0), struct.pack("!3H", KINDS["A"], 1, 0)))


def test_circle_of_pointers_is_refused() -> None:
    head = struct.pack("!6H", 7, 0x8180, 1, 0, 0, 0)
    with pytest.raises(MessageError, match="in a circle"):
        decode(head + b"\xc0\x0e\xc0\x0c\0\1\0\1")


def test_upper_case_and_odd_octets_are_written_in_one_way() -> None:
    question = struct.pack("!6H", 7, 0x8180, 1, 0, 0, 0) + b"\x05A.\\\x00b\0" + b"\0\1\0\1"
    assert decode(question).name == r"a\046\092\000b"


def test_truncated_answer_is_read_no_further() -> None:
    message = decode(
        response(encode_question(7, "a.example", "A"), truncated=True)[:6]
        + b"\xff\xff"
        + b"\0" * 4
        + encode_question(7, "a.example", "A")[12:]
    )
    assert (message.truncated, message.answers) == (True, [])


@pytest.mark.parametrize("name", ["", "a..b", "a" * 64, ".".join(["a" * 63] * 4)])
def test_name_that_no_message_can_hold_is_refused(name: str) -> None:
    with pytest.raises(MessageError):
        encode_question(1, name, "A")


def test_longest_name_fits() -> None:
    longest = ".".join(["a" * 63] * 3 + ["a" * 61])
    assert decode(response(encode_question(1, longest, "A"))).name == longest
