# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Playbooks refuse to run in part (R16, the wrong world is refused): the rest would be left undone, with success."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest

from .conftest import ROOT
from .names import Playbook
from .vpn import ACCESS, ACCOUNT, POOLS, Vpn

PLAYBOOKS = sorted(path.stem for path in (ROOT / "playbooks").glob("*.yml"))
ON_GATEWAYS = ["devices", "diagnose", "handout", "private_dns", "reconcile", "revoke", "site", "status", "why"]


@pytest.fixture
def inventory(tmp_path: Path) -> str:
    """Two gateways that nothing may be done to."""
    path = tmp_path / "inventory.yml"
    path.write_text(
        "vpn_gateways: {hosts: {gw1: {}, gw2: {}}, vars: {ansible_connection: local, ansible_become: false}}\n"
    )
    return str(path)


@pytest.mark.parametrize("arguments", [("--tags", "apply"), ("--skip-tags", "untagged")])
@pytest.mark.parametrize("name", PLAYBOOKS)
def test_r16_playbook_with_tags_does_nothing_and_fails_with_a_sentence(
    playbook: Playbook, inventory: str, name: str, arguments: tuple[str, str]
) -> None:
    said = playbook(name, "-i", inventory, *arguments, expect=2)
    assert "This playbook has no tags" in said
    assert "changed=0" in said


NOTHING_GRANTED = {"vpn_account_id": ACCOUNT, "vpn_access": [], "vpn_address_pools": []}


@pytest.mark.parametrize("name", ON_GATEWAYS)
def test_r16_limit_without_localhost_is_refused_with_what_to_write(
    playbook: Playbook, inventory: str, name: str
) -> None:
    said = playbook(name, "-i", inventory, "--limit", "gw1", expect=2)
    assert "--limit gw1 leaves out localhost, which decides and reports" in " ".join(said.split())
    assert "write --limit gw1,localhost" in " ".join(said.split())
    assert "changed=0" in said


@pytest.mark.parametrize("name", sorted(set(PLAYBOOKS) - {*ON_GATEWAYS, "enroll", "hosts_lines"}))
def test_r16_limit_that_leaves_out_where_a_playbook_works_is_refused(
    playbook: Playbook, inventory: str, name: str
) -> None:
    said = " ".join(playbook(name, "-i", inventory, "--limit", "gw1", expect=2).split())
    assert "--limit gw1 leaves out localhost, where this playbook works. Nothing was done; run it without" in said
    assert "changed=0" in said


def test_handout_of_a_gateway_that_nobody_can_dial_registers_nothing(playbook: Playbook, inventory: str) -> None:
    options = {
        **NOTHING_GRANTED,
        "handout_user_name": "alice",
        "handout_device": "laptop",
        "handout_recipient": "age1x",
    }
    said = " ".join(playbook("handout", "-i", inventory, expect=2, **options).split())
    assert "The inventory has no wireguard_endpoint for gw1" in said
    assert "Nothing was registered" in said


def test_r4_revocation_of_nobody_fails_with_the_nearest_names_and_reaches_no_gateway(
    playbook: Playbook, inventory: str, vpn: Vpn
) -> None:
    vpn.user("alice.smith")
    vpn.register("alice.smith", "laptop", "2F1wRQ1l0BRXWBRa9tqBFk0PbrBqvmjXkCZkdbAAZzk=")
    options = {**NOTHING_GRANTED, "revoke_user_name": "alice.smit", "revoke_all_devices": True}
    said = " ".join(playbook("revoke", "-i", inventory, expect=2, **options).split())
    assert "nobody is called alice.smit in account" in said
    assert "The nearest names: alice.smith" in said
    assert "Cut off" not in said
    assert vpn.items("block") == []


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        (
            "reconcile",
            {"vpn_identity_accounts": ["444455556666"]},
            "vpn_identity_accounts[0] is 444455556666, not a dictionary",
        ),
        ("status", {"vpn_identity_accounts": [{}]}, "vpn_identity_accounts[0].account_id is not set, expected"),
        ("site", {"vpn_access": [{"groups": ["vpn"]}]}, "vpn_access[0].networks is not set, expected the networks"),
        (
            "devices",
            {"vpn_access": {"groups": ["vpn"]}},
            "vpn_access is a dictionary, not a list; expected a list of grants",
        ),
        ("expiring", {"expiring_within": "99999999d"}, "expiring_within '99999999d' is longer than 100 years"),
        ("registry_export", {"registry_export_file": ""}, "registry_export_file is empty, expected the file to write"),
        (
            "handout",
            {"handout_user_name": "kim", "handout_device": "laptop", "handout_gateway": "gw9"},
            "handout_gateway is gw9, expected one of gw1, gw2. Nothing was registered",
        ),
        (
            "registry_cleanup",
            {"registry_cleanup_gateways": ["gw9", "gw2"]},
            "gw2 is in this inventory, and would be forgotten",
        ),
    ],
)
def test_r16_variable_that_cant_be_right_is_refused_by_its_name(
    playbook: Playbook, inventory: str, name: str, options: dict[str, Any], sentence: str
) -> None:
    said = " ".join(playbook(name, "-i", inventory, expect=2, **{**NOTHING_GRANTED, **options}).split())
    assert sentence in said
    assert "changed=0" in said


