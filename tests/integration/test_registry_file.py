# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""`registry_export` and `registry_import` against an emulated AWS over HTTP, with faults between the two."""

from __future__ import annotations

import json
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils import keys
from ansible_collections.tracklib.vpn.plugins.module_utils.addresses import parse_pools
from ansible_collections.tracklib.vpn.plugins.module_utils.model import (
    Block,
    Decision,
    Receipt,
    Registration,
    Sign,
    Sweep,
    Tombstone,
    User,
)
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.devices import Quota
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.table import Registry

from tests.support import fault_proxy as faults
from tests.support.fault_proxy import FaultProxy

from .conftest import ROOT
from .names import Playbook
from .vpn import ACCOUNT, POOLS, Vpn

OTHER = "tracklib-vpn-2"
FEW_TRIES = {"retries": {"mode": "standard", "total_max_attempts": 2}}


def register(registry: Registry, wanted: Registration) -> Registration:
    """As self-service does, which counts a user's devices."""
    devices = registry.devices
    return devices.change(wanted.owner, wanted.device, lambda _found: wanted, parse_pools(POOLS), quota=Quota(5, 20))[1]


@pytest.fixture
def filled(vpn: Vpn, aws_client: Callable[..., Any]) -> Vpn:
    """A registry with items of every kind, and beside it the empty table OTHER."""
    template = (ROOT / "roles/control_plane/files/registry.yml").read_text()
    parameters = [{"ParameterKey": "TableName", "ParameterValue": OTHER}]
    aws_client("cloudformation").create_stack(StackName="registry-2", TemplateBody=template, Parameters=parameters)
    registry, now = vpn.registry(), int(time.time())
    ids = {name: vpn.user(name) for name in ("alice", "bob", "carol", "dave")}
    devices = {}
    for name, user_id in ids.items():
        wanted = Registration(ACCOUNT, user_id, "laptop", name, keys.generate()[1], (), now, now + 3600.0)
        devices[name] = register(registry, wanted)
    registry.devices.remove(devices["carol"])
    registry.block(Block(ACCOUNT, ids["bob"], None, "left", now))
    registry.write_tombstone(Tombstone(ACCOUNT, "event-1", "dave", ids["dave"], now))
    vpn.delete_user("dave")
    registry.write_sign(Sign(ACCOUNT, ids["alice"], "DeleteLoginProfile", now))
    registry.record(
        [Receipt("gateway-1", "1", ACCOUNT, ids["dave"], "dave", "phone", "9f86", "tombstoned", 1, None, now, now, now)]
    )
    users = {user_id: User(ACCOUNT, user_id, name, now, ("vpn",)) for name, user_id in ids.items()}
    generation = registry.take_generation()
    registry.store_sweep(Sweep(ACCOUNT, now, users), generation)
    registry.store_decision(Decision((devices["alice"],)), generation)
    registry.claim_key("gateway-1", keys.generate()[1])
    registry.self_service.write('{"life": 604800}')
    return vpn


def exported(vpn: Vpn, dest: Path, **options: Any) -> list[str]:
    assert vpn.module("registry_export", dest=str(dest), **options)["changed"]
    return dest.read_text().splitlines()


def others(vpn: Vpn) -> Registry:
    return Registry(vpn.dynamodb, OTHER)


def refused(vpn: Vpn, file: Path, lines: list[str]) -> str:
    """What the import of these lines says; it writes nothing."""
    file.write_text("".join(f"{line}\n" for line in lines))
    failure = vpn.fails("registry_import", src=str(file), registry_table=OTHER)
    assert f"{file} can't be imported, nothing was written: " in failure
    assert others(vpn).items() == []
    return failure


def test_export_has_every_kind_is_private_and_the_same_file_the_second_time(filled: Vpn, tmp_path: Path) -> None:
    dest = tmp_path / "new" / "registry.jsonl"
    result = filled.module("registry_export", dest=str(dest))
    assert result["counts"] == {
        "block": 1,
        "claim": 13,
        "devices": 4,
        "gateway": 1,
        "generation": 1,
        "receipt": 1,
        "recorded": 1,
        "registration": 3,
        "registry": 1,
        "removed": 1,
        "settings": 1,
        "sign": 1,
        "sweep": 2,
        "tombstone": 1,
    }
    assert stat.S_IMODE(dest.stat().st_mode) == 0o600
    assert len(dest.read_text().splitlines()) == 1 + sum(result["counts"].values())
    assert not filled.module("registry_export", dest=str(dest))["changed"]


