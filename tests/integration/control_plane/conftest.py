# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The AWS side, deployed into the emulated AWS by the playbook as operators run it."""

from __future__ import annotations

import hashlib
import json
import subprocess
import uuid
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import boto3
import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils.listener.message import RevocationMessage, read_message
from aws_lambda_powertools.utilities.typing import LambdaContext

from tests.integration.conftest import KEYS, REGION, ROOT
from tests.integration.vpn import ACCESS, ACCOUNT, POOLS
from tests.unit.roles.control_plane.templates import LISTENERS, load

OTHER_ACCOUNT = "444455556666"
IDENTITY_REGION = "us-east-1"
FILES = ROOT / "roles/control_plane/files"
ZONES = {"one": ["internal.example"], "two": ["internal.example", "db.example"], "three": None}  # of the gateways


class Account(NamedTuple):
    """An account of the emulated AWS: clients, and the options that make an AWS module work in it."""

    client: Callable[..., Any]
    options: dict[str, str]


class Played:
    """How a playbook ended."""

    def __init__(self, done: subprocess.CompletedProcess[str]) -> None:
        self.rc = done.returncode
        self.output = done.stdout + done.stderr


class Deployment:
    """Runs the playbook `deploy` with an inventory and a bundle of its own."""

    def __init__(self, env: dict[str, str], directory: Path, client: Callable[..., Any]) -> None:
        self._env = env
        self._directory = directory
        self.client = client
        self.bundle = directory / "bundle"
        self.for_users = directory / "self-service"
        self.inventory = directory / "inventory"
        self.variables: dict[str, Any] = {}

    def prepare(self) -> None:
        """Make what an operator has before: a network, a trail, a bundle, an inventory."""
        ec2 = self.client("ec2")
        vpc = ec2.create_vpc(CidrBlock="10.20.0.0/16")["Vpc"]["VpcId"]
        subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.20.1.0/24")["Subnet"]["SubnetId"]
        group = ec2.create_security_group(GroupName="gateways", Description="gateways", VpcId=vpc)["GroupId"]
        make_trail(self.client("cloudtrail", IDENTITY_REGION), self.client("s3", IDENTITY_REGION))
        self.bundle.mkdir()
        (self.bundle / "bundle.tar").write_bytes(b"a bundle")
        with zipfile.ZipFile(self.bundle / "functions.zip", "w") as functions:
            functions.writestr("dispatcher/handler.py", "")
        self.inventory.mkdir()
        hosts: dict[str, dict[str, Any]] = {name: {"private_zones": zones} for name, zones in ZONES.items()}
        hosts["two"]["gateway_roster_max_age"] = 7200
        (self.inventory / "hosts.yml").write_text(json.dumps({"vpn_gateways": {"hosts": hosts}}))
        self.variables = {
            "control_plane_parts": ["registry", "events", "self_service"],
            "control_plane_bundle": str(self.bundle),
            "control_plane_self_service_directory": str(self.for_users),
            "control_plane_registry_writers": [f"arn:aws:iam::{ACCOUNT}:role/Operators"],
            "control_plane_vpc_id": vpc,
            "control_plane_subnet_ids": [subnet],
            "control_plane_gateway_security_group": group,
            "control_plane_self_service_gateways": [
                {"endpoint": "vpn.example.com:51820", "public_key": "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo="}
            ],
            "vpn_account_id": ACCOUNT,
            "vpn_access": ACCESS,
            "vpn_address_pools": POOLS,
        }

    def run(self, *arguments: str, cwd: Path = ROOT, env: Mapping[str, str] | None = None, **variables: Any) -> Played:
        extra = self._directory / "variables.json"
        extra.write_text(json.dumps({**self.variables, **variables}))
        return Played(
            subprocess.run(
                ["ansible-playbook", "-i", str(self.inventory), "tracklib.vpn.deploy", "-e", f"@{extra}", *arguments],
                cwd=cwd,
                env={**self._env, **(env or {})},
                capture_output=True,
                text=True,
                check=False,
            )
        )

    def __call__(self, *arguments: str, **variables: Any) -> Played:
        played = self.run(*arguments, **variables)
        assert played.rc == 0, played.output
        return played


