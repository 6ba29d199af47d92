# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The configuration text of a device. Pure; the standard library alone.

Everything that writes one for a client calls `render`. wg-quick(8) runs the `PostUp` lines in a shell as root, so
every value is checked here before it enters the text (R15, data is never code).
"""

from __future__ import annotations

import enum
import ipaddress
import re
from typing import NamedTuple, Sequence, Union

from ..addresses import collapsed, parse_network
from ..keys import check_private_key, check_public_key
from ..names import dns as names
from ..wireguard.managed import MARKER

DEFAULT_MTU = 1420  # fits an internet path of 1500 bytes, as the gateways' own does; devices choose differently
_EVERYTHING = ("0.0.0.0/0", "::/0")
_PATH = re.compile(r"(/[A-Za-z0-9_+.-]+)+")  # in a PostUp line: no shell word, no comment, no `%i` of wg-quick's
# what may be shown of a configuration that others could have written
_SHOWN = re.compile(
    r"^(?:(?:Address|MTU|DNS|Endpoint|AllowedIPs|PersistentKeepalive) =|PostUp = resolvectl )[^\n]*$", re.MULTILINE
)

Address = Union[ipaddress.IPv4Address, ipaddress.IPv6Address]


class DnsFlavour(enum.Enum):
    """How a device learns of the DNS servers in the tunnel."""

    LINE = "line"  # a DNS line, for the apps and resolvconf
    RESOLVED = "resolved"  # PostUp lines, for systemd-resolved
    NONE = "none"


def asks_every_name(dns: DnsFlavour, *, full_tunnel: bool = False) -> bool:
    """Tell whether a device asks the DNS servers in the tunnel for every name, not only for private ones.

    Then these must answer others, too, or the device is without any (R18, recovery).
    """
    return dns is DnsFlavour.LINE or (full_tunnel and dns is not DnsFlavour.NONE)


class ClientTunnel(NamedTuple):
    """Contents of a device's configuration, except its private key."""

    addresses: Sequence[str]  # the device's, without prefix length
    gateway_public_key: str
    endpoint: str  # what the device dials: HOST:PORT, an IPv6 address in brackets
    networks: Sequence[str]  # CIDR behind the gateway
    dns_servers: Sequence[str] = ()  # the gateway's tunnel addresses; always routed into the tunnel
    domains: Sequence[str] = ()  # the private zones
    dns: DnsFlavour = DnsFlavour.NONE
    full_tunnel: bool = False  # send everything into the tunnel, and ask its resolver everything
    keepalive: int = 25  # seconds; 0 for none
    mtu: int = DEFAULT_MTU


def render(tunnel: ClientTunnel, private_key: str = "", private_key_file: str = "") -> str:
    """Write the configuration of a device, as wg-quick(8) and the WireGuard apps read it.

    :param private_key: goes into the text, for apps.
    :param private_key_file: path on the device, loaded when the interface comes up: the text holds no key then.
        With neither, the text has no key.
    :raises ValueError: saying which value is wrong; keys aren't repeated.
    """
    servers = [_address(server, "DNS server") for server in tunnel.dns_servers]
    lines = [
        f"{MARKER}; do not edit: changes are overwritten.",
        *_interface_lines(tunnel, servers, private_key, private_key_file),
        "",
        *_peer_lines(tunnel, servers),
    ]
    return "\n".join(lines) + "\n"


def _interface_lines(
    tunnel: ClientTunnel, servers: Sequence[Address], private_key: str, private_key_file: str
) -> list[str]:
    own = [_address(address, "address") for address in tunnel.addresses]
    if not own:
        raise ValueError("there is no address for the device; register it again")
    lines = ["[Interface]", f"Address = {', '.join(f'{address}/{address.max_prefixlen}' for address in own)}"]
    if private_key:
        lines.append(f"PrivateKey = {check_private_key(private_key)}")
    lines.append(f"MTU = {_number(tunnel.mtu, 'mtu', 576, 65535)}")
    if private_key_file:
        lines.append(f"PostUp = wg set %i private-key {_path(private_key_file)}")
    return lines + _dns_lines(tunnel, servers)


def _peer_lines(tunnel: ClientTunnel, servers: Sequence[Address]) -> list[str]:
    lines = [
        "[Peer]",
        f"PublicKey = {_public_key(tunnel.gateway_public_key)}",
        f"Endpoint = {parse_endpoint(tunnel.endpoint)}",
        f"AllowedIPs = {', '.join(_allowed_ips(tunnel, servers))}",
    ]
    if _number(tunnel.keepalive, "keepalive", 0, 65535):
        lines.append(f"PersistentKeepalive = {tunnel.keepalive}")
    return lines


