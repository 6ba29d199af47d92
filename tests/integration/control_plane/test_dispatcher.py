# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The dispatcher on a real queue and registry: tombstones, starts, what comes back, what is set aside."""

from __future__ import annotations

import json
import logging
import random
import time
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils import keys
from ansible_collections.tracklib.vpn.plugins.module_utils.addresses import parse_pools
from ansible_collections.tracklib.vpn.plugins.module_utils.iam.sweep import sweep
from ansible_collections.tracklib.vpn.plugins.module_utils.listener.message import RevocationMessage
from ansible_collections.tracklib.vpn.plugins.module_utils.model import Registration, Sweep, User
from ansible_collections.tracklib.vpn.plugins.module_utils.timespan import DAY
from dispatcher import dispatch, handler, listeners

from tests.integration.conftest import REGION
from tests.integration.vpn import ACCOUNT, POOLS, Vpn
from tests.support import fault_proxy as faults
from tests.support.fault_proxy import FaultProxy
from tests.support.iam_events import envelope, record
from tests.support.lambda_events import sqs_record
from tests.unit.roles.control_plane.templates import LISTENERS

from .conftest import OTHER_ACCOUNT, Context, Stacks, environment_of, messages_in, metrics_in, told

START = "StartBuild"
QUEUE_ARN = f"arn:aws:sqs:{REGION}:{ACCOUNT}:tracklib-vpn"


class Lambda:
    """Feeds the queue's messages to the handler as Lambda's event source mapping does."""

    def __init__(self, stacks: Stacks, vpn: Vpn, proxy: FaultProxy, capsys: pytest.CaptureFixture[str]) -> None:
        self.stacks = stacks
        self.vpn = vpn
        self.proxy = proxy
        self._sqs = stacks.client("sqs")
        self._capsys = capsys

    def send(self, *bodies: Any) -> None:
        for body in bodies:
            text = body if isinstance(body, str) else json.dumps(body)
            self._sqs.send_message(QueueUrl=self.stacks.queue_url, MessageBody=text)

    def call(self) -> list[str]:
        """Give the handler all that is visible, delete what it took; returns the bodies that go back."""
        records = []
        while True:
            answer = self._sqs.receive_message(
                QueueUrl=self.stacks.queue_url, MaxNumberOfMessages=10, AttributeNames=["All"], VisibilityTimeout=180
            )
            if "Messages" not in answer:
                break
            records += [sqs_record(message, QUEUE_ARN) for message in answer["Messages"]]
        failed = {
            one["itemIdentifier"] for one in handler.handler({"Records": records}, Context())["batchItemFailures"]
        }
        for one in records:
            if one["messageId"] not in failed:
                self._sqs.delete_message(QueueUrl=self.stacks.queue_url, ReceiptHandle=one["receiptHandle"])
        return [one["body"] for one in records if one["messageId"] in failed]

    def builds(self, project: str = "tracklib-vpn-reconcile") -> int:
        return len(self.stacks.client("codebuild").list_builds_for_project(projectName=project)["ids"])

    def end_builds(self) -> None:
        codebuild = self.stacks.client("codebuild")
        for build_id in codebuild.list_builds_for_project(projectName="tracklib-vpn-reconcile")["ids"]:
            codebuild.stop_build(id=build_id)

    def dead_letters(self) -> list[dict[str, Any]]:
        answer = self._sqs.receive_message(
            QueueUrl=self.stacks.dead_letters_url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
        )
        messages: list[dict[str, Any]] = answer.get("Messages", [])
        return messages

    def told(self) -> dict[str, list[RevocationMessage]]:
        """What each gateway's listener was told since the last time, as it reads it."""
        return told(self._sqs)

    def metrics(self) -> dict[str, Any]:
        """What was put into the log as metrics since the last time."""
        return metrics_in(self._capsys.readouterr().out)


@pytest.fixture
def function(
    stacks: Stacks,
    vpn: Vpn,
    fault_proxy: FaultProxy,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Lambda]:
    """The handler with the environment that its stack gives it, behind a proxy that fails when told to."""
    for name, value in environment_of(stacks, "tracklib-vpn-dispatcher", fault_proxy.url).items():
        monkeypatch.setenv(name, value)
    handler.dispatcher.cache_clear()
    monkeypatch.setattr(dispatch, "_PAUSE", (1, 1))  # refused messages come back sooner than for people
    yield Lambda(stacks, vpn, fault_proxy, capsys)
    # it keeps writing where standard output went when it was made
    logging.Logger.manager.loggerDict.pop("tracklib-vpn-dispatcher")


