# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What playbooks decide by filters."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.tracklib.vpn.plugins.filter.identity_options import identity_options
from ansible_collections.tracklib.vpn.plugins.filter.login_instances import login_instances

LOAD_FILTERS = """
import sys
from ansible.plugins.loader import filter_loader, init_plugin_loader
init_plugin_loader([])
assert filter_loader.get("tracklib.vpn.run_report")
filters = [name for name in sys.modules if ".vpn.plugins.filter." in name]
print(len(filters), *(name for name in sys.modules if ".vpn.plugins.module_utils." in name or name == "boto3"))
"""


def test_task_that_uses_one_filter_loads_no_room_of_the_others() -> None:
    """Ansible loads all of a collection's filters for one, anew in the process of each task."""
    done = subprocess.run([sys.executable, "-c", LOAD_FILTERS], check=True, capture_output=True, text=True)
    number, *rooms = done.stdout.split()
    assert (int(number) > 20, rooms) == (True, [])


OWN, OTHER, THIRD = "111122223333", "444455556666", "777788889999"
ROLE = f"arn:aws:iam::{OTHER}:role/tracklib-vpn-sweep"
ACCOUNTS = [{"account_id": OWN}, {"account_id": OTHER, "role_arn": ROLE}]


def test_user_of_the_gateways_account_needs_no_other() -> None:
    assert identity_options(ACCOUNTS, OWN, OWN) == {}


def test_account_id_without_quotes_is_the_same_account() -> None:
    assert identity_options(ACCOUNTS, int(OWN), OWN) == {}
    role = {"identity_account_id": OTHER, "identity_role_arn": ROLE}
    assert identity_options([{"account_id": int(OTHER), "role_arn": ROLE}], OWN, OTHER) == role


def test_entry_without_an_account_id_is_passed_over() -> None:
    assert identity_options([{"role_arn": ROLE}], OWN, OTHER) == {"identity_account_id": OTHER}


def test_user_of_another_account_is_read_by_that_accounts_role() -> None:
    assert identity_options(ACCOUNTS, OWN, OTHER) == {"identity_account_id": OTHER, "identity_role_arn": ROLE}


def test_account_without_a_role_is_named_so_that_the_module_refuses_it() -> None:
    assert identity_options(ACCOUNTS, OWN, THIRD) == {"identity_account_id": THIRD}


def test_build_logs_in_where_and_as_whom_the_inventory_says() -> None:
    named = {"inventory_hostname": "gw-1", "instance_id": "i-1"}
    addressed = {"inventory_hostname": "gw-2", "instance_id": "i-2", "ansible_host": "10.20.1.5", "ansible_user": "ops"}
    assert login_instances([named, addressed]) == [
        {"instance_id": "i-1", "os_user": "admin", "host": "gw-1"},
        {"instance_id": "i-2", "os_user": "ops", "host": "10.20.1.5"},
    ]


def test_gateway_without_an_instance_id_is_named() -> None:
    with pytest.raises(AnsibleFilterError, match="gw-1 has no instance_id"):
        login_instances([{"inventory_hostname": "gw-1"}])


TABLE = ["DEVICE      STATUS" + " " * 60 + "HANDSHAKE", "  kim/laptop  blocked: lost, and so on"]
LONG = "one two three-four\n\n  five\n"
SHOW = f"""
- hosts: localhost
  gather_facts: false
  vars:
    table: {json.dumps(TABLE)}
    long: {json.dumps(LONG)}
  tasks:
    - ansible.builtin.debug:
        msg: "{{{{ table | tracklib.vpn.screen }}}}"
    - ansible.builtin.debug:
        msg: "{{{{ long | tracklib.vpn.screen }}}}"
    - ansible.builtin.debug:
        msg: "{{{{ long | tracklib.vpn.screen(width=9) }}}}"
"""


@pytest.fixture
def show(tmp_path: Path) -> Callable[[str, str], list[str]]:
    playbook = tmp_path / "show.yml"
    playbook.write_text(SHOW)

    def run(callback: str, form: str) -> list[str]:
        env = {**os.environ, "ANSIBLE_STDOUT_CALLBACK": callback, "ANSIBLE_CALLBACK_RESULT_FORMAT": form}
        command = [
            str(Path(sys.executable).with_name("ansible-playbook")),
            "-i",
            "localhost,",
            "-c",
            "local",
            str(playbook),
        ]
        done = subprocess.run(command, env=env, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.splitlines()

    return run


@pytest.mark.parametrize("callback", ["default", "ansible.builtin.default", "minimal"])
def test_lines_stand_whole_where_results_are_yaml(show: Callable[[str, str], list[str]], callback: str) -> None:
    shown = "\n".join(show(callback, "yaml"))
    for lines in (TABLE, LONG.splitlines(), ["one two", "three-four", "", "  five"]):
        assert textwrap.indent("\n".join(lines), " " * 8) in shown


@pytest.mark.parametrize("callback", ["default", "ansible.posix.json"])
def test_lines_are_a_list_where_results_are_json(show: Callable[[str, str], list[str]], callback: str) -> None:
    shown = [line.strip().rstrip(",") for line in show(callback, "json")]
    for line in [*TABLE, "one two three-four", "three-four"]:
        assert json.dumps(line) in shown
