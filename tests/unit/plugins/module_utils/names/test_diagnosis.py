# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Where the way from a name to its service breaks, from facts alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils.names.diagnosis import (
    DiagnosisStep,
    Evidence,
    StepStatus,
    diagnose,
)

NAME = "api.internal.example"
RESOLVER, FORWARDER = "10.20.0.2", "10.44.0.1"
NOW = 1_790_000_000.0
WAY = ["zone", "associated", "resolver", "forwarder", "routes", "policy", "health", "port"]


def zone(name: str = "internal.example", **more: Any) -> dict[str, Any]:
    common = {"private": True, "associated": True, "holds": True, "owner": "111122223333", "of_service": False}
    return {"name": name, "zone_id": f"Z{len(name)}", **common, **more}


def reply(kind: str, outcome: str, *values: str, transport: str = "udp", **more: Any) -> dict[str, Any]:
    usual: dict[str, Any] = {"detail": "", "path": [], "ports": [], "ttl": 15 if values else None, "milliseconds": 1}
    return {"kind": kind, "transport": transport, "outcome": outcome, "values": list(values), **usual, **more}


def server(address: str, *replies: dict[str, Any]) -> dict[str, Any]:
    answered = (reply("A", "answer", "10.20.0.5"), reply("AAAA", "nodata"), reply("SRV", "nodata"))
    given = replies or answered
    return {"address": address, "replies": [*given, {**given[0], "transport": "tcp"}]}


def saying(address: str, outcome: str, **more: Any) -> dict[str, Any]:
    """A server that has no answer to any question."""
    return server(address, *(reply(kind, outcome, **more) for kind in ("A", "AAAA", "SRV")))


def port(address: str, number: int, detail: str = "") -> dict[str, Any]:
    return {"address": address, "port": number, "open": not detail, "detail": detail}


def registration(**more: Any) -> dict[str, Any]:
    common = {"user_name": "alice", "device": "laptop", "blocked": None, "expires_at": None, "networks_reason": None}
    return {**common, "networks": ["10.20.0.0/16"], **more}


def target(state: str, reason: str = "") -> dict[str, Any]:
    return {"target_id": "10.20.0.5", "port": 80, "state": state, "reason": reason}


def balancer(*states: str, **more: Any) -> dict[str, Any]:
    groups = [{"name": f"group-{n}", "arn": f"arn:group-{n}", "targets": [target(s)]} for n, s in enumerate(states)]
    return {
        "name": "web",
        "dns_name": "web.elb.eu-west-1.amazonaws.com",
        "arn": "arn:web",
        "target_groups": groups,
        **more,
    }


def service(*healths: str | None) -> dict[str, Any]:
    instances = [{"instance_id": f"task-{number}", "health": health} for number, health in enumerate(healths)]
    return {"name": NAME, "service_id": "srv-1", "instances": instances}


def facts(**more: Any) -> dict[str, Any]:
    return {
        "name": NAME,
        "vpc_id": "vpc-1",
        "region": "eu-west-1",
        "zones": [zone()],
        "private_zones": ["internal.example"],
        "names": [NAME],
        "types": ["A"],
        "services": [service("HEALTHY")],
        "balancers": [],
        "notes": [],
        "similar": [],
        **more,
    }


def probe(**more: Any) -> dict[str, Any]:
    return {
        "servers": [server(RESOLVER), server(FORWARDER)],
        "addresses": ["10.20.0.5"],
        "ports": [port("10.20.0.5", 80)],
        "firewall": {"networks": ["10.20.0.0/16"], "dns_open": True},
        **more,
    }


def evidence(**more: Any) -> Evidence:
    return Evidence(
        **{
            "name": facts(),
            "probe": probe(),
            "access": [{"networks": ["10.20.0.0/16"]}],
            "configured": [],
            "whom": "alice/laptop",
            "registrations": [registration()],
            "now": NOW,
            **more,
        }
    )


def asked(*servers: dict[str, Any], **more: Any) -> Evidence:
    """Evidence of a gateway where these servers said this."""
    return evidence(probe=probe(servers=list(servers), **more))


def walk(given: Evidence) -> dict[str, DiagnosisStep]:
    return {step.step: step for step in diagnose(given)}


def the_break(given: Evidence) -> DiagnosisStep:
    """The one break; all before it isn't broken, nothing after it is checked."""
    steps = diagnose(given)
    assert [step.step for step in steps] == WAY
    at = [step.status for step in steps].index(StepStatus.BROKEN.value)
    assert {step.status for step in steps[at + 1 :]} <= {StepStatus.NOT_CHECKED.value}
    assert steps[at].action
    return steps[at]


def test_whole_way_is_ok() -> None:
    steps = diagnose(evidence())
    assert [(step.step, step.status, step.action) for step in steps] == [(step, "ok", None) for step in WAY]


