# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The playbook `deploy`: one account, then a second one, and what it refuses."""

from __future__ import annotations

import json
import shutil
from typing import Any

from ansible_collections.tracklib.vpn.plugins.module_utils.registry.table import Registry

from tests.integration.conftest import ROOT
from tests.integration.vpn import ACCESS, ACCOUNT
from tests.support import iam_events

from .conftest import IDENTITY_REGION, OTHER_ACCOUNT, Account, Deployment, make_trail, outputs

ROLE = f"arn:aws:iam::{OTHER_ACCOUNT}:role/tracklib-vpn-sweep"


def _stacks(client: Any) -> set[str]:
    return {stack["StackName"] for stack in client.describe_stacks()["Stacks"]}


def test_one_account_then_another_one_and_then_nothing_to_do(deployment: Deployment, other_account: Account) -> None:
    first = deployment()
    assert f"account {ACCOUNT}: registry changed, events changed, self_service changed" in " ".join(
        first.output.split()
    )
    here, there = deployment.client("cloudformation"), deployment.client("cloudformation", IDENTITY_REGION)
    ours = {"tracklib-vpn-registry", "tracklib-vpn-code", "tracklib-vpn-gateways", "tracklib-vpn-self-service"}
    assert _stacks(here) == ours
    assert "SweepRoleArn" not in outputs(there, "tracklib-vpn-identity")
    _check_projects(deployment)

    make_trail(other_account.client("cloudtrail", IDENTITY_REGION), other_account.client("s3", IDENTITY_REGION))
    assert _told(deployment) == ([], 1420)  # vpn_private_dns is off
    both = {
        "vpn_private_dns": True,
        "gateway_mtu": 1380,
        # more than the 4 KB that a Lambda function's environment holds
        "vpn_access": [*ACCESS, *({"groups": [f"team-{n}"], "networks": [f"10.{n}.0.0/16"]} for n in range(100, 200))],
        "vpn_identity_accounts": [{"account_id": ACCOUNT}, {"account_id": OTHER_ACCOUNT, "role_arn": ROLE}],
        "control_plane_identity_options": {OTHER_ACCOUNT: other_account.options},
    }
    deployment(**both)
    assert _stacks(here) == {*ours, f"tracklib-vpn-self-service-{OTHER_ACCOUNT}"}
    its_own = other_account.client("cloudformation", IDENTITY_REGION)
    assert outputs(its_own, "tracklib-vpn-identity")["SweepRoleArn"] == ROLE
    _check_forwarding(deployment, other_account)
    _check_table(deployment)
    _check_operators(deployment, other_account)
    assert _parameters(here, "tracklib-vpn-gateways")["HasOwnUsers"] == "true"
    assert _told(deployment) == (["internal.example", "db.example"], 1380)  # see conftest.ZONES

    again = deployment(**both)
    assert "changed=0" in again.output, again.output
    assert f"account {ACCOUNT}: registry as it was, events as they were, self_service as it was" in " ".join(
        again.output.split()
    )

    elsewhere = {**both, "vpn_identity_accounts": [{"account_id": OTHER_ACCOUNT, "role_arn": ROLE}]}
    names = [{"name": name, "namespace": "Internal.Example", "tags": {"Service": name}} for name in ("api", "db")]
    deployment(control_plane_parts=["events"], vpn_names=names, **elsewhere)
    assert _parameters(here, "tracklib-vpn-gateways")["HasOwnUsers"] == "false"
    assert _parameters(here, "tracklib-vpn-gateways")["NamedRecords"] == "['*.internal.example']"  # the emulator's form


def _told(deployment: Deployment) -> tuple[list[str], int]:
    """The domains and the MTU that the self-service function is told of."""
    text = Registry(deployment.client("dynamodb"), "tracklib-vpn").self_service.read()
    assert text is not None
    settings = json.loads(text)
    return settings["domains"], settings["mtu"]


