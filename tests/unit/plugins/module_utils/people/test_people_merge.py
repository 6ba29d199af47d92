# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What is known of devices and users: the decision, IAM, and what gateways see."""

from __future__ import annotations

from typing import Any, NamedTuple, cast

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils.model import Block
from ansible_collections.tracklib.vpn.plugins.module_utils.people.merge import Whose, view_of
from ansible_collections.tracklib.vpn.plugins.module_utils.people.seen import from_host_variables, from_options

from tests.support.decisions import (
    ACCOUNT,
    DAY,
    NOW,
    OTHER,
    account,
    block,
    registration,
    registrations,
    sweep,
    tombstone,
    unswept,
    user,
    users,
)
from tests.support.people import device, fingerprint_of, gateway, peer, result, unreached, view

BOTH = account(sweep(*users((1, 2))))


def test_peer_is_shown_with_what_each_gateway_sees() -> None:
    found = device(
        view(result([BOTH], registrations((1, 2))), gateway("gw-1", peer(1)), gateway("gw-2")), "user1/laptop"
    )
    assert (found["status"], found["reason"], found["in_iam"]) == ("peer", None, True)
    on_first, on_second = found["gateways"]
    assert (on_first["is_peer"], on_first["handshake_age"], on_first["endpoint"]) == (True, 20, "198.51.100.7:40000")
    assert (on_second["is_peer"], on_second["last_handshake"]) == (False, None)
    assert found["fingerprint"] == fingerprint_of(1)


def test_gateway_that_wasnt_read_says_nothing_of_a_device() -> None:
    found = device(view(result([BOTH], registrations((1,))), unreached()), "user1/laptop")
    assert [each["is_peer"] for each in found["gateways"]] == [None]


def test_peer_under_an_earlier_key_isnt_the_device() -> None:
    seen = view(result([BOTH], registrations((1,))), gateway("gw-1", peer(1, public_key=peer(9)["public_key"])))
    assert device(seen, "user1/laptop")["gateways"][0]["is_peer"] is False
    assert [each["name"] for each in seen["strangers"]] == ["user1/laptop"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"blocks": [block(1, reason="left")]}, "blocked"),
        ({"tombstones": [tombstone(1)]}, "tombstoned"),
    ],
)
def test_r4_revoked_device_is_left_out_with_the_reason(changes: dict[str, Any], reason: str) -> None:
    found = device(view(result([BOTH], registrations((1, 2)), **changes)), "user1/laptop")
    assert (found["status"], found["reason"]) == ("left_out", reason)


def test_expired_device_is_left_out() -> None:
    found = device(view(result([BOTH], [registration(1, expires_at=NOW - 5)])), "user1/laptop")
    assert (found["status"], found["reason"], found["expires_at"]) == ("left_out", "expired", int(NOW) - 5)


def test_r5_held_peer_is_named_as_held() -> None:
    peers = registrations((1, 2))
    found = view(result([account(sweep(), held=("AIDA1", "AIDA2"))], peers, peers=peers))
    assert found["held"] == ["user1/laptop", "user2/laptop"]
    assert device(found, "user1/laptop")["status"] == "held"


def test_r5_held_peer_whose_item_cant_be_read_is_a_device_all_the_same() -> None:
    (lost, other) = peers = registrations((1, 2))
    found = view(result([BOTH], [other], peers=peers, unreadable={lost.identity: "no key"}))
    assert [each["name"] for each in found["devices"]] == ["user1/laptop", "user2/laptop"]


def test_block_of_a_user_covers_each_device_and_one_of_a_device_only_that() -> None:
    both = [
        registration(1),
        registration(1, device="phone", public_key=peer(5)["public_key"], addresses=("10.44.0.9",)),
    ]
    of_user = view(result([BOTH], both, blocks=[block(1)]))
    of_phone = view(result([BOTH], both, blocks=[block(1, device="phone", reason="lost")]))
    assert [each["blocked"]["reason"] for each in of_user["devices"]] == ["left", "left"]
    assert device(of_phone, "user1/laptop")["blocked"] is None
    assert device(of_phone, "user1/phone")["blocked"] == {
        "device": "phone",
        "by": None,
        "reason": "lost",
        "since": int(NOW),
    }


