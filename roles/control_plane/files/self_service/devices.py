# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Calls that users may make for their own devices. The caller was proven before; HTTP is left to api.py."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timezone
from typing import TYPE_CHECKING, NamedTuple

from ansible_collections.tracklib.vpn.plugins.module_utils.aws import AWSCallError
from ansible_collections.tracklib.vpn.plugins.module_utils.iam.sweep import sweep_of_user
from ansible_collections.tracklib.vpn.plugins.module_utils.model import Registration, Sweep, User
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.quotas import Quota
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.table import Registry
from ansible_collections.tracklib.vpn.plugins.module_utils.whitelist import Reason, refusal

from .caller import Caller
from .refusal import Refusal, RefusalCode
from .settings import SelfServiceSettings

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient

_SOON = 2 * 3600  # seconds; the sweeper has gateways hear of renewals an hour before the old end
REPEATED = 300  # seconds in which another renewal is taken for the first one, sent again

_REFUSED = {
    Reason.NOT_IN_SWEEP: (RefusalCode.NO_SUCH_USER, "IAM knows no user with your name and id"),
    Reason.TOMBSTONED: (RefusalCode.USER_DELETED, "your IAM user was deleted"),
    Reason.NOT_IN_GROUP: (RefusalCode.NOT_IN_GROUP, "your IAM user has no access to the VPN"),
    Reason.BLOCKED: (RefusalCode.BLOCKED, "you are blocked"),
}


class Admitted(NamedTuple):
    """A user who may have devices.

    `arn` is STS's, for the records. `blocked` has the reasons for which single devices may not be peers, `iam_error`
    why the last complete sweep had to tell of the user.
    """

    user: User
    arn: str
    blocked: dict[str, str]
    iam_error: str | None


class DeviceChange(NamedTuple):
    """A registration before and after a call."""

    before: Registration | None
    registration: Registration

    @property
    def is_none(self) -> bool:
        """Tell whether the call changed nothing."""
        return self.before == self.registration

    def can_wait(self, now: float) -> bool:
        """Tell whether it is but a later end of a device that has hours left: the sweeper lets such gather."""
        before, after = self.before, self.registration
        if before is None or before.expires_at is None:
            return False
        renewed = before._replace(
            user_name=after.user_name, expires_at=after.expires_at, renewed_at=after.renewed_at, by=after.by
        )
        return renewed == after and before.expires_at > now + _SOON and (after.expires_at or 0) > before.expires_at


