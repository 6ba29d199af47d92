# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""A queue of SQS: receive and delete, by its JSON protocol (AWS JSON 1.0), signed with a role's credentials."""

from __future__ import annotations

import contextlib
import email.utils
import hashlib
import http.client
import json
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from typing import Any, Callable, NamedTuple, Protocol

from .signature import Credentials, signed_headers

WAIT = 20  # seconds of a long poll, the longest
_TIMEOUT = WAIT + 10  # seconds
_NAME = "[A-Za-z0-9_-]{1,80}"
_BATCH = 10  # messages, the most
_SKEW = 60  # seconds by which this clock may differ from AWS's before requests are signed by AWS's
_MOST = 4 << 20  # bytes of an answer; 10 messages have 2.5 MB at most


def queue_name(control_plane: str, gateway: str) -> str:
    """Name a gateway's queue: SQS takes 80 letters, digits, `-` and `_`; a digest tells apart what would be alike."""
    name = f"{control_plane}-gateway-{gateway}"
    if re.fullmatch(_NAME, name):
        return name
    digest = hashlib.sha256(gateway.encode()).hexdigest()[:12]
    return f"{re.sub('[^A-Za-z0-9_-]', '-', name)[:67]}-{digest}"


class QueueError(OSError):
    """SQS refused a call, or wasn't reached; says what, and what to do about it."""


class NoRedirects(urllib.request.HTTPRedirectHandler):
    """Follows none: AWS sends none, and a signed request is for one host."""

    def redirect_request(self, *_request: Any) -> None:
        """Follow none."""


class Received(NamedTuple):
    """A message; `sent_at` is when the queue got it, by AWS's clock, in seconds since the epoch."""

    body: str
    sent_at: float
    receipt_handle: str


class CredentialsSource(Protocol):
    """Gives credentials, and other ones after `forget`."""

    def __call__(self) -> Credentials:
        """Return credentials that are valid now."""

    def forget(self) -> None:
        """Give no more of those that were refused."""


class Queue:
    """One queue, by its URL."""

    def __init__(
        self, url: str, region: str, credentials: CredentialsSource, clock: Callable[[], float] = time.time
    ) -> None:
        self.url = url
        self._region = region
        self._credentials = credentials
        self._clock = clock
        self._opener = urllib.request.build_opener(NoRedirects)  # by the environment's proxies, if any
        self._ahead = 0.0  # seconds by which AWS's clock is ahead of this one

    def receive(self, wait: int = WAIT) -> list[Received]:
        """Wait for messages, up to `wait` seconds; return those that came.

        :raises OSError: the queue or the credentials can't be had.
        """
        answer = self._call(
            "ReceiveMessage", MaxNumberOfMessages=_BATCH, WaitTimeSeconds=wait, AttributeNames=["SentTimestamp"]
        )
        if answer is None:
            raise QueueError(f"ReceiveMessage on {self.url} was answered with nothing")
        try:
            return [_received(message) for message in answer.get("Messages") or ()]
        except (KeyError, TypeError, ValueError) as error:
            raise QueueError(f"{self.url} answered what SQS doesn't ({type(error).__name__}: {error})") from None

    def delete(self, receipt_handle: str) -> None:
        """Delete a received message. :raises OSError: as receive()."""
        self._call("DeleteMessage", ReceiptHandle=receipt_handle)

    def _call(self, action: str, **parameters: Any) -> dict[str, Any] | None:
        """Make a call; return the answer, None if that is empty."""
        body = json.dumps({"QueueUrl": self.url, **parameters}).encode()
        place = urllib.parse.urlsplit(self.url)
        headers = {
            "Content-Type": "application/x-amz-json-1.0",
            "Host": place.netloc,
            "X-Amz-Target": f"AmazonSQS.{action}",
        }
        signed = signed_headers(
            headers, body, self._credentials(), service="sqs", region=self._region, now=self._clock() + self._ahead
        )
        request = urllib.request.Request(f"{place.scheme}://{place.netloc}/", body, signed)
        try:
            with self._opener.open(request, timeout=_TIMEOUT) as answer:
                text = answer.read(_MOST)
            content = json.loads(text) if text else None
        except urllib.error.HTTPError as error:
            raise self._refused(action, error) from None
        except (OSError, http.client.HTTPException, ValueError, RecursionError) as error:
            raise QueueError(f"{action} on {self.url} failed: {type(error).__name__}: {error}") from None
        if content is not None and not isinstance(content, dict):
            raise QueueError(f"{action} on {self.url} was answered with no object")
        return content

    def _refused(self, action: str, error: urllib.error.HTTPError) -> QueueError:
        """Explain a refusal; whatever may have been wrong with clock and credentials is other next time."""
        text = ""
        with error, contextlib.suppress(OSError, http.client.HTTPException):
            text = error.read(_MOST).decode("utf-8", "replace")
        if error.code in (400, 401, 403):
            self._credentials.forget()
            self._read_clock(error.headers.get("Date", ""))
        why = _explanation(text) or f"{error.code} {error.reason}"
        return QueueError(f"{action} on {self.url} was refused: {why}")

    def _read_clock(self, date: str) -> None:
        """Sign by AWS's clock from now on where this one is wrong."""
        try:
            theirs = email.utils.parsedate_to_datetime(date).timestamp()
        except (TypeError, ValueError, OverflowError):
            return
        ahead = theirs - self._clock()
        self._ahead = ahead if abs(ahead) > _SKEW else 0.0


def _received(message: dict[str, Any]) -> Received:
    return Received(str(message["Body"]), int(message["Attributes"]["SentTimestamp"]) / 1000, message["ReceiptHandle"])


def _explanation(text: str) -> str:
    """Read an error of the JSON protocol: its code and message; empty if it is none."""
    try:
        fields = {name.lower(): str(value) for name, value in json.loads(text).items()}
    except (AttributeError, TypeError, ValueError, RecursionError):
        return ""
    code = fields.get("__type", "").rpartition("#")[2]
    first = fields.get("message", "").partition("\n")[0]  # where a signature is refused, what was signed comes after it
    return f"{code}: {first}".strip(": ")[:300]
