# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Sessions that are made with an MFA device; the emulated STS of the integration tests takes any code."""

from __future__ import annotations

from typing import Any

import botocore.session
import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils.enroll.credentials import mfa_credentials
from ansible_collections.tracklib.vpn.plugins.module_utils.enroll.function import SelfServiceError
from botocore.stub import Stubber

SERIAL = "arn:aws:iam::111122223333:mfa/alice"
MADE = {
    "Credentials": {
        "AccessKeyId": "ASIAIOSFODNN7EXAMPLE",
        "SecretAccessKey": "secret",
        "SessionToken": "token",
        "Expiration": "2026-11-29T00:00:00Z",
    }
}


class Codes:
    """Types one code after the other."""

    def __init__(self, *codes: str) -> None:
        self.left = list(codes)
        self.asked: list[str] = []

    def __call__(self, question: str) -> str:
        self.asked.append(question)
        return f"{self.left.pop(0)}\n"


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Any:
    """Botocore's, with access keys and the serial number of an MFA device."""
    config = tmp_path / "config"
    config.write_text(f"[default]\nmfa_serial = {SERIAL}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    found = botocore.session.Session()
    found.set_credentials("AKIAIOSFODNN7EXAMPLE", "secret")
    return found


def stubbed(session: Any, monkeypatch: pytest.MonkeyPatch) -> Stubber:
    sts = session.create_client("sts", region_name="eu-west-1")
    monkeypatch.setattr(session, "create_client", lambda *_args, **_options: sts)
    stubber = Stubber(sts)
    stubber.activate()
    return stubber


def expected(code: str) -> dict[str, Any]:
    return {"SerialNumber": SERIAL, "TokenCode": code, "DurationSeconds": 3600}


def test_code_that_is_refused_is_asked_for_again(session: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    sts, codes = stubbed(session, monkeypatch), Codes("000000", "x", "123456")
    sts.add_client_error("get_session_token", "AccessDenied", "no such code", expected_params=expected("000000"))
    sts.add_response("get_session_token", MADE, expected("123456"))
    made = mfa_credentials(session, "eu-west-1", None, codes)
    assert (made.access_key, made.secret_key, made.token) == ("ASIAIOSFODNN7EXAMPLE", "secret", "token")
    question = f"code of your MFA device {SERIAL}: "
    assert codes.asked == [question, f"AWS refused it (no such code); {question}", f"that isn't six digits; {question}"]


@pytest.mark.parametrize(("error", "asked"), [("AccessDenied", 3), ("RegionDisabledException", 1)])
def test_last_refusal_is_told_in_awss_words(
    session: Any, monkeypatch: pytest.MonkeyPatch, error: str, asked: int
) -> None:
    sts, codes = stubbed(session, monkeypatch), Codes("000001", "000002", "000003", "000004")
    for _number in range(3):
        sts.add_client_error("get_session_token", error, "MultiFactorAuthentication failed")
    with pytest.raises(SelfServiceError, match="MultiFactorAuthentication failed") as caught:
        mfa_credentials(session, "eu-west-1", None, codes)
    assert caught.value.code == "authenticate_again"
    assert len(codes.asked) == asked


def test_what_is_no_code_is_never_sent(session: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    stubbed(session, monkeypatch)
    with pytest.raises(SelfServiceError, match="that isn't six digits; wait for the next code"):
        mfa_credentials(session, "eu-west-1", None, Codes("", "12345x", "1234567"))
