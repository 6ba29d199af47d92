# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Options of the modules that write a device's configuration; the doc fragment `tunnel` describes them."""

from __future__ import annotations

from typing import Any, Mapping, Sequence

from ..access import ACCESS_OPTION
from ..addresses import gateway_address, parse_pools
from ..model import Registration
from .config import DEFAULT_MTU, ClientTunnel, DnsFlavour

TUNNEL_OPTIONS: dict[str, Any] = {
    "gateway_public_key": {"type": "str", "required": True, "no_log": False},
    "endpoint": {"type": "str", "required": True},
    "access": ACCESS_OPTION,
    "address_pools": {"type": "list", "elements": "str", "required": True},
    "domains": {"type": "list", "elements": "str", "default": []},
    "dns": {"type": "str", "choices": [one.value for one in DnsFlavour], "default": "none"},
    "full_tunnel": {"type": "bool", "default": False},
    "keepalive": {"type": "int", "default": 25},
    "mtu": {"type": "int", "default": DEFAULT_MTU},
}


def tunnel(params: Mapping[str, Any], registration: Registration, networks: Sequence[str]) -> ClientTunnel:
    """Return what the configuration of a registered device says, by a module's options.

    :raises PoolError: an address pool isn't one.
    """
    return ClientTunnel(
        addresses=registration.addresses,
        gateway_public_key=params["gateway_public_key"],
        endpoint=params["endpoint"],
        networks=networks,
        dns_servers=[gateway_address(pool) for pool in parse_pools(params["address_pools"])],
        domains=params["domains"],
        dns=DnsFlavour(params["dns"]),
        full_tunnel=params["full_tunnel"],
        keepalive=params["keepalive"],
        mtu=params["mtu"],
    )