def _swept(vpn: Vpn) -> Sweep:
    """Store a complete sweep of the account, as the last run did."""
    found = sweep(vpn.iam, ACCOUNT)
    vpn.registry().store_sweep(found, vpn.registry().generations.take())
    return found


def test_a_deletion_leaves_a_tombstone_and_starts_one_build_that_is_told_nothing(function: Lambda) -> None:
    user_id = function.vpn.user("alice")
    _swept(function.vpn)
    time.sleep(1.1)  # the times of both are whole seconds
    detail = record("DeleteUser", requestParameters={"userName": "ALICE"})
    function.send(envelope(detail))
    assert function.call() == []
    (tombstone,) = function.vpn.registry().facts().tombstones
    assert (tombstone.event_id, tombstone.user_name, tombstone.user_id) == (detail["eventID"], "ALICE", user_id)
    assert function.builds() == 1
    assert function.metrics()["Tombstones"] == [1.0]


def test_operators_are_mailed_what_ends_soon_and_no_build_starts(function: Lambda) -> None:
    """A subscriber gets what the topic is told."""
    sqs, sns = function.stacks.client("sqs"), function.stacks.client("sns")
    mails = sqs.create_queue(QueueName="mails")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=mails, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    topic = f"arn:aws:sns:{REGION}:{ACCOUNT}:tracklib-vpn-alarms"
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    function.send({"kind": "endings"})
    assert function.call() == []
    assert "Messages" not in sqs.receive_message(QueueUrl=mails), "nothing ends"

    user_id = function.vpn.user("alice")
    _swept(function.vpn)
    now = int(time.time())
    ending = Registration(ACCOUNT, user_id, "laptop", "alice", keys.generate()[1], (), now - 30 * DAY, now + 2 * DAY)
    function.vpn.registry().devices.register(ending, parse_pools(POOLS))
    function.proxy.fail("Publish", faults.error(403, "AuthorizationError"), last=1, reaches=False)
    function.send({"kind": "endings"})
    assert len(function.call()) == 1
    assert "Messages" not in sqs.receive_message(QueueUrl=mails)
    time.sleep(1.1)  # see _PAUSE above
    assert function.call() == [], "it comes back, and is done"
    (message,) = sqs.receive_message(QueueUrl=mails)["Messages"]
    mail = json.loads(message["Body"])
    assert mail["Subject"] == "1 registration of the VPN ends within 14d"
    assert "alice/laptop" in mail["Message"]
    assert function.builds() == 0


def test_a_way_in_that_is_taken_leaves_a_sign_of_a_known_user(function: Lambda) -> None:
    user_id = function.vpn.user("alice")
    _swept(function.vpn)
    time.sleep(1.1)  # the times of both are whole seconds
    function.send(envelope(record("DeleteLoginProfile")))
    function.send(envelope(record("DeleteAccessKey", requestParameters={"userName": "nobody"})))
    assert function.call() == []
    (sign,) = function.vpn.registry().facts().signs
    assert (sign.user_id, sign.event_name) == (user_id, "DeleteLoginProfile")
    assert function.builds() == 1


def test_r15_a_start_has_the_project_and_nothing_else(function: Lambda) -> None:
    asked: list[dict[str, Any]] = []
    client = handler.dispatcher()._clients.codebuild
    client.meta.events.register("provide-client-params.codebuild.StartBuild", lambda params, **_: asked.append(params))
    hostile = record("DeleteUser", userAgent="{{ lookup('pipe', 'touch /tmp/owned') }}", sourceIPAddress="$(reboot)")
    function.send(envelope(hostile))
    function.call()
    assert asked == [{"projectName": "tracklib-vpn-reconcile"}]


def test_fifty_deletions_start_one_build_and_leave_fifty_tombstones(function: Lambda) -> None:
    names = [f"user-{number}" for number in range(50)]
    for name in names:
        function.vpn.user(name, group=None)
    _swept(function.vpn)
    function.send(*[envelope(record("DeleteUser", requestParameters={"userName": name})) for name in names])
    assert function.call() == []
    assert {tombstone.user_name for tombstone in function.vpn.registry().facts().tombstones} == set(names)
    assert function.builds() == 1
    assert function.proxy.calls["Query"] == 1  # the sweep is read once


