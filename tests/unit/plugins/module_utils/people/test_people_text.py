# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What operators read of devices, of the VPN as a whole, and of whose time ends."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils.people.devices import (
    devices_report,
    expiring_report,
    renewal,
    status_words,
)
from ansible_collections.tracklib.vpn.plugins.module_utils.people.layout import (
    ago,
    command,
    life,
    names,
    output,
    paragraph,
    size,
    span,
    table,
    utc,
)
from ansible_collections.tracklib.vpn.plugins.module_utils.people.merge import without_decision
from ansible_collections.tracklib.vpn.plugins.module_utils.people.seen import CONNECTED, GatewaySeen
from ansible_collections.tracklib.vpn.plugins.module_utils.people.status import status_report

from tests.support.decisions import (
    DAY,
    NOW,
    OTHER,
    account,
    block,
    registration,
    registrations,
    sweep,
    tombstone,
    user,
    users,
)
from tests.support.decisions import unswept as not_swept
from tests.support.people import fingerprint_of, gateway, peer, result, unreached, view

BOTH = account(sweep(*users((1, 2))), stored=sweep(begun_at=NOW - 90))
WELL = result([BOTH], registrations((1, 2)))


def status(found: Any, *gateways: GatewaySeen, **options: Any) -> tuple[str, list[str]]:
    """The text and the failures."""
    said = status_report(view(found, *gateways), NOW, **{"max_age": DAY, "show_all": False, **options})
    assert max(map(len, said.lines)) <= 88
    return "\n".join(said.lines), said.failures


def devices(found: Any, *gateways: GatewaySeen, user_name: str | None = None) -> tuple[str, list[str]]:
    """The text and the failures."""
    said = devices_report(view(found, *gateways, user_name=user_name), user_name, NOW)
    assert max(map(len, said.lines)) <= 88
    return "\n".join(said.lines), said.failures


# -- layout


def test_times_and_sizes_are_short() -> None:
    assert [span(each) for each in (3 * DAY + 5, 7200, 60, 59, -4)] == ["3d", "2h", "1m", "59s", "0s"]
    assert (ago(None), ago(20), utc(None), utc(0)) == ("never", "20s ago", "-", "1970-01-01T00:00:00Z")
    assert [size(each) for each in (None, 0, 1023, 1024, 5 * 1024**3)] == ["-", "0 B", "1023 B", "1.0 KiB", "5.0 GiB"]
    assert [life(each, NOW) for each in (None, NOW + 7200, NOW, NOW - DAY)] == [
        "no end",
        "2h left",
        "expired 0s ago",
        "expired 1d ago",
    ]


def test_units_change_at_their_borders() -> None:
    assert [span(each) for each in (DAY, DAY - 1, 3600, 3599, 61)] == ["1d", "23h", "1h", "59m", "1m"]
    assert [size(each) for each in (1023 * 1024, 1024**2, 1024**5)] == ["1023.0 KiB", "1.0 MiB", "1024.0 TiB"]


def test_names_and_labels_are_kept_in_one_piece_where_they_fit() -> None:
    assert paragraph("x" * 80 + " ab-cdefghijklm") == ["x" * 80, "ab-cdefghijklm"]
    assert paragraph("x " * 44) == [("x " * 44).rstrip()], "87 characters"
    assert paragraph("x" * 88) == ["x" * 88]
    assert [len(line) for line in paragraph("x" * 89)] == [88, 1]
    assert table(("A", "B"), [("x" * 43, "y" * 40 + " ab-cdefghi")])[2].split() == ["ab-cdefghi"]


def test_table_takes_the_whole_line_and_leaves_the_narrowest_columns_as_they_are() -> None:
    assert len(table(("A", "B"), [("x" * 43, "y" * 43)])) == 2
    assert len(table(("A", "B"), [("x" * 44, "y" * 43)])) == 3
    _heading, first, second = table(("A", "B"), [("x" * 43, "y" * 50)])
    assert (len(first), second.split()) == (88, ["y" * 7])
    many = table(["H"] * 12, [["z" * 9] * 12])
    assert many[0] == "  ".join(["H       "] * 12).rstrip()
    assert len(table(["H"] * 12, [["z" * 8] * 12])) == 2


