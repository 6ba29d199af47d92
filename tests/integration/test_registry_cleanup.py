# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""`registry_cleanup` against an emulated AWS over HTTP."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils import keys
from ansible_collections.tracklib.vpn.plugins.module_utils.addresses import parse_pools
from ansible_collections.tracklib.vpn.plugins.module_utils.model import (
    Block,
    Registration,
    Sweep,
    Tombstone,
    User,
)
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.devices import RegisteredDevices
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.dynamodb import Item, Table
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.items import read_registration
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.table import Registry
from ansible_collections.tracklib.vpn.plugins.module_utils.timespan import DAY

from .names import Playbook
from .vpn import ACCOUNT, POOLS, Vpn

MINUTE = 60


def add(registry: Registry, user: str, expires_at: float | None = None, device: str = "laptop") -> Registration:
    """A device of the user with the id AIDA and the name in capitals."""
    now = int(time.time())
    wanted = Registration(
        ACCOUNT, f"AIDA{user.upper()}", device, user, keys.generate()[1], (), now - 400 * DAY, expires_at
    )
    return registry.devices.register(wanted, parse_pools(POOLS))[1]


def sweep(registry: Registry, *users: str, begun_at: float | None = None) -> None:
    """The last complete sweep, which lists these users."""
    now = time.time() if begun_at is None else begun_at
    listed = {f"AIDA{user.upper()}": User(ACCOUNT, f"AIDA{user.upper()}", user, 0, ("vpn",)) for user in users}
    registry.store_sweep(Sweep(ACCOUNT, now, listed), registry.generations.take())


def bury(registry: Registry, user: str, event_time: float) -> None:
    registry.write_tombstone(Tombstone(ACCOUNT, f"event-{user}", user, f"AIDA{user.upper()}", event_time))


def test_gateway_that_is_gone_for_good_is_forgotten_with_what_it_missed(vpn: Vpn) -> None:
    registry = vpn.registry()
    registry.claim_key("gateway-old", keys.generate()[1])
    registry.record_missed("gateway-old", ["alice/laptop"])
    assert "knows no gateway gone, only gateway-old" in vpn.fails("registry_cleanup", forget_gateways=["gone"])
    for check in (True, False):
        assert (registry.facts().gateways, registry.missed()) == (("gateway-old",), {"gateway-old": ["alice/laptop"]})
        done = vpn.module("registry_cleanup", check=check, forget_gateways=["gateway-old"])
        assert (done["changed"], done["forgotten"]) == (True, ["gateway-old"])
    assert (registry.facts().gateways, registry.missed()) == ((), {})


def clean(vpn: Vpn, **options: Any) -> dict[str, str]:
    """What was removed, and why."""
    result = vpn.module("registry_cleanup", **options)
    assert result["changed"] == bool(result["removed"])
    return {removed["name"]: removed["reason"] for removed in result["removed"]}


def left(vpn: Vpn) -> list[str]:
    return sorted(registration.label for registration in vpn.registry().devices.registrations())


def test_leavers_and_long_expired_devices_go_and_others_stay(vpn: Vpn) -> None:
    registry, now = vpn.registry(), time.time()
    add(registry, "alice", now - 91 * DAY, "phone")
    for user, expires_at in (("alice", now + DAY), ("bob", None), ("carol", now - 89 * DAY), ("dave", now - 91 * DAY)):
        add(registry, user, expires_at)
    bury(registry, "bob", now - 8 * DAY)
    sweep(registry, "alice", "carol", "dave")
    assert clean(vpn) == {"alice/phone": "expired", "bob/laptop": "left", "dave/laptop": "expired"}
    assert left(vpn) == ["alice/laptop", "carol/laptop"]
    assert clean(vpn) == {}
    assert clean(vpn, expired_for="1d") == {"carol/laptop": "expired"}
    assert "expired_for 'long' is not a time span" in vpn.fails("registry_cleanup", expired_for="long")


def test_check_mode_lists_and_changes_nothing(vpn: Vpn) -> None:
    add(vpn.registry(), "alice", time.time() - 91 * DAY)
    before = vpn.registry().items()
    assert clean(vpn, check=True) == {"alice/laptop": "expired"}
    assert vpn.registry().items() == before


@pytest.mark.parametrize(
    ("buried", "swept", "listed"),
    [
        pytest.param(6 * DAY, 0, False, id="a gateway may not have heard of it"),
        pytest.param(8 * DAY, 8 * DAY - 14 * MINUTE, False, id="the sweep may not have seen it"),
        pytest.param(8 * DAY, 9 * DAY, False, id="the sweep is older"),
        pytest.param(8 * DAY, 0, True, id="the sweep outweighs it"),
        pytest.param(8 * DAY, None, False, id="no sweep"),
    ],
)
def test_r4_user_whose_leaving_is_not_settled_keeps_the_registration(
    vpn: Vpn, buried: float, swept: float | None, listed: bool
) -> None:
    registry, now = vpn.registry(), time.time()
    add(registry, "alice")
    bury(registry, "alice", now - buried)
    if swept is not None:
        sweep(registry, *(["alice"] if listed else []), begun_at=now - swept)
    assert clean(vpn) == {}


