# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The entry for Lambda: `self_service.handler.handler`."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import boto3
import urllib3
from ansible_collections.tracklib.vpn.plugins.module_utils.aws import FUNCTION_CONFIG, AWSCallError, calling
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.table import Registry
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.config import Config

from .api import Api, unable
from .devices import OwnDevices
from .settings import FunctionEnvironment, read, read_environment
from .urls import FunctionUrls

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient

_CONFIG = Config(user_agent_extra="tracklib.vpn", **FUNCTION_CONFIG)


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer one call of a function URL, by the settings that the registry has now."""
    try:
        serving = api(aws().registry.self_service.read())
    except (AWSCallError, ValueError) as error:
        return unable(error, context.aws_request_id)
    return serving(event, context)


class Aws(NamedTuple):
    """What the function keeps from call to call."""

    session: boto3.session.Session
    environment: FunctionEnvironment
    registry: Registry


@lru_cache(maxsize=None)
def aws() -> Aws:
    """Make the clients.

    :raises ValueError: an environment variable isn't set.
    """
    environment = read_environment(os.environ)
    session = boto3.session.Session(region_name=environment.sts.region)
    return Aws(session, environment, Registry(session.client("dynamodb", config=_CONFIG), environment.table))


@lru_cache(maxsize=1)
def api(document: str | None) -> Api:
    """Make the function for the settings in a document.

    :raises ValueError: they are refused.
    """
    session, environment, registry = aws()
    settings = read(environment.sts, document)
    devices = OwnDevices(settings, registry, IamClients(session, settings.roles))
    urls = FunctionUrls(lambda: session.client("lambda", config=_CONFIG))
    return Api(settings, devices, urllib3.PoolManager(), _notifier(session, environment.queue_url), urls)


def _notifier(session: boto3.session.Session, queue_url: str) -> Callable[[], None]:
    sqs = session.client("sqs", config=_CONFIG)

    def notify() -> None:
        with calling("sqs:SendMessage", queue_url):
            sqs.send_message(QueueUrl=queue_url, MessageBody=json.dumps({"kind": "registry_changed"}))

    return notify


class IamClients:
    """Clients that read IAM in the identity accounts; a role's is made anew before its credentials expire."""

    def __init__(self, session: boto3.session.Session, roles: Mapping[str, str | None]) -> None:
        self._session = session
        self._roles = roles
        self._made: dict[str, tuple[IAMClient, float]] = {}

    def __call__(self, account_id: str) -> IAMClient:
        """The client for one of the identity accounts.

        :raises AWSCallError: its role can't be assumed.
        """
        client, usable_until = self._made.get(account_id, (None, 0.0))
        if client is None or time.time() > usable_until:
            client, usable_until = self._make(self._roles[account_id])
            self._made[account_id] = (client, usable_until)
        return client

    def _make(self, role_arn: str | None) -> tuple[IAMClient, float]:
        if role_arn is None:
            return self._session.client("iam", config=_CONFIG), float("inf")
        with calling("sts:AssumeRole", role_arn):
            sts = self._session.client("sts", config=_CONFIG)
            credentials = sts.assume_role(RoleArn=role_arn, RoleSessionName="tracklib-vpn")["Credentials"]
        client = self._session.client(
            "iam",
            aws_access_key_id=credentials["AccessKeyId"],
            aws_secret_access_key=credentials["SecretAccessKey"],
            aws_session_token=credentials["SessionToken"],
            config=_CONFIG,
        )
        return client, credentials["Expiration"].timestamp() - 60
