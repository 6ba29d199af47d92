# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What an operator wants a device's registration to be. Pure: no AWS, no Ansible, no clock."""

from __future__ import annotations

import math
from typing import NamedTuple

from .keys import check_public_key, fingerprint
from .model import Registration, User
from .registry.dynamodb import RegistryError
from .timespan import LIFE, seconds, utc

_NEVER = "never"


class Wanted(NamedTuple):
    """A device as an operator describes it."""

    user: User
    device: str
    label: str  # what the operator called it, for messages
    public_key: str | None  # None: the registered key stays, which only a renewal allows
    life: float | None = None  # seconds, infinity if it doesn't expire; None: as long as before, or the usual life
    renew: bool = False  # whether an unexpired registration gets a new life, too
    replace: bool = True  # whether another key takes the place of the registered one
    by: str | None = None  # the ARN of whose order it is


def life_of(expires_in: str | None) -> float | None:
    """Read how long a registration is to live, in seconds; infinity for `never`, None if nothing is said.

    :raises ValueError: it is neither a time span nor `never`.
    """
    if expires_in is None:
        return None
    return math.inf if expires_in == _NEVER else seconds("expires_in", expires_in)


def updated(registered: Registration | None, wanted: Wanted, now: int) -> Registration:
    """Decide what a registration is to be: an unexpired one keeps its expiry, unless it is to be renewed.

    :param registered: what the registry has; None if nothing.
    :param now: seconds since the epoch.
    :returns: the registration, without addresses, which the registry gives.
    :raises ValueError: the public key is missing or none.
    :raises RegistryError: a device that isn't registered can't be renewed, or the device has another key, which is to
        stay.
    """
    registration = Registration(
        account_id=wanted.user.account_id,
        user_id=wanted.user.user_id,
        device=wanted.device,
        user_name=wanted.user.user_name,
        public_key=_public_key(registered, wanted),
        addresses=(),
        created_at=now,
        expires_at=_end(registered, wanted, now),
        fixed_end=wanted.life is not None and wanted.life != math.inf,
        by=wanted.by,
    )
    if registered is None:
        return registration
    same_key = registered.public_key == registration.public_key
    if not same_key and not wanted.replace:
        raise RegistryError(
            f"{wanted.label} is registered with another key: {fingerprint(registered.public_key)}, given "
            f"{fingerprint(registration.public_key)}. Nothing was written; to have the new key take its place, set "
            "replace (register_replace of the playbook) to true"
        )
    registration = registration._replace(handed_out=registered.handed_out and same_key)
    if not registered.has_expired(now) and not wanted.renew:
        kept = registered if same_key else registered.confirmed()
        return registration._replace(
            expires_at=kept.expires_at,
            renewed_at=kept.renewed_at,
            fixed_end=kept.fixed_end,
            confirmed_end=kept.confirmed_end,
        )
    if wanted.life is None:
        registration = registration._replace(fixed_end=registered.fixed_end)
    if same_key and registration.expires_at == registered.expires_at:  # it would live no longer
        return registration._replace(renewed_at=registered.renewed_at)
    return registration._replace(renewed_at=now)


def _end(registered: Registration | None, wanted: Wanted, now: int) -> float | None:
    """When a new life ends; None if it doesn't. Only a life that is asked for may end before the registered one."""
    if wanted.life is not None:
        return None if wanted.life == math.inf else now + wanted.life
    if registered is None:
        return now + seconds("expires_in", LIFE)
    if registered.expires_at is None or registered.life is None:
        return None
    life = registered.life if registered.life > 0 else seconds("expires_in", LIFE)
    return max(registered.expires_at, now + life)


def end_in_words(registration: Registration) -> str:
    """Write when a registration ends."""
    return _NEVER if registration.expires_at is None else utc(registration.expires_at)


def _public_key(registered: Registration | None, wanted: Wanted) -> str:
    """The key to have: the given one, or, when renewing, the registered one."""
    if wanted.public_key is not None:
        try:
            return check_public_key(wanted.public_key)
        except ValueError as error:
            raise ValueError(f"{wanted.label}: {error}") from None
    if not wanted.renew:
        raise ValueError(f"{wanted.label}: public_key is missing; only with renew does the registered key stay")
    if registered is None:
        raise RegistryError(f"{wanted.label} can't be renewed: it isn't registered; register it with its public_key")
    return registered.public_key
