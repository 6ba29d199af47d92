# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Private names and what they stand for; pure, from what the other modules here read."""

from __future__ import annotations

import enum
import ipaddress
from typing import Any, Iterator, Mapping, NamedTuple, Sequence

from ..addresses import Network
from .balancers import Balancer
from .cloud_map import ALIAS, CNAME, IPV4, IPV6, Instance, Namespace, Service
from .dns import is_under, most_specific, normal
from .ecs import EcsService
from .zones import RecordSet, Zone

_NAMING = ("A", "AAAA", "CNAME", "SRV")  # record types that lead to an address


class NameSource(enum.Enum):
    """Where a name is from."""

    RECORD = "record"
    CLOUD_MAP = "cloud_map"
    LOAD_BALANCER = "load_balancer"


class RegisteredService(NamedTuple):
    """A Cloud Map service with what is registered in it; `health` by instance id."""

    namespace: Namespace
    service: Service
    instances: Sequence[Instance]
    health: Mapping[str, str]

    @property
    def dns_name(self) -> str:
        """Return the name that DNS answers with its instances."""
        return f"{self.service.name}.{self.namespace.name}"


class NameCatalog(NamedTuple):
    """Everything that was read.

    `zones` are the private ones that count; `preferred` has the names of those that one VPC asks.
    """

    zones: Sequence[Zone]
    records: Sequence[RecordSet]
    registered: Sequence[RegisteredService]
    balancers: Sequence[Balancer]
    preferred: Sequence[str] | None = None


class NameAddress(NamedTuple):
    """An address that a name leads to. `fixed`: nothing in AWS gives the name another address by itself."""

    address: str
    fixed: bool
    availability_zone: str | None = None
    instance_id: str | None = None
    health: str | None = None


class NameAnswer(NamedTuple):
    """The addresses of a name, and warnings about them."""

    addresses: list[NameAddress]
    warnings: list[str]


class PrivateName(NamedTuple):
    """A private name. `sources` are the ids and ARNs whose tags are its tags."""

    name: str
    zone: Zone | None
    source: NameSource
    kinds: tuple[str, ...]
    ttl: int | None
    target: str | None
    answer: NameAnswer
    arn: str | None
    sources: frozenset[str]
    hidden_by: str | None


def private_names(catalog: NameCatalog) -> list[PrivateName]:
    """List every name once, ordered by name.

    A Cloud Map service stands in place of the records that Cloud Map made for it.
    """
    resolver = _Resolver(catalog)
    zones = {zone.zone_id: zone for zone in catalog.zones}
    taken = {(one.namespace.zone_id, one.dns_name) for one in catalog.registered}
    names = [_of_registered(one, zones, catalog, resolver) for one in catalog.registered]
    groups: dict[tuple[str, str], list[RecordSet]] = {}
    for record in catalog.records:
        if record.kind in _NAMING and (record.zone_id, record.name) not in taken:
            groups.setdefault((record.zone_id, record.name), []).append(record)
    names += [_of_records(group, zones[zone_id], catalog, resolver) for (zone_id, _unused), group in groups.items()]
    names += [_of_balancer(one, resolver) for one in catalog.balancers]
    return sorted(names, key=lambda one: (one.name, one.zone.zone_id if one.zone else ""))


def _of_registered(
    one: RegisteredService, zones: Mapping[str, Zone], catalog: NameCatalog, resolver: _Resolver
) -> PrivateName:
    zone = zones.get(one.namespace.zone_id or "")
    return PrivateName(
        name=one.dns_name,
        zone=zone,
        source=NameSource.CLOUD_MAP,
        kinds=tuple(sorted(one.service.records)),
        ttl=min(one.service.records.values(), default=None),
        target=None,
        answer=resolver.answer(one.dns_name, one.namespace.zone_id),
        arn=one.service.arn,
        sources=_ids(one.service.arn, one.namespace.arn, zone and zone.zone_id),
        hidden_by=_hidden_by(one.dns_name, zone, catalog),
    )


def _of_records(group: Sequence[RecordSet], zone: Zone, catalog: NameCatalog, resolver: _Resolver) -> PrivateName:
    name = group[0].name
    target = next((target for record in group for target in targets(record)), None)
    balancer = resolver.balancer(target) if target else None
    return PrivateName(
        name=name,
        zone=zone,
        source=NameSource.RECORD,
        kinds=tuple(sorted({record.kind for record in group})),
        ttl=min((record.ttl for record in group if record.ttl is not None), default=None),
        target=target,
        answer=resolver.answer(name, zone.zone_id),
        arn=None,
        sources=_ids(zone.zone_id, balancer and balancer.arn),
        hidden_by=_hidden_by(name, zone, catalog),
    )


