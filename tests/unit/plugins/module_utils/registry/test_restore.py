# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""A registry's items in another table: what an import writes, in which order, and which registry the table is then."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.dynamodb import Item, RegistryError, Table
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.export import from_file, to_file
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.table import Registry

from tests.support.decisions import registration, sweep, user
from tests.support.runs import POOLS
from tests.support.tables import NOW, TABLE

BACKUP: list[dict[str, Any]] = [
    {"pk": "block", "sk": "1/A", "reason": "lost", "created_at": 1},
    {"pk": "registration", "sk": "1/A/laptop", "public_key": "KEY"},
    {"pk": "registry", "sk": "identity", "value": "4f2a"},
    {"pk": "tombstone", "sk": "1/event", "user_name": "a", "event_time": 1},
]


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The kinds of items that were written together."""
    written: list[list[str]] = []
    write_all = Table.write_all

    def noting(self: Table, items: Sequence[Item]) -> None:
        written.append([item["pk"] for item in items])
        write_all(self, items)

    monkeypatch.setattr(Table, "write_all", noting)
    return written


def test_r4_restore_writes_registrations_after_all_that_revokes(registry: Registry, batches: list[list[str]]) -> None:
    assert registry.restore(BACKUP) == 4
    assert registry.items() == BACKUP
    assert batches == [["block", "registry", "tombstone"], ["registration"]]


def test_restore_goes_on_where_it_was_interrupted(registry: Registry, batches: list[list[str]]) -> None:
    registry.restore(BACKUP[:1])
    batches.clear()
    assert registry.restore(BACKUP) == 3
    assert batches == [["registry", "tombstone"], ["registration"]]
    assert registry.restore(BACKUP) == 0


def test_restore_in_check_mode_writes_nothing(registry: Registry) -> None:
    assert registry.restore(BACKUP, check_mode=True) == 4
    assert registry.items() == []


@pytest.mark.parametrize("other", [{"pk": "block", "sk": "1/B"}, {"pk": "block", "sk": "1/A", "reason": "other"}])
def test_restore_into_a_table_with_other_items_is_refused(registry: Registry, client: Any, other: Item) -> None:
    Table(client, TABLE).write_all([other, {"pk": "sign", "sk": "1/A"}])
    with pytest.raises(
        RegistryError,
        match=r"table tracklib-vpn holds items that the import doesn't have \(block: 1, sign: 1\): nothing was written",
    ):
        registry.restore(BACKUP)
    assert len(registry.items()) == 2


def test_restore_says_that_something_else_writes_to_the_table(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_all = Table.write_all

    def disturbed(self: Table, items: Sequence[Item]) -> None:
        write_all(self, [*items, {"pk": "sign", "sk": "1/A"}])

    monkeypatch.setattr(Table, "write_all", disturbed)
    with pytest.raises(RegistryError, match=r"\(sign: 1\): something writes to it meanwhile; stop that"):
        registry.restore(BACKUP)


@pytest.mark.parametrize(("ttl", "lost"), [(NOW + 1, True), (NOW, False), (None, True)])
def test_restored_item_may_be_missing_only_if_its_time_is_over(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, ttl: float | None, lost: bool
) -> None:
    items = [{**BACKUP[0], **({} if ttl is None else {"ttl": int(ttl)})}]
    monkeypatch.setattr(Table, "write_all", lambda _self, _items: None)
    if not lost:
        assert registry.restore(items) == 1
        return
    with pytest.raises(RegistryError, match="1 items aren't in table tracklib-vpn after all; run it again"):
        registry.restore(items)


# -- R6, no resurrection: which registry it is


def exported(registry: Registry, client: Any) -> list[Item]:
    """The items of a whole registry, as its file has them; its table is emptied."""
    registry.make_identity()
    registry.devices.register(registration(1), POOLS)
    registry.devices.remove(registry.devices.register(registration(2), POOLS)[1])
    registry.store_sweep(sweep(user(1)), 5)
    registry.claim_key("gateway-1", "KEY")
    items, refused = from_file(to_file(registry.items()))
    assert refused == []
    for item in items:
        client.delete_item(TableName=TABLE, Key={name: {"S": item[name]} for name in ("pk", "sk")})
    return items


@pytest.mark.parametrize("is_deployed", [True, False])
def test_r6_identity_is_kept_over_export_and_import_also_into_a_table_that_deploy_gave_another(
    registry: Registry, client: Any, is_deployed: bool
) -> None:
    items = exported(registry, client)
    (identity,) = [item["value"] for item in items if item["pk"] == "registry"]
    if is_deployed:
        registry.make_identity()
        assert registry.check_identity() != identity
    registry.restore(items)
    assert registry.check_identity() == identity
    assert to_file(registry.items()) == to_file(items)
    assert registry.restore(items) == 0


def test_r6_import_of_an_earlier_versions_file_keeps_the_identity_that_the_table_has(registry: Registry) -> None:
    registry.make_identity()
    identity = registry.check_identity()
    registry.restore([item for item in BACKUP if item["pk"] != "registry"])
    assert registry.check_identity() == identity


def test_r6_import_of_an_earlier_versions_file_gives_the_table_an_identity(registry: Registry) -> None:
    items = [item for item in BACKUP if item["pk"] != "registry"]
    registry.restore(items, check_mode=True)
    assert not registry.has_identity()
    registry.restore(items)
    assert registry.has_identity()


def test_r6_import_into_another_registry_is_refused(registry: Registry) -> None:
    """Its items aren't those of the file; the identity alone may be another."""
    registry.make_identity()
    registry.devices.register(registration(3), POOLS)
    identity = registry.check_identity()
    with pytest.raises(RegistryError, match=r"holds items that the import doesn't have \(claim: 2, registration: 1\)"):
        registry.restore(BACKUP)
    assert registry.check_identity() == identity
