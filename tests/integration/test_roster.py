# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""`roster` and `iam_users_info` against an emulated AWS over HTTP, with faults between the two."""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils import keys

from tests.support import fault_proxy as faults
from tests.support.fault_proxy import FaultProxy

from .conftest import ROOT
from .vpn import ACCOUNT, OPERATOR, POOLS, Vpn

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
    for name, expires_in in (("alice", "never"), ("bob", "40d")):
        roster.vpn.module("registration", user_name=name, device="laptop", renew=True, expires_in=expires_in)
    assert roster()["changed"]
    expires_at = {peer["user_name"]: peer["expires_at"] for peer in roster.content()["peers"]}
    registered = {each.user_name: each.expires_at for each in roster.vpn.registry().devices.registrations()}
    assert expires_at == {name: None if end is None else int(end) for name, end in registered.items()}
    assert [name for name, end in sorted(expires_at.items()) if end is None] == ["alice"]


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
    before = roster.vpn.registry().generations.last()
    roster.vpn.delete_user("alice")
    result = roster(check=True)
    assert result["counts"]["revoked"] == 1
    assert result["changed"]
    assert roster.vpn.registry().generations.last() == before == result["generation"]
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
    assert "broke off after 1 users" in roster(fault_proxy)["problems"][0]


def test_r3_passing_fault_is_retried(roster: Runs, fault_proxy: FaultProxy) -> None:
    fault_proxy.fail(SWEEP, faults.error(400, "Throttling"), last=1)
    assert roster(fault_proxy)["problems"] == []


def test_r3_blocks_apply_during_an_incomplete_sweep(roster: Runs, fault_proxy: FaultProxy) -> None:
    roster.vpn.module("revocation", user_name="carol", all_devices=True)
    fault_proxy.fail(SWEEP, faults.error(403, "AccessDenied"))
    problem = roster(fault_proxy)["problems"][0]
    assert "these credentials need iam:GetAccountAuthorizationDetails on account" in problem
    assert roster.peers() == ["alice/laptop", "bob/laptop"]


@pytest.mark.parametrize("code", ["AccessDenied", "Throttling"])
def test_r4_question_that_iam_does_not_answer_confirms_nobody_and_the_sweep_stays(
    roster: Runs, fault_proxy: FaultProxy, code: str
) -> None:
    roster.vpn.delete_user("alice")
    fault_proxy.fail("GetUser", faults.error(400, code))
    result = roster(fault_proxy)
    assert "IAM didn't say whether they are deleted" in result["problems"][0]
    assert result["accounts"][0]["complete"]
    assert roster.vpn.items("tombstone") == []


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
    released = roster(release_held=[held["release_token"]])
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
    roster(access=mistyped, release_held=[held["release_token"]])
    assert roster.peers() == []
    assert roster(access=mistyped)["counts"]["held"] == 0


def test_r16_peers_of_an_account_that_is_configured_no_more_are_held_and_no_token_lets_them_go(roster: Runs) -> None:
    others = [{"account_id": "999999999999", "role_arn": "arn:aws:iam::999999999999:role/x"}]
    held = roster(identity_accounts=others)
    assert held["counts"]["held"] == 3
    assert held["release_token"] is None
    said = " ".join(held["problems"])
    assert f"users of account {ACCOUNT} are peers, and it isn't one of the accounts whose users may connect" in said
    assert "Mend first what is named above" in said
    assert 'vpn_release_held": [' not in said
    assert len(roster.peers()) == 3


def test_r16_credentials_of_another_account_are_refused_before_a_generation_is_taken(roster: Runs) -> None:
    before, generation = roster.dest.read_text(), roster.vpn.registry().generations.last()
    failure = roster.vpn.fails("roster", dest=str(roster.dest), account_id="999999999999")
    assert f"belong to account {ACCOUNT}, expected 999999999999" in failure
    assert (roster.dest.read_text(), roster.vpn.registry().generations.last()) == (before, generation)