def test_report_of_site_says_why_a_gateway_was_not_set_up(playbook: Playbook, tmp_path: Path, vpn: Vpn) -> None:
    vpn.user("kim")
    vpn.register("kim", "laptop", "2F1wRQ1l0BRXWBRa9tqBFk0PbrBqvmjXkCZkdbAAZzk=")
    inventory = tmp_path / "inventory.yml"
    inventory.write_text(
        "vpn_gateways: {hosts: {gw1: {ansible_host: 127.0.0.1, ansible_port: 1},"
        " gw2: {gateway_interface: no name, region: r1}}}\n"
    )
    options = {
        "vpn_account_id": ACCOUNT,
        "vpn_access": ACCESS,
        "vpn_address_pools": POOLS,
        "ansible_connection": "{{ 'ssh' if inventory_hostname == 'gw1' else 'local' }}",
        "ansible_python_interpreter": sys.executable,
    }
    said = " ".join(playbook("site", "-i", str(inventory), expect=2, **options).split())
    report = said[said.index("TASK [Show what happened on each gateway]") :]
    assert "NOT REACHED: gw1, Failed to connect to the host via ssh" in report
    assert "Connection refused" in report
    assert re.search("gw2: FAILED: (gateway_interface must be 1 to 15 letters|gw2 runs .* made for Debian)", report)
    assert "see above" not in report


@pytest.mark.parametrize("name", ["reconcile", "status", "unblock"])
def test_r16_variable_of_the_inventory_that_is_missing_is_asked_for(
    playbook: Playbook, inventory: str, name: str
) -> None:
    options = {"unblock_user_name": "kim", "unblock_device": "laptop"} if name == "unblock" else {}
    said = " ".join(playbook(name, "-i", inventory, expect=2, **options).split())
    assert "vpn_account_id is not set, expected the gateways' account, 12 digits in quotes, in group_vars/all" in said
    assert ("vpn_access is not set, expected a list of grants" in said) == (name != "unblock")
    assert "changed=0" in said
    own = {"vpn_account_id": ACCOUNT, "gateway_access": [], "gateway_address_pools": []}
    assert "is not set" not in playbook(name, "-i", inventory, expect=2, **own, **options)


def test_r16_variable_whose_own_template_is_undefined_is_named(playbook: Playbook, inventory: str) -> None:
    options = {"vpn_account_id": "{{ account_of_gateways }}", "vpn_access": [], "register_user_name": "{{ who }}"}
    said = " ".join(playbook("register", "-i", inventory, expect=2, **options).split())
    assert "register_user_name, vpn_account_id: the value is a template of something that isn't defined" in said
    assert "changed=0" in said


