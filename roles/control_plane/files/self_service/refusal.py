# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Answers of the function when it doesn't do what it was asked."""

from __future__ import annotations

import enum


class RefusalCode(enum.Enum):
    """Every code with its HTTP status; docs/self-service.md explains them. A code never changes its meaning."""

    # the request
    INVALID_JSON = ("invalid_json", 400)
    INVALID_REQUEST = ("invalid_request", 400)
    INVALID_DEVICE = ("invalid_device", 400)
    INVALID_KEY = ("invalid_key", 400)
    NO_SUCH_PATH = ("no_such_path", 404)
    NO_SUCH_METHOD = ("no_such_method", 405)
    BODY_TOO_LARGE = ("body_too_large", 413)
    NOT_JSON = ("not_json", 415)
    # who calls
    NO_IDENTITY = ("no_identity", 403)
    ROLE_SESSION = ("role_session", 403)
    FEDERATED_USER = ("federated_user", 403)
    ROOT_USER = ("root_user", 403)
    UNKNOWN_IDENTITY = ("unknown_identity", 403)
    ACCOUNT_NOT_SERVED = ("account_not_served", 403)
    WRONG_URL = ("wrong_url", 403)
    # the proof
    PROOF_MISSING = ("proof_missing", 403)
    PROOF_MALFORMED = ("proof_malformed", 403)
    PROOF_HEADERS = ("proof_headers", 403)
    PROOF_OF_ANOTHER_REQUEST = ("proof_of_another_request", 403)
    PROOF_FOR_ANOTHER_HOST = ("proof_for_another_host", 403)
    PROOF_FOR_ANOTHER_FUNCTION = ("proof_for_another_function", 403)
    PROOF_EXPIRED = ("proof_expired", 403)
    PROOF_REJECTED = ("proof_rejected", 403)
    PROOF_OF_ANOTHER = ("proof_of_another", 403)
    # the user
    NO_SUCH_USER = ("no_such_user", 403)
    USER_DELETED = ("user_deleted", 403)
    NOT_IN_GROUP = ("not_in_group", 403)
    BLOCKED = ("blocked", 403)
    # the device
    NO_SUCH_DEVICE = ("no_such_device", 404)
    DEVICE_EXISTS = ("device_exists", 409)
    DEVICE_LIMIT = ("device_limit", 409)
    TOO_MANY_REMOVALS = ("too_many_removals", 409)
    TOO_MANY_CHANGES = ("too_many_changes", 409)
    KEY_HELD = ("key_held", 409)
    TOO_EARLY = ("too_early", 409)
    NEVER_EXPIRES = ("never_expires", 409)
    FIXED_END = ("fixed_end", 409)
    HANDED_OUT = ("handed_out", 409)
    # the function
    INTERNAL = ("internal", 500)
    STS_UNAVAILABLE = ("sts_unavailable", 503)
    AWS_UNAVAILABLE = ("aws_unavailable", 503)
    NO_ADDRESS = ("no_address", 503)
    COLLIDED = ("collided", 503)

    def __init__(self, code: str, status: int) -> None:
        self.code = code
        self.status = status


STATUS = {one.code: one.status for one in RefusalCode}


class Refusal(Exception):
    """An answer other than success: a code, a sentence for the user, and further headers."""

    def __init__(self, code: RefusalCode, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = code.status
        self.code = code.code  # as it is answered
        self.message = message
        self.headers = headers or {}
