#!/usr/bin/python
# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: name_probe
version_added: 0.1.0
short_description: Asks DNS servers for a name from a gateway, and tries the ports behind it
description:
  - Asks the VPC's resolver and the forwarder on the gateway's tunnel addresses for C(A), C(AAAA) and C(SRV) records, by
    UDP and by TCP, and tries a TCP connection to each address that the resolver gives.
  - Reads what the gateway's live firewall grants the tunnel.
  - A server that is silent, refuses or talks nonsense is a result, never a failure.
  - Needs root, for the firewall.
author:
  - Tracklib (@tracklib)
options:
  name:
    description: The DNS name, in lower case, without final dot.
    type: str
    required: true
  resolver:
    description: Address of the VPC's resolver.
    type: str
    required: true
  forwarders:
    description: The gateway's own tunnel addresses, on which its forwarder listens.
    type: list
    elements: str
    default: []
  ports:
    description:
      - TCP ports of the service; it is enough that one is open.
      - Without them, those of the name's C(SRV) records, else 443 and 80.
    type: list
    elements: int
    default: []
  interface:
    description: The WireGuard interface whose firewall is read.
    type: str
    default: wg0
  timeout:
    description: Seconds for each question and connection. A question by UDP is asked twice.
    type: float
    default: 2
  dns_port:
    description: Port of the DNS servers.
    type: int
    default: 53
extends_documentation_fragment:
  - tracklib.vpn.attributes
  - tracklib.vpn.attributes.info_module
seealso:
  - module: tracklib.vpn.name_diagnosis_info
  - plugin: tracklib.vpn.name_diagnosis
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Ask for a name
  tracklib.vpn.name_probe:
    name: api.internal.example
    resolver: "{{ vpc_resolver }}"
    forwarders: [10.44.0.1, "fd44:7472:6163:6b::1"]
    ports: [8080]
  become: true
  register: seen

- name: Show what the forwarder says
  ansible.builtin.debug:
    msg: "{{ seen.servers[1].replies | items2dict(key_name='kind', value_name='outcome') }}"
"""

RETURN = r"""
servers:
  description: What each server said, the resolver first.
  returned: success
  type: list
  elements: dict
  contains:
    address:
      description: The server's address.
      type: str
      sample: 10.20.0.2
    replies:
      description: Its replies.
      type: list
      elements: dict
      contains:
        kind:
          description: V(A), V(AAAA) or V(SRV).
          type: str
        transport:
          description: V(udp) or V(tcp).
          type: str
        outcome:
          description:
            - V(answer); V(nodata), the name has no such records; V(nxdomain), V(servfail), V(refused), or V(error) with
              another DNS error; V(timeout); V(unreachable); V(absent), the host hasn't this address; V(malformed).
          type: str
        detail:
          description: More about it, where there is more.
          type: str
        path:
          description: Names that C(CNAME) records lead to.
          type: list
          elements: str
        values:
          description: Addresses, or hosts of C(SRV) records.
          type: list
          elements: str
        ports:
          description: Ports of C(SRV) records.
          type: list
          elements: int
        ttl:
          description: Seconds that the answer may be kept; null without one.
          type: int
        milliseconds:
          description: How long the answer took; null without one.
          type: int
addresses:
  description: The addresses that the resolver gives, of an C(SRV) record's hosts too; 20 at most.
  returned: success
  type: list
  elements: str
ports:
  description: The connections that were tried.
  returned: success
  type: list
  elements: dict
  contains:
    address:
      description: The address.
      type: str
    port:
      description: The TCP port.
      type: int
    open:
      description: Whether a connection came about.
      type: bool
    detail:
      description: What the system said if it didn't.
      type: str
      sample: Connection refused
firewall:
  description: What the live firewall grants the tunnel; null if it isn't loaded.
  returned: success
  type: dict
  contains:
    networks:
      description: Networks in CIDR form.
      type: list
      elements: str
    dns_open:
      description: Whether the tunnel may reach port 53 of the gateway.
      type: bool
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.tracklib.vpn.plugins.module_utils.probe.ask import DnsReply, DnsServer
from ansible_collections.tracklib.vpn.plugins.module_utils.probe.firewall import read_firewall
from ansible_collections.tracklib.vpn.plugins.module_utils.probe.message import MessageError
from ansible_collections.tracklib.vpn.plugins.module_utils.probe.name import ServerReplies, probe_name
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.commands import GatewayError, run


def _reply(reply: DnsReply) -> dict[str, Any]:
    return {**reply._asdict(), "transport": reply.transport.value, "outcome": reply.outcome.value}


def _server(said: ServerReplies) -> dict[str, Any]:
    return {"address": said.server.address, "replies": [_reply(reply) for reply in said.replies]}


def _probe(params: dict[str, Any]) -> dict[str, Any]:
    servers = [
        DnsServer(params["resolver"], params["dns_port"]),
        *(DnsServer(address, params["dns_port"], own=True) for address in params["forwarders"]),
    ]
    probe = probe_name(params["name"], servers, params["ports"], params["timeout"])
    firewall = read_firewall(run, params["interface"])
    return {
        "servers": [_server(said) for said in probe.servers],
        "addresses": probe.addresses,
        "ports": [port._asdict() for port in probe.ports],
        "firewall": firewall and firewall._asdict(),
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "resolver": {"type": "str", "required": True},
            "forwarders": {"type": "list", "elements": "str", "default": []},
            "ports": {"type": "list", "elements": "int", "default": []},
            "interface": {"type": "str", "default": "wg0"},
            "timeout": {"type": "float", "default": 2},
            "dns_port": {"type": "int", "default": 53},
        },
        supports_check_mode=True,
    )
    try:
        result = _probe(module.params)
    except (GatewayError, MessageError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
