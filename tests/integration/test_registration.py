# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""`registration` and `registrations_info` against an emulated AWS over HTTP."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils import keys
from ansible_collections.tracklib.vpn.plugins.module_utils.addresses import parse_pools
from ansible_collections.tracklib.vpn.plugins.module_utils.model import Registration, Sweep, Tombstone, User
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.devices import RegisteredDevices
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.dynamodb import RegistryError, Table, Write
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.quotas import Quota
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.table import Registry
from ansible_collections.tracklib.vpn.plugins.module_utils.timespan import DAY

from tests.support import fault_proxy as faults
from tests.support.fault_proxy import FaultProxy

from .vpn import ACCESS, ACCOUNT, POOLS, Vpn


def test_device_gets_a_key_and_addresses_and_a_second_run_changes_nothing(vpn: Vpn) -> None:
    vpn.user("alice")
    _private, public = keys.generate()
    first = vpn.register("alice", "laptop", public, expires_in="30d")
    assert first["changed"]
    assert first["registration"]["addresses"] == ["10.44.0.2", "fd44:7472:6163:6b::2"]
    assert first["registration"]["expires_at"] == pytest.approx(time.time() + 30 * DAY, abs=60)
    second = vpn.register("alice", "laptop", public, expires_in="30d")
    assert not second["changed"]
    assert second["registration"] == first["registration"]
    assert vpn.module("registrations_info")["registrations"] == [{**first["registration"], "blocked": None}]


@pytest.mark.parametrize(
    ("region", "complaint"),
    [
        ("us-west-2", "table tracklib-vpn doesn't exist in this region and account; check vpn_registry_table and the"),
        ("", "no AWS region for sts:GetCallerIdentity on account 123456789012; set region or AWS_REGION"),
    ],
)
def test_wrong_or_missing_region_is_said_in_one_line(vpn: Vpn, region: str, complaint: str) -> None:
    assert complaint in vpn.fails("registrations_info", env={"AWS_REGION": region})


def test_renewal_keeps_key_and_addresses(vpn: Vpn) -> None:
    vpn.user("alice")
    before = vpn.register("alice", "laptop", keys.generate()[1], expires_in="1h")["registration"]
    renewed = vpn.module("registration", user_name="alice", device="laptop", renew=True, expires_in="30d")
    assert renewed["changed"]
    after = renewed["registration"]
    assert after["expires_at"] == pytest.approx(time.time() + 30 * DAY, abs=60)
    assert after["renewed_at"] == pytest.approx(time.time(), abs=60)
    assert {**after, "expires_at": before["expires_at"], "renewed_at": None} == before
    assert vpn.module("registrations_info")["registrations"] == [{**after, "blocked": None}]


def test_expired_registration_is_renewed_by_running_again(vpn: Vpn) -> None:
    vpn.user("alice")
    public = keys.generate()[1]
    before = vpn.register("alice", "laptop", public, expires_in="1s")["registration"]
    time.sleep(1.1)
    after = vpn.register("alice", "laptop", public, expires_in="30d")["registration"]
    assert after == {**before, "expires_at": after["expires_at"], "renewed_at": after["renewed_at"]}
    assert after["expires_at"] > before["expires_at"] + 29 * DAY


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"renew": True, "expires_in": "30d"}, "alice has no device laptop; registered: none. Nothing was written"),
        ({"renew": True}, "alice has no device laptop; registered: none. Nothing was written"),
        ({"expires_in": "30d"}, "alice/laptop: public_key is missing; only with renew"),
        ({"renew": True, "expires_in": "30", "public_key": keys.generate()[1]}, "expires_in '30' is not a time span"),
    ],
)
def test_renewal_that_cannot_be_says_what_is_missing(vpn: Vpn, options: dict[str, Any], complaint: str) -> None:
    vpn.user("alice")
    assert complaint in vpn.fails("registration", user_name="alice", device="laptop", **options)
    assert vpn.module("registrations_info")["registrations"] == []


def test_devices_that_expire_soon_are_listed_the_earliest_first(vpn: Vpn) -> None:
    for user_name, expires_in in (("alice", "6d"), ("bob", "1h"), ("carol", "8d"), ("dave", "1s"), ("erin", None)):
        vpn.user(user_name)
        vpn.register(user_name, "laptop", keys.generate()[1], **({"expires_in": expires_in} if expires_in else {}))
    time.sleep(1.1)
    soon = vpn.module("registrations_info", expiring_within="7d")["registrations"]
    assert [found["user_name"] for found in soon] == ["bob", "alice"]
    only = vpn.module("registrations_info", expiring_within="7d", user_name="ALICE")["registrations"]
    assert [found["user_name"] for found in only] == ["alice"]
    assert "expiring_within 'soon' is not a time span" in vpn.fails("registrations_info", expiring_within="soon")


