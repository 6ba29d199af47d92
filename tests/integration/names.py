# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""An account with services that move, for the tests of names."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support.fault_proxy import FaultProxy
from tests.support.target_health import HEALTH_TAG

ROOT = Path(__file__).parents[2]
ZONE = "internal.example"


class Account:
    """A VPC with two subnets in the emulated AWS, and what names its services."""

    def __init__(self, client: Callable[..., Any], run: Callable[..., dict[str, Any]]) -> None:
        self.client = client
        self._run = run
        self.ec2 = client("ec2")
        self.vpc = self.ec2.create_vpc(CidrBlock="10.20.0.0/16")["Vpc"]["VpcId"]
        self.subnets = [self._subnet("10.20.1.0/24", "a"), self._subnet("10.20.2.0/24", "b")]

    def _subnet(self, cidr: str, zone: str) -> str:
        made = self.ec2.create_subnet(VpcId=self.vpc, CidrBlock=cidr, AvailabilityZone=f"eu-west-1{zone}")
        subnet: str = made["Subnet"]["SubnetId"]
        return subnet

    def info(
        self, proxy: FaultProxy | None = None, module: str = "service_names_info", **options: Any
    ) -> dict[str, Any]:
        result = self._run(module, options, env={"AWS_URL": proxy.url} if proxy else None)
        assert not result.get("failed"), result
        return result

    def names(self, **options: Any) -> dict[str, dict[str, Any]]:
        return {name["name"]: name for name in self.info(**{"vpc_id": self.vpc, **options})["names"]}

    def fails(self, proxy: FaultProxy | None = None, module: str = "service_names_info", **options: Any) -> str:
        result = self._run(module, options, env={"AWS_URL": proxy.url} if proxy else None)
        assert result.get("failed"), result
        message: str = result["msg"]
        return message

    def zone(self, name: str = ZONE, private: bool = True, vpc_id: str | None = None) -> str:
        vpc = {"VPC": {"VPCRegion": "eu-west-1", "VPCId": vpc_id or self.vpc}} if private else {}
        made = self.client("route53").create_hosted_zone(
            Name=name, CallerReference=f"{name}{private}", HostedZoneConfig={"PrivateZone": private}, **vpc
        )
        zone: str = made["HostedZone"]["Id"].rpartition("/")[2]
        return zone

    def record(self, zone: str, name: str, kind: str, *values: str, alias: str | None = None, **more: Any) -> None:
        record: dict[str, Any] = {"Name": name, "Type": kind, **more}
        if alias is None:
            record |= {"TTL": 60, "ResourceRecords": [{"Value": value} for value in values]}
        else:
            record["AliasTarget"] = {"HostedZoneId": zone, "DNSName": alias, "EvaluateTargetHealth": False}
        self.client("route53").change_resource_record_sets(
            HostedZoneId=zone, ChangeBatch={"Changes": [{"Action": "CREATE", "ResourceRecordSet": record}]}
        )

    def balancer(self, name: str, kind: str = "network", scheme: str = "internal", **tags: str) -> str:
        """A load balancer with its interfaces; its DNS name."""
        made = self.client("elbv2").create_load_balancer(
            Name=name,
            Type=kind,
            Scheme=scheme,
            Subnets=self.subnets,
            Tags=[{"Key": key, "Value": value} for key, value in {"name": name, **tags}.items()],
        )["LoadBalancers"][0]
        end = made["LoadBalancerArn"].partition(":loadbalancer/")[2]
        for number, subnet in enumerate(self.subnets, 1):
            self.ec2.create_network_interface(
                SubnetId=subnet,
                Description=f"ELB {end}",
                PrivateIpAddress=f"10.20.{number}.{50 if kind == 'network' else 60}",
            )
        dns_name: str = made["DNSName"].lower()
        return dns_name

    def forward(self, balancer: str, port: int, protocol: str = "TCP", **healths: str) -> str:
        """A target group behind a load balancer's port, its targets healthy or what else is said; the group's ARN.

        :param healths: by the last octet of a target's address: `n5="unhealthy"` is 10.20.1.5.
        """
        elbv2 = self.client("elbv2")
        group: str = elbv2.create_target_group(
            Name=f"{balancer}-{port}", Protocol=protocol, Port=8080, VpcId=self.vpc, TargetType="ip"
        )["TargetGroups"][0]["TargetGroupArn"]
        for octet, health in healths.items():
            target = f"10.20.1.{octet[1:]}"
            elbv2.register_targets(TargetGroupArn=group, Targets=[{"Id": target, "Port": 8080}])
            elbv2.add_tags(ResourceArns=[group], Tags=[{"Key": f"{HEALTH_TAG}{target}", "Value": health}])
        found = elbv2.describe_load_balancers(Names=[balancer])["LoadBalancers"][0]
        elbv2.create_listener(
            LoadBalancerArn=found["LoadBalancerArn"],
            Protocol=protocol,
            Port=port,
            DefaultActions=[{"Type": "forward", "TargetGroupArn": group}],
        )
        return group

    def service(self, name: str = "api", namespace: str = ZONE, **tags: str) -> dict[str, Any]:
        """A Cloud Map service, with its namespace."""
        cloud_map = self.client("servicediscovery")
        if namespace not in [one["Name"] for one in cloud_map.list_namespaces()["Namespaces"]]:
            cloud_map.create_private_dns_namespace(Name=namespace, Vpc=self.vpc)
        found = next(one for one in cloud_map.list_namespaces()["Namespaces"] if one["Name"] == namespace)
        made = cloud_map.create_service(
            Name=name,
            NamespaceId=found["Id"],
            DnsConfig={"RoutingPolicy": "MULTIVALUE", "DnsRecords": [{"Type": "A", "TTL": 15}]},
            HealthCheckCustomConfig={"FailureThreshold": 1},
            Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
        )
        service: dict[str, Any] = made["Service"]
        return service

    def register(self, service: dict[str, Any], instance: str, address: str, status: str = "HEALTHY") -> None:
        cloud_map = self.client("servicediscovery")
        cloud_map.register_instance(
            ServiceId=service["Id"], InstanceId=instance, Attributes={"AWS_INSTANCE_IPV4": address}
        )
        cloud_map.update_instance_custom_health_status(ServiceId=service["Id"], InstanceId=instance, Status=status)


class Playbook:
    """Playbooks, of the collection by name or others by path, run on this machine with a hosts file of their own."""

    def __init__(self, directory: Path, env: dict[str, str]) -> None:
        self.hosts = directory / "hosts"
        self.hosts.write_text("127.0.0.1 localhost\n")
        self._directory = directory
        self._env = {**env, "ANSIBLE_COLLECTIONS_PATH": env["PYTHONPATH"], "ANSIBLE_HOME": str(directory)}

    def __call__(self, name: str, *arguments: str, expect: int = 0, **variables: Any) -> str:
        path = name if name.endswith(".yml") else f"playbooks/{name}.yml"
        extra = {
            "ansible_become": False,
            "ansible_connection": "local",
            "hosts_lines_file": str(self.hosts),
            **variables,
        }
        done = subprocess.run(
            ["ansible-playbook", str(ROOT / path), "-e", json.dumps(extra), *arguments],
            cwd=self._directory,
            env=self._env,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == expect, done.stdout + done.stderr
        return done.stdout
