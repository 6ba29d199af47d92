# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""`cloud_map_service` and `service_names` against an emulated Cloud Map over HTTP."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.support import fault_proxy as faults
from tests.support.fault_proxy import Fault, FaultProxy, send

NAMESPACE = "internal.example"


class CloudMap:
    """The modules and what Cloud Map holds after them."""

    def __init__(self, client: Callable[..., Any], run: Callable[..., dict[str, Any]]) -> None:
        self.client = client("servicediscovery")
        self.ec2 = client("ec2")
        self.route53 = client("route53")
        self._run = run
        self.vpc = self.ec2.create_vpc(CidrBlock="10.20.0.0/16")["Vpc"]["VpcId"]
        self.subnet = self.ec2.create_subnet(VpcId=self.vpc, CidrBlock="10.20.1.0/24")["Subnet"]["SubnetId"]

    def __call__(self, check: bool = False, proxy: FaultProxy | None = None, **options: Any) -> dict[str, Any]:
        result = self._call("cloud_map_service", check, proxy, {"namespace": NAMESPACE, **options})
        assert not result.get("failed"), result
        return result

    def fails(self, proxy: FaultProxy | None = None, **options: Any) -> str:
        result = self._call("cloud_map_service", False, proxy, {"namespace": NAMESPACE, **options})
        assert result.get("failed"), result
        assert len(result["msg"].splitlines()) == 1
        message: str = result["msg"]
        return message

    def names(self, *names: dict[str, Any], check: bool = False, proxy: FaultProxy | None = None) -> dict[str, Any]:
        options = {"names": [{"namespace": NAMESPACE, **name} for name in names], "vpc_id": self.vpc}
        result = self._call("service_names", check, proxy, options)
        assert not result.get("failed"), result
        return result

    def run_instance(self, **tags: str) -> tuple[str, str]:
        """An EC2 instance: its id and private address."""
        made = self.ec2.run_instances(
            ImageId="ami-12c6146b",
            MinCount=1,
            MaxCount=1,
            SubnetId=self.subnet,
            TagSpecifications=[
                {
                    "ResourceType": "instance",
                    "Tags": [{"Key": key, "Value": value} for key, value in {"Name": "host", **tags}.items()],
                }
            ],
        )["Instances"][0]
        return made["InstanceId"], made["PrivateIpAddress"]

    def services(self) -> dict[str, dict[str, Any]]:
        return {service["Name"]: service for service in self.client.list_services()["Services"]}

    def registered(self, name: str) -> dict[str, dict[str, str]]:
        listed = self.client.list_instances(ServiceId=self.services()[name]["Id"])["Instances"]
        return {instance["Id"]: instance["Attributes"] for instance in listed}

    def addresses(self, name: str) -> dict[str, str]:
        return {key: attributes["AWS_INSTANCE_IPV4"] for key, attributes in self.registered(name).items()}

    def _call(self, module: str, check: bool, proxy: FaultProxy | None, options: dict[str, Any]) -> dict[str, Any]:
        return self._run(module, options, check=check, env={"AWS_URL": proxy.url} if proxy else None)


@pytest.fixture
def cloud_map(aws_client: Callable[..., Any], run_module: Callable[..., dict[str, Any]]) -> CloudMap:
    return CloudMap(aws_client, run_module)