def test_imported_registry_is_exported_as_the_same_bytes_and_makes_the_same_roster(filled: Vpn, tmp_path: Path) -> None:
    first, second = tmp_path / "first.jsonl", tmp_path / "second.jsonl"
    exported(filled, first)
    imported = filled.module("registry_import", src=str(first), registry_table=OTHER)
    assert (imported["changed"], imported["written"]) == (True, sum(imported["counts"].values()))
    exported(filled, second, registry_table=OTHER)
    assert second.read_bytes() == first.read_bytes()
    rosters = []
    for table in (filled.table, OTHER):
        dest = tmp_path / f"{table}.json"
        filled.module("roster", dest=str(dest), registry_table=table)
        content = json.loads(dest.read_text())
        rosters.append({part: content[part] for part in ("peers", "revoked", "excluded", "acknowledge")})
    assert rosters[0] == rosters[1]
    assert [peer["user_name"] for peer in rosters[0]["peers"]] == ["alice"]
    assert sorted(gone["reason"] for gone in rosters[0]["revoked"]) == ["blocked", "tombstoned"]


def test_r6_generation_after_an_import_is_above_all_before(filled: Vpn, tmp_path: Path) -> None:
    exported(filled, tmp_path / "registry.jsonl")
    last = filled.registry().take_generation()  # after the export
    filled.module("registry_import", src=str(tmp_path / "registry.jsonl"), registry_table=OTHER)
    assert others(filled).take_generation() > last


def test_r9_key_and_resting_address_stay_taken_after_an_import(filled: Vpn, tmp_path: Path) -> None:
    exported(filled, tmp_path / "registry.jsonl")
    filled.module("registry_import", src=str(tmp_path / "registry.jsonl"), registry_table=OTHER)
    filled.user("erin")
    registered = filled.register("erin", "laptop", keys.generate()[1], registry_table=OTHER)["registration"]
    assert registered["addresses"][0] == "10.44.0.6"
    alice = filled.module("registrations_info", user_name="alice")["registrations"][0]
    options = {"user_name": "erin", "device": "phone", "public_key": alice["public_key"], "registry_table": OTHER}
    assert "already held by alice/laptop" in filled.fails("registration", **options)


def test_import_again_changes_nothing(filled: Vpn, tmp_path: Path) -> None:
    exported(filled, tmp_path / "registry.jsonl")
    filled.module("registry_import", src=str(tmp_path / "registry.jsonl"), registry_table=OTHER)
    again = filled.module("registry_import", src=str(tmp_path / "registry.jsonl"), registry_table=OTHER)
    assert (again["changed"], again["written"]) == (False, 0)


def test_check_mode_of_export_and_import_writes_nothing(filled: Vpn, tmp_path: Path) -> None:
    dest = tmp_path / "registry.jsonl"
    assert filled.module("registry_export", check=True, dest=str(dest))["changed"]
    assert not dest.exists()
    exported(filled, dest)
    assert filled.module("registry_import", check=True, src=str(dest), registry_table=OTHER)["changed"]
    assert others(filled).items() == []


def test_table_that_holds_something_else_is_refused_and_nothing_is_written(filled: Vpn, tmp_path: Path) -> None:
    exported(filled, tmp_path / "registry.jsonl")
    others(filled).block(Block(ACCOUNT, "AIDASTRANGER", None, "left", 1_790_000_000))
    before = others(filled).items()
    failure = filled.fails("registry_import", src=str(tmp_path / "registry.jsonl"), registry_table=OTHER)
    assert f"table {OTHER} holds items that the import doesn't have (block: 1): nothing was written" in failure
    assert others(filled).items() == before


def test_registry_that_changed_since_its_export_is_refused(filled: Vpn, tmp_path: Path) -> None:
    exported(filled, tmp_path / "registry.jsonl")
    filled.module("registration", state="absent", user_name="alice", device="laptop")
    failure = filled.fails("registry_import", src=str(tmp_path / "registry.jsonl"))
    assert "holds items that the import doesn't have (claim: 3, removed: 1): nothing was written" in failure
    assert len(filled.registry().devices.registrations()) == 2


