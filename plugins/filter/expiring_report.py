# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: expiring_report
author:
  - Tracklib (@tracklib)
version_added: 0.1.0
short_description: Whose registrations end soon
description:
  - Lists the devices whose time ends soon, the earliest first, and the commands that renew them.
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
  within:
    description: The time span, such as V(14d).
    type: str
    default: 14d
  format:
    description: V(table) for people, V(json) for programs.
    type: str
    choices: [table, json]
    default: table
"""

EXAMPLES = r"""
- name: Show whose registrations end within a week
  ansible.builtin.debug:
    msg: "{{ (known | tracklib.vpn.expiring_report(gateways, within='7d')).lines }}"
"""

RETURN = r"""
_value:
  description: C(lines), and C(failures), sentences of why a playbook must end non-zero, empty if it need not.
  type: dict
"""

import time
from typing import Any, Callable, Mapping, Sequence

from ansible.errors import AnsibleFilterError


def expiring_report(
    result: Mapping[str, Any],
    gateways: Sequence[Mapping[str, Any]] = (),
    within: str = "14d",
    format: str = "table",  # noqa: A002 - as users write it
) -> dict[str, Any]:
    from ansible_collections.tracklib.vpn.plugins.module_utils.people.devices import expiring_report as report
    from ansible_collections.tracklib.vpn.plugins.module_utils.people.layout import answer
    from ansible_collections.tracklib.vpn.plugins.module_utils.people.merge import view_of
    from ansible_collections.tracklib.vpn.plugins.module_utils.timespan import seconds

    try:
        return answer(report(view_of(result, gateways), seconds("within", within), time.time()), format)
    except ValueError as error:
        raise AnsibleFilterError(f"expiring_report: {error}") from error


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"expiring_report": expiring_report}
