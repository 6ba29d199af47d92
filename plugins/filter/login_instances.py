# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: login_instances
author:
  - Tracklib (@tracklib)
version_added: 0.1.0
short_description: Whom and where EC2 Instance Connect is to let in
description:
  - Makes the O(tracklib.vpn.instance_connect_key#module:instances) of M(tracklib.vpn.instance_connect_key) from the
    gateways' host variables.
options:
  _input:
    description:
      - The host variables of each gateway. C(instance_id) is required. C(ansible_user) is V(admin) by default, and
        C(ansible_host) the host's name in the inventory.
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: Show whom EC2 is to let in
  ansible.builtin.debug:
    msg: "{{ groups.vpn_gateways | map('extract', hostvars) | tracklib.vpn.login_instances }}"
  # => [{"instance_id": "i-0123456789abcdef0", "os_user": "admin", "host": "10.20.1.5"}]
"""

RETURN = r"""
_value:
  description: For each gateway C(instance_id), C(os_user) and C(host).
  type: list
  elements: dict
"""

from typing import Any, Callable, Iterable, Mapping

from ansible.errors import AnsibleFilterError


def login_instances(gateways: Iterable[Mapping[str, Any]]) -> list[dict[str, str]]:
    return [_instance(gateway) for gateway in gateways]


def _instance(gateway: Mapping[str, Any]) -> dict[str, str]:
    name = gateway["inventory_hostname"]
    if "instance_id" not in gateway:
        raise AnsibleFilterError(f"{name} has no instance_id, which the inventory plugin tracklib.vpn.gateway sets")
    return {
        "instance_id": gateway["instance_id"],
        "os_user": gateway.get("ansible_user", "admin"),
        "host": gateway.get("ansible_host", name),
    }


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"login_instances": login_instances}
