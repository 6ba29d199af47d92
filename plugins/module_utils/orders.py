# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What became of an operator's order about a user or a device, in one sentence. Pure: no AWS, no Ansible, no clock."""

from __future__ import annotations

from typing import Any, Iterable, Mapping, Sequence

from .keys import fingerprint
from .model import Block, Registration
from .obstacles import blocks_in_words
from .people.layout import Explained, caller, command, paragraph, table, utc
from .registration import end_in_words
from .registry.facts import RegistryFacts
from .revocation import Person

_RECONCILE = command("reconcile")
_SOON = 600  # seconds, in which a build ends
_TOLD = ("changed", "msg", "registration", "lifted", "still_blocked_by")


def subject(person: Person, device: str | None) -> str:
    """Name whom an order is about: `laptop of kim (AIDA…)`, or the user alone."""
    user = f"{person.user_name} ({person.user_id})"
    return user if device is None else f"{device} of {user}"


def unblocked(
    person: Person,
    device: str | None,
    lifted: Sequence[Block],
    blocks: Iterable[Block],
    left: Sequence[str],
    *,
    check_mode: bool,
) -> str:
    """Say what an order to unblock did, and what still keeps the device off.

    :param blocks: all of the user's before the order.
    :param left: the obstacles after it.
    """
    if not lifted:
        what = "the whole user" if device is None else device
        return f"{person.user_name} has no block on {what}; blocked: {blocks_in_words(blocks)}.{person.hint}"
    done = "would be unblocked" if check_mode else "is unblocked"
    return f"{subject(person, device)} {done}; {_outlook(left, 'comes back')}"


def registered(
    person: Person,
    before: Registration | None,
    after: Registration,
    left: Sequence[str],
    *,
    now: float,
    check_mode: bool,
) -> str:
    """Say what an order to register or renew a device did, with both ends of a renewed life.

    :param left: the obstacles after it.
    :param now: seconds since the epoch.
    """
    is_done = "would be" if check_mode else "is"
    key = fingerprint(after.public_key)
    if before is None:
        change = f"{is_done} registered with the key {key} until {end_in_words(after)}"
    elif before == after:
        change = f"is registered already, with the key {key} until {end_in_words(after)}; nothing changed"
    elif before.public_key != after.public_key:
        had = fingerprint(before.public_key)
        change = f"{is_done} registered with the key {key} instead of {had}, until {end_in_words(after)}"
    else:
        change = f"{is_done} renewed: its end moves from {end_in_words(before)} to {end_in_words(after)}"
    if before is not None and before.confirmed_end is not None and after.confirmed_end is None:
        change += "; the handout doesn't wait for its first use any more"
    if after.expires_at is not None and after.expires_at < now + _SOON:
        change += "; that may be over before the next reconcile: give it a longer life"
    return f"{subject(person, after.device)} {change}; {_outlook(left, 'comes in')}"


def removed(
    person: Person, registration: Registration, own_account: str, facts: RegistryFacts, *, check_mode: bool
) -> str:
    """Say what an order to remove a device did, and when its tunnel goes off.

    :param own_account: the gateways', which `revoke` takes for the user's where nothing else is said.
    :param facts: those before the order.
    """
    damage = facts.registered.unreadable.get(registration.identity)
    done = "would be removed" if check_mode else "is removed"
    if damage is not None:
        key = registration.public_key and f"the key {fingerprint(registration.public_key)}"
        held = ", ".join(filter(None, [key, *registration.addresses])) or "nothing"
        done += f", although {damage.partition(' and is left out')[0]}; what its claims held ({held}) "
        done += "would be released" if check_mode else "is released"
    what = f"{subject(person, registration.device)} {done}"
    missed = facts.missed_by(registration.label)
    if not facts.was_peer(registration.identity) and not missed:
        return (
            f"{what}; it was no peer by the last run. A gateway that missed that run takes its tunnel off with the "
            f"next reconcile ({_RECONCILE})"
        )
    if missed:
        what += f"; {', '.join(missed)} may still have it as a peer"
    account_id = None if person.account_id == own_account else person.account_id
    revoke = command("revoke", user_name=person.user_id, device=registration.device, account_id=account_id)
    return (
        f"{what}; its tunnel goes off with the next reconcile ({_RECONCILE}), or at once, and with a block that stays, "
        f"by {revoke}"
    )


def _outlook(left: Sequence[str], returns: str) -> str:
    """Say what is in the way, and that otherwise the next run lets the device in."""
    if not left:
        return f"still blocked: nothing; {returns} with the next reconcile ({_RECONCILE})"
    return f"still blocked: {'; '.join(left)}; {returns} with the next reconcile once nothing of that is left"


def order_report(result: Mapping[str, Any]) -> Explained:
    """Answer an order about one device or user: the sentence, and below it what the order is about.

    :param result: of the module `registration` or `revocation`. Without a registration, or with an empty list of lifted
        blocks, it hit nothing, which is a failure.
    """
    data = {name: result[name] for name in _TOLD if name in result}
    if not result.get("registration") and not result.get("lifted"):
        return Explained([], [result["msg"]], data)
    if "lifted" in result:
        rows = [_lifted_row(Block(**each)) for each in result["lifted"]]
        shown = table(("BLOCK OF", "SINCE", "BY", "REASON"), rows)
    else:
        shown = table(("DEVICE", "KEY", "ADDRESSES", "ENDS"), [_device_row(Registration(**result["registration"]))])
    return Explained([*paragraph(result["msg"]), "", *shown], [], data)


def _lifted_row(block: Block) -> tuple[str, ...]:
    by = caller(block.by) if block.by else "-"
    return (block.device or "the whole user", utc(block.created_at), by, block.reason)


def _device_row(registration: Registration) -> tuple[str, ...]:
    key = registration.public_key and fingerprint(registration.public_key)
    return (registration.label, key, ", ".join(registration.addresses), end_in_words(registration))
