# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What still keeps a device off the gateways after an order, and how an operator reads of both."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils import orders
from ansible_collections.tracklib.vpn.plugins.module_utils.keys import fingerprint
from ansible_collections.tracklib.vpn.plugins.module_utils.model import Block, Registration, Sweep, Tombstone, User
from ansible_collections.tracklib.vpn.plugins.module_utils.obstacles import (
    Standing,
    block_in_words,
    devices_in_words,
    obstacles,
)
from ansible_collections.tracklib.vpn.plugins.module_utils.revocation import Person
from ansible_collections.tracklib.vpn.plugins.module_utils.whitelist import AccountSweeps

from tests.support.people import result

ACCOUNT = "111122223333"
KEY = "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo="
NOW = 1_790_000_000.0
KIM = User(ACCOUNT, "AIDAKIM", "kim", 0, ("vpn",))
PERSON = Person(ACCOUNT, "AIDAKIM", "kim")
LAPTOP = Registration(ACCOUNT, "AIDAKIM", "laptop", "kim", "key", (), 0, NOW + 60)
PHONE = LAPTOP._replace(device="phone", public_key="other key")
END = "2026-09-21T14:14:20Z"
BY = "arn:aws:iam::111122223333:user/op"
LOST = Block(ACCOUNT, "AIDAKIM", "laptop", "lost", NOW - 60, BY)
PEER = result([], [], peers=[LAPTOP]).facts
LEFT = Block(ACCOUNT, "AIDAKIM", None, "left", NOW - 60)


def sweep(*users: User) -> AccountSweeps:
    return AccountSweeps(ACCOUNT, Sweep(ACCOUNT, NOW, {user.user_id: user for user in users}), None)


def standing(**changes: Any) -> Standing:
    """A user whom nothing is in the way of, but for the changes."""
    found = Standing(
        owner=KIM[:2],
        registrations=[LAPTOP, PHONE],
        tombstones=[],
        blocks=[],
        account=sweep(KIM),
        granting={ACCOUNT: frozenset({"vpn"})},
    )
    return found._replace(**changes)


def test_nothing_is_in_the_way_of_a_registered_user_of_a_granting_group() -> None:
    assert obstacles(standing(), "laptop", NOW) == []
    assert obstacles(standing(), None, NOW) == []


OBSTACLES = [
    ({"blocks": [LEFT]}, "the whole user (by -, 'left', since 2026-09-21T14:12:20Z)"),
    ({"blocks": [LOST]}, "laptop (by arn:aws:iam::111122223333:user/op, 'lost', since 2026-09-21T14:12:20Z)"),
    (
        {"registrations": [LAPTOP._replace(expires_at=NOW), PHONE]},
        "the registration of laptop expired at 2026-09-21T14:13:20Z",
    ),
    ({"account": sweep(KIM._replace(groups=("sales",)))}, "in none of the groups that grant access: vpn"),
    ({"account": sweep()}, f"no IAM user with the id AIDAKIM in account {ACCOUNT}"),
    ({"tombstones": [Tombstone(ACCOUNT, "event-1", "kim", "AIDAKIM", NOW)]}, "deleted: tombstone event-1"),
]


@pytest.mark.parametrize("device", ["laptop", None])
@pytest.mark.parametrize(("changes", "words"), OBSTACLES)
def test_everything_that_is_in_the_way_of_a_device_is_said(
    changes: dict[str, Any], words: str, device: str | None
) -> None:
    assert obstacles(standing(**changes), device, NOW) == [words]


def test_several_obstacles_are_all_said() -> None:
    found = standing(blocks=[LOST, LEFT], account=sweep(), registrations=[LAPTOP._replace(expires_at=1.0)])
    assert len(obstacles(found, "laptop", NOW)) == 4


def test_device_that_is_not_registered_has_that_in_its_way() -> None:
    assert obstacles(standing(registrations=[PHONE]), "laptop", NOW) == ["laptop isn't registered"]


def test_what_is_about_another_device_or_user_is_in_nobodys_way() -> None:
    others = [LOST._replace(user_id="AIDABOB"), LEFT._replace(account_id="444455556666")]
    found = standing(blocks=[LOST, *others], registrations=[LAPTOP._replace(expires_at=1.0), PHONE])
    assert obstacles(found, "phone", NOW) == []
    of_another_user = PHONE._replace(user_id="AIDABOB", expires_at=1.0)
    assert obstacles(standing(registrations=[LAPTOP, PHONE, of_another_user]), "phone", NOW) == []


