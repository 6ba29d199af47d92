# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations


class ModuleDocFragment:
    """The option for the access policy; OPTIONAL for modules that say more with it."""

    DOCUMENTATION = r"""
options:
  access:
    description: Which IAM groups grant access to which networks.
    type: list
    elements: dict
    required: true
    suboptions:
      groups:
        description: Names of IAM groups.
        type: list
        elements: str
        required: true
      networks:
        description: Networks behind the gateway in CIDR form.
        type: list
        elements: str
        required: true
      accounts:
        description: Accounts in which these groups grant access. By default the gateways' own.
        type: list
        elements: str
      ports:
        description:
          - Ports such as V(5432/tcp). Nothing reads them yet. The gateway's firewall works by network, so that a grant
            with ports grants all of them.
        type: list
        elements: str
"""

    OPTIONAL = r"""
options:
  access:
    description:
      - The access policy, C(vpn_access), which says which IAM groups grant access to which networks.
      - Without it, nothing is said of what a user's groups grant.
    type: list
    elements: dict
    suboptions:
      groups:
        description: Names of IAM groups.
        type: list
        elements: str
        required: true
      networks:
        description: Networks behind the gateway in CIDR form.
        type: list
        elements: str
        required: true
      accounts:
        description: Accounts in which these groups grant access. By default the gateways' own.
        type: list
        elements: str
      ports:
        description:
          - Ports such as V(5432/tcp). Nothing reads them yet. The gateway's firewall works by network, so that a grant
            with ports grants all of them.
        type: list
        elements: str
"""
