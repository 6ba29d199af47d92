# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""R14: what a proof must be before it is forwarded, and what is believed of STS's answer."""

from __future__ import annotations

import base64
import http.server
import json
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import botocore.auth
import pytest
import urllib3
from ansible_collections.tracklib.vpn.plugins.module_utils.enroll import function as self_service
from botocore.credentials import ReadOnlyCredentials
from hypothesis import given
from hypothesis import strategies as st
from self_service import proof
from self_service.refusal import Refusal

ARN = "arn:aws:lambda:eu-west-1:111122223333:function:tracklib-vpn-self-service"
FUNCTION = self_service.Function(ARN, "https://manage.example", "https://renew.example")
STS = proof.Sts("https://sts.eu-west-1.amazonaws.com", "eu-west-1")
ALICE = ReadOnlyCredentials("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY1", None)
MFA = ALICE._replace(token="FwoGZXIvYXdzEBYaDEXAMPLE/+=")


def changed(made: str, **changes: Any) -> str:
    """The same proof with other values; `headers` are added, and taken away where None."""
    request = json.loads(base64.urlsafe_b64decode(made))
    headers = {**request["headers"], **changes.pop("headers", {})}
    request = {**request, **changes, "headers": {name: value for name, value in headers.items() if value is not None}}
    return base64.urlsafe_b64encode(json.dumps(request).encode()).decode()


def code(made: str, function: str = ARN, sts: proof.Sts = STS, now: float | None = None) -> str:
    with pytest.raises(Refusal) as caught:
        proof.check(made, function, sts, time.time() if now is None else now)
    assert caught.value.status == 403
    return caught.value.code


@pytest.mark.parametrize("credentials", [ALICE, MFA])
def test_r14_the_clients_proof_is_accepted_and_forwards_only_what_it_signs(credentials: ReadOnlyCredentials) -> None:
    headers = proof.check(self_service.proof(credentials, FUNCTION), ARN, STS, time.time())
    signed = headers["authorization"].partition("SignedHeaders=")[2].partition(",")[0].split(";")
    assert sorted([*signed, "authorization"]) == sorted(headers)
    assert headers["host"] == "sts.eu-west-1.amazonaws.com"
    assert headers.get("x-amz-security-token") == credentials.token


def test_r14_proof_for_another_function_is_refused() -> None:
    other = FUNCTION._replace(arn=ARN.replace("tracklib-vpn", "somebody-elses"))
    assert code(self_service.proof(ALICE, other)) == "proof_for_another_function"


@pytest.mark.parametrize("age", [301, 3600, -61, -3600])
def test_r14_proof_that_is_old_or_from_the_future_is_refused(age: float) -> None:
    assert code(self_service.proof(ALICE, FUNCTION), now=time.time() + age) == "proof_expired"


@pytest.mark.parametrize("age", [298, -58])
def test_r14_proof_is_good_for_five_minutes(age: float) -> None:
    proof.check(self_service.proof(ALICE, FUNCTION), ARN, STS, time.time() + age)


def test_r14_old_proof_with_a_new_date_header_is_refused() -> None:
    """The date of the credential's scope would differ; within a day STS refuses the signature, see test_r14."""
    made = self_service.proof(ALICE, FUNCTION)
    assert code(changed(made, headers={"X-Amz-Date": "20200101T000000Z"})) == "proof_malformed"


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/",
        "https://evil.example/",
        "https://sts.us-east-1.amazonaws.com/",
        "http://sts.eu-west-1.amazonaws.com/",
        "https://sts.eu-west-1.amazonaws.com",
        "https://sts.eu-west-1.amazonaws.com/?Action=AssumeRole",
        "https://sts.eu-west-1.amazonaws.com//",
        "https://sts.eu-west-1.amazonaws.com:443/",
        "https://sts.eu-west-1.amazonaws.com@evil.example/",
        "https://evil.example/#https://sts.eu-west-1.amazonaws.com/",
    ],
)
def test_r14_proof_for_another_host_or_path_is_refused(url: str) -> None:
    assert code(changed(self_service.proof(ALICE, FUNCTION), url=url)) == "proof_for_another_host"


def test_r14_proof_whose_host_header_is_anothers_is_refused() -> None:
    made = changed(self_service.proof(ALICE, FUNCTION), headers={"Host": "evil.example"})
    assert code(made) == "proof_for_another_host"


