# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Each break of the way from a name to its service, made for real, and named by `diagnose`."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils import keys

from tests.lab import actions, aws, feed, hosts, services

ZONE = "diagnose.example"
NARROW = f"narrow.{ZONE}"
ELSEWHERE = "elsewhere.example"  # in a VPC of its own
BALANCER = "diagnose"
TASK = 18  # of the lab's tasks, the one that these tests start
SERVICE = hosts.SERVICE_ADDRESSES[0]
WAY = ["zone", "associated", "resolver", "forwarder", "routes", "policy", "health", "port"]
# the lab's policy, but for bob, who is in vpn-developers alone
NARROW_ACCESS = [
    {"groups": ["vpn-developers"], "networks": ["10.20.4.0/24"]},
    {"groups": ["vpn-dba"], "networks": ["10.20.0.0/16", hosts.VPC.ipv6]},
]


class Step(NamedTuple):
    """A step of the diagnosis."""

    step: str
    status: str
    finding: str
    action: str | None


class Way:
    """What `diagnose` says of a name on the first gateway."""

    def __init__(self, name: str, directory: Path, *, broken: str | None = None, **variables: Any) -> None:
        file = directory / "diagnosis.json"
        run = actions.run_playbook(
            "diagnose",
            "--limit=localhost,gateway",
            rc=2 if broken else 0,
            diagnose_name=name,
            diagnose_json=str(file),
            **variables,
        )
        (found,) = json.loads(file.read_text())
        self.steps = [Step(*(one[key] for key in Step._fields)) for one in found["steps"]]
        assert [step.step for step in self.steps] == WAY
        assert found["broken"] == broken, self.steps
        self.failures = run.failures
        self.shown = run.result("show the way")["msg"]

    def __getitem__(self, step: str) -> Step:
        return next(one for one in self.steps if one.step == step)

    @property
    def broken(self) -> Step:
        """The one step that is broken; what comes after it isn't checked, and the run's end repeats it."""
        at = next(number for number, step in enumerate(self.steps) if step.status == "broken")
        assert {step.status for step in self.steps[at + 1 :]} <= {"not_checked"}
        assert self.steps[at].finding in self.failures[-1]
        return self.steps[at]


def _leave_nothing() -> None:
    """Remove whatever these tests make, also after a crash."""
    services.delete_balancer(BALANCER)
    services.stop_task(TASK)
    aws.forget_names()


@pytest.fixture(scope="module", autouse=True)
def _names() -> Iterator[None]:
    """Zones with names of every kind, as the resolver and the gateway's forwarder have them."""
    _leave_nothing()
    aws.create_zone(ZONE, ("web", "A", SERVICE), ("api.narrow", "A", SERVICE), ("lost", "A", "172.31.9.9"))
    aws.create_zone(NARROW)
    aws.create_zone(ELSEWHERE, ("web", "A", SERVICE), associated=False)
    feed.feed()
    actions.run_playbook("private_dns", "--limit=localhost,gateway")
    actions.register_directly("bob", "laptop", keys.generate()[1])
    yield
    _leave_nothing()
    feed.feed()


@contextlib.contextmanager
def _stopped(host: str, unit: str) -> Iterator[None]:
    actions.shell(host, f"systemctl stop {unit}")
    try:
        yield
    finally:
        actions.shell(host, f"systemctl start {unit}")


def test_whole_way_is_walked_for_a_device_in_any_form_of_the_name(tmp_path: Path) -> None:
    way = Way(f"WEB.{ZONE}.", tmp_path, diagnose_user_name="bob", diagnose_device="laptop")
    assert {step.step: step.status for step in way.steps} == {**dict.fromkeys(WAY, "ok"), "health": "not_checked"}
    assert "10.20.0.2 answers 10.20.0.80" in way["resolver"].finding
    assert "10.44.0.1 answers 10.20.0.80" in way["forwarder"].finding
    assert "fd44:7472:6163:6b::1 answers 10.20.0.80" in way["forwarder"].finding
    assert way["port"].finding == "open: 10.20.0.80 port 80"
    assert way.shown[0] == f"web.{ZONE} on gateway"


def test_name_in_no_zone_breaks_at_the_zone(tmp_path: Path) -> None:
    way = Way("web.diagnoze.example", tmp_path, broken="zone")
    assert "no hosted zone holds web.diagnoze.example; private zones of VPC vpc-" in way.broken.finding
    assert ZONE in way.broken.finding


def test_unassociated_zone_is_named_with_the_command_that_helps(tmp_path: Path) -> None:
    broken = Way(f"web.{ELSEWHERE}", tmp_path, broken="associated").broken
    assert f"isn't associated with VPC {aws.vpc_id()}" in broken.finding
    assert "aws route53 associate-vpc-with-hosted-zone --hosted-zone-id " in (broken.action or "")


def test_name_that_a_more_specific_zone_hides_breaks_at_the_resolver(tmp_path: Path) -> None:
    broken = Way(f"api.{NARROW}", tmp_path, broken="resolver").broken
    assert "answered NXDOMAIN" in broken.finding
    assert f"zone {NARROW} (" in broken.finding
    assert f"the name is only in {ZONE} (" in broken.finding


