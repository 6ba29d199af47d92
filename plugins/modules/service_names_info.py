#!/usr/bin/python
# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: service_names_info
version_added: 0.1.0
short_description: Lists the private names that tunnel users can reach, and what they stand for
description:
  - Reads the private hosted zones with their records, Cloud Map's DNS services with their instances and health,
    internal load balancers, and ECS services, each in one sweep to the last page, and follows aliases, C(CNAME) and
    C(SRV) records to addresses.
  - A name of a Cloud Map service comes once, in place of the records that Cloud Map made for it.
  - An answer is complete or the module fails. Where a zone that was asked for can't answer, RV(problems) says why.
  - Where zones overlap, such as V(internal.example) and V(api.internal.example), the VPC resolver answers a name from
    the most specific one alone. Names of the wider zone that it hides are not reachable (with O(vpc_id)).
  - Where a public zone has a private one's name, the private one alone answers in the VPC, and RV(zones[].warnings)
    says so. Names of public zones are never listed.
  - Needs C(route53:ListHostedZones), C(route53:ListHostedZonesByVPC) (with O(vpc_id)),
    C(route53:ListResourceRecordSets), C(servicediscovery:ListNamespaces), C(servicediscovery:ListServices),
    C(servicediscovery:ListInstances), C(servicediscovery:GetInstancesHealthStatus),
    C(elasticloadbalancing:DescribeLoadBalancers), C(ec2:DescribeNetworkInterfaces), C(ecs:ListClusters),
    C(ecs:ListServices), C(ecs:DescribeServices), and with O(tags) C(tag:GetResources) and
    C(route53:ListTagsForResources).
author:
  - Tracklib (@tracklib)
options:
  vpc_id:
    description:
      - List what this VPC's resolver answers, that is the zones that are associated with it, and its load balancers.
      - Without it, every private zone of the account counts, also those that a gateway can't resolve.
    type: str
  zones:
    description:
      - List only names of these private zones; load balancers' own names, which are in none, are left out.
      - Upper case and a final dot don't matter.
    type: list
    elements: str
  tags:
    description:
      - List only names whose zone, namespace, Cloud Map service or load balancer has all these tags, and ECS services
        that have them.
    type: dict
extends_documentation_fragment:
  - tracklib.vpn.access.optional
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
  - tracklib.vpn.attributes
  - tracklib.vpn.attributes.actiongroup_aws
  - tracklib.vpn.attributes.info_module
"""

EXAMPLES = r"""
- name: Read the names of the gateway's VPC
  tracklib.vpn.service_names_info:
    vpc_id: vpc-0123456789abcdef0
    zones: [internal.example]
    access:
      - groups: [vpn-developers]
        networks: [10.20.0.0/16]
  register: found

- name: Show those that the tunnel doesn't lead to
  ansible.builtin.debug:
    msg: "{{ found.names | selectattr('reachable', 'false') | items2dict(key_name='name', value_name='reason') }}"
"""

RETURN = r"""
names:
  description: The names, ordered.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The DNS name, in lower case, without final dot.
      type: str
      sample: api.internal.example
    source:
      description: V(record) in a private zone, V(cloud_map) or V(load_balancer).
      type: str
      sample: cloud_map
    zone:
      description: The zone that has it; null for a load balancer's own name.
      type: str
      sample: internal.example
    zone_id:
      description: Id of that zone; null for a load balancer's own name.
      type: str
      sample: Z0123456789ABCDEFGHIJ
    types:
      description: Types of its records.
      type: list
      elements: str
      sample: [A]
    ttl:
      description: Seconds that an answer may be kept; null where the target decides.
      type: int
      sample: 15
    target:
      description: The name that an alias, C(CNAME) or C(SRV) record leads to; null without one.
      type: str
      sample: internal-web-0123456789abcdef.elb.eu-west-1.amazonaws.com
    arn:
      description: ARN of the Cloud Map service or load balancer; null for a record.
      type: str
    addresses:
      description: Where the name leads now.
      type: list
      elements: dict
      contains:
        address:
          description: IPv4 or IPv6 address.
          type: str
          sample: 10.20.1.17
        fixed:
          description:
            - Whether it stays until somebody changes it, as of plain records and of network load balancers.
            - Addresses of Cloud Map instances, of application load balancers, and behind a routing policy move.
          type: bool
        availability_zone:
          description: Where it is; null if that isn't known.
          type: str
          sample: eu-west-1a
        instance_id:
          description: Id of the Cloud Map instance; null for others.
          type: str
        health:
          description: V(HEALTHY), V(UNHEALTHY) or V(UNKNOWN) by Cloud Map; null without a health check.
          type: str
    reachable:
      description: Whether O(access) grants all its addresses; null without O(access) or without an address.
      type: bool
    reason:
      description: Why it can't be reached; else null.
      type: str
      sample: 10.30.1.7 outside the networks that access grants
    warnings:
      description: What to know of it, such as that its addresses move.
      type: list
      elements: str
zones:
  description: The private zones, ordered.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name, without final dot.
      type: str
      sample: internal.example
    zone_id:
      description: Id.
      type: str
      sample: Z0123456789ABCDEFGHIJ
    owner:
      description: The account, or the AWS service, that owns it; null without O(vpc_id).
      type: str
      sample: "111122223333"
    namespace_id:
      description: Id of the Cloud Map namespace that it belongs to; null for others.
      type: str
    warnings:
      description: What to know of it, such as a public zone of the same name or one that it hides names of.
      type: list
      elements: str
