# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The caller's side of the self-service function: the proof of identity (R14, callers prove who they are), and calls.

Needs boto3 (for credentials) and botocore, no Ansible, and nothing else of this collection.
"""

from __future__ import annotations

import base64
import json
import random
import re
import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Mapping, NamedTuple

try:
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.exceptions import BotoCoreError, SSLError
    from botocore.httpsession import URLLib3Session
    from botocore.utils import get_environ_proxies
    from urllib3.exceptions import HTTPError
except ImportError:  # whoever makes the credentials reports the missing SDK
    pass

if TYPE_CHECKING:
    from botocore.credentials import ReadOnlyCredentials

PROOF_HEADER = "X-Tracklib-Vpn-Proof"
FUNCTION_HEADER = "X-Tracklib-Vpn-Function"  # names the function that a proof is for
PROOF_AGE = 300  # seconds
STS_BODY = "Action=GetCallerIdentity&Version=2011-06-15"
STS_CONTENT_TYPE = "application/x-www-form-urlencoded; charset=utf-8"

_ATTEMPTS = 4
_TIMEOUT = 40  # seconds; the function may take 30
_MAX_ANSWER = 1_000_000  # bytes


class SelfServiceError(RuntimeError):
    """A call that did not do what was asked: a sentence that says why, and the function's stable code."""

    def __init__(self, message: str, code: str, status: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


class Function(NamedTuple):
    """What an operator tells users of the function, and how this machine trusts its address.

    `arn` is without alias; `manage_url` lists and removes, `renew_url` does what lets a device in or gives it time;
    `sts_url` only where STS isn't AWS's own endpoint of the function's region. `verify` is
    botocore's: a file of certificates, or whether certificates are checked.
    """

    arn: str
    manage_url: str
    renew_url: str
    sts_url: str | None = None
    verify: str | bool = True

    @property
    def region(self) -> str:
        """The region that the function is in, and whose STS vouches for callers."""
        return self.arn.split(":")[3]


def regional_sts(region: str) -> str:
    """Return STS's own endpoint of a region, without a path."""
    suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    return f"https://sts.{region}.{suffix}"


def host_of(url: str) -> str:
    """Return the value of the Host header for a URL."""
    return url.partition("//")[2].partition("/")[0]


def proof(credentials: ReadOnlyCredentials, function: Function) -> str:
    """Sign a GetCallerIdentity request for `function` to forward to STS, as the value of PROOF_HEADER."""
    base = (function.sts_url or regional_sts(function.region)).rstrip("/")
    url = f"{base}/"
    headers = {"Host": host_of(url), "Content-Type": STS_CONTENT_TYPE, FUNCTION_HEADER: function.arn}
    request = {
        "method": "POST",
        "url": url,
        "body": STS_BODY,
        "headers": signed(credentials, "POST", url, headers, STS_BODY, "sts", function.region),
    }
    return base64.urlsafe_b64encode(json.dumps(request, separators=(",", ":")).encode()).decode()


def signed(
    credentials: ReadOnlyCredentials,
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: str,
    service: str,
    region: str,
) -> dict[str, str]:
    """Return `headers` and those of Signature Version 4, which signs all of them."""
    request = AWSRequest(method=method, url=url, data=body, headers=dict(headers))
    SigV4Auth(credentials, service, region).add_auth(request)
    return {name: str(value) for name, value in request.headers.items()}


def register(credentials: ReadOnlyCredentials, function: Function, device: str, public_key: str) -> dict[str, Any]:
    """Register a device; again with the same key, it changes nothing.

    :returns: `device`, `tunnel` and `in_force_from`, as docs/self-service.openapi.json describes them.
    :raises SelfServiceError: the function refused, or could not be reached.
    """
    body = {"device": device, "public_key": public_key}
    return _call(credentials, function, "POST", f"{function.renew_url.rstrip('/')}/devices", body)


def devices(credentials: ReadOnlyCredentials, function: Function) -> dict[str, Any]:
    """Return the caller's `devices`, and the `tunnel`."""
    return _call(credentials, function, "GET", f"{function.manage_url.rstrip('/')}/devices")


def renew(credentials: ReadOnlyCredentials, function: Function, device: str) -> dict[str, Any]:
    """Begin a new life of a registration; key and addresses stay. Answers as `register`."""
    return _call(credentials, function, "PUT", f"{_device_url(function.renew_url, device)}/renewal")


def rotate(credentials: ReadOnlyCredentials, function: Function, device: str, public_key: str) -> dict[str, Any]:
    """Give a device another key; addresses and expiry stay. Answers as `register`."""
    url = f"{_device_url(function.renew_url, device)}/key"
    return _call(credentials, function, "PUT", url, {"public_key": public_key})


def remove(credentials: ReadOnlyCredentials, function: Function, device: str) -> dict[str, Any]:
    """Remove a device; the answer has `device`, as it was, and `in_force_from`."""
    return _call(credentials, function, "DELETE", _device_url(function.manage_url, device))


def _device_url(base: str, device: str) -> str:
    # anything else could make another path of it; what a name may be, the function says itself
    if not re.fullmatch("[a-z0-9-]+", device):
        raise SelfServiceError(
            f"device name {device!r} is refused; expected 1 to 32 lower-case letters, digits and hyphens",
            "invalid_device",
        )
    return f"{base.rstrip('/')}/devices/{device}"


def _call(
    credentials: ReadOnlyCredentials, function: Function, method: str, url: str, body: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """One call, again after a pause when the function is busy or lacks something: then it has changed nothing."""
    text = "" if body is None else json.dumps(body)
    for attempt in range(_ATTEMPTS):
        if attempt:
            time.sleep(random.uniform(0.5, 1) * 2**attempt)
        headers = {"Content-Type": "application/json"} if text else {}
        headers[PROOF_HEADER] = proof(credentials, function)
        headers = signed(credentials, method, url, headers, text, "lambda", function.region)
        answer = _send(method, url, headers, text, function.verify)
        if answer.status not in (429, 502, 503):
            break
    if answer.status < 300:
        return answer.content
    raise _error(answer, url)


class _Answer(NamedTuple):
    status: int
    content: dict[str, Any]  # empty if it isn't an object of JSON
    clock: float | None  # what the server's clock says, seconds since the epoch


def _send(method: str, url: str, headers: Mapping[str, str], body: str, verify: Any) -> _Answer:
    session = URLLib3Session(verify=verify, proxies=get_environ_proxies(url), timeout=_TIMEOUT)
    request = AWSRequest(method=method, url=url, data=body, headers=dict(headers), stream_output=True)
    try:
        answer = session.send(request.prepare())
        content = answer.raw.read(_MAX_ANSWER)
    except SSLError as error:
        raise SelfServiceError(
            f"the certificate of {host_of(url)} isn't one that this machine trusts ({' '.join(str(error).split())}). "
            "If your company's proxy opens TLS, name the file of its certificate in AWS_CA_BUNDLE, or in the profile "
            "as ca_bundle",
            "certificate",
        ) from None
    except (BotoCoreError, HTTPError, OSError) as error:
        raise SelfServiceError(
            f"the self-service function at {host_of(url)} could not be reached ({' '.join(str(error).split())}); "
            "check the address and this machine's network",
            "unreachable",
        ) from None
    finally:
        session.close()
    try:
        found = json.loads(content)
    except ValueError:
        found = None
    return _Answer(answer.status_code, found if isinstance(found, dict) else {}, _clock(answer.headers.get("Date")))


def _clock(date: str | None) -> float | None:
    try:
        return parsedate_to_datetime(date or "").timestamp()
    except (TypeError, ValueError):  # the former in Python 3.9
        return None


def _error(answer: _Answer, url: str) -> SelfServiceError:
    status, error = answer.status, answer.content.get("error")
    code, message = "forbidden", ""
    if isinstance(error, dict):
        code, message = str(error.get("code")), str(error.get("message"))
    ahead = 0.0 if answer.clock is None else time.time() - answer.clock
    if abs(ahead) > PROOF_AGE and (status == 403 or code == "proof_expired"):
        return SelfServiceError(
            f"this machine's clock is {abs(ahead) / 60:.0f} minutes {'ahead of' if ahead > 0 else 'behind'} AWS's, "
            f"which refuses what is signed more than {PROOF_AGE // 60} minutes off; set the clock (Linux with systemd: "
            "sudo timedatectl set-ntp true), and run this again",
            "clock",
            status,
        )
    if message:
        return SelfServiceError(message, code, status)
    if status == 403:  # AWS's own word, before the function was asked
        said = str(answer.content.get("Message") or answer.content.get("message") or "Forbidden")
        if re.search("expired|security token", said, re.IGNORECASE):
            return SelfServiceError(
                f"the AWS session of these credentials is over, or they aren't valid any more ({said.rstrip('.')}); "
                "sign in again as you did for them (aws login, or aws sts get-session-token for MFA), or make new "
                "access keys",
                "expired_credentials",
                status,
            )
        return SelfServiceError(
            f"AWS refused the call to {host_of(url)}: {said.rstrip('.')}. The user's policies must allow "
            "lambda:InvokeFunctionUrl and lambda:InvokeFunction on it; renewing may need a fresh MFA session",
            "forbidden",
            status,
        )
    return SelfServiceError(
        f"the self-service function at {host_of(url)} answered {status} without saying why; try again in a minute",
        "no_answer",
        status,
    )
