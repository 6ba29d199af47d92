#!/usr/bin/python
# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: client_config
version_added: 0.1.0
short_description: Writes the WireGuard configuration of a registered device, or its QR code
description:
  - Looks a registered device up and writes its configuration to a file on the controller.
  - The tunnel's networks are those that O(access) grants to the groups that the user is in, by the last complete sweep
    in the registry. They are a convenience; the gateway's firewall is the control.
  - The last complete sweep says which user has the name O(user_name). For a newer user, run the playbook
    C(tracklib.vpn.reconcile) first.
author:
  - Tracklib (@tracklib)
options:
  dest:
    description:
      - Path of the configuration on the controller, replaced atomically, mode 0600. Its directory is made with mode
        0700 if missing.
      - With the suffix C(.png), C(.svg) or C(.txt) it is a QR code for the WireGuard app of a phone. C(.txt) is for
        terminals with a dark background. A QR code needs O(embed_key_from).
      - The WireGuard apps and C(wg-quick) name the interface after the file, which then has at most 15 letters, digits
        and C(_=+.-) before C(.conf).
    type: path
    required: true
  user_name:
    description: Name of the IAM user.
    type: str
    required: true
  device:
    description: Name of the device.
    type: str
    required: true
  identity_account_id:
    description: Account of the user, when it isn't O(account_id).
    type: str
  private_key_file:
    description:
      - Absolute path on the device of the file that has its private key. C(wg-quick) loads it when the interface comes
        up, so that the configuration holds no secret.
      - Without it, the configuration has no key. Add it on the device as C(PrivateKey), in the app.
    type: str
  embed_key_from:
    description:
      - Path on the controller of a file with the device's private key, which then stands in the configuration. Whoever
        reads O(dest) has the device's access. M(tracklib.vpn.handout) encrypts instead.
      - A key that isn't the registered one is refused.
    type: path
extends_documentation_fragment:
  - tracklib.vpn.access
  - tracklib.vpn.tunnel
  - tracklib.vpn.registry
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
  - tracklib.vpn.attributes
  - tracklib.vpn.attributes.actiongroup_aws
requirements:
  - PyNaCl and segno, for O(embed_key_from)
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details: Shows addresses, endpoint, networks and DNS.
  idempotent:
    support: full
"""

EXAMPLES = r"""
- name: Write the configuration of alice's laptop, which has systemd-resolved
  tracklib.vpn.client_config:
    dest: ~/handed-over/vpn0.conf
    account_id: "111122223333"
    user_name: alice
    device: laptop
    gateway_public_key: hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=
    endpoint: "{{ hostvars[groups.vpn_gateways | first].wireguard_endpoint }}:51820"
    access: "{{ vpn_access }}"
    address_pools: "{{ vpn_address_pools }}"
    domains: "{{ hostvars[groups.vpn_gateways | first].private_zones }}"
    dns: resolved
    private_key_file: /etc/wireguard/vpn0.key

- name: Draw the QR code of alice's phone, whose key was made here
  tracklib.vpn.client_config:
    dest: /dev/shm/phone.png
    embed_key_from: /dev/shm/phone.key
    account_id: "111122223333"
    user_name: alice
    device: phone
    gateway_public_key: hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=
    endpoint: vpn.example.com:51820
    access: "{{ vpn_access }}"
    address_pools: "{{ vpn_address_pools }}"
"""

RETURN = r"""
dest:
  description: Path of the configuration.
  returned: success
  type: str
addresses:
  description: The device's addresses in the tunnel.
  returned: success
  type: list
  elements: str
  sample: [10.44.0.2, "fd44:7472:6163:6b::2"]
networks:
  description: Networks that the policy grants to the user, in CIDR form.
  returned: success
  type: list
  elements: str
  sample: [10.20.0.0/16]
