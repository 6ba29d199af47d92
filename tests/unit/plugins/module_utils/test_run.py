# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""A run's order, what it writes, what it says to an operator, and the roster file."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils import roster_file
from ansible_collections.tracklib.vpn.plugins.module_utils.access import Granted
from ansible_collections.tracklib.vpn.plugins.module_utils.addresses import PoolError, parse_pools
from ansible_collections.tracklib.vpn.plugins.module_utils.aws import AWSCallError
from ansible_collections.tracklib.vpn.plugins.module_utils.iam.signs import Confirmed, Signs
from ansible_collections.tracklib.vpn.plugins.module_utils.model import (
    Block,
    Registration,
    Sign,
    Sweep,
    Tombstone,
    User,
)
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.table import Registry, RegistryFacts
from ansible_collections.tracklib.vpn.plugins.module_utils.roster import (
    AccountSweeps,
    Exclusion,
    Policy,
    Reason,
    Roster,
)
from ansible_collections.tracklib.vpn.plugins.module_utils.run import (
    AccountToSweep,
    EarlySigns,
    RunOptions,
    RunResult,
    missing,
    problems,
    reversals,
    run,
)

ACCOUNT, OTHER = "111122223333", "444455556666"
NOW = 1_800_000_000.0
POLICY = Policy(granting={ACCOUNT: frozenset({"vpn"})}, pools=parse_pools(["10.44.0.0/24"]))
GRANTED = Granted(accounts=(ACCOUNT,), granting=POLICY.granting, pools=("10.44.0.0/24",))
OPTIONS = RunOptions(accounts=[AccountToSweep(ACCOUNT)], policy=POLICY)


def key(number: int) -> str:
    return base64.b64encode((number + 1000).to_bytes(32, "little")).decode()


def registration(number: int, **changes: Any) -> Registration:
    made = Registration(
        account_id=ACCOUNT,
        user_id=f"AIDA{number}",
        device="laptop",
        user_name=f"user{number}",
        public_key=key(number),
        addresses=(f"10.44.0.{number + 2}",),
        created_at=NOW - 1000 + number,
    )
    return made._replace(**changes)


def sweep(numbers: Iterable[int], *, account_id: str = ACCOUNT) -> Sweep:
    users = [User(account_id, f"AIDA{number}", f"user{number}", NOW - 9000, ("vpn",)) for number in numbers]
    return Sweep(account_id, NOW - 100, {user.user_id: user for user in users})


class Iam:
    """Answers each sweep with the next list of users; `keys` are the names of those who can still sign in."""

    def __init__(self, *sweeps: Iterable[int]) -> None:
        self._sweeps = [list(numbers) for numbers in sweeps]
        self.asked: list[AccountToSweep] = []

    def of(self, account: AccountToSweep) -> Any:
        self.asked.append(account)
        return self

    def get_account_authorization_details(self, **_request: Any) -> dict[str, Any]:
        details = [
            {
                "UserId": f"AIDA{number}",
                "UserName": f"user{number}",
                "CreateDate": datetime.fromtimestamp(NOW - 9000, UTC),
                "GroupList": ["vpn"],
                "Path": "/",
                "Arn": f"arn:aws:iam::{ACCOUNT}:user/user{number}",
            }
            for number in self._sweeps.pop(0)
        ]
        return {"UserDetailList": details, "IsTruncated": False}

    def get_login_profile(self, **_request: Any) -> None:
        raise AWSCallError("there is none", "NoSuchEntity")

    def list_access_keys(self, **_request: Any) -> dict[str, Any]:
        return {"AccessKeyMetadata": []}


