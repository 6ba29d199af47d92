# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""A run: in which order it asks and writes, what becomes of it when something fails, and what it tells operators."""

from __future__ import annotations

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils.addresses import parse_pools
from ansible_collections.tracklib.vpn.plugins.module_utils.model import Sign
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.dynamodb import Delete, Put, RegistryError, Table
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.table import Registry
from ansible_collections.tracklib.vpn.plugins.module_utils.run import AccountToSweep, RunOptions, reversals

from tests.support.decisions import ACCOUNT, OTHER, POLICY, names, reasons, registration, tombstone, user, users
from tests.support.iam_client import Iam, error
from tests.support.runs import OPTIONS, made, register
from tests.support.tables import NOW

# -- the order


def test_r6_identity_comes_first_then_the_generation_before_anything_is_read(registry: Registry) -> None:
    register(registry, 1)
    done = made(registry, Iam([user(1)]))
    assert done.calls == ["identity", "take", "facts", "store_sweep", "store_decision"]
    assert (done.result.generation, done.result.made_at) == (NOW * 1000, NOW)
    assert done.result.registry == registry.identity()
    assert names(done.result.roster) == ["user1/laptop"]
    assert done.problems == []


def test_r16_table_without_identity_is_refused_before_a_generation_is_taken(registry: Registry) -> None:
    register(registry, 1)
    with pytest.raises(RegistryError, match="table tracklib-vpn is no registry: it has no identity"):
        made(registry, Iam([user(1)]), identity=False)
    assert registry.generations.last() == 0
    assert registry.facts().sweeps == {}


@pytest.mark.parametrize("check_mode", [False, True])
def test_r17_damaged_generation_costs_no_run_and_is_named(registry: Registry, table: Table, check_mode: bool) -> None:
    register(registry, 1)
    table.write(Put({"pk": "generation", "sk": "generation", "value": "x"}))
    done = made(registry, Iam([user(1)]), check_mode=check_mode)
    assert (done.result.generation, names(done.result.roster)) == (NOW * 1000, ["user1/laptop"])
    (problem,) = done.problems
    assert problem.startswith("the registry's generation is 'x', expected a number")


def test_check_mode_leaves_the_registry_as_it_is(registry: Registry) -> None:
    register(registry, 1, 2)
    made(registry, Iam(users((1, 2))))
    before = registry.items()
    done = made(registry, Iam([user(2)]), check_mode=True)
    assert registry.items() == before
    assert (done.result.generation, len(done.result.roster.leavers)) == (NOW * 1000, 1)


def test_each_account_is_swept_with_its_own_role(registry: Registry) -> None:
    accounts = [AccountToSweep(ACCOUNT), AccountToSweep(OTHER, "arn:aws:iam::444455556666:role/sweep")]
    asked: list[AccountToSweep] = []

    def iam_of(account: AccountToSweep) -> Iam:
        asked.append(account)
        return Iam()

    made(registry, iam_of, options=OPTIONS._replace(accounts=accounts))
    assert asked == accounts


# -- what a run writes


def test_decision_is_stored_only_when_it_changed(registry: Registry) -> None:
    register(registry, 1)
    made(registry, Iam([user(1)]))
    assert made(registry, Iam([user(1)])).calls == ["identity", "take", "facts", "store_sweep"]


def test_decision_does_not_hang_on_who_registered_a_device(registry: Registry) -> None:
    registry.devices.register(registration(1)._replace(by="arn:operator"), parse_pools(["10.44.0.0/24"]))
    first = made(registry, Iam([user(1)]))
    assert [peer.by for peer in first.result.roster.peers] == [None]
    assert made(registry, Iam([user(1)])).calls == ["identity", "take", "facts", "store_sweep"]


