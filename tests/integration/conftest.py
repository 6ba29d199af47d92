# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""An emulated AWS over HTTP, and modules run as processes of their own."""

from __future__ import annotations

import json
import os
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from tests.support import programs
from tests.support.fault_proxy import FaultProxy
from tests.support.serving import serving
from tests.support.waiting import PATIENCE

from .names import Account, Playbook
from .vpn import Vpn

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROOT = Path(__file__).parents[2]
COLLECTIONS = {"PYTHONPATH": str(ROOT / ".ansible" / "collections")}
REGION = "eu-west-1"
# it must look real: Ansible masks a secret wherever its text turns up
KEYS = {
    "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY1",
}


@pytest.fixture(scope="session")
def aws_url() -> Iterator[str]:
    """Where the emulated AWS answers."""
    with serving("tests.support.emulator") as url:
        yield url


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One for all tests: Playwright drives no second one beside it."""
    from tests.support.browser import chromium  # only the environment `dev` has what drives one

    with chromium() as browser:
        yield browser


@pytest.fixture
def fault_proxy(aws_url: str) -> Iterator[FaultProxy]:
    """A proxy in front of the emulated AWS that modules are sent through with env={"AWS_URL": fault_proxy.url}."""
    with FaultProxy(aws_url) as proxy:
        yield proxy


@pytest.fixture
def aws_client(aws_url: str) -> Callable[..., Any]:
    """`aws_client("ec2", "us-east-1")`: a boto3 client of the emulated AWS, which is empty when the test begins."""
    urllib.request.urlopen(urllib.request.Request(f"{aws_url}/moto-api/reset", method="POST"), timeout=PATIENCE).close()
    session = boto3.session.Session(KEYS["AWS_ACCESS_KEY_ID"], KEYS["AWS_SECRET_ACCESS_KEY"])

    def client(service: str, region: str = REGION) -> Any:
        return session.client(service, region_name=region, endpoint_url=aws_url)  # type: ignore[call-overload]  # by name

    return client


@pytest.fixture
def aws_env(aws_url: str, tmp_path: Path) -> dict[str, str]:
    """The whole environment of a process that is to use the emulated AWS and nothing of the developer's."""
    return {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        **COLLECTIONS,
        "AWS_URL": aws_url,
        "AWS_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        **KEYS,
    }


@pytest.fixture(scope="session", autouse=True)
def modules_loaded() -> None:
    """Have modules begin with the AWS SDK loaded."""
    programs.load("ansible_collections.amazon.aws.plugins.module_utils.modules", env={**os.environ, **COLLECTIONS})


@pytest.fixture
def run_module(aws_env: dict[str, str], tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Runs a module of the collection in a process of its own and returns its result."""

    def run(
        name: str, options: dict[str, Any], check: bool = False, env: dict[str, str] | None = None
    ) -> dict[str, Any]:
        arguments = tmp_path / "args.json"
        arguments.write_text(json.dumps({"ANSIBLE_MODULE_ARGS": {**options, "_ansible_check_mode": check}}))
        module = f"ansible_collections.tracklib.vpn.plugins.modules.{name}"
        done = programs.run("-m", module, arguments, env={**aws_env, **(env or {})})
        try:
            result: dict[str, Any] = json.loads(done.stdout)
        except json.JSONDecodeError:
            pytest.fail(f"{name} ended without a result:\n{done.stdout}\n{done.stderr}")
        assert KEYS["AWS_SECRET_ACCESS_KEY"] not in done.stdout + done.stderr
        return result

    return run


@pytest.fixture
def vpn(aws_client: Callable[..., Any], run_module: Callable[..., dict[str, Any]]) -> Vpn:
    """An empty account with the registry table, made as `deploy` makes it."""
    template = (ROOT / "roles/control_plane/files/registry.yml").read_text()
    aws_client("cloudformation").create_stack(StackName="registry", TemplateBody=template)
    made = Vpn(aws_client("iam"), aws_client("dynamodb"), "tracklib-vpn", run_module)
    made.registry().make_identity()
    return made


@pytest.fixture
def account(aws_client: Callable[..., Any], run_module: Callable[..., dict[str, Any]]) -> Account:
    """A VPC in an account that is empty else."""
    return Account(aws_client, run_module)


@pytest.fixture
def playbook(tmp_path: Path, aws_env: dict[str, str]) -> Playbook:
    """Runs playbooks against the emulated AWS: `playbook("names", vpn_names=[…])`."""
    return Playbook(tmp_path, aws_env)