def test_namespace_service_and_instance_are_made_and_a_second_run_changes_nothing(cloud_map: CloudMap) -> None:
    wanted = {
        "vpc_id": cloud_map.vpc,
        "name": "API",  # kept in lower case
        "ttl": 10,
        "health_check": "custom",
        "instances": [{"id": "one", "ipv4": "10.20.1.5", "health": "HEALTHY", "attributes": {"team": "net"}}],
    }
    made = cloud_map(**wanted)
    service = cloud_map.services()["api"]
    assert made["changed"]
    assert made["registry_arn"] == service["Arn"]
    assert made["dns_name"] == "api.internal.example"
    assert service["DnsConfig"]["DnsRecords"] == [{"Type": "A", "TTL": 10}]
    assert service["DnsConfig"]["RoutingPolicy"] == "MULTIVALUE"
    assert service["HealthCheckCustomConfig"] == {"FailureThreshold": 1}
    assert cloud_map.registered("api") == {
        "one": {"AWS_INSTANCE_IPV4": "10.20.1.5", "AWS_INIT_HEALTH_STATUS": "HEALTHY", "team": "net"}
    }
    assert made["diff"] == {
        "before": "",
        "after": "namespace internal.example\n"
        "service api.internal.example: A 10 s, MULTIVALUE, health check custom\n"
        "instance api.internal.example: one 10.20.1.5\n",
    }
    again = cloud_map(**{**wanted, "namespace": "INTERNAL.example."})
    assert not again["changed"]
    assert again["registry_arn"] == made["registry_arn"]
    assert again["diff"] == {"before": "", "after": ""}


def test_check_mode_says_what_would_be_and_makes_nothing(cloud_map: CloudMap) -> None:
    result = cloud_map(check=True, vpc_id=cloud_map.vpc, name="api", instances=[{"id": "one", "ipv4": "10.20.1.5"}])
    assert result["changed"]
    assert result["registry_arn"] is None
    assert "instance api.internal.example: one 10.20.1.5" in result["diff"]["after"]
    assert cloud_map.client.list_namespaces()["Namespaces"] == []


def test_ttl_and_address_are_brought_in_line_and_others_stay(cloud_map: CloudMap) -> None:
    cloud_map(
        vpc_id=cloud_map.vpc,
        name="db",
        instances=[{"id": "one", "ipv4": "10.20.1.5"}, {"id": "two", "ipv4": "10.20.1.6"}],
    )
    changed = cloud_map(name="db", ttl=30, instances=[{"id": "one", "ipv4": "10.20.1.7"}])
    assert changed["diff"]["before"].splitlines()[-1] == "instance db.internal.example: one 10.20.1.5"
    assert cloud_map.services()["db"]["DnsConfig"]["DnsRecords"] == [{"Type": "A", "TTL": 30}]
    assert cloud_map.addresses("db") == {"one": "10.20.1.7", "two": "10.20.1.6"}
    assert cloud_map(name="db", ttl=30, instances=[{"id": "one", "ipv4": "10.20.1.7"}], purge_instances=True)["changed"]
    assert cloud_map.addresses("db") == {"one": "10.20.1.7"}


def test_service_that_cloud_map_cannot_change_is_refused_with_both_sides(cloud_map: CloudMap) -> None:
    cloud_map(vpc_id=cloud_map.vpc, name="api")
    failure = cloud_map.fails(name="api", record_types=["A", "AAAA"], routing_policy="WEIGHTED", health_check="custom")
    assert "record types A, not A/AAAA" in failure
    assert "routing policy MULTIVALUE, not WEIGHTED" in failure
    assert "health check none, not custom" in failure
    assert "remove the service with state absent" in failure


