# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Registering, renewing, rotating and removing one's own device by the self-service function.

The module `enrollment` and the script share this. No Ansible; of the collection only what the script has, too.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from typing import TYPE_CHECKING, Any, Callable, Mapping, NamedTuple

from ..client.config import DEFAULT_MTU
from . import function as self_service
from .function import Function, SelfServiceError

if TYPE_CHECKING:
    from botocore.credentials import ReadOnlyCredentials

_HANDSHAKE = 30  # seconds that a handshake may take once the gateways have the device
_IN_WORDS = {"registered": "registered", "rotated": "given another key", "renewed": "renewed"}
_DONE = {
    "registered": "registered",
    "rotated": "registered with another key",
    "renewed": "renewed",
    "removed": "removed",
}
_ARN = re.compile(r"arn:aws[a-z-]*:lambda:[a-z0-9-]+:[0-9]{12}:function:[A-Za-z0-9_-]{1,64}")


class Enrollment(NamedTuple):
    """Outcome for a device.

    `device` is the registration as the function has it, None if there is none; `before` the same, before the call.
    `actions` are of `registered`, `rotated`, `renewed`, `removed`; `unknown` tells that the gateways don't have the
    device as it is now, and learn of it by `in_force_from` at the latest (seconds since the epoch, None when nothing
    changed). `due` has the user's other devices that have lived more than half of their life.
    """

    device: dict[str, Any] | None
    before: dict[str, Any] | None
    actions: tuple[str, ...]
    unknown: bool
    in_force_from: int | None
    tunnel: dict[str, Any]
    due: list[dict[str, Any]]

    @property
    def done(self) -> str:
        """What was done, in words."""
        if not self.actions and self.device is None:
            return "not registered, nothing to do"
        return " and ".join(_DONE[action] for action in self.actions) or "as it should be, nothing to do"

    def wait(self, now: float) -> int:
        """Return how many seconds it may take from `now` until a gateway answers the device."""
        return round(max((self.in_force_from or 0) - now, 0)) + _HANDSHAKE


def checked(function: Function) -> Function:
    """Return the function if its ARN and addresses have the right form.

    :raises SelfServiceError: `invalid_function`, naming what was found and what is expected.
    """
    if not _ARN.fullmatch(function.arn):
        raise SelfServiceError(
            f"{function.arn!r} isn't a function's ARN without alias; expected what the operators of the VPN gave you, "
            "such as arn:aws:lambda:eu-west-1:111122223333:function:tracklib-vpn-self-service",
            "invalid_function",
        )
    for url in filter(None, (function.manage_url, function.renew_url, function.sts_url)):
        if not re.fullmatch(r"https?://[^/\s]+/?[^\s?#]*", url):
            raise SelfServiceError(f"{url!r} isn't an address; expected https://…", "invalid_function")
    return function


def ensure_present(
    credentials: ReadOnlyCredentials,
    function: Function,
    listed: Mapping[str, Any],
    name: str,
    public_key: str,
    *,
    rotate: bool = False,
    check_mode: bool = False,
    clock: Callable[[], float] = time.time,
) -> Enrollment:
    """Register a device, and renew it from half of its life on.

    :param listed: what the function said of the user's devices.
    :param rotate: whether the device gets this key instead of another one that it has.
    :raises SelfServiceError: the function refused, or can't be reached; `other_key`.
    """
    before = _named(listed, name)
    actions = _needed(before, public_key, rotate, clock())
    result = Enrollment(
        device=before,
        before=before,
        actions=actions,
        unknown=False,
        in_force_from=None,
        tunnel=listed["tunnel"],
        due=_due(listed, name, clock()),
    )
    calls = {
        "registered": lambda: self_service.register(credentials, function, name, public_key),
        "rotated": lambda: self_service.rotate(credentials, function, name, public_key),
        "renewed": lambda: self_service.renew(credentials, function, name),
    }
    for action in () if check_mode else actions:
        try:
            answer = calls[action]()
        except SelfServiceError as error:
            raise _explained(error, name, action) from None
        result = result._replace(**{field: answer[field] for field in ("device", "tunnel", "in_force_from")})
    expired = before is not None and _over(before["expires_at"], clock())
    return result._replace(unknown=expired or not {"registered", "rotated"}.isdisjoint(actions))


