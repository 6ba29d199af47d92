# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The policies that deny a takeover of the gateways, and what docs/operations.md says of them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from .templates import FILES, TEMPLATES, policies

OPERATIONS = Path(__file__).parents[4] / "docs/operations.md"
DOCUMENTS = [json.loads(path.read_text()) for path in sorted(FILES.glob("deny_takeover*.json"))]
STATEMENTS: dict[str, dict[str, Any]] = {
    statement["Sid"]: statement for document in DOCUMENTS for statement in document["Statement"]
}
SCP_LIMIT = 5120  # characters, the smaller one of those that the page names
OPERATORS = "arn:aws:iam::111122223333:role/NetworkOperators"
OWN = "arn:aws:iam::111122223333:role/tracklib-vpn-"


def _list(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def _rows() -> list[str]:
    """The first column of the table of what equals root."""
    section = OPERATIONS.read_text().split("\n## What equals root on the gateways\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    return [line.split(" | ")[0] for line in lines[1:]]


def _actions(row: str) -> set[str]:
    """The actions of a row: what has no service has that of the one before."""
    found, service = set(), ""
    for named, action in re.findall(r"`(?:([a-z0-9-]+):)?([A-Z][A-Za-z]+)`", row):
        service = named or service
        found.add(f"{service}:{action}")
    return found


def _denied() -> set[str]:
    return {action for statement in STATEMENTS.values() for action in _list(statement["Action"])}


@pytest.mark.parametrize("row", _rows())
def test_the_policies_deny_what_a_row_of_the_table_names(row: str) -> None:
    assert _actions(row)
    assert _actions(row) - _denied() == set()


def test_the_table_names_all_that_the_policies_deny() -> None:
    assert _denied() - {action for row in _rows() for action in _actions(row)} == set()


def test_each_policy_only_denies_and_fits_where_it_is_attached() -> None:
    assert {statement["Effect"] for statement in STATEMENTS.values()} == {"Deny"}
    assert len(DOCUMENTS) == 2
    for document in DOCUMENTS:
        assert len(json.dumps(document, separators=(",", ":"))) <= SCP_LIMIT


def test_operators_are_exempt_everywhere_and_a_stacks_role_only_where_it_must_be() -> None:
    exempt = {
        sid: _list(statement["Condition"]["ArnNotEquals"]["aws:PrincipalArn"]) for sid, statement in STATEMENTS.items()
    }
    assert {sid for sid, arns in exempt.items() if OPERATORS not in arns} == set()
    assert {sid: [arn.removeprefix(OWN) for arn in arns[1:]] for sid, arns in exempt.items() if len(arns) > 1} == {
        "Builds": ["dispatcher"],
        "Hosts": ["reconcile"],
        "Queue": ["self-service"],
        "Registry": ["dispatcher", "reconcile", "self-service"],
    }


def test_no_role_of_the_stacks_is_denied_what_its_stack_allows() -> None:
    """Whoever may, in the templates, do what is denied here is exempt; resources are told apart by their service."""
    for template in TEMPLATES:
        for policy in policies(template):
            for statement in policy.statements:
                if policy.principals or statement["Effect"] != "Allow":
                    continue
                for action in _list(statement["Action"]):
                    for sid, denied in STATEMENTS.items():
                        if action in _list(denied["Action"]) and _own(policy.resource):
                            exempt = _list(denied["Condition"]["ArnNotEquals"]["aws:PrincipalArn"])
                            assert OWN + _own(policy.resource) in exempt or _elsewhere(statement), f"{sid}: {action}"


def _own(resource: str) -> str:
    """The role that a policy of the templates is attached to."""
    for beginning, role in (("Dispatcher", "dispatcher"), ("Reconcile", "reconcile"), ("SelfService", "self-service")):
        if resource.startswith(beginning):
            return role
    return ""


def _elsewhere(statement: dict[str, Any]) -> bool:
    """Whether it is about queues that nobody's own policy lets write to, or that nothing here protects."""
    queues = {"DeadLetters", "tracklib-vpn-gateway-*"}
    return {resource.rpartition(":")[2] for resource in _list(statement["Resource"])} <= queues


def test_an_event_source_is_denied_by_its_function_since_it_has_no_other_resource() -> None:
    statement = STATEMENTS["EventSources"]
    assert statement["Resource"] == "*"
    assert statement["Condition"]["ArnLike"] == {
        "lambda:FunctionArn": "arn:aws:lambda:eu-west-1:111122223333:function:tracklib-vpn-*"
    }


def test_users_may_go_on_calling_self_service() -> None:
    """Its URLs need lambda:InvokeFunction, too."""
    (statement,) = [one for one in STATEMENTS.values() if "lambda:InvokeFunction" in _list(one["Action"])]
    assert statement["Resource"] == "arn:aws:lambda:eu-west-1:111122223333:function:tracklib-vpn-dispatcher*"
