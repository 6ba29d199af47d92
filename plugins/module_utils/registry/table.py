# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The registry: one DynamoDB table, its items and its transactions. Importable without Ansible.

| pk             | sk                               | holds                                                          |
|----------------|----------------------------------|----------------------------------------------------------------|
| `registration` | `ACCOUNT/USER_ID/DEVICE`         | user_name, public_key, addresses, created_at, expires_at,      |
|                |                                  | renewed_at, handed_out                                         |
| `claim`        | `key#KEY`, `address#ADDRESS`     | holder; released_at (a key), free_at and ttl (an address)      |
| `devices`      | `ACCOUNT/USER_ID`                | version, raised with each device registered under a limit      |
| `block`        | `ACCOUNT/USER_ID[/DEVICE]`       | reason, created_at                                             |
| `tombstone`    | `ACCOUNT/EVENT_ID`               | user_name, user_id, event_time, ttl                            |
| `sign`         | `ACCOUNT/USER_ID`                | event_name, event_time, ttl                                    |
| `receipt`      | `REMOVED_AT/GATEWAY/REMOVAL_ID`  | what model.Receipt has                                         |
| `recorded`     | `GATEWAY`                        | removal_ids whose receipts are there, for the gateway to forget |
| `sweep`        | `ACCOUNT`                        | the last complete sweep, compressed; begun_at, generation      |
| `generation`   | `generation`                     | value                                                          |

