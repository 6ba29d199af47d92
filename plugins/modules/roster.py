#!/usr/bin/python
# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: roster
version_added: 0.1.0
short_description: Decides who is a peer of the gateways
description:
  - Takes a generation, sweeps IAM, reads the registry, decides who may be a peer, and writes the roster to a file
    that M(tracklib.vpn.wireguard_interface) brings to the gateways.
  - A sweep that isn't complete changes nobody's membership. The last complete one decides then, and RV(problems)
    says so. Blocks, tombstones, expiry and changed keys count all the same.
  - More removals than the guard allows, that no tombstone, block, expiry or registry change explains, are held until
    an operator releases them. They are counted from what the last run decided by, so that a mistake in O(access) or
    O(identity_accounts) is held as well.
  - Pools that no longer hold a peer's address are refused before anything changes.
author:
  - Tracklib (@tracklib)
options:
  dest:
    description:
      - Path of the roster file, replaced atomically, mode 0600. Its directory is made with mode 0700 if missing.
      - Never share one path between two registries.
    type: path
    required: true
  identity_accounts:
    description: Accounts whose users may be peers. By default only O(account_id).
    type: list
    elements: dict
    suboptions:
      account_id:
        description: The account, 12 digits.
        type: str
        required: true
      role_arn:
        description: Role to assume for sweeping it. Without it the module's own credentials are used.
        type: str
  address_pools:
    description: Networks in CIDR form that devices have their addresses from.
    type: list
    elements: str
    required: true
  early_signs:
    description:
      - What to do about a user of whom an event told that a login profile or access key was taken away, if IAM shows
        neither a login profile nor an active access key any more.
      - V(warn) names the user in RV(early_signs) and changes nothing. V(suspend) blocks the user, until an operator
        unblocks by M(tracklib.vpn.revocation).
    type: str
    choices: [warn, suspend]
    default: warn
  guard_count:
    description: Unexplained removals beyond this number, and beyond O(guard_share), are held.
    type: int
    default: 5
  guard_share:
    description: Unexplained removals beyond this share of all peers, in percent, and beyond O(guard_count), are held.
    type: float
    default: 25.0
  release_held:
    description: The RV(release_token) of an earlier run. Lets exactly the removals go that it named.
    type: str
extends_documentation_fragment:
  - tracklib.vpn.access
  - tracklib.vpn.registry
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
  - tracklib.vpn.attributes
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
  description: Names of the peers whose removal is held.
  returned: success
  type: list
  elements: str
early_signs:
  description: Names of the users who can't sign in to AWS any more, see O(early_signs).
  returned: success
  type: list
  elements: str
  sample: [alice]
problems:
  description: Sentences for an operator. A run with any must end non-zero, after the gateways were served.
  returned: success
  type: list
  elements: str
release_token:
  description: Releases the held removals when given as O(release_held); null when none are held.
  returned: success
  type: str
"""

import json
import time
from typing import Any

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.tracklib.vpn.plugins.module_utils.access import ACCESS_OPTION, Access, Granted
from ansible_collections.tracklib.vpn.plugins.module_utils.addresses import PoolError, holds, parse_pools
from ansible_collections.tracklib.vpn.plugins.module_utils.aws import AWSCallError
from ansible_collections.tracklib.vpn.plugins.module_utils.aws_module import (
    REGISTRY_OPTIONS,
    iam_client,
    one_line_failures,
    registry,
)
from ansible_collections.tracklib.vpn.plugins.module_utils.files import write_private
from ansible_collections.tracklib.vpn.plugins.module_utils.iam.signs import Signs, check, suspension
from ansible_collections.tracklib.vpn.plugins.module_utils.iam.sweep import merged, sweep
from ansible_collections.tracklib.vpn.plugins.module_utils.model import (
    Block,
    Registration,
    Sweep,
)
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.table import Registry, RegistryFacts
from ansible_collections.tracklib.vpn.plugins.module_utils.roster import (
    Account,
    Last,
    Policy,
    Roster,
    Verdict,
    decide,
)


def _policy(params: dict[str, Any]) -> Policy:
    access = Access.parse(params["access"], params["account_id"])
    pools = parse_pools(params["address_pools"], [str(network) for network in access.networks()])
    return Policy(access.granting, pools, params["guard_count"], params["guard_share"], params["release_held"])


def _account(module: AnsibleAWSModule, account_id: str, role_arn: str | None, facts: RegistryFacts) -> Account:
    """Sweep an account; again if registered users are missing, since only a second absence confirms (R4)."""
    stored = facts.sweeps.get(account_id)
    try:
        iam = iam_client(module, account_id, role_arn)
        first = sweep(iam, account_id)
        if not _missing(first, stored, facts):
            return Account(account_id, first, stored)
        both = merged(first, sweep(iam, account_id))
        return Account(account_id, both, stored, _missing(both, stored, facts))
    except AWSCallError as error:
        return Account(account_id, None, stored, error=str(error))


def _missing(found: Sweep, stored: Sweep | None, facts: RegistryFacts) -> frozenset[str]:
    if stored is None:
        return frozenset()
    return frozenset(
        registration.user_id
        for registration in facts.registrations
        if registration.account_id == found.account_id
        and registration.user_id in stored.users
        and registration.user_id not in found.users
    )


def _signs(module: AnsibleAWSModule, account: Account, role_arn: str | None, facts: RegistryFacts) -> Signs:
    """What IAM says of an account's early signs; no call is made where there are none."""
    signs = [sign for sign in facts.signs if sign.account_id == account.account_id]
    if account.sweep is None or not signs:
        return Signs()
    blocked = {(block.account_id, block.user_id) for block in facts.blocks if block.device is None}
    registered = {registration.owner for registration in facts.registrations} - blocked
    try:
        return check(iam_client(module, account.account_id, role_arn), account.sweep, signs, registered, time.time())
    except AWSCallError as error:
        return Signs(error=f"early signs of leaving in account {account.account_id} could not be checked: {error}")


