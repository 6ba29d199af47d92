# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Everything that is known of devices and users, from a decision and from what the gateways' live devices say. Pure.

The decision is one of a run in check mode, so it is what the next run would decide.
"""

from __future__ import annotations

from enum import Enum
from typing import Any, Iterable, Mapping, NamedTuple, Sequence

from ..access import Access, GrantingGroups
from ..keys import fingerprint
from ..model import Block, Device, Owner, Registration, User
from ..revocation import nearest_names
from ..roster import Exclusion
from ..roster_file import accounts as account_views
from ..run import RunResult
from ..whitelist import Whitelist
from ..wireguard.config import PeerLabel
from ..wireguard.whom import read_whom
from .seen import GatewaySeen, from_options, gateway_view, peer_view, stranger


class DeviceStatus(str, Enum):
    """What is decided of a device."""

    PEER = "peer"
    HELD = "held"  # a peer whose removal waits for an operator
    LEFT_OUT = "left_out"
    UNKNOWN = "unknown"  # IAM or the registry could not be asked


class Whose(NamedTuple):
    """Whom an operator asks about: a name in any case, a user id, or a device's label such as alice/laptop."""

    user_name: str | None = None  # None: everybody
    account_id: str | None = None  # None: any

    @property
    def device(self) -> str | None:
        """The device that a label names."""
        return read_whom(self.user_name or "")[1] or None

    @property
    def user(self) -> str | None:
        """The user's name or id."""
        return None if self.user_name is None else read_whom(self.user_name)[0]

    def means(self, owner: Owner, names: Iterable[str]) -> bool:
        """Tell whether a user with these names is asked about."""
        if self.account_id not in (None, owner[0]):
            return False
        return self.user is None or self.user == owner[1] or self.user.casefold() in {each.casefold() for each in names}


class KnownPeople(NamedTuple):
    """What a decision says, in the order in which it is looked up."""

    account_id: str  # the gateways'
    result: RunResult
    granting: GrantingGroups
    access: Access | None  # None: its networks can't be read
    names: Mapping[Owner, set[str]]  # of every user of whom IAM or the registry knows
    users: Mapping[Owner, User]  # whom IAM has, by the sweeps in force
    by_name: Mapping[tuple[str, str], str]  # user_id by account and name, in lower case
    asked_accounts: frozenset[str]  # whose users are known at all
    excluded: Mapping[Device, Exclusion]
    blocks: Mapping[tuple[str, str, str | None], Block]
    whitelist: Whitelist


def known_of(account_id: str, result: RunResult, granting: GrantingGroups, access: Access | None) -> KnownPeople:
    """Arrange a run's result for questions about people.

    :param account_id: the gateways'.
    """
    in_force = [account.in_force for account in result.accounts if account.in_force is not None]
    users = {(sweep.account_id, user.user_id): user for sweep in in_force for user in sweep.users.values()}
    facts = result.facts
    return KnownPeople(
        account_id=account_id,
        result=result,
        granting=granting,
        access=access,
        names=_names(result, users),
        users=users,
        by_name={(owner[0], user.user_name.casefold()): owner[1] for owner, user in users.items()},
        asked_accounts=frozenset(sweep.account_id for sweep in in_force),
        excluded={each.registration.identity: each for each in result.roster.excluded},
        blocks={(each.account_id, each.user_id, each.device): each for each in facts.blocks},
        whitelist=Whitelist(result.accounts, facts.tombstones, facts.blocks, granting),
    )


def overview(known: KnownPeople, gateways: Sequence[GatewaySeen], whose: Whose) -> dict[str, Any]:
    """Return what the module `devices_info` does; `whose` limits the devices, and says whose users are described."""
    roster = known.result.roster
    devices = [*roster.peers, *(each.registration for each in roster.excluded)]
    wanted = sorted((each for each in devices if _is_wanted(known, each, whose)), key=lambda each: each.label)
    return {
        "account_id": known.account_id,
        "devices": [_device_view(known, each, gateways) for each in wanted],
        "asked_account_id": whose.account_id,
        "users": [] if whose.user is None else _users(known, whose),
        "nearest": [] if whose.user is None else nearest_names(whose.user, _all_names(known)),
        "accounts": _accounts(known.result),
        "gateways": [_gateway_view(known, each) for each in gateways],
        "lost_gateways": _lost_gateways(known.result, gateways),
        "strangers": _strangers(gateways, {each.public_key for each in devices}),
        "held": roster.held_names,
        "generation": known.result.generation,
        "problems": known.result.problems,
        "error": None,
    }


