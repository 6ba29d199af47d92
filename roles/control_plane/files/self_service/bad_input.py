# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Refusals of bad input, before a route is called."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from aws_lambda_powertools.event_handler.openapi.exceptions import RequestValidationError

from .messages import JSON, MAX_BODY
from .refusal import Refusal, RefusalCode


def check_body(event: Mapping[str, Any]) -> None:
    """Refuse a body that is too large or isn't JSON, before anything parses it.

    :raises Refusal: it is too large, or no JSON.
    """
    body = event.get("body") or ""
    if len(body) > 4 * MAX_BODY:  # not even decoded
        raise _too_large()
    try:
        content = base64.b64decode(body, validate=True) if event.get("isBase64Encoded") else body.encode()
    except ValueError:
        raise _no_json() from None
    if len(content) > MAX_BODY:
        raise _too_large()
    if not content:
        return
    media_type = str((event.get("headers") or {}).get("content-type", JSON)).partition(";")[0].strip().lower()
    if media_type != JSON:
        raise Refusal(RefusalCode.NOT_JSON, f"the body must be {JSON}")
    try:
        json.loads(content.decode())
    except (ValueError, RecursionError):
        raise _no_json() from None


def _too_large() -> Refusal:
    return Refusal(RefusalCode.BODY_TOO_LARGE, f"the body has more than {MAX_BODY} bytes")


def _no_json() -> Refusal:
    return Refusal(RefusalCode.INVALID_JSON, "the body isn't JSON in UTF-8")


def invalid(error: RequestValidationError) -> Refusal:
    """Say the first thing that is wrong; what was sent isn't repeated, it could be a secret."""
    first = error.errors()[0]
    where, kind = [str(part) for part in first["loc"]], first["type"]
    field = where[-1] if kind != "extra_forbidden" else ""
    if where[0] == "header":
        return Refusal(
            RefusalCode.PROOF_MISSING, "the call has no proof of identity; use the enroll playbook or script"
        )
    if field == "device" and kind != "missing":
        return Refusal(
            RefusalCode.INVALID_DEVICE,
            "the device name is refused; expected 1 to 32 lower-case letters, digits and hyphens",
        )
    if field == "public_key" and kind != "missing":
        said = str(first["msg"]).removeprefix("Value error, ") if kind == "value_error" else "it must be a string"
        return Refusal(RefusalCode.INVALID_KEY, f"the public key is refused: {said}")
    if kind == "missing" and len(where) > 1:
        return Refusal(RefusalCode.INVALID_REQUEST, f"the body lacks {field}")
    if kind == "extra_forbidden":
        return Refusal(RefusalCode.INVALID_REQUEST, "the body has a field that isn't known here")
    return Refusal(
        RefusalCode.INVALID_REQUEST, "the body must be an object, as docs/self-service.openapi.json describes it"
    )
