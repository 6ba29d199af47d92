# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the emulated AWS lacks between an IAM call and a build, so that the shipped code can be run from end to end.

IAM's calls put no events on a bus: `Account.delete_user` does, as CloudTrail would. Nothing runs functions or builds:
`Runner` gives the queue's messages to the dispatcher's handler, calls the sweeper's, and does a build's commands in an
empty directory.
Rules, buses, queues, the registry, the builds' refusal and the code are the real ones.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import boto3
import botocore.exceptions
import yaml

from tests.support import PYTHONPATH, ROOT, iam_events
from tests.support.fault_proxy import FaultProxy
from tests.support.lambda_events import sqs_record
from tests.support.waiting import PATIENCE

from . import actions, aws
from .hosts import GATEWAYS
from .machine import STATE, LabError, run

OTHER_ACCOUNT = "444455556666"
IDENTITY_REGION = "us-east-1"  # where IAM's events are
NAME = "tracklib-vpn"
BUNDLE = STATE / "bundle"
INVENTORY = STATE / "build-inventory"
HERE = Path(__file__).parent
PYTHON = Path(sys.executable).resolve()  # not the environment's: functions and builds have packages of their own
QUEUE_ARN = f"arn:aws:sqs:{aws.REGION}:{aws.ACCOUNT}:{NAME}"
FUNCTION = f"{NAME}-dispatcher"
SWEEPER = f"{NAME}-sweeper"
PROJECT = f"{NAME}-reconcile"
GATHERED = 2  # seconds for which a runner's function waits where a test's few messages are to be one batch
BATCH_SIZE, BATCH_WINDOW = 200, 1  # messages and seconds, as the stack has them, which the emulator forgets
MEMORY = Path("/dev/shm")  # unpacking the bundle's 4,000 files on a slow disk takes longer than the rest of a build
VARIABLES: dict[str, Any] = {
    "vpn_account_id": aws.ACCOUNT,
    "vpn_registry_table": actions.TABLE,
    "vpn_address_pools": actions.POOLS,
    "vpn_identity_accounts": [
        {"account_id": aws.ACCOUNT},
        {"account_id": OTHER_ACCOUNT, "role_arn": f"arn:aws:iam::{OTHER_ACCOUNT}:role/{NAME}-sweep"},
    ],
    "vpn_access": [
        {
            "groups": ["vpn-developers", "vpn-guests"],
            "networks": ["10.20.0.0/16"],
            "accounts": [aws.ACCOUNT, OTHER_ACCOUNT],
        }
    ],
}


class Account:
    """One account of the emulated AWS, whose IAM calls raise events as CloudTrail's do."""

    def __init__(self, account_id: str) -> None:
        """Get credentials for it."""
        self.account_id = account_id
        self.keys = {"aws_access_key_id": aws.ACCESS_KEY, "aws_secret_access_key": aws.SECRET_KEY}
        if account_id != aws.ACCOUNT:
            role = f"arn:aws:iam::{account_id}:role/OrganizationAccountAccessRole"
            given = aws.client("sts").assume_role(RoleArn=role, RoleSessionName="lab")["Credentials"]
            self.keys = {
                "aws_access_key_id": given["AccessKeyId"],
                "aws_secret_access_key": given["SecretAccessKey"],
                "aws_session_token": given["SessionToken"],
            }
        self.client = functools.cache(self._client)  # making one takes longer than a call by it

    def _client(self, service: str, region: str = aws.REGION) -> Any:
        """Return a boto3 client of the account."""
        session = boto3.session.Session(**self.keys)  # type: ignore[arg-type]  # of strings
        return session.client(service, region_name=region, endpoint_url=aws.endpoint())  # type: ignore[call-overload]  # by name

    def options(self) -> dict[str, str]:
        """Return what makes an AWS module work in this account."""
        words = {"aws_access_key_id": "access_key", "aws_secret_access_key": "secret_key"}
        return {words.get(name, "session_token"): value for name, value in self.keys.items()}

    def add_user(self, name: str) -> str:
        """Make a user of vpn-developers; return its id."""
        user_id: str = self.client("iam").create_user(UserName=name)["User"]["UserId"]
        self.add_to_group(name, "vpn-developers")
        return user_id

    def add_to_group(self, name: str, group: str) -> None:
        """Add a user to a group, which is made if it isn't there."""
        iam = self.client("iam")
        try:
            iam.create_group(GroupName=group)
        except botocore.exceptions.ClientError as error:  # threads that begin together have several classes for it
            if error.response["Error"]["Code"] != "EntityAlreadyExists":
                raise
        iam.add_user_to_group(GroupName=group, UserName=name)

    def delete_user(self, name: str) -> dict[str, Any]:
        """Delete a user; return the record of the event, which isn't on the bus yet."""
        iam = self.client("iam")
        for group in iam.list_groups_for_user(UserName=name)["Groups"]:
            iam.remove_user_from_group(GroupName=group["GroupName"], UserName=name)
        iam.delete_user(UserName=name)
        return self.record("DeleteUser", requestParameters={"userName": name})

    def record(self, name: str, **fields: Any) -> dict[str, Any]:
        """Return CloudTrail's record of a call."""
        return iam_events.record(name, self.account_id, **fields)

    def raise_events(self, *records: dict[str, Any]) -> None:
        """Put events on the account's bus."""
        bus = self.client("events", IDENTITY_REGION)
        entries = [
            {"Source": "aws.iam", "DetailType": "AWS API Call via CloudTrail", "Detail": json.dumps(record)}
            for record in records
        ]
        for start in range(0, len(entries), 10):
            assert bus.put_events(Entries=entries[start : start + 10])["FailedEntryCount"] == 0


