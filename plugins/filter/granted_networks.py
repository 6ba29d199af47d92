# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: granted_networks
author:
  - Tracklib (@tracklib)
version_added: 0.1.0
short_description: The union of the networks that an access policy grants
description:
  - Returns every network that some group may reach, merged so that none overlaps another, IPv4 first.
  - Fails on a policy that grants no network, and on a network that isn't in CIDR form.
options:
  _input:
    description: The access policy, a list of grants, each with O(_input[].networks).
    type: list
    elements: dict
    required: true
    suboptions:
      networks:
        description: Networks in CIDR form.
        type: list
        elements: str
        required: true
"""

EXAMPLES = r"""
- name: Show what the tunnel reaches
  ansible.builtin.debug:
    msg: "{{ vpn_access | tracklib.vpn.granted_networks }}"
  vars:
    vpn_access:
      - groups: [vpn-developers]
        networks: [10.20.0.0/16, "fd20::/64"]
      - groups: [vpn-dba]
        networks: [10.20.8.0/24]
  # => ["10.20.0.0/16", "fd20::/64"]
"""

RETURN = r"""
_value:
  description: Networks in CIDR form.
  type: list
  elements: str
"""

from typing import Any, Callable, Mapping, Sequence

from ansible.errors import AnsibleFilterError


def granted_networks(access: Sequence[Mapping[str, Any]]) -> list[str]:
    from ansible_collections.tracklib.vpn.plugins.module_utils.access import Access
    from ansible_collections.tracklib.vpn.plugins.module_utils.addresses import collapsed

    try:
        networks = Access.parse(access, option="vpn_access").networks()
    except ValueError as error:
        raise AnsibleFilterError(str(error)) from error
    if not networks:
        raise AnsibleFilterError("vpn_access grants no networks; expected at least one, or nothing can use the tunnel")
    return [str(network) for network in collapsed(networks)]


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"granted_networks": granted_networks}
