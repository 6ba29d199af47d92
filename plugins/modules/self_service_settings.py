#!/usr/bin/python
# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: self_service_settings
version_added: 0.1.0
short_description: Keeps the settings of the self-service function in the registry
description:
  - The function reads them at each call, so a change is in force at once.
  - What the function would refuse is refused here, before anything is written.
author:
  - Tracklib (@tracklib)
options:
  settings:
    description: The settings; what isn't given is the function's own default.
    type: dict
    required: true
    suboptions:
      access:
        description: The access policy, as the variable C(vpn_access).
        type: list
        elements: dict
        required: true
        suboptions:
          groups:
            description: Names of IAM groups.
            type: list
            elements: str
            required: true
          networks:
            description: Networks behind the gateway in CIDR form.
            type: list
            elements: str
            required: true
          accounts:
            description: Accounts in which these groups grant access. By default the gateways' own.
            type: list
            elements: str
          ports:
            description: Ports such as V(5432/tcp). Nothing reads them yet.
            type: list
            elements: str
      address_pools:
        description: Networks that clients' addresses come from.
        type: list
        elements: str
        required: true
      gateways:
        description: What clients dial, the first by default.
        type: list
        elements: dict
        required: true
        suboptions:
          endpoint:
            description: Host and port, such as C(vpn.example.com:51820).
            type: str
            required: true
          public_key:
            description: The gateway's public key.
            type: str
            required: true
      identity_accounts:
        description: Accounts whose users may call, by default O(account_id).
        type: list
        elements: dict
        suboptions:
          account_id:
            description: The account.
            type: str
            required: true
          role_arn:
            description: The role to assume for reading IAM there.
            type: str
      domains:
        description: Private domains that clients ask the tunnel's DNS for.
        type: list
        elements: str
      answers_other_names:
        description: Whether the gateways' resolvers answer other names, too.
        type: bool
      mtu:
        description: The lowest MTU of the gateways' interfaces.
        type: int
      devices_per_user:
        description: How many devices a user may have.
        type: int
      changes_per_day:
        description: How many new devices and new keys a user may make in a day.
        type: int
      life:
        description: How many seconds a registration lives.
        type: int
      address_quarantine:
        description: How many seconds a freed address rests.
        type: int
      in_force_within:
        description: How many seconds a change may take to reach the gateways.
        type: int
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
    support: full
  idempotent:
    support: full
"""

EXAMPLES = r"""
- name: Set how long registrations live
  tracklib.vpn.self_service_settings:
    account_id: "111122223333"
    settings:
      access: "{{ vpn_access }}"
      address_pools: [10.44.0.0/20]
      gateways:
        - endpoint: vpn.example.com:51820
          public_key: hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=
      life: 604800
"""

RETURN = r"""
settings:
  description: The settings as the function reads them.
  returned: success
  type: dict
"""

import json
from typing import Any

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.tracklib.vpn.plugins.module_utils.access import ACCESS_OPTION
from ansible_collections.tracklib.vpn.plugins.module_utils.aws import AWSCallError
from ansible_collections.tracklib.vpn.plugins.module_utils.aws_module import (
    REGISTRY_OPTIONS,
    check_credentials,
    one_line_failures,
    registry,
    registry_table,
)
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.settings import RANGES, check
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.table import Registry

_TEXTS = {"type": "list", "elements": "str"}
_TEXT = {"type": "str", "required": True}
_GATEWAY = {"endpoint": _TEXT, "public_key": {**_TEXT, "no_log": False}}
_ACCOUNT = {"account_id": _TEXT, "role_arn": {"type": "str"}}
SETTINGS: dict[str, dict[str, Any]] = {
    "access": ACCESS_OPTION,
    "address_pools": {**_TEXTS, "required": True},
    "gateways": {"type": "list", "elements": "dict", "required": True, "options": _GATEWAY},
    "identity_accounts": {"type": "list", "elements": "dict", "options": _ACCOUNT},
    "domains": _TEXTS,
    "answers_other_names": {"type": "bool"},
    **{name: {"type": "int"} for name in RANGES},
}


def given(value: Any) -> Any:
    """The value without options that weren't given; to the role, an empty ARN of a role is none either."""
    if isinstance(value, dict):
        return {
            name: given(each) for name, each in value.items() if each is not None and (name, each) != ("role_arn", "")
        }
    return [given(each) for each in value] if isinstance(value, list) else value


def shown(document: str | None) -> str:
    """A document as a diff shows it."""
    return json.dumps(json.loads(document), indent=2, sort_keys=True) + "\n" if document else ""


def written(table: Registry, *, check_mode: bool) -> str | None:
    """What the registry has; in check mode there may be no registry yet."""
    try:
        return table.self_service.read()
    except AWSCallError as error:
        if not check_mode or error.code != "ResourceNotFoundException":
            raise
        return None


def main() -> None:
    options = {**REGISTRY_OPTIONS, "settings": {"type": "dict", "required": True, "options": SETTINGS}}
    module = AnsibleAWSModule(argument_spec=options, supports_check_mode=True)
    with one_line_failures(module):
        check_credentials(module)
        settings = {"account_id": module.params["account_id"], **given(module.params["settings"])}
        check(settings)
        table = registry_table(module) if module.check_mode else registry(module)
        before, after = written(table, check_mode=module.check_mode), json.dumps(settings, sort_keys=True)
        if before != after and not module.check_mode:
            table.self_service.write(after)
    diff = {"before": shown(before), "after": shown(after)}
    module.exit_json(changed=before != after, settings=settings, diff=diff)


if __name__ == "__main__":
    main()
