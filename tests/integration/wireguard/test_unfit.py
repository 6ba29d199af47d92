# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""One bad item costs itself alone (R17): a peer that can't be one, and a removal that the device refuses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.commands import CommandResult
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.config import Unfit

from tests.support.wireguard_host import Host, Person, allowed, key

ALICE, BOB, CAROL, DAVE, ERIN = (
    Person(name, number) for number, name in enumerate(("alice", "bob", "carol", "dave", "erin"), 1)
)


def _own_key(host: Host, config: str) -> str:
    return config.replace(key(DAVE.number), host.sh("wg", "pubkey", stdin=host.private_key).strip())


def _replaced(old: str, new: str) -> Callable[[Host, str], str]:
    return lambda _host, config: config.replace(old, new)


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (_own_key, "dave/laptop: has the gateway's own public key"),
        (_replaced(key(DAVE.number), key(BOB.number)), "dave/laptop: has the public key of bob/laptop"),
        (_replaced("10.44.0.6/32", "10.44.0.4/32"), "dave/laptop: has the address 10.44.0.4/32 of bob/laptop"),
        (_replaced("10.44.0.6/32", "0.0.0.0/0"), "dave/laptop: has the address 0.0.0.0/0, which is outside"),
        (_replaced("10.44.0.6/32", "10.44.0.600/32"), "dave/laptop: '10.44.0.600/32' does not appear to be an IPv4"),
        (_replaced(key(DAVE.number), "A" * 42 + "B="), "dave/laptop: PublicKey isn't 32 bytes of base64"),
        (_replaced(key(DAVE.number), key(ALICE.number)), "dave/laptop: is a peer, but its key is revoked"),
    ],
)
def test_r17_registration_of_one_user_stops_nobody_elses(
    host: Host, spoil: Callable[[Host, str], str], problem: str
) -> None:
    host.apply(host.order(1, [ALICE, BOB]))
    order = host.order(2, [BOB, CAROL, DAVE, ERIN], revoked=[ALICE])
    assert order.config is not None
    outcome = host.apply(host.order(2, [], revoked=[ALICE], config=spoil(host, order.config)))
    assert (outcome.removed, outcome.added) == (["alice/laptop"], ["carol/laptop", "erin/laptop"])
    (found,) = outcome.problems
    assert found.startswith(f"left out of the roster; put these registrations right: {problem}")
    assert host.peers == allowed(BOB, CAROL, ERIN)
    assert not any(key(BOB.number) in text for text in [*map(str, host.run.calls), *host.run.inputs[3:]])
    assert host.program("reload").returncode == 0


def test_r5_r17_live_peers_stay_when_most_of_the_roster_is_unfit(host: Host) -> None:
    host.apply(host.order(1, [ALICE, BOB, CAROL]))
    unfit = [Unfit(one.label().name, one.label(), "", "no 'public_key'") for one in (ALICE, BOB)]
    for generation in (2, 3):
        outcome = host.apply(host.order(generation, [CAROL, DAVE], unfit=unfit))
        assert outcome.problems[1].endswith("more are unfit than may go without a reason: alice/laptop, bob/laptop")
        assert host.peers == allowed(ALICE, BOB, CAROL, DAVE)
    assert host.apply(host.order(4, [ALICE, BOB, CAROL, DAVE])).problems == []


def _refuse(host: Host, monkeypatch: pytest.MonkeyPatch, person: Person) -> None:
    """Have the device refuse a peer's removal."""
    real = host.run.__class__.__call__

    def run(recorder: Any, args: Any, stdin: str = "") -> CommandResult:
        if "remove" in args and key(person.number) in args:
            return CommandResult(1, "", "Unable to modify interface: Device or resource busy")
        return real(recorder, args, stdin)

    monkeypatch.setattr(host.run.__class__, "__call__", run)


def test_r4_r17_removal_that_the_device_refuses_stops_no_other_and_is_not_forgotten(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.apply(host.order(1, [ALICE, BOB, CAROL, DAVE]))
    order = host.order(2, [DAVE], revoked=[ALICE, BOB, CAROL])
    with monkeypatch.context() as patch:
        _refuse(host, patch, BOB)
        outcome = host.apply(order)
    assert outcome.removed == ["alice/laptop", "carol/laptop"]
    (problem,) = outcome.problems
    assert problem.startswith(f"bob/laptop could not be taken off {host.name}, the next run tries again: Unable to")
    assert host.peers == allowed(BOB, DAVE)
    done = {removal.name: removal.removed_at for removal in host.state.removals}
    assert done == {"alice/laptop": int(host.now), "bob/laptop": None, "carol/laptop": int(host.now)}
    assert host.apply(order).problems == []
    assert host.peers == allowed(DAVE)
    assert all(removal.removed_at for removal in host.state.removals)
    assert len(host.state.removals) == 3


def test_r6_r17_refused_removal_of_an_emergency_is_done_by_the_next_start(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.apply(host.order(1, [ALICE, BOB]))
    with monkeypatch.context() as patch:
        _refuse(host, patch, ALICE)
        (problem,) = host.revoke("alice").problems
    assert problem.startswith("alice/laptop could not be taken off")
    assert host.program("reload").returncode == 0
    assert host.peers == allowed(BOB)
