# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: gateway_program
author:
  - Tracklib (@tracklib)
version_added: 0.1.0
short_description: The programs by which a gateway starts and reloads its interface, and waits for revocations
description:
  - Packs the gateway's library into one archive that Python runs, such as C(python3 -I wireguard.pyz up wg0), and
    returns the archive's path on the controller. The file is removed when Ansible ends.
  - The same version of this collection gives the same bytes on every controller, so that M(ansible.builtin.copy) finds
    nothing to change where it is installed already.
  - C(python3 -m zipfile -l wireguard.pyz) lists what is in it.
options:
  _terms:
    description:
      - Which program. V(wireguard) is what the interface's unit and its timer start, V(listener) the service that waits
        for revocations in the gateway's queue.
    type: list
    elements: str
    choices: [wireguard, listener]
    required: true
"""

EXAMPLES = r"""
- name: Install the program that systemd starts
  ansible.builtin.copy:
    src: "{{ lookup('tracklib.vpn.gateway_program', 'wireguard') }}"
    dest: /usr/local/lib/tracklib-vpn/wireguard.pyz
    mode: "0644"
"""

RETURN = r"""
_raw:
  description: The path of each archive.
  type: list
  elements: path
"""

import tempfile
from pathlib import Path
from typing import Any

from ansible import constants
from ansible.errors import AnsibleError
from ansible.plugins.lookup import LookupBase
from ansible_collections.tracklib.vpn.plugins.module_utils import wireguard
from ansible_collections.tracklib.vpn.plugins.module_utils.archive import pack_program

_PROGRAMS = {
    "wireguard": (["wireguard"], "wireguard.unit"),
    "listener": (["wireguard", "listener"], "listener.listen"),
}


class LookupModule(LookupBase):  # type: ignore[misc]  # ansible brings no types
    def run(self, terms: list[Any], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[str]:
        return [_archive(program) for program in terms]


def _archive(program: str) -> str:
    if program not in _PROGRAMS:
        raise AnsibleError(f"there is no program {program}, only {' and '.join(_PROGRAMS)}")
    packages, main = _PROGRAMS[program]
    room = Path(wireguard.__file__).parents[1]
    directory = constants.DEFAULT_LOCAL_TMP
    with tempfile.NamedTemporaryFile(dir=directory, prefix=f"{program}-", suffix=".pyz", delete=False) as archive:
        archive.write(pack_program([room / package for package in packages], main))
    return archive.name
