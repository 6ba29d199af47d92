# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What modules claim of check mode, diffs and repeated runs; tests/unit/plugins/test_modules.py lists all claims."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils import keys

from .conftest import ROOT
from .control_plane.conftest import IDENTITY_REGION, make_trail
from .names import ZONE, Account
from .vpn import ACCESS, ACCOUNT, POOLS, Vpn

KEY = keys.generate()[1]
HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB0ykIh3Xc0yoWmZmTjCR9bUhCAXMZ5yOvJuxUWmwBbZ"
RECIPIENT = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c carol"
REMOVAL = {
    "id": "0123456789abcdef",
    "user_name": "alice",
    "device": "laptop",
    "account_id": ACCOUNT,
    "user_id": "AIDA1",
    "public_key": KEY,
    "fingerprint": "9f86d081884c7d65",
    "generation": 1,
    "reason": "blocked",
    "last_handshake": None,
    "removed_at": 1_800_000_000,
}

Run = Callable[..., dict[str, Any]]


class World:
    """An account with alice and bob, their laptops, a name and a trail; and where a run may write."""

    def __init__(self, vpn: Vpn, account: Account, run: Run, directory: Path) -> None:
        self.vpn = vpn
        self.vpc = account.vpc
        self.directory = directory
        self._run = run
        account.record(account.zone(), f"api.{ZONE}", "A", "10.20.1.9")
        make_trail(account.client("cloudtrail", IDENTITY_REGION), account.client("s3", IDENTITY_REGION))
        for name in ("alice", "bob"):
            vpn.user(name)
            vpn.register(name, "laptop", keys.generate()[1])
        self.run("receipts", **self.of_registry(gateways=[{"name": "gateway-1", "removals": [REMOVAL]}]))
        self.run("roster", **self.of_registry(dest=str(directory / "first.json"), access=ACCESS, address_pools=POOLS))

    def of_registry(self, **options: Any) -> dict[str, Any]:
        return {"account_id": ACCOUNT, "registry_table": self.vpn.table, **options}

    def run(self, module: str, /, *, check: bool = False, **options: Any) -> dict[str, Any]:
        result = self._run(module, options, check=check)
        assert not result.get("failed"), result
        return result

    def state(self) -> tuple[list[str], dict[str, bytes]]:
        """Everything that a module here could change."""
        items = sorted(json.dumps(item, default=repr, sort_keys=True) for item in self.vpn.registry().items())
        files = {path.name: path.read_bytes() for path in self.directory.iterdir() if path.is_file()}
        return items, files


@pytest.fixture
def world(vpn: Vpn, account: Account, run_module: Run, tmp_path: Path) -> World:
    directory = tmp_path / "files"
    directory.mkdir()
    return World(vpn, account, run_module, directory)


READING: dict[str, Callable[[World], dict[str, Any]]] = {
    "iam_trails_info": lambda _world: {"account_id": ACCOUNT, "region": IDENTITY_REGION},
    "iam_users_info": lambda _world: {"account_id": ACCOUNT},
    "name_diagnosis_info": lambda world: {"name": f"api.{ZONE}", "vpc_id": world.vpc},
    "receipts_info": lambda world: world.of_registry(),
    "registrations_info": lambda world: world.of_registry(access=ACCESS),
    "service_names_info": lambda world: {"vpc_id": world.vpc},
}


@pytest.mark.parametrize("name", READING)
def test_module_that_reads_says_the_same_again_and_in_check_mode_and_changes_nothing(world: World, name: str) -> None:
    options = READING[name](world)
    before = world.state()
    first, checked = world.run(name, **options), world.run(name, check=True, **options)
    assert first == world.run(name, **options) == {**checked, "invocation": first["invocation"]}
    assert (first["changed"], "diff" in first, world.state()) == (False, False, before)
    assert any(value for value in first.values() if isinstance(value, list))


WITHOUT_DIFF: dict[str, Callable[[World], dict[str, Any]]] = {
    "receipts": lambda world: world.of_registry(
        gateways=[{"name": "gateway-1", "removals": [{**REMOVAL, "id": "fedcba9876543210"}]}]
    ),
    "registry_export": lambda world: world.of_registry(dest=str(world.directory / "export.json")),
    "reproducible_archive": lambda world: {"src": str(world.directory), "dest": str(world.directory.parent / "a.zip")},
    "roster": lambda world: world.of_registry(
        dest=str(world.directory / "roster.json"), access=ACCESS, address_pools=POOLS
    ),
}