def test_r16_table_without_an_identity_is_refused_before_anything_is_written(
    roster: Runs, aws_client: Callable[..., Any]
) -> None:
    before = roster.dest.read_text()
    template = (ROOT / "roles/control_plane/files/registry.yml").read_text()
    parameters = [{"ParameterKey": "TableName", "ParameterValue": "empty"}]
    aws_client("cloudformation").create_stack(StackName="empty", TemplateBody=template, Parameters=parameters)
    calls: dict[str, dict[str, Any]] = {
        "roster": {"dest": str(roster.dest)},
        "revocation": {"user_name": "alice", "all_devices": True},
    }
    for module, options in calls.items():
        assert "table empty is no registry: it has no identity" in roster.vpn.fails(
            module, registry_table="empty", **options
        )
    assert roster.dest.read_text() == before
    assert aws_client("dynamodb").scan(TableName="empty")["Count"] == 0


def test_r16_roster_says_which_registry_and_table_it_was_made_from(roster: Runs) -> None:
    made = roster.content()["registry"]
    assert (made["account_id"], made["region"], made["table"]) == (ACCOUNT, "eu-west-1", "tracklib-vpn")
    identity = roster.vpn.module("registry_identity")
    assert (identity["changed"], identity["registry"]) == (False, made)
    assert len(made["table_id"]) > 8


@pytest.mark.parametrize("users", [1, 3, 7])
def test_r4_empty_answer_of_iam_removes_nobody(vpn: Vpn, tmp_path: Path, fault_proxy: FaultProxy, users: int) -> None:
    for number in range(users):
        vpn.user(f"user{number}")
        vpn.register(f"user{number}", "laptop", keys.generate()[1])
    runs = Runs(vpn, tmp_path / "roster.json")
    assert runs()["problems"] == []
    fault_proxy.fail(SWEEP, faults.without_users)
    assert runs(fault_proxy)["problems"]
    assert len(runs.peers()) == users
    assert vpn.items("tombstone") == []
    assert runs()["problems"] == []


@pytest.mark.parametrize("fault", [faults.without_end, faults.of_another_service, faults.with_a_bad_date])
def test_r3_answer_that_is_not_iams_changes_nothing(roster: Runs, fault_proxy: FaultProxy, fault: faults.Fault) -> None:
    roster.vpn.delete_user("alice")
    fault_proxy.fail(SWEEP, fault)
    result = roster(fault_proxy)
    assert f"the sweep of account {ACCOUNT} is incomplete" in result["problems"][0]
    assert roster.peers() == ["alice/laptop", "bob/laptop", "carol/laptop"]


def test_r3_held_removal_and_a_throttled_sweep_cut_no_newcomer(roster: Runs, fault_proxy: FaultProxy) -> None:
    for name in ("alice", "bob", "carol"):
        roster.vpn.iam.remove_user_from_group(GroupName="vpn", UserName=name)
    assert roster()["counts"]["held"] == 3
    roster.vpn.user("dora")
    roster.vpn.register("dora", "laptop", keys.generate()[1])
    assert "dora/laptop" in (roster(), roster.peers())[1]
    fault_proxy.fail(SWEEP, faults.error(400, "Throttling"))
    assert "dora/laptop" in (roster(fault_proxy), roster.peers())[1]


def test_r5_one_of_those_held_is_released_by_name(roster: Runs) -> None:
    for name in ("alice", "bob", "carol"):
        roster.vpn.iam.remove_user_from_group(GroupName="vpn", UserName=name)
    assert roster()["counts"]["held"] == 3
    assert roster(release_held=["carol"])["held"] == ["alice/laptop", "bob/laptop"]
    assert roster.peers() == ["alice/laptop", "bob/laptop"]


def test_r1_labels_follow_the_sweep(roster: Runs) -> None:
    roster.vpn.iam.update_user(UserName="alice", NewUserName="alice.smith")
    roster()
    assert roster.peers() == ["alice.smith/laptop", "bob/laptop", "carol/laptop"]
    (registered,) = roster.vpn.module("registrations_info", user_name="alice.smith")["registrations"]
    assert registered["user_name"] == "alice.smith"


