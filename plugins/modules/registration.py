#!/usr/bin/python
# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: registration
version_added: 0.1.0
short_description: Registers and removes a user's device
description:
  - Binds a device of an IAM user to its WireGuard public key and gives it addresses in the tunnel.
  - Everything is bound to the user's id, not the name. A user created again under an old name inherits nothing.
  - A key belongs to one device, an address to one device; the registry enforces both in a transaction.
  - The gateways follow with the next run of the playbook C(tracklib.vpn.reconcile).
author:
  - Tracklib (@tracklib)
options:
  state:
    description:
      - V(present) registers the device, or updates its key, and renews it once it has expired, or when asked to by
        O(renew). Its addresses stay.
      - V(absent) removes the registration. Its key stays reserved for the same user, its addresses rest.
    type: str
    choices: [present, absent]
    default: present
  user_name:
    description: Name of the IAM user.
    type: str
    required: true
  user_id:
    description: The user's id, needed only when removing one of several registrations made under the same name.
    type: str
  device:
    description: Name of the device, 1 to 32 lower-case letters, digits and hyphens.
    type: str
    required: true
  public_key:
    description:
      - The device's public key, as C(wg pubkey) prints it.
      - Required for O(state=present); with O(renew) the registered key stays without it.
    type: str
  expires_in:
    description:
      - How long a new or renewed registration lives, such as V(30d), V(12h) or V(90m). Without it, it doesn't expire.
      - An unexpired registration keeps its expiry, so that running again changes nothing; an expired one is renewed.
      - The gateways take an expired device off by themselves. A renewed one works again after the next run of
        C(tracklib.vpn.reconcile).
    type: str
  renew:
    description:
      - Lets the registration live for O(expires_in) from now on, also if it has not expired yet. Key and addresses
        stay. This changes the expiry each time.
    type: bool
    default: false
  address_pools:
    description:
      - Networks in CIDR form that addresses come from. A device gets one address of each IP version.
      - Required for O(state=present).
    type: list
    elements: str
  address_quarantine:
    description: How long an address rests before another device gets it, in days.
    type: int
    default: 7
  identity_account_id:
    description: Account of the user, when it isn't O(account_id).
    type: str
  identity_role_arn:
    description:
      - Role to assume for reading the user in O(identity_account_id).
      - O(state=absent) doesn't read IAM, and needs none.
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
    support: full
  idempotent:
    support: partial
    details: With O(renew) each run changes the expiry.
seealso:
  - module: tracklib.vpn.revocation
  - module: tracklib.vpn.registrations_info
"""

EXAMPLES = r"""
- name: Register the laptop of alice for 30 days
  tracklib.vpn.registration:
    account_id: "111122223333"
    user_name: alice
    device: laptop
    public_key: hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=
    expires_in: 30d
    address_pools: [10.44.0.0/20, "fd44:7472:6163:6b::/64"]

- name: Renew it for another 30 days; key and addresses stay
  tracklib.vpn.registration:
    account_id: "111122223333"
    user_name: alice
    device: laptop
    renew: true
    expires_in: 30d
    address_pools: [10.44.0.0/20, "fd44:7472:6163:6b::/64"]

- name: Remove a device that was given back
  tracklib.vpn.registration:
    account_id: "111122223333"
    state: absent
    user_name: alice
    device: phone
"""

RETURN = r"""
registration:
  description: The registration as it is, or was before it was removed.
  returned: when there is one
  type: dict
  sample:
    account_id: "111122223333"
    user_id: AIDAIOSFODNN7EXAMPLE
    user_name: alice
    device: laptop
    public_key: hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=
    addresses: [10.44.0.2, "fd44:7472:6163:6b::2"]
    created_at: 1790000000
    expires_at: 1792592000
    renewed_at: null
    handed_out: false
