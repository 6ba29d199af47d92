# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What runs write to the registry and read from it: facts, generations, revocations, receipts, sweeps, a restore."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils.addresses import parse_pools
from ansible_collections.tracklib.vpn.plugins.module_utils.model import (
    Block,
    Decision,
    Departure,
    Lifted,
    Receipt,
    Registered,
    Registration,
    Removed,
    Sign,
    Sweep,
    Tombstone,
    User,
)
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.dynamodb import Item, Put, RegistryError, Table
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.facts import RegistryFacts
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.items import (
    SIGN_LIFE,
    TOMBSTONE_LIFE,
    decision_items,
    sign_item,
    sweep_items,
    tombstone_item,
)
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.table import Registry

from tests.support.tables import NOW, TABLE, Clock

ACCOUNT = "111122223333"
POOLS = parse_pools(["10.44.0.0/24"])
TOMBSTONE = Tombstone(ACCOUNT, "event-1", "bob", "AIDABOB", NOW)
BLOCK = Block(ACCOUNT, "AIDAALICE", None, "left", NOW)
SIGN = Sign(ACCOUNT, "AIDAALICE", "DeleteLoginProfile", NOW)
DECISION = Decision(departures=(Departure(ACCOUNT, "AIDABOB", "laptop", NOW),))
NOTHING = RegistryFacts(
    registered=Registered([], {}, []),
    tombstones=[],
    blocks=[],
    signs=[],
    sweeps={},
    decision=None,
    gateway_keys=frozenset(),
    acknowledge=[],
    problems=[],
    surplus=[],
)


def sweep(begun_at: float = NOW, account_id: str = ACCOUNT) -> Sweep:
    return Sweep(account_id, begun_at, {"AIDAALICE": User(account_id, "AIDAALICE", "alice", 1.0, ("vpn",))})


def receipt(removal_id: str, gateway: str = "gateway-1", removed_at: int = int(NOW)) -> Receipt:
    return Receipt(
        gateway, removal_id, ACCOUNT, "AIDABOB", "bob", "laptop", "9f86", "tombstoned", 7, None, None, removed_at, None
    )


def test_facts_of_an_empty_registry_are_none(registry: Registry) -> None:
    assert registry.facts() == NOTHING


def test_facts_are_all_that_was_written(registry: Registry) -> None:
    wanted = Registration(ACCOUNT, "AIDAALICE", "laptop", "alice", "KEY", (), NOW)
    _before, registration = registry.devices.register(wanted, POOLS)
    _before, phone = registry.devices.register(wanted._replace(device="phone", public_key="PHONE"), POOLS)
    registry.devices.remove(phone)
    registry.write_tombstone(TOMBSTONE)
    registry.block(BLOCK)
    registry.write_sign(SIGN)
    registry.store_sweep(sweep(), 1)
    registry.store_sweep(sweep(account_id="2"), 1)
    registry.store_decision(DECISION, 1)
    registry.claim_key("gateway-1", "GATEWAY")
    registry.record([receipt("1"), receipt("2", "gateway-2"), receipt("3")])
    facts = registry.facts()
    assert facts._replace(acknowledge=sorted(facts.acknowledge)) == NOTHING._replace(
        registered=Registered([registration], {}, [Removed(ACCOUNT, "AIDAALICE", "phone", "alice", "PHONE", NOW)]),
        tombstones=[TOMBSTONE],
        blocks=[BLOCK],
        signs=[SIGN],
        sweeps={ACCOUNT: sweep(), "2": sweep(account_id="2")},
        decision=DECISION,
        gateway_keys=frozenset({"GATEWAY"}),
        gateways=("gateway-1",),
        acknowledge=["1", "2", "3"],
    )


# -- what confirms a revocation


@pytest.mark.parametrize("event_time", ["x", None])
def test_r17_tombstone_or_sign_whose_time_is_damaged_is_written_again_with_its_event(
    registry: Registry, table: Table, event_time: Any
) -> None:
    for item in (tombstone_item(TOMBSTONE), sign_item(SIGN)):
        table.write(Put({**item, "event_time": event_time}))
    registry.write_tombstone(TOMBSTONE)
    registry.write_sign(SIGN)
    assert (registry.tombstones(), registry.facts().signs) == ([TOMBSTONE], [SIGN])


def test_tombstone_of_an_event_that_comes_again_stays_as_it_is(registry: Registry) -> None:
    registry.write_tombstone(TOMBSTONE)
    registry.write_tombstone(TOMBSTONE._replace(user_id=None))
    registry.write_tombstone(TOMBSTONE._replace(user_id=None, event_time=NOW - 1))
    assert registry.tombstones() == [TOMBSTONE]


