# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What the names' logic makes of facts that the emulated AWS can't show."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils.aws import AWSCallError
from ansible_collections.tracklib.vpn.plugins.module_utils.names import declared, dns, ensure, resolve
from ansible_collections.tracklib.vpn.plugins.module_utils.names.cloud_map import Instance, Namespace, Service
from ansible_collections.tracklib.vpn.plugins.module_utils.names.hosts import hosts_lines
from ansible_collections.tracklib.vpn.plugins.module_utils.names.resolve import NameCatalog, RegisteredService
from ansible_collections.tracklib.vpn.plugins.module_utils.names.zones import RecordSet, Zone, zones_of_vpc

ZONE = Zone("Z1", "internal.example")
NAMESPACE = Namespace("internal.example", namespace_id="ns-1", zone_id="Z1")
SERVICE = Service("api", {"A": 15}, "MULTIVALUE", custom_health=False, service_id="srv-1", arn="arn:srv-1")


def record(name: str, kind: str, *values: str, alias: str | None = None, routing: str | None = None) -> RecordSet:
    return RecordSet("Z1", name, kind, 60, values, alias, routing)


def named(*records: RecordSet, registered: tuple[RegisteredService, ...] = ()) -> dict[str, resolve.PrivateName]:
    facts = NameCatalog([ZONE], records, registered, [])
    return {one.name: one for one in resolve.private_names(facts)}


def hosts_entry(name: str = "db.internal.example", *, fixed: bool = True, **more: Any) -> dict[str, Any]:
    at = {"address": "10.20.1.9", "fixed": fixed}
    return {"name": name, "types": ["A"], "addresses": [at], "reachable": None, "reason": None, "warnings": [], **more}


@pytest.mark.parametrize(
    ("written", "normal"), [("Api.Internal.Example.", "api.internal.example"), (r"\052.x.", "*.x"), ("a", "a")]
)
def test_names_are_compared_in_one_form(written: str, normal: str) -> None:
    assert dns.normal(written) == normal


def test_longest_name_is_253_characters() -> None:
    longest = ".".join(["a" * 63] * 3 + ["a" * 61])
    assert dns.parse(f"{longest}.", "name") == longest
    with pytest.raises(ValueError, match="has 254 characters; a DNS name has at most 253"):
        dns.parse(f"{longest}a", "name")


@pytest.mark.parametrize("name", ["", ".", "a..b", "-a", "a-", "a b", "a\nb", "*.a", "ä", "a/b"])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is not a DNS name"):
        dns.parse(name, "name")


def test_name_is_answered_from_the_most_specific_zone() -> None:
    zones = ["example", "internal.example", "api.internal.example"]
    assert dns.most_specific("x.internal.example", zones) == "internal.example"
    assert dns.most_specific("api.internal.example", zones) == "api.internal.example"
    assert dns.most_specific("xinternal.example", ["internal.example"]) is None


def test_names_that_lead_in_a_circle_end() -> None:
    found = named(
        record("a.internal.example", "CNAME", "b.internal.example."),
        record("b.internal.example", "CNAME", "a.internal.example."),
    )
    assert found["a.internal.example"].answer.addresses == []
    assert found["a.internal.example"].answer.warnings == [
        "a.internal.example -> b.internal.example -> a.internal.example goes in a circle"
    ]


def test_srv_leads_on_to_its_hosts_and_other_types_name_nothing() -> None:
    found = named(
        record("_http._tcp.internal.example", "SRV", "1 1 8080 one.internal.example."),
        record("one.internal.example", "AAAA", "fd20:0::1"),
        record("internal.example", "NS", "ns-1.awsdns-1.com."),
        record("internal.example", "TXT", '"x"'),
    )
    assert set(found) == {"_http._tcp.internal.example", "one.internal.example"}
    assert found["_http._tcp.internal.example"].answer.addresses == [resolve.NameAddress("fd20::1", True)]


def test_addresses_behind_a_routing_policy_move() -> None:
    answer = named(record("a.internal.example", "A", "10.20.1.9", routing="Failover"))["a.internal.example"].answer
    assert not answer.addresses[0].fixed
    assert "routing policy Failover" in answer.warnings[0]


