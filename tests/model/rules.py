# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The rules of docs/architecture.md as statements that can be compared with them line by line.

Written from the rules and not from the code; nothing of the collection is imported. Times are seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence, Set
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum
from typing import Any, NamedTuple

MINUTE, HOUR, DAY = 60, 3600, 86_400
CONSISTENCY = 15 * MINUTE  # a tombstone outweighs sweeps begun this soon after it
GUARD_WINDOW = DAY
QUESTIONS = 100  # that IAM is asked in one run about absent users

Owner = tuple[str, str]  # R1, identity: account id and user id, never a name


class Device(NamedTuple):
    """A user's machine, whatever the user is called now."""

    account_id: str
    user_id: str
    name: str

    @property
    def owner(self) -> Owner:
        """Whose it is."""
        return (self.account_id, self.user_id)


Devices = Set[Device]


class Item(Enum):
    """What became of a registration's item in the registry."""

    FIT = "a peer can be made of it"
    UNFIT = "its key or addresses can be no peer's"
    UNREADABLE = "it can't be read"
    LOST = "it is gone, and nobody removed it"


READABLE = (Item.FIT, Item.UNFIT)


class Registration(NamedTuple):
    """A device's entry in the registry."""

    device: Device
    user_name: str  # what its user was called last
    public_key: str
    expires_at: float | None = None
    item: Item = Item.FIT


class User(NamedTuple):
    """A user as a sweep lists one."""

    user_id: str
    user_name: str
    created_at: float
    groups: frozenset[str]


class Sweep(NamedTuple):
    """A complete sweep of one account."""

    begun_at: float
    users: Mapping[str, User]  # by user id


class Tombstone(NamedTuple):
    """A deletion that was told; `user_id` is None if no sweep in force gave that name to anybody."""

    account_id: str
    event_id: str
    user_name: str
    user_id: str | None
    event_time: float
    spared: Set[str] = frozenset()  # ids that have its name, and were known under another one before


class Block(NamedTuple):
    """A word of an operator; for all devices if `device` is None."""

    account_id: str
    user_id: str
    device: str | None

    def names(self, device: Device) -> bool:
        """Tell whether the device may not connect."""
        return self.account_id == device.account_id and _names(self.user_id, self.device, device)


def _names(user_id: str, name: str | None, device: Device) -> bool:
    return user_id == device.user_id and name in (None, device.name)


class Why(Enum):
    """Why a registered device is no peer."""

    TOMBSTONED = "deleted, as an event said"
    BLOCKED = "blocked by an operator"
    LEFT = "absent, and IAM itself says that there is no such user"
    EXPIRED = "expired"
    ABSENT = "not in the sweep in force"
    NO_GROUP = "in no group that grants access"
    UNFIT = "its item is lost, can't be read, or can be no peer's"

    @property
    def is_explained(self) -> bool:
        """Whether a tombstone, block or expiry explains it; what isn't explained counts for the guard."""
        return self in (Why.TOMBSTONED, Why.BLOCKED, Why.LEFT, Why.EXPIRED)

    @property
    def is_confirmed(self) -> bool:
        """R4: whether it is a confirmed revocation, which nothing may keep waiting."""
        return self in (Why.TOMBSTONED, Why.BLOCKED, Why.LEFT)


# -- R3, partial knowledge changes nothing

Answer = Mapping[str, Any] | Exception  # of IAM, to one page of a sweep


def complete(answers: Sequence[Answer], begun_at: float) -> Sweep | None:
    """R3: complete only if every page came whole, and the last says in so many words that nothing follows.

    :returns: None for an incomplete sweep.
    """
    users: dict[str, User] = {}
    for number, answer in enumerate(answers, 1):
        if isinstance(answer, Exception) or not isinstance(answer, Mapping):
            return None  # an error, a throttle: any exception, of whatever class
        listed = answer.get("UserDetailList")
        if not isinstance(listed, list) or not all(_is_user(detail) for detail in listed):
            return None  # a missing field, or what isn't what IAM sends
        for user in map(_user, listed):
            if users.setdefault(user.user_id, user) != user:
                return None  # twice and not alike; alike, it is one user
        follows = answer.get("IsTruncated")
        if follows is False:
            return None if answer.get("Marker") else Sweep(begun_at, users)
        if follows is not True or not answer.get("Marker") or number == len(answers):
            return None  # it doesn't say, or names no page, or that page is missing
    return None