def _write_suspensions(table: Registry, signs: list[Signs], suspensions: list[Block]) -> None:
    for block in suspensions:
        table.block(block)
    for checked in signs:
        answered = [sign for sign, _name in checked.confirmed] if suspensions else []
        for sign in [*checked.refuted, *answered]:
            table.forget_sign(sign)


def _check_pools(decided: Roster, policy: Policy, last: Granted) -> None:
    """Refuse pools that leave out devices which the last run's held, before anything is changed."""
    before = parse_pools(last.pools)
    lost = sorted(
        f"{verdict.registration.label} ({', '.join(verdict.registration.addresses)})"
        for verdict in decided.excluded
        if verdict.reason == "address_outside_pool"
        and verdict.registration.addresses
        and all(holds(before, address) for address in verdict.registration.addresses)
    )
    if lost:
        raise PoolError(
            f"the address pools {', '.join(map(str, policy.pools))} no longer hold the addresses of {len(lost)} "
            f"devices that {', '.join(last.pools)} held: {', '.join(lost[:5])}{', …' if lost[5:] else ''}. Nothing was "
            "changed. Have the old pool in vpn_address_pools beside the new one until these devices are registered "
            "again or removed"
        )


def _write_registry(
    table: Registry, accounts: list[Account], decided: Roster, granted: Granted, last: Granted | None, generation: int
) -> None:
    for tombstone in decided.leavers:
        table.write_tombstone(tombstone)
    if not decided.held:
        for account in accounts:
            if account.sweep is not None:
                table.store_sweep(account.sweep, generation)
        if granted != last:
            table.store_granted(granted, generation)


def _problems(accounts: list[Account], signs: list[Signs], decided: Roster) -> list[str]:
    problems = [checked.error for checked in signs if checked.error is not None]
    for account in accounts:
        if account.sweep is None and account.stored is None:
            problems.append(
                f"account {account.account_id} was never swept completely, so none of its users is a peer: "
                f"{account.error}"
            )
        elif account.sweep is None:
            problems.append(
                f"the sweep of account {account.account_id} is incomplete, the last complete one decided: "
                f"{account.error}"
            )
    if decided.held:
        names = ", ".join(sorted(registration.label for registration in decided.held))
        problems.append(
            f"{len(decided.held)} removals are held, no deletion, block or expiry explains them: {names}. Look for a "
            "mistake in IAM's groups, vpn_access or vpn_identity_accounts. "
            f"If they are right, run again with vpn_release_held={decided.release_token}"
        )
    return problems


def _peer(registration: Registration) -> dict[str, Any]:
    return {
        "public_key": registration.public_key,
        "allowed_ips": [f"{address}/{128 if ':' in address else 32}" for address in registration.addresses],
        "account_id": registration.account_id,
        "user_id": registration.user_id,
        "user_name": registration.user_name,
        "device": registration.device,
        "expires_at": None if registration.expires_at is None else int(registration.expires_at),
    }


def _left_out(verdict: Verdict) -> dict[str, Any]:
    return {**_peer(verdict.registration), "reason": verdict.reason, "detail": verdict.detail}


