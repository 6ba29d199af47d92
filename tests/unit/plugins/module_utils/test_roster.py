# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The roster decision: registrations' ends, keys and addresses, and what the decision says of each device."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.decisions import (
    ACCOUNT,
    NOW,
    OTHER,
    POLICY,
    account,
    block,
    decided,
    details,
    held,
    key,
    names,
    reasons,
    registration,
    registrations,
    removed,
    sweep,
    tombstone,
    user,
    users,
)

# -- R2, whitelist: what is particular to a registration


def test_r2_whitelist_gives_each_registration_left_out_its_reason() -> None:
    listed = sweep(user(1), user(2, groups=("other",)), *users((3, 4, 5, 6, 7)))
    roster = decided(
        [account(listed)],
        [
            registration(1),
            registration(2),
            registration(3, expires_at=NOW),
            registration(4),
            registration(5, public_key="AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
            registration(6, addresses=("10.99.0.1",)),
            registration(7, addresses=("10.44.0.1",)),
            registration(8),
        ],
        blocks=[block(4)],
    )
    assert names(roster) == ["user1/laptop"]
    assert reasons(roster) == {
        "user2/laptop": "not_in_group",
        "user3/laptop": "expired",
        "user4/laptop": "blocked",
        "user5/laptop": "invalid_key",
        "user6/laptop": "address_outside_pool",
        "user7/laptop": "address_outside_pool",
        "user8/laptop": "not_in_sweep",
    }


def test_each_reason_is_explained() -> None:
    roster = decided(
        [account(sweep(*users((1, 2, 3, 4))))],
        [
            registration(1),
            registration(2),
            registration(3, device="phone"),
            registration(4, expires_at=NOW),
            registration(5),
            registration(6, account_id=OTHER),
        ],
        tombstones=[tombstone(1)],
        blocks=[block(2), block(3, device="phone", reason="lost")],
    )
    assert details(roster) == {
        "user1/laptop": "deleted: tombstone event",
        "user2/laptop": "user blocked: left (since 2027-01-15T08:00:00Z)",
        "user3/phone": "device blocked: lost (since 2027-01-15T08:00:00Z)",
        "user4/laptop": "the registration expired; renew it",
        "user5/laptop": f"no IAM user with the id AIDA5 in account {ACCOUNT}",
        "user6/laptop": f"account {OTHER} isn't configured or was never swept completely",
    }


def test_r2_registration_without_an_address_is_left_out() -> None:
    roster = decided([account(sweep(user(1)))], [registration(1, addresses=())])
    assert reasons(roster) == {"user1/laptop": "address_outside_pool"}
    assert details(roster) == {"user1/laptop": "the registration has no address; register it again"}


def test_r2_every_address_must_be_the_pools() -> None:
    outside = registration(1, addresses=("10.44.0.3", "10.99.0.1"))
    roster = decided([account(sweep(user(1)))], [outside])
    assert reasons(roster) == {"user1/laptop": "address_outside_pool"}
    assert details(roster)["user1/laptop"] == (
        "10.99.0.1 isn't one that the pools give to devices (10.44.0.0/20, fd44::/64); register the device again"
    )


def test_r2_registration_lives_until_the_second_of_its_expiry() -> None:
    roster = decided([account(sweep(user(1)))], [registration(1, expires_at=NOW + 1)])
    assert names(roster) == ["user1/laptop"]


@pytest.mark.parametrize(("devices", "is_held"), [((6,), False), ((6, 7), True)])
def test_r5_users_of_an_account_that_is_configured_no_more_are_held(devices: tuple[int, ...], is_held: bool) -> None:
    """One account of many, so few of all that no share of them trips."""
    own = registrations(range(1, 6))
    others = [registration(number, account_id=OTHER) for number in devices]
    roster = decided([account(sweep(*users(range(1, 6))))], [*own, *others], peers=[*own, *others])
    assert held(roster) == ([f"user{number}/laptop" for number in devices] if is_held else [])
    released = decided(
        [account(sweep(*users(range(1, 6))))],
        [*own, *others],
        peers=[*own, *others],
        policy=POLICY._replace(release=frozenset([roster.release_token or "-"])),
    )
    assert names(released) == [each.label for each in own]


def test_peers_keep_the_registrys_order() -> None:
    roster = decided([account(sweep(*users((1, 2, 3))))], registrations((3, 1, 2)))
    assert names(roster) == ["user3/laptop", "user1/laptop", "user2/laptop"]


# -- R4, confirmed revocation


def test_r4_only_deletions_and_blocks_are_confirmed_revocations() -> None:
    everyone = [
        registration(1, public_key=key(2)),
        registration(2),
        registration(3, expires_at=NOW),
        registration(4, public_key="no key"),
        registration(5, addresses=()),
        registration(6, public_key=key(7)),
        registration(7),
        registration(8),
        registration(9),
        registration(10, addresses=registration(1).addresses),
    ]
    listed = sweep(user(1), user(2, groups=()), *users((3, 4, 5, 6, 7, 9, 10)))
    roster = decided([account(listed)], everyone, tombstones=[tombstone(8)], blocks=[block(9)])
    assert {exclusion.registration.user_name for exclusion in roster.revoked} == {"user8", "user9"}
    assert roster.revoked == roster.excluded[:2]
    assert len(roster.excluded) == len(everyone) - len(roster.peers)


# -- R9, one key, one device; one address, one device


def test_r9_duplicates_leave_the_older_registration_in() -> None:
    same_key = registration(2, public_key=key(1))
    same_address = registration(3, addresses=registration(1).addresses)
    roster = decided([account(sweep(*users((1, 2, 3))))], [same_address, same_key, registration(1)])
    assert names(roster) == ["user1/laptop"]
    assert reasons(roster) == {"user2/laptop": "duplicate_key", "user3/laptop": "duplicate_address"}


def test_r9_a_revoked_key_serves_nobody_else() -> None:
    twice = [registration(1), registration(2, public_key=key(1))]
    roster = decided([account(sweep(*users((1, 2))))], twice, blocks=[block(1)])
    assert roster.peers == []
    assert reasons(roster)["user2/laptop"] == "duplicate_key"


def test_r9_duplicates_name_who_has_the_key_or_the_address() -> None:
    everyone = [
        registration(1),
        registration(2, public_key=key(1)),
        registration(3, addresses=("10.44.0.77", "10.44.0.3")),
        registration(4, public_key=key(9)),
        registration(9, public_key=key(9)),
    ]
    roster = decided([account(sweep(*users((1, 2, 3, 4))))], everyone, tombstones=[tombstone(9)])
    assert details(roster) == {
        "user2/laptop": "its key is already that of user1/laptop",
        "user3/laptop": "10.44.0.3 is already that of user1/laptop",
        "user4/laptop": "its key is already that of a revoked registration",
        "user9/laptop": "deleted: tombstone event",
    }


def test_r9_who_was_a_peer_keeps_the_key_and_the_address_against_an_older_registration() -> None:
    peer = registration(2)
    older = [registration(1, public_key=key(2)), registration(0, addresses=peer.addresses)]
    roster = decided([account(sweep(*users(range(3))))], [*older, peer], peers=[peer])
    assert names(roster) == ["user2/laptop"]
    assert reasons(roster) == {"user1/laptop": "duplicate_key", "user0/laptop": "duplicate_address"}


def test_r9_peer_that_changed_to_the_key_of_another_keeps_it_from_nobody() -> None:
    peers = registrations((1, 2))
    changed = registration(1, public_key=key(2))
    roster = decided([account(sweep(*users((1, 2))))], [changed, peers[1]], peers=peers)
    assert names(roster) == ["user2/laptop"]
    assert reasons(roster) == {"user1/laptop": "duplicate_key"}


# -- R9: a gateway's own key


def test_r9_registration_with_the_key_of_a_gateway_is_left_out() -> None:
    policy = POLICY._replace(gateway_keys=frozenset({key(1)}))
    roster = decided([account(sweep(*users((1, 2))))], registrations((1, 2)), policy=policy)
    assert (names(roster), reasons(roster)) == (["user2/laptop"], {"user1/laptop": "invalid_key"})
    assert details(roster) == {"user1/laptop": "it is a gateway's own public key; make a key on the device"}


def test_r17_without_pools_no_address_is_refused() -> None:
    """Pools that can't be used stop additions on the gateways, and no confirmed revocation."""
    outside = registration(1, addresses=("10.99.0.1",))
    assert names(decided([account(sweep(user(1)))], [outside], policy=POLICY._replace(pools=None))) == ["user1/laptop"]


# -- R5: peers whose items are unfit, unreadable or gone

EVERYONE = registrations(range(4))
HERE = [account(sweep(*users(range(4))))]
UNFIT: dict[str, dict[str, Any]] = {
    "invalid_key": {"public_key": "no key"},
    "address_outside_pool": {"addresses": ("10.99.0.1",)},
    "duplicate_key": {"public_key": key(3)},
    "duplicate_address": {"addresses": EVERYONE[3].addresses},
}


@pytest.mark.parametrize("reason", UNFIT)
def test_r5_live_peer_whose_item_became_unfit_counts_as_unexplained(reason: str) -> None:
    """One of four goes, and is counted; three are held as they were."""
    one = decided(HERE, [registration(0, **UNFIT[reason]), *EVERYONE[1:]], peers=EVERYONE)
    assert reasons(one) == {"user0/laptop": reason}
    assert [each.identity for each in one.decision.departures] == [EVERYONE[0].identity]
    assert not one.excluded[0].is_explained
    three = decided(HERE, [*registrations(range(3), **UNFIT[reason]), EVERYONE[3]], peers=EVERYONE)
    assert (held(three), three.excluded) == (["user0/laptop", "user1/laptop", "user2/laptop"], [])
    assert sorted(three.peers) == EVERYONE


def test_r5_live_peer_whose_item_became_unreadable_counts_as_unexplained() -> None:
    unreadable = {each.identity: f"{each.device} can't be read" for each in EVERYONE[:3]}
    one = decided(HERE, EVERYONE[1:], peers=EVERYONE, unreadable=unreadable)
    assert (reasons(one), details(one)) == (
        {"user0/laptop": "unreadable"},
        {"user0/laptop": "laptop can't be read"},
    )
    assert not one.excluded[0].is_explained
    three = decided(HERE, EVERYONE[3:], peers=EVERYONE, unreadable=unreadable)
    assert held(three) == ["user0/laptop", "user1/laptop", "user2/laptop"]
    assert sorted(three.peers) == EVERYONE


def test_r5_live_peer_whose_item_vanished_without_a_record_counts_as_unexplained() -> None:
    one = decided(HERE, EVERYONE[1:], peers=EVERYONE)
    assert reasons(one) == {"user0/laptop": "not_registered"}
    assert details(one)["user0/laptop"] == (
        "its registration is gone from the registry, without a record that anybody removed it"
    )
    assert not one.excluded[0].is_explained
    assert held(decided(HERE, [], peers=EVERYONE)) == [each.label for each in EVERYONE]


def test_r5_removed_registration_is_explained_by_its_record_and_named() -> None:
    records = [removed(number) for number in range(4)]
    roster = decided(HERE, [], peers=EVERYONE, removals=records)
    assert (roster.peers, roster.excluded, roster.held) == ([], [], set())
    assert roster.removed == records
    assert roster.decision.departures == ()


def test_r5_removed_device_whose_key_serves_another_of_the_user_is_not_named() -> None:
    phone = registration(0, device="phone")
    roster = decided(HERE, [phone, *EVERYONE[1:]], peers=EVERYONE, removals=[removed(0)])
    assert (names(roster)[0], roster.removed) == ("user0/phone", [])


@pytest.mark.parametrize("is_unreadable", [True, False])
def test_r4_revocation_and_expiry_of_a_peer_need_no_readable_item(is_unreadable: bool) -> None:
    peers = [*EVERYONE[:2], registration(2, expires_at=NOW), EVERYONE[3]]
    unreadable = {each.identity: "?" for each in peers[:3]} if is_unreadable else {}
    roster = decided(HERE, peers[3:], peers=peers, unreadable=unreadable, tombstones=[tombstone(0)], blocks=[block(1)])
    assert reasons(roster) == {"user0/laptop": "tombstoned", "user1/laptop": "blocked", "user2/laptop": "expired"}
    assert [each.registration.label for each in roster.revoked] == ["user0/laptop", "user1/laptop"]
    assert roster.held == set()


def test_r5_unfit_and_unreadable_registrations_of_no_peers_are_not_held() -> None:
    newcomers = registrations(range(3), public_key="no key")
    unreadable = {registration(3).identity: "?"}
    roster = decided(HERE, newcomers, unreadable=unreadable)
    assert (roster.peers, roster.held, len(roster.excluded)) == ([], set(), 3)


def test_r2_peer_whose_registration_was_renewed_does_not_end_as_the_last_run_knew_it() -> None:
    peer = registration(0, expires_at=NOW)
    assert names(decided(HERE, [registration(0, expires_at=NOW + 60)], peers=[peer])) == ["user0/laptop"]


# -- R5: how held peers stay


def test_r5_held_peer_stays_with_its_registrations_new_key_and_end() -> None:
    """A key that was rotated because the old one leaked doesn't come back."""
    rotated = registrations(range(4), expires_at=NOW + 60)
    rotated = [each._replace(public_key=key(50 + number)) for number, each in enumerate(rotated)]
    roster = decided([account(sweep(*users(range(4), groups=())))], rotated, peers=EVERYONE)
    assert roster.held == set(rotated)
    assert sorted(roster.peers) == rotated


def test_r5_held_peer_whose_new_key_is_unfit_stays_as_it_was() -> None:
    unfit = registrations(range(4), public_key="no key")
    roster = decided([account(sweep(*users(range(4), groups=())))], unfit, peers=EVERYONE)
    assert sorted(roster.peers) == EVERYONE


def test_r1_held_peer_whose_label_another_has_too_is_named_with_the_id() -> None:
    swept = account(sweep(*users(range(1, 4), groups=()), user(0, user_name="user1", groups=())))
    peers = [EVERYONE[0]._replace(user_name="user1"), *EVERYONE[1:]]
    assert decided([swept], peers, peers=peers).held_names == [
        *("user1/laptop (AIDA0)", "user1/laptop (AIDA1)", "user2/laptop", "user3/laptop")
    ]


def test_r9_address_of_a_held_peer_is_nobody_elses() -> None:
    """Its item vanished, so that the registry may have given the address to a newcomer."""
    newcomer = registration(9, addresses=EVERYONE[0].addresses)
    roster = decided([account(sweep(*users(range(10))))], [newcomer], peers=EVERYONE)
    assert held(roster) == [each.label for each in EVERYONE]
    assert reasons(roster) == {"user9/laptop": "duplicate_address"}


def test_decision_has_the_peers_held_ones_among_them_for_the_next_run() -> None:
    roster = decided([account(sweep(user(0), *users((1, 2, 3), groups=())))], EVERYONE, peers=EVERYONE)
    assert len(roster.held) == 3
    assert roster.decision.peers == tuple(roster.peers)
