# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ask a DNS server one question, or the same one at a steady rate; report as JSON.

Runs on the lab's hosts, with nothing but Python. One question: rcode, answers, ttl (the lowest), truncated, size
(bytes), seconds; rcode is null when no answer came. With --rate: sent, received, lost, rate (sent a second), median
and slowest (seconds from question to answer), rcodes (how many of each).
"""

from __future__ import annotations

import argparse
import collections
import ipaddress
import json
import random
import select
import socket
import statistics
import struct
import sys
import time

TYPES = {"A": 1, "CNAME": 5, "SOA": 6, "TXT": 16, "AAAA": 28, "SRV": 33}
RCODES = {0: "NOERROR", 1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 5: "REFUSED"}
HEADER = struct.Struct("!6H")
UDP_SIZE = 1232  # bytes, what a client of today says it takes
GRACE = 2.0  # seconds for the last answers


def question(number: int, name: str, kind: str) -> bytes:
    """A query with EDNS, recursion desired."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.rstrip(".").split(".") if label)
    edns = b"\0" + struct.pack("!2HIH", 41, UDP_SIZE, 0, 0)
    return HEADER.pack(number, 0x0100, 1, 0, 0, 1) + labels + b"\0" + struct.pack("!2H", TYPES[kind], 1) + edns


def read_name(packet: bytes, at: int) -> tuple[str, int]:
    """The name at an offset, and the offset after it."""
    labels = []
    end = None
    while packet[at]:
        if packet[at] >= 0xC0:
            end = end or at + 2
            at = (packet[at] & 0x3F) << 8 | packet[at + 1]
            continue
        labels.append(packet[at + 1 : at + 1 + packet[at]].decode(errors="replace"))
        at += 1 + packet[at]
    return ".".join(labels), end or at + 1


def read_data(packet: bytes, at: int, length: int, kind: int) -> str:
    """A record's data as text."""
    if kind in (TYPES["A"], TYPES["AAAA"]):
        return str(ipaddress.ip_address(packet[at : at + length]))
    if kind == TYPES["CNAME"]:
        return read_name(packet, at)[0]
    if kind == TYPES["SOA"]:
        after = read_name(packet, read_name(packet, at)[1])[1]
        return str(struct.unpack_from("!I", packet, after)[0])  # the serial
    return packet[at + 1 : at + length].decode(errors="replace")


def read(packet: bytes) -> dict[str, object]:
    """What an answer says."""
    _, flags, questions, records, _, _ = HEADER.unpack_from(packet)
    at = HEADER.size
    for _ in range(questions):
        at = read_name(packet, at)[1] + 4
    answers, ttls = [], []
    for _ in range(records):
        at = read_name(packet, at)[1]
        kind, _, ttl, length = struct.unpack_from("!2HIH", packet, at)
        answers.append(read_data(packet, at + 10, length, kind))
        ttls.append(ttl)
        at += 10 + length
    rcode = RCODES.get(flags & 15, str(flags & 15))
    truncated = bool(flags & 0x0200)
    ttl = min(ttls, default=None)
    return {"rcode": rcode, "answers": sorted(answers), "ttl": ttl, "truncated": truncated, "size": len(packet)}


def ask_udp(server: str, query: bytes, timeout: float) -> bytes:
    """The answer's packet."""
    with socket.socket(_family(server), socket.SOCK_DGRAM) as endpoint:
        endpoint.settimeout(timeout)
        endpoint.connect((server, 53))
        endpoint.send(query)
        return endpoint.recv(65535)


def ask_tcp(server: str, query: bytes, timeout: float) -> bytes:
    """The answer's packet."""
    with socket.create_connection((server, 53), timeout) as endpoint, endpoint.makefile("rb") as stream:
        endpoint.sendall(struct.pack("!H", len(query)) + query)
        (length,) = struct.unpack("!H", stream.read(2))
        return stream.read(length)


def ask(server: str, name: str, kind: str, *, tcp: bool, timeout: float) -> dict[str, object]:
    """One question's report."""
    query = question(random.randrange(65536), name, kind)
    started = time.monotonic()
    try:
        report = read((ask_tcp if tcp else ask_udp)(server, query, timeout))
    except OSError as error:
        report = {"rcode": None, "error": str(error)}
    return {**report, "seconds": round(time.monotonic() - started, 6)}


def ask_steadily(server: str, name: str, kind: str, rate: float, seconds: float) -> dict[str, object]:
    """The report of many questions by UDP; `{}` in the name is the question's number."""
    count = int(rate * seconds)
    sent_at: dict[int, float] = {}
    took: list[float] = []
    rcodes: collections.Counter[str] = collections.Counter()
    with socket.socket(_family(server), socket.SOCK_DGRAM) as endpoint:
        endpoint.setblocking(False)
        endpoint.connect((server, 53))
        started = time.monotonic()
        while len(took) < count:
            now = time.monotonic()
            while (number := len(sent_at)) < count and started + number / rate <= now:
                sent_at[number] = time.monotonic()
                endpoint.send(question(number % 65536, name.replace("{}", str(number)), kind))
            if number == count and now > sent_at[count - 1] + GRACE:
                break
            due = started + number / rate if number < count else now + GRACE
            if select.select([endpoint], [], [], max(0.0, due - time.monotonic()))[0]:
                packet = endpoint.recv(65535)
                took.append(time.monotonic() - sent_at[HEADER.unpack_from(packet)[0]])
                rcodes[str(read(packet)["rcode"])] += 1
    return {
        "sent": count,
        "received": len(took),
        "lost": count - len(took),
        "rate": round(count / (sent_at[count - 1] - started + 1 / rate), 1),
        "median": round(statistics.median(took), 6) if took else None,
        "slowest": round(max(took), 6) if took else None,
        "rcodes": dict(rcodes),
    }


def _family(server: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in server else socket.AF_INET


def main() -> None:
    """Ask as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("server")
    parser.add_argument("name")
    parser.add_argument("kind", nargs="?", default="A", choices=TYPES)
    parser.add_argument("--tcp", action="store_true")
    parser.add_argument("--timeout", type=float, default=2.0, help="seconds (default %(default)s)")
    parser.add_argument("--rate", type=float, help="questions a second; at most 65536 questions in all")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long, with --rate (default %(default)s)")
    asked = parser.parse_args()
    if asked.rate:
        report = ask_steadily(asked.server, asked.name, asked.kind, asked.rate, asked.seconds)
    else:
        report = ask(asked.server, asked.name, asked.kind, tcp=asked.tcp, timeout=asked.timeout)
    sys.stdout.write(json.dumps(report) + "\n")


if __name__ == "__main__":
    main()
