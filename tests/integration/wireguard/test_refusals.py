# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Rosters of another world, and rosters that would empty a gateway (R5, R16)."""

from __future__ import annotations

from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.order import Revocation

from tests.support.wireguard_host import REGISTRY, Host, Person, allowed, key

ALICE, BOB, CAROL = (Person(name, number) for number, name in enumerate(("alice", "bob", "carol"), 1))
MANY = [Person(f"user{number}", number) for number in range(1, 41)]
OTHER = REGISTRY._replace(identity="77aa01", table_id="table-7")
RESTORED = REGISTRY._replace(table="restored", table_id="table-2")


def test_r16_strangers_of_another_registry_get_no_access_and_nobody_loses_it(host: Host) -> None:
    host.apply(host.order(1, [ALICE, BOB]))
    before, rules = host.files(), host.rules
    for number, registry in enumerate((OTHER, RESTORED), 2):
        outcome = host.apply(host.order(number, [CAROL], revoked=[ALICE], registry=registry))
        (problem,) = outcome.problems
        assert f"-e vpn_accept_registry={registry.table_id}" in problem
        assert (outcome.changed, host.run.changes) == (False, [])
    assert (host.peers, host.files(), host.rules) == (allowed(ALICE, BOB), before, rules)


def test_r16_restored_table_is_followed_once_it_is_accepted_and_the_older_one_no_more(host: Host) -> None:
    host.apply(host.order(1, [ALICE, BOB]))
    accepted = host.order(2, [BOB], registry=RESTORED, accept_registry=RESTORED.table_id)
    assert host.apply(accepted).problems == []
    assert host.apply(host.order(3, [BOB, CAROL], registry=RESTORED)).problems == []
    assert host.peers == allowed(BOB, CAROL)
    assert [removal.name for removal in host.state.removals] == ["alice/laptop"]
    (problem,) = host.apply(host.order(4, [ALICE])).problems
    assert f"-e vpn_accept_registry={REGISTRY.table_id}" in problem
    assert host.peers == allowed(BOB, CAROL)


def test_r5_empty_registry_does_not_empty_a_gateway(host: Host) -> None:
    host.apply(host.order(1, MANY))
    outcome = host.apply(host.order(2, []))
    (problem,) = outcome.problems
    assert "take the last of 40 peers off" in problem
    assert (host.peers, host.run.changes) == (allowed(*MANY), [])
    assert host.apply(host.order(3, MANY)).problems == []


def test_r4_r5_confirmed_revocations_of_a_roster_that_would_empty_the_gateway_are_done(host: Host) -> None:
    host.apply(host.order(1, [ALICE, BOB, CAROL]))
    order = host.order(2, [], revoked=[ALICE])
    for _again in range(2):
        (problem,) = host.apply(order).problems
        assert "last of 3 peers" in problem
        assert "bob/laptop, carol/laptop. Only its confirmed revocations were done" in problem
        assert host.peers == allowed(BOB, CAROL)


def test_r5_gateway_is_emptied_by_removals_that_have_a_reason(host: Host) -> None:
    host.apply(host.order(1, [ALICE, BOB]))
    removed = {key(BOB.number): Revocation(BOB.label(), "removed")}
    outcome = host.apply(host.order(2, [], revoked=[ALICE], excluded=removed))
    assert (outcome.problems, host.peers) == ([], {})
