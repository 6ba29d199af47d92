# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Time spans as operators write them: `30d`, `12h`, `90m`. Importable without Ansible."""

from __future__ import annotations

import re

DAY = 24 * 3600  # seconds
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": DAY}


def seconds(option: str, text: str) -> int:
    """Return how many seconds a time span lasts.

    :param option: where the text is from, for the message.
    :raises ValueError: it is none.
    """
    match = re.fullmatch(r"([1-9][0-9]{0,8})([smhd])", text, re.ASCII)
    if match is None:
        raise ValueError(f"{option} {text!r} is not a time span; expected a number with s, m, h or d, such as 30d")
    return int(match[1]) * _SECONDS[match[2]]
