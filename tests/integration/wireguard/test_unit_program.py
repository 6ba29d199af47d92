# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The unit's start and reload: as safe as an apply."""

from __future__ import annotations

import json

import pytest

from tests.support.wireguard_host import NOW, Host, Person, allowed, key

ALICE, BOB, CAROL, DAVE = (Person(name, number) for number, name in enumerate(("alice", "bob", "carol", "dave"), 1))


@pytest.fixture
def stopped(host: Host) -> Host:
    """A gateway that was applied to and then stopped."""
    host.apply(host.order(1, [ALICE, BOB]))
    host.sh("ip", "link", "del", host.name)
    host.sh("nft", "flush", "ruleset")
    return host


def _age(host: Host, seconds: int) -> None:
    state = json.loads(host.site.state.read_text())
    state["made_at"] -= seconds
    host.site.state.write_text(json.dumps(state))


def _started_without_peers(host: Host, why: str, *options: str) -> None:
    done = host.program("up", *options)
    assert done.returncode == 0
    assert "started WITHOUT PEERS" in done.stderr
    assert why in done.stderr
    assert host.peers == {}
    assert "tracklib_vpn" in host.rules


def test_start_brings_firewall_and_peers_back(stopped: Host) -> None:
    done = stopped.program("up")
    assert (done.returncode, done.stderr) == (0, "")
    assert stopped.peers == allowed(ALICE, BOB)
    assert stopped.device.private_key == stopped.private_key
    assert "tracklib_vpn" in stopped.rules
    assert stopped.apply(stopped.order(1, [ALICE, BOB])).changed is False


def test_r12_start_with_an_old_roster_brings_no_peers(stopped: Host) -> None:
    _age(stopped, NOW)
    _started_without_peers(stopped, "the roster is", "--max-age=86400")


@pytest.mark.parametrize("command", ["up", "reload"])
def test_r12_interface_that_started_without_peers_stays_so_until_a_roster_comes(stopped: Host, command: str) -> None:
    _age(stopped, NOW)
    _started_without_peers(stopped, "the roster is", "--max-age=86400")
    done = stopped.program(command, "--max-age=86400")
    assert "still WITHOUT PEERS: the roster is" in done.stderr
    assert stopped.peers == {}
    stopped.apply(stopped.order(2, [ALICE, BOB]))
    assert stopped.peers == allowed(ALICE, BOB)


def test_r12_any_age_will_do_when_asked_for(stopped: Host) -> None:
    _age(stopped, NOW)
    assert stopped.program("up", "--max-age=0").returncode == 0
    assert stopped.peers == allowed(ALICE, BOB)


def test_r12_start_with_an_edited_file_brings_no_peers(stopped: Host) -> None:
    stopped.site.config.write_text(stopped.site.config.read_text() + f"[Peer]\nPublicKey = {key(9)}\n")
    _started_without_peers(stopped, "is not what the last apply left")


def test_r12_start_without_a_state_brings_no_peers(stopped: Host) -> None:
    stopped.site.state.unlink()
    _started_without_peers(stopped, "is missing, so nothing says whose peers")


def test_r12_start_with_a_corrupt_state_brings_no_peers(stopped: Host) -> None:
    stopped.site.state.write_text("{")
    _started_without_peers(stopped, "is corrupt")


@pytest.mark.parametrize("firewall", [None, "", "table inet tracklib_vpn { nonsense }"])
def test_r13_start_is_refused_without_a_working_firewall(stopped: Host, firewall: str | None) -> None:
    if firewall is None:
        stopped.site.firewall.unlink()
    else:
        stopped.site.firewall.write_text(firewall)
    assert stopped.program("up").returncode == 1
    assert stopped.name not in stopped.sh("ip", "link")


def test_start_without_a_file_says_so(stopped: Host) -> None:
    stopped.site.config.unlink()
    done = stopped.program("up")
    assert done.returncode == 1
    assert f"{stopped.site.config} is missing or empty; run a reconcile" in done.stderr


def test_start_of_what_runs_is_a_reload(host: Host) -> None:
    host.apply(host.order(1, [ALICE, BOB]))
    host.sh("wg", "set", host.name, "peer", key(1), "remove")
    assert host.program("up").returncode == 0
    assert host.peers == allowed(ALICE, BOB)


def test_r8_reload_repairs_device_and_firewall(host: Host) -> None:
    host.apply(host.order(1, [ALICE, BOB]))
    host.sh("nft", "flush", "ruleset")
    host.sh("wg", "set", host.name, "peer", key(9), "allowed-ips", "10.44.9.9/32")
    assert host.program("reload").returncode == 0
    assert host.peers == allowed(ALICE, BOB)
    assert "tracklib_vpn" in host.rules


@pytest.mark.parametrize("file", ["config", "firewall"])
@pytest.mark.parametrize("text", ["", "# mine\n"])
def test_r11_reload_refuses_edited_files_and_changes_nothing(host: Host, file: str, text: str) -> None:
    host.apply(host.order(1, [ALICE, BOB]))
    rules = host.rules
    path = host.site.config if file == "config" else host.site.firewall
    path.write_text(text)
    done = host.program("reload")
    assert done.returncode == 1
    assert f"{path} is not what the last apply left" in done.stderr
    assert "nothing was changed" in done.stderr
    assert (host.peers, host.rules) == (allowed(ALICE, BOB), rules)


def test_reload_without_an_interface_says_what_to_do(stopped: Host) -> None:
    done = stopped.program("reload")
    assert (done.returncode, done.stderr) == (
        1,
        f"{stopped.name}: {stopped.name} doesn't exist; start its unit instead\n",
    )


def test_missing_interface_is_started_by_its_unit(stopped: Host) -> None:
    outcome = stopped.apply(stopped.order(2, [ALICE, CAROL]))
    assert outcome.problems == []
    assert (outcome.added, outcome.removed) == (["carol/laptop"], ["bob/laptop"])
    assert "interface missing" in outcome.repaired
    assert stopped.peers == allowed(ALICE, CAROL)
