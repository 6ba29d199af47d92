# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: gateways_seen
author:
  - Tracklib (@tracklib)
version_added: 0.1.0
short_description: What was read of gateways, and why nothing was
description:
  - Makes of the variables of gateways what M(tracklib.vpn.devices_info) takes. A gateway that could not be reached or
    read, or that C(--limit) leaves out, is among them with the reason.
positional: registered
options:
  _input:
    description: The variables of each gateway, C(groups.vpn_gateways | map('extract', hostvars)).
    type: list
    elements: dict
    required: true
  registered:
    description: The variable that has the result of M(tracklib.vpn.wireguard_interface_info).
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Lay the decision beside what the gateways say
  tracklib.vpn.devices_info:
    account_id: "111122223333"
    gateways: "{{ groups.vpn_gateways | map('extract', hostvars) | tracklib.vpn.gateways_seen('seen') }}"
    access: "{{ vpn_access }}"
    address_pools: "{{ vpn_address_pools }}"
"""

RETURN = r"""
_value:
  description: Gateways as the option O(tracklib.vpn.devices_info#module:gateways) has them.
  type: list
  elements: dict
"""

from typing import Any, Callable, Iterable, Mapping


def gateways_seen(hosts: Iterable[Mapping[str, Any]], registered: str) -> list[dict[str, Any]]:
    from ansible_collections.tracklib.vpn.plugins.module_utils.people.seen import from_host_variables

    return list(from_host_variables(hosts, registered))


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"gateways_seen": gateways_seen}