@pytest.mark.parametrize("mistyped", ["vpn_realease_held", "gateway_mtuu"])
def test_r16_mistyped_variable_is_refused_wherever_it_stands(
    playbook: Playbook, inventory: str, tmp_path: Path, mistyped: str
) -> None:
    """A release is an operator's on the command line, an MTU a gateway's in the inventory."""
    given = {mistyped: 1380}
    if mistyped.startswith("gateway"):
        (tmp_path / "host_vars").mkdir()
        (tmp_path / "host_vars/gw2.yml").write_text(f"{mistyped}: 1380\n")
        given = {}
    said = " ".join(playbook("reconcile", "-i", inventory, expect=2, **NOTHING_GRANTED, **given).split())
    assert f"{mistyped} is no variable of tracklib.vpn, and nearly" in said
    assert "changed=0" in said
    said = playbook("reconcile", "-i", inventory, expect=2, vpn_own_variables=[mistyped], **NOTHING_GRANTED, **given)
    assert "is no variable" not in said


@pytest.mark.parametrize("name", ["reconcile", "site"])
def test_r16_variable_that_no_playbook_has_is_refused(playbook: Playbook, inventory: str, name: str) -> None:
    said = playbook(name, "-i", inventory, expect=2, **{**NOTHING_GRANTED, f"{name}_limit": "gw1"})
    assert f"{name}_limit is no variable of this playbook, which has none" in " ".join(said.split())
    assert "changed=0" in said


@pytest.mark.parametrize("account_id", ["444455556666", "999999999999"])
def test_r16_revocation_in_an_account_that_is_not_configured_is_no_emergency(
    playbook: Playbook, inventory: str, vpn: Vpn, account_id: str
) -> None:
    vpn.user("kim")
    vpn.register("kim", "laptop", "2F1wRQ1l0BRXWBRa9tqBFk0PbrBqvmjXkCZkdbAAZzk=")
    options = {**NOTHING_GRANTED, "revoke_user_name": "kim/laptop", "revoke_account_id": account_id}
    said = " ".join(playbook("revoke", "-i", inventory, expect=2, **options).split())
    assert f"account {account_id} is not the gateways' account {ACCOUNT}, and there is no role" in said
    assert "Cut off" not in said
    assert vpn.items("block") == []


@pytest.mark.parametrize(
    "typed",
    [
        {},
        {"devise": "laptop"},
        {"revoke_devise": "laptop"},
        {"revoke_all_devices": "n"},
        {"revoke_device": "", "revoke_all_devices": ""},
    ],
)
def test_revocation_that_does_not_say_how_far_it_goes_blocks_nobody(
    playbook: Playbook, inventory: str, vpn: Vpn, typed: dict[str, str]
) -> None:
    vpn.user("kim")
    vpn.register("kim", "laptop", "2F1wRQ1l0BRXWBRa9tqBFk0PbrBqvmjXkCZkdbAAZzk=")
    options = {**NOTHING_GRANTED, "revoke_user_name": "kim", **typed}
    said = " ".join(playbook("revoke", "-i", inventory, expect=2, **options).split())
    assert "not what of kim is meant: expected revoke_device" in said
    assert "For example: ansible-playbook" in said
    assert "Cut off" not in said
    assert vpn.items("block") == []


def test_revocation_without_any_gateway_says_that_it_is_written_and_that_nobody_was_told(
    playbook: Playbook, vpn: Vpn, tmp_path: Path
) -> None:
    vpn.user("kim")
    vpn.register("kim", "laptop", "2F1wRQ1l0BRXWBRa9tqBFk0PbrBqvmjXkCZkdbAAZzk=")
    empty = tmp_path / "empty.yml"
    python = "{{ ansible_playbook_python }}"
    empty.write_text(
        f"all: {{hosts: {{localhost: {{ansible_connection: local, ansible_python_interpreter: '{python}'}}}}}}\n"
    )
    granted = {**NOTHING_GRANTED, "vpn_address_pools": ["10.44.0.0/20"], "vpn_work_dir": str(tmp_path)}
    said = playbook("revoke", "-i", str(empty), expect=2, **granted, revoke_user_name="kim/laptop")
    assert "The registry has the revocation of kim/laptop, and NO gateway was told of it" in " ".join(said.split()), (
        said
    )
    assert len(vpn.items("block")) == 1
    del granted["vpn_access"]  # so that there is no roster either
    said = " ".join(playbook("revoke", "-i", str(empty), expect=2, **granted, revoke_user_name="kim/laptop").split())
    assert "The registry has the revocation of kim/laptop, and NO gateway was told of it" in said