@pytest.mark.parametrize("name", WITHOUT_DIFF)
def test_module_without_a_diff_returns_none(world: World, name: str) -> None:
    result = world.run(name, **WITHOUT_DIFF[name](world))
    assert (result["changed"], "diff" in result) == (True, False)


def test_import_returns_no_diff(world: World) -> None:
    exported = str(world.directory / "export.json")
    world.run("registry_export", **world.of_registry(dest=exported))
    for item in world.vpn.items("receipt"):
        key = {name: item[name] for name in ("pk", "sk")}
        world.vpn.dynamodb.delete_item(TableName=world.vpn.table, Key=key)
    result = world.run("registry_import", **world.of_registry(src=exported))
    assert (result["changed"], "diff" in result) == (True, False)


def test_archive_is_packed_once_and_never_in_check_mode(world: World) -> None:
    dest = world.directory.parent / "packed.zip"
    options: dict[str, Any] = {"src": str(world.directory), "dest": str(dest)}
    assert world.run("reproducible_archive", check=True, **options)["changed"]
    assert not dest.exists()
    assert world.run("reproducible_archive", **options)["changed"]
    assert not world.run("reproducible_archive", **options)["changed"]


def test_script_and_settings_are_written_once_and_never_in_check_mode(run_module: Run, tmp_path: Path) -> None:
    dest = tmp_path / "for-users"
    urls = {
        "function_arn": "arn:aws:lambda:eu-west-1:111122223333:function:tracklib-vpn-self-service",
        "manage_url": "https://manage.example/",
        "renew_url": "https://renew.example/",
    }
    options: dict[str, Any] = {"collection": str(ROOT), "dest": str(dest), "settings": {**urls, "check_name": ""}}
    checked = run_module("enroll_script", options, check=True)
    assert (checked["changed"], "diff" in checked, dest.exists()) == (True, False, False)
    first, second = run_module("enroll_script", options), run_module("enroll_script", options)
    assert (first["changed"], second["changed"], second["sha256"]) == (True, False, checked["sha256"])
    assert json.loads((dest / "vpn.json").read_text()) == {"vpn_self_service": urls}
    modes = {path.name: path.stat().st_mode & 0o777 for path in (dest, *dest.iterdir())}
    assert modes == {"for-users": 0o755, "tracklib-vpn-enroll.pyz": 0o755, "vpn.json": 0o644}
    for wrong in ({"manage_url": "manage"}, {"function_arn": "x"}, {"check_name": "a b"}):
        refused = run_module("enroll_script", {**options, "settings": {**options["settings"], **wrong}})
        assert refused["failed"]


def test_roster_is_no_longer_changed_once_a_run_decided_the_same(world: World) -> None:
    """What its claim leaves out: each run takes a generation."""
    options = world.of_registry(dest=str(world.directory / "roster.json"), access=ACCESS, address_pools=POOLS)
    first, second = world.run("roster", **options), world.run("roster", **options)
    assert (first["changed"], second["changed"]) == (True, False)
    assert second["generation"] > first["generation"]


def test_diff_of_a_registration_is_the_record_with_the_fingerprint_instead_of_the_key(world: World) -> None:
    options = world.of_registry(
        user_name="alice", device="phone", public_key=KEY, expires_in="never", address_pools=POOLS
    )
    (alice,) = (each for each in world.vpn.registry().devices.registrations() if each.user_name == "alice")
    record = (
        f"alice/phone ({alice.user_id})\n"
        f"  key: {keys.fingerprint(KEY)}\n"
        "  addresses: 10.44.0.4, fd44:7472:6163:6b::4\n"
        "  expires: never\n"
        f"  registered by: arn:aws:sts::{ACCOUNT}:user/moto\n"
    )
    expected = {"before": "", "after": record}
    assert world.run("registration", check=True, **options)["diff"] == expected
    assert world.run("registration", **options)["diff"] == expected
    again = world.run("registration", **options)["diff"]
    assert again["before"] == again["after"] == record
    absent = world.of_registry(state="absent", user_name="alice", device="phone")
    assert world.run("registration", check=True, **absent)["diff"] == {"before": record, "after": ""}


def test_removal_of_a_registration_in_check_mode_removes_nothing_and_a_second_one_changes_nothing(
    world: World,
) -> None:
    options = world.of_registry(state="absent", user_name="alice", device="laptop")
    before = world.state()
    assert world.run("registration", check=True, **options)["changed"]
    assert world.state() == before
    assert world.run("registration", **options)["changed"]
    assert not world.run("registration", **options)["changed"]