def test_networks_of_a_device_are_what_the_policy_grants_its_user_by_the_last_sweep(vpn: Vpn, tmp_path: Path) -> None:
    for user_name, group in (("alice", "vpn"), ("bob", None)):
        vpn.user(user_name, group)
        vpn.register(user_name, "laptop", keys.generate()[1])
    access = [*ACCESS, {"groups": ["vpn", "others"], "networks": ["10.20.0.0/24", "10.30.0.0/16"]}]
    never = vpn.module("registrations_info", access=access)["registrations"]
    vpn.module("roster", dest=str(tmp_path / "roster.json"))
    alice, bob = vpn.module("registrations_info", access=access)["registrations"]
    assert "the last complete sweep of account 123456789012 has no user" in never[0]["networks_reason"]
    assert (alice["networks"], alice["networks_reason"]) == (["10.20.0.0/16", "10.30.0.0/16"], None)
    assert bob["networks"] == []
    assert "is in no group that grants access; found no group, expected one of: others, vpn" in bob["networks_reason"]


def test_check_mode_changes_nothing(vpn: Vpn) -> None:
    vpn.user("alice")
    result = vpn.register("alice", "laptop", keys.generate()[1], check=True)
    assert result["changed"]
    assert vpn.module("registrations_info")["registrations"] == []


def test_user_name_with_every_character_that_iam_allows(vpn: Vpn) -> None:
    name = ("a+b=c,d.e@f-g_" + "x" * 64)[:64]
    vpn.user(name)
    assert vpn.register(name, "laptop", keys.generate()[1])["registration"]["user_name"] == name


@pytest.mark.parametrize("device", ["Laptop", "my laptop", "a" * 33, "", "../x", "läptop", "a\nb"])
def test_device_names_of_another_form_are_refused(vpn: Vpn, device: str) -> None:
    vpn.user("alice")
    failure = vpn.fails("registration", user_name="alice", device=device, public_key=keys.generate()[1])
    assert "lower-case letters, digits and hyphens" in failure
    assert "alice" in failure


def test_bad_key_names_user_and_device(vpn: Vpn) -> None:
    vpn.user("alice")
    failure = vpn.fails("registration", user_name="alice", device="laptop", public_key="A" * 43 + "=")
    assert failure.startswith("alice/laptop: the public key is zero")


def test_r9_key_of_another_device_is_refused_naming_the_holder(vpn: Vpn) -> None:
    vpn.user("alice")
    vpn.user("bob")
    public = keys.generate()[1]
    vpn.register("alice", "laptop", public)
    failure = vpn.fails("registration", user_name="bob", device="laptop", public_key=public)
    assert "already held by alice/laptop" in failure


def test_r1_recreated_user_cannot_take_the_old_ones_key_even_after_its_removal(vpn: Vpn) -> None:
    vpn.user("alice")
    public = keys.generate()[1]
    vpn.register("alice", "laptop", public)
    assert vpn.module("registration", state="absent", user_name="alice", device="laptop")["changed"]
    vpn.delete_user("alice")
    vpn.user("alice")
    failure = vpn.fails("registration", user_name="alice", device="laptop", public_key=public)
    assert "already held by a removed device" in failure


def test_same_user_may_register_a_removed_key_again(vpn: Vpn) -> None:
    vpn.user("alice")
    public = keys.generate()[1]
    vpn.register("alice", "laptop", public)
    vpn.module("registration", state="absent", user_name="alice", device="laptop")
    assert vpn.register("alice", "desktop", public)["changed"]


def test_new_key_keeps_the_addresses(vpn: Vpn) -> None:
    vpn.user("alice")
    before = vpn.register("alice", "laptop", keys.generate()[1])["registration"]
    after = vpn.register("alice", "laptop", keys.generate()[1])["registration"]
    assert after["addresses"] == before["addresses"]
    assert after["public_key"] != before["public_key"]


def test_r9_freed_address_rests_before_another_device_gets_it(vpn: Vpn) -> None:
    vpn.user("alice")
    vpn.register("alice", "laptop", keys.generate()[1])
    vpn.module("registration", state="absent", user_name="alice", device="laptop")
    vpn.user("bob")
    assert vpn.register("bob", "laptop", keys.generate()[1])["registration"]["addresses"][0] == "10.44.0.3"


