# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""`roster` and `iam_users_info` against an emulated AWS over HTTP, with faults between the two."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils import keys

from tests.support import fault_proxy as faults
from tests.support.fault_proxy import FaultProxy

from .vpn import ACCOUNT, Vpn

# two tries instead of five: what is tested is what happens when AWS keeps failing
FEW_TRIES = {"retries": {"mode": "standard", "total_max_attempts": 2}}
SWEEP = "GetAccountAuthorizationDetails"


class Runs:
    """`roster` runs, all to one file."""

    def __init__(self, vpn: Vpn, dest: Path) -> None:
        self.vpn = vpn
        self.dest = dest

    def __call__(self, proxy: FaultProxy | None = None, check: bool = False, **options: Any) -> dict[str, Any]:
        env = {"AWS_URL": proxy.url} if proxy else None
        return self.vpn.module("roster", check=check, env=env, dest=str(self.dest), aws_config=FEW_TRIES, **options)

    def peers(self) -> list[str]:
        return sorted(f"{peer['user_name']}/{peer['device']}" for peer in self.content()["peers"])

    def content(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self.dest.read_text())
        return content


@pytest.fixture
def roster(vpn: Vpn, tmp_path: Path) -> Runs:
    """alice, bob and carol, each with a laptop, after a first complete run."""
    for name in ("alice", "bob", "carol"):
        vpn.user(name)
        vpn.register(name, "laptop", keys.generate()[1])
    runs = Runs(vpn, tmp_path / "new" / "roster.json")
    assert runs()["problems"] == []
    assert runs.peers() == ["alice/laptop", "bob/laptop", "carol/laptop"]
    return runs


def test_roster_file_is_private_and_carries_no_more_than_a_gateway_needs(roster: Runs) -> None:
    assert stat.S_IMODE(roster.dest.stat().st_mode) == 0o600
    assert stat.S_IMODE(roster.dest.parent.stat().st_mode) == 0o700
    assert set(roster.content()["peers"][0]) == {
        "public_key",
        "allowed_ips",
        "account_id",
        "user_id",
        "user_name",
        "device",
        "expires_at",
        "held",
    }


def test_roster_file_says_when_each_peer_expires(roster: Runs) -> None:
    renewed = roster.vpn.module("registration", user_name="bob", device="laptop", renew=True, expires_in="30d")
    assert roster()["changed"]
    expires_at = {peer["user_name"]: peer["expires_at"] for peer in roster.content()["peers"]}
    assert expires_at == {"alice": None, "bob": renewed["registration"]["expires_at"], "carol": None}


def test_run_that_decides_the_same_is_not_changed(roster: Runs) -> None:
    assert not roster()["changed"]
    roster.vpn.iam.remove_user_from_group(GroupName="vpn", UserName="bob")
    assert roster()["changed"]


def test_run_after_a_leaver_was_found_is_not_changed(roster: Runs) -> None:
    roster.vpn.delete_user("alice")
    assert roster()["changed"]
    assert not roster()["changed"]


def test_r4_deleted_user_is_revoked_with_a_tombstone(roster: Runs) -> None:
    roster.vpn.delete_user("alice")
    assert roster()["counts"] == {"peers": 2, "held": 0, "revoked": 1, "excluded": 1}
    assert [revoked["user_name"] for revoked in roster.content()["revoked"]] == ["alice"]
    assert len(roster.vpn.items("tombstone")) == 1


def test_r1_new_user_of_an_old_name_is_no_peer_by_the_old_ones_device(roster: Runs) -> None:
    roster.vpn.delete_user("alice")
    roster.vpn.user("alice")
    roster()
    assert roster.peers() == ["bob/laptop", "carol/laptop"]


def test_r1_renamed_user_stays(roster: Runs) -> None:
    roster.vpn.iam.update_user(UserName="alice", NewUserName="alicia")
    assert roster()["counts"]["peers"] == 3


def test_user_out_of_the_group_is_left_out(roster: Runs) -> None:
    roster.vpn.iam.remove_user_from_group(GroupName="vpn", UserName="bob")
    assert roster()["excluded"][0]["reason"] == "not_in_group"
    assert roster.peers() == ["alice/laptop", "carol/laptop"]


