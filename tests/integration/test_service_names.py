# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""`service_names_info`, and the playbooks `names` and `hosts_lines`, against an emulated AWS over HTTP.

The emulated load balancers have no network interfaces; the tests make them, described as AWS describes its own.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.support import fault_proxy as faults
from tests.support.fault_proxy import FaultProxy

from .names import ZONE, Account, Playbook

BLOCK = "# BEGIN tracklib.vpn names, written by Ansible"
WRITE = {"hosts_lines_write": True}


def addresses(name: dict[str, Any]) -> list[tuple[str, bool]]:
    return [(at["address"], at["fixed"]) for at in name["addresses"]]


def test_records_and_aliases_lead_to_addresses(account: Account) -> None:
    zone = account.zone()
    network, application = account.balancer("nlb"), account.balancer("alb", "application")
    account.record(zone, f"DB.{ZONE}", "A", "10.20.1.9")
    account.record(zone, f"www.{ZONE}", "CNAME", f"web.{ZONE}.")
    account.record(zone, f"web.{ZONE}", "A", alias=f"dualstack.{network}.")
    account.record(zone, f"shop.{ZONE}", "A", alias=application)
    account.record(zone, f"lost.{ZONE}", "CNAME", "d111111abcdef8.cloudfront.net.")
    found = account.names()
    assert addresses(found[f"db.{ZONE}"]) == [("10.20.1.9", True)]
    fixed = [("10.20.1.50", True), ("10.20.2.50", True)]
    assert addresses(found[f"www.{ZONE}"]) == addresses(found[f"web.{ZONE}"]) == addresses(found[network]) == fixed
    assert [at["availability_zone"] for at in found[network]["addresses"]] == ["eu-west-1a", "eu-west-1b"]
    assert found[f"www.{ZONE}"]["target"] == f"web.{ZONE}"
    assert addresses(found[f"shop.{ZONE}"]) == [("10.20.1.60", False), ("10.20.2.60", False)]
    assert "application load balancer alb changes its addresses" in found[f"shop.{ZONE}"]["warnings"][0]
    assert found[f"lost.{ZONE}"]["addresses"] == []
    assert "d111111abcdef8.cloudfront.net is no private name" in found[f"lost.{ZONE}"]["warnings"][0]


def test_public_load_balancers_are_no_private_names(account: Account) -> None:
    assert account.balancer("public", scheme="internet-facing") not in account.names()


def test_cloud_map_service_comes_once_with_instances_and_health(account: Account) -> None:
    service = account.service()
    account.register(service, "one", "10.20.1.5")
    account.register(service, "two", "10.20.1.6", "UNHEALTHY")
    zone = account.client("route53").list_hosted_zones()["HostedZones"][0]["Id"]
    account.record(zone, f"api.{ZONE}", "A", "10.20.1.5", SetIdentifier="one", MultiValueAnswer=True)
    found = account.info(vpc_id=account.vpc)
    (api,) = found["names"]
    assert (api["name"], api["source"], api["ttl"], api["arn"]) == (f"api.{ZONE}", "cloud_map", 15, service["Arn"])
    assert [(at["instance_id"], at["address"], at["health"], at["fixed"]) for at in api["addresses"]] == [
        ("one", "10.20.1.5", "HEALTHY", False),
        ("two", "10.20.1.6", "UNHEALTHY", False),
    ]
    assert [zone["namespace_id"] is not None for zone in found["zones"]] == [True]


def test_ecs_services_have_their_state_and_names(account: Account) -> None:
    service = account.service()
    ecs = account.client("ecs")
    ecs.create_cluster(clusterName="production")
    ecs.register_task_definition(family="api", containerDefinitions=[{"name": "api", "image": "api", "memory": 64}])
    common = {"cluster": "production", "taskDefinition": "api", "desiredCount": 2}
    ecs.create_service(serviceName="api", serviceRegistries=[{"registryArn": service["Arn"]}], **common)
    ecs.create_service(serviceName="worker", tags=[{"key": "team", "value": "net"}], **common)
    for number in range(10):
        ecs.create_service(serviceName=f"x{number}", **common)
    api, worker, *rest = account.info(vpc_id=account.vpc)["ecs_services"]
    assert len(rest) == 10
    assert (api["cluster"], api["name"], api["state"], api["desired"]) == ("production", "api", "ACTIVE", 2)
    assert api["names"] == [f"api.{ZONE}"]
    assert "0 of 2 tasks run" in api["warnings"]
    assert "neither a registry nor a load balancer names it" in worker["warnings"][0]
    assert [one["name"] for one in account.info(zones=[ZONE])["ecs_services"]] == ["api"]
    assert [one["name"] for one in account.info(tags={"team": "net"})["ecs_services"]] == ["worker"]


