#!/usr/bin/python
# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: cloud_map_service
version_added: 0.1.0
short_description: Keeps a private DNS namespace of Cloud Map, a service in it, and its instances
description:
  - Makes a private DNS namespace, a service in it, and registers named instances, and waits until Cloud Map has done
    it. RV(registry_arn) is what an ECS service names in C(serviceRegistries).
  - Cloud Map can change a service's TTL, nothing else of it. Where another record type, routing policy or health check
    is asked for, the module fails and says so.
  - Names are kept in lower case and without final dot.
  - Needs C(servicediscovery:ListNamespaces), C(servicediscovery:ListServices), C(servicediscovery:ListInstances),
    C(servicediscovery:GetOperation), and for changes C(servicediscovery:CreatePrivateDnsNamespace),
    C(servicediscovery:CreateService), C(servicediscovery:UpdateService), C(servicediscovery:RegisterInstance),
    C(servicediscovery:DeregisterInstance), C(servicediscovery:DeleteService) and C(servicediscovery:DeleteNamespace),
    on whose behalf Cloud Map needs C(route53:CreateHostedZone), C(route53:ListHostedZonesByName),
    C(route53:GetHostedZone), C(route53:ChangeResourceRecordSets), C(route53:DeleteHostedZone), C(ec2:DescribeVpcs)
    and C(ec2:DescribeRegions). With O(vpc_id) also C(route53:ListHostedZonesByVPC).
author:
  - Tracklib (@tracklib)
options:
  state:
    description:
      - V(present) makes what is missing, changes the TTL, and registers the O(instances). Other instances stay unless
        O(purge_instances=true).
      - V(absent) with O(instances) takes only these out of the service. Without O(instances) it deletes the service.
        Without O(name) it deletes the namespace, which must have no services.
    type: str
    choices: [present, absent]
    default: present
  namespace:
    description: Name of the private DNS namespace, such as V(internal.example).
    type: str
    required: true
  vpc_id:
    description:
      - The VPC that resolves the namespace. Needed for making it, and where several VPCs have a namespace of that name.
      - A namespace whose zone isn't associated with it is an error.
    type: str
  name:
    description: Name of the service within the namespace, such as V(api). Without it only the namespace is kept.
    type: str
  ttl:
    description: Seconds for which an answer may be kept.
    type: int
    default: 15
  routing_policy:
    description:
      - V(MULTIVALUE) answers with up to eight healthy instances, V(WEIGHTED) with one.
    type: str
    choices: [MULTIVALUE, WEIGHTED]
    default: MULTIVALUE
  record_types:
    description: DNS records that each instance gets.
    type: list
    elements: str
    choices: [A, AAAA, SRV]
    default: [A]
  health_check:
    description:
      - V(custom) lets ECS or a checker of your own say which instances are healthy. Only healthy ones are answered.
    type: str
    choices: [none, custom]
    default: none
  instances:
    description: Instances to register, or, with O(state=absent), to deregister.
    type: list
    elements: dict
    suboptions:
      id:
        description: Name of the instance within the service.
        type: str
        required: true
      ipv4:
        description: Address for C(A) records.
        type: str
      ipv6:
        description: Address for C(AAAA) records.
        type: str
      port:
        description: Port for C(SRV) records.
        type: int
      health:
        description: Health at registration, with O(health_check=custom).
        type: str
        choices: [HEALTHY, UNHEALTHY]
      attributes:
        description: Attributes of your own.
        type: dict
        default: {}
  purge_instances:
    description:
      - Deregister instances that O(instances) doesn't name.
      - With O(state=absent), deregister the instances that a service still has, which else keep it from being deleted.
      - Never use it on a service that an ECS service registers its tasks in.
    type: bool
    default: false
  wait_timeout:
    description: Seconds to wait for Cloud Map's operations.
    type: int
    default: 120
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
  - tracklib.vpn.attributes
  - tracklib.vpn.attributes.actiongroup_aws
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
"""

EXAMPLES = r"""
- name: Keep a name for the tasks of an ECS service
  tracklib.vpn.cloud_map_service:
    namespace: internal.example
    vpc_id: vpc-0123456789abcdef0
    name: api
    health_check: custom
  register: api

- name: Show what the ECS service names as its registry
  ansible.builtin.debug:
    msg: "serviceRegistries: [{registryArn: {{ api.registry_arn }}}]"

- name: Keep a name for two database hosts
  tracklib.vpn.cloud_map_service:
    namespace: internal.example
    name: db
    ttl: 30
    instances:
      - id: primary
        ipv4: 10.20.8.11
      - id: standby
        ipv4: 10.20.9.11
    purge_instances: true

- name: Remove it
  tracklib.vpn.cloud_map_service:
    namespace: internal.example
    name: db
    purge_instances: true
    state: absent
"""

RETURN = r"""
registry_arn:
  description: ARN of the service, for an ECS service's C(serviceRegistries); null where a check would make it.
  returned: for O(state=present) with O(name)
  type: str
  sample: arn:aws:servicediscovery:eu-west-1:111122223333:service/srv-0123456789abcdef
service_id:
  description: Id of the service; null where a check would make it.
  returned: for O(state=present) with O(name)
  type: str
  sample: srv-0123456789abcdef
dns_name:
  description: The name that the service's instances are found by.
  returned: for O(state=present) with O(name)
  type: str
  sample: api.internal.example
namespace_id:
  description: Id of the namespace; null where a check would make it.
  returned: for O(state=present)
  type: str
  sample: ns-0123456789abcdef
zone_id:
  description: Id of the namespace's hosted zone; null where a check would make it.
  returned: for O(state=present)
  type: str
  sample: Z0123456789ABCDEFGHIJ
