# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Readers of Cloud Map: namespaces, services, instances and their health.

Only the control plane is asked, never DiscoverInstances, whose endpoint many networks don't reach.
"""

from __future__ import annotations

from typing import Any, Mapping, NamedTuple

from ..aws import calling
from .dns import normal

IPV4, IPV6, PORT = "AWS_INSTANCE_IPV4", "AWS_INSTANCE_IPV6", "AWS_INSTANCE_PORT"
INITIAL_HEALTH = "AWS_INIT_HEALTH_STATUS"
ALIAS, CNAME = "AWS_ALIAS_DNS_NAME", "AWS_INSTANCE_CNAME"


class Namespace(NamedTuple):
    """A namespace; `kind` is DNS_PRIVATE, DNS_PUBLIC or HTTP. Without an id it is one that a check would create."""

    name: str
    kind: str = "DNS_PRIVATE"
    namespace_id: str | None = None
    arn: str | None = None
    zone_id: str | None = None


class Service(NamedTuple):
    """A service of a namespace. Without an id it is one that a check would create."""

    name: str
    records: Mapping[str, int]  # type of record to TTL
    routing: str | None
    custom_health: bool
    service_id: str | None = None
    arn: str | None = None
    health_check: Mapping[str, Any] | None = None  # Route 53's, which private namespaces don't have


class Instance(NamedTuple):
    """An instance that is registered in a service."""

    instance_id: str
    attributes: Mapping[str, str]


def namespaces(client: Any) -> list[Namespace]:
    """List every namespace of the region, ordered by name.

    :raises AWSCallError: any page failed.
    """
    with calling("servicediscovery:ListNamespaces", "the Cloud Map namespaces of this region"):
        pages = client.get_paginator("list_namespaces").paginate()
        described = [namespace for page in pages for namespace in page["Namespaces"]]
    return sorted(map(_namespace, described), key=lambda namespace: namespace.name)


def _namespace(described: Mapping[str, Any]) -> Namespace:
    zone_id = described.get("Properties", {}).get("DnsProperties", {}).get("HostedZoneId")
    return Namespace(normal(described["Name"]), described["Type"], described["Id"], described["Arn"], zone_id)


def services(client: Any, namespace: Namespace) -> list[Service]:
    """List a namespace's services that have DNS records, ordered by name.

    :raises AWSCallError: any page failed.
    """
    with calling("servicediscovery:ListServices", f"namespace {namespace.name} ({namespace.namespace_id})"):
        pages = client.get_paginator("list_services").paginate(
            Filters=[{"Name": "NAMESPACE_ID", "Values": [namespace.namespace_id], "Condition": "EQ"}]
        )
        described = [service for page in pages for service in page["Services"]]
    return sorted((_service(one) for one in described if one.get("DnsConfig")), key=lambda service: service.name)


def _service(described: Mapping[str, Any]) -> Service:
    dns = described["DnsConfig"]
    return Service(
        name=normal(described["Name"]),
        records={record["Type"]: record["TTL"] for record in dns["DnsRecords"]},
        routing=dns.get("RoutingPolicy"),
        custom_health=described.get("HealthCheckCustomConfig") is not None,
        service_id=described["Id"],
        arn=described["Arn"],
        health_check=described.get("HealthCheckConfig") or None,
    )


def instances(client: Any, service: Service) -> list[Instance]:
    """List what is registered in a service, ordered by id.

    :raises AWSCallError: any page failed.
    """
    with calling("servicediscovery:ListInstances", f"service {service.name} ({service.service_id})"):
        pages = client.get_paginator("list_instances").paginate(ServiceId=service.service_id)
        described = [instance for page in pages for instance in page["Instances"]]
    return sorted(Instance(one["Id"], one.get("Attributes", {})) for one in described)


def health(client: Any, service: Service) -> dict[str, str]:
    """Return HEALTHY, UNHEALTHY or UNKNOWN by instance id; empty for a service without a health check.

    :raises AWSCallError: any page failed.
    """
    if not service.custom_health and service.health_check is None:
        return {}
    by_instance: dict[str, str] = {}
    request = {"ServiceId": service.service_id}
    while True:
        with calling("servicediscovery:GetInstancesHealthStatus", f"service {service.name} ({service.service_id})"):
            page = client.get_instances_health_status(**request)
        by_instance.update(page["Status"])
        if not page.get("NextToken"):
            return by_instance
        request["NextToken"] = page["NextToken"]
