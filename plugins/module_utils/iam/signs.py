# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Early signs of leaving: what an event said, checked with IAM. An event proves nothing (R12, events are hints)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Collection, Iterable, NamedTuple, Sequence

from ..aws import AWSCallError, calling
from ..model import CONSISTENCY, Block, Owner, Sign, Sweep

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient


class Confirmed(NamedTuple):
    """A sign of a user who has no way to sign in left."""

    sign: Sign
    user_name: str  # now


class Signs(NamedTuple):
    """An account's signs as IAM confirms them or not; those of which it can't be sure yet are in neither."""

    confirmed: Sequence[Confirmed] = ()
    refuted: Sequence[Sign] = ()
    error: str | None = None  # why nothing is known


def check(iam: IAMClient, sweep: Sweep, signs: Iterable[Sign], registered: Collection[Owner], now: float) -> Signs:
    """Ask IAM about the signs of an account: whether their users have any way to sign in left.

    :param iam: of the account of sweep and signs. Takes one or two calls for each sign of a registered user who exists.
    :param now: seconds since the epoch.
    :raises AWSCallError: IAM didn't say.
    """
    confirmed, refuted = [], []
    for sign in signs:
        user = sweep.users.get(sign.user_id)
        if user is not None and (sign.account_id, sign.user_id) in registered and not can_sign_in(iam, user.user_name):
            confirmed.append(Confirmed(sign, user.user_name))
        elif now > sign.event_time + CONSISTENCY:  # until then IAM may say what was before
            refuted.append(sign)
    return Signs(confirmed, refuted)


def can_sign_in(iam: IAMClient, user_name: str) -> bool:
    """Tell whether a user has a login profile or an active access key."""
    try:
        with calling("iam:GetLoginProfile", f"user {user_name}"):
            iam.get_login_profile(UserName=user_name)
        return True
    except AWSCallError as error:
        if error.code != "NoSuchEntity":
            raise
    with calling("iam:ListAccessKeys", f"user {user_name}"):
        keys = iam.list_access_keys(UserName=user_name)["AccessKeyMetadata"]  # at most two
    return any(key["Status"] == "Active" for key in keys)


def suspension(sign: Sign, by: str | None) -> Block:
    """Make the block by which policy answers a sign; an operator lifts it.

    :param by: the ARN of who applies the policy.
    """
    reason = f"suspended: {sign.event_name} left no login profile and no active access key"
    return Block(sign.account_id, sign.user_id, None, reason, sign.event_time, by)