class Table:
    """A registry that tells what was done to it, in order."""

    def __init__(self, registrations: Iterable[Registration], **facts: Any) -> None:
        self.log: list[Any] = []
        self._facts = RegistryFacts(
            registrations=list(registrations),
            tombstones=[],
            blocks=[],
            signs=[],
            sweeps={},
            granted=None,
            acknowledge=["removal-1"],
        )._replace(**facts)

    def generation(self) -> int:
        return 6

    def facts(self) -> RegistryFacts:
        self.log.append("facts")
        return self._facts

    def take_generation(self) -> int:
        self.log.append("generation")
        return 7

    def block(self, block: Block) -> None:
        self.log.append(block)

    def forget_sign(self, sign: Sign) -> None:
        self.log.append(sign)

    def write_tombstone(self, tombstone: Tombstone) -> None:
        self.log.append(tombstone)

    def store_sweep(self, swept: Sweep, generation: int) -> None:
        self.log.append(("sweep", swept.account_id, generation))

    def store_granted(self, granted: Granted, generation: int) -> None:
        self.log.append((granted, generation))


def made(table: Table, iam: Iam, options: RunOptions = OPTIONS, *, check_mode: bool = False) -> RunResult:
    return run(cast(Registry, table), iam.of, options, check_mode=check_mode, clock=lambda: NOW)


def result(**changes: Any) -> RunResult:
    roster = Roster(
        peers=[], held=set(), revoked=[], excluded=[], leavers=[], reversed=[], release_token=None
    )._replace(**changes.pop("roster", {}))
    return RunResult(
        generation=7, made_at=NOW + 0.5, accounts=[], roster=roster, signs=[], acknowledge=["removal-1"]
    )._replace(**changes)


def test_r6_generation_is_taken_before_anything_is_read() -> None:
    table = Table([registration(1)])
    done = made(table, Iam([1]))
    assert table.log == ["generation", "facts", ("sweep", ACCOUNT, 7), (GRANTED, 7)]
    assert (done.generation, done.made_at, done.acknowledge) == (7, NOW, ["removal-1"])
    assert [peer.label for peer in done.roster.peers] == ["user1/laptop"]


def test_check_mode_leaves_the_registry_as_it_is() -> None:
    table = Table([registration(1)], sweeps={ACCOUNT: sweep([1])}, granted=GRANTED)
    done = made(table, Iam([], []), check_mode=True)
    assert table.log == ["facts"]
    assert (done.generation, len(done.roster.leavers)) == (6, 1)


def test_policy_is_stored_only_when_it_changed() -> None:
    table = Table([registration(1)], sweeps={ACCOUNT: sweep([1])}, granted=GRANTED)
    made(table, Iam([1]))
    assert table.log == ["generation", "facts", ("sweep", ACCOUNT, 7)]


def test_r4_second_sweep_confirms_an_absence_and_the_tombstone_is_written_first() -> None:
    table = Table([registration(1), registration(2)], sweeps={ACCOUNT: sweep([1, 2])}, granted=GRANTED)
    made(table, Iam([2], [2]))
    leaver, stored = table.log[2:]
    assert (leaver.user_id, stored) == ("AIDA1", ("sweep", ACCOUNT, 7))


def test_r4_user_whom_the_second_sweep_lists_is_no_leaver() -> None:
    table = Table([registration(1), registration(2)], sweeps={ACCOUNT: sweep([1, 2])}, granted=GRANTED)
    done = made(table, Iam([2], [1, 2]))
    assert len(done.roster.peers) == 2
    assert done.accounts[0].absent_twice == frozenset()


def test_r5_nothing_of_a_run_that_holds_removals_is_stored() -> None:
    others = Granted(accounts=(ACCOUNT,), granting={ACCOUNT: frozenset({"x", "vpn"})}, pools=("10.44.0.0/24",))
    table = Table([registration(number) for number in range(9)], sweeps={ACCOUNT: sweep(range(9))}, granted=others)
    done = made(table, Iam([], []))
    assert len(done.roster.held) == 9
    assert table.log == ["generation", "facts"]