def test_groups_are_not_in_the_way_where_nobody_said_which_ones_grant_access() -> None:
    assert obstacles(standing(granting=None, account=sweep(KIM._replace(groups=()))), "laptop", NOW) == []


def test_r15_block_of_odd_words_is_shown_on_one_line() -> None:
    odd = LOST._replace(reason="two\nlines\x1b", by=None, created_at=0.0)
    assert block_in_words(odd) == "laptop (by -, 'two lines', since -)"


def test_devices_are_shown_with_what_is_wrong_with_them() -> None:
    devices = [PHONE, LAPTOP, PHONE._replace(device="tablet", expires_at=NOW)]
    assert devices_in_words(devices, [LOST], NOW) == "laptop (blocked), phone, tablet (expired)"
    assert devices_in_words([], [], NOW) == "none"


def test_order_to_unblock_that_hits_nothing_names_what_is_blocked() -> None:
    said = orders.unblocked(PERSON, "fone", [], [LOST], [], check_mode=False)
    assert said == f"kim has no block on fone; blocked: {block_in_words(LOST)}."
    said = orders.unblocked(PERSON._replace(namesakes=("AIDA0",)), None, [], [], [], check_mode=False)
    assert said.startswith(
        "kim has no block on the whole user; blocked: nothing. An earlier kim has the id AIDA0; give"
    )


def test_order_to_unblock_says_what_still_blocks_and_when_the_device_comes_back() -> None:
    run = "ansible-playbook -i INVENTORY tracklib.vpn.reconcile"
    said = orders.unblocked(PERSON, "laptop", [LOST], [LOST], [], check_mode=False)
    assert said == (
        f"laptop of kim (AIDAKIM) is unblocked; still blocked: nothing; comes back with the next reconcile ({run})"
    )
    said = orders.unblocked(PERSON, None, [LEFT], [LEFT], ["a", "b"], check_mode=True)
    assert said == (
        "kim (AIDAKIM) would be unblocked; still blocked: a; b; comes back with the next reconcile once nothing of "
        "that is left"
    )


@pytest.mark.parametrize(
    ("before", "words"),
    [
        (None, f"is registered with the key {fingerprint('key')} until {END}"),
        (
            LAPTOP,
            f"is registered already, with the key {fingerprint('key')} until {END}; nothing changed",
        ),
        (
            LAPTOP._replace(public_key="old"),
            f"is registered with the key {fingerprint('key')} instead of {fingerprint('old')}, until {END}",
        ),
        (
            LAPTOP._replace(expires_at=NOW),
            "is renewed: its end moves from 2026-09-21T14:13:20Z to 2026-09-21T14:14:20Z",
        ),
        (LAPTOP._replace(expires_at=None), "is renewed: its end moves from never to 2026-09-21T14:14:20Z"),
    ],
)
def test_order_to_register_or_renew_says_what_changed(before: Registration | None, words: str) -> None:
    said = orders.registered(PERSON, before, LAPTOP, ["x"], now=NOW - 3600, check_mode=False)
    assert said.startswith(f"laptop of kim (AIDAKIM) {words}; still blocked: x; comes in with the next reconcile once")


def test_order_to_remove_says_when_the_tunnel_goes_off_and_how_it_does_at_once() -> None:
    said = orders.removed(PERSON, LAPTOP, ACCOUNT, PEER, check_mode=False)
    assert said.startswith("laptop of kim (AIDAKIM) is removed; its tunnel goes off with the next reconcile (ansible-")
    assert said.endswith(" tracklib.vpn.revoke -e revoke_user_name=AIDAKIM -e revoke_device=laptop")
    assert "would be removed" in orders.removed(PERSON, LAPTOP, ACCOUNT, PEER, check_mode=True)
    said = orders.removed(PERSON._replace(account_id="444455556666"), LAPTOP, ACCOUNT, PEER, check_mode=False)
    assert said.endswith(" -e revoke_account_id=444455556666")


