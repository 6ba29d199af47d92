# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The inventory plugin, run by `ansible-inventory` and `ansible-playbook` against an emulated EC2 over HTTP."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from tests.support import fault_proxy as faults
from tests.support.fault_proxy import FaultProxy

ROLE = {"tag:role": "vpn-gateway"}
PROBE = "{{ lookup('pipe', 'touch ran') }}"  # in the directory that ansible runs in


class Result(NamedTuple):
    """What `ansible-inventory --list` found, and what it said."""

    hosts: dict[str, dict[str, Any]]
    groups: dict[str, list[str]]
    said: str


class Account:
    """Instances in the emulated EC2."""

    def __init__(self, client: Callable[..., Any]) -> None:
        self._client = client
        self._subnets: dict[str, str] = {}

    def run(self, name: str = "gw", role: str = "vpn-gateway", region: str = "eu-west-1", **tags: str) -> str:
        ec2 = self._client("ec2", region)
        made = ec2.run_instances(
            ImageId="ami-12c6146b",
            MinCount=1,
            MaxCount=1,
            SubnetId=self._subnet(region),
            MetadataOptions={"HttpTokens": "required", "HttpPutResponseHopLimit": 1, "HttpEndpoint": "enabled"},
            TagSpecifications=[{"ResourceType": "instance", "Tags": _tags({"Name": name, "role": role, **tags})}],
        )
        instance: str = made["Instances"][0]["InstanceId"]
        return instance

    def ec2(self, region: str = "eu-west-1") -> Any:
        return self._client("ec2", region)

    def vpc(self, instance: str, region: str = "eu-west-1") -> str:
        found = self.ec2(region).describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]
        vpc: str = found["VpcId"]
        return vpc

    def zone(self, name: str, vpc: str | None, region: str = "eu-west-1") -> str:
        """A private zone of a VPC, or, without one, a public zone."""
        private = {"VPC": {"VPCRegion": region, "VPCId": vpc}} if vpc else {}
        made = self._client("route53").create_hosted_zone(
            Name=name, CallerReference=name, HostedZoneConfig={"PrivateZone": vpc is not None}, **private
        )
        zone: str = made["HostedZone"]["Id"]
        return zone

    def namespace(self, name: str, vpc: str) -> None:
        self._client("servicediscovery").create_private_dns_namespace(Name=name, Vpc=vpc)

    def elastic_address(self, instance: str) -> str:
        made = self.ec2().allocate_address(Domain="vpc")
        self.ec2().associate_address(InstanceId=instance, AllocationId=made["AllocationId"])
        address: str = made["PublicIp"]
        return address

    def ipv6_address(self, instance: str) -> str:
        found = self.ec2().describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]
        interface = found["NetworkInterfaces"][0]["NetworkInterfaceId"]
        address: str = self.ec2().assign_ipv6_addresses(NetworkInterfaceId=interface, Ipv6AddressCount=1)[
            "AssignedIpv6Addresses"
        ][0]
        return address

    def _subnet(self, region: str) -> str:
        if region not in self._subnets:
            ec2 = self._client("ec2", region)
            vpc = ec2.create_vpc(CidrBlock="10.20.0.0/16", AmazonProvidedIpv6CidrBlock=True)["Vpc"]["VpcId"]
            ec2.associate_vpc_cidr_block(VpcId=vpc, CidrBlock="10.30.0.0/16")
            block = ec2.describe_vpcs(VpcIds=[vpc])["Vpcs"][0]["Ipv6CidrBlockAssociationSet"][0]["Ipv6CidrBlock"]
            made = ec2.create_subnet(VpcId=vpc, CidrBlock="10.20.1.0/24", Ipv6CidrBlock=block.replace("/56", "/64"))
            self._subnets[region] = made["Subnet"]["SubnetId"]
        return self._subnets[region]


