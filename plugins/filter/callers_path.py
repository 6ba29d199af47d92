# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: callers_path
author:
  - Tracklib (@tracklib)
version_added: 0.1.0
short_description: Where a file is that the caller of a playbook names
description:
  - Makes a path on the controller absolute. A relative one begins at the directory that Ansible was started in, as in
    every other program; Ansible's own modules begin at the playbook's directory, which is within the installed
    collection.
  - Replaces C(~) and variables of the environment.
options:
  _input:
    description: The path.
    type: str
    required: true
  to_write:
    description: Whether a file is about to be written there. Then anything else that is there, such as a device or a
      directory, is refused.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Write a file where the caller stands
  ansible.builtin.copy:
    dest: "{{ 'receipts.csv' | tracklib.vpn.callers_path(to_write=true) }}"
    content: ""
    mode: "0600"
"""

RETURN = r"""
_value:
  description: The absolute path.
  type: str
"""

from typing import Any, Callable

from ansible.errors import AnsibleFilterError


def callers_path(path: str, to_write: bool = False) -> str:
    from ansible_collections.tracklib.vpn.plugins.module_utils import files

    try:
        return files.file_to_write(path) if to_write else files.callers_path(path)
    except ValueError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"callers_path": callers_path}