def test_who_blocked_is_shown_where_the_record_says_it() -> None:
    class Signed(NamedTuple):
        account_id: str
        user_id: str
        device: str | None
        reason: str
        created_at: float
        by: str

    signed = cast(Block, Signed(ACCOUNT, "AIDA1", None, "left", NOW, "ops"))
    assert device(view(result([BOTH], registrations((1,)), blocks=[signed])), "user1/laptop")["blocked"]["by"] == "ops"


def test_r1_user_who_came_back_is_another_user() -> None:
    back = user(3, user_name="user1")
    found = view(result([account(sweep(back))], registrations((1,)), tombstones=[tombstone(1)]), user_name="user1")
    old = device(found, "user1/laptop")
    assert (old["user_id"], old["in_iam"], old["id_of_the_name"]) == ("AIDA1", False, "AIDA3")
    assert [(each["user_id"], each["in_iam"], each["reason"]) for each in found["users"]] == [
        ("AIDA3", True, None),
        ("AIDA1", False, "tombstoned"),
    ]


def test_account_that_was_never_swept_leaves_open_who_is_in_iam() -> None:
    found = view(result([unswept()], registrations((1,))))
    assert device(found, "user1/laptop")["in_iam"] is None
    assert found["accounts"] == [
        {"account_id": ACCOUNT, "complete": False, "swept_at": None, "stored_at": None, "error": "denied"}
    ]


def test_stored_sweep_decides_and_its_age_is_known() -> None:
    found = view(result([unswept(stored=sweep(user(1), begun_at=NOW - DAY))], registrations((1,))))
    assert device(found, "user1/laptop")["status"] == "peer"
    assert [(each["stored_at"], each["complete"]) for each in found["accounts"]] == [(int(NOW - DAY), False)]


@pytest.mark.parametrize("asked", ["USER1", "AIDA1", "user1/laptop"])
def test_user_is_found_by_name_in_any_case_by_id_and_by_label(asked: str) -> None:
    found = view(result([BOTH], registrations((1, 2))), user_name=asked)
    assert [each["name"] for each in found["devices"]] == ["user1/laptop"]
    assert [each["user_id"] for each in found["users"]] == ["AIDA1"]


def test_label_of_another_device_finds_the_user_and_no_device() -> None:
    found = view(result([BOTH], registrations((1,))), user_name="user1/phone")
    assert (found["devices"], [each["user_id"] for each in found["users"]]) == ([], ["AIDA1"])


def test_renamed_user_is_found_by_the_name_of_the_registration_too() -> None:
    swept = account(sweep(user(1, user_name="alicia")))
    found = view(result([swept], registrations((1,))), user_name="user1")
    assert [(each["user_id"], each["user_name"]) for each in found["users"]] == [("AIDA1", "alicia")]


def test_user_whom_only_a_block_knows_is_found_by_id() -> None:
    found = view(result([account(sweep())], [], blocks=[block(8)]), user_name="AIDA8")
    assert [(each["user_name"], each["reason"]) for each in found["users"]] == [("AIDA8", "blocked")]


def test_account_limits_whom_a_name_means() -> None:
    assert Whose("user1", OTHER).means((OTHER, "AIDA1"), ["user1"])
    assert not Whose("user1", OTHER).means((ACCOUNT, "AIDA1"), ["user1"])
    assert Whose(None, None).means((ACCOUNT, "AIDA1"), [])


def test_user_is_described_with_groups_and_networks() -> None:
    (found,) = view(result([account(sweep(user(1, groups=("vpn", "billing"))))], []), user_name="user1")["users"]
    assert (found["groups"], found["granting_groups"]) == (["billing", "vpn"], ["vpn"])
    assert found["networks"] == ["10.20.0.0/16"]


