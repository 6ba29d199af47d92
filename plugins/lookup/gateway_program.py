# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: gateway_program
author:
  - Tracklib (@tracklib)
version_added: 0.1.0
short_description: The program by which a gateway's unit starts and reloads its interface
description:
  - Packs the gateway's library into one archive that Python runs, C(python3 -I wireguard.pyz up wg0), and returns the
    archive's path on the controller. The file is removed when Ansible ends.
  - The same version of this collection gives the same bytes on every controller, so that M(ansible.builtin.copy) finds
    nothing to change where it is installed already.
  - C(python3 -m zipfile -l wireguard.pyz) lists what is in it.
"""

EXAMPLES = r"""
- name: Install the program that systemd starts
  ansible.builtin.copy:
    src: "{{ lookup('tracklib.vpn.gateway_program') }}"
    dest: /usr/local/lib/tracklib-vpn/wireguard.pyz
    mode: "0644"
"""

RETURN = r"""
_raw:
  description: The archive's path, as the only element.
  type: list
  elements: path
"""

import tempfile
from pathlib import Path
from typing import Any

from ansible import constants
from ansible.plugins.lookup import LookupBase
from ansible_collections.tracklib.vpn.plugins.module_utils import wireguard
from ansible_collections.tracklib.vpn.plugins.module_utils.archive import pack_program


class LookupModule(LookupBase):  # type: ignore[misc]  # ansible brings no types
    def run(self, terms: list[Any], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[str]:
        package = Path(wireguard.__file__).parent
        directory = constants.DEFAULT_LOCAL_TMP
        with tempfile.NamedTemporaryFile(dir=directory, prefix="wireguard-", suffix=".pyz", delete=False) as archive:
            archive.write(pack_program(package, "unit"))
        return [archive.name]
