# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The CloudFormation templates: what is in them, and that no policy gives more than it must."""

from __future__ import annotations

import itertools
import json
import random
import re
import shlex
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import parliament
import pytest
import yaml
from aws_lambda_powertools import Metrics
from aws_lambda_powertools.metrics import MetricUnit
from dispatcher.messages import HOST_STATES, IAM_EVENTS
from dispatcher.settings import NAMESPACE

from .templates import FILES, GATEWAY_ROLE, LISTENERS, PARTS, TEMPLATES, Policy, load, policies

# the emulator makes some of these silently into nothing, so nothing else would miss them
RESOURCES = {
    "code.yml": {"AWS::S3::Bucket": 1, "AWS::S3::BucketPolicy": 1},
    "gateway_account": {
        "AWS::CloudWatch::Alarm": 9 + len(LISTENERS),
        "AWS::CodeBuild::Project": 2,
        "AWS::CodeBuild::ReportGroup": 2,
        "AWS::EC2::SecurityGroup": 1,
        "AWS::EC2::SecurityGroupIngress": 1,
        "AWS::Events::EventBus": 1,
        "AWS::Events::EventBusPolicy": 2,
        "AWS::Events::Rule": 5,
        "AWS::IAM::ManagedPolicy": 1,
        "AWS::IAM::Policy": 8,
        "AWS::IAM::Role": 3,
        "AWS::Lambda::EventInvokeConfig": 1,
        "AWS::Lambda::EventSourceMapping": 1,
        "AWS::Lambda::Function": 2,
        "AWS::Lambda::Permission": 1,
        "AWS::Logs::LogGroup": 4,
        "AWS::SNS::Subscription": 1,
        "AWS::SNS::Topic": 1,
        "AWS::SNS::TopicPolicy": 1,
        "AWS::SQS::Queue": 2 + len(LISTENERS),
        "AWS::SQS::QueuePolicy": 2 + len(LISTENERS),
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
DOCUMENTS = sorted([*FILES.glob("deny_takeover*.json"), *(FILES / "policies").glob("*.json")])
POLICIES = [policy for name in TEMPLATES for policy in policies(name)]
ALLOWED = [
    pytest.param(policy, statement, id=f"{policy.label}: {statement['Sid']}")
    for policy in POLICIES
    for statement in policy.statements
    if statement["Effect"] == "Allow"
]
# than the linter's copy of AWS's reference
NEWER = {
    "Unknown action codebuild:StartCommandExecution",
    "Unknown action codebuild:StartSandbox",
    "Unknown action codebuild:StartSandboxConnection",
    "Unknown condition lambda:InvokedViaFunctionUrl for action lambda:InvokeFunction",
}
# CreateNetworkInterface has three resources; the VPC can be asked for of one of them only, so there are two statements
SPLIT = {("RESOURCE_MISMATCH", "ec2:CreateNetworkInterface")}


class Condition(NamedTuple):
    """A wildcard's reason: the condition key that narrows it."""

    key: str


# why a resource that is allowed may have a wildcard: by the statement, and by the ARN behind region and account
WILDCARDS: dict[tuple[str, str], Condition | str] = {
    ("FetchCode", "tracklib-vpn-code/bundles/*.tar"): "a build that began before a deployment fetches the earlier one",
    ("FetchCode", "tracklib-vpn-code/inventories/*.tar"): "the same",
    ("AskAboutOneUser", "user/*"): "a run asks for any user",
    ("JoinNetwork", "network-interface/*"): "it has no id yet; JoinSubnets says where",
    ("JoinSubnets", "subnet/*"): Condition("ec2:Vpc"),
    ("KeepNames", "namespace/*"): "ids come with the names",
    ("KeepNames", "service/*"): "ids come with the names",
    ("KeepTheirRecords", "hostedzone/*"): Condition("route53:ChangeResourceRecordSetsNormalizedRecordNames"),
    ("LeaveNetwork", "network-interface/*"): Condition("ec2:Vpc"),
    ("LendInterfaceToCodeBuild", "network-interface/*"): Condition("ec2:AuthorizedService"),
    ("Log", "log-group:DispatcherLogs:*"): "its streams",
    ("Log", "log-group:NamesLogs:*"): "its streams",
    ("Log", "log-group:ReconcileLogs:*"): "its streams",
    ("Log", "log-group:SelfServiceLogs:*"): "its streams",
    ("Log", "log-group:SweeperLogs:*"): "its streams",
    ("LogInToGateways", "instance/*"): Condition("aws:ResourceTag/Role"),
    ("LookUpOneUser", "user/*"): "any user may call",
    ("ReadHostKeys", "parameter/tracklib-vpn/host-keys/*"): "each gateway's",
    ("SeeTheirZones", "hostedzone/*"): "reads alone",
    ("TellListeners", "tracklib-vpn-gateway-*"): "each gateway's",
}


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


@pytest.mark.parametrize(("one", "other"), list(itertools.combinations(PARTS, 2)), ids=lambda path: path.stem)
def test_parts_of_one_stack_agree_on_what_they_share(one: Path, other: Path) -> None:
    """The role merges them, so that what one said otherwise would be lost."""
    first, second = (yaml.safe_load(path.read_text()) for path in (one, other))
    for section in ("Parameters", "Conditions"):
        shared = first[section].keys() & second[section].keys()
        assert {key: first[section][key] for key in shared} == {key: second[section][key] for key in shared}
    for section in ("Resources", "Outputs"):
        assert first[section].keys() & second[section].keys() == set()


def test_every_policy_is_looked_at() -> None:
    assert Counter(policy.template for policy in POLICIES) == {
        "code.yml": 1,
        "gateway_account": 18 + len(LISTENERS),
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
def test_every_wildcard_has_its_reason(policy: Policy, statement: dict[str, Any]) -> None:
    """Where the reason is a condition, it is there."""
    for resource in _list(statement.get("Resource", [])):
        if "*" in resource and resource != "*":
            assert (statement["Sid"], _last_part(resource)) in WILDCARDS, f"{policy.label}: {resource}"
            reason = WILDCARDS[statement["Sid"], _last_part(resource)]
            assert not isinstance(reason, Condition) or reason.key in _condition_keys(statement), policy.label


def test_every_listed_wildcard_is_there() -> None:
    found = {
        (statement["Sid"], _last_part(resource))
        for policy in POLICIES
        for statement in policy.statements
        if statement["Effect"] == "Allow"
        for resource in _list(statement.get("Resource", []))
        if "*" in resource and resource != "*"
    }
    assert found == set(WILDCARDS)


def _last_part(arn: str) -> str:
    """What an ARN of our account and region has behind them; all of any other."""
    return re.sub(r"^arn:aws:[a-z0-9-]+:(eu-west-1)?:(111122223333)?:", "", arn)


def _condition_keys(statement: dict[str, Any]) -> set[str]:
    return {key for keys in statement.get("Condition", {}).values() for key in keys}


@pytest.mark.parametrize(("policy", "statement"), ALLOWED)
def test_every_service_is_let_in_only_for_our_own_resources(policy: Policy, statement: dict[str, Any]) -> None:
    """A service acts for anybody who asks it to (the confused deputy)."""
    if "Service" not in statement.get("Principal", {}):
        return
    condition = statement["Condition"]
    assert condition["StringEquals"] == {"aws:SourceAccount": "111122223333"}, policy.label
    sources = condition.get("ArnEquals") or condition.get("ArnLike") or condition["ArnLikeIfExists"]
    for arn in _list(sources["aws:SourceArn"]):
        assert re.match(r"arn:aws:\w+:[a-z0-9-]+:111122223333:.*[A-Za-z]", arn), policy.label


@pytest.mark.parametrize("policy", POLICIES, ids=lambda one: one.label)
def test_the_linter_finds_nothing_in_a_policy(policy: Policy) -> None:
    statements = [_without_principal(statement) for statement in policy.statements]
    assert list(_findings({**policy.document, "Statement": statements})) == []


def _without_principal(statement: dict[str, Any]) -> dict[str, Any]:
    """A statement as the linter knows it, which is for policies that are attached to somebody."""
    role = {"Resource": "arn:aws:iam::111122223333:role/tracklib-vpn-any"}
    return {**role, **{key: value for key, value in statement.items() if key != "Principal"}}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_the_linter_finds_nothing_in_a_policy_to_attach(path: Path) -> None:
    assert list(_findings(json.loads(path.read_text()))) == []


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
    queue = load("gateway_account")["Resources"]["Queue"]["Properties"]
    assert queue["RedrivePolicy"]["maxReceiveCount"] == 1000
    assert queue["MessageRetentionPeriod"] == 14 * 24 * 3600
    assert queue["SqsManagedSseEnabled"] is True
    mapping = load("gateway_account")["Resources"]["DispatcherEvents"]["Properties"]
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]


@pytest.mark.parametrize("project", ["Reconcile", "Names"])
def test_builds_run_one_at_a_time_and_end(project: str) -> None:
    properties = load("gateway_account")["Resources"][project]["Properties"]
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


def test_build_waits_once_for_a_gateway_whatever_its_image_says(tmp_path: Path) -> None:
    """CodeBuild's images have `ConnectionAttempts 10` in ssh_config: one that is down cost 109 s instead of 10."""
    image = tmp_path / "ssh_config"
    image.write_text("Host *\n  ConnectionAttempts 10\n")
    command = next(each for each in yaml.safe_load((FILES / "buildspec.yml").read_text())["phases"]["build"]["commands"]
                   if "ANSIBLE_SSH_ARGS" in each)  # fmt: skip
    arguments = shlex.split(command.partition("ANSIBLE_SSH_ARGS=")[2])[0].split()
    settings = subprocess.run(
        ["ssh", "-F", image, "-G", *arguments, "gateway"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert {"connectionattempts 1", "connecttimeout 10"} <= set(settings)


def test_the_commands_of_a_build_fit_a_parameter() -> None:
    assert len((FILES / "buildspec.yml").read_text()) <= 4096


def test_bus_takes_what_the_identity_accounts_forward_whichever_of_rule_and_role_is_presented() -> None:
    """And nothing else of those accounts: each statement names one rule or one role of an account."""
    conditions = [
        statement["Condition"]["ArnEquals"]
        for policy in policies("gateway_account")
        if policy.resource.startswith("BusPolicy")
        for statement in policy.document["Statement"]
    ]
    assert conditions == [
        {"aws:SourceArn": ["arn:aws:events:us-east-1:444455556666:rule/tracklib-vpn-iam-events"]},
        {"aws:PrincipalArn": ["arn:aws:iam::444455556666:role/tracklib-vpn-forward"]},
    ]
    forward = load("identity_account.yml")["Resources"]["ForwardRole"]["Properties"]["RoleName"]
    assert forward == {"Fn::Sub": "${Name}-forward"}


def _alarms() -> dict[str, dict[str, Any]]:
    return {
        logical_id: resource["Properties"]
        for name in TEMPLATES
        for logical_id, resource in load(name)["Resources"].items()
        if resource["Type"] == "AWS::CloudWatch::Alarm"
    }


def test_r12_silence_is_an_alarm_of_the_sweeps_age_alone() -> None:
    """The sweeper measures it each minute; the others count what mustn't happen at all."""
    assert {logical_id: alarm["TreatMissingData"] for logical_id, alarm in _alarms().items()} == {
        "DeadLettersAlarm": "notBreaching",
        "DispatcherErrorsAlarm": "notBreaching",
        "DispatcherFailedAlarm": "notBreaching",
        "Listener88c220d14fe9Alarm": "notBreaching",  # of the two gateways that have one
        "Listenerab84cf4abdc8Alarm": "notBreaching",
        "NamesFailedAlarm": "notBreaching",
        "NotForwardedAlarm": "notBreaching",
        "ReconcileFailedAlarm": "ignore",  # it stays what it is, and the sweeps' age says that nobody looks
        "StartsRefusedAlarm": "notBreaching",
        "SweepAgeAlarm": "breaching",
        "SweeperErrorsAlarm": "notBreaching",
        "SweeperFailedAlarm": "notBreaching",
    }


@pytest.mark.parametrize("logical_id", ["DispatcherErrorsAlarm", "NamesFailedAlarm", "SweeperErrorsAlarm"])
@pytest.mark.parametrize("seed", range(5))
def test_one_failure_each_5_minutes_is_one_alarm_and_not_one_each_time(logical_id: str, seed: int) -> None:
    """A build waits 90 to 250 s for its machine, so that some periods have two ends of builds, and some none."""
    alarm = _alarms()[logical_id]
    moments = random.Random(seed)
    ends = [300 * number + moments.uniform(90, 250) for number in range(144)]
    periods = Counter(int(end // alarm["Period"]) for end in ends)
    breaching = [periods[number] > alarm["Threshold"] for number in range(1, 144)]
    states = [
        sum(breaching[number - alarm["EvaluationPeriods"] + 1 : number + 1]) >= alarm["DatapointsToAlarm"]
        for number in range(alarm["EvaluationPeriods"], len(breaching))
    ]
    assert set(states) == {True}


def test_refused_starts_are_an_alarm_once_no_other_build_can_be_the_reason() -> None:
    alarm = _alarms()["StartsRefusedAlarm"]
    longest_build = 60 * load("gateway_account")["Resources"]["Reconcile"]["Properties"]["TimeoutInMinutes"]
    assert alarm["EvaluationPeriods"] * alarm["Period"] > longest_build
    assert alarm["Statistic"] == "Minimum", "one start that succeeds is enough"


def test_sweeper_measures_often_enough_for_its_alarms() -> None:
    """A build that fails is an alarm until one succeeds: the sweeper says so at each look, also between builds."""
    rule = load("gateway_account")["Resources"]["SweepSchedule"]["Properties"]
    assert rule["ScheduleExpression"] == "rate(1 minute)"
    for logical_id in ("ReconcileFailedAlarm", "StartsRefusedAlarm", "SweepAgeAlarm"):
        assert _alarms()[logical_id]["Period"] >= 5 * 60


@pytest.mark.parametrize(
    ("logical_id", "function", "file"),
    [
        ("DispatcherFailedAlarm", "Dispatcher", "dispatch.py"),
        ("ReconcileFailedAlarm", "Sweeper", "sweeper.py"),
        ("StartsRefusedAlarm", "Sweeper", "sweeper.py"),
        ("SweepAgeAlarm", "Sweeper", "sweeper.py"),
        ("SweeperFailedAlarm", "Sweeper", "sweeper.py"),
    ],
)
def test_an_alarm_watches_the_metric_that_its_function_publishes(
    logical_id: str, function: str, file: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    properties = load("gateway_account")["Resources"][function]["Properties"]
    name = properties["Environment"]["Variables"]["POWERTOOLS_SERVICE_NAME"]["Fn::Sub"]
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", name)
    alarm = _alarms()[logical_id]
    metrics = Metrics(namespace=NAMESPACE)
    metrics.add_metric(alarm["MetricName"], MetricUnit.Count, 1)
    metrics.flush_metrics()
    line = json.loads(capsys.readouterr().out)
    (published,) = line["_aws"]["CloudWatchMetrics"]
    (dimensions,) = published["Dimensions"]
    watched = {one["Name"]: one["Value"]["Fn::Sub"] for one in alarm["Dimensions"]}
    assert {dimension: line[dimension] for dimension in dimensions} == watched
    assert published["Namespace"] == alarm["Namespace"]
    assert f'add_metric("{alarm["MetricName"]}"' in (FILES / "dispatcher" / file).read_text()


@pytest.mark.parametrize(
    ("template", "kept", "rest"),
    [("registry.yml", ["Registry"], "Outputs"), ("code.yml", ["Bucket"], "BucketPolicy")],
)
def test_what_outlives_its_stack_can_be_imported_as_operations_md_says(
    template: str, kept: list[str], rest: str
) -> None:
    """An import takes what is kept, and nothing else: the template is cut off before the rest."""
    text = (FILES / template).read_text()
    imported = yaml.safe_load(re.split(rf"^ *{rest}:", text, flags=re.MULTILINE)[0])
    assert list(imported["Resources"]) == kept
    assert "Outputs" not in imported
    assert {resource["DeletionPolicy"] for resource in imported["Resources"].values()} == {"RetainExceptOnCreate"}


def test_r4_only_rules_self_service_and_operators_put_messages_into_the_queue() -> None:
    (policy,) = [policy for policy in POLICIES if policy.resource == "QueuePolicy"]
    allow, deny = policy.statements
    assert allow["Principal"] == {"Service": "events.amazonaws.com"}
    assert (deny["Effect"], deny["Principal"], deny["Action"]) == ("Deny", "*", allow["Action"])
    assert deny["Condition"] == {
        "BoolIfExists": {"aws:PrincipalIsAWSService": "false"},  # the rules come as one
        "ArnNotLike": {
            "aws:PrincipalArn": [
                "arn:aws:iam::111122223333:role/tracklib-vpn-self-service",
                "arn:aws:iam::111122223333:role/NetworkOperators",
            ]
        },
    }


def test_users_of_the_gateways_own_account_are_read_only_where_they_may_connect() -> None:
    template = load("gateway_account")
    assert template["Conditions"]["SweepsOwnUsers"] == {"Fn::Equals": [{"Ref": "HasOwnUsers"}, "true"]}
    assert template["Resources"]["ReconcileOwnUsersPolicy"]["Condition"] == "SweepsOwnUsers"
    reading = {
        policy.resource
        for policy in POLICIES
        if policy.template == "gateway_account"
        for statement in policy.statements
        if any(action.startswith("iam:") for action in _list(statement["Action"]))
    }
    assert reading == {"DispatcherOwnUsersPolicy", "ReconcileOwnUsersPolicy"}
    assert template["Resources"]["DispatcherOwnUsersPolicy"]["Condition"] == "SweepsOwnUsers"


def test_r4_r16_a_gateways_queue_is_the_dispatchers_to_write_and_that_instances_to_read() -> None:
    """Whatever their own policies say: a message taken away keeps a leaver on, a forged one takes a peer off."""
    found = [policy for policy in POLICIES if re.fullmatch("Listener[0-9a-f]{12}Policy", policy.resource)]
    assert len(found) == len(LISTENERS)
    for policy in found:
        read, nobody_reads, nobody_writes = policy.statements
        taking = {"sqs:DeleteMessage", "sqs:ReceiveMessage"}
        assert (read["Effect"], set(read["Action"])) == ("Allow", taking)
        assert read["Condition"] == {
            "ArnEquals": {"aws:PrincipalArn": GATEWAY_ROLE},
            "StringEquals": {"aws:PrincipalAccount": "111122223333"},
        }
        assert taking < set(nobody_reads["Action"])
        assert nobody_writes["Action"] == "sqs:SendMessage"
        dispatcher = "arn:aws:iam::111122223333:role/tracklib-vpn-dispatcher"
        for deny, but in ((nobody_reads, GATEWAY_ROLE), (nobody_writes, dispatcher)):
            assert (deny["Effect"], deny["Principal"]) == ("Deny", "*")
            assert deny["Condition"] == {"ArnNotEquals": {"aws:PrincipalArn": but}}


def test_what_a_listener_did_not_take_is_an_alarm_before_it_is_forgotten() -> None:
    resources = load("gateway_account")["Resources"]
    for listener in LISTENERS:
        (logical_id,) = [
            one for one, each in resources.items() if each["Properties"].get("QueueName") == listener["queue"]
        ]
        alarm = resources[f"{logical_id}Alarm"]["Properties"]
        assert alarm["Dimensions"] == [{"Name": "QueueName", "Value": listener["queue"]}]
        silent = alarm["Threshold"] + alarm["Period"] * alarm["EvaluationPeriods"]
        assert silent < resources[logical_id]["Properties"]["MessageRetentionPeriod"] / 4


def test_r3_operators_may_sweep_another_account_as_builds_may() -> None:
    trust = next(policy for policy in POLICIES if policy.resource == "SweepRole" and policy.principals)
    trusted = [
        arn
        for statement in trust.statements
        for keys in statement["Condition"].values()
        for arn in _list(keys["aws:PrincipalArn"])
    ]
    assert trusted == [
        "arn:aws:iam::111122223333:role/tracklib-vpn-dispatcher",
        "arn:aws:iam::111122223333:role/tracklib-vpn-reconcile",
        "arn:aws:iam::111122223333:role/tracklib-vpn-self-service",
        "arn:aws:iam::111122223333:role/NetworkOperators",
    ]


def test_the_registry_outlives_its_stack() -> None:
    table = load("registry.yml")["Resources"]["Registry"]
    assert (table["DeletionPolicy"], table["UpdateReplacePolicy"]) == ("RetainExceptOnCreate", "Retain")
    assert table["Properties"]["DeletionProtectionEnabled"] is True
    assert table["Properties"]["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert table["Properties"]["TimeToLiveSpecification"] == {"AttributeName": "ttl", "Enabled": True}


def test_rules_and_dispatcher_know_the_same_events() -> None:
    rule = load("identity_account.yml")["Resources"]["IamEvents"]["Properties"]["EventPattern"]
    assert rule["detail"]["eventName"] == list(IAM_EVENTS)
    hosts = load("gateway_account")["Resources"]["HostEvents"]["Properties"]["EventPattern"]
    assert hosts["detail"]["state"] == list(HOST_STATES)