def test_stopped_resolver_is_named(tmp_path: Path) -> None:
    with _stopped("resolver", "lab-vpc-resolver"):
        broken = Way(f"web.{ZONE}", tmp_path, broken="resolver").broken
    assert "the VPC's resolver 10.20.0.2 can't be reached (Connection refused)" in broken.finding
    assert "enableDnsSupport" in (broken.action or "")


def test_stopped_forwarder_is_named(tmp_path: Path) -> None:
    with _stopped("gateway", "tracklib-vpn-dns"):
        broken = Way(f"web.{ZONE}", tmp_path, broken="forwarder").broken
    assert "can't be reached (Connection refused); expected as from 10.20.0.2: 10.20.0.80" in broken.finding
    assert "systemctl status tracklib-vpn-dns" in (broken.action or "")


def test_address_outside_the_devices_routes_is_named(tmp_path: Path) -> None:
    way = Way(
        f"web.{ZONE}",
        tmp_path,
        broken="routes",
        diagnose_user_name="bob",
        diagnose_device="laptop",
        vpn_access=NARROW_ACCESS,
    )
    assert "10.20.0.80 is outside the networks that vpn_access grants bob/laptop: 10.20.4.0/24" in way.broken.finding


def test_device_that_is_not_registered_is_named(tmp_path: Path) -> None:
    way = Way(f"web.{ZONE}", tmp_path, broken="routes", diagnose_user_name="bob", diagnose_device="tablet")
    assert "bob/tablet isn't registered" in way.broken.finding


def test_address_outside_the_policy_is_named(tmp_path: Path) -> None:
    way = Way(f"lost.{ZONE}", tmp_path, broken="policy")
    assert "172.31.9.9 is outside the networks that vpn_access grants anybody: 10.20.0.0/16" in way.broken.finding


def test_policy_that_the_gateway_does_not_have_yet_is_named(tmp_path: Path) -> None:
    wider = [{"groups": ["vpn-developers"], "networks": ["10.20.0.0/16", "172.31.0.0/16"]}]
    broken = Way(f"lost.{ZONE}", tmp_path, broken="policy", vpn_access=wider).broken
    assert "the gateway's live firewall doesn't let it through" in broken.finding
    assert "tracklib.vpn.reconcile" in (broken.action or "")


def test_load_balancer_without_a_healthy_target_is_named_until_one_is(tmp_path: Path) -> None:
    name = f"balanced.{ZONE}"
    alias = {"HostedZoneId": "Z1", "DNSName": services.create_balancer(BALANCER), "EvaluateTargetHealth": False}
    change = {"Action": "CREATE", "ResourceRecordSet": {"Name": name, "Type": "A", "AliasTarget": alias}}
    route53 = aws.client("route53")
    zone = route53.list_hosted_zones_by_name(DNSName=ZONE)["HostedZones"][0]
    assert zone["Name"] == f"{ZONE}."
    route53.change_resource_record_sets(HostedZoneId=zone["Id"], ChangeBatch={"Changes": [change]})
    group = services.forward(BALANCER, TASK)
    feed.feed()
    services.check_targets(group)
    broken = Way(name, tmp_path, broken="health").broken
    assert f"load balancer {BALANCER} has no healthy target" in broken.finding
    assert f"{hosts.task_addresses(TASK)[0]} is unhealthy" in broken.finding
    assert f"describe-target-health --target-group-arn {group}" in (broken.action or "")

    services.start_task(TASK)
    services.check_targets(group)
    way = Way(name, tmp_path)
    assert "is healthy" in way["health"].finding
    assert way["port"].finding == "open: 10.20.1.80 port 80, 10.20.2.80 port 80"


def test_cloud_map_service_whose_instances_are_unhealthy_is_named(tmp_path: Path) -> None:
    namespace = f"cloud.{ZONE}"
    made = actions.run_module(
        "cloud_map_service",
        namespace=namespace,
        vpc_id=aws.vpc_id(),
        name="api",
        health_check="custom",
        instances=[{"id": "one", "ipv4": SERVICE, "health": "UNHEALTHY"}],
    )
    assert not made.get("failed"), made
    feed.feed()
    broken = Way(f"api.{namespace}", tmp_path, broken="health").broken
    assert f"every instance of Cloud Map service api.{namespace} is unhealthy: one" in broken.finding


def test_closed_port_is_named(tmp_path: Path) -> None:
    way = Way(f"web.{ZONE}", tmp_path, broken="port", diagnose_port=81)
    assert way.broken.finding == "10.20.0.80 port 81: Connection refused"


def test_limit_that_leaves_no_gateway_ends_with_failure() -> None:
    done = actions.run_playbook("diagnose", "--limit=localhost", rc=2, diagnose_name=f"web.{ZONE}")
    assert "no gateway was asked" in done.failures[0]
    assert "--limit=localhost,gateway" in done.failures[0]
