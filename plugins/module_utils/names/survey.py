# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""All private names of an account and region, read in one sweep, and the choice of those that were asked for."""

from __future__ import annotations

from typing import Any, Mapping, NamedTuple, Sequence

from . import cloud_map, resolve
from .balancers import internal_balancers
from .clients import NameClients
from .cloud_map import Namespace
from .ecs import EcsService
from .resolve import NameCatalog, PrivateName, RegisteredService
from .tags import tagged_arns, tagged_zones
from .zones import Zone, all_zones, records, zones_of_vpc


class NameSurvey(NamedTuple):
    """Everything that was read.

    `account_zones` are the account's, public ones too. `vpc_zones` are those that the VPC's resolver answers from, None
    if no VPC was asked for.
    """

    account_zones: list[Zone]
    vpc_zones: list[Zone] | None
    namespaces: list[Namespace]
    catalog: NameCatalog

    @property
    def private_zones(self) -> Sequence[Zone]:
        """The private zones that count: the VPC's, else every one of the account."""
        return self.catalog.zones

    @property
    def services_by_arn(self) -> dict[str, RegisteredService]:
        """The Cloud Map services by their ARN."""
        return {str(one.service.arn): one for one in self.catalog.registered}

    def is_readable(self, zone: Zone) -> bool:
        """Tell whether these credentials may list the zone's records: it is the account's own."""
        return any(own.zone_id == zone.zone_id for own in self.account_zones)


def survey(clients: NameClients, vpc_id: str | None, region: str) -> NameSurvey:
    """Read zones, records, Cloud Map and load balancers, each to the last page.

    :param vpc_id: whose resolver counts; None for every private zone of the account.
    :param region: the VPC's.
    :raises AWSCallError: a call failed.
    """
    account_zones = all_zones(clients.route53)
    vpc_zones = None if vpc_id is None else zones_of_vpc(clients.route53, vpc_id, region)
    private_zones = _private(account_zones) if vpc_zones is None else vpc_zones
    own = {zone.zone_id for zone in account_zones}
    preferred = None if vpc_zones is None else [zone.name for zone in vpc_zones]
    namespaces = _namespaces(clients.servicediscovery, private_zones)
    catalog = NameCatalog(
        zones=private_zones,
        records=[one for zone in private_zones if zone.zone_id in own for one in records(clients.route53, zone)],
        registered=_registered_services(clients.servicediscovery, namespaces),
        balancers=internal_balancers(clients.elbv2, clients.ec2, vpc_id),
        preferred=preferred,
    )
    return NameSurvey(account_zones, vpc_zones, namespaces, catalog)


def _private(zones: Sequence[Zone]) -> list[Zone]:
    return [zone for zone in zones if zone.private]


def _namespaces(servicediscovery: Any, zones: Sequence[Zone]) -> list[Namespace]:
    ids = {zone.zone_id for zone in zones}
    return [one for one in cloud_map.namespaces(servicediscovery) if one.zone_id in ids]


def _registered_services(servicediscovery: Any, namespaces: Sequence[Namespace]) -> list[RegisteredService]:
    return [
        RegisteredService(
            namespace,
            service,
            cloud_map.instances(servicediscovery, service),
            cloud_map.health(servicediscovery, service),
        )
        for namespace in namespaces
        for service in cloud_map.services(servicediscovery, namespace)
    ]


def tagged_ids(route53: Any, tagging: Any, surveyed: NameSurvey, tags: Mapping[str, Any]) -> set[str]:
    """Return the ids of zones and the ARNs of everything else that has all these tags.

    :raises AWSCallError: a call failed.
    """
    texts = {key: str(value) for key, value in tags.items()}
    own = [zone for zone in surveyed.private_zones if surveyed.is_readable(zone)]
    return tagged_zones(route53, own, texts) | tagged_arns(tagging, texts)


def chosen_names(surveyed: NameSurvey, zones: Sequence[str] | None, tagged: set[str] | None) -> list[PrivateName]:
    """Return the names in these zones that have the tags, ordered; None for zones or tags means any."""
    return [
        name
        for name in resolve.private_names(surveyed.catalog)
        if zones is None or (name.zone is not None and name.zone.name in zones)
        if tagged is None or not tagged.isdisjoint(name.sources)
    ]


def chosen_ecs_services(
    found: Sequence[EcsService], surveyed: NameSurvey, zones: Sequence[str] | None, tagged: set[str] | None
) -> list[EcsService]:
    """Return the ECS services that are registered in these zones and have the tags; None means any."""
    registered = surveyed.services_by_arn
    in_zones = {arn for arn, one in registered.items() if zones is None or one.namespace.name in zones}
    return [
        service
        for service in found
        if zones is None or not in_zones.isdisjoint(service.registries)
        if tagged is None or service.arn in tagged
    ]
