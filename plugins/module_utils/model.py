# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The words of this collection as plain records; pure data, no AWS and no Ansible.

Times are seconds since the epoch (UTC). Addresses are written without a prefix length.
"""

from __future__ import annotations

import re
from typing import Any, Mapping, NamedTuple, Sequence, Tuple

# IAM is eventually consistent: a sweep begun this soon after a deletion may still list the user, in seconds.
CONSISTENCY = 15 * 60
USER_NAME = "[A-Za-z0-9_+=,.@-]{1,64}"  # of an IAM user
DEVICE_NAME = "[a-z0-9-]{1,32}"  # a regular expression of Python's, Rust's and JavaScript's

Owner = Tuple[str, str]  # a user's identity: (account_id, user_id)
Device = Tuple[str, str, str]  # a device's identity: (account_id, user_id, device)


def check_device_name(device: str, user_name: str) -> str:
    """Return `device` if it can be a device's name.

    :raises ValueError: naming the user, what was given and what is expected.
    """
    if not re.fullmatch(DEVICE_NAME, device):
        raise ValueError(
            f"device name {device!r} of {user_name} is refused; expected 1 to 32 lower-case letters, digits and hyphens"
        )
    return device


def printable(text: Any) -> str:
    """Return a text without what a terminal would obey (R15, data is never code)."""
    return "".join(character if character.isprintable() else " " for character in str(text))


class User(NamedTuple):
    """An IAM user. Identity is (account_id, user_id); the name can be reused (R1, identity)."""

    account_id: str
    user_id: str
    user_name: str
    created_at: float
    groups: tuple[str, ...] = ()
    path: str = "/"
    arn: str = ""
    tags: tuple[tuple[str, str], ...] = ()


class RegistryIdentity(NamedTuple):
    """Which registry it is, and in which table."""

    identity: str  # random; kept over export, import and restore
    account_id: str
    region: str
    table: str
    table_id: str  # DynamoDB's; a restored or copied table has another one


class Sweep(NamedTuple):
    """One complete read of an account's users: those that existed at some moment after `begun_at`."""

    account_id: str
    begun_at: float
    users: dict[str, User]  # by user_id

    def named(self, user_name: str) -> User | None:
        """Find the user of that name; IAM compares names without regard to case."""
        return next(iter(self.all_named(user_name)), None)

    def all_named(self, user_name: str) -> list[User]:
        """List the users of that name: one, unless the sweep saw a name change hands."""
        wanted = user_name.casefold()
        return [user for user in self.users.values() if user.user_name.casefold() == wanted]


class Registration(NamedTuple):
    """The record that binds a user's device to its public key, its addresses and its expiry."""

    account_id: str
    user_id: str
    device: str
    user_name: str
    public_key: str
    addresses: tuple[str, ...]
    created_at: float
    expires_at: float | None = None
    renewed_at: float | None = None  # when its present life began, if not with its creation
    handed_out: bool = False  # its private key was made by an operator
    by: str | None = None  # the ARN of who registered it, or changed or renewed it last
    fixed_end: bool = False  # an operator set when it ends, and only one can move that
    confirmed_end: float | None = None  # of a handout that nobody has used: when it ends instead once somebody has

    @property
    def owner(self) -> Owner:
        """The user's identity: (account_id, user_id)."""
        return (self.account_id, self.user_id)

    @property
    def identity(self) -> Device:
        """The device's identity: (account_id, user_id, device)."""
        return (self.account_id, self.user_id, self.device)

    @property
    def label(self) -> str:
        """What people call it: `alice/laptop`."""
        return f"{self.user_name}/{self.device}"

    def has_expired(self, now: float) -> bool:
        """Tell whether its life is over at `now`, in seconds since the epoch."""
        return self.expires_at is not None and self.expires_at <= now

    @property
    def life(self) -> float | None:
        """How long it lives from its beginning or last renewal on, in seconds; None if it doesn't expire."""
        begun_at = self.created_at if self.renewed_at is None else self.renewed_at
        ends_at = self.expires_at if self.confirmed_end is None else self.confirmed_end
        return None if ends_at is None else ends_at - begun_at

    def confirmed(self) -> Registration:
        """Return what a handout becomes once somebody has used it, or had its key replaced."""
        if self.confirmed_end is None:
            return self
        return self._replace(expires_at=self.confirmed_end, confirmed_end=None)

    @property
    def renewable_from(self) -> float | None:
        """When half of its life is over; None if it doesn't expire."""
        return None if self.expires_at is None or self.life is None else self.expires_at - self.life / 2


