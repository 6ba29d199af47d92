# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""AWS Signature Version 4 of a POST request (docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html). Pure."""

from __future__ import annotations

import hashlib
import hmac
import time
from typing import Mapping, NamedTuple

_ALGORITHM = "AWS4-HMAC-SHA256"


class Credentials(NamedTuple):
    """Credentials of a role, as the instance metadata has them."""

    access_key_id: str
    secret_access_key: str
    session_token: str
    expires_at: float  # seconds since the epoch


def signed_headers(
    headers: Mapping[str, str], body: bytes, credentials: Credentials, *, service: str, region: str, now: float
) -> dict[str, str]:
    """Return the headers of a POST of `body` to `/`, with the time, the token and the signature.

    :param headers: those to sign; `Host` must be among them.
    :param now: seconds since the epoch; AWS refuses what is 5 minutes off its clock.
    """
    moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
    signed = {**headers, "X-Amz-Date": moment, "X-Amz-Security-Token": credentials.session_token}
    canonical = {name.lower(): " ".join(value.split()) for name, value in signed.items()}
    names = ";".join(sorted(canonical))
    lines = "".join(f"{name}:{canonical[name]}\n" for name in sorted(canonical))
    request = "\n".join(["POST", "/", "", lines, names, hashlib.sha256(body).hexdigest()])
    scope = f"{moment[:8]}/{region}/{service}/aws4_request"
    to_sign = "\n".join([_ALGORITHM, moment, scope, hashlib.sha256(request.encode()).hexdigest()])
    signature = _hmac(_key(credentials, scope), to_sign).hex()
    credential = f"{credentials.access_key_id}/{scope}"
    signed["Authorization"] = f"{_ALGORITHM} Credential={credential}, SignedHeaders={names}, Signature={signature}"
    return signed


def _key(credentials: Credentials, scope: str) -> bytes:
    key = f"AWS4{credentials.secret_access_key}".encode()
    for part in scope.split("/"):
        key = _hmac(key, part)
    return key


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()
