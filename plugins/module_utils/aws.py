# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What every call to AWS here shares: bounded retries, and errors of one line. Importable without Ansible."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any, Iterator

try:
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, NoRegionError
    from botocore.parsers import ResponseParserError
    from botocore.utils import parse_timestamp as sdk_parse_timestamp
except ImportError:  # AnsibleAWSModule reports the missing SDK
    pass

DENIED_CODES = ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation")
_BAD_CREDENTIALS = (
    "InvalidClientTokenId",
    "UnrecognizedClientException",
    "ExpiredToken",
    "ExpiredTokenException",
    "SignatureDoesNotMatch",
    "AuthFailure",
)

# botocore's standard mode retries throttling by any of its names, resets and 5xx; five tries take about 8 s, and
# some 20 s where packets are dropped.
CLIENT_CONFIG: dict[str, Any] = {
    "retries": {"mode": "standard", "total_max_attempts": 5},
    "connect_timeout": 3,
    "read_timeout": 30,
}
# Lambda ends a function's call after 30 s, so none of its own may wait for long.
FUNCTION_CONFIG: dict[str, Any] = {
    "retries": {"mode": "standard", "total_max_attempts": 3},
    "connect_timeout": 2,
    "read_timeout": 5,
}


class AWSCallError(RuntimeError):
    """A call to AWS that failed for good: what was tried, what AWS said, and what to do, in one line."""

    def __init__(self, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.code = code


@contextmanager
def calling(action: str, resource: str) -> Iterator[None]:
    """Turn the SDK's exceptions into AWSCallError.

    :param action: the IAM action, such as `dynamodb:Query`.
    :param resource: what it is done to, for people: `table tracklib-vpn`.
    """
    try:
        yield
    except ClientError as error:
        raise AWSCallError(_explain(error, action, resource), error.response["Error"]["Code"]) from error
    except NoCredentialsError as error:
        raise AWSCallError(
            f"no AWS credentials for {action} on {resource}; set a profile, access keys or a role", "NoCredentials"
        ) from error
    except NoRegionError as error:
        raise AWSCallError(f"no AWS region for {action} on {resource}; set region or AWS_REGION") from error
    except (BotoCoreError, ResponseParserError) as error:
        raise AWSCallError(f"{action} on {resource} failed: {_one_line(error)}") from error


def parse_timestamp(value: Any) -> datetime:
    """A time in an answer, as the SDK gives it; the SDK's own way costs 0.2 ms for each user of a sweep."""
    if isinstance(value, str) and value.endswith("Z"):
        with suppress(ValueError):
            return datetime.fromisoformat(value[:-1] + "+00:00")
    found: datetime = sdk_parse_timestamp(value)
    return found


def _explain(error: ClientError, action: str, resource: str) -> str:
    code = error.response["Error"]["Code"]
    said = _one_line(error.response["Error"].get("Message", ""))
    if code in DENIED_CODES:
        return f"access denied: these credentials need {action} on {resource} ({said})"
    if code in _BAD_CREDENTIALS:
        return f"AWS doesn't accept these credentials for {action} on {resource}: {code} ({said})"
    if code == "ResourceNotFoundException" and action.startswith("dynamodb:"):
        return (
            f"{resource} doesn't exist in this region and account; check vpn_registry_table and the region, "
            "or create it with the playbook tracklib.vpn.deploy"
        )
    return f"{action} on {resource} failed: {code} ({said})"


def _one_line(text: object) -> str:
    return " ".join(str(text).split())
