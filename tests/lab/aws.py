# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The lab's emulated AWS: moto's server on loopback, and what is in the account at the start."""

from __future__ import annotations

import concurrent.futures
import configparser
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import botocore.config

from tests.support import ROOT
from tests.support.waiting import PATIENCE

from .hosts import GATEWAYS, INSTANCE_METADATA, VPC, machine_address
from .machine import STATE, LabError, say

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_iam import IAMClient

REGION = "eu-west-1"
ACCOUNT = "123456789012"  # moto's own
# look real, because Ansible masks a secret wherever its text occurs
ACCESS_KEY = "AKIAQYLPMN5HEXAMPLE0"
SECRET_KEY = "uXq7vRz1Kp0LbNtG4sYw9HcEoJmDfA2iS8yT6VeU"
USERS = 1000
# group: its members; vpn-developers and vpn-dba are the groups that the lab's vpn_access names
NAMED_USERS = ("alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi", "ivan", "judy")
GROUPS = {
    "vpn-developers": (*NAMED_USERS, *(f"user-{number:04}" for number in range(11, 21))),
    "vpn-dba": ("alice", "carol", "user-0011", "user-0012"),
    "billing": ("judy", *(f"user-{number:04}" for number in range(23, 30))),
}
IMAGE = "amzn2-ami-hvm-*x86*"  # one that moto knows
INSTANCE_ROLE = "vpn-gateway"  # of the gateways' instances, and of their profile
OTHER_INSTANCES = ("api", "worker", "database")
ENV = STATE / "env"
AWS_CONFIG = STATE / "aws_config"
CREDENTIALS = STATE / "aws_credentials"  # of users, as profiles
PID = STATE / "moto.pid"
PORT = STATE / "moto.port"
QUEUES = STATE / "queues"  # what the URLs of queues begin with, as gateways reach them while somebody forwards
LOG = STATE / "moto.log"
SERVER = "tests.support.emulator"
START_TIMEOUT = PATIENCE


def endpoint() -> str:
    """Return the emulated AWS's address."""
    return f"http://127.0.0.1:{PORT.read_text().strip()}"


def environment(profile: str | None = None) -> dict[str, str]:
    """Return the environment variables that point everything at the lab.

    :param profile: The IAM user whose credentials they hold, see :func:`make_profile`; by default an operator.
    """
    operator = {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}
    user = {"AWS_PROFILE": profile or "", "AWS_SHARED_CREDENTIALS_FILE": str(CREDENTIALS)}
    return {
        **(operator if profile is None else user),
        "AWS_ENDPOINT_URL": endpoint(),
        "AWS_URL": endpoint(),
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".ansible" / "collections"),
        "ANSIBLE_INVENTORY": str(ROOT / "inventories" / "lab"),
        "ANSIBLE_HOME": str(ROOT / ".ansible"),
    }


def write_env() -> None:
    """Write .lab/env, to be sourced by a shell, and the same for AWS's tools alone as .lab/aws_config; and QUEUES."""
    place = f"http://{machine_address()}:"
    if not QUEUES.exists() or not QUEUES.read_text().startswith(place):  # gateways keep it
        QUEUES.write_text(f"{place}{_free_port()}/{ACCOUNT}")
    AWS_CONFIG.write_text(
        f"[default]\nregion = {REGION}\nendpoint_url = {endpoint()}\n"
        f"aws_access_key_id = {ACCESS_KEY}\naws_secret_access_key = {SECRET_KEY}\n"
    )
    unset = "unset AWS_PROFILE AWS_SESSION_TOKEN AWS_CONFIG_FILE AWS_SHARED_CREDENTIALS_FILE\n"
    ENV.write_text(unset + "".join(f"export {name}='{value}'\n" for name, value in environment().items()))


def client(service: str, **settings: Any) -> Any:
    """Return a boto3 client of the emulated AWS."""
    return boto3.client(  # type: ignore[call-overload]  # boto3's stubs list the services by name
        service,
        endpoint_url=endpoint(),
        region_name=REGION,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
        config=botocore.config.Config(**settings),
    )


