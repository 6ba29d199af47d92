# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The self-service function over HTTP, as its function URLs serve it: /manage/… and /renew/… for the two aliases.

Every request must be signed for `lambda`; the emulated AWS tells by whom, and with that the handler's event is made.
Each worker is a process that answers one request at a time, like an execution environment of Lambda.

What this can't show, only AWS does: the policies that allow or deny a call (lambda:InvokeFunctionUrl, MFA's age), and
how AWS spells a path that has escapes.

Usage: python -m tests.support.function_server PORT WORKERS [ADDRESS]
with the function's environment, AWS_ENDPOINT_URL and the tests' PYTHONPATH
"""

from __future__ import annotations

import base64
import ctypes
import http.server
import json
import os
import signal
import socket
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from typing import Any, NamedTuple

import urllib3
from botocore.config import Config
from self_service import handler as function
from self_service import proof
from self_service.handler import aws, handler

from .waiting import PATIENCE

FUNCTION_ARN = "arn:aws:lambda:eu-west-1:123456789012:function:tracklib-vpn-self-service"


class Context(NamedTuple):
    """What of Lambda's context the function reads."""

    invoked_function_arn: str
    aws_request_id: str


def event(method: str, target: str, headers: dict[str, str], body: bytes, iam: dict[str, str] | None) -> dict[str, Any]:
    """A function URL's event, payload format 2.0. `target` is path and query as sent."""
    path, _mark, query = target.partition("?")
    try:
        text, encoded = body.decode(), False
    except UnicodeDecodeError:
        text, encoded = base64.b64encode(body).decode(), True
    found: dict[str, Any] = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "headers": headers,
        "requestContext": {
            "accountId": iam["accountId"] if iam else "anonymous",
            "apiId": "abcdefghijklmnopqrstuvwxyz012345",
            "authorizer": {"iam": {"cognitoIdentity": None, "principalOrgId": None, **iam}} if iam else None,
            "domainName": "abcdefghijklmnopqrstuvwxyz012345.lambda-url.eu-west-1.on.aws",
            "domainPrefix": "abcdefghijklmnopqrstuvwxyz012345",
            "http": {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1"},
            "requestId": str(uuid.uuid4()),
            "routeKey": "$default",
            "stage": "$default",
            "timeEpoch": int(time.time() * 1000),
        },
        "isBase64Encoded": encoded,
    }
    if body:
        found["body"] = text
    if query:
        found["queryStringParameters"] = dict(urllib.parse.parse_qsl(query, keep_blank_values=True))
    return found


class Handler(http.server.BaseHTTPRequestHandler):
    """One request."""

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): ",".join(self.headers.get_all(name, [])) for name in self.headers}
        iam = self._signer(headers, body)
        if iam is None:
            self._send(403, {"Content-Type": "application/json"}, b'{"Message":"Forbidden"}')
            return
        alias, _slash, rest = self.path[1:].partition("/")
        context = Context(f"{FUNCTION_ARN}:{alias}", str(uuid.uuid4()))
        answer = handler(event(self.command, f"/{rest}", headers, body, iam), context)  # type: ignore[arg-type]  # what it reads
        content = answer.get("body") or ""
        self._send(answer["statusCode"], answer.get("headers", {}), content.encode())

    def __getattr__(self, name: str) -> Any:
        """Any method: the base class looks for do_GET and so on."""
        if name.startswith("do_"):
            return self._answer
        raise AttributeError(name)

    def _signer(self, headers: dict[str, str], body: bytes) -> dict[str, str] | None:
        url = f"http://{headers['host']}{self.path}"
        asked = {"method": self.command, "url": url, "headers": headers, "body": base64.b64encode(body).decode()}
        request = urllib.request.Request(f"{os.environ['AWS_ENDPOINT_URL']}/_signer", json.dumps(asked).encode())
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                found: dict[str, str] = json.load(answer)
                return found
        except urllib.error.HTTPError:
            return None

    def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it
        """Stay quiet."""


class Server(http.server.HTTPServer):
    """One worker, on a socket that it shares with the others."""

    def __init__(self, shared: socket.socket) -> None:
        super().__init__(shared.getsockname(), Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = shared


def _be_patient() -> None:
    """Wait for the emulated AWS, which answers one request at a time, as long as a busy machine needs."""
    function._CONFIG = function._CONFIG.merge(Config(connect_timeout=PATIENCE, read_timeout=PATIENCE))
    proof._TIMEOUT = urllib3.Timeout(PATIENCE)


def main() -> None:
    """Serve until killed."""
    port, workers = int(sys.argv[1]), int(sys.argv[2])
    address = sys.argv[3] if len(sys.argv) > 3 else "127.0.0.1"
    _be_patient()
    aws()  # before the workers are, so that each begins warm
    shared = socket.socket()
    shared.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    shared.bind((address, port))
    shared.listen(256)
    parent = os.getpid()
    children = [os.fork() for _worker in range(workers) if os.getpid() == parent]
    if os.getpid() == parent:
        for child in children:
            os.waitpid(child, 0)
        return
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: end with the parent, however that ends
    Server(shared).serve_forever()


if __name__ == "__main__":
    main()
