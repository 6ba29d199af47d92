# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The last answer to a question, for when nobody answers (R18, recovery never depends on what is to be recovered)."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from pathlib import Path
from typing import Any, Callable, NamedTuple

from .files import write_private


class Answer(NamedTuple):
    """What was answered, and when, in seconds since the epoch."""

    value: Any
    at: float


class LastSeen:
    """A file with the last answer to a question, both JSON."""

    def __init__(self, directory: Path, question: Any) -> None:
        name = hashlib.sha256(json.dumps(question, sort_keys=True).encode()).hexdigest()[:16]
        self._file = directory / f"last-seen-{name}.json"

    def write(self, value: Any) -> None:
        """Keep an answer, readable by this user alone. :raises ValueError: it can't be written."""
        write_private(str(self._file), json.dumps({"value": value, "at": int(time.time())}).encode())

    def read(self) -> Answer | None:
        """Return the last answer; None without one that can be read."""
        try:
            return Answer(**json.loads(self._file.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None


def within(seconds: float, ask: Callable[[], Any]) -> Any:
    """Ask, but wait no longer than that; name resolution alone may take minutes where packets are dropped.

    :raises TimeoutError: there was no answer in time; the question goes on in the background and is forgotten.
    """
    answer: Future[Any] = Future()

    def run() -> None:
        try:
            answer.set_result(ask())
        except BaseException as error:  # noqa: BLE001  # it is raised where the answer is waited for
            answer.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    try:
        return answer.result(seconds)
    except FutureTimeoutError:
        raise TimeoutError(f"no answer within {seconds:.0f} s") from None
