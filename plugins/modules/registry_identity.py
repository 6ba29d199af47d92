#!/usr/bin/python
# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: registry_identity
version_added: 0.1.0
short_description: Gives a registry its identity
description:
  - Writes a random id into a table that has none, which makes it a registry. Every other module refuses a table without
    it, so that a mistyped region or name never looks like a registry that is empty.
  - The playbook C(tracklib.vpn.deploy) does it. The id stays over export, import and restore; the gateways remember it.
author:
  - Tracklib (@tracklib)
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
"""

EXAMPLES = r"""
- name: Make a table the registry
  tracklib.vpn.registry_identity:
    account_id: "111122223333"
    registry_table: tracklib-vpn
"""

RETURN = r"""
registry:
  description: Which registry it is, and in which table.
  returned: when the table has an identity, so not in check mode before the first run
  type: dict
  contains:
    identity:
      description: The random id.
      type: str
    account_id:
      description: The table's account.
      type: str
    region:
      description: The table's region.
      type: str
    table:
      description: The table's name.
      type: str
    table_id:
      description: DynamoDB's id of the table, which a restored or copied one doesn't share.
      type: str
"""

from typing import Any

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.tracklib.vpn.plugins.module_utils.aws_module import (
    REGISTRY_OPTIONS,
    check_credentials,
    one_line_failures,
    registry_table,
)
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.table import Registry


def ensure_identity(table: Registry, *, check_mode: bool) -> dict[str, Any]:
    """Give the table an identity, if it has none."""
    if check_mode and not table.has_identity():
        return {"changed": True}
    changed = False if check_mode else table.make_identity()
    return {"changed": changed, "registry": table.identity()._asdict()}


def main() -> None:
    module = AnsibleAWSModule(argument_spec=REGISTRY_OPTIONS, supports_check_mode=True)
    with one_line_failures(module):
        check_credentials(module)
        result = ensure_identity(registry_table(module), check_mode=module.check_mode)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
