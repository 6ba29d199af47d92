# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations


class ModuleDocFragment:
    """Options of the modules that decide who is a peer, beside the access policy."""

    DOCUMENTATION = r"""
options:
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
  guard_count:
    description: Unexplained removals beyond this number, and beyond O(guard_share), are held.
    type: int
    default: 5
  guard_share:
    description: Unexplained removals beyond this share of all peers, in percent, and beyond O(guard_count), are held.
    type: float
    default: 25.0
  guard_majority:
    description: Unexplained removals beyond this share of all peers, in percent, are held where there are two or more.
    type: float
    default: 50.0
  guard_many:
    description: Unexplained removals beyond this number, and beyond O(guard_many_share), are held.
    type: int
    default: 20
  guard_many_share:
    description: Unexplained removals beyond this share of all peers, in percent, and beyond O(guard_many), are held.
    type: float
    default: 2.0
"""
