# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What the function answers when it doesn't do what it was asked."""

from __future__ import annotations

# Every code, with its HTTP status; docs/self-service.md explains them. A code never changes its meaning.
STATUS = {
    # the request
    "invalid_json": 400,
    "invalid_request": 400,
    "invalid_device": 400,
    "invalid_key": 400,
    "no_such_path": 404,
    "no_such_method": 405,
    "body_too_large": 413,
    "not_json": 415,
    # who calls
    "no_identity": 403,
    "role_session": 403,
    "federated_user": 403,
    "root_user": 403,
    "unknown_identity": 403,
    "account_not_served": 403,
    "wrong_url": 403,
    # the proof
    "proof_missing": 403,
    "proof_malformed": 403,
    "proof_headers": 403,
    "proof_of_another_request": 403,
    "proof_for_another_host": 403,
    "proof_for_another_function": 403,
    "proof_expired": 403,
    "proof_rejected": 403,
    "proof_of_another": 403,
    # the user
    "no_such_user": 403,
    "user_deleted": 403,
    "not_in_group": 403,
    "blocked": 403,
    # the device
    "no_such_device": 404,
    "device_exists": 409,
    "device_limit": 409,
    "too_many_removals": 409,
    "key_held": 409,
    "too_early": 409,
    "never_expires": 409,
    "handed_out": 409,
    # the function
    "internal": 500,
    "sts_unavailable": 503,
    "aws_unavailable": 503,
    "no_address": 503,
    "collided": 503,
}


class Refusal(Exception):
    """An answer other than success: a code of STATUS, a sentence for the user, and further headers."""

    def __init__(self, code: str, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = STATUS[code]
        self.code = code
        self.message = message
        self.headers = headers or {}
