# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Services whose addresses move: tasks, and what AWS makes for a load balancer where the emulation leaves it out."""

from __future__ import annotations

from collections.abc import Iterable

from tests.support.target_health import HEALTH_TAG

from . import actions, aws, feed
from .hosts import SERVICE, task_addresses
from .machine import LabError

NAMESPACE = "internal.example"
TTL = 3  # seconds, of the names of tasks
# address in each availability zone, and the subnet it is in
BALANCER_ADDRESSES = {"a": ("10.20.1.80", "10.20.1.0/24"), "b": ("10.20.2.80", "10.20.2.0/24")}


def start_task(number: int) -> tuple[str, str]:
    """Start a task, which serves the page at addresses of its own: return them, IPv4 and IPv6."""
    addresses = task_addresses(number)
    _serve("replace", addresses)
    return addresses


def stop_task(number: int) -> None:
    """Stop a task: its addresses go dark."""
    _serve("delete", task_addresses(number))


def register_tasks(name: str, *numbers: int) -> None:
    """Let a name in Cloud Map stand for exactly these tasks, as ECS does, and the lab's resolver know of it.

    :raises LabError: The module refused.
    """
    addresses = {f"task-{number}": task_addresses(number) for number in numbers}
    done = actions.run_module(
        "cloud_map_service",
        namespace=NAMESPACE,
        vpc_id=aws.vpc_id(),
        name=name,
        ttl=TTL,
        record_types=["A", "AAAA"],
        instances=[{"id": task, "ipv4": ipv4, "ipv6": ipv6} for task, (ipv4, ipv6) in addresses.items()],
        purge_instances=True,
    )
    if done.get("failed"):
        raise LabError(f"{name}.{NAMESPACE}: {done['msg']}")
    feed.feed()


def create_balancer(name: str) -> str:
    """Make an internal network load balancer in two availability zones, which serves the page; return its DNS name."""
    ec2, balancers = aws.client("ec2"), aws.client("elbv2")
    subnets = {zone: _ensure_subnet(zone, cidr) for zone, (_, cidr) in BALANCER_ADDRESSES.items()}
    wanted = {"Name": name, "Type": "network", "Scheme": "internal", "Subnets": list(subnets.values())}
    made = balancers.create_load_balancer(**wanted)["LoadBalancers"][0]
    for zone, (address, _) in BALANCER_ADDRESSES.items():
        ec2.create_network_interface(
            SubnetId=subnets[zone],
            PrivateIpAddress=address,
            Description=f"ELB {made['LoadBalancerArn'].partition(':loadbalancer/')[2]}",
        )
    _serve("replace", [address for address, _ in BALANCER_ADDRESSES.values()])
    return str(made["DNSName"]).lower()


def forward(name: str, *tasks: int) -> str:
    """Let a load balancer's port 80 forward to tasks, none of them checked; return the target group's ARN."""
    balancers = aws.client("elbv2")
    group = {"Name": name, "Protocol": "TCP", "Port": 80, "VpcId": aws.vpc_id(), "TargetType": "ip"}
    arn = str(balancers.create_target_group(**group)["TargetGroups"][0]["TargetGroupArn"])
    targets = [{"Id": task_addresses(task)[0], "Port": 80} for task in tasks]
    balancers.register_targets(TargetGroupArn=arn, Targets=targets)
    balancers.create_listener(
        LoadBalancerArn=balancers.describe_load_balancers(Names=[name])["LoadBalancers"][0]["LoadBalancerArn"],
        Protocol="TCP",
        Port=80,
        DefaultActions=[{"Type": "forward", "TargetGroupArn": arn}],
    )
    return arn


def check_targets(group_arn: str) -> None:
    """Check a target group's targets as its load balancer would, by a connection from the balancer's own host."""
    balancers = aws.client("elbv2")
    for described in balancers.describe_target_health(TargetGroupArn=group_arn)["TargetHealthDescriptions"]:
        target = described["Target"]
        script = f"nc -z -w 1 {target['Id']} {target['Port']} && echo healthy || echo unhealthy: Health checks failed"
        outcome = actions.shell(SERVICE.name, script)
        balancers.add_tags(ResourceArns=[group_arn], Tags=[{"Key": f"{HEALTH_TAG}{target['Id']}", "Value": outcome}])


def delete_balancer(name: str) -> None:
    """Delete a load balancer and a target group of its name, if they are there; its addresses go dark."""
    ec2, balancers = aws.client("ec2"), aws.client("elbv2")
    there = [one for one in balancers.describe_load_balancers()["LoadBalancers"] if one["LoadBalancerName"] == name]
    for balancer in there:
        balancers.delete_load_balancer(LoadBalancerArn=balancer["LoadBalancerArn"])
    for group in balancers.describe_target_groups()["TargetGroups"]:
        if group["TargetGroupName"] == name:
            balancers.delete_target_group(TargetGroupArn=group["TargetGroupArn"])
    for interface in ec2.describe_network_interfaces()["NetworkInterfaces"]:
        if interface.get("Description", "").startswith(f"ELB net/{name}/"):
            ec2.delete_network_interface(NetworkInterfaceId=interface["NetworkInterfaceId"])
    _serve("delete", [address for address, _ in BALANCER_ADDRESSES.values()])


def _ensure_subnet(zone: str, cidr: str) -> str:
    ec2 = aws.client("ec2")
    found = ec2.describe_subnets(Filters=[{"Name": "cidr-block", "Values": [cidr]}])["Subnets"]
    if found:
        return str(found[0]["SubnetId"])
    made = ec2.create_subnet(VpcId=aws.vpc_id(), CidrBlock=cidr, AvailabilityZone=f"{aws.REGION}{zone}")
    return str(made["Subnet"]["SubnetId"])


def _serve(change: str, addresses: Iterable[str]) -> None:
    """Give the service host addresses (`replace`), or take them (`delete`) if it has them."""
    ignore = " 2>/dev/null || true" if change == "delete" else ""
    networks = [f"{address}/64 nodad" if ":" in address else f"{address}/16" for address in addresses]
    actions.shell(SERVICE.name, "; ".join(f"ip address {change} dev eth0 {network}{ignore}" for network in networks))
