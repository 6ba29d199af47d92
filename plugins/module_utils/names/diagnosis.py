# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The place where the way from a name to its service breaks. Pure: AWS, the registry and a gateway gave the facts."""

from __future__ import annotations

import enum
import ipaddress
from typing import Any, Callable, Iterable, Mapping, NamedTuple, Sequence

from ..access import Access
from ..addresses import Network
from ..probe.ask import DnsOutcome
from .dns import most_specific
from .replies import ServerSummary, summarize


class StepStatus(enum.Enum):
    """What came of a check."""

    OK = "ok"
    BROKEN = "broken"
    NOT_CHECKED = "not_checked"


# what the gateway's firewall drops whatever is granted
_NEVER = [ipaddress.ip_network(one) for one in ("169.254.0.0/16", "fe80::/10", "fd00:ec2::/32")]


class Evidence(NamedTuple):
    """Facts about a name, from AWS, the registry and a gateway.

    `name` is the result of module `name_diagnosis_info`, `probe` that of `name_probe`, None when the gateway couldn't
    be asked. `configured` has the zones that the gateway forwards by configuration. `registrations` are those of the
    user or device `whom`, as `registrations_info` returns them; `whom` is None when nobody was asked about. `now` is in
    seconds since the epoch.
    """

    name: Mapping[str, Any]
    probe: Mapping[str, Any] | None
    access: Sequence[Mapping[str, Any]]
    configured: Sequence[str]
    whom: str | None
    registrations: Sequence[Mapping[str, Any]]
    now: float


class Finding(NamedTuple):
    """Result of a check; `action` says what to do about a break."""

    status: StepStatus
    text: str
    action: str | None = None


class DiagnosisStep(NamedTuple):
    """A step of the way from a name to its service, with the finding; `status` is the value of a StepStatus."""

    step: str
    title: str
    status: str
    finding: str
    action: str | None


def diagnose(evidence: Evidence) -> list[DiagnosisStep]:
    """Walk the way, to its end or to the first break; what comes after that isn't checked.

    :raises ValueError: a network of the access policy isn't one.
    """
    steps: list[DiagnosisStep] = []
    broken = False
    for step, title, check in _WAY:
        if broken:
            finding = _skipped("comes after the break")
        else:
            finding = check(evidence)
            broken = finding.status is StepStatus.BROKEN
        steps.append(DiagnosisStep(step, title, finding.status.value, finding.text, finding.action))
    return steps


def _ok(text: str, *notes: str) -> Finding:
    return Finding(StepStatus.OK, "; ".join((text, *notes)))


def _broken(text: str, action: str) -> Finding:
    return Finding(StepStatus.BROKEN, text, action)


def _skipped(text: str) -> Finding:
    return Finding(StepStatus.NOT_CHECKED, text)


# -- what AWS says of the zone


def _private(evidence: Evidence) -> list[Mapping[str, Any]]:
    return [zone for zone in evidence.name["zones"] if zone["private"]]


def _answering(evidence: Evidence) -> Mapping[str, Any] | None:
    """The zone that the VPC's resolver answers from: the most specific one that is associated."""
    return next((zone for zone in _private(evidence) if zone["associated"]), None)


def _called(zone: Mapping[str, Any]) -> str:
    return f"{zone['name']} ({zone['zone_id']})"


def _own_name(evidence: Evidence) -> Mapping[str, Any] | None:
    """The load balancer whose own name it is."""
    balancers: Sequence[Mapping[str, Any]] = evidence.name["balancers"]
    return next((one for one in balancers if one["dns_name"] == evidence.name["name"]), None)