"""

import os
import time
from typing import Any

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.tracklib.vpn.plugins.module_utils.access import Access
from ansible_collections.tracklib.vpn.plugins.module_utils.aws_module import (
    REGISTRY_OPTIONS,
    check_credentials,
    one_line_failures,
    registry,
    require,
)
from ansible_collections.tracklib.vpn.plugins.module_utils.client.config import render, shown
from ansible_collections.tracklib.vpn.plugins.module_utils.client.options import TUNNEL_OPTIONS, tunnel
from ansible_collections.tracklib.vpn.plugins.module_utils.client.qr import SUFFIXES, qr_code
from ansible_collections.tracklib.vpn.plugins.module_utils.files import present, write_private
from ansible_collections.tracklib.vpn.plugins.module_utils.keys import public_key_of
from ansible_collections.tracklib.vpn.plugins.module_utils.model import Registration, User
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.dynamodb import RegistryError
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.table import Registry


def _registered(table: Registry, params: dict[str, Any]) -> tuple[User, Registration]:
    account_id = params["identity_account_id"] or params["account_id"]
    label = f"{params['user_name']}/{params['device']}"
    sweep = table.sweep(account_id)
    user = None if sweep is None else sweep.named(params["user_name"])
    if user is None:
        raise RegistryError(
            f"{label}: the last complete sweep of account {account_id} has no user {params['user_name']}; check the "
            "name and the account, and if the user is new run the playbook tracklib.vpn.reconcile first"
        )
    registration = table.devices.registration((account_id, user.user_id), params["device"])
    if registration is None:
        raise RegistryError(
            f"{label} isn't registered (user id {user.user_id}, account {account_id}); register the device first, "
            "with the module tracklib.vpn.registration"
        )
    return user, registration


def _embedded_key(params: dict[str, Any], registration: Registration) -> str:
    """The private key to stand in the configuration, an empty text for none."""
    path = params["embed_key_from"]
    if path is None:
        return ""
    try:
        with open(path, encoding="ascii") as file:
            private_key = file.read().strip()
        public_key = public_key_of(private_key)
    except (OSError, ValueError) as error:
        raise ValueError(f"{registration.label}: no private key in {path}: {error}") from None
    if public_key != registration.public_key:
        raise ValueError(
            f"{registration.label}: the private key in {path} isn't the registered one: its public key is "
            f"{public_key}, registered is {registration.public_key}"
        )
    return private_key


def _content(params: dict[str, Any], registration: Registration, networks: list[str]) -> tuple[bytes, str]:
    """The file, and what a diff may show of it."""
    suffix = os.path.splitext(params["dest"])[1].lower()
    private_key = _embedded_key(params, registration)
    try:
        text = render(tunnel(params, registration, networks), private_key, params["private_key_file"] or "")
        if suffix not in SUFFIXES:
            return text.encode(), shown(text)
        if not private_key:
            raise ValueError("a QR code without a private key is of no use to a phone; give embed_key_from")
        return qr_code(text, suffix), shown(text)
    except ValueError as error:
        raise ValueError(f"{registration.label}: {error}") from None


def run(module: AnsibleAWSModule) -> dict[str, Any]:
    params = module.params
    user, registration = _registered(registry(module), params)
    if registration.expires_at is not None and registration.expires_at <= time.time():
        module.warn(f"the registration of {registration.label} has expired: the tunnel works once it is renewed")
    networks = Access.parse(params["access"], params["account_id"]).granted_to(user)
    content, after = _content(params, registration, networks)
    before, mode = present(params["dest"])
    changed = (before, mode) != (content, 0o600)
    if changed and not module.check_mode:
        write_private(params["dest"], content)
    return {
        "changed": changed,
        "dest": params["dest"],
        "addresses": list(registration.addresses),
        "networks": networks,
        "diff": {"before": shown(before.decode(errors="replace")), "after": after},
    }


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={
            **REGISTRY_OPTIONS,
            "dest": {"type": "path", "required": True},
            "user_name": {"type": "str", "required": True},
            "device": {"type": "str", "required": True},
            "identity_account_id": {"type": "str"},
            **TUNNEL_OPTIONS,
            "private_key_file": {"type": "str", "no_log": False},
            "embed_key_from": {"type": "path", "no_log": False},
        },
        mutually_exclusive=[("private_key_file", "embed_key_from")],
        supports_check_mode=True,
    )
    if module.params["embed_key_from"]:
        require(module, nacl="PyNaCl", segno="segno")
    with one_line_failures(module):
        check_credentials(module)
        result = run(module)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
