# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The playbooks by which operators change who may connect: `unblock`, `remove_device`, `renew` and `register`."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils import keys
from ansible_collections.tracklib.vpn.plugins.module_utils.model import Decision, Registration, Sign, Tombstone
from ansible_collections.tracklib.vpn.plugins.module_utils.timespan import DAY, utc

from tests.support import fault_proxy as faults
from tests.support.fault_proxy import FaultProxy

from .names import Playbook
from .vpn import ACCESS, ACCOUNT, OPERATOR, POOLS, Vpn

KEY, OTHER_KEY = keys.generate()[1], keys.generate()[1]


class Orders:
    """Playbooks about kim, who has a laptop."""

    def __init__(self, vpn: Vpn, playbook: Playbook) -> None:
        self.vpn = vpn
        self.playbook = playbook
        self.kim = vpn.user("kim")
        vpn.register("kim", "laptop", KEY, expires_in="10d")

    def __call__(self, name: str, *arguments: str, expect: int = 0, **variables: Any) -> str:
        """Run a playbook and return what it said, as one line."""
        common = {"vpn_account_id": ACCOUNT, "vpn_access": ACCESS, "vpn_address_pools": POOLS}
        prefixed = {f"{name}_{variable}": value for variable, value in variables.items()}
        said = self.playbook(name, *arguments, expect=expect, **common, **prefixed)
        unfolded = re.sub(r'",\s+"', " ", said)  # the lines of a message
        return " ".join(unfolded.replace('\\"', '"').split())

    def refused(self, name: str, **variables: Any) -> str:
        return self(name, expect=2, **variables)

    def block(self, device: str | None = None, **options: Any) -> None:
        device_option: dict[str, Any] = {"all_devices": True} if device is None else {"device": device}
        self.vpn.module("revocation", user_name="kim", reason="lost", **device_option, **options)

    def device(self, device: str = "laptop") -> Registration:
        found = self.vpn.registry().devices.registration((ACCOUNT, self.kim), device)
        assert found is not None
        return found

    def come_back(self) -> str:
        """Delete kim, and have another user get the name; return the new id."""
        self.vpn.delete_user("kim")
        return self.vpn.user("kim")


@pytest.fixture
def order(vpn: Vpn, playbook: Playbook) -> Orders:
    """An account with kim, who is in a group that grants access and has a laptop."""
    return Orders(vpn, playbook)


# -- unblock


def test_unblocked_device_comes_back_with_the_next_run_and_the_record_says_who_lifted_the_block(order: Orders) -> None:
    order.block("laptop")
    said = order("unblock", user_name="kim", device="laptop", reason="found")
    assert f"laptop of kim ({order.kim}) is unblocked; still blocked: nothing; comes back with the next" in said
    assert order.vpn.registry().blocks() == []
    (lifted,) = order.vpn.registry().lifted()
    assert (lifted.by, lifted.reason, lifted.block.by, lifted.block.reason) == (OPERATOR, "found", OPERATOR, "lost")


def test_unblocking_what_is_not_blocked_fails_and_names_what_is(order: Orders) -> None:
    order.block("laptop")
    (block,) = order.vpn.registry().blocks()
    said = order.refused("unblock", user_name="kim", device="fone")
    blocked = f"laptop (by {OPERATOR}, 'lost', since {utc(block.created_at)})"
    assert f"kim has no block on fone; blocked: {blocked}" in said
    assert order.vpn.registry().blocks() == [block]
    order("unblock", user_name="kim/laptop")
    assert "kim has no block on laptop; blocked: nothing" in order.refused("unblock", user_name="kim/laptop")


