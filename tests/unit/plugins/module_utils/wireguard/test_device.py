# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The difference between two states of a device, and the commands that close it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.commands import CommandError, CommandResult
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.config import NO_PRESHARED_KEY, Interface, Peer
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.device import (
    Device,
    Difference,
    InterfaceChange,
    Link,
    LivePeer,
    PeerUpdate,
    batches,
    diff,
    interface_changes,
    parse_dump,
    read,
    read_link,
    removal,
    upserts,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.wireguard_host import key

_PRESHARED_KEYS = ["", key(7), key(8)]


@st.composite
def _peers(draw: st.DrawFn) -> dict[str, Peer]:
    """Peers that share neither a key nor an address."""
    holders = draw(st.dictionaries(st.integers(0, 9), st.integers(1, 6), max_size=10))  # peer by address
    numbers = {*holders.values(), *draw(st.sets(st.integers(1, 6)))}
    return {
        key(number): Peer(
            key(number),
            ",".join(f"10.44.0.{address}/32" for address, holder in sorted(holders.items()) if holder == number),
            preshared_key=draw(st.sampled_from(_PRESHARED_KEYS)),
            keepalive=draw(st.sampled_from([0, 25])),
        )
        for number in draw(st.permutations(sorted(numbers)))
    }


def _live(peer: Peer) -> LivePeer:
    return LivePeer(
        peer.public_key,
        peer.preshared_key or "(none)",
        "(none)",
        peer.allowed_ips or "(none)",
        "0",
        "0",
        "0",
        str(peer.keepalive or "off"),
    )


def _addconf(peers: dict[str, Peer], text: str) -> None:
    """What `wg addconf` does: allowed addresses are replaced and taken from others, what isn't mentioned stays."""
    for block in text.split("[Peer]\n")[1:]:
        given = dict(line.split(" = ") for line in block.splitlines())
        allowed_ips = given["AllowedIPs"]
        for other, peer in peers.items():
            left = [part for part in peer.allowed_ips.split(",") if part not in allowed_ips.split(",")]
            peers[other] = peer._replace(allowed_ips=",".join(left))
        peer = peers.get(given["PublicKey"], Peer(given["PublicKey"], ""))._replace(allowed_ips=allowed_ips)
        if "PresharedKey" in given:
            preshared_key = given["PresharedKey"]
            peer = peer._replace(preshared_key="" if preshared_key == NO_PRESHARED_KEY else preshared_key)
        if "PersistentKeepalive" in given:
            peer = peer._replace(keepalive=0 if given["PersistentKeepalive"] == "off" else 25)
        peers[peer.public_key] = peer


def _removals(keys: Sequence[str]) -> list[list[str]]:
    return [removal("wg0", batch) for batch in batches(keys)]


def _send(peers: dict[str, Peer], difference: Difference) -> dict[str, Peer]:
    peers = dict(peers)
    for command in _removals(difference.removed):
        assert command[:3] == ["wg", "set", "wg0"]
        for word, public_key, verb in zip(command[3::3], command[4::3], command[5::3], strict=True):
            assert (word, verb) == ("peer", "remove")
            del peers[public_key]
    _addconf(peers, upserts(difference))
    return peers


@settings(deadline=None, max_examples=300)
@given(_peers(), _peers())
def test_the_difference_between_any_two_states_gives_the_second(
    before: dict[str, Peer], after: dict[str, Peer]
) -> None:
    difference = diff({number: _live(peer) for number, peer in before.items()}, after)
    assert _send(before, difference) == after


@settings(deadline=None)
@given(_peers(), _peers())
def test_r7_who_stays_the_same_is_never_mentioned(before: dict[str, Peer], after: dict[str, Peer]) -> None:
    difference = diff({number: _live(peer) for number, peer in before.items()}, after)
    sent = upserts(difference) + str(_removals(difference.removed))
    assert not [number for number, peer in after.items() if before.get(number) == peer and number in sent]


@settings(deadline=None)
@given(_peers())
def test_equal_states_have_no_difference(peers: dict[str, Peer]) -> None:
    assert not diff({number: _live(peer) for number, peer in peers.items()}, peers)


def test_the_order_and_spelling_of_addresses_is_no_difference() -> None:
    peer = Peer(key(1), "10.44.0.2/32,::ffff:a00:1/128")
    assert not diff({key(1): _live(peer)._replace(allowed_ips="::ffff:10.0.0.1/128,10.44.0.2/32")}, {key(1): peer})


def test_many_removals_are_few_commands_and_none_is_too_long() -> None:
    keys = [key(number) for number in range(9000)]
    commands = _removals(keys)
    assert [word for command in commands for word in command if len(word) == 44] == keys
    assert len(commands) == 3
    assert max(sum(len(word) + 1 for word in command) for command in commands) < 1_000_000


@pytest.mark.parametrize("dump", ["", "secret\tb\n", "secret\tb\t51820\toff\nkey\tsecret\n"])
def test_r10_a_dump_that_is_none_is_refused_without_repeating_it(dump: str) -> None:
    with pytest.raises(CommandError, match="expected") as error:
        parse_dump(dump)
    assert "secret" not in str(error.value)


DUMP = (
    "private\tpublic\t51820\toff\n"
    f"{key(1)}\t(none)\t192.0.2.1:4000\t10.44.0.2/32,fd44::2/128\t1790000000\t10\t20\toff\n"
    f"{key(2)}\t{key(7)}\t(none)\t(none)\t0\t0\t0\t25\n"
)
INTERFACE = Interface("private", 51820, ("10.44.0.1/16", "fd44::1/64"), None, 0)
LINK = Link(True, 1420, ("10.44.0.1/16", "fd44::1/64"))
DEVICE = Device("private", "public", "51820", "off", {})


@dataclass
class Answer:
    """Answers every command the same."""

    result: CommandResult
    calls: list[list[str]] = field(default_factory=list)

    def __call__(self, args: Sequence[str], stdin: str = "") -> CommandResult:
        assert stdin == ""  # reading sends nothing
        self.calls.append(list(args))
        return self.result


def test_every_field_of_a_dump_is_where_wg_puts_it() -> None:
    device = parse_dump(DUMP)
    assert device[:4] == ("private", "public", "51820", "off")
    assert list(device.peers) == [key(1), key(2)]
    assert device.peers[key(1)]._asdict() == {
        "public_key": key(1),
        "preshared_key": "(none)",
        "endpoint": "192.0.2.1:4000",
        "allowed_ips": "10.44.0.2/32,fd44::2/128",
        "latest_handshake": "1790000000",
        "transfer_rx": "10",
        "transfer_tx": "20",
        "keepalive": "off",
    }
    assert device.allowed_ips() == {key(1): "10.44.0.2/32,fd44::2/128", key(2): "(none)"}


def test_device_without_peers_is_one() -> None:
    assert parse_dump("private\tpublic\t51820\toff\n") == DEVICE


@pytest.mark.parametrize(("fields", "count"), [("a\tb\tc", 3), ("a\tb\tc\td\te", 5)])
def test_dump_with_another_head_says_how_many_fields_it_has(fields: str, count: int) -> None:
    with pytest.raises(CommandError, match=rf"`wg show … dump` began with {count} fields, expected 4"):
        parse_dump(f"{fields}\n")


@pytest.mark.parametrize("count", [7, 9])
def test_dump_with_another_peer_says_how_many_fields_it_has(count: int) -> None:
    with pytest.raises(CommandError, match=rf"a peer with {count} fields, expected 8"):
        parse_dump("private\tpublic\t51820\toff\n" + "\t".join("x" * count) + "\n")


def test_device_is_read_by_one_command() -> None:
    runner = Answer(CommandResult(0, DUMP, ""))
    assert read(runner, "wg7") == parse_dump(DUMP)
    assert runner.calls == [["wg", "show", "wg7", "dump"]]


def test_device_that_wg_cannot_read_is_an_error() -> None:
    with pytest.raises(CommandError, match="Operation not permitted"):
        read(Answer(CommandResult(1, "", "Operation not permitted")), "wg7")


def _address(local: str, prefixlen: int, scope: str = "global") -> dict[str, Any]:
    return {"local": local, "prefixlen": prefixlen, "scope": scope}


@pytest.mark.parametrize(("flags", "up"), [(["POINTOPOINT", "UP", "LOWER_UP"], True), (["POINTOPOINT"], False)])
def test_link_is_read_without_the_addresses_that_the_kernel_makes_itself(flags: list[str], up: bool) -> None:
    addresses = [_address("10.44.0.1", 16), _address("fd44::1", 64), _address("fe80::1", 64, "link")]
    listing = [{"flags": flags, "mtu": 1420, "addr_info": addresses}]
    runner = Answer(CommandResult(0, json.dumps(listing), ""))
    assert read_link(runner, "wg7") == Link(up, 1420, ("10.44.0.1/16", "fd44::1/64"))
    assert runner.calls == [["ip", "-j", "address", "show", "dev", "wg7"]]


def test_interface_that_does_not_exist_is_none() -> None:
    assert read_link(Answer(CommandResult(1, "", 'Device "wg7" does not exist.')), "wg7") is None


@pytest.mark.parametrize("result", [CommandResult(1, "", " denied\n"), CommandResult(255, "does not exist", "denied")])
def test_link_that_ip_cannot_read_is_an_error_and_not_missing(result: CommandResult) -> None:
    with pytest.raises(CommandError, match=r"\A`ip address show dev wg7` failed: denied\Z"):
        read_link(Answer(result), "wg7")


def test_link_of_a_command_that_worked_is_there_whatever_it_warns_of() -> None:
    listing = json.dumps([{"flags": [], "mtu": 1, "addr_info": []}])
    assert read_link(Answer(CommandResult(0, listing, "x does not exist")), "wg7") == Link(False, 1, ())


def test_interface_as_wanted_has_no_changes() -> None:
    assert interface_changes("wg7", LINK, DEVICE, INTERFACE) == []


@pytest.mark.parametrize(
    ("link", "device", "wanted", "change"),
    [
        (
            LINK._replace(up=False),
            DEVICE,
            INTERFACE,
            InterfaceChange("interface down", ["ip", "link", "set", "dev", "wg7", "up"]),
        ),
        (
            LINK,
            DEVICE,
            INTERFACE._replace(mtu=1400),
            InterfaceChange("mtu 1420 instead of 1400", ["ip", "link", "set", "dev", "wg7", "mtu", "1400"]),
        ),
        (
            LINK,
            DEVICE,
            INTERFACE._replace(private_key="other"),
            InterfaceChange("private key", ["wg", "set", "wg7", "private-key", "/dev/stdin"], "other"),
        ),
        (
            LINK,
            DEVICE,
            INTERFACE._replace(listen_port=51821),
            InterfaceChange("listen port 51820 instead of 51821", ["wg", "set", "wg7", "listen-port", "51821"]),
        ),
        (
            LINK,
            DEVICE,
            INTERFACE._replace(fwmark=16),
            InterfaceChange("fwmark", ["wg", "set", "wg7", "fwmark", "16"]),
        ),
        (
            LINK,
            DEVICE._replace(fwmark="0x10"),
            INTERFACE,
            InterfaceChange("fwmark", ["wg", "set", "wg7", "fwmark", "0"]),
        ),
        (
            LINK._replace(addresses=("10.44.0.1/16",)),
            DEVICE,
            INTERFACE,
            InterfaceChange("address fd44::1/64 missing", ["ip", "address", "add", "fd44::1/64", "dev", "wg7"]),
        ),
        (
            LINK._replace(addresses=(*LINK.addresses, "10.9.9.9/24")),
            DEVICE,
            INTERFACE,
            InterfaceChange("address 10.9.9.9/24 not wanted", ["ip", "address", "del", "10.9.9.9/24", "dev", "wg7"]),
        ),
    ],
)
def test_r8_each_setting_that_differs_is_one_change(
    link: Link, device: Device, wanted: Interface, change: InterfaceChange
) -> None:
    assert interface_changes("wg7", link, device, wanted) == [change]


@pytest.mark.parametrize(
    ("device", "wanted"),
    [
        (DEVICE, INTERFACE._replace(mtu=1420)),
        (DEVICE._replace(fwmark="0x10"), INTERFACE._replace(fwmark=16)),
    ],
)
def test_settings_that_are_as_wanted_in_other_words_are_no_change(device: Device, wanted: Interface) -> None:
    assert interface_changes("wg7", LINK, device, wanted) == []


def test_link_comes_first_because_a_link_that_goes_down_loses_ipv6_addresses() -> None:
    changes = interface_changes(
        "wg7", Link(False, 1420, ("10.9.9.9/24",)), DEVICE._replace(listen_port="1"), INTERFACE._replace(mtu=1400)
    )
    assert [change.what for change in changes] == [
        *("interface down", "mtu 1420 instead of 1400", "listen port 1 instead of 51820"),
        *("address 10.44.0.1/16 missing", "address fd44::1/64 missing", "address 10.9.9.9/24 not wanted"),
    ]


@pytest.mark.parametrize(("link", "device"), [(None, DEVICE), (LINK, None), (None, None)])
def test_interface_that_does_not_exist_has_no_changes(link: Link | None, device: Device | None) -> None:
    assert interface_changes("wg7", link, device, INTERFACE._replace(listen_port=1)) == []


@pytest.mark.parametrize(
    ("tampered", "fields"),
    [
        ({"allowed_ips": "10.44.0.3/32"}, ("allowed_ips",)),
        ({"allowed_ips": "(none)"}, ("allowed_ips",)),
        ({"preshared_key": key(7)}, ("preshared_key",)),
        ({"keepalive": "25"}, ("keepalive",)),
        ({"allowed_ips": "", "preshared_key": "", "keepalive": ""}, ("allowed_ips", "preshared_key", "keepalive")),
        ({"endpoint": "192.0.2.9:9", "latest_handshake": "5", "transfer_rx": "1", "transfer_tx": "1"}, ()),
    ],
)
def test_each_setting_of_a_peer_that_differs_is_named(tampered: dict[str, str], fields: tuple[str, ...]) -> None:
    peer = Peer(key(1), "10.44.0.2/32")
    updated = (PeerUpdate(peer, fields),) if fields else ()
    assert diff({key(1): _live(peer)._replace(**tampered)}, {key(1): peer}) == Difference((), updated, ())


def test_peer_with_a_preshared_key_and_keepalive_as_wanted_is_no_difference() -> None:
    peer = Peer(key(1), "10.44.0.2/32", preshared_key=key(7), keepalive=25)
    assert not diff({key(1): _live(peer)}, {key(1): peer})


@pytest.mark.parametrize(
    "difference",
    [
        Difference(("a",), (), ()),
        Difference((), (PeerUpdate(Peer("a", ""), ("keepalive",)),), ()),
        Difference((), (), (Peer("a", ""),)),
    ],
)
def test_difference_of_any_kind_is_one(difference: Difference) -> None:
    assert difference
    assert not Difference((), (), ())


def test_updates_mention_only_what_differs_and_come_before_additions() -> None:
    peer = Peer(key(1), "10.44.0.2/32", preshared_key=key(7), keepalive=25)
    difference = Difference(
        (key(9),),
        (
            PeerUpdate(peer, ("allowed_ips",)),
            PeerUpdate(peer, ("preshared_key",)),
            PeerUpdate(peer, ("keepalive",)),
        ),
        (Peer(key(2), "10.44.0.3/32"),),
    )
    head = f"[Peer]\nPublicKey = {key(1)}\nAllowedIPs = 10.44.0.2/32\n"
    assert upserts(difference) == (
        f"{head}{head}PresharedKey = {key(7)}\n{head}PersistentKeepalive = 25\n"
        f"[Peer]\nPublicKey = {key(2)}\nAllowedIPs = 10.44.0.3/32\n"
        f"PresharedKey = {NO_PRESHARED_KEY}\nPersistentKeepalive = off\n"
    )


def test_no_removal_is_no_command() -> None:
    assert _removals([]) == []


@pytest.mark.parametrize(("count", "sizes"), [(4000, [4000]), (4001, [4000, 1])])
def test_a_command_holds_four_thousand_removals(count: int, sizes: list[int]) -> None:
    commands = _removals([str(number) for number in range(count)])
    assert [(len(command) - 3) // 3 for command in commands] == sizes
    assert commands[0][:9] == ["wg", "set", "wg0", "peer", "0", "remove", "peer", "1", "remove"]
