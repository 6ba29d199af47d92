# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Whether an account's trails see what IAM changes: without one that does, EventBridge gets no IAM event."""

from __future__ import annotations

from typing import Any, Mapping, NamedTuple

from ..aws import AWSCallError, calling

_IAM = "iam.amazonaws.com"


class Trail(NamedTuple):
    """A trail; `fault` says why it doesn't log changes of IAM, or why that can't be told. None if it does."""

    arn: str
    fault: str | None


def iam_trails(cloudtrail: Any, account_id: str) -> list[Trail]:
    """List the trails that log in the client's region, which must be the one of IAM's events, ordered by ARN.

    :raises AWSCallError: they can't be listed.
    """
    with calling("cloudtrail:DescribeTrails", f"account {account_id}"):
        trails = cloudtrail.describe_trails(includeShadowTrails=True)["trailList"]
    return sorted(Trail(trail["TrailARN"], _fault(cloudtrail, trail, account_id)) for trail in trails)


def _fault(cloudtrail: Any, trail: Mapping[str, Any], account_id: str) -> str | None:
    try:
        return _readable_fault(cloudtrail, trail, account_id)
    except AWSCallError as error:
        return str(error)  # another trail may do


def _readable_fault(cloudtrail: Any, trail: Mapping[str, Any], account_id: str) -> str | None:
    arn = trail["TrailARN"]
    if not trail.get("IncludeGlobalServiceEvents"):
        return "it leaves out global services, such as IAM"
    with calling("cloudtrail:GetTrailStatus", f"trail {arn}"):
        if not cloudtrail.get_trail_status(Name=arn)["IsLogging"]:
            return "its logging is off"
    if arn.split(":")[4] != account_id:
        return None  # the organization's, whose selectors only its own account may read
    with calling("cloudtrail:GetEventSelectors", f"trail {arn}"):
        selectors = cloudtrail.get_event_selectors(TrailName=arn)
    if _selects_iam(selectors):
        return None
    return "its event selectors leave out management events that write, or IAM's"


def _selects_iam(selectors: Mapping[str, Any]) -> bool:
    plain = selectors.get("EventSelectors") or ()
    advanced = selectors.get("AdvancedEventSelectors") or ()
    return any(
        selector.get("IncludeManagementEvents") and selector.get("ReadWriteType") in ("All", "WriteOnly")
        for selector in plain
    ) or any(_matches_iam(selector["FieldSelectors"]) for selector in advanced)


def _matches_iam(fields: list[Mapping[str, Any]]) -> bool:
    """Whether every change of IAM passes these fields; one of another kind may leave some out."""
    wanted = {"eventCategory": "Management", "readOnly": "false", "eventSource": _IAM}
    return any(field["Field"] == "eventCategory" for field in fields) and all(
        field["Field"] in wanted and _passes(field, wanted[field["Field"]]) for field in fields
    )


def _passes(field: Mapping[str, Any], value: str) -> bool:
    operators = set(field) - {"Field"}
    if operators == {"Equals"}:
        return value in field["Equals"]
    return operators == {"NotEquals"} and value not in field["NotEquals"]
