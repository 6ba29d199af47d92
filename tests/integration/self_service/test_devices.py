# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What users do with their own devices, over HTTP."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils import keys
from ansible_collections.tracklib.vpn.plugins.module_utils.addresses import parse_pools
from ansible_collections.tracklib.vpn.plugins.module_utils.enroll.function import SelfServiceError
from ansible_collections.tracklib.vpn.plugins.module_utils.model import Block, Registration
from ansible_collections.tracklib.vpn.plugins.module_utils.timespan import DAY
from dispatcher.messages import RegistryChanged, RemovedDevice, parse

from tests.integration.vpn import ACCOUNT, POOLS

from .people import GATEWAY, Forged, People, Person, context_of


def refused(call: Any, *arguments: Any) -> SelfServiceError:
    with pytest.raises(SelfServiceError) as caught:
        call(*arguments)
    return caught.value


def aged(people: People, person: Person, device: str, days_left: float, **changes: Any) -> Registration:
    """A registration of 30 days, of which that many are left."""
    expires_at = int(time.time() + days_left * DAY)
    found = people.vpn.iam.get_user(UserName=person.name)["User"]
    wanted = Registration(
        ACCOUNT, found["UserId"], device, person.name, keys.generate()[1], (), expires_at - 30 * DAY, expires_at
    )
    return people.vpn.registry().devices.register(wanted._replace(**changes), parse_pools(POOLS))[1]


def test_registered_device_gets_all_that_a_configuration_needs(people: People) -> None:
    alice = people.user("alice")
    public = keys.generate()[1]
    answer = alice.register("laptop", public)
    device = answer["device"]
    assert device["addresses"] == ["10.44.0.2", "fd44:7472:6163:6b::2"]
    assert device["public_key"] == public
    assert device["expires_at"] == pytest.approx(time.time() + 30 * DAY, abs=60)
    assert device["renewable_from"] == pytest.approx(time.time() + 15 * DAY, abs=60)
    assert answer["tunnel"] == {
        "gateways": [GATEWAY],
        "networks": ["10.20.0.0/16"],
        "dns_servers": ["10.44.0.1", "fd44:7472:6163:6b::1"],
        "domains": ["internal.example"],
        "answers_other_names": False,
        "mtu": 1380,
    }
    assert answer["in_force_from"] == pytest.approx(time.time() + 900, abs=60)
    assert people.notices() == [{"kind": "registry_changed"}]
    (registration,) = people.vpn.registry().devices.registrations()
    assert registration.owner == (ACCOUNT, people.vpn.iam.get_user(UserName="alice")["User"]["UserId"])


def test_r9_gateways_own_key_is_refused_for_a_device(people: People) -> None:
    """It is handed out to everybody, and would make gateways refuse the peer."""
    alice = people.user("alice")
    alice.register("laptop")
    for call, device in ((alice.register, "phone"), (alice.rotate, "laptop")):
        error = refused(call, device, GATEWAY["public_key"])
        assert (error.status, error.code) == (409, "key_held")
        assert "the gateway's own public key" in str(error)


def test_networks_are_those_of_the_users_own_groups(people: People) -> None:
    assert people.user("dora", "dba").register("laptop")["tunnel"]["networks"] == ["10.20.8.0/24", "10.30.0.0/16"]


def test_same_registration_again_changes_nothing_and_starts_no_reconcile(people: People) -> None:
    alice = people.user("alice")
    public = keys.generate()[1]
    first = alice.register("laptop", public)
    people.notices()
    assert alice.register("laptop", public)["device"] == first["device"]
    assert people.notices() == []


def test_another_key_for_a_registered_device_is_refused(people: People) -> None:
    alice = people.user("alice")
    before = alice.register("laptop")["device"]
    assert refused(alice.register, "laptop").code == "device_exists"
    assert alice.devices()["devices"] == [before]


def test_r9_key_of_another_device_is_refused_without_telling_whose(people: People) -> None:
    public = people.user("alice").register("laptop")["device"]["public_key"]
    error = refused(people.user("bob").register, "pc", public)
    assert (error.status, error.code) == (409, "key_held")
    assert "alice" not in str(error)
    assert "laptop" not in str(error)


def test_change_of_settings_is_in_force_with_the_next_call(people: People, forged: Forged) -> None:
    alice = people.user("alice")
    iam = context_of(people, alice)
    assert forged("GET", "/devices", iam, alice.proof()) == (200, "ok")
    people.set(access=[{"groups": ["others"], "networks": ["10.20.0.0/16"]}])
    assert forged("GET", "/devices", iam, alice.proof()) == (403, "not_in_group")


def test_without_settings_nobody_is_served_and_the_log_says_why(people: People, forged: Forged) -> None:
    alice = people.user("alice")
    iam = context_of(people, alice)
    people.set(life="30d")
    assert forged("GET", "/devices", iam, alice.proof()) == (500, "internal")
    assert "life: Input should be a valid integer" in forged.line["error"]
    people.vpn.dynamodb.delete_item(
        TableName=people.vpn.table, Key={"pk": {"S": "settings"}, "sk": {"S": "self-service"}}
    )
    assert forged("GET", "/devices", iam, alice.proof()) == (500, "internal")
    assert "no settings of self-service: deploy again" in forged.line["error"]


