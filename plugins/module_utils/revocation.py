# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""An operator's word that a user or device may not connect, written to the registry (R4, confirmed revocation)."""

from __future__ import annotations

import difflib
import time
from enum import Enum
from typing import Callable, Iterable, NamedTuple, Sequence

from .aws import AWSCallError
from .model import Block, Decision, Lifted, Owner, Registration, Sweep, Tombstone, User
from .obstacles import devices_in_words
from .registry.dynamodb import RegistryError
from .registry.facts import RegistryFacts
from .registry.table import Registry

_SHOWN = 5  # names


class RecordKind(str, Enum):
    """What a revocation is written as.

    A known id is blocked, which no sweep reverses. A user whom IAM doesn't have any more gets a tombstone as well.
    """

    BLOCK = "block"
    TOMBSTONE = "tombstone"


class Revoked(NamedTuple):
    """A user, or only one device of the user: by an IAM name, the name of a registered label, or a user_id."""

    account_id: str
    user_name: str
    device: str | None


class RevocationRecord(NamedTuple):
    """What stands in the registry after a revocation."""

    kind: RecordKind
    user_id: str
    user_name: str


class Known(NamedTuple):
    """What is known of the users of an account.

    That is what IAM says of the asked name, the last sweep, the registrations, and the peers of the last decision: a
    peer's registration may be unreadable or gone.
    """

    user: User | None
    error: AWSCallError | None  # why IAM didn't say
    stored: Sweep | None
    registrations: Sequence[Registration]
    deleted: frozenset[str | None]  # ids that tombstones name
    elsewhere: Sequence[str] = ()  # other accounts in which somebody has the asked name or id
    unreadable: frozenset[str] = frozenset()  # ids of devices whose registrations can't be read

    def name_of(self, user_id: str) -> str:
        """Return the latest name of an id that somebody knows."""
        if self.user is not None and self.user.user_id == user_id:
            return self.user.user_name
        if self.stored is not None and user_id in self.stored.users:
            return self.stored.users[user_id].user_name
        return next((each.user_name for each in self.registrations if each.user_id == user_id), user_id)

    def ids(self) -> set[str]:
        """Return every id that somebody knows."""
        listed = set() if self.stored is None else set(self.stored.users)
        asked = set() if self.user is None else {self.user.user_id}
        return listed | asked | self.unreadable | {registration.user_id for registration in self.registrations}


class Whom(NamedTuple):
    """Whom a revocation hits: user_ids, each with its latest name; `error` says why IAM didn't say so itself."""

    names: dict[str, str]
    deleted: bool  # IAM has no user of the name
    error: AWSCallError | None
    elsewhere: Sequence[str] = ()  # other accounts in which somebody has the name

    def records(self, device: str | None) -> list[RevocationRecord]:
        """List what is to be written."""
        kinds = [RecordKind.BLOCK]
        if self.deleted and device is None:
            kinds.append(RecordKind.TOMBSTONE)
        return [RevocationRecord(kind, user_id, name) for user_id, name in self.names.items() for kind in kinds]


class UnknownUserError(RegistryError):
    """A name or id that nobody knows."""


class Person(NamedTuple):
    """The one user whom an order means; `namesakes` has the ids that are known under the same name besides."""

    account_id: str
    user_id: str
    user_name: str
    namesakes: tuple[str, ...] = ()
    user: User | None = None  # as IAM has it now, if it was asked for this name and answered
    error: AWSCallError | None = None  # why IAM didn't say so itself

    @property
    def owner(self) -> Owner:
        """The user's identity: (account_id, user_id)."""
        return (self.account_id, self.user_id)

    @property
    def whom(self) -> Whom:
        """Whom an order about this user hits."""
        return Whom({self.user_id: self.user_name}, deleted=False, error=self.error)

    @property
    def hint(self) -> str:
        """How to mean somebody else of the same name; empty if there is nobody."""
        ids = " or ".join(self.namesakes)
        return (
            f" An earlier {self.user_name} has the id {ids}; give it as the user's name to mean that one."
            if ids
            else ""
        )


