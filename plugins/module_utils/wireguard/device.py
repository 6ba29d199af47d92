# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The live WireGuard device: how it is read, what differs from what is wanted, and the commands that change that.

Deciding (`parse_dump`, `diff`) is pure. Only differences are ever sent: whatever stays the same isn't mentioned, so
that no survivor notices (R7, survivors don't notice).
"""

from __future__ import annotations

import ipaddress
import json
from typing import Mapping, NamedTuple, Sequence

from .commands import CommandError, Runner, output
from .config import NO_PRESHARED_KEY, Interface, Peer

# Keys in one `wg set … remove …`; far below the kernel's limit for arguments.
_BATCH = 4000


class LivePeer(NamedTuple):
    """A peer as one line of `wg show NAME dump` has it, in the units of wg(8); `(none)` and `off` are its words."""

    public_key: str
    preshared_key: str
    endpoint: str
    allowed_ips: str
    latest_handshake: str
    transfer_rx: str
    transfer_tx: str
    keepalive: str


class Link(NamedTuple):
    """The network interface: administratively up or not, its MTU, and its addresses as CIDR."""

    up: bool
    mtu: int
    addresses: tuple[str, ...]


class Device(NamedTuple):
    """A live device. Its repr() would show secrets: never put one into a message."""

    private_key: str
    public_key: str
    listen_port: str
    fwmark: str
    peers: dict[str, LivePeer]  # by public key

    def allowed_ips(self) -> dict[str, str]:
        """Return the allowed addresses of each peer, by public key."""
        return {key: peer.allowed_ips for key, peer in self.peers.items()}


class PeerUpdate(NamedTuple):
    """A peer that is there, but not as wanted: the new peer and which of its settings differ."""

    peer: Peer
    fields: tuple[str, ...]


class InterfaceChange(NamedTuple):
    """Something to change at an interface apart from its peers; `stdin` may be secret."""

    what: str
    command: list[str]
    stdin: str = ""


class Difference(NamedTuple):
    """What to do to the peers of a device, in this order. Empty when there is nothing to do."""

    removed: tuple[str, ...]  # public keys
    updated: tuple[PeerUpdate, ...]
    added: tuple[Peer, ...]

    def __bool__(self) -> bool:
        return any((self.removed, self.updated, self.added))


def parse_dump(text: str) -> Device:
    """Read what `wg show NAME dump` prints.

    :raises CommandError: not such a text; it isn't repeated, since it holds secrets.
    """
    first, *lines = text.rstrip("\n").split("\n")
    fields = first.split("\t")
    if len(fields) != 4:
        raise CommandError(f"`wg show … dump` began with {len(fields)} fields, expected 4")
    peers = {}
    for line in lines:
        values = line.split("\t")
        if len(values) != len(LivePeer._fields):
            raise CommandError(f"`wg show … dump` has a peer with {len(values)} fields, expected 8")
        peers[values[0]] = LivePeer._make(values)
    return Device(fields[0], fields[1], fields[2], fields[3], peers)


def diff(live: Mapping[str, LivePeer], wanted: Mapping[str, Peer]) -> Difference:
    """Find the least that makes the peers of `live` those of `wanted`; both are by public key."""
    added: list[Peer] = []
    updated: list[PeerUpdate] = []
    for key, peer in wanted.items():
        found = live.get(key)
        if found is None:
            added.append(peer)
            continue
        fields = _differing(found, peer)
        if fields:
            updated.append(PeerUpdate(peer, fields))
    return Difference(tuple(key for key in live if key not in wanted), tuple(updated), tuple(added))


def _differing(found: LivePeer, peer: Peer) -> tuple[str, ...]:
    fields = []
    if found.allowed_ips != peer.allowed_ips and _networks(found.allowed_ips) != _networks(peer.allowed_ips):
        fields.append("allowed_ips")
    if found.preshared_key != (peer.preshared_key or "(none)"):
        fields.append("preshared_key")
    if found.keepalive != (str(peer.keepalive) if peer.keepalive else "off"):
        fields.append("keepalive")
    return tuple(fields)


def _networks(allowed_ips: str) -> frozenset[str]:
    """In Python's spelling, which isn't always that of `wg`; in no order."""
    return frozenset(str(ipaddress.ip_network(part)) for part in allowed_ips.split(",") if part not in ("", "(none)"))


def batches(keys: Sequence[str]) -> list[Sequence[str]]:
    """Cut keys into as many as one removal takes."""
    return [keys[start : start + _BATCH] for start in range(0, len(keys), _BATCH)]


def removal(name: str, keys: Sequence[str]) -> list[str]:
    """Write the `wg` command that takes peers off a device; one batch at most."""
    return ["wg", "set", name, *(word for key in keys for word in ("peer", key, "remove"))]


def upserts(difference: Difference) -> str:
    """Write updates and additions as input for one `wg addconf`.

    Input has no length limit and is in no process list. Unlike `syncconf`, `addconf` touches nothing that it doesn't
    mention. Since each peer's allowed addresses are set as a whole and no two peers share one, an address that moves
    between peers ends where it belongs whatever the order.
    """
    return "".join([_lines(update.peer, update.fields) for update in difference.updated]) + "".join(
        [_lines(peer, ("preshared_key", "keepalive")) for peer in difference.added]
    )


def _lines(peer: Peer, fields: Sequence[str]) -> str:
    # `wg` empties the allowed addresses of a peer that it reads from a configuration: they are always given
    lines = f"[Peer]\nPublicKey = {peer.public_key}\nAllowedIPs = {peer.allowed_ips}\n"
    if "preshared_key" in fields:
        lines += f"PresharedKey = {peer.preshared_key or NO_PRESHARED_KEY}\n"
    if "keepalive" in fields:
        lines += f"PersistentKeepalive = {peer.keepalive or 'off'}\n"
    return lines


def read(runner: Runner, name: str) -> Device:
    """Read the live device. :raises CommandError: `wg` can't read it."""
    return parse_dump(output(runner, ["wg", "show", name, "dump"]))


def read_link(runner: Runner, name: str) -> Link | None:
    """Read the network interface; None if there is no such interface. :raises CommandError: `ip` failed."""
    result = runner(["ip", "-j", "address", "show", "dev", name])
    if result.rc != 0 and "does not exist" in result.stderr:
        return None
    if result.rc != 0:
        raise CommandError(f"`ip address show dev {name}` failed: {result.stderr.strip()}")
    (found,) = json.loads(result.stdout)
    return Link(
        up="UP" in found["flags"],
        mtu=found["mtu"],
        addresses=tuple(
            f"{address['local']}/{address['prefixlen']}"
            for address in found["addr_info"]
            if address["scope"] != "link"  # the kernel's own
        ),
    )


def interface_changes(name: str, link: Link | None, device: Device | None, wanted: Interface) -> list[InterfaceChange]:
    """Find what differs apart from peers, in the order to change it; nothing for an interface that doesn't exist.

    The link comes first: the kernel drops IPv6 addresses when a link goes down.
    """
    if link is None or device is None:
        return []
    set_link, set_wg, address = ["ip", "link", "set", "dev", name], ["wg", "set", name], ["ip", "address"]
    changes = []
    if not link.up:
        changes.append(InterfaceChange("interface down", [*set_link, "up"]))
    if wanted.mtu not in (None, link.mtu):
        what = f"mtu {link.mtu} instead of {wanted.mtu}"
        changes.append(InterfaceChange(what, [*set_link, "mtu", str(wanted.mtu)]))
    if device.private_key != wanted.private_key:
        changes.append(InterfaceChange("private key", [*set_wg, "private-key", "/dev/stdin"], wanted.private_key))
    if device.listen_port != str(wanted.listen_port):
        what = f"listen port {device.listen_port} instead of {wanted.listen_port}"
        changes.append(InterfaceChange(what, [*set_wg, "listen-port", str(wanted.listen_port)]))
    if device.fwmark != (hex(wanted.fwmark) if wanted.fwmark else "off"):
        changes.append(InterfaceChange("fwmark", [*set_wg, "fwmark", str(wanted.fwmark)]))
    missing = [cidr for cidr in wanted.addresses if cidr not in link.addresses]
    changes += [InterfaceChange(f"address {cidr} missing", [*address, "add", cidr, "dev", name]) for cidr in missing]
    surplus = [cidr for cidr in link.addresses if cidr not in wanted.addresses]
    changes += [InterfaceChange(f"address {cidr} not wanted", [*address, "del", cidr, "dev", name]) for cidr in surplus]
    return changes