def _is_user(detail: Any) -> bool:
    texts = isinstance(detail, Mapping) and all(isinstance(detail.get(name), str) for name in ("UserId", "UserName"))
    return texts and isinstance(detail.get("CreateDate"), datetime) and isinstance(detail.get("GroupList"), list)


def _user(detail: Mapping[str, Any]) -> User:
    return User(detail["UserId"], detail["UserName"], detail["CreateDate"].timestamp(), frozenset(detail["GroupList"]))


# -- R4, confirmed revocation always goes through


class Said(Enum):
    """What IAM says when asked for a user by name, if it names no user."""

    NO_SUCH_ENTITY = "NoSuchEntity"
    NOTHING = "denied, throttled or failed"


class Iam(NamedTuple):
    """What IAM of one account answers during one run."""

    pages: Sequence[Answer]
    named: Callable[[str], str | Said]  # the user id under a name


class Swept(NamedTuple):
    """What one account's sweep and questions tell."""

    sweep: Sweep | None  # of this run, if complete
    in_force: Sweep | None
    left: Set[str] = frozenset()  # absent users of whom IAM says that they don't exist
    unanswered: Set[str] = frozenset()  # absent users of whom IAM said nothing
    held: Set[str] = frozenset()  # absent users who stay, however few they are


def swept(iam: Iam, last: Sweep | None, expected: Mapping[str, str], removals: Set[str], now: float) -> Swept:
    """Find out what is known of one account.

    :param last: its last complete sweep.
    :param expected: the ids of its users with a registration whom nothing else keeps out, with the name of each.
    :param removals: those of them whose absence would be a removal, so that IAM is asked about them.
    """
    sweep = complete(iam.pages, now)
    if sweep is None:
        return _incomplete(last, removals)
    absent = expected.keys() - sweep.users.keys()
    if len(absent) >= 2 and absent == expected.keys():
        return Swept(sweep, sweep, held=absent)  # whatever IAM says of each
    questions = sorted(absent & removals)[:QUESTIONS]
    answers = {user_id: iam.named(expected[user_id]) for user_id in questions}
    if any(said == user_id for user_id, said in answers.items()):
        return _incomplete(last, removals)  # IAM names a user whom the sweep left out
    left = {user_id for user_id, said in answers.items() if said is not Said.NOTHING}
    return Swept(sweep, sweep, left, answers.keys() - left, absent & removals - answers.keys())


def _incomplete(last: Sweep | None, removals: Set[str]) -> Swept:
    """R3: it changes nothing, neither for whom the last complete sweep doesn't list."""
    listed = set() if last is None else last.users.keys()
    return Swept(None, last, held=removals - listed)


def tombstoned(
    device: Device, tombstones: Iterable[Tombstone], in_force: Sweep | None, names: Mapping[Owner, Set[str]]
) -> bool:
    """R4: whether a tombstone in force is for the device's user.

    :param names: what the last complete sweep and the registry call each user, in lower case.
    """
    user = None if in_force is None else in_force.users.get(device.user_id)
    for tombstone in tombstones:
        if tombstone.account_id != device.account_id:
            continue
        user_id = _deleted_id(tombstone, in_force)
        # a later complete sweep that lists the id wins
        if user_id == device.user_id and (user is None or _is_recent(tombstone, in_force)):
            return True
        if user_id is None and user is not None and _is_recent(tombstone, in_force):
            is_meant = means_by_name(tombstone, user, names.get(device.owner, set()))
            if is_meant and user.user_id not in tombstone.spared:
                return True
    return False


