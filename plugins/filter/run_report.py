# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: run_report
author:
  - Tracklib (@tracklib)
version_added: 0.1.0
short_description: What a run did on each gateway
description:
  - Makes lines for an operator of the results of a run, as the playbooks C(reconcile), C(revoke) and C(site) show them.
    The worst comes first, and a summary last. A line has at most 88 characters, but for receipts.
options:
  _input:
    description: The result of M(tracklib.vpn.roster), empty if it failed.
    type: dict
    required: true
  gateways:
    description: The result of M(tracklib.vpn.wireguard_interface) for each gateway's name, empty where there is none.
    type: dict
    default: {}
  recording:
    description: The result of M(tracklib.vpn.receipts).
    type: dict
    default: {}
  signs:
    description: The result of M(tracklib.vpn.early_signs).
    type: dict
    default: {}
  revocation:
    description: The result of M(tracklib.vpn.revocation).
    type: dict
    default: {}
  check_mode:
    description: Whether the run only checked.
    type: bool
    default: false
  limited:
    description: Names of the gateways that C(--limit) leaves out.
    type: list
    elements: str
    default: []
  details:
    description: Whether every name is shown, instead of 20 of a kind.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Show what happened on each gateway
  ansible.builtin.debug:
    msg: "{{ roster | tracklib.vpn.run_report(gateways={'gateway-1': gateway_result}) }}"
"""

RETURN = r"""
_value:
  description: The lines.
  type: list
  elements: str
"""

from typing import Any, Callable, Mapping, Sequence


def run_report(
    roster: Mapping[str, Any],
    check_mode: bool = False,
    limited: Sequence[str] = (),
    details: bool = False,
    **steps: Mapping[str, Any],
) -> list[str]:
    from ansible_collections.tracklib.vpn.plugins.module_utils.report import Scope, StepResults, run_lines

    return run_lines(roster, StepResults(**steps), Scope(check_mode, limited, details))


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"run_report": run_report}
