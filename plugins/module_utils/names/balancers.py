# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Internal load balancers and the addresses that they have now."""

from __future__ import annotations

from typing import Any, Mapping, NamedTuple

from ..aws import calling
from .dns import normal

NETWORK, APPLICATION = "network", "application"
_HEALTHY = "healthy"
# how the load balancers' interfaces are described; the rest of the description is the end of the ARN
_INTERFACES = "ELB "


class BalancerAddress(NamedTuple):
    """An address and its availability zone."""

    address: str
    availability_zone: str | None


class Balancer(NamedTuple):
    """An internal load balancer; a network one keeps its address in each zone, an application one doesn't."""

    arn: str
    name: str
    dns_name: str
    kind: str
    addresses: tuple[BalancerAddress, ...]

    @property
    def fixed(self) -> bool:
        """Tell whether its addresses stay."""
        return self.kind == NETWORK


def internal_balancers(elbv2: Any, ec2: Any, vpc_id: str | None) -> list[Balancer]:
    """List the region's internal network and application load balancers, of one VPC if it is given, ordered by name.

    :raises AWSCallError: any page failed.
    """
    with calling("elasticloadbalancing:DescribeLoadBalancers", "the load balancers of this region"):
        pages = elbv2.get_paginator("describe_load_balancers").paginate()
        described = [one for page in pages for one in page["LoadBalancers"]]
    wanted = [
        one
        for one in described
        if one.get("Scheme") == "internal" and one["Type"] in (NETWORK, APPLICATION) and vpc_id in (None, one["VpcId"])
    ]
    addresses = _addresses(ec2, vpc_id) if wanted else {}
    return sorted((_balancer(one, addresses) for one in wanted), key=lambda balancer: (balancer.name, balancer.arn))


class Target(NamedTuple):
    """A target of a target group; `state` is elbv2's, `reason` its words where it isn't healthy."""

    target_id: str
    port: int | None
    state: str
    reason: str


class TargetGroup(NamedTuple):
    """A target group and the health of its targets now."""

    name: str
    arn: str
    targets: tuple[Target, ...]

    @property
    def healthy(self) -> list[Target]:
        """List the targets that get connections."""
        return [target for target in self.targets if target.state == _HEALTHY]


def target_groups(elbv2: Any, balancer: Balancer) -> list[TargetGroup]:
    """List the target groups that a load balancer forwards to, ordered by name.

    :raises AWSCallError: a call failed.
    """
    with calling("elasticloadbalancing:DescribeTargetGroups", f"load balancer {balancer.name}"):
        pages = elbv2.get_paginator("describe_target_groups").paginate(LoadBalancerArn=balancer.arn)
        described = [one for page in pages for one in page["TargetGroups"]]
    return sorted(
        TargetGroup(one["TargetGroupName"], one["TargetGroupArn"], _targets(elbv2, one["TargetGroupArn"]))
        for one in described
    )


def _targets(elbv2: Any, group_arn: str) -> tuple[Target, ...]:
    with calling("elasticloadbalancing:DescribeTargetHealth", f"target group {group_arn}"):
        described = elbv2.describe_target_health(TargetGroupArn=group_arn)["TargetHealthDescriptions"]
    targets = []
    for one in described:
        health = one["TargetHealth"]
        reason = health.get("Description") or health.get("Reason") or ""
        targets.append(Target(one["Target"]["Id"], one["Target"].get("Port"), health["State"], reason))
    return tuple(targets)


def tcp_ports(elbv2: Any, balancer: Balancer) -> list[int]:
    """List the ports on which a load balancer takes TCP connections, ordered.

    :raises AWSCallError: any page failed.
    """
    with calling("elasticloadbalancing:DescribeListeners", f"load balancer {balancer.name}"):
        pages = elbv2.get_paginator("describe_listeners").paginate(LoadBalancerArn=balancer.arn)
        return sorted(one["Port"] for page in pages for one in page["Listeners"] if one["Protocol"] != "UDP")


def _balancer(described: Mapping[str, Any], addresses: Mapping[str, list[BalancerAddress]]) -> Balancer:
    arn = described["LoadBalancerArn"]
    at = addresses.get(f"{_INTERFACES}{arn.partition(':loadbalancer/')[2]}", [])
    return Balancer(
        arn, described["LoadBalancerName"], normal(described["DNSName"]), described["Type"], tuple(sorted(at))
    )


def _addresses(ec2: Any, vpc_id: str | None) -> dict[str, list[BalancerAddress]]:
    """Private addresses by the description of their interface."""
    filters = [{"Name": "description", "Values": [f"{_INTERFACES}net/*", f"{_INTERFACES}app/*"]}]
    if vpc_id is not None:
        filters.append({"Name": "vpc-id", "Values": [vpc_id]})
    with calling("ec2:DescribeNetworkInterfaces", "the load balancers' network interfaces"):
        pages = ec2.get_paginator("describe_network_interfaces").paginate(Filters=filters)
        described: dict[str, list[BalancerAddress]] = {}
        for interface in (one for page in pages for one in page["NetworkInterfaces"]):
            texts = [one["PrivateIpAddress"] for one in interface.get("PrivateIpAddresses", ())]
            texts += [one["Ipv6Address"] for one in interface.get("Ipv6Addresses", ())]
            zone = interface.get("AvailabilityZone")
            described.setdefault(interface["Description"], []).extend(BalancerAddress(text, zone) for text in texts)
    return described
