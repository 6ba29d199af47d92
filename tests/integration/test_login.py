# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""`instance_connect_key` and `host_key` against an emulated AWS over HTTP."""

from __future__ import annotations

import json
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import ROOT
from tests.support import fault_proxy as faults
from tests.support.fault_proxy import FaultProxy

INSTANCE = "i-0123456789abcdef0"
INSTANCES = [
    {"instance_id": instance_id, "os_user": "admin", "host": f"10.20.1.{number}"}
    for number, instance_id in enumerate([INSTANCE, "i-00000000000000001", "i-00000000000000002"], start=5)
]
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB0ykIh3Xc0yoWmZmTjCR9bUhCAXMZ5yOvJuxUWmwBbZ"
PATH = "/tracklib-vpn/host-keys"
FEW_TRIES = {"retries": {"mode": "standard", "total_max_attempts": 1}}

Run = Callable[..., dict[str, Any]]


@pytest.fixture
def ssm(aws_client: Callable[..., Any]) -> Any:
    """SSM Parameter Store, which has a host key of each instance."""
    client = aws_client("ssm")
    for instance in INSTANCES:
        client.put_parameter(Name=f"{PATH}/{instance['instance_id']}", Value=KEY, Type="String")
    return client


@pytest.fixture
def options(tmp_path: Path) -> dict[str, Any]:
    """The options of `instance_connect_key`."""
    directory = tmp_path / "run"
    return {
        "path": str(directory / "id_ed25519"),
        "known_hosts": str(directory / "known_hosts"),
        "instances": INSTANCES,
        "aws_config": FEW_TRIES,
    }


@pytest.mark.usefixtures("ssm")
def test_each_run_has_a_private_key_of_its_own_that_ssh_can_read(run_module: Run, options: dict[str, Any]) -> None:
    path = Path(options["path"])
    first = run_module("instance_connect_key", options)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    public = subprocess.run(["ssh-keygen", "-y", "-f", path], check=True, capture_output=True, text=True).stdout
    assert public.split()[:2] == first["public_key"].split()
    second = run_module("instance_connect_key", options)
    assert second["public_key"] != first["public_key"]
    assert first["problems"] == second["problems"] == []


@pytest.mark.usefixtures("ssm")
def test_key_is_made_in_check_mode_too(run_module: Run, options: dict[str, Any]) -> None:
    result = run_module("instance_connect_key", options, check=True)
    assert Path(options["path"]).exists()
    assert (result["problems"], "diff" in result) == ([], False)


@pytest.mark.usefixtures("ssm")
def test_r10_private_key_is_not_in_the_result(run_module: Run, options: dict[str, Any]) -> None:
    result = run_module("instance_connect_key", options)
    assert Path(options["path"]).read_text().splitlines()[1] not in str(result)


@pytest.mark.usefixtures("ssm")
def test_instance_that_takes_no_key_is_named_and_the_others_have_it(
    run_module: Run, fault_proxy: FaultProxy, options: dict[str, Any]
) -> None:
    fault_proxy.fail("SendSSHPublicKey", faults.json_error(400, "AccessDeniedException"), last=1)
    result = run_module("instance_connect_key", options, env={"AWS_URL": fault_proxy.url})
    assert fault_proxy.calls["SendSSHPublicKey"] == len(INSTANCES)
    (problem,) = result["problems"]
    assert "these credentials need ec2-instance-connect:SendSSHPublicKey on instance i-" in problem


@pytest.mark.parametrize("published", [None, "ssh-rsa AAAA", f"{KEY}\n10.20.1.6 {KEY}"], ids=["none", "rsa", "lines"])
def test_instance_without_a_host_key_is_named_and_gets_no_line(
    run_module: Run, ssm: Any, options: dict[str, Any], published: str | None
) -> None:
    ssm.delete_parameter(Name=f"{PATH}/{INSTANCE}")
    if published is not None:
        ssm.put_parameter(Name=f"{PATH}/{INSTANCE}", Value=published, Type="String")
    (problem,) = run_module("instance_connect_key", options)["problems"]
    assert f"instance {INSTANCE} has no host key in {PATH}/{INSTANCE}" in problem
    assert Path(options["known_hosts"]).read_text() == f"10.20.1.6 {KEY}\n10.20.1.7 {KEY}\n"