def test_order_to_unblock_that_leaves_out_what_never_means_everything(order: Orders) -> None:
    order.block()
    order.block("laptop")
    said = order.refused("unblock", user_name="kim")
    assert (
        "Neither unblock_device nor unblock_all_devices is given, and nothing was written. Blocked of kim: the " in said
    )
    assert "the whole user (by" in said
    assert "laptop (by" in said
    assert """-e unblock_device=DEVICE for the block of one device, or -e '{"unblock_all_devices": true}'""" in said
    assert "Neither" in order.refused("unblock", user_name="kim", all_devices=False)
    both = order.refused("unblock", user_name="kim", device="laptop", all_devices=True)
    assert "A device and unblock_all_devices are both given, and nothing was written" in both
    assert len(order.vpn.registry().blocks()) == 2
    assert order.vpn.registry().lifted() == []


def test_block_of_the_whole_user_and_of_a_device_are_lifted_one_by_one(order: Orders) -> None:
    order.block()
    order.block("laptop")
    said = order("unblock", user_name="kim", device="laptop")
    assert f"laptop of kim ({order.kim}) is unblocked; still blocked: the whole user (by {OPERATOR}, 'lost'" in said
    order.block("laptop")
    said = order("unblock", user_name=order.kim, all_devices=True)
    assert f"kim ({order.kim}) is unblocked; still blocked: laptop (by {OPERATOR}, 'lost', since" in said
    assert [block.device for block in order.vpn.registry().blocks()] == ["laptop"]


def test_order_to_unblock_says_everything_that_still_keeps_the_device_off(order: Orders) -> None:
    order.block("laptop")
    order.vpn.module("registration", user_name="kim", device="laptop", renew=True, expires_in="1s")
    order.vpn.iam.remove_user_from_group(GroupName="vpn", UserName="kim")
    time.sleep(1.1)
    said = order("unblock", user_name="kim", device="laptop")
    assert "in none of the groups that grant access: vpn; the registration of laptop expired at 20" in said
    assert "comes back with the next reconcile once nothing of that is left" in said


def test_order_to_unblock_who_is_gone_says_so(order: Orders) -> None:
    order.block("laptop")
    order.vpn.delete_user("kim")
    said = order("unblock", user_name="kim", device="laptop")
    assert f"still blocked: no IAM user with the id {order.kim} in account {ACCOUNT};" in said
    order.block("laptop")
    order.vpn.registry().write_tombstone(Tombstone(ACCOUNT, "event-1", "kim", order.kim, time.time()))
    said = order("unblock", user_name=order.kim, device="laptop")
    assert "still blocked: deleted: tombstone event-1;" in said


def test_r1_user_who_came_back_is_not_unblocked_by_the_name(order: Orders) -> None:
    order.block("laptop")
    new = order.come_back()
    said = order.refused("unblock", user_name="kim", device="laptop")
    assert f"kim may mean several users: {', '.join(sorted([order.kim, new]))}" in said.replace(
        " (before)", ""
    ).replace(" (now kim)", "")
    assert "Nothing was written; give the id of the one you mean" in said
    assert len(order.vpn.registry().blocks()) == 1
    assert f"laptop of kim ({order.kim}) is unblocked" in order("unblock", user_name=order.kim, device="laptop")


def test_check_mode_of_unblock_previews_it(order: Orders) -> None:
    order.block("laptop")
    said = order("unblock", "--check", "--diff", user_name="kim", device="laptop")
    assert f"-block of kim: laptop (by {OPERATOR}, 'lost', since" in said
    assert f"laptop of kim ({order.kim}) would be unblocked" in said
    assert len(order.vpn.registry().blocks()) == 1


# -- remove_device


def test_removed_device_leaves_a_record_and_the_screen_says_when_its_tunnel_goes_off(order: Orders) -> None:
    order.vpn.registry().store_decision(Decision(peers=(order.device(),)), 1)
    said = order("remove_device", user_name="kim", device="laptop", reason="given back")
    assert f"laptop of kim ({order.kim}) is removed; its tunnel goes off with the next reconcile (ansible-pl" in said
    assert f"tracklib.vpn.revoke -e revoke_user_name={order.kim} -e revoke_device=laptop" in said
    (removed,) = order.vpn.registry().devices.removed()
    assert (removed.device, removed.reason, removed.by) == ("laptop", "given back", OPERATOR)
    assert order.vpn.registry().devices.registrations() == []


