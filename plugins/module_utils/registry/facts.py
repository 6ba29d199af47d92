# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Reading the registry for a decision: everything at once, and around what can't be read."""

from __future__ import annotations

import time
from functools import partial
from typing import Callable, Iterable, Mapping, NamedTuple, Sequence, TypeVar

from ..model import Block, Decision, Device, Registered, Sign, Sweep, Tombstone
from .dynamodb import Item, Table
from .items import (
    DECISION,
    UNREADABLE,
    device_of,
    is_from_ahead,
    read_block,
    read_decision,
    read_missed,
    read_registration,
    read_removed,
    read_sign,
    read_sweep,
    read_tombstone,
    unread,
)
from .packed import is_part, is_surplus

_GRANTED = "granted"  # what versions before stored in the place of a decision
_Record = TypeVar("_Record")


class RegistryFacts(NamedTuple):
    """What a roster is decided by, as far as the registry knows it."""

    registered: Registered
    tombstones: list[Tombstone]
    blocks: list[Block]
    signs: list[Sign]
    sweeps: dict[str, Sweep]  # the last complete one, by account_id
    decision: Decision | None  # the last run's; None before the first, and if it can't be read
    gateway_keys: frozenset[str]  # public keys of gateways
    acknowledge: list[str]  # ids of removals whose receipts are written, so that the gateways may forget them
    problems: list[str]  # items that can't be read, each in a sentence
    surplus: list[str]  # sks of what earlier sweeps and decisions left
    decision_problem: str | None = None  # why the last decision can't be read
    gateways: tuple[str, ...] = ()  # names of those that were set up, or are known to have missed somebody's leaving
    missed: Mapping[str, list[str]] = {}  # by gateway that wasn't reached, names of the devices that left since
    ahead: Sequence[tuple[str, str]] = ()  # (pk, sk) of tombstones and signs whose time is yet to come

    def was_peer(self, device: Device) -> bool:
        """Tell whether the last run had a device as a peer."""
        return any(each.identity == device for each in (self.decision or Decision()).peers)

    def missed_by(self, label: str) -> list[str]:
        """Name the gateways that weren't reached since a device of this label left."""
        return [gateway for gateway, labels in self.missed.items() if label in labels]


def read_facts(table: Table, now: float) -> RegistryFacts:
    """Read everything that a roster is decided by, each part consistently.

    What can't be read is named, and costs itself alone (R17, one bad item costs itself alone): its device is
    unreadable, its block or tombstone holds as far as it can be understood.

    :param now: seconds since the epoch. What is dated later counts as of now (R4: an event is never later than its
        receipt), or a tombstone would outweigh every sweep until then.
    :raises AWSCallError: the table can't be read.
    """
    problems: list[str] = []
    unreadable: dict[Device, str] = {}

    def read(items: Iterable[Item], reader: Callable[[Item], _Record]) -> list[_Record]:
        records = []
        for item in items:
            try:
                records.append(reader(item))
            except UNREADABLE as error:
                problems.append(unread(item, error))
                if item["pk"] == "registration" and item["sk"].count("/") == 2:
                    unreadable[device_of(item["sk"])] = problems[-1]
        return records

    packed = list(table.query("sweep"))
    heads = [item for item in packed if not is_part(item) and item["sk"] != _GRANTED]
    of_accounts = [head for head in heads if head["sk"] != DECISION]
    decision, decision_problem = _decision([head for head in heads if head["sk"] == DECISION], packed)
    tombstones, signs = list(table.query("tombstone")), list(table.query("sign"))
    ahead = [item for item in (*tombstones, *signs) if is_from_ahead(item, now)]
    problems += [_from_ahead(item) for item in ahead]
    registrations = read(table.query("registration"), read_registration)
    removed = read(table.query("removed"), read_removed)
    gateways, blocks = list(table.query("gateway")), list(table.query("block"))
    problems += [_wide(item) for item in blocks if item["sk"].count("/") > 2]
    keys = read(gateways, lambda item: str(item["public_key"]))
    recorded = list(table.query("recorded"))
    acknowledged = read(recorded, lambda item: [str(each) for each in item["removal_ids"]])
    missed = {gateway: names for gateway, names in read(recorded, read_missed) if names}
    return RegistryFacts(
        tombstones=read(tombstones, partial(read_tombstone, now=now)),
        blocks=read(blocks, partial(read_block, now=now)),
        signs=read(signs, partial(read_sign, now=now)),
        sweeps={sweep.account_id: sweep for sweep in read(of_accounts, lambda head: read_sweep(head, packed, now))},
        decision=decision,
        decision_problem=decision_problem,
        gateway_keys=frozenset(keys),
        acknowledge=[removal_id for ids in acknowledged for removal_id in ids],
        gateways=tuple(sorted({*(item["sk"] for item in gateways), *missed})),
        missed=missed,
        registered=Registered(registrations, unreadable, removed),
        problems=problems,
        ahead=tuple((item["pk"], item["sk"]) for item in ahead),
        surplus=[item["sk"] for item in packed if item["sk"] == _GRANTED or is_surplus(item, heads)],
    )


def _decision(heads: Sequence[Item], packed: Sequence[Item]) -> tuple[Decision | None, str | None]:
    """Read the last decision: without it, a run can't tell how many peers it removes (R5, mass-removal guard)."""
    try:
        return next((read_decision(head, packed) for head in heads), None), None
    except UNREADABLE as error:
        problem = (
            f"the last run's decision, from which removals count, can't be read ({type(error).__name__}: {error}). "
            "Confirmed revocations are applied, and nothing else. Look at who wrote the item (pk `sweep`, sk "
            "`decision`), check that IAM and vpn_access are well, and delete it: the next run "
            "counts removals from the last complete sweeps, which may already have a mistake"
        )
        return None, problem


def _wide(item: Item) -> str:
    return (
        f"the registry's item block {item['sk']} names no device that can be (expected ACCOUNT/USER_ID/DEVICE), and "
        "counts for all of the user's; look at who wrote it, and write it again or delete it"
    )


def _from_ahead(item: Item) -> str:
    date = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(int(item["event_time"])))
    whom = item.get("user_name", "a user")
    return (
        f"the registry's item {item['pk']} {item['sk']} ({whom}) is dated {date}, expected a "
        "time of the past, since no event is later than its receipt. It counts as received now; look at who wrote it"
    )