def test_r3_account_whose_role_is_refused_is_decided_by_its_stored_sweep() -> None:
    def refused(_account: AccountToSweep) -> Any:
        raise AWSCallError("access denied")

    table = Table([registration(1)], sweeps={ACCOUNT: sweep([1])}, granted=GRANTED)
    done = run(cast(Registry, table), refused, OPTIONS, check_mode=False, clock=lambda: NOW)
    assert [peer.label for peer in done.roster.peers] == ["user1/laptop"]
    assert problems(done) == [
        f"the sweep of account {ACCOUNT} is incomplete, the last complete one decided: access denied"
    ]
    assert table.log == ["generation", "facts"]


def test_each_account_is_swept_with_its_own_role() -> None:
    accounts = [AccountToSweep(ACCOUNT), AccountToSweep(OTHER, "arn:aws:iam::444455556666:role/sweep")]
    iam = Iam([1], [])
    made(Table([]), iam, OPTIONS._replace(accounts=accounts))
    assert iam.asked == accounts


def test_account_that_was_never_swept_is_a_problem() -> None:
    accounts = [AccountSweeps(account_id=OTHER, sweep=None, stored=None, error="access denied")]
    assert problems(result(accounts=accounts)) == [
        f"account {OTHER} was never swept completely, so none of its users is a peer: access denied"
    ]


def test_held_removals_are_named_with_the_way_to_release_them() -> None:
    held = {registration(2), registration(1)}
    (problem,) = problems(result(roster={"peers": [*held], "held": held, "release_token": "abc"}))
    assert problem == (
        "2 removals are held, no deletion, block or expiry explains them: user1/laptop, user2/laptop. Look for a "
        "mistake in IAM's groups, vpn_access or vpn_identity_accounts. If they are right, run again with "
        "vpn_release_held=abc"
    )


def test_signs_that_could_not_be_checked_are_a_problem() -> None:
    assert problems(result(signs=[Signs(), Signs(error="throttled")])) == ["throttled"]


def test_reversed_tombstone_is_told() -> None:
    tombstone = Tombstone(ACCOUNT, "event", "user1", "AIDA1", NOW)
    assert reversals(result(roster={"reversed": [tombstone]}).roster) == [
        "user1 (AIDA1) is in IAM again: a complete sweep outweighs tombstone event"
    ]


def test_missing_are_registered_users_of_the_account_whom_only_the_stored_sweep_lists() -> None:
    registrations = [registration(1), registration(2), registration(3), registration(4, account_id=OTHER)]
    assert missing(sweep([1]), sweep([1, 2, 4, 5]), registrations) == {"AIDA2"}
    assert missing(sweep([1]), None, registrations) == frozenset()


@pytest.mark.parametrize(("early_signs", "blocked"), [(EarlySigns.WARN, False), (EarlySigns.SUSPEND, True)])
def test_user_who_cannot_sign_in_is_named_and_only_suspended_when_told_to(
    early_signs: EarlySigns, blocked: bool
) -> None:
    sign = Sign(ACCOUNT, "AIDA1", "DeleteLoginProfile", NOW - 60)
    table = Table([registration(1)], signs=[sign])
    done = made(table, Iam([1]), OPTIONS._replace(early_signs=early_signs))
    assert done.early_signs == ["user1"]
    assert (sign in table.log) is blocked
    assert [exclusion.reason for exclusion in done.roster.revoked] == [Reason.BLOCKED] * blocked


def test_sign_that_iam_refutes_is_forgotten() -> None:
    sign = Sign(ACCOUNT, "AIDA9", "DeleteLoginProfile", NOW - 9000)
    table = Table([registration(1)], signs=[sign])
    assert made(table, Iam([1])).early_signs == []
    assert sign in table.log


def test_blocked_users_signs_are_not_asked_about() -> None:
    sign = Sign(ACCOUNT, "AIDA1", "DeleteLoginProfile", NOW - 60)
    table = Table([registration(1)], signs=[sign], blocks=[Block(ACCOUNT, "AIDA1", None, "left", NOW)])
    assert made(table, Iam([1])).early_signs == []