def test_later_tombstone_of_the_same_event_replaces_the_earlier(registry: Registry, clock: Clock) -> None:
    clock.now += 1
    registry.write_tombstone(TOMBSTONE)
    registry.write_tombstone(TOMBSTONE._replace(event_time=NOW + 1))
    assert registry.tombstones() == [TOMBSTONE._replace(event_time=NOW + 1)]


def test_block_is_replaced_and_lifted_alone(registry: Registry) -> None:
    phone = BLOCK._replace(device="phone", reason="lost")
    registry.block(BLOCK._replace(reason="?"))
    registry.block(BLOCK)
    registry.block(phone)
    assert registry.blocks() == [BLOCK, phone]
    registry.unblock(Lifted(BLOCK, None, NOW))
    assert registry.blocks() == [phone]


def test_later_sign_replaces_the_earlier_and_not_the_other_way(registry: Registry, clock: Clock) -> None:
    clock.now += 1
    later = SIGN._replace(event_time=NOW + 1, event_name="DeactivateMFADevice")
    registry.write_sign(SIGN)
    registry.write_sign(later)
    registry.write_sign(SIGN)
    registry.write_sign(later._replace(event_name="again"))
    assert registry.facts().signs == [later]


def test_sign_that_was_answered_is_forgotten_unless_a_later_one_came(registry: Registry, clock: Clock) -> None:
    clock.now += 1
    later = SIGN._replace(event_time=NOW + 1)
    registry.write_sign(later)
    registry.forget_sign(SIGN)
    assert registry.facts().signs == [later]
    registry.forget_sign(later)
    registry.forget_sign(later)
    assert registry.facts().signs == []


def test_r4_tombstone_or_sign_from_ahead_is_received_once(registry: Registry, clock: Clock) -> None:
    for later in (3600, 7200):
        registry.write_tombstone(TOMBSTONE._replace(event_time=NOW + later))
        registry.write_sign(SIGN._replace(event_time=NOW + later))
    for _time in range(2):
        for pk, sk in (("tombstone", f"{ACCOUNT}/event-1"), ("sign", f"{ACCOUNT}/AIDAALICE")):
            registry.receive(pk, sk)
        clock.now += 60
    facts = registry.facts()
    assert (facts.tombstones, facts.signs, facts.ahead) == ([TOMBSTONE], [SIGN], ())
    assert {item["ttl"] for item in registry.items()} == {NOW + TOMBSTONE_LIFE, NOW + SIGN_LIFE}


def test_nothing_is_received_that_is_gone_meanwhile(registry: Registry) -> None:
    registry.receive("tombstone", f"{ACCOUNT}/event-1")
    assert registry.items() == []


# -- receipts


