# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""A DNS server on loopback that answers as a test says, also wrongly. It shares no code with what it tests."""

from __future__ import annotations

import ipaddress
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Answer = Callable[[bytes, str, int, str], "bytes | None"]  # query, name, type, transport; None: silence

TYPES = {"A": 1, "CNAME": 5, "AAAA": 28, "SRV": 33}


def encode(name: str) -> bytes:
    """A name as octets."""
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"


def data(kind: str, value: str) -> bytes:
    """A record's data; an SRV record's is written `PORT HOST`."""
    if kind in ("A", "AAAA"):
        return ipaddress.ip_address(value).packed
    if kind == "SRV":
        port, host = value.split()
        return struct.pack("!3H", 1, 1, int(port)) + encode(host)
    return encode(value)


def response(query: bytes, *records: tuple[str, str, int, str], rcode: int = 0, truncated: bool = False) -> bytes:
    """An answer to a query; records are (name, type, TTL, value)."""
    flags = 0x8180 | rcode | (0x0200 if truncated else 0)
    answers = b""
    for name, kind, ttl, value in records:
        content = data(kind, value)
        answers += encode(name) + struct.pack("!2HIH", TYPES[kind], 1, ttl, len(content)) + content
    return query[:2] + struct.pack("!5H", flags, 1, len(records), 0, 0) + query[12:] + answers


def records(*known: tuple[str, str, int, str]) -> Answer:
    """A server that has these records and no other names."""

    def answer(query: bytes, name: str, kind: int, _transport: str) -> bytes:
        if name not in [record[0] for record in known]:
            return response(query, rcode=3)
        return response(query, *(one for one in known if one[0] == name and TYPES[one[1]] in (kind, TYPES["CNAME"])))

    return answer


@contextmanager
def serving(answer: Answer, address: str = "127.0.0.1", port: int = 0) -> Iterator[int]:
    """Answer at an address by UDP and TCP; yield the port, a free one by default."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as stream, socket.socket(family, socket.SOCK_DGRAM) as datagram:
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        stream.bind((address, port))
        port = int(stream.getsockname()[1])
        stream.listen()
        datagram.bind((address, port))
        threading.Thread(target=_by_udp, args=(datagram, answer), daemon=True).start()
        threading.Thread(target=_by_tcp, args=(stream, answer), daemon=True).start()
        try:
            yield port
        finally:
            stream.shutdown(socket.SHUT_RDWR)


def _asked(query: bytes) -> tuple[str, int]:
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1 : at + 1 + query[at]].decode())
        at += 1 + query[at]
    return ".".join(labels), struct.unpack_from("!H", query, at + 1)[0]


def _by_udp(endpoint: socket.socket, answer: Answer) -> None:
    while True:
        try:
            query, sender = endpoint.recvfrom(4096)
        except OSError:
            return
        given = answer(query, *_asked(query), "udp")
        if given is not None:
            endpoint.sendto(given, sender)


def _by_tcp(listener: socket.socket, answer: Answer) -> None:
    while True:
        try:
            endpoint, _sender = listener.accept()
        except OSError:
            return
        threading.Thread(target=_one_by_tcp, args=(endpoint, answer), daemon=True).start()


def _one_by_tcp(endpoint: socket.socket, answer: Answer) -> None:
    with endpoint:
        query = endpoint.recv(4096)[2:]
        if not query:
            return
        given = answer(query, *_asked(query), "tcp")
        if given is None:
            endpoint.recv(1)  # until the client has given up
            return
        endpoint.sendall(struct.pack("!H", len(given)) + given)
