#!/usr/bin/python
# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: receipts
version_added: 0.1.0
short_description: Records in the registry what gateways report of devices
description:
  - Writes a receipt for each removal that gateways returned, and only then lets the gateways forget these removals.
    The next roster that M(tracklib.vpn.roster) makes tells them so.
  - A gateway returns its removals until then, so no receipt is lost when a run is killed.
  - Removals that aren't certain yet are left out. They come again.
  - A handout that somebody has used lives on as long as its maker said, see M(tracklib.vpn.handout).
author:
  - Tracklib (@tracklib)
options:
  gateways:
    description: What the gateways returned.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: The gateway's name, which the receipts carry.
        type: str
        required: true
      missed:
        description:
          - Names of the devices that may still be peers of a gateway that wasn't reached. They are remembered until it
            is reached.
        type: list
        elements: str
        default: []
      removals:
        description: Its RV(tracklib.vpn.wireguard_interface#module:removals).
        type: list
        elements: dict
        default: []
        suboptions:
          id:
            description: Identifies the removal on its gateway.
            type: str
            required: true
          user_name:
            description: The IAM user's name.
            type: str
            required: true
          device:
            description: The user's device.
            type: str
            required: true
          account_id:
            description: The user's account.
            type: str
            required: true
          user_id:
            description: The user's unique id.
            type: str
            required: true
          public_key:
            description: The device's public key. Receipts carry its fingerprint only.
            type: str
          fingerprint:
            description: The key's fingerprint.
            type: str
            required: true
          generation:
            description: The generation in force when the peer was removed.
            type: int
            required: true
          reason:
            description: Why it was removed.
            type: str
            required: true
          detail:
            description: Why, in an operator's words, where the registry may not know it.
            type: str
          last_handshake:
            description: The peer's last handshake in seconds since the epoch.
            type: int
          removed_at:
            description: When the peer was off, in seconds since the epoch; null while that isn't certain.
            type: int
      used:
        description: Its RV(tracklib.vpn.wireguard_interface#module:used).
        type: list
        elements: dict
        default: []
        suboptions:
          account_id:
            description: The user's account.
            type: str
            required: true
          user_id:
            description: The user's unique id.
            type: str
            required: true
          user_name:
            description: The IAM user's name.
            type: str
            required: true
          device:
            description: The user's device.
            type: str
            required: true
          public_key:
            description: The device's public key.
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
seealso:
  - module: tracklib.vpn.receipts_info
"""

EXAMPLES = r"""
- name: Record that devices are off the gateway
  tracklib.vpn.receipts:
    account_id: "111122223333"
    gateways:
      - name: gateway-1
        removals: "{{ applied.removals }}"
        used: "{{ applied.used }}"
"""

RETURN = r"""
receipts:
  description: The receipts of these removals, as RV(tracklib.vpn.receipts_info#module:receipts) has them.
  returned: success
  type: list
  elements: dict
  sample:
    - gateway: gateway-1
      user_name: alice
      device: laptop
      event_id: 5f3b2a10-6c1d-4f6e-9a0b-2c5d8e7f1a34
      deleted_at: 1790000000
      removed_at: 1790000042
      delay: 42
confirmed:
  description: Names of the handouts that live on from now.
  returned: success
  type: list
  elements: str
  sample: [carol/laptop]
"""

from typing import Any

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.tracklib.vpn.plugins.module_utils.aws_module import (
    REGISTRY_OPTIONS,
    check_credentials,
    one_line_failures,
    receipt_result,
    registry,
)
from ansible_collections.tracklib.vpn.plugins.module_utils.model import Receipt
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.receipts import Causes, receipt
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.table import Registry

_REMOVAL: dict[str, Any] = {
    **{
        name: {"type": "str", "required": True}
        for name in ("id", "user_name", "device", "account_id", "user_id", "fingerprint", "reason")
    },
    "public_key": {"type": "str", "no_log": False},
    "generation": {"type": "int", "required": True},
    "last_handshake": {"type": "int"},
    "removed_at": {"type": "int"},
    "detail": {"type": "str"},
}


_USED: dict[str, Any] = {
    **{name: {"type": "str", "required": True} for name in ("account_id", "user_id", "user_name", "device")},
    "public_key": {"type": "str", "required": True, "no_log": False},
}


def _confirmed(table: Registry, gateways: list[dict[str, Any]], *, check_mode: bool) -> list[str]:
    """Have handouts live on that somebody has used; the names of those that were not yet known as used."""
    names = []
    for used in (used for gateway in gateways for used in gateway["used"]):
        device = (used["account_id"], used["user_id"], used["device"])
        name = f"{used['user_name']}/{used['device']}"
        if table.devices.confirm(device, used["public_key"], check_mode=check_mode):
            names.append(name)
    return names


def _receipts(table: Registry, gateways: list[dict[str, Any]]) -> list[Receipt]:
    done = [
        (gateway["name"], removal)
        for gateway in gateways
        for removal in gateway["removals"]
        if removal["removed_at"] is not None
    ]
    if not done:
        return []
    reasons = {removal["reason"] for _gateway, removal in done}
    causes = Causes(
        table.tombstones(),
        table.blocks(),
        table.devices.registrations() if "expired" in reasons else [],
        table.devices.removed() if "removed" in reasons else [],
    )
    return [receipt(gateway, removal, causes) for gateway, removal in done]


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={
            **REGISTRY_OPTIONS,
            "gateways": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "name": {"type": "str", "required": True},
                    "removals": {"type": "list", "elements": "dict", "default": [], "options": _REMOVAL},
                    "missed": {"type": "list", "elements": "str", "default": []},
                    "used": {"type": "list", "elements": "dict", "default": [], "options": _USED},
                },
            },
        },
        supports_check_mode=True,
    )
    with one_line_failures(module):
        check_credentials(module)
        table = registry(module)
        gateways = module.params["gateways"]
        receipts = _receipts(table, gateways)
        acknowledged, missed = table.acknowledged(), table.missed()
        caught_up = [each["name"] for each in gateways if not each["missed"] and each["name"] in missed]
        behind = {each["name"]: each["missed"] for each in gateways if each["missed"]}
        changed = bool(caught_up) or any(names != missed.get(gateway) for gateway, names in behind.items())
        changed |= any(each.removal_id not in acknowledged.get(each.gateway, ()) for each in receipts)
        if changed and not module.check_mode:
            table.record(receipts, caught_up)
            for gateway, names in behind.items():
                table.record_missed(gateway, names)
        confirmed = _confirmed(table, gateways, check_mode=module.check_mode)
    module.exit_json(
        changed=changed or bool(confirmed),
        receipts=[receipt_result(each) for each in receipts],
        confirmed=confirmed,
    )


if __name__ == "__main__":
    main()
