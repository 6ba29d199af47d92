# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: lambda_sha256
version_added: 0.1.0
short_description: A SHA-256 as Lambda writes it
description:
  - Turns a hexadecimal digest into base64, the form in which Lambda tells what code a function has.
author:
  - Tracklib (@tracklib)
options:
  _input:
    description: The digest, hexadecimal.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Show what Lambda should say of a file
  ansible.builtin.debug:
    msg: "{{ (lookup('ansible.builtin.file', 'empty.zip') | hash('sha256')) | tracklib.vpn.lambda_sha256 }}"
"""

RETURN = r"""
_value:
  description: The digest in base64.
  type: str
"""

import base64
from typing import Any, Callable

from ansible.errors import AnsibleFilterError


def lambda_sha256(digest: str) -> str:
    """See DOCUMENTATION."""
    try:
        return base64.b64encode(bytes.fromhex(digest)).decode()
    except (TypeError, ValueError) as error:
        raise AnsibleFilterError(f"lambda_sha256: {digest!r} is no hexadecimal digest") from error


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"lambda_sha256": lambda_sha256}