def _is_recent(tombstone: Tombstone, in_force: Sweep | None) -> bool:
    """A tombstone outweighs sweeps begun within 15 minutes of its event time."""
    return in_force is None or in_force.begun_at <= tombstone.event_time + CONSISTENCY


def has_its_name(tombstone: Tombstone, user: User) -> bool:
    """R4: without an id a tombstone applies by name, to users created before it."""
    return user.user_name.casefold() == tombstone.user_name.casefold() and user.created_at < tombstone.event_time


def means_by_name(tombstone: Tombstone, user: User, known_as: Set[str]) -> bool:
    """R4: and of these, to those whom nobody knew under another name."""
    return has_its_name(tombstone, user) and known_as <= {user.user_name.casefold()}


def _deleted_id(tombstone: Tombstone, in_force: Sweep | None) -> str | None:
    """R1: an id that a later sweep lists under another name isn't the deleted one.

    R17: of a tombstone whose name can't be read, the id counts.
    """
    is_later = in_force is not None and in_force.begun_at > tombstone.event_time
    listed = in_force.users.get(tombstone.user_id or "") if in_force is not None and is_later else None
    if listed is not None and tombstone.user_name.casefold() not in ("", listed.user_name.casefold()):
        return None
    return tombstone.user_id


# -- R2, whitelist


class Facts(NamedTuple):
    """What a run knows, apart from the registrations."""

    now: float
    swept: Mapping[str, Swept]  # of each configured account
    granting: Mapping[str, Set[str]]  # the groups that grant access, by account
    tombstones: Collection[Tombstone]
    blocks: Collection[Block]
    names: Mapping[Owner, Set[str]]  # what the last complete sweeps and the registry call each user, in lower case


def refusal(registration: Registration, facts: Facts) -> Why | None:
    """R2: a peer if and only if nothing of this speaks against it."""
    device = registration.device
    known = facts.swept.get(device.account_id)
    in_force = None if known is None else known.in_force
    if tombstoned(device, facts.tombstones, in_force, facts.names):
        return Why.TOMBSTONED
    if any(block.names(device) for block in facts.blocks):
        return Why.BLOCKED
    if known is not None and device.user_id in known.left:
        return Why.LEFT
    if registration.expires_at is not None and registration.expires_at <= facts.now:
        return Why.EXPIRED
    if registration.item is not Item.FIT:
        return Why.UNFIT
    user = None if in_force is None else in_force.users.get(device.user_id)
    if user is None:
        return Why.ABSENT
    if not user.groups & facts.granting.get(device.account_id, set()):
        return Why.NO_GROUP
    return None


# -- R5, mass-removal guard


class Guard(NamedTuple):
    """How many unexplained removals go through. Shares are percent."""

    few: int = 5
    few_share: float = 25
    half: float = 50
    many: int = 20
    many_share: float = 2

    def holds(self, removals: int, of: int) -> bool:
        """R5: more than 5 and 25 %, or more than half (of two or more), or more than 20 and 2 %."""
        share = 100 * removals / of if of else 0
        return (
            (removals > self.few and share > self.few_share)
            or (of >= 2 and share > self.half)
            or (removals > self.many and share > self.many_share)
        )


class Release(NamedTuple):
    """Removals that an operator lets go: by name, or those that a token stands for and no others."""

    names: Set[str] = frozenset()  # of users or devices: alice, alice/laptop
    exactly: Devices = frozenset()

    def of(self, removals: Mapping[Device, str]) -> set[Device]:
        """Return which of the removals it lets go; each with its user's name."""
        if self.exactly and self.exactly == removals.keys():
            return set(removals)
        return {device for device, name in removals.items() if {name, f"{name}/{device.name}"} & self.names}


NO_RELEASE = Release()


