# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The sweeper on a real registry, IAM and CodeBuild: what it sees, starts, tries again and measures."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils import keys
from ansible_collections.tracklib.vpn.plugins.module_utils.listener.message import RevocationMessage
from ansible_collections.tracklib.vpn.plugins.module_utils.model import SweeperState, Tries
from dispatcher import handler
from dispatcher.due import FAILED

from tests.integration.vpn import ACCOUNT, Vpn
from tests.support import fault_proxy as faults
from tests.support.fault_proxy import FaultProxy

from .conftest import OTHER_ACCOUNT, Context, Stacks, environment_of, metrics_in, told

PROJECT = "tracklib-vpn-reconcile"


class Sweeping:
    """The sweeper as the schedule calls it, and the builds that it starts."""

    def __init__(self, stacks: Stacks, vpn: Vpn, proxy: FaultProxy, capsys: pytest.CaptureFixture[str]) -> None:
        self.vpn = vpn
        self.proxy = proxy
        self.ec2 = stacks.client("ec2")
        self._codebuild = stacks.client("codebuild")
        self._sqs = stacks.client("sqs")
        self._capsys = capsys

    def look(self) -> dict[str, Any]:
        """Call it; returns the metrics that it published."""
        handler.sweep({}, Context())
        return metrics_in(self._capsys.readouterr().out)

    def builds(self) -> int:
        """How many builds there were."""
        return len(self._codebuild.list_builds_for_project(projectName=PROJECT)["ids"])

    def build(self, dest: str, status: str = "SUCCEEDED") -> None:
        """Do what the build that runs does as far as the registry notices, and end it."""
        self.vpn.module("roster", env={"CODEBUILD_BUILD_ID": self._newest()}, dest=dest)
        self.end(status)

    def _newest(self) -> str:
        newest: str = self._codebuild.list_builds_for_project(projectName=PROJECT)["ids"][0]
        return newest

    def start(self) -> None:
        """Start a build, as the dispatcher does."""
        self._codebuild.start_build(projectName=PROJECT)

    def end(self, status: str) -> None:
        """End the build that runs."""
        self._codebuild.stop_build(id=f"{self._newest()}#{status}")

    def told(self) -> dict[str, list[RevocationMessage]]:
        """What each gateway's listener was told since the last time."""
        return told(self._sqs)

    def forget_tries(self) -> None:
        """Let the time be over until the next try."""
        registry = self.vpn.registry()
        registry.keep_sweeper_state(registry.sweeper_state()._replace(tried={}))


@pytest.fixture
def sweeping(
    stacks: Stacks,
    vpn: Vpn,
    fault_proxy: FaultProxy,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Sweeping]:
    """The sweeper with the environment that its stack gives it, behind a proxy that fails when told to."""
    deployed = stacks.client("lambda").get_function_configuration(FunctionName="tracklib-vpn-sweeper")
    assert deployed["Handler"] == "dispatcher.handler.sweep"
    for name, value in environment_of(stacks, "tracklib-vpn-sweeper", fault_proxy.url).items():
        monkeypatch.setenv(name, value)
    handler.sweeper.cache_clear()
    yield Sweeping(stacks, vpn, fault_proxy, capsys)
    # it keeps writing where standard output went when it was made
    logging.Logger.manager.loggerDict.pop("tracklib-vpn-sweeper")


@pytest.fixture
def served(sweeping: Sweeping, tmp_path: Any) -> Sweeping:
    """The same once a build has served the gateways with alice's and bob's laptops."""
    for name in ("alice", "bob"):
        sweeping.vpn.user(name)
        sweeping.vpn.register(name, "laptop", keys.generate()[1])
    sweeping.look()
    assert sweeping.builds() == 1, "the first, since no run has left by what it decides"
    sweeping.build(str(tmp_path / "roster.json"))
    return sweeping


def test_what_would_change_nothing_starts_no_build(served: Sweeping) -> None:
    for _minute in range(5):
        measured = served.look()
    assert served.builds() == 1
    assert measured["ReconcileFails"] == [0.0]
    assert measured["StartsRefused"] == [0.0]


def test_r12_leaver_of_whom_no_event_told_starts_one_build(served: Sweeping, tmp_path: Any) -> None:
    served.vpn.delete_user("bob")
    served.look()
    served.look()
    assert served.builds() == 2, "one runs, so that another isn't asked for"
    served.build(str(tmp_path / "roster.json"))
    served.look()
    assert served.builds() == 2