def test_long_lists_of_names_are_cut() -> None:
    assert names(["a", "b"]) == "a, b"
    assert names(list("abcde")) == "a, b, c, d, e"
    assert names(list("abcdef")) == "a, b, c, d, e and 1 more"
    assert names(list("abcdefg")) == "a, b, c, d, e and 2 more"


def test_table_is_never_wider_than_the_line_however_long_a_cell_is() -> None:
    lines = table(("A", "B", "C"), [("x" * 90, "y " * 90, "z"), ("1", "", "2")])
    assert max(map(len, lines)) <= 88
    assert "".join(lines).count("x") == 90
    assert "".join(lines).count("y") == 90
    assert lines[-1].split() == ["1", "-", "2"]


def test_r15_no_cell_can_talk_to_the_terminal() -> None:
    assert table(("A",), [("a\x1b[2J\nb",)])[1:] == ["a [2J b"]


def test_r15_name_that_cant_be_one_is_in_no_command() -> None:
    assert command("renew", user_name="{{ lookup('pipe', 'id') }}", device="laptop") is None
    assert command("renew", user_name="o'brien", device=None) is None
    assert command("status") == "ansible-playbook -i INVENTORY tracklib.vpn.status"


def test_output_is_lines_or_json() -> None:
    said = devices_report(view(WELL), None, NOW)
    assert output(said, "table") == said.lines
    assert [each["name"] for each in json.loads("\n".join(output(said, "json")))["devices"]] == [
        "user1/laptop",
        "user2/laptop",
    ]
    with pytest.raises(ValueError, match="no format 'csv'"):
        output(said, "csv")


# -- devices


def statuses(said: str) -> str:
    """What a table of devices has in its column STATUS, unwrapped."""
    lines = said.splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith("DEVICE"))
    begin, end = lines[first].index("STATUS"), lines[first].index("LIFE")
    return " ".join(line[begin:end].strip() for line in lines[first + 1 :])


def test_devices_are_shown_with_status_life_gateways_and_handshake() -> None:
    found = result([BOTH], [registration(1, expires_at=NOW + 2 * DAY)])
    said, failures = devices(found, gateway("gw-1", peer(1)), gateway("gw-2", peer(1, age=7200)))
    assert said.splitlines()[0] == "1 device"
    assert said.splitlines()[2].split("  ") == [
        "user1/laptop",
        "may connect",
        "2d left",
        "gw-1 gw-2",
        "20s ago on gw-1",
    ]
    assert failures == []


def test_device_that_a_gateway_doesnt_have_yet_says_so() -> None:
    said, failures = devices(WELL, gateway("gw-1", peer(1)))
    assert "may connect, but isn't on gw-1 yet: run reconcile" in statuses(said)
    assert failures == []


def test_device_that_a_gateway_keeps_out_by_a_revocation_is_not_sent_to_reconcile_which_would_fail() -> None:
    seen = view(WELL, gateway("gw-1", barred=[{"name": "user2"}]), gateway("gw-2"))
    words = {each["name"]: status_words(each, NOW) for each in seen["devices"]}
    assert words["user2/laptop"] == (
        "may connect, but is kept out on gw-1 by a revocation without a roster: repeat it, or see why, but isn't on "
        "gw-2 yet: run reconcile"
    )


def test_handout_that_nobody_has_used_says_so_while_it_lives_and_after() -> None:
    for ends, words in (
        (DAY, "may connect; handed out, and ends unless"),
        (0, "handed out, and nobody connected; exp"),
    ):
        found = result([BOTH], [registration(1, expires_at=NOW + ends)])
        seen = view(found._replace(awaited=frozenset([registration(1).identity])))
        assert status_words(seen["devices"][0], NOW).startswith(words)


def test_blocked_device_says_by_whom_why_and_since_when() -> None:
    seen = view(result([BOTH], registrations((1,)), blocks=[block(1, reason="left")]))
    seen["devices"][0]["blocked"]["by"] = "ops"
    said = statuses("\n".join(devices_report(seen, None, NOW).lines))
    assert f"user blocked by ops since {utc(NOW)}: left" in said


