# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: devices_report
author:
  - Tracklib (@tracklib)
version_added: 0.1.0
short_description: Devices of a user, or of everybody, in words
description:
  - Says of each device what is decided of it, where it is a peer, when it was seen last, and how long it lives.
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
    description: The user who is asked about; without one, everybody.
    type: str
  format:
    description: V(table) for people, V(json) for programs.
    type: str
    choices: [table, json]
    default: table
"""

EXAMPLES = r"""
- name: Show alice's devices
  ansible.builtin.debug:
    msg: "{{ (known | tracklib.vpn.devices_report(gateways, user_name='alice')).lines }}"
"""

RETURN = r"""
_value:
  description: C(lines), and C(failures), sentences of why a playbook must end non-zero, empty if it need not.
  type: dict
"""

import time
from typing import Any, Callable, Mapping, Sequence

from ansible.errors import AnsibleFilterError


def devices_report(
    result: Mapping[str, Any],
    gateways: Sequence[Mapping[str, Any]] = (),
    user_name: str | None = None,
    format: str = "table",  # noqa: A002 - as users write it
) -> dict[str, Any]:
    from ansible_collections.tracklib.vpn.plugins.module_utils.people.devices import devices_report as report
    from ansible_collections.tracklib.vpn.plugins.module_utils.people.layout import answer
    from ansible_collections.tracklib.vpn.plugins.module_utils.people.merge import view_of

    try:
        return answer(report(view_of(result, gateways, user_name), user_name, time.time()), format)
    except ValueError as error:
        raise AnsibleFilterError(f"devices_report: {error}") from error


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"devices_report": devices_report}
