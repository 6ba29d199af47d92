# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: gateway
version_added: 0.1.0
short_description: Finds the VPN gateways in EC2
description:
  - Makes every EC2 instance that matches O(filters) a host of group C(vpn_gateways), with what the role
    P(tracklib.vpn.gateway#role) and the clients need to know of it.
  - The file's name ends in C(.gateway.yml) or C(.gateway.yaml).
  - Asks AWS once for the instances of a region and once for their VPCs (more often only over 1,000 instances), and
    once for the private zones of each VPC.
  - Host variables are C(wireguard_endpoint), C(vpc_id), C(vpc_cidrs) (IPv4 and IPv6), C(vpc_resolver) (the base
    address of the VPC + 2), C(private_zones), C(source_dest_check), C(metadata_options)
    (C(http_endpoint), C(http_tokens), C(http_put_response_hop_limit)), C(instance_id), C(instance_type),
    C(instance_profile) (its ARN, or null), C(account_id), C(region), C(availability_zone), C(subnet_id),
    C(private_ip_address), C(private_dns_name), C(public_ip_address), C(public_dns_name), C(ipv6_addresses),
    C(instance_tags) and
    C(attached_at), when its first network interface was attached.
  - C(wireguard_endpoint) is what clients dial, the public (elastic) address of the instance, or its IPv6 address in
    brackets where that is all it has, or null. Set it with O(compose) where clients dial a name or a load balancer.
  - C(private_zones) has the names, without final dot, of the private hosted zones that are associated with the VPC,
    those that Cloud Map made for its DNS namespaces among them. Zones that an AWS service holds in its own account
    (such as those of EFS and interface endpoints) are left out, because clients would then reach names like
    C(s3.eu-west-1.amazonaws.com) through the tunnel. It is null where O(strict_permissions=false) and the permission
    is missing. Zones that reach the VPC through a Route 53 Profile aren't found.
  - In O(compose), O(groups) and O(keyed_groups) the tags are also C(tags), as in P(amazon.aws.aws_ec2#inventory). No
    host variable has that name, because Ansible reserves it and would warn in every run.
  - What comes from AWS, tags above all, is never evaluated as a template.
  - When AWS doesn't say which gateways there are, because it can't be reached, doesn't answer within 12 seconds, or
    refuses the credentials, they are those of its last answer to the same question, with a warning.
  - Two instances that would have one name are both named C(NAME-INSTANCE_ID), with a warning.
author:
  - Tracklib (@tracklib)
extends_documentation_fragment:
  - inventory_cache
  - constructed
  - amazon.aws.boto3
  - amazon.aws.common.plugins
  - amazon.aws.region.plugins
  - amazon.aws.assume_role.plugins
notes:
  - The credentials need C(ec2:DescribeInstances), C(ec2:DescribeVpcs) and C(route53:ListHostedZonesByVPC), and
    C(sts:AssumeRole) on O(assume_role_arn).
  - The cache holds the host variables and never the credentials. It isn't used after O(regions), O(filters),
    O(profile), O(endpoint_url) or O(assume_role_arn) changed, nor when no gateway was found.
options:
  last_seen_dir:
    description: Where the last answer is kept, readable by its owner alone, for when AWS can't be reached.
    type: path
    default: ~/.cache/tracklib-vpn
  plugin:
    description: Names this plugin.
    type: str
    required: true
    choices: [tracklib.vpn.gateway]
  regions:
    description:
      - The regions in which to look.
      - By default only O(region), or the region of the environment or profile.
    type: list
    elements: str
    default: []
  filters:
    description:
      - What tells gateways from other instances, with the names and values of EC2's C(DescribeInstances) filters.
      - Without C(instance-state-name) only running instances are found.
      - A value is a string or a list of which one must match. Different names must all match.
    type: dict
    required: true
  hostnames:
    description:
      - What names a host, the first that gives a name wins.
      - Each is V(dns-name) (public), V(private-dns-name), V(ip-address) (public), V(private-ip-address),
        V(instance-id) or V(tag:KEY), or a dictionary of C(name) and, put before it with C(separator) (by default
        V(_)) between, C(prefix).
      - A name of other characters than letters, digits, C(.), C(_) and C(-), or one that Ansible has another meaning
        for (such as V(localhost)), isn't used. An instance for which none is left is named by its id.
    type: list
    elements: raw
    default: [dns-name, private-dns-name]
  strict_permissions:
    description:
      - Whether a missing permission is an error.
      - With V(false) it is a warning. Gateways of that region are those that were last seen, if any were; such an
        answer isn't cached. Where only the private zones can't be read, C(private_zones) is null.
    type: bool
    default: true
"""

EXAMPLES = r"""
---
# vpn.gateway.yml: the gateways of two regions
plugin: tracklib.vpn.gateway
regions:
  - eu-west-1
  - us-east-1
filters:
  tag:Role: vpn-gateway

---
# named by a tag and reached at the private address; clients dial a name of our own
plugin: tracklib.vpn.gateway
regions: [eu-west-1]
filters:
  tag:Role: vpn-gateway
hostnames:
  - tag:Name
  - instance-id
compose:
  ansible_host: private_ip_address
  wireguard_endpoint: tags.endpoint | default(public_ip_address)
keyed_groups:
  - prefix: vpn
    key: region

---
# cached for five minutes, read with a role of another account
plugin: tracklib.vpn.gateway
regions: [eu-west-1]
filters:
  tag:Role: vpn-gateway
assume_role_arn: arn:aws:iam::444455556666:role/vpn-inventory
cache: true
cache_plugin: ansible.builtin.jsonfile
cache_connection: ~/.cache/tracklib-vpn/inventory
cache_timeout: 300
"""

import json
import re
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from ipaddress import IPv4Network
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible.errors import AnsibleError, AnsibleParserError
from ansible.plugins.inventory import BaseInventoryPlugin
from ansible_collections.amazon.aws.plugins.module_utils.tagging import boto3_tag_list_to_ansible_dict
from ansible_collections.amazon.aws.plugins.module_utils.transformation import ansible_dict_to_boto3_filter_list
from ansible_collections.amazon.aws.plugins.plugin_utils.inventory import AWSInventoryBase
from ansible_collections.tracklib.vpn.plugins.module_utils.aws import (
    CLIENT_CONFIG,
    DENIED_CODES,
    AWSCallError,
    calling,
)
from ansible_collections.tracklib.vpn.plugins.module_utils.last_seen import LastSeen, within
from ansible_collections.tracklib.vpn.plugins.module_utils.names.zones import Zone, zones_of_vpc

if TYPE_CHECKING:
    from ansible.inventory.data import InventoryData
    from ansible.parsing.dataloader import DataLoader

    # JSON, because it is cached
    HostVariables = dict[str, Any]

GROUP = "vpn_gateways"
_DEADLINE = 12  # seconds to wait for AWS where there is a last answer
_PAGE = 1000  # EC2's largest
_SESSION_NAME = "ansible_aws_tracklib.vpn.gateway_dynamic_inventory"  # as amazon.aws names those of its inventories
_HOST_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,252}")
_TAKEN_NAMES = ("all", "ungrouped", "localhost", "127.0.0.1", GROUP)
_ATTRIBUTES = {
    "dns-name": "public_dns_name",
    "instance-id": "instance_id",
    "ip-address": "public_ip_address",
    "private-dns-name": "private_dns_name",
    "private-ip-address": "private_ip_address",
}


class InventoryModule(AWSInventoryBase):  # type: ignore[misc]  # amazon.aws brings no types
    NAME = "tracklib.vpn.gateway"
    INVENTORY_FILE_SUFFIXES = (".gateway.yml", ".gateway.yaml")

    class TemplatedOptions(AWSInventoryBase.TemplatedOptions):  # type: ignore[misc]  # as above
        """As in amazon.aws, without the argument of `template` that ansible-core 2.19 deprecates."""

        def get(self, *args: Any) -> Any:
            value = self.original_options.get(*args)
            if not value or not self.templar or args[0] not in self.TEMPLATABLE_OPTIONS:
                return value
            return self.templar.template(value)

    def parse(self, inventory: InventoryData, loader: DataLoader, path: str, cache: bool = True) -> None:
        # not AWSInventoryBase's, which would assume the role here already: a cached answer needs none
        BaseInventoryPlugin.parse(self, inventory, loader, path, cache=cache)
        self.require_aws_sdk()
        self._read_config_data(path)
        query = self._query()
        gateways = self._cached(query, path, cache)
        if not gateways:
            gateways, is_whole = self._found_or_last_seen(query)
            if is_whole:  # a part in the cache would hide the rest until the cache ends
                self.update_cached_result(path, False, {"query": query, "gateways": gateways})
        if not gateways:
            self.warn(
                f"no gateway found: no instance in {', '.join(query['regions'])} matches the filters "
                f"{json.dumps(query['filters'])}"
            )
        self._add(gateways)

    def _query(self) -> dict[str, Any]:
        """What is asked for and where, without the credentials."""
        regions = self.get_option("regions") or [self.region]
        if None in regions:
            raise AnsibleParserError("no AWS region to look for gateways in; set regions or AWS_REGION")
        filters = self.get_option("filters")
        if not filters:
            raise AnsibleParserError("filters is empty, so that every instance would be a gateway; name what marks one")
        where = {name: self.get_option(name) for name in ("profile", "endpoint_url", "assume_role_arn")}
        return {
            **where,
            "regions": list(dict.fromkeys(regions)),
            "filters": {"instance-state-name": "running", **filters},
        }

    def _cached(self, query: dict[str, Any], path: str, cache: bool) -> list[HostVariables]:
        """The cached answer to the same query; empty without one."""
        is_cached, answer = self.get_cached_result(path, cache)
        if not is_cached or answer["query"] != query:
            return []
        gateways: list[HostVariables] = answer["gateways"]
        return gateways

    def _found_or_last_seen(self, query: dict[str, Any]) -> tuple[list[HostVariables], bool]:
        """Ask AWS; where it can't be asked, take its last answer, so that a leaver can be cut off all the same.

        :returns: the gateways, and whether AWS has told of all of them now.
        """
        last_seen = LastSeen(Path(self.get_option("last_seen_dir")).expanduser(), query)
        answer = last_seen.read()
        if answer is None:
            gateways, denied = self._find(query)
        else:
            seen = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(answer.at))
            try:
                gateways, denied = within(_DEADLINE, lambda: self._find(query))
            except (AnsibleError, TimeoutError) as error:  # also of credentials that ended: somebody has to be cut off
                self.warn(f"AWS didn't say which gateways there are ({error}); they are those last seen, at {seen}")
                return list(answer.value), False
            for region in denied:
                self.warn(f"the gateways of {region} are those that were last seen, at {seen}")
            gateways += [gateway for gateway in answer.value if gateway["region"] in denied]
        if gateways and not denied:
            try:
                last_seen.write(gateways)
            except ValueError as error:
                self.warn(f"the gateways can't be kept for when AWS can't be reached: {error}")
        return gateways, not denied

    def _find(self, query: dict[str, Any]) -> tuple[list[HostVariables], list[str]]:
        """Ask AWS.

        :returns: the gateways, and the regions whose instances the credentials may not see.
        """
        from botocore.config import Config

        options = {"config": Config(**CLIENT_CONFIG), **self._credentials()}
        filters = ansible_dict_to_boto3_filter_list(query["filters"])
        found = {region: self._find_in(region, filters, options) for region in query["regions"]}
        gateways = [gateway for of_region in found.values() for gateway in of_region or ()]
        return gateways, [region for region, of_region in found.items() if of_region is None]

    def _credentials(self) -> dict[str, Any]:
        """The options of a client that has the role to assume; none without such a role."""
        role_arn = self.get_option("assume_role_arn")
        if not role_arn:
            return {}
        try:
            with calling("sts:AssumeRole", role_arn):
                answer = self.client("sts").assume_role(RoleArn=role_arn, RoleSessionName=_SESSION_NAME)
        except AWSCallError as error:
            raise AnsibleParserError(_explain(error)) from None
        given = answer["Credentials"]
        return {
            "profile_name": None,
            "aws_access_key_id": given["AccessKeyId"],
            "aws_secret_access_key": given["SecretAccessKey"],
            "aws_session_token": given["SessionToken"],
        }

    def _find_in(
        self, region: str, filters: list[dict[str, Any]], options: dict[str, Any]
    ) -> list[HostVariables] | None:
        """The gateways of a region; None if the credentials may not see its instances."""
        ec2 = self.client("ec2", region=region, **options)
        instances: list[dict[str, Any]] | None = None
        vpcs: dict[str, dict[str, Any]] = {}
        with self._one_line_errors():
            instances = _describe_instances(ec2, region, filters)
        if instances is None:
            return None
        with self._one_line_errors():
            vpcs = _describe_vpcs(ec2, region, _vpc_ids(instances))
        zones = self._private_zones(self.client("route53", region=region, **options), region, list(vpcs))
        return [
            {
                **_host_variables(instance, vpcs.get(instance.get("VpcId", ""), {}), region),
                "private_zones": zones.get(instance.get("VpcId", "")),
            }
            for instance in instances
        ]

    def _private_zones(self, route53: Any, region: str, vpc_ids: list[str]) -> dict[str, list[str]]:
        """The names of each VPC's private zones; a VPC whose zones can't be read is missing."""
        by_vpc = {}
        with self._one_line_errors():
            for vpc_id in vpc_ids:
                by_vpc[vpc_id] = _zone_names(zones_of_vpc(route53, vpc_id, region))
        return by_vpc

    @contextmanager
    def _one_line_errors(self) -> Iterator[None]:
        try:
            yield
        except AWSCallError as error:
            if error.code in DENIED_CODES and not self.get_option("strict_permissions"):
                self.warn(f"{error}; going on without, because strict_permissions is off")
                return
            raise AnsibleParserError(_explain(error)) from None

    def _add(self, gateways: list[HostVariables]) -> None:
        self.inventory.add_group(GROUP)
        names, warnings = _host_names(gateways, self.get_option("hostnames"))
        for warning in warnings:
            self.warn(warning)
        for name, variables in zip(names, gateways):
            self.inventory.add_host(name, group=GROUP)
            for key, value in variables.items():
                self.inventory.set_variable(name, key, value)
            self._construct(name, {**variables, "tags": variables["instance_tags"]})

    def _construct(self, name: str, variables: HostVariables) -> None:
        strict = self.get_option("strict")
        self._set_composite_vars(self.get_option("compose"), variables, name, strict=strict)
        self._add_host_to_composed_groups(self.get_option("groups"), variables, name, strict=strict)
        self._add_host_to_keyed_groups(self.get_option("keyed_groups"), variables, name, strict=strict)


def _describe_instances(ec2: Any, region: str, filters: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Instances as EC2 describes them, each with its reservation's OwnerId."""
    with calling("ec2:DescribeInstances", f"the instances of {region}"):
        pages = ec2.get_paginator("describe_instances").paginate(Filters=filters, PaginationConfig={"PageSize": _PAGE})
        return [
            {**instance, "OwnerId": reservation["OwnerId"]}
            for page in pages
            for reservation in page["Reservations"]
            for instance in reservation["Instances"]
        ]


def _vpc_ids(instances: list[dict[str, Any]]) -> list[str]:
    """Terminated instances, which filters may ask for, have none."""
    return sorted({instance["VpcId"] for instance in instances if "VpcId" in instance})


def _describe_vpcs(ec2: Any, region: str, vpc_ids: list[str]) -> dict[str, dict[str, Any]]:
    """VPCs as EC2 describes them, by their ids; asks nothing when there is nothing to ask."""
    if not vpc_ids:
        return {}
    with calling("ec2:DescribeVpcs", f"the VPCs of {region}"):
        pages = ec2.get_paginator("describe_vpcs").paginate(VpcIds=vpc_ids)
        return {vpc["VpcId"]: vpc for page in pages for vpc in page["Vpcs"]}


def _zone_names(zones: list[Zone]) -> list[str]:
    """Without the zones that AWS services hold, whose names clients reach without the tunnel."""
    return list(dict.fromkeys(zone.name for zone in zones if not zone.of_service))


def _host_variables(instance: dict[str, Any], vpc: dict[str, Any], region: str) -> HostVariables:
    return {
        "account_id": instance["OwnerId"],
        "attached_at": _attached_at(instance),
        "availability_zone": instance["Placement"]["AvailabilityZone"],
        "instance_id": instance["InstanceId"],
        "instance_profile": instance.get("IamInstanceProfile", {}).get("Arn"),
        "instance_tags": boto3_tag_list_to_ansible_dict(instance.get("Tags", [])),
        "instance_type": instance["InstanceType"],
        "ipv6_addresses": _ipv6_addresses(instance),
        "metadata_options": _metadata_options(instance),
        "private_dns_name": instance.get("PrivateDnsName") or None,
        "private_ip_address": instance.get("PrivateIpAddress"),
        "public_dns_name": instance.get("PublicDnsName") or None,
        "public_ip_address": instance.get("PublicIpAddress"),
        "region": region,
        "source_dest_check": instance.get("SourceDestCheck"),
        "subnet_id": instance.get("SubnetId"),
        "vpc_cidrs": _vpc_cidrs(vpc),
        "vpc_id": instance.get("VpcId"),
        "vpc_resolver": _vpc_resolver(vpc),
        "wireguard_endpoint": _endpoint(instance),
    }


def _attached_at(instance: dict[str, Any]) -> str:
    """When its first network interface was attached: as it was made, and never again. EC2's LaunchTime is the last
    start.
    """
    interfaces = sorted(instance.get("NetworkInterfaces", []), key=_device_index)
    times = [interface["Attachment"].get("AttachTime") for interface in interfaces]
    at = next((time for time in (*times, instance.get("LaunchTime")) if time is not None), None)
    return "" if at is None else str(at.isoformat())


def _metadata_options(instance: dict[str, Any]) -> dict[str, Any]:
    options = instance.get("MetadataOptions", {})
    return {
        "http_endpoint": options.get("HttpEndpoint"),
        "http_put_response_hop_limit": options.get("HttpPutResponseHopLimit"),
        "http_tokens": options.get("HttpTokens"),
    }


def _endpoint(instance: dict[str, Any]) -> str | None:
    """An address rather than EC2's public name for it: the name changes with the address, and needs DNS to dial."""
    address: str | None = instance.get("PublicIpAddress")
    if address:
        return address
    return next((f"[{address}]" for address in _ipv6_addresses(instance)), None)


def _ipv6_addresses(instance: dict[str, Any]) -> list[str]:
    """Those of the first interface come first, and there the primary one, which EC2 never takes away."""
    interfaces = sorted(instance.get("NetworkInterfaces", []), key=_device_index)
    return [
        address["Ipv6Address"]
        for interface in interfaces
        for address in sorted(interface.get("Ipv6Addresses", []), key=_is_secondary)
    ]


def _device_index(interface: dict[str, Any]) -> int:
    index: int = interface["Attachment"]["DeviceIndex"]
    return index


def _is_secondary(address: dict[str, Any]) -> bool:
    return not address.get("IsPrimaryIpv6", False)


def _vpc_cidrs(vpc: dict[str, Any]) -> list[str]:
    v4 = [vpc["CidrBlock"]] if vpc else []
    v4 += _associated(vpc.get("CidrBlockAssociationSet", []), "CidrBlock")
    return list(dict.fromkeys(v4 + _associated(vpc.get("Ipv6CidrBlockAssociationSet", []), "Ipv6CidrBlock")))


def _associated(associations: list[dict[str, Any]], kind: str) -> list[str]:
    return [
        association[kind]
        for association in associations
        if association[f"{kind}State"]["State"] in ("associating", "associated")
    ]


def _vpc_resolver(vpc: dict[str, Any]) -> str | None:
    return str(IPv4Network(vpc["CidrBlock"])[2]) if vpc else None


def _host_names(gateways: list[HostVariables], hostnames: Sequence[Any]) -> tuple[list[str], list[str]]:
    """Each gateway's host name, no two alike, and what to warn of."""
    usable = [_host_name(gateway, hostnames) for gateway in gateways]
    names = [name or gateway["instance_id"] for name, gateway in zip(usable, gateways)]
    shared = {name for name, count in Counter(names).items() if count > 1}
    # variables, limits and receipts hang on a name, so that of one which was there before stays
    ages = [(gateway["attached_at"], gateway["instance_id"]) for gateway in gateways]
    oldest = {name: min(age for age, its_name in zip(ages, names) if its_name == name) for name in shared}
    unique = [f"{name}-{age[1]}" if name in shared and age != oldest[name] else name for name, age in zip(names, ages)]
    if len(set(unique)) < len(unique):
        raise AnsibleParserError(f"two gateways would have one host name among {sorted(unique)}; change hostnames")
    warnings = [
        f"{_label(gateway)} is named by its id: hostnames gives it no usable name"
        for name, gateway in zip(usable, gateways)
        if name is None
    ]
    for name in sorted(shared):
        holders = [_label(gateway) for gateway, its_name in zip(gateways, names) if its_name == name]
        warnings.append(
            f"{', '.join(holders)} would all be host {name}; that is {oldest[name][1]}, which was there first, and the "
            "others have their ids added to the name"
        )
    return unique, warnings


def _host_name(gateway: HostVariables, hostnames: Sequence[Any]) -> str | None:
    """The first usable name that `hostnames` gives; None without any."""
    wanted = (_preferred(gateway, preference) for preference in hostnames)
    return next((name for name in wanted if name and _HOST_NAME.fullmatch(name) and name not in _TAKEN_NAMES), None)


def _preferred(gateway: HostVariables, preference: Any) -> str | None:
    if isinstance(preference, str):
        return _attribute(gateway, preference)
    if not isinstance(preference, dict) or "name" not in preference:
        raise AnsibleParserError(f"hostnames has {preference!r}; a string, or a dictionary with name, is expected")
    name = _attribute(gateway, preference["name"])
    prefix = _attribute(gateway, preference["prefix"]) if "prefix" in preference else None
    if not name or not prefix:
        return name
    return f"{prefix}{preference.get('separator', '_')}{name}"


def _attribute(gateway: HostVariables, attribute: str) -> str | None:
    if attribute.startswith("tag:"):
        tag: str | None = gateway["instance_tags"].get(attribute[len("tag:") :])
        return tag
    if attribute not in _ATTRIBUTES:
        raise AnsibleParserError(f"hostnames has {attribute}; expected tag:KEY or one of {', '.join(_ATTRIBUTES)}")
    value: str | None = gateway[_ATTRIBUTES[attribute]]
    return value


def _label(gateway: HostVariables) -> str:
    return f"{gateway['instance_id']} in {gateway['region']}"


def _explain(error: AWSCallError) -> str:
    if error.code == "AuthFailure":
        return f"{error}; EC2 also answers so in a region that the account hasn't enabled"
    return str(error)
