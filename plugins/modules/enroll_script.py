#!/usr/bin/python
# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: enroll_script
version_added: 0.1.0
short_description: Makes what users get, the script C(tracklib-vpn-enroll.pyz) and its settings
description:
  - >-
    Packs the script for users without Ansible into one file, with the settings in it, and writes the settings as
    C(vpn.json) beside it, for those who run the playbook C(tracklib.vpn.enroll).
  - The same version of the collection and the same settings give the same bytes on every machine.
author:
  - Tracklib (@tracklib)
options:
  collection:
    description: Directory of the installed collection, or of a checkout.
    type: path
    required: true
  dest:
    description: Directory for both files; made if missing.
    type: path
    required: true
  settings:
    description: What the script needs to know. Everybody who gets the script can read them.
    type: dict
    required: true
    suboptions:
      function_arn:
        description: ARN of the self-service function.
        type: str
        required: true
      manage_url:
        description: The function's URL for listing and removing devices.
        type: str
        required: true
      renew_url:
        description: The function's URL for registering and renewing.
        type: str
        required: true
      check_name:
        description: A private name that must resolve once the tunnel is up.
        type: str
      sts_url:
        description: Where STS is, by default that of the function's region.
        type: str
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
- name: Make what users get
  tracklib.vpn.enroll_script:
    collection: ~/.ansible/collections/ansible_collections/tracklib/vpn
    dest: self-service
    settings:
      function_arn: arn:aws:lambda:eu-west-1:111122223333:function:tracklib-vpn-self-service
      manage_url: https://abcdefgh.lambda-url.eu-west-1.on.aws/
      renew_url: https://ijklmnop.lambda-url.eu-west-1.on.aws/
"""

RETURN = r"""
script:
  description: Path of the script.
  returned: success
  type: str
settings_file:
  description: Path of the settings.
  returned: success
  type: str
sha256:
  description: The script's SHA-256, hexadecimal, which users can compare.
  returned: success
  type: str
"""

import os
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.tracklib.vpn.plugins.module_utils.archive import sha256
from ansible_collections.tracklib.vpn.plugins.module_utils.files import present, write_private
from ansible_collections.tracklib.vpn.plugins.module_utils.users_script import (
    KNOWN,
    NEEDED,
    pack,
    read_modules,
    settings_file,
)

# others than the operator may read both, and run the script
MODES = {"tracklib-vpn-enroll.pyz": 0o755, "vpn.json": 0o644}


def main() -> None:
    suboptions = {name: {"type": "str", "required": name in NEEDED} for name in KNOWN}
    module = AnsibleModule(
        argument_spec={
            "collection": {"type": "path", "required": True},
            "dest": {"type": "path", "required": True},
            "settings": {"type": "dict", "required": True, "options": suboptions},
        },
        supports_check_mode=True,
    )
    settings = {name: value for name, value in module.params["settings"].items() if value}
    paths = {name: os.path.join(module.params["dest"], name) for name in MODES}
    script, settings_path = paths.values()
    try:
        modules = read_modules(Path(module.params["collection"], "plugins/module_utils"))
        contents = {script: pack(modules, settings), settings_path: settings_file(settings).encode()}
        wanted = {path: (contents[path], mode) for path, mode in zip(paths.values(), MODES.values())}
        changed = [path for path, (content, mode) in wanted.items() if present(path) != (content, mode)]
        if not module.check_mode:
            os.makedirs(module.params["dest"], mode=0o755, exist_ok=True)
            for path in changed:
                write_private(path, contents[path])
                os.chmod(path, wanted[path][1])
    except (OSError, ValueError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=bool(changed), script=script, settings_file=settings_path, sha256=sha256(contents[script]))


if __name__ == "__main__":
    main()
