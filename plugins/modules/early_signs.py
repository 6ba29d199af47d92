#!/usr/bin/python
# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: early_signs
version_added: 0.1.0
short_description: Checks early signs that users leave
description:
  - Asks IAM about users of whom an event told that a login profile or access key was taken away, whether they have any
    way to sign in to AWS left. Signs that turn out wrong are forgotten.
  - Run it after the gateways are served, as the playbooks do. It checks at most 100 signs. Where there are
    more, those come first that no run has checked, the latest of them first, then those checked longest ago.
author:
  - Tracklib (@tracklib)
options:
  early_signs:
    description:
      - V(warn) names such users in RV(names) and changes nothing. V(suspend) blocks them, until an operator unblocks by
        M(tracklib.vpn.revocation); the gateways follow with the next run.
    type: str
    choices: [warn, suspend]
    default: warn
  identity_accounts:
    description: Accounts whose users may be peers, as for M(tracklib.vpn.roster). By default only O(account_id).
    type: list
    elements: dict
    suboptions:
      account_id:
        description: The account, 12 digits.
        type: str
        required: true
      role_arn:
        description: Role to assume there. Without it the module's own credentials are used.
        type: str
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
  - module: tracklib.vpn.roster
"""

EXAMPLES = r"""
- name: Suspend whoever can't sign in to AWS any more
  tracklib.vpn.early_signs:
    account_id: "111122223333"
    early_signs: suspend
"""

RETURN = r"""
names:
  description: Names of the users who can't sign in to AWS any more.
  returned: success
  type: list
  elements: str
  sample: [alice]
suspended:
  description: Names of those who were blocked for it.
  returned: success
  type: list
  elements: str
forgotten:
  description: How many signs turned out wrong and were forgotten.
  returned: success
  type: int
left:
  description: How many signs are left for the next run.
  returned: success
  type: int
problems:
  description: Why signs couldn't be checked, in sentences.
  returned: success
  type: list
  elements: str
"""

import time

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.tracklib.vpn.plugins.module_utils.aws_module import (
    REGISTRY_OPTIONS,
    check_credentials,
    iam_client,
    one_line_failures,
    registry,
)
from ansible_collections.tracklib.vpn.plugins.module_utils.early_signs import EarlySigns, settle
from ansible_collections.tracklib.vpn.plugins.module_utils.run_options import IDENTITY_ACCOUNTS_OPTION


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={
            **REGISTRY_OPTIONS,
            "identity_accounts": IDENTITY_ACCOUNTS_OPTION,
            "early_signs": {"type": "str", "choices": [sign.value for sign in EarlySigns], "default": "warn"},
        },
        supports_check_mode=True,
    )
    roles = {account["account_id"]: account["role_arn"] for account in module.params["identity_accounts"] or []}
    with one_line_failures(module):
        by = check_credentials(module)
        settled = settle(
            registry(module),
            lambda account_id: iam_client(module, account_id, roles.get(account_id)),
            EarlySigns(module.params["early_signs"]),
            time.time(),
            check_mode=module.check_mode,
            by=by,
        )
    module.exit_json(changed=bool(settled.suspended or settled.forgotten), **settled._asdict())


if __name__ == "__main__":
    main()
