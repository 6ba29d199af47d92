#!/usr/bin/python
# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: devices_info
version_added: 0.1.0
short_description: Tells of every device what is decided of it, why, and what the gateways say
description:
  - Makes the decision that M(tracklib.vpn.roster) would make now, without taking a generation and without writing
    anything, and lays beside it who is in IAM, who is blocked and what each gateway's live device says.
  - Users are told apart by their ids. One who was deleted and came back under the same name is another user.
  - It needs the permissions that M(tracklib.vpn.roster) needs in check mode, which are only those to read.
author:
  - Tracklib (@tracklib)
options:
  user_name:
    description:
      - Return the devices of this user alone, and RV(users).
      - It is a name, in any case, a user id, or a device's label such as C(alice/laptop).
    type: str
  user_account_id:
    description: Return only devices of users of this account, 12 digits.
    type: str
  gateways:
    description: What was read of the gateways.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: The gateway's name.
        type: str
        required: true
      reached:
        description: Whether it answered.
        type: bool
        required: true
      error:
        description: Why nothing could be read there.
        type: str
      endpoint:
        description: What devices dial, C(HOST:PORT).
        type: str
      info:
        description: The result of M(tracklib.vpn.wireguard_interface_info) there.
        type: dict
extends_documentation_fragment:
  - tracklib.vpn.access
  - tracklib.vpn.decision
  - tracklib.vpn.registry
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
  - tracklib.vpn.attributes
  - tracklib.vpn.attributes.actiongroup_aws
  - tracklib.vpn.attributes.info_module
seealso:
  - module: tracklib.vpn.roster
  - module: tracklib.vpn.wireguard_interface_info
"""

EXAMPLES = r"""
- name: Read what is known of alice's devices
  tracklib.vpn.devices_info:
    account_id: "111122223333"
    user_name: alice
    access:
      - groups: [vpn-developers]
        networks: [10.20.0.0/16]
    address_pools: [10.44.0.0/20, "fd44:7472:6163:6b::/64"]
  register: known

- name: Show what is decided
  ansible.builtin.debug:
    msg: "{{ known.devices | map(attribute='status') }}"
"""

RETURN = r"""
account_id:
  description: The gateways' account.
  returned: success
  type: str
asked_account_id:
  description: The value of O(user_account_id).
  returned: success
  type: str
devices:
  description: Every registered device, and every peer of the last decision, by name.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: User and device.
      type: str
      sample: alice/laptop
    account_id:
      description: The user's account.
      type: str
    user_id:
      description: The user's unique id.
      type: str
    user_name:
      description: The user's name, as IAM has it now or had it last.
      type: str
    device:
      description: The device's name.
      type: str
    status:
      description: >-
        V(peer), V(held) (a peer whose removal waits for an operator) or V(left_out).
      type: str
    reason:
      description: Why it is left out, as M(tracklib.vpn.roster) has it; null if it isn't.
      type: str
    detail:
      description: The same in words.
      type: str
    blocked:
      description: >-
        Null, or C(by) (null where the record doesn't say it), C(reason), C(since) and C(device) (null if the user is
        blocked).
      type: dict
    registered_at:
      description: When it was registered, seconds since the epoch.
      type: int
    expires_at:
      description: When it expires, seconds since the epoch; null for never.
      type: int
    awaited:
      description: Whether it is a handout that nobody has used yet, which ends then unless somebody connects.
      type: bool
    addresses:
      description: Its addresses in the tunnel.
      type: list
      elements: str
    fingerprint:
      description: Fingerprint of its public key, as receipts have it.
      type: str
    in_iam:
      description: Whether IAM has the user's id; null if that account was never swept.
      type: bool
    id_of_the_name:
      description: Another user id that has the user's name in IAM now; null if there is none.
      type: str
    gateways:
      description: >-
        Of each gateway C(gateway), C(is_peer) (null if nothing was read there), C(barred) (whose revocation keeps it
        out there until an operator ends it, null if none does), C(last_handshake), C(handshake_age), C(endpoint),
        C(transfer_rx) and C(transfer_tx).
      type: list
      elements: dict