def test_removing_a_device_that_is_not_there_fails_and_names_those_that_are(order: Orders) -> None:
    order.vpn.register("kim", "phone", OTHER_KEY)
    order.block("laptop")
    said = order.refused("remove_device", user_name="kim", device="fone")
    assert "kim has no device fone; registered: laptop (blocked), phone" in said
    assert "nobody is called kimm" in order.refused("remove_device", user_name="kimm", device="laptop")
    assert len(order.vpn.registry().devices.registrations()) == 2


def test_removal_of_a_device_that_is_no_peer_offers_no_command_that_could_not_work(order: Orders) -> None:
    said = order("remove_device", user_name="kim", device="laptop")
    assert "it was no peer by the last run" in said
    assert "tracklib.vpn.revoke" not in said


def test_check_mode_of_remove_device_previews_it(order: Orders) -> None:
    said = order("remove_device", "--check", "--diff", user_name="kim", device="laptop")
    assert f"-kim/laptop ({order.kim})" in said
    assert f"- key: {keys.fingerprint(KEY)}" in said
    assert "would be removed" in said
    assert order.device()


@pytest.fixture
def unreadable(order: Orders) -> str:
    """Have the registration of kim's laptop end at what is no time, and return its sk."""
    (item,) = order.vpn.dynamodb.scan(
        TableName=order.vpn.table,
        FilterExpression="pk = :pk",
        ExpressionAttributeValues={":pk": {"S": "registration"}},
    )["Items"]
    order.vpn.dynamodb.put_item(TableName=order.vpn.table, Item={**item, "expires_at": {"N": str(2**45)}})
    return str(item["sk"]["S"])


def test_r17_device_whose_registration_cannot_be_read_is_removed(order: Orders, unreadable: str) -> None:
    said = order("remove_device", user_name="kim", device="laptop")
    assert f"is removed, although the registry's item registration {unreadable} can't be read (ValueError" in said
    assert f"what its claims held (the key {keys.fingerprint(KEY)}, {POOLS[0].rpartition('.')[0]}.2" in said
    assert order.vpn.items("registration") == []


def test_r17_device_whose_registration_cannot_be_read_is_replaced_and_not_renewed(
    order: Orders, unreadable: str
) -> None:
    said = order.refused("renew", user_name="kim", device="laptop")
    assert f"kim/laptop can't be renewed: the registry's item registration {unreadable} can't be read" in said
    order("register", user_name="kim", device="laptop", public_key=OTHER_KEY, replace=True)
    assert order.device().public_key == OTHER_KEY
    assert order.device().life == pytest.approx(30 * DAY, abs=60)


# -- renew


def test_life_that_the_registry_could_not_hold_is_refused(order: Orders) -> None:
    before = order.device()
    said = order.refused("renew", user_name="kim", device="laptop", expires_in="999999999d")
    assert "renew_expires_in '999999999d' is longer than 100 years; expected at most 36500d" in said
    assert order.device() == before


def test_renewal_lives_as_long_as_before_and_shows_both_ends(order: Orders) -> None:
    time.sleep(1.1)
    before = order.device()
    said = order("renew", user_name="kim", device="laptop")
    after = order.device()
    assert before.expires_at is not None
    assert after.expires_at is not None
    assert after.expires_at > before.expires_at
    assert after.life == 10 * DAY
    assert after.by == OPERATOR
    ends = f"from {utc(before.expires_at)} to {utc(after.expires_at)}"
    assert f"laptop of kim ({order.kim}) is renewed: its end moves {ends}; still blocked: nothing" in said


def test_renewal_shortens_a_life_only_if_it_is_said(order: Orders) -> None:
    order.vpn.module("registration", user_name="kim", device="laptop", renew=True, expires_in="never")
    assert "until never; nothing changed" in order("renew", user_name="kim", device="laptop")
    assert order.device().expires_at is None
    order("renew", user_name="kim", device="laptop", expires_in="1h")
    assert order.device().life == 3600


