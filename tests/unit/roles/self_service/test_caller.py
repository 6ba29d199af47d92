# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""R14: which identities are IAM users."""

from __future__ import annotations

from typing import Any

import pytest
from self_service.caller import claimed_identity, iam_user
from self_service.proof import Identity
from self_service.refusal import Refusal

ACCOUNT = "111122223333"


@pytest.mark.parametrize(
    ("arn", "name"),
    [
        ("arn:aws:iam::111122223333:user/alice", "alice"),
        ("arn:aws:iam::111122223333:user/division/team/alice", "alice"),
        ("arn:aws-us-gov:iam::111122223333:user/a+b=c,d.e@f-g_h", "a+b=c,d.e@f-g_h"),
        ("arn:aws:iam::111122223333:user/assumed-role/root", "root"),
    ],
)
def test_iam_user_is_known_by_the_name_behind_the_path(arn: str, name: str) -> None:
    assert iam_user(Identity(ACCOUNT, arn, "AIDAIOSFODNN7EXAMPLE")).user_name == name


@pytest.mark.parametrize(
    ("arn", "code"),
    [
        ("arn:aws:sts::111122223333:assumed-role/Admin/alice", "role_session"),
        ("arn:aws:sts::111122223333:assumed-role/AWSReservedSSO_Admin_0123456789abcdef/alice", "role_session"),
        ("arn:aws:sts::111122223333:federated-user/alice", "federated_user"),
        ("arn:aws:iam::111122223333:root", "root_user"),
        ("arn:aws:iam::999999999999:user/alice", "unknown_identity"),
        ("arn:aws:iam::111122223333:role/alice", "unknown_identity"),
        ("arn:aws:iam::111122223333:user/", "unknown_identity"),
        ("arn:aws:iam::111122223333:user/alice\n", "unknown_identity"),
        ("arn:aws:iam::111122223333:user/\u0430lice", "unknown_identity"),
        ("alice", "unknown_identity"),
        ("", "unknown_identity"),
    ],
)
def test_r14_everybody_else_is_refused_by_kind(arn: str, code: str) -> None:
    with pytest.raises(Refusal) as caught:
        iam_user(Identity(ACCOUNT, arn, "x"))
    assert (caught.value.status, caught.value.code) == (403, code)


@pytest.mark.parametrize(
    "context",
    [
        {},
        {"authorizer": None},
        {"authorizer": {"iam": None}},
        {"authorizer": {"iam": {}}},
        {"authorizer": {"iam": {"accountId": ACCOUNT, "userArn": "a"}}},
        {"authorizer": {"iam": {"accountId": ACCOUNT, "userArn": "a", "userId": 1}}},
        {"authorizer": {"iam": "alice"}},
        {"authorizer": {"lambda": {"userArn": "a"}}},
    ],
)
def test_r14_context_that_names_nobody_is_refused(context: dict[str, Any]) -> None:
    with pytest.raises(Refusal) as caught:
        iam_user(claimed_identity({"requestContext": context}))
    assert caught.value.code == "no_identity"
