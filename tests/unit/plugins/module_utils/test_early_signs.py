# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Early signs of leaving, settled after the gateways are served (R12, events are hints)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils.aws import AWSCallError
from ansible_collections.tracklib.vpn.plugins.module_utils.early_signs import EarlySigns, Settled, settle
from ansible_collections.tracklib.vpn.plugins.module_utils.model import CONSISTENCY, Sign
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.dynamodb import Table
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.items import registration_item, sign_item
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.table import Registry

from tests.support.decisions import ACCOUNT, OTHER, block, registration, registrations, sweep, user, users
from tests.support.iam_client import Iam, error
from tests.support.runs import register
from tests.support.tables import NOW, TABLE, Clock


def sign(number: int, age: float = 60, **changes: Any) -> Sign:
    return Sign(ACCOUNT, f"AIDA{number}", "DeleteLoginProfile", NOW - age)._replace(**changes)


def begin(registry: Registry, *signs: Sign) -> None:
    """Register two users, of whom these signs are."""
    register(registry, 1, 2)
    registry.store_sweep(sweep(*users((1, 2))), 1)
    for each in signs:
        registry.write_sign(each)


def settled(
    registry: Registry,
    iam: Iam | Callable[[str], Any],
    early_signs: EarlySigns = EarlySigns.WARN,
    *,
    check_mode: bool = False,
) -> Settled:
    iam_of: Callable[[str], Any] = (lambda _account: iam) if isinstance(iam, Iam) else iam
    return settle(registry, iam_of, early_signs, NOW, check_mode=check_mode)


def test_user_who_cannot_sign_in_is_named_and_the_sign_is_kept(registry: Registry) -> None:
    begin(registry, sign(1))
    assert settled(registry, Iam(unable={"user1"})) == Settled(["user1"], [], 0, 0, [])
    assert (registry.blocks(), registry.facts().signs) == ([], [sign(1)])


def test_user_who_cannot_sign_in_is_suspended_when_that_is_wanted(registry: Registry) -> None:
    begin(registry, sign(1))
    assert settled(registry, Iam(unable={"user1"}), EarlySigns.SUSPEND).suspended == ["user1"]
    (made,) = registry.blocks()
    assert (made.user_id, made.device, made.reason) == (
        *("AIDA1", None),
        "suspended: DeleteLoginProfile left no login profile and no active access key",
    )
    assert registry.facts().signs == []


def test_check_mode_suspends_and_forgets_nobody(registry: Registry) -> None:
    begin(registry, sign(1), sign(2, age=CONSISTENCY + 60))
    found = settled(registry, Iam(unable={"user1"}), EarlySigns.SUSPEND, check_mode=True)
    assert found.suspended == ["user1"]
    assert (registry.blocks(), len(registry.facts().signs)) == ([], 2)


@pytest.mark.parametrize(("age", "forgotten"), [(CONSISTENCY, 0), (CONSISTENCY + 1, 1)])
def test_sign_that_iam_refutes_is_forgotten_once_iam_is_consistent(
    registry: Registry, age: float, forgotten: int
) -> None:
    begin(registry, sign(1, age=age))
    found = settled(registry, Iam(), EarlySigns.SUSPEND)
    assert (found.names, found.forgotten) == ([], forgotten)
    assert len(registry.facts().signs) == 1 - forgotten


def test_iam_is_asked_for_nobody_who_is_blocked_unlisted_or_without_a_device(registry: Registry) -> None:
    begin(registry, sign(1), sign(3), sign(4))
    registry.block(block(1))
    registry.store_sweep(sweep(*users((1, 2, 3))), 2)
    iam = Iam(unable={"user1", "user3", "user4"})
    assert settled(registry, iam).names == []
    assert iam.asked == []


def test_user_of_whom_one_device_is_blocked_is_asked_for(registry: Registry) -> None:
    begin(registry, sign(1))
    registry.block(block(1, device="laptop"))
    assert settled(registry, Iam(unable={"user1"})).names == ["user1"]


