# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The registry's items: what each kind holds, and how a record is written to one and read from it. Pure.

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
| `recorded`     | `GATEWAY`                        | removal_ids that are acknowledged: the gateway may forget them |
| `sweep`        | `ACCOUNT`                        | the last complete sweep, compressed; begun_at, generation      |
| `sweep`        | `granted`                        | what the last run decided by: accounts, grants, pools          |
| `generation`   | `generation`                     | value                                                          |

Times are seconds since the epoch. DynamoDB deletes an item some time, hours or days, after its ttl.
"""

from __future__ import annotations

import json
import time
import zlib
from collections import Counter
from decimal import Decimal
from operator import itemgetter
from typing import Callable, Iterable

from ..access import Granted, granting_groups
from ..aws import AWSCallError
from ..model import Block, Owner, Receipt, Registration, Sign, Sweep, Tombstone, User
from ..timespan import DAY
from .dynamodb import Item, RegistryError

TOMBSTONE_LIFE = 120 * DAY  # R4, confirmed revocation: known for at least 90 days
SIGN_LIFE = 30 * DAY
GRANTED = "granted"  # the sk of what a run decided by: among the sweeps, so that one query reads both
_MAX_SWEEP = 390_000  # bytes; DynamoDB's limit is 400 KB for an item


def user_key(owner: Owner) -> str:
    """Return a user as keys have it."""
    account_id, user_id = owner
    return f"{account_id}/{user_id}"


def device_key(registration: Registration) -> str:
    """Return a device as keys and claims have it."""
    return f"{user_key(registration.owner)}/{registration.device}"


def registration_item(registration: Registration) -> Item:
    """Return the item of a registration."""
    item: Item = {
        "pk": "registration",
        "sk": device_key(registration),
        "user_name": registration.user_name,
        "public_key": registration.public_key,
        "addresses": list(registration.addresses),
        "created_at": int(registration.created_at),
    }
    if registration.expires_at is not None:
        item["expires_at"] = int(registration.expires_at)
    if registration.renewed_at is not None:
        item["renewed_at"] = int(registration.renewed_at)
    if registration.handed_out:
        item["handed_out"] = True
    return item


def read_registration(item: Item) -> Registration:
    """Read a registration; one that lacks an attribute is read all the same, for the decision to leave out."""
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


def tombstone_item(tombstone: Tombstone) -> Item:
    """Return the item of a tombstone."""
    item: Item = {
        "pk": "tombstone",
        "sk": f"{tombstone.account_id}/{tombstone.event_id}",
        "user_name": tombstone.user_name,
        "event_time": int(tombstone.event_time),
        "ttl": int(tombstone.event_time + TOMBSTONE_LIFE),
    }
    if tombstone.user_id is not None:
        item["user_id"] = tombstone.user_id
    return item


def read_tombstone(item: Item) -> Tombstone:
    """Read a tombstone."""
    account_id, _slash, event_id = item["sk"].partition("/")
    return Tombstone(account_id, event_id, item["user_name"], item.get("user_id"), float(item["event_time"]))


def block_key(block: Block) -> str:
    """Return the sk of a block."""
    user = user_key((block.account_id, block.user_id))
    return f"{user}/{block.device}" if block.device else user


def block_item(block: Block) -> Item:
    """Return the item of a block."""
    return {"pk": "block", "sk": block_key(block), "reason": block.reason, "created_at": int(block.created_at)}


def read_block(item: Item) -> Block:
    """Read a block."""
    account_id, user_id, *device = item["sk"].split("/")
    return Block(account_id, user_id, device[0] if device else None, item["reason"], float(item["created_at"]))


def sign_item(sign: Sign) -> Item:
    """Return the item of an early sign."""
    return {
        "pk": "sign",
        "sk": user_key((sign.account_id, sign.user_id)),
        "event_name": sign.event_name,
        "event_time": int(sign.event_time),
        "ttl": int(sign.event_time + SIGN_LIFE),
    }


def read_sign(item: Item) -> Sign:
    """Read an early sign."""
    account_id, _slash, user_id = item["sk"].partition("/")
    return Sign(account_id, user_id, item["event_name"], float(item["event_time"]))


def receipt_key(removed_at: float) -> str:
    """Return the beginning of receipts' sk: a time, in the order of time."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(removed_at))


