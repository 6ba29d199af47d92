# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What an operator wants a device's registration to be."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils import keys
from ansible_collections.tracklib.vpn.plugins.module_utils.model import Registration, User
from ansible_collections.tracklib.vpn.plugins.module_utils.registration import Wanted, life_of, updated
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.dynamodb import RegistryError
from ansible_collections.tracklib.vpn.plugins.module_utils.timespan import DAY

NOW = 1_800_000_000
KEY = keys.generate()[1]
USER = User("111122223333", "AIDA1", "alice", 0)


def wanted(**changes: Any) -> Wanted:
    return Wanted(user=USER, device="laptop", label="alice/laptop", public_key=KEY, life=3600)._replace(**changes)


def registered(**changes: Any) -> Registration:
    made = Registration(
        account_id=USER.account_id,
        user_id=USER.user_id,
        device="laptop",
        user_name="alice",
        public_key=KEY,
        addresses=("10.44.0.2",),
        created_at=NOW - 1000,
        expires_at=NOW + 10,
        renewed_at=NOW - 500,
    )
    return made._replace(**changes)


def test_new_registration_lives_for_its_time_from_now_on() -> None:
    made = updated(None, wanted(), NOW)
    assert made == registered(addresses=(), created_at=NOW, expires_at=NOW + 3600, renewed_at=None, fixed_end=True)


def test_registration_lives_for_30_days_unless_somebody_says_otherwise() -> None:
    assert updated(None, wanted(life=None), NOW).expires_at == NOW + 30 * DAY
    assert updated(None, wanted(life=life_of("never")), NOW).expires_at is None
    assert updated(None, wanted(life=life_of("12h")), NOW).expires_at == NOW + 12 * 3600


def test_renewal_without_a_life_goes_on_for_as_long_as_before() -> None:
    made = updated(registered(), wanted(renew=True, life=None), NOW)
    assert made.expires_at == NOW + 510


@pytest.mark.parametrize(
    ("before", "asked", "fixed"),
    [
        (None, {"life": None}, False),
        (None, {"life": 3600.0}, True),
        (None, {"life": life_of("never")}, False),
        (registered(), {}, False),  # its life isn't over: nothing about its end changes
        (registered(fixed_end=True), {"public_key": keys.generate()[1]}, True),
        (registered(), {"renew": True}, True),
        (registered(fixed_end=True), {"renew": True, "life": None}, True),
        (registered(fixed_end=True), {"renew": True, "life": life_of("never")}, False),
        (registered(expires_at=NOW - 1), {"life": None}, False),
    ],
)
def test_end_that_an_operator_sets_is_fixed(before: Registration | None, asked: dict[str, Any], fixed: bool) -> None:
    assert updated(before, wanted(**asked), NOW).fixed_end is fixed


@pytest.mark.parametrize("life", ["36501d", "999999999d", "999999h"])
def test_life_is_at_most_100_years_so_that_the_registry_can_hold_its_end(life: str) -> None:
    with pytest.raises(ValueError, match=f"expires_in '{life}' is longer than 100 years; expected at most 36500d"):
        life_of(life)
    assert life_of("36500d") == 36500 * DAY


@pytest.mark.parametrize("expires_at", [NOW + 400 * DAY, None])
def test_renewal_never_shortens_a_life_unless_it_is_said(expires_at: int | None) -> None:
    long = registered(expires_at=expires_at, renewed_at=NOW + 60)  # by a clock ahead of this one
    assert updated(long, wanted(renew=True, life=None), NOW).expires_at == expires_at
    assert updated(long, wanted(renew=True, life=3600), NOW).expires_at == NOW + 3600


def test_renewal_of_what_does_not_expire_changes_nothing() -> None:
    endless = registered(expires_at=None, renewed_at=None, addresses=(), created_at=NOW)
    assert updated(endless, wanted(renew=True, life=None), NOW) == endless


def test_registration_whose_life_is_none_lives_for_the_usual_time_when_renewed() -> None:
    odd = registered(expires_at=NOW - 5000, renewed_at=NOW)
    assert updated(odd, wanted(life=None), NOW).expires_at == NOW + 30 * DAY


def test_another_key_is_refused_with_both_fingerprints_unless_it_is_to_replace_the_registered_one() -> None:
    other = keys.generate()[1]
    given, had = keys.fingerprint(other), keys.fingerprint(KEY)
    with pytest.raises(RegistryError, match=f"alice/laptop is registered with another key: {had}, given {given}"):
        updated(registered(), wanted(public_key=other, replace=False), NOW)
    assert updated(registered(), wanted(public_key=other), NOW).public_key == other
    assert updated(registered(), wanted(replace=False), NOW).public_key == KEY


@pytest.mark.parametrize("expires_at", [NOW + 1, None])
def test_unexpired_registration_keeps_its_expiry(expires_at: int | None) -> None:
    made = updated(registered(expires_at=expires_at), wanted(), NOW)
    assert (made.expires_at, made.renewed_at) == (expires_at, NOW - 500)


def test_registration_that_expires_this_second_is_renewed() -> None:
    made = updated(registered(expires_at=NOW), wanted(), NOW)
    assert (made.expires_at, made.renewed_at) == (NOW + 3600, NOW)


def test_renewal_changes_the_expiry_each_time_and_keeps_the_key() -> None:
    made = updated(registered(), wanted(renew=True, public_key=None), NOW)
    assert (made.public_key, made.expires_at, made.renewed_at) == (KEY, NOW + 3600, NOW)
    assert updated(made, wanted(renew=True), NOW + 1).expires_at == NOW + 3601


@pytest.mark.parametrize(("public_key", "expected"), [(KEY, True), (keys.generate()[1], False)])
def test_key_that_was_handed_out_stays_so_until_its_owner_has_another(public_key: str, expected: bool) -> None:
    assert updated(registered(handed_out=True), wanted(public_key=public_key), NOW).handed_out is expected
    assert updated(registered(), wanted(public_key=public_key), NOW).handed_out is False


UNUSED = registered(expires_at=NOW + 10, renewed_at=None, handed_out=True, confirmed_end=NOW + 30 * DAY - 1000)


def test_handout_that_nobody_has_used_stays_one_until_its_key_is_replaced_or_it_is_renewed() -> None:
    same = updated(UNUSED, wanted(life=None), NOW)
    assert (same.expires_at, same.confirmed_end) == (NOW + 10, UNUSED.confirmed_end)
    own_key = updated(UNUSED, wanted(public_key=keys.generate()[1]), NOW)
    assert (own_key.expires_at, own_key.confirmed_end) == (UNUSED.confirmed_end, None)
    for now in (NOW, NOW + 11):  # also when it is over: the file that somebody has would be of use again
        renewed = updated(UNUSED, wanted(renew=True, life=None), now)
        assert (renewed.expires_at, renewed.confirmed_end) == (now + 30 * DAY, None)


def test_key_is_missing_without_renewal() -> None:
    with pytest.raises(ValueError, match="alice/laptop: public_key is missing; only with renew does the"):
        updated(registered(), wanted(public_key=None), NOW)


def test_device_that_is_not_registered_cannot_be_renewed() -> None:
    with pytest.raises(RegistryError, match="alice/laptop can't be renewed: it isn't registered"):
        updated(None, wanted(public_key=None, renew=True), NOW)


def test_what_is_no_key_is_refused_by_device() -> None:
    with pytest.raises(ValueError, match="alice/laptop: "):
        updated(None, wanted(public_key="AAAA"), NOW)