def test_sixth_device_is_refused(people: People) -> None:
    alice = people.user("alice")
    for number in range(5):
        alice.register(f"device-{number}")
    error = refused(alice.register, "device-5")
    assert (error.status, error.code) == (409, "device_limit")
    assert "alice has 5 devices, and 5 are allowed" in str(error)
    alice.remove("device-0")
    alice.register("device-5")


def test_new_keys_have_a_limit_each_day_so_that_nobody_starts_runs_all_day(people: People, forged: Forged) -> None:
    people.set(changes_per_day=3)
    alice = people.user("alice")
    iam = context_of(people, alice)

    def rotate() -> tuple[int, str]:
        body = {"public_key": keys.generate()[1]}
        return forged("PUT", "/devices/laptop/key", iam, alice.proof(), body)

    alice.register("laptop")
    assert [rotate() for _number in range(4)] == [(200, "ok")] * 2 + [(409, "too_many_changes")] * 2
    assert forged("DELETE", "/devices/laptop", iam, alice.proof()) == (200, "ok")
    notices = people.notices()
    assert len(notices) == 4, "the refused ones start no run"


def test_user_who_registers_and_removes_all_day_cannot_use_up_a_pool(people: People, forged: Forged) -> None:
    people.set(devices_per_user=1)
    alice, bob = people.user("alice"), people.user("bob")
    iam = context_of(people, alice)
    devices, pools = people.vpn.registry().devices, parse_pools(POOLS)
    for number in range(20):
        removed = Registration(ACCOUNT, iam["userId"], f"old-{number}", "alice", keys.generate()[1], (), time.time())
        devices.remove(devices.register(removed, pools)[1])
    device = {"device": "laptop", "public_key": keys.generate()[1]}
    assert forged("POST", "/devices", iam, alice.proof(), device) == (409, "too_many_removals")
    assert forged("POST", "/devices", context_of(people, bob), bob.proof(), device) == (200, "ok")


def test_nobody_sees_or_touches_anothers_device(people: People) -> None:
    alice, bob = people.user("alice"), people.user("bob")
    laptop = alice.register("laptop")["device"]
    assert bob.devices()["devices"] == []
    for call in (bob.remove, bob.renew, lambda device: bob.rotate(device, keys.generate()[1])):
        assert refused(call, "laptop").code == "no_such_device"
    assert bob.register("laptop")["device"]["addresses"] != laptop["addresses"]
    assert alice.devices()["devices"] == [laptop]


def test_r1_recreated_user_sees_and_gets_nothing_of_the_old_ones(people: People) -> None:
    old = people.user("alice")
    public = old.register("laptop")["device"]["public_key"]
    for key in people.vpn.iam.list_access_keys(UserName="alice")["AccessKeyMetadata"]:
        people.vpn.iam.delete_access_key(UserName="alice", AccessKeyId=key["AccessKeyId"])
    people.vpn.delete_user("alice")
    new = people.user("alice")
    assert new.devices()["devices"] == []
    assert refused(new.register, "laptop", public).code == "key_held"
    assert refused(new.remove, "laptop").code == "no_such_device"


def test_records_of_self_service_say_that_it_was_the_user(people: People) -> None:
    alice = people.user("alice")
    arn = people.vpn.iam.get_user(UserName="alice")["User"]["Arn"]
    aged(people, alice, "phone", days_left=1)
    alice.register("laptop")
    alice.renew("phone")
    registry = people.vpn.registry()
    assert [each.by for each in registry.devices.registrations()] == [arn, arn]
    alice.remove("laptop")
    aged(people, alice, "tablet", days_left=1)
    alice.rotate("tablet", keys.generate()[1])
    assert [each.by for each in registry.devices.registrations()] == [arn, arn]
    assert [(each.by, each.reason) for each in registry.devices.removed()] == [(arn, "removed by its user")]


def test_removed_device_is_gone_and_its_addresses_rest(people: People) -> None:
    alice = people.user("alice")
    alice.register("laptop")
    people.notices()
    assert alice.remove("laptop")["device"]["device"] == "laptop"
    (notice,) = people.notices()
    user_id = people.vpn.iam.get_user(UserName="alice")["User"]["UserId"]
    assert notice["kind"] == "registry_changed"
    assert RegistryChanged(RemovedDevice(ACCOUNT, user_id, "alice", "laptop")) == parse(
        json.dumps(notice), {ACCOUNT}, ACCOUNT
    ), "the dispatcher understands it"
    assert alice.devices()["devices"] == []
    assert alice.register("phone")["device"]["addresses"][0] == "10.44.0.3"


def test_rotated_key_keeps_addresses_and_expiry(people: People) -> None:
    alice = people.user("alice")
    before = alice.register("laptop")["device"]
    public = keys.generate()[1]
    assert alice.rotate("laptop", public)["device"] == {**before, "public_key": public}
    assert len(people.notices()) == 2


