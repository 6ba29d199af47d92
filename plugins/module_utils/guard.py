# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""R5, mass-removal guard: removals that nothing explains are held when they are too many. Pure."""

from __future__ import annotations

import hashlib
import re
from typing import Collection, Iterable, NamedTuple, Sequence

from .model import Departure, Device, Registration
from .timespan import DAY
from .whitelist import Grounds


class Limits(NamedTuple):
    """Unexplained removals beyond any of these are held; shares are percent of the peers that there were."""

    some: int = 5  # together with `some_share`
    some_share: float = 25.0
    majority: float = 50.0  # of two peers or more
    many: int = 20  # together with `many_share`
    many_share: float = 2.0

    def exceeded_by(self, count: int, total: int) -> bool:
        """Tell whether so many removals of so many peers are too many."""
        percent = 100 * count
        return (
            (count > self.some and percent > self.some_share * total)
            or (total >= 2 and percent > self.majority * total)
            or (count > self.many and percent > self.many_share * total)
        )


class Loss(NamedTuple):
    """A peer that the decision would leave out, without anything that explains it."""

    kept: Registration  # as which it stays if it is held
    grounds: Grounds
    must_hold: bool = False  # however few they are


class Guarded(NamedTuple):
    """What the guard makes of losses."""

    held: list[Loss]
    released: list[Loss]
    gone: list[Loss]  # so few that nobody is asked
    token: str | None  # releases exactly what is held
    departures: tuple[Departure, ...]  # unexplained ones of the last day, for the next run


def guard(
    losses: Sequence[Loss],
    *,
    before: Collection[Device],
    present: Collection[Device],
    departures: Iterable[Departure],
    limits: Limits,
    release: Collection[str],
    now: float,
) -> Guarded:
    """Hold losses if they, with those of the last day, are too many.

    :param before: the peers of the last decision, without those that something explains away.
    :param present: who is a peer now without the guard's help; who came back is no loss.
    :param release: what operators let go: labels (`alice/laptop`), user names, user ids, or tokens.
    """
    recent = {each.identity: each for each in departures if each.left_at > now - DAY and each.identity not in present}
    released = _released(losses, release)
    let_go = {loss.kept.identity for loss in released}
    unexplained = [loss for loss in losses if loss.kept.identity not in let_go]
    counted = recent.keys() | {loss.kept.identity for loss in unexplained}
    is_held = limits.exceeded_by(len(counted), len(recent.keys() | set(before)))
    held = [loss for loss in unexplained if is_held or loss.must_hold]
    gone = [loss for loss in unexplained if not is_held and not loss.must_hold]
    left = [*recent.values(), *(Departure(*loss.kept.identity, now) for loss in gone)]
    return Guarded(held, released, gone, token(held) if held else None, tuple(left))


def _released(losses: Sequence[Loss], release: Collection[str]) -> list[Loss]:
    wanted = {text.strip().casefold() for text in release}
    if losses and token(losses) in wanted:
        return list(losses)
    return [loss for loss in losses if not wanted.isdisjoint(_names(loss.kept))]


def _names(registration: Registration) -> set[str]:
    names = (registration.label, registration.user_name, registration.user_id)
    return {name.casefold() for name in names}


def is_token(text: str) -> bool:
    """Tell whether a text has the form of a token."""
    return re.fullmatch("[0-9a-f]{12}", text) is not None


def token(losses: Iterable[Loss]) -> str:
    """Name exactly these removals: an operator who releases them releases no others."""
    names = sorted("/".join(loss.kept.identity) for loss in losses)
    return hashlib.sha256("\n".join(names).encode()).hexdigest()[:12]
