#!/usr/bin/python
# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: registration
version_added: 0.1.0
short_description: Registers, removes, blocks and unblocks a user's device
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
      - V(present) registers the device, or brings its key up to date, and renews it once it has expired, or when asked
        to by O(renew). Its addresses stay.
      - V(absent) removes the registration. Its key stays reserved for the same user, its addresses rest.
      - V(blocked) revokes the user, or only O(device). A user who exists in IAM is blocked, one who doesn't gets
        a tombstone. When IAM doesn't answer, the ids known from the last complete sweep are blocked.
      - V(unblocked) lifts the block of the user, or of O(device). The user's block and a device's are lifted one by
        one. A tombstone isn't lifted; a later complete sweep that lists the user outweighs it.
    type: str
    choices: [present, absent, blocked, unblocked]
    default: present
  user_name:
    description: Name of the IAM user.
    type: str
    required: true
  user_id:
    description: The user's id, needed only when removing one of several registrations made under the same name.
    type: str
  device:
    description:
      - Name of the device, 1 to 32 lower-case letters, digits and hyphens.
      - Required for V(present) and V(absent).
    type: str
  public_key:
    description:
      - The device's public key, as C(wg pubkey) prints it.
      - Required for V(present); with O(renew) the registered key stays without it.
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
  reason:
    description:
      - Why the user or device is blocked, as M(tracklib.vpn.registrations_info) and M(tracklib.vpn.roster) show it.
      - Who is blocked already keeps the first reason.
    type: str
    default: revoked by an operator
  address_pools:
    description:
      - Networks in CIDR form that addresses come from. A device gets one address of each IP version.
      - Required for V(present).
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
      - V(absent) doesn't read IAM, and needs none.
    type: str
extends_documentation_fragment:
  - tracklib.vpn.registry
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
  - tracklib.vpn.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
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

- name: Block a lost phone
  tracklib.vpn.registration:
    account_id: "111122223333"
    state: blocked
    user_name: alice
    device: phone
    reason: lost on a train
"""

RETURN = r"""
registration:
  description: The registration as it is, or was before it was removed.
  returned: for O(state=present) and O(state=absent), when there is one
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
revocations:
  description: What was written for O(state=blocked).
  returned: for O(state=blocked)
  type: list
  elements: dict
  contains:
    kind:
      description: V(block) or V(tombstone).
      type: str
    user_id:
      description: Whom it is for; null if no id is known for the name.
      type: str
