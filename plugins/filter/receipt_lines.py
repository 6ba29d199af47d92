# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: receipt_lines
author:
  - Tracklib (@tracklib)
version_added: 0.1.0
short_description: Receipts as a table, JSON or CSV
description:
  - Makes lines of text of the receipts that M(tracklib.vpn.receipts_info) found. Times are in UTC, delays in seconds.
positional: format
options:
  _input:
    description: The RV(tracklib.vpn.receipts_info#module:receipts) of M(tracklib.vpn.receipts_info).
    type: list
    elements: dict
    required: true
  format:
    description:
      - V(table) for people, which leaves some fields out; V(json) and V(csv) have all of them.
      - In CSV, text that a spreadsheet would take for a formula gets an apostrophe in front.
    type: str
    choices: [table, json, csv]
    default: table
"""

EXAMPLES = r"""
- name: Show the receipts
  ansible.builtin.debug:
    msg: "{{ found.receipts | tracklib.vpn.receipt_lines }}"
"""

RETURN = r"""
_value:
  description: The lines.
  type: list
  elements: str
"""

from typing import Any, Callable, Mapping, Sequence

from ansible.errors import AnsibleFilterError


def receipt_lines(
    receipts: Sequence[Mapping[str, Any]],
    format: str = "table",  # noqa: A002 - as users write it
) -> list[str]:
    from ansible_collections.tracklib.vpn.plugins.module_utils.people.receipt_lines import FORMATS

    if format not in FORMATS:
        raise AnsibleFilterError(f"receipt_lines knows no format {format!r}, expected one of {', '.join(FORMATS)}")
    return FORMATS[format](receipts)


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"receipt_lines": receipt_lines}
