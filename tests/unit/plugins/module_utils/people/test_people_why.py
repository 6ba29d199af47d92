# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Where the chain from IAM to a device's packets breaks, and what to do next."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils.people.devices import devices_report
from ansible_collections.tracklib.vpn.plugins.module_utils.people.layout import Explained
from ansible_collections.tracklib.vpn.plugins.module_utils.people.merge import without_decision
from ansible_collections.tracklib.vpn.plugins.module_utils.people.seen import GatewaySeen
from ansible_collections.tracklib.vpn.plugins.module_utils.people.why import why_report

from tests.support.decisions import (
    ACCOUNT,
    DAY,
    NOW,
    OTHER,
    account,
    block,
    key,
    registration,
    registrations,
    sweep,
    tombstone,
    unswept,
    user,
    users,
)
from tests.support.people import gateway, peer, result, unreached, view

BOTH = account(sweep(*users((1, 2))))
WELL = result([BOTH], registrations((1, 2)))


def why(found: Any, *gateways: GatewaySeen, user_name: str = "user1", device: str | None = None) -> Explained:
    said = why_report(view(found, *gateways, user_name=user_name), user_name, device, NOW)
    assert all(len(line) <= 88 or "ansible-playbook" in line for line in said.lines)  # a command has one line
    return said


def chain(said: Explained, number: int = 0) -> dict[str, str]:
    """The verdict of each link of a case."""
    return {link["title"]: link["verdict"] for link in said.data["cases"][number]["links"]}


def first_break(said: Explained, number: int = 0) -> dict[str, Any]:
    links = said.data["cases"][number]["links"]
    return dict(next(link for link in links if link["verdict"] == "breaks here"))


def test_whole_chain_is_ok_for_who_is_connected() -> None:
    said = why(WELL, gateway("gw-1", peer(1)))
    assert chain(said) == dict.fromkeys(
        [
            "in IAM",
            "in a group",
            "not revoked",
            "registered",
            "not expired",
            "key, address",
            "decision",
            "on gw-1",
            "handshake",
            "beyond gw-1",
            "networks",
        ],
        "ok",
    )
    assert said.lines[0].startswith("user1/laptop is connected: a handshake 20s ago on gw-1. If a service")
    assert said.failures == []


@pytest.mark.parametrize(
    ("found", "title", "finding", "next_step"),
    [
        pytest.param(
            result([account(sweep(user(2)))], registrations((1,))),
            "in IAM",
            "no user1 (AIDA1) of account 111122223333 in the sweep",
            "create the user in IAM",
            id="not in IAM",
        ),
        pytest.param(
            result([account(sweep(user(1, groups=("billing",))))], registrations((1,))),
            "in a group",
            "in billing, expected one of vpn_access: vpn",
            "add user1 to such a group in IAM, then run reconcile",
            id="no group",
        ),
        pytest.param(
            result([BOTH], registrations((1,)), blocks=[block(1, reason="left")]),
            "not revoked",
            "user blocked since 2027-01-15T08:00:00Z: left",
            "tracklib.vpn.unblock -e unblock_user_name=user1 -e unblock_all_devices=true",
            id="blocked user",
        ),
        pytest.param(
            result([BOTH], registrations((1,)), blocks=[block(1, device="laptop", reason="lost")]),
            "not revoked",
            "device blocked since",
            "-e unblock_device=laptop",
            id="blocked device",
        ),
        pytest.param(
            result([BOTH], registrations((1,)), tombstones=[tombstone(1)]),
            "not revoked",
            "deleted: tombstone event",
            "a new user registers anew",
            id="deleted",
        ),
        pytest.param(result([BOTH], []), "registered", "registered: none", "run enroll", id="no device"),
        pytest.param(
            result([BOTH], [registration(1, expires_at=NOW - DAY)]),
            "not expired",
            "expired 1d ago",
            "tracklib.vpn.renew -e",
            id="expired",
        ),
        pytest.param(
            result([BOTH], [registration(1, public_key="no key")]),
            "key, address",
            "",
            "register it again",
            id="bad key",
        ),
        pytest.param(
            result([BOTH], [registration(1, addresses=("192.0.2.1",))]),
            "key, address",
            "192.0.2.1",
            "register it again",
            id="address outside the pool",
        ),
    ],
)
def test_first_break_is_the_headline_with_the_next_step(found: Any, title: str, finding: str, next_step: str) -> None:
    said = why(found, gateway("gw-1"))
    broken = first_break(said)
    assert broken["title"] == title
    assert finding in broken["finding"]
    assert next_step in broken["next_step"]
    assert "can't connect" in said.lines[0]
    assert f'"{title}" breaks' in " ".join(" ".join(said.lines).split())
    assert said.failures == []