def test_renewal_of_what_is_not_registered_is_refused_with_what_is(order: Orders) -> None:
    assert "kim has no device fone; registered: laptop." in order.refused("renew", user_name="kim", device="fone")


@pytest.mark.parametrize("name", ["renew", "register"])
def test_order_for_who_may_not_connect_all_the_same_warns(order: Orders, name: str) -> None:
    order.block()
    order.vpn.iam.remove_user_from_group(GroupName="vpn", UserName="kim")
    key: dict[str, Any] = {"public_key": KEY} if name == "register" else {}
    said = order(name, user_name="kim", device="laptop", **key)
    assert "still blocked: the whole user (by" in said
    assert "; in none of the groups that grant access: vpn; comes in with the next reconcile once" in said


def test_check_mode_of_renew_previews_it(order: Orders) -> None:
    before = order.device()
    said = order("renew", "--check", "--diff", user_name="kim", device="laptop", expires_in="90d")
    assert "would be renewed: its end moves from" in said
    assert before.expires_at is not None
    assert f"- expires: {utc(before.expires_at)}" in said
    assert order.device() == before


# -- register


def test_registered_key_lives_for_30_days_and_says_who_registered_it(order: Orders) -> None:
    said = order("register", user_name="kim", device="phone", public_key=OTHER_KEY)
    phone = order.device("phone")
    assert (phone.public_key, phone.life, phone.by) == (OTHER_KEY, 30 * DAY, OPERATOR)
    assert phone.expires_at is not None
    what = f"the key {keys.fingerprint(OTHER_KEY)} until {utc(phone.expires_at)}"
    assert f"phone of kim ({order.kim}) is registered with {what}; still blocked: nothing" in said
    again = order("register", user_name="kim", device="phone", public_key=OTHER_KEY)
    assert "is registered already" in again
    assert order.device("phone") == phone


def test_another_key_needs_a_word_and_the_refusal_has_both_fingerprints(order: Orders) -> None:
    had, given = keys.fingerprint(KEY), keys.fingerprint(OTHER_KEY)
    said = order.refused("register", user_name="kim", device="laptop", public_key=OTHER_KEY)
    assert f"kim/laptop is registered with another key: {had}, given {given}" in said
    assert "register_replace" in said
    assert order.device().public_key == KEY
    said = order("register", "--diff", user_name="kim", device="laptop", public_key=OTHER_KEY, replace=True)
    assert f"- key: {had}" in said
    assert f"+ key: {given}" in said
    assert OTHER_KEY not in said
    assert order.device().public_key == OTHER_KEY


def test_check_mode_of_register_previews_it(order: Orders) -> None:
    said = order("register", "--check", "--diff", user_name="kim", device="phone", public_key=OTHER_KEY)
    assert f"+kim/phone ({order.kim})" in said
    assert f"+ registered by: {OPERATOR}" in said
    assert "would be registered with the key" in said
    assert [each.device for each in order.vpn.registry().devices.registrations()] == ["laptop"]


def test_device_of_nobody_is_not_registered(order: Orders) -> None:
    said = order.refused("register", user_name="kimm", device="laptop", public_key=OTHER_KEY)
    assert "nobody is called kimm" in said
    assert "The nearest names: kim" in said


# -- all of them

ORDERS: dict[str, dict[str, Any]] = {
    "unblock": {"device": "laptop"},
    "remove_device": {"device": "laptop"},
    "renew": {"device": "laptop"},
    "register": {"device": "laptop", "public_key": OTHER_KEY, "replace": True},
}


@pytest.mark.parametrize("name", ORDERS)
def test_r1_name_of_a_user_who_came_back_is_refused_with_the_ids(order: Orders, name: str) -> None:
    new, before = order.come_back(), order.vpn.items("registration")
    said = order.refused(name, user_name="kim", **ORDERS[name])
    assert f"{order.kim} (before)" in said
    assert f"{new} (now kim)" in said
    assert order.vpn.items("registration") == before


