# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The playbook `deploy`: one account, two accounts, what it refuses."""

from __future__ import annotations

from typing import Any

from .conftest import IDENTITY_REGION, Deployment


def _outputs(client: Any, stack: str) -> dict[str, str]:
    found = client.describe_stacks(StackName=stack)["Stacks"][0]
    return {output["OutputKey"]: output["OutputValue"] for output in found["Outputs"]}


def test_one_account_gets_every_stack_and_a_second_run_changes_nothing(deployment: Deployment) -> None:
    deployment()
    here = deployment.client("cloudformation")
    assert {stack["StackName"] for stack in here.describe_stacks()["Stacks"]} == {
        "tracklib-vpn-registry",
        "tracklib-vpn-code",
        "tracklib-vpn-gateways",
        "tracklib-vpn-self-service",
    }
    there = deployment.client("cloudformation", IDENTITY_REGION)
    assert "SweepRoleArn" not in _outputs(there, "tracklib-vpn-identity")
    again = deployment()
    assert "changed=0" in again.output, again.output
