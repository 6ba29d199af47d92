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
options:
  _input:
    description:
      - The result of M(tracklib.vpn.wireguard_interface) for each gateway's name, empty where there is none.
    type: dict
    required: true
  roster:
    description: The result of M(tracklib.vpn.roster).
    type: dict
    default: {}
  receipts:
    description: The RV(tracklib.vpn.receipts#module:receipts) that M(tracklib.vpn.receipts) recorded.
    type: list
    elements: dict
    default: []
  signs:
    description: The result of M(tracklib.vpn.early_signs).
    type: dict
    default: {}
  check_mode:
    description: Whether the run only checked.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Show what happened on each gateway
  ansible.builtin.debug:
    msg: "{{ {'gateway-1': gateway_result} | tracklib.vpn.run_report(check_mode=ansible_check_mode) }}"
"""

RETURN = r"""
_value:
  description: The lines.
  type: list
  elements: str
"""

from typing import Any, Callable, Mapping, Sequence

from ansible_collections.tracklib.vpn.plugins.module_utils.report import run_lines


def run_report(
    gateways: Mapping[str, Mapping[str, Any]],
    roster: Mapping[str, Any] | None = None,
    receipts: Sequence[Mapping[str, Any]] = (),
    signs: Mapping[str, Any] | None = None,
    check_mode: bool = False,
) -> list[str]:
    return run_lines(gateways, roster or {}, receipts, signs or {}, check_mode=check_mode)


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"run_report": run_report}
