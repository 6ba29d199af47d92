# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From an IAM call in another account to a dead tunnel, by the shipped rules, dispatcher, buildspec and playbook.

Listeners are served in the last tests alone: in the others builds do it by themselves.

Making users peers takes a whole run, so one does that for all tests; each takes users of its own.
"""

from __future__ import annotations

import concurrent.futures
import json
import re
import signal
import statistics
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils import keys
from ansible_collections.tracklib.vpn.plugins.module_utils.addresses import parse_pools
from ansible_collections.tracklib.vpn.plugins.module_utils.model import Receipt, Registration

from tests.lab import actions, aws, events, hosts
from tests.support import fault_proxy
from tests.support.fault_proxy import FaultProxy
from tests.support.waiting import PATIENCE

GATEWAYS = [host.name for host in hosts.GATEWAYS]
BURST = 50
FAST = 20  # leavers whose time is measured
USERS = 22 + FAST  # besides: more than the tests take
Take = Callable[[int], list[Registration]]


@pytest.fixture(scope="module")
def other() -> events.Account:
    """The account whose users leave."""
    return events.Account(events.OTHER_ACCOUNT)


@pytest.fixture(scope="module")
def tunnel() -> Iterator[actions.Connection]:
    """A tunnel of the gateways' own account, which nothing here may disturb."""
    connection = actions.connect("bob-laptop")
    yield connection
    connection.disconnect()


@pytest.fixture(scope="module")
def users(other: events.Account) -> Iterator[list[Registration]]:
    """Users of the other account with a registered laptop; the stacks are deployed."""
    with concurrent.futures.ThreadPoolExecutor(3) as pool:  # most of both is waiting
        deploying = pool.submit(events.deploy)
        forget_users(other)
        made = list(pool.map(lambda number: add_user(other, f"user-{number}"), range(BURST + USERS)))
        deploying.result()
    yield made
    forget_users(other)


@pytest.fixture(scope="module")
def first_build(users: list[Registration], tunnel: actions.Connection) -> events.Build:
    """The scheduled run that makes all of them peers."""
    with events.Runner() as runner:
        runner.schedule()
        build = runner.wait(1)[-1]
    assert build.rc == 0, build.output
    assert {user.public_key for user in users} | {tunnel.public_key} <= actions.live_peers(), build.output
    return build


@pytest.fixture(scope="module")
def peers(users: list[Registration], first_build: events.Build) -> list[Registration]:
    """Of these users, those whom no test has taken yet; all are peers of both gateways."""
    assert everywhere(*users), first_build.output
    return users


@pytest.fixture
def runner() -> Iterator[events.Runner]:
    """Lambda and CodeBuild."""
    with events.Runner() as running:
        yield running


@pytest.fixture
def stays(peers: list[Registration]) -> Registration:
    """A user who is a peer of both gateways, and whom no test takes."""
    return peers[0]


@pytest.fixture
def take(peers: list[Registration]) -> Iterator[Take]:
    """`dora, emil = take(2)`: users who are peers of both gateways, and no other test's."""
    theirs: list[Registration] = []

    def taken(count: int) -> list[Registration]:
        assert len(peers) > count, "USERS is too low"
        theirs.extend(peers.pop() for _ in range(count))
        return theirs[-count:]

    yield taken
    # of a test that failed, the next run finds no leavers whose removal nothing explains
    forget(*(registration.user_id for registration in theirs))


def add_user(account: events.Account, name: str) -> Registration:
    """Make a user with a registered laptop."""
    wanted = Registration(
        account.account_id, account.add_user(name), "laptop", name, keys.generate()[1], (), time.time()
    )
    return actions.registry().devices.register(wanted, parse_pools(actions.POOLS))[1]


def forget_users(account: events.Account) -> None:
    """Remove all users of an account and what the registry has of them, also those that a killed run left."""
    for user in account.client("iam").list_users()["Users"]:
        account.delete_user(user["UserName"])
    devices = actions.registry().devices
    for registration in devices.registrations():
        if registration.account_id == account.account_id:
            devices.remove(registration, quarantine=0)
    forget(account.account_id)