def test_registered_peer_that_the_gateway_lacks_needs_a_reconcile() -> None:
    broken = first_break(why(WELL, gateway("gw-1")))
    assert (broken["title"], broken["next_step"]) == ("on gw-1", "run reconcile")
    assert "roster 7, applied 1m ago" in broken["finding"]


def test_barred_peer_says_how_the_bar_is_ended() -> None:
    broken = first_break(why(WELL, gateway("gw-1", barred=[{"name": "USER1"}])))
    assert broken["finding"] == "kept out there by a revocation of USER1"
    repeat, release = broken["next_step"].split("; or, to let them in, ")
    assert repeat == "repeat the revocation, which the registry didn't get"
    assert 'vpn_release_revoked": ["USER1"]' in release


def test_r1_bar_on_somebody_else_of_the_name_keeps_nobody_out() -> None:
    others = [{"name": "user1", "account_id": ACCOUNT, "user_id": "AIDA7"}]
    assert first_break(why(WELL, gateway("gw-1", barred=others)))["next_step"] == "run reconcile"


def test_bar_that_the_registry_has_ends_with_the_next_run() -> None:
    recorded = [{"name": "user1", "generation": 6}]
    assert first_break(why(WELL, gateway("gw-1", barred=recorded)))["next_step"] == "run reconcile"


def test_interface_that_is_down_is_named() -> None:
    assert "down or missing" in first_break(why(WELL, gateway("gw-1", interface_up=False)))["finding"]


def test_gateway_without_a_roster_is_told_from_one_with_an_old_one() -> None:
    assert "no roster was ever applied" in first_break(why(WELL, gateway("gw-1", generation=0)))["finding"]


def test_chain_is_laid_out_in_columns_and_its_breaks_are_loud() -> None:
    said = why(result([BOTH], [registration(1, expires_at=NOW - DAY)]), gateway("gw-1"))
    assert said.lines[2:3] + said.lines[6:9] + said.lines[12:13] == [
        "ok           in IAM            user1 (AIDA1) of account 111122223333 is there",
        "BREAKS HERE  not expired       expired 1d ago, until 2027-01-14T08:00:00Z",
        "             next",
        "  ansible-playbook -i INVENTORY tracklib.vpn.renew -e renew_user_name=user1 -e renew_device=laptop",
        "unknown      handshake         none can be made before it is a peer",
    ]
    found = result([BOTH], [registration(1)], blocks=[block(1, reason="because " * 12)])
    begun = next(number for number, line in enumerate(why(found).lines) if line.startswith("BREAKS HERE  not revoked "))
    assert why(found).lines[begun + 1].startswith(" " * 31 + "because")


@pytest.mark.parametrize(("age", "finding"), [(None, "never on gw-1"), (7200, "none for 2h, the last on gw-1")])
def test_peer_without_a_late_handshake_breaks_on_the_devices_side(age: int | None, finding: str) -> None:
    broken = first_break(why(WELL, gateway("gw-1", peer(1, age=age))))
    assert (broken["title"], broken["finding"]) == ("handshake", finding)
    assert "dials vpn.example.com:51820" in broken["next_step"]


def test_r19_handshake_outranks_what_is_decided() -> None:
    said = why(result([BOTH], registrations((1,)), blocks=[block(1)]), gateway("gw-1", peer(1)))
    assert said.lines[0].startswith('user1/laptop is connected: a handshake 20s ago on gw-1; but "not revoked" breaks')
    on_gateway = next(each for each in said.data["cases"][0]["links"] if each["title"] == "on gw-1")
    assert (on_gateway["finding"][:18], on_gateway["next_step"]) == ("still a peer of th", "run reconcile")