def identify(find: Callable[[], User | None], table: Registry, revoked: Revoked) -> Whom:
    """Find out whom a name, a label or an id means.

    :param find: asks IAM for the user; returns None if there is none.
    :raises AWSCallError: IAM doesn't answer, and the registry knows nobody of the name.
    :raises RegistryError: it means nobody, or several users who have different names by now.
    """
    known = _known(find, table.facts, revoked)
    if revoked.user_name in known.ids():
        return Whom({revoked.user_name: known.name_of(revoked.user_name)}, deleted=False, error=known.error)
    wanted, matched = revoked.user_name.casefold(), _matched(known, revoked)
    present = {user_id: name for user_id, name in matched.items() if user_id not in known.deleted}
    if len(present) > 1 and (known.user is not None or any(name.casefold() != wanted for name in present.values())):
        raise RegistryError(_ambiguous(revoked, present, known))
    return Whom(matched, known.user is None and known.error is None, known.error, known.elsewhere)


def identify_one(find: Callable[[], User | None], facts: RegistryFacts, revoked: Revoked) -> Person:
    """Find out which one user a name, a label or an id means (R1, identity).

    A user who was deleted isn't meant by the name once somebody else has it.

    :param find: as identify() has it.
    :raises AWSCallError: IAM doesn't answer, and the registry knows nobody of the name.
    :raises UnknownUserError: it means nobody.
    :raises RegistryError: it may mean several users; with their ids.
    """
    known = _known(find, lambda: facts, revoked)
    if revoked.user_name in known.ids():
        user_id = revoked.user_name
        return _person(known, revoked, user_id, known.name_of(user_id))
    matched = _matched(known, revoked)
    present = {user_id: name for user_id, name in matched.items() if user_id not in known.deleted} or matched
    if len(present) > 1:
        raise RegistryError(_ambiguous(revoked, present, known))
    ((user_id, name),) = present.items()
    return _person(known, revoked, user_id, name)._replace(namesakes=tuple(sorted(matched.keys() - {user_id})))


def _person(known: Known, revoked: Revoked, user_id: str, user_name: str) -> Person:
    user = known.user if known.user is not None and known.user.user_id == user_id else None
    return Person(revoked.account_id, user_id, user_name, user=user, error=known.error)


def _matched(known: Known, revoked: Revoked) -> dict[str, str]:
    """Return the ids that a name or label may mean, each with its latest name.

    :raises AWSCallError, UnknownUserError: there is none.
    """
    wanted = revoked.user_name.casefold()
    labelled = {each.user_id for each in known.registrations if each.user_name.casefold() == wanted}
    names = {user_id: known.name_of(user_id) for user_id in known.ids()}
    matched = {
        user_id: name for user_id, name in sorted(names.items()) if name.casefold() == wanted or user_id in labelled
    }
    if not matched and known.error is not None:
        raise known.error
    if not matched:
        raise UnknownUserError(_nobody(revoked, names, known.elsewhere))
    return matched


def _known(find: Callable[[], User | None], read: Callable[[], RegistryFacts], revoked: Revoked) -> Known:
    account_id, user, error = revoked.account_id, None, None
    try:
        user = find()
    except AWSCallError as reason:
        error = reason
    facts = read()
    labelled = [*facts.registered.registrations, *(facts.decision or Decision()).peers]
    registrations = [each for each in labelled if each.account_id == account_id]
    deleted = frozenset(each.user_id for each in facts.tombstones if each.account_id == account_id)
    unreadable = frozenset(
        user_id for account, user_id, _device in facts.registered.unreadable if account == account_id
    )
    elsewhere = _accounts_of(facts, labelled, revoked.user_name) - {account_id}
    return Known(
        user, error, facts.sweeps.get(account_id), registrations, deleted, tuple(sorted(elsewhere)), unreadable
    )


def _accounts_of(facts: RegistryFacts, labelled: Iterable[Registration], name: str) -> set[str]:
    """Return the accounts in which the last sweep or a registration has somebody of this name or id."""
    users: list[User | Registration] = [user for sweep in facts.sweeps.values() for user in sweep.users.values()]
    return {
        each.account_id
        for each in (*users, *labelled)
        if name == each.user_id or name.casefold() == each.user_name.casefold()
    }


def check_device(whom: Whom, table: Registry, revoked: Revoked) -> None:
    """Refuse a device that its user doesn't have.

    :raises RegistryError: naming those that the user has.
    """
    facts = table.facts()
    registered = [*facts.registered.registrations, *(facts.decision or Decision()).peers]
    devices = [each for each in registered if each.user_id in whom.names]
    unreadable = {device for _account, user_id, device in facts.registered.unreadable if user_id in whom.names}
    # a gateway that missed the removal may have it still
    removed = {each.device for each in facts.registered.removed if each.user_id in whom.names}
    if revoked.device is None or revoked.device in {each.device for each in devices} | unreadable | removed:
        return
    raise RegistryError(no_device(revoked.user_name, revoked.device, devices, facts.blocks, time.time()))


