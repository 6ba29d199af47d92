# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What operators are told by mail: whose registrations end soon and weren't renewed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from typing import NamedTuple

from ansible_collections.tracklib.vpn.plugins.module_utils.model import Registration, Sweep
from ansible_collections.tracklib.vpn.plugins.module_utils.people.layout import count, paragraph, span, table, utc
from ansible_collections.tracklib.vpn.plugins.module_utils.timespan import DAY

WITHIN = 14 * DAY
SHOWN = 200  # of the earliest; SNS takes 256 KB


class Mail(NamedTuple):
    """A mail; SNS takes a subject of 100 characters in ASCII."""

    subject: str
    text: str


def mail_of_endings(
    registrations: Iterable[Registration], sweeps: Mapping[str, Sweep | None], now: float
) -> Mail | None:
    """Write which registrations are about to end, the earliest first; asked daily.

    None where none is, or where all were told of before and it isn't Monday: a mail each day would soon be read by
    nobody. What its user can renew counts once a quarter of its life is left, at most WITHIN: from half of it on the
    user's machine renews it, or tells the user. What only operators can renew counts from WITHIN on.

    :param sweeps: by identity account, the last complete one; None tells nothing of its users.
    """
    ending = [(one, _told_from(one)) for one in registrations if _is_alive(one, sweeps, now)]
    soon = sorted((one.expires_at or now, one.label, one) for one, since in ending if since <= now)
    is_news = any(now - DAY < since <= now for _one, since in ending)
    is_monday = datetime.fromtimestamp(now, timezone.utc).weekday() == 0
    if not soon or not (is_news or is_monday):
        return None
    what = f"{count(len(soon), 'registration')} of the VPN {'ends' if len(soon) == 1 else 'end'} within {span(WITHIN)}"
    rows = [(utc(ends), span(ends - now), label, _origin(one)) for ends, label, one in soon[:SHOWN]]
    more = [f"and {len(soon) - SHOWN} more"] if len(soon) > SHOWN else []
    lines = [
        f"{what}.",
        "",
        *table(("ENDS", "IN", "DEVICE", "NOTE"), rows),
        *more,
        "",
        *paragraph(
            "At its end a device is taken off the gateways. Its user can renew it, unless the note says otherwise. The "
            "playbook tracklib.vpn.expiring shows the commands by which operators do."
        ),
    ]
    return Mail(what, "\n".join(lines) + "\n")


def _is_alive(one: Registration, sweeps: Mapping[str, Sweep | None], now: float) -> bool:
    """Tell whether a registration lives, ends some day, and is of a user who is there."""
    if one.expires_at is None or one.expires_at <= now or one.account_id not in sweeps:
        return False
    sweep = sweeps[one.account_id]
    return sweep is None or one.user_id in sweep.users


def _told_from(one: Registration) -> float:
    """When operators are first to know of an end."""
    ends = one.expires_at or 0
    begun = one.created_at if one.renewed_at is None else one.renewed_at
    is_operators = one.fixed_end or one.handed_out
    return ends - (WITHIN if is_operators else min(WITHIN, (ends - begun) / 4))


def _origin(one: Registration) -> str:
    if one.confirmed_end is not None:
        return "handed out, and nobody has connected yet"
    if one.fixed_end:
        return "an operator set its end"
    return "handed out: operators renew it" if one.handed_out else ""
