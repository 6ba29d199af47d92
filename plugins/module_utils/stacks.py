# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""CloudFormation stacks before and after a deployment: what can be made, and why something wasn't. Pure.

States are those of https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/view-stack-events.html.
"""

from __future__ import annotations

from typing import Any, Mapping, NamedTuple, Sequence

_OURS = "tracklib.vpn"  # in the description of each of our templates
# first creations that failed or never began: such a stack can only be deleted
_NEVER_MADE = ("CREATE_FAILED", "REVIEW_IN_PROGRESS", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED")
_HOLDS_DATA = ("AWS::DynamoDB::Table", "AWS::S3::Bucket")


class StackState(NamedTuple):
    """What a deployment finds of a stack."""

    is_there: bool  # and can be updated
    is_protected: bool  # from being deleted
    is_to_remove: bool  # since its first creation failed; it holds nothing
    problem: str  # why it can't be deployed, and what to do; empty if it can


def stack_state(name: str, found: Mapping[str, Any]) -> StackState:
    """Tell what to do with a stack of this name.

    :param found: the stacks of that name, by their names, as amazon.aws.cloudformation_info returns them with
        stack_resources.
    """
    if name not in found:
        return StackState(is_there=False, is_protected=False, is_to_remove=False, problem="")
    described = found[name]["stack_description"]
    status = described["stack_status"]
    description = described.get("description") or ""
    if _OURS not in description:
        return _unfit(
            f"there is a stack {name} that isn't ours ({description or 'it has no description'}), and nothing was "
            "changed; choose another name"
        )
    if status in _NEVER_MADE:
        return _never_made(name, described, found[name].get("stack_resource_list") or [])
    if status.endswith("_IN_PROGRESS"):
        return _unfit(f"the stack {name} is in {status}: somebody deploys it right now; run deploy again afterwards")
    if status == "UPDATE_ROLLBACK_FAILED":
        return _unfit(
            f"the stack {name} is in {status}: an update failed, and so did going back. Put right what its events "
            f"name, then: aws cloudformation continue-update-rollback --stack-name {name}"
        )
    if status.startswith("DELETE_"):
        return _unfit(f"the stack {name} is in {status}: delete what its events name, and the stack, or keep both")
    is_protected = bool(described.get("enable_termination_protection"))
    return StackState(is_there=True, is_protected=is_protected, is_to_remove=False, problem="")


def _never_made(name: str, described: Mapping[str, Any], resources: Sequence[Mapping[str, Any]]) -> StackState:
    left = [
        f"{each['resource_type']} {each['physical_resource_id']}"
        for each in resources
        if each["resource_type"] in _HOLDS_DATA
        and each.get("physical_resource_id")
        and each["resource_status"] != "DELETE_COMPLETE"
    ]
    if left:
        return _unfit(
            f"the first creation of the stack {name} failed, and left {', '.join(left)}, which may hold data: nothing "
            "was removed. Look into it. If it is empty, delete it and the stack; then run deploy again"
        )
    if described.get("enable_termination_protection"):
        return _unfit(
            f"the first creation of the stack {name} failed, so it can only be deleted, and it is protected from that: "
            f"aws cloudformation update-termination-protection --no-enable-termination-protection --stack-name {name}. "
            "Then run deploy again"
        )
    return StackState(is_there=False, is_protected=False, is_to_remove=True, problem="")


def _unfit(problem: str) -> StackState:
    return StackState(is_there=False, is_protected=False, is_to_remove=False, problem=problem)


def stack_failure(name: str, tries: Sequence[Mapping[str, Any]]) -> str:
    """Say why a stack wasn't made or updated.

    :param tries: results of amazon.aws.cloudformation, of which the last failed.
    """
    last = tries[-1]
    reasons = [line for line in last.get("log") or [] if "cancelled" not in line]
    why = "; ".join(reversed(reasons)) or last.get("msg") or last.get("output") or "CloudFormation doesn't say why"
    what = "isn't protected from deletion, but for that it is deployed" if len(tries) > 1 else "wasn't deployed"
    is_undone = str(last.get("output", "")).endswith("Rollback complete")
    undone = " What CloudFormation had made or changed by then, it took back." if is_undone else ""
    return f"the stack {name} {what}: {why.rstrip('.')}.{undone} Put that right, and run deploy again"