def test_renewal_from_half_of_life_on_keeps_key_and_addresses(people: People) -> None:
    alice = people.user("alice")
    before = aged(people, alice, "laptop", days_left=14.9)
    answer = alice.renew("laptop")
    device = answer["device"]
    assert device["expires_at"] == pytest.approx(time.time() + 30 * DAY, abs=60)
    assert device["renewable_from"] == pytest.approx(time.time() + 15 * DAY, abs=60)
    assert (device["public_key"], tuple(device["addresses"])) == (before.public_key, before.addresses)
    assert device["created_at"] == before.created_at
    assert answer["in_force_from"] == pytest.approx(time.time() + 900, abs=60)
    assert people.notices() == [], "it gathers with others, since gateways have days to hear of it"


def test_renewal_in_the_last_hours_is_told_at_once(people: People) -> None:
    alice = people.user("alice")
    aged(people, alice, "laptop", days_left=1 / 24)
    alice.renew("laptop")
    assert people.notices() == [{"kind": "registry_changed"}]


def test_renewal_before_half_of_life_is_refused_and_says_when(people: People) -> None:
    alice = people.user("alice")
    before = aged(people, alice, "laptop", days_left=15.1)
    error = refused(alice.renew, "laptop")
    assert (error.status, error.code) == (409, "too_early")
    assert time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(before.renewable_from)) in str(error)
    assert people.notices() == []


def test_renewal_sent_twice_counts_once(people: People) -> None:
    alice = people.user("alice")
    aged(people, alice, "laptop", days_left=1 / 24)
    first = alice.renew("laptop")["device"]
    assert alice.renew("laptop")["device"] == first
    assert len(people.notices()) == 1


def test_expired_device_is_renewed_with_key_and_addresses(people: People) -> None:
    alice = people.user("alice")
    before = aged(people, alice, "laptop", days_left=-3)
    device = alice.renew("laptop")["device"]
    assert device["expires_at"] > time.time()
    assert (device["public_key"], tuple(device["addresses"])) == (before.public_key, before.addresses)
    assert people.notices() == [{"kind": "registry_changed"}]


def test_handed_out_key_must_be_rotated_before_it_is_renewed(people: People) -> None:
    carol = people.user("carol")
    aged(people, carol, "laptop", days_left=1, handed_out=True)
    assert refused(carol.renew, "laptop").code == "handed_out"
    assert carol.rotate("laptop", keys.generate()[1])["device"]["handed_out"] is False
    carol.renew("laptop")


def test_end_that_an_operator_set_is_not_moved_by_its_user(people: People) -> None:
    alice = people.user("alice")
    before = aged(people, alice, "laptop", days_left=-1, fixed_end=True)
    error = refused(alice.renew, "laptop")
    assert (error.status, error.code) == (409, "fixed_end")
    assert before.expires_at is not None
    assert time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(before.expires_at)) in str(error)
    (device,) = alice.devices()["devices"]
    assert (device["renewable_from"], device["fixed_end"]) == (None, True)
    alice.rotate("laptop", keys.generate()[1])
    assert refused(alice.renew, "laptop").code == "fixed_end"


def test_renewal_never_shortens_a_life(people: People) -> None:
    alice = people.user("alice")
    now = int(time.time())
    long = aged(people, alice, "laptop", days_left=60, created_at=now - 100 * DAY)
    error = refused(alice.renew, "laptop")
    assert error.code == "too_early"
    (device,) = alice.devices()["devices"]
    assert (device["expires_at"], device["renewable_from"]) == (long.expires_at, now + 30 * DAY)


def test_device_that_does_not_expire_is_not_renewed(people: People) -> None:
    alice = people.user("alice")
    aged(people, alice, "laptop", days_left=1, expires_at=None)
    assert refused(alice.renew, "laptop").code == "never_expires"


def test_blocked_device_is_shown_with_the_reason_and_cannot_be_changed(people: People) -> None:
    alice = people.user("alice")
    alice.register("phone")
    aged(people, alice, "tablet", days_left=1)
    user_id = people.vpn.iam.get_user(UserName="alice")["User"]["UserId"]
    people.vpn.registry().block(Block(ACCOUNT, user_id, "phone", "lost on a train", time.time()))
    assert {device["device"]: device["blocked"] for device in alice.devices()["devices"]} == {
        "phone": "lost on a train",
        "tablet": None,
    }
    for call in (alice.remove, alice.renew, lambda device: alice.rotate(device, keys.generate()[1])):
        error = refused(call, "phone")
        assert (error.status, error.code) == (403, "blocked")
        assert "lost on a train" in str(error)
    alice.renew("tablet")


def test_mfa_session_of_a_user_is_the_user(people: People) -> None:
    alice = people.user("alice")
    session = people.with_key("alice", people.sts(alice).get_session_token()["Credentials"])
    laptop = session.register("laptop")["device"]
    assert alice.devices()["devices"] == [laptop]