def test_name_in_no_zone_names_the_zones_and_names_like_it() -> None:
    found = the_break(evidence(name=facts(zones=[], private_zones=["a.example", "b.example"], similar=["x.a.example"])))
    assert found.step == "zone"
    assert found.finding == f"no hosted zone holds {NAME}; private zones of VPC vpc-1: a.example, b.example"
    assert "similar names: x.a.example" in (found.action or "")


def test_public_zone_of_the_name_alone_is_a_break() -> None:
    found = the_break(evidence(name=facts(zones=[zone(private=False, associated=False, holds=None)])))
    assert (found.step, found.finding) == (
        "zone",
        "only public zone internal.example (Z16) holds it, a private one was expected",
    )
    assert "create-hosted-zone --name internal.example" in (found.action or "")


def test_public_zone_beside_the_private_one_is_told_and_no_break() -> None:
    found = walk(evidence(name=facts(zones=[zone(), zone(private=False, associated=False, holds=None)])))
    assert "the public zone of this name isn't asked in the VPC" in found["associated"].finding
    assert found["port"].status == "ok"


def test_zone_that_is_only_configured_is_not_judged_by_route_53() -> None:
    found = walk(evidence(name=facts(zones=[]), configured=["internal.example"]))
    assert found["zone"].status == "not_checked"
    assert "forwarded by configuration" in found["zone"].finding
    assert found["associated"].status == "not_checked"
    assert found["port"].status == "ok"


def test_load_balancers_own_name_needs_neither_zone_nor_forwarder() -> None:
    own = balancer("healthy")
    found = walk(evidence(name=facts(name=own["dns_name"], zones=[], balancers=[own], services=[])))
    assert "it is load balancer web's own name" in found["zone"].finding
    assert {found[step].status for step in ("associated", "forwarder")} == {"not_checked"}
    assert found["health"].status == "ok"


def test_unassociated_zone_comes_with_the_command_that_associates_it() -> None:
    found = the_break(evidence(name=facts(zones=[zone(associated=False)])))
    assert (found.step, found.finding) == ("associated", "internal.example (Z16) isn't associated with VPC vpc-1")
    assert found.action == (
        "aws route53 associate-vpc-with-hosted-zone --hosted-zone-id Z16 --vpc VPCRegion=eu-west-1,VPCId=vpc-1"
    )


def test_name_that_only_an_unassociated_zone_has_breaks_there() -> None:
    zones = [zone("api.internal.example", associated=False), zone(holds=False)]
    found = the_break(evidence(name=facts(zones=zones)))
    assert found.step == "associated"
    assert "api.internal.example (Z20) has the name and isn't associated" in found.finding
    assert "answers from internal.example (Z16), where it is missing" in found.finding


def test_name_in_the_wider_of_two_overlapping_zones_is_the_reason_of_nxdomain() -> None:
    zones = [zone("api.internal.example", holds=False), zone()]
    given = asked(saying(RESOLVER, "nxdomain"), server(FORWARDER), addresses=[])
    found = the_break(given._replace(name=facts(zones=zones)))
    assert found.step == "resolver"
    assert "zone api.internal.example (Z20) is the most specific one and answers alone" in found.finding
    assert "the name is only in internal.example (Z16)" in found.finding
    assert "disassociate-vpc-from-hosted-zone --hosted-zone-id Z20" in (found.action or "")


@pytest.mark.parametrize(
    ("outcome", "said"),
    [
        ("timeout", "gave no answer, asked twice"),
        ("unreachable", "can't be reached"),
        ("malformed", "is no DNS message"),
        ("servfail", "answered SERVFAIL"),
        ("refused", "answered REFUSED"),
        ("error", "answered with an error"),
        ("nxdomain", "answered NXDOMAIN"),
        ("nodata", "neither A nor AAAA nor SRV records"),
    ],
)
def test_each_answer_of_the_resolver_has_words_of_its_own(outcome: str, said: str) -> None:
    found = the_break(asked(saying(RESOLVER, outcome, detail="DETAIL"), server(FORWARDER), addresses=[]))
    assert found.step == "resolver"
    assert said in found.finding
    assert RESOLVER in found.finding
    assert "DETAIL" in found.finding


def test_silence_outweighs_a_no_of_the_same_server() -> None:
    half = server(RESOLVER, reply("A", "timeout"), reply("AAAA", "nodata"), reply("SRV", "nodata"))
    assert "gave no answer" in the_break(asked(half, server(FORWARDER), addresses=[])).finding


def test_nxdomain_of_a_service_without_instances_names_the_service() -> None:
    given = asked(saying(RESOLVER, "nxdomain"), addresses=[])
    found = the_break(given._replace(name=facts(services=[service()])))
    assert "nothing is registered in its Cloud Map service srv-1" in found.finding


