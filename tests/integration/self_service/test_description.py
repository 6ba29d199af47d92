# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The function keeps to its OpenAPI description, whatever it is sent."""

from __future__ import annotations

import json
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings

from tests.support.describe_function import FILE

from .people import People, Signing


def description() -> dict[str, Any]:
    """Without signature and proof, which every call here brings along; test_r14 is about calls that lack them."""
    found: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    del found["security"]
    for path in found["paths"].values():
        for operation in path.values():
            operation["parameters"] = [one for one in operation.get("parameters", []) if one["in"] != "header"]
    return found


schema = schemathesis.openapi.from_dict(description())


@pytest.fixture
def alice(people: People) -> Any:
    """A user who has devices already."""
    person = people.user("alice")
    person.register("laptop")
    return person


@schema.parametrize()
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_function_keeps_to_its_description(case: schemathesis.Case[Any], alice: Any) -> None:
    function = alice.function
    base_url = function.renew_url if case.path.endswith("/renewal") else function.manage_url
    case.call_and_validate(base_url=base_url, auth=Signing(alice))
