# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""By which of its URLs the function was called, whichever way Lambda says it."""

from __future__ import annotations

import boto3
import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils.aws import AWSCallError
from botocore.stub import Stubber
from self_service.urls import FunctionUrls

FUNCTION = "arn:aws:lambda:eu-west-1:111122223333:function:tracklib-vpn-self-service"
HOSTS = {alias: f"{alias}123.lambda-url.eu-west-1.on.aws" for alias in ("manage", "renew")}


def stubbed() -> tuple[FunctionUrls, Stubber]:
    client = boto3.client("lambda", region_name="eu-west-1", aws_access_key_id="a", aws_secret_access_key="b")
    return FunctionUrls(lambda: client), Stubber(client)


def test_alias_of_the_context_is_believed_and_nobody_is_asked() -> None:
    urls, stub = stubbed()
    with stub:
        assert urls.alias_of(f"{FUNCTION}:renew", HOSTS["manage"]) == (FUNCTION, "renew")
        assert urls.alias_of(f"{FUNCTION}:$LATEST", HOSTS["manage"]) == (FUNCTION, "$LATEST")


def test_without_an_alias_the_host_decides_and_lambda_is_asked_once() -> None:
    urls, stub = stubbed()
    for alias, host in HOSTS.items():
        common = {"FunctionArn": FUNCTION, "AuthType": "AWS_IAM", "CreationTime": "t", "LastModifiedTime": "t"}
        given = {"FunctionName": FUNCTION, "Qualifier": alias}
        stub.add_response("get_function_url_config", {"FunctionUrl": f"https://{host}/", **common}, given)
    with stub:
        for alias, host in HOSTS.items():
            assert urls.alias_of(FUNCTION, host) == (FUNCTION, alias)
        for host in ("", "other.lambda-url.eu-west-1.on.aws", "manage123.lambda-url.eu-west-1.on.aws.attacker.example"):
            assert urls.alias_of(FUNCTION, host) == (FUNCTION, None)
        stub.assert_no_pending_responses()


def test_lambda_that_can_not_be_asked_is_an_error_of_aws_and_is_asked_again() -> None:
    urls, stub = stubbed()
    stub.add_client_error("get_function_url_config", "AccessDeniedException")
    stub.add_client_error("get_function_url_config", "AccessDeniedException")
    with stub:
        for _call in range(2):
            with pytest.raises(AWSCallError, match="GetFunctionUrlConfig"):
                urls.alias_of(FUNCTION, HOSTS["renew"])
