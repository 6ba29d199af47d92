# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What of a checked roster a gateway accepts when some of its peers can't be ones."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.accept import Accepted, accept
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.check import PeerCheck
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.config import Interface, Peer, Unfit
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.order import Revocation
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.plan_apply import plan_rest
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.refusals import is_too_much
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.steps import RemovePeers, WriteFile

from tests.support.snapshots import OWN_PUBLIC_KEY, checked, full_report, only, order, snapshot
from tests.support.wireguard_host import NOW, Person, key

PEOPLE = [Person(f"user{number}", number) for number in range(1, 21)]
INTERFACE = Interface("", 51820, ("10.44.0.1/16", "fd44::1/64"), None, 0)


def _unfit(people: Iterable[Person]) -> list[Unfit]:
    return [Unfit(one.label().name, one.label(), "", "the public key isn't 32 bytes of base64") for one in people]


def _accepted(before: list[Person], fit: list[Person], unfit: Iterable[Person], **changes: Any) -> Accepted:
    wanted = order(2, fit, unfit=_unfit(unfit), **changes)
    return accept(wanted, checked(wanted), snapshot(before))


@pytest.mark.parametrize(
    ("lost", "total", "held"),
    [
        *((5, 100, False), (5, 20, False), (5, 19, False), (5, 11, False), (6, 24, False), (6, 23, True)),
        *((25, 100, False), (26, 100, True), (1, 1, False), (1, 2, False), (2, 2, True), (2, 4, False), (2, 3, True)),
        *((3, 5, True), (0, 0, False), (0, 5, False)),
    ],
)
def test_r5_gateway_lets_few_go_at_once_without_a_reason(lost: int, total: int, held: bool) -> None:
    assert is_too_much(lost, total) is held


def test_r17_few_live_peers_whose_items_are_unfit_are_removed_with_that_reason() -> None:
    wanted = order(2, PEOPLE[5:], unfit=_unfit(PEOPLE[:5]))
    plan = plan_rest(wanted, checked(wanted), snapshot(PEOPLE))
    assert len(only(plan, RemovePeers).keys) == 5
    assert {each.reason for each in plan.state.removals} == {"unfit"}
    (problem,) = plan.report.problems
    assert problem.startswith("left out of the roster; put these registrations right: user1/laptop: the public key is")


def test_r5_r17_many_live_peers_whose_items_are_unfit_stay_as_they_are_filed() -> None:
    wanted = order(2, PEOPLE[6:], unfit=_unfit(PEOPLE[:6]))
    plan = plan_rest(wanted, checked(wanted), snapshot(PEOPLE))
    assert full_report(plan).removed == []
    assert all(key(one.number) in only(plan, WriteFile).text for one in PEOPLE)
    left_out, held = plan.report.problems
    assert left_out.endswith("; and 1 more")
    assert held == (
        "6 peers stay as they were, since more are unfit than may go without a reason: user1/laptop, user2/laptop, "
        "user3/laptop, user4/laptop, user5/laptop, and 1 more"
    )
    later = snapshot([*PEOPLE[6:], *PEOPLE[:6]], generation=2)
    assert "RemovePeers" not in [type(step.action).__name__ for step in plan_rest(wanted, checked(wanted), later).steps]


def test_r5_unfit_items_of_nobody_on_this_gateway_hold_nobody() -> None:
    accepted = _accepted(PEOPLE[:2], PEOPLE[:2], PEOPLE[2:])
    assert (accepted.lost, accepted.held) == ({}, {})


def test_r5_peer_with_a_reason_to_go_is_not_held_though_its_item_is_unfit() -> None:
    expired = PEOPLE[0]._replace(expires_at=NOW)
    gone = {key(2): Revocation(PEOPLE[1].label(), "expired")}
    accepted = _accepted([expired, *PEOPLE[1:4]], [PEOPLE[3]], [expired, *PEOPLE[1:3]], excluded=gone)
    assert (list(accepted.lost), accepted.held) == ([key(3)], {})


def test_r9_nobody_is_held_with_an_address_that_the_roster_gives_to_another() -> None:
    heir = Person("heir", 50, address=1)
    accepted = _accepted(PEOPLE[:3], [heir], PEOPLE[:3])
    assert accepted.held.keys() == {key(2), key(3)}
    assert accepted.roster.config.peers.keys() == {key(50), key(2), key(3)}


def test_r5_gateway_keeps_all_when_every_item_is_unfit() -> None:
    accepted = _accepted(PEOPLE[:2], [], PEOPLE[:2])
    assert accepted.held.keys() == {key(1), key(2)}


@pytest.mark.parametrize(
    ("peer", "problem"),
    [
        (Peer(OWN_PUBLIC_KEY, "10.44.0.2/32"), "has the gateway's own public key"),
        (Peer(key(1), "10.44.0.2/32"), "is a peer, but its key is revoked in the same roster"),
        (Peer(key(2), ""), "has no address"),
        (Peer(key(2), "10.45.0.2/32"), "has the address 10.45.0.2/32, which is outside the tunnel's networks"),
        (Peer(key(2), "10.44.0.2/32,0.0.0.0/0"), "has the address 0.0.0.0/0, which is outside the tunnel's networks"),
        (Peer(key(2), "fd45::2/128"), "has the address fd45::2/128, which is outside the tunnel's networks"),
        (Peer(key(2), "10.0.0.0/8"), "has the address 10.0.0.0/8, which is outside the tunnel's networks"),
    ],
)
def test_r17_peer_that_this_gateway_cannot_have_is_told_why(peer: Peer, problem: str) -> None:
    check = PeerCheck(order(2, [], revoked=PEOPLE[:1]), OWN_PUBLIC_KEY, INTERFACE, {})
    with pytest.raises(ValueError, match=re.escape(problem)):
        check(peer)


def test_peer_inside_the_tunnels_networks_can_be_one() -> None:
    check = PeerCheck(order(2, []), OWN_PUBLIC_KEY, INTERFACE, {})
    check(Peer(key(2), "10.44.0.2/32,fd44::2/128"))


def test_only_whose_item_is_unfit_is_lost_for_that() -> None:
    accepted = _accepted(PEOPLE[:4], [PEOPLE[3]], PEOPLE[:1])
    assert (list(accepted.lost), accepted.held) == ([key(1)], {})