def test_group_that_was_left_and_device_that_came_start_builds(served: Sweeping, tmp_path: Any) -> None:
    served.vpn.iam.remove_user_from_group(GroupName="vpn", UserName="bob")
    served.look()
    assert served.builds() == 2
    served.build(str(tmp_path / "roster.json"))
    served.vpn.register("alice", "phone", keys.generate()[1])
    served.look()
    assert served.builds() == 3


def test_nobody_hears_of_a_user_without_a_device(served: Sweeping) -> None:
    served.vpn.user("carl")
    served.vpn.user("dora", group=None)
    served.look()
    assert served.builds() == 1


def test_r3_account_that_can_not_be_read_ages_and_is_a_builds_to_tell(served: Sweeping) -> None:
    served.proxy.fail("GetAccountAuthorizationDetails", faults.error(403, "AccessDenied"))
    measured = served.look()
    assert served.builds() == 2
    own, other = sorted(measured["SweepAge"])
    assert own < 600, "the sweeper's own last complete sweep counts"
    assert other > 10**9, "the other account was never swept"


def test_build_that_fails_is_tried_again_later_and_is_an_alarm_meanwhile(served: Sweeping) -> None:
    served.vpn.delete_user("bob")
    served.look()
    served.end("FAILED")
    measured = served.look()
    assert measured["ReconcileFails"] == [1.0]
    assert served.builds() == 2, "a minute hasn't passed"
    served.forget_tries()
    served.look()
    assert served.builds() == 3


def test_refused_start_is_told_until_one_succeeds(served: Sweeping) -> None:
    served.vpn.delete_user("bob")
    refusal = faults.json_error(400, "AccountLimitExceededException")
    served.proxy.fail("StartBuild", refusal, first=2, last=2, reaches=False)
    assert served.look()["StartsRefused"] == [1.0]
    assert served.look()["StartsRefused"] == [0.0], "a refused start costs nothing, and is tried each minute"
    assert served.builds() == 2


def test_start_that_another_build_is_the_reason_to_refuse_is_soon_none(served: Sweeping, tmp_path: Any) -> None:
    served.vpn.delete_user("bob")
    refusal = faults.json_error(400, "AccountLimitExceededException")
    served.proxy.fail("StartBuild", refusal, first=2, last=2, reaches=False)
    assert served.look()["StartsRefused"] == [1.0]
    served.start()  # by the dispatcher, in the moment before
    assert served.look()["StartsRefused"] == [0.0]
    served.build(str(tmp_path / "roster.json"))
    assert served.look()["StartsRefused"] == [0.0]


def test_gateway_that_starts_is_served(served: Sweeping) -> None:
    time.sleep(1.1)  # EC2's times are whole seconds
    image = served.ec2.describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
    tags = [{"ResourceType": "instance", "Tags": [{"Key": "Role", "Value": "vpn-gateway"}]}]
    served.ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1, TagSpecifications=tags)
    served.look()
    assert served.builds() == 2


def test_instance_that_gets_the_tag_of_gateways_is_served(served: Sweeping, tmp_path: Any) -> None:
    image = served.ec2.describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
    (made,) = served.ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1)["Instances"]
    served.look()
    assert served.builds() == 1
    time.sleep(1.1)
    role = [{"Key": "Role", "Value": "vpn-gateway"}]
    for number in (2, 3):
        served.ec2.create_tags(Resources=[made["InstanceId"]], Tags=role)
        served.look()
        assert served.builds() == number
        time.sleep(1.1)
        served.build(str(tmp_path / "roster.json"))
        served.ec2.delete_tags(Resources=[made["InstanceId"]], Tags=role)
        served.forget_tries()
        served.look()
        assert served.builds() == number
        time.sleep(1.1)


def test_decision_that_an_operator_made_while_a_build_ran_is_followed_by_another_build(
    served: Sweeping, tmp_path: Any
) -> None:
    served.start()
    time.sleep(1.1)
    served.vpn.delete_user("bob")
    served.vpn.module("roster", dest=str(tmp_path / "operators.json"))
    served.end("SUCCEEDED")
    served.look()
    assert served.builds() == 3


