# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The user's own AWS credentials: where they come from, and a session made with an MFA device.

No Ansible; of the collection only what the script has, too.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Callable

from .function import SelfServiceError

if TYPE_CHECKING:
    from botocore.credentials import ReadOnlyCredentials

# what botocore calls the ways by which credentials can only be a role's; "login" gives a user's, too
_ROLE_SESSIONS = {
    "sso": "single sign-on",
    "assume-role": "an assumed role",
    "assume-role-with-web-identity": "a role assumed by a web identity",
    "iam-role": "an instance's role",
    "container-role": "a container's role",
}
_USE_YOUR_OWN = (
    "the VPN knows IAM users only. Use a profile with the access keys of your own IAM user, or with an MFA session "
    "that was made with them (aws sts get-session-token), or sign in as your IAM user (aws login)"
)
_CODES = 3  # that may be typed
_SESSION = 3600  # seconds that a session lives, which is for this run alone


def user_credentials(session: Any) -> ReadOnlyCredentials:
    """Return the credentials that a session of boto3 or botocore has, unless they are plainly a role's.

    A role's that look like a user's own, such as exported ones, are refused by the function.

    :raises SelfServiceError: `no_credentials`, `role_session`.
    """
    from botocore.exceptions import BotoCoreError

    try:
        credentials = session.get_credentials()
        kind = None if credentials is None else _ROLE_SESSIONS.get(credentials.method)
        if kind is not None:
            raise SelfServiceError(
                f"these AWS credentials are a role's session ({kind}), and {_USE_YOUR_OWN}", "role_session"
            )
        frozen: ReadOnlyCredentials | None = None if credentials is None else credentials.get_frozen_credentials()
    except BotoCoreError as error:
        raise SelfServiceError(f"no AWS credentials: {error}", "no_credentials") from None
    if frozen is None:
        raise SelfServiceError(f"no AWS credentials were found; {_USE_YOUR_OWN}", "no_credentials")
    return frozen


def mfa_credentials(session: Any, region: str, sts_url: str | None, ask: Callable[[str], str]) -> ReadOnlyCredentials:
    """Make a session with the user's MFA device, for this process alone.

    :param session: botocore's, with access keys; STS makes no session of a session.
    :param ask: shows a question, and returns what the user types.
    :raises SelfServiceError: `authenticate_again`, saying what is in the way.
    """
    from botocore.credentials import ReadOnlyCredentials
    from botocore.exceptions import BotoCoreError, ClientError

    if user_credentials(session).token is not None:
        raise SelfServiceError(
            "AWS wants a fresh MFA session, and these credentials are a session already, of which none can be made: "
            "sign in again with your MFA device, or choose a profile with your access keys (--profile)",
            "authenticate_again",
        )
    sts = session.create_client("sts", region_name=region, endpoint_url=sts_url)
    try:
        serial = session.get_scoped_config().get("mfa_serial") or _serial(session, region, sts)
        made = _session_token(sts, serial, ask)
    except (BotoCoreError, ClientError) as error:
        raise SelfServiceError(f"no MFA session could be made: {error}", "authenticate_again") from None
    return ReadOnlyCredentials(made["AccessKeyId"], made["SecretAccessKey"], made["SessionToken"])


def _session_token(sts: Any, serial: str, ask: Callable[[str], str]) -> dict[str, str]:
    from botocore.exceptions import ClientError

    problem = ""
    for _attempt in range(_CODES):
        code = ask(f"{problem}code of your MFA device {serial}: ").strip()
        if not re.fullmatch("[0-9]{6}", code):
            problem = "that isn't six digits; "
            continue
        try:
            made = sts.get_session_token(SerialNumber=serial, TokenCode=code, DurationSeconds=_SESSION)
        except ClientError as error:
            if error.response["Error"]["Code"] != "AccessDenied":
                raise
            problem = f"AWS refused it ({error.response['Error']['Message']}); "
            continue
        found: dict[str, str] = made["Credentials"]
        return found
    raise SelfServiceError(
        f"no MFA session could be made: {problem}wait for the next code of {serial}, and run this again",
        "authenticate_again",
    )


def _serial(session: Any, region: str, sts: Any) -> str:
    user_name = sts.get_caller_identity()["Arn"].rpartition("/")[2]
    devices = session.create_client("iam", region_name=region).list_mfa_devices(UserName=user_name)["MFADevices"]
    if not devices:
        raise SelfServiceError(
            "AWS wants a fresh MFA session, and your IAM user has no MFA device: add one in the AWS console (Security "
            "credentials), and run this again",
            "authenticate_again",
        )
    serial: str = devices[0]["SerialNumber"]
    return serial
