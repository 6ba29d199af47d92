# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""`devices_info` and the playbooks that ask it, against an emulated AWS over HTTP, with faults between the two."""

from __future__ import annotations

import json
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils import keys
from ansible_collections.tracklib.vpn.plugins.module_utils.model import Block

from tests.support import fault_proxy as faults
from tests.support.fault_proxy import FaultProxy

from .names import Playbook
from .vpn import ACCESS, ACCOUNT, POOLS, Vpn

FEW_TRIES = {"retries": {"mode": "standard", "total_max_attempts": 2}}
SWEEP = "GetAccountAuthorizationDetails"
DECIDING: dict[str, Any] = {"access": ACCESS, "address_pools": POOLS}
ALICES, BOBS = keys.generate()[1], keys.generate()[1]


@pytest.fixture
def people(vpn: Vpn, tmp_path: Path) -> Vpn:
    """alice and bob with a laptop each, after a first run."""
    for name, public_key in (("alice", ALICES), ("bob", BOBS)):
        vpn.user(name)
        vpn.register(name, "laptop", public_key, expires_in="30d")
    vpn.module("roster", dest=str(tmp_path / "roster.json"))
    return vpn


def asked(vpn: Vpn, proxy: FaultProxy | None = None, *, check: bool = False, **options: Any) -> dict[str, Any]:
    env = {"AWS_URL": proxy.url} if proxy else None
    return vpn.module("devices_info", check=check, env=env, aws_config=FEW_TRIES, **DECIDING, **options)


