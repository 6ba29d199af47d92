# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From an IAM call in another account to a dead tunnel, by the shipped rules, dispatcher, buildspec and playbook."""

from __future__ import annotations

import json
import signal
import subprocess
import time
import typing as t
from datetime import UTC, datetime
from pathlib import Path

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils import keys
from ansible_collections.tracklib.vpn.plugins.module_utils.addresses import parse_pools
from ansible_collections.tracklib.vpn.plugins.module_utils.model import Receipt, Registration
from lab import actions, aws, events, hosts

from tests.support import fault_proxy

GATEWAYS = [host.name for host in hosts.GATEWAYS]
BURST = 50


@pytest.fixture(scope="module", autouse=True)
def deployed() -> None:
    """The events' stacks in both accounts."""
    events.deploy()


@pytest.fixture(scope="module")
def other() -> events.Account:
    """The account whose users leave."""
    return events.Account(events.OTHER_ACCOUNT)


@pytest.fixture
def runner() -> t.Iterator[events.Runner]:
    """Lambda and CodeBuild."""
    with events.Runner() as running:
        yield running


@pytest.fixture
def devices(other: events.Account) -> t.Iterator[t.Callable[[str], Registration]]:
    """`devices("dora")`: a user of the other account with a registered laptop; gone after the test."""
    made: list[Registration] = []

    def make(name: str) -> Registration:
        wanted = Registration(
            other.account_id, other.add_user(name), "laptop", name, keys.generate()[1], (), time.time()
        )
        made.append(actions.registry().register(wanted, parse_pools(actions.POOLS))[1])
        return made[-1]

    yield make
    iam = other.client("iam")
    left = {user["UserName"] for user in iam.list_users()["Users"]}
    for registration in made:
        actions.registry().remove(registration)
        if registration.user_name in left:
            left.remove(registration.user_name)
            other.delete_user(registration.user_name)


def peers_everywhere(runner: events.Runner, *registrations: Registration) -> None:
    """Let a scheduled run make them peers of both gateways."""
    runner.schedule()
    ended = runner.wait(1)
    assert ended[-1].rc == 0, ended[-1].output
    for gateway in GATEWAYS:
        assert {registration.public_key for registration in registrations} <= actions.live_peers(gateway)


def gone(*registrations: Registration) -> bool:
    """Whether none of them is a peer of any gateway."""
    wanted = {registration.public_key for registration in registrations}
    return not any(wanted & actions.live_peers(gateway) for gateway in GATEWAYS)


def receipts(*registrations: Registration) -> list[Receipt]:
    """The receipts of their users."""
    users = {registration.user_id for registration in registrations}
    return [receipt for receipt in actions.registry().receipts() if receipt.user_id in users]


