# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The model itself: it knows nothing of the collection, and says what the rules say."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from . import rules
from .rules import (
    CONSISTENCY,
    DAY,
    Answer,
    Bar,
    Block,
    Device,
    Gateway,
    Guard,
    Iam,
    Outcome,
    Peer,
    Registration,
    Registry,
    RegistryName,
    Release,
    Roster,
    Said,
    Why,
    complete,
)

ACCOUNT = "111122223333"
NOW = 1_800_000_000.0
GROUP = "vpn"
OWN = RegistryName("identity", ACCOUNT, "eu-west-1", "tracklib-vpn", "table-1")


def detail(number: int, name: str | None = None, groups: Iterable[str] = (GROUP,)) -> dict[str, Any]:
    """A user as IAM lists one."""
    created = datetime.fromtimestamp(NOW - 10 * DAY, UTC)
    return {
        "UserId": f"AIDA{number}",
        "UserName": name or f"user{number}",
        "CreateDate": created,
        "GroupList": [*groups],
    }


def page(*details: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """The last page of a sweep."""
    return {"UserDetailList": [*details], "IsTruncated": False, **changes}


def iam(*pages: Answer, named: str | Said = Said.NO_SUCH_ENTITY) -> dict[str, Iam]:
    """What IAM of the account answers."""
    return {ACCOUNT: Iam(pages, lambda _name: named)}


def whole(numbers: Iterable[int]) -> dict[str, Iam]:
    """IAM that has these users."""
    return iam(page(*map(detail, numbers)))


def device(number: int) -> Device:
    return Device(ACCOUNT, f"AIDA{number}", "laptop")


def registry(numbers: Iterable[int]) -> Registry:
    """A registry that has decided once that all of its devices are peers."""
    made = Registry(granting={ACCOUNT: frozenset({GROUP})})
    for number in numbers:
        made.registrations[device(number)] = Registration(device(number), f"user{number}", f"key{number}")
    made.learn(made.decide(NOW, whole(numbers)), NOW)
    assert made.decided == made.registrations.keys()
    return made


def test_model_imports_nothing_but_the_standard_library() -> None:
    tree = ast.parse(Path(rules.__file__).read_text(encoding="utf-8"))
    imports = [node for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))]
    modules = {getattr(node, "module", None) or node.names[0].name for node in imports}
    assert modules == {"__future__", "collections.abc", "copy", "dataclasses", "datetime", "enum", "typing"}


@pytest.mark.parametrize(
    "answers",
    [
        [RuntimeError("whatever")],
        [page(detail(1), IsTruncated=True, Marker="2"), TimeoutError()],
        [page(detail(1), IsTruncated=True, Marker="2")],
        [page(detail(1), IsTruncated=True), page(detail(2))],
        [{"UserDetailList": [detail(1)]}],
        [page(detail(1), Marker="2"), page(detail(2))],
        [{"IsTruncated": False}],
        [page({**detail(1), "UserId": None})],
        [page({**detail(1), "CreateDate": "yesterday"})],
        [page(detail(1), detail(1, "another"))],
        [],
    ],
)
def test_r3_sweep_is_incomplete_when_anything_is_missing(answers: list[Answer]) -> None:
    assert complete(answers, NOW) is None


def test_r3_same_user_twice_and_alike_is_one_user() -> None:
    found = complete([page(detail(1), IsTruncated=True, Marker="2"), page(detail(1), detail(2))], NOW)
    assert found is not None
    assert set(found.users) == {"AIDA1", "AIDA2"}


def test_r3_incomplete_sweep_leaves_everybody_and_is_named() -> None:
    decision = registry([1, 2]).decide(NOW, iam(RuntimeError()))
    assert decision.peers == {device(1), device(2)}
    assert (decision.incomplete, decision.must_fail) == ({ACCOUNT}, True)


