#!/usr/bin/python
# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: handout
version_added: 0.1.0
short_description: Hands a device's credentials to someone who can't make them
description:
  - Makes a key pair in memory, registers its public half for a user's device, and writes the device's WireGuard
    configuration, encrypted, to a file on the controller.
  - The file is for the owner of an SSH or age key, or for whoever knows a passphrase. It is opened with the standard
    tool C(age), or in a browser, see O(form). Nobody else can read it, nor whoever runs this module.
  - The private key is never written unencrypted, logged, returned or sent to AWS.
  - The registration is marked as handed out. It ends by itself unless somebody connects with it within
    O(confirm_within); once a gateway reports that, the next run has it live for O(expires_in). So a file that is lost
    or forgotten lets nobody in for long. A copy of the file can't be prevented.
  - A key that its owner made is better; see the guide C(docs/clients.md).
  - Either all of it happens or nothing does. The encrypted file is written beside O(dest) first, then the device is
    registered, then the file gets its name.
  - The gateways follow with the next run of the playbook C(tracklib.vpn.reconcile).
author:
  - Tracklib (@tracklib)
options:
  dest:
    description:
      - Path of the encrypted configuration on the controller, replaced atomically, mode 0600. Its directory is made
        with mode 0700 if missing.
    type: path
    required: true
  recipient:
    description:
      - Public key of the person who gets the file, either an SSH key of type C(ssh-ed25519) or C(ssh-rsa), as a line of
        C(authorized_keys), or an age key (C(age1…)).
      - Without it a passphrase is made and shown once, on the terminal that Ansible was started in, and there alone. It
        is no output, return value or log of Ansible's. Where there is no such terminal, as in cron or AWX, nothing is
        registered and the module fails.
    type: str
  form:
    description:
      - V(age) is for people who have that tool.
      - V(page) is an HTML file that any browser opens by the passphrase, without a network. It shows a QR code for the
        WireGuard app of a phone, and saves the configuration for that of a computer. There is no recipient then.
    type: str
    choices: [age, page]
    default: age
  user_name:
    description: Name of the IAM user.
    type: str
    required: true
  device:
    description: Name of the device, 1 to 32 lower-case letters, digits and hyphens.
    type: str
    required: true
  expires_in:
    description: How long the registration lives, such as V(30d), V(12h) or V(90m).
    type: str
    default: 30d
  confirm_within:
    description: How long the registration lives if nobody connects with it, such as V(3d). Not before O(expires_in), it
      means nothing.
    type: str
    default: 3d
  replace:
    description:
      - Whether to give a device that is registered a new key. Whoever has the old one loses the tunnel.
      - Without it such a device is refused, so that running again changes nothing.
    type: bool
    default: false
  address_quarantine:
    description: How long an address rests before another device gets it, in days.
    type: int
    default: 7
  identity_account_id:
    description: Account of the user, when it isn't O(account_id).
    type: str
  identity_role_arn:
    description: Role to assume for reading the user in O(identity_account_id).
    type: str
  passphrase_to:
    description: Path of the pipe to the terminal. Set by the action plugin of this module; don't set it.
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
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: partial
    details: A device that is registered is refused, unless O(replace) is set; then every run makes a new key.
requirements:
  - PyNaCl
  - pyrage
  - segno and cryptography, for O(form=page); ansible-core brings the latter
"""

EXAMPLES = r"""
- name: Hand credentials for a laptop to carol, who opens them with her SSH key
  tracklib.vpn.handout:
    dest: ~/handed-over/carol_laptop.conf.age
    recipient: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ5v7tR4vJYrm2VVbvpU0sCq5H4zGyd0vJZLkHsjRHmi carol
    account_id: "111122223333"
    user_name: carol
    device: laptop
    gateway_public_key: hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=
    endpoint: vpn.example.com:51820
    access: "{{ vpn_access }}"
    address_pools: "{{ vpn_address_pools }}"
    domains: [internal.example]
"""

RETURN = r"""
dest:
  description: Path of the encrypted configuration.
  returned: success
  type: str
registration:
  description: The registration, as M(tracklib.vpn.registration) returns it. In check mode its key is made up.
  returned: success
  type: dict
still_blocked_by:
  description: What keeps the device off the gateways all the same, as a block of the user does.
  returned: success
  type: list
  elements: str