def test_filters_choose_by_zone_and_by_tag(account: Account) -> None:
    zone, other = account.zone(), account.zone("other.example")
    account.record(zone, f"db.{ZONE}", "A", "10.20.1.9")
    account.record(other, "db.other.example", "A", "10.20.1.9")
    account.service("api", "services.example", team="net")
    account.service("web", "services.example")
    balancer = account.balancer("nlb", team="net")
    account.record(other, "web.other.example", "CNAME", balancer)
    account.client("route53").change_tags_for_resource(
        ResourceType="hostedzone", ResourceId=zone, AddTags=[{"Key": "team", "Value": "net"}]
    )
    assert set(account.names(zones=["OTHER.example."])) == {"db.other.example", "web.other.example"}
    assert set(account.names(tags={"team": "net"})) == {
        f"db.{ZONE}",
        "api.services.example",
        "web.other.example",
        balancer,
    }
    assert account.names(tags={"team": "other"}) == {}


def test_names_outside_the_granted_networks_are_told(account: Account) -> None:
    zone = account.zone()
    account.record(zone, f"in.{ZONE}", "A", "10.20.1.9")
    account.record(zone, f"out.{ZONE}", "A", "10.20.2.9", "10.20.1.9")
    found = account.names(access=[{"groups": ["vpn"], "networks": ["10.20.1.0/24"]}])
    assert (found[f"in.{ZONE}"]["reachable"], found[f"in.{ZONE}"]["reason"]) == (True, None)
    assert found[f"out.{ZONE}"]["reachable"] is False
    assert found[f"out.{ZONE}"]["reason"] == "10.20.2.9 outside the networks that access grants"
    assert account.names()[f"in.{ZONE}"]["reachable"] is None
    assert "'10.20.1.0/8' in access is not a network" in account.fails(
        access=[{"groups": ["vpn"], "networks": ["10.20.1.0/8"]}]
    )


def test_overlapping_zones_hide_names_of_the_wider_one(account: Account) -> None:
    wide, narrow = account.zone(), account.zone(f"api.{ZONE}")
    account.record(wide, f"v1.api.{ZONE}", "A", "10.20.1.9")
    account.record(narrow, f"v2.api.{ZONE}", "A", "10.20.1.9")
    found = account.info(vpc_id=account.vpc)
    v1, v2 = found["names"]
    assert v1["reachable"] is False
    assert f"zone api.{ZONE} is more specific than {ZONE}" in v1["reason"]
    assert v2["reachable"] is None
    assert f"it hides the names of zone {ZONE}" in found["zones"][0]["warnings"][0]


def test_zones_that_cannot_answer_are_told_apart(account: Account) -> None:
    account.zone()
    account.zone(ZONE, private=False)
    account.zone("public.example", private=False)
    elsewhere = account.ec2.create_vpc(CidrBlock="10.30.0.0/16")["Vpc"]["VpcId"]
    found = account.info(zones=[ZONE, "public.example", "missing.example"])
    public, missing = found["problems"]
    assert public.startswith("zone public.example (")
    assert "is public" in public
    assert missing == f"there is no zone missing.example; private zones: {ZONE}"
    assert "a public zone has this name too" in found["zones"][0]["warnings"][0]
    (unassociated,) = account.info(zones=[ZONE], vpc_id=elsewhere)["problems"]
    assert f"isn't associated with VPC {elsewhere}" in unassociated
    assert "has 254 characters" in account.fails(zones=["a" * 50 + ".b" * 102])


def test_each_api_is_swept_once(account: Account, fault_proxy: FaultProxy) -> None:
    account.zone()
    account.service("api", "services.example")
    account.balancer("one")
    account.balancer("two")
    account.info(fault_proxy, vpc_id=account.vpc)
    assert dict(fault_proxy.calls) == {
        "ListHostedZones": 1,
        "ListHostedZonesByVPC": 1,
        "ListResourceRecordSets": 2,
        "ListNamespaces": 1,
        "ListServices": 1,
        "ListInstances": 1,
        "GetInstancesHealthStatus": 1,
        "DescribeLoadBalancers": 1,
        "DescribeNetworkInterfaces": 1,
        "ListClusters": 1,
    }


def test_records_are_read_to_the_last_page(account: Account) -> None:
    zone = account.zone()
    changes = [
        {
            "Action": "CREATE",
            "ResourceRecordSet": {
                "Name": f"n{number}.{ZONE}",
                "Type": "A",
                "TTL": 60,
                "ResourceRecords": [{"Value": "10.20.1.9"}],
            },
        }
        for number in range(350)
    ]
    account.client("route53").change_resource_record_sets(HostedZoneId=zone, ChangeBatch={"Changes": changes})
    assert len(account.names()) == 350


