# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Playbooks write files where their caller stands, and say so, wherever the collection is installed."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.terminal import run_at_terminal
from tests.support.wireguard_host import Host

from .conftest import ROOT
from .names import ZONE
from .vpn import ACCESS, ACCOUNT, POOLS, Vpn

AS_JSON = {"ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json", "ANSIBLE_LOAD_CALLBACK_PLUGINS": "1"}
RECIPIENT = "age1u28wa6fdprd9lgw098948pu4hrgzvwtw6s8h8xtgxnnfc4amyfqsgmdnxp"
PASSPHRASE = r"[a-z2-9]{4}(-[a-z2-9]{4}){5}"
HANDOUT: dict[str, Any] = {"handout_user_name": "carol", "handout_device": "laptop"}
WRITING: dict[str, dict[str, Any]] = {
    "receipts": {"receipts_format": "csv", "receipts_file": "it.csv"},
    "registry_export": {"registry_export_file": "it.jsonl"},
    "devices": {"devices_file": "it.txt"},
    "handout": {**HANDOUT, "handout_recipient": RECIPIENT, "handout_dest": "it.age"},
}


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The collection as ansible-galaxy installs it: its directory."""
    target = tmp_path_factory.mktemp("installed") / "ansible_collections/tracklib/vpn"
    for part in ("plugins", "roles", "playbooks", "meta"):
        shutil.copytree(ROOT / part, target / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy2(ROOT / "galaxy.yml", target)
    return target


class Operator:
    """Someone who stands in a directory of their own, and runs playbooks of the installed collection by their names."""

    def __init__(self, installed: Path, directory: Path, env: dict[str, str], inventory: dict[str, Any]) -> None:
        self.installed = installed
        self.stand = directory / "stand"
        self.stand.mkdir()
        (directory / "inventory.yml").write_text(json.dumps(inventory))
        self._inventory = str(directory / "inventory.yml")
        self._env = {
            **env,
            "ANSIBLE_COLLECTIONS_PATH": str(installed.parents[2]),
            "ANSIBLE_HOME": str(directory / "ansible"),
            "PWD": str(directory),  # of a program that started this one in another directory
        }
        del self._env["PYTHONPATH"]  # which has the sources

    def command(self, name: str, *arguments: str, **variables: Any) -> list[str]:
        extra = {"ansible_become": False, **variables}
        return ["ansible-playbook", "-i", self._inventory, f"tracklib.vpn.{name}", "-e", json.dumps(extra), *arguments]

    def env(self, **settings: str) -> dict[str, str]:
        return {**self._env, **settings}

    def __call__(
        self, name: str, *arguments: str, expect: int = 0, env: dict[str, str] | None = None, **variables: Any
    ) -> str:
        before = self.collection()
        done = subprocess.run(
            self.command(name, *arguments, **variables),
            cwd=self.stand, env=self.env(**(env or {})), capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == expect, done.stdout + done.stderr
        assert self.collection() == before
        return done.stdout

    def collection(self) -> set[Path]:
        """The collection's files, without what Python keeps of its sources."""
        return {path for path in self.installed.rglob("*") if "__pycache__" not in path.parts}


@pytest.fixture
def operator(vpn: Vpn, installed: Path, tmp_path: Path, aws_env: dict[str, str]) -> Iterator[Operator]:
    """Of a gateway with a live interface, and carol, who has been swept."""
    vpn.user("carol")
    vpn.module("roster", dest=str(tmp_path / "roster.json"))
    directory = tmp_path / "gateway"
    directory.mkdir()
    host = Host(directory)
    try:
        host.apply(host.order(1, []))
        python = directory / "python"
        python.write_text(f'#!/bin/sh\nexec {" ".join(host.inside)} {sys.executable} "$@"\n')
        python.chmod(0o755)
        gateway = {
            "ansible_connection": "local",
            "ansible_python_interpreter": str(python),
            "gateway_interface": host.name,
            "wireguard_endpoint": "vpn.example.com",
            "vpc_id": "vpc-1",
            "vpc_resolver": "127.0.0.1",
            "region": "eu-west-1",
        }
        shared = {
            "vpn_account_id": ACCOUNT,
            "vpn_registry_table": vpn.table,
            "vpn_access": ACCESS,
            "vpn_address_pools": POOLS,
            "vpn_work_dir": "rosters",
        }
        groups = {"vpn_gateways": {"hosts": {"gw1": gateway}}, "all": {"vars": shared}}
        yield Operator(installed, tmp_path, aws_env, groups)
    finally:
        host.close()


