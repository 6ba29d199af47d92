# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""People's devices in words: what is decided of each, where it is a peer, how long it lives. Pure.

`view` is what the module `devices_info` returns; times are seconds since the epoch.
"""

from __future__ import annotations

from typing import Any, Iterable, Iterator, Mapping, Sequence

from ..timespan import DAY, LIFE
from ..whitelist import Reason
from ..wireguard.whom import read_whom
from .layout import Explained, ago, caller, command, count, life, names, paragraph, span, table, utc
from .merge import DeviceStatus

View = Mapping[str, Any]
_HEADING = ("DEVICE", "STATUS", "LIFE", "GATEWAYS", "HANDSHAKE")


def status_words(device: View, now: float) -> str:
    """Say what is decided of a device, and why."""
    status = DeviceStatus(device["status"])
    if status is DeviceStatus.UNKNOWN:
        return "a peer of the gateways; what is decided could not be asked"
    if status is DeviceStatus.HELD:
        return "still a peer: its removal is held until an operator releases it"
    if status is DeviceStatus.PEER:
        awaited = "; handed out, and ends unless somebody connects" if device["awaited"] else ""
        return _peer_words([each for each in device["gateways"] if each["is_peer"] is False]) + awaited
    return left_out_words(device, now)


def _peer_words(lacking: Sequence[View]) -> str:
    """Say which gateways lack a peer; what only an operator can end comes first, for then reconcile fails."""
    barred = [each["gateway"] for each in lacking if each["barred"] is not None]
    missing = [each["gateway"] for each in lacking if each["barred"] is None]
    words = []
    if barred:
        words.append(f"is kept out on {names(barred)} by a revocation without a roster: repeat it, or see why")
    if missing:
        words.append(f"isn't on {names(missing)} yet: run reconcile")
    return ", but ".join(["may connect", *words])


def left_out_words(device: View, now: float) -> str:
    """Say why a device is no peer."""
    reason = device["reason"]
    if reason == Reason.BLOCKED.value and device["blocked"]:
        return blocked_words(device["blocked"])
    if reason == Reason.EXPIRED.value:
        unused = "handed out, and nobody connected; " if device["awaited"] else ""
        return f"{unused}{life(device['expires_at'], now)}: renew it"
    other = device["id_of_the_name"]
    if other is not None:
        return f"{device['detail']}. {device['user_name']} is {other} in IAM now, which is another user"
    return str(device["detail"])


def blocked_words(block: View) -> str:
    """Say who blocked a user or device, when and why."""
    what = "user blocked" if block["device"] is None else "device blocked"
    by = f" by {caller(block['by'])}" if block["by"] else ""
    since = f" since {utc(block['since'])}" if block["since"] else ""
    return f"{what}{by}{since}: {block['reason']}"


def told_apart(devices: Iterable[View]) -> dict[tuple[str, str], str]:
    """Return what to call each user: the name, and the id where several have had that name (R1, identity)."""
    ids: dict[str, set[tuple[str, str]]] = {}
    owners: dict[tuple[str, str], View] = {}
    for device in devices:
        owner = (device["account_id"], device["user_id"])
        owners[owner] = device
        ids.setdefault(device["user_name"].casefold(), set()).add(owner)
    return {
        owner: "" if device["id_of_the_name"] is None and len(ids[device["user_name"].casefold()]) == 1 else owner[1]
        for owner, device in owners.items()
    }


def device_name(device: View, apart: Mapping[tuple[str, str], str]) -> str:
    """Return a device's label, with the user's id where it needs one."""
    user_id = apart.get((device["account_id"], device["user_id"]), "")
    return f"{device['name']} ({user_id})" if user_id else str(device["name"])


def last_handshake(device: View) -> View | None:
    """Return what the gateway says that saw the device last; None if none did."""
    seen = [each for each in device["gateways"] if each["handshake_age"] is not None]
    return min(seen, key=lambda each: each["handshake_age"], default=None)


def _handshake_words(device: View) -> str:
    seen = last_handshake(device)
    if seen is not None:
        return f"{ago(seen['handshake_age'])} on {seen['gateway']}"
    return "never" if all(each["is_peer"] is not None for each in device["gateways"]) else "not seen"


def _gateway_words(device: View) -> str:
    words = {True: "{}", None: "{}?"}
    shown = [words[each["is_peer"]].format(each["gateway"]) for each in device["gateways"] if each["is_peer"] in words]
    return " ".join(shown) or "none"


def unanswered(view: View) -> Iterator[str]:
    """Say what could not be asked: IAM, the registry, gateways."""
    if view["error"] is not None:
        shown = ", so only the gateways are shown" if view["gateways"] else ""
        yield f"IAM or the registry could not be asked{shown}: {view['error']}"
    for gateway in view["gateways"]:
        if gateway["error"] is not None:
            yield f"gateway {gateway['name']} is not shown: {gateway['error']}"
    for account in view["accounts"]:
        if account["error"] is not None:
            by = f"by the sweep of {utc(account['swept_at'])}" if account["swept_at"] else "without any sweep"
            yield f"account {account['account_id']} is shown {by}, IAM could not be asked now: {account['error']}"


def nobody(view: View, user_name: str) -> str:
    """Say which devices a user has in place of the one asked about, or that nobody has the name, with the nearest."""
    asked, accounts = view["asked_account_id"], [each["account_id"] for each in view["accounts"]]
    if asked not in (None, *accounts):
        return (
            f"account {asked} has no users who may be peers: vpn_account_id and vpn_identity_accounts name "
            f"{', '.join(accounts)}"
        )
    nearest = names([each for each in view["nearest"] if each.casefold() != user_name.casefold()])
    known = [each for each in view["users"] if each["in_iam"]]
    if not view["users"]:
        where = f"account {asked or ' or '.join(accounts)}"
        what = f"nobody is called {user_name} in {where}: neither IAM nor the registry knows the name or id"
    elif known:
        user = known[0]
        return (
            f"{user_name} has no such device; {user['user_name']} is {user['user_id']} in IAM, and has "
            f"{', '.join(user['devices']) or 'no device'}"
        )
    else:
        what = f"{user_name} has no such device, and is not in IAM ({view['users'][0]['user_id']} was)"
    return f"{what}. The nearest names: {nearest or 'none is like it'}"


def devices_report(view: View, user_name: str | None, now: float) -> Explained:
    """Answer which devices a user, or everybody, has."""
    devices, failures = view["devices"], list(unanswered(view))
    if user_name is not None and not devices and view["error"] is None:
        failures.append(nobody(view, user_name))
    failures += without_registration(view, user_name)
    apart = told_apart(devices)
    rows = [
        (
            device_name(device, apart),
            status_words(device, now),
            life(device["expires_at"], now),
            _gateway_words(device),
            _handshake_words(device),
        )
        for device in devices
    ]
    headline = count(len(devices), "device") + ("" if user_name is None else f" of {user_name}")
    headline += "" if view["error"] is None else " on the gateways that were read; what is registered isn't known"
    kept_out = list(_kept_out(view, user_name)) if view["error"] is not None else []
    lines = [line for each in failures for line in paragraph(each)] + [headline, *kept_out]
    data = {name: view[name] for name in ("devices", "users", "gateways", "accounts")}
    return Explained([*lines, *table(_HEADING, rows)] if rows else lines, failures, data)


def without_registration(view: View, user_name: str | None) -> Iterator[str]:
    """Say which live peers have the asked user's name and no registration (R19, observation outranks the model)."""
    asked = None if user_name is None else read_whom(user_name)[0].casefold()
    for each in view["strangers"]:
        if each["name"] and asked is not None and asked in (each["name"].partition("/")[0].casefold(), each["user_id"]):
            yield (
                f"{each['name']} has no registration, and is a live peer of {each['gateway']} all the same. Run "
                "reconcile, which removes it"
            )