def _of_balancer(balancer: Balancer, resolver: _Resolver) -> PrivateName:
    answer = resolver.answer(balancer.dns_name, None)
    kinds = tuple(sorted({"AAAA" if ":" in at.address else "A" for at in balancer.addresses}))
    return PrivateName(
        name=balancer.dns_name,
        zone=None,
        source=NameSource.LOAD_BALANCER,
        kinds=kinds,
        ttl=None,
        target=None,
        answer=answer,
        arn=balancer.arn,
        sources=_ids(balancer.arn),
        hidden_by=None,
    )


def _ids(*ids: str | None) -> frozenset[str]:
    return frozenset(one for one in ids if one is not None)


def _hidden_by(name: str, zone: Zone | None, catalog: NameCatalog) -> str | None:
    """The more specific zone from which the VPC resolver answers instead; known only for one VPC."""
    if zone is None or catalog.preferred is None:
        return None
    best = most_specific(name, catalog.preferred)
    return best if best != zone.name else None


def named_by(instance: Instance) -> list[str]:
    """Return the names that a Cloud Map instance has in place of addresses."""
    return [normal(instance.attributes[key]) for key in (ALIAS, CNAME) if key in instance.attributes]


def targets(record: RecordSet) -> list[str]:
    """Return the names that a record leads to."""
    if record.alias is not None:
        return [record.alias]
    if record.kind == "CNAME":
        return [normal(value) for value in record.values]
    if record.kind == "SRV":
        return [normal(value.split()[-1]) for value in record.values]
    return []


class _Resolver:
    """Follows names through everything that was read."""

    def __init__(self, catalog: NameCatalog) -> None:
        self._balancers = {balancer.dns_name: balancer for balancer in catalog.balancers}
        self._registered: dict[str, list[RegisteredService]] = {}
        for one in catalog.registered:
            self._registered.setdefault(one.dns_name, []).append(one)
        self._records: dict[str, list[RecordSet]] = {}
        for record in catalog.records:
            if record.kind in _NAMING:
                self._records.setdefault(record.name, []).append(record)

    def balancer(self, name: str) -> Balancer | None:
        """Return the load balancer of that DNS name."""
        return self._balancers.get(name.removeprefix("dualstack."))

    def answer(self, name: str, zone_id: str | None) -> NameAnswer:
        """Follow a name, looked up in that zone before any other."""
        addresses: dict[str, NameAddress] = {}
        warnings: dict[str, None] = {}
        for step in self._follow(name, zone_id, ()):
            if isinstance(step, NameAddress):
                addresses.setdefault(step.address, step)
            else:
                warnings[step] = None
        return NameAnswer(list(addresses.values()), list(warnings))

    def _follow(self, name: str, zone_id: str | None, path: tuple[str, ...]) -> Iterator[NameAddress | str]:
        """Addresses, and as plain strings the warnings."""
        if name in path:
            yield f"{' -> '.join((*path, name))} goes in a circle"
            return
        balancer = self.balancer(name)
        registered = _in_zone(self._registered.get(name, ()), zone_id, lambda one: one.namespace.zone_id)
        records = _in_zone(self._records.get(name, ()), zone_id, lambda record: record.zone_id)
        if balancer is not None:
            yield from _of_load_balancer(balancer)
        elif registered:
            for one in registered:
                yield from self._through_cloud_map(one, (*path, name))
        elif records:
            for record in records:
                yield from self._through_record(record, (*path, name))
        else:
            yield f"{name} is no private name or internal load balancer of this account and region; not followed"

    def _through_record(self, record: RecordSet, path: tuple[str, ...]) -> Iterator[NameAddress | str]:
        leads_to = targets(record)
        for target in leads_to:
            for step in self._follow(target, record.zone_id, path):
                if isinstance(step, NameAddress) and record.routing:
                    yield step._replace(fixed=False)
                else:
                    yield step
        if not leads_to:
            for value in record.values:
                yield NameAddress(_canonical(value), fixed=record.routing is None)
        if record.routing is not None:
            yield f"{record.name} is answered by routing policy {record.routing}, so its addresses vary"

    def _through_cloud_map(self, one: RegisteredService, path: tuple[str, ...]) -> Iterator[NameAddress | str]:
        if not one.instances:
            yield f"{one.dns_name} has no instances: nothing is registered in its Cloud Map service"
        for instance in one.instances:
            state = one.health.get(instance.instance_id)
            for key in (IPV4, IPV6):
                if key in instance.attributes:
                    yield NameAddress(
                        address=_canonical(instance.attributes[key]),
                        fixed=False,
                        availability_zone=instance.attributes.get("AVAILABILITY_ZONE"),
                        instance_id=instance.instance_id,
                        health=state,
                    )
            for target in named_by(instance):
                for step in self._follow(target, one.namespace.zone_id, path):
                    if isinstance(step, NameAddress):
                        yield step._replace(instance_id=instance.instance_id, health=state, fixed=False)
                    else:
                        yield step