def test_rested_address_is_given_again(vpn: Vpn) -> None:
    vpn.user("alice")
    vpn.register("alice", "laptop", keys.generate()[1])
    vpn.module("registration", state="absent", user_name="alice", device="laptop", address_quarantine=0)
    vpn.user("bob")
    time.sleep(1.1)
    assert vpn.register("bob", "laptop", keys.generate()[1])["registration"]["addresses"][0] == "10.44.0.2"


def test_claim_of_a_freed_address_may_be_deleted_when_its_rest_is_over_and_not_once_it_is_held_again(vpn: Vpn) -> None:
    """DynamoDB deletes by the attribute that the template names, see test_the_registry_outlives_its_stack."""
    vpn.user("alice")
    vpn.register("alice", "laptop", keys.generate()[1])
    vpn.module("registration", state="absent", user_name="alice", device="laptop", address_quarantine=1)
    freed = [each for each in vpn.items("claim") if "free_at" in each and each["sk"]["S"].startswith("address")]
    assert [claim["ttl"] for claim in freed] == [claim["free_at"] for claim in freed]
    assert int(freed[0]["ttl"]["N"]) == pytest.approx(time.time() + DAY, abs=60)
    later = Registry(vpn.dynamodb, vpn.table, lambda: time.time() + 2 * DAY)
    assert set(register(later, 1).addresses) == {claim["sk"]["S"].partition("#")[2] for claim in freed}
    assert not any("ttl" in each for each in vpn.items("claim") if each["sk"]["S"].startswith("address"))


def test_changed_pool_gives_a_new_address_when_registered_again(vpn: Vpn) -> None:
    vpn.user("alice")
    public = keys.generate()[1]
    vpn.register("alice", "laptop", public)
    moved = vpn.register("alice", "laptop", public, address_pools=["10.55.0.0/24"])
    assert moved["registration"]["addresses"] == ["10.55.0.2"]


def test_exhausted_pool_is_a_clear_error_and_nothing_is_written(vpn: Vpn) -> None:
    for number in range(5):
        vpn.user(f"user{number}")
        vpn.register(f"user{number}", "laptop", keys.generate()[1], address_pools=["10.44.0.0/29"])
    vpn.user("late")
    failure = vpn.fails(
        "registration", user_name="late", device="x", public_key=keys.generate()[1], address_pools=["10.44.0.0/29"]
    )
    assert "10.44.0.0/29 is exhausted" in failure
    assert len(vpn.module("registrations_info")["registrations"]) == 5


def test_unknown_user_is_refused(vpn: Vpn) -> None:
    failure = vpn.fails("registration", user_name="nobody", device="laptop", public_key=keys.generate()[1])
    assert failure.startswith(f"nobody is called nobody in account {ACCOUNT}: neither IAM, the last sweep nor a")


def test_registered_user_whom_iam_does_not_have_any_more_is_refused(vpn: Vpn) -> None:
    user_id = vpn.user("alice")
    vpn.register("alice", "laptop", keys.generate()[1])
    vpn.delete_user("alice")
    failure = vpn.fails("registration", user_name="alice", device="phone", public_key=keys.generate()[1])
    assert failure == f"alice/phone can't be registered or renewed: there is no IAM user alice with the id {user_id}"


def test_credentials_of_another_account_are_refused_before_anything(vpn: Vpn) -> None:
    failure = vpn.fails("registrations_info", account_id="999999999999")
    assert f"belong to account {ACCOUNT}, expected 999999999999" in failure


def test_missing_table_says_how_to_make_it(vpn: Vpn) -> None:
    failure = vpn.fails("registrations_info", registry_table="nowhere")
    assert "table nowhere doesn't exist in this region and account" in failure
    assert "tracklib.vpn.deploy" in failure


def test_blocking_an_existing_user_writes_a_block_and_lifting_it_removes_it(vpn: Vpn) -> None:
    vpn.user("alice")
    vpn.register("alice", "laptop", keys.generate()[1])
    blocked = vpn.module("revocation", user_name="alice", all_devices=True, reason="left")
    assert [revocation["kind"] for revocation in blocked["revocations"]] == ["block"]
    assert blocked["generation"] == vpn.registry().generations.last() > 0
    assert vpn.module("registrations_info")["registrations"][0]["blocked"] == "left"
    assert not vpn.module("revocation", user_name="alice", all_devices=True, reason="left")["changed"]
    assert vpn.module("revocation", state="unblocked", user_name="alice")["changed"]
    assert vpn.module("registrations_info")["registrations"][0]["blocked"] is None