"""

from typing import Any, NamedTuple

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.tracklib.vpn.plugins.module_utils.aws_module import client, one_line_failures
from ansible_collections.tracklib.vpn.plugins.module_utils.names import cloud_map, dns, ensure
from ansible_collections.tracklib.vpn.plugins.module_utils.names.cloud_map import Instance, Namespace, Service
from ansible_collections.tracklib.vpn.plugins.module_utils.names.ensure import Changes, WantedInstance


def _wanted_service(params: dict[str, Any], name: str) -> Service:
    return Service(
        name=name,
        records=dict.fromkeys(sorted(set(params["record_types"])), params["ttl"]),
        routing=params["routing_policy"],
        custom_health=params["health_check"] == "custom",
    )


def _wanted_instances(params: dict[str, Any]) -> list[WantedInstance]:
    return [
        WantedInstance(
            instance_id=instance["id"],
            ipv4=instance["ipv4"],
            ipv6=instance["ipv6"],
            port=instance["port"],
            initial_health=instance["health"],
            attributes={key: str(value) for key, value in instance["attributes"].items()},
        )
        for instance in params["instances"] or []
    ]


class _Target(NamedTuple):
    """The names of a namespace and of a service in it, None for the namespace alone."""

    namespace: str
    service: str | None

    @property
    def label(self) -> str:
        return f"{self.service}.{self.namespace}"


def _target(params: dict[str, Any]) -> _Target:
    namespace = dns.parse(params["namespace"], "namespace")
    if params["name"] is None:
        return _Target(namespace, None)
    target = _Target(namespace, dns.parse(params["name"], "service"))
    dns.parse(target.label, "service")
    return target


def _service_of_name(changes: Changes, namespace: Namespace, name: str) -> tuple[Service | None, list[Instance]]:
    """The service of that name and its instances."""
    if namespace.namespace_id is None:
        return None, []
    service = next((one for one in cloud_map.services(changes.client, namespace) if one.name == name), None)
    if service is None:
        return None, []
    return service, cloud_map.instances(changes.client, service)


def ensure_present(
    changes: Changes, existing: Namespace | None, params: dict[str, Any], target: _Target
) -> dict[str, Any]:
    wanted = _wanted_instances(params)
    if target.service is not None:  # before anything is made
        for instance in wanted:
            instance.check(_wanted_service(params, target.service), target.label)
    namespace = ensure.ensure_namespace(changes, existing, target.namespace, params["vpc_id"])
    result = {"namespace_id": namespace.namespace_id, "zone_id": namespace.zone_id}
    if target.service is None:
        return result
    service, instances = _service_of_name(changes, namespace, target.service)
    service = ensure.ensure_service(changes, namespace, service, _wanted_service(params, target.service))
    ensure.ensure_registered(changes, service, target.label, instances, wanted)
    if params["purge_instances"]:
        keep = {instance.instance_id for instance in wanted}
        ensure.deregister(changes, service, target.label, [one for one in instances if one.instance_id not in keep])
    return {**result, "registry_arn": service.arn, "service_id": service.service_id, "dns_name": target.label}


def ensure_absent(changes: Changes, namespace: Namespace | None, params: dict[str, Any], target: _Target) -> None:
    if namespace is None:
        return
    if target.service is None:
        ensure.delete_namespace(changes, namespace)
        return
    service, instances = _service_of_name(changes, namespace, target.service)
    if service is None:
        return
    if params["instances"] is not None:
        ids = {instance["id"] for instance in params["instances"]}
        ensure.deregister(changes, service, target.label, [one for one in instances if one.instance_id in ids])
        return
    if instances and not params["purge_instances"]:
        left = ", ".join(instance.instance_id for instance in instances)
        raise ValueError(
            f"service {target.label} still has instances: {left}; remove what registers them, or deregister them with "
            "purge_instances"
        )
    ensure.deregister(changes, service, target.label, instances)
    ensure.delete_service(changes, service, target.label)


def run(module: AnsibleAWSModule) -> dict[str, Any]:
    params = module.params
    target = _target(params)
    servicediscovery, route53 = client(module, "servicediscovery"), client(module, "route53")
    changes = Changes(servicediscovery, module.check_mode, params["wait_timeout"])
    namespace = ensure.find_namespace(servicediscovery, route53, target.namespace, params["vpc_id"], module.region)
    result: dict[str, Any] = {}
    if params["state"] == "present":
        result = ensure_present(changes, namespace, params, target)
    else:
        ensure_absent(changes, namespace, params, target)
    changes.wait()
    return {"changed": changes.changed, "diff": changes.diff, **result}


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "namespace": {"type": "str", "required": True},
            "vpc_id": {"type": "str"},
            "name": {"type": "str"},
            "ttl": {"type": "int", "default": 15},
            "routing_policy": {"type": "str", "choices": ["MULTIVALUE", "WEIGHTED"], "default": "MULTIVALUE"},
            "record_types": {"type": "list", "elements": "str", "choices": ["A", "AAAA", "SRV"], "default": ["A"]},
            "health_check": {"type": "str", "choices": ["none", "custom"], "default": "none"},
            "instances": {
                "type": "list",
                "elements": "dict",
                "options": {
                    "id": {"type": "str", "required": True},
                    "ipv4": {"type": "str"},
                    "ipv6": {"type": "str"},
                    "port": {"type": "int"},
                    "health": {"type": "str", "choices": ["HEALTHY", "UNHEALTHY"]},
                    "attributes": {"type": "dict", "default": {}},
                },
            },
            "purge_instances": {"type": "bool", "default": False},
            "wait_timeout": {"type": "int", "default": 120},
        },
        required_by={"instances": ["name"]},
        supports_check_mode=True,
    )
    with one_line_failures(module):
        result = run(module)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
