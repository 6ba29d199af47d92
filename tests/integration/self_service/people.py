# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""IAM users who call the self-service function, by its client or by hand."""

from __future__ import annotations

import json
import logging
from typing import Any

import boto3
import pytest
import requests
import requests.auth
from ansible_collections.tracklib.vpn.plugins.module_utils import keys
from ansible_collections.tracklib.vpn.plugins.module_utils.enroll import function as self_service
from botocore.credentials import ReadOnlyCredentials
from self_service import handler as function_handler

from tests.integration.conftest import KEYS, REGION
from tests.integration.vpn import ACCESS, ACCOUNT, POOLS, Vpn
from tests.support import PYTHONPATH, function_server

GATEWAY = {"endpoint": "vpn.example.com:51820", "public_key": "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo="}
SETTINGS: dict[str, Any] = {
    "account_id": ACCOUNT,
    "access": [*ACCESS, {"groups": ["dba"], "networks": ["10.20.8.0/24", "10.30.0.0/16"]}],
    "address_pools": POOLS,
    "gateways": [GATEWAY],
    "domains": ["internal.example"],
    "mtu": 1380,
}


def function_env(aws_url: str) -> dict[str, str]:
    """The function's environment, as its CloudFormation gives it, with the emulated AWS in AWS's place."""
    return {
        **KEYS,
        "PYTHONPATH": PYTHONPATH,
        "AWS_REGION": REGION,
        "AWS_ENDPOINT_URL": aws_url,
        "AWS_EC2_METADATA_DISABLED": "true",
        "STS_URL": aws_url,
        "REGISTRY_TABLE": "tracklib-vpn",
        "QUEUE_URL": f"{aws_url}/{ACCOUNT}/tracklib-vpn",
    }


class Person:
    """A user's credentials, and the calls that the client makes with them."""

    def __init__(self, name: str, credentials: ReadOnlyCredentials, function: self_service.Function) -> None:
        self.name = name
        self.credentials = credentials
        self.function = function

    def register(self, device: str, public_key: str | None = None) -> dict[str, Any]:
        return self_service.register(self.credentials, self.function, device, public_key or keys.generate()[1])

    def devices(self) -> dict[str, Any]:
        return self_service.devices(self.credentials, self.function)

    def renew(self, device: str) -> dict[str, Any]:
        return self_service.renew(self.credentials, self.function, device)

    def rotate(self, device: str, public_key: str) -> dict[str, Any]:
        return self_service.rotate(self.credentials, self.function, device, public_key)

    def remove(self, device: str) -> dict[str, Any]:
        return self_service.remove(self.credentials, self.function, device)

    def proof(self, function: self_service.Function | None = None) -> str:
        return self_service.proof(self.credentials, function or self.function)


class Signing(requests.auth.AuthBase):
    """Signs a request as the client does, whatever it is."""

    def __init__(self, person: Person) -> None:
        self._person = person

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        credentials = self._person.credentials
        made = {self_service.PROOF_HEADER: self._person.proof()}
        body: Any = request.body or ""
        request.headers.update(
            self_service.signed(credentials, str(request.method), str(request.url), made, body, "lambda", REGION)
        )
        return request


class People:
    """Makes users, and looks at what their calls left in AWS."""

    def __init__(self, vpn: Vpn, function: self_service.Function, sqs: Any) -> None:
        self.vpn = vpn
        self.function = function
        self._sqs = sqs

    def user(self, name: str, group: str | None = "vpn") -> Person:
        if group not in (None, "vpn"):
            self.vpn.iam.create_group(GroupName=group)
        self.vpn.user(name, group)
        key = self.vpn.iam.create_access_key(UserName=name)["AccessKey"]
        return self.with_key(name, key)

    def with_key(self, name: str, key: dict[str, Any]) -> Person:
        """Somebody with a key or a session as AWS's answers have it."""
        credentials = ReadOnlyCredentials(key["AccessKeyId"], key["SecretAccessKey"], key.get("SessionToken"))
        return Person(name, credentials, self.function)

    def client(self, service: str, key: dict[str, Any]) -> Any:
        """A client with a key or a session as AWS's answers have it."""
        session = boto3.session.Session(key["AccessKeyId"], key["SecretAccessKey"], key.get("SessionToken"), REGION)
        return session.client(service, endpoint_url=self.function.sts_url)  # type: ignore[call-overload]  # by name

    def sts(self, person: Person) -> Any:
        """An STS client of that person's."""
        access_key, secret_key, token, *_account = person.credentials
        return self.client("sts", {"AccessKeyId": access_key, "SecretAccessKey": secret_key, "SessionToken": token})

    def set(self, **changes: Any) -> None:
        """Deploy the function's settings, with changes."""
        self.vpn.registry().self_service.write(json.dumps({**SETTINGS, **changes}))

    def notices(self) -> list[Any]:
        """Takes what is in the queue."""
        queue = self._sqs.get_queue_url(QueueName="tracklib-vpn")["QueueUrl"]
        found = []
        while messages := self._sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                found.append(json.loads(message["Body"]))
                self._sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        return found

    def written(self) -> list[dict[str, Any]]:
        """Every item that only self-service could have written."""
        return [item for pk in ("registration", "claim", "devices") for item in self.vpn.items(pk)]


class Forged:
    """Calls the handler in this process; `line` is the log line of the last call."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self.line: dict[str, Any] = {}

    def __enter__(self) -> Forged:
        _forget()
        # Powertools' logger keeps the standard output of the test that made it first
        logging.Logger.manager.loggerDict.pop("tracklib-vpn-self-service", None)
        return self

    def __exit__(self, *_: object) -> None:
        _forget()

    def __call__(
        self,
        method: str,
        path: str,
        iam: dict[str, Any] | None,
        proof: str | None = None,
        body: Any = None,
        alias: str | None = "",
        encoded: bool = False,
        host: str = "",
    ) -> tuple[int, str]:
        """Status and code (`ok` for a success). `body` is text, or what is to be JSON; `encoded` says it is base64.

        `alias` is empty for the one that serves such calls, `host` is the URL's.
        """
        if alias == "":
            alias = "renew" if method in ("POST", "PUT") else "manage"
        text = body if isinstance(body, str) else "" if body is None else json.dumps(body)
        headers = {"content-type": "application/json"}
        if proof is not None:
            headers["x-tracklib-vpn-proof"] = proof
        event = function_server.event(method, path, headers, text.encode(), None)
        event["requestContext"]["authorizer"] = {"iam": iam}
        event["isBase64Encoded"] = encoded
        event["requestContext"]["domainName"] = host
        arn = function_server.FUNCTION_ARN + (f":{alias}" if alias else "")
        self._capsys.readouterr()
        context: Any = function_server.Context(arn, "00000000-request")
        answer = function_handler.handler(event, context)
        (line,) = self._capsys.readouterr().out.splitlines()
        self.line = json.loads(line)
        content = json.loads(answer["body"])
        return answer["statusCode"], content["error"]["code"] if "error" in content else "ok"


def _forget() -> None:
    """Have the handler begin anew, as in a new execution environment."""
    function_handler.aws.cache_clear()
    function_handler.api.cache_clear()


def context_of(people: People, person: Person) -> dict[str, Any]:
    """The request context that a function URL makes of that person's credentials."""
    found = people.sts(person).get_caller_identity()
    return {
        "accessKey": person.credentials.access_key,
        "accountId": found["Account"],
        "callerId": found["UserId"],
        "cognitoIdentity": None,
        "principalOrgId": None,
        "userArn": found["Arn"],
        "userId": found["UserId"],
    }
