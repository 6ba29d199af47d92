# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: screen
author:
  - Tracklib (@tracklib)
version_added: 0.1.0
short_description: Lines in the form in which a callback shows them best
description:
  - Makes of lines what M(ansible.builtin.debug) shows one below the other. That is a list, since JSON shows a text of
    several lines as one, with C(\n) in it; but where results are shown as YAML it is one text, since YAML folds each
    element of a list at 80 characters, within the columns of a table, too.
options:
  _input:
    description: The lines, or a text of several.
    type: raw
    required: true
  width:
    description: Longer lines of a text are folded between words. 0 leaves them as they are.
    type: int
    default: 0
"""

EXAMPLES = r"""
- name: Show what a module says
  ansible.builtin.debug:
    msg: "{{ result.msg | tracklib.vpn.screen(width=88) }}"
"""

RETURN = r"""
_value:
  description: The lines, as a list or as one text.
  type: raw
"""

import textwrap
from typing import Any, Callable, Sequence

from ansible.constants import DEFAULT_STDOUT_CALLBACK
from ansible.errors import AnsibleError
from ansible.plugins.loader import lookup_loader


def screen(told: str | Sequence[str], width: int = 0) -> str | list[str]:
    lines = told.rstrip().splitlines() if isinstance(told, str) else list(told)
    if width:
        lines = [part for line in lines for part in _folded(line, width)]
    # YAML shows a text as it is only if no line ends in spaces
    return "\n".join(line.rstrip() for line in lines) if _results_are_yaml() else lines


def _folded(line: str, width: int) -> list[str]:
    return textwrap.wrap(line, width, break_long_words=False, break_on_hyphens=False) or [line]


def _results_are_yaml() -> bool:
    setting = {"plugin_type": "callback", "plugin_name": DEFAULT_STDOUT_CALLBACK.rpartition(".")[2]}
    try:
        (form,) = lookup_loader.get("ansible.builtin.config").run(["result_format"], **setting)
    except AnsibleError:  # a callback with a form of its own
        return False
    return bool(form == "yaml")


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"screen": screen}
