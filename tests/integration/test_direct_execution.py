# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Modules of the hot path in Ansible's own process, and what makes them have one of their own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils import keys

from tests.integration.conftest import KEYS, ROOT
from tests.integration.vpn import ACCESS, ACCOUNT, POOLS, Vpn

HERE = "in Ansible's own process"
ELSEWHERE = "Using module file"
ROSTER = {"account_id": ACCOUNT, "access": ACCESS, "address_pools": POOLS, "dest": "roster.json"}


class Play:
    """Tasks on the controller; their results come back, and what Ansible says at its most talkative."""

    def __init__(self, directory: Path, environment: dict[str, str]) -> None:
        self._directory = directory
        self._environment = {
            **environment,
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".ansible/collections"),
            "ANSIBLE_ASYNC_DIR": str(directory / "async"),
        }

    def __call__(self, *tasks: dict[str, Any]) -> tuple[list[dict[str, Any]], str]:
        numbered = [{**task, "register": f"result{number}", "ignore_errors": True} for number, task in enumerate(tasks)]
        names = ", ".join(task["register"] for task in numbered)
        keep = {"content": "{{ [" + names + "] | to_json }}", "dest": "results.json"}
        play = {"hosts": "localhost", "gather_facts": False, "tasks": [*numbered, {"ansible.builtin.copy": keep}]}
        (self._directory / "play.json").write_text(json.dumps([play]))
        done = subprocess.run(
            ["ansible-playbook", "-vvvv", self._directory / "play.json"],
            env=self._environment,
            cwd=ROOT,  # paths start at the playbook's directory all the same
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads((self._directory / "results.json").read_text()), done.stdout + done.stderr


@pytest.fixture
def play(tmp_path: Path, aws_env: dict[str, str]) -> Play:
    """`results, said = play(task, …)`."""
    return Play(tmp_path, aws_env)


def test_result_is_that_of_a_process_of_its_own(play: Play, vpn: Vpn, tmp_path: Path) -> None:
    vpn.user("alice", group=None)
    vpn.register("alice", "laptop", keys.generate()[1], address_pools=POOLS)
    options = {**ROSTER, "access_key": KEYS["AWS_ACCESS_KEY_ID"], "secret_key": KEYS["AWS_SECRET_ACCESS_KEY"]}
    (here, elsewhere), said = play(
        {"tracklib.vpn.roster": options, "check_mode": True},
        {"tracklib.vpn.roster": options, "check_mode": True, "environment": {"X": "1"}},
    )
    assert said.count(HERE) == 1
    assert here["changed"]
    assert here["counts"] == elsewhere["counts"] == {"peers": 0, "held": 0, "revoked": 0, "excluded": 1}
    assert here.keys() == elsewhere.keys()
    assert (tmp_path / "roster.json").exists()
    assert KEYS["AWS_SECRET_ACCESS_KEY"] not in said + json.dumps(here)  # R10


@pytest.mark.usefixtures("aws_client")
@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"access": None, "dest": None}, "missing required arguments: access, dest"),
        ({"address_pools": ["10.44.0.1/20"]}, "10.44.0.1/20"),
        ({}, "tracklib-vpn"),  # the table isn't there
    ],
    ids=["option", "value", "table"],
)
def test_failure_is_that_of_a_process_of_its_own(play: Play, changes: dict[str, Any], expected: str) -> None:
    options = {name: value for name, value in {**ROSTER, **changes}.items() if value is not None}
    (here, elsewhere), said = play(
        {"tracklib.vpn.roster": options}, {"tracklib.vpn.roster": options, "environment": {"X": "1"}}
    )
    assert said.count(HERE) == 1
    assert here["failed"]
    assert expected in here["msg"]
    assert here == elsewhere


@pytest.mark.usefixtures("aws_client")
@pytest.mark.parametrize(
    "keyword",
    [
        {"environment": {"AWS_REGION": "eu-north-1"}},
        {"become": True, "become_method": "ansible.builtin.su"},
        {"async": 60, "poll": 1},
        {"delegate_to": "localhost"},
        {"vars": {"ansible_python_interpreter": f"{Path(sys.executable).parent}/../bin/python"}},
    ],
    ids=lambda keyword: next(iter(keyword)),
)
def test_task_that_needs_a_process_of_its_own_gets_one(play: Play, keyword: dict[str, Any]) -> None:
    (result,), said = play({"tracklib.vpn.receipts": {"account_id": ACCOUNT, "gateways": []}, **keyword})
    assert "tracklib-vpn" in result["msg"]  # the table isn't there
    assert HERE not in said
    assert ELSEWHERE in said


@pytest.mark.parametrize("module", ["roster", "receipts", "instance_connect_key"])
def test_hot_path_needs_no_process(play: Play, module: str) -> None:
    (result,), said = play({f"tracklib.vpn.{module}": {}})
    assert "missing required arguments" in result["msg"]
    assert HERE in said
    assert ELSEWHERE not in said.split(HERE)[0]
