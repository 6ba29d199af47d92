# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The registry's items: what each kind holds, and how a record is written to one and read from it. Pure.

| pk             | sk                               | holds                                                          |
|----------------|----------------------------------|----------------------------------------------------------------|
| `registry`     | `identity`                       | value: a random id that this registry has once and for good    |
| `registration` | `ACCOUNT/USER_ID/DEVICE`         | user_name, public_key, addresses, created_at, expires_at,      |
|                |                                  | renewed_at, handed_out, fixed_end, confirmed_end, by           |
| `removed`      | `ACCOUNT/USER_ID/DEVICE`         | of a removed registration: user_name, public_key, removed_at,  |
|                |                                  | reason, by, ttl                                                |
| `claim`        | `key#KEY`, `address#ADDRESS`     | holder; once given up: released_at (a key), free_at, ttl       |
| `devices`      | `ACCOUNT/USER_ID`                | version, raised with each device registered under a limit      |
| `block`        | `ACCOUNT/USER_ID[/DEVICE]`       | reason, created_at, by                                         |
| `lifted`       | `ACCOUNT/USER_ID[/DEVICE]`       | of the block that was lifted last: block (reason, created_at,  |
|                |                                  | by); reason, lifted_at, by, ttl                                |
| `tombstone`    | `ACCOUNT/EVENT_ID`               | user_name, user_id, event_time, spared (user_ids), by, ttl     |
| `sign`         | `ACCOUNT/USER_ID`                | event_name, event_time, asked_at, ttl                          |
| `receipt`      | `REMOVED_AT/GATEWAY/REMOVAL_ID`  | what model.Receipt has                                         |
| `recorded`     | `GATEWAY`                        | removal_ids that are acknowledged: the gateway may forget them;|
|                |                                  | missed: names that left since it was reached last              |
| `gateway`      | `GATEWAY`                        | public_key, which no device may have                           |
| `sweep`        | `ACCOUNT`                        | the last complete sweep, as `packed` has it; begun_at          |
| `sweep`        | `decision`                       | what the last run decided, as `packed` has it                  |
| `generation`   | `generation`                     | value                                                          |