def _check_projects(deployment: Deployment) -> None:
    """A build gets what was uploaded, and its hash; the sweeper knows which that is, and how often one is due."""
    (project,) = deployment.client("codebuild").batch_get_projects(names=["tracklib-vpn-reconcile"])["projects"]
    variables = {one["name"]: one["value"] for one in project["environment"]["environmentVariables"]}
    assert variables["PLAYBOOK"] == "reconcile"
    for name in ("BUNDLE", "INVENTORY"):
        bucket, key = variables[name].removeprefix("s3://").split("/", maxsplit=1)
        assert variables[f"{name}_SHA256"] in key
        assert deployment.client("s3").get_object(Bucket=bucket, Key=key)["ContentLength"] > 0
    sweeper = deployment.client("lambda").get_function_configuration(FunctionName="tracklib-vpn-sweeper")
    told = sweeper["Environment"]["Variables"]
    assert {name: told[name] for name in ("BUNDLE_SHA256", "INVENTORY_SHA256")}.items() <= variables.items()
    assert told["DRIFT"] == "3600", "half of what a gateway trusts its roster for"


def _check_forwarding(deployment: Deployment, other_account: Account) -> None:
    entry = {
        "Source": "aws.iam",
        "DetailType": "AWS API Call via CloudTrail",
        "Detail": json.dumps(iam_events.record("DeleteUser", OTHER_ACCOUNT)),
    }
    other_account.client("events", IDENTITY_REGION).put_events(Entries=[entry])
    sqs = deployment.client("sqs")
    url = outputs(deployment.client("cloudformation"), "tracklib-vpn-gateways")["QueueUrl"]
    (message,) = sqs.receive_message(QueueUrl=url)["Messages"]
    assert json.loads(message["Body"])["account"] == OTHER_ACCOUNT


def _check_operators(deployment: Deployment, other_account: Account) -> None:
    """The stacks give operators what their policies do; the emulator keeps no policies of queues."""
    operator = f"arn:aws:iam::{ACCOUNT}:role/Operators"
    assert operator in _parameters(deployment.client("cloudformation"), "tracklib-vpn-gateways")["Operators"]
    its_own = other_account.client("iam").get_role(RoleName="tracklib-vpn-sweep")["Role"]
    assert operator in json.dumps(its_own["AssumeRolePolicyDocument"])


def _parameters(client: Any, stack: str) -> dict[str, str]:
    found = client.describe_stacks(StackName=stack)["Stacks"][0]
    return {one["ParameterKey"]: one["ParameterValue"] for one in found["Parameters"]}


def _check_table(deployment: Deployment) -> None:
    """The stack gives the table's policy all who write; the emulator keeps no policies of tables."""
    given = _parameters(deployment.client("cloudformation"), "tracklib-vpn-registry")
    for role in ("Operators", "tracklib-vpn-dispatcher", "tracklib-vpn-reconcile", "tracklib-vpn-self-service"):
        assert f"arn:aws:iam::{ACCOUNT}:role/{role}" in given["Writers"]


def test_what_can_not_work_is_refused_before_anything_is_made(deployment: Deployment) -> None:
    cases: list[tuple[dict[str, Any], str]] = [
        ({"vpn_account_id": "12"}, "vpn_account_id is 12, expected the gateways' account, 12 digits in quotes"),
        ({"vpn_account_id": OTHER_ACCOUNT}, f"these credentials belong to account {ACCOUNT}, expected {OTHER_ACCOUNT}"),
        ({"control_plane_subnet_ids": []}, "control_plane_subnet_ids is empty; set it to private subnets"),
        (
            {"vpn_identity_accounts": [{"account_id": ACCOUNT}, {"account_id": OTHER_ACCOUNT, "role_arn": ROLE}]},
            f"no credentials for identity account {OTHER_ACCOUNT}",
        ),
        (
            {"control_plane_gateway_user": "ubuntu"},
            "builds may log in as, but the inventory's ansible_user is admin on some gateway",
        ),
        (
            {"vpn_aws_options": {"profile": "vpn"}},
            "vpn_aws_options has the profile vpn, which builds don't have",
        ),
        ({"control_plane_self_service_gateways": []}, "control_plane_self_service_gateways is empty"),
        ({"control_plane_self_service_directory": "/etc/hostname"}, "is /etc/hostname, which is no directory"),
    ]
    hosts: dict[str, Any] = {"gw-1": {"vpc_id": deployment.variables["control_plane_vpc_id"]}}
    inventory = deployment.inventory / "hosts.yml"
    inventory.write_text(json.dumps({"vpn_gateways": {"hosts": hosts}}))
    for variables, message in cases:
        _refused(deployment, message, **variables)
    deployment.client("cloudtrail", IDENTITY_REGION).stop_logging(Name="management")
    _refused(deployment, f"account {ACCOUNT} has no trail that logs IAM's changes in {IDENTITY_REGION}")
    hosts.update({"gw-2": {"vpc_id": "vpc-0ther"}, "gw-3": {"vpc_id": "vpc-peered"}})
    inventory.write_text(json.dumps({"vpn_gateways": {"hosts": hosts}}))
    message = "and gw-2 is in another VPC, so that every build would fail there"
    _refused(deployment, message, control_plane_peered_vpc_ids=["vpc-peered"])
    assert _stacks(deployment.client("cloudformation")) == set()