def test_renewal_changes_the_expiry_each_time(world: World) -> None:
    """What the module's claim leaves out."""
    options = world.of_registry(user_name="alice", device="laptop", renew=True, expires_in="30d", address_pools=POOLS)
    assert world.run("registration", **options)["changed"]
    time.sleep(1.1)
    assert world.run("registration", **options)["changed"]


def test_revocation_in_check_mode_says_whom_and_changes_nothing(world: World) -> None:
    world.vpn.delete_user("bob")
    before = world.state()
    for user_name, kinds in (("alice", ["block"]), ("bob", ["block", "tombstone"])):
        result = world.run("revocation", check=True, **world.of_registry(user_name=user_name, all_devices=True))
        assert (result["changed"], result["generation"]) == (True, world.vpn.registry().generations.last())
        assert [line.split(" (")[0] for line in result["diff"]["after"].splitlines()] == [
            f"{kind} {user_name}, all devices" for kind in kinds
        ]
    assert world.state() == before


def test_block_changes_something_once_and_its_lifting_too(world: World) -> None:
    options = world.of_registry(user_name="alice", device="laptop", reason="lost")
    lift = {**options, "state": "unblocked"}
    blocked = world.run("revocation", **options)
    (alice,) = (each for each in world.vpn.registry().devices.registrations() if each.user_name == "alice")
    assert blocked["diff"] == {"before": "", "after": f"block alice/laptop ({alice.user_id}): lost\n"}
    again = world.run("revocation", **options)
    (before,), (after,) = blocked["revocations"], again["revocations"]
    assert (again["changed"], before["was_there"], after) == (False, False, {**before, "was_there": True})
    assert world.run("revocation", check=True, **lift)["changed"]
    lifted = world.run("revocation", **lift)
    assert lifted["diff"]["before"].startswith("block of alice: laptop (by arn:aws:sts::")
    assert (lifted["diff"]["after"], lifted["still_blocked_by"]) == ("", [])
    assert [block["user_id"] for block in lifted["lifted"]] == [alice.user_id]
    again = world.run("revocation", **lift)
    assert (again["changed"], again["lifted"], again["still_blocked_by"]) == (False, [], [])
    assert again["msg"] == "alice has no block on laptop; blocked: nothing."


def test_revocation_of_a_deleted_user_changes_something_once(world: World) -> None:
    world.vpn.delete_user("bob")
    options = world.of_registry(user_name="bob", all_devices=True)
    assert [world.run("revocation", **options)["changed"] for _ in range(2)] == [True, False]


def test_diff_of_a_cleanup_names_who_goes(world: World) -> None:
    options = world.of_registry(user_name="bob", device="phone", public_key=KEY, address_pools=POOLS)
    world.run("registration", expires_in="1s", **options)
    time.sleep(2.1)
    result = world.run("registry_cleanup", check=True, **world.of_registry(expired_for="1s"))
    assert "bob/phone" in result["diff"]["before"]
    assert (result["diff"]["after"], KEY in str(result["diff"])) == ("", False)


def test_diff_of_a_host_key_is_the_key(world: World) -> None:
    options: dict[str, Any] = {"instance_id": "i-0123456789abcdef0", "public_key": HOST_KEY}
    expected = {"before": "\n", "after": f"{HOST_KEY}\n"}
    assert world.run("host_key", check=True, **options)["diff"] == expected
    assert world.run("host_key", **options)["diff"] == expected


def test_diff_of_a_handout_is_the_record_with_the_fingerprint_instead_of_the_key(world: World) -> None:
    options = world.of_registry(
        dest=str(world.directory / "alice.age"),
        recipient=RECIPIENT,
        user_name="alice",
        device="phone",
        gateway_public_key=KEY,
        endpoint="vpn.example.com:51820",
        access=ACCESS,
        address_pools=POOLS,
    )
    foretold = world.run("handout", check=True, **options)["diff"]["after"].splitlines()
    done = world.run("handout", **options)
    key = done["registration"]["public_key"]
    record = done["diff"]["after"].splitlines()
    assert (done["diff"]["before"], record[1]) == ("", f"  key: {keys.fingerprint(key)}")
    assert (foretold[0], foretold[2]) == (record[0], record[2])
    replaced = world.run("handout", **options, replace=True)
    assert (replaced["changed"], replaced["diff"]["before"]) == (True, done["diff"]["after"])
    assert key not in str(done["diff"]) + str(replaced["diff"])
