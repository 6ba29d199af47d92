# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The proof of who calls (R14, callers prove who they are), by STS's word alone.

A function URL's request context can be forged by anyone who may invoke the function directly. So the caller sends a
signed GetCallerIdentity request; it is taken apart, checked to be nothing else, forwarded to the one STS endpoint
that is configured, and what STS answers must equal the request context.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from datetime import datetime, timezone
from typing import Any, NamedTuple
from xml.etree import ElementTree as ET

import urllib3
from ansible_collections.tracklib.vpn.plugins.module_utils.enroll.function import (
    FUNCTION_HEADER,
    PROOF_AGE,
    STS_BODY,
    STS_CONTENT_TYPE,
    host_of,
)

from .refusal import Refusal, RefusalCode

_MAX_PROOF = 8192  # characters; a session token has some hundred
_MAX_SKEW = 60  # seconds that a caller's clock may be ahead
_MAX_ANSWER = 16384  # bytes; STS answers with less than a kilobyte
_TIMEOUT = urllib3.Timeout(connect=2, read=5)  # seconds
_NAMESPACE = "{https://sts.amazonaws.com/doc/2011-06-15/}"

_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=[A-Z0-9]{16,128}/(?P<day>[0-9]{8})/(?P<region>[a-z0-9-]+)/sts/aws4_request, ?"
    r"SignedHeaders=(?P<signed>[a-z0-9;-]+), ?Signature=[0-9a-f]{64}"
)
_TOKEN = re.compile(r"[A-Za-z0-9+/=_-]{1,4096}")
_CODE = re.compile(r"<Code>([A-Za-z.]{1,64})</Code>")


class Sts(NamedTuple):
    """The only place that proofs go to: `url` without a path, and the region that requests are signed for."""

    url: str
    region: str


class Identity(NamedTuple):
    """Whom STS or a request context names."""

    account_id: str
    arn: str
    user_id: str


def prove(proof: str, claimed: Identity, function: str, sts: Sts, http: urllib3.PoolManager, now: float) -> None:
    """Check that the caller is who the request context says.

    :param proof: the value of PROOF_HEADER.
    :param function: the ARN of this function, without alias, from Lambda and not from the event.
    :param now: seconds since the epoch.
    :raises Refusal: a code `proof_…`; `sts_unavailable` when STS doesn't answer.
    """
    headers = check(proof, function, sts, now)
    if ask(headers, sts, http) != claimed:
        raise Refusal(RefusalCode.PROOF_OF_ANOTHER, "the proof is another identity's than the caller's; use your own")


def check(proof: str, function: str, sts: Sts, now: float) -> dict[str, str]:
    """Check that a proof is for this function and only a GetCallerIdentity request; return the headers to forward.

    :raises Refusal: as `prove`.
    """
    request = _decode(proof)
    headers: dict[str, str] = request["headers"]
    if request["url"] != f"{sts.url}/" or headers.get("host") != host_of(sts.url):
        raise Refusal(
            RefusalCode.PROOF_FOR_ANOTHER_HOST, f"the proof is a request to another host; expected one to {sts.url}/"
        )
    if request["method"] != "POST" or request["body"] != STS_BODY:
        raise Refusal(RefusalCode.PROOF_OF_ANOTHER_REQUEST, f"the proof must be a POST of {STS_BODY}")
    _check_headers(headers)
    if headers[FUNCTION_HEADER.lower()] != function:
        raise Refusal(RefusalCode.PROOF_FOR_ANOTHER_FUNCTION, f"the proof is for another function; expected {function}")
    _check_signature(headers, sts.region)
    _check_age(headers["x-amz-date"], now)
    return headers


def _decode(proof: str) -> dict[str, Any]:
    if len(proof) > _MAX_PROOF:
        raise _malformed(f"it is longer than {_MAX_PROOF} characters")
    try:
        request = json.loads(base64.b64decode(proof, altchars=b"-_", validate=True), object_pairs_hook=_unique)
    except (ValueError, binascii.Error, RecursionError):
        raise _malformed("it is not base64 of JSON, or has a name twice") from None
    names = {"method", "url", "body", "headers"}
    if not isinstance(request, dict) or set(request) != names or not isinstance(request["headers"], dict):
        raise _malformed("it doesn't have exactly method, url, body and headers")
    values = [*(request[name] for name in names - {"headers"}), *request["headers"].values()]
    if not all(isinstance(value, str) for value in values):
        raise _malformed("not all of its values are strings")
    try:
        headers = _unique([(name.lower(), value) for name, value in request["headers"].items()])
    except ValueError:
        raise _malformed("it has a header twice") from None
    return {**request, "headers": headers}


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) != len(pairs):
        raise ValueError("a name appears twice")
    return content