def test_preview_of_the_first_deployment_makes_nothing_and_checks_the_settings(deployment: Deployment) -> None:
    previewed = deployment("--check")
    assert f"account {ACCOUNT}: registry would change, events would change, self_service would change" in " ".join(
        previewed.output.split()
    )
    assert _stacks(deployment.client("cloudformation")) == set()
    assert not deployment.for_users.exists()
    played = deployment.run("--check", control_plane_self_service_settings={"address_quarantine": False})
    assert played.rc != 0
    assert "address_quarantine is False, expected 0 to" in " ".join(played.output.split())


def test_gateway_with_a_listener_gets_a_queue_and_one_without_a_role_is_refused(deployment: Deployment) -> None:
    """Who may read and write it is tests/unit's: the emulator has no policies of queues."""
    iam, profile = deployment.client("iam"), f"arn:aws:iam::{ACCOUNT}:instance-profile/gateways/vpn-gateway"
    inventory = deployment.inventory / "hosts.yml"
    hosts = json.loads(inventory.read_text())["vpn_gateways"]["hosts"]

    def listening(**variables: Any) -> None:
        listed = {**hosts, "one": {**hosts["one"], "gateway_listener": True, **variables}}
        inventory.write_text(json.dumps({"vpn_gateways": {"hosts": listed}}))

    listening(instance_profile=None)
    events = {"control_plane_parts": ["registry", "events"]}
    _refused(deployment, "gateway_listener is set for one, whose instance has no role", **events)
    listening(instance_profile=profile)
    _refused(deployment, f"the instance profile of one, {profile}, has no role; expected one", **events)
    assert _stacks(deployment.client("cloudformation")) == set()
    iam.create_role(RoleName="vpn-gateway", AssumeRolePolicyDocument="{}")
    iam.create_instance_profile(InstanceProfileName="vpn-gateway")
    iam.add_role_to_instance_profile(InstanceProfileName="vpn-gateway", RoleName="vpn-gateway")
    deployment(**events)
    urls = deployment.client("sqs").list_queues(QueueNamePrefix="tracklib-vpn-gateway-")["QueueUrls"]
    assert [url.rpartition("/")[2] for url in urls] == ["tracklib-vpn-gateway-one"]
    function = deployment.client("lambda").get_function_configuration(FunctionName="tracklib-vpn-dispatcher")
    assert function["Environment"]["Variables"]["LISTENERS"] == "tracklib-vpn-gateway-one"
    assert "changed=0" in deployment(**events).output


def test_settings_that_the_function_would_refuse_are_not_written(deployment: Deployment) -> None:
    """It would answer nobody any more."""
    deployment(control_plane_parts=["registry"])
    mistyped = {"lief": 604800}
    _refused(deployment, "lief. Supported parameters include", control_plane_self_service_settings=mistyped)
    assert _stacks(deployment.client("cloudformation")) == {"tracklib-vpn-registry"}
    assert Registry(deployment.client("dynamodb"), "tracklib-vpn").self_service.read() is None


def test_a_missing_bundle_is_named_with_what_makes_it(deployment: Deployment) -> None:
    shutil.rmtree(deployment.bundle)
    _refused(deployment, "make both with `make bundle`", control_plane_parts=["events"])


def test_bundle_is_looked_for_where_the_caller_stands(deployment: Deployment) -> None:
    _refused(
        deployment, f"{ROOT}/nowhere has no bundle.tar", control_plane_parts=["events"], control_plane_bundle="nowhere"
    )


def _refused(deployment: Deployment, message: str, **variables: Any) -> None:
    played = deployment.run(**variables)
    assert played.rc != 0
    assert message in " ".join(played.output.split())
