# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Send numbered UDP packets to an echo at a steady rate until standard input ends or the time is up; report as JSON.

Runs on the lab's hosts, with nothing but Python. Prints a first line when the first answer came, and then, at the end:
sent, received (different ones), lost, rate (sent a second), seconds, longest_gap (seconds without any answer),
and errors (the system's refusals to send; those packets count as sent and lost).
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import select
import socket
import struct
import sys
import time

NUMBER = struct.Struct("!8sQ")
GRACE = 1.0  # seconds for the last answers
MOST_BEHIND = 200  # packets: a longer pause of this process isn't made up for, and shows in the rate


class Probe:
    """One series of packets and what came back."""

    def __init__(self, address: str, port: int, interval: float) -> None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.endpoint = socket.socket(family, socket.SOCK_DGRAM)
        self.endpoint.setblocking(False)
        self.endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.endpoint.connect((address, port))
        self.interval = interval
        self.series = os.urandom(8)
        self.sent = 0
        self.received: set[int] = set()
        self.errors: collections.Counter[str] = collections.Counter()
        self.last_answer = 0.0
        self.longest_gap = 0.0

    def run(self, seconds: float) -> dict[str, object]:
        """Send for as long as `seconds`, or until standard input ends; return the report."""
        start = due = self.last_answer = time.monotonic()
        while (now := time.monotonic()) < start + seconds:
            while due <= now:
                self._send()
                due += self.interval
            due = max(due, now - MOST_BEHIND * self.interval)
            readable = select.select([self.endpoint, sys.stdin], [], [], max(0.0, due - time.monotonic()))[0]
            self._receive()
            if sys.stdin in readable and not os.read(sys.stdin.fileno(), 1):
                break
        duration = time.monotonic() - start
        end = time.monotonic() + GRACE
        while len(self.received) < self.sent and time.monotonic() < end:
            select.select([self.endpoint], [], [], 0.05)
            self._receive()
        if len(self.received) < self.sent:
            self.longest_gap = max(self.longest_gap, time.monotonic() - self.last_answer)
        return {
            "sent": self.sent,
            "received": len(self.received),
            "lost": self.sent - len(self.received),
            "rate": round(self.sent / duration, 1),
            "seconds": round(duration, 3),
            "longest_gap": round(self.longest_gap, 4),
            "errors": dict(self.errors),
        }

    def _send(self) -> None:
        packet = NUMBER.pack(self.series, self.sent)
        self.sent += 1
        try:
            self.endpoint.send(packet)
        except OSError as error:
            self.errors[error.strerror or str(error)] += 1

    def _receive(self) -> None:
        while True:
            try:
                packet = self.endpoint.recv(2048)
            except BlockingIOError:
                return
            except OSError as error:  # an ICMP error for an earlier packet
                self.errors[error.strerror or str(error)] += 1
                continue
            series, number = NUMBER.unpack(packet)
            if series != self.series:
                continue
            now = time.monotonic()
            self.longest_gap = max(self.longest_gap, now - self.last_answer)
            self.last_answer = now
            if not self.received:
                sys.stdout.write("answered\n")
                sys.stdout.flush()
            self.received.add(number)


def main() -> None:
    """Probe as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("address")
    parser.add_argument("--port", type=int, default=7)
    parser.add_argument("--interval", type=float, default=0.001, help="seconds between packets (default %(default)s)")
    parser.add_argument("--seconds", type=float, default=3600, help="how long at most (default %(default)s)")
    arguments = parser.parse_args()
    probe = Probe(arguments.address, arguments.port, arguments.interval)
    sys.stdout.write(json.dumps(probe.run(arguments.seconds)) + "\n")


if __name__ == "__main__":
    main()