def view_of(
    result: Mapping[str, Any], gateways: Iterable[Mapping[str, Any]], user_name: str | None = None
) -> Mapping[str, Any]:
    """Return what the module `devices_info` found, or what the gateways alone say if it failed.

    :param gateways: as the module takes them.
    :param user_name: whose devices are asked about; None for everybody's.
    """
    if "devices" in result:
        return result
    error = " ".join(str(result.get("msg", "no reason was given")).split())
    return without_decision(from_options(gateways), error, Whose(user_name))


def without_decision(gateways: Sequence[GatewaySeen], error: str, whose: Whose | None = None) -> dict[str, Any]:
    """Return the same where IAM or the registry could not be asked: only what the gateways say.

    Devices are those whose names the gateways' files have.
    """
    whose = whose or Whose()
    labelled: dict[Device, Mapping[str, Any]] = {}
    for gateway in gateways:
        for peer in gateway.peers:
            if peer.get("user_name") and _is_asked(whose, peer):
                labelled.setdefault((peer["account_id"], peer["user_id"], peer["device"]), peer)
    keys = {peer["public_key"] for peer in labelled.values()}
    return {
        "account_id": None,
        "asked_account_id": whose.account_id,
        "devices": [_unregistered_view(peer, gateways) for _device, peer in sorted(labelled.items())],
        "users": [],
        "nearest": [],
        "accounts": [],
        "gateways": [{**gateway_view(each), "missing": [], "surplus": [], "missed": []} for each in gateways],
        "lost_gateways": [],
        "strangers": _strangers(gateways, keys),
        "held": [],
        "generation": None,
        "problems": [],
        "error": error,
    }


def _is_asked(whose: Whose, peer: Mapping[str, Any]) -> bool:
    owner = (peer["account_id"], peer["user_id"])
    return whose.device in (None, peer["device"]) and whose.means(owner, [peer["user_name"]])


def _accounts(result: RunResult) -> list[dict[str, Any]]:
    stored = {account_id: int(sweep.begun_at) for account_id, sweep in result.facts.sweeps.items()}
    return [{**view, "stored_at": stored.get(view["account_id"])} for view in account_views(result.accounts)]


def _is_wanted(known: KnownPeople, registration: Registration, whose: Whose) -> bool:
    is_wanted_device = whose.device in (None, registration.device)
    return is_wanted_device and whose.means(registration.owner, known.names[registration.owner])


def _device_view(known: KnownPeople, registration: Registration, gateways: Sequence[GatewaySeen]) -> dict[str, Any]:
    exclusion = known.excluded.get(registration.identity)
    status = DeviceStatus.PEER if exclusion is None else DeviceStatus.LEFT_OUT
    if registration in known.result.roster.held:
        status = DeviceStatus.HELD
    return {
        "name": registration.label,
        "account_id": registration.account_id,
        "user_id": registration.user_id,
        "user_name": registration.user_name,
        "device": registration.device,
        "status": status.value,
        "reason": None if exclusion is None else exclusion.reason.value,
        "detail": None if exclusion is None else exclusion.detail,
        "blocked": _block_view(known, registration.owner, registration.device),
        "registered_at": int(registration.created_at),
        "expires_at": None if registration.expires_at is None else int(registration.expires_at),
        "life": registration.life,
        "awaited": registration.identity in known.result.awaited,
        "addresses": list(registration.addresses),
        "fingerprint": fingerprint(registration.public_key),
        **_iam_view(known, registration.owner, registration.user_name),
        "gateways": [peer_view(each, each.peer(registration.public_key), _label(registration)) for each in gateways],
    }


def _label(registration: Registration) -> PeerLabel:
    return PeerLabel(registration.user_name, registration.device, *registration.owner)


def _unregistered_view(peer: Mapping[str, Any], gateways: Sequence[GatewaySeen]) -> dict[str, Any]:
    return {
        "name": f"{peer['user_name']}/{peer['device']}",
        **{name: peer[name] for name in ("account_id", "user_id", "user_name", "device")},
        "status": DeviceStatus.UNKNOWN.value,
        "reason": None,
        "detail": None,
        "blocked": None,
        "registered_at": None,
        "expires_at": peer.get("expires_at"),
        "life": None,
        "awaited": False,
        "addresses": [each.partition("/")[0] for each in peer.get("allowed_ips", [])],
        "fingerprint": fingerprint(peer["public_key"]),
        "in_iam": None,
        "id_of_the_name": None,
        "gateways": [peer_view(each, each.peer(peer["public_key"])) for each in gateways],
    }


