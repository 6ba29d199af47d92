# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: stack_state
author:
  - Tracklib (@tracklib)
version_added: 0.1.0
short_description: What a deployment finds of a CloudFormation stack
description:
  - >-
    Tells whether a stack is there, has to be removed first, or can't be deployed. Only a stack of this collection whose
    first creation failed is ever to be removed, and only if it left nothing that may hold data.
options:
  _input:
    description: >-
      The stacks of that name, by their names, as M(amazon.aws.cloudformation_info) returns them with their resources.
    type: dict
    required: true
  name:
    description: The stack's name.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Refuse a stack that can't be deployed
  ansible.builtin.assert:
    that: (found.cloudformation | tracklib.vpn.stack_state('tracklib-vpn-registry')).problem == ''
"""

RETURN = r"""
_value:
  description: C(is_there), C(is_protected), C(is_to_remove) and C(problem), a sentence, empty if there is none.
  type: dict
"""

from typing import Any, Callable, Mapping


def stack_state(found: Mapping[str, Any], name: str) -> dict[str, Any]:
    """See DOCUMENTATION."""
    from ansible_collections.tracklib.vpn.plugins.module_utils import stacks

    return stacks.stack_state(name, found)._asdict()


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"stack_state": stack_state}