def test_r4_tombstone_of_a_leaver_is_written_before_the_roster_leaves_and_the_sweep_after_it(
    registry: Registry,
) -> None:
    register(registry, 1, 2)
    made(registry, Iam(users((1, 2))))
    done = made(registry, Iam([user(2)]))
    assert done.calls[3:] == ["write_tombstone", "store_sweep", "store_decision"]
    assert [(each.user_id, each.event_id) for each in registry.tombstones()] == [("AIDA1", "sweep-AIDA1")]


# -- pools


def test_pools_that_leave_out_peers_stop_all_but_confirmed_revocations(registry: Registry) -> None:
    register(registry, *range(7))
    made(registry, Iam(users(range(7))))
    registry.write_tombstone(tombstone(0, event_time=NOW))
    other_pools = OPTIONS._replace(policy=POLICY._replace(pools=parse_pools(["10.55.0.0/24"])))
    done = made(registry, Iam(users(range(7))), options=other_pools)
    assert done.result.refused is not None
    assert done.result.refused.startswith(
        "the address pools 10.55.0.0/24 don't hold the addresses of 6 devices that are peers: user1/laptop "
        "(10.44.0.3), user2/laptop (10.44.0.4), user3/laptop (10.44.0.5), user4/laptop (10.44.0.6), "
        "user5/laptop (10.44.0.7), …. Confirmed revocations were applied, and nothing else."
    )
    assert done.problems == [done.result.refused]
    assert reasons(done.result.roster) == {"user0/laptop": "tombstoned"}


def test_pools_that_cannot_be_used_stop_all_but_confirmed_revocations(registry: Registry) -> None:
    register(registry, 1, 2)
    registry.write_tombstone(tombstone(1, event_time=NOW))
    unusable = RunOptions(OPTIONS.accounts, POLICY._replace(pools=None), "the pools overlap")
    done = made(registry, Iam(users((1, 2))), options=unusable)
    assert (done.result.refused, done.problems) == ("the pools overlap", ["the pools overlap"])
    assert names(done.result.roster) == ["user2/laptop"]


def test_decision_is_not_stored_while_the_pools_are_refused_and_the_sweep_is(registry: Registry) -> None:
    register(registry, 1)
    done = made(registry, Iam([user(1)]), options=OPTIONS._replace(refused="the pools overlap"))
    assert done.calls[3:] == ["store_sweep"]


def test_peers_that_are_registered_again_in_a_new_pool_do_not_refuse_it(registry: Registry) -> None:
    """What is left in no pool any more are the addresses that they had."""
    register(registry, 1, 2)
    made(registry, Iam(users((1, 2))))
    pools = parse_pools(["10.55.0.0/24"])
    for number in (1, 2):
        registry.devices.register(registration(number), pools)
    done = made(registry, Iam(users((1, 2))), options=OPTIONS._replace(policy=POLICY._replace(pools=pools)))
    assert (done.problems, [peer.addresses for peer in done.roster.peers]) == ([], [("10.55.0.2",), ("10.55.0.3",)])


@pytest.mark.parametrize("addresses", [(), ("10.99.0.2",)])
def test_registrations_that_were_no_peers_do_not_refuse_a_new_pool(
    registry: Registry, addresses: tuple[str, ...]
) -> None:
    elsewhere = parse_pools(["10.99.0.0/24"]) if addresses else []
    registry.devices.register(registration(1), elsewhere)
    done = made(registry, Iam([user(1)]))
    assert (done.problems, reasons(done.result.roster)) == ([], {"user1/laptop": "address_outside_pool"})


# -- what operators are told


def test_account_that_was_never_swept_is_a_problem(registry: Registry) -> None:
    done = made(registry, Iam(refusing={"get_account_authorization_details": error("AccessDenied")}))
    (problem,) = done.problems
    assert problem.startswith(
        f"account {ACCOUNT} was never swept completely, so none of its users is a peer: access denied: these "
        "credentials need iam:GetAccountAuthorizationDetails"
    )


