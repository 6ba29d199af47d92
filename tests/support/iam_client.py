# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""IAM's client for tests that need it to be denied, to be throttled or to contradict itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from ansible_collections.tracklib.vpn.plugins.module_utils.model import User
from botocore.exceptions import ClientError


def error(code: str) -> ClientError:
    """What the SDK raises when AWS refuses a call."""
    return ClientError({"Error": {"Code": code, "Message": "said"}}, "Operation")


def detail(user: User) -> dict[str, Any]:
    """A user as IAM writes it."""
    return {
        "UserId": user.user_id,
        "UserName": user.user_name,
        "CreateDate": datetime.fromtimestamp(user.created_at, UTC),
        "GroupList": list(user.groups),
        "Path": user.path,
        "Arn": f"arn:aws:iam::{user.account_id}:user/{user.user_name}",
    }


class Iam:
    """IAM of one account.

    :param listed: the users whom a sweep lists, in one page.
    :param unlisted: further users, whom only a question by name finds.
    :param refusing: what an operation raises instead of answering, by its name: `get_user`, or `get_user alice`.
    :param unable: names of users who can't sign in.
    """

    def __init__(
        self,
        listed: Iterable[User] = (),
        *,
        unlisted: Iterable[User] = (),
        refusing: Mapping[str, Exception] | None = None,
        unable: Iterable[str] = (),
    ) -> None:
        self._listed = list(listed)
        self._by_name = {user.user_name: user for user in (*self._listed, *unlisted)}
        self._refusing = refusing or {}
        self._unable = set(unable)
        self.asked: list[str] = []  # names that questions were about

    def _refuse(self, operation: str, user_name: str = "") -> None:
        for refused in (operation, f"{operation} {user_name}"):
            if refused in self._refusing:
                raise self._refusing[refused]

    def get_account_authorization_details(self, **_request: Any) -> dict[str, Any]:
        """All users, in one page."""
        self._refuse("get_account_authorization_details")
        return {"UserDetailList": [detail(user) for user in self._listed], "IsTruncated": False}

    def get_user(self, UserName: str) -> dict[str, Any]:  # as the SDK has it
        """One user."""
        self.asked.append(UserName)
        self._refuse("get_user", UserName)
        if UserName not in self._by_name:
            raise error("NoSuchEntity")
        return {"User": detail(self._by_name[UserName])}

    def get_login_profile(self, UserName: str) -> dict[str, Any]:  # as the SDK has it
        """Whether there is a password."""
        self.asked.append(UserName)
        self._refuse("get_login_profile", UserName)
        if UserName in self._unable:
            raise error("NoSuchEntity")
        return {}

    def list_access_keys(self, UserName: str) -> dict[str, Any]:  # as the SDK has it
        """Keys of those who have no password: none."""
        self._refuse("list_access_keys", UserName)
        assert UserName in self._unable
        return {"AccessKeyMetadata": []}