def deploy() -> actions.Run:
    """Deploy registry, events and builds for both accounts, by the playbook; what an operator has before is made."""
    _make_trails()
    _forget_stacks()
    ec2 = aws.client("ec2")
    subnet = ec2.describe_subnets(Filters=[{"Name": "tag:Name", "Values": ["lab"]}])["Subnets"][0]
    return actions.run_playbook(
        "deploy",
        control_plane_parts=["registry", "events"],
        control_plane_bundle=str(_make_bundle()),
        control_plane_inventory=str(_make_inventory()),
        control_plane_vpc_id=subnet["VpcId"],
        control_plane_subnet_ids=[subnet["SubnetId"]],
        control_plane_gateway_security_group=_security_group(ec2, subnet["VpcId"]),
        control_plane_identity_options={OTHER_ACCOUNT: Account(OTHER_ACCOUNT).options()},
        **VARIABLES,
    )


def _forget_stacks() -> None:
    """Remove the stacks that an earlier run made: the emulator can't update them."""
    for account in (Account(aws.ACCOUNT), Account(OTHER_ACCOUNT)):
        account.client("cloudformation", IDENTITY_REGION).delete_stack(StackName=f"{NAME}-identity")
    aws.client("cloudformation").delete_stack(StackName=f"{NAME}-gateways")


def _make_trails() -> None:
    for account in (Account(aws.ACCOUNT), Account(OTHER_ACCOUNT)):
        cloudtrail, s3 = account.client("cloudtrail", IDENTITY_REGION), account.client("s3", IDENTITY_REGION)
        bucket = f"trail-of-{account.account_id}"
        if cloudtrail.describe_trails()["trailList"]:
            continue
        s3.create_bucket(Bucket=bucket)
        cloudtrail.create_trail(Name="management", S3BucketName=bucket, IsMultiRegionTrail=True)
        cloudtrail.start_logging(Name="management")
        selectors = [{"IncludeManagementEvents": True, "ReadWriteType": "All"}]
        cloudtrail.put_event_selectors(TrailName="management", EventSelectors=selectors)


def _security_group(ec2: Any, vpc_id: str) -> str:
    there = ec2.describe_security_groups(Filters=[{"Name": "group-name", "Values": ["gateways"]}])["SecurityGroups"]
    group_id: str = (
        there[0]["GroupId"]
        if there
        else ec2.create_security_group(GroupName="gateways", Description="gateways", VpcId=vpc_id)["GroupId"]
    )
    return group_id


def _make_bundle() -> Path:
    """Make bundle.tar and functions.zip of this working tree, for this machine's Python."""
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    run(
        "env",
        f"PYTHONPATH={PYTHONPATH}",
        sys.executable,
        ROOT / "tools/bundle.py",
        "--python",
        python,
        "--output",
        BUNDLE,
    )
    return BUNDLE


