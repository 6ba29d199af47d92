# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The chain from IAM to a device's packets, and where it breaks. Pure.

`view` is what the module `devices_info` returns for one user. What a gateway saw outranks what is decided: a device
with a handshake is connected, whatever the records say (R19, observation outranks the model).
"""

from __future__ import annotations

from enum import Enum
from typing import Any, Iterator, Mapping, NamedTuple

from ..whitelist import Reason
from ..wireguard.bars import how_to_release
from ..wireguard.drift import is_of_another_peer
from .devices import View, blocked_words, last_handshake, other_account, renewal, told_apart
from .layout import ago, command, life, names, span, utc
from .merge import DeviceStatus
from .seen import CONNECTED

_RECONCILE = "run reconcile"
_FIT = {
    Reason.INVALID_KEY.value,
    Reason.DUPLICATE_KEY.value,
    Reason.DUPLICATE_ADDRESS.value,
    Reason.ADDRESS_OUTSIDE_POOL.value,
    Reason.UNREADABLE.value,
    Reason.NOT_REGISTERED.value,
}


class Verdict(str, Enum):
    """What was found at a link of the chain."""

    OK = "ok"
    BREAKS = "breaks here"
    UNKNOWN = "unknown"


class ChainLink(NamedTuple):
    """A condition for connecting, what was found, and what to do if it breaks."""

    title: str
    verdict: Verdict
    finding: str
    next_step: str | None = None


class Subject(NamedTuple):
    """Whom and what an operator asks about."""

    user: View
    device: View | None  # None: there is no such registration
    name: str  # of the device, for people

    @property
    def whom(self) -> str:
        """What to call the user in a command: the name, or the id where it is another user's now."""
        return str(self.user["user_id"] if self.user["id_of_the_name"] else self.user["user_name"])


def links(view: View, subject: Subject, now: float) -> list[ChainLink]:
    """Look at each link of the chain, in its order."""
    found = [_in_iam(view, subject), _in_group(subject), _not_revoked(view, subject), _registered(view, subject)]
    device = subject.device
    if device is None:
        return [*found, _networks(subject)]
    found += [_lives(view, device, now), _fit(device), _decided(device)]
    found += [_peer(gateway, seen, device) for gateway, seen in zip(view["gateways"], device["gateways"])]
    found.append(_handshake(view, device))
    found += list(_way_on(view, device))
    return [*found, _networks(subject)]


def is_connected(device: View | None) -> bool:
    """Tell whether a gateway saw a handshake of the device lately."""
    seen = last_handshake(device) if device else None
    return seen is not None and seen["handshake_age"] <= CONNECTED


def _in_iam(view: View, subject: Subject) -> ChainLink:
    user, title = subject.user, "in IAM"
    account = next((each for each in view["accounts"] if each["account_id"] == user["account_id"]), None)
    whom = f"{user['user_name']} ({user['user_id']}) of account {user['account_id']}"
    if account is None or account["swept_at"] is None:
        reason = "it is none of vpn_identity_accounts" if account is None else f"it was never swept: {account['error']}"
        return ChainLink(
            title, Verdict.BREAKS, f"nothing is known of {whom}: {reason}", "correct vpn_identity_accounts"
        )
    if not user["in_iam"] and account["error"] is not None:
        finding = f"no {whom} in the sweep of {utc(account['swept_at'])}, and IAM could not be asked now:"
        return ChainLink(title, Verdict.UNKNOWN, f"{finding} {account['error']}", f"have IAM answer, then {_RECONCILE}")
    if not user["in_iam"]:
        step = "if this is to be a user of the VPN, create the user in IAM and register the device anew"
        if user["id_of_the_name"]:
            step = f"register the device for {user['id_of_the_name']}, who has the name now and is another user"
        return ChainLink(title, Verdict.BREAKS, f"no {whom} in the sweep of {utc(account['swept_at'])}", step)
    if account["error"] is not None:
        finding = f"{whom} was there at {utc(account['swept_at'])}; IAM could not be asked now: {account['error']}"
        return ChainLink(title, Verdict.UNKNOWN, finding, "run this again once IAM answers")
    return ChainLink(title, Verdict.OK, f"{whom} is there")


