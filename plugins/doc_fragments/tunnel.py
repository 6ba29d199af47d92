# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations


class ModuleDocFragment:
    """Options of the modules that write a device's configuration."""

    DOCUMENTATION = r"""
options:
  gateway_public_key:
    description: Public key of the gateway, as C(wg show wg0 public-key) prints it there.
    type: str
    required: true
  endpoint:
    description: What the device dials, C(HOST:PORT), with an IPv6 address in brackets.
    type: str
    required: true
  address_pools:
    description: Networks of the tunnel in CIDR form. The DNS servers are the first host address of each.
    type: list
    elements: str
    required: true
  domains:
    description: Private zones, which the tunnel's DNS servers answer.
    type: list
    elements: str
    default: []
  dns:
    description:
      - How the device is told of the DNS servers and the domains. The guide C(docs/clients.md) says what each system
        makes of it.
      - V(line) writes a C(DNS) line, which the WireGuard apps and, by C(resolvconf), C(wg-quick) read. Nearly all of
        them ask the tunnel's servers for every name then, so these must answer every name (C(private_dns_other=forward)
        of the gateways), or the device finds nothing but private ones, and nothing once the tunnel fails.
      - V(resolved) writes C(PostUp) lines for systemd-resolved, which asks the tunnel's servers for O(domains) only.
      - V(none) writes nothing. The tunnel leads to the DNS servers all the same.
    type: str
    choices: [line, resolved, none]
    default: none
  full_tunnel:
    description:
      - Whether everything goes into the tunnel, and every name is asked of its DNS servers.
      - The gateway still lets through only what O(access) grants; grant C(0.0.0.0/0) and C(::/0) for the internet.
    type: bool
    default: false
  keepalive:
    description: Seconds between packets that keep the way through NAT open; V(0) for none.
    type: int
    default: 25
  mtu:
    description: MTU of the interface. The default fits an internet path of 1500 bytes, as that of the gateways does.
    type: int
    default: 1420
"""