@pytest.mark.parametrize(
    "item",
    [
        {"pk": {"S": "registration"}, "sk": {"S": f"{ACCOUNT}/AIDAX/laptop"}, "addresses": {"N": "7"}},
        {"pk": {"S": "registration"}, "sk": {"S": "nonsense"}},
        {"pk": {"S": "tombstone"}, "sk": {"S": f"{ACCOUNT}/event"}},
        {"pk": {"S": "sweep"}, "sk": {"S": "999999999999"}, "data": {"S": "x"}},
        {"pk": {"S": "sign"}, "sk": {"S": "x"}},
        {"pk": {"S": "recorded"}, "sk": {"S": "gateway-1"}},
    ],
)
def test_r17_unreadable_item_is_named_and_costs_nobody_else(roster: Runs, item: dict[str, Any]) -> None:
    roster.vpn.module("revocation", user_name="carol", all_devices=True)
    roster.vpn.dynamodb.put_item(TableName=roster.vpn.table, Item=item)
    result = roster()
    assert f"item {item['pk']['S']} {item['sk']['S']} can't be read" in result["problems"][0]
    assert len(result["problems"]) == 1
    assert roster.peers() == ["alice/laptop", "bob/laptop"]


def test_r17_block_without_a_reason_still_blocks(roster: Runs) -> None:
    (user_id,) = {peer["user_id"] for peer in roster.content()["peers"] if peer["user_name"] == "carol"}
    block = {"pk": {"S": "block"}, "sk": {"S": f"{ACCOUNT}/{user_id}"}}
    roster.vpn.dynamodb.put_item(TableName=roster.vpn.table, Item=block)
    assert roster()["problems"] == []
    assert roster.peers() == ["alice/laptop", "bob/laptop"]


def test_r17_bookkeeping_that_fails_costs_no_revocation(roster: Runs, fault_proxy: FaultProxy) -> None:
    roster.vpn.delete_user("alice")
    fault_proxy.fail("PutItem", faults.json_error(400, "ProvisionedThroughputExceededException"))
    result = roster(fault_proxy)
    assert any("could not be written to the registry" in problem for problem in result["problems"])
    assert [revoked["user_name"] for revoked in roster.content()["revoked"]] == ["alice"]
    assert roster.peers() == ["bob/laptop", "carol/laptop"]


def test_r9_gateways_own_key_is_no_devices(roster: Runs) -> None:
    key = keys.generate()[1]
    gateways = [{"name": "gateway-1", "public_key": key}]
    assert roster.vpn.module("gateway_keys", check=True, gateways=gateways)["claimed"] == ["gateway-1"]
    assert roster.vpn.module("gateway_keys", gateways=gateways)["claimed"] == ["gateway-1"]
    assert not roster.vpn.module("gateway_keys", gateways=gateways)["changed"]
    options: dict[str, Any] = {"user_name": "alice", "device": "phone", "public_key": key, "address_pools": POOLS}
    assert "is that of gateway/gateway-1" in roster.vpn.fails("registration", **options)
    held = roster.content()["peers"][0]["public_key"]
    assert "is registered for a device" in roster.vpn.fails(
        "gateway_keys", gateways=[{"name": "gateway-2", "public_key": held}]
    )


def test_run_says_who_joined_and_left_and_is_left_out_and_why(roster: Runs) -> None:
    def said(result: dict[str, Any]) -> dict[str, list[tuple[str, str]]]:
        kinds = ("joined", "left", "left_out")
        when = re.compile(r"since [^)]*")
        return {
            kind: [(each["name"], when.sub("since ...", each["cause"])) for each in result[kind]]
            for kind in kinds
            if result[kind]
        }

    vpn = roster.vpn
    vpn.register("bob", "phone", keys.generate()[1])
    assert said(roster()) == {"joined": [("bob/phone", f"registered by {OPERATOR}")]}
    vpn.module("revocation", user_name="bob", device="phone", reason="lost")
    assert said(roster()) == {"left": [("bob/phone", f"device blocked: lost (by {OPERATOR}, since ...)")]}
    assert said(roster()) == {}
    vpn.module("revocation", user_name="bob", device="phone", state="unblocked")
    assert said(roster()) == {"joined": [("bob/phone", f"unblocked by {OPERATOR}")]}
    vpn.user("dan", group=None)
    vpn.register("dan", "laptop", keys.generate()[1])
    ((name, cause),) = said(roster())["left_out"]
    assert name == "dan/laptop"
    assert cause.startswith("in none of the groups that grant access")


