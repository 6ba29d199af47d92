# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Sweeps: complete reads of an account's IAM users."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any, Callable, Mapping

from ..aws import AWSCallError, calling
from ..model import USER_NAME, Sweep, User

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_sts import STSClient

PAGE_SIZE = 1000  # GetAccountAuthorizationDetails' maximum


def check_account(sts: STSClient, account_id: str) -> str | None:
    """Refuse credentials of another account than the configured one (R3, partial knowledge).

    :returns: the ARN of the caller, for the records that an order leaves; None if STS didn't say.
    :raises AWSCallError: naming both accounts, or why STS didn't answer.
    """
    with calling("sts:GetCallerIdentity", f"account {account_id}"):
        caller = sts.get_caller_identity()
        own_account, arn = caller["Account"], caller.get("Arn")
    if own_account != account_id:
        expected = account_id or "that of vpn_account_id, which is empty"
        raise AWSCallError(
            f"these credentials belong to account {own_account}, expected {expected}; "
            "use the account's own credentials or role, or correct vpn_account_id / vpn_identity_accounts",
            "WrongAccount",
        )
    return arn


def sweep(iam: IAMClient, account_id: str, clock: Callable[[], float] = time.time) -> Sweep:
    """Read all users of an account, to the last page.

    :raises AWSCallError: when any page is missing, cut off or contradicts another one; a partial answer is never
        returned (R3, partial knowledge).
    """
    begun_at = clock()
    users: dict[str, User] = {}
    marker: str | None = None
    while True:
        request: dict[str, Any] = {"Filter": ["User"], "MaxItems": PAGE_SIZE}
        if marker is not None:
            request["Marker"] = marker
        with calling("iam:GetAccountAuthorizationDetails", f"account {account_id}"):
            page = iam.get_account_authorization_details(**request)
        for user in _users(page, account_id):
            if users.setdefault(user.user_id, user) != user:
                raise AWSCallError(
                    f"the sweep of account {account_id} listed {user.user_name} ({user.user_id}) twice, and not "
                    "alike; run it again"
                )
        following = page.get("Marker")
        if page.get("IsTruncated") is False and not following:  # to the SDK whatever isn't `true` is False
            return Sweep(account_id, begun_at, users)
        if page.get("IsTruncated") is not True or not following or following == marker:
            raise AWSCallError(
                f"the sweep of account {account_id} broke off after {len(users)} users: IAM's answer says neither that "
                "nothing follows nor where it goes on; run it again"
            )
        marker = following


def _users(page: Mapping[str, Any], account_id: str) -> list[User]:
    """Read a page. :raises AWSCallError: it isn't what IAM sends."""
    try:
        return [_user(detail, account_id) for detail in page["UserDetailList"]]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise AWSCallError(
            f"the sweep of account {account_id} got an answer that isn't IAM's ({type(error).__name__}: {error}); is "
            "something between this host and AWS? Run it again"
        ) from error


def _user(detail: Mapping[str, Any], account_id: str) -> User:
    """Read a user. :raises ValueError: or another; it isn't what IAM sends."""
    user_name = detail["UserName"]
    if not re.fullmatch(USER_NAME, user_name):
        raise ValueError(f"{user_name!r} can't be the name of an IAM user")
    return User(
        account_id=account_id,
        user_id=detail["UserId"],
        user_name=user_name,
        created_at=detail["CreateDate"].timestamp(),
        groups=tuple(detail.get("GroupList", ())),
        path=detail["Path"],
        arn=detail["Arn"],
        tags=tuple((tag["Key"], tag["Value"]) for tag in detail.get("Tags", ())),
    )


def find_user(iam: IAMClient, account_id: str, user_name: str) -> User | None:
    """Find one user by name, without groups and tags; None if IAM says that there is none."""
    try:
        with calling("iam:GetUser", f"user {user_name} of account {account_id}"):
            answer = iam.get_user(UserName=user_name)
    except AWSCallError as error:
        if error.code == "NoSuchEntity":
            return None
        raise
    try:
        user = _user(answer["User"], account_id)
        if user.user_name.casefold() != user_name.casefold():
            raise ValueError(f"it is about {user.user_name}")
        return user
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise AWSCallError(
            f"iam:GetUser for user {user_name} of account {account_id} got an answer that isn't IAM's "
            f"({type(error).__name__}: {error})"
        ) from error


def find_user_in_any_case(
    iam: IAMClient, account_id: str, user_name: str, last_sweep: Callable[[], Sweep | None]
) -> User | None:
    """Find one user by name, also when it is spelt in another case than IAM's: GetUser may tell these apart.

    :param last_sweep: returns the account's last complete sweep, which knows how IAM spells the name; read only if
        IAM doesn't know the name as it is given.
    """
    user = find_user(iam, account_id, user_name)
    if user is not None:
        return user
    stored = last_sweep()
    listed = stored.named(user_name) if stored is not None else None
    if listed is None or listed.user_name == user_name:
        return None
    return find_user(iam, account_id, listed.user_name)


def sweep_of_user(iam: IAMClient, account_id: str, user_name: str, clock: Callable[[], float] = time.time) -> Sweep:
    """Sweep one user alone, with groups; the sweep lists nobody if IAM says that there is no such user."""
    begun_at = clock()
    user = find_user(iam, account_id, user_name)
    groups = None if user is None else _groups(iam, account_id, user_name)
    if user is None or groups is None:
        return Sweep(account_id, begun_at, {})
    return Sweep(account_id, begun_at, {user.user_id: user._replace(groups=groups)})


def _groups(iam: IAMClient, account_id: str, user_name: str) -> tuple[str, ...] | None:
    """The names of a user's groups; None if IAM says that there is no such user."""
    groups: list[str] = []
    request: dict[str, Any] = {"UserName": user_name}
    while True:
        try:
            with calling("iam:ListGroupsForUser", f"user {user_name} of account {account_id}"):
                page = iam.list_groups_for_user(**request)
        except AWSCallError as error:
            if error.code == "NoSuchEntity":  # deleted since the call before
                return None
            raise
        groups += [group["GroupName"] for group in page["Groups"]]
        if not page["IsTruncated"]:
            return tuple(groups)
        request["Marker"] = page["Marker"]