def _tags(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def _unmarked(value: dict[str, Any]) -> Any:
    """`ansible-inventory` writes a string that isn't trusted as a template as {"__ansible_unsafe": …}."""
    return value.get("__ansible_unsafe", value)


class Inventory:
    """A `*.gateway.yml` file and the commands that read it."""

    def __init__(self, directory: Path, env: dict[str, str]) -> None:
        self.directory = directory
        self.secret = env["AWS_SECRET_ACCESS_KEY"]
        self.env = {
            **env,
            "ANSIBLE_COLLECTIONS_PATH": env["PYTHONPATH"],
            "ANSIBLE_HOME": str(directory),
            "ANSIBLE_LOCALHOST_WARNING": "false",
            "COLUMNS": "1000",  # warnings stay on one line
        }
        self.configure()

    def configure(self, **options: Any) -> None:
        config = {"plugin": "tracklib.vpn.gateway", "filters": ROLE, "hostnames": ["tag:Name"], **options}
        (self.directory / "vpn.gateway.yml").write_text(yaml.safe_dump(config))

    def list(self, *arguments: str, env: dict[str, str] | None = None) -> Result:
        output, said = self.command("ansible-inventory", "--list", *arguments, env=env)
        listed = json.loads(output, object_hook=_unmarked)
        groups = {name: group.get("hosts", []) for name, group in listed.items() if name != "_meta"}
        return Result(listed["_meta"]["hostvars"], groups, said)

    def play(self, *tasks: dict[str, Any]) -> str:
        play = {"hosts": "vpn_gateways", "connection": "local", "gather_facts": False, "tasks": list(tasks)}
        (self.directory / "play.yml").write_text(yaml.safe_dump([play]))
        return self.command("ansible-playbook", "play.yml")[0]

    def command(self, *command: str, env: dict[str, str] | None = None) -> tuple[str, str]:
        done = subprocess.run(
            [*command, "-i", "vpn.gateway.yml"],
            cwd=self.directory,
            env={**self.env, **(env or {})},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "DEPRECATION" not in done.stderr
        assert "Traceback" not in done.stderr
        assert self.secret not in done.stdout + done.stderr
        return done.stdout, done.stderr


@pytest.fixture
def account(aws_client: Callable[..., Any]) -> Account:
    return Account(aws_client)


@pytest.fixture
def inventory(tmp_path: Path, aws_env: dict[str, str]) -> Inventory:
    return Inventory(tmp_path, aws_env)


@pytest.fixture
def proxied(inventory: Inventory, fault_proxy: FaultProxy) -> FaultProxy:
    """The proxy that the inventory asks instead of EC2."""
    inventory.env["AWS_URL"] = fault_proxy.url
    return fault_proxy


def test_gateway_has_the_variables_that_role_and_clients_need(account: Account, inventory: Inventory) -> None:
    instance = account.run()
    address = account.elastic_address(instance)
    account.ec2().modify_instance_attribute(InstanceId=instance, SourceDestCheck={"Value": False})
    found = account.ec2().describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]
    vpc = account.ec2().describe_vpcs(VpcIds=[found["VpcId"]])["Vpcs"][0]

    result = inventory.list()

    assert result.said == ""
    assert result.groups["vpn_gateways"] == ["gw"]
    assert result.hosts["gw"] == {
        "account_id": "123456789012",
        "attached_at": found["NetworkInterfaces"][0]["Attachment"]["AttachTime"].isoformat(),
        "availability_zone": found["Placement"]["AvailabilityZone"],
        "instance_id": instance,
        "instance_profile": None,
        "instance_tags": {"Name": "gw", "role": "vpn-gateway"},
        "instance_type": found["InstanceType"],
        "ipv6_addresses": [],
        "metadata_options": {
            "http_endpoint": "enabled",
            "http_put_response_hop_limit": 1,
            "http_tokens": "required",
        },
        "private_dns_name": found["PrivateDnsName"],
        "private_ip_address": found["PrivateIpAddress"],
        "private_zones": [],
        "public_dns_name": found["PublicDnsName"],
        "public_ip_address": address,
        "region": "eu-west-1",
        "source_dest_check": False,
        "subnet_id": found["SubnetId"],
        "vpc_cidrs": ["10.20.0.0/16", "10.30.0.0/16", vpc["Ipv6CidrBlockAssociationSet"][0]["Ipv6CidrBlock"]],
        "vpc_id": found["VpcId"],
        "vpc_resolver": "10.20.0.2",
        "wireguard_endpoint": address,
    }


def test_gateway_with_ipv6_only_is_dialled_in_brackets(account: Account, inventory: Inventory) -> None:
    address = account.ipv6_address(account.run())
    gateway = inventory.list().hosts["gw"]
    assert gateway["ipv6_addresses"] == [address]
    assert gateway["wireguard_endpoint"] == f"[{address}]"


def test_running_gateways_of_all_regions_are_found_and_nothing_else(account: Account, inventory: Inventory) -> None:
    account.run("one")
    account.run("two")
    account.run("far", region="us-east-1")
    account.run("elsewhere", region="us-west-2")
    account.run("web", role="web")
    account.ec2().stop_instances(InstanceIds=[account.run("stopped")])
    inventory.configure(regions=["eu-west-1", "us-east-1", "eu-west-1"])

    result = inventory.list()

    assert sorted(result.groups["vpn_gateways"]) == ["far", "one", "two"]
    assert {name: host["region"] for name, host in result.hosts.items()} == {
        "one": "eu-west-1",
        "two": "eu-west-1",
        "far": "us-east-1",
    }


def test_stopped_gateways_are_found_when_the_filters_say_so(account: Account, inventory: Inventory) -> None:
    account.ec2().stop_instances(InstanceIds=[account.run("stopped")])
    inventory.configure(filters={**ROLE, "instance-state-name": ["running", "stopped"]})
    assert inventory.list().groups["vpn_gateways"] == ["stopped"]


@pytest.mark.parametrize("regions", [["eu-west-1", "us-east-1"], ["us-east-1", "eu-west-1"]])
def test_r16_second_instance_of_a_name_takes_it_from_nobody(
    account: Account, inventory: Inventory, regions: list[str]
) -> None:
    """Variables, limits and receipts hang on it, also once the first one was stopped and started."""
    first = account.run("gw")
    time.sleep(1.1)  # times are whole seconds
    second = account.run("gw", region="us-east-1")
    account.ec2().stop_instances(InstanceIds=[first])
    account.ec2().start_instances(InstanceIds=[first])
    inventory.configure(regions=regions)
    result = inventory.list()
    assert {name: host["instance_id"] for name, host in result.hosts.items()} == {"gw": first, f"gw-{second}": second}
    assert f"would all be host gw; that is {first}, which was there first" in result.said


def test_constructed_options_work(account: Account, inventory: Inventory) -> None:
    account.run("gw", team="net")
    inventory.configure(
        compose={"ansible_host": "private_ip_address", "wireguard_endpoint": "'vpn.example.com'"},
        groups={"hardened": "metadata_options.http_tokens == 'required'", "other": "source_dest_check is none"},
        keyed_groups=[{"prefix": "team", "key": "tags.team"}],
    )
    result = inventory.list()
    assert result.hosts["gw"]["ansible_host"] == result.hosts["gw"]["private_ip_address"]
    assert result.hosts["gw"]["wireguard_endpoint"] == "vpn.example.com"
    assert result.groups["hardened"] == ["gw"]
    assert result.groups["team_net"] == ["gw"]
    assert "other" not in result.groups


def test_strict_decides_whether_a_composed_variable_may_fail(account: Account, inventory: Inventory) -> None:
    account.run("gw")
    inventory.configure(compose={"owner": "tags.owner"}, strict=False)
    assert "owner" not in inventory.list().hosts["gw"]
    inventory.configure(compose={"owner": "tags.owner"}, strict=True)
    assert "Could not set owner for host gw" in inventory.list().said


def test_options_are_templates(account: Account, inventory: Inventory) -> None:
    account.run("far", region="us-east-1")
    inventory.configure(regions=["{{ lookup('env', 'WHERE') }}"], filters={"tag:role": ["{{ lookup('env', 'ROLE') }}"]})
    found = inventory.list(env={"WHERE": "us-east-1", "ROLE": "vpn-gateway"})
    assert list(found.hosts) == ["far"]


def test_private_zones_are_those_of_the_gateway_s_vpc(account: Account, inventory: Inventory) -> None:
    here = account.vpc(account.run("here"))
    there = account.vpc(account.run("there", region="us-east-1"), "us-east-1")
    account.zone("internal.example.", here)
    account.zone("shared.example.", here)
    account.zone("there.example.", there, "us-east-1")
    account.zone("internal.example.", None)
    account.namespace("services.example", here)
    inventory.configure(regions=["eu-west-1", "us-east-1"])
    hosts = inventory.list().hosts
    assert hosts["here"]["private_zones"] == ["internal.example", "services.example", "shared.example"]
    assert hosts["there"]["private_zones"] == ["there.example"]


def test_name_of_a_zone_is_never_evaluated(account: Account, inventory: Inventory, cached: dict[str, Any]) -> None:
    """R15."""
    account.zone("{{7*6}}.example.", account.vpc(account.run("gw")))
    inventory.configure(**cached)
    for _ in range(2):
        assert inventory.list().hosts["gw"]["private_zones"] == ["{{7*6}}.example"]
    shown = inventory.play({"ansible.builtin.debug": {"msg": "{{ private_zones | map('upper') }}"}})
    assert "{{7*6}}.EXAMPLE" in shown


def test_zones_are_unknown_without_the_permission_when_it_is_not_strict(
    account: Account, inventory: Inventory, proxied: FaultProxy
) -> None:
    account.run("gw")
    proxied.fail("ListHostedZonesByVPC", faults.error(403, "AccessDenied"))
    inventory.configure(strict_permissions=False)
    result = inventory.list()
    assert result.hosts["gw"]["private_zones"] is None
    assert result.said.count("these credentials need route53:ListHostedZonesByVPC on VPC vpc-") == 1


def test_zones_are_asked_for_once_for_each_vpc_and_region(
    account: Account, inventory: Inventory, proxied: FaultProxy
) -> None:
    for name in ("one", "two"):
        account.run(name)
        account.run(f"{name}-far", region="us-east-1")
    inventory.configure(regions=["eu-west-1", "us-east-1"])
    assert len(inventory.list().hosts) == 4
    assert proxied.calls["ListHostedZonesByVPC"] == 2


def test_missing_permission_to_list_zones_is_named(account: Account, inventory: Inventory, proxied: FaultProxy) -> None:
    account.run("gw")
    proxied.fail("ListHostedZonesByVPC", faults.error(403, "AccessDenied"))
    result = inventory.list()
    assert result.hosts == {}
    assert "these credentials need route53:ListHostedZonesByVPC on VPC vpc-" in result.said


def test_region_is_asked_once_for_instances_and_once_for_vpcs(
    account: Account, inventory: Inventory, proxied: FaultProxy
) -> None:
    for name in ("one", "two", "three"):
        account.run(name)
    assert len(inventory.list().hosts) == 3
    assert proxied.calls == {"DescribeInstances": 1, "DescribeVpcs": 1, "ListHostedZonesByVPC": 1}


def test_instances_are_read_to_the_last_page(account: Account, inventory: Inventory, proxied: FaultProxy) -> None:
    names = [f"gw-{number}" for number in range(5)]
    for name in names:
        account.run(name)
    proxied.max_results = 2
    assert sorted(inventory.list().hosts) == names
    assert proxied.calls == {"DescribeInstances": 3, "DescribeVpcs": 1, "ListHostedZonesByVPC": 1}


@pytest.fixture
def cached(inventory: Inventory) -> dict[str, Any]:
    """Options that cache, with a role to assume."""
    options = {
        "cache": True,
        "cache_plugin": "ansible.builtin.jsonfile",
        "cache_connection": str(inventory.directory / "cache"),
        "assume_role_arn": "arn:aws:iam::123456789012:role/inventory",
    }
    inventory.configure(**options)
    return options


@pytest.mark.usefixtures("cached")
def test_cached_answer_makes_no_call(account: Account, inventory: Inventory, proxied: FaultProxy) -> None:
    account.run("gw")
    first = inventory.list()
    assert first.groups["vpn_gateways"] == ["gw"]
    assert proxied.calls == {"AssumeRole": 1, "DescribeInstances": 1, "DescribeVpcs": 1, "ListHostedZonesByVPC": 1}
    proxied.calls.clear()

    assert inventory.list() == first
    assert proxied.calls == {}
    inventory.list("--flush-cache")
    assert proxied.calls == {"AssumeRole": 1, "DescribeInstances": 1, "DescribeVpcs": 1, "ListHostedZonesByVPC": 1}


def test_cache_is_not_used_for_another_question(account: Account, inventory: Inventory, cached: dict[str, Any]) -> None:
    account.run("gw")
    account.run("blue", role="blue")
    inventory.list()
    inventory.configure(**cached, filters={"tag:role": "blue"})
    assert list(inventory.list().hosts) == ["blue"]
    assert list(inventory.list().hosts) == ["blue"]


@pytest.mark.usefixtures("cached")
def test_finding_nothing_is_not_cached(account: Account, inventory: Inventory) -> None:
    assert inventory.list().hosts == {}
    account.run("gw")
    assert list(inventory.list().hosts) == ["gw"]


def test_no_credentials_land_in_the_cache(account: Account, inventory: Inventory, cached: dict[str, Any]) -> None:
    """R10."""
    account.run("gw")
    keys = {"access_key": "AKIAI44QH8DHBEXAMPLE", "secret_key": "je7MtGbClwBF2Zp9Utkh3yCo8nvbEXAMPLEKEY"}
    inventory.configure(**cached, **keys)
    inventory.list()
    written = "".join(path.read_text() for path in (inventory.directory / "cache").iterdir())
    assert "vpn-gateway" in written
    for secret in (*keys.values(), inventory.env["AWS_ACCESS_KEY_ID"], "ecret", "ession", "ASIA"):
        assert secret not in written


@pytest.mark.parametrize("reads", [1, 2], ids=["asked", "cached"])
def test_tags_are_never_evaluated(account: Account, inventory: Inventory, cached: dict[str, Any], reads: int) -> None:
    """R15."""
    account.run("gw", evil=PROBE, **{PROBE: "key"})
    inventory.configure(
        **cached,
        compose={"composed": "tags.evil", "joined": "'x' ~ tags.evil", "listed": "tags | dict2items"},
        keyed_groups=[{"prefix": "evil", "key": "tags.evil"}, {"prefix": "tag", "key": "tags"}],
        groups={"evil": "tags.evil"},
        strict=False,
    )
    for _ in range(reads):
        host = inventory.list().hosts["gw"]
    assert host["instance_tags"] == {"Name": "gw", "role": "vpn-gateway", "evil": PROBE, PROBE: "key"}
    assert host["composed"] == PROBE
    assert host["joined"] == f"x{PROBE}"
    shown = inventory.play(
        {
            "ansible.builtin.debug": {
                "msg": ["{{ instance_tags }}", "{{ composed }}", "{{ hostvars.gw.joined }}", "{{ listed }}"]
            }
        }
    )
    assert "touch ran" in shown
    assert not (inventory.directory / "ran").exists()


def test_name_tag_that_is_a_template_names_no_host(account: Account, inventory: Inventory) -> None:
    """R15."""
    instance = account.run(PROBE)
    result = inventory.list()
    assert list(result.hosts) == [instance]
    assert f"{instance} in eu-west-1 is named by its id" in result.said
    assert not (inventory.directory / "ran").exists()


def test_no_gateway_found_is_a_warning_that_says_what_was_looked_for(account: Account, inventory: Inventory) -> None:
    account.run("web", role="web")
    inventory.configure(regions=["eu-west-1", "us-east-1"])
    result = inventory.list()
    assert result.hosts == {}
    assert "no gateway found: no instance in eu-west-1, us-east-1 matches the filters" in result.said
    assert '"tag:role": "vpn-gateway"' in result.said


def test_missing_region_and_filters_are_named(inventory: Inventory) -> None:
    del inventory.env["AWS_REGION"]
    assert "set regions or AWS_REGION" in inventory.list().said
    inventory.configure(filters={})
    assert "filters is empty" in inventory.list(env={"AWS_REGION": "eu-west-1"}).said


def test_missing_credentials_are_named(inventory: Inventory) -> None:
    said = inventory.list(env={"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}).said
    assert "no AWS credentials for ec2:DescribeInstances on the instances of eu-west-1" in said


@pytest.mark.parametrize("action", ["DescribeInstances", "DescribeVpcs"])
def test_missing_permission_is_named(account: Account, inventory: Inventory, proxied: FaultProxy, action: str) -> None:
    account.run("gw")
    proxied.fail(action, faults.ec2_error(403, "UnauthorizedOperation"))
    result = inventory.list()
    assert result.hosts == {}
    assert f"these credentials need ec2:{action} on the" in result.said
    assert " of eu-west-1 " in result.said


def test_missing_permission_to_assume_the_role_is_named(
    inventory: Inventory, proxied: FaultProxy, cached: dict[str, Any]
) -> None:
    proxied.fail("AssumeRole", faults.error(403, "AccessDenied"))
    assert f"these credentials need sts:AssumeRole on {cached['assume_role_arn']}" in inventory.list().said


def test_without_strict_permissions_other_regions_are_found(
    account: Account, inventory: Inventory, proxied: FaultProxy
) -> None:
    account.run("gw")
    account.run("far", region="us-east-1")
    proxied.fail("DescribeInstances", faults.ec2_error(403, "UnauthorizedOperation"), last=1)
    inventory.configure(regions=["eu-west-1", "us-east-1"], strict_permissions=False)
    result = inventory.list()
    assert list(result.hosts) == ["far"]
    assert "need ec2:DescribeInstances on the instances of eu-west-1" in result.said


def test_r16_part_of_the_gateways_is_never_taken_for_all_of_them(
    account: Account, inventory: Inventory, proxied: FaultProxy, cached: dict[str, Any]
) -> None:
    """A gateway that an inventory forgets gets no revocations."""
    account.run("gw")
    account.run("far", region="us-east-1")
    seen = str(inventory.directory / "last-seen")
    both = {**cached, "regions": ["eu-west-1", "us-east-1"], "strict_permissions": False, "last_seen_dir": seen}
    inventory.configure(**both)
    proxied.fail("DescribeInstances", faults.ec2_error(403, "UnauthorizedOperation"), last=1)
    assert list(inventory.list().hosts) == ["far"]
    assert set(inventory.list().hosts) == {"gw", "far"}, "the part was not cached"
    calls = proxied.calls["DescribeInstances"]
    proxied.fail("DescribeInstances", faults.ec2_error(403, "UnauthorizedOperation"), calls + 1, calls + 1)
    shutil.rmtree(cached["cache_connection"])
    result = inventory.list()
    assert set(result.hosts) == {"gw", "far"}
    assert "the gateways of eu-west-1 are those that were last seen, at 20" in " ".join(result.said.split())
    assert not list(Path(cached["cache_connection"]).glob("*")), "what was seen earlier was not cached either"


@pytest.mark.parametrize(
    "fault",
    [
        faults.ec2_error(400, "RequestExpired"),
        faults.ec2_error(401, "AuthFailure"),
        faults.ec2_error(403, "UnauthorizedOperation"),
        faults.ec2_error(503, "RequestLimitExceeded"),
        faults.reset,
        None,
    ],
)
def test_r18_gateways_are_those_last_seen_whatever_keeps_aws_from_saying_which(
    account: Account, inventory: Inventory, proxied: FaultProxy, fault: faults.Fault | None
) -> None:
    """Credentials end at night, too; None: there are none any more."""
    account.run("gw")
    inventory.configure(last_seen_dir=str(inventory.directory / "last-seen"))
    assert list(inventory.list().hosts) == ["gw"]
    env = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""} if fault is None else {}
    if fault is not None:
        proxied.fail("DescribeInstances", fault)
    result = inventory.list(env=env)
    assert list(result.hosts) == ["gw"]
    assert "AWS didn't say which gateways there are (" in " ".join(result.said.split())


def test_refused_credentials_and_a_region_not_enabled_are_named(inventory: Inventory, proxied: FaultProxy) -> None:
    proxied.fail("DescribeInstances", faults.ec2_error(401, "AuthFailure"))
    said = inventory.list().said
    assert "AWS doesn't accept these credentials" in said
    assert "eu-west-1" in said
    assert "region that the account hasn't enabled" in said


def test_endpoint_that_does_not_answer_is_named(inventory: Inventory, proxied: FaultProxy) -> None:
    proxied.__exit__()
    inventory.configure(aws_config={"retries": {"total_max_attempts": 1}})
    said = inventory.list().said
    assert "ec2:DescribeInstances on the instances of eu-west-1 failed: Could not connect" in said


def test_throttled_call_is_repeated(account: Account, inventory: Inventory, proxied: FaultProxy) -> None:
    account.run("gw")
    proxied.fail("DescribeInstances", faults.ec2_error(503, "RequestLimitExceeded"), last=2)
    assert list(inventory.list().hosts) == ["gw"]
    assert proxied.calls["DescribeInstances"] == 3