def receipt_item(receipt: Receipt) -> Item:
    """Return the item of a receipt."""
    known = {name: value for name, value in receipt._asdict().items() if value is not None}
    sk = f"{receipt_key(receipt.removed_at)}/{receipt.gateway}/{receipt.removal_id}"
    return {"pk": "receipt", "sk": sk, **known}


def read_receipt(item: Item) -> Receipt:
    """Read a receipt."""
    values = [item.get(name) for name in Receipt._fields]
    return Receipt._make(int(value) if isinstance(value, Decimal) else value for value in values)


def sweep_item(sweep: Sweep, generation: int) -> Item:
    """Return the item of a complete sweep: what decides (ids, names, groups, times), compressed.

    :raises RegistryError: the users don't fit one item; 5,000 do.
    """
    data = _packed(sweep)
    if len(data) > _MAX_SWEEP:
        raise RegistryError(
            f"the sweep of account {sweep.account_id} has {len(sweep.users)} users and doesn't fit one item "
            f"({len(data)} bytes of {_MAX_SWEEP}); report this"
        )
    return {
        "pk": "sweep",
        "sk": sweep.account_id,
        "begun_at": int(sweep.begun_at),
        "generation": generation,
        "data": data,
    }


def _packed(sweep: Sweep) -> bytes:
    groups = sorted({group for user in sweep.users.values() for group in user.groups})
    index = {group: number for number, group in enumerate(groups)}
    users = [
        [user.user_id, user.user_name, int(user.created_at), [index[group] for group in user.groups]]
        for user in sweep.users.values()
    ]
    return zlib.compress(json.dumps({"groups": groups, "users": users}, separators=(",", ":")).encode(), 6)


def read_sweep(item: Item) -> Sweep:
    """Read an account's last complete sweep.

    :raises AWSCallError: it can't be read; saying what to do.
    """
    account_id = item["sk"]
    try:
        packed = json.loads(zlib.decompress(bytes(item["data"])))
        users = {
            user_id: User(
                account_id, user_id, user_name, float(created_at), tuple(packed["groups"][index] for index in groups)
            )
            for user_id, user_name, created_at, groups in packed["users"]
        }
    except (KeyError, ValueError, TypeError, IndexError, zlib.error) as error:
        raise AWSCallError(
            f"the stored sweep of account {account_id} can't be read ({error}); "
            "delete that item (pk `sweep`) after checking that IAM is well, the next run stores a new one"
        ) from None
    return Sweep(account_id, float(item["begun_at"]), users)


def granted_item(granted: Granted, generation: int) -> Item:
    """Return the item of what a run decided by."""
    grants = [{"groups": sorted(groups), "accounts": [account]} for account, groups in sorted(granted.granting.items())]
    return {
        "pk": "sweep",
        "sk": GRANTED,
        "generation": generation,
        "accounts": list(granted.accounts),
        "grants": grants,
        "pools": list(granted.pools),
    }


def read_granted(item: Item) -> Granted:
    """Read what a run decided by."""
    return Granted(
        accounts=tuple(item["accounts"]),
        granting=granting_groups((grant["groups"], grant["accounts"]) for grant in item["grants"]),
        pools=tuple(item["pools"]),
    )


def acknowledged_item(gateway: str, removal_ids: Iterable[str]) -> Item:
    """Return the item of the removals whose receipts are there, for their gateway to forget."""
    return {"pk": "recorded", "sk": gateway, "removal_ids": list(removal_ids)}


_READERS: dict[str, Callable[[Item], object]] = {
    "registration": read_registration,
    "claim": itemgetter("holder"),
    "devices": lambda item: int(item["version"]),
    "block": read_block,
    "tombstone": read_tombstone,
    "sign": read_sign,
    "receipt": read_receipt,
    "recorded": itemgetter("removal_ids"),
    "sweep": lambda item: read_granted(item) if item["sk"] == GRANTED else read_sweep(item),
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
