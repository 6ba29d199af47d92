# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What `roster` does after the dispatcher has handled an event: tombstones and early signs against what IAM says."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils import keys
from ansible_collections.tracklib.vpn.plugins.module_utils.model import CONSISTENCY, Sign, Tombstone

from tests.support import fault_proxy as faults
from tests.support.fault_proxy import FaultProxy

from .vpn import ACCOUNT, Vpn

FEW_TRIES = {"retries": {"mode": "standard", "total_max_attempts": 2}}


class Runs:
    """`roster` runs, all to one file; every user has a laptop."""

    def __init__(self, vpn: Vpn, dest: Path) -> None:
        self.vpn = vpn
        self.dest = dest
        self.ids: dict[str, str] = {}

    def __call__(self, **options: Any) -> dict[str, Any]:
        return self.vpn.module("roster", dest=str(self.dest), aws_config=FEW_TRIES, **options)

    def signs(self, **options: Any) -> dict[str, Any]:
        """What is done about early signs once the gateways are served."""
        return self.vpn.module("early_signs", aws_config=FEW_TRIES, **options)

    def add(self, name: str) -> None:
        self.ids[name] = self.vpn.user(name)
        self.vpn.register(name, "laptop", keys.generate()[1])

    def peers(self) -> set[str]:
        return {peer["user_name"] for peer in json.loads(self.dest.read_text())["peers"]}

    def bury(self, name: str, user_id: str | None, seconds_ago: float = 1) -> None:
        """As the dispatcher does."""
        deleted = Tombstone(ACCOUNT, f"event-{name}", name, user_id, time.time() - seconds_ago)
        self.vpn.registry().write_tombstone(deleted)

    def sign(self, name: str, event: str = "DeleteLoginProfile", seconds_ago: float = 1) -> None:
        """As the dispatcher does."""
        self.vpn.registry().write_sign(Sign(ACCOUNT, self.ids[name], event, time.time() - seconds_ago))


@pytest.fixture
def roster(vpn: Vpn, tmp_path: Path) -> Runs:
    """alice, bob and carol, each with a laptop, after a first complete run."""
    runs = Runs(vpn, tmp_path / "roster.json")
    for name in ("alice", "bob", "carol"):
        runs.add(name)
    runs()
    assert runs.peers() == {"alice", "bob", "carol"}
    return runs


@pytest.mark.parametrize("known", [True, False], ids=["by id", "by name alone"])
def test_r4_deleted_user_is_gone_even_if_iam_still_lists_it(roster: Runs, known: bool) -> None:
    time.sleep(1.1)  # IAM's times are whole seconds
    roster.bury("alice", roster.ids["alice"] if known else None, seconds_ago=0)
    assert roster()["counts"]["revoked"] == 1
    assert roster.peers() == {"bob", "carol"}


def test_r1_user_created_again_after_the_event_is_not_gone(roster: Runs) -> None:
    roster.vpn.delete_user("alice")
    roster.bury("alice", roster.ids["alice"], seconds_ago=2)
    roster.bury("Alice", None, seconds_ago=2)  # and once more, when no sweep knew the name
    roster.ids["alice"] = roster.vpn.user("alice")
    roster.vpn.register("alice", "phone", keys.generate()[1])
    roster()
    peers = json.loads(roster.dest.read_text())["peers"]
    assert {(peer["user_name"], peer["device"]) for peer in peers} == {
        ("alice", "phone"),
        ("bob", "laptop"),
        ("carol", "laptop"),
    }


def test_r1_tombstone_of_a_renamed_users_new_name_is_about_its_earlier_owner(roster: Runs) -> None:
    roster.vpn.delete_user("alice")
    roster.bury("alice", roster.ids["alice"])
    roster.vpn.iam.update_user(UserName="bob", NewUserName="alice")
    for _ in range(2):  # the second run's stored sweep knows bob by the new name, too
        roster()
        assert roster.peers() == {"alice", "carol"}  # bob's device, under his new name


def test_r1_tombstone_by_name_spares_who_was_renamed_to_a_just_deleted_name_that_no_sweep_knew(roster: Runs) -> None:
    time.sleep(1.1)  # IAM's times are whole seconds
    roster.bury("dora", None, seconds_ago=0)
    roster.vpn.iam.update_user(UserName="bob", NewUserName="dora")
    for _ in range(2):
        roster()
        assert roster.peers() == {"alice", "dora", "carol"}


def test_r1_tombstone_with_an_id_that_was_looked_up_under_a_stale_name_spares_it(roster: Runs) -> None:
    roster.vpn.iam.update_user(UserName="bob", NewUserName="bob.smith")
    roster.bury("bob", roster.ids["bob"])  # the sweep that the dispatcher read still called him so
    for _ in range(2):
        roster()
        assert roster.peers() == {"alice", "bob.smith", "carol"}


