# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Lost and damaged files, missing commands, and interfaces that aren't ours: survivors stay."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.commands import CommandMissing, run
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.config import digest
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.drift import find_drift
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.gateway import Gateway
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.read import read

from tests.support.wireguard_host import REGISTRY, Host, Person, allowed, key

ALICE, BOB, CAROL, DAVE = (Person(name, number) for number, name in enumerate(("alice", "bob", "carol", "dave"), 1))


def _survivors_were_left_alone(host: Host) -> None:
    assert not any(key(BOB.number) in call for call in host.run.calls)
    assert not any(key(BOB.number) in text for text in host.run.inputs)


@contextmanager
def read_only(directory: Path) -> Iterator[None]:
    """A file system that turned read-only, as one does after errors of its disk."""
    subprocess.run(["mount", "--bind", directory, directory], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", directory], check=True)
        yield
    finally:
        subprocess.run(["umount", directory], check=True)


@pytest.mark.parametrize("lock_is_there", [True, False])
@pytest.mark.parametrize("which", ["state_dir", "config_dir"])
def test_r4_read_only_file_system_keeps_no_leaver(host: Host, which: str, lock_is_there: bool) -> None:
    host.apply(host.order(1, [ALICE, BOB, CAROL]))
    if not lock_is_there:
        host.site.apply_lock.unlink()
        host.site.state_lock.unlink()
    with read_only(getattr(host.site, which)):
        outcome = host.apply(host.order(2, [BOB, CAROL], revoked=[ALICE]))
        assert (outcome.removed, len(outcome.problems)) == (["alice/laptop"], 1)
        assert "Read-only file system" in outcome.problems[0]
        revoked = host.revoke("bob")
        assert (revoked.removed, host.peers) == (["bob/laptop"], allowed(CAROL))
    assert host.apply(host.order(3, [CAROL], revoked=[ALICE, BOB])).problems == []
    assert host.peers == allowed(CAROL)


@contextmanager
def full(directory: Path) -> Iterator[None]:
    """A file system without room for another file."""
    found = {path.name: path.read_bytes() for path in directory.iterdir()}
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128k,mode=700", "tmpfs", directory], check=True)
    try:
        for name, content in found.items():
            (directory / name).write_bytes(content)
        with suppress(OSError), (directory / "filling").open("wb", buffering=0) as filling:
            while filling.write(bytes(1024)):
                pass
        yield
        left = {path.name: path.read_bytes() for path in directory.iterdir() if path.name != "filling"}
    finally:
        subprocess.run(["umount", directory], check=True)
    for name, content in left.items():
        (directory / name).write_bytes(content)


def test_r4_full_disk_keeps_no_leaver_and_the_removal_is_told_to_whoever_records_it(host: Host) -> None:
    host.apply(host.order(1, [ALICE, BOB, CAROL]))
    with full(host.site.state_dir):
        outcome = host.apply(host.order(2, [BOB, CAROL], revoked=[ALICE]))
        assert (outcome.removed, host.peers) == (["alice/laptop"], allowed(BOB, CAROL))
        assert f"No space left on device: '{host.site.state}'" in outcome.problems[0]
        (removal,) = outcome.removals
        assert (removal.name, removal.reason, removal.removed_at) == ("alice/laptop", "tombstoned", int(host.now))
        (revoked,) = host.revoke("bob").removals
        assert (revoked.name, revoked.removed_at) == ("bob/laptop", int(host.now))
        host.sh("ip", "link", "del", host.name)
        assert host.program("up").returncode == 0
        assert host.peers == allowed(CAROL), "survivors come back, leavers don't"
    after = host.apply(host.order(3, [CAROL], revoked=[ALICE, BOB]))
    assert (after.problems, after.repaired) == ([], [])
    assert (host.peers, _drift(host)) == (allowed(CAROL), ())


def test_r8_what_a_full_disk_left_half_done_is_drift_until_it_is_done(host: Host) -> None:
    host.apply(host.order(1, [ALICE, BOB]))
    with full(host.site.config_dir):
        outcome = host.apply(host.order(2, [BOB], revoked=[ALICE]))
        assert (outcome.removed, host.peers) == (["alice/laptop"], allowed(BOB))
        assert _drift(host) == ("removal of alice/laptop not finished", "roster 2 applied in part only")
        host.sh("ip", "link", "del", host.name)
        assert host.program("up").returncode == 0
        assert host.peers == allowed(BOB), "who is in the file still, and being removed, doesn't come back"
    assert host.apply(host.order(3, [BOB], revoked=[ALICE])).problems == []
    assert _drift(host) == ()


@pytest.mark.parametrize("without_roster", [True, False])
def test_r4_leaver_doesnt_come_back_by_a_restart_where_nothing_could_be_written(
    host: Host, without_roster: bool
) -> None:
    host.apply(host.order(1, [ALICE, BOB]))
    with full(host.site.config_dir), full(host.site.state_dir):
        outcome = host.revoke("alice") if without_roster else host.apply(host.order(2, [BOB], revoked=[ALICE]))
        assert (outcome.removed, host.peers) == (["alice/laptop"], allowed(BOB))
        assert _drift(host) == (f"removal of key {digest(key(ALICE.number))[:16]} not saved",)
        host.sh("ip", "link", "del", host.name)
        assert host.program("up").returncode == 0
        assert host.peers == allowed(BOB)
        assert host.program("reload").returncode == 0
        assert host.peers == allowed(BOB)
    assert host.apply(host.order(3, [ALICE, BOB])).problems == []
    assert host.peers == allowed(ALICE, BOB)
    assert _drift(host) == ()


def _drift(host: Host) -> tuple[str, ...]:
    gateway = Gateway(host.site, host.run)
    return find_drift(gateway, read(gateway)).differing


ODD: dict[str, Any] = {
    "made_at": "abc",
    "generation": [],
    "held": [[2]],
    "config": [None],
    "bars": [{"user_name": None, "generation": 0}],
    "removals": [{"public_key": []}],
}


@pytest.mark.parametrize("name", ODD)
def test_r4_state_with_odd_values_is_as_good_as_a_corrupt_one(host: Host, name: str) -> None:
    host.apply(host.order(5, [ALICE, BOB], revoked=[CAROL]))
    host.apply(host.order(6, [BOB], revoked=[ALICE]))
    content = json.loads(host.site.state.read_text())
    odd = ODD[name]
    if name == "removals":
        odd = [{**content["removals"][0], "public_key": []}]
    host.site.state.write_text(json.dumps({**content, name: odd}))
    assert _drift_problems(host) == (f"{host.site.state} is corrupt; run a reconcile",)
    assert host.revoke("bob").removed == ["bob/laptop"]
    assert host.apply(host.order(7, [BOB, DAVE], revoked=[])).barred == ["bob/laptop"]
    assert host.peers == allowed(DAVE)


def _drift_problems(host: Host) -> tuple[str, ...]:
    gateway = Gateway(host.site, host.run)
    return find_drift(gateway, read(gateway)).problems


@pytest.mark.parametrize("what", ["directory", "loop"])
@pytest.mark.parametrize("name", ["config", "firewall", "state", "apply_lock", "state_lock"])
def test_r4_what_stands_in_a_files_place_keeps_no_leaver(host: Host, name: str, what: str) -> None:
    host.apply(host.order(1, [ALICE, BOB]))
    path: Path = getattr(host.site, name)
    path.unlink()
    if what == "directory":
        path.mkdir()
    else:
        path.symlink_to(path)
    outcome = host.apply(host.order(2, [BOB], revoked=[ALICE]))
    assert (outcome.removed, host.peers) == (["alice/laptop"], allowed(BOB))
    if outcome.problems:
        assert (name, what) in (("config", "directory"), ("firewall", "directory"))
        assert str(path) in outcome.problems[0]


def test_copies_of_files_are_no_interfaces_of_ours(host: Host) -> None:
    host.apply(host.order(1, [ALICE, BOB]))
    shutil.copy(host.site.state, host.site.state.with_name(f"{host.name} (copy).json"))
    copy = host.site.config_dir / "wgold.conf"
    shutil.copy(host.site.config, copy)
    outcome = host.apply(host.order(2, [BOB], revoked=[ALICE]))
    assert (outcome.problems, outcome.removed, len(outcome.removals)) == ([], ["alice/laptop"], 1)
    assert outcome.settings == []
    assert host.revoke("bob").removed == ["bob/laptop"]
    assert copy.is_file()
    assert not (host.site.state_dir / "wgold.json").exists()


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"format": 1}', '{"format": 99}', "\x00\xff"])
def test_corrupt_state_is_set_aside_and_made_again(host: Host, text: str) -> None:
    host.apply(host.order(5, [ALICE, BOB]))
    host.site.state.write_text(text)
    outcome = host.apply(host.order(6, [BOB, CAROL]))
    assert outcome.problems == []
    aside = host.site.state.with_name(f"{host.site.state.name}.corrupt-{int(host.now)}")
    assert aside.read_text() == text
    assert str(host.site.state_copy) in outcome.repaired[0]
    assert str(aside) in outcome.repaired[1]
    assert (host.peers, host.state.generation) == (allowed(BOB, CAROL), 6)
    _survivors_were_left_alone(host)