def _zone(evidence: Evidence) -> Finding:
    facts = evidence.name
    name = facts["name"]
    private = _private(evidence)
    public = [zone for zone in facts["zones"] if not zone["private"]]
    if private:
        zone = _answering(evidence) or private[0]
        held = f", held by {zone['owner']}" if zone["of_service"] else ""
        return _ok(f"{_called(zone)} is a private hosted zone{held}")
    balancer = _own_name(evidence)
    if balancer is not None:
        return _ok(f"none is needed: it is load balancer {balancer['name']}'s own name, which every resolver knows")
    forwarded = most_specific(name, evidence.configured)
    if forwarded is not None:
        return _skipped(f"{forwarded} is forwarded by configuration; these credentials see no such hosted zone")
    if public:
        return _broken(
            f"only public zone {_called(public[0])} holds it, a private one was expected",
            "reach the name without the tunnel, or make a private zone of that name for the VPC: aws route53 "
            f"create-hosted-zone --name {public[0]['name']} --caller-reference {public[0]['name']} "
            f"--vpc VPCRegion={facts['region']},VPCId={facts['vpc_id']}",
        )
    known = ", ".join(facts["private_zones"]) or "none"
    return _broken(
        f"no hosted zone holds {name}; private zones of VPC {facts['vpc_id']}: {known}",
        "check the spelling, and that the whole name is given"
        + (f"; similar names: {', '.join(facts['similar'])}" if facts["similar"] else ""),
    )


def _associated(evidence: Evidence) -> Finding:
    facts = evidence.name
    private = _private(evidence)
    best = _answering(evidence)
    elsewhere = [zone for zone in private if not zone["associated"]]
    if not private:
        return _skipped("there is no private hosted zone to look at")
    if best is None:
        zone = elsewhere[0]
        return _broken(f"{_called(zone)} isn't associated with VPC {facts['vpc_id']}", _associate(facts, zone))
    better = next((zone for zone in elsewhere if zone["holds"]), None)
    if better is not None and best["holds"] is False:
        return _broken(
            f"{_called(better)} has the name and isn't associated with VPC {facts['vpc_id']}, which answers from "
            f"{_called(best)}, where it is missing",
            _associate(facts, better),
        )
    notes = [
        f"it hides the names of {_called(zone)} that end in {best['name']}"
        for zone in private
        if zone["associated"] and zone["name"] != best["name"]
    ]
    if any(not zone["private"] and zone["name"] == best["name"] for zone in facts["zones"]):
        notes.append("the public zone of this name isn't asked in the VPC")
    return _ok(f"VPC {facts['vpc_id']} answers from {_called(best)}", *notes)


def _associate(facts: Mapping[str, Any], zone: Mapping[str, Any]) -> str:
    return (
        f"aws route53 associate-vpc-with-hosted-zone --hosted-zone-id {zone['zone_id']} "
        f"--vpc VPCRegion={facts['region']},VPCId={facts['vpc_id']}"
    )


# -- what the DNS servers say


def _resolver(evidence: Evidence) -> Finding:
    if evidence.probe is None:
        return _broken(
            "Ansible didn't reach the gateway or couldn't ask there; its message is above",
            "check that `ansible GATEWAY -m ping` works, then run this again",
        )
    summary = summarize(evidence.probe["servers"][0])
    if summary.outcome is DnsOutcome.ANSWER and not evidence.probe["addresses"]:
        return _broken(f"{summary.text}; but these hosts have no addresses", "give the SRV record's hosts A records")
    if summary.outcome is DnsOutcome.ANSWER:
        return _ok(summary.text, *evidence.name["notes"])
    if summary.outcome in (DnsOutcome.NXDOMAIN, DnsOutcome.NODATA):
        return _missing(evidence, summary)
    said = f"the VPC's resolver {summary.text}"
    if summary.outcome is DnsOutcome.SERVFAIL:
        return _broken(said, _FORWARDING)
    return _broken(said, _DNS_SUPPORT.format(vpc_id=evidence.name["vpc_id"]))


_DNS_SUPPORT = (
    "check that the gateway's vpc_resolver is its VPC's base address + 2, that the VPC has DNS support (aws ec2 "
    "describe-vpc-attribute --vpc-id {vpc_id} --attribute enableDnsSupport), and that no rule of the gateway's own "
    "keeps it from port 53"
)
_FORWARDING = "if a Resolver rule forwards this name, check its targets: aws route53resolver list-resolver-rules"


