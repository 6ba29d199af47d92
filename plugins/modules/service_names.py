#!/usr/bin/python
# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: service_names
version_added: 0.1.0
short_description: Registers names in Cloud Map for the EC2 instances that they stand for
description:
  - Registers the address that each EC2 instance has now under its name, and takes instances out that stopped, are gone
    or no longer have the tags. One call does all names.
  - The private address is registered where there is one. Namespaces and services that are missing are made.
  - What others registered in a service, such as ECS, is left alone.
  - A name of which every instance is stopped has no address until one runs again; RV(unserved) lists it.
  - Needs what M(tracklib.vpn.cloud_map_service) needs for changes, and C(ec2:DescribeInstances).
author:
  - Tracklib (@tracklib)
options:
  names:
    description: The names, C(vpn_names).
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name within the namespace, such as V(api).
        type: str
        required: true
      namespace:
        description: Name of the private DNS namespace, such as V(internal.example).
        type: str
        required: true
      instance_id:
        description: The EC2 instance that it stands for.
        type: str
      tags:
        description: It stands for every running EC2 instance that has all these tags.
        type: dict
      ttl:
        description: Seconds for which an answer may be kept.
        type: int
        default: 15
      record_types:
        description: DNS records of the name.
        type: list
        elements: str
        choices: [A, AAAA]
        default: [A]
      state:
        description: V(absent) takes our instances out and deletes the service once it has no others.
        type: str
        choices: [present, absent]
        default: present
  vpc_id:
    description: The VPC that resolves the names. Needed for making a namespace, and where several VPCs have one.
    type: str
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
- name: Keep the names of two hosts
  tracklib.vpn.service_names:
    vpc_id: vpc-0123456789abcdef0
    names:
      - name: build
        namespace: internal.example
        instance_id: i-0123456789abcdef0
      - name: api
        namespace: internal.example
        tags:
          Service: api
        ttl: 10
"""

RETURN = r"""
names:
  description: What each name stands for now, or would after a check.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The whole DNS name.
      type: str
      sample: api.internal.example
    addresses:
      description: Registered addresses.
      type: list
      elements: str
      sample: [10.20.1.17]
    instance_ids:
      description: The EC2 instances.
      type: list
      elements: str
unserved:
  description: Names without an address, because their instances don't run.
  returned: success
  type: list
  elements: str
problems:
  description: Sentences about names that can't have what was declared, such as an instance that doesn't exist.
  returned: success
  type: list
  elements: str
"""

from typing import Any, Mapping, NamedTuple, Sequence

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.tracklib.vpn.plugins.module_utils.aws_module import client, one_line_failures
from ansible_collections.tracklib.vpn.plugins.module_utils.names import cloud_map, declared, dns, ensure
from ansible_collections.tracklib.vpn.plugins.module_utils.names.cloud_map import Namespace, Service
from ansible_collections.tracklib.vpn.plugins.module_utils.names.declared import DeclaredName, Serving
from ansible_collections.tracklib.vpn.plugins.module_utils.names.ensure import Changes, WantedInstance


def _name(given: Mapping[str, Any]) -> DeclaredName:
    name, namespace = dns.parse(given["name"], "name"), dns.parse(given["namespace"], "namespace")
    dns.parse(f"{name}.{namespace}", "name")
    if given["state"] == "present" and not given["instance_id"] and not given["tags"]:
        raise ValueError(f"{name}.{namespace} stands for nothing; give it instance_id or tags")
    tags = {key: str(value) for key, value in (given["tags"] or {}).items()}
    kinds = tuple(sorted(set(given["record_types"])))
    return DeclaredName(
        name=name,
        namespace=namespace,
        ttl=given["ttl"],
        kinds=kinds,
        instance_id=given["instance_id"],
        tags=tags,
        absent=given["state"] == "absent",
    )


def _names(params: Mapping[str, Any]) -> list[DeclaredName]:
    names = [_name(given) for given in params["names"]]
    labels = [name.label for name in names]
    doubled = sorted({label for label in labels if labels.count(label) > 1})
    if doubled:
        raise ValueError(f"names declared twice: {', '.join(doubled)}; give each once, with tags for several instances")
    return names


class _CloudMap(NamedTuple):
    """Namespaces that are there, and their services, by name."""

    namespaces: dict[str, Namespace]
    services: dict[str, dict[str, Service]]


def _ensure_namespaces(module: AnsibleAWSModule, changes: Changes, names: Sequence[DeclaredName]) -> _CloudMap:
    """Make the namespaces that are missing; one that only absent names have isn't made."""
    vpc_id, route53 = module.params["vpc_id"], client(module, "route53")
    result = _CloudMap({}, {})
    for label in sorted({name.namespace for name in names}):
        existing = ensure.find_namespace(changes.client, route53, label, vpc_id, module.region)
        services = [] if existing is None else cloud_map.services(changes.client, existing)
        if existing is None and all(name.absent for name in names if name.namespace == label):
            continue
        result.namespaces[label] = ensure.ensure_namespace(changes, existing, label, vpc_id)
        result.services[label] = {service.name: service for service in services}
    return result


