# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: gateways_to_record
author:
  - Tracklib (@tracklib)
version_added: 0.1.0
short_description: What of a run's gateways the registry has to remember
description:
  - Finds the gateways with removals that have no receipt yet, and those that weren't reached while somebody left, for
    M(tracklib.vpn.receipts).
options:
  _input:
    description: The result of M(tracklib.vpn.wireguard_interface) for each gateway's name, empty where there is none.
    type: dict
    required: true
  roster:
    description: The result of M(tracklib.vpn.roster), empty if it failed.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Record the receipts of removals
  tracklib.vpn.receipts:
    account_id: "111122223333"
    gateways: "{{ {'gateway-1': gateway_result} | tracklib.vpn.gateways_to_record(roster=decided) }}"
"""

RETURN = r"""
_value:
  description: The O(tracklib.vpn.receipts#module:gateways) to record; empty if there is nothing.
  type: list
  elements: dict
"""

from typing import Any, Callable, Mapping


def gateways_to_record(
    gateways: Mapping[str, Mapping[str, Any]], roster: Mapping[str, Any] | None = None
) -> list[dict[str, Any]]:
    from ansible_collections.tracklib.vpn.plugins.module_utils import report

    return report.gateways_to_record(roster or {}, gateways)


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"gateways_to_record": gateways_to_record}
