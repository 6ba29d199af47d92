# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""A first deployment that fails, and is repeated (R18, recovery), on the emulator that takes creations back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.integration.conftest import KEYS, REGION
from tests.support.fault_proxy import FaultProxy
from tests.support.second_emulator import ACCOUNT
from tests.support.serving import serving
from tests.support.waiting import wait_for

from .conftest import Deployment, deploying

FAILS = {"Type": "Custom::Fails", "Properties": {"ServiceToken": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:nothing"}}
TABLE, STACK = "tracklib-vpn", "tracklib-vpn-registry"


@pytest.fixture
def proxy() -> Iterator[FaultProxy]:
    """An emulated AWS of its own, empty, behind a proxy."""
    with serving("tests.support.second_emulator") as url, FaultProxy(url) as proxy:
        yield proxy


@pytest.fixture
def deployment(proxy: FaultProxy, aws_env: dict[str, str], tmp_path: Path) -> Deployment:
    """An operator of the table alone."""
    session = boto3.session.Session(KEYS["AWS_ACCESS_KEY_ID"], KEYS["AWS_SECRET_ACCESS_KEY"])

    def client(service: str, region: str = REGION) -> Any:
        return session.client(service, region_name=region, endpoint_url=proxy.upstream.geturl())  # type: ignore[call-overload]  # by name

    made = Deployment(deploying({**aws_env, "AWS_URL": proxy.url}, tmp_path), tmp_path, client)
    made.inventory.mkdir()
    made.variables = {"control_plane_parts": ["registry"], "vpn_account_id": ACCOUNT}
    return made


def test_r18_creation_that_failed_says_why_and_is_repeated_with_nothing_left_over(
    deployment: Deployment, proxy: FaultProxy
) -> None:
    proxy.added_resource = FAILS
    failed = deployment.run()
    said = " ".join(failed.output.split())
    assert failed.rc == 2
    assert f"the stack {STACK} wasn't deployed: " in said
    assert "run deploy again" in said
    stack = _stack(deployment)
    assert (stack["StackStatus"], stack["EnableTerminationProtection"]) == ("ROLLBACK_COMPLETE", False)
    assert deployment.client("dynamodb").list_tables()["TableNames"] == []

    failed_again = deployment.run()
    assert failed_again.rc == 2
    assert "registry would change" in deployment("--check").output
    assert _stack(deployment)["StackStatus"] == "ROLLBACK_COMPLETE"
    proxy.added_resource = None
    deployment()
    stack = _stack(deployment)
    assert (stack["StackStatus"], stack["EnableTerminationProtection"]) == ("CREATE_COMPLETE", True)
    assert deployment.client("dynamodb").list_tables()["TableNames"] == [TABLE]
    again = deployment()
    assert "changed=0" in again.output, again.output


def test_change_of_the_protection_alone_is_told(deployment: Deployment) -> None:
    deployment(control_plane_termination_protection=False)
    assert "registry would change" in deployment("--check").output
    assert not _stack(deployment)["EnableTerminationProtection"]
    assert "registry changed" in deployment().output
    assert _stack(deployment)["EnableTerminationProtection"]
    assert "registry as it was" in deployment().output


def test_stack_of_somebody_else_is_left_alone(deployment: Deployment) -> None:
    _create(deployment, {"Fails": FAILS}, "Accounting")
    _refused(deployment, f"there is a stack {STACK} that isn't ours (Accounting), and nothing was changed")
    assert _stack(deployment)["StackStatus"] == "ROLLBACK_COMPLETE"


def test_stack_without_a_description_is_somebody_elses(deployment: Deployment) -> None:
    """It would be updated to ours, and its resources deleted."""
    table = {
        "TableName": "theirs",
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
    }
    _create(deployment, {"Theirs": {"Type": "AWS::DynamoDB::Table", "Properties": table}}, "")
    _refused(deployment, f"there is a stack {STACK} that isn't ours (it has no description), and nothing was changed")
    assert deployment.client("dynamodb").list_tables()["TableNames"] == ["theirs"]


def test_protected_stack_of_a_failed_creation_is_named_with_the_command(deployment: Deployment) -> None:
    _create(deployment, {"Fails": FAILS}, EnableTerminationProtection=True)
    _refused(deployment, f"--no-enable-termination-protection --stack-name {STACK}")
    deployment.client("cloudformation").update_termination_protection(
        StackName=STACK, EnableTerminationProtection=False
    )
    deployment()
    assert _stack(deployment)["StackStatus"] == "CREATE_COMPLETE"


def _create(
    deployment: Deployment, resources: dict[str, Any], description: str = "of tracklib.vpn", **options: Any
) -> None:
    template = json.dumps({"Description": description, "Resources": resources})
    deployment.client("cloudformation").create_stack(StackName=STACK, TemplateBody=template, **options)
    wait_for("the end of the creation", lambda: not _stack(deployment)["StackStatus"].endswith("_IN_PROGRESS"))


def _stack(deployment: Deployment) -> dict[str, Any]:
    found: dict[str, Any] = deployment.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"][0]
    return found


def _refused(deployment: Deployment, message: str) -> None:
    played = deployment.run()
    assert played.rc == 2
    assert message in " ".join(played.output.split()), played.output