@pytest.mark.usefixtures("ssm")
def test_r15_host_that_would_be_more_than_one_is_named_and_gets_no_line(
    run_module: Run, options: dict[str, Any]
) -> None:
    hostile = {**INSTANCES[0], "host": f"10.20.1.5 {KEY}\n*"}
    (problem,) = run_module("instance_connect_key", {**options, "instances": [hostile]})["problems"]
    assert INSTANCE in problem
    assert Path(options["known_hosts"]).read_text() == ""


def test_host_key_is_published_once(run_module: Run, aws_client: Callable[..., Any]) -> None:
    options = {"instance_id": INSTANCE, "public_key": f"{KEY} root@gateway\n"}
    assert run_module("host_key", options, check=True)["changed"]
    assert run_module("host_key", options)["changed"]
    assert not run_module("host_key", options)["changed"]
    assert aws_client("ssm").get_parameter(Name=f"{PATH}/{INSTANCE}")["Parameter"]["Value"] == KEY


@pytest.mark.usefixtures("aws_client")
@pytest.mark.parametrize(
    "changes",
    [
        {"public_key": f"{KEY}\n10.0.0.1 {KEY}\n"},
        {"public_key": "ssh-rsa AAAA"},
        {"public_key": ""},
        {"instance_id": "i-0123/../x"},
    ],
)
def test_r15_what_would_be_more_than_one_host_key_is_refused(run_module: Run, changes: dict[str, str]) -> None:
    result = run_module("host_key", {"instance_id": INSTANCE, "public_key": KEY, **changes})
    assert result["failed"]
    assert "expected" in result["msg"] or "isn't one line" in result["msg"]


def _log_in(aws_env: dict[str, str], directory: Path) -> str:
    """Log in to one gateway as a build does; returns what was printed."""
    gateway = {"ansible_host": "10.20.1.5", "instance_id": INSTANCE}
    inventory = {"all": {"children": {"vpn_gateways": {"hosts": {"gw-1": gateway}}}}}
    (directory / "hosts.json").write_text(json.dumps(inventory))
    variables = {"control_plane_name": "corp-vpn", "vpn_instance_connect_dir": str(directory)}
    tasks = [{"ansible.builtin.import_tasks": str(ROOT / "playbooks" / "tasks" / "login.yml")}]
    play = {"hosts": "localhost", "gather_facts": False, "vars": variables, "tasks": tasks}
    (directory / "login.json").write_text(json.dumps([play]))
    env = {**aws_env, "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".ansible/collections")}
    command = ["ansible-playbook", "-i", "hosts.json", "login.json"]
    done = subprocess.run(command, env=env, cwd=directory, capture_output=True, text=True, check=False)
    return " ".join((done.stdout + done.stderr).split())


def test_a_build_knows_the_host_keys_below_the_name_of_its_stack(
    aws_client: Callable[..., Any], run_module: Run, aws_env: dict[str, str], tmp_path: Path
) -> None:
    aws_client("ssm")
    run_module("host_key", {"instance_id": INSTANCE, "public_key": KEY, "path": "/corp-vpn/host-keys"})
    printed = _log_in(aws_env, tmp_path)
    assert "failed=0" in printed, printed
    assert (tmp_path / "known_hosts").read_text() == f"10.20.1.5 {KEY}\n"


def test_without_a_published_host_key_a_build_says_what_to_do(
    aws_client: Callable[..., Any], run_module: Run, aws_env: dict[str, str], tmp_path: Path
) -> None:
    aws_client("ssm")
    run_module("host_key", {"instance_id": INSTANCE, "public_key": KEY, "path": "/another/host-keys"})
    printed = _log_in(aws_env, tmp_path)
    assert "there is no host key below /corp-vpn/host-keys in SSM Parameter Store" in printed
    assert "run `site` as an operator with gateway_publish_host_key: true" in printed