def test_r1_two_users_of_a_name_are_shown_with_their_ids() -> None:
    swept = account(sweep(user(3, user_name="user1")))
    found = result([swept], [registration(1), registration(3, user_name="user1")], tombstones=[tombstone(1)])
    said, _failures = devices(found)
    assert "user1/laptop (AIDA1)" in said
    assert "user1/laptop (AIDA3)" in said
    assert "user1 is AIDA3 in IAM" in statuses(said)


def test_r1_user_who_came_back_without_a_device_is_told_apart_too() -> None:
    swept = account(sweep(user(3, user_name="user1")))
    assert "user1/laptop (AIDA1)" in devices(result([swept], [registration(1)], tombstones=[tombstone(1)]))[0]


def test_gateway_that_cant_be_reached_is_named_first_and_the_rest_is_shown() -> None:
    said, failures = devices(WELL, gateway("gw-1", peer(1), peer(2)), unreached())
    assert said.startswith("gateway gw-2 is not shown: it can't be reached: no route to host\n2 devices\n")
    assert "gw-1 gw-2?" in said
    assert len(failures) == 1


def test_user_without_a_device_fails_with_the_id_in_iam() -> None:
    _said, (failure,) = devices(result([BOTH], []), user_name="user1")
    assert failure == "user1 has no such device; user1 is AIDA1 in IAM, and has no device"


def test_device_that_a_user_has_not_is_answered_with_those_that_there_are() -> None:
    _said, (failure,) = devices(WELL, user_name="user1/phone")
    assert failure == "user1/phone has no such device; user1 is AIDA1 in IAM, and has laptop"


def test_r16_account_whose_users_may_not_be_peers_is_named_with_those_that_are() -> None:
    found = {**view(WELL), "devices": [], "users": [], "asked_account_id": "222222222222"}
    (failure,) = devices_report(found, "user1", NOW).failures
    assert failure == (
        "account 222222222222 has no users who may be peers: vpn_account_id and vpn_identity_accounts name 111122223333"
    )


def test_nobody_fails_with_the_nearest_names() -> None:
    _said, (failure,) = devices(WELL, user_name="usr1")
    assert "nobody is called usr1 in account 111122223333: neither IAM nor the registry knows the name or id" in failure
    assert "The nearest names: user1, user2" in failure


def test_gone_user_without_a_device_fails_with_the_id_that_it_had() -> None:
    _said, (failure,) = devices(result([account(sweep())], [], tombstones=[tombstone(1)]), user_name="user1")
    assert failure.startswith("user1 has no such device, and is not in IAM (AIDA1 was)")


def test_nobody_is_looked_for_where_the_registry_is_silent() -> None:
    seen = without_decision([gateway("gw-1", peer(1))], "denied")
    said = devices_report(seen, "alice", NOW)
    assert said.failures == ["IAM or the registry could not be asked, so only the gateways are shown: denied"]
    assert said.lines[1].startswith("1 device of alice on the gateways that were read; what is registered isn't known")


def test_r3_incomplete_sweep_is_named_and_ends_non_zero() -> None:
    stale = not_swept(stored=sweep(*users((1, 2)), begun_at=NOW - DAY))
    said, (failure,) = devices(result([stale], registrations((1, 2))))
    assert f"shown by the sweep of {utc(NOW - DAY)}, IAM could not be asked now: denied" in failure
    assert "user1/laptop" in said


# -- status


def test_all_well_is_said_in_one_line() -> None:
    said, failures = status(WELL, gateway("gw-1", peer(1), peer(2, age=7200)))
    assert said.startswith("all well: 1 gateway, 2 peers, 1 connected\n")
    assert failures == []
    assert "Left out" not in said


