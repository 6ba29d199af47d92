# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: dns_zones
author:
  - Tracklib (@tracklib)
version_added: 0.1.0
short_description: Names of zones in the form that a resolver's configuration can hold
description:
  - Returns the names in lower case without the final dot, each once, and apart from them what is no DNS name.
  - A name that is returned consists of letters, digits, hyphens, underscores and dots only.
  - A zone comes before those that it lies in.
options:
  _input:
    description: Names of zones, as people or AWS write them.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Show the zones
  ansible.builtin.debug:
    msg: "{{ ['Internal.Example.', 'internal.example', 'a b'] | tracklib.vpn.dns_zones }}"
  # => {"zones": ["internal.example"],
  #     "unusable": ["zone 'a b' is not a DNS name: 'a b' is not a label of letters, …"]}
"""

RETURN = r"""
_value:
  description: The names, and what is wrong with the others.
  type: dict
  contains:
    zones:
      description: Names of zones, the longest first.
      type: list
      elements: str
    unusable:
      description: One sentence for each name that is no DNS name.
      type: list
      elements: str
"""

from typing import Any, Callable, Iterable


def dns_zones(names: Iterable[str]) -> dict[str, list[str]]:
    from ansible_collections.tracklib.vpn.plugins.module_utils.names import dns

    zones, unusable = set(), []
    for name in names:
        try:
            zones.add(dns.parse(str(name), "zone"))
        except ValueError as error:
            unusable.append(str(error))
    return {"zones": sorted(zones, key=lambda zone: (-len(zone), zone)), "unusable": unusable}


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"dns_zones": dns_zones}