generation:
  description:
    - A generation taken after that was written, for O(tracklib.vpn.wireguard_interface#module:generation) where a user
      is taken off without a roster. In check mode the last one.
  returned: for O(state=blocked)
  type: int
  sample: 1790000000000
"""

import re
import time
import uuid
from typing import Any

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.tracklib.vpn.plugins.module_utils.addresses import parse_pools
from ansible_collections.tracklib.vpn.plugins.module_utils.aws import AWSCallError
from ansible_collections.tracklib.vpn.plugins.module_utils.aws_module import (
    REGISTRY_OPTIONS,
    check_credentials,
    iam_client,
    one_line_failures,
    registration_result,
    registry,
)
from ansible_collections.tracklib.vpn.plugins.module_utils.iam.sweep import find_user
from ansible_collections.tracklib.vpn.plugins.module_utils.keys import check_public_key
from ansible_collections.tracklib.vpn.plugins.module_utils.model import (
    Block,
    Registration,
    Tombstone,
    User,
    check_device_name,
)
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.dynamodb import RegistryError
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.table import Registry
from ansible_collections.tracklib.vpn.plugins.module_utils.timespan import DAY, seconds


def _check_names(params: dict[str, Any]) -> None:
    if not re.fullmatch(r"[A-Za-z0-9_+=,.@-]{1,64}", params["user_name"]):
        raise ValueError(
            f"user name {params['user_name']!r} can't be an IAM user's; expected 1 to 64 letters, digits or _+=,.@-"
        )
    if params["device"] is not None:
        check_device_name(params["device"], params["user_name"])


def _user(module: AnsibleAWSModule, table: Registry) -> User | None:
    """The user in IAM, also when the name is spelt in another case than IAM's own: its GetUser may tell them apart."""
    wanted = module.params["user_name"]
    account_id = module.params["identity_account_id"] or module.params["account_id"]
    iam = iam_client(module, account_id, module.params["identity_role_arn"])
    user = find_user(iam, account_id, wanted)
    stored = table.sweep(account_id) if user is None else None
    listed = stored.named(wanted) if stored is not None else None
    return user if listed is None or listed.user_name == wanted else find_user(iam, account_id, listed.user_name)


def _public_key(found: Registration | None, params: dict[str, Any], label: str) -> str:
    """The key to have: the given one, or, when renewing, the registered one."""
    if params["public_key"] is not None:
        try:
            return check_public_key(params["public_key"])
        except ValueError as error:
            raise ValueError(f"{label}: {error}") from None
    if not params["renew"]:
        raise ValueError(f"{label}: public_key is missing; only with renew does the registered key stay")
    if found is None:
        raise RegistryError(f"{label} can't be renewed: it isn't registered; register it with its public_key")
    return found.public_key


def _wanted(found: Registration | None, user: User, params: dict[str, Any], now: int) -> Registration:
    """What the registration is to be: an unexpired one lives on as it does, unless it is to be renewed."""
    label = f"{params['user_name']}/{params['device']}"
    wanted = Registration(
        account_id=user.account_id,
        user_id=user.user_id,
        device=params["device"],
        user_name=user.user_name,
        public_key=_public_key(found, params, label),
        addresses=(),
        created_at=now,
        expires_at=None if params["expires_in"] is None else now + seconds("expires_in", params["expires_in"]),
    )
    if found is None:
        return wanted
    wanted = wanted._replace(handed_out=found.handed_out and found.public_key == wanted.public_key)
    if not params["renew"] and (found.expires_at is None or found.expires_at > now):
        return wanted._replace(expires_at=found.expires_at, renewed_at=found.renewed_at)
    return wanted._replace(renewed_at=now)


def ensure_present(module: AnsibleAWSModule, table: Registry) -> dict[str, Any]:
    params = module.params
    pools = parse_pools(params["address_pools"])
    user = _user(module, table)
    if user is None:
        raise RegistryError(
            f"{params['user_name']}/{params['device']} can't be registered: there is no IAM user {params['user_name']}"
        )
    now = int(time.time())
    before, after = table.devices.change(
        (user.account_id, user.user_id),
        params["device"],
        lambda found: _wanted(found, user, params, now),
        pools,
        quarantine=params["address_quarantine"] * DAY,
        check_mode=module.check_mode,
    )
    return {
        "changed": before != after,
        "registration": registration_result(after),
        "diff": _diff(before, after),
    }


def ensure_absent(module: AnsibleAWSModule, table: Registry) -> dict[str, Any]:
    name, user_id = module.params["user_name"].casefold(), module.params["user_id"]
    account_id = module.params["identity_account_id"] or module.params["account_id"]
    found = [
        registration
        for registration in table.devices.registrations()
        if registration.account_id == account_id
        and registration.device == module.params["device"]
        and registration.user_name.casefold() == name
        and user_id in (None, registration.user_id)
    ]
    if not found:
        return {"changed": False}
    if len(found) > 1:
        ids = ", ".join(sorted(registration.user_id for registration in found))
        raise RegistryError(f"{found[0].label} is registered by several users of that name; give user_id: one of {ids}")
    if not module.check_mode:
        table.devices.remove(found[0], quarantine=module.params["address_quarantine"] * DAY)
    return {"changed": True, "registration": registration_result(found[0]), "diff": _diff(found[0], None)}


def _known_ids(table: Registry, account_id: str, user_name: str) -> list[str]:
    """Ids that the name stands for by the last complete sweep, or that only registrations still know."""
    stored = table.sweep(account_id)
    listed = stored.named(user_name) if stored is not None else None
    ids = {listed.user_id} if listed is not None else set()
    ids |= {
        registration.user_id
        for registration in table.devices.registrations()
        if registration.account_id == account_id
        and registration.user_name.casefold() == user_name.casefold()
        and (stored is None or registration.user_id not in stored.users)
    }
    return sorted(ids)


def ensure_blocked(module: AnsibleAWSModule, table: Registry) -> dict[str, Any]:
    params, now = module.params, time.time()
    account_id = params["identity_account_id"] or params["account_id"]
    try:
        user = _user(module, table)
        ids = [user.user_id] if user is not None else _known_ids(table, account_id, params["user_name"])
        kind = "block" if user is not None else "tombstone"
    except AWSCallError as error:
        ids, kind = _known_ids(table, account_id, params["user_name"]), "block"
        if not ids:
            raise
        module.warn(f"IAM didn't answer ({error}); {params['user_name']} is blocked by the ids of the last sweep")
    existing = {(block.account_id, block.user_id, block.device) for block in table.blocks()}
    wanted: list[str | None] = [*ids] if ids else [None]
    new = [
        user_id for user_id in wanted if kind == "tombstone" or (account_id, user_id, params["device"]) not in existing
    ]
    if not module.check_mode:
        for user_id in new:
            _write_revocation(table, kind, account_id, user_id, params, now)
    return {
        "changed": bool(new),
        "revocations": [{"kind": kind, "user_id": user_id} for user_id in wanted],
        "generation": table.generation() if module.check_mode else table.take_generation(),
        "diff": {"before": "", "after": "".join(f"{kind} {params['user_name']} ({user_id})\n" for user_id in new)},
    }


def _write_revocation(
    table: Registry, kind: str, account_id: str, user_id: str | None, params: dict[str, Any], now: float
) -> None:
    if kind == "tombstone":
        event_id = f"operator-{uuid.uuid4()}"
        table.write_tombstone(Tombstone(account_id, event_id, params["user_name"], user_id, now))
    elif user_id is not None:
        table.block(Block(account_id, user_id, params["device"], params["reason"], now))


def ensure_unblocked(module: AnsibleAWSModule, table: Registry) -> dict[str, Any]:
    user = _user(module, table)
    if user is None:
        raise RegistryError(f"{module.params['user_name']} can't be unblocked: there is no IAM user of that name")
    wanted = (user.account_id, user.user_id, module.params["device"])
    found = [block for block in table.blocks() if (block.account_id, block.user_id, block.device) == wanted]
    if found and not module.check_mode:
        table.unblock(found[0])
    before = "".join(f"block {user.user_name} ({user.user_id}): {block.reason}\n" for block in found)
    return {"changed": bool(found), "diff": {"before": before, "after": ""}}


def _diff(before: Registration | None, after: Registration | None) -> dict[str, Any]:
    return {
        side: "" if registration is None else f"{registration.label} {', '.join(registration.addresses)}\n"
        for side, registration in (("before", before), ("after", after))
    }


_ENSURE = {
    "present": ensure_present,
    "absent": ensure_absent,
    "blocked": ensure_blocked,
    "unblocked": ensure_unblocked,
}


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={
            **REGISTRY_OPTIONS,
            "state": {"type": "str", "choices": list(_ENSURE), "default": "present"},
            "user_name": {"type": "str", "required": True},
            "user_id": {"type": "str"},
            "device": {"type": "str"},
            "public_key": {"type": "str", "no_log": False},
            "expires_in": {"type": "str"},
            "renew": {"type": "bool", "default": False},
            "reason": {"type": "str", "default": "revoked by an operator"},
            "address_pools": {"type": "list", "elements": "str"},
            "address_quarantine": {"type": "int", "default": 7},
            "identity_account_id": {"type": "str"},
            "identity_role_arn": {"type": "str"},
        },
        required_if=[
            ("state", "present", ["device", "address_pools"]),
            ("renew", True, ["expires_in"]),
            ("state", "absent", ["device"]),
        ],
        supports_check_mode=True,
    )
    with one_line_failures(module):
        _check_names(module.params)
        reads_iam = module.params["state"] != "absent"
        if reads_iam and module.params["identity_account_id"] and not module.params["identity_role_arn"]:
            raise ValueError("identity_account_id needs identity_role_arn, the role to read that account's users with")
        check_credentials(module)
        result = _ENSURE[module.params["state"]](module, registry(module))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
