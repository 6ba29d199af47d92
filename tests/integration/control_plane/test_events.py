# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What the rules of the stacks let through, by the emulator's own delivery: from an identity account to the queue."""

from __future__ import annotations

import json
from typing import Any

from tests.integration.conftest import REGION
from tests.integration.vpn import ACCOUNT
from tests.support import iam_events

from .conftest import IDENTITY_REGION, OTHER_ACCOUNT, Account, Stacks


def _put(events: Any, detail: dict[str, Any], **entry: str) -> None:
    answer = events.put_events(
        Entries=[
            {
                "Source": "aws.iam",
                "DetailType": "AWS API Call via CloudTrail",
                "Detail": json.dumps(detail),
                **entry,
            }
        ]
    )
    assert answer["FailedEntryCount"] == 0


def test_every_listed_event_reaches_the_queue_of_the_gateways_region(stacks: Stacks) -> None:
    details = [iam_events.record(name) for name in iam_events.CALLS]
    for detail in details:
        _put(stacks.client("events", IDENTITY_REGION), detail)
    arrived = stacks.messages()
    assert sorted(message["detail"]["eventName"] for message in arrived) == sorted(iam_events.CALLS)
    assert all(message["detail"] in details for message in arrived)
    assert {(message["source"], message["account"], message["region"]) for message in arrived} == {
        ("aws.iam", ACCOUNT, IDENTITY_REGION)
    }


def test_an_event_of_another_account_arrives_under_its_own_account(stacks: Stacks, other_account: Account) -> None:
    stacks.make_identity(other_account)
    _put(other_account.client("events", IDENTITY_REGION), iam_events.record("DeleteUser", OTHER_ACCOUNT))
    (message,) = stacks.messages()
    assert message["account"] == OTHER_ACCOUNT


def test_calls_that_changed_nobody_are_not_forwarded(stacks: Stacks) -> None:
    for detail in (
        iam_events.record("GetUser", readOnly=True),
        iam_events.record("ListUsers", readOnly=True),
        iam_events.record("CreateRole"),
        iam_events.record("DeleteUser", errorCode="AccessDenied", errorMessage="not authorized: iam:DeleteUser"),
        iam_events.record("DeleteUser", errorCode="DeleteConflictException"),
        iam_events.record("DeleteUser", eventSource="sts.amazonaws.com"),
    ):
        _put(stacks.client("events", IDENTITY_REGION), detail)
    assert stacks.messages() == []


def test_an_event_by_another_name_is_not_forwarded(stacks: Stacks) -> None:
    events = stacks.client("events", IDENTITY_REGION)
    _put(events, iam_events.record("DeleteUser"), Source="my.iam")
    _put(events, iam_events.record("DeleteUser"), DetailType="AWS Console Sign In via CloudTrail")
    assert stacks.messages() == []


def test_instances_that_start_and_stop_reach_the_queue_where_names_are_kept(stacks: Stacks) -> None:
    for state in ("pending", "running", "stopping", "stopped", "shutting-down", "terminated"):
        detail = {"instance-id": "i-0123456789abcdef0", "state": state}
        kind = {"Source": "aws.ec2", "DetailType": "EC2 Instance State-change Notification"}
        _put(stacks.client("events", REGION), detail, **kind)
    assert sorted(message["detail"]["state"] for message in stacks.messages()) == ["running", "stopped", "terminated"]


def test_the_schedule_calls_the_sweeper_every_minute(stacks: Stacks) -> None:
    events = stacks.client("events", REGION)
    rule = events.describe_rule(Name="tracklib-vpn-sweep")
    assert rule["ScheduleExpression"] == "rate(1 minute)"
    (target,) = events.list_targets_by_rule(Rule="tracklib-vpn-sweep")["Targets"]
    sweeper = stacks.client("lambda").get_function(FunctionName="tracklib-vpn-sweeper")["Configuration"]
    assert target["Arn"] == sweeper["FunctionArn"]
    policy = json.loads(stacks.client("lambda").get_policy(FunctionName="tracklib-vpn-sweeper")["Policy"])
    (statement,) = policy["Statement"]
    assert statement["Condition"]["ArnLike"]["AWS:SourceArn"] == rule["Arn"]


def test_a_build_is_asked_for_every_6_hours_whatever_becomes_of_the_sweeper(stacks: Stacks) -> None:
    events = stacks.client("events", REGION)
    assert events.describe_rule(Name="tracklib-vpn-build")["ScheduleExpression"] == "rate(6 hours)"
    (target,) = events.list_targets_by_rule(Rule="tracklib-vpn-build")["Targets"]
    assert json.loads(target["Input"]) == {"kind": "sweep"}
    assert target["Arn"].endswith(":tracklib-vpn")


def test_every_target_has_a_queue_for_what_it_can_not_deliver(stacks: Stacks) -> None:
    for region, bus, rule in (
        (IDENTITY_REGION, "default", "tracklib-vpn-iam-events"),
        (REGION, "tracklib-vpn", "tracklib-vpn-iam-events"),
        (REGION, "default", "tracklib-vpn-build"),
        (REGION, "default", "tracklib-vpn-host-events"),
    ):
        found = stacks.client("events", region).list_targets_by_rule(Rule=rule, EventBusName=bus)["Targets"]
        assert [target["DeadLetterConfig"]["Arn"].split(":")[3] for target in found] == [region], rule