def dns_flavour(text: str) -> DnsFlavour:
    """Return the flavour of that name.

    :raises ValueError: there is none; the message names those that there are.
    """
    try:
        return DnsFlavour(text)
    except ValueError:
        expected = ", ".join(one.value for one in DnsFlavour)
        raise ValueError(f"dns is {text!r}, expected one of {expected}") from None


def shown(text: str) -> str:
    """Return the part of a configuration that a diff may show: no keys (R10, secrets stay home)."""
    return "".join(f"{line}\n" for line in _SHOWN.findall(text))


def _dns_lines(tunnel: ClientTunnel, servers: Sequence[Address]) -> list[str]:
    domains = [parse_domain(domain) for domain in tunnel.domains]
    if tunnel.dns is DnsFlavour.NONE:
        return []
    if not servers:
        raise ValueError(
            f"dns is {tunnel.dns.value} and there is no DNS server; expected the gateway's tunnel addresses"
        )
    if tunnel.dns is DnsFlavour.LINE:
        return [f"DNS = {', '.join([*map(str, servers), *domains])}"]
    if tunnel.full_tunnel:
        return _resolvectl_lines(servers, domains=["."], default_route="true")
    if not domains:
        raise ValueError("dns is resolved and there are no domains to ask the tunnel for; give some, or dns: none")
    return _resolvectl_lines(servers, domains=domains, default_route="false")


def _resolvectl_lines(servers: Sequence[Address], domains: Sequence[str], default_route: str) -> list[str]:
    # in quotes: a shell takes ~NAME for a home directory
    routed = [f"'~{domain}'" for domain in domains]
    return [
        f"PostUp = resolvectl dns %i {' '.join(map(str, servers))}",
        f"PostUp = resolvectl domain %i {' '.join(routed)}",
        f"PostUp = resolvectl default-route %i {default_route}",
    ]


def _allowed_ips(tunnel: ClientTunnel, servers: Sequence[Address]) -> list[str]:
    networks = [parse_network(text, f"{text!r} in networks") for text in tunnel.networks]
    if not networks and not tunnel.full_tunnel:
        raise ValueError("there are no networks for the tunnel; expected those that vpn_access grants")
    if tunnel.full_tunnel:
        return list(_EVERYTHING)
    return [str(network) for network in collapsed([*networks, *map(ipaddress.ip_network, servers)])]


def _address(text: str, what: str) -> Address:
    try:
        if "%" in text:  # Python takes anything for the name of an IPv6 scope
            raise ValueError("it has a scope")
        return ipaddress.ip_address(text)
    except ValueError as error:
        raise ValueError(f"{what} {text!r} is not an IP address: {error}") from None


def parse_endpoint(text: str) -> str:
    """Read what a client dials: HOST:PORT, HOST a DNS name, an IPv4 address, or an IPv6 address in brackets.

    :raises ValueError: it is none.
    """
    host, _colon, port = text.rpartition(":")
    if not re.fullmatch(r"[1-9][0-9]{0,4}", port) or int(port) > 65535:
        raise ValueError(f"endpoint {text!r} has no port; expected HOST:PORT, such as vpn.example.com:51820")
    if host.startswith("[") and host.endswith("]"):
        return f"[{_address(host[1:-1], 'endpoint')}]:{port}"
    if re.fullmatch(r"[0-9.]+", host):
        return f"{_address(host, 'endpoint')}:{port}"
    if not names.is_host_name(host.lower()):
        raise ValueError(
            f"endpoint {text!r} doesn't name a host; expected HOST:PORT, HOST a DNS name, an IPv4 address, "
            "or an IPv6 address in brackets"
        )
    return f"{host.lower()}:{port}"


def parse_domain(text: str) -> str:
    """Read a domain that clients ask the tunnel's DNS servers for.

    :raises ValueError: it is none.
    """
    domain = names.parse(text, "domain")
    if re.fullmatch(r"[0-9.]+", domain):  # wg-quick would take it for a server
        raise ValueError(f"domain {text!r} is an address; expected a DNS name")
    return domain


def _public_key(text: str) -> str:
    try:
        return check_public_key(text)
    except ValueError as error:
        raise ValueError(f"the gateway: {error}") from None


def _path(text: str) -> str:
    if not _PATH.fullmatch(text):
        raise ValueError(
            f"the private key's path {text!r} is refused; expected an absolute path of letters, digits and _ + . -"
        )
    return text


def _number(number: int, what: str, lowest: int, highest: int) -> int:
    if not lowest <= number <= highest:
        raise ValueError(f"{what} is {number}, expected {lowest} to {highest}")
    return number