class Decision(NamedTuple):
    """What a run has to decide, and what it has to say."""

    peers: Devices  # held ones included
    names: Mapping[Device, str]  # what the user of each device is called
    held: Devices
    out: Mapping[Device, Why]
    released: Devices  # removals that an operator let go
    swept: Mapping[str, Swept]  # by account
    unreadable: Set[str]  # items of whatever kind

    @property
    def incomplete(self) -> set[str]:
        """R3: the accounts that the run has to name."""
        return {account_id for account_id, known in self.swept.items() if known.sweep is None}

    @property
    def unanswered(self) -> set[Owner]:
        """R4: absent users of whom IAM said nothing, which is a problem of the run."""
        return {(account_id, user_id) for account_id, known in self.swept.items() for user_id in known.unanswered}

    @property
    def must_fail(self) -> bool:
        """R3, R4, R5 and R17: whether the run has to end non-zero."""
        return bool(self.incomplete or self.unanswered or self.held or self.unreadable)

    @property
    def confirmed(self) -> set[Device]:
        """R4: whose revocation is confirmed."""
        return {device for device, why in self.out.items() if why.is_confirmed}


@dataclass
class Registry:
    """What a registry knows, and what its runs have to decide by that."""

    granting: dict[str, frozenset[str]]  # what operators configure: by account, the groups that grant access
    guard: Guard = field(default_factory=Guard)
    registrations: dict[Device, Registration] = field(default_factory=dict)
    tombstones: dict[tuple[str, str], Tombstone] = field(default_factory=dict)  # by account and event
    blocks: set[Block] = field(default_factory=set)
    sweeps: dict[str, Sweep] = field(default_factory=dict)  # R3: the last complete one of each account, always stored
    nonsense: set[str] = field(default_factory=set)  # other items that can't be read
    labels: dict[Device, str] = field(default_factory=dict)  # what the user of each device was called last
    decided: Devices = frozenset()  # the peers of the last decision
    gone: dict[Device, float] = field(default_factory=dict)  # unexplained removals that went through, and when

    def copy(self) -> Registry:
        """Return another one that knows the same now, as a restored table does."""
        return deepcopy(self)

    def named(self, account_id: str, user_name: str) -> User | None:
        """Find whom the last complete sweep gives a name; IAM compares names without regard to case."""
        sweep = self.sweeps.get(account_id)
        users = () if sweep is None else sweep.users.values()
        return next((user for user in users if user.user_name.casefold() == user_name.casefold()), None)

    def user_name(self, device: Device) -> str:
        """Return what a device's user was called last."""
        return self.registrations[device].user_name

    def _called(self, device: Device, known: Mapping[str, Swept]) -> str:
        """R1: what a device's user is called now; the sweep in force knows, else the last that did."""
        in_force = known[device.account_id].in_force if device.account_id in known else None
        if in_force is not None and device.user_id in in_force.users:
            return in_force.users[device.user_id].user_name
        return self.user_name(device)

    def _names(self) -> dict[Owner, set[str]]:
        """What the last complete sweeps and the registry call each user, in lower case."""
        names: dict[Owner, set[str]] = {}
        for account_id, sweep in self.sweeps.items():
            for user in sweep.users.values():
                names.setdefault((account_id, user.user_id), set()).add(user.user_name.casefold())
        for device, each in self.registrations.items():
            if each.item in READABLE:
                names.setdefault(device.owner, set()).add(each.user_name.casefold())
        return names

    def delete_event(
        self, account_id: str, event_id: str, user_name: str, event_time: float, received_at: float
    ) -> None:
        """Leave a tombstone with the id that the stored sweep gives that name, unless that user was created later.

        The same event again changes nothing.
        """
        event_time = min(event_time, received_at)
        user = self.named(account_id, user_name)
        user_id = user.user_id if user is not None and user.created_at < event_time else None
        tombstone = Tombstone(account_id, event_id, user_name, user_id, event_time)
        self.tombstones.setdefault((account_id, event_id), tombstone)

    def decide(self, now: float, iam: Mapping[str, Iam], release: Release = NO_RELEASE) -> Decision:
        """Say what a run has to decide.

        :param iam: of each configured account.
        """
        known = {account_id: self._swept(account_id, answers, now) for account_id, answers in iam.items()}
        facts = Facts(now, known, self.granting, self.tombstones.values(), self.blocks, self._names())
        reasons = {device: refusal(registration, facts) for device, registration in self.registrations.items()}
        out = {device: why for device, why in reasons.items() if why is not None}
        names = {device: self._called(device, known) for device in self.registrations}
        unexplained = {
            device: names[device] for device, why in out.items() if device in self.decided and not why.is_explained
        }
        released = release.of(unexplained)
        held = self._held(unexplained.keys() - released, out, facts)
        return Decision(
            peers=(self.registrations.keys() - out.keys()) | held,
            names=names,
            held=held,
            out={device: why for device, why in out.items() if device not in held},
            released=released,
            swept=known,
            unreadable=self.nonsense
            | {"/".join(device) for device, each in self.registrations.items() if each.item is Item.UNREADABLE},
        )

    def _swept(self, account_id: str, iam: Iam, now: float) -> Swept:
        """Expect who is registered and was listed before, and who was a peer, unless something else ended that."""
        last = self.sweeps.get(account_id)
        listed = {} if last is None else last.users
        names = self._names()
        registered = {device for device, each in self.registrations.items() if each.item in READABLE}
        devices = {
            device
            for device in {device for device in registered if device.user_id in listed} | self.decided
            if device.account_id == account_id
            and not tombstoned(device, self.tombstones.values(), last, names)
            and not any(block.device is None and block.names(device) for block in self.blocks)
        }
        expected = {
            device.user_id: listed[device.user_id].user_name if device.user_id in listed else self.labels[device]
            for device in devices
        }
        return swept(iam, last, expected, {device.user_id for device in devices & self.decided}, now)

    def _held(self, removals: Devices, out: Mapping[Device, Why], facts: Facts) -> Devices:
        """R5: which unexplained removals, from what the last decision gave, the guard holds."""
        explained = {device for device, why in out.items() if why.is_explained}
        before = (self.decided & self.registrations.keys()) - explained
        recent = {
            device
            for device, when in self.gone.items()
            if when > facts.now - GUARD_WINDOW and device in out.keys() - explained
        }
        if self.guard.holds(len(removals | recent), len(before | recent)):
            return removals
        return {
            device
            for device in removals
            if device.account_id in facts.swept and device.user_id in facts.swept[device.account_id].held
        }

    def learn(self, decision: Decision, now: float) -> None:
        """Know afterwards what the run has written."""
        for account_id, known in decision.swept.items():
            for device in self.registrations:  # R4: every confirmed removal writes a tombstone first
                if device.account_id == account_id and decision.out.get(device) is Why.LEFT:
                    name = self.user_name(device)
                    event_id = f"sweep-{device.user_id}"
                    tombstone = Tombstone(account_id, event_id, name, device.user_id, now)
                    self.tombstones[(account_id, event_id)] = tombstone
            if known.in_force is not None:
                self._spare(account_id, known.in_force)
            if known.sweep is not None:
                self.sweeps[account_id] = known.sweep
        self.labels.update(decision.names)
        for device, user_name in decision.names.items():  # labels follow the sweep
            self.registrations[device] = self.registrations[device]._replace(user_name=user_name)
        unexplained = {device for device, why in decision.out.items() if not why.is_explained}
        self.gone = {device: when for device, when in self.gone.items() if device in unexplained}
        self.gone.update(dict.fromkeys(self.decided & unexplained - decision.released, now))
        self.decided = decision.peers

    def _spare(self, account_id: str, sweep: Sweep) -> None:
        """Note with each tombstone by name who has its name, and was known under another one."""
        names = self._names()
        for key, tombstone in self.tombstones.items():
            if key[0] == account_id and _deleted_id(tombstone, sweep) is None and _is_recent(tombstone, sweep):
                spared = {
                    user.user_id
                    for user in sweep.users.values()
                    if has_its_name(tombstone, user)
                    and not means_by_name(tombstone, user, names.get((account_id, user.user_id), set()))
                }
                self.tombstones[key] = tombstone._replace(spared=tombstone.spared | spared)


