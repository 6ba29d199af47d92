# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What operators are told by mail: whose registrations end soon and weren't renewed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from ansible_collections.tracklib.vpn.plugins.module_utils.model import Registration, Sweep
from ansible_collections.tracklib.vpn.plugins.module_utils.people.layout import count, paragraph, span, table, utc
from ansible_collections.tracklib.vpn.plugins.module_utils.timespan import DAY

WITHIN = 14 * DAY  # two of the weekly mails
SHOWN = 200  # of the earliest; SNS takes 256 KB


class Mail(NamedTuple):
    """A mail; SNS takes a subject of 100 characters in ASCII."""

    subject: str
    text: str


def mail_of_endings(
    registrations: Iterable[Registration], sweeps: Mapping[str, Sweep | None], now: float
) -> Mail | None:
    """Write which registrations end within WITHIN, the earliest first; None if none does.

    Those are left out that can't be renewed yet, before half of their life is over, and those of users who left.

    :param sweeps: by account, the last complete one; None tells nothing of its users.
    """
    soon = sorted((one.expires_at or now, one.label, one) for one in registrations if _is_to_tell(one, sweeps, now))
    if not soon:
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


def _is_to_tell(one: Registration, sweeps: Mapping[str, Sweep | None], now: float) -> bool:
    if one.expires_at is None or not now < one.expires_at <= now + WITHIN:
        return False
    begun = one.created_at if one.renewed_at is None else one.renewed_at
    sweep = sweeps.get(one.account_id)
    return one.expires_at - now <= (one.expires_at - begun) / 2 and (sweep is None or one.user_id in sweep.users)


def _origin(one: Registration) -> str:
    if one.fixed_end:
        return "an operator set its end"
    return "handed out: operators renew it" if one.handed_out else ""
