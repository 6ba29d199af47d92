#!/usr/bin/python
# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: name_diagnosis_info
version_added: 0.1.0
short_description: Reads what AWS says of one private name
description:
  - Reads the hosted zones that a name is under and what the name leads to there, by C(CNAME) and alias records and by
    Cloud Map instances, with the health of these and of the targets of load balancers.
  - It is what the playbook C(tracklib.vpn.diagnose) knows from AWS; P(tracklib.vpn.name_diagnosis#filter) makes a
    diagnosis of it. M(tracklib.vpn.service_names_info) lists all names instead.
  - Where zones overlap, the name is followed from the most specific one that is associated with the VPC, as the VPC's
    resolver does.
  - Needs C(route53:ListHostedZones), C(route53:ListHostedZonesByVPC), C(route53:ListResourceRecordSets),
    C(servicediscovery:ListNamespaces), C(servicediscovery:ListServices), C(servicediscovery:ListInstances),
    C(servicediscovery:GetInstancesHealthStatus), and where it leads to a load balancer
    C(elasticloadbalancing:DescribeLoadBalancers), C(elasticloadbalancing:DescribeListeners),
    C(elasticloadbalancing:DescribeTargetGroups), C(elasticloadbalancing:DescribeTargetHealth) and
    C(ec2:DescribeNetworkInterfaces).
author:
  - Tracklib (@tracklib)
options:
  name:
    description: The whole DNS name. Upper case and a final dot don't matter.
    type: str
    required: true
  vpc_id:
    description: The VPC whose resolver is asked, in the module's region.
    type: str
    required: true
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
  - tracklib.vpn.attributes
  - tracklib.vpn.attributes.actiongroup_aws
  - tracklib.vpn.attributes.info_module
seealso:
  - module: tracklib.vpn.name_probe
  - module: tracklib.vpn.service_names_info
"""

EXAMPLES = r"""
- name: Read what AWS says of a name
  tracklib.vpn.name_diagnosis_info:
    name: api.internal.example
    vpc_id: vpc-0123456789abcdef0
  register: found

- name: Show the zones that it is under
  ansible.builtin.debug:
    msg: "{{ found.zones | items2dict(key_name='name', value_name='associated') }}"
"""

RETURN = r"""
name:
  description: The name, in lower case, without final dot.
  returned: success
  type: str
  sample: api.internal.example
vpc_id:
  description: O(vpc_id).
  returned: success
  type: str
region:
  description: Region of the VPC.
  returned: success
  type: str
  sample: eu-west-1
zones:
  description: The hosted zones that the name is under, the most specific one first.
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
      description: The account, or the AWS service, that owns it; null for one that isn't associated.
      type: str
    private:
      description: Whether it is a private hosted zone.
      type: bool
    of_service:
      description: Whether an AWS service holds it in its own account.
      type: bool
    associated:
      description: Whether it is associated with the VPC.
      type: bool
    holds:
      description: Whether it has the name; null for a public zone and where its records can't be read.
      type: bool
private_zones:
  description: Names of all private zones of the VPC, without those that AWS services hold.
  returned: success
  type: list
  elements: str
names:
  description: The names on the way, the name itself first.
  returned: success
  type: list
  elements: str
types:
  description: Types of the name's records.
  returned: success
  type: list
  elements: str
services:
  description: The Cloud Map services on the way.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: DNS name.
      type: str
      sample: api.internal.example
    service_id:
      description: Id.
      type: str
      sample: srv-0123456789abcdef
    instances:
      description: What is registered in it.
      type: list
      elements: dict
      contains:
        instance_id:
          description: Id of the instance.
          type: str
        health:
          description: V(HEALTHY), V(UNHEALTHY) or V(UNKNOWN); null without a health check.
          type: str
balancers:
  description: The internal load balancers on the way.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name.
      type: str
    dns_name:
      description: Its own DNS name.
      type: str
    arn:
      description: ARN.
      type: str
    target_groups:
      description: Its target groups.
      type: list
      elements: dict
      contains:
        name:
          description: Name.
          type: str
        arn:
          description: ARN.
          type: str
        targets:
          description: Its targets, each with C(target_id), C(port), C(state) and C(reason).
          type: list
          elements: dict
ports:
  description: The TCP ports that load balancers listen on or that Cloud Map has of instances; empty if none is known.
  returned: success
  type: list
  elements: int
notes:
  description: What to know of the name, such as that its addresses move.
  returned: success
  type: list
  elements: str
similar:
  description: Names like it that exist.
  returned: success
  type: list
  elements: str
"""

from typing import Any

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.tracklib.vpn.plugins.module_utils.aws_module import client, one_line_failures
from ansible_collections.tracklib.vpn.plugins.module_utils.names import cloud_map, dns
from ansible_collections.tracklib.vpn.plugins.module_utils.names.clients import NameClients
from ansible_collections.tracklib.vpn.plugins.module_utils.names.resolve import RegisteredService
from ansible_collections.tracklib.vpn.plugins.module_utils.names.trace import (
    BalancerTrace,
    NameTrace,
    ZoneAbove,
    trace_name,
)


def _zone(above: ZoneAbove) -> dict[str, Any]:
    return {**above.zone._asdict(), "associated": above.associated, "holds": above.holds}


def _service(one: RegisteredService) -> dict[str, Any]:
    return {
        "name": one.dns_name,
        "service_id": one.service.service_id,
        "instances": [
            {"instance_id": instance.instance_id, "health": one.health.get(instance.instance_id)}
            for instance in one.instances
        ],
    }


def _balancer(one: BalancerTrace) -> dict[str, Any]:
    return {
        "name": one.balancer.name,
        "dns_name": one.balancer.dns_name,
        "arn": one.balancer.arn,
        "target_groups": [
            {"name": group.name, "arn": group.arn, "targets": [target._asdict() for target in group.targets]}
            for group in one.groups
        ],
    }


def _ports(trace: NameTrace) -> list[int]:
    instances = (instance for one in trace.registered for instance in one.instances)
    registered = {int(one.attributes[cloud_map.PORT]) for one in instances if cloud_map.PORT in one.attributes}
    return sorted({port for one in trace.balanced for port in one.ports} | registered)


def run(module: AnsibleAWSModule) -> dict[str, Any]:
    name = dns.parse(module.params["name"], "name")
    clients = NameClients(*(client(module, service) for service in NameClients._fields))
    trace = trace_name(clients, name, module.params["vpc_id"], module.region)
    return {
        "changed": False,
        "name": trace.name,
        "vpc_id": module.params["vpc_id"],
        "region": module.region,
        "zones": [_zone(above) for above in trace.above],
        "private_zones": trace.private_zones,
        "names": trace.names,
        "types": trace.kinds,
        "services": [_service(one) for one in trace.registered],
        "balancers": [_balancer(one) for one in trace.balanced],
        "ports": _ports(trace),
        "notes": trace.notes,
        "similar": trace.similar,
    }


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={"name": {"type": "str", "required": True}, "vpc_id": {"type": "str", "required": True}},
        supports_check_mode=True,
    )
    with one_line_failures(module):
        result = run(module)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
