# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Route 53's hosted zones and their records."""

from __future__ import annotations

from typing import Any, Iterator, Mapping, NamedTuple

from ..aws import calling
from .dns import normal


class Zone(NamedTuple):
    """A hosted zone. `owner` is an account, or the AWS service whose own account holds the zone."""

    zone_id: str
    name: str
    owner: str | None = None
    private: bool = True
    of_service: bool = False


class RecordSet(NamedTuple):
    """A record set; `values` as Route 53 has them, `alias` the name that an alias stands for."""

    zone_id: str
    name: str
    kind: str
    ttl: int | None
    values: tuple[str, ...]
    alias: str | None
    routing: str | None  # the routing policy, where one decides what is answered


_ROUTING = (
    "Weight",
    "Region",
    "GeoLocation",
    "Failover",
    "MultiValueAnswer",
    "CidrRoutingConfig",
    "GeoProximityLocation",
)


def zones_of_vpc(route53: Any, vpc_id: str, region: str) -> list[Zone]:
    """List every private zone that is associated with a VPC, Cloud Map's among them, ordered by name.

    :raises AWSCallError: any page failed.
    """
    return sorted(_zones_of_vpc(route53, vpc_id, region), key=lambda zone: (zone.name, zone.zone_id))


def _zones_of_vpc(route53: Any, vpc_id: str, region: str) -> Iterator[Zone]:
    request = {"VPCId": vpc_id, "VPCRegion": region}
    while True:
        with calling("route53:ListHostedZonesByVPC", f"VPC {vpc_id}"):
            page = route53.list_hosted_zones_by_vpc(**request)
        for summary in page["HostedZoneSummaries"]:
            owning_service = summary["Owner"].get("OwningService")
            yield Zone(
                zone_id=summary["HostedZoneId"],
                name=normal(summary["Name"]),
                owner=owning_service or summary["Owner"].get("OwningAccount"),
                of_service=owning_service is not None,
            )
        if not page.get("NextToken"):
            return
        request["NextToken"] = page["NextToken"]


def all_zones(route53: Any) -> list[Zone]:
    """List every zone of the account, public ones too, ordered by name.

    :raises AWSCallError: any page failed.
    """
    with calling("route53:ListHostedZones", "the hosted zones of this account"):
        pages = route53.get_paginator("list_hosted_zones").paginate()
        described = [zone for page in pages for zone in page["HostedZones"]]
    zones = (
        Zone(zone["Id"].rpartition("/")[2], normal(zone["Name"]), private=zone["Config"]["PrivateZone"])
        for zone in described
    )
    return sorted(zones, key=lambda zone: (zone.name, zone.zone_id))


def records(route53: Any, zone: Zone) -> list[RecordSet]:
    """List a zone's records, to the last page.

    :raises AWSCallError: any page failed.
    """
    with calling("route53:ListResourceRecordSets", f"zone {zone.name} ({zone.zone_id})"):
        pages = route53.get_paginator("list_resource_record_sets").paginate(HostedZoneId=zone.zone_id)
        return [_record_set(zone, described) for page in pages for described in page["ResourceRecordSets"]]


def _record_set(zone: Zone, described: Mapping[str, Any]) -> RecordSet:
    alias = normal(described["AliasTarget"]["DNSName"]) if "AliasTarget" in described else None
    return RecordSet(
        zone_id=zone.zone_id,
        name=normal(described["Name"]),
        kind=described["Type"],
        ttl=described.get("TTL"),
        values=tuple(value["Value"] for value in described.get("ResourceRecords", ())),
        alias=alias,
        routing=next((policy for policy in _ROUTING if policy in described), None),
    )
