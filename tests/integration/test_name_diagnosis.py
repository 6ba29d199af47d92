# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""`name_diagnosis_info` against an emulated AWS over HTTP, whose health checks the tests supply."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support import fault_proxy as faults
from tests.support.fault_proxy import FaultProxy

from .names import ZONE, Account

NAME = f"api.{ZONE}"


def info(account: Account, name: str = NAME, proxy: FaultProxy | None = None) -> dict[str, Any]:
    return account.info(proxy, module="name_diagnosis_info", name=name, vpc_id=account.vpc)


def zones(found: dict[str, Any]) -> list[tuple[str, bool, bool, bool | None]]:
    return [(zone["name"], zone["private"], zone["associated"], zone["holds"]) for zone in found["zones"]]


def test_zones_above_a_name_come_with_what_they_have_of_it(account: Account) -> None:
    elsewhere = account.ec2.create_vpc(CidrBlock="10.30.0.0/16")["Vpc"]["VpcId"]
    account.record(account.zone(), NAME, "A", "10.20.1.9")
    account.zone(f"a.{NAME}")
    account.zone(NAME)
    account.record(account.zone("example", vpc_id=elsewhere), NAME, "A", "10.20.1.9")
    account.zone(ZONE, private=False)
    found = info(account)
    assert zones(found) == [
        (NAME, True, True, False),
        (ZONE, True, True, True),
        (ZONE, False, False, None),
        ("example", True, False, True),
    ]
    assert found["private_zones"] == [f"a.{NAME}", NAME, ZONE]
    assert found["names"] == [NAME]


def test_name_is_taken_in_any_form_and_a_wrong_one_refused(account: Account) -> None:
    account.record(account.zone(), f"API.{ZONE}", "A", "10.20.1.9")
    found = info(account, "Api.Internal.Example.")
    assert (found["name"], found["types"], zones(found)[0][3]) == (NAME, ["A"], True)
    longest = ".".join(["a" * 50] * 5)
    said = account.fails(module="name_diagnosis_info", name=longest, vpc_id=account.vpc)
    assert "has 254 characters; a DNS name has at most 253" in said


def test_name_that_is_missing_comes_with_names_like_it(account: Account) -> None:
    zone = account.zone()
    account.record(zone, f"apis.{ZONE}", "A", "10.20.1.9")
    account.record(zone, f"database.{ZONE}", "A", "10.20.1.9")
    found = info(account)
    assert zones(found) == [(ZONE, True, True, False)]
    assert found["similar"] == [f"apis.{ZONE}"]


def test_wildcard_answers_for_names_that_have_no_record(account: Account) -> None:
    zone = account.zone()
    account.record(zone, f"*.{ZONE}", "A", "10.20.1.9")
    account.record(zone, f"own.{ZONE}", "TXT", '"x"')
    assert zones(info(account))[0][3] is True
    assert info(account, f"own.{ZONE}")["types"] == ["TXT"]


def test_chain_through_two_zones_ends_at_a_load_balancers_targets(account: Account) -> None:
    own, other = account.zone(), account.zone("other.example")
    balancer = account.balancer("nlb")
    account.record(own, NAME, "CNAME", "web.other.example.")
    account.record(other, "web.other.example", "A", alias=f"dualstack.{balancer}.")
    group = account.forward("nlb", 8443, n5="healthy", n6="unhealthy: Health checks failed")
    account.forward("nlb", 53, "UDP")
    found = info(account)
    assert found["names"] == [NAME, "web.other.example", f"dualstack.{balancer}"]
    assert found["ports"] == [8443]
    (one,) = found["balancers"]
    assert (one["name"], one["dns_name"]) == ("nlb", balancer)
    udp, tcp = one["target_groups"]
    assert (tcp["arn"], udp["targets"]) == (group, [])
    assert [(target["target_id"], target["state"], target["reason"]) for target in tcp["targets"]] == [
        ("10.20.1.5", "healthy", ""),
        ("10.20.1.6", "unhealthy", "Health checks failed"),
    ]


def test_moving_addresses_of_an_application_load_balancer_are_noted(account: Account) -> None:
    account.record(account.zone(), NAME, "A", alias=account.balancer("alb", "application"))
    account.forward("alb", 80, "HTTP", n5="healthy")
    assert "application load balancer alb changes its addresses" in info(account)["notes"][0]


def test_cloud_map_service_comes_with_health_and_port(account: Account) -> None:
    service = account.service()
    account.register(service, "one", "10.20.1.5")
    account.register(service, "two", "10.20.1.6", "UNHEALTHY")
    client = account.client("servicediscovery")
    attributes = {"AWS_INSTANCE_IPV4": "10.20.1.7", "AWS_INSTANCE_PORT": "8080"}
    client.register_instance(ServiceId=service["Id"], InstanceId="three", Attributes=attributes)
    found = info(account)
    (one,) = found["services"]
    assert (one["name"], one["service_id"]) == (NAME, service["Id"])
    assert {each["instance_id"]: each["health"] for each in one["instances"]} == {
        "one": "HEALTHY",
        "two": "UNHEALTHY",
        "three": "HEALTHY",
    }
    assert found["ports"] == [8080]
    assert zones(found) == [(ZONE, True, True, True)]


def test_names_that_lead_in_a_circle_end(account: Account) -> None:
    zone = account.zone()
    account.record(zone, NAME, "CNAME", f"b.{ZONE}.")
    account.record(zone, f"b.{ZONE}", "CNAME", f"{NAME}.")
    found = info(account)
    assert found["names"] == [NAME, f"b.{ZONE}"]
    assert "goes in a circle" in found["notes"][0]


def test_no_more_is_read_than_the_name_needs(account: Account, fault_proxy: FaultProxy) -> None:
    account.zone("other.example")
    account.balancer("nlb")
    account.service("api", "services.example")
    account.record(account.zone(), NAME, "A", "10.20.1.9")
    info(account, proxy=fault_proxy)
    assert dict(fault_proxy.calls) == {
        "ListHostedZones": 1,
        "ListHostedZonesByVPC": 1,
        "ListResourceRecordSets": 1,
        "ListNamespaces": 1,
    }


@pytest.mark.parametrize(
    ("action", "fault", "said"),
    [
        ("ListResourceRecordSets", faults.error(403, "AccessDenied"), "route53:ListResourceRecordSets"),
        ("DescribeTargetHealth", faults.error(403, "AccessDenied"), "elasticloadbalancing:DescribeTargetHealth"),
        ("DescribeListeners", faults.error(403, "AccessDenied"), "elasticloadbalancing:DescribeListeners"),
    ],
)
def test_missing_permission_is_named(
    account: Account, fault_proxy: FaultProxy, action: str, fault: faults.Fault, said: str
) -> None:
    account.record(account.zone(), NAME, "A", alias=account.balancer("nlb"))
    account.forward("nlb", 443, n5="healthy")
    fault_proxy.fail(action, fault)
    failure = account.fails(fault_proxy, module="name_diagnosis_info", name=NAME, vpc_id=account.vpc)
    assert f"these credentials need {said} on" in failure