def _in_group(subject: Subject) -> ChainLink:
    user, title = subject.user, "in a group"
    if not user["in_iam"]:
        return ChainLink(title, Verdict.UNKNOWN, "the groups of a user whom IAM doesn't have aren't known")
    if user["granting_groups"]:
        return ChainLink(title, Verdict.OK, f"in {names(user['granting_groups'])}, which vpn_access names")
    if subject.device is not None and subject.device["status"] == DeviceStatus.HELD.value:
        return ChainLink(title, Verdict.UNKNOWN, "in none that vpn_access names, and held as a peer all the same")
    if not user["expected_groups"]:
        finding = f"vpn_access grants nothing to groups of account {user['account_id']}"
        return ChainLink(
            title, Verdict.BREAKS, finding, f"name the account in vpn_access (accounts), then {_RECONCILE}"
        )
    expected = names(user["expected_groups"])
    finding = f"in {names(user['groups']) or 'no group'}, expected one of vpn_access: {expected}"
    return ChainLink(
        title, Verdict.BREAKS, finding, f"add {user['user_name']} to such a group in IAM, then {_RECONCILE}"
    )


def _not_revoked(view: View, subject: Subject) -> ChainLink:
    user, device, title = subject.user, subject.device, "not revoked"
    unregistered = user["blocked_devices"].get(subject.name.partition("/")[2])
    block = device["blocked"] if device else user["blocked"] or unregistered
    if user["reason"] == Reason.TOMBSTONED.value:
        return ChainLink(title, Verdict.BREAKS, user["detail"], "none for this id; a new user registers anew")
    if block is not None:
        of_device = block["device"]
        how_far = {"all_devices": "true"} if of_device is None else {"device": of_device}
        account_id = other_account(view, user)
        step = command("unblock", user_name=subject.whom, **how_far, account_id=account_id) or "lift the block"
        return ChainLink(title, Verdict.BREAKS, blocked_words(block), step)
    return ChainLink(title, Verdict.OK, "neither blocked nor deleted")


def _registered(view: View, subject: Subject) -> ChainLink:
    device, title = subject.device, "registered"
    if device is not None:
        return ChainLink(title, Verdict.OK, f"since {utc(device['registered_at'])}, key {device['fingerprint']}")
    damaged = [each for each in view["problems"] if f"/{subject.user['user_id']}/" in each]
    if damaged:
        return ChainLink(
            title, Verdict.BREAKS, "; ".join(damaged), "remove the device (remove_device), then register it again"
        )
    finding = f"{subject.name} is not registered; registered: {names(subject.user['devices']) or 'none'}"
    step = "have the user run enroll on the device, or run handout for it"
    return ChainLink(title, Verdict.BREAKS, finding, step)


def _lives(view: View, device: View, now: float) -> ChainLink:
    expires_at, title = device["expires_at"], "not expired"
    words = f"{life(expires_at, now)}, until {utc(expires_at)}" if expires_at else "it has no end"
    if expires_at is not None and expires_at <= now:
        return ChainLink(title, Verdict.BREAKS, words, renewal(view, device, told_apart([device])) or "renew it")
    return ChainLink(title, Verdict.OK, words)


def _fit(device: View) -> ChainLink:
    title = "key, address"
    if device["reason"] in _FIT:
        return ChainLink(title, Verdict.BREAKS, device["detail"], "remove the device and register it again")
    return ChainLink(title, Verdict.OK, f"fit; {names(device['addresses'])}")


def _decided(device: View) -> ChainLink:
    status, title = DeviceStatus(device["status"]), "decision"
    if status is DeviceStatus.LEFT_OUT:
        return ChainLink(title, Verdict.BREAKS, f"left out ({device['reason']}): {device['detail']}")
    if status is DeviceStatus.HELD:
        step = "look for a mistake in IAM's groups or vpn_access, or release the removal (vpn_release_held)"
        return ChainLink(title, Verdict.OK, "a peer, whose removal is held until an operator releases it", step)
    return ChainLink(title, Verdict.OK, "a peer")


