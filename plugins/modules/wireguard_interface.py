#!/usr/bin/python
# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: wireguard_interface
version_added: 0.1.0
short_description: Applies a roster to a gateway's WireGuard interface, peers and firewall
description:
  - Renders the configuration and the firewall on the controller, sends them in one transfer, and
    applies only what differs from the live device. No other peer's connection notices.
  - Confirmed revocations happen first, and whatever else is wrong. Then come the firewall, other removals, updates and
    additions. At the end the device is read back and compared.
  - A peer that has expired by the gateway's clock is left out, or taken off, also when the roster has it.
  - A peer that can't be one is left out and named in RV(problems), and everything else is applied. That is one whose
    key or address isn't one, whose key or address another peer has, that has the gateway's own key, or an address
    outside the tunnel's networks. If many live peers would go for that, they stay as they are, and RV(problems) names
    them.
  - What changed on the device by hand is reported in RV(repaired) and put right. So are the routes of the tunnel's
    networks and the kernel's forwarding. What isn't the collection's own and may be in the way is in RV(notices).
  - The gateway remembers the highest generation it has seen. A roster of a lower one changes nothing.
  - A roster from more than 5 minutes ahead of the gateway's clock is applied, and RV(problems) says so.
  - It remembers the registry, too, and refuses a roster of another one wholly, see O(accept_registry).
  - A roster that would leave a gateway of two or more peers without any is refused, apart from its confirmed
    revocations, unless it says of each peer why it goes.
  - Each removal is kept on the gateway, and returned in RV(removals), until a roster says that its receipt is recorded,
    see M(tracklib.vpn.receipts).
author:
  - Tracklib (@tracklib)
