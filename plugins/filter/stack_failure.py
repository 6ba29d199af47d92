# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: stack_failure
author:
  - Tracklib (@tracklib)
version_added: 0.1.0
short_description: Why a CloudFormation stack wasn't deployed
description:
  - Says in a sentence which resources failed and why, as the stack's events have it.
options:
  _input:
    description: Results of M(amazon.aws.cloudformation), of which the last one failed.
    type: list
    elements: dict
    required: true
  name:
    description: The stack's name.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Say what went wrong
  ansible.builtin.fail:
    msg: "{{ [made] | tracklib.vpn.stack_failure('tracklib-vpn-registry') }}"
"""

RETURN = r"""
_value:
  description: The sentence.
  type: str
"""

from typing import Any, Callable, Mapping, Sequence


def stack_failure(tries: Sequence[Mapping[str, Any]], name: str) -> str:
    """See DOCUMENTATION."""
    from ansible_collections.tracklib.vpn.plugins.module_utils import stacks

    return stacks.stack_failure(name, tries)


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"stack_failure": stack_failure}
