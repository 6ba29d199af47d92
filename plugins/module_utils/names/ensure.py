# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Changes of Cloud Map to what is wanted: namespaces, services and named instances.

Cloud Map's changes are asynchronous. They are submitted together and waited for together.
"""

from __future__ import annotations

import ipaddress
import time
from typing import Any, Callable, Iterator, Mapping, NamedTuple, Sequence

from ..aws import AWSCallError, calling
from . import cloud_map
from .cloud_map import INITIAL_HEALTH, IPV4, IPV6, PORT, Instance, Namespace, Service
from .zones import Zone, zones_of_vpc

_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 2.0  # seconds between two looks at operations


class Changes:
    """Changes that are made, or would be in check mode, as lines for a diff, and the operations that still run."""

    def __init__(
        self,
        client: Any,
        check_mode: bool,
        wait_timeout: float,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.client = client
        self.before: list[str] = []
        self.after: list[str] = []
        self._check_mode = check_mode
        self._wait_timeout = wait_timeout
        self._sleep = sleep
        self._clock = clock
        self._running: dict[str, str] = {}  # what an operation does, by its id

    @property
    def changed(self) -> bool:
        """Tell whether anything was, or would be, changed."""
        return bool(self.before or self.after)

    @property
    def diff(self) -> dict[str, str]:
        """Return the changes by name, as Ansible shows them."""
        return {side: "".join(f"{line}\n" for line in getattr(self, side)) for side in ("before", "after")}

    def submit(self, action: str, what: str, **request: Any) -> Any:
        """Call an action of Cloud Map and remember its operation; None in check mode.

        :param action: its IAM name without the service: `CreateService`.
        :param what: what it does, for people: `create service api.internal.example`.
        """
        if self._check_mode:
            return None
        method = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in action)[1:]
        with calling(f"servicediscovery:{action}", what):
            answer = getattr(self.client, method)(**request)
        if "OperationId" in answer:
            self._running[answer["OperationId"]] = what
        return answer

    def wait(self) -> dict[str, str]:
        """Wait until every submitted operation has ended; return the targets of the last one by kind.

        :raises AWSCallError: an operation failed, with Cloud Map's text, or they took longer than the timeout.
        """
        give_up, pause = self._clock() + self._wait_timeout, _FIRST_PAUSE
        failures: list[str] = []
        targets: dict[str, str] = {}
        while self._running:
            for ended, what in self._ended():
                targets = ended.get("Targets", {})
                if ended["Status"] == "FAIL":
                    failures.append(f"{what}: {ended.get('ErrorCode')} ({ended.get('ErrorMessage')})")
            if self._running and self._clock() >= give_up:
                failures.append(self._unfinished())
                self._running.clear()
            if self._running:
                self._sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
        if failures:
            raise AWSCallError(f"Cloud Map failed to {'; '.join(failures)}")
        return targets

    def _ended(self) -> Iterator[tuple[dict[str, Any], str]]:
        """Ask for every running operation; yield those that have ended, and what they did."""
        for operation_id, what in list(self._running.items()):
            with calling("servicediscovery:GetOperation", f"operation {operation_id}"):
                operation = self.client.get_operation(OperationId=operation_id)["Operation"]
            if operation["Status"] in ("SUCCESS", "FAIL"):
                del self._running[operation_id]
                yield operation, what

    def _unfinished(self) -> str:
        operation_id, what = next(iter(self._running.items()))
        return (
            f"{what} within {self._wait_timeout:g} s, {len(self._running)} operations still run; raise "
            f"wait_timeout, or look with: aws servicediscovery get-operation --operation-id {operation_id}"
        )


class WantedInstance(NamedTuple):
    """An instance to register in a service."""

    instance_id: str
    ipv4: str | None = None
    ipv6: str | None = None
    port: int | None = None
    initial_health: str | None = None
    attributes: Mapping[str, str] = {}

    def cloud_map_attributes(self) -> dict[str, str]:
        """Return the attributes as RegisterInstance takes them, addresses in their canonical form."""
        addresses = {IPV4: self.ipv4, IPV6: self.ipv6}
        built_in = {key: str(ipaddress.ip_address(text)) for key, text in addresses.items() if text is not None}
        port = {} if self.port is None else {PORT: str(self.port)}
        initial = {} if self.initial_health is None else {INITIAL_HEALTH: self.initial_health}
        return {**self.attributes, **built_in, **port, **initial}

    def check(self, service: Service, label: str) -> None:
        """Refuse an instance that can't have the service's records.

        :raises ValueError: naming what is missing or wrong.
        """
        for what, text, version in (("ipv4", self.ipv4, 4), ("ipv6", self.ipv6, 6)):
            if text is not None and not _is_address(text, version):
                raise ValueError(f"instance {self.instance_id} of {label}: {what} {text!r} is no IPv{version} address")
        lacks = {"A": self.ipv4 is None, "AAAA": self.ipv6 is None, "SRV": self.port is None or not self._has_address}
        need = {"A": "ipv4", "AAAA": "ipv6", "SRV": "port, and ipv4 or ipv6,"}
        for kind in service.records:
            if lacks.get(kind):
                raise ValueError(
                    f"instance {self.instance_id} can't be registered as {label}: the service has {kind} records, "
                    f"so it needs {need[kind]}"
                )

    @property
    def _has_address(self) -> bool:
        return self.ipv4 is not None or self.ipv6 is not None


def _is_address(text: str, version: int) -> bool:
    try:
        return ipaddress.ip_address(text).version == version
    except ValueError:
        return False


def find_namespace(client: Any, route53: Any, name: str, vpc_id: str | None, region: str) -> Namespace | None:
    """Find the private DNS namespace of that name, and of that VPC if one is given; None if there is none.

    :raises ValueError: the name stands for something else, several VPCs have it, or this one isn't associated.
    :raises AWSCallError: AWS didn't answer.
    """
    named = [one for one in cloud_map.namespaces(client) if one.name == name and one.kind != "DNS_PUBLIC"]
    private = [one for one in named if one.kind == "DNS_PRIVATE"]
    if vpc_id is not None:
        return _namespace_of_vpc(private, zones_of_vpc(route53, vpc_id, region), name, vpc_id)
    if len(private) > 1:
        ids = ", ".join(str(one.namespace_id) for one in private)
        raise ValueError(
            f"there are {len(private)} private namespaces {name} ({ids}); say with vpc_id which one is meant"
        )
    if named and not private:
        raise ValueError(f"namespace {name} ({named[0].namespace_id}) is of type HTTP and has no DNS; choose another")
    return private[0] if private else None


def _namespace_of_vpc(private: Sequence[Namespace], zones: Sequence[Zone], name: str, vpc_id: str) -> Namespace | None:
    here = {zone.zone_id for zone in zones if zone.name == name}
    mine = next((namespace for namespace in private if namespace.zone_id in here), None)
    if mine is not None:
        return mine
    if private:
        other = private[0]
        raise ValueError(
            f"the zone {other.zone_id} of namespace {name} ({other.namespace_id}) isn't associated with VPC {vpc_id}, "
            f"which doesn't resolve its names; associate it (aws route53 associate-vpc-with-hosted-zone), or correct "
            "vpc_id"
        )
    if here:
        raise ValueError(
            f"VPC {vpc_id} already has a private zone {name} ({', '.join(sorted(here))}) that isn't Cloud Map's; "
            "choose another namespace, such as a name below it"
        )
    return None


def ensure_namespace(changes: Changes, existing: Namespace | None, name: str, vpc_id: str | None) -> Namespace:
    """Return the namespace, made in the VPC if there is none.

    :raises ValueError: there is none, and no VPC to make it in.
    """
    if existing is not None:
        return existing
    if vpc_id is None:
        raise ValueError(f"there is no private namespace {name} in this region; give vpc_id to make it in that VPC")
    changes.after.append(f"namespace {name}")
    what = f"create namespace {name} in VPC {vpc_id}"
    answer = changes.submit("CreatePrivateDnsNamespace", what, Name=name, Vpc=vpc_id)
    if answer is None:
        return Namespace(name)
    namespace_id = changes.wait()["NAMESPACE"]
    made = [one for one in cloud_map.namespaces(changes.client) if one.namespace_id == namespace_id]
    return made[0] if made else Namespace(name, namespace_id=namespace_id)


def ensure_service(changes: Changes, namespace: Namespace, existing: Service | None, wanted: Service) -> Service:
    """Make the service, or change its TTLs; nothing else of a service can be changed.

    :raises ValueError: it differs in what Cloud Map can't change.
    """
    label = f"{wanted.name}.{namespace.name}"
    if existing is None:
        return _create_service(changes, namespace, wanted, label)
    _refuse_fixed_differences(label, existing, wanted)
    if existing.records == wanted.records:
        return existing
    changes.before.append(_service_line(label, existing))
    changes.after.append(_service_line(label, wanted))
    change: dict[str, Any] = {"DnsConfig": {"DnsRecords": _dns_records(wanted)}}
    if existing.health_check is not None:
        change["HealthCheckConfig"] = existing.health_check  # left out, Cloud Map would delete it
    changes.submit("UpdateService", f"change the TTL of service {label}", Id=existing.service_id, Service=change)
    return existing._replace(records=wanted.records)


def _create_service(changes: Changes, namespace: Namespace, wanted: Service, label: str) -> Service:
    changes.after.append(_service_line(label, wanted))
    request: dict[str, Any] = {
        "Name": wanted.name,
        "NamespaceId": namespace.namespace_id,
        "DnsConfig": {"RoutingPolicy": wanted.routing, "DnsRecords": _dns_records(wanted)},
    }
    if wanted.custom_health:
        request["HealthCheckCustomConfig"] = {"FailureThreshold": 1}
    answer = changes.submit("CreateService", f"create service {label}", **request)
    made = answer["Service"] if answer else {}
    return wanted._replace(service_id=made.get("Id"), arn=made.get("Arn"))


def _refuse_fixed_differences(label: str, existing: Service, wanted: Service) -> None:
    differences = [
        f"{what} {is_now}, not {should_be}"
        for what, is_now, should_be in (
            ("record types", "/".join(sorted(existing.records)), "/".join(sorted(wanted.records))),
            ("routing policy", existing.routing, wanted.routing),
            ("health check", _health_check(existing), _health_check(wanted)),
        )
        if is_now != should_be
    ]
    if differences:
        raise ValueError(
            f"service {label} has {' and '.join(differences)}; Cloud Map can't change that: remove the service with "
            "state absent and make it anew, or give what it has"
        )


def _health_check(service: Service) -> str:
    return "custom" if service.custom_health else "none"


def _dns_records(service: Service) -> list[dict[str, Any]]:
    return [{"Type": kind, "TTL": ttl} for kind, ttl in service.records.items()]


def _service_line(label: str, service: Service) -> str:
    records = ", ".join(f"{kind} {ttl} s" for kind, ttl in sorted(service.records.items()))
    return f"service {label}: {records}, {service.routing}, health check {_health_check(service)}"


def ensure_registered(
    changes: Changes, service: Service, label: str, registered: Sequence[Instance], wanted: Sequence[WantedInstance]
) -> None:
    """Register what is missing or registered otherwise.

    :raises ValueError: an instance that the service can't have.
    """
    by_id = {instance.instance_id: instance for instance in registered}
    for instance in wanted:
        instance.check(service, label)
        attributes = instance.cloud_map_attributes()
        now = by_id.get(instance.instance_id)
        if now is not None and _comparable(now.attributes) == _comparable(attributes):
            continue
        if now is not None:
            changes.before.append(_instance_line(label, now.instance_id, now.attributes))
        changes.after.append(_instance_line(label, instance.instance_id, attributes))
        changes.submit(
            "RegisterInstance",
            f"register {instance.instance_id} as {label}",
            ServiceId=service.service_id,
            InstanceId=instance.instance_id,
            Attributes=attributes,
        )


def deregister(changes: Changes, service: Service, label: str, instances: Sequence[Instance]) -> None:
    """Take instances out of a service."""
    for instance in instances:
        changes.before.append(_instance_line(label, instance.instance_id, instance.attributes))
        changes.submit(
            "DeregisterInstance",
            f"deregister {instance.instance_id} of {label}",
            ServiceId=service.service_id,
            InstanceId=instance.instance_id,
        )


def _comparable(attributes: Mapping[str, str]) -> dict[str, str]:
    """Without the initial health, which says nothing of an instance that is registered already."""
    return {key: value for key, value in attributes.items() if key != INITIAL_HEALTH}


def _instance_line(label: str, instance_id: str, attributes: Mapping[str, str]) -> str:
    at = " ".join(attributes[key] for key in (IPV4, IPV6, PORT) if key in attributes)
    return f"instance {label}: {instance_id} {at}".rstrip()


def delete_service(changes: Changes, service: Service, label: str) -> None:
    """Delete a service whose instances are gone."""
    changes.before.append(_service_line(label, service))
    changes.wait()
    changes.submit("DeleteService", f"delete service {label}", Id=service.service_id)


def delete_namespace(changes: Changes, namespace: Namespace) -> None:
    """Delete a namespace, and with it its zone.

    :raises ValueError: it still has services.
    """
    left = cloud_map.services(changes.client, namespace)
    if left:
        names = ", ".join(service.name for service in left)
        raise ValueError(f"namespace {namespace.name} still has services: {names}; remove them first")
    changes.before.append(f"namespace {namespace.name}")
    changes.submit("DeleteNamespace", f"delete namespace {namespace.name}", Id=namespace.namespace_id)
    changes.wait()
