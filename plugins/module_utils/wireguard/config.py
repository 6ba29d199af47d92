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
from typing import Callable, Container, Mapping, NamedTuple, Sequence, Tuple

from .commands import GatewayError
from .managed import MARKER

_HEADER = re.compile(re.escape(MARKER) + r" \(generation (\d+)\)[^\n]*\n")
_HEADING = re.compile(r"^[ \t]*\[[ \t]*(interface|peer)[ \t]*\][^\n]*$", re.IGNORECASE | re.MULTILINE)
_NAME = re.compile(
    r"# (?P<user>[^ /]+)/(?P<device>[^ /]+) "
    r"\(account (?P<account>[^ ]+), (?P<id>[^ )]+?)(?:, expires (?P<expires>-?[0-9]{1,15}))?\)"
)
# what nearly all of thousands of peers look like; everything else is read setting by setting, such as addresses
# like ::10.0.0.1, which `wg` spells in another way than Python
_PLAIN = re.compile(r"PublicKey = \S{44}\nAllowedIPs = (?![^\n]*:\d+\.)([^\n#]*)\n+\Z")
_PRIVATE_KEY_LINE = re.compile(r"^PrivateKey = [^\n]*\n", re.MULTILINE)
NO_PRESHARED_KEY = base64.b64encode(bytes(32)).decode()
_SHOWN = 5
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


def device_of(label: PeerLabel) -> PeerLabel:
    """Return whose device it is, whatever the user is called and whichever key it has."""
    return label._replace(user_name="")


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


Section = Tuple[str, str, str]  # of one peer: its public key, the line above it, and its settings


class Sections(NamedTuple):
    """A configuration cut at its headings."""

    interface: str
    peers: list[Section]

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


class Unfit(NamedTuple):
    """A peer that can't be one, and why."""

    name: str
    label: PeerLabel
    public_key: str  # empty if it hasn't the form of one
    problem: str

    def __str__(self) -> str:
        return f"{self.name}: {self.problem}"


class Sorted(NamedTuple):
    """Peers of a configuration, those that can be ones apart from those that can't."""

    sections: Sections  # of the fit ones
    peers: dict[str, Peer]  # the same by public key
    unfit: list[Unfit]


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
    found = sort_out(sections, known)
    problems += map(str, found.unfit)
    if problems or interface is None:
        raise ConfigError(first_of(problems, between="; "))
    return Config(interface, found.peers)


def first_of(texts: Sequence[str], between: str = ", ") -> str:
    """Join the first few texts, and say how many more there are."""
    more = len(texts) - _SHOWN
    shown = [*texts[:_SHOWN], f"and {more} more"] if more > 0 else texts
    return between.join(shown)


def sort_out(
    sections: Sections,
    known: Mapping[str, str] | None = None,
    check: Callable[[Peer], None] = lambda _peer: None,
    filed: Sections | None = None,
) -> Sorted:
    """Tell the peers that can be ones from those that can't (R17, one bad item costs itself alone).

    Of several with one key or address the one can that was filed so. If none was, none can: of an address `wg` would
    take the last holder silently.

    :param known: see parse().
    :param check: raises ValueError for a peer that can't be one for another reason.
    :param filed: the configuration before this one.
    """
    fit: list[tuple[Section, Peer]] = []
    unfit: list[Unfit] = []
    for number, section in enumerate(sections.peers, 1):
        try:
            peer = _read_peer(section, known or {})
            check(peer)
            fit.append((section, peer))
        except ValueError as error:
            unfit.append(_unfit(section, f"peer number {number}", str(error)))
    clashes = _clashes([peer for _section, peer in fit])
    for index in _as_filed({index: fit[index] for index in clashes}, filed):
        del clashes[index]
    unfit += [_unfit(fit[index][0], fit[index][1].name, problem) for index, problem in clashes.items()]
    fit = [each for index, each in enumerate(fit) if index not in clashes]
    kept = sections._replace(peers=[section for section, _peer in fit])
    return Sorted(kept, {peer.public_key: peer for _section, peer in fit}, unfit)


def _read_peer(section: Section, known: Mapping[str, str]) -> Peer:
    key, comment, settings = section
    plain = _PLAIN.match(settings)
    if plain is not None and known.get(key) == plain[1].replace(" ", ""):
        return Peer(key, known[key], comment)
    return parse_peer(comment, settings)


def _unfit(section: Section, number: str, problem: str) -> Unfit:
    key, comment, _settings = section
    label = label_of(comment)
    return Unfit(label.name or number, label, key if is_key(key) else "", problem)


def _clashes(peers: Sequence[Peer]) -> dict[int, str]:
    """Find the peers that share a key or an address, by index (R9, one key, one device; one address, one device)."""
    every = ",".join(part for peer in peers for part in (peer.public_key, peer.allowed_ips) if part).split(",")
    if len(set(every)) == len(every):
        return {}
    holders: dict[str, list[int]] = {}
    for index, peer in enumerate(peers):
        for claim in dict.fromkeys([peer.public_key, *_parts(peer.allowed_ips)]):
            holders.setdefault(claim, []).append(index)
    problems: dict[int, str] = {}
    for claim, indexes in holders.items():
        for index, other in zip(indexes, (*indexes[1:], indexes[0])):
            if index != other:
                what = "public key" if claim == peers[index].public_key else f"address {claim}"
                problems.setdefault(index, f"has the {what} of {peers[other].name}")
    return problems


def _as_filed(fit: Mapping[int, tuple[Section, Peer]], filed: Sections | None) -> list[int]:
    """Select of peers that share something those which were filed like this before; by index."""
    before = {key: (comment, settings) for key, comment, settings in filed.peers} if filed else {}
    stay: dict[str, int] = {}
    for index, (_section, peer) in fit.items():
        comment, settings = before.get(peer.public_key, ("", ""))
        is_same_device = device_of(label_of(comment)) == device_of(label_of(peer.comment))
        if is_same_device and is_filed(peer, comment, settings):
            stay.setdefault(peer.public_key, index)
    return list(stay.values())


def is_filed(peer: Peer, comment: str, settings: str) -> bool:
    """Tell whether a file has a peer like this, whatever else the line above it says."""
    try:
        return parse_peer(comment, settings)._replace(comment=peer.comment) == peer
    except ValueError:
        return False


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


def is_key(text: str) -> bool:
    """Tell whether this is a key as `wg` prints one."""
    try:
        raw = base64.b64decode(text, validate=True)
    except ValueError:
        return False
    return len(raw) == 32 and base64.b64encode(raw).decode() == text


def _check_key(setting: str, key: str) -> None:
    if not is_key(key):
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