class Stacks:
    """The stacks of events, made from the templates without the playbook, and what arrives in the queue."""

    def __init__(self, client: Callable[..., Any]) -> None:
        self.client = client
        self.queue_url = ""
        self.dead_letters_url = ""

    def make(self, code: bytes, **parameters: str) -> None:
        ec2 = self.client("ec2")
        vpc = ec2.create_vpc(CidrBlock="10.20.0.0/16")["Vpc"]["VpcId"]
        bucket = {"Bucket": "code", "CreateBucketConfiguration": {"LocationConstraint": REGION}}
        self.client("s3").create_bucket(**bucket)
        digest = hashlib.sha256(code).hexdigest()
        self.client("s3").put_object(Bucket="code", Key=f"functions/{digest}.zip", Body=code)
        given = {
            "IdentityAccounts": f"{ACCOUNT},{OTHER_ACCOUNT}",
            "IdentityRules": f"arn:aws:events:{IDENTITY_REGION}:{ACCOUNT}:rule/tracklib-vpn-iam-events",
            "IdentityRoles": f"arn:aws:iam::{ACCOUNT}:role/tracklib-vpn-forward",
            "CodeBucket": "code",
            "BundleSha256": "a" * 64,
            "InventorySha256": "b" * 64,
            "FunctionsSha256": digest,
            "BuildSpec": (FILES / "buildspec.yml").read_text(),
            "VpcId": vpc,
            "SubnetIds": ec2.create_subnet(VpcId=vpc, CidrBlock="10.20.1.0/24")["Subnet"]["SubnetId"],
            "GatewaySecurityGroup": ec2.create_security_group(GroupName="gw", Description="gw", VpcId=vpc)["GroupId"],
            "Listeners": ",".join(listener["queue"] for listener in LISTENERS),
            "SweepRoles": f"arn:aws:iam::{OTHER_ACCOUNT}:role/tracklib-vpn-sweep",
            "NamedHosts": json.dumps([{"name": "api", "namespace": "internal.example", "tags": {"Service": "api"}}]),
        }
        made = create_stack(self.client("cloudformation"), "gateway_account", {**given, **parameters})
        self.queue_url = made["QueueUrl"]
        self.dead_letters_url = made["DeadLettersUrl"]
        self.make_identity(Account(self.client, {}))

    def make_identity(self, account: Account) -> None:
        create_stack(
            account.client("cloudformation", IDENTITY_REGION),
            "identity_account.yml",
            {"GatewayAccount": ACCOUNT, "GatewayRegion": REGION},
        )

    def messages(self) -> list[dict[str, Any]]:
        """The bodies of what is in the queue."""
        bodies: list[dict[str, Any]] = []
        while True:
            answer = self.client("sqs").receive_message(QueueUrl=self.queue_url, MaxNumberOfMessages=10)
            if "Messages" not in answer:
                return bodies
            bodies += [json.loads(message["Body"]) for message in answer["Messages"]]


class Context(LambdaContext):
    """What the functions use of Lambda's context."""

    _aws_request_id = "8a2d4f0e-52a5-4c39-9d7a-000000000000"


def environment_of(stacks: Stacks, function: str, aws_url: str) -> dict[str, str]:
    """The environment that its stack gives a function, and what Lambda adds, with AWS at a URL."""
    deployed = stacks.client("lambda").get_function_configuration(FunctionName=function)
    return {
        **deployed["Environment"]["Variables"],
        **KEYS,
        "AWS_ENDPOINT_URL": aws_url,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "POWERTOOLS_DEV": "false",
    }


def metrics_in(log: str) -> dict[str, Any]:
    """What a function put into its log as metrics."""
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    return {name: value for line in lines if "_aws" in line for name, value in line.items()}


