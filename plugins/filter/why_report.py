# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: why_report
author:
  - Tracklib (@tracklib)
version_added: 0.1.0
short_description: Why a user can't connect
description:
  - Goes from IAM to a device's packets, link by link, and says where that breaks and what to do.
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
  user_name:
    description: The user who is asked about.
    type: str
    required: true
  device:
    description: The device; without one, all of the user's.
    type: str
  format:
    description: V(table) for people, V(json) for programs.
    type: str
    choices: [table, json]
    default: table
"""

EXAMPLES = r"""
- name: Show why alice can't connect
  ansible.builtin.debug:
    msg: "{{ (known | tracklib.vpn.why_report(gateways, user_name='alice')).lines }}"
"""

RETURN = r"""
_value:
  description: C(lines), and C(failures), sentences of why a playbook must end non-zero, empty if it need not.
  type: dict
"""

import time
from typing import Any, Callable, Mapping, Sequence

from ansible.errors import AnsibleFilterError


def why_report(
    result: Mapping[str, Any],
    gateways: Sequence[Mapping[str, Any]] = (),
    user_name: str = "",
    device: str | None = None,
    format: str = "table",  # noqa: A002 - as users write it
) -> dict[str, Any]:
    from ansible_collections.tracklib.vpn.plugins.module_utils.people.layout import answer
    from ansible_collections.tracklib.vpn.plugins.module_utils.people.merge import view_of
    from ansible_collections.tracklib.vpn.plugins.module_utils.people.why import why_report as report

    try:
        return answer(report(view_of(result, gateways, user_name), user_name, device, time.time()), format)
    except ValueError as error:
        raise AnsibleFilterError(f"why_report: {error}") from error


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"why_report": why_report}