def test_check_mode_decides_and_touches_no_registry(roster: Runs) -> None:
    before = roster.vpn.registry().generation()
    roster.vpn.delete_user("alice")
    result = roster(check=True)
    assert result["counts"]["revoked"] == 1
    assert result["changed"]
    assert roster.vpn.registry().generation() == before == result["generation"]
    assert roster.vpn.items("tombstone") == []


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(faults.error(500, "InternalFailure"), id="error"),
        pytest.param(faults.error(403, "AccessDenied"), id="denied"),
        pytest.param(faults.error(400, "Throttling"), id="throttled"),
        pytest.param(faults.error(400, "ThrottlingException"), id="throttled by its other name"),
        pytest.param(faults.reset, id="connection reset"),
        pytest.param(faults.cut_short, id="body cut"),
        pytest.param(faults.cut_inside, id="document cut"),
    ],
)
def test_r3_failing_second_page_changes_nothing_and_says_so(
    roster: Runs, fault_proxy: FaultProxy, fault: faults.Fault
) -> None:
    roster.vpn.delete_user("alice")
    roster.vpn.iam.remove_user_from_group(GroupName="vpn", UserName="bob")
    fault_proxy.page_size = 1
    fault_proxy.fail(SWEEP, fault, first=2)
    result = roster(fault_proxy)
    assert roster.peers() == ["alice/laptop", "bob/laptop", "carol/laptop"]
    assert len(result["problems"]) == 1
    assert f"the sweep of account {ACCOUNT} is incomplete" in result["problems"][0]
    assert result["accounts"][0]["complete"] is False


def test_r3_page_that_promises_more_without_saying_where_is_incomplete(roster: Runs, fault_proxy: FaultProxy) -> None:
    fault_proxy.page_size = 1
    fault_proxy.fail(SWEEP, faults.without_marker)
    assert "a page is missing" in roster(fault_proxy)["problems"][0]


def test_r3_passing_fault_is_retried(roster: Runs, fault_proxy: FaultProxy) -> None:
    fault_proxy.fail(SWEEP, faults.error(400, "Throttling"), last=1)
    assert roster(fault_proxy)["problems"] == []


def test_r3_blocks_apply_during_an_incomplete_sweep(roster: Runs, fault_proxy: FaultProxy) -> None:
    roster.vpn.module("revocation", user_name="carol")
    fault_proxy.fail(SWEEP, faults.error(403, "AccessDenied"))
    problem = roster(fault_proxy)["problems"][0]
    assert "these credentials need iam:GetAccountAuthorizationDetails on account" in problem
    assert roster.peers() == ["alice/laptop", "bob/laptop"]


def test_r3_failing_second_sweep_confirms_nobody(roster: Runs, fault_proxy: FaultProxy) -> None:
    roster.vpn.delete_user("alice")
    fault_proxy.fail(SWEEP, faults.error(403, "AccessDenied"), first=2)
    assert roster(fault_proxy)["problems"]
    assert "alice/laptop" in roster.peers()


def test_r3_credentials_of_another_account_make_the_sweep_incomplete(roster: Runs) -> None:
    result = roster(identity_accounts=[{"account_id": "999999999999"}, {"account_id": ACCOUNT}])
    assert f"belong to account {ACCOUNT}, expected 999999999999" in result["problems"][0]
    assert len(result["problems"]) == 1
    assert len(roster.peers()) == 3


def test_r5_mass_removal_is_held_and_the_token_releases_it(roster: Runs) -> None:
    for name in ("dora", "emil", "fred", "gina"):
        roster.vpn.user(name)
        roster.vpn.register(name, "laptop", keys.generate()[1])
    roster()
    for name in ("alice", "bob", "carol", "dora", "emil", "fred"):
        roster.vpn.iam.remove_user_from_group(GroupName="vpn", UserName=name)
    held = roster()
    assert held["counts"]["held"] == 6
    assert "alice/laptop" in held["problems"][0]
    assert roster()["release_token"] == held["release_token"]
    released = roster(release_held=held["release_token"])
    assert released["problems"] == []
    assert roster.peers() == ["gina/laptop"]


