# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations


class ModuleDocFragment:
    """Options of the modules that use the registry."""

    DOCUMENTATION = r"""
options:
  account_id:
    description:
      - The AWS account that the credentials must belong to, 12 digits.
      - Credentials of another account are refused before anything is read.
    type: str
    required: true
  registry_table:
    description: Name of the registry, a DynamoDB table that the playbook C(tracklib.vpn.deploy) creates.
    type: str
    default: tracklib-vpn
"""