"""

import time
from typing import Any, Callable

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.tracklib.vpn.plugins.module_utils.access import Access
from ansible_collections.tracklib.vpn.plugins.module_utils.addresses import parse_pools
from ansible_collections.tracklib.vpn.plugins.module_utils.aws_module import (
    REGISTRY_OPTIONS,
    USER_OPTIONS,
    check_credentials,
    identify,
    one_line_failures,
    registration_diff,
    registration_result,
    registry,
    require,
    standing,
)
from ansible_collections.tracklib.vpn.plugins.module_utils.client.age import encrypt_to, encrypt_with, new_passphrase
from ansible_collections.tracklib.vpn.plugins.module_utils.client.config import render
from ansible_collections.tracklib.vpn.plugins.module_utils.client.options import TUNNEL_OPTIONS, tunnel
from ansible_collections.tracklib.vpn.plugins.module_utils.client.sealed_page import seal
from ansible_collections.tracklib.vpn.plugins.module_utils.files import replacing
from ansible_collections.tracklib.vpn.plugins.module_utils.keys import generate
from ansible_collections.tracklib.vpn.plugins.module_utils.model import Registration, User, check_device_name
from ansible_collections.tracklib.vpn.plugins.module_utils.obstacles import Standing, obstacles
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.dynamodb import RegistryError
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.table import Registry
from ansible_collections.tracklib.vpn.plugins.module_utils.timespan import DAY, LIFE, seconds


def _whose(module: AnsibleAWSModule, table: Registry) -> tuple[User, Standing]:
    """The user whom the options mean, with the groups of the last complete sweep, and how they stand."""
    params, facts = module.params, table.facts()
    label = f"{params['user_name']}/{params['device']}"
    person = identify(module, table, facts, params["user_name"])
    if person.error is not None:
        raise person.error
    found = standing(module, person, facts)
    user = person.user or found.user
    if user is None:
        raise RegistryError(f"{label} can't be handed out: there is no IAM user {person.user_name}")
    stored = facts.sweeps.get(person.account_id)
    if stored is None or user.user_id not in stored.users:
        raise RegistryError(
            f"{label}: the last complete sweep of account {person.account_id} hasn't seen the user {user.user_name} "
            f"({user.user_id}) yet; run the playbook tracklib.vpn.reconcile first"
        )
    return user._replace(groups=stored.users[user.user_id].groups), found


def _wanted(user: User, params: dict[str, Any], public_key: str, by: str | None) -> Registration:
    now = int(time.time())
    ends = now + seconds("expires_in", params["expires_in"])
    until = now + seconds("confirm_within", params["confirm_within"])
    return Registration(
        account_id=user.account_id,
        user_id=user.user_id,
        device=check_device_name(params["device"], user.user_name),
        user_name=user.user_name,
        public_key=public_key,
        addresses=(),
        created_at=now,
        expires_at=min(ends, until),
        confirmed_end=ends if until < ends else None,
        handed_out=True,
        by=by,
    )


def _refuse_registered(table: Registry, wanted: Registration) -> None:
    if table.devices.registration(wanted.owner, wanted.device) is not None:
        raise RegistryError(
            f"{wanted.label} is registered already: handing it out would take the tunnel from who has its key. Choose "
            "another device name, or have it replaced (handout_replace, the module's option replace)"
        )


def _encryption(params: dict[str, Any]) -> Callable[[bytes], bytes]:
    recipient = params["recipient"]
    is_page = params["form"] == "page"
    if recipient and is_page:
        raise ValueError("a page is opened by a passphrase alone: leave out the recipient, or choose the form age")
    if recipient:
        return lambda content: encrypt_to(recipient, content)
    if not params["passphrase_to"]:
        raise ValueError(
            "recipient is missing, and no terminal to show a passphrase on; run it by Ansible, on localhost"
        )
    passphrase = new_passphrase()
    with open(params["passphrase_to"], "w", encoding="ascii") as pipe:
        pipe.write(passphrase)
    if is_page:
        return lambda content: seal(content.decode(), f"{params['user_name']}/{params['device']}", passphrase)
    return lambda content: encrypt_with(passphrase, content)


def run(module: AnsibleAWSModule, by: str | None) -> dict[str, Any]:
    """Check and encrypt everything, then register, then rename the file, so that a refusal leaves nothing."""
    params = module.params
    table, pools = registry(module), parse_pools(params["address_pools"])
    user, found = _whose(module, table)
    networks = Access.parse(params["access"], params["account_id"]).granted_to(user)
    private_key, public_key = generate()
    wanted = _wanted(user, params, public_key, by)
    if not params["replace"]:
        _refuse_registered(table, wanted)
    rest = params["address_quarantine"] * DAY
    before, expected = table.devices.register(wanted, pools, quarantine=rest, check_mode=True)
    try:
        content = _encryption(params)(render(tunnel(params, expected, networks), private_key).encode())
    except ValueError as error:
        raise ValueError(f"{wanted.label}: {error}") from None
    if not module.check_mode:
        with replacing(params["dest"], content):
            _before, after = table.devices.register(wanted, pools, quarantine=rest)
            if after.addresses != expected.addresses:
                table.devices.remove(after, by=by, reason="its handout failed")
                raise RegistryError(f"{wanted.label}: somebody else registered at the same moment; run it again")
    left = obstacles(found._replace(registrations=[expected]), expected.device, time.time())
    return {
        "changed": True,
        "dest": params["dest"],
        "registration": registration_result(expected),
        "still_blocked_by": left,
        "diff": registration_diff(before, expected),
    }


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={
            **REGISTRY_OPTIONS,
            **TUNNEL_OPTIONS,
            **USER_OPTIONS,
            "dest": {"type": "path", "required": True},
            "recipient": {"type": "str"},
            "form": {"type": "str", "choices": ["age", "page"], "default": "age"},
            "device": {"type": "str", "required": True},
            "expires_in": {"type": "str", "default": LIFE},
            "confirm_within": {"type": "str", "default": "3d"},
            "replace": {"type": "bool", "default": False},
            "address_quarantine": {"type": "int", "default": 7},
            "passphrase_to": {"type": "path", "no_log": False},
        },
        supports_check_mode=True,
    )
    require(module, nacl="PyNaCl", pyrage="pyrage")
    if module.params["form"] == "page":
        require(module, segno="segno", cryptography="cryptography")
    with one_line_failures(module):
        result = run(module, check_credentials(module))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
