# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Names declared for EC2 instances (`vpn_names`), and what EC2 says of these now."""

from __future__ import annotations

from typing import Any, Mapping, NamedTuple, Sequence

from ..aws import calling
from .cloud_map import Instance
from .ensure import WantedInstance

OURS = {"registered_by": "tracklib.vpn.service_names"}  # Cloud Map attribute; what others registered is left alone
_PAGE = 1000  # EC2's largest


class Ec2Instance(NamedTuple):
    """An EC2 instance."""

    instance_id: str
    state: str
    tags: Mapping[str, str]
    ipv4: str | None
    ipv6: str | None


class DeclaredName(NamedTuple):
    """A name that shall stand for the instance of that id, or for every running instance with these tags."""

    name: str
    namespace: str
    ttl: int
    kinds: tuple[str, ...]
    instance_id: str | None
    tags: Mapping[str, str]
    absent: bool = False

    @property
    def label(self) -> str:
        """The whole DNS name."""
        return f"{self.name}.{self.namespace}"


def hosts(ec2: Any) -> list[Ec2Instance]:
    """Every EC2 instance of the region that isn't terminated, ordered by id.

    :raises AWSCallError: any page failed.
    """
    states = ["pending", "running", "stopping", "stopped"]
    with calling("ec2:DescribeInstances", "the instances of this region"):
        pages = ec2.get_paginator("describe_instances").paginate(
            Filters=[{"Name": "instance-state-name", "Values": states}], PaginationConfig={"PageSize": _PAGE}
        )
        found = [one for page in pages for reservation in page["Reservations"] for one in reservation["Instances"]]
    return sorted(_host(one) for one in found)


def _host(found: Mapping[str, Any]) -> Ec2Instance:
    interfaces = sorted(found.get("NetworkInterfaces", ()), key=lambda one: one["Attachment"]["DeviceIndex"])
    ipv6 = [one["Ipv6Address"] for interface in interfaces for one in interface.get("Ipv6Addresses", ())]
    return Ec2Instance(
        instance_id=found["InstanceId"],
        state=found["State"]["Name"],
        tags={tag["Key"]: tag["Value"] for tag in found.get("Tags", ())},
        ipv4=found.get("PrivateIpAddress") or found.get("PublicIpAddress"),
        ipv6=ipv6[0] if ipv6 else None,
    )


def serving(name: DeclaredName, known: Sequence[Ec2Instance]) -> tuple[list[WantedInstance], list[str]]:
    """What shall be registered under a name now, and sentences about what can't be.

    A name whose instances are all stopped has neither: that is as it should be.
    """
    if name.absent:
        return [], []
    meant = [host for host in known if _is_meant(name, host)]
    if not meant:
        what = name.instance_id or f"with tags {_listed(name.tags)}"
        return [], [f"{name.label} has no address: there is no EC2 instance {what} in this region"]
    registrations, problems = [], []
    for host in (host for host in meant if host.state == "running"):
        lacking = [kind for kind, at in (("A", host.ipv4), ("AAAA", host.ipv6)) if kind in name.kinds and at is None]
        if lacking:
            problems.append(
                f"{name.label} can't stand for {host.instance_id}: it has no address for {'/'.join(lacking)}"
            )
            continue
        registrations.append(
            WantedInstance(
                host.instance_id,
                host.ipv4 if "A" in name.kinds else None,
                host.ipv6 if "AAAA" in name.kinds else None,
                attributes=OURS,
            )
        )
    return registrations, problems


def _is_meant(name: DeclaredName, host: Ec2Instance) -> bool:
    if name.instance_id is not None:
        return host.instance_id == name.instance_id
    return name.tags.items() <= host.tags.items()


def _listed(tags: Mapping[str, str]) -> str:
    return ", ".join(f"{key}={value}" for key, value in tags.items())


def outdated(found: Sequence[Instance], wanted: Sequence[WantedInstance]) -> list[Instance]:
    """Instances that an earlier run registered and that the name no longer stands for."""
    keep = {registration.instance_id for registration in wanted}
    return [one for one in found if one.instance_id not in keep and OURS.items() <= one.attributes.items()]
