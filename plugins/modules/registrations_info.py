#!/usr/bin/python
# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: registrations_info
version_added: 0.1.0
short_description: Lists the devices that are registered for the VPN
description:
  - Reads the registrations and blocks of the registry, all of them or one user's.
  - A registration alone doesn't let a device in; M(tracklib.vpn.roster) decides that, with IAM's facts.
author:
  - Tracklib (@tracklib)
options:
  user_name:
    description: Return only registrations made under this user name, compared without regard to case.
    type: str
  device:
    description: Return only registrations of this device name.
    type: str
  expiring_within:
    description:
      - Return only registrations that expire within this time from now, such as V(7d) or V(12h), the earliest first.
      - Those that have expired already aren't among them.
    type: str
extends_documentation_fragment:
  - tracklib.vpn.registry
  - tracklib.vpn.access.optional
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
  - tracklib.vpn.attributes
  - tracklib.vpn.attributes.actiongroup_aws
  - tracklib.vpn.attributes.info_module
"""

EXAMPLES = r"""
- name: List the devices of alice
  tracklib.vpn.registrations_info:
    account_id: "111122223333"
    user_name: alice
  register: devices

- name: Show them
  ansible.builtin.debug:
    var: devices.registrations

- name: List the devices that expire within a week, to remind their users
  tracklib.vpn.registrations_info:
    account_id: "111122223333"
    expiring_within: 7d
  register: expiring
"""

RETURN = r"""
registrations:
  description: Registrations, ordered by user name and device, or with O(expiring_within) by expiry.
  returned: success
  type: list
  elements: dict
  contains:
    account_id:
      description: Account of the user.
      type: str
      sample: "111122223333"
    user_id:
      description: Identity of the user within the account.
      type: str
      sample: AIDAIOSFODNN7EXAMPLE
    user_name:
      description: The user's name when the device was registered.
      type: str
      sample: alice
    device:
      description: Name of the device.
      type: str
      sample: laptop
    public_key:
      description: The device's public key.
      type: str
      sample: hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=
    addresses:
      description: The device's addresses in the tunnel.
      type: list
      elements: str
      sample: [10.44.0.2, "fd44::2"]
    created_at:
      description: When it was registered, seconds since the epoch.
      type: int
      sample: 1790000000
    expires_at:
      description: When it expires, seconds since the epoch; null for never.
      type: int
      sample: 1792592000
    renewed_at:
      description: When it was last renewed, seconds since the epoch; null for never.
      type: int
      sample: 1791000000
    handed_out:
      description: Whether its private key was made by an operator and handed out.
      type: bool
      sample: false
    fixed_end:
      description: Whether an operator set when it ends, so that its user can't renew it.
      type: bool
      sample: false
    confirmed_end:
      description: Of a handout that nobody has used yet, when it expires instead once somebody has, in seconds since
        the epoch; null for all others.
      type: int
      sample: null
    by:
      description: The ARN of who registered it, or changed or renewed it last; null if that isn't known.
      type: str
      sample: arn:aws:iam::111122223333:user/operator
    blocked:
      description: Why the user or this device is blocked; null if it isn't.
      type: str
      sample: left the company
    networks:
      description: Networks that O(access) grants the user, in CIDR form, merged; empty if none. Only with O(access).
      type: list
      elements: str
      sample: [10.20.0.0/16]
    networks_reason:
      description: Why there are no networks; null if there are. Only with O(access).
      type: str
"""

import time
from typing import Any

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.tracklib.vpn.plugins.module_utils.access import ACCESS_OPTION, Access
from ansible_collections.tracklib.vpn.plugins.module_utils.aws_module import (
    REGISTRY_OPTIONS,
    check_credentials,
    one_line_failures,
    registration_result,
    registry,
)
from ansible_collections.tracklib.vpn.plugins.module_utils.model import Registration, Sweep
from ansible_collections.tracklib.vpn.plugins.module_utils.timespan import seconds


def _wanted(registration: Registration, user_name: str | None, device: str | None) -> bool:
    by_name = user_name is None or registration.user_name.casefold() == user_name.casefold()
    return by_name and (device is None or registration.device == device)


def _expiring(found: list[Registration], expiring_within: str, now: float) -> list[Registration]:
    """Those whose time isn't over, but will be, by expiry."""
    end = now + seconds("expiring_within", expiring_within)
    times = [(registration.expires_at, registration) for registration in found if registration.expires_at is not None]
    return [registration for expires_at, registration in sorted(times) if now < expires_at <= end]


def _networks(registration: Registration, sweep: Sweep | None, params: dict[str, Any]) -> dict[str, Any]:
    """What the access policy grants a registration's user."""
    if params["access"] is None:
        return {}
    user = None if sweep is None else sweep.users.get(registration.user_id)
    if user is None:
        reason = f"the last complete sweep of account {registration.account_id} has no user {registration.user_id}"
        return {"networks": [], "networks_reason": reason}
    try:
        return {
            "networks": Access.parse(params["access"], params["account_id"]).granted_to(user),
            "networks_reason": None,
        }
    except ValueError as error:
        return {"networks": [], "networks_reason": str(error)}


def run(module: AnsibleAWSModule) -> list[dict[str, Any]]:
    params = module.params
    table = registry(module)
    reasons = {(block.account_id, block.user_id, block.device): block.reason for block in table.blocks()}
    found = sorted(table.devices.registrations(), key=lambda registration: registration.label)
    found = [registration for registration in found if _wanted(registration, params["user_name"], params["device"])]
    if params["expiring_within"] is not None:
        found = _expiring(found, params["expiring_within"], time.time())
    accounts = {registration.account_id for registration in found} if params["access"] is not None else set()
    sweeps = {account_id: table.sweep(account_id) for account_id in accounts}
    return [
        {
            **registration_result(registration),
            "blocked": reasons.get((*registration.owner, None))
            or reasons.get((*registration.owner, registration.device)),
            **_networks(registration, sweeps.get(registration.account_id), params),
        }
        for registration in found
    ]


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={
            **REGISTRY_OPTIONS,
            "user_name": {"type": "str"},
            "device": {"type": "str"},
            "expiring_within": {"type": "str"},
            "access": {**ACCESS_OPTION, "required": False},
        },
        supports_check_mode=True,
    )
    with one_line_failures(module):
        check_credentials(module)
        registrations = run(module)
    module.exit_json(changed=False, registrations=registrations)


if __name__ == "__main__":
    main()
