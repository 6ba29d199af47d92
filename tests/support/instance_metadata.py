# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The instance metadata that gives a role's credentials, by IMDSv2, at a loopback port."""

from __future__ import annotations

import http.server
import json
import threading
import time


class InstanceMetadata:
    """Serves while used as a context. `role` is the instance's, if any; `asked` counts how often it gave its keys."""

    def __init__(self, role: str | None = "vpn-gateway", life: float = 3600) -> None:
        self.role = role
        self.life = life  # seconds
        self.asked = 0
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.daemon_threads = True
        self._server.metadata = self  # type: ignore[attr-defined]  # how handlers find it
        self.place = f"http://127.0.0.1:{self._server.server_port}/latest"

    def __enter__(self) -> InstanceMetadata:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def keys(self) -> str:
        """The role's credentials, as EC2 writes them."""
        self.asked += 1
        return json.dumps(
            {
                "Code": "Success",
                "Type": "AWS-HMAC",
                "AccessKeyId": f"ASIAIOSFODNN7EXAMP{self.asked:02}",
                "SecretAccessKey": "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY1",
                "Token": f"token-{self.asked}",
                "Expiration": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + self.life)),
            }
        )


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_PUT(self) -> None:
        """Give a token."""
        asks = self.path == "/latest/api/token" and self.headers.get("X-aws-ec2-metadata-token-ttl-seconds")
        self._answer(200 if asks else 400, "a-token")

    def do_GET(self) -> None:
        """Give the role's name, or its credentials."""
        metadata: InstanceMetadata = self.server.metadata  # type: ignore[attr-defined]  # set by InstanceMetadata
        roles = "/latest/meta-data/iam/security-credentials/"
        if self.headers.get("X-aws-ec2-metadata-token") != "a-token":
            self._answer(401, "")
        elif metadata.role is None:
            self._answer(404, "")
        elif self.path == roles:
            self._answer(200, metadata.role)
        else:
            known = self.path == roles + metadata.role
            self._answer(200 if known else 404, metadata.keys() if known else "")

    def _answer(self, status: int, text: str) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""