def _in_zone(entries: Sequence[Any], zone_id: str | None, zone_of: Any) -> Sequence[Any]:
    """Those of that zone if it has any, else all."""
    return [one for one in entries if zone_of(one) == zone_id] or entries


def _of_load_balancer(balancer: Balancer) -> Iterator[NameAddress | str]:
    for at in balancer.addresses:
        yield NameAddress(at.address, fixed=balancer.fixed, availability_zone=at.availability_zone)
    if not balancer.fixed:
        yield (
            f"application load balancer {balancer.name} changes its addresses; use its name, or put a network load "
            "balancer in front"
        )
    elif not balancer.addresses:
        yield f"network load balancer {balancer.name} has no network interfaces (ELB net/…) that can be seen"


def _canonical(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return text


def reachable(name: PrivateName, networks: Sequence[Network] | None) -> tuple[bool | None, str | None]:
    """Tell whether the tunnel leads to all of a name's addresses, and why not; None where that isn't known."""
    if name.hidden_by is not None and name.zone is not None:
        return (
            False,
            f"zone {name.hidden_by} is more specific than {name.zone.name}, the VPC resolver asks only that one",
        )
    if networks is None or not name.answer.addresses:
        return None, None
    outside = [at.address for at in name.answer.addresses if not _inside(at.address, networks)]
    if not outside:
        return True, None
    return False, f"{', '.join(outside)} outside the networks that access grants"


def _inside(text: str, networks: Sequence[Network]) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    return any(address.version == network.version and address in network for network in networks)


def ecs_warnings(service: EcsService, registered: Mapping[str, RegisteredService]) -> list[str]:
    """Warn of what keeps an ECS service's tasks from being reached by name."""
    warnings = []
    if not service.registries and not service.balanced:
        warnings.append("neither a registry nor a load balancer names it, and its tasks' addresses change")
    warnings += [
        f"registry {arn} is no service of a private namespace" for arn in service.registries if arn not in registered
    ]
    if service.state != "ACTIVE":
        warnings.append(f"it is {service.state}")
    elif service.running < service.desired:
        warnings.append(f"{service.running} of {service.desired} tasks run")
    return warnings


def zone_problems(
    wanted: Sequence[str], every: Sequence[Zone], of_vpc: Sequence[Zone] | None, vpc_id: str | None
) -> list[str]:
    """Write a sentence about each zone that was asked for and can't answer."""
    problems = []
    visible = every if of_vpc is None else of_vpc
    for name in wanted:
        if any(zone.name == name and zone.private for zone in visible):
            continue
        elsewhere = next((zone for zone in every if zone.name == name and zone.private), None)
        public = next((zone for zone in every if zone.name == name), None)
        if elsewhere is not None:
            problems.append(
                f"zone {name} ({elsewhere.zone_id}) isn't associated with VPC {vpc_id}, whose resolver doesn't answer "
                "for it; associate it (aws route53 associate-vpc-with-hosted-zone)"
            )
        elif public is not None:
            problems.append(f"zone {name} ({public.zone_id}) is public: its names need no tunnel and aren't listed")
        else:
            known = ", ".join(sorted({zone.name for zone in visible if zone.private})) or "none"
            problems.append(f"there is no zone {name}; private zones: {known}")
    return problems


def zone_warnings(zone: Zone, every: Sequence[Zone], visible: Sequence[Zone], readable: bool) -> list[str]:
    """Warn of what is unusual about a private zone."""
    warnings = []
    if not readable:
        warnings.append(f"{zone.owner} owns it, its records can't be listed with these credentials")
    if any(other.name == zone.name and not other.private for other in every):
        warnings.append("a public zone has this name too; in the VPC, and so through the tunnel, only this one answers")
    above = [other.name for other in visible if other.name != zone.name and is_under(zone.name, other.name)]
    warnings += [f"it hides the names of zone {name} that end in {zone.name}" for name in sorted(set(above))]
    return warnings
