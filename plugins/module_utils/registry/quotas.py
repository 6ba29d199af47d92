# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""How much a user may have and do without an operator. Pure."""

from __future__ import annotations

import ipaddress
import math
import time
from decimal import Decimal
from typing import Any, NamedTuple, Sequence

from ..addresses import Network
from ..model import Registration
from ..timespan import DAY
from .dynamodb import Item, Put, RegistryError, RegistryErrorCode
from .items import user_key

# of a pool: so many of a user's addresses may rest, for each device that they may have and of the whole
_RESTING, _RESTING_SHARE = 20, 20


class Quota(NamedTuple):
    """How much a user may have and do without an operator."""

    devices: int
    changes: int  # of new devices and new keys on a day (UTC)


def count(after: Registration, quota: Quota, item: Item, now: float, *, is_new: bool) -> Put:
    """Count a user's change: the write lets only one through at a time, so that none is missed.

    :param item: what counts the user's devices and changes, as it is; empty where nothing does.
    :raises RegistryError: that were too many changes for a day.
    """
    version = item.get("version", 0)
    today = int(now // DAY)
    changes = _whole(item.get("changes")) if item.get("day") == today else 0
    if changes >= quota.changes:
        raise RegistryError(
            f"{after.label} can't be {'registered' if is_new else 'given another key'}: {after.user_name} has made "
            f"{changes} new devices and keys today, and {quota.changes} a day are allowed; try again from 00:00 UTC on",
            RegistryErrorCode.TOO_MANY_CHANGES,
        )
    counted = {"version": _whole(version) + 1, "day": today, "changes": changes + 1}
    return Put(
        {"pk": "devices", "sk": user_key(after.owner), **counted},
        "attribute_not_exists(version) OR version = :before",
        {"before": version},
    )


def check_devices(new: Registration, quota: Quota, present: int) -> None:
    """Refuse another device of a user who has as many as are allowed.

    :raises RegistryError: saying how many.
    """
    if present >= quota.devices:
        raise RegistryError(
            f"{new.label} can't be registered: {new.user_name} has {present} devices, and {quota.devices} are "
            "allowed; remove one first",
            RegistryErrorCode.DEVICE_LIMIT,
        )


def check_resting(
    new: Registration, quota: Quota, pools: Sequence[Network], claims: Sequence[Item], now: float
) -> None:
    """Refuse to let a user's removed devices use up a pool.

    :param claims: those of addresses, resting ones among them.
    :raises RegistryError: saying from when on an address is free.
    """
    smallest = min(pools, key=lambda pool: pool.num_addresses)
    allowed = min(_RESTING * quota.devices, max(quota.devices, smallest.num_addresses // _RESTING_SHARE))
    of_user = f"{user_key(new.owner)}/"
    ends = [
        free_at(item)
        for item in claims
        if now < free_at(item) < math.inf
        and str(item.get("holder")).startswith(of_user)
        and ipaddress.ip_address(item["sk"].partition("#")[2]) in smallest
    ]
    if len(ends) >= allowed:
        until = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(int(min(ends))))
        raise RegistryError(
            f"{new.label} can't be registered: {len(ends)} addresses of {new.user_name}'s removed devices rest, "
            f"and {allowed} in {smallest} may; the first is free from {until} on, try again then",
            RegistryErrorCode.TOO_MANY_REMOVALS,
        )


def free_at(claim: Item) -> float:
    """Return when an address can be given again; infinity while it is held, or where that can't be read."""
    try:
        return float(claim.get("free_at", math.inf))
    except (TypeError, ValueError):
        return math.inf


def _whole(found: Any) -> int:
    """Return a number of the registry's; 0 for a damaged one, which costs no registration."""
    return int(found) if isinstance(found, Decimal) and found.is_finite() else 0
