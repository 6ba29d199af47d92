# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The self-service function: over HTTP for users, and called directly for what only Lambda or a forger can do."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils.enroll.function import Function

from tests.integration.conftest import KEYS, REGION
from tests.integration.vpn import Vpn
from tests.support.function_server import FUNCTION_ARN
from tests.support.serving import serving
from tests.support.waiting import PATIENCE

from .people import Forged, People, function_env


@pytest.fixture(scope="session")
def function_url(aws_url: str) -> Iterator[str]:
    """Where the function answers, without an alias."""
    with serving("tests.support.function_server", "16", env={**os.environ, **function_env(aws_url)}) as url:
        yield url


@pytest.fixture
def function(function_url: str, aws_url: str) -> Function:
    """What an operator would tell users."""
    return Function(FUNCTION_ARN, f"{function_url}/manage", f"{function_url}/renew", aws_url)


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """16 workers answer, the other callers wait, and the emulated AWS does one thing at a time."""
    monkeypatch.setattr("ansible_collections.tracklib.vpn.plugins.module_utils.enroll.function._TIMEOUT", PATIENCE)


@pytest.fixture
def people(vpn: Vpn, function: Function, aws_client: Callable[..., Any]) -> People:
    """Users with keys, an empty registry, and the queue that a reconcile is started by."""
    sqs = aws_client("sqs")
    sqs.create_queue(QueueName="tracklib-vpn")
    found = People(vpn, function, sqs)
    found.set()
    return found


@pytest.fixture
def forged(aws_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Forged]:
    """The handler, called with any event at all, as plain lambda:InvokeFunction allows."""
    for name, value in {**KEYS, **function_env(aws_url), "AWS_DEFAULT_REGION": REGION}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    with Forged(capsys) as handler:
        yield handler
