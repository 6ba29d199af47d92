# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: status_report
author:
  - Tracklib (@tracklib)
version_added: 0.1.0
short_description: How the VPN is
description:
  - Says what is wrong, how each gateway is, who is connected, who is left out and why.
positional: gateways
options:
  _input:
    description: The result of M(tracklib.vpn.devices_info), which may have failed.
    type: dict
    required: true
  gateways:
    description: What was read of the gateways, as P(tracklib.vpn.gateways_seen#filter) makes it.
    type: list
    elements: dict
    default: []
  all:
    description: Whether all rows of a table are shown instead of the first 20.
    type: bool
    default: false
  max_age:
    description: Seconds after which a gateway's roster is too old; V(0) for never.
    type: int
    default: 86400
  format:
    description: V(table) for people, V(json) for programs.
    type: str
    choices: [table, json]
    default: table
"""

EXAMPLES = r"""
- name: Show how the VPN is
  ansible.builtin.debug:
    msg: "{{ (known | tracklib.vpn.status_report(gateways)).lines }}"
"""

RETURN = r"""
_value:
  description: C(lines), and C(failures), sentences of why a playbook must end non-zero, empty if it need not.
  type: dict
"""

import time
from typing import Any, Callable, Mapping, Sequence

from ansible.errors import AnsibleFilterError


def status_report(
    result: Mapping[str, Any],
    gateways: Sequence[Mapping[str, Any]] = (),
    all: bool = False,  # noqa: A002 - as users write it
    max_age: int = 86400,
    format: str = "table",  # noqa: A002 - as users write it
) -> dict[str, Any]:
    from ansible_collections.tracklib.vpn.plugins.module_utils.people.layout import answer
    from ansible_collections.tracklib.vpn.plugins.module_utils.people.merge import view_of
    from ansible_collections.tracklib.vpn.plugins.module_utils.people.status import status_report as report

    try:
        return answer(report(view_of(result, gateways), time.time(), max_age=max_age, show_all=all), format)
    except ValueError as error:
        raise AnsibleFilterError(f"status_report: {error}") from error


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"status_report": status_report}
