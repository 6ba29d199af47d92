# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: diagnosis_breaks
author:
  - Tracklib (@tracklib)
version_added: 0.1.0
short_description: Where diagnoses of a name break
description:
  - Says for each diagnosis of P(tracklib.vpn.name_diagnosis#filter) that breaks, where and what to do.
options:
  _input:
    description: The diagnoses, each with the name of its C(gateway).
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: End with failure if the way breaks
  ansible.builtin.fail:
    msg: "{{ diagnoses | tracklib.vpn.diagnosis_breaks | join(' ') }}"
  when: diagnoses | tracklib.vpn.diagnosis_breaks | length > 0
"""

RETURN = r"""
_value:
  description: A sentence for each break; empty if there is none.
  type: list
  elements: str
"""

from typing import Any, Callable, Mapping, Sequence


def diagnosis_breaks(diagnoses: Sequence[Mapping[str, Any]]) -> list[str]:
    from ansible_collections.tracklib.vpn.plugins.module_utils.names.diagnosis_text import breaks

    return breaks(diagnoses)


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"diagnosis_breaks": diagnosis_breaks}
