# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A DNS server for a gateway's tunnel addresses: knows one zone, refuses the rest, and notes every name it is asked.

`resolver.py ADDRESS … -- NAME=ADDRESS …`; names asked go to standard output.
"""

from __future__ import annotations

import ipaddress
import selectors
import socket
import struct
import sys

REFUSED = 5


def answer(query: bytes, known: dict[str, list[str]]) -> bytes:
    """Return the answer to a query of one question."""
    labels, position = [], 12
    while query[position]:
        labels.append(query[position + 1 : position + 1 + query[position]].decode())
        position += 1 + query[position]
    name = ".".join(labels).lower()
    sys.stdout.write(f"{name}\n")
    sys.stdout.flush()
    (kind,) = struct.unpack_from(">H", query, position + 1)
    addresses = [ipaddress.ip_address(text) for text in known.get(name, [])]
    wanted = [address.packed for address in addresses if kind == (1 if address.version == 4 else 28)]
    flags = 0x8580 if name in known else 0x8180 | REFUSED
    head = query[:2] + struct.pack(">HHHHH", flags, 1, len(wanted), 0, 0)
    records = [b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 5, len(packed)) + packed for packed in wanted]
    return head + query[12 : position + 5] + b"".join(records)


def main() -> None:
    """Serve by UDP."""
    split = sys.argv.index("--")
    known: dict[str, list[str]] = {}
    for pair in sys.argv[split + 1 :]:
        name, _equals, address = pair.partition("=")
        known.setdefault(name, []).append(address)
    ready = selectors.DefaultSelector()
    for address in sys.argv[1:split]:
        endpoint = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
        endpoint.bind((address, 53))
        ready.register(endpoint, selectors.EVENT_READ)
    while True:
        for key, _events in ready.select():
            assert isinstance(key.fileobj, socket.socket)
            query, client = key.fileobj.recvfrom(4096)
            key.fileobj.sendto(answer(query, known), client)


if __name__ == "__main__":
    main()