def no_device(user_name: str, device: str, devices: Iterable[Registration], blocks: Iterable[Block], now: float) -> str:
    """Say that a user hasn't got a device, and which ones the user has.

    :param devices: the user's.
    """
    having = devices_in_words(devices, list(blocks), now)
    return f"{user_name} has no device {device}; registered: {having}. Nothing was written"


def nearest_names(user_name: str, names: Iterable[str]) -> list[str]:
    """Return those of `names` that are most like a name that means nobody, the most similar first."""
    by_name = {name.casefold(): name for name in names}
    near = difflib.get_close_matches(user_name.casefold(), by_name, n=_SHOWN, cutoff=0.5)
    return [by_name[name] for name in near]


def _nobody(revoked: Revoked, names: dict[str, str], elsewhere: Sequence[str]) -> str:
    """Say that nobody is meant; a name that another account knows is nearer than any that is like it."""
    if elsewhere:
        return (
            f"nobody is called {revoked.user_name} in account {revoked.account_id}, and nothing was written. "
            f"Somebody of this name or id is in account {' and '.join(elsewhere)}: if you mean that user, name the "
            "account by the playbook's variable, such as revoke_account_id (identity_account_id of the module)"
        )
    nearest = ", ".join(nearest_names(revoked.user_name, names.values())) or "none is like it"
    return (
        f"nobody is called {revoked.user_name} in account {revoked.account_id}: neither IAM, the last sweep nor a "
        f"registration knows the name or id, and nothing was written. The nearest names: {nearest}"
    )


def _ambiguous(revoked: Revoked, matched: dict[str, str], known: Known) -> str:
    names = {
        user_id: f"now {name}" if known.user is None or name.casefold() != known.user.user_name.casefold() else "before"
        for user_id, name in matched.items()
    }
    if known.user is not None:
        names[known.user.user_id] = f"now {known.user.user_name}"
    users = ", ".join(f"{user_id} ({name})" for user_id, name in names.items())
    return (
        f"{revoked.user_name} may mean several users: {users}. Nothing was written; give the id of the one you mean "
        "as the user's name"
    )


def missing(records: Iterable[RevocationRecord], table: Registry, revoked: Revoked) -> list[RevocationRecord]:
    """Leave out what stands in the registry already."""
    account_id, device = revoked.account_id, revoked.device
    present = {
        (RecordKind.BLOCK, block.user_id)
        for block in table.blocks()
        if (block.account_id, block.device) == (account_id, device)
    }
    present |= {
        (RecordKind.TOMBSTONE, each.user_id)
        for each in table.tombstones()
        if each.account_id == account_id and each.user_id
    }
    return [record for record in records if (record.kind, record.user_id) not in present]


def write(
    table: Registry,
    records: Iterable[RevocationRecord],
    revoked: Revoked,
    reason: str,
    now: float,
    by: str | None = None,
) -> None:
    """Write blocks and tombstones to the registry.

    :param now: the time of deletion, or from which the block holds, in seconds since the epoch.
    :param by: the ARN of whose order it is.
    """
    for record in records:
        if record.kind is RecordKind.TOMBSTONE:
            event_id = f"operator-{record.user_id}"
            tombstone = Tombstone(revoked.account_id, event_id, record.user_name, record.user_id, now, by=by)
            table.write_tombstone(tombstone)
        else:
            table.block(Block(revoked.account_id, record.user_id, revoked.device, reason, now, by))


def lift(
    table: Registry,
    whom: Whom,
    revoked: Revoked,
    *,
    now: float,
    check_mode: bool,
    reason: str | None = None,
    by: str | None = None,
) -> list[Block]:
    """Delete the block of the user, or of the device, and return it; an empty list if there was none.

    :param now: seconds since the epoch; for the record, as are `reason` and `by`, the ARN of whose order it is.
    """
    lifted = [
        block
        for block in table.blocks()
        if (block.account_id, block.device) == (revoked.account_id, revoked.device) and block.user_id in whom.names
    ]
    if not check_mode:
        for block in lifted:
            table.unblock(Lifted(block, reason, now, by))
    return lifted
