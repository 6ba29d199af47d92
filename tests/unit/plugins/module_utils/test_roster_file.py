# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The roster file: what it says of devices to the gateways, and when it counts as changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils import roster_file
from ansible_collections.tracklib.vpn.plugins.module_utils.model import Decision, Registered, RegistryIdentity
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.facts import RegistryFacts
from ansible_collections.tracklib.vpn.plugins.module_utils.roster import Exclusion, Roster
from ansible_collections.tracklib.vpn.plugins.module_utils.run import RunResult
from ansible_collections.tracklib.vpn.plugins.module_utils.whitelist import Reason

from tests.support.decisions import ACCOUNT, NOW, OTHER, account, key, registration, removed, sweep, unswept, user

REVOKED = Exclusion(registration(2), Reason.TOMBSTONED, "deleted")
LEFT_OUT = Exclusion(registration(3), Reason.NOT_IN_GROUP, "in none")
FACTS = RegistryFacts(
    registered=Registered([], {}, []),
    tombstones=[],
    blocks=[],
    signs=[],
    sweeps={},
    decision=Decision(),
    gateway_keys=frozenset(),
    acknowledge=["removal-1"],
    problems=[],
    surplus=[],
)


def roster(**changes: Any) -> Roster:
    made = Roster(
        peers=[],
        held=set(),
        revoked=[],
        excluded=[],
        removed=[],
        leavers=[],
        reversed=[],
        spared=[],
        release_token=None,
        decision=Decision(),
    )
    return made._replace(**changes)


def result(decided: Roster, **changes: Any) -> RunResult:
    made = RunResult(
        registry=RegistryIdentity("4f2a", ACCOUNT, "eu-west-1", "tracklib-vpn", "table-1"),
        generation=7,
        made_at=NOW + 0.5,
        facts=FACTS,
        renamed=[],
        accounts=[],
        before=Decision(),
        roster=decided,
        refused=None,
        problems=[],
    )
    return made._replace(**changes)


def written(decided: Roster, **changes: Any) -> dict[str, Any]:
    """What a gateway reads."""
    content: dict[str, Any] = json.loads(json.dumps(roster_file.content(result(decided, **changes))))
    return content


def test_r6_file_says_which_registry_it_is_of_and_when_it_was_decided() -> None:
    content = written(roster())
    assert (content["format"], content["generation"], content["made_at"]) == (2, 7, 1_800_000_000)
    assert content["registry"] == {
        "identity": "4f2a",
        "account_id": ACCOUNT,
        "region": "eu-west-1",
        "table": "tracklib-vpn",
        "table_id": "table-1",
    }
    assert (content["refused"], content["acknowledge"]) == (None, ["removal-1"])
    assert written(roster(), refused="the pools overlap")["refused"] == "the pools overlap"


def test_file_says_which_peers_are_handouts_that_nobody_has_used() -> None:
    decided = roster(peers=[registration(1), registration(2)])
    awaited = frozenset([registration(2).identity, registration(3).identity])
    assert written(decided, awaited=awaited)["awaited"] == [key(2)]
    assert written(decided)["awaited"] == []


def test_file_says_whose_sweep_was_complete() -> None:
    assert written(roster(), accounts=[account(sweep(user(1))), unswept(OTHER)])["accounts"] == [
        {"account_id": ACCOUNT, "complete": True, "swept_at": 1_799_999_990, "error": None},
        {"account_id": OTHER, "complete": False, "swept_at": None, "error": "denied"},
    ]


def test_r5_file_says_who_is_a_peer_and_who_is_held() -> None:
    peer = registration(1, addresses=("10.44.0.2", "fd44::2"), expires_at=NOW + 0.5)
    content = written(roster(peers=[peer, registration(2)], held={peer}))
    assert content["peers"] == [
        {
            "public_key": key(1),
            "allowed_ips": ["10.44.0.2/32", "fd44::2/128"],
            "account_id": ACCOUNT,
            "user_id": "AIDA1",
            "user_name": "user1",
            "device": "laptop",
            "expires_at": 1_800_000_000,
            "held": True,
        },
        {
            "public_key": key(2),
            "allowed_ips": ["10.44.0.4/32"],
            "account_id": ACCOUNT,
            "user_id": "AIDA2",
            "user_name": "user2",
            "device": "laptop",
            "expires_at": None,
            "held": False,
        },
    ]


def test_r5_file_says_why_everybody_else_is_left_out_and_whether_that_is_explained() -> None:
    released = LEFT_OUT._replace(is_released=True)
    content = written(roster(revoked=[REVOKED], excluded=[REVOKED, LEFT_OUT, released]))
    (revoked,) = content["revoked"]
    assert revoked == {
        "public_key": key(2),
        "allowed_ips": ["10.44.0.4/32"],
        "account_id": ACCOUNT,
        "user_id": "AIDA2",
        "user_name": "user2",
        "device": "laptop",
        "expires_at": None,
        "reason": "tombstoned",
        "detail": "deleted",
        "explained": True,
        "of_user": False,
    }
    assert content["excluded"][0] == revoked
    assert [(each["reason"], each["explained"]) for each in content["excluded"][1:]] == [
        ("not_in_group", False),
        ("not_in_group", True),
    ]


def test_r5_file_names_removed_registrations() -> None:
    (named,) = written(roster(removed=[removed(4)]))["removed"]
    assert named == {
        "account_id": ACCOUNT,
        "user_id": "AIDA4",
        "device": "laptop",
        "user_name": "user4",
        "public_key": key(4),
        "removed_at": NOW - 60,
        "reason": "removed",
    }


def test_file_is_changed_only_when_it_says_other_things_of_devices(tmp_path: Path) -> None:
    path = tmp_path / "roster.json"
    first = roster(peers=[registration(1)], excluded=[REVOKED])
    assert roster_file.replace(str(path), result(first))
    reworded = first._replace(excluded=[REVOKED._replace(detail="deleted: tombstone event")])
    assert not roster_file.replace(str(path), result(reworded, generation=8))
    assert json.loads(path.read_text())["generation"] == 8
    assert path.stat().st_mode & 0o777 == 0o600
    assert roster_file.replace(str(path), result(roster()))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"peers": 1}', "no JSON"])
def test_file_that_cannot_be_read_says_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "roster.json").write_text(text)
    assert roster_file.last_decision(str(tmp_path / "roster.json")) == {}