"""

import time
from functools import partial
from typing import Any

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.tracklib.vpn.plugins.module_utils.addresses import parse_pools
from ansible_collections.tracklib.vpn.plugins.module_utils.aws_module import (
    REGISTRY_OPTIONS,
    USER_OPTIONS,
    check_credentials,
    check_role,
    check_user_name,
    find_user,
    one_line_failures,
    registration_diff,
    registration_result,
    registry,
    user_account,
)
from ansible_collections.tracklib.vpn.plugins.module_utils.model import Registration, User, check_device_name
from ansible_collections.tracklib.vpn.plugins.module_utils.registration import Wanted, updated
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.dynamodb import RegistryError
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.table import Registry
from ansible_collections.tracklib.vpn.plugins.module_utils.timespan import DAY, seconds
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.whom import read_user_id


def _wanted(params: dict[str, Any], user: User) -> Wanted:
    expires_in = params["expires_in"]
    return Wanted(
        user=user,
        device=params["device"],
        label=f"{params['user_name']}/{params['device']}",
        public_key=params["public_key"],
        life=None if expires_in is None else seconds("expires_in", expires_in),
        renew=params["renew"],
    )


def ensure_present(module: AnsibleAWSModule, table: Registry) -> dict[str, Any]:
    """Register the device, or update its registration."""
    params = module.params
    pools = parse_pools(params["address_pools"])
    user = find_user(module, table)
    if user is None:
        raise RegistryError(
            f"{params['user_name']}/{params['device']} can't be registered: there is no IAM user {params['user_name']}"
        )
    before, after = table.devices.change(
        (user.account_id, user.user_id),
        params["device"],
        partial(updated, wanted=_wanted(params, user), now=int(time.time())),
        pools,
        quarantine=params["address_quarantine"] * DAY,
        check_mode=module.check_mode,
    )
    return {
        "changed": before != after,
        "registration": registration_result(after),
        "diff": registration_diff(before, after),
    }


def ensure_absent(module: AnsibleAWSModule, table: Registry) -> dict[str, Any]:
    """Remove the registration, if there is one."""
    registration = _registered(table, module.params, user_account(module))
    if registration is None:
        return {"changed": False}
    if not module.check_mode:
        table.devices.remove(registration, quarantine=module.params["address_quarantine"] * DAY)
    return {
        "changed": True,
        "registration": registration_result(registration),
        "diff": registration_diff(registration, None),
    }


def _registered(table: Registry, params: dict[str, Any], account_id: str) -> Registration | None:
    """The registration that the options name; the user may be gone from IAM."""
    name, user_id = params["user_name"].casefold(), read_user_id(params["user_id"] or "")
    matching = [
        registration
        for registration in table.devices.registrations()
        if registration.account_id == account_id
        and registration.device == params["device"]
        and registration.user_name.casefold() == name
        and user_id in ("", registration.user_id)
    ]
    if len(matching) > 1:
        ids = ", ".join(sorted(registration.user_id for registration in matching))
        raise RegistryError(
            f"{matching[0].label} is registered by several users of that name; give user_id: one of {ids}"
        )
    return matching[0] if matching else None


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={
            **REGISTRY_OPTIONS,
            **USER_OPTIONS,
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "user_id": {"type": "str"},
            "device": {"type": "str", "required": True},
            "public_key": {"type": "str", "no_log": False},
            "expires_in": {"type": "str"},
            "renew": {"type": "bool", "default": False},
            "address_pools": {"type": "list", "elements": "str"},
            "address_quarantine": {"type": "int", "default": 7},
        },
        required_if=[("state", "present", ["address_pools"]), ("renew", True, ["expires_in"])],
        supports_check_mode=True,
    )
    with one_line_failures(module):
        check_user_name(module)
        check_device_name(module.params["device"], module.params["user_name"])
        ensure = ensure_absent
        if module.params["state"] == "present":
            check_role(module)
            ensure = ensure_present
        check_credentials(module)
        result = ensure(module, registry(module))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
