#!/usr/bin/python
# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: registry_cleanup
version_added: 0.1.0
short_description: Removes registrations that nobody will use again
description:
  - Removes the registrations of users who left, and those that expired long ago. Their addresses are free after a rest.
  - A user left if a tombstone of a week or more ago names the user's id, and a complete sweep that began after it
    doesn't list that id. A roster names a revocation only as long as the registration is there; the week lets gateways
    that were out of reach hear of it.
  - Tombstones, blocks and receipts stay, and a key stays its user's. So nobody gets in who was to stay out.
  - A registration that is renewed or changed meanwhile is left alone.
author:
  - Tracklib (@tracklib)
options:
  expired_for:
    description: How long ago a registration must have expired to be removed, such as V(90d).
    type: str
    default: 90d
  forget_gateways:
    description:
      - Names of gateways that are gone for good. What they weren't told of is forgotten, and nothing misses them in an
        inventory any more. One that is set up again is known again.
    type: list
    elements: str
    default: []
  address_quarantine:
    description: How long an address rests before another device gets it, in days.
    type: int
    default: 7
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
seealso:
  - module: tracklib.vpn.registration
  - module: tracklib.vpn.registrations_info
"""

EXAMPLES = r"""
- name: Remove what nobody will use again
  tracklib.vpn.registry_cleanup:
    account_id: "111122223333"

- name: Remove only the registrations of users who left, and those that expired a year ago
  tracklib.vpn.registry_cleanup:
    account_id: "111122223333"
    expired_for: 365d

- name: Forget a gateway that was replaced for good
  tracklib.vpn.registry_cleanup:
    account_id: "111122223333"
    forget_gateways: [gateway-old]
"""

RETURN = r"""
forgotten:
  description: Names of the gateways that were forgotten, or in check mode would be.
  returned: success
  type: list
  elements: str
removed:
  description: The registrations that were removed, or in check mode would be, ordered by name.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: User and device.
      type: str
      sample: alice/laptop
    account_id:
      description: Account of the user.
      type: str
      sample: "111122223333"
    user_id:
      description: Identity of the user within the account.
      type: str
      sample: AIDAIOSFODNN7EXAMPLE
    reason:
      description: V(left) or V(expired).
      type: str
      sample: left
"""

import time
from typing import Any

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.tracklib.vpn.plugins.module_utils.aws_module import (
    REGISTRY_OPTIONS,
    check_credentials,
    one_line_failures,
    registry,
)
from ansible_collections.tracklib.vpn.plugins.module_utils.model import CONSISTENCY, Owner, Registration
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.dynamodb import RegistryError
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.table import Registry
from ansible_collections.tracklib.vpn.plugins.module_utils.timespan import DAY, seconds

# until then a roster tells also a gateway that was out of reach that the leaver's devices are revoked (R4, confirmed
# revocation)
_LEAVERS_STAY = 7 * DAY
_IN_WORDS = {"left": "cleanup: its user left", "expired": "cleanup: it expired long ago"}


def _leavers(table: Registry, now: float) -> set[Owner]:
    """Users, as (account_id, user_id), whose deletion is old and was seen by the account's last complete sweep."""
    tombstones = table.tombstones()
    sweeps = {account_id: table.sweep(account_id) for account_id in {found.account_id for found in tombstones}}
    leavers = set()
    for tombstone in tombstones:
        sweep = sweeps[tombstone.account_id]
        if (
            tombstone.user_id is not None
            and tombstone.event_time + _LEAVERS_STAY <= now
            and sweep is not None
            and sweep.begun_at > tombstone.event_time + CONSISTENCY
            and tombstone.user_id not in sweep.users
        ):
            leavers.add((tombstone.account_id, tombstone.user_id))
    return leavers


def _useless(table: Registry, expired_for: int, now: float) -> list[tuple[Registration, str]]:
    """Registrations to remove, each with the reason."""
    leavers = _leavers(table, now)
    found = []
    for registration in sorted(table.devices.registrations(), key=lambda each: each.label):
        if registration.owner in leavers:
            found.append((registration, "left"))
        elif registration.expires_at is not None and registration.expires_at + expired_for <= now:
            found.append((registration, "expired"))
    return found


def _forget_gateways(module: AnsibleAWSModule, table: Registry) -> list[str]:
    """Forget the gateways that are named. :raises RegistryError: the registry doesn't know one."""
    names, known = module.params["forget_gateways"], table.facts().gateways if module.params["forget_gateways"] else ()
    unknown = [name for name in names if name not in known]
    if unknown:
        raise RegistryError(f"the registry knows no gateway {', '.join(unknown)}, only {', '.join(known) or 'none'}")
    for name in () if module.check_mode else names:
        table.forget_gateway(name)
    return list(names)


def run(module: AnsibleAWSModule, by: str | None) -> dict[str, Any]:
    """Remove what is useless; `by` is the caller's ARN, for the records."""
    params = module.params
    table = registry(module)
    quarantine = params["address_quarantine"] * DAY
    removed = [
        (registration, reason)
        for registration, reason in _useless(table, seconds("expired_for", params["expired_for"]), time.time())
        if module.check_mode
        or table.devices.remove(registration, quarantine=quarantine, unchanged=True, by=by, reason=_IN_WORDS[reason])
    ]
    forgotten = _forget_gateways(module, table)
    before = "".join(f"gateway {name}\n" for name in forgotten)
    before += "".join(
        f"{registration.label} {', '.join(registration.addresses)}\n" for registration, _reason in removed
    )
    return {
        "changed": bool(removed or forgotten),
        "forgotten": forgotten,
        "removed": [
            {
                "name": registration.label,
                "account_id": registration.account_id,
                "user_id": registration.user_id,
                "reason": reason,
            }
            for registration, reason in removed
        ],
        "diff": {"before": before, "after": ""},
    }


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={
            **REGISTRY_OPTIONS,
            "expired_for": {"type": "str", "default": "90d"},
            "forget_gateways": {"type": "list", "elements": "str", "default": []},
            "address_quarantine": {"type": "int", "default": 7},
        },
        supports_check_mode=True,
    )
    with one_line_failures(module):
        result = run(module, check_credentials(module))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