def test_status_shows_gateways_sweeps_and_peers_who_was_seen_last_first() -> None:
    said, _failures = status(WELL, gateway("gw-1", peer(2), peer(1, age=None)))
    lines = [line.split() for line in said.splitlines()]
    assert ["gw-1", "up", "2", "7", "1m", "ago", "as", "applied"] in lines
    assert ["111122223333", "complete", "1m", "ago"] in lines
    shown = [line for line in said.splitlines() if "/laptop" in line]
    assert [line.split()[0] for line in shown] == ["user2/laptop", "user1/laptop"]
    assert "20s ago" in shown[0]
    assert "never" in shown[1]


def test_of_two_handshakes_the_later_one_comes_first_to_the_second() -> None:
    said, _failures = status(WELL, gateway("gw-1", peer(1, age=1), peer(2, age=0)))
    assert [line.split()[0] for line in said.splitlines() if "/laptop" in line] == ["user2/laptop", "user1/laptop"]


@pytest.mark.parametrize(("age", "connected"), [(CONNECTED, 1), (CONNECTED + 1, 0)])
def test_peer_counts_as_connected_as_long_as_a_session_of_wireguard_lasts(age: int, connected: int) -> None:
    assert f"2 peers, {connected} connected" in status(WELL, gateway("gw-1", peer(1, age=age), peer(2, age=None)))[0]


def test_status_shows_where_a_peer_connects_from() -> None:
    said, _failures = status(WELL, gateway("gw-1", peer(1), peer(2, endpoint=None), peer(9, user_name="former")))
    rows = {line.split()[0]: line.split() for line in said.splitlines() if line}
    assert rows["user1/laptop"][2:] == ["20s", "ago", "198.51.100.7:40000", "4.0", "KiB", "100", "B", "no", "end"]
    assert rows["user2/laptop"][4] == "-"
    stranger = said.partition("no registration explains\n")[2].splitlines()[1].split()
    assert stranger[:2] == ["gw-1", "former/laptop"]
    assert stranger[3:] == ["20s", "ago", "198.51.100.7:40000", "10.44.0.11/32"]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"interface_up": False}, "gw-1: the interface is down or missing"),
        ({"problems": ["wg0.conf was changed by hand"]}, "gw-1: wg0.conf was changed by hand"),
        ({"drift": ["firewall not as it was loaded"]}, "gw-1 differs from what was applied: firewall not as"),
        ({"roster_age": 2 * DAY}, "gw-1: the last roster is 2d old, 1d are allowed. Run reconcile"),
    ],
)
def test_r8_whatever_is_wrong_with_a_gateway_is_in_the_headline(changes: dict[str, Any], sentence: str) -> None:
    said, failures = status(WELL, gateway("gw-1", peer(1), peer(2), **changes))
    assert said.startswith("1 thing to look at; 1 gateway, 2 peers")
    assert failures[0].startswith(sentence)


def test_age_of_a_roster_without_a_limit_or_at_the_limit_is_no_fault() -> None:
    assert status(WELL, gateway("gw-1", peer(1), peer(2), roster_age=DAY), max_age=DAY)[1] == []
    assert status(WELL, gateway("gw-1", peer(1), peer(2), roster_age=9 * DAY), max_age=0)[1] == []


def test_notice_is_shown_and_is_no_fault() -> None:
    said, failures = status(WELL, gateway("gw-1", peer(1), peer(2), notices=["docker may drop it"]))
    assert ("notice: docker may drop it" in said, failures) == (True, [])


def test_peers_that_are_missing_or_should_be_gone_are_named() -> None:
    _said, failures = status(result([BOTH], registrations((1, 2)), blocks=[block(1)]), gateway("gw-1", peer(1)))
    assert failures == [
        "gw-1: not yet a peer: user2/laptop. Run reconcile, which adds them",
        "gw-1: still a peer, though left out: user1/laptop. Run reconcile, which removes them",
    ]


def test_stranger_is_named_by_key_and_gateway() -> None:
    said, (failure,) = status(WELL, gateway("gw-1", peer(1), peer(2), peer(9, user_name="")))
    assert failure.startswith(f"1 live peer without a registration: {fingerprint_of(9)} on gw-1")
    assert "Strangers, whom no registration explains" in said


