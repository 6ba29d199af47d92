# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Waiting for what other processes do: often asked, given up late, because a busy machine is slow and not broken."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

PATIENCE = 300.0  # seconds, for what takes a few when nothing else runs

Answer = TypeVar("Answer")


def wait_for(what: str, ask: Callable[[], Answer], seconds: float = PATIENCE, every: float = 0.1) -> Answer:
    """Ask again and again until the answer counts as true; return it.

    :param every: Seconds between two questions.
    :raises TimeoutError: That didn't happen within so many seconds; with `what` was waited for.
    """
    give_up = time.monotonic() + seconds
    while not (answer := ask()):
        if time.monotonic() > give_up:
            raise TimeoutError(f"{what}: not within {seconds:.0f} s")
        time.sleep(every)
    return answer
