# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: gateway_addresses
author:
  - Tracklib (@tracklib)
version_added: 0.1.0
short_description: The gateway's tunnel address in each address pool
description:
  - Checks the pools and returns the first host address of each, with the pool's own prefix length.
  - Fails on a pool that isn't in CIDR form, that is too small, or that overlaps another pool or a reserved network.
positional: reserved
options:
  _input:
    description: Address pools in CIDR form.
    type: list
    elements: str
    required: true
  reserved:
    description: Networks in CIDR form that no pool may overlap, such as those of the VPC.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Show the gateway's addresses
  ansible.builtin.debug:
    msg: "{{ ['10.44.0.0/20', 'fd44:7472:6163:6b::/64'] | tracklib.vpn.gateway_addresses(['10.20.0.0/16']) }}"
  # => ["10.44.0.1/20", "fd44:7472:6163:6b::1/64"]
"""

RETURN = r"""
_value:
  description: Addresses with prefix length, in the order of the pools.
  type: list
  elements: str
"""

from typing import Any, Callable, Sequence

from ansible.errors import AnsibleFilterError


def gateway_addresses(pools: Sequence[str], reserved: Sequence[str] = ()) -> list[str]:
    from ansible_collections.tracklib.vpn.plugins.module_utils.addresses import PoolError, gateway_address, parse_pools

    try:
        return [f"{gateway_address(pool)}/{pool.prefixlen}" for pool in parse_pools(pools, reserved)]
    except PoolError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"gateway_addresses": gateway_addresses}