def test_alias_to_a_cloud_map_service_leads_to_its_instances() -> None:
    instance = Instance("one", {"AWS_INSTANCE_IPV4": "10.20.1.5", "AVAILABILITY_ZONE": "eu-west-1a"})
    found = named(
        record("www.internal.example", "CNAME", "api.internal.example."),
        record("api.internal.example", "A", "10.20.1.5", routing="MultiValueAnswer"),
        registered=(RegisteredService(NAMESPACE, SERVICE, [instance], {"one": "UNHEALTHY"}),),
    )
    (at,) = found["www.internal.example"].answer.addresses
    assert at == resolve.NameAddress("10.20.1.5", False, "eu-west-1a", "one", "UNHEALTHY")
    assert found["api.internal.example"].source == resolve.NameSource.CLOUD_MAP


def test_service_without_instances_says_so() -> None:
    answer = named(registered=(RegisteredService(NAMESPACE, SERVICE, [], {}),))["api.internal.example"].answer
    assert "nothing is registered" in answer.warnings[0]


def test_zones_of_a_vpc_are_read_to_the_last_page_and_services_own_zones_marked() -> None:
    pages = [
        {
            "HostedZoneSummaries": [{"HostedZoneId": "Z1", "Name": "b.example.", "Owner": {"OwningAccount": "1"}}],
            "NextToken": "2",
        },
        {
            "HostedZoneSummaries": [
                {"HostedZoneId": "Z2", "Name": "a.example.", "Owner": {"OwningService": "efs.amazonaws.com"}}
            ]
        },
    ]

    class Route53:
        def list_hosted_zones_by_vpc(self, **request: str) -> Any:
            assert request["VPCId"] == "vpc-1"
            return pages[1] if request.get("NextToken") == "2" else pages[0]

    found = zones_of_vpc(Route53(), "vpc-1", "eu-west-1")
    assert [(zone.name, zone.owner, zone.of_service) for zone in found] == [
        ("a.example", "efs.amazonaws.com", True),
        ("b.example", "1", False),
    ]


def test_hosts_lines_hold_names_that_stay() -> None:
    assert hosts_lines([hosts_entry()]).lines == ["10.20.1.9 db.internal.example"]


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (hosts_entry(fixed=False), "its addresses move, now 10.20.1.9"),
        (hosts_entry(addresses=[], warnings=["x leads nowhere"]), "x leads nowhere"),
        (hosts_entry(addresses=[]), "it has no address"),
        (hosts_entry(reachable=False, reason="outside"), "outside"),
        (hosts_entry("*.internal.example"), "it is no host name"),
        (hosts_entry("a\n127.0.0.1 bank.example"), "it is no host name"),
        (hosts_entry(types=["SRV"]), "SRV"),
    ],
)
def test_other_names_are_left_out_of_hosts_lines_with_the_reason(entry: dict[str, Any], reason: str) -> None:
    """R15: a name from AWS is one word of one line, or none."""
    found = hosts_lines([entry])
    assert found.lines == []
    assert reason in found.left_out[0]["reason"]


def test_name_that_two_zones_have_is_left_out_of_hosts_lines() -> None:
    found = hosts_lines([hosts_entry(), hosts_entry()])
    assert found.lines == []
    assert "several zones have it" in found.left_out[0]["reason"]


class Operations:
    """Cloud Map, of which every operation ends as it is told."""

    def __init__(self, *ends: str) -> None:
        self._ends = list(ends)
        self.asked = 0

    def register_instance(self, **_: Any) -> dict[str, str]:
        return {"OperationId": str(len(self._ends))}

    def update_service(self, **request: Any) -> dict[str, str]:
        self.request = request
        return {"OperationId": "update"}

    def get_operation(self, OperationId: str) -> dict[str, Any]:
        self.asked += 1
        status = self._ends.pop(0)
        failure = {"ErrorCode": "CODE", "ErrorMessage": "text"} if status == "FAIL" else {}
        return {"Operation": {"Id": OperationId, "Status": status, **failure}}


