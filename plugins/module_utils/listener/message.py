# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""A confirmed revocation on its way to a gateway. Pure: written by the dispatcher, read by the gateway."""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

from ..wireguard.bars import Bar

FORMAT = 1
_AHEAD = 20 * 60  # seconds by which a generation may be later than its message: as much as the registry keeps
_FIELDS = {
    "registry": re.compile(r"[\x21-\x7e]{1,128}"),
    "account_id": re.compile(r"[0-9]{12}"),
    "user_id": re.compile(r"[A-Za-z0-9]{1,128}"),
    "user_name": re.compile(r"[A-Za-z0-9_+=,.@-]{1,64}"),  # as IAM has them
    "device": re.compile(r"|[a-z0-9-]{1,32}"),
    "event_id": re.compile(r"[\x21-\x7e]{1,128}"),
}


class RefusedMessageError(ValueError):
    """A message that no number of attempts makes any better; says what is wrong with it."""


class RevocationMessage(NamedTuple):
    """Whom to take off, and whose word it is."""

    registry: str  # identity of the one that has the record
    generation: int  # taken after the record was written
    event_id: str
    account_id: str
    user_id: str
    user_name: str  # for people
    device: str = ""  # empty if all of the user's are meant

    @property
    def barred(self) -> Bar:
        """Whom older rosters must not bring back."""
        return Bar(self.user_name, self.device, self.account_id, self.user_id, self.generation, self.event_id)

    def text(self) -> str:
        """Write it as a message's body."""
        return json.dumps({"format": FORMAT, **self._asdict()})


def read_message(body: str, sent_at: float) -> RevocationMessage:
    """Read a message's body.

    :param sent_at: when the queue got it by AWS's clock, in seconds since the epoch. A bar ends by a roster of a higher
        generation, so one from far ahead would never end.
    :raises RefusedMessageError: naming the field, what was found and what is expected.
    """
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise RefusedMessageError(f"the body isn't JSON: {error}") from None
    if not isinstance(fields, dict) or str(fields.pop("format", None)) != str(FORMAT):
        raise RefusedMessageError(f"the body isn't an object of format {FORMAT}: {body[:80]!r}")
    if set(fields) != set(RevocationMessage._fields):
        raise RefusedMessageError(
            f"its fields are {_shown(sorted(fields))}, expected {sorted(RevocationMessage._fields)}"
        )
    for name, form in _FIELDS.items():
        if not isinstance(fields[name], str) or not form.fullmatch(fields[name]):
            raise RefusedMessageError(f"{name} is {_shown(fields[name])}, expected {form.pattern}")
    generation = fields["generation"]
    latest = int((sent_at + _AHEAD) * 1000)
    is_number = isinstance(generation, int) and not isinstance(generation, bool)
    if not is_number or not 0 < generation <= latest:
        raise RefusedMessageError(
            f"generation is {_shown(generation)}, expected a number up to {latest}: 20 minutes after it was sent, in ms"
        )
    return RevocationMessage(**fields)


def _shown(value: Any) -> str:
    return ascii(value)[:80]