`by` is the ARN of whose order it was. It keeps books: a record without it, or with an odd one, holds all the same.
Times are seconds since the epoch. DynamoDB deletes an item some time, hours or days, after its ttl. Whoever writes to
the table can write nonsense: what these functions can't read costs one item, never a run (R17, one bad item costs
itself alone).
"""

from __future__ import annotations

import math
import re
import zlib
from collections import Counter
from contextlib import suppress
from decimal import Decimal
from operator import itemgetter
from typing import Any, Callable, Iterable, Iterator, TypeVar

from ..aws import AWSCallError
from ..model import (
    DEVICE_NAME,
    Block,
    Decision,
    Departure,
    LeftOut,
    Lifted,
    Owner,
    Receipt,
    Registration,
    Removed,
    Sign,
    Sweep,
    SweeperState,
    Tombstone,
    Tries,
    User,
    check_device_name,
    printable,
)
from ..timespan import DAY, utc
from .dynamodb import Item
from .packed import is_part, pack, unpack

TOMBSTONE_LIFE = 120 * DAY  # R4, confirmed revocation: known for at least 90 days
REMOVED_LIFE = 90 * DAY
LIFTED_LIFE = 90 * DAY
SIGN_LIFE = 30 * DAY
_Record = TypeVar("_Record")
_RECEIPTS_TEXTS = Receipt._fields.index("generation")  # that many fields of a receipt are texts
_DECIDING = Registration._fields.index("by")  # of a registration's fields; earlier versions read as many
DECISION = "decision"  # its sk: among the sweeps, so that one query reads all
_END_OF_TIME = 2**40  # seconds since the epoch
_CLOCKS_APART = 300  # seconds by which writers' clocks may differ; AWS takes no signature from further ahead
Warn = Callable[[str], object]  # takes a sentence for an operator
# what reading an item can raise that isn't the registry's
UNREADABLE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, zlib.error, AWSCallError)


_IDENTITY = ("account_id", "user_id", "device")


def user_key(owner: Owner) -> str:
    """Return a user as keys have it."""
    account_id, user_id = owner
    return f"{account_id}/{user_id}"


def device_key(registration: Registration) -> str:
    """Return a device as keys and claims have it."""
    return f"{user_key(registration.owner)}/{registration.device}"


def registration_item(registration: Registration) -> Item:
    """Return the item of a registration. :raises ValueError: with a time that nothing could read again."""
    item: Item = {
        "pk": "registration",
        "sk": device_key(registration),
        "user_name": registration.user_name,
        "public_key": registration.public_key,
        "addresses": list(registration.addresses),
        "created_at": _whole(registration.created_at),
    }
    if registration.expires_at is not None:
        item["expires_at"] = _whole(registration.expires_at)
    if registration.renewed_at is not None:
        item["renewed_at"] = _whole(registration.renewed_at)
    if registration.confirmed_end is not None:
        item["confirmed_end"] = _whole(registration.confirmed_end)
    for name in ("handed_out", "fixed_end"):
        if getattr(registration, name):
            item[name] = True
    return {**item, **_ordered(registration.by)}


def read_registration(item: Item) -> Registration:
    """Read a registration; one that lacks an attribute is read all the same, for the decision to leave out.

    :raises: one of UNREADABLE.
    """
    account_id, user_id, device = device_of(item["sk"])
    check_device_name(device, str(item.get("user_name", "?")))
    return Registration(
        account_id=account_id,
        user_id=user_id,
        device=device,
        user_name=_text(item.get("user_name", "?")),
        public_key=_text(item.get("public_key", "")),
        addresses=tuple(_text(address) for address in item.get("addresses", ())),
        created_at=_time(item.get("created_at", 0)),
        expires_at=_time(item["expires_at"]) if "expires_at" in item else None,
        renewed_at=_time(item["renewed_at"]) if "renewed_at" in item else None,
        handed_out=bool(item.get("handed_out", False)),
        fixed_end=bool(item.get("fixed_end", False)),
        confirmed_end=_time(item["confirmed_end"]) if "confirmed_end" in item else None,
        by=_words(item.get("by")),
    )


def device_of(sk: str) -> tuple[str, str, str]:
    """Read whose registration an sk is: (account_id, user_id, device). :raises ValueError: it has another form."""
    account_id, user_id, device = sk.split("/")
    return account_id, user_id, device


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{type(value).__name__} instead of a text")
    return value


def _words(value: Any) -> str | None:
    """Read what only keeps books, as one line without what a terminal takes for orders; None if it is no text."""
    if not isinstance(value, str):
        return None
    return " ".join(printable(value).split()) or None


def _ordered(by: str | None, reason: str | None = None) -> Item:
    """Return the attributes of an order that are known."""
    return {name: value for name, value in (("by", by), ("reason", reason)) if value is not None}


def _time(value: Any) -> float:
    if isinstance(value, (bool, str)):
        raise TypeError(f"{type(value).__name__} instead of a time")
    seconds = float(value)
    if not abs(seconds) < _END_OF_TIME:
        raise ValueError(f"{seconds} instead of a time")
    return seconds


def _whole(at: float) -> int:
    """Write a time in whole seconds. :raises ValueError: nothing could read it again."""
    return int(_time(at))


def removed_item(
    registration: Registration, removed_at: float, by: str | None = None, reason: str | None = None
) -> Item:
    """Return the record that a registration was removed on purpose, by whom and why."""
    return {
        "pk": "removed",
        "sk": device_key(registration),
        "user_name": registration.user_name,
        "public_key": registration.public_key,
        "removed_at": _whole(removed_at),
        "ttl": int(removed_at + REMOVED_LIFE),
        **_ordered(by, reason),
    }


def read_removed(item: Item) -> Removed:
    """Read the record of a removed registration. :raises: one of UNREADABLE."""
    names = (_text(item["user_name"]), _text(item["public_key"]))
    words = (_words(item.get("reason")), _words(item.get("by")))
    return Removed(*device_of(item["sk"]), *names, _time(item["removed_at"]), *words)


def tombstone_key(tombstone: Tombstone) -> str:
    """Return the sk of a tombstone."""
    return f"{tombstone.account_id}/{tombstone.event_id}"


def tombstone_item(tombstone: Tombstone) -> Item:
    """Return the item of a tombstone."""
    item: Item = {
        "pk": "tombstone",
        "sk": tombstone_key(tombstone),
        "user_name": tombstone.user_name,
        "event_time": _whole(tombstone.event_time),
        "ttl": int(tombstone.event_time + TOMBSTONE_LIFE),
    }
    if tombstone.user_id is not None:
        item["user_id"] = tombstone.user_id
    if tombstone.spared:
        item["spared"] = list(tombstone.spared)
    return {**item, **_ordered(tombstone.by)}


def read_tombstone(item: Item, now: float = math.inf) -> Tombstone:
    """Read a tombstone. It holds for whom it names, by id or name, for good if its time can't be read.

    :param now: what no time of an event can be later than.
    :raises: one of UNREADABLE.
    """
    account_id, _slash, event_id = item["sk"].partition("/")
    user_name, user_id, spared = item.get("user_name"), item.get("user_id"), item.get("spared")
    if not isinstance(user_name, str):
        user_name = ""
    if not isinstance(user_id, str) or not user_id:
        user_id = None
    if user_id is None and not user_name:
        raise ValueError("it names nobody")
    try:
        event_time = min(_time(item["event_time"]), now)
    except UNREADABLE:
        event_time = math.inf
    ids = [each for each in spared if isinstance(each, str)] if isinstance(spared, (list, set)) else []
    return Tombstone(account_id, event_id, user_name, user_id, event_time, tuple(ids), _words(item.get("by")))


def block_key(block: Block) -> str:
    """Return the sk of a block."""
    user = user_key((block.account_id, block.user_id))
    return f"{user}/{block.device}" if block.device else user


def block_item(block: Block) -> Item:
    """Return the item of a block."""
    return {"pk": "block", "sk": block_key(block), **_block_words(block)}


def _block_words(block: Block) -> Item:
    return {"reason": block.reason, "created_at": _whole(block.created_at), **_ordered(block.by)}


def read_block(item: Item, now: float = math.inf) -> Block:
    """Read a block: whom it is for is all that it must say; where it isn't clear which device, all of them.

    :param now: what it can't have been made after.
    :raises: one of UNREADABLE.
    """
    account_id, user_id, *devices = item["sk"].split("/")
    device = devices[0] if len(devices) == 1 else None
    try:
        created_at = min(_time(item["created_at"]), now)
    except UNREADABLE:
        created_at = 0.0
    reason = str(item.get("reason", "no reason is recorded"))
    return Block(account_id, user_id, device or None, reason, created_at, _words(item.get("by")))


def lifted_item(lifted: Lifted) -> Item:
    """Return the record that a block was lifted."""
    return {
        "pk": "lifted",
        "sk": block_key(lifted.block),
        "block": _block_words(lifted.block),
        "lifted_at": _whole(lifted.lifted_at),
        "ttl": int(lifted.lifted_at + LIFTED_LIFE),
        **_ordered(lifted.by, lifted.reason),
    }


def read_lifted(item: Item) -> Lifted:
    """Read the record of a lifted block. :raises: one of UNREADABLE."""
    block = read_block({**item["block"], "sk": item["sk"]})
    return Lifted(block, _words(item.get("reason")), _time(item["lifted_at"]), _words(item.get("by")))


def sign_item(sign: Sign) -> Item:
    """Return the item of an early sign."""
    return {
        "pk": "sign",
        "sk": user_key((sign.account_id, sign.user_id)),
        "event_name": sign.event_name,
        "event_time": _whole(sign.event_time),
        "ttl": int(sign.event_time + SIGN_LIFE),
    }


def read_sign(item: Item, now: float = math.inf) -> Sign:
    """Read an early sign. :param now: what no time of an event can be later than."""
    account_id, _slash, user_id = item["sk"].partition("/")
    event_time = min(_time(item["event_time"]), now)
    return Sign(account_id, user_id, item["event_name"], event_time, _time(item.get("asked_at", 0)))


def is_from_ahead(item: Item, now: float) -> bool:
    """Tell whether the event of a tombstone or sign is yet to come, by more than clocks may differ."""
    with suppress(*UNREADABLE):
        return _time(item["event_time"]) > now + _CLOCKS_APART
    return False


def receipt_key(removed_at: float) -> str:
    """Return the beginning of receipts' sk: a time, in the order of time."""
    return utc(removed_at)