@pytest.mark.parametrize("name", ORDERS)
def test_label_stands_for_user_and_device(order: Orders, name: str) -> None:
    order.block("laptop")
    options = {option: value for option, value in ORDERS[name].items() if option != "device"}
    assert f"laptop of kim ({order.kim})" in order(name, user_name="kim/laptop", **options)


@pytest.mark.parametrize("name", [name for name in ORDERS if name != "unblock"])
def test_order_that_names_no_device_is_refused(order: Orders, name: str) -> None:
    before = order.vpn.items("registration")
    options = {option: value for option, value in ORDERS[name].items() if option != "device"}
    said = order.refused(name, user_name="kim", **options)
    assert f"{name}_user_name is set, and not what of kim is meant: expected {name}_device" in said
    said = order.refused(name, user_name="kim/laptop", **ORDERS[name])
    assert f"the label kim/laptop and {name}_device are given, expected one of them" in said
    assert order.vpn.items("registration") == before


@pytest.mark.parametrize("name", ORDERS)
def test_r16_account_that_is_not_configured_is_named_and_nothing_is_written(order: Orders, name: str) -> None:
    order.block("laptop")
    before = order.vpn.items("registration"), order.vpn.items("block")
    said = order.refused(name, user_name="kim", account_id="444455556666", **ORDERS[name])
    assert f"account 444455556666 is not the gateways' account {ACCOUNT}, and there is no role" in said
    assert (order.vpn.items("registration"), order.vpn.items("block")) == before


@pytest.mark.parametrize("name", ORDERS)
def test_variables_that_are_missing_or_unknown_are_named(order: Orders, name: str) -> None:
    said = order.refused(name, divice="laptop")
    assert f"{name}_user_name is not set, expected" in said
    assert f"{name}_divice is no variable of this playbook" in said
    assert f"For example: ansible-playbook -i inventories/aws tracklib.vpn.{name}" in said


@pytest.mark.parametrize(
    ("variables", "complaint"),
    [
        ({"device": "Laptop"}, "device is Laptop, expected the device's name, 1 to 32"),
        ({"device": "laptop", "user_name": "kim jong"}, "user_name is kim jong, expected the IAM user's name"),
        ({"device": "laptop", "account_id": "1"}, "account_id is 1, expected the user's account, 12 digits"),
    ],
)
def test_odd_variables_are_refused_with_what_is_expected(
    order: Orders, variables: dict[str, Any], complaint: str
) -> None:
    assert complaint in order.refused("renew", **{"user_name": "kim", **variables})


def test_receipt_of_a_removed_device_says_who_removed_it_and_why(order: Orders) -> None:
    order("remove_device", user_name="kim", device="laptop", reason="given back")
    now = int(time.time())
    removal = {
        "id": "0123456789abcdef",
        "user_name": "kim",
        "device": "laptop",
        "account_id": ACCOUNT,
        "user_id": order.kim,
        "fingerprint": keys.fingerprint(KEY),
        "generation": now * 1000,
        "reason": "removed",
        "removed_at": now,
    }
    order.vpn.module("receipts", gateways=[{"name": "gateway-1", "removals": [removal]}])
    said = order("receipts")
    assert "removed: given back" in said
    assert "moto" in said
    (receipt,) = order.vpn.module("receipts_info")["receipts"]
    assert (receipt["reason"], receipt["by"]) == ("removed", OPERATOR)


def test_whose_order_a_record_is_survives_export_and_import(
    order: Orders, aws_client: Callable[..., Any], tmp_path: Any
) -> None:
    order.block("laptop")
    order("unblock", user_name="kim", device="laptop")
    order.block()
    dest = str(tmp_path / "registry.jsonl")
    order.vpn.module("registry_export", dest=dest)
    dynamodb = aws_client("dynamodb")
    table = dynamodb.describe_table(TableName=order.vpn.table)["Table"]
    dynamodb.create_table(
        TableName="copy",
        AttributeDefinitions=table["AttributeDefinitions"],
        KeySchema=table["KeySchema"],
        BillingMode="PAY_PER_REQUEST",
    )
    order.vpn.module("registry_import", src=dest, registry_table="copy")
    copied = dynamodb.scan(TableName="copy")["Items"]
    for pk in ("registration", "block", "lifted"):
        assert [item["by"]["S"] for item in copied if item["pk"]["S"] == pk] == [OPERATOR], pk


