# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: run_problems
author:
  - Tracklib (@tracklib)
version_added: 0.1.0
short_description: What needs an operator after a run
description:
  - Gathers the problems of a run's steps. A run with any must end with failure, after the gateways were served.
options:
  _input:
    description: The result of M(tracklib.vpn.roster), empty if it failed.
    type: dict
    required: true
  gateways:
    description: The result of M(tracklib.vpn.wireguard_interface) for each gateway's name.
    type: dict
    default: {}
  signs:
    description: The result of M(tracklib.vpn.early_signs), which may have failed or been skipped.
    type: dict
    default: {}
  claiming:
    description: The result of M(tracklib.vpn.gateway_keys), which may have failed or been skipped.
    type: dict
    default: {}
  login:
    description: The result of M(tracklib.vpn.instance_connect_key).
    type: dict
    default: {}
  recording:
    description: The result of M(tracklib.vpn.receipts), which may have failed or been skipped.
    type: dict
    default: {}
  revocation:
    description: The result of M(tracklib.vpn.revocation).
    type: dict
    default: {}
  revocation_problems:
    description: What P(tracklib.vpn.revocation_problems#filter) returned.
    type: list
    elements: str
    default: []
  check_mode:
    description: Whether the run only checked.
    type: bool
    default: false
  limited:
    description: Names of the gateways that C(--limit) leaves out.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: End with failure if something needs an operator
  ansible.builtin.fail:
    msg: "{{ problems | join(' ') }}"
  vars:
    problems: "{{ roster | tracklib.vpn.run_problems(recording=recorded) }}"
  when: problems | length > 0
"""

RETURN = r"""
_value:
  description: A sentence for each problem.
  type: list
  elements: str
"""

from typing import Any, Callable, Mapping, Sequence


def run_problems(
    roster: Mapping[str, Any],
    revocation_problems: Sequence[str] = (),
    limited: Sequence[str] = (),
    check_mode: bool = False,
    **steps: Mapping[str, Any],
) -> list[str]:
    from ansible_collections.tracklib.vpn.plugins.module_utils import report

    return report.run_problems(
        roster, report.StepResults(**steps), revocation_problems, report.Scope(check_mode, limited)
    )


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"run_problems": run_problems}