def test_r4_interrupted_import_lets_nobody_in_and_goes_on_when_run_again(
    filled: Vpn, tmp_path: Path, fault_proxy: FaultProxy
) -> None:
    lines = exported(filled, tmp_path / "registry.jsonl")
    fault_proxy.fail(
        "BatchWriteItem", faults.json_error(400, "AccessDeniedException")
    )  # it is written, its answer fails
    options: dict[str, Any] = {"src": str(tmp_path / "registry.jsonl"), "registry_table": OTHER}
    failure = filled.fails("registry_import", env={"AWS_URL": fault_proxy.url}, aws_config=FEW_TRIES, **options)
    assert "need dynamodb:BatchWriteItem" in failure
    left = others(filled).items()
    assert "block" in {item["pk"] for item in left}
    assert "registration" not in {item["pk"] for item in left}
    assert filled.module("registry_import", **options)["written"] == len(lines) - 1 - len(left)
    assert exported(filled, tmp_path / "second.jsonl", registry_table=OTHER) == lines


def test_writes_that_dynamodb_leaves_for_another_request_are_repeated(
    filled: Vpn, tmp_path: Path, fault_proxy: FaultProxy
) -> None:
    exported(filled, tmp_path / "registry.jsonl")
    fault_proxy.fail("BatchWriteItem", faults.json_error(400, "ThrottlingException"), last=1)
    options: dict[str, Any] = {"src": str(tmp_path / "registry.jsonl"), "registry_table": OTHER}
    assert filled.module("registry_import", env={"AWS_URL": fault_proxy.url}, **options)["changed"]
    assert others(filled).items() == filled.registry().items()


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        pytest.param(lambda line: line[:-5], "JSONDecodeError", id="cut"),
        pytest.param(lambda line: line.replace('{"S":"left"}', '{"S":5}'), "it isn't in DynamoDB's JSON", id="type"),
        pytest.param(lambda line: line.replace('{"S":"left"}', '{"X":"left"}'), "TypeError", id="no type"),
        pytest.param(lambda line: line.replace('"block"', '"blok"'), "its pk is 'blok', expected one of", id="kind"),
        pytest.param(lambda line: line.replace('"sk"', '"ks"'), "KeyError 'sk'", id="attribute"),
        pytest.param(lambda _line: "[]", "AttributeError", id="no object"),
        pytest.param(lambda line: line.replace('"sk":{"S":', '"sk":{"N":').replace("/", ""), "line 2", id="sort key"),
    ],
)
def test_damaged_line_is_refused_by_its_number_before_anything_is_written(
    filled: Vpn, tmp_path: Path, damage: Callable[[str], str], complaint: str
) -> None:
    head, block, *rest = exported(filled, tmp_path / "registry.jsonl")
    assert damage(block) != block
    failure = refused(filled, tmp_path / "damaged.jsonl", [head, damage(block), *rest])
    assert "line 2 is no item of a registry: " in failure
    assert complaint in failure


def test_damaged_sweep_is_refused(filled: Vpn, tmp_path: Path) -> None:
    lines = exported(filled, tmp_path / "registry.jsonl")
    packed = [number for number, line in enumerate(lines) if '{"B":"' in line]  # the sweep and the decision
    assert len(packed) == 2
    for number in packed:
        damaged = [*lines[:number], lines[number].replace('{"B":"', '{"B":"AAAA'), *lines[number + 1 :]]
        assert f"line {number + 1} is no item" in refused(filled, tmp_path / "damaged.jsonl", damaged)


def test_r16_identity_is_kept_over_export_and_import_and_the_table_is_another(filled: Vpn, tmp_path: Path) -> None:
    file = str(tmp_path / "registry.jsonl")
    filled.module("registry_export", dest=file)
    assert filled.module("registry_identity", registry_table=OTHER)["changed"]  # as `deploy` does
    filled.module("registry_import", src=file, registry_table=OTHER)
    old, new = (filled.module("registry_identity", registry_table=table) for table in (filled.table, OTHER))
    assert (old["changed"], new["changed"]) == (False, False)
    assert old["registry"]["identity"] == new["registry"]["identity"]
    assert old["registry"]["table_id"] != new["registry"]["table_id"]


@pytest.mark.parametrize("head", ['{"format":"tracklib.vpn registry","items":%d,"version":2}', "{}", "", "%d"])
def test_unknown_version_or_other_file_is_refused(filled: Vpn, tmp_path: Path, head: str) -> None:
    lines = exported(filled, tmp_path / "registry.jsonl")
    failure = refused(filled, tmp_path / "other.jsonl", [head.replace("%d", str(len(lines) - 1)), *lines[1:]])
    assert 'expected {"format":"tracklib.vpn registry","items":0,"version":1}' in failure