def test_r4_absence_that_iam_confirms_is_a_revocation_and_leaves_a_tombstone() -> None:
    made = registry(range(4))
    decision = made.decide(NOW, whole(range(3)))
    made.learn(decision, NOW)
    assert decision.out == {device(3): Why.LEFT}
    assert [tombstone.user_id for tombstone in made.tombstones.values()] == ["AIDA3"]


def test_r4_absence_of_which_iam_says_nothing_is_unexplained() -> None:
    decision = registry(range(4)).decide(NOW, iam(page(*map(detail, range(3))), named=Said.NOTHING))
    assert decision.out == {device(3): Why.ABSENT}
    assert (decision.unanswered, decision.must_fail) == ({(ACCOUNT, "AIDA3")}, True)


def test_r4_sweep_without_a_user_whom_iam_names_is_incomplete() -> None:
    decision = registry(range(4)).decide(NOW, iam(page(*map(detail, range(3))), named="AIDA3"))
    assert (len(decision.peers), decision.incomplete) == (4, {ACCOUNT})


def test_r4_all_absent_are_held_whatever_iam_says() -> None:
    decision = registry([1, 2]).decide(NOW, whole([]))
    assert decision.held == {device(1), device(2)}


def test_r4_blocked_user_is_out_whatever_is_held() -> None:
    made = registry(range(4))
    made.blocks.add(Block(ACCOUNT, "AIDA1", None))
    decision = made.decide(NOW, whole([]))
    assert decision.out == {device(1): Why.BLOCKED}
    assert len(decision.held) == 3


def test_r4_tombstone_is_reversed_by_a_later_sweep_only() -> None:
    made = registry(range(4))
    made.delete_event(ACCOUNT, "event", "User1", NOW, NOW + 5)
    assert made.decide(NOW + CONSISTENCY, whole(range(4))).out == {device(1): Why.TOMBSTONED}
    assert made.decide(NOW + CONSISTENCY + 1, whole(range(4))).out == {}


def test_r1_tombstone_by_name_spares_a_user_whom_a_sweep_knew_under_another_name() -> None:
    made = registry(range(4))
    made.delete_event(ACCOUNT, "event", "newcomer", NOW, NOW)
    renamed = iam(page(detail(0, "newcomer"), *map(detail, range(1, 4))))
    decision = made.decide(NOW + 60, renamed)
    made.learn(decision, NOW + 60)
    assert decision.out == made.decide(NOW + 120, renamed).out == {}


def test_r1_id_looked_up_under_a_stale_name_is_spared() -> None:
    made = registry(range(4))
    made.delete_event(ACCOUNT, "event", "user1", NOW, NOW)  # another user1, created after user1 was renamed
    assert made.decide(NOW + 1, iam(page(detail(1, "renamed"), *map(detail, (0, 2, 3))))).out == {}


@pytest.mark.parametrize(
    ("removals", "of", "held"),
    [
        *((1, 1, False), (2, 2, True), (1, 2, False), (2, 3, True), (5, 16, False), (6, 24, False), (6, 23, True)),
        *((20, 900, False), (21, 1000, True), (21, 1050, False)),
    ],
)
def test_r5_guard_holds_what_people_fear(removals: int, of: int, held: bool) -> None:
    assert Guard().holds(removals, of) is held


def test_r5_removals_of_a_day_count_together_and_released_ones_leave_the_count() -> None:
    made = registry(range(10))
    for first in (1, 4):
        decision = made.decide(NOW, iam(page(*(detail(n, groups=() if n < first else (GROUP,)) for n in range(10)))))
        assert not decision.held
        made.learn(decision, NOW)
    many = iam(page(*(detail(n, groups=() if n < 7 else (GROUP,)) for n in range(10))))
    assert made.decide(NOW + DAY - 1, many).held == {device(4), device(5), device(6)}
    assert not made.decide(NOW + DAY, many).held
    assert not made.decide(NOW + 1, many, Release(names={"user4", "user5/laptop"})).held
    assert made.decide(NOW + 1, many, Release(exactly={device(4), device(5)})).held
    assert not made.decide(NOW + 1, many, Release(exactly={device(4), device(5), device(6)})).held


