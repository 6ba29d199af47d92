# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: diagnosis_report
author:
  - Tracklib (@tracklib)
version_added: 0.1.0
short_description: Diagnoses of a name as text
description:
  - Makes a table for people of what P(tracklib.vpn.name_diagnosis#filter) returned.
options:
  _input:
    description: The diagnoses, each with the name of its C(gateway).
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: Show the way
  ansible.builtin.debug:
    msg: "{{ diagnoses | tracklib.vpn.diagnosis_report }}"
"""

RETURN = r"""
_value:
  description: The lines.
  type: list
  elements: str
"""

from typing import Any, Callable, Mapping, Sequence


def diagnosis_report(diagnoses: Sequence[Mapping[str, Any]]) -> list[str]:
    from ansible_collections.tracklib.vpn.plugins.module_utils.names.diagnosis_text import table

    return table(diagnoses)


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"diagnosis_report": diagnosis_report}
