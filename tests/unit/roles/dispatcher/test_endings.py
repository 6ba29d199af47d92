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
NOW = 1_790_000_000
ALICE = User(ACCOUNT, "AIDA1", "alice", NOW - 400 * DAY)


def device(name: str = "laptop", **changes: Any) -> Registration:
    """One of alice's, of a life of 30 days that ends in 3."""
    made = Registration(ACCOUNT, "AIDA1", name, "alice", "KEY", (), NOW - 27 * DAY, NOW + 3 * DAY)
    return made._replace(**changes)


def mail(*registrations: Registration, sweep: Sweep | None = None) -> Mail | None:
    return mail_of_endings(registrations, {ACCOUNT: sweep or Sweep(ACCOUNT, NOW, {"AIDA1": ALICE})}, NOW)


def test_devices_are_listed_by_their_ends_with_who_can_renew_them() -> None:
    found = mail(device("phone", expires_at=NOW + 5 * DAY, handed_out=True), device(), device("tablet", fixed_end=True))
    assert found is not None
    assert found.subject == "3 registrations of the VPN end within 14d"
    assert found.text.splitlines()[:6] == [
        "3 registrations of the VPN end within 14d.",
        "",
        "ENDS                  IN  DEVICE        NOTE",
        "2026-09-24T14:13:20Z  3d  alice/laptop  -",
        "2026-09-24T14:13:20Z  3d  alice/tablet  an operator set its end",
        "2026-09-26T14:13:20Z  5d  alice/phone   handed out: operators renew it",
    ]


@pytest.mark.parametrize(
    "quiet",
    [
        device(expires_at=None),
        device(expires_at=NOW - 1),
        device(expires_at=NOW + 15 * DAY),
        # its user can't renew it yet
        device(created_at=NOW - DAY, expires_at=NOW + 6 * DAY),
        device(renewed_at=NOW - DAY, expires_at=NOW + 6 * DAY),
        # its user left
        device(user_id="AIDA2"),
    ],
)
def test_what_needs_nobody_is_left_out(quiet: Registration) -> None:
    assert mail(quiet) is None


def test_account_without_a_sweep_tells_nothing_of_who_left() -> None:
    assert mail_of_endings([device()], {}, NOW) is not None
    assert mail_of_endings([device()], {ACCOUNT: None}, NOW) is not None


def test_20000_endings_fit_into_what_sns_takes() -> None:
    found = mail(*(device(f"device-{number:05}") for number in range(20_000)))
    assert found is not None
    assert len(found.subject) <= 100
    assert len(found.text.encode()) < 256 * 1024
    assert f"\nand {20_000 - SHOWN} more\n" in found.text