def test_file_that_is_not_whole_is_refused(filled: Vpn, tmp_path: Path) -> None:
    lines = exported(filled, tmp_path / "registry.jsonl")
    failure = refused(filled, tmp_path / "short.jsonl", lines[:-1])
    assert f"line 1 promises {len(lines) - 1} items and {len(lines) - 2} follow" in failure
    failure = refused(filled, tmp_path / "twice.jsonl", [*lines[:-1], lines[-2]])
    assert f"line {len(lines)} has the keys of line {len(lines) - 1}: " in failure
    assert "can't be imported" in filled.fails("registry_import", src=str(tmp_path / "none"), registry_table=OTHER)


def test_r9_file_whose_claims_do_not_fit_its_registrations_is_refused(filled: Vpn, tmp_path: Path) -> None:
    head, *lines = exported(filled, tmp_path / "registry.jsonl")
    claims = [line for line in lines if '"sk":{"S":"address#10.44.0.2"}' in line]
    assert len(claims) == 1
    head = head.replace(f'"items":{len(lines)}', f'"items":{len(lines) - 1}')
    failure = refused(filled, tmp_path / "edited.jsonl", [head, *(line for line in lines if line not in claims)])
    assert "registrations and claims of these devices don't belong together" in failure


def test_r9_export_of_a_registry_that_changed_meanwhile_is_refused(filled: Vpn, tmp_path: Path) -> None:
    filled.dynamodb.delete_item(  # as if the claims had been read before their registration was there
        TableName=filled.table, Key={"pk": {"S": "claim"}, "sk": {"S": "address#10.44.0.2"}}
    )
    failure = filled.fails("registry_export", dest=str(tmp_path / "registry.jsonl"))
    assert "They were changed while the table was read: run it again" in failure
    assert not (tmp_path / "registry.jsonl").exists()


def test_export_reads_every_page(filled: Vpn, tmp_path: Path, fault_proxy: FaultProxy) -> None:
    lines = exported(filled, tmp_path / "one.jsonl")
    fault_proxy.scan_limit = 5
    assert exported(filled, tmp_path / "many.jsonl", env={"AWS_URL": fault_proxy.url}) == lines
    assert fault_proxy.calls["Scan"] >= 5


@pytest.mark.parametrize("before", [None, "the last export"])
def test_r3_export_that_fails_on_a_later_page_leaves_the_file_as_it_was(
    filled: Vpn, tmp_path: Path, fault_proxy: FaultProxy, before: str | None
) -> None:
    dest = tmp_path / "new" / "registry.jsonl"
    if before is not None:
        dest.parent.mkdir()
        dest.write_text(before)
    fault_proxy.scan_limit = 5
    fault_proxy.fail("Scan", faults.json_error(400, "AccessDeniedException"), first=2)
    failure = filled.fails("registry_export", env={"AWS_URL": fault_proxy.url}, dest=str(dest), aws_config=FEW_TRIES)
    assert "these credentials need dynamodb:Scan on table tracklib-vpn" in failure
    assert (dest.read_text() if dest.exists() else None) == before
    assert list(dest.parent.glob(".*")) == []


def test_playbooks_export_and_import(filled: Vpn, tmp_path: Path, playbook: Playbook) -> None:
    options: dict[str, Any] = {"vpn_account_id": ACCOUNT}
    file = str(tmp_path / "registry.jsonl")
    assert "registration 3" in playbook("registry_export", registry_export_file=file, **options)
    assert "registration 3" in playbook(
        "registry_import", registry_import_file=file, vpn_registry_table=OTHER, **options
    )
    assert others(filled).items() == filled.registry().items()
    assert "registry_export_file is not set, expected the file to write" in playbook("registry_export", expect=2)
    assert "registry_import_file is not set, expected a file that" in playbook("registry_import", expect=2)


@pytest.mark.parametrize("kept", [("pk", "sk"), ("pk", "sk", "owner")])
def test_export_names_the_items_that_no_import_would_take(filled: Vpn, tmp_path: Path, kept: tuple[str, ...]) -> None:
    claim, receipt = filled.items("claim")[0], filled.items("receipt")[0]
    for item in (claim, receipt):
        damaged = {name: value for name, value in item.items() if name in kept}
        filled.dynamodb.put_item(TableName=filled.table, Item=damaged)
    failure = filled.fails("registry_export", dest=str(tmp_path / "it"))
    assert (
        f"nothing was exported: these items can't be read, and no import would take them: claim {claim['sk']['S']} (Key"
        in failure
    )
    assert f"receipt {receipt['sk']['S']} (" in failure
    assert not (tmp_path / "it").exists()
