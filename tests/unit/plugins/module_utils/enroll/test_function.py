# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The caller's side of self-service against servers that answer as AWS and bad networks do."""

from __future__ import annotations

import http.server
import json
import socket
import threading
import time
from collections.abc import Iterator
from email.utils import formatdate
from typing import Any

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils.enroll import function as self_service
from ansible_collections.tracklib.vpn.plugins.module_utils.enroll.function import Function, SelfServiceError
from botocore.credentials import ReadOnlyCredentials

ARN = "arn:aws:lambda:eu-west-1:111122223333:function:tracklib-vpn-self-service"
ALICE = ReadOnlyCredentials("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY1", None)


class Front:
    """A function URL that gives the answers that it is told, the last one for good."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, bytes]] = []
        self.ahead = 0.0  # seconds, of its clock
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []
        front = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                front.requests.append((self.command, self.path, dict(self.headers.items()), body))
                status, content = front.answers.pop(0) if len(front.answers) > 1 else front.answers[0]
                self.send_response_only(status)
                self.send_header("Date", formatdate(time.time() + front.ahead, usegmt=True))
                if status in (302, 307):
                    self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_PUT = do_DELETE = do_POST

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it
                """Stay quiet."""

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        url = f"http://127.0.0.1:{self.server.server_port}"
        self.function = Function(ARN, f"{url}/manage", f"{url}/renew/")


@pytest.fixture
def front(monkeypatch: pytest.MonkeyPatch) -> Iterator[Front]:
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    found = Front()
    threading.Thread(target=found.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    yield found
    found.server.shutdown()
    found.server.server_close()


def failure(call: Any, *arguments: Any) -> SelfServiceError:
    with pytest.raises(SelfServiceError) as caught:
        call(ALICE, *arguments)
    return caught.value


def test_each_call_goes_to_its_own_url(front: Front) -> None:
    front.answers = [(200, b"{}")]
    self_service.register(ALICE, front.function, "laptop", "KEY")
    self_service.devices(ALICE, front.function)
    self_service.renew(ALICE, front.function, "laptop")
    self_service.rotate(ALICE, front.function, "laptop", "KEY")
    self_service.remove(ALICE, front.function, "laptop")
    assert [(method, path) for method, path, _headers, _body in front.requests] == [
        ("POST", "/renew/devices"),
        ("GET", "/manage/devices"),
        ("PUT", "/renew/devices/laptop/renewal"),
        ("PUT", "/renew/devices/laptop/key"),
        ("DELETE", "/manage/devices/laptop"),
    ]
    assert json.loads(front.requests[0][3]) == {"device": "laptop", "public_key": "KEY"}
    assert json.loads(front.requests[3][3]) == {"public_key": "KEY"}


def test_r10_the_secret_key_never_leaves(front: Front) -> None:
    front.answers = [(200, b"{}")]
    self_service.register(ALICE, front.function, "laptop", "KEY")
    assert str(ALICE.secret_key) not in str(front.requests)
    assert "AWS4-HMAC-SHA256" in front.requests[0][2]["Authorization"]


def test_refusal_is_told_with_code_and_sentence(front: Front) -> None:
    front.answers = [(409, b'{"error": {"code": "too_early", "message": "a sentence"}}')]
    error = failure(self_service.renew, front.function, "laptop")
    assert (str(error), error.code, error.status) == ("a sentence", "too_early", 409)
    assert len(front.requests) == 1


@pytest.mark.parametrize("status", [429, 502, 503])
def test_busy_function_is_asked_again(status: int, front: Front) -> None:
    front.answers = [(status, b'{"Reason":"ConcurrentInvocationLimitExceeded"}')] * 2 + [(200, b'{"devices": []}')]
    assert self_service.devices(ALICE, front.function) == {"devices": []}
    proofs = {headers[self_service.PROOF_HEADER] for _method, _path, headers, _body in front.requests}
    assert len(front.requests) == 3
    assert proofs


def test_function_that_stays_busy_is_given_up(front: Front) -> None:
    front.answers = [(503, b"{}")]
    assert failure(self_service.devices, front.function).code == "no_answer"
    assert len(front.requests) == 4


def test_awss_own_refusal_says_what_the_policies_must_allow(front: Front) -> None:
    front.answers = [(403, b'{"Message":"Forbidden"}')]
    error = failure(self_service.devices, front.function)
    assert (error.code, error.status) == ("forbidden", 403)
    assert "lambda:InvokeFunctionUrl and lambda:InvokeFunction" in str(error)


@pytest.mark.parametrize("field", ["Message", "message"])  # AWS writes both
def test_awss_own_words_are_read(front: Front, field: str) -> None:
    front.answers = [(403, json.dumps({field: "User is not authorized to perform that."}).encode())]
    assert "User is not authorized to perform that. The user's policies" in str(
        failure(self_service.devices, front.function)
    )


@pytest.mark.parametrize(
    "said", ["The security token included in the request is expired", "Signature expired: 20261129 is now earlier"]
)
def test_session_that_is_over_says_what_to_type(front: Front, said: str) -> None:
    front.answers = [(403, json.dumps({"message": said}).encode())]
    error = failure(self_service.devices, front.function)
    assert error.code == "expired_credentials"
    assert said in str(error)
    assert "aws login, or aws sts get-session-token" in str(error)


@pytest.mark.parametrize(("ahead", "words"), [(3600, "60 minutes behind AWS's"), (-600, "10 minutes ahead of AWS's")])
@pytest.mark.parametrize(
    "content", [b'{"message": "Signature expired"}', b'{"error": {"code": "proof_expired", "message": "old"}}']
)
def test_wrong_clock_is_told_by_the_servers_own(front: Front, ahead: float, words: str, content: bytes) -> None:
    front.answers, front.ahead = [(403, content)], ahead
    error = failure(self_service.devices, front.function)
    assert error.code == "clock"
    assert f"this machine's clock is {words}" in str(error)


def test_other_refusals_are_none_of_the_clocks(front: Front) -> None:
    front.answers, front.ahead = [(403, b'{"error": {"code": "blocked", "message": "no"}}')], 240
    assert failure(self_service.devices, front.function).code == "blocked"


def test_redirect_is_not_followed(front: Front) -> None:
    front.answers = [(307, b"")]
    assert failure(self_service.devices, front.function).code == "no_answer"
    assert [path for _method, path, _headers, _body in front.requests] == ["/manage/devices"]


def test_answer_that_is_not_json_is_an_error_of_one_sentence(front: Front) -> None:
    front.answers = [(500, b"<html>")]
    error = failure(self_service.devices, front.function)
    assert error.code == "no_answer"
    assert len(str(error).splitlines()) == 1


def test_function_that_cannot_be_reached_is_named() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    error = failure(self_service.devices, Function(ARN, url, url))
    assert error.code == "unreachable"
    assert url.removeprefix("http://") in str(error)


@pytest.mark.parametrize("device", ["../x", "a/b", "a%2fb", "", "Laptop", "läptop", "a\n"])
def test_name_that_would_be_another_path_is_not_sent(device: str) -> None:
    error = failure(self_service.remove, Function(ARN, "http://127.0.0.1:1", "http://127.0.0.1:1"), device)
    assert error.code == "invalid_device"