def ensure_server() -> None:
    """Start moto's server unless it runs.

    :raises LabError: It didn't answer in time; with the end of its log.
    """
    if _answers():
        return
    stop_server()
    PORT.write_text(str(_free_port()))
    with LOG.open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", SERVER, PORT.read_text(), str(INSTANCE_METADATA)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd=ROOT,
        )
    PID.write_text(str(server.pid))
    give_up = time.monotonic() + START_TIMEOUT
    while not _answers():
        if server.poll() is not None or time.monotonic() > give_up:
            raise LabError(f"moto's server doesn't answer; the end of {LOG}:\n{LOG.read_text()[-2000:]}")
        time.sleep(0.1)


def stop_server() -> None:
    """Stop moto's server if it is the one that the lab started."""
    pid = server_pid()
    if pid is not None:
        os.kill(pid, signal.SIGTERM)
    for path in (PID, PORT, ENV, AWS_CONFIG, CREDENTIALS):
        path.unlink(missing_ok=True)


def server_pid() -> int | None:
    """Return the process id of the lab's moto server, None when it doesn't run."""
    try:
        pid = int(PID.read_text())
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (OSError, ValueError):
        return None
    return pid if SERVER.encode() in words and PORT.read_bytes() in words else None


def seed(users: int = USERS, *, empty_first: bool = False) -> None:
    """Make what is missing of the account's groups, users, network and instances.

    :param users: How many IAM users there are at least; the named ones and the members of groups come first.
    :param empty_first: Empty the emulated AWS before.
    :raises LabError: The emulated AWS doesn't run.
    """
    if server_pid() is None:
        raise LabError("the emulated AWS doesn't run; start the lab first")
    if empty_first:
        urllib.request.urlopen(
            urllib.request.Request(f"{endpoint()}/moto-api/reset", method="POST"), timeout=PATIENCE
        ).close()
    started = time.monotonic()
    made = _seed_iam(client("iam", max_pool_connections=4, parameter_validation=False), users)
    _seed_instance_role(client("iam"))
    _seed_ec2(client("ec2"))
    say(f"emulated AWS has {users} IAM users ({made} made in {time.monotonic() - started:.1f} s) and the EC2 instances")


def make_profile(name: str) -> str:
    """Make an access key for a user in place of older ones; return the text of its profile, also in CREDENTIALS."""
    iam = client("iam")
    _delete_access_keys(iam, name)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    profiles = configparser.RawConfigParser()
    profiles.read(CREDENTIALS)
    profiles[name] = {
        "aws_access_key_id": key["AccessKeyId"],
        "aws_secret_access_key": key["SecretAccessKey"],
        "region": REGION,
    }
    CREDENTIALS.touch(mode=0o600)
    with CREDENTIALS.open("w") as file:
        profiles.write(file)
    return "".join([f"[{name}]\n", *(f"{setting} = {value}\n" for setting, value in profiles[name].items())])


def _delete_access_keys(iam: IAMClient, user_name: str) -> None:
    for key in iam.list_access_keys(UserName=user_name)["AccessKeyMetadata"]:
        iam.delete_access_key(UserName=user_name, AccessKeyId=key["AccessKeyId"])


def delete_user(name: str) -> None:
    """Delete an IAM user as an administrator does."""
    iam = client("iam")
    _delete_access_keys(iam, name)
    for group in iam.list_groups_for_user(UserName=name)["Groups"]:
        iam.remove_user_from_group(GroupName=group["GroupName"], UserName=name)
    iam.delete_user(UserName=name)


def vpc_id() -> str:
    """Return the id of the lab's VPC."""
    found = client("ec2").describe_vpcs(Filters=[{"Name": "tag:Name", "Values": ["lab"]}])["Vpcs"]
    return str(found[0]["VpcId"])