def _missing(evidence: Evidence, summary: ServerSummary) -> Finding:
    """Why the VPC's resolver says that there is no such name, or nothing to reach under it."""
    facts = evidence.name
    best = _answering(evidence)
    said = f"the VPC's resolver {summary.text}"
    if best is None:
        return _broken(said, "check the spelling, and the Resolver rules and profiles of the VPC")
    hidden = next((zone for zone in _private(evidence) if zone["associated"] and zone["holds"]), None)
    record = f"aws route53 change-resource-record-sets --hosted-zone-id {best['zone_id']}"
    if hidden is not None and hidden["name"] != best["name"]:
        return _broken(
            f"{said}: zone {_called(best)} is the most specific one and answers alone, the name is only in "
            f"{_called(hidden)}",
            f"make the record in {best['name']} ({record} …), or take that zone from the VPC: aws route53 "
            f"disassociate-vpc-from-hosted-zone --hosted-zone-id {best['zone_id']} "
            f"--vpc VPCRegion={facts['region']},VPCId={facts['vpc_id']}",
        )
    empty = next((one for one in facts["services"] if one["name"] == facts["name"] and not one["instances"]), None)
    if empty is not None:
        return _broken(
            f"{said}: nothing is registered in its Cloud Map service {empty['service_id']}",
            "check that the ECS service's tasks run and name this registry (aws ecs describe-services), or register "
            "EC2 hosts with the playbook tracklib.vpn.names",
        )
    if best["holds"] is False:
        similar = f"; similar names: {', '.join(facts['similar'])}" if facts["similar"] else ""
        return _broken(
            f"{said}: zone {_called(best)} has no such record{similar}", f"check the spelling, or make it: {record} …"
        )
    if summary.outcome is DnsOutcome.NODATA:
        return _broken(
            f"{said}; in zone {_called(best)} it has: {', '.join(facts['types']) or 'nothing that can be read'}",
            f"give it, or what it leads to, an A or AAAA record: {record} …",
        )
    return _broken(
        f"{said}, although zone {_called(best)} should have it",
        "if it was made just now, wait for the last field of the zone's SOA record, in seconds, and run this again",
    )


def _forwarder(evidence: Evidence) -> Finding:
    if evidence.probe is None or _own_name(evidence) is not None:
        return _skipped("clients ask their own resolver for a load balancer's own name")
    resolver, *forwarders = map(summarize, evidence.probe["servers"])
    if not forwarders:
        return _broken("the gateway has no tunnel address to ask", "set vpn_address_pools for this gateway")
    now = ", ".join(sorted(resolver.addresses))
    failing = next((summary for summary in forwarders if summary.outcome is not DnsOutcome.ANSWER), None)
    if failing is not None:
        zone = (_answering(evidence) or {}).get("name") or most_specific(evidence.name["name"], evidence.configured)
        expected = f"; expected as from {resolver.server}: {now}"
        return _broken(f"the forwarder {failing.text}{expected}", _forwarder_action(failing.outcome, str(zone)))
    firewall = evidence.probe["firewall"]
    if firewall is not None and not firewall["dns_open"]:
        return _broken(
            "the forwarder answers, but the gateway's firewall keeps the tunnel from its port 53",
            "set vpn_private_dns: true and run the playbook tracklib.vpn.site",
        )
    notes = [
        f"{one.server} still has {', '.join(sorted(one.addresses))}, the resolver now {now}"
        for one in forwarders
        if one.addresses.isdisjoint(resolver.addresses)
    ]
    return _ok(" and ".join(one.text for one in forwarders), *notes)


def _forwarder_action(outcome: DnsOutcome, zone: str) -> str:
    if outcome is DnsOutcome.ABSENT:
        return "bring the interface up: look at systemctl status wg-quick@wg0 there, run the playbook tracklib.vpn.site"
    if outcome in (DnsOutcome.REFUSED, DnsOutcome.NXDOMAIN, DnsOutcome.NODATA):
        return (
            f"make the gateway forward {zone}: run the playbook tracklib.vpn.private_dns, which takes the VPC's zones "
            "and private_dns_extra_zones; an old answer is forgotten there by "
            f"`unbound-control -c /etc/unbound/tracklib-vpn.conf flush_zone {zone}`"
        )
    if outcome is DnsOutcome.SERVFAIL:
        return "the forwarder gets no answer from the VPC's resolver: look at journalctl -u tracklib-vpn-dns there"
    return (
        "look at systemctl status tracklib-vpn-dns there; if the gateway has no such unit, set vpn_private_dns: true "
        "and run the playbook tracklib.vpn.site"
    )


