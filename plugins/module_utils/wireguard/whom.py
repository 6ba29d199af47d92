# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What an operator calls a user or a device, read in one place for controller and gateway. Pure."""

from __future__ import annotations

import re

_USER_ID = re.compile("AIDA[A-Z0-9]{16,}", re.IGNORECASE | re.ASCII)  # IAM's have 21 characters


def read_whom(given: str, device: str = "") -> tuple[str, str]:
    """Read a user's name, a user's id, or a label such as `alice/laptop`, with or without blanks around.

    IAM's ids are upper case; names keep theirs, since they mean the same in any.

    :param device: one that was given apart; then `given` is no label.
    :returns: name or id, and the device; empty if all of the user's are meant.
    """
    user, device = given.strip(), device.strip()
    if not device:
        user, _slash, device = user.partition("/")
    if _USER_ID.fullmatch(user):
        user = read_user_id(user)
    return user, device


def read_user_id(given: str) -> str:
    """Read what can only be a user's id."""
    return given.strip().upper()
