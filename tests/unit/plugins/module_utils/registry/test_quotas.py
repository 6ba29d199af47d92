# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""How much a user may have and do, at the borders."""

from __future__ import annotations

import ipaddress
import math
from decimal import Decimal
from typing import Any

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.dynamodb import RegistryError, RegistryErrorCode
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.items import user_key
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.quotas import (
    Quota,
    check_devices,
    check_resting,
    count,
    free_at,
)

from tests.support.decisions import DAY, registration

LAPTOP = registration(1)
TODAY, NOW = 20_000, 20_000.5 * DAY
QUOTA = Quota(devices=2, changes=3)
SMALL, LARGE = ipaddress.ip_network("10.44.0.0/26"), ipaddress.ip_network("fd44::/64")


def resting(number: int, free: float = NOW + 60, holder: str = f"{user_key(LAPTOP.owner)}/x") -> dict[str, Any]:
    return {"sk": f"address#10.44.0.{number}", "holder": holder, "free_at": Decimal(int(free))}


def test_first_change_is_counted_from_nothing() -> None:
    put = count(LAPTOP, QUOTA, {}, NOW, is_new=True)
    assert put.item == {"pk": "devices", "sk": user_key(LAPTOP.owner), "version": 1, "day": TODAY, "changes": 1}
    assert put.values == {"before": 0}


@pytest.mark.parametrize(("day", "changes"), [(TODAY, 3), (TODAY - 1, 1)])
def test_changes_of_a_day_are_counted_together(day: int, changes: int) -> None:
    item = {"version": Decimal(8), "day": Decimal(day), "changes": Decimal(2)}
    put = count(LAPTOP, QUOTA, item, NOW, is_new=False)
    assert (put.item["version"], put.item["changes"], put.values) == (9, changes, {"before": Decimal(8)})


@pytest.mark.parametrize(("is_new", "done"), [(True, "registered"), (False, "given another key")])
def test_change_beyond_those_of_a_day_is_refused_with_what_it_would_have_done(is_new: bool, done: str) -> None:
    item = {"version": Decimal(8), "day": Decimal(TODAY), "changes": Decimal(3)}
    with pytest.raises(RegistryError, match=f"user1/laptop can't be {done}: user1 has made 3 new dev") as refusal:
        count(LAPTOP, QUOTA, item, NOW, is_new=is_new)
    assert refusal.value.code is RegistryErrorCode.TOO_MANY_CHANGES


@pytest.mark.parametrize("damaged", ["x", None, Decimal("NaN"), Decimal("Infinity")])
def test_damaged_count_costs_no_registration(damaged: object) -> None:
    item = {"version": damaged, "day": Decimal(TODAY), "changes": damaged}
    assert count(LAPTOP, QUOTA, item, NOW, is_new=True).item["changes"] == 1


def test_devices_are_allowed_up_to_their_number() -> None:
    check_devices(LAPTOP, QUOTA, 1)
    with pytest.raises(RegistryError, match="user1 has 2 devices, and 2 are allowed") as refusal:
        check_devices(LAPTOP, QUOTA, 2)
    assert refusal.value.code is RegistryErrorCode.DEVICE_LIMIT


def test_addresses_of_a_users_removed_devices_rest_up_to_a_share_of_the_smallest_pool() -> None:
    others = [
        resting(9, free=NOW),  # free from now on
        resting(10, holder="1/AIDA9/x"),
        {"sk": "address#fd44::9", "holder": f"{user_key(LAPTOP.owner)}/x", "free_at": Decimal(int(NOW + 60))},
        {"sk": "address#10.44.0.11", "holder": f"{user_key(LAPTOP.owner)}/laptop"},  # held
    ]
    three = [resting(number, NOW + 60 * number) for number in (2, 3, 4)]  # 64 addresses, of which a 20th
    check_resting(LAPTOP, QUOTA, [LARGE, SMALL], [*others, *three[:2]], NOW)
    with pytest.raises(RegistryError, match=r"3 addresses of user1's .* rest, and 3 in 10.44.0.0/26 may; .* 12:02 UTC"):
        check_resting(LAPTOP, QUOTA, [LARGE, SMALL], [*others, *reversed(three)], NOW)


@pytest.mark.parametrize(("devices", "allowed"), [(1, 20), (2, 40)])
def test_addresses_rest_up_to_20_for_each_device_that_a_user_may_have(devices: int, allowed: int) -> None:
    pool, quota = ipaddress.ip_network("10.44.0.0/16"), Quota(devices, 3)
    claims = [resting(number) for number in range(2, 2 + allowed)]
    check_resting(LAPTOP, quota, [pool], claims[1:], NOW)
    with pytest.raises(RegistryError, match=f"and {allowed} in"):
        check_resting(LAPTOP, quota, [pool], claims, NOW)


@pytest.mark.parametrize(
    ("claim", "time"),
    [({"free_at": Decimal(5)}, 5), ({}, math.inf), ({"free_at": "x"}, math.inf), ({"free_at": None}, math.inf)],
)
def test_address_that_says_no_time_is_held(claim: dict[str, Any], time: float) -> None:
    assert free_at(claim) == time
