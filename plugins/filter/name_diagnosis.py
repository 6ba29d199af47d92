# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: name_diagnosis
author:
  - Tracklib (@tracklib)
version_added: 0.1.0
short_description: Where the way from a name to its service breaks
description:
  - Walks the way from a private name to its service, from what M(tracklib.vpn.name_diagnosis_info) read and what
    M(tracklib.vpn.name_probe) saw, to its end or to the first break.
options:
  _input:
    description: The result of M(tracklib.vpn.name_diagnosis_info).
    type: dict
    required: true
  probe:
    description: The result of M(tracklib.vpn.name_probe). One that failed counts as a gateway that couldn't be asked.
    type: dict
    default: {}
  access:
    description: The access policy, C(vpn_access).
    type: list
    elements: dict
    default: []
  configured_zones:
    description: Zones that the gateway forwards by configuration, which Route 53 may not know of in this account.
    type: list
    elements: str
    default: []
  whom:
    description: The user or device that asks, such as V(alice/laptop); empty for nobody.
    type: str
    default: ''
  registrations:
    description: What M(tracklib.vpn.registrations_info) returns of O(whom), asked with the access policy.
    type: list
    elements: dict
    default: []
"""

EXAMPLES = r"""
- name: Show where the way breaks
  ansible.builtin.debug:
    msg: "{{ (found | tracklib.vpn.name_diagnosis(probe=seen, access=vpn_access)).broken }}"
  # => resolver
"""

RETURN = r"""
_value:
  description: The diagnosis.
  type: dict
  contains:
    name:
      description: The name.
      type: str
    broken:
      description: The C(step) at which the way breaks; null if it doesn't.
      type: str
    steps:
      description:
        - The steps in their order. Each has C(step) (V(zone), V(associated), V(resolver), V(forwarder), V(routes),
          V(policy), V(health), V(port)), C(title), C(status) (V(ok), V(broken), V(not_checked)), C(finding), and
          C(action), what to do about a break, else null.
      type: list
      elements: dict
"""

import time
from typing import Any, Callable, Mapping, Sequence

from ansible.errors import AnsibleFilterError


def name_diagnosis(
    name: Mapping[str, Any],
    probe: Mapping[str, Any] | None = None,
    access: Sequence[Mapping[str, Any]] = (),
    configured_zones: Sequence[str] = (),
    whom: str = "",
    registrations: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    from ansible_collections.tracklib.vpn.plugins.module_utils.names import diagnosis, dns

    seen = probe if probe and "servers" in probe else None
    zones = [dns.normal(zone) for zone in configured_zones]
    evidence = diagnosis.Evidence(name, seen, access, zones, whom or None, registrations, time.time())
    try:
        steps = diagnosis.diagnose(evidence)
    except ValueError as error:
        raise AnsibleFilterError(str(error)) from error
    broken = next((step.step for step in steps if step.status == diagnosis.StepStatus.BROKEN.value), None)
    return {"name": name["name"], "broken": broken, "steps": [step._asdict() for step in steps]}


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"name_diagnosis": name_diagnosis}