# -- addresses


def _addresses(evidence: Evidence) -> list[str]:
    return list(evidence.probe["addresses"]) if evidence.probe is not None else []


def _outside(addresses: Iterable[str], networks: Sequence[Network]) -> list[str]:
    return [one for one in addresses if not any(_in(one, network) for network in networks)]


def _in(text: str, network: Network) -> bool:
    address = ipaddress.ip_address(text)
    return address.version == network.version and address in network


def _holding(addresses: Iterable[str], networks: Sequence[Network]) -> str:
    """For each address the first network that holds it."""
    found = [next(str(network) for network in networks if _in(address, network)) for address in addresses]
    return ", ".join(dict.fromkeys(found))


def _networks(texts: Sequence[str]) -> list[Network]:
    return [ipaddress.ip_network(text) for text in texts]


def _routes(evidence: Evidence) -> Finding:
    whom = evidence.whom
    if whom is None:
        return _skipped("no user_name was given")
    if not evidence.registrations:
        return _broken(
            f"{whom} isn't registered, so there is no tunnel",
            "register the device with the module tracklib.vpn.registration; registrations_info lists those there are",
        )
    refusals = [_unfit(one, evidence.now) for one in evidence.registrations]
    granted = [one["networks"] for one, refusal in zip(evidence.registrations, refusals) if refusal is None]
    if not granted:
        return next(refusal for refusal in refusals if refusal is not None)
    networks = granted[0]
    addresses = _addresses(evidence)
    outside = _outside(addresses, _networks(networks))
    if outside:
        return _broken(
            f"{', '.join(outside)} is outside the networks that vpn_access grants {whom}: {', '.join(networks)}",
            "grant a network with it to one of the user's groups in vpn_access, run the playbook "
            "tracklib.vpn.reconcile, and write the device's configuration anew: its AllowedIPs come from there",
        )
    return _ok(f"within {_holding(addresses, _networks(networks))}, which vpn_access grants {whom}")


def _unfit(registration: Mapping[str, Any], now: float) -> Finding | None:
    """Why a device has no tunnel, or no networks in it."""
    label = f"{registration['user_name']}/{registration['device']}"
    if registration["blocked"] is not None:
        return _broken(
            f"{label} is blocked: {registration['blocked']}",
            "lift the block with the module tracklib.vpn.revocation (state: unblocked) if it is no longer meant",
        )
    if registration["expires_at"] is not None and registration["expires_at"] <= now:
        return _broken(f"the registration of {label} has expired", "renew it with the module tracklib.vpn.registration")
    if not registration["networks"]:
        return _broken(
            f"{label} has no networks: {registration['networks_reason']}",
            "put the user into a group that vpn_access grants something, and run the playbook tracklib.vpn.reconcile",
        )
    return None


def _policy(evidence: Evidence) -> Finding:
    addresses = _addresses(evidence)
    never = [one for one in addresses if not _outside([one], _NEVER)]
    if never:
        return _broken(
            f"{', '.join(never)} is link-local or the instance metadata, which the firewall never lets through",
            "give the service an address of the VPC",
        )
    granted = Access.parse(evidence.access, option="vpn_access").networks()
    texts = ", ".join(str(network) for network in granted) or "none"
    outside = _outside(addresses, granted)
    if outside:
        return _broken(
            f"{', '.join(outside)} is outside the networks that vpn_access grants anybody: {texts}",
            "add a network with it to vpn_access and run the playbook tracklib.vpn.reconcile",
        )
    firewall = evidence.probe["firewall"] if evidence.probe is not None else None
    if firewall is None:
        return _broken(
            "the tunnel's firewall isn't loaded on the gateway",
            "run the playbook tracklib.vpn.site",
        )
    closed = _outside(addresses, _networks(firewall["networks"]))
    if closed:
        return _broken(
            f"vpn_access grants {', '.join(closed)}, and the gateway's live firewall doesn't let it through; it has "
            f"{', '.join(firewall['networks']) or 'no networks'}",
            "apply the policy to the gateway: run the playbook tracklib.vpn.reconcile",
        )
    return _ok(f"within {_holding(addresses, granted)}, which vpn_access and the gateway's live firewall grant")


