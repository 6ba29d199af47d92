# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""`registry_export` and `registry_import` against an emulated AWS over HTTP, with faults between the two."""

from __future__ import annotations

import json
import re
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils import keys
from ansible_collections.tracklib.vpn.plugins.module_utils.addresses import parse_pools
from ansible_collections.tracklib.vpn.plugins.module_utils.archive import sha256
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
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.export import from_file
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.quotas import Quota
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
    generation = registry.generations.take()
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
    last = filled.registry().generations.take()  # after the export
    filled.module("registry_import", src=str(tmp_path / "registry.jsonl"), registry_table=OTHER)
    assert others(filled).generations.take() > last


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


DAMAGES = [
    pytest.param(lambda line: line[:-5], "JSONDecodeError", id="cut"),
    pytest.param(lambda line: line.replace('{"S":"left"}', '{"S":5}'), "it isn't in DynamoDB's JSON", id="type"),
    pytest.param(lambda line: line.replace('{"S":"left"}', '{"X":"left"}'), "TypeError", id="no type"),
    pytest.param(lambda line: line.replace('"block"', '"blok"'), "its pk is 'blok', expected one of", id="kind"),
    pytest.param(lambda line: line.replace('"sk"', '"ks"'), "KeyError 'sk'", id="attribute"),
    pytest.param(lambda _line: "[]", "AttributeError", id="no object"),
    pytest.param(lambda _line: "[" * 100_000, "nested too deeply", id="nested"),
    pytest.param(lambda line: line.replace('"sk":{"S":', '"sk":{"N":').replace("/", ""), "line 2", id="sort key"),
]


@pytest.mark.parametrize(("damage", "complaint"), DAMAGES)
def test_edited_file_is_refused_and_taken_on_purpose_without_what_no_run_can_read(
    filled: Vpn, tmp_path: Path, damage: Callable[[str], str], complaint: str
) -> None:
    head, block, *rest = exported(filled, tmp_path / "registry.jsonl")
    assert damage(block) != block
    file = tmp_path / "edited.jsonl"
    failure = refused(filled, file, [head, damage(block), *rest])
    (digest,) = re.findall("another SHA-256, ([0-9a-f]{64}), and line 1 says [0-9a-f]{64}: ", failure)
    imported = filled.module("registry_import", src=str(file), registry_table=OTHER, accept=digest)
    assert imported["written"] == len(rest)
    assert complaint in imported["refused"][0]
    assert imported["refused"][0].startswith("line 2: ")
    assert Path(imported["refused_file"]).read_text() == f"{damage(block)}\n"
    assert stat.S_IMODE(Path(imported["refused_file"]).stat().st_mode) == 0o600


def test_damaged_sweep_costs_itself_alone(filled: Vpn, tmp_path: Path) -> None:
    lines = exported(filled, tmp_path / "registry.jsonl")
    packed = [number for number, line in enumerate(lines) if '{"B":"' in line]  # the sweep and the decision
    assert len(packed) == 2
    for number in packed:
        damaged = [*lines[:number], lines[number].replace('{"B":"', '{"B":"AAAA'), *lines[number + 1 :]]
        content = "".join(f"{line}\n" for line in damaged)
        contents = from_file(content.encode(), sha256(content.partition("\n")[2].encode()))
        assert [one.line for one in contents.refused] == [damaged[number]]
        assert len(contents.items) == len(lines) - 2


def test_r16_identity_is_kept_over_export_and_import_and_the_table_is_another(filled: Vpn, tmp_path: Path) -> None:
    file = str(tmp_path / "registry.jsonl")
    filled.module("registry_export", dest=file)
    assert filled.module("registry_identity", registry_table=OTHER)["changed"]  # as `deploy` does
    filled.module("registry_import", src=file, registry_table=OTHER)
    old, new = (filled.module("registry_identity", registry_table=table) for table in (filled.table, OTHER))
    assert (old["changed"], new["changed"]) == (False, False)
    assert old["registry"]["identity"] == new["registry"]["identity"]
    assert old["registry"]["table_id"] != new["registry"]["table_id"]


@pytest.mark.parametrize("head", ['{"format":"tracklib.vpn registry","items":%d,"version":3}', "{}", "", "%d"])
def test_unknown_version_or_other_file_is_refused(filled: Vpn, tmp_path: Path, head: str) -> None:
    lines = exported(filled, tmp_path / "registry.jsonl")
    failure = refused(filled, tmp_path / "other.jsonl", [head.replace("%d", str(len(lines) - 1)), *lines[1:]])
    assert 'expected {"format":"tracklib.vpn registry","items":0,' in failure


