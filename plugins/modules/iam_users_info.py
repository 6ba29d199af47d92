#!/usr/bin/python
# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: iam_users_info
version_added: 0.1.0
short_description: Lists the IAM users of an account with their groups and tags
description:
  - Reads all IAM users of an account in one sweep, with groups and tags, by C(iam:GetAccountAuthorizationDetails).
    A page holds up to 1,000 users; there is no call per user.
  - An answer is complete or the module fails; it never returns part of the users.
author:
  - Tracklib (@tracklib)
options:
  account_id:
    description:
      - Account that the credentials must belong to, 12 digits.
      - Without it, the account of the credentials is read.
    type: str
  groups:
    description: Return only users who are in one of these groups.
    type: list
    elements: str
  path_prefix:
    description: Return only users whose path begins so.
    type: str
    default: /
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
  - tracklib.vpn.attributes
  - tracklib.vpn.attributes.actiongroup_aws
  - tracklib.vpn.attributes.info_module
"""

EXAMPLES = r"""
- name: List everybody who may use the VPN
  tracklib.vpn.iam_users_info:
    groups: [vpn-developers, vpn-dba]
  register: people

- name: Show their names
  ansible.builtin.debug:
    msg: "{{ people.users | map(attribute='user_name') }}"
"""

RETURN = r"""
account_id:
  description: Account that was read.
  returned: success
  type: str
  sample: "111122223333"
users:
  description: The users, ordered by name.
  returned: success
  type: list
  elements: dict
  contains:
    user_name:
      description: Name, a label that can be reused or changed.
      type: str
      sample: alice
    user_id:
      description: Identity within the account.
      type: str
      sample: AIDAIOSFODNN7EXAMPLE
    account_id:
      description: Account of the user.
      type: str
      sample: "111122223333"
    arn:
      description: ARN.
      type: str
      sample: arn:aws:iam::111122223333:user/alice
    path:
      description: Path.
      type: str
      sample: /
    create_date:
      description: When the user was created, ISO 8601 in UTC.
      type: str
      sample: "2026-01-12T11:18:29+00:00"
    groups:
      description: Names of the user's groups.
      type: list
      elements: str
      sample: [vpn-developers]
    tags:
      description: The user's tags.
      type: dict
      sample: {team: platform}
"""

from datetime import datetime, timezone
from typing import Any

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.tracklib.vpn.plugins.module_utils.aws import calling
from ansible_collections.tracklib.vpn.plugins.module_utils.aws_module import client, iam_client, one_line_failures
from ansible_collections.tracklib.vpn.plugins.module_utils.iam.sweep import sweep
from ansible_collections.tracklib.vpn.plugins.module_utils.model import User


def _as_dict(user: User) -> dict[str, Any]:
    return {
        "user_name": user.user_name,
        "user_id": user.user_id,
        "account_id": user.account_id,
        "arn": user.arn,
        "path": user.path,
        "create_date": datetime.fromtimestamp(user.created_at, timezone.utc).isoformat(),
        "groups": list(user.groups),
        "tags": dict(user.tags),
    }


def _selected(user: User, groups: list[str] | None, path_prefix: str) -> bool:
    return user.path.startswith(path_prefix) and (groups is None or not set(groups).isdisjoint(user.groups))


def _own_account(module: AnsibleAWSModule) -> str:
    with calling("sts:GetCallerIdentity", "these credentials"):
        account: str = client(module, "sts").get_caller_identity()["Account"]
    return account


def _read(module: AnsibleAWSModule) -> dict[str, Any]:
    account_id = module.params["account_id"]
    if account_id is None:
        account_id = _own_account(module)
        iam = client(module, "iam")
    else:
        iam = iam_client(module, account_id)
    groups, path_prefix = module.params["groups"], module.params["path_prefix"]
    users = [user for user in sweep(iam, account_id).users.values() if _selected(user, groups, path_prefix)]
    return {
        "account_id": account_id,
        "users": [_as_dict(user) for user in sorted(users, key=lambda user: user.user_name)],
    }


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={
            "account_id": {"type": "str"},
            "groups": {"type": "list", "elements": "str"},
            "path_prefix": {"type": "str", "default": "/"},
        },
        supports_check_mode=True,
    )
    with one_line_failures(module):
        result = _read(module)
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
