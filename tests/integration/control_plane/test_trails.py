# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Module iam_trails_info: which trails see IAM's changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.vpn import ACCOUNT
from tests.support import fault_proxy as faults
from tests.support.fault_proxy import FaultProxy

from .conftest import IDENTITY_REGION, make_trail

Run = Callable[..., dict[str, Any]]
MANAGEMENT = {"Field": "eventCategory", "Equals": ["Management"]}


def _advanced(*fields: dict[str, Any]) -> dict[str, Any]:
    return {"AdvancedEventSelectors": [{"Name": "ours", "FieldSelectors": list(fields)}]}


@pytest.mark.parametrize(
    ("selectors", "sees"),
    [
        ({}, True),
        ({"EventSelectors": [{"IncludeManagementEvents": True, "ReadWriteType": "WriteOnly"}]}, True),
        ({"EventSelectors": [{"IncludeManagementEvents": True, "ReadWriteType": "ReadOnly"}]}, False),
        ({"EventSelectors": [{"IncludeManagementEvents": False, "ReadWriteType": "All"}]}, False),
        (_advanced(MANAGEMENT), True),
        (_advanced(MANAGEMENT, {"Field": "readOnly", "Equals": ["false"]}), True),
        (_advanced(MANAGEMENT, {"Field": "readOnly", "Equals": ["true"]}), False),
        (_advanced(MANAGEMENT, {"Field": "eventSource", "NotEquals": ["kms.amazonaws.com"]}), True),
        (_advanced(MANAGEMENT, {"Field": "eventSource", "NotEquals": ["iam.amazonaws.com"]}), False),
        (_advanced({"Field": "eventCategory", "Equals": ["Data"]}), False),
    ],
)
def test_a_trail_sees_iams_changes_by_its_selectors(
    aws_client: Callable[..., Any], run_module: Run, selectors: dict[str, Any], sees: bool
) -> None:
    make_trail(aws_client("cloudtrail", IDENTITY_REGION), aws_client("s3", IDENTITY_REGION), **selectors)
    (trail,) = run_module("iam_trails_info", {"account_id": ACCOUNT, "region": IDENTITY_REGION})["trails"]
    assert trail["logs_iam_changes"] is sees
    assert (trail["fault"] is None) is sees


def test_a_trail_that_does_not_log_says_so(aws_client: Callable[..., Any], run_module: Run) -> None:
    make_trail(aws_client("cloudtrail", IDENTITY_REGION), aws_client("s3", IDENTITY_REGION), logging=False)
    (trail,) = run_module("iam_trails_info", {"account_id": ACCOUNT, "region": IDENTITY_REGION})["trails"]
    assert (trail["logs_iam_changes"], trail["fault"]) == (False, "its logging is off")


def test_a_trail_that_can_not_be_read_says_so_and_another_one_does(
    aws_client: Callable[..., Any], run_module: Run, fault_proxy: FaultProxy
) -> None:
    cloudtrail, s3 = aws_client("cloudtrail", IDENTITY_REGION), aws_client("s3", IDENTITY_REGION)
    make_trail(cloudtrail, s3)
    make_trail(cloudtrail, s3, name="second")
    fault_proxy.fail("GetTrailStatus", faults.json_error(400, "AccessDeniedException"), last=1)
    options = {"account_id": ACCOUNT, "region": IDENTITY_REGION}
    found = run_module("iam_trails_info", options, env={"AWS_URL": fault_proxy.url})["trails"]
    assert [trail["logs_iam_changes"] for trail in found] in ([False, True], [True, False])
    (fault,) = [trail["fault"] for trail in found if trail["fault"]]
    assert "these credentials need cloudtrail:GetTrailStatus on trail" in fault


def test_no_trail_is_an_empty_list_and_another_account_a_failure(
    aws_client: Callable[..., Any], run_module: Run
) -> None:
    aws_client("cloudtrail")
    assert run_module("iam_trails_info", {"account_id": ACCOUNT, "region": IDENTITY_REGION})["trails"] == []
    failed = run_module("iam_trails_info", {"account_id": "999999999999", "region": IDENTITY_REGION})
    assert f"these credentials belong to account {ACCOUNT}" in failed["msg"]