def test_user_in_no_granting_group_is_granted_nothing() -> None:
    (found,) = view(result([account(sweep(user(1, groups=("billing",))))], []), user_name="user1")["users"]
    assert (found["granting_groups"], found["expected_groups"], found["networks"]) == ([], ["vpn"], [])
    assert found["reason"] == "not_in_group"


def test_unknown_name_has_the_nearest_ones() -> None:
    found = view(result([BOTH], []), user_name="usr1")
    assert (found["users"], found["nearest"][0]) == ([], "user1")


def test_gateway_names_who_is_missing_there_and_who_should_be_gone() -> None:
    found = result([BOTH], registrations((1, 2)), blocks=[block(1)])
    (seen,) = view(found, gateway("gw-1", peer(1)))["gateways"]
    assert (seen["missing"], seen["surplus"], seen["peers"]) == (["user2/laptop"], ["user1/laptop"], 1)


def test_gateway_that_wasnt_read_misses_nobody() -> None:
    (seen,) = view(result([BOTH], registrations((1,))), unreached())["gateways"]
    assert (seen["missing"], seen["peers"], seen["reached"]) == ([], None, False)


def test_without_a_decision_the_gateways_names_are_the_devices() -> None:
    gateways = [
        {"name": "gw-1", "reached": True, "error": None, "info": {"peers": [peer(1), peer(9, user_name="")]}},
        {"name": "gw-2", "reached": False, "error": "no", "info": {}},
    ]
    found = view_of({"msg": "denied\n now"}, gateways)
    assert found["error"] == "denied now"
    assert [(each["name"], each["status"]) for each in found["devices"]] == [("user1/laptop", "unknown")]
    assert [each["fingerprint"] for each in found["strangers"]] == [fingerprint_of(9)]
    assert [each["reached"] for each in found["gateways"]] == [True, False]


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        ("user1", ["user1/laptop"]),
        ("AIDA2", ["user2/laptop"]),
        ("user1/phone", []),
        ("nosuch", []),
        (None, ["user1/laptop", "user2/laptop"]),
    ],
)
def test_without_a_decision_only_whose_devices_were_asked_about_are_shown(asked: str | None, named: list[str]) -> None:
    gateways = [{"name": "gw-1", "reached": True, "error": None, "info": {"peers": [peer(1), peer(2)]}}]
    found = view_of({"msg": "denied"}, gateways, asked)
    assert [each["name"] for each in found["devices"]] == named


def test_peer_that_a_bar_keeps_out_is_not_said_to_be_missing() -> None:
    (seen,) = view(result([BOTH], registrations((1, 2))), gateway("gw-1", barred=[{"name": "user1"}]))["gateways"]
    assert seen["missing"] == ["user2/laptop"]


def test_what_the_module_found_is_taken_as_it_is() -> None:
    found = view(result([BOTH], []))
    assert view_of(found, []) is found


def test_gateways_are_handed_on_with_why_nothing_was_read() -> None:
    hosts: list[dict[str, Any]] = [
        {"inventory_hostname": "gw-1", "seen": {"peers": [], "listen_port": 51820, "changed": False}},
        {
            "inventory_hostname": "gw-2",
            "seen": {"unreachable": True, "msg": "Failed to connect to the host via ssh: no route\nto it"},
        },
        {"inventory_hostname": "gw-3", "seen": {"failed": True, "msg": "`wg` isn't installed"}},
        {"inventory_hostname": "gw-4"},
    ]
    hosts[0]["wireguard_endpoint"] = "2001:db8::1"
    found = list(from_host_variables(hosts, "seen"))
    assert [each["error"] for each in found] == [
        None,
        "it can't be reached: Failed to connect to the host via ssh: no route",
        "it could not be read: `wg` isn't installed",
        "it was not asked, --limit leaves it out",
    ]
    assert [each["reached"] for each in found] == [True, False, True, False]
    assert (found[0]["endpoint"], found[0]["info"]) == ("[2001:db8::1]:51820", {"peers": [], "listen_port": 51820})
    assert [each.name for each in from_options(found)] == ["gw-1", "gw-2", "gw-3", "gw-4"]
