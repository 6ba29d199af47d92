# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Names declared for EC2 instances (`vpn_names`), and these instances as they are now."""

from __future__ import annotations

from typing import Any, Mapping, NamedTuple, Sequence

from ..aws import calling
from .cloud_map import Instance
from .ensure import WantedInstance

REGISTERED_BY_US = {
    "registered_by": "tracklib.vpn.service_names"
}  # Cloud Map attribute; what others registered is left alone
_PAGE = 1000  # EC2's largest


class Ec2Instance(NamedTuple):
    """An EC2 instance."""

    instance_id: str
    state: str
    tags: Mapping[str, str]
    ipv4: str | None
    ipv6: str | None


class DeclaredName(NamedTuple):
    """A name that stands for the instance of that id, or for every running instance with these tags."""

    name: str
    namespace: str
    ttl: int
    kinds: tuple[str, ...]
    instance_id: str | None
    tags: Mapping[str, str]
    absent: bool = False

    @property
    def label(self) -> str:
        """Return the whole DNS name."""
        return f"{self.name}.{self.namespace}"


def ec2_instances(ec2: Any) -> list[Ec2Instance]:
    """List every EC2 instance of the region that isn't terminated, ordered by id.

    :raises AWSCallError: any page failed.
    """
    states = ["pending", "running", "stopping", "stopped"]
    with calling("ec2:DescribeInstances", "the instances of this region"):
        pages = ec2.get_paginator("describe_instances").paginate(
            Filters=[{"Name": "instance-state-name", "Values": states}], PaginationConfig={"PageSize": _PAGE}
        )
        described = [one for page in pages for reservation in page["Reservations"] for one in reservation["Instances"]]
    return sorted(_ec2_instance(one) for one in described)


def _ec2_instance(described: Mapping[str, Any]) -> Ec2Instance:
    interfaces = sorted(described.get("NetworkInterfaces", ()), key=lambda one: one["Attachment"]["DeviceIndex"])
    ipv6 = (one["Ipv6Address"] for interface in interfaces for one in interface.get("Ipv6Addresses", ()))
    return Ec2Instance(
        instance_id=described["InstanceId"],
        state=described["State"]["Name"],
        tags={tag["Key"]: tag["Value"] for tag in described.get("Tags", ())},
        ipv4=described.get("PrivateIpAddress") or described.get("PublicIpAddress"),
        ipv6=next(ipv6, None),
    )


class Serving(NamedTuple):
    """The instances to register under a name now, and sentences about those that can't be."""

    instances: list[WantedInstance]
    problems: list[str]


def serving(name: DeclaredName, known: Sequence[Ec2Instance]) -> Serving:
    """Decide what to register under a name now.

    A name whose instances are all stopped has neither instances nor problems: that is as it should be.
    """
    if name.absent:
        return Serving([], [])
    meant = [one for one in known if _is_meant(name, one)]
    if not meant:
        what = name.instance_id or f"with tags {_listed(name.tags)}"
        return Serving([], [f"{name.label} has no address: there is no EC2 instance {what} in this region"])
    result = Serving([], [])
    for one in meant:
        if one.state != "running":
            continue
        lacking = "/".join(_lacking(name, one))
        if lacking:
            result.problems.append(f"{name.label} can't stand for {one.instance_id}: it has no address for {lacking}")
        else:
            result.instances.append(_wanted(name, one))
    return result


def _lacking(name: DeclaredName, one: Ec2Instance) -> list[str]:
    """The kinds of records for which an instance has no address."""
    addresses = {"A": one.ipv4, "AAAA": one.ipv6}
    return [kind for kind, address in addresses.items() if kind in name.kinds and address is None]


def _wanted(name: DeclaredName, one: Ec2Instance) -> WantedInstance:
    ipv4 = one.ipv4 if "A" in name.kinds else None
    ipv6 = one.ipv6 if "AAAA" in name.kinds else None
    return WantedInstance(one.instance_id, ipv4=ipv4, ipv6=ipv6, attributes=REGISTERED_BY_US)


def _is_meant(name: DeclaredName, one: Ec2Instance) -> bool:
    if name.instance_id is not None:
        return one.instance_id == name.instance_id
    return name.tags.items() <= one.tags.items()


def _listed(tags: Mapping[str, str]) -> str:
    return ", ".join(f"{key}={value}" for key, value in tags.items())


def outdated(registered: Sequence[Instance], wanted: Sequence[WantedInstance]) -> list[Instance]:
    """List the instances that an earlier run registered and that the name no longer stands for."""
    keep = {one.instance_id for one in wanted}
    return [
        one for one in registered if one.instance_id not in keep and REGISTERED_BY_US.items() <= one.attributes.items()
    ]
