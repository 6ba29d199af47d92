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
    description:
      - Name of the IAM user, or the user's unique id.
      - A label such as C(alice/laptop) stands for C(alice) and O(device=laptop).
      - A name that may mean several users, such as one who came back and the one of before, is refused with their ids.
    type: str
    required: true
  user_id:
    description: The user's id, needed only where O(user_name) may mean several users.
    type: str
  device:
    description: Name of the device, 1 to 32 lower-case letters, digits and hyphens. Required without a label.
    type: str
  public_key:
    description:
      - The device's public key, as C(wg pubkey) prints it.
      - Required for O(state=present); with O(renew) the registered key stays without it.
    type: str
  expires_in:
    description:
      - How long a new or renewed registration lives, such as V(30d), V(12h) or V(90m); V(never) if it isn't to expire.
      - Without it, a new one lives for 30 days, a renewed one as long as before, and never shorter than it did.
      - An end that it sets is fixed. By self-service the user can't renew the device beyond it.
      - An unexpired registration keeps its expiry, so that running again changes nothing; an expired one is renewed.
      - The gateways take an expired device off by themselves. A renewed one works again after the next run of
        C(tracklib.vpn.reconcile).
    type: str
  renew:
    description:
      - Lets the registration live for O(expires_in) from now on, also if it has not expired yet. Key and addresses
        stay. This changes the expiry each time. A device that isn't registered is refused.
    type: bool
    default: false
  replace:
    description: Whether O(public_key) takes the place of another one that is registered for the device.
    type: bool
    default: true
  reason:
    description: Why the device is removed, for the record of it, which the registry keeps for 90 days.
    type: str
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
      - O(state=absent) asks IAM only who has the name now, and does without an answer.
    type: str
extends_documentation_fragment:
  - tracklib.vpn.registry
  - tracklib.vpn.access.optional
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
    fixed_end: true
    confirmed_end: null
    by: arn:aws:iam::111122223333:user/operator
still_blocked_by:
  description: What keeps the device off the gateways although it is registered, in words, as M(tracklib.vpn.revocation)
    has it.
  returned: for O(state=present)
  type: list
  elements: str
msg:
  description: What was done, what keeps the device off, and what comes next, in a sentence.
  returned: always
  type: str