def test_r19_device_that_may_be_connected_elsewhere_isnt_said_to_be_broken() -> None:
    said = why(WELL, gateway("gw-1", peer(1, age=None)), unreached())
    assert (chain(said)["handshake"], chain(said)["on gw-2"]) == ("unknown", "unknown")
    assert "no break was found, and this is not known: on gw-2, handshake" in said.failures[0]
    assert "gateway gw-2 is not shown" in said.failures[1]


def test_r19_break_that_a_silent_gateway_may_not_know_of_is_told_and_no_whole_answer() -> None:
    said = why(result([BOTH], registrations((1,)), blocks=[block(1)]), unreached())
    assert "it may still be a peer of gw-2, which can't be asked" in " ".join(said.lines)
    assert "which can't be asked" in said.failures[0]
    assert said.failures[1].startswith("gateway gw-2 is not shown")
    assert said.lines[-1].startswith("gateway gw-2 is not shown")


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({"drift": ["route 10.44.0.0/20 missing"]}, "breaks here"),
        ({"problems": ["wg0.conf was changed by hand"]}, "breaks here"),
        ({"drift": ["user2/laptop missing on the device", "peer KEY added by hand"]}, "ok"),
        ({"drift": ["user1/laptop with other allowed_ips"]}, "breaks here"),
        ({"notices": ["docker may drop it"]}, "unknown"),
    ],
)
def test_what_packets_meet_beyond_the_tunnel_is_the_last_link(changes: dict[str, Any], verdict: str) -> None:
    said = why(WELL, gateway("gw-1", peer(1), **changes))
    assert chain(said)["beyond gw-1"] == verdict
    assert said.lines[0].startswith("user1/laptop is connected")


def test_only_the_gateway_that_the_device_is_connected_to_counts_beyond_the_tunnel() -> None:
    said = why(WELL, gateway("gw-1", peer(1)), gateway("gw-2", peer(1, age=None), drift=["firewall lost"]))
    assert "beyond gw-2" not in chain(said)


def test_held_peer_can_connect_and_says_what_is_to_be_decided() -> None:
    peers = registrations((1, 2))
    found = result([account(sweep(), held=("AIDA1", "AIDA2"))], peers, peers=peers)
    links = why(found, gateway("gw-1", peer(1))).data["cases"][0]["links"]
    decision = next(each for each in links if each["title"] == "decision")
    assert (decision["verdict"], "vpn_release_held" in decision["next_step"]) == ("ok", True)


def test_r3_sweep_that_failed_leaves_the_first_link_open() -> None:
    said = why(result([unswept(stored=sweep(user(1)))], registrations((1,))), gateway("gw-1", peer(1)))
    assert chain(said)["in IAM"] == "unknown"


def test_r3_who_is_newer_than_the_last_complete_sweep_is_not_said_to_be_gone() -> None:
    said = why(result([unswept(stored=sweep(user(1)))], registrations((1, 2))), gateway("gw-1"), user_name="user2")
    (link,) = (each for case in said.data["cases"] for each in case["links"] if each["title"] == "in IAM")
    assert link["verdict"] == "unknown"
    assert "IAM could not be asked now: denied" in link["finding"]
    assert "create the user" not in str(said.data)


def test_account_that_was_never_swept_breaks_the_first_link() -> None:
    broken = first_break(why(result([unswept()], registrations((1,))), gateway("gw-1")))
    assert (broken["title"], "it was never swept: denied" in broken["finding"]) == ("in IAM", True)


def test_r1_each_id_of_a_name_has_its_own_chain_who_is_in_iam_first() -> None:
    swept = account(sweep(user(3, user_name="user1")))
    said = why(result([swept], registrations((1,)), tombstones=[tombstone(1)]), gateway("gw-1"))
    assert [case["user_id"] for case in said.data["cases"]] == ["AIDA3", "AIDA1"]
    assert said.lines[0].startswith("user1 (AIDA3) can't connect")
    assert "register the device for AIDA3" in first_break(said, 1)["next_step"]


