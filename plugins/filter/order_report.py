# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: order_report
author:
  - Tracklib (@tracklib)
version_added: 0.1.0
short_description: What became of an order about a device or a user, in words
description:
  - Says what was done, what still keeps the device off, and what comes next; below it, the device with its key,
    addresses and end, or the blocks that were lifted.
options:
  _input:
    description:
      - The result of M(tracklib.vpn.registration), or of M(tracklib.vpn.revocation) with C(state=unblocked).
      - An order that hit nothing is a failure.
    type: dict
    required: true
  format:
    description: V(table) for people, V(json) for programs.
    type: str
    choices: [table, json]
    default: table
"""

EXAMPLES = r"""
- name: Say what was registered
  ansible.builtin.debug:
    msg: "{{ (registered | tracklib.vpn.order_report).lines }}"
"""

RETURN = r"""
_value:
  description: C(lines), and C(failures), sentences of why a playbook must end non-zero, empty if it need not.
  type: dict
"""

from typing import Any, Callable, Mapping

from ansible.errors import AnsibleFilterError


def order_report(
    result: Mapping[str, Any],
    format: str = "table",  # noqa: A002 - as users write it
) -> dict[str, Any]:
    from ansible_collections.tracklib.vpn.plugins.module_utils.orders import order_report as report
    from ansible_collections.tracklib.vpn.plugins.module_utils.people.layout import answer

    try:
        return answer(report(result), format)
    except ValueError as error:
        raise AnsibleFilterError(f"order_report: {error}") from error


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"order_report": order_report}
