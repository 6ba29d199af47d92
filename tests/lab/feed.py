# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The feeder: gives the lab's name servers what Route 53 and Cloud Map say in the emulated AWS.

AWS's own resolver follows them by itself; the emulation has none. The VPC resolver has the private zones that are
associated with the VPC, with Cloud Map's instances in them, the public zones, and the load balancers' names; the
public one has the public zones. Every other name doesn't exist.
"""

from __future__ import annotations

import io
import json
import re
import tarfile
import time
from collections.abc import Iterable
from typing import Any

from . import aws
from .hosts import RESOLVER
from .machine import LabError, podman

SERVED_WITHIN = 120  # seconds, on a busy machine
# the SOA that Route 53 gives a zone, so that a name that doesn't exist may be remembered for 15 minutes
SOA = "ns.lab. hostmaster.lab. {serial} 7200 900 1209600 86400"
SOA_TTL = 900
BALANCER_TTL = 60
# name, type, TTL and value, as in a zone file
Record = tuple[str, str, int, str]
Zones = dict[str, list[Record]]


def feed() -> None:
    """Give the name servers what is in the emulated AWS now, and wait until they serve it.

    :raises LabError: They don't.
    """
    serial = time.time_ns() // 1_000_000 % 2**32
    public = _public_zones()
    content = {
        f"{server}/{name}": text
        for server, zones in {"vpc": {**public, **_private_zones()}, "public": public}.items()
        for name, text in _files(zones, serial).items()
    }
    podman(
        "exec", "--interactive", RESOLVER.container, "sh", "-c",
        "rm -rf /etc/lab/new; mkdir /etc/lab/new && tar -x -C /etc/lab/new && for server in vpc public; do"
        " rm -f /etc/lab/zones/$server/*; mv /etc/lab/new/$server/* /etc/lab/zones/$server/;"
        " for command in reconfig reload; do nsd-control -c /run/lab-dns/$server/nsd.conf $command; done; done",
        stdin=_archive(content),
    )  # fmt: skip
    give_up = time.monotonic() + SERVED_WITHIN
    while (served := _served()) != {str(serial)}:
        if time.monotonic() > give_up:
            raise LabError(f"the resolver serves {served} {SERVED_WITHIN} s after it was given {serial}")
        time.sleep(0.05)


def _served() -> set[str]:
    """The serials of the root zones that the two name servers serve."""
    addresses = [address for pair in RESOLVER.addresses.values() for address in pair]
    script = f"for server in {' '.join(addresses)}; do python3 /etc/lab/dns.py $server . SOA; done"
    lines = podman("exec", RESOLVER.container, "sh", "-c", script).splitlines()
    return {answer for line in lines for answer in json.loads(line).get("answers", ["nothing"])}


def _private_zones() -> Zones:
    """The private zones of the VPC: their records, aliases followed, and the instances of Cloud Map."""
    summaries = aws.client("route53").list_hosted_zones_by_vpc(VPCId=aws.vpc_id(), VPCRegion=aws.REGION)
    names = {zone["HostedZoneId"]: _absolute(zone["Name"]) for zone in summaries["HostedZoneSummaries"]}
    balancers = _balancer_addresses()
    zones = {name: _records(zone_id) for zone_id, name in names.items()}
    for zone_id, records in _cloud_map_records().items():
        if zone_id in names:
            zones[names[zone_id]] += records
    known = [record for records in zones.values() for record in records] + balancers
    zones = {name: _without_aliases(records, known) for name, records in zones.items()}
    return {**zones, ".": balancers}


def _public_zones() -> Zones:
    listed = aws.client("route53").list_hosted_zones()["HostedZones"]
    public = [zone for zone in listed if not zone["Config"]["PrivateZone"]]
    return {
        ".": [],
        **{_absolute(zone["Name"]): _without_aliases(_records(zone["Id"]), []) for zone in public},
    }


def _records(zone_id: str) -> list[Record]:
    """A zone's records; an alias has the type of what it stands for, the TTL -1 and the target's name."""
    pages = aws.client("route53").get_paginator("list_resource_record_sets").paginate(HostedZoneId=zone_id)
    found = []
    for record in (record for page in pages for record in page["ResourceRecordSets"]):
        name, kind = _absolute(record["Name"]), record["Type"]
        if "AliasTarget" in record:
            target = _absolute(record["AliasTarget"]["DNSName"]).removeprefix("dualstack.")
            found.append((name, kind, -1, target))
        elif kind not in ("NS", "SOA"):
            found += [(name, kind, record["TTL"], _value(kind, one["Value"])) for one in record["ResourceRecords"]]
    return found


def _value(kind: str, value: str) -> str:
    """A record's value; a name in it is absolute for Route 53, with a final dot or without."""
    before, space, last = value.rpartition(" ")
    return f"{before}{space}{_absolute(last)}" if kind in ("CNAME", "MX", "PTR", "SRV") else value


