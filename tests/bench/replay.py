# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Answers as the emulated AWS did, at once: each question is put to the emulator the first time only.

What is measured through it is our own speed and the peers', not the emulator's. Lists of IAM users come in pages of
AWS's sizes, which the emulator doesn't cut. Writes are answered and forgotten, so that every run finds the same facts;
only receipts are kept, as no removal is recorded twice.
"""

from __future__ import annotations

import asyncio
import json
import re
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Callable

from tests.support.fault_proxy import members

_SWEEP_PAGE = 1000  # GetAccountAuthorizationDetails' maximum
_LIST_PAGE = 100  # what ListUsers gives unless it is asked for another number, as nobody here does
_LISTS = {"GetAccountAuthorizationDetails": b"UserDetailList", "ListUsers": b"Users"}
_RECORDED = b'"recorded"'  # the registry's partition, in a question for it
_REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found"}

# seconds that AWS takes for each answer: none, as no AWS does, so that only the programs' own time counts; or less than
# IAM ever takes
LATENCIES = {0.0: "answers at once", 0.01: "10 ms for each answer, a near AWS"}

Answer = tuple[int, str, bytes]  # status, content type, body


class Replay:
    """Listens on a free loopback port while used as a context.

    `calls` counts requests by action as they come from the socket. `state` names what the emulator's users are at the
    moment: answers that list users are kept for each state. `latency` is how long AWS takes for each answer, in
    seconds.
    """

    def __init__(self, upstream: str, ec2_upstream: str | None = None) -> None:
        self.upstream = upstream
        self.ec2_upstream = ec2_upstream or upstream
        self.calls: Counter[str] = Counter()
        self.state = ""
        self.latency = 0.0
        self._answers: dict[tuple[str, str, bytes], Answer] = {}
        self._loop = asyncio.new_event_loop()
        self._server = self._loop.run_until_complete(
            self._loop.create_server(lambda: _Connection(self), "127.0.0.1", 0, backlog=100)
        )
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def __enter__(self) -> Replay:
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)

    def later(self, write: Callable[[bytes], None], data: bytes) -> None:
        """Send an answer when AWS would."""
        if self.latency:
            self._loop.call_later(self.latency, write, data)
        else:
            write(data)

    def answer(self, headers: dict[str, str], body: bytes) -> Answer:
        # Route 53 has neither a target nor a form: there the path says what is asked
        action = headers.get("x-amz-target", "").rpartition(".")[2] or _form(body).get("Action") or headers[":path"]
        self.calls[action] += 1
        if action == "UpdateItem":
            return 200, "application/x-amz-json-1.0", _generation()
        if action == "PutItem":
            return 200, "application/x-amz-json-1.0", b"{}"
        if action == "BatchWriteItem":  # receipts, and that the gateways may forget the removals
            self._answers = {key: answer for key, answer in self._answers.items() if _RECORDED not in key[2]}
            return self._ask(headers, body)
        key = (self.state if action in _LISTS else "", action, body)
        if key not in self._answers:
            if action in _LISTS:
                self._answers.update(self._pages(action, headers, body))
            else:
                self._answers[key] = self._ask(headers, body)
        return self._answers[key]

    def _pages(self, action: str, headers: dict[str, str], body: bytes) -> dict[tuple[str, str, bytes], Answer]:
        """All pages of a list, by the requests for them."""
        form = _form(body)
        form.pop("Marker", None)
        size = _LIST_PAGE if action == "ListUsers" else min(int(form.get("MaxItems", 100)), _SWEEP_PAGE)
        status, kind, whole = self._ask(headers, urllib.parse.urlencode(form).encode())
        tag = _LISTS[action]
        head, users, tail = re.split(rb"(<%s>.*</%s>)" % (tag, tag), whole, maxsplit=1, flags=re.DOTALL)
        head, tail = (re.sub(rb"<IsTruncated>\w+</IsTruncated>", b"", part) for part in (head, tail))
        every = members(users)
        pages = {}
        for start in range(0, max(len(every), 1), size):
            more = start + size < len(every)
            marker = b"<Marker>%d</Marker>" % (start + size) if more else b""
            page = b"<%s>%s</%s>" % (tag, b"".join(every[start : start + size]), tag)
            truncated = b"<IsTruncated>%s</IsTruncated>" % (b"true" if more else b"false")
            asked = urllib.parse.urlencode({**form, **({"Marker": str(start)} if start else {})}).encode()
            pages[(self.state, action, asked)] = (status, kind, head + page + truncated + marker + tail)
        return pages

    def _ask(self, headers: dict[str, str], body: bytes) -> Answer:
        is_ec2 = any(f"/{name}/aws4_request" in headers.get("authorization", "") for name in ("ec2", "route53"))
        kept = {name: headers[name] for name in ("authorization", "content-type", "x-amz-target") if name in headers}
        url = (self.ec2_upstream if is_ec2 else self.upstream) + headers[":path"]
        request = urllib.request.Request(url, body or None, kept)
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return answer.status, answer.headers.get("Content-Type", ""), answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.headers.get("Content-Type", ""), error.read()


class _Connection(asyncio.Protocol):
    """One connection of the SDK; as little Python for a request as will do, because both sides wait for it."""

    def __init__(self, replay: Replay) -> None:
        self._replay = replay
        self._received = b""
        self._transport: asyncio.WriteTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, complete, rest = self._received.partition(b"\r\n\r\n")
        if not complete:
            return
        request, *rest_of_head = head.decode("latin-1").split("\r\n")
        lines = (line.partition(":") for line in rest_of_head)
        headers = {":path": request.split()[1], **{name.lower(): value.strip() for name, _colon, value in lines}}
        length = int(headers.get("content-length", 0))
        if len(rest) < length:
            return
        self._received = rest[length:]
        status, kind, body = self._replay.answer(headers, rest[:length])
        head_lines = (
            f"HTTP/1.1 {status} {_REASONS.get(status, 'Error')}\r\nContent-Type: {kind}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        self._replay.later(self._transport.write, head_lines.encode() + body)


def _form(body: bytes) -> dict[str, str]:
    return dict(urllib.parse.parse_qsl(body.decode(errors="replace")))


def _generation() -> bytes:
    return json.dumps({"Attributes": {"value": {"N": str(int(time.time() * 1000))}}}).encode()
