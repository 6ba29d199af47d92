# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""DNS messages as RFC 1035 has them: questions to send, and answers, which are checked."""

from __future__ import annotations

import ipaddress
import struct
from typing import NamedTuple

KINDS = {"A": 1, "CNAME": 5, "AAAA": 28, "SRV": 33}
_NAMES = {number: kind for kind, number in KINDS.items()}
_INTERNET = 1
_HEADER = struct.Struct("!6H")  # id, flags, and how many questions, answers, authorities and additions
_QUESTION = struct.Struct("!2H")
_RECORD = struct.Struct("!2HIH")
_SRV = struct.Struct("!3H")
_RECURSION_DESIRED, _TRUNCATED, _RESPONSE = 0x0100, 0x0200, 0x8000
_LONGEST_NAME = 255  # octets, RFC 1035 2.3.4


class MessageError(ValueError):
    """Octets that are no DNS message."""


class ResourceRecord(NamedTuple):
    """A record of an answer: an address, the name that a CNAME leads to, or an SRV record's host with its port."""

    name: str
    kind: str
    ttl: int
    value: str
    port: int = 0


class DnsMessage(NamedTuple):
    """A response. Names are in lower case, without the final dot; records of other kinds than KINDS are left out."""

    number: int
    name: str
    kind: str
    rcode: int
    truncated: bool
    answers: list[ResourceRecord]


def encode_question(number: int, name: str, kind: str) -> bytes:
    """Write a query for a name's records of one kind.

    :param number: 16 bits that the answer has to repeat.
    :raises MessageError: the name has an empty label, one of more than 63 octets, or more than 255 octets.
    """
    head = _HEADER.pack(number, _RECURSION_DESIRED, 1, 0, 0, 0)
    return head + _encode_name(name) + _QUESTION.pack(KINDS[kind], _INTERNET)


def _encode_name(name: str) -> bytes:
    encoded = b""
    for label in name.split("."):
        octets = label.encode("ascii", "replace")
        if not 0 < len(octets) < 64:
            raise MessageError(f"{name!r} has a label of {len(octets)} octets; 1 to 63 are expected")
        encoded += bytes([len(octets)]) + octets
    if len(encoded) >= _LONGEST_NAME:
        raise MessageError(f"{name!r} is longer than {_LONGEST_NAME} octets")
    return encoded + b"\0"


def decode(data: bytes) -> DnsMessage:
    """Read a response to one question.

    :raises MessageError: it isn't one: cut off, compressed in a circle, without the question, or of another form.
    """
    try:
        return _decode(data)
    except (struct.error, IndexError) as error:
        raise MessageError(f"cut off after {len(data)} octets") from error


def _decode(data: bytes) -> DnsMessage:
    number, flags, questions, answers, _authorities, _additions = _HEADER.unpack_from(data)
    if not flags & _RESPONSE or questions != 1:
        raise MessageError(f"no response to one question (flags {flags:#06x}, {questions} questions)")
    name, at = _decode_name(data, _HEADER.size)
    kind, _class = _QUESTION.unpack_from(data, at)
    at += _QUESTION.size
    records = []
    if flags & _TRUNCATED:  # what it still holds may be cut off anywhere, and isn't needed
        answers = 0
    for _index in range(answers):
        record, at = _decode_record(data, at)
        if record is not None:
            records.append(record)
    return DnsMessage(number, name, _NAMES.get(kind, str(kind)), flags & 0xF, bool(flags & _TRUNCATED), records)


def _decode_record(data: bytes, at: int) -> tuple[ResourceRecord | None, int]:
    name, at = _decode_name(data, at)
    number, class_, ttl, length = _RECORD.unpack_from(data, at)
    at += _RECORD.size
    if at + length > len(data):
        raise MessageError(f"cut off after {len(data)} octets")
    kind = _NAMES.get(number)
    if kind is None or class_ != _INTERNET:
        return None, at + length
    value, port = _decode_value(data, at, length, kind)
    return ResourceRecord(name, kind, ttl, value, port), at + length


def _decode_value(data: bytes, at: int, length: int, kind: str) -> tuple[str, int]:
    """What a record stands for, and an SRV record's port."""
    if kind in ("A", "AAAA"):
        try:
            # Python takes 4 octets for IPv4 and 16 for IPv6
            address = ipaddress.ip_address(data[at : at + length])
        except ValueError as error:
            raise MessageError(f"an address of {length} octets") from error
        if (kind, address.version) not in (("A", 4), ("AAAA", 6)):
            raise MessageError(f"an {kind} record with an address of {length} octets")
        return str(address), 0
    if kind == "SRV":
        return _decode_name(data, at + _SRV.size)[0], _SRV.unpack_from(data, at)[2]
    return _decode_name(data, at)[0], 0


def _decode_name(data: bytes, at: int) -> tuple[str, int]:
    """A name, compressed or not, and where what follows it begins."""
    labels: list[str] = []
    seen: set[int] = set()
    octets, end = 1, 0
    while True:
        length = data[at]
        if length & 0xC0 == 0xC0:
            end = end or at + 2
            at = (length & 0x3F) << 8 | data[at + 1]
            if at in seen:
                raise MessageError("a name compressed in a circle")
            seen.add(at)
        elif length & 0xC0:
            raise MessageError(f"a label of unknown type {length:#x}")
        elif length == 0:
            return ".".join(labels), end or at + 1
        else:
            labels.append(_label(data[at + 1 : at + 1 + length], length))
            octets += length + 1
            at += length + 1
        if octets > _LONGEST_NAME:
            raise MessageError(f"a name of more than {_LONGEST_NAME} octets")


def _label(octets: bytes, length: int) -> str:
    """A label in lower case; what isn't printable, and the dot and backslash, as RFC 1035 escapes them."""
    if len(octets) < length:
        raise MessageError("cut off within a name")
    return "".join(
        chr(octet).lower() if 0x21 <= octet <= 0x7E and octet not in b".\\" else f"\\{octet:03d}" for octet in octets
    )
