# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""WireGuard configuration text: reading, checking and taking peers out. Pure.

The format is that of wg(8) and wg-quick(8), with each peer's name in the comment above it, and, if its registration
expires, when that is, in seconds since the epoch:

    # alice/laptop (account 111122223333, AIDAEXAMPLE, expires 1792592000)
    [Peer]
    PublicKey = …
    AllowedIPs = 10.44.0.2/32, fd44:7472:6163:6b::2/128
"""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import re
from typing import Container, Mapping, NamedTuple, Sequence

from .commands import GatewayError
from .managed import MARKER

_HEADER = re.compile(re.escape(MARKER) + r" \(generation (\d+)\)[^\n]*\n")
_HEADING = re.compile(r"^[ \t]*\[[ \t]*(interface|peer)[ \t]*\][^\n]*$", re.IGNORECASE | re.MULTILINE)
_NAME = re.compile(
    r"# (?P<user>[^ /]+)/(?P<device>[^ /]+) "
    r"\(account (?P<account>[^ ]+), (?P<id>[^ )]+?)(?:, expires (?P<expires>-?[0-9]+))?\)"
)
# what nearly all of thousands of peers look like; everything else is read setting by setting, such as addresses
# like ::10.0.0.1, which `wg` spells in another way than Python
_PLAIN = re.compile(r"PublicKey = \S{44}\nAllowedIPs = (?![^\n]*:\d+\.)([^\n#]*)\n+\Z")
_PRIVATE_KEY_LINE = re.compile(r"^PrivateKey = [^\n]*\n", re.MULTILINE)
NO_PRESHARED_KEY = base64.b64encode(bytes(32)).decode()
_SHOWN_PROBLEMS = 5
_HOOKS = frozenset({"preup", "postup", "predown", "postdown"})


class ConfigError(GatewayError):
    """A configuration that must not be installed."""


class PeerLabel(NamedTuple):
    """Whose peer it is, as the comment above it says: names for people to read."""

    user_name: str = ""
    device: str = ""
    account_id: str = ""
    user_id: str = ""

    @property
    def name(self) -> str:
        """`alice/laptop`, or an empty text for a peer without a name."""
        return f"{self.user_name}/{self.device}" if self.user_name else ""


class Peer(NamedTuple):
    """A peer to have. Times are seconds; an empty preshared key or a keepalive of 0 means none."""

    public_key: str
    allowed_ips: str  # canonical CIDR, comma-separated, as `wg show dump` prints them
    comment: str = ""
    preshared_key: str = ""
    keepalive: int = 0

    @property
    def name(self) -> str:
        """Names the peer to an operator: user and device where known, else its key."""
        return label_of(self.comment).name or f"peer {self.public_key}"


class Interface(NamedTuple):
    """The part of a configuration that isn't peers. `mtu` is None if the system chooses it."""

    private_key: str
    listen_port: int
    addresses: tuple[str, ...]  # canonical CIDR with the host's own address
    mtu: int | None
    fwmark: int


class Config(NamedTuple):
    """A checked configuration: its keys are base64 of 32 bytes, and no key or address is given twice."""

    interface: Interface
    peers: dict[str, Peer]  # by public key

    def without(self, keys: Container[str]) -> Config:
        """Return the same without the peers that have these public keys."""
        return self._replace(peers={key: peer for key, peer in self.peers.items() if key not in keys})

    def comments(self) -> dict[str, str]:
        """Return the comment above each peer, by public key."""
        return {key: peer.comment for key, peer in self.peers.items()}


def digest(text: str) -> str:
    """Return what identifies a text without containing it."""
    return hashlib.sha256(text.encode()).hexdigest()


def label_of(comment: str) -> PeerLabel:
    """Read whom a comment line names; nobody if it isn't one of ours."""
    match = _NAME.match(comment)
    if match is None:
        return PeerLabel()
    return PeerLabel(match["user"], match["device"], match["account"], match["id"])


def expires_at(comment: str) -> int | None:
    """Read when the peer that a comment line names expires, in seconds since the epoch; None if it doesn't."""
    match = _NAME.match(comment)
    return int(match["expires"]) if match and match["expires"] else None


def expired(comments: Mapping[str, str], now: float) -> dict[str, PeerLabel]:
    """Select the peers whose registration has expired: the one place on a gateway that decides it.

    :param comments: the line above each peer, by public key.
    :param now: seconds since the epoch, by the gateway's clock; who expires at it has expired.
    """
    times = {key: expires_at(comment) for key, comment in comments.items()}
    return {key: label_of(comments[key]) for key, time in times.items() if time is not None and time <= now}


