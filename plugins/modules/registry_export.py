#!/usr/bin/python
# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: registry_export
version_added: 0.1.0
short_description: Writes the whole registry to a file
description:
  - Reads every item of the registry and writes them as JSON lines, which M(tracklib.vpn.registry_import) reads.
  - There are no secrets in it, but names, devices, addresses and public keys. The file has mode 0600.
  - The file is written once everything was read. When that fails, O(dest) stays as it was.
  - Items that no run could read are written as they are, and named in RV(odd).
author:
  - Tracklib (@tracklib)
options:
  dest:
    description: Path of the file. Its directory is made, mode 0700, if missing.
    type: path
    required: true
extends_documentation_fragment:
  - tracklib.vpn.registry
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
  - tracklib.vpn.attributes
  - tracklib.vpn.attributes.actiongroup_aws
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
seealso:
  - module: tracklib.vpn.registry_import
"""

EXAMPLES = r"""
- name: Export the registry
  tracklib.vpn.registry_export:
    account_id: "111122223333"
    dest: ~/registry.jsonl
"""

RETURN = r"""
dest:
  description: Path of the file.
  returned: success
  type: str
counts:
  description: How many items of each kind the file has.
  returned: success
  type: dict
  sample:
    claim: 6
    generation: 1
    registration: 2
    sweep: 1
odd:
  description: Items that an import will leave out, each with why. Somebody wrote them who isn't this collection.
  returned: success
  type: list
  elements: str
"""

import time

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.tracklib.vpn.plugins.module_utils.aws_module import (
    REGISTRY_OPTIONS,
    check_credentials,
    one_line_failures,
    registry,
)
from ansible_collections.tracklib.vpn.plugins.module_utils.files import present, write_private
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.export import odd_items, to_file
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.items import counts

_READS = 3  # a device that is registered or removed meanwhile looks odd


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={**REGISTRY_OPTIONS, "dest": {"type": "path", "required": True}},
        supports_check_mode=True,
    )
    dest = module.params["dest"]
    with one_line_failures(module):
        check_credentials(module)
        table = registry(module)
        items = table.items()
        odd = odd_items(items)
        for _again in range(1, _READS if odd else 1):
            time.sleep(1)
            items = table.items()
            odd = odd_items(items)
            if not odd:
                break
        content = to_file(items)
        changed = present(dest) != (content, 0o600)
        if changed and not module.check_mode:
            write_private(dest, content)
    module.exit_json(changed=changed, dest=dest, counts=counts(items), odd=odd)


if __name__ == "__main__":
    main()
