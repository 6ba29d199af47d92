#!/usr/bin/python
# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: roster
version_added: 0.1.0
short_description: Decides who is a peer of the gateways
description:
  - Checks the credentials' account and the registry's identity, takes a generation, sweeps IAM, reads the registry,
    decides who may be a peer, and writes the roster to a file that M(tracklib.vpn.wireguard_interface) applies to the
    gateways.
  - A sweep that isn't complete changes nobody's membership. The last complete one decides then, and RV(problems)
    says so. Blocks, tombstones, expiry and changed keys count all the same.
  - A user who was a peer and whom a complete sweep no longer lists is revoked if C(iam:GetUser) says that there is no
    such user. If IAM doesn't say, or none of an account's peers is listed, nobody is.
  - Removals that no tombstone, block, expiry or removed registration explains are held until an operator releases them,
    when they are too many together with those of the last 24 hours. They are counted from what the last run decided,
    so that a mistake in O(access) or O(identity_accounts), or a registration that can't be read, is held as well.
  - Pools that overlap or no longer hold a peer's address, and networks in O(access) that are none, stop everything on
    the gateways but confirmed revocations.
  - An item of the registry that can't be read is named in RV(problems), and keeps out nobody but whom it is about.
author:
  - Tracklib (@tracklib)
options:
  dest:
    description:
      - Path of the roster file, replaced atomically, mode 0600. Its directory is made with mode 0700 if missing.
      - Never share one path between two registries.
    type: path
    required: true
  release_held:
    description:
      - Which held removals to let go, by the names of devices (C(alice/laptop)) or users (C(alice)), by user id, or by
        the RV(release_token) of an earlier run, which stands for exactly those that it held.
    type: list
    elements: str
    default: []
  assume_revocations:
    description:
      - Decide as if these were written, the RV(tracklib.vpn.revocation#module:revocations) of a check. Only in check
        mode.
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
      device:
        description: One device; by default all of the user's.
        type: str
      user_name:
        description: The user's name; not looked at.
        type: str
      reason:
        description: Why.
        type: str
      by:
        description: The ARN of who revokes.
        type: str
      was_there:
        description: Whether the same is written already.
        type: bool
      kind:
        description: V(block) or V(tombstone); not looked at, since a tombstone comes with a block.
        type: str
extends_documentation_fragment:
  - tracklib.vpn.access
  - tracklib.vpn.decision
  - tracklib.vpn.registry
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
  - tracklib.vpn.attributes
  - tracklib.vpn.attributes.actiongroup_aws
attributes:
  check_mode:
    support: full
    details: The roster file is written, with the last generation; the registry isn't touched.
  diff_mode:
    support: none
    details: What changes is decided on each gateway; M(tracklib.vpn.wireguard_interface) shows it.
  idempotent:
    support: partial
    details: Every run takes a generation and writes the file; it is changed when the file says other things of devices.
"""

EXAMPLES = r"""
- name: Decide who may be a peer
  tracklib.vpn.roster:
    account_id: "111122223333"
    dest: ~/.cache/tracklib-vpn/roster.json
    access:
      - groups: [vpn-developers]
        networks: [10.20.0.0/16]
    address_pools: [10.44.0.0/20, "fd44:7472:6163:6b::/64"]
  register: decided

- name: Fail on what needs an operator
  ansible.builtin.assert:
    that: not decided.problems
    fail_msg: "{{ decided.problems | join('\n') }}"
"""

RETURN = r"""
generation:
  description: The run's fencing token; a gateway never goes back to a lower one.
  returned: success
  type: int
  sample: 1790000000000
dest:
  description: Path of the roster file.
  returned: success
  type: str
counts:
  description: How many peers, held removals, confirmed revocations and left-out registrations the roster has.
  returned: success
  type: dict
  sample: {peers: 20, held: 0, revoked: 1, excluded: 3}
accounts:
  description: Each identity account, whether its sweep was complete, and when the sweep in force began.
  returned: success
  type: list
  elements: dict
  sample: [{account_id: "111122223333", complete: true, swept_at: 1790000000, error: null}]
excluded:
  description: Registrations that are no peers, each with the reason.
  returned: success
  type: list
  elements: dict
  sample: [{name: alice/laptop, reason: tombstoned, detail: "deleted: tombstone sweep-AIDAEXAMPLE"}]
held:
  description: Names of the peers whose removal is held, with the user's id where several users have the label.
  returned: success
  type: list
  elements: str
joined:
  description: Devices that are peers and weren't by the last decision, each with the cause; the first 200.
  returned: success
  type: list
  elements: dict
  sample: [{account_id: "111122223333", user_id: AIDAEXAMPLE, device: phone, name: bob/phone, cause: registered}]
left:
  description: Devices that were peers by the last decision and aren't any more, each with the cause; the first 200.
  returned: success
  type: list
  elements: dict
left_out:
  description:
    - Devices that weren't peers by the last decision either, and are left out for a reason that is new, each with the
      cause; the first 200.
  returned: success
  type: list
  elements: dict
gateways:
  description: Names of the gateways that the registry knows; one that is in no inventory was told of nothing.
  returned: success
  type: list
  elements: str
missed:
  description: By gateway that wasn't reached, names of the devices that left since, so that they may be peers there.
  returned: success
  type: dict
early_signs:
  description: How many early signs of leaving wait for M(tracklib.vpn.early_signs).
  returned: success
  type: int
  sample: 0
problems:
  description: Sentences for an operator. A run with any must end non-zero, after the gateways were served.
  returned: success
  type: list
  elements: str
release_token:
  description:
    - Releases the held removals when given as O(release_held).
    - Null when none are held, and where a sweep is incomplete, which may explain them.
  returned: success
  type: str
"""

import os
from functools import partial
from typing import Any

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.tracklib.vpn.plugins.module_utils import roster_file
from ansible_collections.tracklib.vpn.plugins.module_utils.aws import AWSCallError
from ansible_collections.tracklib.vpn.plugins.module_utils.aws_module import (
    REGISTRY_OPTIONS,
    check_credentials,
    iam_client,
    one_line_failures,
    registry_table,
)
from ansible_collections.tracklib.vpn.plugins.module_utils.model import Block, Lifted
from ansible_collections.tracklib.vpn.plugins.module_utils.news import news
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.table import Registry
from ansible_collections.tracklib.vpn.plugins.module_utils.run import (
    RunResult,
    keep_books,
    reversals,
    run,
)
from ansible_collections.tracklib.vpn.plugins.module_utils.run_options import DECISION_OPTIONS, run_options

_NAMED = 200  # of each kind of change: a first roster may have thousands


def _lifted(table: Registry) -> list[Lifted]:
    """Who lifted which block; it is only said, so that it costs no run."""
    try:
        return table.lifted()
    except AWSCallError:
        return []


def _result(result: RunResult, problems: list[str], table: Registry) -> dict[str, Any]:
    roster = result.roster
    new = news(result.before, roster, result.registered_by, partial(_lifted, table))
    return {
        "generation": result.generation,
        "counts": {
            "peers": len(roster.peers),
            "held": len(roster.held),
            "revoked": len(roster.revoked),
            "excluded": len(roster.excluded),
        },
        "accounts": roster_file.accounts(result.accounts),
        "excluded": [
            {
                "name": exclusion.registration.label,
                "reason": exclusion.reason.value,
                "detail": exclusion.detail,
            }
            for exclusion in roster.excluded
        ],
        "held": roster.held_names,
        "gateways": list(result.facts.gateways),
        "missed": result.facts.missed,
        **{part: [each._asdict() for each in found[:_NAMED]] for part, found in new._asdict().items()},
        "early_signs": len(result.facts.signs),
        "problems": problems,
        "release_token": result.release_token,
    }


def make_roster(module: AnsibleAWSModule) -> dict[str, Any]:
    """Decide, write the file, and only then what the next run needs."""
    if module.params["assume_revocations"] and not module.check_mode:
        module.fail_json(msg="assume_revocations is for check mode: write the block with the module revocation instead")
    check_credentials(module)
    table, dest = registry_table(module), module.params["dest"]
    assumed = [
        Block(each["account_id"], each["user_id"], each["device"], each["reason"] or "", 0, each["by"])
        for each in module.params["assume_revocations"]
    ]
    result = run(
        table,
        lambda account: iam_client(module, account.account_id, account.role_arn),
        run_options(module.params, frozenset(module.params["release_held"]))._replace(
            assumed=assumed, made_by=os.environ.get("CODEBUILD_BUILD_ID", "")
        ),
        check_mode=module.check_mode,
    )
    for sentence in reversals(result.roster):
        module.warn(sentence)
    changed = roster_file.replace(dest, result)
    problems = result.problems if module.check_mode else [*result.problems, *keep_books(table, result)]
    return {"changed": changed, "dest": dest, **_result(result, problems, table)}


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={
            **REGISTRY_OPTIONS,
            "dest": {"type": "path", "required": True},
            **DECISION_OPTIONS,
            "assume_revocations": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "account_id": {"type": "str", "required": True},
                    "user_id": {"type": "str", "required": True},
                    "device": {"type": "str"},
                    "user_name": {"type": "str"},
                    "kind": {"type": "str"},
                    "reason": {"type": "str"},
                    "by": {"type": "str"},
                    "was_there": {"type": "bool"},
                },
            },
            "release_held": {"type": "list", "elements": "str", "default": [], "no_log": False},
        },
        supports_check_mode=True,
    )
    with one_line_failures(module):
        result = make_roster(module)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