# -- the service


def _health(evidence: Evidence) -> Finding:
    services, balancers = evidence.name["services"], evidence.name["balancers"]
    findings = [_service_health(one) for one in services] + [_balancer_health(one) for one in balancers]
    broken = next((finding for finding in findings if finding.status is StepStatus.BROKEN), None)
    if broken is not None:
        return broken
    if not findings:
        return _skipped("it leads to plain addresses, whose health nothing in AWS checks")
    text = "; ".join(finding.text for finding in findings)
    if any(finding.status is StepStatus.OK for finding in findings):
        return Finding(StepStatus.OK, text)
    return Finding(StepStatus.NOT_CHECKED, text)


def _service_health(service: Mapping[str, Any]) -> Finding:
    name, instances = service["name"], service["instances"]
    checked = [one for one in instances if one["health"] is not None]
    unhealthy = [one["instance_id"] for one in checked if one["health"] == "UNHEALTHY"]
    if not checked:
        return _skipped(f"Cloud Map service {name} has no health check")
    if len(unhealthy) == len(instances):
        return _broken(
            f"every instance of Cloud Map service {name} is unhealthy: {', '.join(unhealthy)}",
            "look at the tasks' or hosts' own health (aws ecs describe-services shows an ECS service's events; "
            f"aws servicediscovery get-instances-health-status --service-id {service['service_id']})",
        )
    left_out = f", and unhealthy and left out of answers: {', '.join(unhealthy)}" if unhealthy else ""
    return _ok(f"Cloud Map service {name}: {len(instances) - len(unhealthy)} instances not unhealthy{left_out}")


def _balancer_health(balancer: Mapping[str, Any]) -> Finding:
    name, groups = balancer["name"], balancer["target_groups"]
    if not groups:
        return _broken(
            f"load balancer {name} has no target group",
            f"give it a listener that forwards: aws elbv2 describe-listeners --load-balancer-arn {balancer['arn']}",
        )
    idle = [group for group in groups if not any(one["state"] == "healthy" for one in group["targets"])]
    texts = [f"{group['name']}: {_targets(group)}" for group in groups]
    if len(idle) == len(groups):
        return _broken(
            f"load balancer {name} has no healthy target ({'; '.join(texts)})",
            "check that the service listens where the target group's health check looks, and that its security group "
            f"lets the load balancer in: aws elbv2 describe-target-health --target-group-arn {idle[0]['arn']}",
        )
    return _ok(f"load balancer {name} ({'; '.join(texts)})")


def _targets(group: Mapping[str, Any]) -> str:
    if not group["targets"]:
        return "no targets are registered"
    return ", ".join(
        f"{one['target_id']} is {one['state']}" + (f", {one['reason']}" if one["reason"] else "")
        for one in group["targets"]
    )


def _port(evidence: Evidence) -> Finding:
    tried = evidence.probe["ports"] if evidence.probe is not None else []
    reached = {port["address"] for port in tried if port["open"]}
    closed = [port for port in tried if port["address"] not in reached]
    opened = ", ".join(f"{port['address']} port {port['port']}" for port in tried if port["open"])
    if closed:
        said = ", ".join(f"{port['address']} port {port['port']}: {port['detail']}" for port in closed)
        return _broken(
            said + (f"; open: {opened}" if opened else ""),
            "check that the service listens there (-e diagnose_port=… asks for another port), and that the security "
            "groups and network ACLs of the service let the gateway in",
        )
    return _ok(f"open: {opened}")


_WAY: tuple[tuple[str, str, Callable[[Evidence], Finding]], ...] = (
    ("zone", "zone exists", _zone),
    ("associated", "zone associated", _associated),
    ("resolver", "resolver answers", _resolver),
    ("forwarder", "forwarder answers", _forwarder),
    ("routes", "within routes", _routes),
    ("policy", "allowed by policy", _policy),
    ("health", "target healthy", _health),
    ("port", "port open", _port),
)