def test_while_a_build_runs_messages_come_back_together_and_lose_nothing(function: Lambda) -> None:
    function.stacks.client("codebuild").start_build(projectName="tracklib-vpn-reconcile")
    events = [envelope(record("DeleteUser", requestParameters={"userName": f"user-{n}"})) for n in range(12)]
    function.send(*events, {"kind": "registry_changed"})
    assert len(function.call()) == 13
    assert len(function.vpn.registry().facts().tombstones) == 12
    metrics = function.metrics()
    assert metrics["StartRefused"] == [1.0]
    assert "Failed" not in metrics
    function.end_builds()
    assert function.call() == []
    assert function.builds() == 1  # nothing was visible yet
    time.sleep(1.2)
    assert function.call() == []
    assert function.builds() == 2
    function.end_builds()
    time.sleep(1.2)
    assert function.call() == []
    assert function.builds() == 2  # nothing is left


@pytest.mark.parametrize("fault", [faults.json_error(400, "AccessDeniedException"), faults.reset])
def test_a_start_that_needs_an_operator_keeps_the_messages_and_is_counted(
    function: Lambda, fault: faults.Fault
) -> None:
    function.send(envelope(record("DeleteGroup")), {"kind": "registry_changed"})
    function.proxy.fail(START, fault)
    assert len(function.call()) == 2
    assert function.metrics()["Failed"] == [1.0]


@pytest.mark.parametrize("action", ["Query", "PutItem"])
def test_a_registry_that_does_not_answer_keeps_the_deletion_and_serves_the_others(
    function: Lambda, action: str
) -> None:
    function.send(envelope(record("DeleteUser")), {"kind": "registry_changed"})
    function.proxy.fail(action, faults.json_error(400, "ProvisionedThroughputExceededException"), last=3)
    (back,) = function.call()
    assert json.loads(back)["detail"]["eventName"] == "DeleteUser"
    assert function.builds() == 1
    assert function.metrics()["Failed"] == [1.0]
    function.end_builds()
    time.sleep(1.2)
    assert function.call() == []
    assert len(function.vpn.registry().facts().tombstones) == 1


def test_poison_is_set_aside_alone_with_the_reason(function: Lambda) -> None:
    strange = envelope(record("DeleteUser"), "999999999999")
    function.send(strange, "no json", envelope(record("DeleteUser")), {"kind": "sweep"})
    assert function.call() == []
    letters = function.dead_letters()
    assert {letter["Body"] for letter in letters} == {json.dumps(strange), "no json"}
    reasons = sorted(letter["MessageAttributes"]["reason"]["StringValue"] for letter in letters)
    assert "isn't one of the identity accounts" in reasons[0]
    assert len(function.vpn.registry().facts().tombstones) == 1
    assert function.builds() == 1


def test_poison_that_can_not_be_set_aside_is_kept(function: Lambda) -> None:
    function.send("no json")
    function.proxy.fail("SendMessage", faults.json_error(400, "AccessDeniedException"))
    assert function.call() == ["no json"]


def test_poison_alone_starts_nothing(function: Lambda) -> None:
    function.send(envelope(record("GetUser")))
    assert function.call() == []
    assert function.builds() == 0


def test_twice_late_and_out_of_order_leave_the_same(function: Lambda) -> None:
    """A second delivery comes when the stored sweep knows the user no more, or knows another one by that name (R1)."""
    user_id = function.vpn.user("alice")
    _swept(function.vpn)
    time.sleep(1.1)  # the times of both are whole seconds
    deleted = envelope(record("DeleteUser"))
    events = [deleted, envelope(record("RemoveUserFromGroup")), envelope(record("DeleteLoginProfile"))]
    random.shuffle(events)
    function.send(*events)
    function.call()
    before = function.vpn.items("tombstone")
    function.vpn.delete_user("alice")
    _swept(function.vpn)
    function.end_builds()
    function.send(deleted)
    assert function.call() == []
    time.sleep(1.1)  # IAM's times are whole seconds
    function.vpn.user("alice")
    _swept(function.vpn)
    function.end_builds()
    function.send(deleted)
    assert function.call() == []
    assert function.vpn.items("tombstone") == before
    assert [tombstone.user_id for tombstone in function.vpn.registry().facts().tombstones] == [user_id]


