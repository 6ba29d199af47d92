# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The caller, as the function URL's request context names him or her; proof.py checks it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from .proof import Identity
from .refusal import Refusal, RefusalCode

_USER = re.compile(
    r"arn:aws[a-z-]*:iam::(?P<account>[0-9]{12}):user/(?:[\x21-\x7e]+/)?(?P<name>[A-Za-z0-9_+=,.@-]{1,64})"
)
_YOURS = "use the access keys of your IAM user, or an MFA session made with them"
_OTHERS = (
    (
        re.compile(r"arn:aws[a-z-]*:sts::[0-9]{12}:assumed-role/.+"),
        RefusalCode.ROLE_SESSION,
        f"the credentials are a role's session (single sign-on, an instance profile, an assumed role); {_YOURS}",
    ),
    (
        re.compile(r"arn:aws[a-z-]*:sts::[0-9]{12}:federated-user/.+"),
        RefusalCode.FEDERATED_USER,
        f"the credentials are a federated user's; {_YOURS}",
    ),
    (
        re.compile(r"arn:aws[a-z-]*:iam::[0-9]{12}:root"),
        RefusalCode.ROOT_USER,
        f"the credentials are the account's root user's; {_YOURS}",
    ),
)


class Caller(NamedTuple):
    """An IAM user. Identity is (account_id, user_id), the name a label (R1, identity)."""

    identity: Identity
    user_name: str

    @property
    def account_id(self) -> str:
        """Return the user's account."""
        return self.identity.account_id

    @property
    def user_id(self) -> str:
        """Return the user's id within the account."""
        return self.identity.user_id


def claimed_identity(event: Mapping[str, Any]) -> Identity | None:
    """Return the identity that the request context names, of whatever kind; None if it names nobody."""
    node: Any = event
    for name in ("requestContext", "authorizer", "iam"):
        node = node.get(name) if isinstance(node, Mapping) else None
    if not isinstance(node, Mapping):
        return None
    account_id, arn, user_id = (node.get(name) for name in ("accountId", "userArn", "userId"))
    if isinstance(account_id, str) and isinstance(arn, str) and isinstance(user_id, str):
        return Identity(account_id, arn, user_id)
    return None


def iam_user(identity: Identity | None) -> Caller:
    """Return the IAM user of that identity.

    :raises Refusal: there is no identity, or it isn't an IAM user; each kind has a code of its own.
    """
    if identity is None:
        raise Refusal(
            RefusalCode.NO_IDENTITY, "the call doesn't say who makes it; call the function by its URL, signed"
        )
    for pattern, code, message in _OTHERS:
        if pattern.fullmatch(identity.arn):
            raise Refusal(code, message)
    user = _USER.fullmatch(identity.arn)
    if user is None or user["account"] != identity.account_id:
        raise Refusal(RefusalCode.UNKNOWN_IDENTITY, f"the credentials aren't an IAM user's; {_YOURS}")
    return Caller(identity, user["name"])