def forget(*ids: str) -> None:
    """Remove what the registry has of accounts or users, but for the records of removals, which later runs need."""
    dynamodb = aws.client("dynamodb")
    pages = dynamodb.get_paginator("scan").paginate(TableName=actions.TABLE)
    theirs = [
        item
        for page in pages
        for item in page["Items"]
        if item["pk"]["S"] != "removed" and any(each in str(item) for each in ids)
    ]
    for start in range(0, len(theirs), 25):  # in batches: a transaction for each device takes the emulator 0.2 s
        removed = [
            {"DeleteRequest": {"Key": {name: item[name] for name in ("pk", "sk")}}}
            for item in theirs[start : start + 25]
        ]
        dynamodb.batch_write_item(RequestItems={actions.TABLE: removed})


def gone(*registrations: Registration) -> bool:
    """Whether none of them is a peer of any gateway."""
    wanted = {registration.public_key for registration in registrations}
    return not any(wanted & actions.live_peers(gateway) for gateway in GATEWAYS)


def everywhere(*registrations: Registration) -> bool:
    """Whether all of them are peers of each gateway."""
    wanted = {registration.public_key for registration in registrations}
    return all(wanted <= actions.live_peers(gateway) for gateway in GATEWAYS)


def receipts(*registrations: Registration) -> list[Receipt]:
    """The receipts of their users."""
    users = {registration.user_id for registration in registrations}
    return [receipt for receipt in actions.registry().receipts() if receipt.user_id in users]


def assert_one_receipt_each(leaver: Registration, event_id: str) -> None:
    """Each gateway has one receipt of the leaver, and it names the event."""
    written = receipts(leaver)
    assert sorted(receipt.gateway for receipt in written) == GATEWAYS
    assert {receipt.event_id for receipt in written} == {event_id}


