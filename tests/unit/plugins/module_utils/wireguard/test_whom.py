# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What an operator calls a user or a device."""

from __future__ import annotations

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.whom import read_user_id, read_whom

ID = "AIDACKCEVSQ6C2EXAMPLE"


@pytest.mark.parametrize(
    ("given", "whom"),
    [
        ("alice", ("alice", "")),
        (" Alice.B\t", ("Alice.B", "")),
        ("alice/laptop\n", ("alice", "laptop")),
        (ID, (ID, "")),
        (f" {ID.lower()} ", (ID, "")),
        (f"{ID.capitalize()}/phone", (ID, "phone")),
        ("aidan", ("aidan", "")),
        ("aidan.smith.the.second-of-them", ("aidan.smith.the.second-of-them", "")),
        ("", ("", "")),
    ],
)
def test_name_label_or_id_is_read(given: str, whom: tuple[str, str]) -> None:
    assert read_whom(given) == whom


def test_device_that_is_given_apart_leaves_the_name_as_it_is() -> None:
    assert read_whom(" alice/laptop ", " phone ") == ("alice/laptop", "phone")


def test_user_id_is_upper_case() -> None:
    assert read_user_id(f" {ID.lower()}\n") == ID