def _peer(gateway: View, seen: View, device: View) -> ChainLink:
    title = f"on {gateway['name']}"
    if seen["is_peer"] is None:
        return ChainLink(title, Verdict.UNKNOWN, gateway["error"], f"make {gateway['name']} answer, and run this again")
    roster = _roster_words(gateway)
    is_decided = device["status"] != DeviceStatus.LEFT_OUT.value
    if gateway["interface_up"] is False:
        return ChainLink(title, Verdict.BREAKS, "the interface is down or missing", f"start it: {_RECONCILE}")
    if seen["is_peer"]:
        finding = f"a peer of the live device; {roster}"
        return ChainLink(
            title, Verdict.OK, finding if is_decided else f"still {finding}", None if is_decided else _RECONCILE
        )
    barred = seen["barred"]
    if barred is not None:
        step = f"repeat the revocation, which the registry didn't get; or, to let them in, {how_to_release(barred)}"
        return ChainLink(title, Verdict.BREAKS, f"kept out there by a revocation of {barred}", step)
    if not is_decided:
        return ChainLink(title, Verdict.BREAKS, f"no peer, as decided; {roster}")
    return ChainLink(title, Verdict.BREAKS, f"no peer of the live device; {roster}", _RECONCILE)


def _roster_words(gateway: View) -> str:
    if not gateway["generation"]:
        return "no roster was ever applied"
    age = gateway["roster_age"]
    return f"roster {gateway['generation']}" + ("" if age is None else f", applied {ago(age)}")


def _handshake(view: View, device: View) -> ChainLink:
    title, seen = "handshake", last_handshake(device)
    if seen is not None and is_connected(device):
        finding = f"{ago(seen['handshake_age'])} on {seen['gateway']}, from {seen['endpoint'] or 'an unknown address'}"
        return ChainLink(title, Verdict.OK, finding)
    where = [each["gateway"] for each in device["gateways"] if each["is_peer"]]
    if not where:
        return ChainLink(title, Verdict.UNKNOWN, "none can be made before it is a peer")
    finding = f"never on {names(where)}"
    if seen is not None:
        finding = f"none for {span(seen['handshake_age'])}, the last on {seen['gateway']}"
    unread = [each["gateway"] for each in device["gateways"] if each["is_peer"] is None]
    if unread:
        return ChainLink(
            title, Verdict.UNKNOWN, f"{finding}; {names(unread)} could not be asked", _client_side(view, device)
        )
    return ChainLink(title, Verdict.BREAKS, finding, _client_side(view, device))


def _client_side(view: View, device: View) -> str:
    endpoints = names([each["endpoint"] for each in view["gateways"] if each["endpoint"]])
    return (
        f"on the device: the tunnel is up, dials {endpoints or 'the endpoint'}, its network lets UDP out to there, "
        f"its clock is right, and its public key is the registered one ({device['fingerprint']})"
    )


def _way_on(view: View, device: View) -> Iterator[ChainLink]:
    """Look at what packets meet on the gateways where the device is a peer, or on the one that it is connected to."""
    latest = last_handshake(device)
    for gateway, seen in zip(view["gateways"], device["gateways"]):
        if not seen["is_peer"] or (latest is not None and is_connected(device) and seen is not latest):
            continue
        title = f"beyond {gateway['name']}"
        wrong = [each for each in gateway["drift"] if not is_of_another_peer(each, device["name"])]
        if gateway["problems"] or wrong:
            yield ChainLink(title, Verdict.BREAKS, "; ".join([*gateway["problems"], *wrong]), _RECONCILE)
        elif gateway["notices"]:
            yield ChainLink(title, Verdict.UNKNOWN, "; ".join(gateway["notices"]), "see whether it drops the packets")
        else:
            yield ChainLink(title, Verdict.OK, "route, forwarding and firewall are as applied")


def _networks(subject: Subject) -> ChainLink:
    networks, title = subject.user["networks"], "networks"
    if networks:
        return ChainLink(title, Verdict.OK, f"granted: {', '.join(networks)}; nothing else is let through")
    return ChainLink(title, Verdict.UNKNOWN, "none is granted")


def as_data(link: ChainLink) -> dict[str, Any]:
    """Return a link for programs."""
    fields: Mapping[str, Any] = link._asdict()
    return {**fields, "verdict": link.verdict.value}