users:
  description:
    - With O(user_name), everybody of whom IAM or the registry knows under that name or id, who is in IAM first.
    - Each has C(account_id), C(user_id), C(user_name), C(devices), C(in_iam), C(id_of_the_name), C(groups),
      C(granting_groups), C(expected_groups), C(networks), C(reason), C(detail) and C(blocked).
  returned: success
  type: list
  elements: dict
nearest:
  description: With O(user_name), the known names that are most like it.
  returned: success
  type: list
  elements: str
accounts:
  description:
    - Each identity account, whether its sweep was complete, when the sweep in force began (C(swept_at)), and when the
      last one began that a run stored (C(stored_at)).
  returned: success
  type: list
  elements: dict
  sample:
    - {account_id: "111122223333", complete: true, swept_at: 1790000000, stored_at: 1789999940, error: null}
gateways:
  description:
    - Of each gateway C(name), C(reached), C(error), C(endpoint), C(interface_up), C(generation), C(roster_age),
      C(peers) (their number), C(barred), of these those of whom the registry doesn't know (C(unrecorded)), C(drift),
      C(notices) and C(problems).
    - And by name which devices of the decision are C(missing) there, and which are peers although they are left out
      (C(surplus)).
    - C(missed) names the devices that left while a gateway couldn't be reached, and may still be its peers.
  returned: success
  type: list
  elements: dict
lost_gateways:
  description: >-
    Gateways that the registry knows, and that aren't among O(gateways), each with C(name), and with C(missed), the
    names of devices that left since and may still be its peers.
  returned: success
  type: list
  elements: dict
strangers:
  description: Live peers that no registration explains.
  returned: success
  type: list
  elements: dict
held:
  description: Names of the peers whose removal is held.
  returned: success
  type: list
  elements: str
generation:
  description: The last generation that was taken.
  returned: success
  type: int
problems:
  description: What a run would report as problems.
  returned: success
  type: list
  elements: str
error:
  description: Always null; a module that can't ask fails.
  returned: success
  type: str
"""

from typing import Any

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.tracklib.vpn.plugins.module_utils.access import Access
from ansible_collections.tracklib.vpn.plugins.module_utils.aws_module import (
    REGISTRY_OPTIONS,
    check_credentials,
    iam_client,
    one_line_failures,
    registry_table,
)
from ansible_collections.tracklib.vpn.plugins.module_utils.people.merge import Whose, known_of, overview
from ansible_collections.tracklib.vpn.plugins.module_utils.people.seen import from_options
from ansible_collections.tracklib.vpn.plugins.module_utils.run import run
from ansible_collections.tracklib.vpn.plugins.module_utils.run_options import DECISION_OPTIONS, run_options

GATEWAYS_OPTION: dict[str, Any] = {
    "type": "list",
    "elements": "dict",
    "default": [],
    "options": {
        "name": {"type": "str", "required": True},
        "reached": {"type": "bool", "required": True},
        "error": {"type": "str"},
        "endpoint": {"type": "str"},
        "info": {"type": "dict"},
    },
}


def _access(params: dict[str, Any]) -> Access | None:
    """Read the policy; None where it can't be read, which the run itself says."""
    try:
        return Access.parse(params["access"], params["account_id"])
    except ValueError:
        return None


def read_devices(module: AnsibleAWSModule) -> dict[str, Any]:
    """Decide as a run in check mode does, and lay beside it what the gateways say."""
    check_credentials(module)
    options = run_options(module.params)
    result = run(
        registry_table(module),
        lambda account: iam_client(module, account.account_id, account.role_arn),
        options,
        check_mode=True,
    )
    known = known_of(module.params["account_id"], result, options.policy.granting, _access(module.params))
    whose = Whose(module.params["user_name"], module.params["user_account_id"])
    return overview(known, from_options(module.params["gateways"]), whose)


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={
            **REGISTRY_OPTIONS,
            **DECISION_OPTIONS,
            "user_name": {"type": "str"},
            "user_account_id": {"type": "str"},
            "gateways": GATEWAYS_OPTION,
        },
        supports_check_mode=True,
    )
    with one_line_failures(module):
        result = read_devices(module)
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