Times are seconds since the epoch. A key, once registered, belongs to its user for good: after its device is removed
only the same user can register it again (R1, R9). A freed address rests before it is given to another device. DynamoDB
deletes an item some time, hours or days, after its ttl.
"""

from __future__ import annotations

import base64
import json
import math
import random
import time
import zlib
from collections import Counter
from decimal import Decimal
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Callable, Iterable, Iterator, Mapping, NamedTuple, Sequence

from ..addresses import Network, choose
from ..aws import AWSCallError, calling
from ..model import Block, Grant, Granted, Receipt, Registration, Sign, Sweep, Tombstone, User

try:
    from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
    from botocore.exceptions import ClientError
except ImportError:  # AnsibleAWSModule reports the missing SDK
    pass

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

DAY = 24 * 3600
QUARANTINE = 7 * DAY
TOMBSTONE_LIFE = 120 * DAY  # R4 asks for at least 90 days
SIGN_LIFE = 30 * DAY
_MAX_ITEM = 390_000  # DynamoDB's limit is 400 KB for an item
_MAX_BATCH = 25  # items in a BatchWriteItem
_ATTEMPTS = 12
_GRANTED = "granted"  # among the sweeps, so that a run reads both by one query
_RESTING = 20  # addresses for each device that a user may have; more can't rest, so that no user uses up a pool


class RegistryError(RuntimeError):
    """A request that the registry refuses; the message says what was found and what to do.

    `code` is `key_held`, `device_limit`, `too_many_removals`, `collided`, or None.
    """

    def __init__(self, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.code = code


class Facts(NamedTuple):
    """What a run needs of the registry, read consistently."""

    registrations: list[Registration]
    tombstones: list[Tombstone]
    blocks: list[Block]
    signs: list[Sign]
    sweeps: dict[str, Sweep]  # the last complete one, by account_id
    granted: Granted | None  # what the last run decided by
    recorded: list[str]  # ids of removals that the gateways may forget


class Registry:
    """The table `name`, through a DynamoDB client of the caller's."""

    def __init__(self, client: DynamoDBClient, name: str, clock: Callable[[], float] = time.time) -> None:
        self._client = client
        self._name = name
        self._clock = clock
        self._serialize = TypeSerializer().serialize
        self._deserialize = TypeDeserializer().deserialize
        client.meta.events.register("before-parse.dynamodb.Query", _keep_items, unique_id="tracklib.vpn")

    # -- reading

    def facts(self) -> Facts:
        """Everything that a roster is decided by, each part read consistently."""
        of_last_run = {item["sk"]: item for item in self._query("sweep")}
        granted = of_last_run.pop(_GRANTED, None)
        return Facts(
            registrations=self.registrations(),
            tombstones=self.tombstones(),
            blocks=self.blocks(),
            signs=[_sign(item) for item in self._query("sign")],
            sweeps={account_id: _unpack_sweep(item) for account_id, item in of_last_run.items()},
            granted=None if granted is None else _granted(granted),
            recorded=[removal_id for ids in self.recorded().values() for removal_id in ids],
        )

    def registrations(self) -> list[Registration]:
        """All registrations, in no order."""
        return [_registration(item) for item in self._query("registration")]

    def registrations_of(self, account_id: str, user_id: str) -> list[Registration]:
        """One user's registrations, ordered by device."""
        return [_registration(item) for item in self._query("registration", f"{account_id}/{user_id}/")]

    def registration(self, account_id: str, user_id: str, device: str) -> Registration | None:
        """One device's registration, if there is one."""
        item = self._get("registration", f"{account_id}/{user_id}/{device}")
        return None if item is None else _registration(item)

    def sweep(self, account_id: str) -> Sweep | None:
        """The last complete sweep of an account, if there was one."""
        item = self._get("sweep", account_id)
        return None if item is None else _unpack_sweep(item)

    def tombstones(self) -> list[Tombstone]:
        """All tombstones, in no order."""
        return [_tombstone(item) for item in self._query("tombstone")]

    def blocks(self) -> list[Block]:
        """All blocks, in no order."""
        return [_block(item) for item in self._query("block")]

    # -- generations

    def generation(self) -> int:
        """The last generation that was taken; 0 before the first."""
        item = self._get("generation", "generation")
        return 0 if item is None else int(item["value"])

    def take_generation(self) -> int:
        """A fencing token above all before it: max(previous + 1, Unix time in ms), also after a restore (R6)."""
        now = int(self._clock() * 1000)
        request: dict[str, Any] = {
            "TableName": self._name,
            "Key": self._item({"pk": "generation", "sk": "generation"}),
            "ExpressionAttributeNames": {"#value": "value"},
            "ReturnValues": "UPDATED_NEW",
        }
        with self._calling("UpdateItem"):
            try:
                answer = self._client.update_item(
                    **request,
                    UpdateExpression="SET #value = :now",
                    ConditionExpression="attribute_not_exists(pk) OR #value < :now",
                    ExpressionAttributeValues=self._item({":now": now}),
                )
            except ClientError as error:
                if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                    raise
                answer = self._client.update_item(
                    **request,
                    UpdateExpression="SET #value = #value + :one",
                    ExpressionAttributeValues=self._item({":one": 1}),
                )
        return int(answer["Attributes"]["value"]["N"])

    # -- registrations

    def register(
        self,
        wanted: Registration,
        pools: Sequence[Network],
        quarantine: float = QUARANTINE,
        check_mode: bool = False,
    ) -> tuple[Registration | None, Registration]:
        """Bring a device's registration to `wanted`, whatever it was before; for the rest as `change`."""
        device = (wanted.account_id, wanted.user_id, wanted.device)
        return self.change(device, lambda _before: wanted, pools, quarantine, check_mode)

    def change(
        self,
        device: tuple[str, str, str],
        wish: Callable[[Registration | None], Registration],
        pools: Sequence[Network],
        quarantine: float = QUARANTINE,
        check_mode: bool = False,
        limit: int | None = None,
    ) -> tuple[Registration | None, Registration]:
        """Make a registration, or change one; its addresses are chosen and kept here.

        :param device: (account_id, user_id, device).
        :param wish: what the registration is to be, from what it is; called again when somebody else changed it
            meanwhile, so no change is lost. Addresses and, but for a new one, `created_at` don't count. It may raise.
        :param quarantine: how long an address rests once it is given up, in seconds.
        :param limit: how many devices the user may have; None for as many as there are addresses.
        :returns: the registration before (None if new) and after.
        :raises RegistryError: the key is another device's, or the user has `limit` devices.
        :raises PoolError: no address is left.
        """
        for attempt in self._attempts():
            before = self.registration(*device)
            after, claims = self._with_addresses(wish(before), before, pools, attempt)
            if before is not None:
                after = after._replace(created_at=before.created_at)
            if check_mode:
                self._check_key(after)
            if before == after or check_mode:
                return before, after
            counted = [] if limit is None or before is not None else [self._count_device(after, limit, claims)]
            if self._transact([*self._register_writes(before, after, quarantine), *counted], after):
                return before, after
        raise _collided(after, "registered")

    def remove(
        self, registration: Registration, quarantine: float = QUARANTINE, unchanged: bool = False
    ) -> Registration | None:
        """Remove a device's registration; its key stays its user's, its addresses rest for `quarantine` seconds.

        :param unchanged: leave it if it isn't as given any more.
        :returns: the registration that was removed, None if there was none any more, or it was left.
        """
        for _attempt in self._attempts():
            found = self.registration(*registration.owner, registration.device)
            if found is None or (unchanged and found != registration):
                return None
            writes = [
                self._delete_registration(found),
                self._release_key(found),
                *(self._release_address(found, address, quarantine) for address in found.addresses),
            ]
            if self._transact(writes, found):
                return found
        raise _collided(registration, "removed")

    def _attempts(self) -> Iterator[int]:
        """Numbers of attempts, with pauses between in which those who collided part ways."""
        for attempt in range(_ATTEMPTS):
            if attempt:
                time.sleep(random.uniform(0, 0.02 * 2 ** min(attempt, 7)))
            yield attempt

    def _count_device(self, new: Registration, limit: int, claims: Iterable[dict[str, Any]]) -> dict[str, Any]:
        """The write that lets only one of a user's new devices through at a time, so that all are counted.

        :param claims: those of addresses, resting ones among them.
        """
        item = self._get("devices", _owner(new))
        version = 0 if item is None else int(item["version"])
        count = len(self.registrations_of(*new.owner))
        if count >= limit:
            raise RegistryError(
                f"{new.label} can't be registered: {new.user_name} has {count} devices, and {limit} are allowed; "
                "remove one first",
                "device_limit",
            )
        self._check_resting(new, limit, claims)
        return self._put(
            {"pk": "devices", "sk": _owner(new), "version": version + 1},
            "attribute_not_exists(pk) OR version = :version",
            {":version": version},
        )

    def _check_resting(self, new: Registration, limit: int, claims: Iterable[dict[str, Any]]) -> None:
        now, holder = self._clock(), f"{_owner(new)}/"
        times = [
            item["free_at"] for item in claims if item.get("free_at", 0) > now and item["holder"].startswith(holder)
        ]
        if len(times) >= _RESTING * limit:
            until = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(int(min(times))))
            raise RegistryError(
                f"{new.label} can't be registered: {len(times)} addresses of {new.user_name}'s removed devices rest, "
                f"the first until {until}; try again then",
                "too_many_removals",
            )

    def _with_addresses(
        self, wanted: Registration, before: Registration | None, pools: Sequence[Network], attempt: int
    ) -> tuple[Registration, list[dict[str, Any]]]:
        """`wanted` with its addresses, and the claims of addresses, if these had to be read."""
        kept = () if before is None else before.addresses
        nothing_taken: dict[str, bool] = {}
        if kept:
            stays = choose(pools, kept, nothing_taken)
            if set(stays) <= set(kept):
                return wanted._replace(addresses=stays), []
        now = self._clock()
        claims = list(self._query("claim", "address#"))
        taken = {
            item["sk"].partition("#")[2]: True for item in claims if "free_at" not in item or item["free_at"] > now
        }
        skip = 0 if attempt == 0 else random.randrange(64 * attempt)
        return wanted._replace(addresses=choose(pools, kept, taken, skip)), claims

    def _register_writes(
        self, before: Registration | None, after: Registration, quarantine: float
    ) -> list[dict[str, Any]]:
        item: dict[str, Any] = {
            "pk": "registration",
            "sk": _key(after),
            "user_name": after.user_name,
            "public_key": after.public_key,
            "addresses": list(after.addresses),
            "created_at": int(after.created_at),
        }
        if after.expires_at is not None:
            item["expires_at"] = int(after.expires_at)
        if after.renewed_at is not None:
            item["renewed_at"] = int(after.renewed_at)
        if after.handed_out:
            item["handed_out"] = True
        if before is None:
            writes = [self._put(item, "attribute_not_exists(pk)")]
        else:
            writes = [self._put(item, *_unchanged(before))]
        if before is None or before.public_key != after.public_key:
            writes.append(self._claim_key(after))
            if before is not None:
                writes.append(self._release_key(before))
        old = () if before is None else before.addresses
        writes += [self._claim_address(after, address) for address in after.addresses if address not in old]
        if before is not None:
            gone = [address for address in old if address not in after.addresses]
            writes += [self._release_address(before, address, quarantine) for address in gone]
        return writes

    def _claim_key(self, holder: Registration) -> dict[str, Any]:
        return self._put(
            {"pk": "claim", "sk": f"key#{holder.public_key}", "holder": _key(holder), "owner": _owner(holder)},
            "attribute_not_exists(pk) OR (#owner = :owner AND attribute_exists(released_at))",
            {":owner": _owner(holder)},
            {"#owner": "owner"},
        )

    def _claim_address(self, holder: Registration, address: str) -> dict[str, Any]:
        return self._put(
            {"pk": "claim", "sk": f"address#{address}", "holder": _key(holder)},
            "attribute_not_exists(pk) OR free_at <= :now",
            {":now": int(self._clock())},
        )

    def _release_key(self, holder: Registration) -> dict[str, Any]:
        return self._put(
            {
                "pk": "claim",
                "sk": f"key#{holder.public_key}",
                "holder": _key(holder),
                "owner": _owner(holder),
                "released_at": int(self._clock()),
            }
        )

    def _release_address(self, holder: Registration, address: str, quarantine: float) -> dict[str, Any]:
        free_at = int(self._clock() + quarantine)
        return self._put(
            {
                "pk": "claim",
                "sk": f"address#{address}",
                "holder": _key(holder),
                "free_at": free_at,
                "ttl": free_at,  # DynamoDB then deletes the claim; until it does, free_at decides
            }
        )

    def _transact(self, writes: list[dict[str, Any]], registration: Registration) -> bool:
        """All of the writes or none; False when others came first and trying again makes sense."""
        with self._calling("TransactWriteItems"):
            try:
                self._client.transact_write_items(TransactItems=writes)  # type: ignore[arg-type]  # built as plain dicts
                return True
            except ClientError as error:
                if error.response["Error"]["Code"] != "TransactionCanceledException":
                    raise
        self._check_key(registration)
        return False

    def _check_key(self, registration: Registration) -> None:
        claim = self._get("claim", f"key#{registration.public_key}")
        if claim is None or claim["holder"] == _key(registration):
            return
        if claim["owner"] == _owner(registration) and "released_at" in claim:
            return
        account_id, user_id, device = claim["holder"].split("/")
        holder = self.registration(account_id, user_id, device)
        name = holder.label if holder is not None else f"a removed device ({device}) of user id {user_id}"
        raise RegistryError(
            f"the public key of {registration.label} is already held by {name} (account {account_id}, {user_id}); "
            "a key is for one device: make a new one on this device with `wg genkey`",
            "key_held",
        )

    # -- what confirms a revocation

    def write_tombstone(self, tombstone: Tombstone) -> None:
        """Idempotent: an event that comes again changes nothing, also when the stored sweep forgot its user by then."""
        item: dict[str, Any] = {
            "pk": "tombstone",
            "sk": f"{tombstone.account_id}/{tombstone.event_id}",
            "user_name": tombstone.user_name,
            "event_time": int(tombstone.event_time),
            "ttl": int(tombstone.event_time + TOMBSTONE_LIFE),
        }
        if tombstone.user_id is not None:
            item["user_id"] = tombstone.user_id
        self._write_if(
            item, "attribute_not_exists(pk) OR event_time < :event_time", {":event_time": item["event_time"]}
        )

    def block(self, block: Block) -> None:
        """Write a block; an earlier one of the same user or device is replaced."""
        sk = f"{block.account_id}/{block.user_id}" + (f"/{block.device}" if block.device else "")
        self._write({"pk": "block", "sk": sk, "reason": block.reason, "created_at": int(block.created_at)})

    def unblock(self, block: Block) -> None:
        """Delete a block; nothing happens if there is none."""
        sk = f"{block.account_id}/{block.user_id}" + (f"/{block.device}" if block.device else "")
        with self._calling("DeleteItem"):
            self._client.delete_item(TableName=self._name, Key=self._item({"pk": "block", "sk": sk}))

    def write_sign(self, sign: Sign) -> None:
        """Write an early sign, unless a later one of the same user is there."""
        times = {"event_time": int(sign.event_time), "ttl": int(sign.event_time + SIGN_LIFE)}
        self._write_if(
            {"pk": "sign", "sk": f"{sign.account_id}/{sign.user_id}", "event_name": sign.event_name, **times},
            "attribute_not_exists(pk) OR event_time < :event_time",
            {":event_time": times["event_time"]},
        )

    def forget_sign(self, sign: Sign) -> None:
        """Delete an early sign, unless a later one of the user came meanwhile."""
        key = {"pk": "sign", "sk": f"{sign.account_id}/{sign.user_id}"}
        with self._calling("DeleteItem"):
            try:
                self._client.delete_item(
                    TableName=self._name,
                    Key=self._item(key),
                    ConditionExpression="event_time <= :event_time",
                    ExpressionAttributeValues=self._item({":event_time": int(sign.event_time)}),
                )
            except ClientError as error:
                if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                    raise

    # -- receipts

    def record(self, receipts: Sequence[Receipt]) -> None:
        """Write receipts, and only then that their gateways may forget the removals. Idempotent."""
        self._write_all([_receipt_item(receipt) for receipt in receipts])
        forgettable: dict[str, list[str]] = {}
        for receipt in receipts:
            forgettable.setdefault(receipt.gateway, []).append(receipt.removal_id)
        self._write_all([{"pk": "recorded", "sk": gateway, "removal_ids": ids} for gateway, ids in forgettable.items()])

    def recorded(self) -> dict[str, list[str]]:
        """By gateway, the ids of the removals that it returned last and whose receipts are written."""
        return {item["sk"]: item["removal_ids"] for item in self._query("recorded")}

    def receipts(self, since: float = 0) -> list[Receipt]:
        """The receipts of all removals at or after a time, the earliest first."""
        return [_receipt(item) for item in self._query("receipt", start=_utc(since))]

    # -- sweeps

    def store_sweep(self, sweep: Sweep, generation: int) -> None:
        """Keep a complete sweep as its account's last one, unless a later run already stored its own."""
        data = _pack_sweep(sweep)
        item = {
            "pk": "sweep",
            "sk": sweep.account_id,
            "begun_at": int(sweep.begun_at),
            "generation": generation,
            "data": data,
        }
        if len(data) > _MAX_ITEM:
            raise RegistryError(
                f"the sweep of account {sweep.account_id} has {len(sweep.users)} users and doesn't fit one item "
                f"({len(data)} bytes of {_MAX_ITEM}); report this"
            )
        self._write_if(item, "attribute_not_exists(pk) OR generation < :generation", {":generation": generation})

    def store_granted(self, granted: Granted, generation: int) -> None:
        """Keep what a run decided by, beside the sweeps, unless a later run already stored its own."""
        item = {"pk": "sweep", "sk": _GRANTED, "generation": generation, **_granted_item(granted)}
        self._write_if(item, "attribute_not_exists(pk) OR generation < :generation", {":generation": generation})

    # -- the whole table

    def items(self) -> list[dict[str, Any]]:
        """Every item, in the order of pk and sk. Others may write while it is read; see backup.check_whole."""
        found: list[dict[str, Any]] = []
        request: dict[str, Any] = {"TableName": self._name, "ConsistentRead": True}
        while True:
            with self._calling("Scan"):
                page = self._client.scan(**request)
            found += [self._plain(item) for item in page["Items"]]
            if "LastEvaluatedKey" not in page:
                return sorted(found, key=itemgetter("pk", "sk"))
            request["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def restore(self, items: Sequence[dict[str, Any]], check_mode: bool = False) -> int:
        """Write items into an empty table, or into one that an interrupted call with the same items left.

        :returns: how many weren't there.
        :raises RegistryError: the table holds something else.
        """
        missing = self._missing(items, "nothing was written; import into a new, empty table")
        if missing and not check_mode:
            # registrations last: without all blocks and tombstones they could let in who is to stay out (R4)
            self._write_all([item for item in missing if item["pk"] != "registration"])
            self._write_all([item for item in missing if item["pk"] == "registration"])
            lost = self._missing(items, "something writes to it meanwhile; stop that, and import into a new table")
            if any(item.get("ttl", math.inf) > self._clock() for item in lost):  # DynamoDB may delete others at once
                raise RegistryError(f"{len(lost)} items aren't in table {self._name} after all; run it again")
        return len(missing)

    def _missing(self, items: Sequence[dict[str, Any]], advice: str) -> list[dict[str, Any]]:
        """Those that the table doesn't have; RegistryError if it has any others."""
        wanted = {(item["pk"], item["sk"]): item for item in items}
        found = {(item["pk"], item["sk"]): item for item in self.items()}
        others = [item for key, item in found.items() if item != wanted.get(key)]
        if others:
            kinds = ", ".join(f"{kind}: {count}" for kind, count in counts(others).items())
            raise RegistryError(f"table {self._name} holds items that the import doesn't have ({kinds}): {advice}")
        return [item for key, item in wanted.items() if key not in found]

    # -- DynamoDB's wire form

    def _calling(self, operation: str) -> Any:
        return calling(f"dynamodb:{operation}", f"table {self._name}")

    def _query(self, pk: str, prefix: str = "", start: str = "") -> Iterable[dict[str, Any]]:
        """Items in the order of their sk: all, those that begin with `prefix`, or those from `start` on."""
        conditions = {"pk = :pk": pk, "begins_with(sk, :sk)": prefix, "sk >= :sk": start}
        values = {":pk": pk, ":sk": prefix or start}
        request: dict[str, Any] = {
            "TableName": self._name,
            "ConsistentRead": True,
            "KeyConditionExpression": " AND ".join(condition for condition, value in conditions.items() if value),
            "ExpressionAttributeValues": self._item({name: value for name, value in values.items() if value}),
        }
        while True:
            with self._calling("Query"):
                page = self._client.query(**request)
            for item in page["Items"]:
                yield {name: wire_value(value, self._deserialize) for name, value in item.items()}
            if "LastEvaluatedKey" not in page:
                return
            request["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def _get(self, pk: str, sk: str) -> dict[str, Any] | None:
        with self._calling("GetItem"):
            answer = self._client.get_item(
                TableName=self._name, Key=self._item({"pk": pk, "sk": sk}), ConsistentRead=True
            )
        return self._plain(answer["Item"]) if "Item" in answer else None

    def _write(self, item: dict[str, Any]) -> None:
        with self._calling("PutItem"):
            self._client.put_item(TableName=self._name, Item=self._item(item))

    def _write_if(self, item: dict[str, Any], condition: str, values: dict[str, Any]) -> None:
        """Write an item if the condition holds of the one that is there; otherwise nothing happens."""
        with self._calling("PutItem"):
            try:
                self._client.put_item(
                    TableName=self._name,
                    Item=self._item(item),
                    ConditionExpression=condition,
                    ExpressionAttributeValues=self._item(values),
                )
            except ClientError as error:
                if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                    raise

    def _write_all(self, items: Sequence[dict[str, Any]]) -> None:
        """Write items of different keys, whatever was there before; DynamoDB may leave some for another request."""
        puts: list[Any] = [{"PutRequest": {"Item": self._item(item)}} for item in items]
        for attempt in range(len(puts) // _MAX_BATCH + _ATTEMPTS):
            if not puts:
                return
            with self._calling("BatchWriteItem"):
                answer = self._client.batch_write_item(RequestItems={self._name: puts[:_MAX_BATCH]})
            left = answer["UnprocessedItems"].get(self._name, [])
            if left:
                time.sleep(random.uniform(0, 0.02 * 2 ** min(attempt, 6)))
            puts = [*left, *puts[_MAX_BATCH:]]
        if puts:
            raise RegistryError(f"table {self._name} takes no more writes, {len(puts)} are left; run it again")

    def _put(
        self,
        item: dict[str, Any],
        condition: str = "",
        values: dict[str, Any] | None = None,
        names: dict[str, str] | None = None,
    ) -> dict[str, Any]:
        put: dict[str, Any] = {"TableName": self._name, "Item": self._item(item)}
        if condition:
            put["ConditionExpression"] = condition
        if values:
            put["ExpressionAttributeValues"] = self._item(values)
        if names:
            put["ExpressionAttributeNames"] = names
        return {"Put": put}

    def _delete_registration(self, registration: Registration) -> dict[str, Any]:
        condition, values = _unchanged(registration)
        return {
            "Delete": {
                "TableName": self._name,
                "Key": self._item({"pk": "registration", "sk": _key(registration)}),
                "ConditionExpression": condition,
                "ExpressionAttributeValues": self._item(values),
            }
        }

    def _item(self, plain: dict[str, Any]) -> dict[str, Any]:
        return {name: self._serialize(value) for name, value in plain.items()}

    def _plain(self, item: Mapping[str, Any]) -> dict[str, Any]:
        return {name: self._deserialize(value) for name, value in item.items()}


def wire_value(typed: Any, deserialize: Callable[[Any], Any]) -> Any:
    """What an attribute in DynamoDB's JSON holds.

    :param deserialize: boto3's TypeDeserializer, which would have a binary value decoded before.
    """
    ((kind, value),) = typed.items()
    if kind == "S":
        return value
    if kind == "L":
        return [wire_value(element, deserialize) for element in value]
    if kind == "B":
        typed = {kind: base64.b64decode(value)}
    return deserialize(typed)


def _keep_items(response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_unused: Any) -> None:
    """Take a page's items as its JSON has them: the SDK parses 20,000 by its model of the service in 2 s.

    What isn't such a page is left to the SDK, which raises what it always does.
    """
    if response_dict["status_code"] != 200:
        return
    try:
        page = json.loads(response_dict["body"])
        customized_response_dict["Items"] = page.pop("Items")
    except (ValueError, KeyError, AttributeError):
        return
    response_dict["body"] = json.dumps(page).encode()


def _owner(registration: Registration) -> str:
    return f"{registration.account_id}/{registration.user_id}"


def _key(registration: Registration) -> str:
    return f"{_owner(registration)}/{registration.device}"


def _unchanged(registration: Registration) -> tuple[str, dict[str, Any]]:
    """The condition, and its values, that an item is still that registration in all that a change can touch."""
    condition = "public_key = :key AND addresses = :addresses AND "
    values: dict[str, Any] = {":key": registration.public_key, ":addresses": list(registration.addresses)}
    if registration.expires_at is None:
        return condition + "attribute_not_exists(expires_at)", values
    return condition + "expires_at = :expires_at", {**values, ":expires_at": int(registration.expires_at)}


def _collided(registration: Registration, done: str) -> RegistryError:
    return RegistryError(
        f"{registration.label} could not be {done}: {_ATTEMPTS} attempts collided with other changes; "
        "nothing was written, run it again",
        "collided",
    )


def _registration(item: dict[str, Any]) -> Registration:
    account_id, user_id, device = item["sk"].split("/")
    return Registration(
        account_id=account_id,
        user_id=user_id,
        device=device,
        user_name=item.get("user_name", "?"),
        public_key=item.get("public_key", ""),
        addresses=tuple(item.get("addresses", ())),
        created_at=float(item.get("created_at", 0)),
        expires_at=float(item["expires_at"]) if "expires_at" in item else None,
        renewed_at=float(item["renewed_at"]) if "renewed_at" in item else None,
        handed_out=bool(item.get("handed_out", False)),
    )


def _tombstone(item: dict[str, Any]) -> Tombstone:
    account_id, _slash, event_id = item["sk"].partition("/")
    return Tombstone(account_id, event_id, item["user_name"], item.get("user_id"), float(item["event_time"]))


def _block(item: dict[str, Any]) -> Block:
    account_id, user_id, *device = item["sk"].split("/")
    return Block(account_id, user_id, device[0] if device else None, item["reason"], float(item["created_at"]))


def _sign(item: dict[str, Any]) -> Sign:
    account_id, _slash, user_id = item["sk"].partition("/")
    return Sign(account_id, user_id, item["event_name"], float(item["event_time"]))


def _receipt_item(receipt: Receipt) -> dict[str, Any]:
    known = {name: value for name, value in receipt._asdict().items() if value is not None}
    return {"pk": "receipt", "sk": f"{_utc(receipt.removed_at)}/{receipt.gateway}/{receipt.removal_id}", **known}


def _receipt(item: dict[str, Any]) -> Receipt:
    values = [item.get(name) for name in Receipt._fields]
    return Receipt._make(int(value) if isinstance(value, Decimal) else value for value in values)


def _utc(seconds: float) -> str:
    """A time as keys have it: in the order of time."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def _pack_sweep(sweep: Sweep) -> bytes:
    """What decides (ids, names, groups, times), compressed: 5,000 users must fit one item."""
    groups = sorted({group for user in sweep.users.values() for group in user.groups})
    index = {group: number for number, group in enumerate(groups)}
    users = [
        [user.user_id, user.user_name, int(user.created_at), [index[group] for group in user.groups]]
        for user in sweep.users.values()
    ]
    return zlib.compress(json.dumps({"groups": groups, "users": users}, separators=(",", ":")).encode(), 6)


def _unpack_sweep(item: dict[str, Any]) -> Sweep:
    try:
        packed = json.loads(zlib.decompress(bytes(item["data"])))
        users = {
            user_id: User(
                item["sk"], user_id, user_name, float(created_at), tuple(packed["groups"][index] for index in groups)
            )
            for user_id, user_name, created_at, groups in packed["users"]
        }
    except (KeyError, ValueError, TypeError, IndexError, zlib.error) as error:
        raise AWSCallError(
            f"the stored sweep of account {item['sk']} can't be read ({error}); "
            "delete that item (pk `sweep`) after checking that IAM is well, the next run stores a new one"
        ) from None
    return Sweep(item["sk"], float(item["begun_at"]), users)


def _granted_item(granted: Granted) -> dict[str, Any]:
    return {
        "accounts": list(granted.accounts),
        "grants": [{"groups": sorted(grant.groups), "accounts": sorted(grant.accounts)} for grant in granted.grants],
        "pools": list(granted.pools),
    }


def _granted(item: dict[str, Any]) -> Granted:
    grants = (Grant(frozenset(grant["groups"]), frozenset(grant["accounts"])) for grant in item["grants"])
    return Granted(tuple(item["accounts"]), tuple(grants), tuple(item["pools"]))


# by pk, what reads an item of that kind
_READERS: dict[str, Callable[[dict[str, Any]], object]] = {
    "registration": _registration,
    "claim": itemgetter("holder"),
    "devices": lambda item: int(item["version"]),
    "block": _block,
    "tombstone": _tombstone,
    "sign": _sign,
    "receipt": _receipt,
    "recorded": itemgetter("removal_ids"),
    "sweep": lambda item: _granted(item) if item["sk"] == _GRANTED else _unpack_sweep(item),
    "generation": lambda item: int(item["value"]),
}


def check_item(item: dict[str, Any]) -> None:
    """Refuse an item that a run couldn't read.

    :raises ValueError, KeyError, TypeError, AttributeError, AWSCallError: it isn't one of the registry's.
    """
    if item["pk"] not in _READERS:
        raise ValueError(f"its pk is {item['pk']!r}, expected one of {', '.join(_READERS)}")
    if not isinstance(item["sk"], str) or not item["sk"]:
        raise ValueError(f"its sk is {item['sk']!r}, expected a text")
    _READERS[item["pk"]](item)


def counts(items: Iterable[dict[str, Any]]) -> dict[str, int]:
    """How many there are of each kind."""
    return dict(sorted(Counter(item["pk"] for item in items).items()))
