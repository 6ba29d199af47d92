# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the lab's service host serves: `web` is a page on port 80, `echo` returns UDP packets on port 7."""

from __future__ import annotations

import contextlib
import http.server
import json
import socket
import sys
import time
from pathlib import Path

METADATA = Path("/run/lab-metadata")  # ADDRESS/USER, written by the emulated AWS, and ADDRESS/role.json
ROLES = "/latest/meta-data/iam/security-credentials/"
ACTIVE_KEYS = "/latest/meta-data/managed-ssh-keys/active-keys/"
TOKEN = "lab"
METADATA_ADDRESSES = ("169.254.169.254", "fd00:ec2::254")
SO_RCVBUFFORCE = 33  # asm-generic/socket.h; Python's socket module doesn't name it


class _Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        """Answer with what was reached and with the client's address as seen here."""
        asked, client = (
            address[0].removeprefix("::ffff:") for address in (self.connection.getsockname(), self.client_address)
        )
        if asked == METADATA_ADDRESSES[0] and self.path.startswith(ACTIVE_KEYS):
            self._active_keys(client)
            return
        if asked == METADATA_ADDRESSES[0] and self.path.startswith(ROLES):
            self._role(client)
            return
        title = "instance metadata" if asked in METADATA_ADDRESSES else "tracklib service"
        self._answer(200, f"{title} on {socket.gethostname()}, {asked}\nclient {client}\n".encode())

    def do_PUT(self) -> None:
        """Give a token, as IMDSv2 does."""
        self._answer(200 if self.path == "/latest/api/token" else 404, TOKEN.encode())

    def _active_keys(self, client: str) -> None:
        """Answer an instance, known by its address, with what the emulated EC2 Instance Connect has for a user."""
        user = self.path.removeprefix(ACTIVE_KEYS).strip("/")
        keys = METADATA / client / user
        if self.headers.get("X-aws-ec2-metadata-token") != TOKEN:
            self._answer(401, b"")
        elif not user or "/" in user or not keys.is_file():
            self._answer(404, b"")
        else:
            self._answer(200, keys.read_bytes())

    def _role(self, client: str) -> None:
        """Answer an instance with its role, or with the role's credentials."""
        file, name = METADATA / client / "role.json", self.path.removeprefix(ROLES)
        if self.headers.get("X-aws-ec2-metadata-token") != TOKEN:
            self._answer(401, b"")
            return
        role = json.loads(file.read_text()) if file.is_file() else {}
        if not name and role:
            self._answer(200, role["Name"].encode())
        elif role and name == role["Name"]:
            expires = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))
            self._answer(200, json.dumps({**role, "Expiration": expires}).encode())
        else:
            self._answer(404, b"")

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class _PageServer(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6  # and IPv4, as mapped addresses
    daemon_threads = True


def echo() -> None:
    """Return every UDP packet to its sender."""
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as endpoint:
        endpoint.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        endpoint.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 4 << 20)  # a busy machine must not look like a loss
        endpoint.bind(("::", 7))
        while True:
            packet, sender = endpoint.recvfrom(65535)
            with contextlib.suppress(OSError):  # a gateway without its rules sends it addresses that have no route
                endpoint.sendto(packet, sender)


if __name__ == "__main__":
    if sys.argv[1] == "echo":
        echo()
    else:
        _PageServer(("::", 80), _Page).serve_forever()