def watch(gateway: str, public_key: str) -> subprocess.Popen[str]:
    """Wait on the gateway until the peer is off; prints when that was."""
    script = f"while wg show wg0 peers | grep -qF {public_key}; do sleep 0.02; done; date +%s.%N"
    command = ["ssh", "-F", str(hosts.SSH_CONFIG), gateway, f"sudo sh -c '{script}'"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_r4_delete_in_the_other_account_cuts_the_tunnel(
    runner: events.Runner, other: events.Account, take: Take
) -> None:
    (dora,) = take(1)
    runner.window = events.BATCH_WINDOW
    watching = [watch(gateway, dora.public_key) for gateway in GATEWAYS]
    record = other.delete_user(dora.user_name)
    event = time.time()
    other.raise_events(record)
    build = runner.wait(1)[-1]
    dead = max(float(process.communicate(timeout=PATIENCE)[0]) for process in watching)
    taken = next(batch for batch in runner.batches if batch[0] > event)
    assert build.rc == 0, build.output
    assert_one_receipt_each(dora, record["eventID"])
    for receipt in receipts(dora):
        assert re.search(rf"  {receipt.gateway} +{re.escape(dora.label)} .*  deleted in IAM  ", build.report)
        assert receipt.deleted_at is not None
        assert 0 <= receipt.removed_at - receipt.deleted_at < PATIENCE
    print(
        f"\nevent to dead tunnel by a build alone {dead - event:.1f} s: to the dispatcher {taken[0] - event:.1f} s, "
        f"tombstone and start of the build {taken[1] - taken[0]:.1f} s, to the build's first command "
        f"{build.began - taken[1]:.1f} s, run until both gateways were served {dead - build.began:.1f} s"
    )
    assert dead - event < PATIENCE


def test_r4_burst_of_deletes_takes_few_builds_and_leaves_one_receipt_each(
    runner: events.Runner, other: events.Account, take: Take, stays: Registration
) -> None:
    leavers = take(BURST)
    runner.window = events.BATCH_WINDOW
    records = [other.delete_user(leaver.user_name) for leaver in leavers]
    with actions.probing("bob-laptop") as probe:
        other.raise_events(*records)
        ended = runner.wait(1, timeout=2 * PATIENCE)  # refused messages come back every 10 to 20 s
        report = probe.stop()
    assert gone(*leavers)
    assert everywhere(stays)
    assert report["lost"] == 0, report
    assert len(ended) <= 3, [batch[2:] for batch in runner.batches]
    written = receipts(*leavers)
    assert len(written) == len({(receipt.gateway, receipt.user_id) for receipt in written}) == BURST * len(GATEWAYS)
    assert {receipt.event_id for receipt in written} == {record["eventID"] for record in records}


def test_r4_function_that_dies_before_it_starts_a_build_is_called_again(
    other: events.Account, take: Take, stays: Registration
) -> None:
    (dora,) = take(1)
    died = threading.Event()
    with (
        fault_proxy.FaultProxy(aws.endpoint()) as proxy,
        events.Runner(AWS_ENDPOINT_URL_CODEBUILD=proxy.url) as runner,
    ):
        runner.visibility = 5  # until the messages come back

        def die() -> None:
            runner.crash()
            died.set()

        proxy.fail("StartBuild", fault_proxy.instead(die), 1, 1, reaches=False)
        record = other.delete_user(dora.user_name)
        other.raise_events(record)
        assert died.wait(30)
        assert record["eventID"] in {tombstone.event_id for tombstone in actions.registry().tombstones()}
        assert runner.builds == []
        ended = runner.wait(1)
    assert proxy.calls["StartBuild"] == 2
    assert [build.rc for build in ended] == [0]
    assert gone(dora)
    assert everywhere(stays)
    assert_one_receipt_each(dora, record["eventID"])


def test_r12_leaver_whose_event_is_lost_is_gone_after_the_next_scheduled_sweep(
    runner: events.Runner, other: events.Account, take: Take
) -> None:
    (dora,) = take(1)
    other.delete_user(dora.user_name)
    runner.schedule()
    assert runner.wait(1)[-1].rc == 0
    assert gone(dora)
    assert_one_receipt_each(dora, f"sweep-{dora.user_id}")


def test_minutes_in_which_nothing_happens_have_no_build(runner: events.Runner, stays: Registration) -> None:
    for _minute in range(5):
        runner.schedule(patient=True)
    assert runner.builds == []
    assert everywhere(stays)


def test_gateway_that_does_not_answer_has_builds_try_again_later(
    runner: events.Runner, other: events.Account, take: Take
) -> None:
    (dora,) = take(1)
    other.delete_user(dora.user_name)
    with actions.unreachable(GATEWAYS[1]):
        runner.schedule()
        assert runner.wait(1)[-1].rc != 0
        runner.schedule(patient=True)
        assert len(runner.builds) == 1, "a minute hasn't passed"
    runner.schedule()  # once it has
    assert runner.wait(2)[-1].rc == 0
    assert gone(dora)
    runner.schedule(patient=True)
    assert len(runner.builds) == 2
    assert_one_receipt_each(dora, f"sweep-{dora.user_id}")


def test_r3_account_that_can_not_be_read_keeps_its_peers_loses_its_deleted_and_fails_the_build(
    runner: events.Runner, other: events.Account, take: Take
) -> None:
    dora, emil = take(2)
    other.delete_user(emil.user_name)  # nothing tells
    record = other.delete_user(dora.user_name)
    with fault_proxy.FaultProxy(aws.endpoint()) as proxy:
        proxy.fail("AssumeRole", fault_proxy.error(403, "AccessDenied"))
        runner.extra = {"AWS_ENDPOINT_URL_STS": proxy.url}
        other.raise_events(record)
        failed = runner.wait(1)[-1]
        runner.extra = {}
    assert failed.rc != 0
    assert f"the sweep of account {other.account_id} is incomplete" in failed.output
    assert gone(dora)
    assert everywhere(emil)
    runner.schedule()
    assert runner.wait(2)[-1].rc == 0
    assert gone(emil)


def test_throttled_build_tries_again_or_changes_nothing_and_the_next_one_completes(
    runner: events.Runner, other: events.Account, take: Take, stays: Registration
) -> None:
    """The registry throttles the first build for too long; IAM and the registry the second one, for a while."""
    (dora,) = take(1)
    throttled = fault_proxy.json_error(400, "ProvisionedThroughputExceededException")
    before = {gateway: actions.live_peers(gateway) for gateway in GATEWAYS}
    record = other.delete_user(dora.user_name)
    with fault_proxy.FaultProxy(aws.endpoint()) as proxy:
        proxy.fail("Query", throttled, reaches=False)
        runner.extra = {"AWS_ENDPOINT_URL_DYNAMODB": proxy.url}
        other.raise_events(record)
        failed = runner.wait(1)[-1]
    assert failed.rc != 0
    assert "ProvisionedThroughputExceededException" in failed.output
    assert {gateway: actions.live_peers(gateway) for gateway in GATEWAYS} == before
    with fault_proxy.FaultProxy(aws.endpoint()) as proxy:
        sweep = "GetAccountAuthorizationDetails"
        proxy.fail(sweep, fault_proxy.error(400, "Throttling"), 1, 2, reaches=False)
        proxy.fail("Query", throttled, 1, 2, reaches=False)
        proxy.fail("BatchWriteItem", throttled, 1, 1, reaches=False)  # of the receipts
        runner.extra = {"AWS_ENDPOINT_URL_DYNAMODB": proxy.url, "AWS_ENDPOINT_URL_IAM": proxy.url}
        runner.schedule()
        completed = runner.wait(2)[-1]
    assert completed.rc == 0, completed.output
    assert {gateway: actions.live_peers(gateway) for gateway in GATEWAYS} == {
        gateway: peers - {dora.public_key} for gateway, peers in before.items()
    }
    assert everywhere(stays)
    assert_one_receipt_each(dora, record["eventID"])


def test_r10_build_leaves_a_report_and_neither_key_nor_secret(first_build: events.Build) -> None:
    assert "Apply firewall, interface and peers" in first_build.report
    assert aws.SECRET_KEY not in first_build.output + first_build.report
    assert "PRIVATE KEY" not in first_build.output + first_build.report
    assert "id_ed25519" not in first_build.left


@pytest.mark.parametrize("when", ["before the gateways are reached", "once a gateway was served"])
def test_r4_build_that_is_killed_is_completed_by_the_next_run(
    runner: events.Runner, other: events.Account, take: Take, stays: Registration, when: str
) -> None:
    (dora,) = take(1)
    watching = watch("gateway", dora.public_key)
    record = other.delete_user(dora.user_name)
    other.raise_events(record)
    build = runner.started(1)
    if when == "once a gateway was served":
        watching.communicate(timeout=PATIENCE)
    events.kill(build)
    assert runner.wait(1)[-1].rc == -signal.SIGKILL
    watching.kill()
    runner.schedule()
    assert runner.wait(2)[-1].rc == 0
    assert gone(dora)
    assert everywhere(stays)
    assert_one_receipt_each(dora, record["eventID"])


def test_r4_builds_that_are_killed_at_the_receipts_lose_none_and_write_none_twice(
    runner: events.Runner, other: events.Account, take: Take, stays: Registration
) -> None:
    """The first is killed before it writes them, the second before it writes that gateways may forget the removals."""
    (dora,) = take(1)
    record = other.delete_user(dora.user_name)
    with fault_proxy.FaultProxy(aws.endpoint()) as proxy:
        die = fault_proxy.instead(lambda: events.kill(runner.builds[-1]))
        for number in (1, 3):
            proxy.fail("BatchWriteItem", die, number, number, reaches=False)
        runner.extra = {"AWS_ENDPOINT_URL_DYNAMODB": proxy.url}
        other.raise_events(record)
        assert runner.wait(1)[-1].rc == -signal.SIGKILL
        assert gone(dora)
        assert receipts(dora) == []
        runner.schedule()
        assert runner.wait(2)[-1].rc == -signal.SIGKILL
        written = receipts(dora)
        assert_one_receipt_each(dora, record["eventID"])
        runner.schedule()
        assert runner.wait(3)[-1].rc == 0
    assert receipts(dora) == written
    assert gone(dora)
    assert everywhere(stays)


def test_r4_gateway_that_is_not_reached_keeps_no_other_from_its_revocations_and_gets_its_own_from_the_next_run(
    runner: events.Runner, other: events.Account, take: Take, stays: Registration
) -> None:
    (dora,) = take(1)
    served, cut_off = GATEWAYS
    record = other.delete_user(dora.user_name)
    with actions.unreachable(cut_off):
        other.raise_events(record)
        failed = runner.wait(1)[-1]
    assert failed.rc != 0
    assert f"NOT REACHED: {cut_off}, " in failed.output
    assert f"may still be peers there: {dora.label}" in failed.output
    assert dora.public_key not in actions.live_peers(served)
    assert dora.public_key in actions.live_peers(cut_off)
    assert [receipt.gateway for receipt in receipts(dora)] == [served]
    runner.schedule()
    assert runner.wait(2)[-1].rc == 0
    assert gone(dora)
    assert everywhere(stays)
    assert_one_receipt_each(dora, record["eventID"])


def test_r6_build_that_comes_last_with_the_older_roster_changes_nothing(
    runner: events.Runner, other: events.Account, take: Take, stays: Registration
) -> None:
    (dora,) = take(1)
    newer_done = threading.Event()
    found = "wg show wg0 allowed-ips | sort; nft -s -t list ruleset; sha256sum /etc/wireguard/wg0.*"
    with fault_proxy.FaultProxy(aws.endpoint()) as proxy:
        # the gateways' host keys are what a build asks for next once it has its roster
        proxy.fail("GetParametersByPath", fault_proxy.held(newer_done))
        runner.extra = {"AWS_ENDPOINT_URL_SSM": proxy.url}
        runner.ask_for_build()
        runner.started(1)
        while not proxy.calls["GetParametersByPath"] and runner.builds[0].ended is None:
            time.sleep(0.05)
        runner.extra = {}
        other.delete_user(dora.user_name)
        newer = runner.force()
        assert newer.rc == 0, newer.output
        assert gone(dora)
        before = [actions.shell(gateway, found) for gateway in GATEWAYS]
        newer_done.set()
        older = runner.wait(1)[-1]
    assert older.rc == 0, older.output  # it made another roster, which has seen what the newer build saw
    for gateway in GATEWAYS:
        assert f"{gateway}: no change" in older.output
    assert [actions.shell(gateway, found) for gateway in GATEWAYS] == before
    assert gone(dora)
    assert everywhere(stays)


def test_events_twice_late_and_in_disorder_end_in_the_same_state(
    runner: events.Runner, other: events.Account, take: Take
) -> None:
    """The old dora is deleted, a new one created; the deletion comes last, an hour old, and twice."""
    (old,) = take(1)
    deleted = other.delete_user(old.user_name)
    new = add_user(other, old.user_name)
    runner.schedule()
    runner.wait(1)
    assert gone(old)
    hour_ago = datetime.fromtimestamp(time.time() - 3600, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    runner.window = events.GATHERED
    other.raise_events(
        other.record("CreateUser", requestParameters={"userName": new.user_name}),
        {**deleted, "eventTime": hour_ago},
        {**deleted, "eventTime": hour_ago},
    )
    assert runner.wait(2)[-1].rc == 0
    assert gone(old)
    assert everywhere(new)


def test_r1_rename_and_early_sign_keep_a_peer_and_a_left_or_deleted_group_does_not(
    runner: events.Runner, other: events.Account, take: Take
) -> None:
    renamed, signed, moved, guest = take(4)
    iam = other.client("iam")
    runner.window = events.GATHERED
    iam.update_user(UserName=renamed.user_name, NewUserName="renamed")
    other.add_to_group(guest.user_name, "vpn-guests")
    for leaver in (moved, guest):
        iam.remove_user_from_group(GroupName="vpn-developers", UserName=leaver.user_name)
    of_guest, of_moved = ({"userName": leaver.user_name, "groupName": "vpn-developers"} for leaver in (guest, moved))
    other.raise_events(
        other.record("UpdateUser", requestParameters={"userName": renamed.user_name, "newUserName": "renamed"}),
        other.record("DeleteLoginProfile", requestParameters={"userName": signed.user_name}),
        other.record("AddUserToGroup", requestParameters={**of_guest, "groupName": "vpn-guests"}),
        other.record("RemoveUserFromGroup", requestParameters=of_guest),
        other.record("RemoveUserFromGroup", requestParameters=of_moved),
    )
    build = runner.wait(1)[-1]
    assert build.rc == 0, build.output
    assert f"early sign: {signed.user_name} has neither a login profile nor an active access key" in build.output
    assert everywhere(renamed, signed, guest)
    assert gone(moved)

    iam.remove_user_from_group(GroupName="vpn-guests", UserName=guest.user_name)
    iam.delete_group(GroupName="vpn-guests")
    other.raise_events(other.record("DeleteGroup", requestParameters={"groupName": "vpn-guests"}))
    assert runner.wait(2)[-1].rc == 0
    assert gone(guest)
    assert everywhere(renamed, signed)


def test_r15_event_whose_fields_hold_code_runs_none(
    runner: events.Runner, other: events.Account, take: Take, tmp_path: Path
) -> None:
    (dora,) = take(1)
    touched = tmp_path / "touched"
    jinja = f"{{{{ lookup('ansible.builtin.pipe', 'touch {touched}') }}}}"
    shell = f"$(touch {touched})`touch {touched}`';touch {touched};'"
    record = other.delete_user(dora.user_name)
    runner.window = events.GATHERED
    for payload in (jinja, shell):
        hostile = {"userAgent": payload, "sourceIPAddress": payload, "requestID": payload, "errorMessage": payload}
        other.raise_events(
            other.record("DeleteUser", requestParameters={"userName": payload}, **hostile),
            other.record("AddUserToGroup", requestParameters={"userName": payload, "groupName": payload}, **hostile),
        )
    other.raise_events({**record, "userAgent": jinja})
    ended = runner.wait(1)
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


# -- the fast way


@pytest.fixture(scope="module")
def queues(peers: list[Registration]) -> Iterator[FaultProxy]:
    """The gateways' listeners reach their queues."""
    assert peers
    with events.queues_for_gateways() as proxy:
        yield proxy


def removed_by_listener(*leavers: Registration) -> bool:
    """Whether no receipt of theirs says that a roster took them off."""
    return {receipt.reason for receipt in receipts(*leavers)} == {"revoked"}


@pytest.mark.usefixtures("queues")
def test_r4_leavers_are_off_before_a_build_has_begun_and_the_build_changes_nothing(
    runner: events.Runner, other: events.Account, take: Take, stays: Registration
) -> None:
    leavers = take(FAST)
    runner.window, runner.paused = events.BATCH_WINDOW, True
    spans, parts, records = [], [], {}
    with actions.probing("bob-laptop") as probe:
        for leaver in leavers:
            watching = [watch(gateway, leaver.public_key) for gateway in GATEWAYS]
            records[leaver] = other.delete_user(leaver.user_name)
            event = time.time()
            other.raise_events(records[leaver])
            dead = [float(process.communicate(timeout=PATIENCE)[0]) for process in watching]
            began, ended = next(batch[:2] for batch in _batches(runner) if batch[0] > event)
            spans.append(max(dead) - event)
            parts.append((began - event, ended - began))
        report = probe.stop()
    assert all(build.ended is None for build in runner.builds)
    assert report["lost"] == 0, report
    print(
        f"\nevent to dead tunnel by listeners, {FAST} times: median {statistics.median(spans):.2f} s, worst "
        f"{max(spans):.2f} s; of the median {statistics.median(part[0] for part in parts):.2f} s to the dispatcher, "
        f"whose batch window is {events.BATCH_WINDOW} s, and {statistics.median(part[1] for part in parts):.2f} s "
        "until it had started a build, too"
    )
    found = "wg show wg0 allowed-ips | sort; nft -s -t list ruleset"
    before = [actions.shell(gateway, found) for gateway in GATEWAYS]
    runner.paused = False
    assert runner.wait(1, timeout=2 * PATIENCE)[-1].rc == 0
    assert [actions.shell(gateway, found) for gateway in GATEWAYS] == before
    assert everywhere(stays)
    assert removed_by_listener(*leavers)
    for leaver in leavers:
        assert_one_receipt_each(leaver, records[leaver]["eventID"])


def _batches(runner: events.Runner) -> list[tuple[float, float, int, int]]:
    """The batches that the function has taken, once it is idle: listeners are told before it ends."""
    give_up = time.monotonic() + PATIENCE
    while runner.busy and time.monotonic() < give_up:
        time.sleep(0.01)
    return runner.batches


@pytest.mark.usefixtures("queues")
def test_r4_a_gateway_whose_listener_is_down_is_served_by_the_build(
    runner: events.Runner, other: events.Account, take: Take, stays: Registration
) -> None:
    (dora,) = take(1)
    runner.paused = True
    served, silent = GATEWAYS
    actions.shell(silent, "systemctl stop tracklib-vpn-listener")
    record = other.delete_user(dora.user_name)
    watching = watch(served, dora.public_key)
    other.raise_events(record)
    watching.communicate(timeout=PATIENCE)
    assert dora.public_key in actions.live_peers(silent)
    runner.paused = False
    assert runner.wait(1)[-1].rc == 0
    assert gone(dora)
    actions.shell(silent, "systemctl start tracklib-vpn-listener")
    assert_one_receipt_each(dora, record["eventID"])
    assert everywhere(stays)


def test_a_gateway_that_is_to_have_no_listener_has_none_after_site() -> None:
    limit = f"--limit={GATEWAYS[1]},localhost"
    assert actions.shell(GATEWAYS[1], "systemctl is-active tracklib-vpn-listener").strip() == "active"
    actions.run_playbook("site", limit, gateway_listener=False, **events.VARIABLES)
    found = "systemctl is-enabled tracklib-vpn-listener; ls /usr/local/lib/tracklib-vpn"
    assert "listener" not in actions.shell(GATEWAYS[1], found, check=False).replace("tracklib-vpn-listener", "")
