# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The entries for Lambda: `dispatcher.handler.handler`, and `dispatcher.handler.sweep` of the sweeper."""

from __future__ import annotations

import os
from functools import lru_cache
from typing import Any

import boto3
from ansible_collections.tracklib.vpn.plugins.module_utils.aws import FUNCTION_CONFIG
from ansible_collections.tracklib.vpn.plugins.module_utils.iam.clients import IamClients
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.table import Registry
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.config import Config

from .dispatch import Dispatcher, DispatcherClients
from .listeners import Listeners
from .settings import DispatcherSettings, read
from .sweeper import Sweeper

_CONFIG = Config(user_agent_extra="tracklib.vpn", **FUNCTION_CONFIG)
# a page of 1,000 users takes IAM some seconds; the sweeper has two minutes
_PATIENT = _CONFIG.merge(Config(read_timeout=10))
# what listeners are told by is tried once: a build does it, too, and waits for it to end
_ONCE = _CONFIG.merge(Config(retries={"mode": "standard", "total_max_attempts": 1}))


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Take a batch of messages; return which of them go back to the queue."""
    return dispatcher()(event, context)


def sweep(event: object, context: LambdaContext) -> None:
    """Look whether a build is due."""
    sweeper()(event, context)


@lru_cache(maxsize=None)
def dispatcher() -> Dispatcher:
    """Make the dispatcher with the clients that it keeps from call to call."""
    settings = read(os.environ)
    session = boto3.session.Session()
    clients = DispatcherClients(
        codebuild=session.client("codebuild", config=_CONFIG),
        ec2=session.client("ec2", config=_CONFIG),
        sns=session.client("sns", config=_CONFIG),
        sqs=session.client("sqs", config=_CONFIG),
    )
    registry = Registry(session.client("dynamodb", config=_CONFIG), settings.table)
    return Dispatcher(settings, registry, clients, _listeners(session, settings))


@lru_cache(maxsize=None)
def sweeper() -> Sweeper:
    """Make the sweeper with the clients that it keeps from call to call."""
    settings = read(os.environ)
    session = boto3.session.Session()
    return Sweeper(
        settings,
        Registry(session.client("dynamodb", config=_PATIENT), settings.table),
        IamClients(session, settings.roles, _PATIENT),
        codebuild=session.client("codebuild", config=_CONFIG),
        ec2=session.client("ec2", config=_CONFIG),
        listeners=_listeners(session, settings),
    )


def _listeners(session: boto3.session.Session, settings: DispatcherSettings) -> Listeners:
    registry = Registry(session.client("dynamodb", config=_ONCE), settings.table)
    iam_of = IamClients(session, settings.roles, _ONCE)
    return Listeners(settings.listeners, registry, session.client("sqs", config=_ONCE), iam_of)
