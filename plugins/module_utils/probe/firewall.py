# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Reader of the gateway's live firewall, in the form that the role's template gives it."""

from __future__ import annotations

import re
from typing import NamedTuple

from ..wireguard.commands import Runner
from ..wireguard.firewall import table

_CHAIN = re.compile(r"^\s*chain (\w+) \{$(.*?)^\s*\}$", re.MULTILINE | re.DOTALL)
_GRANT = re.compile(r"^\s*ip6? daddr ([0-9a-f:./]+) accept$", re.MULTILINE)
_DNS = re.compile(r"^\s*.*\bdport 53 accept$", re.MULTILINE)


class TunnelFirewall(NamedTuple):
    """The networks, in CIDR form, that the tunnel may reach, and whether it may ask this host for names."""

    networks: list[str]
    dns_open: bool


def read_firewall(run: Runner, interface: str) -> TunnelFirewall | None:
    """Read an interface's firewall as the kernel has it; None without one.

    :raises CommandError: nft isn't there.
    """
    listing = run(["nft", "-s", "-t", "list", "table", *table(interface)])
    if listing.rc != 0:
        return None
    chains = dict(_CHAIN.findall(listing.stdout))
    granted = _GRANT.findall(chains.get("from_tunnel", ""))
    return TunnelFirewall(granted, bool(_DNS.search(chains.get("input_from_tunnel", ""))))
