#!/usr/bin/python
# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: registry_import
version_added: 0.1.0
short_description: Fills an empty registry from a file
description:
  - Writes all items of a file that M(tracklib.vpn.registry_export) wrote into a table that holds none.
  - The whole file is checked before anything is written. A file that was edited or cut since its export is refused.
  - Items that no run could read are left out, named in RV(refused), and written to a file beside O(src).
  - A table that holds anything else than items of this file, each as the file has it, is refused. So an import that was
    interrupted goes on when it is run again with the same file, as long as nothing else wrote to the table.
  - The table gets the identity that the exported registry has. The gateways refuse the new table until they are told
    of it (C(vpn_accept_registry)), so that a copy never takes their place unasked.
  - Blocks and tombstones are written before registrations, so that what an interrupted import leaves lets nobody in who
    is to stay out.
author:
  - Tracklib (@tracklib)
options:
  src:
    description: Path of the file.
    type: path
    required: true
  accept:
    description:
      - >-
        SHA-256 of the content after the first line, if it isn't what was exported and is to be imported all the same.
        The refusal says it.
    type: str
    default: ""
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
  - module: tracklib.vpn.registry_export
"""

EXAMPLES = r"""
- name: Import the registry into a new table
  tracklib.vpn.registry_import:
    account_id: "111122223333"
    registry_table: tracklib-vpn-2
    src: ~/registry.jsonl
"""

RETURN = r"""
counts:
  description: How many items of each kind the table has now.
  returned: success
  type: dict
  sample:
    claim: 6
    generation: 1
    registration: 2
    sweep: 1
written:
  description: How many items were written. Fewer than the file has when an interrupted import went on.
  returned: success
  type: int
  sample: 10
refused:
  description: Items of the file that were left out, each with why.
  returned: success
  type: list
  elements: str
refused_file:
  description: Where these items are, one a line as in the file; empty without any.
  returned: success
  type: str
"""

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.tracklib.vpn.plugins.module_utils.aws_module import (
    REGISTRY_OPTIONS,
    check_credentials,
    one_line_failures,
    registry_table,
)
from ansible_collections.tracklib.vpn.plugins.module_utils.files import write_private
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.export import Contents, from_file
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.items import counts


def _contents(path: str, accept: str) -> Contents:
    try:
        with open(path, "rb") as file:
            return from_file(file.read(), accept)
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} can't be imported, nothing was written: {error}") from None


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={
            **REGISTRY_OPTIONS,
            "src": {"type": "path", "required": True},
            "accept": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    src = module.params["src"]
    with one_line_failures(module):
        check_credentials(module)
        items, refused = _contents(src, module.params["accept"])
        written = registry_table(module).restore(items, check_mode=module.check_mode)
        refused_file = f"{src}.refused" if refused else ""
        if refused and not module.check_mode:
            write_private(refused_file, "".join(f"{one.line}\n" for one in refused).encode())
    module.exit_json(
        changed=written > 0,
        counts=counts(items),
        written=written,
        refused=[one.why for one in refused],
        refused_file=refused_file,
    )


if __name__ == "__main__":
    main()