def test_pools_that_leave_out_what_the_last_run_let_in_are_refused_before_anything_is_written() -> None:
    table = Table([registration(number) for number in range(6)], sweeps={ACCOUNT: sweep(range(6))}, granted=GRANTED)
    policy = POLICY._replace(pools=parse_pools(["10.55.0.0/24"]))
    with pytest.raises(PoolError) as refused:
        made(table, Iam(range(6)), OPTIONS._replace(policy=policy))
    assert str(refused.value).startswith(
        "the address pools 10.55.0.0/24 no longer hold the addresses of 6 devices that 10.44.0.0/24 held: "
        "user0/laptop (10.44.0.2), user1/laptop (10.44.0.3), user2/laptop (10.44.0.4), user3/laptop (10.44.0.5), "
        "user4/laptop (10.44.0.6), …. Nothing was changed."
    )
    assert table.log == ["generation", "facts"]


@pytest.mark.parametrize("addresses", [(), ("10.99.0.2",)])
def test_registrations_that_were_outside_before_do_not_refuse_a_new_pool(addresses: tuple[str, ...]) -> None:
    policy = POLICY._replace(pools=parse_pools(["10.55.0.0/24"]))
    done = made(
        Table([registration(1, addresses=addresses)], granted=GRANTED), Iam([1]), OPTIONS._replace(policy=policy)
    )
    assert [exclusion.reason for exclusion in done.roster.excluded] == [Reason.ADDRESS_OUTSIDE_POOL]


def test_early_signs_are_told_in_order_of_names() -> None:
    signs = [
        Signs(confirmed=[Confirmed(Sign(ACCOUNT, f"AIDA{name}", "DeleteLoginProfile", NOW), name)])
        for name in ("bob", "alice")
    ]
    assert result(signs=signs).early_signs == ["alice", "bob"]


def test_roster_file_says_who_is_a_peer_who_is_held_and_who_is_not() -> None:
    peer = registration(1, addresses=("10.44.0.2", "fd44::2"), expires_at=NOW + 0.5)
    revoked = Exclusion(registration(2), Reason.TOMBSTONED, "deleted")
    accounts = [
        AccountSweeps(account_id=ACCOUNT, sweep=sweep([1]), stored=None),
        AccountSweeps(account_id=OTHER, sweep=None, stored=None, error="access denied"),
    ]
    roster = {"peers": [peer], "held": {peer}, "revoked": [revoked], "excluded": [revoked]}
    content = json.loads(json.dumps(roster_file.content(result(roster=roster, accounts=accounts))))
    excluded = {
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
    }
    assert (content["format"], content["generation"], content["made_at"]) == (2, 7, 1_800_000_000)
    assert content["accounts"] == [
        {"account_id": ACCOUNT, "complete": True, "swept_at": 1_799_999_900, "error": None},
        {"account_id": OTHER, "complete": False, "swept_at": None, "error": "access denied"},
    ]
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
        }
    ]
    assert content["revoked"] == content["excluded"] == [excluded]


def test_roster_file_is_changed_only_when_it_says_other_things_of_devices(tmp_path: Path) -> None:
    path = str(tmp_path / "roster.json")
    absent = Exclusion(registration(2), Reason.TOMBSTONED, "absent from two complete sweeps of IAM")
    first = result(roster={"peers": [registration(1)], "excluded": [absent]})
    assert roster_file.replace(path, first)
    reworded = result(
        generation=8, roster={"peers": [registration(1)], "excluded": [absent._replace(detail="deleted: tombstone")]}
    )
    assert not roster_file.replace(path, reworded)
    assert json.loads((tmp_path / "roster.json").read_text())["generation"] == 8
    assert roster_file.replace(path, result())


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"peers": 1}', "no JSON"])
def test_roster_file_that_cannot_be_read_says_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "roster.json").write_text(text)
    assert roster_file.last_decision(str(tmp_path / "roster.json")) == {}