# -- the gateway: R5's last word, R6, R8, R11, R12, R16 and R17


class RegistryName(NamedTuple):
    """R6: which registry it is; a restored or replicated table is another one, with the same identity."""

    identity: str
    account_id: str
    region: str
    table: str
    table_id: str


class Peer(NamedTuple):
    """A peer of a roster."""

    device: Device
    user_name: str
    public_key: str
    expires_at: float | None

    def is_over(self, now: float) -> bool:
        """Tell whether its registration has ended."""
        return self.expires_at is not None and self.expires_at <= now


class Roster(NamedTuple):
    """A decision as it reaches a gateway."""

    generation: int
    made_at: float
    registry: RegistryName
    peers: Mapping[str, Peer]  # by public key
    confirmed: Mapping[str, Device]  # whose revocation is confirmed, by public key
    explained: Devices  # whose absence it gives a reason for: confirmed, expired, released or removed
    recorded: frozenset[Owner] = frozenset()  # of confirmed, the users of whom the registry has it as a whole


class Bar(NamedTuple):
    """R6: whom a removal outside a run keeps off; for all devices if `device` is None."""

    owner: Owner
    user_name: str
    device: str | None
    generation: int | None  # taken after the record; None if the registry couldn't be reached

    def names(self, device: Device) -> bool:
        """Tell whether the device stays off."""
        return self.owner == device.owner and self.device in (None, device.name)

    def is_ended_by(self, roster: Roster) -> bool:
        """R6: a higher generation ends a bar; one without a generation, only the registry's own record."""
        if self.generation is not None:
            return roster.generation > self.generation
        whole = self.owner in roster.recorded
        is_recorded = whole or (self.device is not None and any(map(self.names, roster.confirmed.values())))
        return is_recorded and not any(self.names(peer.device) for peer in roster.peers.values())

    def is_released_by(self, names: Collection[str]) -> bool:
        """Tell whether an operator releases it by name."""
        return not {self.user_name, f"{self.user_name}/{self.device}", self.owner[1]}.isdisjoint(names)