def test_file_of_an_earlier_version_is_taken_once_its_digest_is_accepted(filled: Vpn, tmp_path: Path) -> None:
    _head, *lines = exported(filled, tmp_path / "registry.jsonl")
    earlier = [f'{{"format":"tracklib.vpn registry","items":{len(lines)},"version":1}}', *lines]
    failure = refused(filled, tmp_path / "earlier.jsonl", earlier)
    assert "line 1 says none, as in files of an earlier version" in failure
    (digest,) = re.findall("another SHA-256, ([0-9a-f]{64})", failure)
    options = {"src": str(tmp_path / "earlier.jsonl"), "registry_table": OTHER, "accept": digest}
    assert filled.module("registry_import", **options)["written"] == len(lines)
    assert others(filled).items() == filled.registry().items()


def test_file_that_is_not_whole_is_refused(filled: Vpn, tmp_path: Path) -> None:
    lines = exported(filled, tmp_path / "registry.jsonl")
    for file, edited in (("short", lines[:-1]), ("twice", [*lines[:-1], lines[-2]]), ("more", [*lines, lines[-1]])):
        assert "another SHA-256" in refused(filled, tmp_path / f"{file}.jsonl", edited)
    assert "can't be imported" in filled.fails("registry_import", src=str(tmp_path / "none"), registry_table=OTHER)


@pytest.mark.parametrize("damage", ["no claim", "another's claim", "a claim that was released"])
def test_r9_registration_without_its_claims_is_exported_named_and_not_imported(
    filled: Vpn, tmp_path: Path, damage: str
) -> None:
    """As if somebody had edited the table; a device that is registered meanwhile is found by reading again."""
    key = {"pk": {"S": "claim"}, "sk": {"S": "address#10.44.0.2"}}
    claim = filled.dynamodb.get_item(TableName=filled.table, Key=key)["Item"]
    if damage == "no claim":
        filled.dynamodb.delete_item(TableName=filled.table, Key=key)
    else:
        change = {"holder": {"S": "1/AIDA/x"}} if damage == "another's claim" else {"free_at": {"N": "1"}}
        filled.dynamodb.put_item(TableName=filled.table, Item={**claim, **change})
    device = claim["holder"]["S"]
    result = filled.module("registry_export", dest=str(tmp_path / "registry.jsonl"))
    assert len(result["odd"]) == 1
    assert result["odd"][0].startswith(f"registration {device}: the claims of its key and addresses aren't there")
    imported = filled.module("registry_import", src=str(tmp_path / "registry.jsonl"), registry_table=OTHER)
    assert imported["refused"] == result["odd"]
    wanted = {each.identity for each in filled.registry().devices.registrations()} - {tuple(device.split("/"))}
    assert {each.identity for each in others(filled).devices.registrations()} == wanted


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
def test_r17_odd_items_stop_neither_export_nor_import_and_are_named_by_both(
    filled: Vpn, tmp_path: Path, kept: tuple[str, ...], playbook: Playbook
) -> None:
    """A backup that one item of somebody else's makes impossible is none."""
    receipt = filled.items("receipt")[0]
    damaged = {name: value for name, value in receipt.items() if name in kept}
    strange = {"pk": {"S": "kind of a newer version"}, "sk": {"S": "x"}, "data": {"B": b"\xff\x00"}}
    for item in (damaged, strange):
        filled.dynamodb.put_item(TableName=filled.table, Item=item)
    file = str(tmp_path / "it")
    options: dict[str, Any] = {"vpn_account_id": ACCOUNT}
    said = " ".join(playbook("registry_export", registry_export_file=file, expect=2, **options).split())
    assert "the file has everything, and these items, which no run can read" in said
    assert f"receipt {receipt['sk']['S']}: " in said
    assert "kind of a newer version x: ValueError its pk is" in said
    options.update(vpn_registry_table=OTHER, registry_import_file=file)
    said = " ".join(playbook("registry_import", expect=2, **options).split())
    assert f"2 items of the file are in {file}.refused and not in the table" in said
    odd = {"kind of a newer version", "receipt"}
    assert others(filled).items() == [item for item in filled.registry().items() if item["pk"] not in odd]
    assert len((tmp_path / "it.refused").read_text().splitlines()) == 2
