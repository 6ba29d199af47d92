# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: hosts_lines
author:
  - Tracklib (@tracklib)
version_added: 0.1.0
short_description: Lines for a hosts file from private names
description:
  - Makes lines for C(/etc/hosts) of the names that M(tracklib.vpn.service_names_info) found, for clients that can't use
    DNS.
  - Names whose addresses move, that lead nowhere, that the tunnel doesn't lead to, or that are no host names are left
    out, each with the reason.
options:
  _input:
    description: The RV(tracklib.vpn.service_names_info#module:names) of M(tracklib.vpn.service_names_info).
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: Show the lines
  ansible.builtin.debug:
    msg: "{{ (found.names | tracklib.vpn.hosts_lines).lines }}"
  # => ["10.20.1.7 internal-web-0123456789abcdef.elb.eu-west-1.amazonaws.com", "10.20.1.7 web.internal.example"]
"""

RETURN = r"""
_value:
  description: The lines, and what is left out.
  type: dict
  contains:
    lines:
      description: Lines of an address and a name.
      type: list
      elements: str
    left_out:
      description: The other names, each with C(name) and C(reason).
      type: list
      elements: dict
"""

from typing import Any, Callable, Mapping, Sequence


def hosts_lines(names: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    from ansible_collections.tracklib.vpn.plugins.module_utils.names import hosts

    return hosts.hosts_lines(names)._asdict()


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"hosts_lines": hosts_lines}
