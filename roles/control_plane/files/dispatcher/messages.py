# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What a message of the queue may be; everything else is poison.

Nothing in a message is trusted but the account of the envelope, which EventBridge sets.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from typing import Annotated, Any, Literal, NamedTuple, Union

from ansible_collections.tracklib.vpn.plugins.module_utils.model import DEVICE_NAME, USER_NAME
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

# All that a rule forwards. The last line is what happens before a user is deleted, or instead.
IAM_EVENTS = (
    "CreateUser", "DeleteUser", "UpdateUser",
    "AddUserToGroup", "RemoveUserFromGroup", "DeleteGroup", "UpdateGroup",
    "DeleteLoginProfile", "DeleteAccessKey", "UpdateAccessKey", "DeactivateMFADevice",
)  # fmt: skip
SIGNS = ("DeleteLoginProfile", "DeleteAccessKey", "UpdateAccessKey")
HOST_STATES = ("running", "stopped", "terminated")


_ARN = r"arn:[\x21-\x7e]{1,2044}"


class Poison(ValueError):
    """A message that no number of attempts makes any better; says what is wrong with it."""


class SweepDue(NamedTuple):
    """The message that asks for a run, whatever the sweeper finds."""


class RemovedDevice(NamedTuple):
    """A device that its user removed, as self-service says."""

    account_id: str
    user_id: str
    user_name: str
    device: str


class RegistryChanged(NamedTuple):
    """Self-service changed a registration."""

    removed: RemovedDevice | None = None


class EndingsDue(NamedTuple):
    """The daily schedule's message: operators are told what ends soon."""


class IamChanged(NamedTuple):
    """Somebody changed a user or a group; which one doesn't matter to a run, which reads all."""

    account_id: str
    event_id: str
    event_name: str
    event_time: float  # seconds since the epoch, as are all


class UserDeleted(NamedTuple):
    """A user was deleted: the one change that leaves more than a reason to run."""

    account_id: str
    event_id: str
    user_name: str
    event_time: float
    by: str | None = None  # the ARN of who did it, as far as the event says it


class SignOfLeaving(NamedTuple):
    """A way to sign in was taken away from a user, who may be about to leave."""

    account_id: str
    event_id: str
    event_name: str
    user_name: str
    event_time: float


class HostChanged(NamedTuple):
    """An EC2 instance is running, stopped or terminated."""

    instance_id: str
    state: str


Message = Union[SweepDue, RegistryChanged, EndingsDue, IamChanged, UserDeleted, SignOfLeaving, HostChanged]


class _Model(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True)


class _Removed(_Model):
    model_config = ConfigDict(extra="forbid")

    account_id: Annotated[str, Field(pattern=r"^[0-9]{12}$")]
    user_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9]{1,128}$")]
    user_name: Annotated[str, Field(pattern=f"^{USER_NAME}$")]
    device: Annotated[str, Field(pattern=f"^{DEVICE_NAME}$")]


class _Own(_Model):
    model_config = ConfigDict(extra="forbid")

    kind: Literal["sweep", "registry_changed", "endings"]
    removed: _Removed | None = None


_OWN: dict[str, Message] = {"sweep": SweepDue(), "endings": EndingsDue()}


class _IamDetail(_Model):
    event_source: Literal["iam.amazonaws.com"] = Field(alias="eventSource")
    event_name: str = Field(alias="eventName")
    # it becomes part of an item's key
    event_id: Annotated[str, Field(alias="eventID", pattern=r"^[0-9A-Za-z-]{1,64}$")]
    event_time: AwareDatetime = Field(alias="eventTime")
    error_code: None = Field(None, alias="errorCode")
    request_parameters: Any = Field(None, alias="requestParameters")
    user_identity: Any = Field(None, alias="userIdentity")


class _IamEvent(_Model):
    account: str
    detail_type: Literal["AWS API Call via CloudTrail"] = Field(alias="detail-type")
    detail: _IamDetail


class _Named(_Model):
    user_name: Annotated[str, Field(alias="userName", pattern=f"^{USER_NAME}$")]


class _HostDetail(_Model):
    instance_id: Annotated[str, Field(alias="instance-id", pattern=r"^i-[0-9a-f]{8,17}$")]
    state: str


class _HostEvent(_Model):
    account: str
    detail_type: Literal["EC2 Instance State-change Notification"] = Field(alias="detail-type")
    detail: _HostDetail


def parse(body: str, identity_accounts: Collection[str], gateway_account: str) -> Message:
    """Read a message's body.

    :param identity_accounts: whose IAM events count.
    :param gateway_account: whose EC2 events count.
    :raises Poison: it isn't one of the known messages. How old it is never matters.
    """
    try:
        content = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Poison(f"the body isn't JSON: {error}") from None
    source = content.get("source") if isinstance(content, dict) else None
    try:
        if source == "aws.iam":
            return _iam_message(_IamEvent.model_validate_json(body), identity_accounts)
        if source == "aws.ec2":
            return _host_message(_HostEvent.model_validate_json(body), gateway_account)
        return _own_message(_Own.model_validate_json(body))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the message"
        raise Poison(f"{where}: {first['msg']}") from None


def _own_message(message: _Own) -> Message:
    if message.kind in _OWN:
        return _OWN[message.kind]
    removed = None if message.removed is None else RemovedDevice(**message.removed.model_dump())
    return RegistryChanged(removed)


def _iam_message(event: _IamEvent, accounts: Collection[str]) -> Message:
    detail = event.detail
    if event.account not in accounts:
        raise Poison(f"account: {event.account!r} isn't one of the identity accounts ({', '.join(sorted(accounts))})")
    if detail.event_name not in IAM_EVENTS:
        raise Poison(f"detail.eventName: {detail.event_name!r} is no event that the rules forward")
    at = detail.event_time.timestamp()
    if detail.event_name == "DeleteUser":
        named = _Named.model_validate(detail.request_parameters)
        return UserDeleted(event.account, detail.event_id, named.user_name, at, _by(detail.user_identity))
    if _is_sign(detail):
        named = _Named.model_validate(detail.request_parameters)
        return SignOfLeaving(event.account, detail.event_id, detail.event_name, named.user_name, at)
    return IamChanged(event.account, detail.event_id, detail.event_name, at)


def _by(user_identity: Any) -> str | None:
    """Read who did it: it only keeps books, so that whatever else is there makes no message poison."""
    arn = user_identity.get("arn") if isinstance(user_identity, dict) else None
    return arn if isinstance(arn, str) and re.fullmatch(_ARN, arn) else None


def _is_sign(detail: _IamDetail) -> bool:
    """Whether a user can't sign in one of the ways any more; who does it to themselves may leave out the name."""
    parameters = detail.request_parameters
    if detail.event_name not in SIGNS or not isinstance(parameters, dict) or "userName" not in parameters:
        return False
    return detail.event_name != "UpdateAccessKey" or parameters.get("status") == "Inactive"


def _host_message(event: _HostEvent, account: str) -> Message:
    if event.account != account:
        raise Poison(f"account: {event.account!r} isn't the gateways' account ({account})")
    if event.detail.state not in HOST_STATES:
        raise Poison(f"detail.state: {event.detail.state!r} is no state that the rule forwards")
    return HostChanged(event.detail.instance_id, event.detail.state)
