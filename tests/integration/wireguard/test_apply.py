# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from tests.support.wireguard_host import Host, Person, allowed

ALICE, BOB, CAROL, DAVE = (Person(name, number) for number, name in enumerate(("alice", "bob", "carol", "dave"), 1))


def test_first_apply_starts_the_interface_with_its_peers(host: Host) -> None:
    outcome = host.apply(host.order(1, [ALICE, BOB]))
    assert outcome.problems == []
    assert outcome.added == ["alice/laptop", "bob/laptop"]
    assert host.peers == allowed(ALICE, BOB)
    assert host.device.private_key == host.private_key
    assert "tracklib_vpn" in host.sh("nft", "list", "tables")
    assert outcome.repaired == []