def test_r5_group_mistyped_in_the_policy_is_held_until_it_is_put_right(roster: Runs) -> None:
    for name in ("dora", "emil", "fred"):
        roster.vpn.user(name)
        roster.vpn.register(name, "laptop", keys.generate()[1])
    roster()
    mistyped = [{"groups": ["vnp"], "networks": ["10.20.0.0/16"]}]
    for _ in range(2):
        held = roster(access=mistyped)
        assert held["counts"] == {"peers": 6, "held": 6, "revoked": 0, "excluded": 0}
        assert "vpn_access" in held["problems"][0]
    assert roster()["counts"]["held"] == 0
    roster(access=mistyped, release_held=held["release_token"])
    assert roster.peers() == []
    assert roster(access=mistyped)["counts"]["held"] == 0


def test_r6_each_run_has_a_higher_generation(roster: Runs) -> None:
    assert roster()["generation"] < roster()["generation"]


def test_unreachable_registry_fails_before_any_decision(roster: Runs, fault_proxy: FaultProxy) -> None:
    before = roster.dest.read_text()
    fault_proxy.fail("Query", faults.json_error(400, "AccessDeniedException"))
    failure = roster.vpn.fails("roster", env={"AWS_URL": fault_proxy.url}, dest=str(roster.dest), aws_config=FEW_TRIES)
    assert "access denied: these credentials need dynamodb:Query on table tracklib-vpn" in failure
    assert roster.dest.read_text() == before


def test_pool_overlapping_a_granted_network_fails_before_anything_changes(roster: Runs) -> None:
    before = roster.vpn.registry().generation()
    failure = roster.vpn.fails("roster", dest=str(roster.dest), address_pools=["10.20.0.0/24"])
    assert "10.20.0.0/24 overlaps 10.20.0.0/16" in failure
    assert roster.vpn.registry().generation() == before


def test_pool_that_no_longer_holds_a_device_fails_before_anything_changes(roster: Runs) -> None:
    roster.vpn.iam.remove_user_from_group(GroupName="vpn", UserName="carol")
    before, stored = roster.dest.read_text(), roster.vpn.items("sweep")
    new = ["10.45.0.0/20", "fd44:7472:6163:6b::/64"]
    failure = roster.vpn.fails("roster", dest=str(roster.dest), address_pools=new)
    assert "no longer hold the addresses of 2 devices" in failure
    assert "alice/laptop (10.44.0." in failure
    assert (roster.dest.read_text(), roster.vpn.items("sweep")) == (before, stored)
    roster(address_pools=[*new, "10.44.0.0/20"])
    assert roster.peers() == ["alice/laptop", "bob/laptop"]


def test_sweep_of_1000_users_is_two_requests(vpn: Vpn, fault_proxy: FaultProxy) -> None:
    for number in range(1000):
        vpn.iam.create_user(UserName=f"user{number}")
    found = vpn.module("iam_users_info", env={"AWS_URL": fault_proxy.url})
    assert len(found["users"]) == 1000
    assert dict(fault_proxy.calls) == {"GetCallerIdentity": 1, SWEEP: 1}


def test_users_info_reads_every_page_and_filters(vpn: Vpn, fault_proxy: FaultProxy) -> None:
    fault_proxy.page_size = 2
    vpn.iam.create_user(UserName="ops", Path="/ops/", Tags=[{"Key": "team", "Value": "{{ 7 * 6 }}"}])
    for number in range(5):
        vpn.user(f"user{number}", None if number else "vpn")
    env = {"AWS_URL": fault_proxy.url}
    assert len(vpn.module("iam_users_info", env=env)["users"]) == 6
    assert [u["user_name"] for u in vpn.module("iam_users_info", env=env, groups=["vpn"])["users"]] == ["user0"]
    (ops,) = vpn.module("iam_users_info", env=env, path_prefix="/ops/")["users"]
    assert ops["tags"] == {"team": "{{ 7 * 6 }}"}


def test_no_credentials_is_one_line(vpn: Vpn) -> None:
    failure = vpn.fails("iam_users_info", env={"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""})
    assert "no AWS credentials for sts:GetCallerIdentity" in failure