@pytest.mark.parametrize(("holds", "said"), [(False, "has no such record"), (True, "should have it"), (None, "should")])
def test_nxdomain_is_explained_by_what_the_zone_has(holds: bool | None, said: str) -> None:
    given = asked(saying(RESOLVER, "nxdomain"), addresses=[])
    found = the_break(
        given._replace(name=facts(zones=[zone(holds=holds)], services=[], similar=["apis.internal.example"]))
    )
    assert said in found.finding
    assert ("apis.internal.example" in found.finding) == (holds is False)


def test_cname_chain_is_shown_and_its_dead_end_named() -> None:
    path: dict[str, Any] = {"path": ["b.internal.example", "c.internal.example"]}
    whole = server(RESOLVER, reply("A", "answer", "10.20.0.5", **path), reply("AAAA", "nodata"))
    assert (
        "answers b.internal.example -> c.internal.example -> 10.20.0.5" in walk(asked(whole, whole))["resolver"].finding
    )
    dead = server(RESOLVER, reply("A", "nodata", **path), reply("AAAA", "nodata", **path))
    assert "leads to c.internal.example, which has none" in the_break(asked(dead, addresses=[])).finding


def test_srv_record_whose_hosts_have_no_address_is_a_break() -> None:
    srv = server(RESOLVER, reply("A", "nodata"), reply("SRV", "answer", "one.internal.example"))
    assert "these hosts have no addresses" in the_break(asked(srv, addresses=[])).finding


def test_moving_addresses_of_an_application_load_balancer_are_told() -> None:
    found = walk(evidence(name=facts(notes=["application load balancer web changes its addresses"])))
    assert "application load balancer web changes its addresses" in found["resolver"].finding


def test_answer_that_does_not_come_by_tcp_is_told() -> None:
    without = server(RESOLVER)
    without["replies"][-1] = reply("A", "timeout", transport="tcp", detail="no answer within 2 s")
    found = walk(asked(without, server(FORWARDER)))["resolver"]
    assert found.status == "ok"
    assert "but A by TCP: no answer within 2 s" in found.finding


def test_gateway_that_was_not_reached_breaks_where_it_would_have_been_asked() -> None:
    found = the_break(evidence(probe=None))
    assert found.step == "resolver"
    assert "Ansible didn't reach the gateway" in found.finding


@pytest.mark.parametrize(
    ("outcome", "todo"),
    [
        ("unreachable", "systemctl status tracklib-vpn-dns"),
        ("timeout", "systemctl status tracklib-vpn-dns"),
        ("absent", "systemctl status wg-quick@wg0"),
        ("refused", "make the gateway forward internal.example"),
        ("nxdomain", "flush_zone internal.example"),
        ("nodata", "flush_zone internal.example"),
        ("servfail", "journalctl -u tracklib-vpn-dns"),
    ],
)
def test_each_failure_of_the_forwarder_has_its_remedy(outcome: str, todo: str) -> None:
    found = the_break(asked(server(RESOLVER), server("fd44::1"), saying(FORWARDER, outcome)))
    assert found.step == "forwarder"
    assert f"the forwarder {FORWARDER}" in found.finding
    assert f"expected as from {RESOLVER}: 10.20.0.5" in found.finding
    assert todo in (found.action or "")


def test_forwarder_behind_a_closed_firewall_is_a_break() -> None:
    found = the_break(evidence(probe=probe(firewall={"networks": ["10.20.0.0/16"], "dns_open": False})))
    assert found.step == "forwarder"
    assert "keeps the tunnel from its port 53" in found.finding


def test_old_answer_of_the_forwarder_is_told() -> None:
    old = server(FORWARDER, reply("A", "answer", "10.20.0.9"), reply("AAAA", "nodata"))
    found = walk(asked(server(RESOLVER), old))["forwarder"]
    assert "10.44.0.1 still has 10.20.0.9, the resolver now 10.20.0.5" in found.finding


def test_without_a_user_routes_are_not_checked() -> None:
    found = walk(evidence(whom=None, registrations=[]))
    assert found["routes"].status == "not_checked"
    assert found["port"].status == "ok"


@pytest.mark.parametrize(
    ("registrations", "said"),
    [
        ([], "alice/laptop isn't registered"),
        ([registration(blocked="lost")], "alice/laptop is blocked: lost"),
        ([registration(expires_at=int(NOW))], "the registration of alice/laptop has expired"),
        ([registration(networks=[], networks_reason="in no group")], "alice/laptop has no networks: in no group"),
        (
            [registration(networks=["10.30.0.0/16"])],
            "10.20.0.5 is outside the networks that vpn_access grants alice/laptop",
        ),
    ],
)
def test_device_without_a_way_to_the_address_breaks_at_its_routes(registrations: list[Any], said: str) -> None:
    found = the_break(evidence(registrations=registrations))
    assert found.step == "routes"
    assert said in found.finding