def test_removals_are_acknowledged_only_once_their_receipts_are_written(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[list[str]] = []
    write_all = Table.write_all

    def noting(self: Table, items: Sequence[Item]) -> None:
        written.append([item["pk"] for item in items])
        write_all(self, items)

    monkeypatch.setattr(Table, "write_all", noting)
    registry.record([receipt("1"), receipt("2")])
    assert written == [["receipt", "receipt"], ["recorded"]]


def test_gateway_acknowledges_what_it_returned_last(registry: Registry) -> None:
    registry.record([receipt("1"), receipt("2"), receipt("1", "gateway-2")])
    registry.record([receipt("3")])
    assert registry.acknowledged() == {"gateway-1": ["3"], "gateway-2": ["1"]}
    assert len(registry.receipts()) == 4


def test_receipts_are_listed_from_a_time_on_the_earliest_first(registry: Registry) -> None:
    early, late = receipt("2", removed_at=int(NOW)), receipt("1", removed_at=int(NOW) + 1)
    registry.record([late, early])
    assert registry.receipts() == registry.receipts(NOW) == [early, late]
    assert registry.receipts(NOW + 1) == [late]
    assert registry.receipts(NOW + 2) == []


# -- sweeps


def test_r6_older_run_does_not_overwrite_the_sweep_of_a_newer_one(registry: Registry) -> None:
    registry.store_sweep(sweep(NOW), 5)
    registry.store_sweep(sweep(NOW - 60), 4)
    registry.store_sweep(sweep(NOW - 60), 5)
    assert registry.sweep(ACCOUNT) == sweep(NOW)
    registry.store_sweep(sweep(NOW - 60), 6)
    assert registry.sweep(ACCOUNT) == sweep(NOW - 60)


def test_r6_older_run_does_not_overwrite_what_a_newer_one_decided(registry: Registry) -> None:
    registry.store_decision(DECISION, 5)
    registry.store_decision(Decision(), 4)
    assert registry.facts().decision == DECISION
    registry.store_decision(Decision(), 6)
    assert registry.facts().decision == Decision()


def test_decision_says_since_when_it_is_so(registry: Registry) -> None:
    assert registry.decision() is None
    registry.store_decision(DECISION, int(NOW - 60) * 1000)
    assert registry.decision() == (DECISION, NOW - 60)


def test_decision_in_parts_reads_back(registry: Registry) -> None:
    chance = random.Random(1)
    peers = [
        Registration(ACCOUNT, f"AIDA{number}", "laptop", "alice", chance.randbytes(32).hex(), (), NOW)
        for number in range(9000)
    ]
    registry.store_decision(Decision(peers=tuple(peers)), int(NOW) * 1000)
    assert len(registry.items()) > 1
    assert registry.decision() == (Decision(peers=tuple(peers)), NOW)


@pytest.mark.parametrize("generation", ["x", None, 10**16, int(NOW + 21 * 60) * 1000])
def test_r17_sweep_or_decision_whose_generation_is_damaged_is_replaced_by_the_next_run(
    registry: Registry, table: Table, clock: Clock, generation: Any
) -> None:
    clock.now += 60
    for item in (*sweep_items(sweep(NOW), 7), *decision_items(DECISION, 7)):
        table.write(Put({**item, "generation": generation}))
    registry.store_sweep(sweep(NOW + 60), 6)
    registry.store_decision(Decision(), 6)
    assert (registry.sweep(ACCOUNT), registry.facts().decision) == (sweep(NOW + 60), Decision())
    registry.store_sweep(sweep(NOW), 5)
    assert registry.sweep(ACCOUNT) == sweep(NOW + 60)


def test_account_that_was_never_swept_has_no_sweep(registry: Registry) -> None:
    registry.store_sweep(sweep(), 1)
    assert registry.sweep("444455556666") is None


def test_sweep_in_parts_reads_back_and_a_later_one_replaces_it_whole(registry: Registry) -> None:
    chance = random.Random(5000)
    groups = [chance.randbytes(64).hex() for _number in range(100)]
    users = [
        User(ACCOUNT, f"AIDA{number}", chance.randbytes(32).hex(), 1.0, tuple(chance.sample(groups, 9)))
        for number in range(9000)
    ]
    large = Sweep(ACCOUNT, NOW, {each.user_id: each for each in users})
    registry.store_sweep(large, 5)
    assert (registry.sweep(ACCOUNT), registry.facts().sweeps) == (large, {ACCOUNT: large})
    registry.store_sweep(large._replace(begun_at=NOW - 60), 4)
    assert registry.sweep(ACCOUNT) == large
    registry.store_sweep(sweep(), 6)
    assert registry.sweep(ACCOUNT) == sweep()
    facts = registry.facts()
    assert facts.surplus == [f"{ACCOUNT}#4#0000", f"{ACCOUNT}#5#0000"]
    registry.forget_surplus(facts.surplus)
    assert (registry.facts().surplus, len(registry.items())) == ([], 1)


def test_sweep_of_an_account_is_not_that_of_one_whose_number_begins_alike(registry: Registry) -> None:
    registry.store_sweep(sweep(account_id="12"), 1)
    assert registry.sweep("1") is None


# -- which registry it is


def test_r16_table_without_identity_is_no_registry(registry: Registry) -> None:
    assert not registry.has_identity()
    for asking in (registry.identity, registry.check_identity):
        with pytest.raises(RegistryError, match="table tracklib-vpn is no registry: it has no identity"):
            asking()
    assert registry.items() == []


@pytest.mark.parametrize("value", ["", 5, None])
def test_r16_table_whose_identity_is_damaged_is_no_registry(registry: Registry, table: Table, value: object) -> None:
    table.write(Put({"pk": "registry", "sk": "identity", "value": value}))
    with pytest.raises(RegistryError, match="table tracklib-vpn is no registry: it has no identity"):
        registry.check_identity()


def test_r6_identity_is_made_once_and_kept(registry: Registry) -> None:
    assert registry.make_identity()
    first = registry.identity()
    assert not registry.make_identity()
    assert registry.identity() == first
    assert registry.check_identity() == first.identity
    assert registry.has_identity()


def test_r6_identity_says_in_which_table_of_which_account_and_region_it_is(registry: Registry, client: Any) -> None:
    registry.make_identity()
    found = client.describe_table(TableName=TABLE)["Table"]
    identity = registry.identity()
    assert len(identity.identity) == 32
    assert identity[1:] == ("123456789012", "eu-west-1", TABLE, found["TableId"])


def test_r6_restored_table_has_the_identity_and_another_id(registry: Registry, client: Any, clock: Clock) -> None:
    registry.make_identity()
    backup = client.create_backup(TableName=TABLE, BackupName="backup")["BackupDetails"]["BackupArn"]
    client.restore_table_from_backup(TargetTableName="restored", BackupArn=backup)
    original, restored = registry.identity(), Registry(client, "restored", clock).identity()
    client.delete_table(TableName="restored")
    assert restored == original._replace(table="restored", table_id=restored.table_id)
    assert restored.table_id != original.table_id


# -- gateways' keys


def test_r9_gateways_key_is_claimed_once_and_known_to_runs(registry: Registry) -> None:
    assert registry.claim_key("gateway-1", "KEY")
    assert not registry.claim_key("gateway-1", "KEY")
    assert registry.claim_key("gateway-2", "KEY 2")
    assert registry.facts().gateway_keys == {"KEY", "KEY 2"}


def test_gateways_key_in_check_mode_is_claimed_by_nobody(registry: Registry) -> None:
    assert registry.claim_key("gateway-1", "KEY", check_mode=True)
    assert registry.items() == []


def test_r9_new_key_of_a_gateway_replaces_the_old_one_which_stays_no_devices(registry: Registry) -> None:
    registry.claim_key("gateway-1", "KEY")
    registry.claim_key("gateway-1", "NEW")
    assert registry.facts().gateway_keys == {"NEW"}
    wanted = Registration(ACCOUNT, "AIDAALICE", "laptop", "alice", "KEY", (), NOW)
    with pytest.raises(RegistryError, match="is that of gateway/gateway-1"):
        registry.devices.register(wanted, POOLS)
    assert registry.claim_key("gateway-1", "KEY")


@pytest.mark.parametrize("is_removed", [False, True])
def test_r9_key_that_a_device_has_or_had_cannot_be_a_gateways(registry: Registry, is_removed: bool) -> None:
    wanted = Registration(ACCOUNT, "AIDAALICE", "laptop", "alice", "KEY", (), NOW)
    _before, registration = registry.devices.register(wanted, POOLS)
    if is_removed:
        registry.devices.remove(registration)
    with pytest.raises(RegistryError, match="the public key of gateway/gateway-1 is registered for a device: remove"):
        registry.claim_key("gateway-1", "KEY")
    assert registry.facts().gateway_keys == frozenset()


def test_r9_key_of_another_gateway_is_refused(registry: Registry) -> None:
    registry.claim_key("gateway-1", "KEY")
    with pytest.raises(RegistryError):
        registry.claim_key("gateway-2", "KEY")


# -- tombstones by name


def test_r1_tombstone_notes_whom_it_does_not_mean(registry: Registry) -> None:
    by_name = TOMBSTONE._replace(user_id=None)
    registry.write_tombstone(by_name)
    registry.spare(by_name._replace(spared=("AIDA1", "AIDA2")))
    assert registry.tombstones() == [by_name._replace(spared=("AIDA1", "AIDA2"))]


def test_r1_event_that_comes_again_forgets_nobody_who_was_spared(registry: Registry) -> None:
    spared = TOMBSTONE._replace(user_id=None, spared=("AIDA1",))
    registry.write_tombstone(spared._replace(spared=()))
    registry.spare(spared)
    registry.write_tombstone(spared._replace(spared=()))
    assert registry.tombstones() == [spared]


def test_r17_whom_a_tombstone_spares_is_noted_although_its_time_is_damaged(registry: Registry, table: Table) -> None:
    table.write(Put({**tombstone_item(TOMBSTONE._replace(user_id=None)), "event_time": "?"}))
    (found,) = registry.tombstones()
    registry.spare(found._replace(spared=("AIDA1",)))
    assert registry.tombstones() == [found._replace(spared=("AIDA1",))]


def test_tombstone_that_is_gone_is_not_made_again_by_whom_it_spares(registry: Registry) -> None:
    registry.spare(TOMBSTONE._replace(spared=("AIDA1",)))
    assert registry.tombstones() == []