def _decision(content: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """What a roster says of devices; not when, nor in which words, which differ once a leaver's tombstone is there."""
    return {
        part: [{name: value for name, value in entry.items() if name != "detail"} for entry in content[part]]
        for part in ("peers", "revoked", "excluded")
    }


def _last_decision(path: str) -> dict[str, list[dict[str, Any]]]:
    """That of the file; empty if there is none that can be read."""
    try:
        with open(path, encoding="utf-8") as file:
            return _decision(json.load(file))
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return {}


def _accounts_result(accounts: list[Account]) -> list[dict[str, Any]]:
    return [
        {
            "account_id": account.account_id,
            "complete": account.sweep is not None,
            "swept_at": int(account.in_force.begun_at) if account.in_force is not None else None,
            "error": account.error,
        }
        for account in accounts
    ]


def run(module: AnsibleAWSModule) -> dict[str, Any]:
    """One run: generation first, then every fact, the decision, the registry, and last the file (R4, R6)."""
    params = module.params
    policy = _policy(params)
    table = registry(module)
    generation = table.generation() if module.check_mode else table.take_generation()
    facts = table.facts()
    wanted = params["identity_accounts"] or [{"account_id": params["account_id"], "role_arn": None}]
    accounts = [_account(module, account["account_id"], account["role_arn"], facts) for account in wanted]
    signs = [_signs(module, account, each["role_arn"], facts) for account, each in zip(accounts, wanted, strict=True)]
    confirmed = [found for checked in signs for found in checked.confirmed]
    suspensions = [suspension(found.sign) for found in confirmed] if params["early_signs"] == "suspend" else []
    now = time.time()
    granted = Granted(
        accounts=tuple(account.account_id for account in accounts),
        granting=policy.granting,
        pools=tuple(map(str, policy.pools)),
    )
    last = facts.granted or granted
    swept = [facts.sweeps[account_id] for account_id in last.accounts if account_id in facts.sweeps]
    blocks = facts.blocks + suspensions
    decided = decide(accounts, facts.registrations, facts.tombstones, blocks, policy, Last(swept, last.granting), now)
    _check_pools(decided, policy, last)
    if not module.check_mode:
        _write_suspensions(table, signs, suspensions)
        _write_registry(table, accounts, decided, granted, facts.granted, generation)
    for tombstone in decided.reversed:
        module.warn(
            f"{tombstone.user_name} ({tombstone.user_id}) is in IAM again: a complete sweep outweighs tombstone "
            f"{tombstone.event_id}"
        )
    content = {
        "format": 1,
        "generation": generation,
        "made_at": int(now),
        "accounts": _accounts_result(accounts),
        "peers": [{**_peer(peer), "held": peer in decided.held} for peer in decided.peers],
        "revoked": [_left_out(verdict) for verdict in decided.revoked],
        "excluded": [_left_out(verdict) for verdict in decided.excluded],
        "recorded": facts.acknowledged,
    }
    before = _last_decision(params["dest"])
    write_private(params["dest"], json.dumps(content, separators=(",", ":")).encode())
    return {
        "changed": before != _decision(content),
        "generation": generation,
        "dest": params["dest"],
        "counts": {
            "peers": len(decided.peers),
            "held": len(decided.held),
            "revoked": len(decided.revoked),
            "excluded": len(decided.excluded),
        },
        "accounts": content["accounts"],
        "excluded": [
            {"name": verdict.registration.label, "reason": verdict.reason, "detail": verdict.detail}
            for verdict in decided.excluded
        ],
        "held": sorted(registration.label for registration in decided.held),
        "early_signs": sorted(found.user_name for found in confirmed),
        "problems": _problems(accounts, signs, decided),
        "release_token": decided.release_token,
    }


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={
            **REGISTRY_OPTIONS,
            "dest": {"type": "path", "required": True},
            "identity_accounts": {
                "type": "list",
                "elements": "dict",
                "options": {"account_id": {"type": "str", "required": True}, "role_arn": {"type": "str"}},
            },
            "access": ACCESS_OPTION,
            "address_pools": {"type": "list", "elements": "str", "required": True},
            "early_signs": {"type": "str", "choices": ["warn", "suspend"], "default": "warn"},
            "guard_count": {"type": "int", "default": 5},
            "guard_share": {"type": "float", "default": 25.0},
            "release_held": {"type": "str", "no_log": False},
        },
        supports_check_mode=True,
    )
    with one_line_failures(module):
        result = run(module)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