def test_lost_state_is_made_again_from_the_file(host: Host) -> None:
    host.apply(host.order(5, [ALICE, BOB]))
    host.site.state.unlink()
    outcome = host.apply(host.order(6, [BOB]))
    copy = host.site.state_copy
    repaired = [f"{host.site.state} lost; the registry to follow and the bars are from {copy}"]
    assert (outcome.problems, outcome.removed, outcome.repaired) == ([], ["alice/laptop"], repaired)
    assert host.peers == allowed(BOB)
    _survivors_were_left_alone(host)
    assert host.apply(host.order(7, [BOB])).repaired == []


@pytest.mark.parametrize("damage", ["", "{", None])
def test_r6_r16_lost_state_forgets_neither_bars_nor_the_registry(host: Host, damage: str | None) -> None:
    host.apply(host.order(5, [ALICE, BOB]))
    host.revoke("bob")
    if damage is None:
        host.site.state.unlink()
    else:
        host.site.state.write_text(damage)
    other = host.order(6, [DAVE], registry=REGISTRY._replace(identity="another", table_id="another"))
    assert "this roster is from another registry" in host.apply(other).problems[0]
    outcome = host.apply(host.order(7, [ALICE, BOB]))
    assert (outcome.added, outcome.barred) == ([], ["bob/laptop"])
    assert host.peers == allowed(ALICE)


