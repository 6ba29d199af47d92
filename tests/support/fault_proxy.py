# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""An HTTP proxy between the SDK and the emulated AWS that pages as AWS does, and fails where a test says.

The emulator never pages GetAccountAuthorizationDetails; this cuts its answer into pages.
"""

from __future__ import annotations

import http.client
import http.server
import json
import re
import socket
import struct
import threading
import urllib.parse
from collections import Counter
from collections.abc import Callable
from typing import Any

import yaml

from .waiting import PATIENCE

Answer = tuple[int, dict[str, str], bytes]
Fault = Callable[["Handler", Answer], None]

ANY = "*"  # every action
LOST: Answer = (0, {}, b"")  # of a call that didn't reach AWS
_SWEEP = "GetAccountAuthorizationDetails"


class FaultProxy:
    """Listens on a free loopback port, or at an address, while used as a context.

    `fail(action, fault, first, last)` lets calls number first to last of an action, or of ANY, end in a fault, also
    before they reach AWS; `calls` counts requests by action; `page_size` cuts sweeps into pages; `max_results` is put
    in place of the MaxResults that a request asks for, as AWS may answer with less; `scan_limit` makes pages of a Scan
    that small; `added_resource` is put into the template of each stack that is made.
    """

    def __init__(self, upstream: str, address: tuple[str, int] = ("127.0.0.1", 0)) -> None:
        self.upstream = urllib.parse.urlsplit(upstream)
        self.calls: Counter[str] = Counter()
        self.page_size = 1000
        self.max_results: int | None = None
        self.scan_limit: int | None = None
        self.added_resource: dict[str, Any] | None = None
        self._faults: list[tuple[str, Fault, int, float, bool]] = []
        self._server = http.server.ThreadingHTTPServer(address, Handler)
        self._server.daemon_threads = True
        self._server.proxy = self  # type: ignore[attr-defined]  # how handlers find it
        self.url = f"http://{address[0]}:{self._server.server_port}"

    def __enter__(self) -> FaultProxy:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def fail(
        self, action: str, fault: Fault, first: int = 1, last: float = float("inf"), *, reaches: bool = True
    ) -> None:
        """:param reaches: False: AWS never hears of these calls."""
        self._faults.append((action, fault, first, last, reaches))

    def fault(self, action: str) -> tuple[Fault, bool]:
        """Count the call; say how it should end, and whether it reaches AWS."""
        self.calls[action] += 1
        numbers = {action: self.calls[action], ANY: self.calls.total()}
        return next(
            (
                (how, reaches)
                for name, how, first, last, reaches in self._faults
                if name in numbers and first <= numbers[name] <= last
            ),
            (send, True),
        )


class Handler(http.server.BaseHTTPRequestHandler):
    """One connection of the SDK."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Route 53's reads."""
        proxy: FaultProxy = self.server.proxy  # type: ignore[attr-defined]  # set by FaultProxy
        fault, reaches = proxy.fault(_route53_action(self.path))
        fault(self, self._forward(proxy, b"") if reaches else LOST)

    def do_POST(self) -> None:
        proxy: FaultProxy = self.server.proxy  # type: ignore[attr-defined]  # set by FaultProxy
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        form = dict(urllib.parse.parse_qsl(body.decode(errors="replace")))
        action = self.headers.get("X-Amz-Target", "").rpartition(".")[2] or form.get("Action", "")
        fault, reaches = proxy.fault(action)
        if proxy.max_results is not None:
            body = re.sub(rb"(?<=MaxResults=)\d+", b"%d" % proxy.max_results, body)
        if proxy.scan_limit is not None and action == "Scan":
            body = json.dumps({**json.loads(body), "Limit": proxy.scan_limit}).encode()
        if proxy.added_resource is not None and action == "CreateStack":
            template = yaml.safe_load(form["TemplateBody"])
            template["Resources"]["Added"] = {**proxy.added_resource, "DependsOn": list(template["Resources"])}
            body = urllib.parse.urlencode({**form, "TemplateBody": json.dumps(template)}).encode()
        answer = self._forward(proxy, body) if reaches else LOST
        if action == _SWEEP and answer[0] == 200:
            answer = (200, answer[1], _page(answer[2], proxy.page_size, int(form.get("Marker", 0))))
        fault(self, answer)

    def _forward(self, proxy: FaultProxy, body: bytes) -> Answer:
        upstream = http.client.HTTPConnection(proxy.upstream.hostname or "", proxy.upstream.port, timeout=PATIENCE)
        headers = {**dict(self.headers.items()), "Content-Length": str(len(body))}
        upstream.request(self.command, self.path, body, headers)
        answer = upstream.getresponse()
        kept = {
            name: value for name, value in answer.getheaders() if name.lower().startswith(("x-amz", "content-type"))
        }
        result = (answer.status, kept, answer.read())
        upstream.close()
        return result

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it
        """Stay quiet."""