def test_an_early_sign_is_left_for_the_run_to_check(function: Lambda) -> None:
    user_id = function.vpn.user("alice")
    _swept(function.vpn)
    time.sleep(1.1)  # the times of both are whole seconds
    older = envelope(record("DeleteAccessKey", eventTime="2026-01-01T00:00:00Z"))
    function.send(envelope(record("DeleteLoginProfile")), older)
    assert function.call() == []
    (sign,) = function.vpn.registry().facts().signs
    assert (sign.user_id, sign.event_name) == (user_id, "DeleteLoginProfile")
    assert function.builds() == 1


def test_r1_a_late_deletion_does_not_mean_who_was_created_after_it(function: Lambda) -> None:
    function.vpn.user("alice")
    _swept(function.vpn)
    function.send(envelope(record("DeleteUser", eventTime="2026-01-01T00:00:00Z")))
    function.call()
    (tombstone,) = function.vpn.registry().facts().tombstones
    assert tombstone.user_id is None


@pytest.mark.parametrize(("tags", "starts"), [({"Service": "api"}, 1), ({"Service": "web"}, 0)])
def test_a_host_that_a_name_stands_for_starts_names_alone(function: Lambda, tags: dict[str, str], starts: int) -> None:
    ec2 = function.stacks.client("ec2")
    image = ec2.describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
    described = [{"ResourceType": "instance", "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}]
    made = ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1, TagSpecifications=described)
    function.send(_host_event(made["Instances"][0]["InstanceId"], "running"))
    assert function.call() == []
    assert function.builds("tracklib-vpn-names") == starts
    assert function.builds() == 0


def test_a_host_that_is_gone_starts_names(function: Lambda) -> None:
    function.send(_host_event("i-0123456789abcdef0", "terminated"))
    function.call()
    assert function.builds("tracklib-vpn-names") == 1


def test_where_an_account_has_room_for_one_build_it_is_the_reconcile(function: Lambda) -> None:
    function.proxy.fail(START, faults.json_error(400, "AccountLimitExceededException"), first=2, reaches=False)
    function.send(_host_event("i-0123456789abcdef0", "terminated"), {"kind": "sweep"})
    assert len(function.call()) == 1, "names come back"
    assert (function.builds(), function.builds("tracklib-vpn-names")) == (1, 0)


def test_names_that_run_hold_no_reconcile_up(function: Lambda) -> None:
    function.stacks.client("codebuild").start_build(projectName="tracklib-vpn-names")
    function.send(_host_event("i-0123456789abcdef0", "terminated"), {"kind": "sweep"})
    (back,) = function.call()
    assert json.loads(back)["source"] == "aws.ec2"
    assert function.builds() == 1


def _host_event(instance_id: str, state: str) -> dict[str, Any]:
    return {
        "version": "0",
        "id": "8a2d4f0e-52a5-4c39-9d7a-111111111111",
        "detail-type": "EC2 Instance State-change Notification",
        "source": "aws.ec2",
        "account": ACCOUNT,
        "time": "2026-11-24T20:00:01Z",
        "region": REGION,
        "resources": [f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/{instance_id}"],
        "detail": {"instance-id": instance_id, "state": state},
    }


def test_a_message_that_came_back_often_comes_back_late(function: Lambda, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []
    client = handler.dispatcher()._clients.sqs
    client.meta.events.register("provide-client-params.sqs.*", lambda params, **_: asked.extend(params["Entries"]))
    function.proxy.fail(START, faults.json_error(400, "AccessDeniedException"))
    function.send({"kind": "sweep"})
    function.call()
    time.sleep(1.2)
    function.send({"kind": "registry_changed"})
    monkeypatch.setattr(dispatch, "_PATIENT_AFTER", 1)
    assert len(function.call()) == 2
    assert [entry["VisibilityTimeout"] for entry in asked] == [1, 300, 1]


# -- the fast way: what gateways' listeners are told


def _leave(function: Lambda, *names: str) -> dict[str, str]:
    """Make users whom the last sweep knows, and delete them. :returns: their ids."""
    ids = {name: function.vpn.user(name) for name in names}
    time.sleep(1.1)  # IAM's times are whole seconds
    _swept(function.vpn)
    time.sleep(1.1)
    for name in names:
        function.vpn.delete_user(name)
    return ids


def _deletion(name: str, **changes: Any) -> dict[str, Any]:
    return envelope(record("DeleteUser", requestParameters={"userName": name}, **changes))


def test_r4_every_gateway_is_told_of_a_deletion_after_its_record_is_written(function: Lambda) -> None:
    (user_id,) = _leave(function, "alice").values()
    before = function.vpn.registry().generations.last()
    event = _deletion("ALICE")
    function.send(event)
    assert function.call() == []
    told = function.told()
    assert set(told) == {"gw-1", "gw.two"}
    (first,), (second,) = told.values()
    assert first == second
    assert before < first.generation <= function.vpn.registry().generations.last()
    event_id = event["detail"]["eventID"]
    wanted = RevocationMessage(
        function.vpn.registry().check_identity(), first.generation, event_id, ACCOUNT, user_id, "ALICE"
    )
    assert first == wanted
    metrics = function.metrics()
    assert (metrics["ListenersTold"], metrics["ListenersNotTold"]) == ([2.0], [0.0])
    assert function.builds() == 1


def test_fifty_leavers_are_told_in_few_calls_with_one_generation(function: Lambda) -> None:
    names = [f"user-{number}" for number in range(50)]
    _leave(function, *names)
    function.send(*[_deletion(name) for name in names])
    assert function.call() == []
    told = function.told()["gw-1"]
    assert {message.user_name for message in told} == set(names)
    assert len({message.generation for message in told}) == 1
    assert function.proxy.calls["SendMessageBatch"] == 5 * len(LISTENERS)
    assert function.proxy.calls["GetAccountAuthorizationDetails"] == 1


def test_r1_nobody_is_told_where_it_is_not_sure_whose_the_name_was(function: Lambda) -> None:
    """A name that no sweep knows; one that the stored sweep learned only after the event."""
    function.vpn.user("alice")
    time.sleep(1.1)
    _swept(function.vpn)
    function.send(_deletion("nobody"), _deletion("alice", eventTime="2026-01-01T00:00:00Z"))
    assert function.call() == []
    event = _deletion("alice")
    time.sleep(1.1)
    _swept(function.vpn)  # lists her, who may have been called otherwise when somebody called alice was deleted
    function.send(event)
    assert len(function.call()) <= 1
    assert function.told() == {"gw-1": [], "gw.two": []}


def test_r1_whom_iam_lists_under_another_name_by_now_is_not_the_deleted_one(function: Lambda) -> None:
    """Alice was renamed, another alice created and deleted, all after the last sweep."""
    function.vpn.user("alice")
    time.sleep(1.1)
    _swept(function.vpn)
    time.sleep(1.1)
    function.vpn.iam.update_user(UserName="alice", NewUserName="alice.smith")
    function.send(_deletion("alice"))
    assert function.call() == []
    assert function.told() == {"gw-1": [], "gw.two": []}


@pytest.mark.parametrize(
    "fault", [faults.error(400, "Throttling"), faults.error(403, "AccessDenied"), faults.reset, faults.error(500, "x")]
)
def test_r4_a_sweep_that_fails_keeps_nobody_on(function: Lambda, fault: faults.Fault) -> None:
    _leave(function, "alice")
    function.proxy.fail("GetAccountAuthorizationDetails", fault)
    function.send(_deletion("alice"))
    assert function.call() == []
    assert [len(messages) for messages in function.told().values()] == [1, 1]
    assert function.metrics()["ListenersNotTold"] == [1.0]
    assert function.builds() == 1


@pytest.mark.parametrize("action", ["SendMessageBatch", "GetItem", "UpdateItem"])
def test_r17_what_can_not_be_told_is_left_to_the_build(function: Lambda, action: str) -> None:
    _leave(function, "alice")
    function.proxy.fail(action, faults.json_error(400, "AccessDeniedException"), reaches=False)
    function.send(_deletion("alice"))
    assert function.call() == []
    assert function.told() == {"gw-1": [], "gw.two": []}
    assert function.builds() == 1
    assert function.metrics()["ListenersNotTold"][0] >= 1
    assert len(function.vpn.registry().tombstones()) == 1


def test_r17_a_queue_that_is_gone_keeps_no_other_gateway_from_being_told(function: Lambda) -> None:
    _leave(function, "alice")
    sqs = function.stacks.client("sqs")
    sqs.delete_queue(QueueUrl=sqs.get_queue_url(QueueName=LISTENERS[0]["queue"])["QueueUrl"])
    function.send(_deletion("alice"))
    assert function.call() == []
    assert len(messages_in(function._sqs, LISTENERS[1]["queue"])) == 1
    assert function.builds() == 1


def test_while_builds_are_refused_listeners_are_told_a_few_times_at_most(function: Lambda) -> None:
    _leave(function, "alice")
    function.stacks.client("codebuild").start_build(projectName="tracklib-vpn-reconcile")
    function.send(_deletion("alice"))
    for _ in range(5):
        assert len(function.call()) == 1
        time.sleep(1.2)
    assert len(function.told()["gw-1"]) == 3


def test_a_device_that_its_user_removed_is_told_if_the_registry_agrees(function: Lambda) -> None:
    user_id = function.vpn.user("alice")
    devices = function.vpn.registry().devices
    made = {
        name: devices.register(
            Registration(ACCOUNT, user_id, name, "alice", keys.generate()[1], (), time.time()), parse_pools(POOLS)
        )[1]
        for name in ("laptop", "phone")
    }
    devices.remove(made["laptop"], by="arn:aws:iam::123456789012:user/alice")
    for name in made:  # that the phone was removed isn't true
        removed = {"account_id": ACCOUNT, "user_id": user_id, "user_name": "alice", "device": name}
        function.send({"kind": "registry_changed", "removed": removed})
    assert function.call() == []
    (message,) = function.told()["gw-1"]
    assert (message.user_id, message.device, message.event_id) == (user_id, "laptop", f"removed-{user_id}")
    assert function.builds() == 1
    assert "GetAccountAuthorizationDetails" not in function.proxy.calls


def test_r17_a_registry_that_does_not_say_whether_a_device_was_removed_keeps_no_build_waiting(function: Lambda) -> None:
    removed = {"account_id": ACCOUNT, "user_id": "AIDA1", "user_name": "alice", "device": "laptop"}
    function.proxy.fail("GetItem", faults.json_error(400, "AccessDeniedException"), reaches=False)
    function.send({"kind": "registry_changed", "removed": removed})
    assert function.call() == []
    assert function.told() == {"gw-1": [], "gw.two": []}
    assert function.builds() == 1


@pytest.mark.parametrize("removed", [{}, {"device": "x"}, "alice", {"account_id": "1", "device": "laptop"}])
def test_r15_a_removal_that_is_no_removal_is_poison(function: Lambda, removed: Any) -> None:
    function.send({"kind": "registry_changed", "removed": removed})
    assert function.call() == []
    assert len(function.dead_letters()) == 1
    assert function.told() == {"gw-1": [], "gw.two": []}


def test_users_of_another_account_are_swept_by_its_role(function: Lambda) -> None:
    """Of an account that can't be swept the record holds."""
    begun = time.time() - 60
    user = User(OTHER_ACCOUNT, "AIDAOTHER", "alice", begun - 60)
    function.vpn.registry().store_sweep(Sweep(OTHER_ACCOUNT, begun, {"AIDAOTHER": user}), 1)
    detail = record("DeleteUser", OTHER_ACCOUNT, requestParameters={"userName": "alice"})
    function.send(envelope(detail, OTHER_ACCOUNT))
    assert function.call() == []
    assert [message.user_id for message in function.told()["gw-1"]] == ["AIDAOTHER"]
    assert function.proxy.calls["AssumeRole"] == 1


def test_r17_slow_answers_keep_no_build_waiting(function: Lambda, monkeypatch: pytest.MonkeyPatch) -> None:
    """What of the sweep and the queues has not begun in time is left to the build."""
    _leave(function, "alice")
    monkeypatch.setattr(listeners, "_TIME", 0.5)

    def slow(handler: Any, answer: Any) -> None:
        time.sleep(1)
        faults.send(handler, answer)

    function.proxy.fail("GetAccountAuthorizationDetails", slow)
    function.send(_deletion("alice"))
    assert function.call() == []
    assert function.told() == {"gw-1": [], "gw.two": []}
    assert "SendMessageBatch" not in function.proxy.calls
    assert function.builds() == 1


def test_r4_leaver_whose_record_is_written_late_is_told_all_the_same(function: Lambda) -> None:
    _leave(function, "alice")
    function.proxy.fail("PutItem", faults.json_error(400, "AccessDeniedException"), 1, 4, reaches=False)
    function.send(_deletion("alice"))
    for _ in range(4):
        assert len(function.call()) == 1
        time.sleep(1.2)
    assert function.call() == []
    assert len(function.told()["gw-1"]) == 1
