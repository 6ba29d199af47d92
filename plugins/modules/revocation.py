#!/usr/bin/python
# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: revocation
version_added: 0.1.0
short_description: Blocks and unblocks a user or a device
description:
  - Writes to the registry that a user, or one device, may not connect, or takes that back.
  - Users are found by the name that IAM, the last complete sweep or a registration has for them, or by their id. Each
    id that is found is blocked, which nothing but an operator takes back. A user whom IAM doesn't have any more gets a
    tombstone as well.
  - A name that means nobody is refused, with the nearest names; one that means users who have different names by now
    is refused with their ids.
  - The gateways follow with the next run of the playbook C(tracklib.vpn.reconcile). The playbook
    C(tracklib.vpn.revoke) runs this module and applies the revocation to the gateways at once.
author:
  - Tracklib (@tracklib)
options:
  state:
    description:
      - V(blocked) revokes the user, or only O(device). When IAM doesn't answer, the ids known from the last complete
        sweep and the registrations are blocked.
      - V(unblocked) lifts the block of the user, or of O(device). The user's block and a device's are lifted one by
        one. A tombstone isn't lifted; a later complete sweep that lists the user outweighs it. Where there is no such
        block, nothing changes. RV(still_blocked_by) says what keeps the device off all the same.
      - To be unblocked, a name must mean one user. One that may mean several is refused with their ids.
    type: str
    choices: [blocked, unblocked]
    default: blocked
  user_name:
    description:
      - Name of the user in IAM or in a registration, or the user's unique id. Blanks around it don't count, nor does
        the case of its letters.
      - A label such as C(alice/laptop) stands for C(alice) and O(device=laptop).
    type: str
    required: true
  device:
    description: Name of the device, 1 to 32 lower-case letters, digits and hyphens.
    type: str
  all_devices:
    description:
      - Whether O(state=blocked) is about the user as a whole. One of this and O(device) must be given, since leaving
        something out never means everything.
    type: bool
    default: false
  reason:
    description:
      - Why the user or device is blocked, as M(tracklib.vpn.registrations_info) and M(tracklib.vpn.roster) show it.
        Without it, V(revoked by an operator).
      - A user or device that is blocked already keeps the first reason.
      - Or why the block is lifted, for the record of it, which the registry keeps for 90 days.
    type: str
  identity_account_id:
    description: Account of the user, when it isn't O(account_id).
    type: str
  identity_role_arn:
    description: Role to assume for reading the user in O(identity_account_id).
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
    support: full
seealso:
  - module: tracklib.vpn.registration
  - module: tracklib.vpn.registrations_info
"""

EXAMPLES = r"""
- name: Block a user and all devices
  tracklib.vpn.revocation:
    account_id: "111122223333"
    user_name: alice
    reason: left the company

- name: Block a lost phone
  tracklib.vpn.revocation:
    account_id: "111122223333"
    user_name: alice
    device: phone
    reason: lost on a train

- name: Lift the block when the phone is found
  tracklib.vpn.revocation:
    account_id: "111122223333"
    state: unblocked
    user_name: alice
    device: phone
"""

RETURN = r"""
revocations:
  description: What stands in the registry now, or would in check mode.
  returned: for O(state=blocked)
  type: list
  elements: dict
  contains:
    kind:
      description: V(block) or V(tombstone).
      type: str
    user_id:
      description: Whom it is for.
      type: str
    user_name:
      description: The latest name that is known of that user.
      type: str
    account_id:
      description: The user's account.
      type: str
    device:
      description: The device; null for the user as a whole.
      type: str
    reason:
      description: Why.
      type: str
    by:
      description: The ARN of the caller.
      type: str
    was_there:
      description: Whether the same stood there before, so that nothing had to be written.
      type: bool
elsewhere:
  description: Other accounts in which somebody has the name, who isn't meant.
  returned: for O(state=blocked)
  type: list
  elements: str
lifted:
  description: The block that was lifted, or would be in check mode; empty if there was none.
  returned: for O(state=unblocked)
  type: list
  elements: dict
  sample:
    - account_id: "111122223333"
      user_id: AIDAIOSFODNN7EXAMPLE
      device: phone
      reason: lost on a train
      created_at: 1790000000
      by: arn:aws:iam::111122223333:user/operator
blocked:
  description: All of the user's blocks before, in words.
  returned: for O(state=unblocked)
  type: list
  elements: str
  sample: ["phone (by arn:aws:iam::111122223333:user/operator, 'lost on a train', since 2026-09-21T13:33:20Z)"]
still_blocked_by:
  description:
    - What keeps the device off the gateways now, or would in check mode; of a user as a whole, any device. That is
      other blocks, a registration that expired or isn't there, a tombstone, a user whom IAM doesn't have, groups that
      grant no access.
  returned: for O(state=unblocked)
  type: list
  elements: str
  sample: ["the registration of phone expired at 2026-09-21T13:33:20Z"]
msg:
  description: What was done, what still keeps the device off, and what comes next, in a sentence.
  returned: for O(state=unblocked), and on failure
  type: str
refused:
  description: Whether the name means nobody, or several users, so that nothing was written.
  returned: on such a failure
  type: bool