def test_r4_deleted_user_is_blocked_by_the_known_id_and_gets_a_tombstone(vpn: Vpn) -> None:
    user_id = vpn.user("alice")
    vpn.register("alice", "laptop", keys.generate()[1])
    vpn.delete_user("alice")
    result = vpn.module("revocation", user_name="ALICE", all_devices=True)
    written = [(each["kind"], each["user_id"], each["user_name"], each["device"]) for each in result["revocations"]]
    assert written == [(kind, user_id, "alice", None) for kind in ("block", "tombstone")]
    only_laptop = vpn.module("revocation", user_name="alice", device="laptop")
    assert [each["kind"] for each in only_laptop["revocations"]] == ["block"]  # which no sweep reverses


def test_r16_a_revocation_that_names_no_device_is_refused_unless_it_says_all(vpn: Vpn) -> None:
    vpn.user("alice")
    for options in ({}, {"device": "laptop", "all_devices": True}, {"device": "laptop", "all_devices": "yes"}):
        refused = vpn.fails("revocation", user_name="alice", **options)
        assert "expected one of device and all_devices; nothing was written" in refused
    assert vpn.items("block") == []


def test_r1_name_that_a_newcomer_has_by_now_is_refused_with_the_ids_of_both(vpn: Vpn) -> None:
    renamed = vpn.user("alice")
    vpn.register("alice", "laptop", keys.generate()[1])
    vpn.iam.update_user(UserName="alice", NewUserName="alice.smith")
    newcomer = vpn.user("alice")
    users = {
        user_id: User(ACCOUNT, user_id, name, 0) for user_id, name in ((renamed, "alice.smith"), (newcomer, "alice"))
    }
    vpn.registry().store_sweep(Sweep(ACCOUNT, 1, users), 1)
    refused = vpn.fails("revocation", user_name="alice", all_devices=True)
    assert f"{renamed} (now alice.smith)" in refused
    assert f"{newcomer} (now alice)" in refused
    assert vpn.items("block") == []
    for asked in (renamed, f" {renamed.lower()} ", "alice.smith", " alice.smith/laptop "):
        every = "/" not in asked
        (written,) = vpn.module("revocation", user_name=asked, all_devices=every)["revocations"]
        assert written["user_id"] == renamed
    assert {block.device for block in vpn.registry().blocks()} == {None, "laptop"}


def test_r4_device_of_an_account_that_is_configured_no_more_is_blocked_by_the_registration(vpn: Vpn) -> None:
    elsewhere = Registration("444455556666", "AIDAELSEWHERE", "laptop", "kim", keys.generate()[1], (), 1790000000)
    vpn.registry().devices.register(elsewhere, parse_pools(POOLS), quarantine=0)
    done = vpn.module("revocation", user_name="kim", device="laptop", identity_account_id="444455556666")
    assert [each["user_id"] for each in done["revocations"]] == ["AIDAELSEWHERE"]
    assert "there is no role to read its users with" in str(done["warnings"])


def test_r4_name_that_nobody_has_is_refused_with_the_nearest_ones(vpn: Vpn) -> None:
    vpn.user("alice.smith")
    vpn.register("alice.smith", "laptop", keys.generate()[1])
    refused = vpn.fails("revocation", user_name="alice.smit", all_devices=True)
    assert f"nobody is called alice.smit in account {ACCOUNT}" in refused
    assert "The nearest names: alice.smith" in refused
    assert vpn.items("tombstone") == []


def test_user_spelt_in_another_case_is_blocked_by_id_and_gets_no_tombstone(vpn: Vpn) -> None:
    user_id = vpn.user("alice")
    vpn.registry().store_sweep(Sweep(ACCOUNT, 1, {user_id: User(ACCOUNT, user_id, "alice", 0)}), 1)
    blocked = vpn.module("revocation", user_name="ALICE", all_devices=True)
    assert [(each["kind"], each["user_id"]) for each in blocked["revocations"]] == [("block", user_id)]
    assert vpn.module("revocation", state="unblocked", user_name="Alice")["changed"]
    assert vpn.registry().facts().tombstones == []


@pytest.mark.parametrize("action", ["TransactWriteItems", "GetItem", "Query"])
def test_missing_permission_on_the_registry_is_named(vpn: Vpn, fault_proxy: FaultProxy, action: str) -> None:
    vpn.user("alice")
    fault_proxy.fail(action, faults.json_error(400, "AccessDeniedException"))
    failure = vpn.fails(
        "registration", {"AWS_URL": fault_proxy.url}, user_name="alice", device="x", public_key=keys.generate()[1]
    )
    assert f"access denied: these credentials need dynamodb:{action} on table tracklib-vpn" in failure


