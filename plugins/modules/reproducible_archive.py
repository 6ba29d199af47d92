#!/usr/bin/python
# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: reproducible_archive
version_added: 0.1.0
short_description: Packs a directory into an archive that depends on names and contents alone
description:
  - The same files have the same SHA-256 on every machine and at any time, so that whoever unpacks the archive can
    refuse any other.
  - The archive is a tar file, not compressed. Links are followed. Directories C(__pycache__) and C(.git) are left out.
author:
  - Tracklib (@tracklib)
options:
  src:
    description: The directory.
    type: path
    required: true
  dest:
    description: Path of the archive, replaced if its content differs. Its mode is C(0600).
    type: path
    required: true
extends_documentation_fragment:
  - tracklib.vpn.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
"""

EXAMPLES = r"""
- name: Pack the inventory
  tracklib.vpn.reproducible_archive:
    src: inventories/aws
    dest: /tmp/inventory.tar
  register: packed
"""

RETURN = r"""
dest:
  description: Path of the archive.
  returned: success
  type: str
sha256:
  description: Its SHA-256, hexadecimal.
  returned: success
  type: str
  sample: 5a4e6c1e3d9c3a3c1f6f0a7c7d1c0e5d2b9a8f7e6d5c4b3a29181706f5e4d3c2
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.tracklib.vpn.plugins.module_utils.archive import read_files, sha256, tarred
from ansible_collections.tracklib.vpn.plugins.module_utils.files import present, write_private


def main() -> None:
    module = AnsibleModule(
        argument_spec={"src": {"type": "path", "required": True}, "dest": {"type": "path", "required": True}},
        supports_check_mode=True,
    )
    dest = module.params["dest"]
    try:
        content = tarred(read_files(module.params["src"]))
        changed = present(dest)[0] != content
        if changed and not module.check_mode:
            write_private(dest, content)
    except (OSError, ValueError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=changed, dest=dest, sha256=sha256(content))


if __name__ == "__main__":
    main()