@pytest.mark.parametrize("name", WRITING)
def test_file_is_where_the_caller_stands_and_announced(operator: Operator, name: str) -> None:
    (file,) = [value for value in WRITING[name].values() if value.startswith("it.")]
    said = operator(name, **WRITING[name])
    assert [path.name for path in operator.stand.iterdir()] == [file]
    assert f"written: {operator.stand / file} (0600)" in said


def test_directory_of_work_is_where_the_caller_stands(operator: Operator) -> None:
    said = operator("handout", **HANDOUT, handout_recipient=RECIPIENT)
    assert f"written: {operator.stand}/rosters/carol_laptop.conf.age (0600)" in said
    assert "carol_laptop.conf.age" in [path.name for path in (operator.stand / "rosters").iterdir()]


def test_home_is_the_callers(operator: Operator, tmp_path: Path) -> None:
    assert f"written: {tmp_path}/it.csv (0600)" in operator("receipts", receipts_file="~/it.csv")
    assert (tmp_path / "it.csv").is_file()


def test_check_writes_nothing_and_says_what_it_would(operator: Operator) -> None:
    said = operator("receipts", "--check", receipts_file="it.csv")
    assert f"would be written: {operator.stand}/it.csv" in said
    assert list(operator.stand.iterdir()) == []


@pytest.mark.parametrize(("name", "shown"), [("devices", "0 devices"), ("receipts", "removed_at")])
def test_answer_whose_file_cant_be_written_is_shown_all_the_same(operator: Operator, name: str, shown: str) -> None:
    said = " ".join(operator(name, expect=2, **{**WRITING[name], f"{name}_file": "/proc/it.txt"}).split())
    assert re.search(
        r"/proc/it\.txt can't be written: \[Errno 2\] No such file or directory\. What it would have", said
    )
    assert shown in said.partition("TASK [Show what the file would have]")[2]


def test_registry_is_imported_from_where_the_caller_stands(operator: Operator) -> None:
    operator("registry_export", registry_export_file="it.jsonl")
    said = operator("registry_import", registry_import_file="it.jsonl")
    assert re.search(rf"imported 0 of \d+ items from {operator.stand}/it.jsonl", said)


def test_diagnosis_is_where_the_caller_stands_also_when_the_way_breaks(operator: Operator) -> None:
    options: dict[str, Any] = {"diagnose_name": f"api.{ZONE}", "diagnose_json": "it.json"}
    said = operator("diagnose", expect=2, **options)
    assert f"written: {operator.stand}/it.json (0600)" in said
    assert json.loads((operator.stand / "it.json").read_text())[0]["gateway"] == "gw1"


@pytest.mark.parametrize(("name", "shown"), [("devices", "0 devices"), ("receipts", "REMOVED")])
def test_answer_is_shown_to_who_hides_what_is_ok(operator: Operator, name: str, shown: str) -> None:
    said = operator(name, env={"ANSIBLE_DISPLAY_OK_HOSTS": "false"})
    assert shown in said
    assert "ok: [localhost]" not in said


@pytest.mark.parametrize("name", WRITING)
def test_json_callback_stays_json(operator: Operator, name: str) -> None:
    assert json.loads(operator(name, env=AS_JSON, **WRITING[name]))["plays"]


@pytest.mark.parametrize("settings", [{}, AS_JSON], ids=["default", "json"])
def test_r10_playbook_shows_the_passphrase_on_the_terminal_alone(operator: Operator, settings: dict[str, str]) -> None:
    env = operator.env(**settings, ANSIBLE_LOG_PATH=str(operator.stand / "log"))
    seen = run_at_terminal(operator.command("handout", **HANDOUT), env, operator.stand)
    assert seen.returncode == 0, seen.output
    (passphrase,) = (match[0] for match in re.finditer(PASSPHRASE, seen.terminal))
    assert passphrase not in seen.output + (operator.stand / "log").read_text()
    if settings:
        assert json.loads(seen.stdout)["plays"]


def test_r10_playbook_without_a_terminal_registers_nothing(operator: Operator, vpn: Vpn) -> None:
    assert "Give the recipient's public key (handout_recipient)" in " ".join(
        operator("handout", expect=2, **HANDOUT).split()
    )
    assert vpn.items("registration") == []
