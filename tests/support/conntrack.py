# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Fills the connection tracking table of the network namespace that it runs in, up to some entries that stay free.

The size of that table is the machine's, so a test can't make it smaller for itself. The entries are made by the
kernel's own interface (linux/netfilter/nfnetlink_conntrack.h), and count as connections that both sides answered.
"""

from __future__ import annotations

import socket
import struct
import sys
from pathlib import Path

_NETLINK_NETFILTER = 12
_NEW_CONNECTION = 1 << 8
_REQUEST_CREATE_EXCL = 0x1 | 0x400 | 0x200
_SEEN_REPLY_ASSURED_CONFIRMED = 0x2 | 0x4 | 0x8
_NESTED = 0x8000
_BATCH = 500


def fill(left_free: int) -> int:
    """Fill the table. :returns: how many entries are free then."""
    missing = free() - left_free
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER) as netlink:
        for start in range(0, missing, _BATCH):
            netlink.send(b"".join(_connection(number) for number in range(start, min(missing, start + _BATCH))))
    return free()


def free() -> int:
    """Count the entries that the table has room for."""
    size, used = (int(Path(f"/proc/sys/net/netfilter/nf_conntrack_{name}").read_text()) for name in ("max", "count"))
    return size - used


def _connection(number: int) -> bytes:
    source = socket.inet_aton(f"198.51.100.{number // 60000}"), struct.pack(">H", 1 + number % 60000)
    target = socket.inet_aton("203.0.113.1"), struct.pack(">H", 9)
    body = struct.pack("=BBH", socket.AF_INET, 0, 0) + _tuple(1, source, target) + _tuple(2, target, source)
    body += _attribute(3, struct.pack(">I", _SEEN_REPLY_ASSURED_CONFIRMED)) + _attribute(7, struct.pack(">I", 600))
    return struct.pack("=IHHII", 16 + len(body), _NEW_CONNECTION, _REQUEST_CREATE_EXCL, 0, 0) + body


def _tuple(kind: int, source: tuple[bytes, bytes], target: tuple[bytes, bytes]) -> bytes:
    addresses = _attribute(_NESTED | 1, _attribute(1, source[0]) + _attribute(2, target[0]))
    protocol = _attribute(1, bytes([socket.IPPROTO_UDP])) + _attribute(2, source[1]) + _attribute(3, target[1])
    return _attribute(_NESTED | kind, addresses + _attribute(_NESTED | 2, protocol))


def _attribute(kind: int, content: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(content), kind) + content + bytes(-len(content) % 4)


if __name__ == "__main__":
    print(fill(int(sys.argv[1])))