generation:
  description:
    - A generation taken after that was written, for O(tracklib.vpn.wireguard_interface#module:generation) where a user
      is taken off without a roster. In check mode the last one.
  returned: for O(state=blocked)
  type: int
  sample: 1790000000000
"""

import time
from functools import partial
from typing import Any

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.tracklib.vpn.plugins.module_utils.aws_module import (
    OPTIONAL_ACCESS_OPTION,
    REGISTRY_OPTIONS,
    USER_OPTIONS,
    NoRoleError,
    check_credentials,
    find_user,
    one_line_failures,
    read_label,
    registry,
    standing,
    user_account,
)
from ansible_collections.tracklib.vpn.plugins.module_utils.model import printable
from ansible_collections.tracklib.vpn.plugins.module_utils.obstacles import block_in_words, obstacles
from ansible_collections.tracklib.vpn.plugins.module_utils.orders import unblocked
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.dynamodb import RegistryError
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.table import Registry
from ansible_collections.tracklib.vpn.plugins.module_utils.revocation import (
    Revoked,
    Whom,
    check_device,
    identify,
    identify_one,
    lift,
    missing,
    write,
)

_NO_REASON = "revoked by an operator"


def _revoked(module: AnsibleAWSModule) -> Revoked:
    return Revoked(user_account(module), module.params["user_name"], module.params["device"])


def ensure_blocked(module: AnsibleAWSModule, table: Registry, by: str | None) -> dict[str, Any]:
    """Write what isn't written yet; `by` is the caller's ARN."""
    revoked = _revoked(module)
    _check_extent(module, revoked)
    whom = _whom(module, table)
    try:
        check_device(whom, table, revoked)
    except RegistryError as error:
        module.fail_json(msg=str(error), refused=True)
    records = whom.records(revoked.device)
    new = missing(records, table, revoked)
    if module.check_mode:
        generation = table.generations.last(module.warn)
    else:
        write(table, new, revoked, module.params["reason"] or _NO_REASON, time.time(), by)
        generation = table.generations.take(module.warn)
    reason = module.params["reason"] or _NO_REASON
    what = f"/{revoked.device}" if revoked.device else ", all devices"
    about = [f"{record.kind.value} {record.user_name}{what} ({record.user_id}): {reason}" for record in new]
    written = "".join(f"{printable(line)}\n" for line in about)
    return {
        "changed": bool(new),
        "revocations": [
            {
                **record._asdict(),
                "kind": record.kind.value,
                "account_id": revoked.account_id,
                "device": revoked.device,
                "reason": reason,
                "by": by,
                "was_there": record not in new,
            }
            for record in records
        ],
        "elsewhere": list(whom.elsewhere),
        "generation": generation,
        "diff": {"before": "", "after": written},
    }


def _check_extent(module: AnsibleAWSModule, revoked: Revoked) -> None:
    """Refuse an order that doesn't say how far it goes, or says it twice."""
    every = module.params["all_devices"]
    if every == (revoked.device is not None):
        found = f"device {revoked.device} and all_devices" if every else "neither device nor all_devices"
        msg = f"{found} is given for {revoked.user_name}, expected one of device and all_devices; nothing was written"
        module.fail_json(msg=msg, refused=True)


def ensure_unblocked(module: AnsibleAWSModule, table: Registry, by: str | None) -> dict[str, Any]:
    """Lift the block, if there is one; `by` is the caller's ARN."""
    params, revoked, facts, now = module.params, _revoked(module), table.facts(), time.time()
    try:
        person = identify_one(partial(find_user, module, table), facts, revoked)
    except (RegistryError, NoRoleError) as error:
        module.fail_json(msg=str(error), refused=True)
    found = standing(module, person, facts)
    lifted = lift(table, person.whom, revoked, now=now, check_mode=module.check_mode, reason=params["reason"], by=by)
    gone = {(block.account_id, block.user_id, block.device) for block in lifted}
    after = found._replace(
        blocks=[each for each in found.blocks if (each.account_id, each.user_id, each.device) not in gone]
    )
    left = obstacles(after, revoked.device, now)
    words = unblocked(person, revoked.device, lifted, found.own_blocks, left, check_mode=module.check_mode)
    before = "".join(f"block of {person.user_name}: {block_in_words(block)}\n" for block in lifted)
    return {
        "changed": bool(lifted),
        "lifted": [block._asdict() for block in lifted],
        "still_blocked_by": left,
        "blocked": [block_in_words(block) for block in found.own_blocks],
        "msg": words,
        "diff": {"before": before, "after": ""},
    }


def _whom(module: AnsibleAWSModule, table: Registry) -> Whom:
    try:
        whom = identify(partial(find_user, module, table), table, _revoked(module))
    except (RegistryError, NoRoleError) as error:
        module.fail_json(msg=str(error), refused=True)
    if whom.error is not None:
        ids = ", ".join(whom.names)
        module.warn(
            f"IAM could not be asked ({whom.error}); {module.params['user_name']} is taken for the known ids {ids}"
        )
    return whom


_ENSURE = {"blocked": ensure_blocked, "unblocked": ensure_unblocked}


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={
            **REGISTRY_OPTIONS,
            **USER_OPTIONS,
            "state": {"type": "str", "choices": list(_ENSURE), "default": "blocked"},
            "device": {"type": "str"},
            "all_devices": {"type": "bool", "default": False},
            "reason": {"type": "str"},
            **OPTIONAL_ACCESS_OPTION,
        },
        supports_check_mode=True,
    )
    with one_line_failures(module):
        read_label(module)
        by = check_credentials(module)
        result = _ENSURE[module.params["state"]](module, registry(module), by)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