def test_left_out_held_and_barred_have_tables_of_their_own() -> None:
    peers = registrations((1, 2))
    held = result([account(sweep(), held=("AIDA1", "AIDA2"))], peers, peers=peers)
    said, _failures = status(held, gateway("gw-1", peer(1), peer(2), barred=[{"name": "user7"}]))
    assert "Held removals\nDEVICE\nuser1/laptop\nuser2/laptop" in said
    assert "Kept out by gateways (barred)\nGATEWAY  WHO\ngw-1     user7" in said
    left, _failures = status(result([BOTH], registrations((1,)), blocks=[block(1)]))
    assert "Left out" in left
    assert "user blocked since" in left


def test_no_more_than_20_rows_of_a_kind_are_shown_unless_all_are_wanted() -> None:
    many = range(1, 31)
    found = result([account(sweep(*users(many)))], registrations(many), blocks=[block(each) for each in many])
    said, _failures = status(found)
    assert said.count("/laptop") == 20
    assert "and 10 more (status_all=true shows them)" in said
    everything, _failures = status(found, show_all=True)
    assert (everything.count("/laptop"), "more (" in everything) == (30, False)


def test_problem_of_a_sweep_is_said_once() -> None:
    stale = not_swept(stored=sweep(*users((1, 2))))
    sentence = "the sweep of account 111122223333 is incomplete, the last complete one decided: denied"
    _said, failures = status(result([stale], registrations((1, 2)), problems=[sentence, "2 removals are held"]))
    assert [failure.split(" is ")[0] for failure in failures] == ["account 111122223333", "2 removals are held"]


def test_r17_gateways_are_shown_where_the_registry_is_silent() -> None:
    seen = without_decision([gateway("gw-1", peer(1), peer(9, user_name="")), unreached()], "denied")
    said = status_report(seen, NOW, max_age=DAY, show_all=False)
    text = "\n".join(said.lines)
    assert said.failures[0] == "IAM or the registry could not be asked, so only the gateways are shown: denied"
    assert len(said.failures) == 3
    assert "user1/laptop  gw-1     20s ago" in text
    assert said.data["well"] is False


def test_r17_status_says_who_an_unreached_gateway_was_not_told_of() -> None:
    found = result([BOTH], [], missed={"gw-2": ["user1/laptop"], "gw-9": ["user2/laptop"], "gw-1": ["user3/laptop"]})
    text, failures = status(found, gateway(), unreached())
    told = "gw-2: may still be peers there: user1/laptop. Run reconcile once that is mended"
    assert [each for each in failures if "user1" in each or "user3" in each] == [told]  # gw-1's surplus is seen
    (lost,) = (each for each in failures if each.startswith("gw-9 "))
    assert lost.startswith(
        "gw-9 isn't in the inventory, though it was set up, and may still have these peers: user2/laptop."
    )
    assert "registry_cleanup_gateways" in lost
    assert "things to look at" in text


def test_r17_gateway_that_no_inventory_has_is_not_well() -> None:
    known = WELL._replace(facts=WELL.facts._replace(gateways=("gw-1", "gw-8")))
    _text, (failure,) = status(known, gateway("gw-1", peer(1), peer(2)))
    assert failure.startswith("gw-8 isn't in the inventory, though it was set up. Use an inventory that has it")


def test_r8_bar_that_the_registry_does_not_know_is_not_well() -> None:
    bars = [{"name": "user1", "generation": 0}, {"name": "user2", "generation": 5}]
    _text, failures = status(WELL, gateway("gw-1", barred=bars))
    assert failures[0].startswith("gw-1 keeps user1 out by a revocation that the registry didn't get. Repeat the")


# -- whose time ends


def test_earliest_end_comes_first_with_the_commands_that_renew() -> None:
    found = result([BOTH], [registration(1, expires_at=NOW + 9 * DAY), registration(2, expires_at=NOW + DAY)])
    said = expiring_report(view(found), 14 * DAY, NOW)
    assert said.lines[0] == "2 registrations to end within 14d"
    assert [line.split()[2] for line in said.lines[2:4]] == ["user2/laptop", "user1/laptop"]
    assert said.lines[-2:] == [
        f"ansible-playbook -i INVENTORY tracklib.vpn.renew -e renew_user_name=user{number} -e renew_device=laptop"
        for number in (2, 1)
    ]
    assert said.failures == []


