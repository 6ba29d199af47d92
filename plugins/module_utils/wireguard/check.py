# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Checking everything about a roster that can be checked before anything more than revocations is done."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Container, Mapping, Sequence

from . import config as wg_config
from . import firewall
from .commands import output
from .config import Config, Interface, Peer, Sections, Sorted, Unfit
from .files import read_text
from .gateway import Gateway
from .order import ApplyOrder, RefusedError
from .read import Snapshot
from .state import State


@dataclass(frozen=True, repr=False)  # it holds the private key
class CheckedRoster:
    """What an order is to install: the peers that can be ones."""

    sections: Sections  # of wg0.conf
    config: Config  # the same, parsed
    unfit: Sequence[Unfit]  # peers of the roster that can't be ones
    firewall: str
    load_firewall: bool  # whether file or kernel have another one

    @cached_property
    def text(self) -> str:
        """What wg0.conf is to be."""
        return self.sections.text()

    def without(self, keys: Container[str]) -> CheckedRoster:
        """Return the same without the peers that have these public keys."""
        return replace(self, sections=self.sections.without(keys), config=self.config.without(keys))

    def including(self, more: Sorted) -> CheckedRoster:
        """Return the same with these peers, too."""
        sections = self.sections._replace(peers=[*self.sections.peers, *more.sections.peers])
        config = self.config._replace(peers={**self.config.peers, **more.peers})
        return replace(self, sections=sections, config=config)


def check(order: ApplyOrder, snapshot: Snapshot, gateway: Gateway) -> CheckedRoster:
    """Check configuration, firewall and private key. A peer that can't be one is left out, and costs nobody else.

    :raises GatewayError: saying what is wrong; whatever isn't touched yet has to stay as it is.
    """
    if snapshot.device_error:
        raise snapshot.device_error
    if order.config is None:
        raise RefusedError(order.config_error or "the template of the configuration gave nothing")
    if order.firewall is None:
        raise RefusedError(order.firewall_error or "the template of the firewall gave nothing")
    private_key = read_text(order.private_key_file).strip()
    if not private_key:
        raise RefusedError(f"there is no private key in {order.private_key_file}; make one with `wg genkey`")
    sections = wg_config.split(wg_config.installable(order.config, order.generation, private_key))
    interface = wg_config.parse(sections.interface).interface
    own_key = _own_public_key(gateway, snapshot, interface, private_key)
    live = snapshot.device.allowed_ips() if snapshot.device else {}
    found = wg_config.sort_out(sections, live, PeerCheck(order, own_key, interface, live), snapshot.sections)
    return CheckedRoster(
        sections=found.sections,
        config=Config(interface, found.peers),
        unfit=[*order.unfit, *found.unfit],
        firewall=order.firewall,
        load_firewall=_check_firewall(order.firewall, snapshot, gateway),
    )


class PeerCheck:
    """Which peers one gateway can't have, although they are written as peers are."""

    def __init__(self, order: ApplyOrder, own_key: str, interface: Interface, live: Mapping[str, str]) -> None:
        self._revoked = order.revoked
        self._own_key = own_key
        self._live = live  # allowed addresses by public key
        self._networks = [ipaddress.ip_interface(address).network for address in interface.addresses]

    def __call__(self, peer: Peer) -> None:
        """Check a peer. :raises ValueError: saying why it can't be one."""
        if peer.public_key == self._own_key:
            raise ValueError("has the gateway's own public key")
        if peer.public_key in self._revoked:
            raise ValueError("is a peer, but its key is revoked in the same roster")
        if self._live.get(peer.public_key) == peer.allowed_ips:
            return  # thousands are as they were when they were checked
        if not peer.allowed_ips:
            raise ValueError("has no address")
        for address in peer.allowed_ips.split(","):
            own = ipaddress.ip_network(address)
            if not any(own.network_address in each and own.prefixlen >= each.prefixlen for each in self._networks):
                raise ValueError(f"has the address {address}, which is outside the tunnel's networks")


def _own_public_key(gateway: Gateway, snapshot: Snapshot, interface: Interface, private_key: str) -> str:
    if snapshot.device and snapshot.device.private_key == interface.private_key:
        return snapshot.device.public_key
    return output(gateway.run, ["wg", "pubkey"], private_key).strip()


def _check_firewall(text: str, snapshot: Snapshot, gateway: Gateway) -> bool:
    """Let nft check rules that aren't loaded yet. :returns: whether they have to be loaded."""
    if snapshot.firewall_text == text and has_firewall(gateway, snapshot):
        return False
    firewall.check(gateway.run, text)
    return True


def has_firewall(gateway: Gateway, snapshot: Snapshot) -> bool:
    """Tell whether the kernel has the rules of the firewall's file, as they were loaded last."""
    state = snapshot.state or State()
    return firewall.loaded(gateway.run, snapshot.firewall_text) == state.loaded
