#!/usr/bin/python
# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: wireguard_interface_info
version_added: 0.1.0
short_description: Shows a gateway's live peers by name, and what the gateway remembers
description:
  - Reads the live WireGuard device, its configuration file and the gateway's state. Private and preshared keys are
    never returned.
  - It works for any WireGuard interface, also for one that isn't managed by this collection.
author:
  - Tracklib (@tracklib)
options:
  name:
    description: The interface.
    type: str
    default: wg0
  config_dir:
    description: Where the configuration C(NAME.conf) is.
    type: path
    default: /etc/wireguard
  state_dir:
    description: Where the gateway remembers generation and removals.
    type: path
    default: /var/lib/tracklib-vpn
  drift:
    description:
      - Whether RV(drift), RV(notices) and RV(problems) are looked for, as a reload in check mode does it. Nothing is
        changed.
    type: bool
    default: false
extends_documentation_fragment:
  - tracklib.vpn.attributes
  - tracklib.vpn.attributes.info_module
seealso:
  - module: tracklib.vpn.wireguard_interface
"""

EXAMPLES = r"""
- name: Read the gateway's peers
  tracklib.vpn.wireguard_interface_info:
    name: wg0
  register: gateway

- name: Show who had a handshake in the last three minutes
  ansible.builtin.debug:
    msg: "{{ gateway.peers | selectattr('latest_handshake') | selectattr('latest_handshake', '>', now | int) }}"
  vars:
    now: "{{ '%s' | ansible.builtin.strftime | int - 180 }}"
"""

RETURN = r"""
peers:
  description: The live device's peers. The names are those of the configuration file, and empty if it has none.
  returned: success
  type: list
  elements: dict
  contains:
    public_key:
      description: The peer's public key.
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
    expires_at:
      description: When the gateway takes the peer off, in seconds since the epoch; null for never.
      type: int
    allowed_ips:
      description: The peer's addresses in the tunnel, in CIDR form.
      type: list
      elements: str
    endpoint:
      description: Where the peer's packets last came from; null if there were none.
      type: str
    latest_handshake:
      description: Time of the last handshake in seconds since the epoch; null if there was none.
      type: int
    transfer_rx:
      description: Bytes received from the peer.
      type: int
    transfer_tx:
      description: Bytes sent to the peer.
      type: int
config_peers:
  description: The configuration file's peers, with C(public_key), C(user_name), C(device), C(account_id), C(user_id).
  returned: success
  type: list
  elements: dict
managed:
  description: Whether the interface was made by this collection.
  returned: success
  type: bool
interface_exists:
  description: Whether there is such an interface.
  returned: success
  type: bool
interface_up:
  description: Whether the interface is up.
  returned: success
  type: bool
public_key:
  description: The interface's own public key; null if there is no interface.
  returned: success
  type: str
listen_port:
  description: The UDP port that the interface listens on; null if there is no interface.
  returned: success
  type: int
generation:
  description: The highest generation that the gateway has seen; 0 if none.
  returned: success
  type: int
roster_age:
  description: Age of the installed roster in seconds; null if none is installed.
  returned: success
  type: int
now:
  description: The gateway's time in seconds since the epoch, by which ages are to be reckoned.
  returned: success
  type: int
barred:
  description: Whom the gateway keeps out, since they were revoked outside a run, until a later roster ends it.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The user, or the user's device.
      type: str
    account_id:
      description: The user's account; empty if that isn't known.
      type: str
    user_id:
      description: The user's unique id; empty if that isn't known.
      type: str
    generation:
      description: A roster of a higher generation ends it; V(0) if an operator has to.
      type: int
    event_id:
      description: What it came from; empty for an operator's word.
      type: str
drift:
  description:
    - What differs from the files that the last apply left, such as peers added by hand; a reconcile repairs it. Only
      with O(drift).
  returned: O(drift)
  type: list
  elements: str
notices:
  description: What isn't this collection's and may be in the way, such as a firewall of another program.
  returned: O(drift)
  type: list
  elements: str
problems:
  description: What keeps the gateway from working as it should, such as a configuration that was changed by hand.
  returned: O(drift)
  type: list
  elements: str
removals:
  description: Removals that the gateway keeps, as M(tracklib.vpn.wireguard_interface) returns them.
  returned: success
  type: list
  elements: dict
"""

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.bars import Bar
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.commands import GatewayError, run
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.config import expires_at, generation, label_of
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.device import LivePeer
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.drift import find_drift
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.files import Site
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.gateway import Gateway
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.read import Snapshot, read


def _peer(peer: LivePeer, comment: str) -> dict[str, Any]:
    return {
        "public_key": peer.public_key,
        **label_of(comment)._asdict(),
        "expires_at": expires_at(comment),
        "allowed_ips": [] if peer.allowed_ips == "(none)" else peer.allowed_ips.split(","),
        "endpoint": None if peer.endpoint == "(none)" else peer.endpoint,
        "latest_handshake": int(peer.latest_handshake) or None,
        "transfer_rx": int(peer.transfer_rx),
        "transfer_tx": int(peer.transfer_tx),
    }


def _bar(barring: Bar) -> dict[str, Any]:
    return {
        "name": barring.name,
        "account_id": barring.account_id,
        "user_id": barring.user_id,
        "generation": barring.generation,
        "event_id": barring.event_id,
    }


def _drift(gateway: Gateway, snapshot: Snapshot) -> dict[str, Any]:
    found = find_drift(gateway, snapshot)
    return {"drift": list(found.differing), "notices": list(found.notices), "problems": list(found.problems)}


def _info(gateway: Gateway, *, drift: bool) -> dict[str, Any]:
    snapshot = read(gateway)
    if snapshot.device_error:
        raise snapshot.device_error
    if snapshot.state_error and not drift:
        raise snapshot.state_error
    link, device, state = snapshot.link, snapshot.device, snapshot.state
    comments = snapshot.sections.comments()
    return {
        "peers": [_peer(peer, comments.get(key, "")) for key, peer in snapshot.live.items()],
        "config_peers": [{"public_key": key, **label_of(comment)._asdict()} for key, comment in comments.items()],
        "managed": state is not None or generation(snapshot.config_text) is not None,
        "interface_exists": link is not None,
        "interface_up": link is not None and link.up,
        "public_key": device.public_key if device else None,
        "listen_port": int(device.listen_port) if device else None,
        "generation": (state.generation if state else generation(snapshot.config_text)) or 0,
        "roster_age": snapshot.now - state.made_at if state and state.made_at else None,
        "now": snapshot.now,
        "barred": [_bar(each) for each in state.bars] if state else [],
        "removals": [removal._asdict() for removal in state.removals] if state else [],
        **(_drift(gateway, snapshot) if drift else {}),
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "default": "wg0"},
            "config_dir": {"type": "path", "default": "/etc/wireguard"},
            "state_dir": {"type": "path", "default": "/var/lib/tracklib-vpn"},
            "drift": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    params = module.params
    site = Site(params["name"], Path(params["config_dir"]), Path(params["state_dir"]))
    try:
        result = _info(Gateway(site, run), drift=params["drift"])
    except GatewayError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
