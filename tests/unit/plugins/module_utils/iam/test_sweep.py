# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Reading one user: what the emulated IAM never does, paging, is told by the SDK's stubber."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import boto3
from ansible_collections.tracklib.vpn.plugins.module_utils.iam.sweep import sweep_of_user
from botocore.stub import Stubber

ACCOUNT = "111122223333"
CREATED = datetime(2026, 1, 1, tzinfo=UTC)


def group(name: str) -> dict[str, Any]:
    arn = f"arn:aws:iam::{ACCOUNT}:group/{name}"
    return {"Path": "/", "GroupName": name, "GroupId": "AGPAIOSFODNN7EXAMPLE", "Arn": arn, "CreateDate": CREATED}


def test_groups_of_a_user_are_read_to_the_last_page() -> None:
    iam = boto3.client("iam", region_name="eu-west-1", aws_access_key_id="x", aws_secret_access_key="x")
    user_id, arn = "AIDAIOSFODNN7EXAMPLE", f"arn:aws:iam::{ACCOUNT}:user/alice"
    detail = {"Path": "/", "UserName": "alice", "UserId": user_id, "Arn": arn, "CreateDate": CREATED}
    with Stubber(iam) as stub:
        stub.add_response("get_user", {"User": detail}, {"UserName": "alice"})
        first = {"Groups": [group("a")], "IsTruncated": True, "Marker": "more"}
        stub.add_response("list_groups_for_user", first, {"UserName": "alice"})
        last = {"Groups": [group("vpn")], "IsTruncated": False}
        stub.add_response("list_groups_for_user", last, {"UserName": "alice", "Marker": "more"})
        sweep = sweep_of_user(iam, ACCOUNT, "alice", lambda: 5.0)
        stub.assert_no_pending_responses()
    assert (sweep.account_id, sweep.begun_at) == (ACCOUNT, 5.0)
    assert sweep.users[user_id].groups == ("a", "vpn")
