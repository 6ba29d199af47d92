# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Stacks before and after a deployment (R18, a failed deployment can be repeated)."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils.stacks import StackState, stack_failure, stack_state

NAME = "tracklib-vpn-registry"
TABLE = {"resource_type": "AWS::DynamoDB::Table", "physical_resource_id": "tracklib-vpn"}


def found(status: str, *resources: dict[str, str], **described: Any) -> dict[str, Any]:
    """What amazon.aws.cloudformation_info returns."""
    description = {"stack_status": status, "description": "The registry of tracklib.vpn: one table", **described}
    return {NAME: {"stack_description": description, "stack_resource_list": list(resources)}}


def test_stack_that_is_not_there_is_made_and_one_that_is_gets_updated() -> None:
    assert stack_state(NAME, {}) == StackState(is_there=False, is_protected=False, is_to_remove=False, problem="")
    for status in (
        "CREATE_COMPLETE",
        "UPDATE_COMPLETE",
        "UPDATE_ROLLBACK_COMPLETE",
        "IMPORT_COMPLETE",
        "UPDATE_FAILED",
    ):
        assert stack_state(NAME, found(status)) == StackState(
            is_there=True, is_protected=False, is_to_remove=False, problem=""
        )


@pytest.mark.parametrize("status", ["ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "REVIEW_IN_PROGRESS"])
def test_r18_stack_that_was_never_made_is_removed_first(status: str) -> None:
    gone = {**TABLE, "resource_status": "DELETE_COMPLETE"}
    role = {"resource_type": "AWS::IAM::Role", "physical_resource_id": "r", "resource_status": "DELETE_FAILED"}
    assert stack_state(NAME, found(status, gone, role)) == StackState(
        is_there=False, is_protected=False, is_to_remove=True, problem=""
    )


@pytest.mark.parametrize("status", ["DELETE_SKIPPED", "DELETE_FAILED", "CREATE_COMPLETE"])
def test_stack_whose_table_may_be_there_is_never_removed(status: str) -> None:
    state = stack_state(NAME, found("ROLLBACK_COMPLETE", {**TABLE, "resource_status": status}))
    assert (state.is_there, state.is_to_remove) == (False, False)
    assert "left AWS::DynamoDB::Table tracklib-vpn, which may hold data: nothing was removed" in state.problem


@pytest.mark.parametrize(
    ("status", "described", "problem"),
    [
        ("ROLLBACK_COMPLETE", {"description": "Accounting"}, "isn't ours (Accounting), and nothing was changed"),
        ("CREATE_COMPLETE", {"description": "Accounting"}, "isn't ours (Accounting), and nothing was changed"),
        ("CREATE_COMPLETE", {"description": None}, "isn't ours (it has no description), and nothing was changed"),
        ("REVIEW_IN_PROGRESS", {"description": None}, "isn't ours (it has no description), and nothing was changed"),
        ("ROLLBACK_COMPLETE", {"enable_termination_protection": True}, "--no-enable-termination-protection"),
        ("CREATE_IN_PROGRESS", {}, "somebody deploys it right now"),
        ("UPDATE_ROLLBACK_FAILED", {}, "continue-update-rollback --stack-name tracklib-vpn-registry"),
        ("DELETE_FAILED", {}, "delete what its events name"),
    ],
)
def test_stack_that_needs_hands_is_named_with_what_they_do(
    status: str, described: dict[str, Any], problem: str
) -> None:
    state = stack_state(NAME, found(status, **described))
    assert (state.is_there, state.is_to_remove) == (False, False)
    assert NAME in state.problem
    assert problem in state.problem


def test_failure_is_told_in_the_order_of_events_without_what_only_followed() -> None:
    log = [
        "AWS::CloudFormation::Stack tracklib-vpn ROLLBACK_FAILED: second",
        "AWS::IAM::Role Other CREATE_FAILED: Resource creation cancelled",
        "AWS::Lambda::Function SelfService CREATE_FAILED: first",
    ]
    output = "Problem with CREATE. Rollback complete"
    said = stack_failure(NAME, [{"failed": True, "log": log, "output": output}])
    assert "CloudFormation had made or changed by then, it took back" in said
    assert said.index("CREATE_FAILED: first") < said.index("ROLLBACK_FAILED: second")
    assert "cancelled" not in said


@pytest.mark.parametrize(
    ("last", "why"),
    [
        ({"msg": "AccessDenied"}, "AccessDenied"),
        ({"output": "Stack not found.", "log": []}, "Stack not found"),
        ({}, "CloudFormation doesn't say why"),
    ],
)
def test_failure_without_events_is_told_by_what_there_is(last: dict[str, Any], why: str) -> None:
    said = stack_failure(NAME, [last])
    assert f"wasn't deployed: {why}. " in said
    assert "took back" not in said


def test_stack_that_is_made_and_can_not_be_protected_is_not_called_missing() -> None:
    said = stack_failure(NAME, [{"changed": True}, {"failed": True, "msg": "AccessDenied"}])
    assert "isn't protected from deletion, but for that it is deployed: AccessDenied" in said
