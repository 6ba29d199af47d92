# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The roster as a file on the controller: what a run decided, for the gateways."""

from __future__ import annotations

import json
from typing import Any, Iterable, Mapping

from .files import write_private
from .model import Registration, Removed
from .roster import Exclusion
from .run import RunResult
from .whitelist import AccountSweeps

FORMAT = 2


def content(result: RunResult) -> dict[str, Any]:
    """Write a run's result as the roster file has it."""
    roster = result.roster
    return {
        "format": FORMAT,
        "generation": result.generation,
        "made_at": int(result.made_at),
        "registry": result.registry._asdict(),
        "refused": result.refused,
        "accounts": accounts(result.accounts),
        "peers": [{**_peer(peer), "held": peer in roster.held} for peer in roster.peers],
        "revoked": [_excluded(exclusion) for exclusion in roster.revoked],
        "excluded": [_excluded(exclusion) for exclusion in roster.excluded],
        "removed": [_removed(record) for record in roster.removed],
        "awaited": [peer.public_key for peer in roster.peers if peer.identity in result.awaited],
        "acknowledge": result.facts.acknowledge,
    }


def accounts(swept: Iterable[AccountSweeps]) -> list[dict[str, Any]]:
    """Write of each account whether its sweep was complete, and when the sweep in force began."""
    return [
        {
            "account_id": account.account_id,
            "complete": account.sweep is not None,
            "swept_at": None if account.in_force is None else int(account.in_force.begun_at),
            "error": account.error,
        }
        for account in swept
    ]


def _peer(registration: Registration) -> dict[str, Any]:
    return {
        "public_key": registration.public_key,
        "allowed_ips": [f"{address}/{128 if ':' in address else 32}" for address in registration.addresses],
        "account_id": registration.account_id,
        "user_id": registration.user_id,
        "user_name": registration.user_name,
        "device": registration.device,
        "expires_at": None if registration.expires_at is None else int(registration.expires_at),
    }


def _removed(record: Removed) -> dict[str, Any]:
    """Write a removal; by whom and why it was is the registry's alone."""
    named = {name: value for name, value in record._asdict().items() if name != "by"}
    return {**named, "reason": "removed"}


def _excluded(exclusion: Exclusion) -> dict[str, Any]:
    why = {"reason": exclusion.reason.value, "detail": exclusion.detail, "explained": exclusion.is_explained}
    return {**_peer(exclusion.registration), **why, "of_user": exclusion.of_user}


def replace(path: str, result: RunResult) -> bool:
    """Write a run's result to the roster file, and tell whether it says other things of devices than before.

    :param path: replaced atomically, mode 0600.
    """
    before, after = last_decision(path), content(result)
    write_private(path, json.dumps(after, separators=(",", ":")).encode())
    return before != decision(after)


def decision(roster: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Leave of a roster file what it says of devices.

    That is not when it was made, nor in which words, which differ once a leaver's tombstone is there.
    """
    return {
        part: [{name: value for name, value in entry.items() if name != "detail"} for entry in roster[part]]
        for part in ("peers", "revoked", "excluded")
    }


def last_decision(path: str) -> dict[str, list[dict[str, Any]]]:
    """Read what a roster file says of devices; nothing if there is no file, or none that can be read."""
    try:
        with open(path, encoding="utf-8") as file:
            return decision(json.load(file))
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return {}
