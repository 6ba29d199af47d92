# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Signatures, compared with the SDK's."""

from __future__ import annotations

from ansible_collections.tracklib.vpn.plugins.module_utils.listener.signature import Credentials, signed_headers
from botocore import credentials as sdk
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from hypothesis import given
from hypothesis import strategies as st

WORDS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40)


@given(
    WORDS, WORDS, WORDS, st.binary(max_size=200), st.integers(0, 4_102_444_800), st.sampled_from(["", "  ", " a  b "])
)
def test_a_signature_is_the_sdks(access_key_id: str, secret: str, token: str, body: bytes, now: int, odd: str) -> None:
    headers = {"Host": "sqs.eu-west-1.amazonaws.com", "Content-Type": "application/x-amz-json-1.0", "X-Odd": f"x{odd}"}
    credentials = Credentials(access_key_id, secret, token, 0.0)
    signed = signed_headers(headers, body, credentials, service="sqs", region="eu-west-1", now=now)
    request = AWSRequest("POST", "https://sqs.eu-west-1.amazonaws.com/", dict(signed), body)
    theirs = request.headers
    found = theirs["Authorization"]
    del theirs["Authorization"]
    request.context["timestamp"] = signed["X-Amz-Date"]
    auth = SigV4Auth(sdk.Credentials(access_key_id, secret, token), "sqs", "eu-west-1")
    signature = auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)
    names = "content-type;host;x-amz-date;x-amz-security-token;x-odd"
    scope = f"{access_key_id}/{signed['X-Amz-Date'][:8]}/eu-west-1/sqs/aws4_request"
    assert found == f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders={names}, Signature={signature}"