"""

import time
from functools import partial
from typing import Any

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.tracklib.vpn.plugins.module_utils.addresses import parse_pools
from ansible_collections.tracklib.vpn.plugins.module_utils.aws_module import (
    OPTIONAL_ACCESS_OPTION,
    REGISTRY_OPTIONS,
    USER_OPTIONS,
    check_credentials,
    identify,
    one_line_failures,
    read_label,
    registration_diff,
    registration_result,
    registry,
    standing,
)
from ansible_collections.tracklib.vpn.plugins.module_utils.model import User
from ansible_collections.tracklib.vpn.plugins.module_utils.obstacles import obstacles
from ansible_collections.tracklib.vpn.plugins.module_utils.orders import registered, removed, subject
from ansible_collections.tracklib.vpn.plugins.module_utils.registration import Wanted, life_of, updated
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.dynamodb import RegistryError
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.facts import RegistryFacts
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.table import Registry
from ansible_collections.tracklib.vpn.plugins.module_utils.revocation import (
    Person,
    UnknownUserError,
    no_device,
)
from ansible_collections.tracklib.vpn.plugins.module_utils.timespan import DAY
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.whom import read_whom


def _person(module: AnsibleAWSModule, table: Registry, facts: RegistryFacts) -> Person:
    """The user whom the options mean."""
    params = module.params
    user_id = params["user_id"] and read_whom(params["user_id"])[0]
    return identify(module, table, facts, user_id or params["user_name"])


def _wanted(params: dict[str, Any], user: User, life: float | None, by: str | None) -> Wanted:
    return Wanted(
        user=user,
        device=params["device"],
        label=f"{params['user_name']}/{params['device']}",
        public_key=params["public_key"],
        life=life,
        renew=params["renew"],
        replace=params["replace"],
        by=by,
    )


def ensure_present(module: AnsibleAWSModule, table: Registry, by: str | None) -> dict[str, Any]:
    """Register the device, or update its registration; `by` is the caller's ARN."""
    params, now, facts = module.params, time.time(), table.facts()
    pools, life = parse_pools(params["address_pools"]), life_of(params["expires_in"])
    person = _person(module, table, facts)
    if person.error is not None:
        raise person.error
    found = standing(module, person, facts)
    user = person.user or found.user
    if user is None:
        raise RegistryError(
            f"{person.user_name}/{params['device']} can't be registered or renewed: there is no IAM user "
            f"{person.user_name} with the id {person.user_id}"
        )
    damage = facts.registered.unreadable.get((*person.owner, params["device"]))
    if params["renew"] and damage is not None:
        raise RegistryError(f"{person.user_name}/{params['device']} can't be renewed: {damage}")
    if params["renew"] and params["device"] not in {each.device for each in found.devices}:
        refusal = no_device(person.user_name, params["device"], found.devices, facts.blocks, now)
        raise RegistryError(f"{refusal}.{person.hint}")
    before, after = table.devices.change(
        person.owner,
        params["device"],
        partial(updated, wanted=_wanted(params, user, life, by), now=int(now)),
        pools,
        quarantine=params["address_quarantine"] * DAY,
        check_mode=module.check_mode,
    )
    left = obstacles(found._replace(registrations=[after]), after.device, now)
    if left:
        done = "renewed" if params["renew"] else "registered"
        done = f"would be {done}" if module.check_mode else f"is {done}"
        module.warn(f"{subject(person, after.device)} {done}, and stays off the gateways: {'; '.join(left)}")
    return {
        "changed": before != after,
        "registration": registration_result(after),
        "still_blocked_by": left,
        "msg": registered(person, before, after, left, now=now, check_mode=module.check_mode),
        "diff": registration_diff(before, after),
    }


def ensure_absent(module: AnsibleAWSModule, table: Registry, by: str | None) -> dict[str, Any]:
    """Remove the registration, if there is one; `by` is the caller's ARN."""
    params, facts = module.params, table.facts()
    try:
        person = _person(module, table, facts)
    except UnknownUserError as error:
        return {"changed": False, "msg": str(error)}
    devices = [each for each in facts.registered.registrations if each.owner == person.owner]
    registration = table.devices.registration(person.owner, params["device"])
    if registration is None:
        having = no_device(person.user_name, params["device"], devices, facts.blocks, time.time())
        return {"changed": False, "msg": f"{having}.{person.hint}"}
    if not module.check_mode:
        quarantine = params["address_quarantine"] * DAY
        table.devices.remove(registration, quarantine=quarantine, by=by, reason=params["reason"])
    return {
        "changed": True,
        "registration": registration_result(registration),
        "msg": removed(person, registration, params["account_id"], facts, check_mode=module.check_mode),
        "diff": registration_diff(registration, None),
    }


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={
            **REGISTRY_OPTIONS,
            **USER_OPTIONS,
            **OPTIONAL_ACCESS_OPTION,
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "user_id": {"type": "str"},
            "device": {"type": "str"},
            "public_key": {"type": "str", "no_log": False},
            "expires_in": {"type": "str"},
            "renew": {"type": "bool", "default": False},
            "replace": {"type": "bool", "default": True},
            "reason": {"type": "str"},
            "address_pools": {"type": "list", "elements": "str"},
            "address_quarantine": {"type": "int", "default": 7},
        },
        required_if=[("state", "present", ["address_pools"])],
        supports_check_mode=True,
    )
    with one_line_failures(module):
        read_label(module, needs_device=True)
        ensure = ensure_absent
        if module.params["state"] == "present":
            ensure = ensure_present
        by = check_credentials(module)
        result = ensure(module, registry(module), by)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
