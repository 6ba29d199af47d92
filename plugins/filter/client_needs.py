# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: client_needs
author:
  - Tracklib (@tracklib)
version_added: 0.1.0
short_description: What a host needs for a tunnel
description:
  - Decides how a host is told of the tunnel's DNS servers, and names the Debian packages that it lacks.
options:
  _input:
    description:
      - The programs that the host has, and V(systemd-resolved) if that answers the host.
    type: list
    elements: str
    required: true
  dns:
    description: How the host is told; V(auto) chooses by what the host has.
    type: str
    choices: [auto, resolved, line, none]
    default: auto
  domains:
    description: Private zones that the tunnel's DNS servers answer.
    type: list
    elements: str
    default: []
  full_tunnel:
    description: Whether everything goes into the tunnel.
    type: bool
    default: false
  networks:
    description: Networks behind the gateway in CIDR form.
    type: list
    elements: str
    default: []
  answers_other_names:
    description: Whether the tunnel's DNS servers answer other names than private ones.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Show what a host needs
  ansible.builtin.debug:
    msg: "{{ ['wg-quick', 'systemd-resolved'] | tracklib.vpn.client_needs(domains=['internal.example']) }}"
  # => {"dns": "resolved", "packages": []}
"""

RETURN = r"""
_value:
  description: What the host needs.
  type: dict
  contains:
    dns:
      description:
        - V(resolved), V(line) or V(none).
        - V(unknown) if the host can't be told; V(exclusive) if it would ask the tunnel for every name, and nothing
          there answers other names than private ones.
      type: str
    packages:
      description: Debian packages to install.
      type: list
      elements: str
"""

from typing import Any, Callable, Iterable, Sequence


def client_needs(
    found: Iterable[str],
    dns: str = "auto",
    domains: Sequence[str] = (),
    full_tunnel: bool = False,
    networks: Sequence[str] = (),
    answers_other_names: bool = False,
) -> dict[str, Any]:
    from ansible_collections.tracklib.vpn.plugins.module_utils.client.host import needs

    return needs(
        found,
        dns=dns,
        domains=domains,
        full_tunnel=full_tunnel,
        networks=networks,
        answers_other_names=answers_other_names,
    )._asdict()


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"client_needs": client_needs}
