# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What moto leaves out of signatures: it checks none, and gives all sessions one made-up key.

Here GetCallerIdentity refuses a wrong signature and a key that is no longer anybody's, sessions (GetSessionToken,
GetFederationToken) have keys of their own, and `/_signer` tells who signed a request, as a function URL finds out.
A key with EXAMPLE in it is the tests' own operator, whom moto lets do anything.
"""

from __future__ import annotations

import base64
import io
import json
import re
from typing import Any, NamedTuple

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from moto.core.responses import ActionResult
from moto.iam.models import AccessKey, iam_backends
from moto.sts.models import STSBackend, sts_backends
from moto.sts.responses import TokenResponse

_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/([^/]+)/aws4_request, ?"
    r"SignedHeaders=([^,]+), ?Signature=(\w+)"
)


class Signer(NamedTuple):
    """Whose key it is, and what is needed to check a signature."""

    secret: str
    token: str | None
    account_id: str
    arn: str
    user_id: str


_sessions: dict[str, Signer] = {}  # by access key


class SignatureError(Exception):
    """A request that AWS would refuse; the text is its error code."""


def complete() -> None:
    """Give moto's STS sessions of users."""
    moto_identity = STSBackend.get_caller_identity

    def get_caller_identity(self: STSBackend, access_key_id: str, region: str) -> tuple[str, str, str]:
        session = _sessions.get(access_key_id)
        if session is not None:
            return session.user_id, session.arn, session.account_id
        found: tuple[str, str, str] = moto_identity(self, access_key_id, region)
        return found

    def get_session_token(self: TokenResponse) -> ActionResult:
        return ActionResult({"Credentials": _begin_session(_signer(self.get_access_key()), "user")})

    def get_federation_token(self: TokenResponse) -> ActionResult:
        credentials = _begin_session(_signer(self.get_access_key()), self.querystring["Name"][0])
        return ActionResult({"Credentials": credentials})

    STSBackend.get_caller_identity = get_caller_identity  # type: ignore[method-assign]  # it takes moto's place
    TokenResponse.get_session_token = get_session_token  # type: ignore[method-assign]  # it takes moto's place
    TokenResponse.get_federation_token = get_federation_token  # type: ignore[method-assign]  # it takes moto's place


def _begin_session(user: Signer | None, federated: str) -> dict[str, str]:
    if user is None:
        raise SignatureError("InvalidClientTokenId")
    key = AccessKey(None, "ASIA", user.account_id)  # type: ignore[abstract]  # moto makes them so, too
    session = user._replace(secret=key.secret_access_key, token=base64.b64encode(key.access_key_id.encode()).decode())
    if federated != "user":
        arn = f"arn:aws:sts::{user.account_id}:federated-user/{federated}"
        session = session._replace(arn=arn, user_id=f"{user.account_id}:{federated}")
    _sessions[key.access_key_id] = session
    return {
        "AccessKeyId": key.access_key_id,
        "SecretAccessKey": session.secret,
        "SessionToken": session.token or "",
        "Expiration": "2099-01-01T00:00:00Z",
    }


def _signer(access_key: str) -> Signer | None:
    if access_key in _sessions:
        return _sessions[access_key]
    for account_id in list(iam_backends):
        iam = iam_backends[account_id]["aws"]
        user = iam.get_user_from_access_key_id(access_key)
        if user is not None:
            (secret,) = (key.secret_access_key for key in user.access_keys if key.access_key_id == access_key)
            return Signer(secret, None, account_id, user.arn, user.id)
        role = sts_backends[account_id]["aws"].get_assumed_role_from_access_key(access_key)
        if role is not None:
            return Signer(role.secret_access_key, role.session_token, account_id, role.arn, role.user_id)
    return None


def verified(method: str, url: str, headers: dict[str, str], body: bytes) -> tuple[str, Signer]:
    """The access key and the signer of a request whose signature is right.

    :param headers: lower-case names.
    :raises SignatureError: it isn't.
    """
    parts = _AUTHORIZATION.fullmatch(headers.get("authorization", ""))
    if parts is None:
        raise SignatureError("MissingAuthenticationToken")
    access_key, _day, region, service, names, signature = parts.groups()
    signer = _signer(access_key)
    if signer is None or headers.get("x-amz-security-token") != signer.token:
        raise SignatureError("InvalidClientTokenId")
    request = AWSRequest(method, url, {name: headers[name] for name in names.split(";") if name in headers}, body)
    request.context["timestamp"] = headers["x-amz-date"]
    auth = SigV4Auth(Credentials(access_key, signer.secret), service, region)
    if auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request) != signature:
        raise SignatureError("SignatureDoesNotMatch")
    return access_key, signer


class CheckingSignatures:
    """WSGI in front of moto's application."""

    def __init__(self, app: Any) -> None:
        self._app = app

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        if environ["PATH_INFO"] == "/moto-api/reset":
            _sessions.clear()
        if environ["PATH_INFO"] == "/_signer":
            return _tell_signer(json.loads(body), start_response)
        if b"Action=GetCallerIdentity" in body and "EXAMPLE" not in environ.get("HTTP_AUTHORIZATION", ""):
            try:
                verified("POST", f"http://{environ['HTTP_HOST']}/", _headers(environ), body)
            except SignatureError as error:
                return _refuse(str(error), start_response)
        return self._app(environ, start_response)


def _headers(environ: dict[str, Any]) -> dict[str, str]:
    found = {key[5:].replace("_", "-").lower(): value for key, value in environ.items() if key.startswith("HTTP_")}
    return {**found, "content-type": environ.get("CONTENT_TYPE", "")}


def _tell_signer(request: dict[str, Any], start_response: Any) -> list[bytes]:
    try:
        body = base64.b64decode(request["body"])
        access_key, signer = verified(request["method"], request["url"], request["headers"], body)
    except SignatureError as error:
        start_response("403 Forbidden", [("Content-Type", "text/plain")])
        return [str(error).encode()]
    identity = {
        "accessKey": access_key,
        "accountId": signer.account_id,
        "callerId": signer.user_id,
        "userArn": signer.arn,
        "userId": signer.user_id,
    }
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(identity).encode()]


def _refuse(code: str, start_response: Any) -> list[bytes]:
    start_response("403 Forbidden", [("Content-Type", "text/xml")])
    text = (
        '<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type>'
        f"<Code>{code}</Code><Message>told by the tests' STS</Message></Error></ErrorResponse>"
    )
    return [text.encode()]
