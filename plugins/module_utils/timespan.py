# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Time spans as operators write them: `30d`, `12h`, `90m`; and times as they read them. Importable without Ansible."""

from __future__ import annotations

import re
import time

DAY = 24 * 3600  # seconds
LONGEST = 100 * 365 * DAY  # that a time span can be: what it ends at stays a time that the registry can hold
LIFE = "30d"  # of a registration, unless somebody says otherwise, whoever makes it
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": DAY}


def utc(at: float) -> str:
    """Write a time, in seconds since the epoch, as ISO 8601 has it: `2026-11-29T08:00:00Z`."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))


def seconds(option: str, text: str) -> int:
    """Return how many seconds a time span lasts.

    :param option: where the text is from, for the message.
    :raises ValueError: it is none, or longer than LONGEST.
    """
    match = re.fullmatch(r"([1-9][0-9]{0,8})([smhd])", text, re.ASCII)
    if match is None:
        raise ValueError(f"{option} {text!r} is not a time span; expected a number with s, m, h or d, such as 30d")
    lasts = int(match[1]) * _SECONDS[match[2]]
    if lasts > LONGEST:
        raise ValueError(f"{option} {text!r} is longer than 100 years; expected at most {LONGEST // DAY}d")
    return lasts