def _kept_out(view: View, user_name: str | None) -> Iterator[str]:
    """Say whom gateways keep out by a revocation, where no registration tells who has which device."""
    asked = None if user_name is None else read_whom(user_name)[0].casefold()
    for gateway in view["gateways"]:
        barred = [name for name in gateway["barred"] if asked in (None, read_whom(name)[0].casefold())]
        if barred:
            yield from paragraph(f"{gateway['name']} keeps out by a revocation: {names(barred)}")


def expiring_report(view: View, within: int, now: float) -> Explained:
    """Answer whose registrations end within so many seconds, the earliest first, and how to renew them."""
    failures = list(unanswered(view))
    devices = sorted(
        (each for each in view["devices"] if each["expires_at"] and now < each["expires_at"] <= now + within),
        key=lambda each: (each["expires_at"], each["name"]),
    )
    apart = told_apart(view["devices"])
    rows = [
        (utc(each["expires_at"]), span(each["expires_at"] - now), device_name(each, apart), status_words(each, now))
        for each in devices
    ]
    headline = f"{count(len(devices), 'registration')} to end within {span(within)}"
    if view["error"] is not None:
        headline = f"which registrations end within {span(within)} isn't known"
    lines = [line for each in failures for line in paragraph(each)] + [headline]
    lines += table(("ENDS", "IN", "DEVICE", "STATUS"), rows) if rows else []
    data = [{**each, "renew": renewal(view, each, apart) if _is_renewable(each) else None} for each in devices]
    commands = [each["renew"] for each in data if each["renew"] is not None]
    if commands:
        lines += ["", "To renew them:", *commands]
    return Explained(lines, failures, {"devices": data, "accounts": view["accounts"]})


def _is_renewable(device: View) -> bool:
    """Tell whether more time is all that a device needs. A handout needs somebody to use it."""
    is_ended = device["status"] == DeviceStatus.LEFT_OUT.value
    return not device["awaited"] and (not is_ended or device["reason"] == Reason.EXPIRED.value)


def renewal(view: View, device: View, apart: Mapping[tuple[str, str], str]) -> str | None:
    """Write the command that renews a device; None if its name can't be one."""
    whom: Sequence[str] = (apart.get((device["account_id"], device["user_id"]), ""), device["user_name"])
    user_name = next(filter(None, whom))
    return command(
        "renew",
        user_name=user_name,
        device=device["device"],
        expires_in=LIFE if 0 < (device["life"] or 0) < DAY else None,  # as long as before would end too soon
        account_id=other_account(view, device),
    )


def other_account(view: View, one: View) -> str | None:
    """Return the account that a command about a user or device has to name; None for the gateways' own."""
    account_id: str = one["account_id"]
    return None if account_id == view["account_id"] else account_id