def test_absent_takes_one_step_at_a_time(cloud_map: CloudMap) -> None:
    both = [{"id": "one", "ipv4": "10.20.1.5"}, {"id": "two", "ipv4": "10.20.1.6"}]
    cloud_map(vpc_id=cloud_map.vpc, name="api", instances=both)
    assert "still has services: api" in cloud_map.fails(state="absent")
    assert cloud_map(state="absent", name="api", instances=[{"id": "one"}])["changed"]
    assert cloud_map.addresses("api") == {"two": "10.20.1.6"}
    assert "still has instances: two" in cloud_map.fails(state="absent", name="api")
    assert cloud_map(state="absent", name="api", purge_instances=True)["changed"]
    assert not cloud_map(state="absent", name="api")["changed"]
    assert cloud_map(state="absent")["changed"]
    assert cloud_map.client.list_namespaces()["Namespaces"] == []
    assert not cloud_map(state="absent")["changed"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        pytest.param({"namespace": "a" * 63 + ".x" * 96}, "has 255 characters; a DNS name has at most 253", id="long"),
        pytest.param({"name": "a" * 64}, "has a label of 64 characters", id="label"),
        pytest.param({"name": "a b"}, "'a b' is not a label", id="space"),
        pytest.param({"name": "api", "instances": [{"id": "one"}]}, "so it needs ipv4", id="no address"),
        pytest.param(
            {"name": "api", "instances": [{"id": "one", "ipv4": "10.20.1"}]}, "is no IPv4 address", id="bad address"
        ),
        pytest.param({"name": "api"}, "give vpc_id to make it in that VPC", id="no VPC"),
    ],
)
def test_bad_input_is_named_and_nothing_made(cloud_map: CloudMap, options: dict[str, Any], said: str) -> None:
    assert said in cloud_map.fails(**options)
    assert cloud_map.client.list_namespaces()["Namespaces"] == []


def test_namespace_of_another_vpc_is_no_reason_to_make_a_second(cloud_map: CloudMap) -> None:
    cloud_map(vpc_id=cloud_map.vpc)
    other = cloud_map.ec2.create_vpc(CidrBlock="10.30.0.0/16")["Vpc"]["VpcId"]
    assert f"isn't associated with VPC {other}" in cloud_map.fails(vpc_id=other)
    cloud_map.client.create_private_dns_namespace(Name=NAMESPACE, Vpc=other)
    assert "say with vpc_id which one is meant" in cloud_map.fails(name="api")
    assert cloud_map(name="api", vpc_id=other)["changed"]


def test_private_zone_that_is_not_cloud_map_s_is_in_the_way(cloud_map: CloudMap) -> None:
    cloud_map.route53.create_hosted_zone(
        Name=NAMESPACE,
        CallerReference="zone",
        HostedZoneConfig={"PrivateZone": True},
        VPC={"VPCRegion": "eu-west-1", "VPCId": cloud_map.vpc},
    )
    assert "already has a private zone internal.example" in cloud_map.fails(vpc_id=cloud_map.vpc)


def _operation(status: str, **more: str) -> Fault:
    """GetOperation's answer, whatever the operation."""
    body = json.dumps({"Operation": {"Id": "op", "Type": "CREATE_NAMESPACE", "Status": status, **more}}).encode()
    return lambda handler, _: send(handler, (200, {"Content-Type": "application/x-amz-json-1.1"}, body))


def test_failed_operation_shows_cloud_map_s_text(cloud_map: CloudMap, fault_proxy: FaultProxy) -> None:
    text = {"ErrorCode": "ACCESS_DENIED", "ErrorMessage": "no route53:CreateHostedZone"}
    fault_proxy.fail("GetOperation", _operation("FAIL", **text))
    failure = cloud_map.fails(proxy=fault_proxy, vpc_id=cloud_map.vpc)
    assert f"failed to create namespace internal.example in VPC {cloud_map.vpc}: ACCESS_DENIED (no route53" in failure


def test_operation_that_does_not_end_is_named_after_the_timeout(cloud_map: CloudMap, fault_proxy: FaultProxy) -> None:
    fault_proxy.fail("GetOperation", _operation("PENDING"))
    failure = cloud_map.fails(proxy=fault_proxy, vpc_id=cloud_map.vpc, wait_timeout=1)
    assert "create namespace internal.example" in failure
    assert "within 1 s" in failure
    assert "get-operation --operation-id" in failure


def test_missing_permission_is_named(cloud_map: CloudMap, fault_proxy: FaultProxy) -> None:
    fault_proxy.fail("ListNamespaces", faults.json_error(400, "AccessDeniedException"))
    assert "these credentials need servicediscovery:ListNamespaces" in cloud_map.fails(proxy=fault_proxy)