def test_each_device_has_its_own_chain_unless_one_is_asked_for() -> None:
    phone = registration(1, device="phone", public_key=key(5), addresses=("10.44.0.9",))
    found = result([BOTH], [registration(1), phone])
    assert [case["name"] for case in why(found).data["cases"]] == ["user1/laptop", "user1/phone"]
    for asked in ({"device": "phone"}, {"user_name": "user1/phone"}):
        assert [case["name"] for case in why(found, **asked).data["cases"]] == ["user1/phone"]


def test_device_that_isnt_registered_is_named_with_those_that_are() -> None:
    for asked in ({"device": "phone"}, {"user_name": "user1/phone"}):
        broken = first_break(why(WELL, **asked))
        assert broken["finding"] == "user1/phone is not registered; registered: laptop"


def test_account_to_whose_groups_vpn_access_grants_nothing_is_named_as_the_break() -> None:
    other = account(sweep(user(1, account_id=OTHER), account=OTHER))
    broken = first_break(why(result([other], [registration(1, account_id=OTHER)])))
    assert broken["finding"] == f"vpn_access grants nothing to groups of account {OTHER}"
    assert "name the account in vpn_access" in broken["next_step"]


def test_held_peer_out_of_its_group_is_not_said_to_break_there() -> None:
    peers = registrations((1, 2))
    found = result([account(sweep(*users((1, 2), groups=("billing",))))], peers, peers=peers)
    assert chain(why(found, gateway("gw-1", peer(1))))["in a group"] == "unknown"


def test_nobody_cant_be_explained_and_the_nearest_names_are_said() -> None:
    said = why(WELL, user_name="usr1")
    assert "nobody is called usr1" in said.failures[0]
    assert said.data["cases"] == []


def test_silent_registry_is_no_answer() -> None:
    said = why_report(without_decision([gateway("gw-1", peer(1))], "denied"), "user1", None, NOW)
    assert said.failures == ["IAM or the registry could not be asked, so only the gateways are shown: denied"]
    assert "user1/laptop  a peer of the gateways; what is decided" in " ".join(said.lines)


def test_silent_registry_and_a_gateway_that_keeps_somebody_out() -> None:
    barring = [{"name": "User1/laptop", "generation": 0}, {"name": "user2", "generation": 0}]
    said = why_report(without_decision([gateway("gw-1", barred=barring)], "denied"), "user1", None, NOW)
    assert "gw-1 keeps out by a revocation: User1/laptop" in said.lines


def test_r19_peer_that_is_to_go_and_is_still_there_is_said_to_be_there_and_no_answer() -> None:
    said = why(result([BOTH], registrations((1,)), blocks=[block(1)]), gateway("gw-1", peer(1, age=None)))
    assert said.lines[0].startswith('user1/laptop is still a peer of gw-1, and isn\'t to be: "not revoked" breaks')
    assert said.failures[0].startswith("user1/laptop is still a peer of gw-1")
    connected = why(result([BOTH], registrations((1,)), blocks=[block(1)]), gateway("gw-1", peer(1, age=5)))
    assert connected.failures[0].startswith("user1/laptop is connected")


def test_r19_live_peer_without_a_registration_is_told_where_its_user_is_asked_about() -> None:
    found, there = result([BOTH], []), gateway("gw-1", peer(1))
    told = "user1/laptop has no registration, and is a live peer of gw-1 all the same. Run reconcile, which removes it"
    for said in (why(found, there), devices_report(view(found, there, user_name="user1"), "user1", NOW)):
        assert told in said.failures
        assert told in " ".join(" ".join(said.lines).split())


def test_block_of_a_device_that_is_not_registered_breaks_the_chain() -> None:
    blocked = result([BOTH], [], blocks=[block(1, device="laptop")])
    broken = first_break(why_report(view(blocked, user_name="user1/laptop"), "user1/laptop", None, NOW))
    assert (broken["title"], broken["finding"][:14]) == ("not revoked", "device blocked")
