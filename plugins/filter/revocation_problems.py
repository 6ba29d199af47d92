# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: revocation_problems
author:
  - Tracklib (@tracklib)
version_added: 0.1.0
short_description: What an operator has to do after a revocation
description:
  - Says that a revocation isn't durable yet, with the command that repeats it, or that nobody has the name.
options:
  _input:
    description: The result of M(tracklib.vpn.revocation), empty if it didn't run.
    type: dict
    required: true
  given:
    description: The variables of the playbook C(revoke) by their names.
    type: dict
    required: true
  failure:
    description: Why there is no roster; null if there is one.
    type: str
  refused:
    description: Why gateways refused the roster, by their names. The user was cut off there without it.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Show what is left to do
  ansible.builtin.debug:
    msg: >-
      {{ written | tracklib.vpn.revocation_problems(given={'revoke_user_name': 'alice'},
      failure='AWS is down') }}
"""

RETURN = r"""
_value:
  description: A sentence for each problem.
  type: list
  elements: str
"""

from typing import Any, Callable, Mapping


def revocation_problems(
    written: Mapping[str, Any],
    given: Mapping[str, Any],
    failure: str | None = None,
    refused: Mapping[str, str] | None = None,
) -> list[str]:
    from ansible_collections.tracklib.vpn.plugins.module_utils import report

    return report.revocation_problems(written, given, failure, refused)


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"revocation_problems": revocation_problems}
