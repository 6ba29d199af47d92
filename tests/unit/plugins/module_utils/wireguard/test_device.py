# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The difference between two states of a device, and the commands that close it."""

from __future__ import annotations

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.commands import CommandError
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.config import NO_PRESHARED_KEY, Peer
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.device import (
    Difference,
    LivePeer,
    diff,
    parse_dump,
    removals,
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


def _send(peers: dict[str, Peer], difference: Difference) -> dict[str, Peer]:
    peers = dict(peers)
    for command in removals("wg0", difference.removed):
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
    sent = upserts(difference) + str(removals("wg0", difference.removed))
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
    commands = removals("wg0", keys)
    assert [word for command in commands for word in command if len(word) == 44] == keys
    assert len(commands) == 3
    assert max(sum(len(word) + 1 for word in command) for command in commands) < 1_000_000


@pytest.mark.parametrize("dump", ["", "secret\tb\n", "secret\tb\t51820\toff\nkey\tsecret\n"])
def test_r10_a_dump_that_is_none_is_refused_without_repeating_it(dump: str) -> None:
    with pytest.raises(CommandError, match="expected") as error:
        parse_dump(dump)
    assert "secret" not in str(error.value)
