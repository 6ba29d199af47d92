# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What a gateway is asked to do."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, Iterable, Mapping, NamedTuple, Sequence

from .bars import Bar
from .commands import GatewayError
from .config import PeerLabel, Unfit, digest
from .whom import read_user_id, read_whom

_LONGEST_DETAIL = 1000  # characters that the state keeps of an operator's words
DOCUMENT_FORMAT = 2  # of the file that the action plugin transfers


class RefusedError(GatewayError):
    """What was asked for must not be done."""


class GatewayReason(str, Enum):
    """Why a gateway takes a peer off by itself. Other reasons are the roster's, and are passed on as they are."""

    REVOKED = "revoked"  # an operator's word
    EXPIRED = "expired"  # by the gateway's clock
    UNFIT = "unfit"  # in the roster, but not as anything that can be a peer
    KEY_REPLACED = "key_replaced"  # its device has another key in the roster
    UNKNOWN = "unknown"  # nothing in the roster is about it


class Revocation(NamedTuple):
    """Whose key may not be a peer, and why: the roster's reason, or one of GatewayReason."""

    label: PeerLabel
    reason: str
    explained: bool = True  # not so if nothing but a decision over a sweep speaks against the user
    detail: str = ""  # an operator's words
    of_user: bool = False  # the registry has it of the user as a whole


class Origin(NamedTuple):
    """The registry that a roster was made from."""

    identity: str  # kept over export, import and restore
    account_id: str
    region: str
    table: str
    table_id: str  # of this table alone: a restored or replicated one has another

    def __str__(self) -> str:
        place = f"account {self.account_id}, region {self.region}, table {self.table}, table id {self.table_id}"
        return f"{self.identity} ({place})"


@dataclass(frozen=True)
class ApplyOrder:
    """A roster to apply, as rendered on the controller."""

    generation: int
    made_at: int  # when the roster was made, seconds since the epoch
    registry: Origin
    private_key_file: Path
    config: str | None = None  # the rendered text; None if that failed
    config_error: str | None = None
    firewall: str | None = None
    firewall_error: str | None = None
    revoked: Mapping[str, Revocation] = field(default_factory=dict)  # confirmed, by public key
    excluded: Mapping[str, Revocation] = field(default_factory=dict)  # for whatever reason, by public key
    unfit: Sequence[Unfit] = ()  # what the controller could not even render
    awaited: Sequence[str] = ()  # public keys of handouts that nobody had used when the roster was made
    acknowledge: Sequence[str] = ()  # ids of removals whose receipts are safe
    accept_registry: str = ""  # id of the table that the gateway may follow from now on
    release_revoked: Sequence[str] = ()  # names whose bars end
    other_interfaces: Sequence[str] = ()  # ours, too, and configured beside this one
    lock_timeout: float = 30.0  # seconds

    @property
    def content(self) -> str:
        """What identifies the configuration and firewall of this generation."""
        return digest(f"{self.config}\0{self.firewall}")

    @classmethod
    def of_document(cls, document: Mapping[str, Any], **options: Any) -> ApplyOrder:
        """Read the file that the action plugin transfers.

        :param options: the fields that the file doesn't have.
        :raises ValueError: the file has another format.
        """
        fields = dict(document)
        if fields.pop("format") != DOCUMENT_FORMAT:
            raise ValueError("the file from the controller has another format than this module")
        fields["registry"] = Origin(**fields["registry"])
        fields["unfit"] = [_unfit(entry) for entry in fields["unfit"]]
        fields["revoked"] = _by_key(fields["revoked"])
        fields["excluded"] = {**_by_key(fields.pop("removed")), **_by_key(fields["excluded"])}
        return cls(**fields, **options)


@dataclass(frozen=True)
class RevokeOrder:
    """A user or device to take off without any roster."""

    whom: Bar  # by the name or id that was given
    detail: str = ""  # the operator's words, for the receipts
    lock_timeout: float = 30.0  # seconds

    @classmethod
    def of_options(cls, revoke: Mapping[str, str | None], generation: int, lock_timeout: float) -> RevokeOrder:
        """Read what an operator asks for. A label such as `alice/laptop` in place of a name is one device."""
        given = {name: value for name, value in revoke.items() if value}
        user_name, device = read_whom(given.pop("user_name", ""), given.pop("device", ""))
        user_id, detail = read_user_id(given.pop("user_id", "")), given.pop("detail", "")
        whom = Bar(user_name, device, user_id=user_id, generation=generation, **given)
        return cls(whom, detail[:_LONGEST_DETAIL], lock_timeout)


def _by_key(entries: Iterable[Mapping[str, Any]]) -> dict[str, Revocation]:
    return {entry["public_key"]: _revocation(entry) for entry in entries}


def _revocation(entry: Mapping[str, Any]) -> Revocation:
    return Revocation(_label(entry), entry["reason"], entry["explained"], of_user=entry["of_user"])


def _unfit(entry: Mapping[str, Any]) -> Unfit:
    label = _label(entry)
    return Unfit(label.name or "a peer without a name", label, entry["public_key"], entry["problem"])


def _label(entry: Mapping[str, Any]) -> PeerLabel:
    return PeerLabel(*(entry[name] for name in PeerLabel._fields))