def test_r14_proof_signed_for_another_region_is_refused() -> None:
    made = self_service.proof(ALICE, FUNCTION._replace(arn=ARN.replace("eu-west-1", "us-east-1")))
    assert code(made) == "proof_for_another_host"
    request = json.loads(base64.urlsafe_b64decode(self_service.proof(ALICE, FUNCTION)))
    other = request["headers"]["Authorization"].replace("eu-west-1", "us-east-1")
    assert code(changed(made, **{**request, "headers": {**request["headers"], "Authorization": other}})) == (
        "proof_for_another_host"
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"method": "GET"},
        {"method": "post"},
        {"body": ""},
        {"body": "Action=AssumeRole&Version=2011-06-15"},
        {"body": self_service.STS_BODY + "&X=1"},
        {"body": self_service.STS_BODY + "\n"},
    ],
)
def test_r14_proof_of_another_request_is_refused(changes: dict[str, str]) -> None:
    assert code(changed(self_service.proof(ALICE, FUNCTION), **changes)) == "proof_of_another_request"


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-Host": "evil.example"},
        {"Transfer-Encoding": "chunked"},
        {"Content-Length": "0"},
        {"X-Amz-Target": "x"},
        {"X-Amz-Security-Token": "unsigned"},
        {"Content-Type": "text/plain"},
        {"Content-Type": None},
        {"X-Amz-Date": None},
        {"Authorization": None},
        {self_service.FUNCTION_HEADER: None},
    ],
)
def test_r14_proof_with_headers_more_or_less_is_refused(headers: dict[str, str | None]) -> None:
    assert code(changed(self_service.proof(ALICE, FUNCTION), headers=headers)) == "proof_headers"


def test_r14_function_header_that_is_not_signed_is_refused() -> None:
    made = self_service.proof(ALICE, FUNCTION)
    authorization = json.loads(base64.urlsafe_b64decode(made))["headers"]["Authorization"]
    shorter = authorization.replace(f";{self_service.FUNCTION_HEADER.lower()}", "")
    assert shorter != authorization
    assert code(changed(made, headers={"Authorization": shorter})) == "proof_headers"


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Bearer x",
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20260101/eu-west-1/iam/aws4_request, "
        "SignedHeaders=host, Signature=" + "0" * 64,
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20260101/eu-west-1/sts/aws4_request, "
        "SignedHeaders=host, Signature=" + "0" * 64 + "\r\nX-Evil: 1",
    ],
)
def test_r14_authorization_that_is_no_signature_for_sts_is_refused(authorization: str) -> None:
    made = changed(self_service.proof(ALICE, FUNCTION), headers={"Authorization": authorization})
    assert code(made) == "proof_malformed"


@pytest.mark.parametrize("time_", ["T1", "T250000Z", "T\u0661\u0660\u0660\u0660\u0660\u0660Z", "T100000Z\r\n"])
def test_r14_date_of_another_form_is_refused(time_: str) -> None:
    made = self_service.proof(ALICE, FUNCTION)
    day = json.loads(base64.urlsafe_b64decode(made))["headers"]["X-Amz-Date"][:8]
    assert code(changed(made, headers={"X-Amz-Date": day + time_})) == "proof_malformed"


def test_session_token_with_a_line_break_is_refused() -> None:
    made = changed(self_service.proof(MFA, FUNCTION), headers={"X-Amz-Security-Token": "x\r\nX-Evil: 1"})
    assert code(made) == "proof_malformed"


@pytest.mark.parametrize(
    "made",
    [
        "%",
        "e30",
        base64.urlsafe_b64encode(b"{}").decode(),
        base64.urlsafe_b64encode(b"[]").decode(),
        base64.urlsafe_b64encode(b"[" * 6000).decode(),
        base64.urlsafe_b64encode(b"\xff").decode(),
        base64.urlsafe_b64encode(
            b'{"method": "POST", "method": "POST", "url": "", "body": "", "headers": {}}'
        ).decode(),
        base64.urlsafe_b64encode(b'{"method": "POST", "url": "", "body": "", "headers": {"a": "", "A": ""}}').decode(),
        base64.urlsafe_b64encode(b'{"method": "POST", "url": 1, "body": "", "headers": {}}').decode(),
        base64.urlsafe_b64encode(b'{"method": "POST", "url": "", "body": "", "headers": {"a": []}}').decode(),
        "A" * 9000,
        "é",
    ],
)
def test_proof_that_cannot_be_read_is_refused(made: str) -> None:
    assert code(made) == "proof_malformed"


@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda raw: base64.urlsafe_b64encode(raw).decode()))
def test_any_text_for_a_proof_is_refused_and_nothing_worse(made: str) -> None:
    assert code(made).startswith("proof_")


