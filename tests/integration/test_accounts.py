# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Users of two accounts, the second swept by an assumed role."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import boto3
import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils import keys
from ansible_collections.tracklib.vpn.plugins.module_utils.addresses import parse_pools
from ansible_collections.tracklib.vpn.plugins.module_utils.model import Registration, Tombstone

from tests.support import fault_proxy as faults
from tests.support.fault_proxy import FaultProxy

from .vpn import ACCOUNT, POOLS, Vpn

OTHER = "444455556666"
ROLE = f"arn:aws:iam::{OTHER}:role/vpn-sweep"
ACCOUNTS = [{"account_id": ACCOUNT}, {"account_id": OTHER, "role_arn": ROLE}]
ACCESS = [{"groups": ["vpn"], "networks": ["10.20.0.0/16"], "accounts": [ACCOUNT, OTHER]}]
FEW_TRIES = {"retries": {"mode": "standard", "total_max_attempts": 2}}


class Runs:
    """`roster` runs for both accounts."""

    def __init__(self, vpn: Vpn, other: Any, dest: Path) -> None:
        self.vpn = vpn
        self.other = other  # IAM client of the other account
        self.dest = dest

    def __call__(self, proxy: FaultProxy | None = None) -> dict[str, Any]:
        env = {"AWS_URL": proxy.url} if proxy else None
        options: dict[str, Any] = {"identity_accounts": ACCOUNTS, "access": ACCESS, "aws_config": FEW_TRIES}
        return self.vpn.module("roster", env=env, dest=str(self.dest), **options)

    def peers(self) -> set[str]:
        return {peer["user_name"] for peer in json.loads(self.dest.read_text())["peers"]}

    def add(self, account_id: str, name: str) -> str:
        iam = self.vpn.iam if account_id == ACCOUNT else self.other
        user_id: str = iam.create_user(UserName=name)["User"]["UserId"]
        iam.add_user_to_group(GroupName="vpn", UserName=name)
        wanted = Registration(account_id, user_id, "laptop", name, keys.generate()[1], (), time.time())
        self.vpn.registry().devices.register(wanted, parse_pools(POOLS))
        return user_id


@pytest.fixture
def runs(vpn: Vpn, aws_url: str, aws_client: Any, tmp_path: Path) -> Runs:
    """alice and bob here, dora and emil in the other account, after a first complete run."""
    given = aws_client("sts").assume_role(RoleArn=ROLE, RoleSessionName="test")["Credentials"]
    other = boto3.client(
        "iam",
        endpoint_url=aws_url,
        region_name="us-east-1",
        aws_access_key_id=given["AccessKeyId"],
        aws_secret_access_key=given["SecretAccessKey"],
        aws_session_token=given["SessionToken"],
    )
    other.create_group(GroupName="vpn")
    made = Runs(vpn, other, tmp_path / "roster.json")
    for account_id, name in ((ACCOUNT, "alice"), (ACCOUNT, "bob"), (OTHER, "dora"), (OTHER, "emil")):
        made.add(account_id, name)
    assert made()["problems"] == []
    assert made.peers() == {"alice", "bob", "dora", "emil"}
    return made


def leave(iam: Any, name: str) -> None:
    iam.remove_user_from_group(GroupName="vpn", UserName=name)
    iam.delete_user(UserName=name)


def test_leaver_of_either_account_is_revoked(runs: Runs) -> None:
    leave(runs.other, "dora")
    leave(runs.vpn.iam, "alice")
    assert runs()["problems"] == []
    assert runs.peers() == {"bob", "emil"}


@pytest.mark.parametrize("action", ["AssumeRole", "GetAccountAuthorizationDetails"])
def test_r3_failing_account_keeps_its_peers_and_fails_the_run_while_the_other_goes_on(
    runs: Runs, fault_proxy: FaultProxy, action: str
) -> None:
    leave(runs.other, "dora")
    leave(runs.vpn.iam, "alice")
    # the own account is swept first
    fault_proxy.fail(action, faults.error(403, "AccessDenied"), first=1 if action == "AssumeRole" else 2)
    result = runs(fault_proxy)
    assert runs.peers() == {"bob", "dora", "emil"}
    assert len(result["problems"]) == 1
    assert f"the sweep of account {OTHER} is incomplete, the last complete one decided" in result["problems"][0]
    assert [account["complete"] for account in result["accounts"]] == [True, False]
    assert runs()["problems"] == []
    assert runs.peers() == {"bob", "emil"}


def test_r4_tombstone_of_the_failing_account_applies(runs: Runs, fault_proxy: FaultProxy) -> None:
    stored = runs.vpn.registry().sweep(OTHER)
    assert stored is not None
    dora = stored.named("dora")
    assert dora is not None
    runs.vpn.registry().write_tombstone(Tombstone(OTHER, "event", "dora", dora.user_id, time.time()))
    fault_proxy.fail("AssumeRole", faults.error(403, "AccessDenied"))
    result = runs(fault_proxy)
    assert OTHER in result["problems"][0]
    assert runs.peers() == {"alice", "bob", "emil"}


def test_r1_removal_takes_only_the_device_of_the_account_that_is_named(runs: Runs) -> None:
    runs.add(OTHER, "alice")
    remove: dict[str, Any] = {"state": "absent", "user_name": "alice", "device": "laptop"}
    here = runs.vpn.module("registration", **remove)
    assert here["registration"]["account_id"] == ACCOUNT
    assert not runs.vpn.module("registration", **remove)["changed"]
    there = runs.vpn.module("registration", identity_account_id=OTHER, **remove)
    assert there["registration"]["account_id"] == OTHER


def test_r1_user_of_the_same_name_in_the_other_account_is_another(runs: Runs) -> None:
    runs.add(OTHER, "alice")
    runs()
    runs.vpn.registry().write_tombstone(Tombstone(OTHER, "event", "alice", None, time.time() + 1))
    runs()
    peers = json.loads(runs.dest.read_text())["peers"]
    assert [peer["account_id"] for peer in peers if peer["user_name"] == "alice"] == [ACCOUNT]