def test_late_tombstone_of_a_user_whom_a_sweep_already_missed_changes_nothing(roster: Runs) -> None:
    roster.vpn.delete_user("alice")
    roster()
    roster.bury("alice", None, seconds_ago=3600)
    assert not roster()["changed"]
    assert roster.peers() == {"bob", "carol"}


def test_deleted_or_renamed_group_leaves_its_members_out(roster: Runs) -> None:
    roster.vpn.iam.create_group(GroupName="dba")
    roster.vpn.iam.remove_user_from_group(GroupName="vpn", UserName="bob")
    roster.vpn.iam.add_user_to_group(GroupName="dba", UserName="bob")
    access = [{"groups": ["vpn", "dba"], "networks": ["10.20.0.0/16"]}]
    roster(access=access)
    assert roster.peers() == {"alice", "bob", "carol"}
    roster.vpn.iam.remove_user_from_group(GroupName="dba", UserName="bob")
    roster.vpn.iam.delete_group(GroupName="dba")
    assert [left["reason"] for left in roster(access=access)["excluded"]] == ["not_in_group"]
    assert roster.peers() == {"alice", "carol"}


def test_early_sign_warns_and_the_user_stays(roster: Runs) -> None:
    roster.sign("alice")
    for _ in range(2):
        result = roster()
        assert (result["early_signs"], result["problems"]) == (1, [])
        assert roster.signs()["names"] == ["alice"]
        assert roster.peers() == {"alice", "bob", "carol"}


def test_early_sign_suspends_until_an_operator_unblocks(roster: Runs) -> None:
    roster.sign("alice", "DeleteAccessKey")
    assert roster.signs(early_signs="suspend")["suspended"] == ["alice"]
    assert roster()["counts"]["revoked"] == 1
    assert roster.peers() == {"bob", "carol"}
    (block,) = roster.vpn.registry().blocks()
    assert block.reason == "suspended: DeleteAccessKey left no login profile and no active access key"
    roster.vpn.module("revocation", state="unblocked", user_name="alice")
    assert roster.signs(early_signs="suspend")["names"] == []
    roster()
    assert roster.peers() == {"alice", "bob", "carol"}


@pytest.mark.parametrize("left", ["profile", "key"])
def test_r12_early_sign_of_a_user_who_can_still_sign_in_is_none(roster: Runs, left: str) -> None:
    for name in ("alice", "bob"):
        if left == "profile":
            roster.vpn.iam.create_login_profile(UserName=name, Password="A-long-passw0rd!")
        else:
            roster.vpn.iam.create_access_key(UserName=name)
    roster.sign("alice")
    roster.sign("bob", seconds_ago=CONSISTENCY + 1)
    assert roster.signs(early_signs="suspend")["names"] == []
    assert roster.vpn.registry().blocks() == []
    (kept,) = roster.vpn.items("sign")  # bob's is forgotten; IAM may have said of alice what was before
    assert kept["sk"]["S"].endswith(roster.ids["alice"])


def test_inactive_access_key_is_no_way_to_sign_in(roster: Runs) -> None:
    made = roster.vpn.iam.create_access_key(UserName="alice")["AccessKey"]["AccessKeyId"]
    roster.vpn.iam.update_access_key(UserName="alice", AccessKeyId=made, Status="Inactive")
    roster.sign("alice", "UpdateAccessKey")
    assert roster.signs()["names"] == ["alice"]


def test_early_sign_asks_iam_about_nobody_else(roster: Runs, fault_proxy: FaultProxy) -> None:
    roster.sign("alice")
    roster.vpn.delete_user("bob")
    roster.sign("bob")
    roster(env={"AWS_URL": fault_proxy.url})
    assert fault_proxy.calls["GetLoginProfile"] == 0
    roster.signs(env={"AWS_URL": fault_proxy.url})
    assert (fault_proxy.calls["GetLoginProfile"], fault_proxy.calls["ListAccessKeys"]) == (1, 1)


def test_r3_early_sign_that_iam_does_not_confirm_changes_nothing_and_says_so(
    roster: Runs, fault_proxy: FaultProxy
) -> None:
    roster.sign("alice")
    fault_proxy.fail("ListAccessKeys", faults.error(403, "AccessDenied"))
    result = roster.signs(env={"AWS_URL": fault_proxy.url}, early_signs="suspend")
    assert "these credentials need iam:ListAccessKeys on user alice" in result["problems"][0]
    assert roster.vpn.registry().blocks() == []
    assert roster.signs(early_signs="suspend")["suspended"] == ["alice"]


def test_early_sign_in_check_mode_writes_nothing(roster: Runs) -> None:
    roster.sign("alice")
    assert roster.signs(check=True, early_signs="suspend")["suspended"] == ["alice"]
    assert roster.vpn.registry().blocks() == []
    assert len(roster.vpn.items("sign")) == 1