def test_removal_of_what_could_not_be_read_says_so_and_what_is_free_again() -> None:
    damage = "the registry's item x can't be read (ValueError: y) and is left out; look"
    facts = result([], [], unreadable={LAPTOP.identity: damage}, peers=[LAPTOP]).facts
    said = orders.removed(PERSON, LAPTOP._replace(addresses=("10.44.0.2",)), ACCOUNT, facts, check_mode=False)
    held = f"the key {fingerprint('key')}, 10.44.0.2"
    assert (
        f"is removed, although the registry's item x can't be read (ValueError: y); what its claims held ({held}) is r"
        in said
    )
    nothing = LAPTOP._replace(public_key="")
    assert "held (nothing) would be released" in orders.removed(PERSON, nothing, ACCOUNT, facts, check_mode=True)


def test_removal_of_what_is_no_peer_offers_no_revocation_which_would_know_the_device_no_more() -> None:
    said = orders.removed(PERSON, LAPTOP, ACCOUNT, result([], []).facts, check_mode=False)
    assert "is removed; it was no peer by the last run." in said
    assert "revoke" not in said


def test_order_to_remove_names_the_gateways_that_missed_that_the_device_left() -> None:
    missed = result([], [], missed={"gw-2": [LAPTOP.label], "gw-3": ["other/laptop"]}).facts
    said = orders.removed(PERSON, LAPTOP, ACCOUNT, missed, check_mode=False)
    assert "is removed; gw-2 may still have it as a peer; its tunnel goes off with the next reconcile (" in said
    assert said.endswith(" tracklib.vpn.revoke -e revoke_user_name=AIDAKIM -e revoke_device=laptop")


def test_renewal_says_that_a_life_is_too_short_and_that_a_handout_is_no_more_one() -> None:
    before = LAPTOP._replace(confirmed_end=NOW + 30 * 86400)
    after = LAPTOP._replace(expires_at=NOW + 90, renewed_at=NOW)
    said = orders.registered(PERSON, before, after, [], now=NOW, check_mode=False)
    assert (
        "; the handout doesn't wait for its first use any more; that may be over before the next reconcile: give"
        in said
    )
    long = orders.registered(PERSON, LAPTOP, LAPTOP._replace(expires_at=NOW + 86400), [], now=NOW, check_mode=False)
    assert "first use" not in long
    assert "may be over" not in long


REGISTERED: dict[str, Any] = {
    "changed": True,
    "msg": "laptop of kim (AIDAKIM) is registered",
    "registration": {**LAPTOP._asdict(), "public_key": KEY, "addresses": ["10.44.0.2", "fd44::2"]},
    "still_blocked_by": [],
    "diff": {"before": "", "after": "for people"},
}


def test_answer_to_an_order_has_the_sentence_and_what_the_order_is_about() -> None:
    told = orders.order_report(REGISTERED)
    assert told.lines == [
        "laptop of kim (AIDAKIM) is registered",
        "",
        "DEVICE      KEY               ADDRESSES           ENDS",
        f"kim/laptop  {fingerprint(KEY)}  10.44.0.2, fd44::2  2026-09-21T14:14:20Z",
    ]
    assert told.failures == []
    assert dict(told.data) == {
        name: REGISTERED[name] for name in ("changed", "msg", "registration", "still_blocked_by")
    }


def test_device_without_an_end_or_a_readable_key_has_its_row_too() -> None:
    damaged = {**REGISTERED["registration"], "public_key": "", "addresses": [], "expires_at": None}
    assert orders.order_report({**REGISTERED, "registration": damaged}).lines[-2:] == [
        "DEVICE      KEY  ADDRESSES  ENDS",
        "kim/laptop  -    -          never",
    ]


def test_answer_to_an_order_to_unblock_has_the_lifted_block() -> None:
    lifted = [LOST._asdict(), LEFT._asdict()]
    told = orders.order_report(
        {"changed": True, "msg": "unblocked", "lifted": lifted, "still_blocked_by": ["tombstone"]}
    )
    assert told.lines == [
        "unblocked",
        "",
        "BLOCK OF        SINCE                 BY  REASON",
        "laptop          2026-09-21T14:12:20Z  op  lost",
        "the whole user  2026-09-21T14:12:20Z  -   left",
    ]
    assert told.data["lifted"] == lifted
    assert told.failures == []


@pytest.mark.parametrize("result", [{"lifted": []}, {}])
def test_order_that_hit_nothing_is_a_failure(result: dict[str, Any]) -> None:
    told = orders.order_report({"changed": False, "msg": "kim has no device fone", **result})
    assert (told.lines, told.failures) == ([], ["kim has no device fone"])
    assert told.data["msg"] == "kim has no device fone"
