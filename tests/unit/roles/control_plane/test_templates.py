# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The CloudFormation templates: what is in them, and that no policy gives more than it must."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import parliament
import pytest
from dispatcher.messages import HOST_STATES, IAM_EVENTS

from tests.support.templates import FILES, TEMPLATES, Policy, load, policies

# the emulator makes some of these silently into nothing, so nothing else would miss them
RESOURCES = {
    "code.yml": {"AWS::S3::Bucket": 1, "AWS::S3::BucketPolicy": 1},
    "gateway_account.yml": {
        "AWS::CloudWatch::Alarm": 6,
        "AWS::CodeBuild::Project": 2,
        "AWS::CodeBuild::ReportGroup": 2,
        "AWS::EC2::SecurityGroup": 1,
        "AWS::EC2::SecurityGroupIngress": 1,
        "AWS::Events::EventBus": 1,
        "AWS::Events::EventBusPolicy": 1,
        "AWS::Events::Rule": 3,
        "AWS::IAM::ManagedPolicy": 1,
        "AWS::IAM::Policy": 4,
        "AWS::IAM::Role": 3,
        "AWS::Lambda::EventSourceMapping": 1,
        "AWS::Lambda::Function": 1,
        "AWS::Logs::LogGroup": 3,
        "AWS::SNS::Subscription": 1,
        "AWS::SNS::Topic": 1,
        "AWS::SNS::TopicPolicy": 1,
        "AWS::SQS::Queue": 2,
        "AWS::SQS::QueuePolicy": 2,
    },
    "identity_account.yml": {
        "AWS::CloudWatch::Alarm": 1,
        "AWS::Events::Rule": 1,
        "AWS::IAM::Role": 2,
        "AWS::SNS::Subscription": 1,
        "AWS::SNS::Topic": 1,
        "AWS::SNS::TopicPolicy": 1,
        "AWS::SQS::Queue": 1,
        "AWS::SQS::QueuePolicy": 1,
    },
    "registry.yml": {"AWS::DynamoDB::Table": 1},
    "self_service.yml": {
        "AWS::IAM::Policy": 1,
        "AWS::IAM::Role": 1,
        "AWS::Lambda::Alias": 2,
        "AWS::Lambda::Function": 1,
        "AWS::Lambda::Url": 2,
        "AWS::Logs::LogGroup": 1,
    },
    "self_service_account.yml": {"AWS::Lambda::Permission": 4},
}
POLICIES = [policy for name in TEMPLATES for policy in policies(name)]
ALLOWED = [
    pytest.param(policy, statement, id=f"{policy.label}: {statement['Sid']}")
    for policy in POLICIES
    for statement in policy.statements
    if statement["Effect"] == "Allow"
]
NEWER = {"Unknown action codebuild:StartSandbox"}  # than the linter's copy of AWS's reference
# CreateNetworkInterface has three resources; the VPC can be asked for of one of them only, so there are two statements
SPLIT = {("RESOURCE_MISMATCH", "ec2:CreateNetworkInterface")}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _resources_of(action: str) -> Iterator[str]:
    """The kinds of resources that a policy can name for an action, by the linter's copy of AWS's reference."""
    service, name = action.split(":")
    for entry in parliament.iam_definition:
        if entry["prefix"] == service:
            for privilege in entry["privileges"]:
                if privilege["privilege"] == name:
                    yield from (kind["resource_type"] for kind in privilege["resource_types"] if kind["resource_type"])


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_resource_is_in_the_template(name: str) -> None:
    assert Counter(resource["Type"] for resource in load(name)["Resources"].values()) == RESOURCES[name]


def test_every_policy_is_looked_at() -> None:
    assert Counter(policy.template for policy in POLICIES) == {
        "code.yml": 1,
        "gateway_account.yml": 13,
        "identity_account.yml": 6,
        "registry.yml": 1,
        "self_service.yml": 3,
    }


@pytest.mark.parametrize(("policy", "statement"), ALLOWED)
def test_no_statement_allows_a_wildcard_of_actions(policy: Policy, statement: dict[str, Any]) -> None:
    assert [action for action in _list(statement["Action"]) if "*" in action or "?" in action] == [], policy.label
    assert "NotAction" not in statement
    assert "NotResource" not in statement


@pytest.mark.parametrize(("policy", "statement"), ALLOWED)
def test_no_statement_names_every_resource_where_an_arn_is_possible(policy: Policy, statement: dict[str, Any]) -> None:
    if "Resource" not in statement:
        assert policy.principals  # who may assume a role
        return
    if "*" in _list(statement["Resource"]):
        possible = {action: sorted(_resources_of(action)) for action in _list(statement["Action"])}
        assert {action: kinds for action, kinds in possible.items() if kinds} == {}, policy.label


