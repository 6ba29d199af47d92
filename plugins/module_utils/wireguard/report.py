# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What one call did, in the words of an operator: names, never keys of users or whole files."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from .config import PeerLabel
from .state import Removal


class NewEnd(NamedTuple):
    """When a peer expires now, and when it would have, in seconds since the epoch; None for never."""

    name: str
    before: int | None
    after: int | None


@dataclass(frozen=True)
class Report:
    """What one call did, by name. With any problem the call has failed, and still did what it lists."""

    generation: int = 0
    stale: bool = False
    added: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    barred: list[str] = field(default_factory=list)  # in the roster, but kept out by a bar of this gateway
    expired: list[str] = field(default_factory=list)  # in the roster, but past their time by the gateway's clock
    updated: dict[str, str] = field(default_factory=dict)  # what is different now, by name
    new_ends: list[NewEnd] = field(default_factory=list)
    settings: list[str] = field(default_factory=list)  # of interface, firewall and files
    repaired: list[str] = field(default_factory=list)
    removals: list[Removal] = field(default_factory=list)  # all that aren't acknowledged yet
    used: dict[str, PeerLabel] = field(default_factory=dict)  # awaited peers that had a handshake, by public key
    without_peers: str = ""  # which peers of the file a start or reload didn't add, and why; empty if it added all
    notices: list[str] = field(default_factory=list)  # what isn't ours and may be in the way; fails no call
    problems: list[str] = field(default_factory=list)
    complete: bool = True  # nothing was refused, and no step failed; a problem may be news alone

    @property
    def changed(self) -> bool:
        """Whether device, firewall or files changed."""
        return any((self.added, self.removed, self.updated, self.settings, self.repaired))

    def followed_by(self, later: Report) -> Report:
        """Return the report of two things, one done after the other."""
        return Report(
            generation=max(self.generation, later.generation),
            stale=self.stale or later.stale,
            added=self.added + later.added,
            removed=self.removed + later.removed,
            barred=self.barred + later.barred,
            expired=self.expired + later.expired,
            updated={**self.updated, **later.updated},
            new_ends=self.new_ends + later.new_ends,
            settings=self.settings + later.settings,
            repaired=self.repaired + later.repaired,
            removals=later.removals,
            used={**self.used, **later.used},
            without_peers=self.without_peers or later.without_peers,
            notices=self.notices + later.notices,
            problems=self.problems + later.problems,
            complete=self.complete and later.complete,
        )

    def with_problem(self, problem: Exception) -> Report:
        """Return the report of a call that ended with this problem."""
        return replace(self, problems=[*self.problems, str(problem)], complete=False)

    def diff(self) -> dict[str, str]:
        """Write what changed for Ansible's diff mode."""
        before = [*self.removed, *self.updated, *self.repaired]
        before += [f"{each.name}: {_end(each.before)}" for each in self.new_ends]
        after = [*self.added, *(f"{name}: other {what}" for name, what in self.updated.items())]
        after += [f"{name}: repaired" for name in self.repaired] + [f"{name}: changed" for name in self.settings]
        after += [f"{each.name}: {_end(each.after)}" for each in self.new_ends]
        return {"before": _lines(before), "after": _lines(after)}

    def result(self, interface: str) -> dict[str, Any]:
        """Return what the module M(tracklib.vpn.wireguard_interface) returns."""
        result = {
            "changed": self.changed,
            "generation": self.generation,
            "stale": self.stale,
            "added": self.added,
            "removed": self.removed,
            "barred": self.barred,
            "expired": self.expired,
            "updated": list(self.updated),
            "new_ends": [each._asdict() for each in self.new_ends],
            "repaired": self.repaired,
            "settings": self.settings,
            "removals": [removal._asdict() for removal in self.removals],
            "used": [{**label._asdict(), "public_key": key} for key, label in self.used.items()],
            "notices": self.notices,
            "problems": self.problems,
            "complete": self.complete,
            "diff": {**self.diff(), "before_header": interface, "after_header": interface},
        }
        if self.problems:
            result["msg"] = "; ".join(self.problems)
        elif self.stale:
            what = "only confirmed revocations were done" if self.removed else "nothing was changed"
            result["msg"] = f"a roster of generation {self.generation} was here before; {what}"
        return result


NOTHING = Report()


def _end(seconds: int | None) -> str:
    return "no end" if seconds is None else time.strftime("ends %Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def _lines(names: list[str]) -> str:
    return "".join(f"{name}\n" for name in sorted(names))
