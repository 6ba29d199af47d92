# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Questions to a DNS server, and the outcome of each in one word."""

from __future__ import annotations

import enum
import secrets
import socket
import struct
import time
from typing import Iterator, NamedTuple

from .message import DnsMessage, MessageError, ResourceRecord, decode, encode_question

_TRIES = 2  # datagrams get lost
_LARGEST = 65535


class DnsOutcome(enum.Enum):
    """What came of a question."""

    ANSWER = "answer"
    NODATA = "nodata"  # the name has no such records
    NXDOMAIN = "nxdomain"
    SERVFAIL = "servfail"
    REFUSED = "refused"
    ERROR = "error"  # another one of DNS; the detail names it
    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"  # the detail has the system's words
    ABSENT = "absent"  # the server is to be this host, which hasn't its address
    MALFORMED = "malformed"


class Transport(enum.Enum):
    """How a question travels."""

    UDP = "udp"
    TCP = "tcp"


_OUTCOMES = {2: DnsOutcome.SERVFAIL, 3: DnsOutcome.NXDOMAIN, 5: DnsOutcome.REFUSED}  # by the answer's RCODE


class DnsServer(NamedTuple):
    """A DNS server; `own` says that its address should be one of this host."""

    address: str
    port: int = 53
    own: bool = False


class DnsReply(NamedTuple):
    """A server's reply to one question. `path` has the names that CNAME records led to."""

    kind: str
    transport: Transport
    outcome: DnsOutcome
    detail: str = ""
    path: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()
    ttl: int | None = None
    milliseconds: int | None = None


def ask(server: DnsServer, name: str, kind: str, timeout: float, transport: Transport = Transport.UDP) -> DnsReply:
    """Ask a server one question, by UDP, and by TCP when the answer didn't fit, or by TCP at once.

    :param timeout: seconds for each try.
    """
    started = time.monotonic()
    try:
        if transport is Transport.UDP:
            message = _by_udp(server, name, kind, timeout)
            if message.truncated:
                transport = Transport.TCP
        if transport is Transport.TCP:
            message = _by_tcp(server, name, kind, timeout)
    except socket.timeout:
        return DnsReply(kind, transport, DnsOutcome.TIMEOUT, f"no answer within {timeout:g} s")
    except MessageError as error:
        return DnsReply(kind, transport, DnsOutcome.MALFORMED, str(error))
    except OSError as error:
        return DnsReply(kind, transport, _unreached(server), error.strerror or str(error))
    return _reply(message, kind, transport)._replace(milliseconds=round((time.monotonic() - started) * 1000))


def _unreached(server: DnsServer) -> DnsOutcome:
    if server.own and not _is_here(server.address):
        return DnsOutcome.ABSENT
    return DnsOutcome.UNREACHABLE


def _reply(message: DnsMessage, kind: str, transport: Transport) -> DnsReply:
    if message.rcode in _OUTCOMES:
        return DnsReply(kind, transport, _OUTCOMES[message.rcode])
    if message.rcode:
        return DnsReply(kind, transport, DnsOutcome.ERROR, f"DNS error {message.rcode}")
    path, records = _followed(message, kind)
    if not records:
        return DnsReply(kind, transport, DnsOutcome.NODATA, path=path, ttl=_shortest(message))
    return DnsReply(
        kind,
        transport,
        DnsOutcome.ANSWER,
        path=path,
        values=tuple(dict.fromkeys(record.value for record in records)),
        ports=tuple(dict.fromkeys(record.port for record in records if record.port)),
        ttl=_shortest(message),
    )


def _shortest(message: DnsMessage) -> int | None:
    """The seconds for which the whole answer may be kept."""
    return min((record.ttl for record in message.answers), default=None)


def _followed(message: DnsMessage, kind: str) -> tuple[tuple[str, ...], list[ResourceRecord]]:
    """The names that the answer's CNAME records lead to, and the records at their end. Others don't count."""
    aliases = {record.name: record.value for record in message.answers if record.kind == "CNAME"}
    name, path = message.name, ()  # type: str, tuple[str, ...]
    while name in aliases and aliases[name] not in (message.name, *path):
        name = aliases[name]
        path = (*path, name)
    return path, [record for record in message.answers if record.kind == kind and record.name == name]


def _by_udp(server: DnsServer, name: str, kind: str, timeout: float) -> DnsMessage:
    malformed: MessageError | None = None
    for _try in range(_TRIES):
        number = secrets.randbits(16)
        with _socket(server, socket.SOCK_DGRAM, timeout) as endpoint:
            # connected, so that only this server's answers come in, and the system's errors too
            endpoint.send(encode_question(number, name, kind))
            for data in _datagrams(endpoint, timeout):
                try:
                    message = decode(data)
                except MessageError as error:
                    malformed = error
                    continue
                if _answers(message, number, name, kind):
                    return message
    raise malformed or socket.timeout()


def _datagrams(endpoint: socket.socket, timeout: float) -> Iterator[bytes]:
    """Yield what comes in until the time is up."""
    until = time.monotonic() + timeout
    while True:
        left = until - time.monotonic()
        if left <= 0:
            return
        endpoint.settimeout(left)
        try:
            yield endpoint.recv(_LARGEST)
        except socket.timeout:
            return


def _by_tcp(server: DnsServer, name: str, kind: str, timeout: float) -> DnsMessage:
    number = secrets.randbits(16)
    question = encode_question(number, name, kind)
    with _socket(server, socket.SOCK_STREAM, timeout) as endpoint:
        endpoint.sendall(struct.pack("!H", len(question)) + question)
        until = time.monotonic() + timeout
        (length,) = struct.unpack("!H", _octets(endpoint, 2, until))
        message = decode(_octets(endpoint, length, until))
    if not _answers(message, number, name, kind) or message.truncated:
        raise MessageError("the answer is to another question, or truncated although it came by TCP")
    return message


def _octets(endpoint: socket.socket, count: int, until: float) -> bytes:
    data = b""
    while len(data) < count:
        left = until - time.monotonic()
        if left <= 0:
            raise socket.timeout
        endpoint.settimeout(left)
        more = endpoint.recv(count - len(data))
        if not more:
            raise MessageError(f"the server ended the connection after {len(data)} of {count} octets")
        data += more
    return data


def _answers(message: DnsMessage, number: int, name: str, kind: str) -> bool:
    return (message.number, message.name, message.kind) == (number, name, kind)


def _socket(server: DnsServer, kind: socket.SocketKind, timeout: float) -> socket.socket:
    family = socket.AF_INET6 if ":" in server.address else socket.AF_INET
    endpoint = socket.socket(family, kind)
    try:
        endpoint.settimeout(timeout)
        if server.own:
            endpoint.bind((server.address, 0))
        endpoint.connect((server.address, server.port))
    except BaseException:
        endpoint.close()
        raise
    return endpoint


def _is_here(address: str) -> bool:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as endpoint:
        try:
            endpoint.bind((address, 0))
        except OSError:
            return False
    return True