_json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(("method", "url", "body", "headers"), _json_values)))
def test_any_json_for_a_proof_is_refused_and_nothing_worse(request: dict[str, Any]) -> None:
    assert code(base64.urlsafe_b64encode(json.dumps(request).encode()).decode()).startswith("proof_")


Answer = tuple[int, dict[str, str], bytes]


@pytest.fixture
def sts_answers() -> Iterator[Callable[[int, bytes, dict[str, str]], proof.Sts]]:
    """A server in STS's place that answers what a test says; `asked` counts requests by path."""
    answers: list[Answer] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            status, headers, body = answers[-1]
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            paths.append(self.path)
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it
            """Stay quiet."""

    paths: list[str] = []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"

    def answer(status: int, body: bytes, headers: dict[str, str]) -> proof.Sts:
        answers.append((status, headers, body))
        return proof.Sts(url, "eu-west-1")

    yield answer
    server.shutdown()
    server.server_close()
    assert set(paths) <= {"/"}  # nothing led anywhere else


IDENTITY = proof.Identity("111122223333", "arn:aws:iam::111122223333:user/alice", "AIDAIOSFODNN7EXAMPLE")
GOOD = (
    '<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>'
    f"<Arn>{IDENTITY.arn}</Arn><UserId>{IDENTITY.user_id}</UserId><Account>{IDENTITY.account_id}</Account>"
    "</GetCallerIdentityResult><ResponseMetadata><RequestId>01234567</RequestId></ResponseMetadata>"
    "</GetCallerIdentityResponse>"
).encode()


def asked(sts: proof.Sts) -> proof.Identity:
    return proof.ask({"host": "x"}, sts, urllib3.PoolManager())


def test_r14_stss_word_is_read(sts_answers: Any) -> None:
    assert asked(sts_answers(200, GOOD, {})) == IDENTITY


@pytest.mark.parametrize(
    ("status", "body", "headers"),
    [
        (302, b"", {"Location": "/elsewhere"}),
        (307, b"", {"Location": "http://169.254.169.254/latest"}),
        (500, GOOD, {}),
        (200, b"", {}),
        (200, b"<a", {}),
        (200, b"\xff", {}),
        (200, GOOD.replace(b"sts.amazonaws.com", b"evil.example"), {}),
        (200, GOOD.replace(b"<Account>111122223333</Account>", b""), {}),
        (200, b'<!DOCTYPE a [<!ENTITY b "c">]>' + GOOD, {}),
        (200, GOOD + b" " * 20000, {}),
        (200, b"\x1f\x8b" + b"\0" * 100, {"Content-Encoding": "gzip"}),
        (400, b"<ErrorResponse><Error><Code>Throttling</Code></Error></ErrorResponse>", {}),
        (403, b"<html>a proxy's page</html>", {}),
    ],
)
def test_r14_any_other_answer_is_no_proof(status: int, body: bytes, headers: dict[str, str], sts_answers: Any) -> None:
    with pytest.raises(Refusal) as caught:
        asked(sts_answers(status, body, headers))
    assert (caught.value.status, caught.value.code) == (503, "sts_unavailable")


def test_r14_what_sts_refuses_is_refused(sts_answers: Any) -> None:
    body = b"<ErrorResponse><Error><Code>SignatureDoesNotMatch</Code></Error></ErrorResponse>"
    with pytest.raises(Refusal, match="SignatureDoesNotMatch") as caught:
        asked(sts_answers(403, body, {}))
    assert caught.value.code == "proof_rejected"


def test_sts_that_does_not_answer_ends_the_call_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as server:  # nobody serves it
        monkeypatch.setattr(proof, "_TIMEOUT", urllib3.Timeout(connect=0.2, read=0.2))
        begun = time.monotonic()
        with pytest.raises(Refusal) as caught:
            asked(proof.Sts(f"http://127.0.0.1:{server.server_port}", "eu-west-1"))
        assert caught.value.code == "sts_unavailable"
        assert time.monotonic() - begun < 30


def test_the_clients_clock_decides_what_is_signed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow clock makes proofs that are refused with the time that the function has."""
    clock = SimpleNamespace(utcnow=lambda: datetime(2020, 1, 1))  # noqa: DTZ001 - as botocore's
    if hasattr(botocore.auth, "get_current_datetime"):
        monkeypatch.setattr("botocore.auth.get_current_datetime", clock.utcnow)
    else:  # the lowest version that is supported
        monkeypatch.setattr("botocore.auth.datetime", SimpleNamespace(datetime=clock))
    with pytest.raises(Refusal, match="check this machine's clock"):
        proof.check(self_service.proof(ALICE, FUNCTION), ARN, STS, time.time())
