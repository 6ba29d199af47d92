# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What the inventory plugin makes of EC2's descriptions, where the emulated EC2 can't show it."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleParserError
from ansible_collections.tracklib.vpn.plugins.inventory import gateway as plugin
from ansible_collections.tracklib.vpn.plugins.module_utils.names.zones import Zone

INSTANCE: dict[str, Any] = {
    "InstanceId": "i-0a",
    "InstanceType": "t3.micro",
    "OwnerId": "123456789012",
    "Placement": {"AvailabilityZone": "eu-west-1a"},
    "VpcId": "vpc-1",
}


def interface(index: int, *addresses: str, primary: str | None = None) -> dict[str, Any]:
    return {
        "Attachment": {"DeviceIndex": index},
        "Ipv6Addresses": [{"Ipv6Address": one, "IsPrimaryIpv6": one == primary} for one in addresses],
    }


def names(hostnames: list[Any], *gateways: dict[str, Any]) -> tuple[list[str], list[str]]:
    common: dict[str, Any] = {"region": "eu-west-1", "instance_tags": {}, "public_dns_name": None}
    return plugin._host_names(
        [
            {**common, "attached_at": "2026", "instance_id": f"i-{number}", **gateway}
            for number, gateway in enumerate(gateways)
        ],
        hostnames,
    )


def test_endpoint_is_the_public_address_also_when_there_is_ipv6() -> None:
    instance = {**INSTANCE, "PublicIpAddress": "198.51.100.1", "NetworkInterfaces": [interface(0, "2001:db8::1")]}
    assert plugin._host_variables(instance, {}, "eu-west-1")["wireguard_endpoint"] == "198.51.100.1"


def test_endpoint_is_the_first_interface_s_primary_ipv6_address_in_brackets() -> None:
    interfaces = [interface(1, "2001:db8::1"), interface(0, "2001:db8::2", "2001:db8::3", primary="2001:db8::3")]
    variables = plugin._host_variables({**INSTANCE, "NetworkInterfaces": interfaces}, {}, "eu-west-1")
    assert variables["wireguard_endpoint"] == "[2001:db8::3]"
    assert variables["ipv6_addresses"] == ["2001:db8::3", "2001:db8::2", "2001:db8::1"]


def test_without_a_public_address_there_is_no_endpoint() -> None:
    assert plugin._host_variables(INSTANCE, {}, "eu-west-1")["wireguard_endpoint"] is None


def test_vpc_s_cidrs_are_those_in_use() -> None:
    vpc = {
        "CidrBlock": "10.20.0.0/16",
        "CidrBlockAssociationSet": [
            {"CidrBlock": "10.20.0.0/16", "CidrBlockState": {"State": "associated"}},
            {"CidrBlock": "10.30.0.0/16", "CidrBlockState": {"State": "associating"}},
            {"CidrBlock": "10.40.0.0/16", "CidrBlockState": {"State": "disassociated"}},
        ],
        "Ipv6CidrBlockAssociationSet": [
            {"Ipv6CidrBlock": "2001:db8::/56", "Ipv6CidrBlockState": {"State": "associated"}},
            {"Ipv6CidrBlock": "2001:db8:1::/56", "Ipv6CidrBlockState": {"State": "failed"}},
        ],
    }
    variables = plugin._host_variables(INSTANCE, vpc, "eu-west-1")
    assert variables["vpc_cidrs"] == ["10.20.0.0/16", "10.30.0.0/16", "2001:db8::/56"]
    assert variables["vpc_resolver"] == "10.20.0.2"


def test_zones_that_an_aws_service_holds_are_not_private_zones() -> None:
    efs = Zone("Z1", "fs-1.efs.eu-west-1.amazonaws.com", "efs.amazonaws.com", of_service=True)
    assert plugin._zone_names([efs, Zone("Z2", "internal.example", "123456789012")]) == ["internal.example"]


def test_first_hostname_that_gives_a_name_wins() -> None:
    found = names(
        ["tag:Name", "dns-name", "instance-id"], {"instance_tags": {"Name": "gw"}}, {"public_dns_name": "a.b"}, {}
    )
    assert found == (["gw", "a.b", "i-2"], [])


def test_prefix_goes_before_the_name() -> None:
    with_prefix = {"name": "instance-id", "prefix": "tag:Name", "separator": "-"}
    assert names([with_prefix], {"instance_tags": {"Name": "gw"}}, {}) == (["gw-i-0", "i-1"], [])


@pytest.mark.parametrize(
    "name",
    ["localhost", "127.0.0.1", "all", "vpn_gateways", "a b", "a\nb", "a[1:9]", "-a", "{{ x }}", "a:22", "../a", ""],
)
def test_name_that_ansible_would_take_for_something_else_is_not_used(name: str) -> None:
    """R15."""
    found, warnings = names(["tag:Name"], {"instance_tags": {"Name": name}})
    assert found == ["i-0"]
    assert warnings == ["i-0 in eu-west-1 is named by its id: hostnames gives it no usable name"]


@pytest.mark.parametrize(("second", "found"), [("2027", ["gw", "gw-i-1"]), ("2025", ["gw-i-0", "gw"])])
def test_of_gateways_of_one_name_it_is_that_of_the_one_that_was_there_first(second: str, found: list[str]) -> None:
    same = {"instance_tags": {"Name": "gw"}}
    other = {"instance_tags": {"Name": "other"}}
    named, warnings = names(["tag:Name"], same, {**same, "region": "us-east-1", "attached_at": second}, other)
    assert named == [*found, "other"]
    first = "i-0" if found[0] == "gw" else "i-1"
    said = (
        f"would all be host gw; that is {first}, which was there first, and the others have their ids added to the name"
    )
    assert warnings == [f"i-0 in eu-west-1, i-1 in us-east-1 {said}"]


def test_of_gateways_that_were_made_at_one_time_the_name_stays_with_the_same_one() -> None:
    same = {"instance_tags": {"Name": "gw"}}
    assert names(["tag:Name"], same, same, same)[0] == ["gw", "gw-i-1", "gw-i-2"]


def test_name_made_to_meet_another_s_is_refused() -> None:
    same = {"instance_tags": {"Name": "gw"}}
    with pytest.raises(AnsibleParserError, match="two gateways would have one host name"):
        names(["tag:Name"], same, same, {"instance_tags": {"Name": "gw-i-1"}})


@pytest.mark.parametrize(("hostname", "named"), [("dnsname", "dnsname"), ({"prefix": "x"}, "prefix"), (7, "7")])
def test_unknown_hostname_is_refused_by_name(hostname: Any, named: str) -> None:
    with pytest.raises(AnsibleParserError, match=named):
        names([hostname], {})
