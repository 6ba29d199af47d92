# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Reading a gateway: everything that a plan goes by, in one record."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import Container, Mapping

from . import config as wg_config
from . import device as wg_device
from .commands import GatewayError
from .config import Sections
from .device import Device, Link, LivePeer
from .files import Site, read_text
from .gateway import Gateway
from .state import State, StateError, gone, load, load_copy


@dataclass(frozen=True, repr=False)  # it holds the private key
class Snapshot:
    """What a gateway was at one moment."""

    site: Site
    now: int  # seconds since the epoch, by the gateway's clock
    seed: str  # random, for the ids of removals
    config_text: str  # of wg0.conf, empty if there is none
    sections: Sections  # the same, cut at its headings
    firewall_text: str  # of the firewall's file, empty if there is none
    link: Link | None  # None if the interface doesn't exist
    device: Device | None
    device_error: GatewayError | None  # why an existing interface couldn't be read
    state: State | None  # None if there is none, or it can't be read
    state_error: StateError | None
    state_copy: State | None = None  # registry and bars, where the state is lost
    gone: frozenset[str] = frozenset()  # fingerprints of whose removal could not be saved

    @property
    def live(self) -> Mapping[str, LivePeer]:
        """The device's peers by public key."""
        return self.device.peers if self.device else {}

    @property
    def is_blank(self) -> bool:
        """Whether there is neither an interface of this name nor a file of one."""
        found = (self.config_text, self.link, self.device_error, self.state, self.state_error)
        return not any(each for each in found)

    def without_live(self, keys: Container[str]) -> Snapshot:
        """Return what the gateway is once these peers are off the device."""
        if self.device is None:
            return self
        peers = {key: peer for key, peer in self.device.peers.items() if key not in keys}
        return replace(self, device=self.device._replace(peers=peers))

    def with_config(self, sections: Sections) -> Snapshot:
        """Return what the gateway is once its configuration consists of these sections."""
        return replace(self, sections=sections, config_text=sections.text())


def read(gateway: Gateway) -> Snapshot:
    """Read files, interface, device and state, changing nothing.

    :raises OSError: a file is there, but can't be read.
    """
    text = read_text(gateway.site.config)
    link, device, device_error = _read_device(gateway)
    state, state_error = _read_state(gateway.site)
    state_copy = load_copy(gateway.site) if state is None else None
    return Snapshot(
        site=gateway.site,
        now=gateway.now(),
        seed=os.urandom(8).hex(),
        config_text=text,
        sections=wg_config.split(text),
        firewall_text=read_text(gateway.site.firewall),
        link=link,
        device=device,
        device_error=device_error,
        state=state,
        state_error=state_error,
        state_copy=state_copy,
        gone=gone(gateway.site),
    )


def read_again(gateway: Gateway, earlier: Snapshot) -> Snapshot:
    """Read what has changed since `earlier`; nearly always that is nothing but the time.

    Whoever changes file or device without holding the lock of a whole apply changes the state, too.
    """
    if gateway.check_mode or (load(gateway.site) or State()) == (earlier.state or State()):
        return replace(earlier, now=gateway.now())
    return read(gateway)


def _read_device(gateway: Gateway) -> tuple[Link | None, Device | None, GatewayError | None]:
    try:
        link = wg_device.read_link(gateway.run, gateway.site.name)
    except GatewayError as error:
        return None, None, error
    if link is None:
        return None, None, None
    try:
        return link, wg_device.read(gateway.run, gateway.site.name), None
    except GatewayError as error:
        return link, None, error


def _read_state(site: Site) -> tuple[State | None, StateError | None]:
    try:
        return load(site), None
    except StateError as error:
        return None, error