def test_user_with_one_device_that_may_connect_has_its_routes() -> None:
    devices = [registration(device="old", expires_at=1), registration()]
    assert walk(evidence(whom="alice", registrations=devices))["routes"].status == "ok"


def test_one_address_of_two_outside_is_a_break_and_named_alone() -> None:
    given = evidence(probe=probe(addresses=["10.20.0.5", "fd99::1"]))
    assert the_break(given).finding.startswith("fd99::1 is outside")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"access": [{"networks": ["10.30.0.0/16"]}]},
            "outside the networks that vpn_access grants anybody: 10.30.0.0/16",
        ),
        ({"probe": probe(firewall=None)}, "the tunnel's firewall isn't loaded on the gateway"),
        (
            {"probe": probe(firewall={"networks": ["10.30.0.0/16"], "dns_open": True})},
            "vpn_access grants 10.20.0.5, and the gateway's live firewall doesn't let it through; it has 10.30.0.0/16",
        ),
        ({"probe": probe(addresses=["169.254.169.254"])}, "169.254.169.254 is link-local or the instance metadata"),
    ],
)
def test_address_that_the_policy_or_the_live_firewall_refuses_is_a_break(change: dict[str, Any], said: str) -> None:
    found = the_break(evidence(whom=None, **change))
    assert found.step == "policy"
    assert said in found.finding


def test_bad_network_in_the_policy_is_named() -> None:
    with pytest.raises(ValueError, match=r"'10\.20\.0\.1/16' in vpn_access is not a network"):
        diagnose(evidence(access=[{"networks": ["10.20.0.1/16"]}]))


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"services": [service("UNHEALTHY", "UNHEALTHY")]}, f"every instance of Cloud Map service {NAME} is unhealthy"),
        ({"balancers": [balancer("unhealthy", "draining")]}, "load balancer web has no healthy target"),
        ({"balancers": [balancer()]}, "load balancer web has no target group"),
        ({"balancers": [balancer("unhealthy")]}, "group-0: 10.20.0.5 is unhealthy"),
    ],
)
def test_service_without_any_healthy_target_is_a_break(more: dict[str, Any], said: str) -> None:
    found = the_break(evidence(name=facts(**more)))
    assert found.step == "health"
    assert said in found.finding


@pytest.mark.parametrize(
    ("more", "status", "said"),
    [
        ({"services": [service("HEALTHY", "UNHEALTHY")]}, "ok", "unhealthy and left out of answers: task-1"),
        ({"services": [service("UNKNOWN")]}, "ok", "1 instances not unhealthy"),
        ({"services": [service(None)]}, "not_checked", "has no health check"),
        ({"services": []}, "not_checked", "plain addresses"),
        ({"balancers": [balancer("healthy", "unhealthy")], "services": []}, "ok", "group-1: 10.20.0.5 is unhealthy"),
    ],
)
def test_service_that_is_partly_or_not_checked_goes_on(more: dict[str, Any], status: str, said: str) -> None:
    found = walk(evidence(name=facts(**more)))
    assert found["health"].status == status
    assert said in found["health"].finding
    assert found["port"].status == "ok"


def test_closed_port_is_named_with_the_systems_words() -> None:
    ports = [port("10.20.0.5", 80, "Connection refused"), port("10.20.0.6", 80)]
    found = the_break(evidence(probe=probe(ports=ports)))
    assert (found.step, found.finding) == ("port", "10.20.0.5 port 80: Connection refused; open: 10.20.0.6 port 80")


def test_one_open_port_of_an_address_is_enough() -> None:
    ports = [port("10.20.0.5", 443, "Connection refused"), port("10.20.0.5", 80)]
    assert walk(evidence(probe=probe(ports=ports)))["port"].finding == "open: 10.20.0.5 port 80"


BREAKERS: list[Callable[[], Evidence]] = [
    lambda: evidence(name=facts(zones=[], private_zones=[])),
    lambda: evidence(name=facts(zones=[zone(associated=False)])),
    lambda: evidence(probe=None),
    lambda: asked(server(RESOLVER), saying(FORWARDER, "timeout")),
    lambda: evidence(registrations=[]),
    lambda: evidence(access=[]),
    lambda: evidence(name=facts(services=[service("UNHEALTHY")])),
    lambda: evidence(probe=probe(ports=[port("10.20.0.5", 80, "refused")])),
]


@pytest.mark.parametrize(("step", "make"), list(zip(WAY, BREAKERS, strict=True)), ids=WAY)
def test_what_comes_after_the_break_is_not_checked(step: str, make: Callable[[], Evidence]) -> None:
    steps = diagnose(make())
    at = WAY.index(step)
    assert the_break(make()).step == step
    assert {found.finding for found in steps[at + 1 :]} <= {"comes after the break"}