class OwnDevices:
    """Users' registrations. `iam` gives a client that reads IAM in an identity account."""

    def __init__(
        self,
        settings: SelfServiceSettings,
        registry: Registry,
        iam: Callable[[str], IAMClient],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._registry = registry
        self._iam = iam
        self._clock = clock

    def admit(self, caller: Caller) -> Admitted:
        """Decide as the roster does whether the caller may be a peer at all (R2, whitelist).

        :raises Refusal: with the reason.
        :raises AWSCallError: neither IAM nor a stored sweep can tell, or the registry can't.
        """
        sweep, iam_error = self._sweep(caller)
        blocks = self._registry.blocks()
        grounds = refusal(sweep, caller.user_id, self._registry.tombstones(), blocks, self._settings.access.granting)
        if grounds is not None:
            code, message = _REFUSED[grounds.reason]
            raise Refusal(code, f"{message} ({grounds.detail}); ask the operators of the VPN")
        mine = {
            block.device: block.reason
            for block in blocks
            if (block.account_id, block.user_id) == (caller.account_id, caller.user_id) and block.device is not None
        }
        return Admitted(sweep.users[caller.user_id], caller.identity.arn, mine, iam_error)

    def _sweep(self, caller: Caller) -> tuple[Sweep, str | None]:
        """Ask IAM for the caller; without an answer take the stored sweep, and say why (R3, partial knowledge)."""
        try:
            return sweep_of_user(self._iam(caller.account_id), caller.account_id, caller.user_name, self._clock), None
        except AWSCallError as error:
            stored = self._registry.sweep(caller.account_id)
            if stored is None:
                raise
            return stored, str(error)

    def of(self, admitted: Admitted) -> list[Registration]:
        """List the user's registrations, ordered by device."""
        return self._registry.devices.registrations_of((admitted.user.account_id, admitted.user.user_id))

    def register(self, admitted: Admitted, device: str, public_key: str) -> DeviceChange:
        """Register a new device; the same key again changes nothing."""
        self._refuse_gateways_key(public_key)
        now = int(self._clock())
        user = admitted.user
        new = Registration(
            account_id=user.account_id,
            user_id=user.user_id,
            device=device,
            user_name=user.user_name,
            public_key=public_key,
            addresses=(),
            created_at=now,
            expires_at=now + self._settings.document.life,
            by=admitted.arn,
        )

        def wanted(before: Registration | None) -> Registration:
            if before is None:
                return new
            if before.public_key != public_key:
                raise Refusal(
                    RefusalCode.DEVICE_EXISTS,
                    f"{before.label} is registered with another key; rotate its key, or remove it",
                )
            return before

        return self._change(admitted, device, wanted)

    def renew(self, admitted: Admitted, device: str) -> DeviceChange:
        """Begin another life of a device, from half of its life on, also when it is over."""
        now = int(self._clock())

        def wanted(before: Registration | None) -> Registration:
            if before is None:
                raise _no_such_device(admitted, device)
            if before.renewed_at is not None and 0 <= now - before.renewed_at < REPEATED:
                return before
            renewable_from = self.renewable_from(before)
            if before.handed_out:
                raise Refusal(
                    RefusalCode.HANDED_OUT,
                    f"the key of {before.label} was handed out; rotate it on the device, then renew",
                )
            if before.expires_at is None:
                raise Refusal(RefusalCode.NEVER_EXPIRES, f"{before.label} doesn't expire")
            if renewable_from is None:
                raise Refusal(
                    RefusalCode.FIXED_END,
                    f"the operators of the VPN set that {before.label} ends at {_utc(before.expires_at)}; ask them for "
                    "more time",
                )
            if now < renewable_from:
                raise Refusal(RefusalCode.TOO_EARLY, f"{before.label} can be renewed from {_utc(renewable_from)} on")
            return before._replace(
                user_name=admitted.user.user_name,
                expires_at=now + self._settings.document.life,
                renewed_at=now,
                by=admitted.arn,
            )

        return self._change(admitted, device, wanted)

    def renewable_from(self, registration: Registration) -> float | None:
        """Return from when on its user can renew a registration: half of its life is over, and it would live longer.

        :returns: None if it doesn't expire, or an operator set when it does.
        """
        if registration.expires_at is None or registration.renewable_from is None or registration.fixed_end:
            return None
        return max(registration.renewable_from, registration.expires_at - self._settings.document.life)

    def rotate(self, admitted: Admitted, device: str, public_key: str) -> DeviceChange:
        """Give a device another key; its expiry stays."""
        self._refuse_gateways_key(public_key)

        def wanted(before: Registration | None) -> Registration:
            if before is None:
                raise _no_such_device(admitted, device)
            if before.public_key == public_key:
                return before
            return before.confirmed()._replace(
                user_name=admitted.user.user_name, public_key=public_key, handed_out=False, by=admitted.arn
            )

        return self._change(admitted, device, wanted)

    def remove(self, admitted: Admitted, device: str) -> Registration:
        """Remove a device; a blocked one stays, so that its key can't come back under another name."""
        _check_block(admitted, device)
        user = admitted.user
        registration = self._registry.devices.registration((user.account_id, user.user_id), device)
        removed = registration and self._registry.devices.remove(
            registration,
            quarantine=self._settings.document.address_quarantine,
            by=admitted.arn,
            reason="removed by its user",
        )
        if removed is None:
            raise _no_such_device(admitted, device)
        return removed

    def _refuse_gateways_key(self, public_key: str) -> None:
        if public_key in {gateway.public_key for gateway in self._settings.document.gateways}:
            raise Refusal(RefusalCode.KEY_HELD, "this is the gateway's own public key")

    def _change(
        self, admitted: Admitted, device: str, wanted: Callable[[Registration | None], Registration]
    ) -> DeviceChange:
        _check_block(admitted, device)
        document = self._settings.document
        before, after = self._registry.devices.change(
            (admitted.user.account_id, admitted.user.user_id),
            device,
            wanted,
            self._settings.pools,
            quarantine=document.address_quarantine,
            quota=Quota(document.devices_per_user, document.changes_per_day),
        )
        return DeviceChange(before, after)


def _check_block(admitted: Admitted, device: str) -> None:
    if device in admitted.blocked:
        raise Refusal(
            RefusalCode.BLOCKED,
            f"{admitted.user.user_name}/{device} is blocked ({admitted.blocked[device]}); ask the operators of the VPN",
        )


def _no_such_device(admitted: Admitted, device: str) -> Refusal:
    return Refusal(RefusalCode.NO_SUCH_DEVICE, f"{admitted.user.user_name} has no device {device}; list the devices")


def _utc(time_: float) -> str:
    return datetime.fromtimestamp(time_, timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