def test_r17_run_that_can_not_read_who_unblocked_somebody_goes_on(roster: Runs, fault_proxy: FaultProxy) -> None:
    roster.vpn.module("revocation", user_name="bob", device="laptop", reason="lost")
    roster()
    roster.vpn.module("revocation", user_name="bob", device="laptop", state="unblocked")
    foretold = roster(fault_proxy, check=True)
    assert foretold["joined"][0]["cause"] == f"unblocked by {OPERATOR}"
    queries = fault_proxy.calls["Query"]
    fault_proxy.fail("Query", faults.json_error(400, "AccessDeniedException"), first=2 * queries)
    result = roster(fault_proxy)
    assert fault_proxy.calls["Query"] >= 2 * queries
    assert [(each["name"], each["cause"]) for each in result["joined"]] == [("bob/laptop", "unblocked")]


def test_check_decides_as_if_a_revocation_were_written(roster: Runs) -> None:
    would = roster.vpn.module("revocation", check=True, user_name="bob", device="laptop")["revocations"]
    result = roster(check=True, assume_revocations=would)
    assert [each["name"] for each in result["left"]] == ["bob/laptop"]
    assert roster.peers() == ["alice/laptop", "carol/laptop"]
    assert roster.vpn.items("block") == []
    said = roster.vpn.fails("roster", dest=str(roster.dest), assume_revocations=would)
    assert "assume_revocations is for check mode" in said


def test_no_token_releases_what_an_incomplete_sweep_may_explain(roster: Runs, fault_proxy: FaultProxy) -> None:
    for name in ("alice", "bob"):
        roster.vpn.iam.remove_user_from_group(GroupName="vpn", UserName=name)
    held = roster()
    assert held["release_token"] in held["problems"][-1]
    fault_proxy.fail(SWEEP, faults.error(500, "ServiceFailure"))
    unknown = roster(fault_proxy)
    assert unknown["held"] == held["held"]
    assert unknown["release_token"] is None
    assert "Mend first what is named above" in unknown["problems"][-1]
    assert held["release_token"] not in " ".join(unknown["problems"])


def test_r6_each_run_has_a_higher_generation(roster: Runs) -> None:
    assert roster()["generation"] < roster()["generation"]


def test_unreachable_registry_fails_before_any_decision(roster: Runs, fault_proxy: FaultProxy) -> None:
    before = roster.dest.read_text()
    fault_proxy.fail("Query", faults.json_error(400, "AccessDeniedException"))
    failure = roster.vpn.fails("roster", env={"AWS_URL": fault_proxy.url}, dest=str(roster.dest), aws_config=FEW_TRIES)
    assert "access denied: these credentials need dynamodb:Query on table tracklib-vpn" in failure
    assert roster.dest.read_text() == before


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"address_pools": ["10.20.0.0/24"]}, "10.20.0.0/24 overlaps 10.20.0.0/16"),
        ({"address_pools": ["10.44.0.0/20", "10.44.8.0/24"]}, "overlap; give each address to one pool only"),
        (
            {"address_pools": ["10.45.0.0/20"]},
            "don't hold the addresses of 2 devices that are peers: alice/laptop (10.44.0.2",
        ),
        ({"access": [{"groups": ["vpn"], "networks": ["10.20.0.0/33"]}]}, "'10.20.0.0/33' in access"),
    ],
)
def test_r17_pools_or_networks_that_do_not_fit_stop_everything_but_revocations(
    roster: Runs, options: dict[str, Any], sentence: str
) -> None:
    roster.vpn.module("revocation", user_name="carol", all_devices=True)
    roster.vpn.user("dora")
    roster.vpn.register("dora", "laptop", keys.generate()[1])
    before = {item["sk"]["S"]: item for item in roster.vpn.items("sweep")}["decision"]
    assert sentence in roster(**options)["problems"][-1]
    assert sentence in roster.content()["refused"]
    assert [revoked["user_name"] for revoked in roster.content()["revoked"]] == ["carol"]
    assert {item["sk"]["S"]: item for item in roster.vpn.items("sweep")}["decision"] == before
    roster(address_pools=["10.45.0.0/20", *POOLS])
    assert roster.content()["refused"] is None
    assert roster.peers() == ["alice/laptop", "bob/laptop", "dora/laptop"]


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
