# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The trace of one name through AWS: the zones that it is under, and all that it leads to. Reads no more than that."""

from __future__ import annotations

import difflib
from typing import Iterator, NamedTuple, Sequence

from . import balancers, cloud_map, resolve
from .balancers import Balancer, TargetGroup
from .clients import NameClients
from .cloud_map import Namespace, Service
from .dns import is_under, matching, most_specific
from .resolve import RegisteredService
from .zones import RecordSet, Zone, all_zones, records, zones_of_vpc

_OF_THE_ZONE = ("NS", "SOA")
_ELB = ".elb."  # in every load balancer's own name, followed by region and domain


class ZoneAbove(NamedTuple):
    """A zone that the name is under; `holds` says whether it has the name, None where that wasn't or can't be read."""

    zone: Zone
    associated: bool
    holds: bool | None


class BalancerTrace(NamedTuple):
    """A load balancer behind the name, its TCP ports and its target groups."""

    balancer: Balancer
    ports: list[int]
    groups: list[TargetGroup]


class NameTrace(NamedTuple):
    """Everything on the way of a name.

    `above` is ordered from the most specific zone up; `similar` has names that exist nearby.
    """

    name: str
    above: list[ZoneAbove]
    private_zones: list[str]  # of the VPC, without those that AWS services hold
    names: list[str]  # on the way, the name itself first
    kinds: list[str]
    registered: list[RegisteredService]
    balanced: list[BalancerTrace]
    notes: list[str]
    similar: list[str]


def trace_name(clients: NameClients, name: str, vpc_id: str, region: str) -> NameTrace:
    """Follow a name as the VPC's resolver does.

    :param name: as `dns.parse` returns it.
    :param region: the VPC's.
    :raises AWSCallError: a call failed.
    """
    reader = _Reader(clients, vpc_id, region)
    above = sorted(reader.above(name), key=lambda one: (-len(one.zone.name), not one.associated))
    names = reader.walk(name)
    return NameTrace(
        name=name,
        above=above,
        private_zones=sorted({zone.name for zone in reader.of_vpc if not zone.of_service}),
        names=names,
        kinds=sorted({record.kind for record in reader.records if record.name == name}),
        registered=reader.registered,
        balanced=[
            BalancerTrace(one, balancers.tcp_ports(clients.elbv2, one), balancers.target_groups(clients.elbv2, one))
            for one in reader.balancers
            if one.dns_name in names or f"dualstack.{one.dns_name}" in names
        ],
        notes=reader.notes(name),
        similar=reader.similar(name),
    )


class _Reader:
    """Reads each zone, namespace and service once, when a name needs it."""

    def __init__(self, clients: NameClients, vpc_id: str, region: str) -> None:
        self._clients = clients
        self._vpc_id = vpc_id
        self.every = all_zones(clients.route53)
        self.of_vpc = zones_of_vpc(clients.route53, vpc_id, region)
        self._readable = {zone.zone_id for zone in self.every}
        self._namespaces: dict[str | None, Namespace] | None = None
        self._records: dict[str, list[RecordSet]] = {}
        self._services: dict[str, list[Service]] = {}
        # read on the way of the name
        self.records: list[RecordSet] = []
        self.registered: list[RegisteredService] = []
        self.balancers: list[Balancer] = []

    def above(self, name: str) -> Iterator[ZoneAbove]:
        """Yield the zones that a name is under, public ones too, in no order."""
        associated = {zone.zone_id for zone in self.of_vpc}
        zones = {zone.zone_id: zone for zone in (*self.every, *self.of_vpc)}
        for zone in zones.values():
            if is_under(name, zone.name):
                yield ZoneAbove(zone, zone.zone_id in associated, self._holds(zone, name))

    def walk(self, name: str) -> list[str]:
        """List the names on the way, each looked up in the one zone that the VPC's resolver answers it from."""
        names, pending = [], [name]
        while pending:
            current = pending.pop(0)
            if current not in names:
                names.append(current)
                pending += self._step(current)
        return names

    def notes(self, name: str) -> list[str]:
        """Return the warnings about the name."""
        catalog = resolve.NameCatalog(self.of_vpc, self.records, self.registered, self.balancers)
        return [
            warning for one in resolve.private_names(catalog) if one.name == name for warning in one.answer.warnings
        ]

    def similar(self, name: str) -> list[str]:
        """List names of the same zones that are written nearly alike."""
        similar: list[str] = []
        for zone in (*self.every, *self.of_vpc):
            if is_under(name, zone.name) and name != zone.name:
                end = f".{zone.name}"
                known = {record.name for record in self._records.get(zone.zone_id, ())}
                known |= {f"{service.name}{end}" for service in self._services.get(zone.zone_id, ())}
                begins = [one.removesuffix(end) for one in known - {name, zone.name}]
                similar += [f"{one}{end}" for one in difflib.get_close_matches(name.removesuffix(end), begins)]
        return list(dict.fromkeys(similar))

    def _step(self, name: str) -> list[str]:
        """Read what one name stands for; return the names that it leads to."""
        if _ELB in name and not self.balancers:
            self.balancers = balancers.internal_balancers(self._clients.elbv2, self._clients.ec2, self._vpc_id)
        leads_to = []
        best = most_specific(name, [zone.name for zone in self.of_vpc])
        for zone in (zone for zone in self.of_vpc if zone.name == best):
            registered = [self._registered(zone, one) for one in self._services_of(zone) if _is_of(one, zone, name)]
            self.registered += registered
            leads_to += [target for one in registered for each in one.instances for target in resolve.named_by(each)]
            answering = self._records_of(zone, name)
            self.records += answering
            if not registered:  # else these are the records that Cloud Map made
                leads_to += [target for record in answering for target in resolve.targets(record)]
        return leads_to

    def _holds(self, zone: Zone, name: str) -> bool | None:
        if not zone.private:
            return None
        if self._records_of(zone, name) or any(_is_of(service, zone, name) for service in self._services_of(zone)):
            return True
        return False if zone.zone_id in self._readable else None

    def _records_of(self, zone: Zone, name: str) -> list[RecordSet]:
        """The records that answer for a name, under that name also where they are of a wildcard."""
        if zone.zone_id not in self._readable:
            return []
        if zone.zone_id not in self._records:
            every = records(self._clients.route53, zone)
            self._records[zone.zone_id] = [record for record in every if record.kind not in _OF_THE_ZONE]
        known = self._records[zone.zone_id]
        answering = matching(name, (record.name for record in known))
        return [record._replace(name=name) for record in known if record.name == answering]

    def _services_of(self, zone: Zone) -> Sequence[Service]:
        if not zone.private:
            return ()
        if self._namespaces is None:
            namespaces = cloud_map.namespaces(self._clients.servicediscovery)
            self._namespaces = {namespace.zone_id: namespace for namespace in namespaces}
        namespace = self._namespaces.get(zone.zone_id)
        if namespace is None:
            return ()
        if zone.zone_id not in self._services:
            self._services[zone.zone_id] = cloud_map.services(self._clients.servicediscovery, namespace)
        return self._services[zone.zone_id]

    def _registered(self, zone: Zone, service: Service) -> RegisteredService:
        client = self._clients.servicediscovery
        namespace = (self._namespaces or {})[zone.zone_id]
        return RegisteredService(
            namespace, service, cloud_map.instances(client, service), cloud_map.health(client, service)
        )


def _is_of(service: Service, zone: Zone, name: str) -> bool:
    return f"{service.name}.{zone.name}" == name