def test_names_follow_ec2_and_a_second_run_changes_nothing(cloud_map: CloudMap) -> None:
    build, build_address = cloud_map.run_instance(Name="build")
    api, api_address = cloud_map.run_instance(Service="api")
    names = ({"name": "build", "instance_id": build, "ttl": 10}, {"name": "api", "tags": {"Service": "api"}})
    first = cloud_map.names(*names)
    assert first["changed"]
    assert first["problems"] == []
    assert cloud_map.addresses("build") == {build: build_address}
    assert cloud_map.addresses("api") == {api: api_address}
    assert not cloud_map.names(*names)["changed"]

    second, second_address = cloud_map.run_instance(Service="api")
    cloud_map.ec2.terminate_instances(InstanceIds=[api])
    cloud_map.ec2.stop_instances(InstanceIds=[build])
    expected = cloud_map.names(*names, check=True)
    assert cloud_map.addresses("api") == {api: api_address}
    replaced = cloud_map.names(*names)
    assert replaced["diff"] == expected["diff"]
    assert cloud_map.addresses("api") == {second: second_address}
    assert cloud_map.registered("build") == {}
    assert replaced["unserved"] == ["build.internal.example"]

    cloud_map.ec2.start_instances(InstanceIds=[build])
    assert cloud_map.names(*names)["names"][0]["addresses"] == [build_address]
    assert cloud_map.addresses("build") == {build: build_address}


def test_instances_that_others_registered_stay(cloud_map: CloudMap) -> None:
    cloud_map(vpc_id=cloud_map.vpc, name="api", instances=[{"id": "task", "ipv4": "10.20.1.99"}], health_check="custom")
    api, address = cloud_map.run_instance(Service="api")
    name = {"name": "api", "tags": {"Service": "api"}}
    cloud_map.names(name)
    assert cloud_map.addresses("api") == {"task": "10.20.1.99", api: address}
    cloud_map.names({**name, "state": "absent"})
    assert cloud_map.addresses("api") == {"task": "10.20.1.99"}


def test_absent_name_goes_with_its_service(cloud_map: CloudMap) -> None:
    instance, _ = cloud_map.run_instance()
    cloud_map.names({"name": "build", "instance_id": instance})
    assert cloud_map.names({"name": "build", "state": "absent"})["changed"]
    assert cloud_map.services() == {}
    assert not cloud_map.names({"name": "build", "state": "absent"})["changed"]


def test_name_that_cannot_be_served_is_told_and_the_others_are(cloud_map: CloudMap) -> None:
    cloud_map(vpc_id=cloud_map.vpc, name="six", record_types=["AAAA"])
    instance, address = cloud_map.run_instance()
    result = cloud_map.names(
        {"name": "gone", "instance_id": "i-0123456789abcdef0"},
        {"name": "six", "instance_id": instance},
        {"name": "dual", "instance_id": instance, "record_types": ["A", "AAAA"]},
        {"name": "build", "instance_id": instance},
    )
    assert cloud_map.addresses("build") == {instance: address}
    gone, six, dual = result["problems"]
    assert gone == "gone.internal.example has no address: there is no EC2 instance i-0123456789abcdef0 in this region"
    assert "service six.internal.example has record types AAAA, not A" in six
    assert dual == f"dual.internal.example can't stand for {instance}: it has no address for AAAA"


def test_many_names_are_one_question_to_ec2(cloud_map: CloudMap, fault_proxy: FaultProxy) -> None:
    instance, _ = cloud_map.run_instance()
    cloud_map.names(*({"name": f"n{number}", "instance_id": instance} for number in range(8)), proxy=fault_proxy)
    assert fault_proxy.calls["DescribeInstances"] == 1
    assert fault_proxy.calls["ListServices"] == 0
    assert fault_proxy.calls["RegisterInstance"] == 8