def _malformed(what: str) -> Refusal:
    return Refusal(RefusalCode.PROOF_MALFORMED, f"the proof of identity can't be read: {what}")


def _check_headers(headers: dict[str, str]) -> None:
    expected = _signed_names(headers) | {"authorization"}
    if set(headers) != expected:
        raise Refusal(
            RefusalCode.PROOF_HEADERS,
            f"the proof has other headers than {', '.join(sorted(expected))}",
        )
    if headers["content-type"] != STS_CONTENT_TYPE:
        raise Refusal(RefusalCode.PROOF_HEADERS, f"the proof's content-type must be {STS_CONTENT_TYPE}")
    if not _TOKEN.fullmatch(headers.get("x-amz-security-token", "none")):
        raise _malformed("its session token has characters that no token has")


def _signed_names(headers: dict[str, str]) -> set[str]:
    token = {"x-amz-security-token"} & set(headers)
    return {"content-type", "host", "x-amz-date", FUNCTION_HEADER.lower()} | token


def _check_signature(headers: dict[str, str], region: str) -> None:
    authorization = _AUTHORIZATION.fullmatch(headers["authorization"])
    if authorization is None:
        raise _malformed("its authorization isn't a Signature Version 4 for STS")
    if authorization["region"] != region:
        raise Refusal(RefusalCode.PROOF_FOR_ANOTHER_HOST, f"the proof is signed for another region; expected {region}")
    if authorization["signed"].split(";") != sorted(_signed_names(headers)):
        raise Refusal(RefusalCode.PROOF_HEADERS, "the proof must sign each of its headers and no other")
    if authorization["day"] != headers["x-amz-date"][:8]:
        raise _malformed("its date and its credential's date differ")


def _check_age(date: str, now: float) -> None:
    try:
        if not date.isascii():
            raise ValueError("strptime takes the digits of any script")
        signed_at = datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=timezone.utc).timestamp()
    except ValueError:
        raise _malformed("its x-amz-date isn't a date") from None
    if not -_MAX_SKEW <= now - signed_at <= PROOF_AGE:
        raise Refusal(
            RefusalCode.PROOF_EXPIRED,
            f"the proof was signed at {date}, and it is {datetime.fromtimestamp(now, timezone.utc):%Y%m%dT%H%M%SZ}; "
            f"it may be {PROOF_AGE} s old: check this machine's clock",
        )


def ask(headers: dict[str, str], sts: Sts, http: urllib3.PoolManager) -> Identity:
    """Ask STS whose signature it is.

    :param headers: what `check` returned.
    :raises Refusal: STS refuses the signature or doesn't answer.
    """
    try:
        answer = http.request(
            "POST",
            f"{sts.url}/",
            body=STS_BODY,
            headers=headers,
            redirect=False,
            retries=False,
            timeout=_TIMEOUT,
            preload_content=False,
        )
        try:
            text = answer.read(_MAX_ANSWER + 1).decode()
        finally:
            answer.close()
    except (urllib3.exceptions.HTTPError, UnicodeDecodeError) as error:
        raise _unavailable(type(error).__name__) from None
    code = _CODE.search(text)
    if 400 <= answer.status < 500 and code is not None and code[1] not in ("Throttling", "ThrottlingException"):
        raise Refusal(RefusalCode.PROOF_REJECTED, f"STS doesn't accept the proof's signature: {code[1]}")
    if answer.status != 200 or len(text) > _MAX_ANSWER or "<!" in text:  # no entities, no document type
        raise _unavailable(f"status {answer.status}")
    return _identity(text)


def _unavailable(what: str) -> Refusal:
    return Refusal(RefusalCode.STS_UNAVAILABLE, f"STS gave no usable answer ({what}); nothing was changed, try again")


def _identity(text: str) -> Identity:
    try:
        # STS's own answer, of limited size and without entities
        result = ET.fromstring(text).find(f"{_NAMESPACE}GetCallerIdentityResult")  # noqa: S314 - see above
    except ET.ParseError:
        raise _unavailable("not XML") from None
    parts = [] if result is None else [result.findtext(_NAMESPACE + name) for name in ("Account", "Arn", "UserId")]
    if not all(parts) or len(parts) != 3:
        raise _unavailable("without an identity")
    return Identity(*(str(part) for part in parts))
