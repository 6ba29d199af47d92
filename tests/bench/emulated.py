# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""An emulated AWS with many users and registered devices, as a process of its own.

Usage: python -m tests.bench.emulated PORT USERS DEVICES
"""

from __future__ import annotations

import base64
import contextlib
import ipaddress
import os
import random
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import boto3
from ansible_collections.tracklib.vpn.plugins.module_utils.iam.sweep import sweep
from ansible_collections.tracklib.vpn.plugins.module_utils.model import Decision, Registration
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.items import registration_item
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.table import Registry
from boto3.dynamodb.types import TypeSerializer
from moto import mock_aws
from moto.dynamodb.models import dynamodb_backends
from moto.iam.models import iam_backends

from tests.support import ROOT, emulator
from tests.support.serving import serving

COLLECTIONS = ROOT / ".ansible/collections"
ACCOUNT = "123456789012"  # the emulator's own
GROUP = "vpn-developers"
TABLE = "tracklib-vpn"
REGION = "eu-west-1"
POOL = "10.44.0.0/16"
POOLS = [POOL, "fd44:7472:6163:6b::/64"]
LEAVER = "user-00007"  # the one change that is measured: deleted, and there again
# they look real: Ansible masks a secret wherever its text turns up
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "AKIAQYLPMN5HEXAMPLE0",
    "AWS_SECRET_ACCESS_KEY": "uXq7vRz1Kp0LbNtG4sYw9HcEoJmDfA2iS8yT6VeU",
    "AWS_REGION": REGION,
    "AWS_DEFAULT_REGION": REGION,
    "AWS_EC2_METADATA_DISABLED": "true",
}


@contextlib.contextmanager
def account(users: int, devices: int) -> Iterator[str]:
    """The address of an account of so many users, all in GROUP, with so many devices shared out evenly."""
    environment = {**os.environ, **ENVIRONMENT, "PYTHONPATH": str(COLLECTIONS)}
    with serving("tests.bench.emulated", str(users), str(devices), env=environment) as url:
        yield url


def client(url: str, service: str) -> Any:
    """A boto3 client of the account."""
    keys = ENVIRONMENT["AWS_ACCESS_KEY_ID"], ENVIRONMENT["AWS_SECRET_ACCESS_KEY"]
    return boto3.session.Session(*keys).client(service, region_name=REGION, endpoint_url=url)  # type: ignore[call-overload]  # by name


def name(number: int) -> str:
    """The name of a user."""
    return f"user-{number:05}"


def registrations(user_ids: Sequence[str], devices: int) -> list[Registration]:
    """The registered devices, always with the same keys and addresses for a user."""
    keys = random.Random(1)
    addresses = ipaddress.ip_network(POOL)
    return [
        Registration(
            account_id=ACCOUNT,
            user_id=user_ids[number % len(user_ids)],
            device=f"device-{number // len(user_ids)}",
            user_name=name(number % len(user_ids)),
            public_key=base64.b64encode(keys.randbytes(31) + b"\x40").decode(),
            addresses=(str(addresses[number + 2]), f"fd44:7472:6163:6b::{number + 2:x}"),
            created_at=1_790_000_000,
            expires_at=4_000_000_000,
        )
        for number in range(devices)
    ]


def delete_user(iam: Any, name: str) -> None:
    """As an offboarding does."""
    iam.remove_user_from_group(GroupName=GROUP, UserName=name)
    iam.delete_user(UserName=name)


def fill(users: int, devices: int) -> None:
    """Make everything inside the emulator: by HTTP, this many would take minutes."""
    iam = iam_backends[ACCOUNT]["aws"]
    iam.create_group(GROUP)
    for number in range(users):
        iam.create_user(REGION, name(number), "/people/", [{"Key": "team", "Value": "payments"}])
        iam.add_user_to_group(GROUP, name(number))
    template = (ROOT / "roles/control_plane/files/registry.yml").read_text()
    boto3.client("cloudformation").create_stack(StackName="registry", TemplateBody=template)
    registry = Registry(boto3.client("dynamodb"), TABLE)
    found = sweep(boto3.client("iam"), ACCOUNT)
    registry.make_identity()
    registry.store_sweep(found, 1)
    registered = registrations(list(found.users), devices)
    registry.store_decision(Decision(tuple(registered)), 1)
    serialize = TypeSerializer().serialize
    for registration in registered:
        # without the claims, which a run never reads
        item = {name: serialize(value) for name, value in registration_item(registration).items()}
        dynamodb_backends[ACCOUNT][REGION].put_item(TABLE, item)


def main() -> None:
    """Serve until killed."""
    with mock_aws():
        fill(int(sys.argv[2]), int(sys.argv[3]))
        emulator.main()


if __name__ == "__main__":
    main()