def test_orders_that_nobody_gave_by_name_say_who_ran_them(vpn: Vpn, tmp_path: Any) -> None:
    for name in ("alice", "bob", "carol"):
        vpn.user(name)
        vpn.register(name, "laptop", keys.generate()[1], expires_in="1s" if name == "carol" else "never")
    vpn.module("roster", dest=str(tmp_path / "roster.json"))
    vpn.delete_user("alice")
    (bob,) = (each for each in vpn.registry().devices.registrations() if each.user_name == "bob")
    vpn.registry().write_sign(Sign(ACCOUNT, bob.user_id, "DeleteLoginProfile", time.time() - 1))
    vpn.module("roster", dest=str(tmp_path / "roster.json"))
    vpn.module("early_signs", early_signs="suspend")
    time.sleep(1.1)
    vpn.module("registry_cleanup", expired_for="1s")
    registry = vpn.registry()
    assert [each.by for each in registry.tombstones()] == [None]  # a sweep doesn't see who deleted a user
    assert [(each.by, each.device) for each in registry.blocks()] == [(OPERATOR, None)]
    (removed,) = registry.devices.removed()
    assert (removed.user_name, removed.by, removed.reason) == ("carol", OPERATOR, "cleanup: it expired long ago")


def test_r3_unblocking_goes_on_where_iam_does_not_answer(vpn: Vpn, fault_proxy: FaultProxy) -> None:
    vpn.user("kim")
    vpn.register("kim", "laptop", KEY)
    vpn.module("revocation", user_name="kim", device="laptop")
    fault_proxy.fail("GetUser", faults.error(500, "ServiceFailure"))
    env = {"AWS_URL": fault_proxy.url}
    few = {"retries": {"mode": "standard", "total_max_attempts": 2}}
    result = vpn.module("revocation", env=env, user_name="kim", device="laptop", state="unblocked", aws_config=few)
    assert [block["device"] for block in result["lifted"]] == ["laptop"]
    assert "IAM didn't say how kim stands" in str(result["warnings"])


def test_each_order_answers_in_json_where_a_program_asks(order: Orders, tmp_path: Any) -> None:
    file = tmp_path / "answer.json"

    def answer(name: str, expect: int = 0, **variables: Any) -> dict[str, Any]:
        said = order(name, expect=expect, format="json", file=str(file), **variables)
        assert f"written: {file} (0600)" in said
        answered: dict[str, Any] = json.loads(file.read_text())
        return answered

    registered = answer("register", user_name="kim", device="phone", public_key=OTHER_KEY)
    assert (registered["changed"], registered["failures"], registered["still_blocked_by"]) == (True, [], [])
    assert registered["registration"]["public_key"] == OTHER_KEY
    renewed = answer("renew", user_name="kim", device="phone", expires_in="never")
    assert (renewed["registration"]["device"], renewed["registration"]["expires_at"]) == ("phone", None)
    order.block("laptop")
    unblocked = answer("unblock", user_name="kim/laptop")
    assert [block["by"] for block in unblocked["lifted"]] == [OPERATOR]
    hit_nothing = answer("unblock", user_name="kim/laptop", expect=2)
    assert hit_nothing["failures"] == [hit_nothing["msg"]]
    assert "has no block on laptop" in hit_nothing["msg"]
    removed = answer("remove_device", user_name="kim/phone")
    assert (removed["registration"]["device"], removed["failures"]) == ("phone", [])
    assert answer("remove_device", user_name="kim/phone", expect=2)["failures"]
