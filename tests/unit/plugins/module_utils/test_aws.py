# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Errors of AWS calls in one line, told apart by their codes."""

from __future__ import annotations

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils.aws import AWSCallError, calling
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ReadTimeoutError,
)


@pytest.mark.parametrize(
    ("raised", "code"),
    [
        (ConnectTimeoutError(endpoint_url="http://x"), None),
        (ReadTimeoutError(endpoint_url="http://x"), None),
        (EndpointConnectionError(endpoint_url="http://x"), None),
        (ConnectionClosedError(endpoint_url="http://x"), None),
        (NoCredentialsError(), "NoCredentials"),
        (BotoCoreError(), None),
        (ClientError({"Error": {"Code": "Throttling"}}, "Query"), "Throttling"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_error_names_the_call_and_has_the_code_that_aws_gave(raised: Exception, code: str | None) -> None:
    with pytest.raises(AWSCallError, match="dynamodb:Query") as caught, calling("dynamodb:Query", "table t"):
        raise raised
    assert caught.value.code == code
