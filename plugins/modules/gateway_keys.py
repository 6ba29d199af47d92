#!/usr/bin/python
# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: gateway_keys
version_added: 0.1.0
short_description: Keeps gateways' public keys from being devices'
description:
  - Claims the public keys of gateways in the registry. A device that has one would make every gateway refuse its peer.
  - The playbook C(tracklib.vpn.site) runs it after it has set gateways up.
author:
  - Tracklib (@tracklib)
options:
  gateways:
    description: The gateways.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: The gateway's name in the inventory.
        type: str
        required: true
      public_key:
        description: Its public key, as C(wg show wg0 public-key) prints it.
        type: str
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
"""

EXAMPLES = r"""
- name: Claim a gateway's key
  tracklib.vpn.gateway_keys:
    account_id: "111122223333"
    gateways:
      - name: vpn-1
        public_key: "{{ interface.public_key }}"
"""

RETURN = r"""
claimed:
  description: Names of the gateways whose keys weren't claimed yet.
  returned: success
  type: list
  elements: str
  sample: [vpn-1]
"""

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.tracklib.vpn.plugins.module_utils.aws_module import (
    REGISTRY_OPTIONS,
    check_credentials,
    one_line_failures,
    registry,
)
from ansible_collections.tracklib.vpn.plugins.module_utils.keys import check_public_key


def main() -> None:
    gateway = {
        "name": {"type": "str", "required": True},
        "public_key": {"type": "str", "required": True, "no_log": False},
    }
    module = AnsibleAWSModule(
        argument_spec={
            **REGISTRY_OPTIONS,
            "gateways": {"type": "list", "elements": "dict", "required": True, "options": gateway},
        },
        supports_check_mode=True,
    )
    with one_line_failures(module):
        check_credentials(module)
        table = registry(module)
        claimed = [
            each["name"]
            for each in module.params["gateways"]
            if table.claim_key(each["name"], check_public_key(each["public_key"]), check_mode=module.check_mode)
        ]
    module.exit_json(changed=bool(claimed), claimed=claimed)


if __name__ == "__main__":
    main()