def told(sqs: Any) -> dict[str, list[RevocationMessage]]:
    """What each gateway's listener was told since the last time, as it reads it."""
    return {listener["name"]: messages_in(sqs, listener["queue"]) for listener in LISTENERS}


def messages_in(sqs: Any, queue: str) -> list[RevocationMessage]:
    """Take what is in a listener's queue."""
    url, found = sqs.get_queue_url(QueueName=queue)["QueueUrl"], []
    while True:
        answer = sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=0, AttributeNames=["SentTimestamp"]
        )
        for message in answer.get("Messages", []):
            sent_at = int(message["Attributes"]["SentTimestamp"]) / 1000
            found.append(read_message(message["Body"], sent_at))
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        if "Messages" not in answer:
            return found


def outputs(cloudformation: Any, stack: str) -> dict[str, str]:
    """The outputs of a stack."""
    (found,) = cloudformation.describe_stacks(StackName=stack)["Stacks"]
    return {output["OutputKey"]: output["OutputValue"] for output in found.get("Outputs", ())}


def create_stack(cloudformation: Any, template: str, parameters: dict[str, str]) -> dict[str, str]:
    """Make a stack from one of the role's templates; returns its outputs."""
    name = template.partition(".")[0].replace("_", "-")
    cloudformation.create_stack(
        StackName=name,
        TemplateBody=json.dumps(load(template)),
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
        Capabilities=["CAPABILITY_NAMED_IAM"],
    )
    made = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
    assert made["StackStatus"] == "CREATE_COMPLETE"
    return outputs(cloudformation, name)


def make_trail(cloudtrail: Any, s3: Any, logging: bool = True, name: str = "management", **selectors: Any) -> None:
    """A trail of one's own, as an account has it that keeps records."""
    bucket = f"trail-{uuid.uuid4()}"
    s3.create_bucket(Bucket=bucket)
    cloudtrail.create_trail(Name=name, S3BucketName=bucket, IsMultiRegionTrail=True)
    if logging:
        cloudtrail.start_logging(Name=name)
    chosen = selectors or {"EventSelectors": [{"IncludeManagementEvents": True, "ReadWriteType": "All"}]}
    cloudtrail.put_event_selectors(TrailName=name, **chosen)


def deploying(env: dict[str, str], directory: Path) -> dict[str, str]:
    """The environment of a playbook, from that of a module."""
    return {
        **env,
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".ansible/collections"),
        "ANSIBLE_HOME": str(directory / "ansible"),
        "ANSIBLE_LOCALHOST_WARNING": "false",
    }


@pytest.fixture
def deployment(aws_env: dict[str, str], aws_client: Callable[..., Any], tmp_path: Path) -> Deployment:
    """The account as an operator has it, with nothing of ours deployed."""
    made = Deployment(deploying(aws_env, tmp_path), tmp_path, aws_client)
    made.prepare()
    return made


@pytest.fixture
def other_account(aws_client: Callable[..., Any], aws_url: str) -> Account:
    """A second account with users, and credentials of its own."""
    role = f"arn:aws:iam::{OTHER_ACCOUNT}:role/OrganizationAccountAccessRole"
    given = aws_client("sts").assume_role(RoleArn=role, RoleSessionName="deploy")["Credentials"]
    keys = {"access_key": given["AccessKeyId"], "secret_key": given["SecretAccessKey"]}
    session = boto3.session.Session(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])

    def client(service: str, region: str = REGION) -> Any:
        return session.client(service, region_name=region, endpoint_url=aws_url)  # type: ignore[call-overload]  # by name

    return Account(client, {**keys, "session_token": given["SessionToken"]})


@pytest.fixture
def stacks(aws_client: Callable[..., Any]) -> Stacks:
    """The stacks of events in one account."""
    made = Stacks(aws_client)
    made.make(b"PK")
    return made
