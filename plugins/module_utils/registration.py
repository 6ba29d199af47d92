# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What an operator wants a device's registration to be. Pure: no AWS, no Ansible, no clock."""

from __future__ import annotations

from typing import NamedTuple

from .keys import check_public_key
from .model import Registration, User
from .registry.dynamodb import RegistryError


class Wanted(NamedTuple):
    """A device as an operator describes it."""

    user: User
    device: str
    label: str  # what the operator called it, for messages
    public_key: str | None  # None: the registered key stays, which only a renewal allows
    life: int | None  # seconds, of a new or renewed registration; None if it doesn't expire
    renew: bool = False  # whether an unexpired registration gets a new life, too


def updated(registered: Registration | None, wanted: Wanted, now: int) -> Registration:
    """Decide what a registration is to be: an unexpired one keeps its expiry, unless it is to be renewed.

    :param registered: what the registry has; None if nothing.
    :param now: seconds since the epoch.
    :returns: the registration, without addresses, which the registry gives.
    :raises ValueError: the public key is missing or none.
    :raises RegistryError: a device that isn't registered can't be renewed.
    """
    registration = Registration(
        account_id=wanted.user.account_id,
        user_id=wanted.user.user_id,
        device=wanted.device,
        user_name=wanted.user.user_name,
        public_key=_public_key(registered, wanted),
        addresses=(),
        created_at=now,
        expires_at=None if wanted.life is None else now + wanted.life,
    )
    if registered is None:
        return registration
    same_key = registered.public_key == registration.public_key
    registration = registration._replace(handed_out=registered.handed_out and same_key)
    expired = registered.expires_at is not None and registered.expires_at <= now
    if expired or wanted.renew:
        return registration._replace(renewed_at=now)
    return registration._replace(expires_at=registered.expires_at, renewed_at=registered.renewed_at)


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
