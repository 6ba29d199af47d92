# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: client_configuration
author:
  - Tracklib (@tracklib)
version_added: 0.1.0
short_description: The WireGuard configuration of a device, whose key is in a file
description:
  - Checks what it is given and returns the text of a configuration that C(wg-quick) reads.
  - The private key is loaded from a file when the interface comes up; the text holds no secret.
  - M(tracklib.vpn.client_config) makes the same text of what the registry has.
positional: private_key_file
options:
  _input:
    description: What the configuration says.
    type: dict
    required: true
    suboptions:
      addresses:
        description: The device's addresses in the tunnel.
        type: list
        elements: str
        required: true
      gateway_public_key:
        description: Public key of the gateway.
        type: str
        required: true
      endpoint:
        description: What the device dials, C(HOST:PORT), with an IPv6 address in brackets.
        type: str
        required: true
      networks:
        description: Networks behind the gateway in CIDR form.
        type: list
        elements: str
        required: true
      dns_servers:
        description: DNS servers in the tunnel, which it leads to in any case.
        type: list
        elements: str
        default: []
      domains:
        description: Domains that these servers answer.
        type: list
        elements: str
        default: []
      dns:
        description: How the device is told of them, as O(tracklib.vpn.client_config#module:dns).
        type: str
        choices: [line, resolved, none]
        default: none
      full_tunnel:
        description: Whether everything goes into the tunnel.
        type: bool
        default: false
      keepalive:
        description: Seconds between packets that keep the way through NAT open; V(0) for none.
        type: int
        default: 25
      mtu:
        description: MTU of the interface.
        type: int
        default: 1420
  private_key_file:
    description: Absolute path on the device of the file that has its private key.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Show a configuration
  ansible.builtin.debug:
    msg: "{{ tunnel | tracklib.vpn.client_configuration('/etc/wireguard/vpn0.key') }}"
  vars:
    tunnel:
      addresses: [10.44.0.2]
      gateway_public_key: hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=
      endpoint: vpn.example.com:51820
      networks: [10.20.0.0/16]
"""

RETURN = r"""
_value:
  description: The text of the configuration.
  type: str
"""

from typing import Any, Callable, Mapping

from ansible.errors import AnsibleFilterError


def client_configuration(tunnel: Mapping[str, Any], private_key_file: str) -> str:
    from ansible_collections.tracklib.vpn.plugins.module_utils.client.config import (
        ClientTunnel,
        DnsFlavour,
        dns_flavour,
        render,
    )

    try:
        flavour = dns_flavour(tunnel.get("dns", DnsFlavour.NONE.value))
        return render(ClientTunnel(**{**tunnel, "dns": flavour}), private_key_file=private_key_file)
    except (TypeError, ValueError) as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"client_configuration": client_configuration}