def _ensure_absent(changes: Changes, name: DeclaredName, service: Service | None) -> None:
    if service is None:
        return
    instances = cloud_map.instances(changes.client, service)
    ours = declared.outdated(instances, [])
    ensure.deregister(changes, service, name.label, ours)
    if len(ours) == len(instances):
        ensure.delete_service(changes, service, name.label)


def _ensure_present(
    changes: Changes, name: DeclaredName, wanted: list[WantedInstance], namespace: Namespace, existing: Service | None
) -> None:
    instances = [] if existing is None else cloud_map.instances(changes.client, existing)
    records = dict.fromkeys(name.kinds, name.ttl)
    # ECS or another module may have made it; only what EC2 hosts need is asked of it
    kept = existing or Service(name.name, records, "MULTIVALUE", custom_health=False)
    service = ensure.ensure_service(changes, namespace, existing, kept._replace(records=records))
    ensure.ensure_registered(changes, service, name.label, instances, wanted)
    ensure.deregister(changes, service, name.label, declared.outdated(instances, wanted))


def _ensure_name(changes: Changes, name: DeclaredName, serving: Serving, known: _CloudMap) -> None:
    """Register one name, or remove it, without waiting for it. Another name's error doesn't keep it from that."""
    if name.namespace not in known.namespaces:
        return
    service = known.services[name.namespace].get(name.name)
    try:
        if name.absent:
            _ensure_absent(changes, name, service)
        else:
            _ensure_present(changes, name, serving.instances, known.namespaces[name.namespace], service)
    except ValueError as error:
        serving.problems.append(str(error))


def run(module: AnsibleAWSModule) -> dict[str, Any]:
    params = module.params
    names = _names(params)
    changes = Changes(client(module, "servicediscovery"), module.check_mode, params["wait_timeout"])
    ec2_instances = declared.ec2_instances(client(module, "ec2"))
    plan = [(name, declared.serving(name, ec2_instances)) for name in names]
    known = _ensure_namespaces(module, changes, names)
    for name, serving in plan:
        _ensure_name(changes, name, serving, known)
    changes.wait()
    present = [(name, serving) for name, serving in plan if not name.absent]
    return {
        "changed": changes.changed,
        "diff": changes.diff,
        "names": [_result(name, serving.instances) for name, serving in present],
        "unserved": [name.label for name, serving in present if not (serving.instances or serving.problems)],
        "problems": [problem for _unused, serving in plan for problem in serving.problems],
    }


def _result(name: DeclaredName, wanted: Sequence[WantedInstance]) -> dict[str, Any]:
    return {
        "name": name.label,
        "addresses": [address for one in wanted for address in (one.ipv4, one.ipv6) if address is not None],
        "instance_ids": [one.instance_id for one in wanted],
    }


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={
            "names": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "name": {"type": "str", "required": True},
                    "namespace": {"type": "str", "required": True},
                    "instance_id": {"type": "str"},
                    "tags": {"type": "dict"},
                    "ttl": {"type": "int", "default": 15},
                    "record_types": {"type": "list", "elements": "str", "choices": ["A", "AAAA"], "default": ["A"]},
                    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
                },
                "mutually_exclusive": [("instance_id", "tags")],
            },
            "vpc_id": {"type": "str"},
            "wait_timeout": {"type": "int", "default": 120},
        },
        supports_check_mode=True,
    )
    with one_line_failures(module):
        result = run(module)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