def test_r1_tombstone_of_a_name_alone_or_of_another_id_removes_nothing(vpn: Vpn) -> None:
    registry, now = vpn.registry(), time.time()
    add(registry, "alice")
    registry.write_tombstone(Tombstone(ACCOUNT, "event-1", "alice", None, now - 8 * DAY))
    registry.write_tombstone(Tombstone(ACCOUNT, "event-2", "alice", "AIDAOLDER", now - 8 * DAY))
    registry.write_tombstone(Tombstone("999999999999", "event-3", "alice", "AIDAALICE", now - 8 * DAY))
    sweep(registry)
    assert clean(vpn) == {}


def test_r4_what_keeps_somebody_out_stays_and_the_key_stays_its_users(vpn: Vpn) -> None:
    registry, now = vpn.registry(), time.time()
    gone, expired = add(registry, "alice"), add(registry, "bob", now - 91 * DAY)
    bury(registry, "alice", now - 8 * DAY)
    registry.block(Block(ACCOUNT, "AIDABOB", "laptop", "lost", now))
    sweep(registry, "bob")
    tombstones, blocks = vpn.items("tombstone"), vpn.items("block")
    assert clean(vpn) == {"alice/laptop": "left", "bob/laptop": "expired"}
    assert (vpn.items("tombstone"), vpn.items("block")) == (tombstones, blocks)
    for registration in (gone, expired):
        options: dict[str, Any] = {
            "user_name": registration.user_name,
            "user_id": vpn.user(registration.user_name),  # another one than the registration's
            "device": "new",
            "public_key": registration.public_key,
        }
        assert "already held by a removed device" in vpn.fails("registration", **options)


def test_r9_addresses_rest_before_others_get_them(vpn: Vpn) -> None:
    registry, now = vpn.registry(), time.time()
    freed = [add(registry, "alice"), add(registry, "bob", now - 91 * DAY)]
    bury(registry, "alice", now - 8 * DAY)
    sweep(registry, "bob")
    clean(vpn)
    assert add(registry, "carol").addresses[0] == "10.44.0.4"
    early = Registry(vpn.dynamodb, vpn.table, lambda: now + 7 * DAY - MINUTE)
    assert add(early, "dave").addresses[0] == "10.44.0.5"
    late = Registry(vpn.dynamodb, vpn.table, lambda: now + 7 * DAY + MINUTE)
    assert [add(late, user).addresses for user in ("erin", "frank")] == [
        registration.addresses for registration in freed
    ]


def test_device_that_is_renewed_meanwhile_is_left_alone(vpn: Vpn) -> None:
    now = time.time()
    seen = add(vpn.registry(), "alice", int(now - 91 * DAY))
    renewed = seen._replace(expires_at=float(int(now + DAY)), renewed_at=float(int(now)))

    class Interrupted(Table):
        """Lets the device be renewed after it was read, once more, and before it is removed."""

        def get(self, pk: str, sk: str) -> Item | None:
            found = super().get(pk, sk)
            if pk == "registration" and found is not None and read_registration(found) == seen:
                vpn.registry().devices.register(renewed, parse_pools(POOLS))
            return found

    assert RegisteredDevices(Interrupted(vpn.dynamodb, vpn.table)).remove(seen, unchanged=True) is None
    assert vpn.registry().devices.registrations() == [renewed]
    assert not any("released_at" in claim or "free_at" in claim for claim in vpn.items("claim"))
    assert vpn.registry().devices.remove(seen, unchanged=True) is None
    assert clean(vpn) == {}


def test_removed_devices_are_no_longer_named_in_the_roster(vpn: Vpn, tmp_path: Path) -> None:
    registry, now = vpn.registry(), time.time()
    user_id = vpn.user("alice")
    vpn.register("alice", "laptop", keys.generate()[1])
    add(registry, "bob", now - 91 * DAY)
    add(registry, "carol")
    bury(registry, "carol", now - 8 * DAY)

    def roster() -> dict[str, list[str]]:
        vpn.module("roster", dest=str(tmp_path / "roster.json"))
        content = json.loads((tmp_path / "roster.json").read_text())
        return {part: sorted(each["user_name"] for each in content[part]) for part in ("peers", "revoked", "excluded")}

    assert roster() == {"peers": ["alice"], "revoked": ["carol"], "excluded": ["bob", "carol"]}
    assert clean(vpn) == {"bob/laptop": "expired", "carol/laptop": "left"}
    assert roster() == {"peers": ["alice"], "revoked": [], "excluded": []}
    assert [registration.user_id for registration in vpn.registry().devices.registrations()] == [user_id]


def test_playbook_lists_and_removes(vpn: Vpn, playbook: Playbook) -> None:
    add(vpn.registry(), "alice", time.time() - 91 * DAY)
    options: dict[str, Any] = {"vpn_account_id": ACCOUNT}
    assert "alice/laptop of account" in playbook("registry_cleanup", "--check", **options)
    assert left(vpn) == ["alice/laptop"]
    playbook("registry_cleanup", registry_cleanup_expired_for="100d", **options)
    assert left(vpn) == ["alice/laptop"]
    assert "alice/laptop of account" in playbook("registry_cleanup", **options)
    assert left(vpn) == []
