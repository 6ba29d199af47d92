# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What moto's Cloud Map leaves out or does otherwise than AWS.

A namespace's hosted zone has its name and its VPC; one VPC can have several namespaces; operations take a while; a
registered instance is replaced, and begins with the health that its attributes say; lists honour their filters and come
in pages; the tagging API knows the tags.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from moto.core.resource_tagging import TaggableResourcesMixin, TaggedResource
from moto.route53.models import route53_backends
from moto.servicediscovery.models import (
    Namespace,
    Operation,
    Service,
    ServiceDiscoveryBackend,
    servicediscovery_backends,
)
from moto.servicediscovery.responses import ServiceDiscoveryResponse
from moto.utilities.utils import get_partition

_PAGE = 100
_POLLS = 2  # how often an operation is asked for before it has ended


class CloudMap(ServiceDiscoveryBackend, TaggableResourcesMixin):  # type: ignore[misc]  # moto brings no types
    """The backend that takes the place of moto's."""

    SERVICE_NAMESPACE = "servicediscovery"
    __module__ = ServiceDiscoveryBackend.__module__  # where moto looks for the service's URLs

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self.polls: Counter[str] = Counter()

    def create_private_dns_namespace(
        self,
        name: str,
        creator_request_id: str,
        description: str,
        vpc: str,
        tags: list[dict[str, str]],
        properties: dict[str, Any],
    ) -> str:
        zone = self._route53().create_hosted_zone(
            f"{name}.", private_zone=True, vpcid=vpc, vpcregion=self.region_name, comment="Created by AWS Cloud Map"
        )
        dns = {"HostedZoneId": zone.resource_id, **(properties or {}).get("DnsProperties", {})}
        namespace = Namespace(
            self.account_id, self.region_name, name, "DNS_PRIVATE", creator_request_id, description, dns, {}, vpc
        )
        self.namespaces[namespace.id] = namespace
        self.tagger.tag_resource(namespace.arn, tags or [])
        operation = Operation(operation_type="CREATE_NAMESPACE", targets={"NAMESPACE": namespace.id})
        self.operations[operation.id] = operation
        operation_id: str = operation.id
        return operation_id

    def delete_namespace(self, namespace_id: str) -> str:
        zone_id = self.get_namespace(namespace_id).dns_properties.get("HostedZoneId")
        operation: str = super().delete_namespace(namespace_id)
        if zone_id is not None:
            self._route53().delete_hosted_zone(zone_id)
        return operation

    def register_instance(self, service_id: str, instance_id: str, *args: Any, **kwargs: Any) -> str:
        service = self.get_service(service_id)
        service.instances = [one for one in service.instances if one.instance_id != instance_id]
        operation: str = super().register_instance(service_id, instance_id, *args, **kwargs)
        instance = self.get_instance(service_id, instance_id)
        instance.health_status = instance.attributes.get("AWS_INIT_HEALTH_STATUS", "HEALTHY")
        return operation

    def get_operation(self, operation_id: str) -> Operation:
        operation = super().get_operation(operation_id)
        self.polls[operation_id] += 1
        operation.status = "PENDING" if self.polls[operation_id] < _POLLS else "SUCCESS"
        return operation

    def iter_tagged_resources(self) -> Iterator[TaggedResource]:
        for kind, resources in (("namespace", self.namespaces), ("service", self.services)):
            for resource in resources.values():
                tags = self.tagger.get_tag_dict_for_resource(resource.arn)
                yield TaggedResource(arn=resource.arn, tags=tags, resource_type=f"servicediscovery:{kind}")

    def _route53(self) -> Any:
        return route53_backends[self.account_id][get_partition(self.region_name)]


class CloudMapResponse(ServiceDiscoveryResponse):
    """Lists with filters, in pages."""

    def list_namespaces(self) -> Any:
        return 200, {}, self._listed("Namespaces", self.servicediscovery_backend.list_namespaces(), _field_of_namespace)

    def list_services(self) -> str:
        return self._listed("Services", self.servicediscovery_backend.list_services(), _field_of_service)

    def _listed(self, key: str, found: Iterable[Any], field: Any) -> str:
        request = json.loads(self.body)
        chosen = [
            one
            for one in found
            if all(field(one, wanted["Name"]) in wanted["Values"] for wanted in request.get("Filters", []))
        ]
        page, token = self.servicediscovery_backend.paginate(
            chosen, request.get("MaxResults", _PAGE), request.get("NextToken")
        )
        return json.dumps({key: [one.to_json() for one in page], **({"NextToken": token} if token else {})})


def _field_of_namespace(namespace: Namespace, name: str) -> Any:
    return {"TYPE": namespace.type, "NAME": namespace.name}[name]


def _field_of_service(service: Service, name: str) -> Any:
    return {"NAMESPACE_ID": service.namespace_id}[name]


def complete() -> None:
    """Put these in place of moto's, in this process."""
    servicediscovery_backends.backend = CloudMap
    for name in ("list_namespaces", "list_services", "_listed"):
        setattr(ServiceDiscoveryResponse, name, getattr(CloudMapResponse, name))