def test_r3_silent_registry_is_not_said_to_have_nothing_that_ends() -> None:
    said = expiring_report(without_decision([], "denied"), 14 * DAY, NOW)
    assert said.lines[-1] == "which registrations end within 14d isn't known"
    assert len(said.failures) == 1


@pytest.mark.parametrize("expires_at", [None, NOW, NOW - DAY, NOW + 14 * DAY + 1])
def test_who_has_no_end_or_ended_or_ends_later_isnt_among_them(expires_at: float | None) -> None:
    said = expiring_report(view(result([BOTH], [registration(1, expires_at=expires_at)])), 14 * DAY, NOW)
    assert said.lines == ["0 registrations to end within 14d"]


def test_end_at_the_last_moment_is_among_them() -> None:
    said = expiring_report(view(result([BOTH], [registration(1, expires_at=NOW + 14 * DAY)])), 14 * DAY, NOW)
    assert said.lines[0].startswith("1 registration ")


def test_blocked_user_is_shown_and_has_no_command() -> None:
    found = result([BOTH], [registration(1, expires_at=NOW + DAY)], blocks=[block(1)])
    text = "\n".join(expiring_report(view(found), 14 * DAY, NOW).lines)
    assert ("user blocked" in text, "To renew them" in text) == (True, False)


def test_command_about_another_accounts_user_names_the_account() -> None:
    found = view(result([BOTH], registrations((1,))))
    elsewhere = {**found["devices"][0], "account_id": OTHER}
    assert str(renewal(found, elsewhere, {})).endswith("renew_device=laptop -e renew_account_id=444455556666")
    assert str(renewal(found, found["devices"][0], {})).endswith("renew_device=laptop")


def test_handout_that_nobody_used_is_not_to_be_renewed_and_a_short_life_gets_a_usual_one() -> None:
    short = registration(1, created_at=NOW - DAY, renewed_at=NOW - 9, expires_at=NOW + 21)
    unused = registration(2, created_at=NOW - 9, expires_at=NOW + DAY, confirmed_end=NOW + 30 * DAY)
    found = result([BOTH], [short, unused])
    lines = expiring_report(view(found._replace(awaited=frozenset({unused.identity}))), 14 * DAY, NOW).lines
    renew = "ansible-playbook -i INVENTORY tracklib.vpn.renew -e renew_user_name=user1 -e renew_device=laptop"
    assert [line for line in lines if "tracklib.vpn.renew" in line] == [f"{renew} -e renew_expires_in=30d"]


def test_r1_renewal_of_a_name_that_two_have_had_names_the_id() -> None:
    swept = account(sweep(user(1), user(3, user_name="user1")))
    found = result([swept], [registration(1, expires_at=NOW + DAY), registration(3, user_name="user1")])
    assert "renew_user_name=AIDA1 " in expiring_report(view(found), 14 * DAY, NOW).lines[-1]


def test_r1_each_of_two_accounts_has_its_own_command_for_devices_of_one_label() -> None:
    there = account(sweep(user(3, account_id=OTHER, user_name="user1"), account=OTHER))
    elsewhere = registration(3, account_id=OTHER, user_name="user1", expires_at=NOW + DAY)
    found = result([BOTH, there], [registration(1, expires_at=NOW + DAY), elsewhere])
    shown = {**view(found), "devices": [{**each, "status": "peer"} for each in view(found)["devices"]]}
    said = expiring_report(shown, 14 * DAY, NOW)
    renew = "ansible-playbook -i INVENTORY tracklib.vpn.renew -e renew_user_name"
    wanted = {
        "AIDA1": f"{renew}=AIDA1 -e renew_device=laptop",
        "AIDA3": f"{renew}=AIDA3 -e renew_device=laptop -e renew_account_id={OTHER}",
    }
    assert {each["user_id"]: each["renew"] for each in said.data["devices"]} == wanted
    assert said.lines[-2:] == list(wanted.values())
