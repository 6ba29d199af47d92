# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Devices' registrations, and the transactions that change one together with its claims of a key and of addresses.

A key belongs to its user, also for 90 days after its device is removed or got another one: only the same user can
register it again (R1, identity; R9, one key, one device). A freed address rests before it is given to another device.
"""

from __future__ import annotations

import random
import time
from typing import Any, Callable, Iterator, Mapping, NamedTuple, Sequence

from ..addresses import Network, choose
from ..model import Device, Owner, Registration, Removed
from ..timespan import DAY
from .dynamodb import ATTEMPTS, Delete, Item, Put, RegistryError, RegistryErrorCode, Table, Write
from .items import (
    UNREADABLE,
    device_key,
    device_of,
    read_registration,
    read_removed,
    readable,
    registration_item,
    removed_item,
    user_key,
)
from .quotas import Quota, check_devices, check_resting, count, free_at

QUARANTINE = 7 * DAY  # that a freed address rests
_KEY_KEPT = 90 * DAY  # that a key stays its user's once given up, as long as the record of a removed registration


class Choice(NamedTuple):
    """Addresses for a device, and the claims of addresses that were read to choose them."""

    addresses: tuple[str, ...]
    claims: list[Item]


class RegisteredDevices:
    """The registrations in a table."""

    def __init__(self, table: Table, clock: Callable[[], float] = time.time) -> None:
        self._table = table
        self._clock = clock

    def registrations(self) -> list[Registration]:
        """List all registrations, in no order."""
        return list(readable(self._table.query("registration"), read_registration))

    def removed(self) -> list[Removed]:
        """List the records of removed registrations, in no order."""
        return list(readable(self._table.query("removed"), read_removed))

    def registrations_of(self, owner: Owner) -> list[Registration]:
        """List one user's registrations, ordered by device."""
        return list(readable(self._table.query("registration", f"{user_key(owner)}/"), read_registration))

    def registration(self, owner: Owner, device: str) -> Registration | None:
        """Return one device's registration, or None if it isn't registered.

        One that can't be read is what its claims hold, and is over: it can be removed or replaced, and lets nobody in.
        """
        return self._present(owner, device)[0]

    def _present(self, owner: Owner, device: str) -> tuple[Registration | None, Item]:
        item = self._table.get("registration", f"{user_key(owner)}/{device}")
        if item is None:
            return None, {}
        try:
            return read_registration(item), item
        except UNREADABLE:
            return self._salvaged(owner, device, item), item

    def _salvaged(self, owner: Owner, device: str, item: Item) -> Registration:
        holder = f"{user_key(owner)}/{device}"
        held = [
            claim["sk"].partition("#")
            for claim in self._table.query("claim")
            if claim.get("holder") == holder and not claim.keys() & {"released_at", "free_at"}
        ]
        keys = [name for kind, _hash, name in held if kind == "key"]
        return Registration(
            *owner,
            device,
            user_name=str(item.get("user_name", "?")),
            public_key=next(iter(keys), ""),
            addresses=tuple(name for kind, _hash, name in held if kind == "address"),
            created_at=int(self._clock()),
            expires_at=0,  # long over, whatever the clock of who asks
            handed_out=bool(item.get("handed_out", False)),
        )

    def register(
        self,
        wanted: Registration,
        pools: Sequence[Network],
        *,
        quarantine: float = QUARANTINE,
        check_mode: bool = False,
    ) -> tuple[Registration | None, Registration]:
        """Make a device's registration `wanted`, whatever it was before; for the rest as `change`."""
        return self.change(
            wanted.owner,
            wanted.device,
            lambda _before: wanted,
            pools,
            quarantine=quarantine,
            check_mode=check_mode,
        )

    def change(
        self,
        owner: Owner,
        device: str,
        wish: Callable[[Registration | None], Registration],
        pools: Sequence[Network],
        *,
        quarantine: float = QUARANTINE,
        check_mode: bool = False,
        quota: Quota | None = None,
    ) -> tuple[Registration | None, Registration]:
        """Make a registration, or change one; its addresses are chosen and kept here.

        :param wish: what the registration is to be, from what it is; called again when somebody else changed it
            meanwhile, so no change is lost. Addresses and, but for a new one, `created_at` don't count. It may raise.
        :param quarantine: how long an address rests once it is given up, in seconds.
        :param quota: None for an operator, who has none.
        :returns: the registration before (None if new) and after.
        :raises RegistryError: the key is another device's, or the user's quota is used up.
        :raises PoolError: no address is left.
        """
        for attempt in _attempts():
            before, item = self._present(owner, device)
            wanted = wish(before)
            choice = self._choose(before, pools, attempt)
            after = wanted._replace(addresses=choice.addresses)
            if before is not None:
                after = after._replace(created_at=before.created_at)
                if after._replace(by=before.by) == before:  # who asks for what is there already changes nothing
                    after = before
            if check_mode:
                self._check_key(after)
            if before == after or check_mode:
                return before, after
            writes = self._writes(before, after, item, quarantine)
            if quota is not None and (before is None or before.public_key != after.public_key):
                writes.append(self._count(before, after, quota, pools, choice.claims))
            if self._table.transact(writes):
                return before, after
            self._check_key(after)
        raise _collided(after, "registered")

    def remove(
        self,
        registration: Registration,
        *,
        quarantine: float = QUARANTINE,
        unchanged: bool = False,
        by: str | None = None,
        reason: str | None = None,
    ) -> Registration | None:
        """Remove a device's registration; its key stays its user's, its addresses rest for `quarantine` seconds.

        :param by: the ARN of who removes it, for the record, as is `reason`.
        :param unchanged: leave it if it isn't as given any more.
        :returns: the registration that was removed, None if there was none any more, or it was left.
        """
        for _attempt in _attempts():
            present, item = self._present(registration.owner, registration.device)
            if present is None or (unchanged and present != registration):
                return None
            writes: list[Write] = [
                Delete("registration", device_key(present), *_unchanged(item)),
                *self._release_key(present),
                *(self._release_address(present, address, quarantine) for address in present.addresses),
                Put(removed_item(present, self._clock(), by, reason)),
            ]
            if self._table.transact(writes):
                return present
        raise _collided(registration, "removed")

    def confirm(self, device: Device, public_key: str, *, check_mode: bool = False) -> bool:
        """Have a handout live on, since somebody has used its key.

        :returns: whether it is one that nobody had used, and has this key.
        """
        account_id, user_id, name = device
        if check_mode:
            present = self.registration((account_id, user_id), name)
            return present is not None and present.confirmed_end is not None and present.public_key == public_key
        condition = "attribute_exists(confirmed_end) AND public_key = :key"
        change = "SET expires_at = confirmed_end REMOVE confirmed_end"
        sk = f"{user_key((account_id, user_id))}/{name}"
        return self._table.update("registration", sk, change, {"key": public_key}, condition) is not None

    def relabel(self, registration: Registration) -> None:
        """Write the name that a registration's user has now; nothing happens if it was removed meanwhile."""
        condition, values = "attribute_exists(pk)", {"name": registration.user_name}
        self._table.update("registration", device_key(registration), "SET user_name = :name", values, condition)

    def reserve_key(self, public_key: str, holder: Item) -> None:
        """Claim a public key for what is no device, together with the item that says for what.

        :raises RegistryError: a device has it.
        """
        name = f"{holder['pk']}/{holder['sk']}"
        claim = {"pk": "claim", "sk": f"key#{public_key}", "holder": name, "owner": name, "released_at": 0}
        is_free = Put(claim, "attribute_not_exists(pk) OR #owner = :owner", {"owner": name})
        if not self._table.transact([is_free, Put(holder)]):
            raise RegistryError(
                f"the public key of {name} is registered for a device: remove that device (`registrations_info` has "
                "its key), and run this again"
            )

    # -- addresses

    def _choose(self, before: Registration | None, pools: Sequence[Network], attempt: int) -> Choice:
        """Choose addresses; claims are read only if the device's own don't do."""
        kept = () if before is None else before.addresses
        if kept:
            nothing_taken: dict[str, bool] = {}
            addresses = choose(pools, kept, nothing_taken)
            if set(addresses) <= set(kept):
                return Choice(addresses, [])
        now = self._clock()
        claims = list(self._table.query("claim", "address#"))
        taken = {item["sk"].partition("#")[2] for item in claims if free_at(item) > now}
        skip = 0 if attempt == 0 else random.randrange(64 * attempt)
        return Choice(choose(pools, kept, taken, skip), claims)

    def _claim_address(self, holder: Registration, address: str) -> Put:
        return Put(
            {"pk": "claim", "sk": f"address#{address}", "holder": device_key(holder)},
            "attribute_not_exists(pk) OR free_at <= :now",
            {"now": int(self._clock())},
        )

    def _release_address(self, holder: Registration, address: str, quarantine: float) -> Put:
        claim = {"pk": "claim", "sk": f"address#{address}", "holder": device_key(holder)}
        return Put({**claim, **_freed(int(self._clock() + quarantine))})

    # -- keys

    def _claim_key(self, holder: Registration) -> Put:
        return Put(
            _key_claim(holder),
            "attribute_not_exists(pk) OR (#owner = :owner AND attribute_exists(released_at)) OR free_at <= :now",
            {"owner": user_key(holder.owner), "now": int(self._clock())},
        )

    def _release_key(self, holder: Registration) -> list[Put]:
        if not holder.public_key:  # of a registration that can't be read, and whose key nobody claims
            return []
        now = int(self._clock())
        return [Put({**_key_claim(holder), "released_at": now, **_freed(now + _KEY_KEPT)})]

    def _check_key(self, registration: Registration) -> None:
        """Refuse a registration whose key is another device's.

        :raises RegistryError: naming the device.
        """
        claim = self._table.get("claim", f"key#{registration.public_key}")
        if claim is None or claim.get("holder") == device_key(registration) or free_at(claim) <= self._clock():
            return
        if claim.get("owner") == user_key(registration.owner) and "released_at" in claim:
            return
        holder_key = str(claim.get("holder", "?"))
        if holder_key.startswith("gateway/") or holder_key.count("/") != 2:  # a claim that can't be read holds, too
            raise RegistryError(
                f"the public key of {registration.label} is that of {holder_key}: make a key on this device with "
                "`wg genkey`",
                RegistryErrorCode.KEY_HELD,
            )
        account_id, user_id, device = device_of(holder_key)
        holder = self.registration((account_id, user_id), device)
        name = holder.label if holder is not None else f"a removed device ({device}) of user id {user_id}"
        raise RegistryError(
            f"the public key of {registration.label} is already held by {name} (account {account_id}, {user_id}); "
            "a key is for one device: make a new one on this device with `wg genkey`",
            RegistryErrorCode.KEY_HELD,
        )

    # -- transactions

    def _writes(
        self, before: Registration | None, after: Registration, present: Item, quarantine: float
    ) -> list[Write]:
        """List the writes that change a registration, with its claims. :param present: its item as it is."""
        if before is None:
            return [
                Put(registration_item(after), "attribute_not_exists(pk)"),
                Delete("removed", device_key(after)),
                self._claim_key(after),
                *(self._claim_address(after, address) for address in after.addresses),
            ]
        writes: list[Write] = [Put(registration_item(after), *_unchanged(present))]
        if before.public_key != after.public_key:
            writes += [self._claim_key(after), *self._release_key(before)]
        gained = [address for address in after.addresses if address not in before.addresses]
        lost = [address for address in before.addresses if address not in after.addresses]
        writes += [self._claim_address(after, address) for address in gained]
        writes += [self._release_address(before, address, quarantine) for address in lost]
        return writes

    def _count(
        self,
        before: Registration | None,
        after: Registration,
        quota: Quota,
        pools: Sequence[Network],
        claims: Sequence[Item],
    ) -> Put:
        """Count a user's devices and changes: the write lets only one through at a time, so that none is missed.

        :param claims: those of addresses, resting ones among them; of a new device.
        """
        item = self._table.get("devices", user_key(after.owner)) or {}  # before what it counts is read
        if before is None:
            check_devices(after, quota, len(self.registrations_of(after.owner)))
            check_resting(after, quota, pools, claims, self._clock())
        return count(after, quota, item, self._clock(), is_new=before is None)


def _attempts() -> Iterator[int]:
    """Count attempts, with pauses between in which those who collided part ways."""
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(random.uniform(0, 0.02 * 2 ** min(attempt, 7)))
        yield attempt


def _freed(free_at: int) -> Item:
    """Return what a claim has once it is given up."""
    return {"free_at": free_at, "ttl": free_at}  # DynamoDB then deletes the claim; until it does, free_at decides


def _key_claim(holder: Registration) -> Item:
    return {
        "pk": "claim",
        "sk": f"key#{holder.public_key}",
        "holder": device_key(holder),
        "owner": user_key(holder.owner),
    }


def _unchanged(item: Item) -> tuple[str, Mapping[str, Any]]:
    """Return the condition, and its values, that an item is still this one in all that a change can touch."""
    names = ("public_key", "addresses", "expires_at")
    conditions = [f"{name} = :{name}" if name in item else f"attribute_not_exists({name})" for name in names]
    return " AND ".join(conditions), {name: item[name] for name in names if name in item}


def _collided(registration: Registration, done: str) -> RegistryError:
    return RegistryError(
        f"{registration.label} could not be {done}: {ATTEMPTS} attempts collided with other changes; "
        "nothing was written, run it again",
        RegistryErrorCode.COLLIDED,
    )