@pytest.mark.parametrize(("policy", "statement"), ALLOWED)
def test_no_arn_has_a_wildcard_but_in_its_last_part(policy: Policy, statement: dict[str, Any]) -> None:
    for resource in _list(statement.get("Resource", [])):
        service_region_account = resource.split(":")[2:5] if resource != "*" else []
        assert "*" not in service_region_account, f"{policy.label}: {resource}"


@pytest.mark.parametrize(("policy", "statement"), ALLOWED)
def test_every_service_is_let_in_only_for_our_own_resources(policy: Policy, statement: dict[str, Any]) -> None:
    """A service acts for anybody who asks it to (the confused deputy)."""
    if "Service" not in statement.get("Principal", {}):
        return
    condition = statement["Condition"]
    assert condition["StringEquals"] == {"aws:SourceAccount": "111122223333"}, policy.label
    sources = condition.get("ArnEquals") or condition["ArnLike"]
    for arn in _list(sources["aws:SourceArn"]):
        assert re.match(r"arn:aws:\w+:[a-z0-9-]+:111122223333:.*[A-Za-z]", arn), policy.label


@pytest.mark.parametrize("policy", [policy for policy in POLICIES if not policy.principals], ids=lambda one: one.label)
def test_the_linter_finds_nothing_in_a_policy(policy: Policy) -> None:
    assert list(_findings(policy.document)) == []


def test_the_linter_finds_nothing_in_the_policy_that_denies_a_takeover() -> None:
    document = json.loads((FILES / "deny_takeover.json").read_text())
    assert list(_findings(document)) == []
    assert {statement["Effect"] for statement in document["Statement"]} == {"Deny"}


def test_the_linter_would_find_something() -> None:
    statement = {"Effect": "Allow", "Action": "dynamodb:PutItm", "Resource": "arn:aws:s3:::bucket"}
    assert list(_findings({"Version": "2012-10-17", "Statement": [statement]}))


def _findings(document: dict[str, Any]) -> Iterator[str]:
    for finding in parliament.analyze_policy_string(json.dumps(document)).findings:
        details = finding.detail if isinstance(finding.detail, list) else [finding.detail]
        for detail in details:
            action = detail.get("action") if isinstance(detail, dict) else None
            if (finding.issue, action) not in SPLIT and detail not in NEWER:
                yield f"{finding.issue}: {detail}"


def test_r4_a_burst_waits_for_its_build_and_poison_does_not() -> None:
    queue = load("gateway_account.yml")["Resources"]["Queue"]["Properties"]
    assert queue["RedrivePolicy"]["maxReceiveCount"] == 1000
    assert queue["MessageRetentionPeriod"] == 14 * 24 * 3600
    assert queue["SqsManagedSseEnabled"] is True
    mapping = load("gateway_account.yml")["Resources"]["DispatcherEvents"]["Properties"]
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]


@pytest.mark.parametrize("project", ["Reconcile", "Names"])
def test_builds_run_one_at_a_time_and_end(project: str) -> None:
    properties = load("gateway_account.yml")["Resources"][project]["Properties"]
    assert (properties["ConcurrentBuildLimit"], properties["TimeoutInMinutes"]) == (1, 10)
    assert properties["Cache"] == {"Type": "NO_CACHE"}
    assert properties["Source"] == {"Type": "NO_SOURCE", "BuildSpec": {"Ref": "BuildSpec"}}
    assert {one["Name"] for one in properties["Environment"]["EnvironmentVariables"]} == {
        "BUNDLE",
        "BUNDLE_SHA256",
        "INVENTORY",
        "INVENTORY_SHA256",
        "PLAYBOOK",
    }


def test_the_commands_of_a_build_fit_a_parameter() -> None:
    assert len((FILES / "buildspec.yml").read_text()) <= 4096


def test_r12_silence_is_an_alarm() -> None:
    alarm = load("gateway_account.yml")["Resources"]["SweepAgeAlarm"]["Properties"]
    assert alarm["TreatMissingData"] == "breaching"


def test_the_registry_outlives_its_stack() -> None:
    table = load("registry.yml")["Resources"]["Registry"]
    assert (table["DeletionPolicy"], table["UpdateReplacePolicy"]) == ("Retain", "Retain")
    assert table["Properties"]["DeletionProtectionEnabled"] is True
    assert table["Properties"]["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert table["Properties"]["TimeToLiveSpecification"] == {"AttributeName": "ttl", "Enabled": True}


def test_rules_and_dispatcher_know_the_same_events() -> None:
    rule = load("identity_account.yml")["Resources"]["IamEvents"]["Properties"]["EventPattern"]
    assert rule["detail"]["eventName"] == list(IAM_EVENTS)
    hosts = load("gateway_account.yml")["Resources"]["HostEvents"]["Properties"]["EventPattern"]
    assert hosts["detail"]["state"] == list(HOST_STATES)
