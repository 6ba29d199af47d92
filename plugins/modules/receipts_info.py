#!/usr/bin/python
# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: receipts_info
version_added: 0.1.0
short_description: Lists the receipts of devices that were taken off the gateways
description:
  - Reads the receipts that M(tracklib.vpn.receipts) wrote, one for each removal and gateway.
author:
  - Tracklib (@tracklib)
options:
  since:
    description: Return only removals of the last time span, such as V(90d), V(12h), V(30m) or V(45s).
    type: str
  user_name:
    description: Return only removals under this user name, compared without regard to case.
    type: str
extends_documentation_fragment:
  - tracklib.vpn.registry
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
  - tracklib.vpn.attributes
  - tracklib.vpn.attributes.actiongroup_aws
  - tracklib.vpn.attributes.info_module
seealso:
  - module: tracklib.vpn.receipts
  - plugin: tracklib.vpn.receipt_lines
    plugin_type: filter
    description: Makes a table, JSON or CSV of them.
"""

EXAMPLES = r"""
- name: Read who was taken off in the last quarter
  tracklib.vpn.receipts_info:
    account_id: "111122223333"
    since: 92d
  register: removed

- name: Show them
  ansible.builtin.debug:
    msg: "{{ removed.receipts | tracklib.vpn.receipt_lines }}"
"""

RETURN = r"""
unreadable:
  description: A sentence for each receipt that can't be read, with its key. It may be anybody's.
  returned: success
  type: list
  elements: str
unknown:
  description: Says that nobody has or had O(user_name), with the names that are most like it; null if somebody has.
  returned: success
  type: str
receipts:
  description: Receipts, the earliest removal first. What isn't known is null.
  returned: success
  type: list
  elements: dict
  contains:
    gateway:
      description: The gateway that the device was taken off.
      type: str
      sample: gateway-1
    removal_id:
      description: Identifies the removal on its gateway.
      type: str
      sample: 0123456789abcdef
    account_id:
      description: The user's account.
      type: str
      sample: "111122223333"
    user_id:
      description: The user's unique id.
      type: str
      sample: AIDAIOSFODNN7EXAMPLE
    user_name:
      description: The user's name then.
      type: str
      sample: alice
    device:
      description: The user's device.
      type: str
      sample: laptop
    fingerprint:
      description: The first 16 hexadecimal digits of the SHA-256 of the public key's text.
      type: str
      sample: 9f86d081884c7d65
    reason:
      description: Why it was removed.
      type: str
      sample: tombstoned
    generation:
      description: The generation in force when the device was removed.
      type: int
      sample: 1790000040000
    event_id:
      description:
        - The deletion's event in CloudTrail; C(sweep-USER_ID) if sweeps found it; C(operator-UUID) if an operator
          revoked a user who isn't in IAM.
      type: str
      sample: 5f3b2a10-6c1d-4f6e-9a0b-2c5d8e7f1a34
    deleted_at:
      description: When the user was deleted or blocked or the registration removed or expired; seconds since the epoch.
      type: int
      sample: 1790000000
    removed_at:
      description: When the device was off the gateway, in seconds since the epoch.
      type: int
      sample: 1790000042
    last_handshake:
      description: The device's last handshake with the gateway, in seconds since the epoch; null if there was none.
      type: int
      sample: 1789999950
    detail:
      description: The reason in words, with what the operator wrote; null if the registry knows none.
      type: str
      sample: "blocked: left the company"
    by:
      description: The ARN of who ordered it; null if nobody did, or if that isn't known.
      type: str
      sample: arn:aws:iam::111122223333:user/operator
    delay:
      description: Seconds from RV(receipts[].deleted_at) to RV(receipts[].removed_at).
      type: int
      sample: 42
    delay_in_run:
      description: Seconds of RV(receipts[].delay) from the start of the run; null if the gateway acted by itself.
      type: int
      sample: 2
"""

import time

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.tracklib.vpn.plugins.module_utils.aws_module import (
    REGISTRY_OPTIONS,
    check_credentials,
    one_line_failures,
    receipt_result,
    registry,
)
from ansible_collections.tracklib.vpn.plugins.module_utils.model import Decision, Receipt, Registration
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.table import Registry
from ansible_collections.tracklib.vpn.plugins.module_utils.revocation import nearest_names
from ansible_collections.tracklib.vpn.plugins.module_utils.timespan import seconds
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.whom import read_whom


def _of(receipts: list[Receipt], given: str, registrations: list[Registration]) -> list[Receipt]:
    """Those of a user, by the name of then or now or by the id, or of a device by its label."""
    user, device = read_whom(given)
    renamed = {each.user_id for each in registrations if each.user_name.casefold() == user.casefold()}
    return [
        each
        for each in receipts
        if (each.user_name.casefold() == user.casefold() or each.user_id in {user, *renamed})
        and device in ("", each.device)
    ]


def _unknown(table: Registry, given: str) -> str | None:
    """Say that nobody has the name or id, or had, with the nearest names, or that the user has and had no such device.

    :returns: None if there is, or was, what is asked about.
    """
    user, device = read_whom(given)
    facts = table.facts()
    holders = [*facts.registered.registrations, *(facts.decision or Decision()).peers]
    devices = {(each.user_id, each.user_name, each.device) for each in holders}
    devices |= {(each.user_id, each.user_name, each.device) for each in facts.registered.removed}
    devices |= {(each.user_id, each.user_name, each.device) for each in table.receipts()}
    users = {(user_id, name) for user_id, name, _device in devices}
    users |= {(each.user_id, each.user_name) for sweep in facts.sweeps.values() for each in sweep.users.values()}
    names = {name for _user_id, name in users}
    ids = {user_id for user_id, name in users if user == user_id or user.casefold() == name.casefold()}
    if ids:
        known = sorted({name for user_id, _name, name in devices if user_id in ids})
        if device in ("", *known):
            return None
        has = ", ".join(known) or "none at all"
        return f"{user} has no device {device}, and had none of which a record is left; known: {has}"
    nearest = ", ".join(nearest_names(user, names)) or "none is like it"
    return (
        f"nobody is or was called {user}: no receipt, registration or sweep knows the name or id. The nearest names: "
        f"{nearest}"
    )


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={**REGISTRY_OPTIONS, "since": {"type": "str"}, "user_name": {"type": "str"}},
        supports_check_mode=True,
    )
    span, user_name = module.params["since"], module.params["user_name"]
    with one_line_failures(module):
        check_credentials(module)
        table = registry(module)
        unreadable: list[str] = []
        every = found = table.receipts(time.time() - seconds("since", span) if span else 0, unreadable.append)
        unknown = None
        if user_name is not None:
            found = _of(every, user_name, table.devices.registrations())
            unknown = None if found else _unknown(table, user_name)
    for sentence in unreadable:
        module.warn(sentence)
    receipts = [receipt_result(each) for each in found]
    module.exit_json(changed=False, receipts=receipts, unreadable=unreadable, unknown=unknown)


if __name__ == "__main__":
    main()