def receipt_item(receipt: Receipt) -> Item:
    """Return the item of a receipt."""
    known = {name: value for name, value in receipt._asdict().items() if value is not None}
    sk = f"{receipt_key(receipt.removed_at)}/{receipt.gateway}/{receipt.removal_id}"
    return {"pk": "receipt", "sk": sk, **known}


def read_receipt(item: Item) -> Receipt:
    """Read a receipt. :raises: one of UNREADABLE."""
    values = [item.get(name) for name in Receipt._fields]
    receipt = Receipt._make(int(value) if isinstance(value, Decimal) else value for value in values)
    for text in receipt[:_RECEIPTS_TEXTS]:
        _text(text)
    numbers = [receipt.generation, receipt.removed_at]
    numbers += [each for each in (receipt.deleted_at, receipt.last_handshake) if each is not None]
    if not all(isinstance(each, int) for each in numbers):
        raise TypeError(f"{numbers} instead of numbers")
    return receipt._replace(detail=_words(receipt.detail), by=_words(receipt.by))


def sweep_items(sweep: Sweep, generation: int) -> list[Item]:
    """Return the items of a complete sweep, the head first: what decides (ids, names, groups, times)."""
    groups = sorted({group for user in sweep.users.values() for group in user.groups})
    index = {group: number for number, group in enumerate(groups)}
    users = [
        [user.user_id, user.user_name, int(user.created_at), [index[group] for group in user.groups]]
        for user in sweep.users.values()
    ]
    packed = {"groups": groups, "users": users}
    return pack("sweep", sweep.account_id, generation, packed, {"begun_at": int(sweep.begun_at)})