def ensure_absent(
    credentials: ReadOnlyCredentials,
    function: Function,
    listed: Mapping[str, Any],
    name: str,
    *,
    check_mode: bool = False,
    clock: Callable[[], float] = time.time,
) -> Enrollment:
    """Remove a device's registration, if there is one.

    :param listed: as ensure_present() has it.
    :raises SelfServiceError: the function refused, or can't be reached.
    """
    before = _named(listed, name)
    actions = () if before is None else ("removed",)
    result = Enrollment(
        device=None,
        before=before,
        actions=actions,
        unknown=False,
        in_force_from=None,
        tunnel=listed["tunnel"],
        due=_due(listed, name, clock()),
    )
    if before is None or check_mode:
        return result
    return result._replace(in_force_from=self_service.remove(credentials, function, name)["in_force_from"])


def _named(listed: Mapping[str, Any], name: str) -> dict[str, Any] | None:
    named: dict[str, Any] | None = next((device for device in listed["devices"] if device["device"] == name), None)
    return named


def _needed(before: Mapping[str, Any] | None, public_key: str, rotate: bool, now: float) -> tuple[str, ...]:
    if before is None:
        return ("registered",)
    if before["blocked"] is not None:
        raise SelfServiceError(
            f"device {before['device']} is blocked ({before['blocked']}); ask the operators of the VPN", "blocked"
        )
    other_key = before["public_key"] != public_key
    if other_key and not rotate:
        whose = "a key that an operator made" if before.get("handed_out") else "another key, such as another machine's"
        raise SelfServiceError(
            f"your device {before['device']} has {whose}, whose tunnel would end. Nothing was changed. Choose another "
            f"name for this machine, or ask for a new key to take over {before['device']} (--new-key; of the playbook "
            "enroll_new_key=true)",
            "other_key",
        )
    rotated = ("rotated",) if other_key else ()
    renewed = ("renewed",) if _over(before["renewable_from"], now) else ()
    return (*rotated, *renewed)


def _explained(error: SelfServiceError, name: str, action: str) -> SelfServiceError:
    """Say what to do here. The function answered before, so a refusal of AWS's own is about how the user signed in."""
    if error.code == "forbidden":
        return SelfServiceError(
            f"device {name} was not {_IN_WORDS[action]}: AWS showed your devices and refused that call, which may need "
            "a fresh MFA session. Make one with your MFA device (aws sts get-session-token --serial-number ARN "
            "--token-code CODE), then run this again with its credentials; the script asks for the code by itself "
            "where it runs in a terminal",
            "authenticate_again",
            error.status,
        )
    if error.code == "key_held":
        return SelfServiceError(
            f"device {name} was not {_IN_WORDS[action]}: {error}. Make another key: on this machine with --new-key (of "
            "the playbook enroll_new_key=true), in a WireGuard app by adding another empty tunnel",
            error.code,
            error.status,
        )
    return error


def _due(listed: Mapping[str, Any], name: str, now: float) -> list[dict[str, Any]]:
    return [device for device in listed["devices"] if device["device"] != name and _over(device["renewable_from"], now)]


def _over(moment: float | None, now: float) -> bool:
    """Whether a moment has passed; one that is None never comes."""
    return moment is not None and moment <= now


def gateway(tunnel: Mapping[str, Any], endpoint: str | None = None) -> dict[str, Any]:
    """Return the gateway to dial, with `endpoint` and `public_key`: the one of that endpoint, by default the first.

    :raises SelfServiceError: `no_such_gateway`.
    """
    gateways: list[dict[str, Any]] = tunnel["gateways"]
    chosen = [one for one in gateways if endpoint in (None, one["endpoint"])]
    if not chosen:
        raise SelfServiceError(
            f"there is no gateway {endpoint}; expected one of {', '.join(one['endpoint'] for one in gateways)}",
            "no_such_gateway",
        )
    return chosen[0]


def mtu(tunnel: Mapping[str, Any]) -> int:
    """Return the MTU of the gateways; the usual one where a function of an earlier version doesn't say it."""
    return int(tunnel.get("mtu", DEFAULT_MTU))


def digest(tunnel: Mapping[str, Any]) -> str:
    """Return what tells whether the function says the same of the tunnel as before: gateways, networks, names, MTU."""
    return hashlib.sha256(json.dumps(tunnel, sort_keys=True).encode()).hexdigest()[:16]


def utc(moment: float) -> str:
    """Write a time for people: `2026-11-24 20:30 UTC`."""
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(moment))


def life(device: Mapping[str, Any]) -> str:
    """Say how long a registration lives, and from when on it can be renewed."""
    if device["expires_at"] is None:
        return "it doesn't expire"
    if device["expires_at"] <= time.time():
        return f"expired at {utc(device['expires_at'])}: renew it"
    if device["renewable_from"] is None:
        return f"ends at {utc(device['expires_at'])}, which the operators of the VPN set: ask them for more time"
    return f"expires at {utc(device['expires_at'])} and can be renewed from {utc(device['renewable_from'])} on"
