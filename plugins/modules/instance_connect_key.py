#!/usr/bin/python
# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: instance_connect_key
version_added: 0.1.0
short_description: Has EC2 instances accept a new SSH key for 60 seconds
description:
  - Makes an Ed25519 key pair for one run, writes the private key to a file, and sends the public key to the instances
    by EC2 Instance Connect, which accept it for 60 seconds. Call it right before the first connection.
  - Writes down by which host keys SSH knows the instances, as M(tracklib.vpn.host_key) published them.
  - The instances need the package C(ec2-instance-connect), or C(gateway_instance_connect) of the role
    C(tracklib.vpn.gateway).
  - An instance that can't be sent the key, or whose host key isn't published, is named in RV(problems); the others are
    served.
author:
  - Tracklib (@tracklib)
options:
  path:
    description:
      - Path of the private key, replaced atomically, mode 0600. Its directory is made with mode 0700 if missing.
      - Remove it when the run ends. It is worth nothing after 60 seconds.
    type: path
    required: true
  known_hosts:
    description: Path of the file with the host keys, replaced atomically. Give it to SSH as C(UserKnownHostsFile).
    type: path
    required: true
  host_keys_path:
    description: Below it the parameters of SSM Parameter Store are, whose names are the instances' ids.
    type: str
    default: /tracklib-vpn/host-keys
  instances:
    description: Instances of the module's region.
    type: list
    elements: dict
    required: true
    suboptions:
      instance_id:
        description: The instance.
        type: str
        required: true
      os_user:
        description: Whom the key may log in as.
        type: str
        required: true
      host:
        description: The name or address that SSH connects to.
        type: str
        required: true
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
  - tracklib.vpn.attributes
  - tracklib.vpn.attributes.actiongroup_aws
attributes:
  check_mode:
    support: full
    details: The same happens in check mode, which has to log in, too.
  diff_mode:
    support: N/A
    details: Changes nothing that lasts.
  idempotent:
    support: N/A
    details: Each call makes another key.
notes:
  - Needs C(ec2-instance-connect:SendSSHPublicKey) on the instances, where a policy can pin C(ec2:osuser), and
    C(ssm:GetParametersByPath) on O(host_keys_path).
seealso:
  - module: tracklib.vpn.host_key
"""

EXAMPLES = r"""
- name: Let this run log in
  tracklib.vpn.instance_connect_key:
    path: /run/user/1000/vpn/id_ed25519
    known_hosts: /run/user/1000/vpn/known_hosts
    instances:
      - instance_id: i-0123456789abcdef0
        os_user: admin
        host: 10.20.1.5
"""

RETURN = r"""
public_key:
  description: The public key, as C(authorized_keys) has it.
  returned: success
  type: str
  sample: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB0ykIh3Xc0yoWmZmTjCR9bUhCAXMZ5yOvJuxUWmwBbZ
problems:
  description: Sentences for an operator, one for each instance that can't be logged in to.
  returned: success
  type: list
  elements: str
"""

import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.tracklib.vpn.plugins.module_utils.aws import AWSCallError, calling
from ansible_collections.tracklib.vpn.plugins.module_utils.aws_module import client, one_line_failures
from ansible_collections.tracklib.vpn.plugins.module_utils.files import write_private

try:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
except ImportError:  # ansible-core needs it, too
    pass

_AT_ONCE = 10
# what is published or in the inventory can't add a line for another host (R15, data is never code)
_HOST_KEY = re.compile(r"ssh-ed25519 [A-Za-z0-9+/]{68}")
_HOST = re.compile(r"[A-Za-z0-9._:-]+")


def _key_pair() -> tuple[bytes, str]:
    """The private key as OpenSSH's file has it, the public key as a line of authorized_keys."""
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    return private, key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


def _host_keys(ssm: Any, path: str) -> dict[str, str]:
    """What is published, by the instances' ids."""
    with calling("ssm:GetParametersByPath", path):
        pages = ssm.get_paginator("get_parameters_by_path").paginate(Path=path)
        found = {each["Name"].rpartition("/")[2]: each["Value"] for page in pages for each in page["Parameters"]}
    if not found:
        raise ValueError(
            f"there is no host key below {path} in SSM Parameter Store, by which a build knows its gateways; run "
            "`site` as an operator with gateway_publish_host_key: true in the gateways' group_vars"
        )
    return found


def _known_host(instance: dict[str, str], host_keys: dict[str, str]) -> str | None:
    """The instance's line of known_hosts, if there can be one."""
    key = host_keys.get(instance["instance_id"], "")
    usable = _HOST_KEY.fullmatch(key) and _HOST.fullmatch(instance["host"])
    return f"{instance['host']} {key}\n" if usable else None


def _send(connect: Any, instance: dict[str, str], public_key: str) -> str | None:
    """Send the key to an instance; why that failed, if it did."""
    try:
        with calling("ec2-instance-connect:SendSSHPublicKey", f"instance {instance['instance_id']}"):
            connect.send_ssh_public_key(
                InstanceId=instance["instance_id"], InstanceOSUser=instance["os_user"], SSHPublicKey=public_key
            )
    except AWSCallError as error:
        return str(error)
    return None


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "known_hosts": {"type": "path", "required": True},
            "host_keys_path": {"type": "str", "no_log": False, "default": "/tracklib-vpn/host-keys"},
            "instances": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "instance_id": {"type": "str", "required": True},
                    "os_user": {"type": "str", "required": True},
                    "host": {"type": "str", "required": True},
                },
            },
        },
        supports_check_mode=True,
    )
    params = module.params
    private_key, public_key = _key_pair()
    with one_line_failures(module):
        host_keys = _host_keys(client(module, "ssm"), params["host_keys_path"])
        known = {each["instance_id"]: _known_host(each, host_keys) for each in params["instances"]}
        write_private(params["known_hosts"], "".join(filter(None, known.values())).encode())
        write_private(params["path"], private_key)
        connect = client(module, "ec2-instance-connect")
    problems = [
        f"instance {instance_id} has no host key in {params['host_keys_path']}/{instance_id} of SSM Parameter Store "
        "that SSH could know it by; run `site` for it as an operator, with gateway_publish_host_key: true"
        for instance_id, line in known.items()
        if line is None
    ]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        answers = pool.map(lambda instance: _send(connect, instance, public_key), params["instances"])
        problems += [answer for answer in answers if answer is not None]
    module.exit_json(changed=False, public_key=public_key, problems=problems)


if __name__ == "__main__":
    main()