def device(result: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = (each for each in result["devices"] if each["name"] == name)
    return dict(found)


def gateway(name: str = "gw-1", *keys_of_peers: str) -> dict[str, Any]:
    """A gateway as the playbooks hand it on, whose peers had a handshake 20 s ago."""
    now = int(time.time())
    peers = [
        {
            "public_key": key,
            "user_name": "",
            "device": "",
            "account_id": "",
            "user_id": "",
            "expires_at": None,
            "allowed_ips": ["10.44.0.9/32"],
            "endpoint": "198.51.100.7:40000",
            "latest_handshake": now - 20,
            "transfer_rx": 4096,
            "transfer_tx": 100,
        }
        for key in keys_of_peers
    ]
    info = {"peers": peers, "generation": 7, "roster_age": 60, "now": now, "interface_up": True, "barred": []}
    return {"name": name, "reached": True, "endpoint": "vpn.example.com:51820", "info": info}


def test_same_is_said_again_and_in_check_mode_and_nothing_is_changed(people: Vpn) -> None:
    before = people.registry().items()
    seen = [gateway("gw-1", ALICES)]
    results = [asked(people, check=check, gateways=seen) for check in (False, False, True)]
    for result in results:
        for account in result["accounts"]:
            assert time.time() - account.pop("swept_at") < 60  # the sweep of this very call
    assert results[0] == results[1] == {**results[2], "invocation": results[0]["invocation"]}
    assert (results[0]["changed"], "diff" in results[0], people.registry().items()) == (False, False, before)


def test_device_says_what_is_decided_and_what_gateways_see(people: Vpn) -> None:
    result = asked(people, gateways=[gateway("gw-1", ALICES), gateway("gw-2")])
    alice = device(result, "alice/laptop")
    assert (alice["status"], alice["in_iam"], alice["blocked"]) == ("peer", True, None)
    assert [(each["gateway"], each["is_peer"]) for each in alice["gateways"]] == [("gw-1", True), ("gw-2", False)]
    assert alice["fingerprint"] == keys.fingerprint(ALICES)
    assert ALICES not in json.dumps(result["devices"])
    assert [each["missing"] for each in result["gateways"]] == [["bob/laptop"], ["alice/laptop", "bob/laptop"]]


def test_generation_isnt_taken(people: Vpn) -> None:
    before = people.registry().generations.last()
    assert asked(people)["generation"] == before == people.registry().generations.last()


def test_r1_user_who_came_back_under_the_name_is_told_apart(people: Vpn) -> None:
    people.delete_user("alice")
    new_id = people.user("alice")
    result = asked(people, user_name="ALICE")
    alice = device(result, "alice/laptop")
    assert (alice["status"], alice["reason"], alice["in_iam"]) == ("left_out", "tombstoned", False)
    assert alice["id_of_the_name"] == new_id != alice["user_id"]
    assert [(user["user_id"], user["in_iam"]) for user in result["users"]] == [
        (new_id, True),
        (alice["user_id"], False),
    ]


def test_blocked_device_names_the_reason(people: Vpn) -> None:
    (alice, *_others) = (each for each in people.registry().devices.registrations() if each.user_name == "alice")
    people.registry().block(Block(ACCOUNT, alice.user_id, "laptop", "lost in a train", time.time()))
    blocked = device(asked(people), "alice/laptop")
    assert (blocked["reason"], blocked["blocked"]["reason"], blocked["blocked"]["device"]) == (
        "blocked",
        "lost in a train",
        "laptop",
    )


def test_live_peer_without_a_registration_is_a_stranger(people: Vpn) -> None:
    unknown = keys.generate()[1]
    (found,) = asked(people, gateways=[gateway("gw-1", ALICES, unknown)])["strangers"]
    assert (found["gateway"], found["fingerprint"], found["name"]) == ("gw-1", keys.fingerprint(unknown), None)


def test_user_without_a_device_and_nobody_are_different_answers(people: Vpn) -> None:
    people.user("carol")
    carol, nobody = asked(people, user_name="carol"), asked(people, user_name="allice")
    assert (carol["devices"], [user["granting_groups"] for user in carol["users"]]) == ([], [["vpn"]])
    assert (nobody["devices"], nobody["users"], nobody["nearest"][0]) == ([], [], "alice")


def test_r3_sweep_that_fails_is_named_and_the_stored_one_is_shown(people: Vpn, fault_proxy: FaultProxy) -> None:
    fault_proxy.fail(SWEEP, faults.error(403, "AccessDenied"), first=1)
    result = asked(people, fault_proxy)
    assert "access denied" in result["accounts"][0]["error"]
    assert [each["status"] for each in result["devices"]] == ["peer", "peer"]


def test_registry_that_fails_ends_the_module_with_one_sentence(people: Vpn, fault_proxy: FaultProxy) -> None:
    fault_proxy.fail("Query", faults.error(400, "AccessDeniedException"), first=1)
    said = people.fails("devices_info", env={"AWS_URL": fault_proxy.url}, aws_config=FEW_TRIES, **DECIDING)
    assert "AccessDenied" in said


def test_r16_credentials_of_another_account_are_refused(people: Vpn) -> None:
    assert "111122223333" in people.fails("devices_info", **DECIDING, account_id="111122223333")


# -- the playbooks; the gateways of the inventory are this machine, which has no such interface


@pytest.fixture
def ask(people: Vpn, tmp_path: Path, aws_env: dict[str, str], request: pytest.FixtureRequest) -> Callable[..., str]:
    """Runs a playbook for operators, and returns what it shows in one line."""
    aws_env["PWD"] = str(tmp_path)
    playbook: Playbook = request.getfixturevalue("playbook")
    inventory = tmp_path / "inventory.yml"
    inventory.write_text(
        "vpn_gateways:\n  hosts: {gw1: {}}\n"
        "  vars: {ansible_connection: local, ansible_become: false, gateway_interface: none0}\n"
    )
    shared = {
        "vpn_account_id": ACCOUNT,
        "vpn_registry_table": people.table,
        "vpn_access": ACCESS,
        "vpn_address_pools": POOLS,
        "ansible_python_interpreter": "{{ ansible_playbook_python }}",
    }

    def run(name: str, *arguments: str, **variables: Any) -> str:
        return " ".join(playbook(name, "-i", str(inventory), *arguments, **{**shared, **variables}).split())

    return run


def test_playbook_devices_shows_a_users_devices(ask: Callable[..., str]) -> None:
    said = ask("devices", devices_user_name="Alice")
    assert "1 device of Alice" in said
    assert "changed=0" in said


def test_playbook_devices_fails_for_nobody_with_the_nearest_names(ask: Callable[..., str]) -> None:
    said = ask("devices", devices_user_name="allice", expect=2)
    assert "nobody is called allice" in said
    assert "The nearest names: alice" in said


def test_playbook_writes_json_below_the_callers_directory_for_the_caller_alone(
    ask: Callable[..., str], tmp_path: Path
) -> None:
    said = ask("devices", devices_format="json", devices_file="devices.json")
    file = tmp_path / "devices.json"
    assert str(file) in said
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [each["name"] for each in json.loads(file.read_text())["devices"]] == ["alice/laptop", "bob/laptop"]


def test_directory_of_the_answers_file_is_made_for_the_caller_alone(ask: Callable[..., str], tmp_path: Path) -> None:
    ask("devices", "--check", devices_file="new/one/devices.txt")
    assert not (tmp_path / "new").exists()
    assert f"written: {tmp_path}/new/one/devices.txt (0600)" in ask("devices", devices_file="new/one/devices.txt")
    assert stat.S_IMODE((tmp_path / "new" / "one").stat().st_mode) == 0o700
    (tmp_path / "file").touch()
    refused = ask("devices", devices_file="file/devices.txt", expect=2)
    assert f"devices_file: {tmp_path}/file is no directory" in " ".join(refused.split())
    assert "TASK [Decide about the devices" not in refused, "nobody is asked for an answer that can't be kept"


def test_playbook_status_names_a_gateway_that_cant_be_reached_and_shows_the_rest(
    ask: Callable[..., str], tmp_path: Path
) -> None:
    (tmp_path / "inventory.yml").write_text(
        "vpn_gateways:\n  hosts:\n    gw1: {}\n"
        "    gw2: {ansible_connection: ssh, ansible_host: 127.0.0.1, ansible_port: 9}\n"
        "  vars: {ansible_become: false, gateway_interface: none0}\n"
    )
    said = ask(
        "status", "--check", expect=2, ansible_connection="{{ 'ssh' if inventory_hostname == 'gw2' else 'local' }}"
    )
    assert "gateway gw2 is not shown: it can't be reached" in said
    assert "gw1: the interface is down or missing" in said


def test_playbook_status_shows_the_gateways_also_without_the_registry(ask: Callable[..., str]) -> None:
    said = ask("status", expect=2, vpn_registry_table="none")
    assert "IAM or the registry could not be asked, so only the gateways are shown" in said
    assert "gw1" in said


def test_playbook_why_ends_well_when_it_could_answer(ask: Callable[..., str]) -> None:
    said = ask("why", why_user_name="alice", why_device="laptop")
    assert 'alice/laptop can\'t connect: "on gw1" breaks: the interface is down or missing' in said.replace("\\", "")
    assert "in vpn, which vpn_access names" in said


def test_playbook_expiring_shows_the_earliest_first_and_how_to_renew(ask: Callable[..., str], people: Vpn) -> None:
    people.module("registration", user_name="bob", device="laptop", renew=True, expires_in="2d")
    said = ask("expiring", expiring_within="60d").replace("\\", "")
    assert 0 < said.index("bob/laptop") < said.index("alice/laptop")
    assert "tracklib.vpn.renew -e renew_user_name=bob -e renew_device=laptop" in said
    assert "alice/laptop" not in ask("expiring")