class Tombstone(NamedTuple):
    """A confirmed deletion. `user_id` is None when no stored sweep knew the name."""

    account_id: str
    event_id: str
    user_name: str
    user_id: str | None
    event_time: float
    spared: tuple[str, ...] = ()  # user_ids that had the name, but were known under another one before
    by: str | None = None  # the ARN of who deleted the user, or found it out


class Removed(NamedTuple):
    """The record that a user or an operator removed a registration: its device needs no other reason to go."""

    account_id: str
    user_id: str
    device: str
    user_name: str
    public_key: str
    removed_at: float
    reason: str | None = None
    by: str | None = None  # the ARN of who removed it

    @property
    def identity(self) -> Device:
        """The device's identity: (account_id, user_id, device)."""
        return (self.account_id, self.user_id, self.device)


class Registered(NamedTuple):
    """What the registry says of devices."""

    registrations: Sequence[Registration]
    unreadable: Mapping[Device, str] = {}  # devices whose items can't be read, and why
    removed: Sequence[Removed] = ()


class Departure(NamedTuple):
    """A device that stopped being a peer without anything that explains it; the guard counts it for a day."""

    account_id: str
    user_id: str
    device: str
    left_at: float

    @property
    def identity(self) -> Device:
        """The device's identity: (account_id, user_id, device)."""
        return (self.account_id, self.user_id, self.device)


class LeftOut(NamedTuple):
    """A device that is registered and no peer, and why: a value of `whitelist.Reason`."""

    account_id: str
    user_id: str
    device: str
    reason: str

    @property
    def identity(self) -> Device:
        """The device's identity: (account_id, user_id, device)."""
        return (self.account_id, self.user_id, self.device)


class Decision(NamedTuple):
    """What a run decided, as far as the next one counts from it, or tells what is new."""

    peers: tuple[Registration, ...] = ()  # held ones among them
    departures: tuple[Departure, ...] = ()
    left_out: tuple[LeftOut, ...] | None = None  # None in what earlier versions stored
    options: str = ""  # by which it was decided, for run_options.read(); empty in what earlier versions stored
    made_by: str = ""  # the build that decided so first; empty for whoever else did


class Tries(NamedTuple):
    """How often a build was started for a goal, and when last."""

    number: int
    at: float


class SweeperState(NamedTuple):
    """What the sweeper keeps from one look to the next."""

    tried: Mapping[str, Tries] = {}  # by goal
    is_refused: bool = False  # whether CodeBuild refused the last start
    swept: Mapping[str, float] = {}  # by account, when the last complete sweep began
    gateways: Mapping[str, float] | None = None  # by instance that runs, since when; None before the first look


class Sign(NamedTuple):
    """An early sign that a user leaves: a way to sign in to AWS was taken away. IAM says whether another is left."""

    account_id: str
    user_id: str
    event_name: str
    event_time: float
    asked_at: float = 0  # when a run with more signs than it may ask about had this one's turn; 0 if none had


class Block(NamedTuple):
    """An operator's or a policy's word that a user (device None) or one device may not connect."""

    account_id: str
    user_id: str
    device: str | None
    reason: str
    created_at: float
    by: str | None = None  # the ARN of who blocked

    @property
    def what(self) -> str:
        """What of the user may not connect, in words."""
        return "the whole user" if self.device is None else self.device

    def covers(self, device: Device) -> bool:
        """Tell whether a device may not connect for it, by itself or by its user."""
        return (self.account_id, self.user_id) == device[:2] and self.device in (None, device[2])


class Lifted(NamedTuple):
    """The record that a block was lifted."""

    block: Block
    reason: str | None
    lifted_at: float
    by: str | None = None  # the ARN of who lifted it


class Receipt(NamedTuple):
    """Proof that a device is off a gateway. What isn't known is None."""

    gateway: str
    removal_id: str  # the gateway's
    account_id: str
    user_id: str
    user_name: str
    device: str
    fingerprint: str  # of the public key
    reason: str
    generation: int  # in force when the device was removed
    event_id: str | None  # of the tombstone that explains it
    deleted_at: int | None  # also when the user was blocked, or when the registration expired
    removed_at: int
    last_handshake: int | None
    detail: str | None = None  # the reason in words
    by: str | None = None  # the ARN of who ordered it; None also where nobody did