def _iam_view(known: KnownPeople, owner: Owner, user_name: str) -> dict[str, Any]:
    """Say whether IAM has a user, and which other id has the user's name there now (R1, identity)."""
    account_id, user_id = owner
    named = known.by_name.get((account_id, user_name.casefold()))
    return {
        "in_iam": owner in known.users if account_id in known.asked_accounts else None,
        "id_of_the_name": None if named == user_id else named,
    }


def _block_view(known: KnownPeople, owner: Owner, device: str | None) -> dict[str, Any] | None:
    block = known.blocks.get((*owner, None)) or known.blocks.get((*owner, device))
    if block is None:
        return None
    return {
        "device": block.device,
        "by": block.by,  # None in records of earlier versions
        "reason": block.reason,
        "since": int(block.created_at),
    }


def _gateway_view(known: KnownPeople, gateway: GatewaySeen) -> dict[str, Any]:
    """Say how a gateway is, and by which devices it differs from the decision."""
    missed = known.result.facts.missed.get(gateway.name, [])
    view = {**gateway_view(gateway), "missing": [], "surplus": [], "missed": missed}
    if not gateway.info:
        return view
    left_out = {each.registration.public_key: each.registration.label for each in known.excluded.values()}
    live = {peer["public_key"] for peer in gateway.peers}
    missing = sorted(
        peer.label
        for peer in known.result.roster.peers
        if peer.public_key not in live and gateway.bar_on(_label(peer)) is None
    )
    return {**view, "missing": missing, "surplus": sorted(left_out[key] for key in live.intersection(left_out))}


def _lost_gateways(result: RunResult, gateways: Iterable[GatewaySeen]) -> list[dict[str, Any]]:
    """Name gateways that the registry knows and the inventory doesn't, and who left since they were told."""
    present, missed = {each.name for each in gateways}, result.facts.missed
    return [{"name": each, "missed": missed.get(each, [])} for each in result.facts.gateways if each not in present]


def _strangers(gateways: Iterable[GatewaySeen], registered: set[str]) -> list[dict[str, Any]]:
    return [
        stranger(gateway, peer)
        for gateway in gateways
        for peer in gateway.peers
        if peer["public_key"] not in registered
    ]


def _names(result: RunResult, users: Mapping[Owner, User]) -> dict[Owner, set[str]]:
    facts, names = result.facts, {owner: {user.user_name} for owner, user in users.items()}
    left_out = (each.registration for each in result.roster.excluded)
    for each in (*facts.registered.registrations, *result.roster.peers, *left_out):
        names.setdefault(each.owner, set()).add(each.user_name)
    for tombstone in facts.tombstones:
        if tombstone.user_id is not None:
            names.setdefault((tombstone.account_id, tombstone.user_id), set()).add(tombstone.user_name)
    for block in facts.blocks:
        names.setdefault((block.account_id, block.user_id), set())
    return names


def _all_names(known: KnownPeople) -> list[str]:
    return sorted({name for names in known.names.values() for name in names if name})


def _users(known: KnownPeople, whose: Whose) -> list[dict[str, Any]]:
    """Describe everybody who is asked about; who is in IAM comes first."""
    meant = [(owner, names) for owner, names in known.names.items() if whose.means(owner, names)]
    views = [_user_view(known, owner, sorted(names)) for owner, names in sorted(meant)]
    return sorted(views, key=lambda view: view["in_iam"] is not True)


def _user_view(known: KnownPeople, owner: Owner, names: Sequence[str]) -> dict[str, Any]:
    user = known.users.get(owner)
    name = user.user_name if user else next(iter(names), owner[1])
    refusal = known.whitelist.refusal_of_user(owner)
    granting = known.granting.get(owner[0], frozenset())
    return {
        "account_id": owner[0],
        "user_id": owner[1],
        "user_name": name,
        **_iam_view(known, owner, name),
        "groups": sorted(user.groups) if user else [],
        "granting_groups": sorted(granting.intersection(user.groups)) if user else [],
        "expected_groups": sorted(granting),
        "networks": _networks(known, user),
        "reason": None if refusal is None else refusal.reason.value,
        "detail": None if refusal is None else refusal.detail,
        "blocked": _block_view(known, owner, None),
        "blocked_devices": {
            device: _block_view(known, owner, device)
            for *of_user, device in known.blocks
            if tuple(of_user) == owner and device is not None
        },
        "devices": sorted(each.device for each in known.result.facts.registered.registrations if each.owner == owner),
    }


def _networks(known: KnownPeople, user: User | None) -> list[str]:
    if user is None or known.access is None:
        return []
    if known.granting.get(user.account_id, frozenset()).isdisjoint(user.groups):
        return []
    return known.access.granted_to(user)
