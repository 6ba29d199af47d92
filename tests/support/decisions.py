# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Users, devices and sweeps for tests of the decision, each made from a number; and a decision on them."""

from __future__ import annotations

import base64
import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.tracklib.vpn.plugins.module_utils.model import (
    Block,
    Decision,
    Departure,
    Device,
    Registered,
    Registration,
    Removed,
    Sweep,
    Tombstone,
    User,
)
from ansible_collections.tracklib.vpn.plugins.module_utils.roster import Policy, Roster, decide
from ansible_collections.tracklib.vpn.plugins.module_utils.whitelist import Absences, AccountSweeps

ACCOUNT = "111122223333"
OTHER = "444455556666"
NOW = 1_800_000_000.0
DAY = 24 * 3600
POOLS = [ipaddress.ip_network("10.44.0.0/20"), ipaddress.ip_network("fd44::/64")]
GRANTING = {ACCOUNT: frozenset({"vpn"})}
POLICY = Policy(GRANTING, POOLS)


def key(number: int) -> str:
    """A public key of its own for each number."""
    return base64.b64encode((number + 1000).to_bytes(32, "little")).decode()


def user(number: int, **changes: Any) -> User:
    """A user in the group that grants access, who has been there for long."""
    made = User(
        account_id=ACCOUNT,
        user_id=f"AIDA{number}",
        user_name=f"user{number}",
        created_at=NOW - 9_000_000,
        groups=("vpn",),
    )
    return made._replace(**changes)


def users(numbers: Iterable[int], **changes: Any) -> list[User]:
    """One user for each number."""
    return [user(number, **changes) for number in numbers]


def sweep(*listed: User, begun_at: float = NOW - 10, account: str = ACCOUNT) -> Sweep:
    """A complete sweep that lists these users."""
    return Sweep(account, begun_at, {each.user_id: each for each in listed})


def registration(number: int, **changes: Any) -> Registration:
    """A laptop of the user of that number, registered in the order of numbers."""
    made = Registration(
        account_id=ACCOUNT,
        user_id=f"AIDA{number}",
        device="laptop",
        user_name=f"user{number}",
        public_key=key(number),
        addresses=(str(ipaddress.ip_address("10.44.0.2") + number),),
        created_at=NOW - 10_000 + number,
    )
    return made._replace(**changes)


def registrations(numbers: Iterable[int], **changes: Any) -> list[Registration]:
    """One registration for each number."""
    return [registration(number, **changes) for number in numbers]


def block(number: int, *, device: str | None = None, reason: str = "left") -> Block:
    """A block of the user of that number, or of a device."""
    return Block(account_id=ACCOUNT, user_id=f"AIDA{number}", device=device, reason=reason, created_at=NOW)


def tombstone(number: int, *, age: float = 60, **changes: Any) -> Tombstone:
    """A tombstone of the user of that number."""
    made = Tombstone(
        account_id=ACCOUNT,
        event_id="event",
        user_name=f"user{number}",
        user_id=f"AIDA{number}",
        event_time=NOW - age,
    )
    return made._replace(**changes)


def removed(number: int, **changes: Any) -> Removed:
    """The record that the laptop of that number was removed on purpose."""
    made = Removed(ACCOUNT, f"AIDA{number}", "laptop", f"user{number}", key(number), NOW - 60)
    return made._replace(**changes)


def account(
    swept: Sweep, *, stored: Sweep | None = None, confirmed: Iterable[str] = (), held: Iterable[str] = ()
) -> AccountSweeps:
    """An account whose sweep was complete, and what IAM said of absent users."""
    return AccountSweeps(swept.account_id, swept, stored, Absences(frozenset(confirmed), frozenset(held)))


def unswept(account_id: str = ACCOUNT, *, stored: Sweep | None = None) -> AccountSweeps:
    """An account whose sweep was incomplete."""
    return AccountSweeps(account_id, sweep=None, stored=stored, error="denied")


def decided(
    accounts: Sequence[AccountSweeps],
    registered: Sequence[Registration],
    *,
    tombstones: Sequence[Tombstone] = (),
    blocks: Sequence[Block] = (),
    policy: Policy = POLICY,
    peers: Sequence[Registration] = (),
    departures: Sequence[Departure] = (),
    unreadable: Mapping[Device, str] | None = None,
    removals: Sequence[Removed] = (),
) -> Roster:
    """Decide; `peers` and `departures` are of the last decision, by default nobody was a peer."""
    return decide(
        accounts=accounts,
        registered=Registered(registered, unreadable or {}, removals),
        tombstones=tombstones,
        blocks=blocks,
        policy=policy,
        last=Decision(tuple(peers), tuple(departures)),
        now=NOW,
    )


def reasons(roster: Roster) -> dict[str, str]:
    """Why each device that is left out is, by its label."""
    return {exclusion.registration.label: exclusion.reason.value for exclusion in roster.excluded}


def details(roster: Roster) -> dict[str, str]:
    """In which words each device is left out, by its label."""
    return {exclusion.registration.label: exclusion.detail for exclusion in roster.excluded}


def names(roster: Roster) -> list[str]:
    """The labels of the peers."""
    return [peer.label for peer in roster.peers]


def held(roster: Roster) -> list[str]:
    """The labels of the held peers."""
    return sorted(peer.label for peer in roster.held)