def _without_aliases(records: list[Record], known: list[Record]) -> list[Record]:
    """The records with the addresses that their aliases stand for."""
    plain = [record for record in records if record[2] >= 0]
    for name, kind, _, target in (record for record in records if record[2] < 0):
        plain += [(name, kind, ttl, value) for one, its, ttl, value in known if (one, its) == (target, kind)]
    return plain


def _cloud_map_records() -> dict[str, list[Record]]:
    """The records of Cloud Map's instances by the id of the hosted zone that they are in."""
    cloud_map = aws.client("servicediscovery", inject_host_prefix=False)
    namespaces = cloud_map.get_paginator("list_namespaces").paginate()
    found: dict[str, list[Record]] = {}
    for namespace in (one for page in namespaces for one in page["Namespaces"] if one["Type"] == "DNS_PRIVATE"):
        records = found.setdefault(namespace["Properties"]["DnsProperties"]["HostedZoneId"], [])
        conditions = [{"Name": "NAMESPACE_ID", "Values": [namespace["Id"]]}]
        for service in (
            one
            for page in cloud_map.get_paginator("list_services").paginate(Filters=conditions)
            for one in page["Services"]
        ):
            records += _service_records(cloud_map, service, namespace["Name"])
    return found


def _service_records(cloud_map: Any, service: dict[str, Any], namespace: str) -> list[Record]:
    """What Cloud Map answers for a service: the healthy instances, all of them when none is."""
    pages = cloud_map.get_paginator("list_instances").paginate(ServiceId=service["Id"])
    instances = {one["Id"]: one["Attributes"] for page in pages for one in page["Instances"]}
    healthy = {name: one for name, one in instances.items() if one.get("AWS_INIT_HEALTH_STATUS") != "UNHEALTHY"}
    attribute = {"A": "AWS_INSTANCE_IPV4", "AAAA": "AWS_INSTANCE_IPV6", "CNAME": "AWS_INSTANCE_CNAME"}
    name = f"{service['Name']}.{namespace}.".lower()
    found: list[Record] = []
    for record in service.get("DnsConfig", {}).get("DnsRecords", []):
        kind, ttl = record["Type"], int(record["TTL"])
        for instance, attributes in (healthy or instances).items():
            if kind == "SRV":
                host = f"{instance}.{name}"
                found.append((name, kind, ttl, f"1 1 {attributes['AWS_INSTANCE_PORT']} {host}"))
                found += [(host, its, ttl, attributes[key]) for its, key in attribute.items() if key in attributes]
            elif attribute[kind] in attributes:
                found.append((name, kind, ttl, attributes[attribute[kind]]))
    return found


def _balancer_addresses() -> list[Record]:
    """The load balancers' own names, with the addresses of their network interfaces."""
    interfaces = aws.client("ec2").describe_network_interfaces()["NetworkInterfaces"]
    found: list[Record] = []
    for balancer in aws.client("elbv2").describe_load_balancers()["LoadBalancers"]:
        name, description = _absolute(balancer["DNSName"]), f"ELB {balancer['LoadBalancerArn'].partition('/')[2]}"
        for interface in (one for one in interfaces if one.get("Description") == description):
            found.append((name, "A", BALANCER_TTL, interface["PrivateIpAddress"]))
            found += [(name, "AAAA", BALANCER_TTL, one["Ipv6Address"]) for one in interface.get("Ipv6Addresses", [])]
    return found


def _absolute(name: str) -> str:
    """A name as a zone file has it; Route 53 writes an asterisk, and what else is odd, in octal."""
    decimal = re.sub(r"\\([0-7]{3})", lambda match: f"\\{int(match[1], 8):03}", name.lower())
    return decimal.replace("\\042", "*").rstrip(".") + "."


def _files(zones: Zones, serial: int) -> dict[str, str]:
    """The zone files, and what makes the name server read them."""
    names = sorted(zones)
    configuration = "".join(f'zone:\n    name: "{name}"\n    zonefile: "{n}.zone"\n' for n, name in enumerate(names))
    return {
        "zones.conf": configuration,
        **{
            f"{number}.zone": _zone_file(zone, [one for one in zones[zone] if _zone_of(one[0], names) == zone], serial)
            for number, zone in enumerate(names)
        },
    }


def _zone_of(name: str, zones: Iterable[str]) -> str:
    """The most specific zone above a name; NSD would else say of a name that only a wider one has that it exists."""
    return max((zone for zone in zones if zone == "." or f".{name}".endswith(f".{zone}")), key=len)


def _zone_file(zone: str, records: list[Record], serial: int) -> str:
    lines = [f"{zone} {SOA_TTL} IN SOA {SOA.format(serial=serial)}", f"{zone} {SOA_TTL} IN NS ns.lab."]
    lines += [f"{name} {ttl} IN {kind} {value}" for name, kind, ttl, value in dict.fromkeys(records)]
    return "\n".join(lines) + "\n"


def _archive(content: dict[str, str]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, text in content.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode, member.mtime = len(text.encode()), 0o644, time.time()
            archive.addfile(member, io.BytesIO(text.encode()))
    return stream.getvalue()