def test_r3_account_that_was_not_deployed_is_swept_by_nobody_elses_credentials(
    served: Sweeping, monkeypatch: pytest.MonkeyPatch, tmp_path: Any, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("SWEEP_ROLES", "")
    handler.sweeper.cache_clear()
    both = [{"account_id": ACCOUNT}, {"account_id": OTHER_ACCOUNT}]
    served.vpn.module("roster", dest=str(tmp_path / "roster.json"), identity_accounts=both)
    measured = served.look()
    assert sorted(measured["SweepAge"])[1] > 10**9
    problems = [vars(record)["problem"] for record in caplog.records if record.getMessage() == "problem"]
    assert any(f"the sweeper has no role in account {OTHER_ACCOUNT}" in problem for problem in problems)


@pytest.mark.parametrize("ahead", [2**39, 10**9])
def test_r17_state_that_somebody_damaged_holds_nothing_up(served: Sweeping, ahead: int) -> None:
    state = SweeperState(
        {FAILED: Tries(10**12, ahead)}, swept={ACCOUNT: ahead, OTHER_ACCOUNT: ahead}, gateways={"i-1": ahead}
    )
    served.vpn.registry().keep_sweeper_state(state)
    served.vpn.delete_user("bob")
    assert served.look()["ReconcileFails"] == [0.0]
    assert served.builds() == 2
    kept = served.vpn.registry().sweeper_state()
    assert max(kept.swept.values()) <= time.time()


def test_other_inventory_is_run_at_once(served: Sweeping, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INVENTORY_SHA256", "d" * 64)
    handler.sweeper.cache_clear()
    served.look()
    assert served.builds() == 2


@pytest.mark.parametrize("call", ["Query", "ListBuildsForProject", "DescribeInstances"])
def test_sweeper_that_can_not_look_has_builds_look_every_5_minutes(
    served: Sweeping, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusal = faults.error if call == "DescribeInstances" else faults.json_error
    served.proxy.fail(call, refusal(400, "AccessDeniedException"))
    sweeper = handler.sweeper()
    now = time.time()
    for minute in range(11):
        monkeypatch.setattr(sweeper, "clock", lambda minute=minute: now + 60 * minute)
        assert served.look()["Failed"] == [1.0]
        if minute in {0, 5, 10}:
            served.end("SUCCEEDED")
    assert served.builds() == 1 + 3


def test_options_of_another_version_have_builds_look(served: Sweeping) -> None:
    decision, _decided_at = served.vpn.registry().decision() or pytest.fail("there is one")
    served.vpn.registry().store_decision(
        decision._replace(options='{"of": "another version"}'), int(time.time() * 1000)
    )
    served.look()
    assert served.builds() == 2


def _without_state(served: Sweeping) -> list[Any]:
    return [item for item in served.vpn.registry().items() if item["pk"] != "sweeper"]


def test_sweeper_writes_nothing_but_its_own_state(served: Sweeping, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LISTENERS", "")
    handler.sweeper.cache_clear()
    before = _without_state(served)
    served.vpn.delete_user("bob")
    served.look()
    assert _without_state(served) == before


def test_r4_leaver_of_whom_no_event_told_has_a_tombstone_and_is_off_by_listeners_at_once(
    served: Sweeping, tmp_path: Any
) -> None:
    generation, before = served.vpn.registry().generations.last(), _without_state(served)
    (bob,) = (each.user_id for each in served.vpn.registry().devices.registrations() if each.user_name == "bob")
    served.vpn.delete_user("bob")
    measured = served.look()
    assert (measured["ListenersTold"], measured["ListenersNotTold"]) == ([2.0], [0.0])
    ((first,), (second,)) = served.told().values()
    assert first == second
    (tombstone,) = served.vpn.registry().tombstones()
    assert (first.user_id, first.user_name, first.device, first.event_id) == (bob, "bob", "", tombstone.event_id)
    assert (tombstone.user_id, tombstone.account_id) == (bob, ACCOUNT)
    assert first.generation > generation
    new = {item["pk"] for item in _without_state(served) if item not in before}
    assert new == {"tombstone", "generation"}
    assert served.builds() == 2, "the build does the rest"
    served.look()
    served.build(str(tmp_path / "roster.json"))
    served.look()
    assert served.told() == {"gw-1": [], "gw.two": []}, "they were told once"


def test_r4_users_who_are_all_absent_are_held_and_no_listener_is_told(served: Sweeping) -> None:
    for name in ("alice", "bob"):
        served.vpn.delete_user(name)
    served.look()
    assert served.told() == {"gw-1": [], "gw.two": []}
    assert served.vpn.registry().tombstones() == []


@pytest.mark.parametrize("call", ["SendMessageBatch", "PutItem"])
def test_r17_leaver_of_whom_listeners_can_not_be_told_is_a_builds(served: Sweeping, call: str) -> None:
    served.vpn.delete_user("bob")
    served.proxy.fail(call, faults.error(403, "AccessDeniedException"), reaches=False)
    served.look()
    assert served.told() == {"gw-1": [], "gw.two": []}
    assert served.builds() == 2