def _route53_action(path: str) -> str:
    """What a GET of Route 53's REST protocol asks for."""
    parts = urllib.parse.urlsplit(path).path.strip("/").split("/")[1:]
    if parts[-1] == "rrset":
        return "ListResourceRecordSets"
    return {"hostedzonesbyvpc": "ListHostedZonesByVPC", "hostedzone": "ListHostedZones"}.get(parts[-1], parts[-1])


def _page(xml: bytes, size: int, start: int) -> bytes:
    found = re.compile(rb"(<UserDetailList>.*</UserDetailList>|<UserDetailList */>)", re.DOTALL)
    head, users, tail = found.split(xml, maxsplit=1)
    every = members(users)
    rest = len(every) > start + size
    marker = b"<Marker>%d</Marker>" % (start + size) if rest else b""
    truncated = b"<IsTruncated>%s</IsTruncated>" % (b"true" if rest else b"false") + marker
    page = b"<UserDetailList>" + b"".join(every[start : start + size]) + b"</UserDetailList>"
    return (
        re.sub(rb"<IsTruncated>\w+</IsTruncated>", b"", head)
        + page
        + truncated
        + re.sub(rb"<IsTruncated>\w+</IsTruncated>", b"", tail)
    )


def members(users: bytes) -> list[bytes]:
    """The outermost <member> elements; users hold others for tags and groups."""
    found, depth, start = [], 0, 0
    for match in re.finditer(rb"<(/?)member>", users):
        if not match[1]:
            start = match.start() if depth == 0 else start
            depth += 1
        else:
            depth -= 1
            if depth == 0:
                found.append(users[start : match.end()])
    return found


def send(handler: Handler, answer: Answer) -> None:
    """The answer as it is."""
    status, headers, body = answer
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def error(status: int, code: str) -> Fault:
    """An error as IAM's and STS's query protocol answers it."""
    body = (
        f"<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>told to</Message></Error>"
        "<RequestId>00000000</RequestId></ErrorResponse>"
    )
    return lambda handler, _answer: send(handler, (status, {"Content-Type": "text/xml"}, body.encode()))


def ec2_error(status: int, code: str) -> Fault:
    """An error as EC2's protocol answers it."""
    body = (
        f"<Response><Errors><Error><Code>{code}</Code><Message>told to</Message></Error></Errors>"
        "<RequestID>00000000</RequestID></Response>"
    )
    return lambda handler, _answer: send(handler, (status, {"Content-Type": "text/xml"}, body.encode()))


def json_error(status: int, code: str) -> Fault:
    """An error as DynamoDB's protocol answers it."""
    body = json.dumps({"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": "told to"})
    return lambda handler, _answer: send(
        handler, (status, {"Content-Type": "application/x-amz-json-1.0"}, body.encode())
    )


def held(until: threading.Event, timeout: float = PATIENCE) -> Fault:
    """The answer comes once something has happened, after `timeout` seconds at the latest."""

    def fault(handler: Handler, answer: Answer) -> None:
        until.wait(timeout)
        send(handler, answer)

    return fault


def instead(act: Callable[[], object]) -> Fault:
    """Something is done, and the connection is reset instead of an answer."""

    def fault(handler: Handler, answer: Answer) -> None:
        act()
        reset(handler, answer)

    return fault


def reset(handler: Handler, _answer: Answer) -> None:
    """The connection is reset instead of an answer."""
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.close_connection = True
    handler.connection.close()


def cut_short(handler: Handler, answer: Answer) -> None:
    """The connection ends in the middle of the body."""
    status, _headers, body = answer
    handler.send_response(status)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body[: len(body) // 2])
    handler.close_connection = True


def cut_inside(handler: Handler, answer: Answer) -> None:
    """Half the body, with a Content-Length that says that this is all."""
    status, headers, body = answer
    send(handler, (status, headers, body[: len(body) // 2]))


def without_marker(handler: Handler, answer: Answer) -> None:
    """A page that says there are more, and not where."""
    status, headers, body = answer
    send(handler, (status, headers, re.sub(rb"<Marker>.*?</Marker>", b"", body)))


def _rewritten(pattern: bytes, replacement: bytes) -> Fault:
    def fault(handler: Handler, answer: Answer) -> None:
        status, headers, body = answer
        send(handler, (status, headers, re.sub(pattern, replacement, body, flags=re.DOTALL)))

    return fault


without_users = _rewritten(rb"<UserDetailList>.*</UserDetailList>", b"<UserDetailList/>")
without_end = _rewritten(rb"<IsTruncated>\w+</IsTruncated>", b"")
with_a_bad_date = _rewritten(rb"<CreateDate>[^<]*</CreateDate>", b"<CreateDate>yesterday</CreateDate>")
of_another_service = _rewritten(rb".*", b"<html><body>Sign in to the guest network</body></html>")
