# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Checking everything about a roster that can be checked before anything more than revocations is done."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Container

from . import config as wg_config
from . import firewall
from .commands import output
from .config import Config, Interface
from .files import read_text
from .gateway import Gateway
from .order import ApplyOrder, RefusedError
from .read import Snapshot
from .state import State


@dataclass(frozen=True, repr=False)  # it holds the private key
class CheckedRoster:
    """What an order is to install."""

    text: str  # of wg0.conf
    config: Config  # the same, parsed
    firewall: str
    load_firewall: bool  # whether file or kernel have another one

    def without(self, keys: Container[str]) -> CheckedRoster:
        """Return the same without the peers that have these public keys."""
        text = wg_config.split(self.text).without(keys).text()
        return replace(self, text=text, config=self.config.without(keys))


def check(order: ApplyOrder, snapshot: Snapshot, gateway: Gateway) -> CheckedRoster:
    """Check configuration, firewall and private key.

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
    text = wg_config.installable(order.config, order.generation, private_key)
    config = wg_config.parse(text, snapshot.device.allowed_ips() if snapshot.device else None)
    _refuse_own_key(config, _own_public_key(gateway, snapshot, config.interface, private_key))
    _refuse_revoked(config, order)
    return CheckedRoster(text, config, order.firewall, _check_firewall(order.firewall, snapshot, gateway))


def _own_public_key(gateway: Gateway, snapshot: Snapshot, interface: Interface, private_key: str) -> str:
    if snapshot.device and snapshot.device.private_key == interface.private_key:
        return snapshot.device.public_key
    return output(gateway.run, ["wg", "pubkey"], private_key).strip()


def _refuse_own_key(config: Config, public_key: str) -> None:
    if public_key in config.peers:
        raise RefusedError(f"{config.peers[public_key].name} has the gateway's own public key")


def _refuse_revoked(config: Config, order: ApplyOrder) -> None:
    for key in order.revoked:
        if key in config.peers:
            raise RefusedError(f"{config.peers[key].name} is a peer, but its key is revoked in the same roster")


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
