#!/usr/bin/python
# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: host_key
version_added: 0.1.0
short_description: Publishes an instance's SSH host key in SSM Parameter Store
description:
  - Keeps an Ed25519 host key as a parameter named by the instance, so that runs that have never met the instance can
    check that they meet the right one.
  - Writing there makes it possible to pose as a gateway. The gateways themselves must not be allowed to.
author:
  - Tracklib (@tracklib)
options:
  instance_id:
    description: The instance.
    type: str
    required: true
  public_key:
    description: The host key, as C(/etc/ssh/ssh_host_ed25519_key.pub) has it. A comment at its end is left out.
    type: str
    required: true
  path:
    description: Path below which the parameter is kept.
    type: str
    default: /tracklib-vpn/host-keys
extends_documentation_fragment:
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
notes:
  - Needs C(ssm:GetParameter) and C(ssm:PutParameter) on the parameter.
"""

EXAMPLES = r"""
- name: Publish the gateway's host key
  tracklib.vpn.host_key:
    instance_id: i-0123456789abcdef0
    public_key: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB0ykIh3Xc0yoWmZmTjCR9bUhCAXMZ5yOvJuxUWmwBbZ
"""

RETURN = r"""
name:
  description: Name of the parameter.
  returned: success
  type: str
  sample: /tracklib-vpn/host-keys/i-0123456789abcdef0
"""

import re
from typing import Any

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.tracklib.vpn.plugins.module_utils.aws import AWSCallError, calling
from ansible_collections.tracklib.vpn.plugins.module_utils.aws_module import client, one_line_failures

_KEY = re.compile(r"(ssh-ed25519 [A-Za-z0-9+/]{68})(?: [^\n]*)?\n?")
_INSTANCE = re.compile(r"i-[0-9a-f]{8,17}")


def _checked(instance_id: str, public_key: str) -> str:
    """The key alone: it becomes a line of known_hosts (R15, data is never code)."""
    if not _INSTANCE.fullmatch(instance_id):
        raise ValueError(f"instance_id {instance_id!r} is none; expected one such as i-0123456789abcdef0")
    key = _KEY.fullmatch(public_key)
    if key is None:
        raise ValueError(
            f"the host key of {instance_id} isn't one line with an Ed25519 key; `ssh-keygen -A` on the host makes a "
            "missing one"
        )
    return key[1]


def _published(ssm: Any, name: str) -> str | None:
    try:
        with calling("ssm:GetParameter", f"parameter {name}"):
            value: str = ssm.get_parameter(Name=name)["Parameter"]["Value"]
    except AWSCallError as error:
        if error.code == "ParameterNotFound":
            return None
        raise
    return value


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={
            "instance_id": {"type": "str", "required": True},
            "public_key": {"type": "str", "required": True, "no_log": False},
            "path": {"type": "str", "default": "/tracklib-vpn/host-keys"},
        },
        supports_check_mode=True,
    )
    with one_line_failures(module):
        key = _checked(module.params["instance_id"], module.params["public_key"])
        name = f"{module.params['path']}/{module.params['instance_id']}"
        ssm = client(module, "ssm")
        before = _published(ssm, name)
        if before != key and not module.check_mode:
            with calling("ssm:PutParameter", f"parameter {name}"):
                ssm.put_parameter(Name=name, Value=key, Type="String", Overwrite=True)
    diff = {"before": f"{before or ''}\n", "after": f"{key}\n"}
    module.exit_json(changed=before != key, name=name, diff=diff)


if __name__ == "__main__":
    main()