def test_operations_are_waited_for_with_growing_pauses() -> None:
    pauses: list[float] = []
    client = Operations("SUBMITTED", "PENDING", "PENDING", "PENDING", "PENDING", "SUCCESS")
    changes = ensure.Changes(client, False, 60, pauses.append, lambda: 0.0)
    changes.submit("RegisterInstance", "register one")
    changes.wait()
    assert pauses == [0.25, 0.5, 1.0, 2.0, 2.0]


def test_waiting_ends_at_the_timeout() -> None:
    client = Operations(*["PENDING"] * 9)
    seconds = iter(range(0, 100, 10))
    changes = ensure.Changes(client, False, 30, lambda _: None, lambda: next(seconds))
    changes.submit("RegisterInstance", "register one")
    with pytest.raises(AWSCallError, match="failed to register one within 30 s"):
        changes.wait()
    assert client.asked == 3


def test_update_keeps_the_health_check_that_cloud_map_would_delete() -> None:
    client = Operations()
    found = SERVICE._replace(health_check={"Type": "HTTP"})
    changes = ensure.Changes(client, False, 60)
    ensure.ensure_service(changes, NAMESPACE, found, SERVICE._replace(records={"A": 30}))
    assert client.request["Service"] == {
        "DnsConfig": {"DnsRecords": [{"Type": "A", "TTL": 30}]},
        "HealthCheckConfig": {"Type": "HTTP"},
    }


def test_addresses_written_otherwise_are_no_change() -> None:
    changes = ensure.Changes(Operations(), True, 60)
    service = SERVICE._replace(records={"AAAA": 15})
    found = [Instance("one", {"AWS_INSTANCE_IPV6": "fd20::1", "AWS_INIT_HEALTH_STATUS": "HEALTHY"})]
    ensure.ensure_registered(changes, service, "api", found, [ensure.WantedInstance("one", ipv6="FD20:0:0::1")])
    assert not changes.changed


@pytest.mark.parametrize(
    ("kinds", "registration", "needs"),
    [
        (("A", "AAAA"), ensure.WantedInstance("one", ipv4="10.20.1.5"), "AAAA records, so it needs ipv6"),
        (("SRV",), ensure.WantedInstance("one", ipv4="10.20.1.5"), "SRV records, so it needs port"),
        (("SRV",), ensure.WantedInstance("one", port=80), "SRV records, so it needs port, and ipv4 or ipv6"),
    ],
)
def test_instance_that_lacks_what_a_record_needs_is_refused(
    kinds: tuple[str, ...], registration: ensure.WantedInstance, needs: str
) -> None:
    with pytest.raises(ValueError, match=needs):
        registration.check(SERVICE._replace(records=dict.fromkeys(kinds, 15)), "api.internal.example")


def test_private_address_is_registered_where_there_is_one() -> None:
    name = declared.DeclaredName("a", "internal.example", 15, ("A",), None, {"team": "net"})
    interface = {"Attachment": {"DeviceIndex": 0}, "Ipv6Addresses": [{"Ipv6Address": "fd20::1"}]}
    common = {"State": {"Name": "running"}, "Tags": [{"Key": "team", "Value": "net"}, {"Key": "x", "Value": "y"}]}
    both = {"InstanceId": "i-1", "PrivateIpAddress": "10.20.1.5", "PublicIpAddress": "198.51.100.1", **common}
    public = {"InstanceId": "i-2", "PublicIpAddress": "198.51.100.2", **common}
    six = {"InstanceId": "i-3", "NetworkInterfaces": [interface], **common}
    known = [declared._ec2_instance(one) for one in (both, public, six)]
    registrations, problems = declared.serving(name, known)
    assert [one.ipv4 for one in registrations] == ["10.20.1.5", "198.51.100.2"]
    assert problems == ["a.internal.example can't stand for i-3: it has no address for A"]
    assert declared.serving(name._replace(kinds=("AAAA",)), known[2:])[0][0].ipv6 == "fd20::1"
