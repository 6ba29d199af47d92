# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The entry for Lambda: `self_service.handler.handler`."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import boto3
import urllib3
from ansible_collections.tracklib.vpn.plugins.module_utils.aws import FUNCTION_CONFIG, AWSCallError, calling
from ansible_collections.tracklib.vpn.plugins.module_utils.iam.clients import IamClients
from ansible_collections.tracklib.vpn.plugins.module_utils.model import Registration
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.table import Registry
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.config import Config

from .api import Api, unable
from .devices import OwnDevices
from .settings import FunctionEnvironment, read, read_environment
from .urls import FunctionUrls

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
    devices = OwnDevices(settings, registry, IamClients(session, settings.roles, _CONFIG))
    urls = FunctionUrls(lambda: session.client("lambda", config=_CONFIG))
    return Api(settings, devices, urllib3.PoolManager(), _notifier(session, environment.queue_url), urls)


def _notifier(session: boto3.session.Session, queue_url: str) -> Callable[[Registration | None], None]:
    sqs = session.client("sqs", config=_CONFIG)

    def notify(removed: Registration | None) -> None:
        message: dict[str, Any] = {"kind": "registry_changed"}
        if removed is not None:  # the dispatcher has the gateways take it off at once
            names = ("account_id", "user_id", "user_name", "device")
            message["removed"] = {name: getattr(removed, name) for name in names}
        with calling("sqs:SendMessage", queue_url):
            sqs.send_message(QueueUrl=queue_url, MessageBody=json.dumps(message))

    return notify
