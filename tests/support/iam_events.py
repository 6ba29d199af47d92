# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""IAM's events as CloudTrail records them, and as EventBridge brings them."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

from dispatcher.messages import IAM_EVENTS

# requestParameters and responseElements of each call, as CloudTrail's records have them
CALLS: dict[str, tuple[dict[str, Any], dict[str, Any] | None]] = {
    "CreateUser": (
        {"userName": "alice"},
        {
            "user": {
                "path": "/",
                "userName": "alice",
                "userId": "AIDAIOSFODNN7EXAMPLE",
                "arn": "arn:aws:iam::123456789012:user/alice",
                "createDate": "Nov 24, 2026 8:45:23 PM",
            }
        },
    ),
    "DeleteUser": ({"userName": "alice"}, None),
    "UpdateUser": ({"userName": "alice", "newUserName": "alice.jones"}, None),
    "AddUserToGroup": ({"userName": "alice", "groupName": "vpn-developers"}, None),
    "RemoveUserFromGroup": ({"userName": "alice", "groupName": "vpn-developers"}, None),
    "DeleteGroup": ({"groupName": "vpn-developers"}, None),
    "UpdateGroup": ({"groupName": "vpn-developers", "newGroupName": "vpn-engineers"}, None),
    "DeleteLoginProfile": ({"userName": "alice"}, None),
    "DeleteAccessKey": ({"userName": "alice", "accessKeyId": "AKIAIOSFODNN7EXAMPLE"}, None),
    "UpdateAccessKey": ({"status": "Inactive", "userName": "alice", "accessKeyId": "AKIAIOSFODNN7EXAMPLE"}, None),
    "DeactivateMFADevice": (
        {"userName": "alice", "serialNumber": "arn:aws:iam::123456789012:mfa/alice"},
        None,
    ),
}
assert set(CALLS) == set(IAM_EVENTS)


def record(name: str, account_id: str = "123456789012", **fields: Any) -> dict[str, Any]:
    """CloudTrail's record of a call, which is an event's `detail`; `fields` replace or join its own."""
    parameters, response = CALLS.get(name, ({"userName": "alice"}, None))
    return {
        "eventVersion": "1.10",
        "userIdentity": {
            "type": "AssumedRole",
            "principalId": "AROAIOSFODNN7EXAMPLE:operator",
            "arn": f"arn:aws:sts::{account_id}:assumed-role/Admin/operator",
            "accountId": account_id,
            "accessKeyId": "ASIAIOSFODNN7EXAMPLE",
            "sessionContext": {
                "sessionIssuer": {
                    "type": "Role",
                    "principalId": "AROAIOSFODNN7EXAMPLE",
                    "arn": f"arn:aws:iam::{account_id}:role/Admin",
                    "accountId": account_id,
                    "userName": "Admin",
                },
                "attributes": {"creationDate": "2026-11-24T19:58:12Z", "mfaAuthenticated": "true"},
            },
        },
        "eventTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "eventSource": "iam.amazonaws.com",
        "eventName": name,
        "awsRegion": "us-east-1",
        "sourceIPAddress": "203.0.113.64",
        "userAgent": "aws-cli/2.31.9 md/awscrt#0.27.6 ua/2.1 os/linux cfg/retry-mode#standard md/prompt#off",
        "requestParameters": parameters,
        "responseElements": response,
        "requestID": str(uuid.uuid4()),
        "eventID": str(uuid.uuid4()),
        "readOnly": False,
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": account_id,
        "eventCategory": "Management",
        "tlsDetails": {
            "tlsVersion": "TLSv1.3",
            "cipherSuite": "TLS_AES_128_GCM_SHA256",
            "clientProvidedHostHeader": "iam.amazonaws.com",
        },
        **fields,
    }


def envelope(detail: dict[str, Any], account_id: str = "123456789012", **fields: Any) -> dict[str, Any]:
    """The event that EventBridge makes of a record."""
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": "AWS API Call via CloudTrail",
        "source": "aws.iam",
        "account": account_id,
        "time": detail.get("eventTime"),
        "region": "us-east-1",
        "resources": [],
        "detail": detail,
        **fields,
    }