class Outcome(Enum):
    """What a gateway makes of a roster."""

    APPLIED = "applied"
    STALE = "an older one changes nothing and says so"
    REFUSED = "another registry: nothing is changed"
    EMPTYING = "it would leave the gateway without peers and doesn't say why: only confirmed revocations are done"


@dataclass
class Gateway:
    """What a gateway remembers, and which peers it has to have."""

    own_key: str
    max_age: float = DAY
    registry: RegistryName | None = None
    generation: int = 0
    made_at: float = 0
    guard: Guard = field(default_factory=Guard)
    peers: dict[str, Peer] = field(default_factory=dict)  # by public key
    held: set[str] = field(default_factory=set)  # of these, the public keys of those whom the roster has unfit
    bars: list[Bar] = field(default_factory=list)
    is_dark: bool = False  # it was started without peers, and no roster has come since

    def copy(self) -> Gateway:
        """Return another one that is the same now."""
        return replace(self, peers=dict(self.peers), held=set(self.held), bars=list(self.bars))

    def apply(self, roster: Roster, now: float, accept: str | None = None, release: Collection[str] = ()) -> Outcome:
        """Take a roster.

        :param accept: the table id of another registry that an operator accepts.
        :param release: names whose bars an operator releases.
        """
        is_another = self.registry not in (None, roster.registry)
        if is_another and roster.registry.table_id != accept:
            return Outcome.REFUSED
        if roster.generation < self.generation:
            return Outcome.STALE
        if not is_another:
            self.generation = roster.generation
        self.bars = bars = [bar for bar in self.bars if not bar.is_released_by(release)]
        before = list(self.peers.values())
        self.peers = {key: peer for key, peer in self.peers.items() if key not in roster.confirmed}
        if is_another:  # no run of this registry has read their records
            bars = [bar._replace(generation=None) for bar in bars]
        bars = [bar for bar in bars if not bar.is_ended_by(roster)]
        if not is_another:
            self.bars = bars
        wanted = {key: peer for key, peer in roster.peers.items() if self._may_be_peer(peer, bars, now)}
        held = self._held(roster, len(before))
        wanted.update({key: self.peers[key] for key in held})
        if self._must_not_go(before, wanted, roster, is_another, now):
            return Outcome.EMPTYING
        self.registry, self.generation, self.bars, self.held = roster.registry, roster.generation, bars, held
        self.made_at, self.peers, self.is_dark = roster.made_at, wanted, False
        return Outcome.APPLIED

    def _must_not_go(
        self, before: Sequence[Peer], wanted: Mapping[str, Peer], roster: Roster, is_another: bool, now: float
    ) -> bool:
        """R5, R16: nobody says why the last peers go, or too many of those that another registry doesn't have."""
        over = {peer.device for peer in (*before, *roster.peers.values()) if peer.is_over(now)}
        lost = {peer.device for peer in before} - {peer.device for peer in wanted.values()} - roster.explained - over
        if not lost or len(before) < 2:
            return False
        return not wanted or (is_another and self.guard.holds(len(lost), len(before)))

    def _held(self, roster: Roster, before: int) -> set[str]:
        """R5: a live peer lost because its item is unfit counts as unexplained; beyond the guard it stays."""
        unfit = {peer.device for peer in roster.peers.values() if peer.public_key == self.own_key}
        lost = {key for key, peer in self.peers.items() if peer.device in unfit and key not in roster.peers}
        return lost if lost & self.held or self.guard.holds(len(lost), before) else set()

    def is_from_ahead(self, roster: Roster, now: float) -> bool:
        """R6: a generation more than 5 minutes ahead of the gateway's clock is applied and reported."""
        return roster.made_at > now + 5 * MINUTE

    def must_tell(self, peer: Peer) -> bool:
        """R6 and R17: a peer of the roster that is left out without the registry's word is a problem."""
        unrecorded = any(bar.generation is None and bar.names(peer.device) for bar in self.bars)
        return unrecorded or peer.public_key == self.own_key

    def _may_be_peer(self, peer: Peer, bars: Iterable[Bar], now: float) -> bool:
        """R6, R12 and R17: no bar names it, it hasn't ended by the gateway's clock, and it isn't the gateway itself."""
        is_barred = any(bar.names(peer.device) for bar in bars)
        return not is_barred and not peer.is_over(now) and peer.public_key != self.own_key

    def take_off(self, bar: Bar) -> None:
        """R6: a removal outside a run takes its peers off and leaves a bar; the generation stays.

        If a later roster was here, its run has read the record.
        """
        if bar.generation is not None and bar.generation < self.generation:
            return
        self.bars.append(bar)
        self.peers = {key: peer for key, peer in self.peers.items() if not bar.names(peer.device)}

    def expire(self, now: float) -> None:
        """R2: whose registration has ended is off by the gateway's own clock."""
        self.peers = {key: peer for key, peer in self.peers.items() if not peer.is_over(now)}

    def start(self, now: float) -> None:
        """R12: an interface starts by its own files; from an old roster without peers, until the next roster."""
        self.expire(now)
        self.is_dark = self.is_too_old(now)

    def is_too_old(self, now: float) -> bool:
        """R12: whether the roster is older than is allowed, or from more than 5 minutes ahead of the clock."""
        return not -5 * MINUTE <= now - self.made_at <= self.max_age

    @property
    def live(self) -> Set[str]:
        """The public keys that the device has."""
        return frozenset() if self.is_dark else self.peers.keys()
