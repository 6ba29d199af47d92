# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What moto's SQS does otherwise than AWS's.

At each SendMessage it receives messages for a function that is mapped to the queue, finds that it can't run it, and
gives them back, so that they count as received many times: here no function gets messages, but from the tests' own
runners. And a long poll keeps it from serving anybody else: here it looks again and again, and others come between.
"""

from __future__ import annotations

import io
import json
import time
from typing import Any

from moto.sqs.models import Queue

_POLL = 0.02  # seconds


def complete() -> None:
    """Let no function of moto's receive messages."""
    nothing = property(lambda _queue: {}, lambda _queue, _mappings: None)
    Queue.lambda_event_source_mappings = nothing  # type: ignore[assignment]  # it takes moto's place


class LongPolling:
    """WSGI in front of an application that serves one request at a time."""

    def __init__(self, app: Any) -> None:
        self._app = app

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        if environ.get("HTTP_X_AMZ_TARGET") != "AmazonSQS.ReceiveMessage":
            return self._app(environ, start_response)
        request = json.loads(environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)))
        end = time.monotonic() + request.get("WaitTimeSeconds", 0)
        body = json.dumps({**request, "WaitTimeSeconds": 0}).encode()
        while True:
            begun: list[Any] = []
            given = {**environ, "wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))}
            answer = b"".join(self._app(given, lambda *arguments, begun=begun: begun.append(arguments)))
            if b'"Messages"' in answer or not begun[0][0].startswith("200") or time.monotonic() >= end:
                start_response(*begun[0])
                return [answer]
            time.sleep(_POLL)