def read_sweep(head: Item, items: Iterable[Item] = (), now: float = math.inf) -> Sweep:
    """Read an account's last complete sweep.

    :param items: those that may be its parts.
    :param now: what it can't have begun after.
    :raises AWSCallError: it can't be read; saying what to do.
    """
    account_id = head["sk"]
    try:
        packed = unpack(head, items)
        users = {
            _text(user_id): User(
                account_id,
                user_id,
                _text(user_name),
                float(created_at),
                tuple(_text(packed["groups"][index]) for index in groups),
            )
            for user_id, user_name, created_at, groups in packed["users"]
        }
        return Sweep(account_id, min(_time(head["begun_at"]), now), users)
    except UNREADABLE as error:
        raise AWSCallError(
            f"the stored sweep of account {account_id} can't be read ({type(error).__name__}: {error}); "
            "delete that item (pk `sweep`) after checking that IAM is well, the next run stores a new one"
        ) from None


def decision_items(decision: Decision, generation: int) -> list[Item]:
    """Return the items of what a run decided, the head first."""
    peers = [tuple(peer)[:_DECIDING] for peer in decision.peers]
    packed = {
        "peers": peers,
        "departures": decision.departures,
        "left_out": decision.left_out,
        "options": decision.options,
        "made_by": decision.made_by,
    }
    return pack("sweep", DECISION, generation, packed, {})


def read_decision(head: Item, items: Iterable[Item] = ()) -> Decision:
    """Read what the last run decided.

    :param items: those that may be its parts.
    :raises: one of UNREADABLE.
    """
    packed = unpack(head, items)
    departures = (Departure._make(values) for values in packed["departures"])
    return Decision(
        peers=tuple(_decided(Registration(*values)) for values in packed["peers"]),
        departures=tuple(_departed(each) for each in departures),
        left_out=_left_out(packed.get("left_out")),
        options=_text(packed.get("options", "")),
        made_by=_text(packed.get("made_by", "")),
    )


def _decided(peer: Registration) -> Registration:
    """Read a peer of a decision. :raises: one of UNREADABLE."""
    read: dict[str, Any] = {name: _text(getattr(peer, name)) for name in (*_IDENTITY, "user_name", "public_key")}
    for name in ("expires_at", "renewed_at"):
        at = getattr(peer, name)
        read[name] = None if at is None else _time(at)
    return peer._replace(**read, created_at=_time(peer.created_at), addresses=tuple(map(_text, peer.addresses)))


def _departed(departure: Departure) -> Departure:
    read: dict[str, Any] = {name: _text(getattr(departure, name)) for name in _IDENTITY}
    return departure._replace(**read, left_at=_time(departure.left_at))


def _left_out(found: Any) -> tuple[LeftOut, ...] | None:
    """Read who was left out; None if that isn't there or can't be read: it only tells what is new."""
    try:
        return tuple(LeftOut(*map(_text, values)) for values in found)
    except UNREADABLE:
        return None


def read_missed(item: Item) -> tuple[str, list[str]]:
    """Read a gateway's name, and who left since it was reached last. :raises: one of UNREADABLE."""
    return item["sk"], [_text(name) for name in item.get("missed", ())]