def test_held_removals_are_named_with_the_way_to_release_them(registry: Registry) -> None:
    register(registry, 1, 2)
    made(registry, Iam(users((1, 2))))
    done = made(registry, Iam(users((1, 2), groups=())))
    (problem,) = done.problems
    assert problem == (
        "2 removals are held, no deletion, block or expiry explains them: user1/laptop, user2/laptop. Look for a "
        "mistake in IAM's groups, vpn_access, vpn_identity_accounts or the registry. If they are right, release them "
        f'by name, or all with -e \'{{"vpn_release_held": ["{done.result.release_token}"]}}\''
    )


def test_r16_removals_that_an_access_policy_without_groups_explains_have_no_release(registry: Registry) -> None:
    register(registry, 1, 2)
    made(registry, Iam(users((1, 2))))
    done = made(registry, Iam(users((1, 2))), options=OPTIONS._replace(policy=POLICY._replace(granting={})))
    mistake, held = done.problems
    assert mistake.startswith(f"vpn_access has no group of account {ACCOUNT}, whose users are peers: expected an entry")
    assert held.endswith("user1/laptop, user2/laptop. Mend first what is named above, which may explain them")
    assert done.result.release_token is None
    by_name = POLICY._replace(granting={}, release=frozenset(["user1", "user2"]))
    done = made(registry, Iam(users((1, 2))), options=OPTIONS._replace(policy=by_name))
    assert (names(done.result.roster), done.problems) == ([], []), "an operator can say so by name all the same"


def test_r16_release_that_names_nobody_is_a_problem_and_one_that_is_repeated_is_none(registry: Registry) -> None:
    register(registry, 1, 2)
    made(registry, Iam(users((1, 2))))

    def released(*names: str) -> list[str]:
        policy = POLICY._replace(release=frozenset(names))
        return made(registry, Iam(users((1, 2), groups=())), options=OPTIONS._replace(policy=policy)).problems

    nobody, held = released("usr1", "000000000000", "  ")[::-1]
    assert held.startswith("2 removals are held")
    assert nobody == (
        "vpn_release_held names nobody whose removal is held: 000000000000, usr1. Held: user1/laptop, user2/laptop"
    )
    assert released("user1", "USER2/laptop") == []
    assert released("user1", "aida2", "000000000000") == [], "a run can be repeated"
    (problem,) = released("user3")
    assert problem.endswith("user3. Held: nobody")


def test_reversed_tombstone_is_told(registry: Registry) -> None:
    register(registry, 1)
    registry.write_tombstone(tombstone(1, age=9000))
    assert reversals(made(registry, Iam([user(1)])).result.roster) == [
        "user1 (AIDA1) is in IAM again: a complete sweep outweighs tombstone event"
    ]


def test_early_signs_are_counted_and_left(registry: Registry) -> None:
    registry.write_sign(Sign(ACCOUNT, "AIDA1", "DeleteLoginProfile", NOW - 60))
    register(registry, 1)
    done = made(registry, Iam([user(1)], unable={"user1"}))
    assert (done.result.signs, names(done.result.roster)) == (1, ["user1/laptop"])
    assert len(registry.facts().signs) == 1


def test_r5_decision_that_is_gone_is_told_once(registry: Registry, table: Table) -> None:
    register(registry, 1, 2)
    assert made(registry, Iam(users((1, 2)))).problems == [], "the first run has none to count from"
    table.write(Delete("sweep", "decision"))
    (problem,) = made(registry, Iam(users((1, 2)))).problems
    assert problem.startswith(
        "the registry has no decision of an earlier run, so removals were counted from the 2 peers"
    )
    assert made(registry, Iam(users((1, 2)))).problems == []
    table.write(Put({"pk": "recorded", "sk": "gateway-1", "removal_ids": ["42"]}))
    for item in list(registry.items()):
        if item["pk"] == "sweep":
            table.write(Delete("sweep", item["sk"]))
    (problem,) = made(registry, Iam(users((1, 2)))).problems
    assert problem.startswith(
        "the registry has no decision of an earlier run, nor any sweep, so no removal was counted"
    )
