# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The records: names of devices, users by name, and how long a registration lives."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils.model import (
    CONSISTENCY,
    Registration,
    Sweep,
    User,
    check_device_name,
)

ACCOUNT = "111122223333"


def registration(**changes: Any) -> Registration:
    made = Registration(
        account_id=ACCOUNT,
        user_id="AIDA1",
        device="laptop",
        user_name="alice",
        public_key="key",
        addresses=("10.44.0.2",),
        created_at=1000.0,
    )
    return made._replace(**changes)


@pytest.mark.parametrize("name", ["a", "my-phone-2", "a" * 32])
def test_device_name_of_letters_digits_and_hyphens_is_taken(name: str) -> None:
    assert check_device_name(name, "alice") == name


@pytest.mark.parametrize("name", ["", "a" * 33, "Laptop", "läptop", "a b", "a\n", "../x", "a_b"])
def test_r15_other_device_names_are_refused_by_user(name: str) -> None:
    with pytest.raises(
        ValueError, match="of alice is refused; expected 1 to 32 lower-case letters, digits and hyphens"
    ):
        check_device_name(name, "alice")


def test_user_is_found_by_name_in_any_case() -> None:
    users = {each.user_id: each for each in (User(ACCOUNT, "AIDA1", "Alice", 0), User(ACCOUNT, "AIDA2", "bob", 0))}
    sweep = Sweep(ACCOUNT, 0, users)
    assert sweep.named("aLICE") == users["AIDA1"]
    assert sweep.named("BOB") == users["AIDA2"]
    assert sweep.named("carol") is None


def test_iam_may_show_a_deleted_user_for_15_minutes() -> None:
    assert CONSISTENCY == 900


def test_registration_is_named_by_user_and_device_and_owned_by_an_id() -> None:
    assert registration().label == "alice/laptop"
    assert registration().owner == (ACCOUNT, "AIDA1")


def test_life_of_a_registration_counts_from_its_last_renewal() -> None:
    assert registration(expires_at=1600.0).life == 600
    assert registration(expires_at=1600.0, renewed_at=1400.0).life == 200
    assert registration(renewed_at=1400.0).life is None


def test_registration_is_renewable_from_half_of_its_life_on() -> None:
    assert registration(expires_at=1600.0).renewable_from == 1300
    assert registration(expires_at=1600.0, renewed_at=1400.0).renewable_from == 1500
    assert registration().renewable_from is None


def test_registration_by_default_never_expires_and_has_a_key_of_its_owners() -> None:
    made = registration()
    assert (made.expires_at, made.renewed_at, made.handed_out) == (None, None, False)