def _make_inventory() -> Path:
    """Make the inventory of builds: gateways by their addresses, no keys, no SSH configuration of the lab's."""
    shutil.rmtree(INVENTORY, ignore_errors=True)
    (INVENTORY / "group_vars").mkdir(parents=True)
    plugin = {
        "plugin": "tracklib.vpn.gateway",
        "filters": {"tag:Role": "vpn-gateway", "instance-state-name": "running"},
        "hostnames": ["tag:Name"],
        "compose": {"ansible_host": "public_ip_address"},
    }
    gateways = {"ansible_user": "admin", "ansible_python_interpreter": "/usr/bin/python3"}
    for name, content in (
        ("lab.gateway.yml", plugin),
        ("group_vars/all.yml", VARIABLES),
        ("group_vars/vpn_gateways.yml", gateways),
    ):
        (INVENTORY / name).write_text(yaml.safe_dump(content))
    return INVENTORY


@dataclasses.dataclass
class Build:
    """A build that was started."""

    build_id: str
    directory: Path
    began: float  # seconds since the epoch
    process: subprocess.Popen[str] | None = None
    ended: float | None = None
    rc: int | None = None
    output: str = ""
    report: str = ""  # its JUnit report, which CodeBuild keeps, too
    left: list[str] = dataclasses.field(default_factory=list)  # temporary files that it didn't remove


