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
from typing import TYPE_CHECKING, Any, Mapping, NamedTuple

try:
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.exceptions import BotoCoreError
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
    """What an operator tells users of the function.

    `arn` is without alias; `sts_url` only where STS isn't AWS's own endpoint of the function's region.
    """

    arn: str
    manage_url: str
    renew_url: str
    sts_url: str | None = None

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
    return _call(credentials, function, "POST", f"{function.manage_url.rstrip('/')}/devices", body)


def devices(credentials: ReadOnlyCredentials, function: Function) -> dict[str, Any]:
    """Return the caller's `devices`, and the `tunnel`."""
    return _call(credentials, function, "GET", f"{function.manage_url.rstrip('/')}/devices")


def renew(credentials: ReadOnlyCredentials, function: Function, device: str) -> dict[str, Any]:
    """Begin a new life of a registration; key and addresses stay. Answers as `register`."""
    return _call(credentials, function, "PUT", f"{_device_url(function.renew_url, device)}/renewal")


def rotate(credentials: ReadOnlyCredentials, function: Function, device: str, public_key: str) -> dict[str, Any]:
    """Give a device another key; addresses and expiry stay. Answers as `register`."""
    url = f"{_device_url(function.manage_url, device)}/key"
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
        status, answer = _send(method, url, headers, text)
        if status not in (429, 502, 503):
            break
    if status < 300:
        return answer
    raise _error(status, answer, url)


def _send(method: str, url: str, headers: Mapping[str, str], body: str) -> tuple[int, dict[str, Any]]:
    session = URLLib3Session(proxies=get_environ_proxies(url), timeout=_TIMEOUT)
    request = AWSRequest(method=method, url=url, data=body, headers=dict(headers), stream_output=True)
    try:
        answer = session.send(request.prepare())
        content = answer.raw.read(_MAX_ANSWER)
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
    return answer.status_code, found if isinstance(found, dict) else {}


def _error(status: int, answer: Mapping[str, Any], url: str) -> SelfServiceError:
    error = answer.get("error")
    if isinstance(error, dict):
        return SelfServiceError(str(error.get("message")), str(error.get("code")), status)
    if status == 403:  # AWS's own word, before the function was asked
        return SelfServiceError(
            f"AWS refused the call to {host_of(url)}: {answer.get('Message', 'Forbidden')}. The user's policies must "
            "allow lambda:InvokeFunctionUrl and lambda:InvokeFunction on it; renewing may need a fresh MFA session",
            "forbidden",
            status,
        )
    return SelfServiceError(
        f"the self-service function at {host_of(url)} answered {status} without saying why; try again in a minute",
        "no_answer",
        status,
    )