def create_zone(name: str, *records: tuple[str, str, str], private: bool = True, associated: bool = True) -> None:
    """Make a hosted zone with records.

    :param records: Name within the zone, type and value of each; the TTL is 30 s.
    :param associated: Whether a private zone is the lab's VPC's, or another's.
    """
    route53 = client("route53")
    vpc = vpc_id() if associated else client("ec2").create_vpc(CidrBlock="10.30.0.0/16")["Vpc"]["VpcId"]
    made = route53.create_hosted_zone(
        Name=name,
        CallerReference=str(time.time_ns()),
        HostedZoneConfig={"PrivateZone": private},
        **({"VPC": {"VPCRegion": REGION, "VPCId": vpc}} if private else {}),
    )
    changes = [
        {
            "Action": "CREATE",
            "ResourceRecordSet": {
                "Name": f"{label}.{name}",
                "Type": kind,
                "TTL": 30,
                "ResourceRecords": [{"Value": value} for value in values.splitlines()],
            },
        }
        for label, kind, values in records
    ]
    if changes:
        route53.change_resource_record_sets(HostedZoneId=made["HostedZone"]["Id"], ChangeBatch={"Changes": changes})


def forget_names() -> None:
    """Remove everything that is in Cloud Map and Route 53."""
    cloud_map = client("servicediscovery", inject_host_prefix=False)
    for service in cloud_map.list_services()["Services"]:
        for instance in cloud_map.list_instances(ServiceId=service["Id"])["Instances"]:
            cloud_map.deregister_instance(ServiceId=service["Id"], InstanceId=instance["Id"])
        cloud_map.delete_service(Id=service["Id"])
    for namespace in cloud_map.list_namespaces()["Namespaces"]:
        cloud_map.delete_namespace(Id=namespace["Id"])
    route53 = client("route53")
    for zone in route53.list_hosted_zones()["HostedZones"]:
        records = route53.list_resource_record_sets(HostedZoneId=zone["Id"])["ResourceRecordSets"]
        changes = [
            {"Action": "DELETE", "ResourceRecordSet": record}
            for record in records
            if record["Type"] not in ("NS", "SOA")
        ]
        if changes:
            route53.change_resource_record_sets(HostedZoneId=zone["Id"], ChangeBatch={"Changes": changes})
        route53.delete_hosted_zone(Id=zone["Id"])


def replace_instance(name: str, address: str, **tags: str) -> None:
    """Stop the instance of that name, if there is one, and start another one with another address and the same tags."""
    ec2 = client("ec2")
    conditions = [{"Name": "tag:Name", "Values": [name]}, {"Name": "instance-state-name", "Values": ["running"]}]
    for reservation in ec2.describe_instances(Filters=conditions)["Reservations"]:
        ec2.stop_instances(InstanceIds=[instance["InstanceId"] for instance in reservation["Instances"]])
    image = ec2.describe_images(Filters=[{"Name": "name", "Values": [IMAGE]}])["Images"][0]["ImageId"]
    instance = _run_instance(ec2, image, _ensure_subnet(ec2), name, name, address)
    ec2.create_tags(Resources=[instance], Tags=_tags(**tags))


def forget_registry(table: str) -> None:
    """Remove the registry table, which its stack retains, and the stack."""
    dynamodb = client("dynamodb")
    if table in dynamodb.list_tables()["TableNames"]:
        dynamodb.update_table(TableName=table, DeletionProtectionEnabled=False)
        dynamodb.delete_table(TableName=table)
    client("cloudformation").delete_stack(StackName=f"{table}-registry")


def _seed_iam(iam: IAMClient, count: int) -> int:
    details = iam.get_account_authorization_details(Filter=["User", "Group"])
    memberships = {user["UserName"]: set(user["GroupList"]) for user in details["UserDetailList"]}
    groups = {group["GroupName"] for group in details["GroupDetailList"]}
    names = [*NAMED_USERS, *(f"user-{number:04}" for number in range(len(NAMED_USERS) + 1, count + 1))]
    missing = [name for name in names if name not in memberships]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:  # one waits while the other's request is served
        list(pool.map(lambda group: iam.create_group(GroupName=group), set(GROUPS) - groups))
        list(pool.map(lambda name: iam.create_user(UserName=name, Path=_path(name), Tags=_user_tags(name)), missing))
    for group, members in GROUPS.items():
        for member in members:
            if member in names and group not in memberships.get(member, ()):
                iam.add_user_to_group(GroupName=group, UserName=member)
    return len(missing)


def _path(name: str) -> str:
    return "/people/" if name in NAMED_USERS else "/"


def _user_tags(name: str) -> list[Any]:
    return [{"Key": "team", "Value": "payments"}] if name in NAMED_USERS else []