options:
  name:
    description: The interface.
    type: str
    default: wg0
  roster:
    description:
      - Path, on the controller, of the file that M(tracklib.vpn.roster) wrote.
      - Required unless O(revoke) is given, as are O(template) and O(firewall_template).
    type: path
  template:
    description:
      - Jinja2 template of the WireGuard configuration, searched as by M(ansible.builtin.template). It must set
        C(Table = off) and C(ListenPort), no private key, and name each peer in the comment above it, as the
        template of the role P(tracklib.vpn.gateway#role) does. The gateway reads from there when to take a peer off.
      - It is rendered by plain Jinja2, with O(variables) and with C(name), C(generation), C(made_at) and C(peers). Each
        of these has C(public_key), C(allowed_ips), C(account_id), C(user_id), C(user_name), C(device), C(expires_at)
        and C(held). C(expires_at) is in seconds since the epoch, or none.
        Ansible's own filters, tests and lookups aren't available.
    type: str
  firewall_template:
    description: Jinja2 template of the nftables rules; see O(template).
    type: str
  variables:
    description: Variables for both templates.
    type: dict
    default: {}
  private_key_file:
    description: Path of the interface's private key on the gateway; by default C(NAME.key) in O(config_dir).
    type: path
  config_dir:
    description: Where the configuration C(NAME.conf) and the firewall C(NAME.nft) are written, mode 0600.
    type: path
    default: /etc/wireguard
  state_dir:
    description: Where the gateway remembers generation, removals and locks.
    type: path
    default: /var/lib/tracklib-vpn
  lock_timeout:
    description: How long to wait for another run on the gateway, in seconds. Confirmed revocations don't wait.
    type: int
    default: 30
  accept_registry:
    description:
      - Id of the table whose rosters this gateway may follow from now on, if it followed another registry before, or
        another table of the same. A gateway follows the registry of the first roster that it applies.
      - The playbook C(tracklib.vpn.reconcile) takes it as the variable C(vpn_accept_registry).
    type: str
  other_interfaces:
    description:
      - Names of interfaces of this host that are configured beside this one.
      - Any other one that this module made, which it knows by the files in O(state_dir), is taken down with its unit
        and its rules, since nobody keeps its peers as they should be any more. RV(repaired) names it. Its files are
        kept, with the suffix C(.replaced-TIME).
    type: list
    elements: str
    default: []
  release_revoked:
    description:
      - Lets those be peers again whom O(revoke) barred on this gateway while the registry couldn't be reached. Names
        of users, their ids, or labels such as C(alice/laptop), as the run that kept them out printed them.
      - The playbook C(tracklib.vpn.reconcile) takes it as the variable C(vpn_release_revoked).
    type: list
    elements: str
    default: []
  revoke:
    description:
      - Takes a user off without any roster, for use when no roster can be made. It leaves a bar on the user, not on
        keys. Older rosters are applied without whom it names, and so are starts and reloads.
      - It does so on every interface of this host that this module made, not only on O(name). RV(removals) are those
        of O(name); the others keep theirs for their own next roster.
      - A bar with a O(generation) ends with the first roster of a higher one, since its run read the registry's record.
        A bar without one ends when a roster revokes the same user or device, or by O(release_revoked). Until then a
        roster that has them fails.
      - Fails if it names nobody on this gateway, or more than one user. A name of nobody is barred all the same.
      - Does nothing and fails if only users of other accounts than O(revoke.account_id) have the name on this gateway,
        unless there is a O(generation), since then the registry knows the user.
    type: dict
    suboptions:
      user_name:
        description:
          - The user's name, or a label such as C(alice/laptop), as this gateway shows it, whatever the case of the
            letters and of blanks around. All peers of the user id that is found by it are taken off.
        type: str
      user_id:
        description: The user's unique id.
        type: str
      device:
        description: Only this device. By default all of the user's.
        type: str
      account_id:
        description: Only the user of this account. By default of any.
        type: str
      event_id:
        description: Id of the event or record that the revocation is of; remembered with the bar.
        type: str
      detail:
        description: Why, in an operator's words, of which 1000 characters are kept for the receipts.
        type: str
  generation:
    description:
      - With O(revoke), the generation taken after the block or tombstone was written, if that could be done. If a
        roster of a higher one was here, nothing is changed.
      - Otherwise it is the roster's.
    type: int
    default: 0
  config_file:
    description:
      - Path of the rendered text on the gateway, which is removed after reading.
      - Internal; the action plugin sets it.
    type: path
extends_documentation_fragment:
  - tracklib.vpn.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
notes:
  - Needs C(wg), C(ip), C(nft), C(sysctl), Python 3.8 and root on the gateway; also systemd, to start a missing
    interface by its unit C(wg-quick@NAME).
  - A run that fails has still done what it returns. Confirmed revocations are among that.
seealso:
  - module: tracklib.vpn.roster
  - module: tracklib.vpn.wireguard_interface_info
"""

EXAMPLES = r"""
- name: Apply the roster
  tracklib.vpn.wireguard_interface:
    name: wg0
    roster: ~/.cache/tracklib-vpn/roster.json
    template: wg0.conf.j2
    firewall_template: nftables.j2
    variables:
      address_pools: [10.44.0.0/20]
      listen_port: 51820
  register: applied

- name: Record the receipts of what the gateway removed
  tracklib.vpn.receipts:
    account_id: "111122223333"
    gateways:
      - name: gateway-1
        removals: "{{ applied.removals }}"
  delegate_to: localhost

- name: Take a user off although the registry can't be reached
  tracklib.vpn.wireguard_interface:
    name: wg0
    revoke:
      user_name: alice
"""

RETURN = r"""
generation:
  description: The highest generation of a roster that this gateway has seen.
  returned: always
  type: int
  sample: 1790000000000
stale:
  description: Whether a roster of a higher generation was here before, so that nothing but confirmed revocations was
    done.
  returned: always
  type: bool
complete:
  description: Whether nothing was refused and no step failed. Where the module fails with this being true, what was
    asked was done, and something else needs an operator.
  returned: always
  type: bool
added:
  description: Names of new peers.
  returned: always
  type: list
  elements: str
  sample: [bob/phone]
removed:
  description: Names of peers that were taken off.
  returned: always
  type: list
  elements: str
  sample: [alice/laptop]
barred:
  description: Names of peers that the roster has, but that a bar of this gateway keeps out, see O(revoke).
  returned: always
  type: list
  elements: str
expired:
  description: Names of peers that the roster has, but that have expired by the gateway's clock, so that they are none.
  returned: always
  type: list
  elements: str
updated:
  description: Names of peers whose allowed addresses or other settings are new.
  returned: always
  type: list
  elements: str
new_ends:
  description: Peers that expire at another time than by the roster before. Times are in seconds since the epoch, or
    null for never.
  returned: always
  type: list
  elements: dict
  sample: [{name: bob/phone, before: 1792592000, after: 1790432000}]
repaired:
  description: What had been changed by hand, or was broken, and was put right.
  returned: always
  type: list
  elements: str
  sample: [interface down, firewall, bob/phone missing on the device]
settings:
  description: What else changed, such as C(firewall), C(file) or C(listen port).
  returned: always
  type: list
  elements: str
removals:
  description: All removals whose receipts this gateway doesn't know to be recorded.
  returned: always
  type: list
  elements: dict
  contains:
    id:
      description: Identifies the removal.
      type: str
    user_name:
      description: The IAM user's name.
      type: str
    device:
      description: The user's device.
      type: str
    account_id:
      description: The user's account.
      type: str
    user_id:
      description: The user's unique id.
      type: str
    public_key:
      description: The device's public key.
      type: str
    fingerprint:
      description: The first 16 hexadecimal digits of the SHA-256 of the public key's text.
      type: str
    generation:
      description: The generation in force when the peer was removed.
      type: int
    reason:
      description:
        - The roster's reason; V(expired) also if the gateway found that itself; V(revoked) for an operator's word;
          V(key_replaced) if the device has another key in the roster; V(unfit) if the roster has the peer, but in a
          form that none can have; V(unknown) if nothing in the roster is about it.
      type: str
    detail:
      description: Why, in the words of an operator who revoked without a roster; else empty.
      type: str
    last_handshake:
      description: The peer's last handshake in seconds since the epoch; null if there was none.
      type: int
    removed_at:
      description: When the peer was off, in seconds since the epoch; null while that isn't certain.
      type: int
used:
  description: Handouts that nobody had used when the roster was made, and that have had a handshake. The module
    M(tracklib.vpn.receipts) has them live on.
  returned: success
  type: list
  elements: dict
  contains:
    account_id:
      description: Account of the user.
      type: str
    user_id:
      description: Unique id of the user.
      type: str
    user_name:
      description: Name of the user.
      type: str
    device:
      description: Name of the device.
      type: str
    public_key:
      description: The peer's public key.
      type: str
notices:
  description: >-
    What isn't this collection's own and keeps packets from the tunnel, or may do so: another program's route, or its
    nftables rules. It is left as it is, and fails no run.
  returned: always
  type: list
  elements: str
problems:
  description: What keeps this run from being a success; the same sentences as in RV(msg).
  returned: always
  type: list
  elements: str
msg:
  description: What an operator has to know.
  returned: when there are problems, or the roster is stale
  type: str
"""

import json
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.commands import run
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.files import Site
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.gateway import Gateway
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.operations import apply, revoke
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.order import ApplyOrder, RevokeOrder


def _apply_order(params: dict[str, Any]) -> ApplyOrder:
    private_key_file = params["private_key_file"] or f"{params['config_dir']}/{params['name']}.key"
    return ApplyOrder.of_document(
        _read_once(Path(params["config_file"])),
        private_key_file=Path(private_key_file),
        accept_registry=params["accept_registry"] or "",
        release_revoked=params["release_revoked"],
        other_interfaces=params["other_interfaces"],
        lock_timeout=params["lock_timeout"],
    )


def _revoke_order(params: dict[str, Any]) -> RevokeOrder:
    return RevokeOrder.of_options(params["revoke"], params["generation"], params["lock_timeout"])


def _read_once(path: Path) -> dict[str, Any]:
    """Read a file, and remove it whatever it holds."""
    try:
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    finally:
        path.unlink()
    return document


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "default": "wg0"},
            "roster": {"type": "path"},
            "template": {"type": "str"},
            "firewall_template": {"type": "str"},
            "variables": {"type": "dict", "default": {}},
            "private_key_file": {"type": "path", "no_log": False},
            "config_dir": {"type": "path", "default": "/etc/wireguard"},
            "state_dir": {"type": "path", "default": "/var/lib/tracklib-vpn"},
            "lock_timeout": {"type": "int", "default": 30},
            "accept_registry": {"type": "str"},
            "other_interfaces": {"type": "list", "elements": "str", "default": []},
            "release_revoked": {"type": "list", "elements": "str", "default": []},
            "revoke": {
                "type": "dict",
                "options": {
                    "user_name": {"type": "str"},
                    "user_id": {"type": "str"},
                    "device": {"type": "str"},
                    "account_id": {"type": "str"},
                    "event_id": {"type": "str"},
                    "detail": {"type": "str"},
                },
                "required_one_of": [("user_name", "user_id")],
            },
            "generation": {"type": "int", "default": 0},
            "config_file": {"type": "path"},
        },
        mutually_exclusive=[("config_file", "revoke")],
        required_one_of=[("config_file", "revoke")],
        supports_check_mode=True,
    )
    params = module.params
    site = Site(params["name"], Path(params["config_dir"]), Path(params["state_dir"]))
    gateway = Gateway(site, run, module.check_mode)
    if params["revoke"]:
        result = revoke(_revoke_order(params), gateway).result(site.name)
    else:
        report = apply(_apply_order(params), gateway)
        result = {**report.result(site.name), "config_file_removed": True}
    if result["problems"]:
        module.fail_json(**result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
