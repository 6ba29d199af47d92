# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""An empty table in an emulator within the process, which evaluates conditions and transactions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.dynamodb import Table
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.table import Registry
from moto import mock_aws

from tests.support import table_ids
from tests.support.tables import TABLE, Clock


@pytest.fixture
def clock() -> Clock:
    """A clock that stands at NOW."""
    return Clock()


@pytest.fixture(scope="module")
def emulated() -> Iterator[Any]:
    """A client of an emulated DynamoDB; made once, for it takes half a second."""
    table_ids.complete()
    with mock_aws():
        yield boto3.client("dynamodb", region_name="eu-west-1", aws_access_key_id="test", aws_secret_access_key="test")


@pytest.fixture
def client(emulated: Any) -> Iterator[Any]:
    """A client of the emulated DynamoDB, which has the registry's table, empty."""
    emulated.create_table(
        TableName=TABLE,
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        BillingMode="PAY_PER_REQUEST",
    )
    yield emulated
    emulated.delete_table(TableName=TABLE)


@pytest.fixture
def registry(client: Any, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """A registry whose attempts wait for nothing."""
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    return Registry(client, TABLE, clock)


@pytest.fixture
def table(client: Any) -> Table:
    """The registry's table, to write into it what no registry does."""
    return Table(client, TABLE)
