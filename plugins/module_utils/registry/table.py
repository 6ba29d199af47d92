# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The registry: what a run reads and writes. Importable without Ansible.

`items` says what the table holds, `devices` how registrations change, `dynamodb` how the table is asked.
"""

from __future__ import annotations

import time
import uuid
from functools import partial
from typing import TYPE_CHECKING, Callable, Iterable, Sequence

from ..model import Block, Decision, Lifted, Receipt, RegistryIdentity, Sign, Sweep, SweeperState, Tombstone
from .devices import RegisteredDevices
from .dynamodb import NUMBER, Delete, Item, Put, RegistryError, Table
from .facts import RegistryFacts, read_facts
from .generations import Generations
from .items import (
    DECISION,
    SIGN_LIFE,
    TOMBSTONE_LIFE,
    Warn,
    acknowledged_item,
    block_item,
    block_key,
    decision_items,
    ignore,
    lifted_item,
    read_block,
    read_decision,
    read_lifted,
    read_missed,
    read_receipt,
    read_sweep,
    read_sweeper,
    read_tombstone,
    readable,
    receipt_item,
    receipt_key,
    sign_item,
    sweep_items,
    sweeper_item,
    tombstone_item,
    tombstone_key,
    user_key,
)
from .restore import IDENTITY, restore
from .settings import SelfServiceDocument

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# also where there is no item, or one whose number is damaged, which would never be less than another
_IS_LATER = "NOT attribute_type(event_time, :number) OR event_time < :event_time"
_IS_OF_LATER_RUN = "NOT attribute_type(generation, :number) OR generation < :generation OR generation >= :ahead"


class Registry:
    """The registry in the table `name`.

    `devices` has the registrations, `generations` the fencing tokens, `self_service` that function's settings.
    """

    def __init__(self, client: DynamoDBClient, name: str, clock: Callable[[], float] = time.time) -> None:
        self._table = Table(client, name)
        self._clock = clock
        self.devices = RegisteredDevices(self._table, clock)
        self.generations = Generations(self._table, clock)
        self.self_service = SelfServiceDocument(self._table)

    def identity(self) -> RegistryIdentity:
        """Say which registry this is, and in which table (R16, the wrong world is refused).

        :raises RegistryError: as check_identity().
        """
        identity = self.check_identity()
        description = self._table.describe()
        region, account_id = description.arn.split(":")[3:5]
        return RegistryIdentity(identity, account_id, region, self._table.name, description.table_id)

    def has_identity(self) -> bool:
        """Tell whether the table is a registry."""
        return self._table.get(*IDENTITY) is not None

    def check_identity(self) -> str:
        """Return the registry's identity.

        :raises RegistryError: the table has none, so that it is no registry, or one of an earlier version.
        """
        item = self._table.get(*IDENTITY) or {}
        identity = item.get("value")
        if not isinstance(identity, str) or not identity:
            raise RegistryError(
                f"table {self._table.name} is no registry: it has no identity. Check vpn_registry_table, the region "
                "and the credentials. If it is the right table, run the playbook tracklib.vpn.deploy once, which gives "
                "it one"
            )
        return identity

    def make_identity(self) -> bool:
        """Give the registry an identity, for good; return whether it had none."""
        item = {"pk": "registry", "sk": "identity", "value": uuid.uuid4().hex}
        return self._table.write(Put(item, "attribute_not_exists(pk)"))

    def facts(self) -> RegistryFacts:
        """Read everything that a roster is decided by, each part consistently."""
        return read_facts(self._table, self._clock())

    # -- what confirms a revocation

    def tombstones(self) -> list[Tombstone]:
        """List all tombstones, in no order."""
        return list(readable(self._table.query("tombstone"), partial(read_tombstone, now=self._clock())))

    def write_tombstone(self, tombstone: Tombstone) -> bool:
        """Write a tombstone; one of the same event that is as late or later stays.

        So an event that comes again changes nothing, also when the stored sweep has forgotten its user by then.

        :returns: whether it was written now.
        """
        item = tombstone_item(tombstone)
        return self._table.write(Put(item, _IS_LATER, {"event_time": item["event_time"], **NUMBER}))

    def spare(self, tombstone: Tombstone) -> None:
        """Note in a tombstone by name whom it doesn't mean."""
        values, condition = {"spared": list(tombstone.spared)}, "attribute_exists(pk)"
        self._table.update("tombstone", tombstone_key(tombstone), "SET spared = :spared", values, condition)

    def receive(self, pk: str, sk: str) -> None:
        """Give a tombstone or sign from ahead the time of its receipt, now, for good."""
        now = int(self._clock())
        values = {"now": now, "ttl": now + {"tombstone": TOMBSTONE_LIFE, "sign": SIGN_LIFE}[pk]}
        self._table.update(pk, sk, "SET event_time = :now, #ttl = :ttl", values, "event_time > :now")

    def blocks(self) -> list[Block]:
        """List all blocks, in no order."""
        return list(readable(self._table.query("block"), partial(read_block, now=self._clock())))

    def block(self, block: Block) -> None:
        """Write a block; an earlier one of the same user or device is replaced."""
        self._table.write(Put(block_item(block)))

    def unblock(self, lifted: Lifted) -> None:
        """Delete a block, and leave the record of it.

        :raises RegistryError: it isn't there any more.
        """
        block = lifted.block
        is_there = Delete("block", block_key(block), "attribute_exists(pk)")
        if not self._table.transact([is_there, Put(lifted_item(lifted))]):
            raise RegistryError(
                f"somebody else changed the block of {block.what} ({block.user_id}) meanwhile; run it again"
            )

    def lifted(self) -> list[Lifted]:
        """List the records of lifted blocks, the last one of each user and device, in no order."""
        return list(readable(self._table.query("lifted"), read_lifted))

    def write_sign(self, sign: Sign) -> None:
        """Write an early sign, unless one of the same user that is as late or later is there."""
        item = sign_item(sign)
        self._table.write(Put(item, _IS_LATER, {"event_time": item["event_time"], **NUMBER}))

    def forget_sign(self, sign: Sign) -> None:
        """Delete an early sign, unless a later one of the user came meanwhile."""
        sk = user_key((sign.account_id, sign.user_id))
        self._table.write(Delete("sign", sk, "event_time <= :event_time", {"event_time": int(sign.event_time)}))

    def note_asked(self, sign: Sign) -> None:
        """Note that an early sign had its turn, now, so that others come before it."""
        sk = user_key((sign.account_id, sign.user_id))
        self._table.update("sign", sk, "SET asked_at = :now", {"now": int(self._clock())}, "attribute_exists(pk)")

    # -- receipts

    def record(self, receipts: Sequence[Receipt], gateways: Iterable[str] = ()) -> None:
        """Write receipts, and only then acknowledge their removals to the gateways. Idempotent.

        :param gateways: names of others that were reached, and so have missed nothing any more.
        """
        self._table.write_all([receipt_item(receipt) for receipt in receipts])
        removal_ids: dict[str, list[str]] = {gateway: [] for gateway in gateways}
        for receipt in receipts:
            removal_ids.setdefault(receipt.gateway, []).append(receipt.removal_id)
        self._table.write_all([acknowledged_item(gateway, ids) for gateway, ids in removal_ids.items()])

    def record_missed(self, gateway: str, names: Sequence[str]) -> None:
        """Note who may still be a peer of a gateway that wasn't reached."""
        expression = "SET missed = :names, removal_ids = if_not_exists(removal_ids, :none)"
        self._table.update("recorded", gateway, expression, {"names": list(names), "none": []})

    def missed(self) -> dict[str, list[str]]:
        """Return who may still be a peer of each gateway that wasn't reached."""
        return {gateway: names for gateway, names in readable(self._table.query("recorded"), read_missed) if names}

    def acknowledged(self) -> dict[str, list[str]]:
        """Return by gateway the ids of the removals that it returned last and whose receipts are written."""
        return {item["sk"]: item["removal_ids"] for item in self._table.query("recorded")}

    def receipts(self, since: float = 0, warn: Warn = ignore) -> list[Receipt]:
        """List the receipts of all removals at or after a time, the earliest first.

        :param warn: takes a sentence about each that can't be read.
        """
        return list(readable(self._table.query("receipt", start=receipt_key(since)), read_receipt, warn))

    # -- gateways

    def claim_key(self, gateway: str, public_key: str, *, check_mode: bool = False) -> bool:
        """Keep a gateway's public key from ever being a device's; return whether that is new.

        :raises RegistryError: a device has it.
        """
        present = self._table.get("gateway", gateway)
        if present is not None and present.get("public_key") == public_key:
            return False
        if not check_mode:
            self.devices.reserve_key(public_key, {"pk": "gateway", "sk": gateway, "public_key": public_key})
        return True

    def forget_gateway(self, gateway: str) -> None:
        """Forget a gateway that is gone for good, and whom it wasn't told of; its key stays no device's."""
        self._table.write(Delete("gateway", gateway))
        self.record([], [gateway])

    # -- sweeps and decisions

    def sweep(self, account_id: str) -> Sweep | None:
        """Return the last complete sweep of an account, or None if there was none.

        :raises AWSCallError: it can't be read.
        """
        items = list(self._table.query("sweep", prefix=account_id))
        head = next((item for item in items if item["sk"] == account_id), None)
        return None if head is None else read_sweep(head, items, self._clock())

    def store_sweep(self, sweep: Sweep, generation: int) -> None:
        """Keep a complete sweep as its account's last one, unless a later run already stored its own."""
        self._store(sweep_items(sweep, generation), generation)

    def store_decision(self, decision: Decision, generation: int) -> None:
        """Keep what a run decided, for the next one to count from, unless a later run already stored its own."""
        self._store(decision_items(decision, generation), generation)

    def _store(self, items: Sequence[Item], generation: int) -> None:
        head, *parts = items
        self._table.write_all(parts)
        values = {"generation": generation, "ahead": self.generations.ahead(), **NUMBER}
        self._table.write(Put(head, _IS_OF_LATER_RUN, values))

    def decision(self) -> tuple[Decision, float] | None:
        """Return what the last run decided, and since when that is so, in seconds since the epoch; None before one.

        :raises AWSCallError, or one of UNREADABLE: it can't be read.
        """
        items = list(self._table.query("sweep", prefix=DECISION))
        head = next((item for item in items if item["sk"] == DECISION), None)
        return None if head is None else (read_decision(head, items), self.generations.taken_at(head.get("generation")))

    def sweeper_state(self) -> SweeperState:
        """Return what the sweeper kept; the beginning where that can't be read."""
        kept = readable(self._table.query("sweeper"), partial(read_sweeper, now=self._clock()))
        return next(kept, SweeperState())

    def keep_sweeper_state(self, state: SweeperState) -> None:
        """Keep it for the sweeper's next look."""
        self._table.write(Put(sweeper_item(state)))

    def forget_surplus(self, sks: Iterable[str]) -> None:
        """Delete parts of earlier sweeps and decisions."""
        for sk in sks:
            self._table.write(Delete("sweep", sk))

    # -- the whole table

    def items(self) -> list[Item]:
        """Return every item, in the order of pk and sk. Others may write meanwhile; see export.odd_items."""
        return self._table.scan()

    def restore(self, items: Sequence[Item], *, check_mode: bool = False) -> int:
        """Write items into an empty table, or into one that an interrupted call with the same items left.

        :returns: how many weren't there.
        :raises RegistryError: the table holds something else.
        """
        count = restore(self._table, items, self._clock, check_mode=check_mode)
        if not check_mode:
            self.make_identity()  # exports of earlier versions have none
        return count
