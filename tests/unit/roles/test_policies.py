# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The policies for users, evaluated as IAM does: an explicit deny, else an allow, else no."""

from __future__ import annotations

import json
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

DIRECTORY = Path(__file__).parents[3] / "roles/control_plane/files/policies"
FUNCTION = "arn:aws:lambda:eu-west-1:111122223333:function:tracklib-vpn-self-service"
ANYTHING = {"Effect": "Allow", "Action": "*", "Resource": "*"}
BY_URL = {"lambda:FunctionUrlAuthType": "AWS_IAM", "lambda:InvokedViaFunctionUrl": "true"}
HOUR = 3600


def statements(*names: str) -> list[dict[str, Any]]:
    documents = [json.loads((DIRECTORY / f"{name}.json").read_text()) for name in names]
    assert all(document["Version"] == "2012-10-17" for document in documents)
    return [statement for document in documents for statement in document["Statement"]]


def several(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def holds(operator: str, key: str, wanted: str, context: dict[str, str]) -> bool:
    """One condition. A key that the request lacks doesn't match, but does for an operator with IfExists."""
    if key not in context:
        return operator.endswith("IfExists")
    found = context[key]
    return {
        "StringEquals": lambda: found == wanted,
        "Bool": lambda: found == wanted,
        "NumericGreaterThanIfExists": lambda: float(found) > float(wanted),
    }[operator]()


def applies(statement: dict[str, Any], action: str, resource: str, context: dict[str, str]) -> bool:
    return (
        any(fnmatchcase(action, pattern) for pattern in several(statement["Action"]))
        and any(fnmatchcase(resource, pattern) for pattern in several(statement["Resource"]))
        and all(
            holds(operator, key, wanted, context)
            for operator, keys in statement.get("Condition", {}).items()
            for key, wanted in keys.items()
        )
    )


def may(policy: list[dict[str, Any]], action: str, alias: str, context: dict[str, str]) -> bool:
    effects = {
        statement["Effect"] for statement in policy if applies(statement, action, f"{FUNCTION}:{alias}", context)
    }
    return "Deny" not in effects and "Allow" in effects


def may_call(policy: list[dict[str, Any]], alias: str, mfa_age: float | None = None) -> bool:
    """Whether a call of a function URL goes through, which needs both permissions."""
    context = {**BY_URL, **({} if mfa_age is None else {"aws:MultiFactorAuthAge": str(mfa_age)})}
    return all(may(policy, f"lambda:{name}", alias, context) for name in ("InvokeFunctionUrl", "InvokeFunction"))


def test_user_may_call_both_urls_and_nothing_else() -> None:
    policy = statements("self_service_user")
    assert may_call(policy, "manage")
    assert may_call(policy, "renew")
    assert not may_call(policy, "another")
    assert not may(policy, "lambda:UpdateFunctionCode", "manage", BY_URL)


def test_r14_user_may_not_invoke_the_function_past_its_urls() -> None:
    policy = statements("self_service_user")
    assert not may(policy, "lambda:InvokeFunction", "manage", {})
    assert not may(policy, "lambda:InvokeFunction", "manage", {"lambda:InvokedViaFunctionUrl": "false"})


@pytest.mark.parametrize(("mfa_age", "allowed"), [(None, False), (60, True), (8 * HOUR, True), (8 * HOUR + 1, False)])
def test_renewing_needs_a_fresh_mfa_session_whatever_else_allows_it(mfa_age: float | None, allowed: bool) -> None:
    policy = [*statements("self_service_user", "self_service_renew_mfa"), ANYTHING]
    assert may_call(policy, "renew", mfa_age) == allowed
    assert may_call(policy, "manage", mfa_age)