def peer(number: int, expires_at: float | None = None) -> Peer:
    return Peer(device(number), f"user{number}", f"key{number}", expires_at)


def roster(generation: int, numbers: Iterable[int], **changes: Any) -> Roster:
    peers = {f"key{number}": peer(number) for number in numbers}
    return Roster(generation, NOW, OWN, peers, {}, set())._replace(**changes)


def gateway(numbers: Iterable[int]) -> Gateway:
    made = Gateway(own_key="own")
    assert made.apply(roster(5, numbers), NOW) is Outcome.APPLIED
    return made


def test_r6_older_roster_and_another_registry_change_nothing() -> None:
    made = gateway([1, 2])
    other = roster(9, [3], registry=OWN._replace(table_id="table-2"))
    assert made.apply(roster(4, [3]), NOW) is Outcome.STALE
    assert made.apply(other, NOW) is Outcome.REFUSED
    assert set(made.peers) == {"key1", "key2"}
    assert made.apply(other, NOW, accept="table-2") is Outcome.EMPTYING
    assert made.apply(other, NOW) is Outcome.REFUSED
    restored = roster(9, [1, 2, 3], registry=OWN._replace(table_id="table-2"))
    assert made.apply(restored, NOW, accept="table-2") is Outcome.APPLIED


def test_r6_bar_keeps_off_whom_older_rosters_have_and_ends_with_a_later_one() -> None:
    made = gateway([1, 2])
    made.take_off(Bar(device(1).owner, "user1", None, 8))
    assert set(made.peers) == {"key2"}
    made.apply(roster(7, [1, 2]), NOW)
    assert set(made.peers) == {"key2"}
    made.apply(roster(9, [1, 2]), NOW)
    assert set(made.peers) == {"key1", "key2"}


def test_r6_late_word_changes_nothing_after_a_later_roster() -> None:
    made = gateway([1, 2])
    made.take_off(Bar(device(1).owner, "user1", None, 4))
    assert (set(made.peers), made.bars) == ({"key1", "key2"}, [])


def test_r6_bar_without_the_registry_ends_by_its_record_or_a_release() -> None:
    made = gateway([1, 2])
    made.take_off(Bar(device(1).owner, "user1", "laptop", None))
    made.apply(roster(9, [1, 2]), NOW)
    assert set(made.peers) == {"key2"}
    made.apply(roster(10, [2], confirmed={"key1": device(1)}), NOW)
    assert made.bars == []
    made.take_off(Bar(device(2).owner, "user2", None, None))
    made.apply(roster(11, [1, 2]), NOW, release=["user2"])
    assert set(made.peers) == {"key1", "key2"}


def test_r5_roster_that_empties_a_gateway_has_to_name_everybody() -> None:
    made = gateway([1, 2, 3])
    assert made.apply(roster(6, [], confirmed={"key1": device(1)}, explained={device(1)}), NOW) is Outcome.EMPTYING
    assert set(made.peers) == {"key2", "key3"}
    assert made.apply(roster(7, [], explained={device(2), device(3)}), NOW) is Outcome.APPLIED


def test_r17_peer_with_the_gateways_own_key_is_left_out_alone() -> None:
    made = gateway([1])
    own = Peer(device(9), "mallory", "own", None)
    made.apply(roster(6, [1, 2])._replace(peers={"own": own, "key2": peer(2)}), NOW)
    assert set(made.peers) == {"key2"}


def test_r12_interface_starts_without_peers_from_an_old_roster() -> None:
    made = gateway([1])
    for age, live in ((DAY, {"key1"}), (DAY + 1, set()), (-301, set()), (-300, {"key1"})):
        made.start(NOW + age)
        assert made.live == live
    made.start(NOW + DAY + 1)
    made.apply(roster(6, [1], made_at=NOW + DAY + 1), NOW + DAY + 1)
    assert made.live == {"key1"}