def test_names_are_told_in_their_order(registry: Registry) -> None:
    begin(registry, sign(1, age=30), sign(2))
    registry.store_sweep(sweep(user(1, user_name="bob"), user(2, user_name="alice")), 2)
    assert settled(registry, Iam(unable={"alice", "bob"})).names == ["alice", "bob"]


def test_at_most_100_signs_are_checked_in_a_run_the_latest_first(registry: Registry, client: Any) -> None:
    """500 users without passwords would be 1,000 calls."""
    numbers = range(103)
    items = [*map(registration_item, registrations(numbers)), *(sign_item(sign(number, number)) for number in numbers)]
    Table(client, TABLE).write_all(items)
    registry.store_sweep(sweep(*users(numbers)), 1)
    iam = Iam(unable={f"user{number}" for number in numbers})
    found = settled(registry, iam, EarlySigns.SUSPEND)
    assert (iam.asked, found.left) == ([f"user{number}" for number in range(100)], 3)
    assert [each.user_id for each in registry.facts().signs] == ["AIDA100", "AIDA101", "AIDA102"]
    assert len(settled(registry, iam, EarlySigns.SUSPEND).suspended) == 3


def test_more_than_100_confirmed_signs_take_turns(registry: Registry, table: Table, clock: Clock) -> None:
    numbers = range(230)
    items = [*map(registration_item, registrations(numbers)), *(sign_item(sign(number, number)) for number in numbers)]
    table.write_all(items)
    registry.store_sweep(sweep(*users(numbers)), 1)
    asked: list[list[str]] = []
    for number in range(4):
        iam = Iam(unable={f"user{each}" for each in numbers})
        found = settled(registry, iam)
        assert (len(found.names), found.left) == (100, 130)
        asked.append(iam.asked)
        clock.now += 60
        if number == 1:
            registry.write_sign(sign(7, age=-1))
    assert asked[0] == [f"user{number}" for number in range(100)]
    assert asked[1] == [f"user{number}" for number in range(100, 200)]
    assert asked[2][:31] == ["user7", *(f"user{number}" for number in range(200, 230))]
    assert asked[2][31:] == [f"user{number}" for number in range(70) if number != 7]
    assert asked[3][:30] == [f"user{number}" for number in range(70, 100)]


def test_check_mode_takes_no_turn(registry: Registry, table: Table) -> None:
    numbers = range(101)
    table.write_all([sign_item(sign(number, number)) for number in numbers])
    settled(registry, Iam(), check_mode=True)
    assert {each.asked_at for each in registry.facts().signs} == {0}


def test_r17_account_that_cannot_be_asked_is_a_problem_and_others_go_on(registry: Registry) -> None:
    begin(registry, sign(1), sign(9, account_id=OTHER))
    registry.devices.register(registration(9, account_id=OTHER), [])
    registry.store_sweep(sweep(user(9, account_id=OTHER), account=OTHER), 1)

    def iam_of(account_id: str) -> Iam:
        if account_id == OTHER:
            raise AWSCallError("access denied")
        return Iam(unable={"user1"})

    found = settled(registry, iam_of)
    assert found.names == ["user1"]
    assert found.problems == [f"early signs of leaving in account {OTHER} could not be checked: access denied"]
    assert len(registry.facts().signs) == 2


def test_question_that_iam_refuses_is_a_problem(registry: Registry) -> None:
    begin(registry, sign(1))
    (problem,) = settled(registry, Iam(refusing={"get_login_profile": error("Throttling")})).problems
    assert "iam:GetLoginProfile on user user1 failed: Throttling" in problem


def test_signs_of_an_account_that_was_never_swept_wait(registry: Registry) -> None:
    begin(registry, sign(9, account_id=OTHER))
    assert settled(registry, Iam()) == Settled([], [], 0, 0, [])
    assert len(registry.facts().signs) == 1
