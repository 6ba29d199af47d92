# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: variable_problems
author:
  - Tracklib (@tracklib)
version_added: 0.1.0
short_description: What is wrong with the variables that a playbook was given
description:
  - Checks variables by the options that a playbook declares, and names those that it doesn't have.
positional: options
options:
  _input:
    description: The variables, by their names.
    type: dict
    required: true
  options:
    description:
      - The playbook's options by their names. Each has C(description), which says what is expected, and C(type).
      - >-
        And optionally C(required), C(choices), C(format) (V(account_id), V(device_name), V(user_name), V(label),
        V(time_span), V(life) or V(file_to_write)), C(range) (lowest and highest number), C(needs) (variables that must
        be given with it), C(needs_one_of) (variables of which exactly one must be given with it) and C(options) (of a
        dictionary, or of each in a list).
    type: dict
    required: true
  names:
    description: The names of other variables. Those that are nearly one of O(known) are mistyped.
    type: list
    elements: str
    default: []
  known:
    description: The names that variables may have.
    type: list
    elements: str
    default: []
  needed:
    description: The names of options that are required besides.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Check the port
  ansible.builtin.assert:
    that: problems | length == 0
    fail_msg: "{{ problems | join(', ') }}"
  vars:
    problems: "{{ {'diagnose_port': port} | tracklib.vpn.variable_problems(options) }}"
    options:
      diagnose_port:
        description: a TCP port, 1 to 65535
        type: int
        range: [1, 65535]
"""

RETURN = r"""
_value:
  description: A sentence for each problem, with what is there and what is expected.
  type: list
  elements: str
"""

from typing import Any, Callable, Collection, Mapping


def variable_problems(
    given: Mapping[str, Any],
    options: Mapping[str, Mapping[str, Any]],
    names: Collection[str] = (),
    known: Collection[str] = (),
    needed: Collection[str] = (),
) -> list[str]:
    from ansible_collections.tracklib.vpn.plugins.module_utils.playbook_variables import mistyped, problems

    return [*problems(given, options, needed), *mistyped(names, known)]


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"variable_problems": variable_problems}
