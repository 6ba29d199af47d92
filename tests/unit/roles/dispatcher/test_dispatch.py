# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Whom a deletion means, and which instances names stand for."""

from __future__ import annotations

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils.model import Sign, Sweep, Tombstone, User
from dispatcher.dispatch import is_named, pause, sign, tombstone
from dispatcher.messages import SignOfLeaving, UserDeleted
from dispatcher.settings import NamedHosts, read

ACCOUNT = "123456789012"
NOW = 1_790_000_000.0
DELETED = UserDeleted(ACCOUNT, "event-1", "Alice", NOW - 60)
SETTINGS = {
    "REGISTRY_TABLE": "tracklib-vpn",
    "QUEUE_URL": "https://sqs.example/queue",
    "DEAD_LETTERS_URL": "https://sqs.example/dead-letters",
    "GATEWAY_ACCOUNT": ACCOUNT,
    "IDENTITY_ACCOUNTS": f"{ACCOUNT},444455556666",
    "RECONCILE_PROJECT": "tracklib-vpn-reconcile",
    "GATEWAY_ROLE": "vpn-gateway",
    "BUNDLE_SHA256": "b" * 64,
    "INVENTORY_SHA256": "c" * 64,
    "DRIFT": "21600",
    "TOPIC": "arn:aws:sns:eu-west-1:123456789012:tracklib-vpn-alarms",
}


def sweep(*users: User) -> Sweep:
    return Sweep(ACCOUNT, NOW - 300, {user.user_id: user for user in users})


def test_r4_a_deletion_means_the_user_id_that_the_stored_sweep_gives_the_name() -> None:
    alice = User(ACCOUNT, "AIDA1", "alice", created_at=NOW - 86400)
    assert tombstone(DELETED, sweep(alice), NOW) == Tombstone(ACCOUNT, "event-1", "Alice", "AIDA1", NOW - 60)


def test_r4_a_name_that_no_sweep_knows_has_no_user_id() -> None:
    assert tombstone(DELETED, None, NOW).user_id is None
    assert tombstone(DELETED, sweep(), NOW).user_id is None


@pytest.mark.parametrize("created_at", [NOW - 60, NOW - 59, NOW])
def test_r1_a_user_created_after_the_deletion_is_not_meant(created_at: float) -> None:
    alice_again = User(ACCOUNT, "AIDA2", "alice", created_at)
    assert tombstone(DELETED, sweep(alice_again), NOW).user_id is None


def test_r4_a_deletion_is_never_later_than_its_receipt() -> None:
    assert tombstone(DELETED._replace(event_time=NOW + 3600), None, NOW).event_time == NOW


def test_what_waits_longer_than_any_build_comes_back_seldom_and_stays_for_days() -> None:
    assert {pause(receives, 10) for receives in range(1, 41)} == {10}  # 400 seconds at least
    assert {pause(receives, 10) for receives in range(41, 1001)} == {300}
    assert sum(pause(receives, 10) for receives in range(1, 1001)) > 3 * 86400


def test_an_early_sign_is_of_a_user_whom_the_stored_sweep_knows() -> None:
    seen = SignOfLeaving(ACCOUNT, "event-2", "DeleteLoginProfile", "alice", NOW - 60)
    alice = User(ACCOUNT, "AIDA1", "Alice", created_at=NOW - 86400)
    assert sign(seen, sweep(alice), NOW) == Sign(ACCOUNT, "AIDA1", "DeleteLoginProfile", NOW - 60)
    assert sign(seen, sweep(), NOW) is None
    assert sign(seen, sweep(alice._replace(created_at=NOW - 30)), NOW) is None


def test_instances_are_named_by_id_or_by_all_of_the_tags() -> None:
    named = (NamedHosts(instance_id="i-1"), NamedHosts(tags={"Service": "api", "Stage": "prod"}))
    assert is_named("i-1", {}, named)
    assert is_named("i-2", {"Service": "api", "Stage": "prod", "Name": "x"}, named)
    assert not is_named("i-2", {"Service": "api"}, named)
    assert not is_named("i-2", {}, (NamedHosts(),))


def test_settings_are_read_whole() -> None:
    settings = read({**SETTINGS, "NAMES_PROJECT": "names", "NAMED_HOSTS": '[{"name": "api", "instance_id": "i-1"}]'})
    assert settings.identity_accounts == {ACCOUNT, "444455556666"}
    assert settings.named_hosts == (NamedHosts(instance_id="i-1"),)
    assert read({**SETTINGS, "NAMES_PROJECT": ""}).names_project is None


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("QUEUE_URL", "", "QUEUE_URL are not set"),
        ("IDENTITY_ACCOUNTS", "12345", "'12345' is no account"),
        ("IDENTITY_ACCOUNTS", f"{ACCOUNT},", "'' is no account"),
        ("NAMED_HOSTS", "{", "NAMED_HOSTS is refused"),
        ("NAMED_HOSTS", '[{"tags": ["api"]}]', "NAMED_HOSTS is refused"),
    ],
)
def test_settings_that_can_not_be_are_refused_by_name(name: str, value: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        read({**SETTINGS, name: value})


def test_tombstone_has_the_arn_of_who_deleted_the_user() -> None:
    by = "arn:aws:iam::111122223333:user/operator"
    assert tombstone(DELETED._replace(by=by), None, NOW).by == by