ecs_services:
  description: The ECS services of the region, ordered by cluster and name; with O(zones) those registered there.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name of the service.
      type: str
      sample: api
    cluster:
      description: Name of its cluster.
      type: str
      sample: production
    arn:
      description: ARN.
      type: str
    state:
      description: V(ACTIVE), V(DRAINING) or V(INACTIVE).
      type: str
      sample: ACTIVE
    desired:
      description: How many tasks should run.
      type: int
    running:
      description: How many tasks run.
      type: int
    pending:
      description: How many tasks start.
      type: int
    registries:
      description: ARNs of the Cloud Map services that its tasks are registered in.
      type: list
      elements: str
    names:
      description: The private names of those.
      type: list
      elements: str
      sample: [api.internal.example]
    warnings:
      description: What keeps its tasks from being reached by name.
      type: list
      elements: str
problems:
  description: Sentences about the O(zones) that don't exist, are public, or aren't associated with O(vpc_id).
  returned: success
  type: list
  elements: str
"""

from typing import Any, Mapping, Sequence

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.tracklib.vpn.plugins.module_utils.access import ACCESS_OPTION, Access
from ansible_collections.tracklib.vpn.plugins.module_utils.addresses import Network
from ansible_collections.tracklib.vpn.plugins.module_utils.aws_module import client, one_line_failures
from ansible_collections.tracklib.vpn.plugins.module_utils.names import dns, resolve
from ansible_collections.tracklib.vpn.plugins.module_utils.names.clients import NameClients
from ansible_collections.tracklib.vpn.plugins.module_utils.names.ecs import EcsService, ecs_services
from ansible_collections.tracklib.vpn.plugins.module_utils.names.resolve import PrivateName, RegisteredService
from ansible_collections.tracklib.vpn.plugins.module_utils.names.survey import (
    NameSurvey,
    chosen_ecs_services,
    chosen_names,
    survey,
    tagged_ids,
)
from ansible_collections.tracklib.vpn.plugins.module_utils.names.zones import Zone


def _name_result(name: PrivateName, networks: Sequence[Network] | None) -> dict[str, Any]:
    reachable, reason = resolve.reachable(name, networks)
    zone = name.zone
    return {
        "name": name.name,
        "source": name.source.value,
        "zone": zone and zone.name,
        "zone_id": zone and zone.zone_id,
        "types": list(name.kinds),
        "ttl": name.ttl,
        "target": name.target,
        "arn": name.arn,
        "addresses": [address._asdict() for address in name.answer.addresses],
        "reachable": reachable,
        "reason": reason,
        "warnings": name.answer.warnings,
    }


def _ecs_result(service: EcsService, registered: Mapping[str, RegisteredService]) -> dict[str, Any]:
    return {
        "name": service.name,
        "cluster": service.cluster,
        "arn": service.arn,
        "state": service.state,
        "desired": service.desired,
        "running": service.running,
        "pending": service.pending,
        "registries": list(service.registries),
        "names": [registered[arn].dns_name for arn in service.registries if arn in registered],
        "warnings": resolve.ecs_warnings(service, registered),
    }


def _zone_result(zone: Zone, surveyed: NameSurvey) -> dict[str, Any]:
    overlapping = surveyed.vpc_zones or []
    warnings = resolve.zone_warnings(zone, surveyed.account_zones, overlapping, surveyed.is_readable(zone))
    return {
        "name": zone.name,
        "zone_id": zone.zone_id,
        "owner": zone.owner,
        "namespace_id": next((one.namespace_id for one in surveyed.namespaces if one.zone_id == zone.zone_id), None),
        "warnings": warnings,
    }


def run(module: AnsibleAWSModule) -> dict[str, Any]:
    params = module.params
    networks = None if params["access"] is None else Access.parse(params["access"]).networks()
    zones = None if params["zones"] is None else [dns.parse(zone, "zone") for zone in params["zones"]]
    clients = NameClients(*(client(module, service) for service in NameClients._fields))
    surveyed = survey(clients, params["vpc_id"], module.region)
    found_ecs = ecs_services(client(module, "ecs"))
    tagged = None
    if params["tags"]:
        tagging = client(module, "resourcegroupstaggingapi")
        tagged = tagged_ids(clients.route53, tagging, surveyed, params["tags"])
    problems = resolve.zone_problems(zones or [], surveyed.account_zones, surveyed.vpc_zones, params["vpc_id"])
    for problem in problems:
        module.warn(problem)
    services = chosen_ecs_services(found_ecs, surveyed, zones, tagged)
    return {
        "changed": False,
        "names": [_name_result(name, networks) for name in chosen_names(surveyed, zones, tagged)],
        "zones": [_zone_result(one, surveyed) for one in surveyed.private_zones if zones is None or one.name in zones],
        "ecs_services": [_ecs_result(service, surveyed.services_by_arn) for service in services],
        "problems": problems,
    }


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={
            "vpc_id": {"type": "str"},
            "zones": {"type": "list", "elements": "str"},
            "tags": {"type": "dict"},
            "access": {**ACCESS_OPTION, "required": False},
        },
        supports_check_mode=True,
    )
    with one_line_failures(module):
        result = run(module)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
