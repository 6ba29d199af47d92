# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: identity_options
author:
  - Tracklib (@tracklib)
version_added: 0.1.0
short_description: Where modules read a user of another account
description:
  - Makes the options by which M(tracklib.vpn.revocation) and M(tracklib.vpn.handout) read a user of another account
    than the gateways'.
positional: own, account
options:
  _input:
    description: C(vpn_identity_accounts), each with C(account_id) and, if it isn't the gateways' own, C(role_arn).
    type: list
    elements: dict
    required: true
  own:
    description: The gateways' account, C(vpn_account_id).
    type: str
    required: true
  account:
    description: The user's account.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Block a user of another account
  tracklib.vpn.revocation:
    account_id: "{{ vpn_account_id }}"
    user_name: alice
    identity_account_id: "{{ identity.identity_account_id | default(omit) }}"
    identity_role_arn: "{{ identity.identity_role_arn | default(omit) }}"
  vars:
    identity: "{{ vpn_identity_accounts | tracklib.vpn.identity_options(vpn_account_id, '444455556666') }}"
"""

RETURN = r"""
_value:
  description:
    - Empty for a user of the gateways' account. Else C(identity_account_id), and C(identity_role_arn) if the account
      has a role.
  type: dict
"""

from typing import Any, Callable, Mapping, Sequence


def identity_options(accounts: Sequence[Mapping[str, Any]], own: str | int, account: str | int) -> dict[str, Any]:
    if str(account) == str(own):  # an account's id that isn't in quotes is a number
        return {}
    options = {"identity_account_id": account}
    for other in accounts:
        if str(other.get("account_id")) == str(account) and "role_arn" in other:
            options["identity_role_arn"] = other["role_arn"]
    return options


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"identity_options": identity_options}