def _seed_instance_role(iam: IAMClient) -> None:
    """Make the gateways' role, which has no permissions, and what the instance metadata says of it."""
    if INSTANCE_ROLE not in {
        profile["InstanceProfileName"] for profile in iam.list_instance_profiles()["InstanceProfiles"]
    }:
        iam.create_role(RoleName=INSTANCE_ROLE, AssumeRolePolicyDocument="{}")
        iam.create_instance_profile(InstanceProfileName=INSTANCE_ROLE)
        iam.add_role_to_instance_profile(InstanceProfileName=INSTANCE_ROLE, RoleName=INSTANCE_ROLE)
    keys = {"AccessKeyId": ACCESS_KEY.replace("AKIA", "ASIA"), "SecretAccessKey": SECRET_KEY, "Token": "lab"}
    for gateway in GATEWAYS:
        file = INSTANCE_METADATA / gateway.addresses[VPC.name][0] / "role.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({"Code": "Success", "Name": INSTANCE_ROLE, **keys}))


def _seed_ec2(ec2: EC2Client) -> None:
    subnet = _ensure_subnet(ec2)
    reservations = ec2.describe_instances(Filters=[{"Name": "instance-state-name", "Values": ["running"]}])
    instances = [instance for reservation in reservations["Reservations"] for instance in reservation["Instances"]]
    there = {tag["Value"] for instance in instances for tag in instance.get("Tags", []) if tag["Key"] == "Name"}
    image = ec2.describe_images(Filters=[{"Name": "name", "Values": [IMAGE]}])["Images"][0]["ImageId"]
    for gateway in GATEWAYS:
        if gateway.name not in there:
            address = gateway.addresses[VPC.name][0]
            profile = {"IamInstanceProfile": {"Name": INSTANCE_ROLE}}
            instance = _run_instance(ec2, image, subnet, gateway.name, "vpn-gateway", address, **profile)
            ec2.modify_instance_attribute(InstanceId=instance, SourceDestCheck={"Value": False})
            elastic = ec2.allocate_address(Domain="vpc", Address=gateway.address)
            ec2.associate_address(InstanceId=instance, AllocationId=elastic["AllocationId"])
    for number, name in enumerate(OTHER_INSTANCES, start=100):
        if name not in there:
            _run_instance(ec2, image, subnet, name, name, f"10.20.0.{number}")


def _run_instance(ec2: EC2Client, image: str, subnet: str, name: str, role: str, address: str, **others: Any) -> str:
    made = ec2.run_instances(
        ImageId=image,
        MinCount=1,
        MaxCount=1,
        InstanceType="t3.micro",
        SubnetId=subnet,
        PrivateIpAddress=address,
        MetadataOptions={"HttpTokens": "required", "HttpPutResponseHopLimit": 1, "HttpEndpoint": "enabled"},
        TagSpecifications=[{"ResourceType": "instance", "Tags": _tags(Name=name, Role=role)}],
        **others,
    )
    return made["Instances"][0]["InstanceId"]


def _ensure_subnet(ec2: EC2Client) -> str:
    """Return the id of the lab's subnet; make it and its VPC when they aren't there."""
    found = ec2.describe_subnets(Filters=[{"Name": "tag:Name", "Values": ["lab"]}])["Subnets"]
    if found:
        return found[0]["SubnetId"]
    vpc = ec2.create_vpc(CidrBlock=VPC.ipv4, TagSpecifications=[{"ResourceType": "vpc", "Tags": _tags(Name="lab")}])[
        "Vpc"
    ]["VpcId"]
    subnet = ec2.create_subnet(
        VpcId=vpc, CidrBlock="10.20.0.0/24", TagSpecifications=[{"ResourceType": "subnet", "Tags": _tags(Name="lab")}]
    )
    return subnet["Subnet"]["SubnetId"]


def _tags(**tags: str) -> list[Any]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def _answers() -> bool:
    if server_pid() is None:
        return False
    try:
        with urllib.request.urlopen(f"{endpoint()}/moto-api/config", timeout=10) as answer:
            json.load(answer)
    except (urllib.error.URLError, OSError):
        return False
    return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