@pytest.mark.parametrize(
    ("action", "fault", "said"),
    [
        ("ListHostedZones", faults.error(403, "AccessDenied"), "route53:ListHostedZones"),
        ("ListNamespaces", faults.json_error(400, "AccessDeniedException"), "servicediscovery:ListNamespaces"),
        ("DescribeLoadBalancers", faults.error(403, "AccessDenied"), "elasticloadbalancing:DescribeLoadBalancers"),
        ("ListClusters", faults.json_error(400, "AccessDeniedException"), "ecs:ListClusters"),
    ],
)
def test_missing_permission_is_named(
    account: Account, fault_proxy: FaultProxy, action: str, fault: faults.Fault, said: str
) -> None:
    fault_proxy.fail(action, fault)
    assert f"these credentials need {said} on" in account.fails(fault_proxy)


def test_hosts_lines_are_written_replaced_and_removed(account: Account, playbook: Playbook) -> None:
    zone = account.zone()
    balancer = account.balancer("nlb")
    account.record(zone, f"web.{ZONE}", "CNAME", balancer)
    account.register(account.service("api", "services.example"), "one", "10.20.1.5")
    shown = playbook("hosts_lines", hosts_lines_zones=[ZONE, "services.example"], **WRITE)
    assert "left out: api.services.example: its addresses move, now 10.20.1.5" in shown
    assert playbook.hosts.read_text() == (
        f"127.0.0.1 localhost\n{BLOCK}\n10.20.1.50 web.{ZONE}\n10.20.2.50 web.{ZONE}\n{BLOCK.replace('BEGIN', 'END')}\n"
    )
    assert f"written: {playbook.hosts} (" in shown
    assert "changed=0" in playbook("hosts_lines", hosts_lines_zones=[ZONE], **WRITE)
    account.record(zone, f"db.{ZONE}", "A", "10.20.1.9")
    playbook("hosts_lines", hosts_lines_zones=[ZONE], **WRITE)
    assert f"{BLOCK}\n10.20.1.9 db.{ZONE}\n" in playbook.hosts.read_text()
    assert playbook.hosts.read_text().count(BLOCK) == 1
    assert "the block is removed from" in playbook("hosts_lines", hosts_lines_state="absent")
    assert playbook.hosts.read_text().count(BLOCK) == 1
    playbook("hosts_lines", hosts_lines_state="absent", **WRITE)
    assert playbook.hosts.read_text() == "127.0.0.1 localhost\n"


def test_r16_hosts_that_no_inventory_has_are_refused_before_anything_is_read(playbook: Playbook) -> None:
    said = playbook("hosts_lines", hosts_lines_hosts="nohosts", **WRITE, expect=2)
    assert "hosts_lines_hosts is nohosts, and the inventory has no such host or group" in " ".join(said.split())


def test_hosts_lines_are_only_shown_unless_they_are_to_be_written(account: Account, playbook: Playbook) -> None:
    account.record(account.zone(), f"db.{ZONE}", "A", "10.20.1.9")
    shown = playbook("hosts_lines", hosts_lines_hosts="nowhere")
    assert f"10.20.1.9 db.{ZONE}" in shown
    assert "nothing was written; with -e hosts_lines_write=true" in " ".join(shown.split())
    assert playbook.hosts.read_text() == "127.0.0.1 localhost\n"


def test_hosts_lines_of_a_missing_zone_end_before_writing(account: Account, playbook: Playbook) -> None:
    account.zone()
    assert "there is no zone typo.example" in playbook(
        "hosts_lines", expect=2, hosts_lines_zones=["typo.example"], **WRITE
    )
    assert playbook.hosts.read_text() == "127.0.0.1 localhost\n"


def test_names_playbook_registers_and_ends_non_zero_when_a_name_cannot_be_had(
    account: Account, playbook: Playbook
) -> None:
    made = account.ec2.run_instances(ImageId="ami-12c6146b", MinCount=1, MaxCount=1, SubnetId=account.subnets[0])
    instance = made["Instances"][0]
    names = [{"name": "build", "namespace": ZONE, "instance_id": instance["InstanceId"]}]
    options = {"vpn_names": names, "names_vpc_id": account.vpc}
    assert f"build.{ZONE}: {instance['PrivateIpAddress']}" in playbook("names", **options)
    assert "no change" in playbook("names", **options)
    missing = {"name": "gone", "namespace": ZONE, "instance_id": "i-0123456789abcdef0"}
    said = playbook("names", expect=2, **{**options, "vpn_names": [missing, *names]})
    assert "there is no EC2 instance i-0123456789abcdef0" in said
    assert addresses(account.names()[f"build.{ZONE}"]) == [(instance["PrivateIpAddress"], False)]


def test_names_playbook_without_names_says_how_to_declare_them(account: Account, playbook: Playbook) -> None:
    assert account.vpc
    assert "vpn_names is not set, expected the names to keep" in playbook("names", expect=2)
