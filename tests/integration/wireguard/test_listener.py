# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The fast way: from a gateway's queue, through the service's own HTTP and signatures, to a real device."""

from __future__ import annotations

import email.utils
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils.archive import pack_program
from ansible_collections.tracklib.vpn.plugins.module_utils.listener.listen import Listener
from ansible_collections.tracklib.vpn.plugins.module_utils.listener.message import RevocationMessage
from ansible_collections.tracklib.vpn.plugins.module_utils.listener.metadata import MetadataError, RoleCredentials
from ansible_collections.tracklib.vpn.plugins.module_utils.listener.queue import Queue, Received
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.bars import Bar

from tests.integration.conftest import REGION
from tests.support import ROOT, fault_proxy
from tests.support.fault_proxy import FaultProxy
from tests.support.instance_metadata import InstanceMetadata
from tests.support.waiting import PATIENCE
from tests.support.wireguard_host import NOW, REGISTRY, Host, Person, allowed, held

ALICE, BOB, CAROL = Person("alice", 1), Person("bob", 2), Person("carol", 3)
PHONE = Person("alice", 4, device="phone")
EVERYBODY = (ALICE, BOB, CAROL, PHONE)
GENERATION = NOW * 1000  # of the roster that is in force


class Line:
    """A gateway with peers, its queue, and the service between them."""

    def __init__(self, host: Host, sqs: Any, proxy: FaultProxy, metadata: InstanceMetadata) -> None:
        self.host = host
        self.sqs = sqs
        self.proxy = proxy
        self.metadata = metadata
        self.url = sqs.create_queue(QueueName="tracklib-vpn-gateway-gw1", Attributes={"VisibilityTimeout": "1"})[
            "QueueUrl"
        ]
        self.log: list[str] = []
        self.slept: list[float] = []
        self.skew = 0.0  # seconds by which the gateway's clock is ahead
        queue_url = proxy.url + "/" + self.url.split("/", 3)[3]
        credentials = RoleCredentials((metadata.place,))
        self.queue = Queue(queue_url, REGION, credentials, lambda: time.time() + self.skew)
        receive = self.queue.receive
        self.queue.receive = lambda wait=0: receive(wait)  # type: ignore[method-assign]  # so that nobody waits
        self.listener = Listener(self.queue, host.gateway(), self.log.append, self.slept.append)

    def send(self, *messages: RevocationMessage | str) -> None:
        for message in messages:
            body = message if isinstance(message, str) else message.text()
            self.sqs.send_message(QueueUrl=self.url, MessageBody=body)

    def listen(self, times: int = 1) -> None:
        for _ in range(times):
            self.listener.listen_once()

    def left(self) -> int:
        """How many messages are in the queue, seen or not."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        return sum(
            map(int, self.sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=names)["Attributes"].values())
        )


@pytest.fixture
def line(host: Host, aws_client: Callable[..., Any], fault_proxy: FaultProxy) -> Iterator[Line]:
    assert host.apply(host.order(GENERATION, EVERYBODY)).problems == []
    with InstanceMetadata() as metadata:
        yield Line(host, aws_client("sqs"), fault_proxy, metadata)


def revoked(person: Person, generation: int = GENERATION + 5, device: str = "", **changes: Any) -> RevocationMessage:
    message = RevocationMessage(
        REGISTRY.identity, generation, f"event-{person.user_name}", "111122223333", person.id, person.user_name, device
    )
    return message._replace(**changes)


def test_r4_r7_a_leaver_is_off_with_all_devices_and_nobody_else_is_touched(line: Line) -> None:
    line.host.run.calls.clear()
    line.send(revoked(ALICE))
    line.listen()
    assert line.host.peers == allowed(BOB, CAROL)
    assert line.log == ["removed alice/laptop: revoked by event-alice", "removed alice/phone: revoked by event-alice"]
    assert line.left() == 0
    touched = " ".join(" ".join(call) for call in line.host.run.changes)
    assert "syncconf" not in touched
    assert not any(f"{key}" in touched for key in allowed(BOB, CAROL))


def test_one_device_is_off_and_the_users_other_one_stays(line: Line) -> None:
    line.send(revoked(ALICE, device="phone"))
    line.listen()
    assert line.host.peers == allowed(ALICE, BOB, CAROL)


def test_r6_the_generation_stays_and_a_roster_on_its_way_does_not_bring_the_leaver_back(line: Line) -> None:
    line.send(revoked(ALICE))
    line.listen()
    assert line.host.state.generation == GENERATION
    report = line.host.apply(line.host.order(GENERATION + 1, EVERYBODY))
    assert report.barred == ["alice/laptop", "alice/phone"]
    assert line.host.peers == allowed(BOB, CAROL)
    # a run that has read the record decides by it, and ends the bar
    assert line.host.apply(line.host.order(GENERATION + 6, (BOB, CAROL), revoked=(ALICE, PHONE))).problems == []
    assert line.host.state.bars == ()


def test_r4_a_removal_stays_recorded_until_a_run_acknowledges_it(line: Line) -> None:
    line.send(revoked(ALICE, device="laptop"))
    line.listen()
    (removal,) = line.host.state.removals
    assert (removal.name, removal.reason, removal.removed_at is not None) == ("alice/laptop", "revoked", True)
    line.host.apply(line.host.order(GENERATION + 6, (BOB, CAROL, PHONE), acknowledge=[removal.id]))
    assert line.host.state.removals == ()


def test_doubled_late_and_out_of_order_leave_the_same_and_one_removal(line: Line) -> None:
    first, second = revoked(ALICE, GENERATION + 5), revoked(BOB, GENERATION + 6)
    line.send(second, first, first, second)
    line.listen(2)
    line.send(first)
    line.listen()
    assert line.host.peers == allowed(CAROL)
    assert sorted(removal.name for removal in line.host.state.removals) == ["alice/laptop", "alice/phone", "bob/laptop"]
    assert line.left() == 0


def test_r6_a_message_that_a_later_run_overtook_takes_off_nobody_whom_that_run_kept(line: Line) -> None:
    line.send(revoked(ALICE))
    line.host.apply(line.host.order(GENERATION + 9, EVERYBODY))
    line.listen()
    assert line.host.peers == allowed(*EVERYBODY)
    assert "left connected, since the roster of generation" in line.log[0]
    assert line.left() == 0


@pytest.mark.parametrize(
    ("message", "why"),
    [
        (revoked(ALICE, registry="another"), "it is of the registry another"),
        ("", "isn't JSON"),
        (revoked(ALICE).text().replace("alice", "alice\\n"), "user_name is"),
        (revoked(ALICE, generation=(NOW + 10**9) * 1000), "20 minutes after it was sent"),
    ],
)
def test_r16_what_is_not_of_this_registry_is_refused_and_does_not_come_back(
    line: Line, message: RevocationMessage | str, why: str
) -> None:
    before = line.host.files()
    line.send(message if message else " ")
    line.listen()
    assert line.host.peers == allowed(*EVERYBODY)
    assert line.host.files() == before
    assert why in line.log[0]
    assert line.left() == 0


def test_a_leaver_who_is_nobody_here_is_barred_without_noise(line: Line) -> None:
    line.send(revoked(Person("dave", 9)))
    line.listen()
    assert line.log == []
    assert line.left() == 0
    assert line.host.state.bars == (Bar("dave", "", "111122223333", "AIDADAVE", GENERATION + 5, "event-dave"),)


def test_r6_a_message_waits_at_a_gateway_without_a_roster_for_one_that_has_the_leaver(
    host: Host, aws_client: Callable[..., Any], fault_proxy: FaultProxy
) -> None:
    with InstanceMetadata() as metadata:
        line = Line(host, aws_client("sqs"), fault_proxy, metadata)
        line.send(revoked(ALICE))
        line.listen()
        assert "alice is to be off, and this gateway follows no registry that is known" in line.log[0]
        assert line.left() == 1
        assert host.apply(host.order(GENERATION, EVERYBODY)).problems == []  # made before the revocation
        time.sleep(1.1)
        line.listen()
    assert host.peers == allowed(BOB, CAROL)
    assert line.left() == 0


@pytest.mark.parametrize("lost", ["state", "both"])
def test_r4_a_lost_state_file_keeps_no_leaver(line: Line, lost: str) -> None:
    line.host.site.state.unlink()
    if lost == "both":
        line.host.site.state_copy.unlink()
    line.send(revoked(ALICE))
    line.listen()
    if lost == "both":  # whose message it is can't be told, so it waits for the next run
        assert line.left() == 1
        line.host.apply(line.host.order(GENERATION + 1, EVERYBODY))
        time.sleep(1.1)
        line.listen()
    assert line.host.peers == allowed(BOB, CAROL)
    assert line.left() == 0


def test_r4_an_interface_that_takes_the_place_of_another_one_knows_its_registry(line: Line) -> None:
    line.host.rename_interface()
    line.listener = Listener(line.queue, line.host.gateway(), line.log.append, line.slept.append)
    line.send(revoked(ALICE))
    line.listen()
    assert line.left() == 0
    assert [each for each in line.log if "refused" in each] == []
    report = line.host.apply(line.host.order(GENERATION + 1, EVERYBODY))
    assert line.host.peers == allowed(BOB, CAROL), report


def test_r17_a_message_that_cant_be_taken_keeps_no_other_one_waiting(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    listener: Any = line.listener
    check, seen = listener._refuse_other_registry, []

    def fail_once(message: RevocationMessage) -> None:
        seen.append(message.user_name)
        if len(seen) == 1:
            raise OSError("input/output error")
        check(message)

    monkeypatch.setattr(listener, "_refuse_other_registry", fail_once)
    line.send(revoked(ALICE), revoked(BOB))
    line.listen()
    assert (line.left(), len(seen)) == (1, 2)
    assert "a message waits in the queue: input/output error" in line.log[0]


def test_a_queue_that_answers_at_once_with_nothing_is_not_asked_without_end(line: Line) -> None:
    line.listen(3)
    assert line.slept == [1.0, 1.0, 1.0]


def test_what_could_not_be_done_comes_back_and_the_next_ones_are_done(line: Line) -> None:
    def refuse(args: list[str]) -> None:
        if args[:2] == ["wg", "set"] and line.host.device.peers.get(args[4]):
            raise OSError("no space left on device")

    line.host.run.before = refuse
    line.send(revoked(ALICE, device="laptop"))
    line.listen()
    line.host.run.before = lambda _args: None
    assert line.left() == 1
    time.sleep(1.1)
    line.listen()
    assert line.host.peers == allowed(BOB, CAROL, PHONE)
    assert line.left() == 0


def test_r4_a_lock_that_an_apply_holds_keeps_no_revocation(line: Line) -> None:
    line.send(revoked(ALICE))
    with held(line.host.site.apply_lock):
        line.listen()
    assert line.host.peers == allowed(BOB, CAROL)


def test_throttled_unreachable_and_gone_are_told_once_with_longer_pauses_until_it_answers(line: Line) -> None:
    throttled = fault_proxy.json_error(400, "ThrottlingException")
    gone = fault_proxy.json_error(400, "com.amazonaws.sqs#QueueDoesNotExist")
    line.proxy.fail("ReceiveMessage", throttled, 1, 3, reaches=False)
    line.proxy.fail("ReceiveMessage", gone, 4, 10, reaches=False)
    line.send(revoked(ALICE))
    line.listen(11)
    assert line.slept == [1, 2, 4, 8, 16, 32, 60, 60, 60, 60]
    told = [re.sub(r"http\S+", "URL", text).partition(";")[0] for text in line.log[:3]]
    assert told == [
        "ReceiveMessage on URL was refused: ThrottlingException: told to",
        "ReceiveMessage on URL was refused: QueueDoesNotExist: told to",
        "removed alice/laptop: revoked by event-alice",
    ]
    assert line.log[-1] == "the queue answers again"
    assert line.host.peers == allowed(BOB, CAROL)


def test_a_queue_that_nobody_serves_breaks_nothing(line: Line) -> None:
    with FaultProxy("http://127.0.0.1:9") as nothing:
        place = nothing.url
    line.queue.url = f"{place}/123456789012/tracklib-vpn-gateway-gw1"
    line.listen(2)
    assert line.slept == [1, 2]
    assert "Connection refused" in line.log[0]
    assert len(line.log) == 1


@pytest.mark.parametrize("skew", [-7200, 7200])
def test_a_clock_that_is_hours_off_signs_by_aws_clock_after_the_first_refusal(line: Line, skew: float) -> None:
    def too_skewed(handler: Any, answer: Any) -> None:
        moment = time.strptime(handler.headers["X-Amz-Date"], "%Y%m%dT%H%M%SZ")
        off = abs(time.time() - (time.mktime(moment) - time.timezone))
        refused = (403, {"Date": email.utils.formatdate(usegmt=True)}, b'{"__type": "InvalidSignatureException"}')
        fault_proxy.send(handler, answer if off < 300 else refused)

    line.skew = skew
    line.proxy.fail("ReceiveMessage", too_skewed)
    line.proxy.fail("DeleteMessage", too_skewed)
    line.send(revoked(ALICE))
    line.listen()
    assert line.slept == [1]
    time.sleep(1.1)  # the emulator had given the message away before it was refused
    line.listen()
    assert line.host.peers == allowed(BOB, CAROL)
    assert line.left() == 0


def test_credentials_are_kept_until_they_end_or_are_refused(line: Line) -> None:
    line.listen(3)
    assert line.metadata.asked == 1
    line.proxy.fail("ReceiveMessage", fault_proxy.json_error(403, "ExpiredToken"), 4, 4, reaches=False)
    line.listen(2)
    assert line.metadata.asked == 2
    line.metadata.life = 120  # less than what they are asked for anew before
    line.proxy.fail("ReceiveMessage", fault_proxy.json_error(403, "ExpiredToken"), 6, 6, reaches=False)
    line.listen(3)
    assert line.metadata.asked == 4


def test_an_instance_without_a_role_is_told(line: Line) -> None:
    line.metadata.role = None
    line.listen()
    assert "does the instance have a role?" in line.log[0]
    with pytest.raises(MetadataError, match="gives no credentials"):
        RoleCredentials(("http://127.0.0.1:9/latest",))()


def test_r10_no_credential_is_logged(line: Line) -> None:
    line.proxy.fail("ReceiveMessage", fault_proxy.json_error(400, "ThrottlingException"), 1, 1, reaches=False)
    line.send(revoked(ALICE), "nonsense")
    line.listen(2)
    written = " ".join(line.log)
    assert not any(secret in written for secret in ("wJalrXUtnFEMI", "token-1", "ASIAIOSFODNN7"))


def test_the_program_runs_isolated_and_tries_again_without_credentials(line: Line) -> None:
    """As systemd runs it; the metadata isn't where EC2 has it, so this one only says so and tries again."""
    program = line.host.site.config_dir / "listener.pyz"
    packages = [ROOT / "plugins/module_utils" / name for name in ("wireguard", "listener")]
    program.write_bytes(pack_program(packages, "listener.listen"))
    options = [line.host.name, f"--queue={line.url}", f"--region={REGION}"]
    command = [*line.host.inside, sys.executable, "-I", str(program), *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as service:
        assert service.stderr is not None
        lines = [service.stderr.readline() for _ in range(2)]
        service.kill()
    assert lines[0] == f"waits for revocations in {line.url}\n"
    assert "the instance metadata gives no credentials" in lines[1]


def test_r17_an_answer_that_is_not_sqs_ends_nothing(line: Line) -> None:
    answers = [b"", b"[]", b"<html>", json.dumps({"Messages": [{"Body": "x"}]}).encode()]

    def answered(answer: bytes) -> fault_proxy.Fault:
        return lambda handler, _answer: fault_proxy.send(handler, (200, {}, answer))

    for number, answer in enumerate(answers, start=1):
        line.proxy.fail("ReceiveMessage", answered(answer), number, number, reaches=False)
    line.listen(5)
    assert len(line.slept) >= 3
    line.send(revoked(ALICE))
    line.listen()
    assert line.host.peers == allowed(BOB, CAROL)


def test_received_says_when_aws_got_it(line: Line) -> None:
    line.send("x")
    (received,) = line.queue.receive(0)
    assert isinstance(received, Received)
    assert abs(received.sent_at - time.time()) < PATIENCE


def test_r4_all_that_came_is_done_whatever_becomes_of_its_deletion(line: Line) -> None:
    line.proxy.fail("DeleteMessage", fault_proxy.json_error(400, "ThrottlingException"), reaches=False)
    line.send(revoked(ALICE), revoked(BOB), revoked(CAROL))
    line.listen()
    assert line.host.peers == {}
    assert line.proxy.calls["DeleteMessage"] == 1
    assert line.slept == [1]