def generation(text: str) -> int | None:
    """Read the generation that a managed file's first line gives; None if the file isn't managed."""
    match = _HEADER.match(text)
    return int(match[1]) if match else None


def body(text: str) -> str:
    """Return a file's text without what installing added: the first line and the private key."""
    match = _HEADER.match(text)
    text = text[match.end() :] if match else text
    return _PRIVATE_KEY_LINE.sub("", text, count=1)


def installable(text: str, made_by: int, private_key: str) -> str:
    """Make the file to install: marked with its generation, the private key right below `[Interface]`."""
    head = f"{MARKER} (generation {made_by}); do not edit: changes are overwritten.\n"
    return head + body(text).replace("[Interface]\n", f"[Interface]\nPrivateKey = {private_key}\n", 1)


def relabelled(text: str, made_by: int) -> str:
    """Return the same file under another generation."""
    return re.sub(r"\(generation \d+\)", f"(generation {made_by})", text, count=1) if generation(text) else text


class Sections(NamedTuple):
    """A configuration cut at its headings. Each peer is its public key, the line above it, and its settings."""

    interface: str
    peers: list[tuple[str, str, str]]

    def comments(self) -> dict[str, str]:
        """Return the comment above each peer, by public key; an empty text where there is none."""
        return {key: comment for key, comment, _settings in self.peers}

    def without(self, keys: Container[str]) -> Sections:
        """Return the same without the peers that have these public keys."""
        return Sections(self.interface, [peer for peer in self.peers if peer[0] not in keys])

    def text(self) -> str:
        """Join the whole configuration again."""
        return self.interface + "".join([f"{comment}\n[Peer]\n{rest}" for _key, comment, rest in self.peers])


def split(text: str) -> Sections:
    """Cut a configuration at its headings; never fails.

    Joined again it is the text, except that headings and line ends are written as wg-quick(8) has them. Reads
    whatever `wg` reads, also files that aren't ours.
    """
    text = text.replace("\r\n", "\n")
    if not text.endswith("\n"):
        text += "\n"
    if text.count("[") != text.count("\n[Peer]\n") + text.count("\n[Interface]\n"):
        text = _HEADING.sub(lambda match: f"[{match[1].capitalize()}]", text)
    before, *chunks = ("\n" + text).split("\n[Peer]\n")
    end = _comment_start(before)
    sections = Sections(before[1:end], [])
    for chunk in chunks:
        comment = before[end:]
        before, end = chunk, _comment_start(chunk)
        settings = chunk[:end]
        key = settings[12:56] if settings.startswith("PublicKey = ") else _public_key(settings)
        sections.peers.append((key, comment, settings))
    return sections


def _comment_start(chunk: str) -> int:
    """Find where the comment begins that belongs to the peer after `chunk`."""
    start = chunk.rfind("\n") + 1
    return start if chunk.startswith("#", start) else len(chunk)


def _public_key(settings: str) -> str:
    lines = (line.partition("#")[0].partition("=") for line in settings.split("\n"))
    return next((value.strip() for name, _equals, value in lines if name.strip().lower() == "publickey"), "")


def parse(text: str, known: Mapping[str, str] | None = None) -> Config:
    """Read and check a whole configuration.

    :param known: allowed addresses by public key as the live device has them: `wg` itself has checked these.
    :raises ConfigError: naming each peer or setting that is wrong; keys aren't repeated, they could be private.
    """
    problems: list[str] = []
    interface = None
    sections = split(text)
    try:
        interface = _interface(sections.interface)
    except ValueError as error:
        problems.append(f"[Interface]: {error}")
    peers: dict[str, Peer] = {}
    for number, (key, comment, settings) in enumerate(sections.peers, 1):
        plain = _PLAIN.match(settings)
        try:
            if plain is not None and known is not None and known.get(key) == plain[1].replace(" ", ""):
                peer = Peer(key, known[key], comment)
            else:
                peer = parse_peer(comment, settings)
        except ValueError as error:
            problems.append(f"{label_of(comment).name or f'peer number {number}'}: {error}")
            continue
        other = peers.setdefault(peer.public_key, peer)
        if other is not peer:
            problems.append(f"{peer.name} has the public key of {other.name}")
    problems += _shared_addresses(list(peers.values()))
    if problems or interface is None:
        more = len(problems) - _SHOWN_PROBLEMS
        raise ConfigError("; ".join(problems[:_SHOWN_PROBLEMS]) + (f"; and {more} more" if more > 0 else ""))
    return Config(interface, peers)