def test_r6_state_that_was_lost_with_its_copy_fails_one_run_in_words(host: Host) -> None:
    host.apply(host.order(5, [ALICE, BOB]))
    host.site.state.unlink()
    host.site.state_copy.unlink()
    (problem,) = host.apply(host.order(6, [ALICE, BOB])).problems
    assert "which registry this gateway follows and whom it bars is forgotten" in problem
    assert host.apply(host.order(7, [ALICE, BOB])).problems == []


def test_copy_of_the_state_that_cannot_be_written_costs_no_run(host: Host) -> None:
    host.site.state_copy.mkdir()
    assert host.apply(host.order(5, [ALICE, BOB])).problems == []
    assert host.peers == allowed(ALICE, BOB)


def test_state_that_is_a_directory_is_set_aside(host: Host) -> None:
    host.apply(host.order(5, [ALICE, BOB]))
    host.site.state.unlink()
    host.site.state.mkdir()
    outcome = host.apply(host.order(6, [BOB], revoked=[ALICE]))
    assert (outcome.problems, outcome.removed) == ([], ["alice/laptop"])
    assert "is a directory; moved to" in " ".join(outcome.repaired)


@pytest.mark.parametrize("text", [None, "", "nonsense\n", "[Peer]\n[Interface]\n"])
def test_damaged_file_is_written_again_and_survivors_stay(host: Host, text: str | None) -> None:
    host.apply(host.order(1, [ALICE, BOB]))
    if text is None:
        host.site.config.unlink()
    else:
        host.site.config.write_text(text)
    outcome = host.apply(host.order(2, [BOB, CAROL], revoked=[ALICE]))
    assert (outcome.problems, outcome.removed) == ([], ["alice/laptop"])
    assert host.peers == allowed(BOB, CAROL)
    assert host.program("reload").returncode == 0
    _survivors_were_left_alone(host)


def _missing(host: Host, command: str) -> None:
    def before(args: list[str]) -> None:
        if args[0] == command:
            raise CommandMissing(f"`{command}` isn't installed")

    host.run.before = before


@pytest.mark.parametrize("command", ["wg", "ip", "nft"])
def test_missing_command_is_named_and_survivors_stay(host: Host, command: str) -> None:
    host.apply(host.order(1, [ALICE, BOB]))
    before = host.files()
    _missing(host, command)
    outcome = host.apply(host.order(2, [BOB, CAROL], networks=["10.30.0.0/16"]))
    assert outcome.problems == [f"`{command}` isn't installed"]
    assert host.peers == allowed(ALICE, BOB)
    assert {path for path, found in host.files().items() if before.get(path) != found} <= {str(host.site.state)}


def test_missing_command_is_named_on_a_new_host(host: Host) -> None:
    _missing(host, "ip")
    assert host.apply(host.order(1, [ALICE])).problems == ["`ip` isn't installed"]


def test_real_runner_names_the_package_of_a_missing_command() -> None:
    with pytest.raises(CommandMissing, match="`wg-none` isn't installed; install the package wg-none"):
        run(["wg-none"])


def _foreign(host: Host) -> None:
    host.site.config.write_text(
        f"[Interface]\nPrivateKey = {host.private_key}\nListenPort = 51820\nTable = off\n\n"
        f"# his\n[Peer]\nPublicKey = {key(9)}\nAllowedIPs = 10.0.0.9/32\n"
    )


@pytest.mark.parametrize("running", [True, False])
def test_foreign_interface_is_refused_with_its_peers(host: Host, running: bool) -> None:
    _foreign(host)
    if running:
        host.sh("wg-quick", "up", str(host.site.config))
    before = host.files()
    outcome = host.apply(host.order(1, [ALICE], revoked=[BOB]))
    (problem,) = outcome.problems
    assert "was not made by this collection, and was left as it is" in problem
    assert f"{key(9)} his" in problem
    assert host.private_key not in problem
    assert (outcome.changed, host.run.changes) == (False, [])
    assert {path: found for path, found in host.files().items() if not path.endswith(".lock")} == before


def test_r9_doubled_address_never_reaches_the_device(host: Host) -> None:
    host.apply(host.order(1, [BOB]))
    outcome = host.apply(host.order(2, [ALICE, BOB, CAROL._replace(address=ALICE.number)]))
    assert "carol/laptop: has the address 10.44.0.3/32 of alice/laptop" in outcome.problems[0]
    assert (host.peers, host.run.changes) == (allowed(BOB), [])