def watch(gateway: str, public_key: str) -> subprocess.Popen[str]:
    """Wait on the gateway until the peer is off; prints when that was."""
    script = f"while wg show wg0 peers | grep -qF {public_key}; do sleep 0.02; done; date +%s.%N"
    command = ["ssh", "-F", str(hosts.SSH_CONFIG), gateway, f"sudo sh -c '{script}'"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_r4_delete_in_the_other_account_cuts_the_tunnel(
    runner: events.Runner, other: events.Account, devices: t.Callable[[str], Registration]
) -> None:
    dora = devices("dora")
    peers_everywhere(runner, dora)
    watching = [watch(gateway, dora.public_key) for gateway in GATEWAYS]
    time.sleep(1)  # the event's time is in whole seconds
    record = other.delete_user("dora")
    event = time.time()
    other.raise_events(record)
    build = runner.wait(2)[-1]
    dead = max(float(process.communicate(timeout=30)[0]) for process in watching)
    taken = next(batch for batch in runner.batches if batch[0] > event)
    assert build.rc == 0, build.output
    assert sorted(receipt.gateway for receipt in receipts(dora)) == GATEWAYS
    for receipt in receipts(dora):
        assert receipt.event_id == record["eventID"]
        assert receipt.deleted_at is not None
        assert 0 <= receipt.removed_at - receipt.deleted_at < 120
    print(
        f"\nevent to dead tunnel {dead - event:.1f} s: to the dispatcher {taken[0] - event:.1f} s (its batch window is "
        f"{events.BATCH_WINDOW} s), tombstone and start of the build {taken[1] - taken[0]:.1f} s, to the build's first "
        f"command {build.began - taken[1]:.1f} s, run until both gateways were served {dead - build.began:.1f} s"
    )
    assert dead - event < 60


def test_r4_burst_of_deletes_takes_few_builds_and_leaves_one_receipt_each(
    runner: events.Runner,
    other: events.Account,
    devices: t.Callable[[str], Registration],
    connect: t.Callable[..., actions.Connection],
) -> None:
    leavers = [devices(f"leaver-{number}") for number in range(BURST)]
    stays = devices("stays")
    connect("bob-laptop")
    peers_everywhere(runner, stays, *leavers)
    records = [other.delete_user(leaver.user_name) for leaver in leavers]
    with actions.probing("bob-laptop") as probe:
        began = time.monotonic()
        other.raise_events(*records)
        assert time.monotonic() - began < 5
        ended = runner.wait(2, timeout=240)  # refused messages come back every 10 to 20 s
        report = probe.stop()
    assert gone(*leavers)
    assert stays.public_key in actions.live_peers()
    assert report["lost"] == 0, report
    assert len(ended) - 1 <= 3, [batch[2:] for batch in runner.batches]
    written = receipts(*leavers)
    assert len(written) == len({(receipt.gateway, receipt.user_id) for receipt in written}) == BURST * len(GATEWAYS)
    assert {receipt.event_id for receipt in written} == {record["eventID"] for record in records}


def test_r12_leaver_whose_event_is_lost_is_gone_after_the_next_scheduled_sweep(
    runner: events.Runner, other: events.Account, devices: t.Callable[[str], Registration]
) -> None:
    dora = devices("dora")
    peers_everywhere(runner, dora)
    other.delete_user("dora")
    runner.schedule()
    assert runner.wait(2)[-1].rc == 0
    assert gone(dora)
    assert {receipt.event_id for receipt in receipts(dora)} == {f"sweep-{dora.user_id}"}


def test_r3_account_that_can_not_be_read_keeps_its_peers_loses_its_deleted_and_fails_the_build(
    runner: events.Runner, other: events.Account, devices: t.Callable[[str], Registration]
) -> None:
    dora, emil = devices("dora"), devices("emil")
    peers_everywhere(runner, dora, emil)
    time.sleep(1)  # the event's time is in whole seconds
    other.delete_user("emil")  # nothing tells
    record = other.delete_user("dora")
    with fault_proxy.FaultProxy(aws.endpoint()) as proxy:
        proxy.fail("AssumeRole", fault_proxy.error(403, "AccessDenied"))
        runner.extra = {"AWS_ENDPOINT_URL_STS": proxy.url}
        other.raise_events(record)
        failed = runner.wait(2)[-1]
        runner.extra = {}
    assert failed.rc != 0
    assert f"the sweep of account {other.account_id} is incomplete" in failed.output
    assert gone(dora)
    assert emil.public_key in actions.live_peers()
    runner.schedule()
    assert runner.wait(3)[-1].rc == 0
    assert gone(emil)


def test_r10_build_leaves_a_report_and_neither_key_nor_secret(runner: events.Runner) -> None:
    runner.schedule()
    build = runner.wait(1)[-1]
    (report,) = (build.directory / "src/reports").glob("*.xml")
    assert "Bring firewall, interface and peers to the roster" in report.read_text()
    assert aws.SECRET_KEY not in build.output + report.read_text()
    assert "PRIVATE KEY" not in build.output + report.read_text()
    assert list((build.directory / "tmp").rglob("id_ed25519")) == []


@pytest.mark.parametrize("when", ["before the gateways are reached", "once a gateway was served"])
def test_r4_build_that_is_killed_is_completed_by_the_next_run(
    runner: events.Runner, other: events.Account, devices: t.Callable[[str], Registration], when: str
) -> None:
    dora, emil = devices("dora"), devices("emil")
    peers_everywhere(runner, dora, emil)
    watching = watch("gateway", dora.public_key)
    record = other.delete_user("dora")
    other.raise_events(record)
    build = runner.started(2)
    if when == "once a gateway was served":
        watching.communicate(timeout=60)
    events.kill(build)
    assert runner.wait(2)[-1].rc == -signal.SIGKILL
    watching.kill()
    runner.schedule()
    assert runner.wait(3)[-1].rc == 0
    assert gone(dora)
    assert emil.public_key in actions.live_peers()
    assert sorted(receipt.gateway for receipt in receipts(dora)) == GATEWAYS
    assert {receipt.event_id for receipt in receipts(dora)} == {record["eventID"]}


def test_events_twice_late_and_in_disorder_end_in_the_same_state(
    runner: events.Runner, other: events.Account, devices: t.Callable[[str], Registration]
) -> None:
    """The old dora is deleted, a new one created; the deletion comes last, an hour old, and twice."""
    old = devices("dora")
    peers_everywhere(runner, old)
    deleted = other.delete_user("dora")
    new = devices("dora")
    runner.schedule()
    runner.wait(2)
    assert gone(old)
    hour_ago = datetime.fromtimestamp(time.time() - 3600, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    other.raise_events(
        other.record("CreateUser", requestParameters={"userName": "dora"}),
        {**deleted, "eventTime": hour_ago},
        {**deleted, "eventTime": hour_ago},
    )
    assert runner.wait(3)[-1].rc == 0
    assert gone(old)
    assert new.public_key in actions.live_peers()


def test_r15_event_whose_fields_hold_code_runs_none(
    runner: events.Runner, other: events.Account, devices: t.Callable[[str], Registration], tmp_path: Path
) -> None:
    dora = devices("dora")
    peers_everywhere(runner, dora)
    touched = tmp_path / "touched"
    jinja = f"{{{{ lookup('ansible.builtin.pipe', 'touch {touched}') }}}}"
    shell = f"$(touch {touched})`touch {touched}`';touch {touched};'"
    record = other.delete_user("dora")
    for payload in (jinja, shell):
        hostile = {"userAgent": payload, "sourceIPAddress": payload, "requestID": payload, "errorMessage": payload}
        other.raise_events(
            other.record("DeleteUser", requestParameters={"userName": payload}, **hostile),
            other.record("AddUserToGroup", requestParameters={"userName": payload, "groupName": payload}, **hostile),
        )
    other.raise_events({**record, "userAgent": jinja})
    ended = runner.wait(2)
    assert ended[-1].rc == 0, ended[-1].output
    assert gone(dora)
    assert not touched.exists()
    letters = aws.client("sqs")
    url = letters.get_queue_url(QueueName=f"{events.NAME}-dead-letters")["QueueUrl"]
    poison = [
        json.loads(message["Body"])
        for message in letters.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    ]
    assert {message["detail"]["requestParameters"]["userName"] for message in poison} == {jinja, shell}
