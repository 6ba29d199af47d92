# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Bars: who may not be a peer by a word that came outside a run, until a run knows of it. Pure."""

from __future__ import annotations

import json
import math
import shlex
from typing import Iterable, NamedTuple, Sequence

from .config import PeerLabel


class Bar(NamedTuple):
    """A user or device that older rosters must not bring back (R6, no resurrection). Empty fields mean any."""

    user_name: str  # says who it is only where there is no id
    device: str = ""
    account_id: str = ""
    user_id: str = ""
    generation: int = 0  # taken after the word was recorded in the registry; 0 if that couldn't be reached
    event_id: str = ""

    @property
    def name(self) -> str:
        """`alice`, or `alice/laptop` if it is about one device."""
        user = self.user_name or self.user_id
        return f"{user}/{self.device}" if self.device else user

    @property
    def whom(self) -> tuple[str, ...]:
        """What two bars of the same user or device share, whatever the user was called."""
        return (self.user_id or self.user_name.casefold(), self.account_id, self.device)

    def names(self, label: PeerLabel) -> bool:
        """Tell whether a peer with this label is barred.

        Names mean the same in any case, as in IAM. An operator may have given an id in place of the name.
        """
        if self.account_id not in ("", label.account_id):
            return False
        if self.device and self.device.casefold() != label.device.casefold():
            return False
        if self.user_id:
            return self.user_id == label.user_id
        return bool(self.user_name) and self.user_name.casefold() in (
            label.user_name.casefold(),
            label.user_id.casefold(),
        )

    def of_owner(self, label: PeerLabel) -> Bar:
        """Return the same about the user who has this label."""
        return self._replace(user_name=label.user_name, account_id=label.account_id, user_id=label.user_id)

    def is_released(self, names: Iterable[str]) -> bool:
        """Tell whether an operator's list of user names, user ids and labels has it."""
        own = {self.name.casefold(), self.user_name.casefold(), self.user_id.casefold()} - {""}
        return not own.isdisjoint(name.strip().casefold() for name in names)

    def is_ended(self, generation: int, revoked: Iterable[tuple[PeerLabel, bool]], peers: Iterable[PeerLabel]) -> bool:
        """Tell whether a roster ends it: its run has read the record, or has a record of its own.

        :param generation: the roster's.
        :param revoked: whom the roster revokes, each with whether that is of the user as a whole: of one device it
            ends no bar of the user.
        :param peers: whom the roster has as peers.
        """
        if self.generation:
            return generation > self.generation
        recorded = any(self.names(label) and (of_user or self.device) for label, of_user in revoked)
        return recorded and not any(map(self.names, peers))


def joined(bars: Sequence[Bar], new: Iterable[Bar]) -> tuple[Bar, ...]:
    """Add new bars; of two about the same user or device the one stays that ends later."""
    by_whom: dict[tuple[str, ...], Bar] = {}
    for each in (*bars, *new):
        by_whom[each.whom] = max(by_whom.get(each.whom, each), each, key=_end)
    return tuple(by_whom.values())


def _end(of: Bar) -> float:
    return of.generation or math.inf


def how_to_release(*names: str) -> str:
    """Write what an operator does to end the bars of users or devices."""
    return f"run reconcile once with -e {shlex.quote(json.dumps({'vpn_release_revoked': names}, ensure_ascii=False))}"
