# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The mail about registrations that end soon."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils.model import Registration, Sweep, User
from ansible_collections.tracklib.vpn.plugins.module_utils.timespan import DAY
from dispatcher.endings import SHOWN, Mail, mail_of_endings

ACCOUNT = "123456789012"
MONDAY = 1_789_974_000  # 2026-09-21 07:00 UTC
ALICE = User(ACCOUNT, "AIDA1", "alice", MONDAY - 400 * DAY)


def device(name: str = "laptop", **changes: Any) -> Registration:
    """One of alice's, of a life of 30 days that ends in 3."""
    made = Registration(ACCOUNT, "AIDA1", name, "alice", "KEY", (), MONDAY - 27 * DAY, MONDAY + 3 * DAY)
    return made._replace(**changes)


def mail(*registrations: Registration, sweep: Sweep | None = None, now: float = MONDAY) -> Mail | None:
    return mail_of_endings(registrations, {ACCOUNT: sweep or Sweep(ACCOUNT, now, {"AIDA1": ALICE})}, now)


def test_devices_are_listed_by_their_ends_with_who_can_renew_them() -> None:
    found = mail(
        device("phone", expires_at=MONDAY + 5 * DAY, handed_out=True), device(), device("tablet", fixed_end=True)
    )
    assert found is not None
    assert found.subject == "3 registrations of the VPN end within 14d"
    assert found.text.splitlines()[:6] == [
        "3 registrations of the VPN end within 14d.",
        "",
        "ENDS                  IN  DEVICE        NOTE",
        "2026-09-24T07:00:00Z  3d  alice/laptop  -",
        "2026-09-24T07:00:00Z  3d  alice/tablet  an operator set its end",
        "2026-09-26T07:00:00Z  5d  alice/phone   handed out: operators renew it",
    ]


@pytest.mark.parametrize(
    "quiet",
    [
        device(expires_at=None),
        device(expires_at=MONDAY - 1),
        device(expires_at=MONDAY + 15 * DAY, fixed_end=True),
        # its user's machine renews it, or tells the user
        device(created_at=MONDAY - 5 * DAY, expires_at=MONDAY + 5 * DAY),
        device(renewed_at=MONDAY - 5 * DAY, expires_at=MONDAY + 5 * DAY),
        # its user left
        device(user_id="AIDA2"),
        # nobody of that account may connect any more
        device(account_id="999999999999"),
    ],
)
def test_what_needs_nobody_is_left_out(quiet: Registration) -> None:
    assert mail(quiet) is None


def test_handout_that_nobody_has_used_is_named_as_one() -> None:
    found = mail(device(expires_at=MONDAY + 2 * DAY, handed_out=True, confirmed_end=MONDAY + 29 * DAY))
    assert found is not None
    assert "handed out, and nobody has connected yet" in found.text


def test_account_without_a_sweep_tells_nothing_of_who_left() -> None:
    assert mail_of_endings([device()], {ACCOUNT: None}, MONDAY) is not None


@pytest.mark.parametrize("life", [1, 2, 7, 8, 13, 30, 365])
@pytest.mark.parametrize("changes", [{}, {"handed_out": True}, {"fixed_end": True}])
def test_every_end_is_told_before_it_comes_and_on_few_days(life: int, changes: dict[str, Any]) -> None:
    """Whatever hour of a week a life begins at, and how long it is."""
    for hour in range(7 * 24):
        begun = MONDAY + hour * 3600
        one = device(created_at=begun, expires_at=begun + life * DAY, **changes)
        days = [MONDAY + number * DAY for number in range(life + 8)]
        told = [day for day in days if begun <= day and mail(one, now=day) is not None]
        # of a shorter life, the last quarter may pass between two looks
        assert told or life / 4 < 1, (life, hour)
        assert len(told) <= 4


def test_mail_comes_on_the_day_of_news_and_on_mondays() -> None:
    """A mail each day would soon be read by nobody."""
    one = device(created_at=MONDAY - 20 * DAY, expires_at=MONDAY + 10 * DAY)  # its last quarter begins at 2.5 days
    days = [number for number in range(11) if mail(one, now=MONDAY + number * DAY) is not None]
    assert days == [3, 7]
    other = device("phone", expires_at=MONDAY + 5 * DAY + 7.5 * DAY, created_at=MONDAY - 17.5 * DAY)
    found = mail(one, other, now=MONDAY + 5 * DAY)
    assert found is not None
    assert "alice/laptop" in found.text, "news bring the others with them"


def test_20000_endings_fit_into_what_sns_takes() -> None:
    found = mail(*(device(f"device-{number:05}") for number in range(20_000)))
    assert found is not None
    assert len(found.subject) <= 100
    assert len(found.text.encode()) < 256 * 1024
    assert f"\nand {20_000 - SHOWN} more\n" in found.text
