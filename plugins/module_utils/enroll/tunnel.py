# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The tunnel of a registered device: what the function said of it, less what this device is to go without."""

from __future__ import annotations

import ipaddress
from typing import Any, Mapping, Sequence

from ..client.config import ClientTunnel, DnsFlavour
from ..client.overlap import hidden, taken, without
from .device import Enrollment, gateway, mtu
from .machine import Machine, MachineError
from .terminal import Screen

NOTHING = "none"  # to exclude


def check_networks(machine: Machine, said: Mapping[str, Any], excluded: Sequence[str], screen: Screen) -> None:
    """Say which networks this machine is in already, before anything is registered.

    :raises MachineError: the tunnel would take one of them away from it, or nothing of the tunnel is left.
    """
    left = _left(said, excluded)
    if NOTHING in excluded:
        return
    attached = machine.attached()
    servers = without([_host(server) for server in said["dns_servers"]], _named(excluded))
    lost = taken([*left, *servers], attached)
    if lost:
        raise MachineError(
            "this machine is in a network that the tunnel leads to: "
            + ", ".join(f"{network} of the tunnel lies in {one.network} at {one.interface}" for network, one in lost)
            + ". Nothing was changed. Leave it out of the tunnel with "
            + " ".join(f"--exclude-network {network}" for network, _one in lost)
            + f", or let the tunnel have it with --exclude-network {NOTHING}"
        )
    for one in hidden(left, attached):
        screen.say(f"{one.network} at {one.interface} is this machine's own: what is there isn't reached by the tunnel")


def _left(said: Mapping[str, Any], excluded: Sequence[str]) -> list[str]:
    left = without(said["networks"], _named(excluded))
    if not left:
        raise MachineError(
            f"nothing is left for the tunnel: you may reach {', '.join(said['networks']) or 'no network'}, and "
            f"{', '.join(excluded) or 'no network'} is to be left out"
        )
    return left


def _named(excluded: Sequence[str]) -> list[str]:
    return [each for each in excluded if each != NOTHING]


def _host(address: str) -> str:
    return f"{address}/{128 if ':' in address else 32}"


def client_tunnel(
    enrollment: Enrollment,
    endpoint: str | None,
    dns: DnsFlavour,
    excluded: Sequence[str] = (),
    *,
    ipv6: bool = True,
) -> ClientTunnel:
    """Return the tunnel of a registered device: what the function said, and how this device asks for names.

    :param endpoint: the gateway to dial; None for the first.
    :param excluded: networks to leave out, in CIDR form; `none` for none.
    :param ipv6: whether the machine has IPv6; wg-quick fails for an address that it can't set.
    """
    device, said = enrollment.device, enrollment.tunnel
    if device is None:
        raise ValueError("there is no registration to make a tunnel of")
    dialled = gateway(said, endpoint)
    apart = _named(excluded)

    def fit(texts: list[str]) -> list[str]:
        return [text for text in texts if ipv6 or ":" not in text]

    servers = [server for server in fit(said["dns_servers"]) if without([_host(server)], apart)]
    is_asked = bool(servers) and (dns is not DnsFlavour.RESOLVED or bool(said["domains"]))

    return ClientTunnel(
        addresses=fit(device["addresses"]),
        gateway_public_key=dialled["public_key"],
        endpoint=dialled["endpoint"],
        networks=without(fit(said["networks"]), apart),
        dns_servers=servers,
        domains=said["domains"],
        dns=dns if is_asked else DnsFlavour.NONE,
        mtu=mtu(said),
    )


def app_tunnel(
    enrollment: Enrollment, endpoint: str | None, dns: DnsFlavour | None, excluded: Sequence[str]
) -> ClientTunnel:
    """Return the tunnel of an app, which asks DNS servers for every name: so they have to answer every name.

    :param dns: None for a DNS line where the gateways answer other names, too.
    """
    said = enrollment.tunnel
    _left(said, excluded)
    if dns is None:
        dns = DnsFlavour.LINE if said.get("answers_other_names", False) and said["domains"] else DnsFlavour.NONE
    return client_tunnel(enrollment, endpoint, dns, excluded)


def names_left_out(tunnel: ClientTunnel) -> str | None:
    """Say that a tunnel of an app has private names that it doesn't ask for, and why; None if it has none."""
    if tunnel.dns is not DnsFlavour.NONE or not tunnel.domains:
        return None
    return (
        f"it doesn't ask the tunnel for names: an app would ask it for every name, and the gateways answer those of "
        f"{', '.join(tunnel.domains)} only"
    )


def longest(listed: Mapping[str, Any]) -> Enrollment:
    """Return a device that isn't registered yet, as long as it may become, to measure what is made of it.

    :param listed: what the function said of the user's devices; the tunnel has a DNS server in each pool of addresses.
    """
    servers = map(ipaddress.ip_address, listed["tunnel"]["dns_servers"])
    addresses = ["255.255.255.255" if server.version == 4 else f"{server.exploded[:-4]}ffff" for server in servers]
    return Enrollment({"addresses": addresses}, None, (), False, None, listed["tunnel"], [])