def register(registry: Registry, number: int, public_key: str | None = None) -> Any:
    wanted = Registration(ACCOUNT, f"AIDA{number}", "laptop", f"user{number}", public_key or keys.generate()[1], (), 0)
    return registry.devices.register(wanted, parse_pools(POOLS))[1]


def test_r9_concurrent_registrations_get_unique_addresses(vpn: Vpn) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda number: register(vpn.registry(), number), range(24)))
    assert len({address for registration in made for address in registration.addresses}) == 48


def test_r9_one_key_registered_by_many_at_once_is_one_devices(vpn: Vpn) -> None:
    public = keys.generate()[1]

    def attempt(number: int) -> bool:
        try:
            register(vpn.registry(), number, public)
        except RegistryError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(attempt, range(8))) == 1


class Interrupted(Table):
    """Lets something else happen between what a change has read and its first transaction."""

    meanwhile: Callable[[], object] | None = None

    def transact(self, writes: Sequence[Write]) -> bool:
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            meanwhile()
        return super().transact(writes)


def add(devices: RegisteredDevices, device: str, pools: list[str], limit: int = 2) -> None:
    wanted = Registration(ACCOUNT, "AIDA1", device, "alice", keys.generate()[1], (), 0)
    devices.change(wanted.owner, device, lambda _before: wanted, parse_pools(pools), quota=Quota(limit, changes=20))


def test_device_that_came_meanwhile_counts_for_the_limit(vpn: Vpn) -> None:
    """Its addresses are of another pool, so that nothing else makes the two collide."""
    add(vpn.registry().devices, "one", POOLS)
    interrupted = Interrupted(vpn.dynamodb, vpn.table)
    interrupted.meanwhile = lambda: add(vpn.registry().devices, "two", ["10.55.0.0/24"])
    with pytest.raises(RegistryError, match="alice has 2 devices, and 2 are allowed"):
        add(RegisteredDevices(interrupted), "three", POOLS)
    assert {registration.device for registration in vpn.registry().devices.registrations()} == {"one", "two"}


def test_expiry_that_was_changed_meanwhile_is_kept_when_the_key_changes(vpn: Vpn) -> None:
    device = ((ACCOUNT, "AIDA1"), "laptop")
    add(vpn.registry().devices, "laptop", POOLS)
    interrupted, public = Interrupted(vpn.dynamodb, vpn.table), keys.generate()[1]
    interrupted.meanwhile = lambda: vpn.registry().devices.change(
        *device, lambda found: cast(Registration, found)._replace(expires_at=5000), parse_pools(POOLS)
    )
    RegisteredDevices(interrupted).change(
        *device, lambda found: cast(Registration, found)._replace(public_key=public), parse_pools(POOLS)
    )
    (registration,) = vpn.registry().devices.registrations()
    assert (registration.public_key, registration.expires_at) == (public, 5000)


def test_r9_removal_releases_what_a_change_gave_meanwhile(vpn: Vpn) -> None:
    add(vpn.registry().devices, "laptop", POOLS)
    (before,) = vpn.registry().devices.registrations()
    interrupted, public = Interrupted(vpn.dynamodb, vpn.table), keys.generate()[1]
    interrupted.meanwhile = lambda: vpn.registry().devices.register(
        before._replace(public_key=public), parse_pools(POOLS)
    )
    devices = RegisteredDevices(interrupted)
    removed = devices.remove(before)
    assert removed is not None
    assert removed.public_key == public
    assert all("released_at" in claim or "free_at" in claim for claim in vpn.items("claim"))
    assert devices.remove(before) is None


def test_r6_generations_rise_and_go_on_above_a_restored_backup(vpn: Vpn) -> None:
    late, early = Registry(vpn.dynamodb, vpn.table, lambda: 2000.0), Registry(vpn.dynamodb, vpn.table, lambda: 1000.0)
    assert late.generations.take() == 2_000_000
    assert early.generations.take() == 2_000_001
    assert late.generations.take() == 2_000_002
    assert late.generations.last() == 2_000_002


def test_tombstone_is_idempotent_and_lives_at_least_90_days(vpn: Vpn) -> None:
    tombstone = Tombstone(ACCOUNT, "event-1", "alice", None, 1_790_000_000)
    vpn.registry().write_tombstone(tombstone)
    vpn.registry().write_tombstone(tombstone)
    assert vpn.registry().facts().tombstones == [tombstone]
    (item,) = vpn.items("tombstone")
    assert int(item["ttl"]["N"]) >= 1_790_000_000 + 90 * DAY