def parse_peer(comment: str, text: str) -> Peer:
    """Read one peer: the comment above it and its settings. :raises ValueError: saying which setting is wrong."""
    settings = _settings(text, ("allowedips",))
    public_key = settings.pop("publickey", "")
    preshared_key = settings.pop("presharedkey", NO_PRESHARED_KEY)
    keepalive = settings.pop("persistentkeepalive", "off")
    _check_key("PublicKey", public_key)
    _check_key("PresharedKey", preshared_key)
    peer = Peer(
        public_key,
        canonical(settings.pop("allowedips", "")),
        comment,
        "" if preshared_key == NO_PRESHARED_KEY else preshared_key,
        0 if keepalive == "off" else _number("PersistentKeepalive", keepalive, 65535),
    )
    _refuse_others(settings)
    return peer


def _settings(text: str, repeatable: Container[str]) -> dict[str, str]:
    settings: dict[str, str] = {}
    for line in text.split("\n"):
        name, equals, value = (part.strip() for part in line.partition("#")[0].partition("="))
        name = name.lower()
        if not name:
            continue
        if not equals:
            raise ValueError("a line is neither a setting, a comment nor a heading")
        if name in settings and name not in repeatable:
            raise ValueError(f"{name} is given twice")
        settings[name] = f"{settings[name]},{value}" if name in settings else value
    return settings


def _interface(text: str) -> Interface:
    if text.count("[Interface]\n") != 1:
        raise ValueError(f"found {text.count('[Interface]')} headings [Interface] before the peers, expected one")
    settings = _settings(text.replace("[Interface]\n", ""), _HOOKS | {"address"})
    if settings.pop("saveconfig", "false").lower() != "false":
        raise ValueError("SaveConfig would overwrite the managed file when the interface stops; take it out")
    if settings.pop("table", "") != "off":
        raise ValueError("expected `Table = off`: the route of the interface's own network serves all peers")
    if "listenport" not in settings:
        raise ValueError("ListenPort is missing; WireGuard would choose a random one")
    _check_key("PrivateKey", settings.get("privatekey", ""))
    listen_port = _number("ListenPort", settings.pop("listenport"), 65535)
    if listen_port == 0:
        raise ValueError("ListenPort is 0; WireGuard would choose a random one")
    mtu = settings.pop("mtu", None)
    fwmark = settings.pop("fwmark", "off")
    interface = Interface(
        private_key=_clamped(settings.pop("privatekey")),
        listen_port=listen_port,
        addresses=tuple(str(ipaddress.ip_interface(part)) for part in _parts(settings.pop("address", ""))),
        mtu=None if mtu is None else _number("MTU", mtu, 65535),
        fwmark=0 if fwmark == "off" else _number("FwMark", fwmark, 2**32 - 1),
    )
    _refuse_others({name: value for name, value in settings.items() if name not in _HOOKS})
    return interface


def canonical(allowed_ips: str) -> str:
    """Write allowed addresses as `wg show dump` prints them, comma-separated CIDR.

    :raises ValueError: naming the one that is neither an address nor a network.
    """
    return ",".join(str(ipaddress.ip_network(part, strict=False)) for part in _parts(allowed_ips))


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _check_key(setting: str, key: str) -> None:
    try:
        raw = base64.b64decode(key, validate=True)
    except ValueError:
        raw = b""
    if len(raw) != 32 or base64.b64encode(raw).decode() != key:
        raise ValueError(f"{setting} isn't 32 bytes of base64, as `wg` prints keys")


def _clamped(private_key: str) -> str:
    """Write it as a device reports it: Curve25519 fixes 5 bits (RFC 7748, 5), which not every program does."""
    raw = bytearray(base64.b64decode(private_key))
    raw[0] &= 0b11111000
    raw[31] = raw[31] & 0b01111111 | 0b01000000
    return base64.b64encode(raw).decode()


def _number(setting: str, text: str, highest: int) -> int:
    try:
        number = int(text, 0)
    except ValueError:
        number = -1
    if not 0 <= number <= highest:
        raise ValueError(f"{setting} is {text!r}, expected a number up to {highest}")
    return number


def _refuse_others(settings: Mapping[str, str]) -> None:
    if settings:
        raise ValueError(f"{', '.join(sorted(settings))}: no setting that a managed gateway has here")


def _shared_addresses(peers: Sequence[Peer]) -> list[str]:
    """Name peers that share an address (R9, one address, one device): `wg` gives it to the later one silently."""
    every = ",".join(peer.allowed_ips for peer in peers if peer.allowed_ips).split(",")
    if len(set(every)) == len(every):
        return []
    holders: dict[str, Peer] = {}
    problems = []
    for peer in peers:
        for address in _parts(peer.allowed_ips):
            holder = holders.setdefault(address, peer)
            if holder is not peer:
                problems.append(f"{peer.name} has the address {address} of {holder.name}")
    return problems