def acknowledged_item(gateway: str, removal_ids: Iterable[str]) -> Item:
    """Return the item of the removals whose receipts are there, for their gateway to forget; it has missed nothing."""
    return {"pk": "recorded", "sk": gateway, "removal_ids": list(removal_ids)}


_MOST_TRIES = 20  # more make no difference


def sweeper_item(state: SweeperState) -> Item:
    """Return the item of what the sweeper keeps from one look to the next."""
    return {
        "pk": "sweeper",
        "sk": "state",
        "tried": {goal: {"number": tries.number, "at": _whole(tries.at)} for goal, tries in state.tried.items()},
        "is_refused": state.is_refused,
        "swept": {account_id: _whole(begun_at) for account_id, begun_at in state.swept.items()},
        "gateways": {each: _whole(since) for each, since in (state.gateways or {}).items()},
    }


def read_sweeper(item: Item, now: float = math.inf) -> SweeperState:
    """Read what the sweeper kept. What is dated later than `now` counts as of now, or it would hold for ever.

    :raises: one of UNREADABLE.
    """
    tried = {
        goal: Tries(min(int(each["number"]), _MOST_TRIES), _time(each["at"]))
        for goal, each in item.get("tried", {}).items()
    }
    return SweeperState(
        tried={goal: tries._replace(at=min(tries.at, now)) for goal, tries in tried.items()},
        is_refused=bool(item["is_refused"]),
        swept={account_id: min(_time(begun_at), now) for account_id, begun_at in item["swept"].items()},
        gateways={instance_id: min(_time(since), now) for instance_id, since in item["gateways"].items()},
    )


def _check_packed(item: Item) -> None:
    if is_part(item):
        bytes(item["data"])
    elif not item.get("parts") and item["sk"] != _GRANTED:
        read = read_decision if item["sk"] == DECISION else read_sweep
        read(item)


_GRANTED = "granted"  # what versions before had in the place of the decision; nothing reads it any more


def ignore(_sentence: str) -> None:
    """Say it to nobody."""


def readable(items: Iterable[Item], reader: Callable[[Item], _Record], warn: Warn = ignore) -> Iterator[_Record]:
    """Yield the records of items, without those that can't be read; a run names these.

    :param warn: takes a sentence about each that can't be.
    """
    for item in items:
        try:
            record = reader(item)
        except UNREADABLE as error:
            warn(unread(item, error))
        else:
            yield record


def unread(item: Item, error: Exception) -> str:
    """Say that an item can't be read, and what to do."""
    step = "write it again or delete it"
    if item["pk"] == "registration" and re.search(f"/{DEVICE_NAME}$", item["sk"]):
        step = "remove the device (remove_device), or register it again with replace (register_replace)"
    return (
        f"the registry's item {item['pk']} {item['sk']} can't be read ({type(error).__name__}: {error}) and is left "
        f"out; look at who wrote it, and {step}"
    )


_READERS: dict[str, Callable[[Item], object]] = {
    "registry": lambda item: _text(item["value"]),
    "registration": read_registration,
    "removed": read_removed,
    "claim": lambda item: _text(item["holder"]),
    "devices": lambda item: int(item["version"]),
    "block": read_block,
    "lifted": read_lifted,
    "tombstone": read_tombstone,
    "sign": read_sign,
    "receipt": read_receipt,
    "recorded": itemgetter("removal_ids"),
    "gateway": lambda item: _text(item["public_key"]),
    "settings": lambda item: _text(item["value"]),
    "sweep": _check_packed,
    "sweeper": read_sweeper,
    "generation": lambda item: int(item["value"]),
}


def check_item(item: Item) -> None:
    """Refuse an item that a run couldn't read.

    :raises ValueError, KeyError, TypeError, AttributeError, AWSCallError: it isn't one of the registry's.
    """
    if item["pk"] not in _READERS:
        raise ValueError(f"its pk is {item['pk']!r}, expected one of {', '.join(_READERS)}")
    if not isinstance(item["sk"], str) or not item["sk"]:
        raise ValueError(f"its sk is {item['sk']!r}, expected a text")
    _READERS[item["pk"]](item)


def counts(items: Iterable[Item]) -> dict[str, int]:
    """Return how many items there are of each kind."""
    return dict(sorted(Counter(item["pk"] for item in items).items()))