class Runner:
    """Lambda and CodeBuild of the gateways' account, while used as a context.

    `builds` are those that were started, in their order.
    """

    def __init__(self, **function: str) -> None:
        """Find what the stack made.

        :param function: Variables that the dispatcher gets beside its own, such as the address of a proxy.
        """
        self.builds: list[Build] = []
        self.batches: list[tuple[float, float, int, int]] = []  # began, ended, messages, returned
        self.extra: dict[str, str] = {}  # variables of the next builds
        self.window = 0.3  # seconds, BATCH_WINDOW in tests of times and of many messages
        self.busy = False  # whether the function has messages
        self.paused = False  # whether builds that are started wait
        self.visibility = 180  # seconds, as the stack has it
        self._extra_of_function = function
        self._taken: dict[str, str] = {}  # receipt handles of messages in flight, by message
        self._stop = threading.Event()
        self._directory = Path(tempfile.mkdtemp(prefix="runner-", dir=MEMORY if MEMORY.is_dir() else None))
        self._sqs, self._codebuild = aws.client("sqs"), aws.client("codebuild")
        self._queue = self._sqs.get_queue_url(QueueName=NAME)["QueueUrl"]
        self._function: subprocess.Popen[str] | None = None
        self._threads = [threading.Thread(target=loop) for loop in (self._run_functions, self._run_builds)]
        self._failure: BaseException | None = None

    def __enter__(self) -> Self:
        with zipfile.ZipFile(BUNDLE / "functions.zip") as functions:
            functions.extractall(self._directory / "code")
        self._function = self._start_function(FUNCTION)
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        if self._function is not None:
            self._function.kill()
            self._function.wait()
        self._empty_queue()
        for build_id in self._codebuild.list_builds_for_project(projectName=PROJECT)["ids"]:
            self._codebuild.stop_build(id=build_id)  # that a function started meanwhile, if any
        shutil.rmtree(self._directory, ignore_errors=True)

    def schedule(self, *, patient: bool = False) -> None:
        """Do what the schedule does every minute; wait until it is done.

        :param patient: whether the time since the last try counts, instead of being long enough ago.
        """
        (target,) = aws.client("events").list_targets_by_rule(Rule=f"{NAME}-sweep")["Targets"]
        assert target["Arn"].endswith(f":function:{SWEEPER}"), target
        if not patient:
            key = {"pk": {"S": "sweeper"}, "sk": {"S": "state"}}
            forget = {"UpdateExpression": "REMOVE tried", "ConditionExpression": "attribute_exists(pk)"}
            with contextlib.suppress(botocore.exceptions.ClientError):  # there is none before the first look
                aws.client("dynamodb").update_item(TableName=actions.TABLE, Key=key, **forget)
        with self._start_function(SWEEPER) as sweeper:
            out, _nothing = sweeper.communicate("{}\n", timeout=PATIENCE)
            assert out == "null\n", f"the sweeper answered {out!r}; its log is sweeper.log in the lab's state"

    def ask_for_build(self) -> None:
        """Have the dispatcher start a build, whatever the sweeper finds."""
        self._sqs.send_message(QueueUrl=self._queue, MessageBody='{"kind": "sweep"}')

    def wait(self, builds: int, timeout: float = PATIENCE) -> list[Build]:
        """Wait until so many builds have ended and the queue is empty; return all builds.

        :raises LabError: That took too long.
        """
        give_up = time.monotonic() + timeout
        while time.monotonic() < give_up:
            if self._failure is not None:
                raise LabError(f"the runner broke: {self._failure!r}") from self._failure
            ended = [build for build in self.builds if build.ended is not None]
            if len(ended) >= builds and len(ended) == len(self.builds) and self._waiting() == 0:
                return ended
            time.sleep(0.2)
        logs = "\n".join(build.output[-3000:] for build in self.builds)
        raise LabError(f"{len(self.builds)} builds, {self._waiting()} messages after {timeout} s:\n{logs}")

    def started(self, number: int, timeout: float = PATIENCE) -> Build:
        """Wait until the process of the build of that number, the first being 1, runs.

        :raises LabError: That took too long.
        """
        give_up = time.monotonic() + timeout
        while time.monotonic() < give_up:
            if len(self.builds) >= number and self.builds[number - 1].process is not None:
                return self.builds[number - 1]
            time.sleep(0.05)
        raise LabError(f"build {number} didn't begin within {timeout} s; {len(self.builds)} have begun")

    def _empty_queue(self) -> None:
        """Leave no message of a test that failed to the next one."""
        while self._receive():
            pass
        for handle in self._taken.values():
            self._sqs.delete_message(QueueUrl=self._queue, ReceiptHandle=handle)

    def force(self) -> Build:
        """Do a build beside another one, which the project's limit refuses; return it once it has ended."""
        build = self._make_build("forced")
        self.run(build)
        return build

    def crash(self) -> None:
        """End the function's process in the middle of what it does."""
        assert self._function is not None
        self._function.kill()

    def _waiting(self) -> int:
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self._sqs.get_queue_attributes(QueueUrl=self._queue, AttributeNames=names)["Attributes"]
        return sum(int(value) for value in found.values())

    def _start_function(self, name: str) -> subprocess.Popen[str]:
        """Start a function by what is deployed: its code from the bucket, its variables from the function."""
        described = aws.client("lambda").get_function(FunctionName=name)["Configuration"]
        return subprocess.Popen(
            [PYTHON, HERE / "lambda_host.py", described["Handler"]],
            env={
                **_account_environment(),
                **described["Environment"]["Variables"],
                "PYTHONPATH": str(self._directory / "code"),
                **self._extra_of_function,
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=(STATE / f"{name.removeprefix(f'{NAME}-')}.log").open("a"),
            text=True,
        )

    def _run_functions(self) -> None:
        """Take batches from the queue as Lambda does: what the answer doesn't name as failed is deleted."""
        with self._watched():
            while not self._stop.is_set():
                records = self._receive()
                if records:
                    self._invoke(records)
                time.sleep(0.1)

    def _receive(self) -> list[dict[str, Any]]:
        records: list[dict[str, Any]] = []
        closes = None
        while len(records) < BATCH_SIZE and (closes is None or time.monotonic() < closes):
            answer = self._sqs.receive_message(
                QueueUrl=self._queue,
                MaxNumberOfMessages=10,
                AttributeNames=["All"],
                WaitTimeSeconds=0,
                VisibilityTimeout=self.visibility,
            )
            found = [sqs_record(message, QUEUE_ARN) for message in answer.get("Messages", [])]
            records += found
            self._taken |= {record["messageId"]: record["receiptHandle"] for record in found}
            if not records:
                return []
            closes = closes or time.monotonic() + self.window
            if not found:
                time.sleep(0.1)
        return records

    def _invoke(self, records: list[dict[str, Any]]) -> None:
        self.busy = True
        self._invoke_function(records)
        self.busy = False

    def _invoke_function(self, records: list[dict[str, Any]]) -> None:
        began = time.time()
        function = self._function
        assert function is not None
        assert function.stdin is not None
        assert function.stdout is not None
        function.stdin.write(json.dumps({"Records": records}) + "\n")
        function.stdin.flush()
        line = function.stdout.readline()
        if not line:  # it crashed: all messages come back in their time
            function.wait()
            self._function = self._start_function(FUNCTION)
            return
        failed = {item["itemIdentifier"] for item in json.loads(line)["batchItemFailures"]}
        for record in records:
            if record["messageId"] not in failed:
                self._sqs.delete_message(QueueUrl=self._queue, ReceiptHandle=record["receiptHandle"])
                del self._taken[record["messageId"]]
        self.batches.append((began, time.time(), len(records), len(failed)))

    def _run_builds(self) -> None:
        with self._watched():
            while not self._stop.is_set():
                while self.paused and not self._stop.is_set():
                    time.sleep(0.1)
                known = {build.build_id for build in self.builds}
                for build_id in self._codebuild.list_builds_for_project(projectName=PROJECT)["ids"]:
                    found = self._codebuild.batch_get_builds(ids=[build_id])["builds"][0]
                    if build_id not in known and found["buildStatus"] == "IN_PROGRESS":
                        build = self._make_build(build_id)
                        self.builds.append(build)
                        self.run(build)
                        status = "SUCCEEDED" if build.rc == 0 else "FAILED"
                        self._codebuild.stop_build(id=f"{build_id}#{status}")
                        build.ended = time.time()
                time.sleep(0.1)

    def _make_build(self, build_id: str) -> Build:
        return Build(build_id, Path(tempfile.mkdtemp(prefix="build-", dir=self._directory)), time.time())

    def run(self, build: Build) -> None:
        """Do a build's commands in its empty directory, with the variables that CodeBuild gives and no others."""
        project = self._codebuild.batch_get_projects(names=[PROJECT])["projects"][0]
        spec = yaml.safe_load(project["source"]["buildspec"])
        tools = build.directory / "bin"
        tools.mkdir()
        (tools / "aws").write_text(f"#!{sys.executable}\n" + (HERE / "files/aws").read_text())
        (tools / "aws").chmod(0o755)
        (tools / "python3").symlink_to(PYTHON)
        source = build.directory / "src"
        source.mkdir()
        (build.directory / "tmp").mkdir()
        environment = {
            **_account_environment(),
            "HOME": str(build.directory),
            "TMPDIR": str(build.directory / "tmp"),
            "PATH": f"{tools}:/usr/local/bin:/usr/bin:/bin",
            "CODEBUILD_BUILD_ID": build.build_id,
            **spec["env"]["variables"],
            **{variable["name"]: variable["value"] for variable in project["environment"]["environmentVariables"]},
            **self.extra,
        }
        script = _script(build.directory, spec["phases"]["build"])
        build.process = subprocess.Popen(
            ["bash", "-c", script],
            cwd=source,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        build.output = build.process.communicate()[0]
        build.rc = build.process.returncode
        build.report = "".join(path.read_text() for path in (source / "reports").glob("*.xml"))
        build.left = [path.name for path in (build.directory / "tmp").rglob("*")]
        shutil.rmtree(build.directory, ignore_errors=True)  # the machine is gone, too

    @contextlib.contextmanager
    def _watched(self) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            self._failure = error
            raise


@contextlib.contextmanager
def queues_for_gateways() -> Iterator[FaultProxy]:
    """Let gateways reach the emulated AWS's queues, where their listeners were told that they are."""
    place = urllib.parse.urlsplit(aws.QUEUES.read_text())
    with FaultProxy(aws.endpoint(), (str(place.hostname), int(place.port or 0))) as proxy:
        for host in GATEWAYS:  # it waits longer from one try to the next
            actions.shell(host.name, "systemctl restart tracklib-vpn-listener")
        yield proxy


def kill(build: Build) -> None:
    """End a build as a machine that is lost does: all of its processes, Ansible's have sessions of their own."""
    mark = f"CODEBUILD_BUILD_ID={build.build_id}\0".encode()
    while pids := [int(path.parent.name) for path in Path("/proc").glob("[0-9]*/environ") if mark in _content(path)]:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # it has ended meanwhile, or isn't ours
        return b""


def _script(directory: Path, phase: dict[str, list[str]]) -> str:
    """A phase as CodeBuild does it: each command in a shell of its own, which finds the last one's variables and place.

    So neither a trap nor a variable that isn't exported outlives its command.
    """
    carried, place = shlex.quote(str(directory / "carried")), shlex.quote(str(directory / "place"))
    keep = f"export -p >{carried}; pwd >{place}"

    def alone(command: str) -> str:
        text = f'. {carried}; cd "$(cat {place})"; {command}\nstatus=$?; {keep}; exit $status'
        return f"bash -c {shlex.quote(text)}"

    steps = [f"[ $status != 0 ] || {alone(command)} || status=$?" for command in phase["commands"]]
    return "\n".join([keep, "status=0", *steps, *map(alone, phase.get("finally", [])), "exit $status"])


def _account_environment() -> dict[str, str]:
    """Return what AWS gives functions and builds: where they are, and credentials."""
    # AWS_URL is Ansible's, not the SDK's
    return {name: value for name, value in aws.environment().items() if name.startswith("AWS_") and name != "AWS_URL"}
