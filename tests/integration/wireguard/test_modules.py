# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Both modules as processes of their own, as Ansible runs them on a gateway."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable
from operator import itemgetter
from pathlib import Path
from typing import Any

import pytest

from tests.support import ROOT
from tests.support.wireguard_host import Host, Person, allowed, key

ALICE, BOB, CAROL = (Person(name, number) for number, name in enumerate(("alice", "bob", "carol"), 1))


def _module(host: Host, name: str, check: bool = False, **options: Any) -> dict[str, Any]:
    site = host.site
    directories = {"name": host.name, "config_dir": str(site.config_dir), "state_dir": str(site.state_dir)}
    arguments = {**directories, **options, "_ansible_check_mode": check}
    done = subprocess.run(
        [*host.inside, sys.executable, "-m", f"ansible_collections.tracklib.vpn.plugins.modules.{name}"],
        input=json.dumps({"ANSIBLE_MODULE_ARGS": arguments}),
        env={**os.environ, "PYTHONPATH": str(ROOT / ".ansible/collections")},
        check=False,
        capture_output=True,
        text=True,
    )
    assert host.private_key not in done.stdout + done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def _brought(
    host: Host, generation: int, peers: Iterable[Person], revoked: Iterable[Person] = (), **changes: Any
) -> Path:
    """The file that the action plugin brings."""
    order = host.order(generation, peers)
    document = {
        "format": 2,
        "generation": generation,
        "made_at": order.made_at,
        "registry": order.registry._asdict(),
        "config": order.config,
        "firewall": order.firewall,
        "revoked": [
            {
                **one.label()._asdict(),
                "public_key": key(one.number),
                "reason": "blocked",
                "explained": True,
                "of_user": False,
            }
            for one in revoked
        ],
        "excluded": [],
        "removed": [],
        "unfit": [],
        **changes,
    }
    file = host.site.config_dir.parent / "brought.json"
    file.write_text(json.dumps(document))
    return file


def test_module_applies_what_was_brought_and_returns_names(host: Host) -> None:
    host.apply(host.order(1, [ALICE, BOB]))
    file = _brought(host, 2, [BOB, CAROL], revoked=[ALICE])
    result = _module(host, "wireguard_interface", config_file=str(file))
    assert not file.exists()
    assert (result["changed"], result["added"], result["removed"]) == (True, ["carol/laptop"], ["alice/laptop"])
    assert [(removal["device"], removal["reason"]) for removal in result["removals"]] == [("laptop", "blocked")]
    assert host.peers == allowed(BOB, CAROL)


def test_r17_module_names_the_peer_that_the_controller_could_not_write(host: Host) -> None:
    host.apply(host.order(1, [BOB]))
    unfit = {**ALICE.label()._asdict(), "public_key": "", "problem": "the public key isn't 32 bytes of base64"}
    result = _module(host, "wireguard_interface", config_file=str(_brought(host, 2, [BOB], unfit=[unfit])))
    assert result["failed"]
    assert result["msg"].endswith("alice/laptop: the public key isn't 32 bytes of base64")
    assert host.peers == allowed(BOB)


def test_r4_failed_module_returns_what_it_has_done(host: Host) -> None:
    host.apply(host.order(1, [ALICE, BOB]))
    file = _brought(host, 2, [BOB, CAROL], revoked=[ALICE], firewall=None, firewall_error="template x: no")
    result = _module(host, "wireguard_interface", config_file=str(file))
    assert (result["failed"], result["msg"], result["removed"]) == (True, "template x: no", ["alice/laptop"])
    assert host.peers == allowed(BOB)


def test_module_in_check_mode_changes_nothing(host: Host) -> None:
    host.apply(host.order(1, [ALICE, BOB]))
    before = host.files()
    file = _brought(host, 2, [BOB, CAROL], revoked=[ALICE])
    result = _module(host, "wireguard_interface", check=True, config_file=str(file))
    assert (result["changed"], result["added"], result["removed"]) == (True, ["carol/laptop"], ["alice/laptop"])
    assert (host.files(), host.peers) == (before, allowed(ALICE, BOB))


@pytest.mark.parametrize("revoke", [{"user_name": "ALICE/laptop"}, {"user_id": "AIDAALICE", "event_id": "e-1"}])
def test_module_revokes_by_name_or_id(host: Host, revoke: dict[str, str]) -> None:
    host.apply(host.order(1, [ALICE, BOB]))
    result = _module(host, "wireguard_interface", revoke=revoke, generation=7)
    assert (result["changed"], result["removed"], host.peers) == (True, ["alice/laptop"], allowed(BOB))
    assert [(bar.generation, bar.event_id) for bar in host.state.bars] == [(7, revoke.get("event_id", ""))]
    assert "config_file_removed" not in result  # there was none


def test_module_releases_bars_by_name_and_returns_whom_one_keeps_out(host: Host) -> None:
    host.apply(host.order(1, [ALICE, BOB]))
    host.revoke("alice")
    for release, barred in (["yes"], ["alice/laptop"]), (["alice"], []):
        file = _brought(host, 2, [ALICE, BOB])
        result = _module(host, "wireguard_interface", config_file=str(file), release_revoked=release)
        assert (result["barred"], result.get("failed", False)) == (barred, bool(barred))
    assert host.peers == allowed(ALICE, BOB)


def test_r2_module_names_whom_it_leaves_out_as_expired(host: Host) -> None:
    host.apply(host.order(1, [BOB]))
    expired = ALICE._replace(expires_at=int(time.time()) - 1)
    result = _module(host, "wireguard_interface", config_file=str(_brought(host, 2, [expired, BOB])))
    assert (result["changed"], result["expired"], host.peers) == (False, ["alice/laptop"], allowed(BOB))


def test_info_names_the_live_peers_and_shows_no_secret(host: Host) -> None:
    expiry = int(time.time()) + 600
    host.apply(host.order(1, [ALICE, BOB]))
    host.apply(host.order(2, [BOB._replace(expires_at=expiry)]))
    host.sh("wg", "set", host.name, "peer", key(9), "preshared-key", "/dev/stdin", stdin=key(5))
    result = _module(host, "wireguard_interface_info")
    named = {peer["public_key"]: peer["user_name"] for peer in result["peers"]}
    assert named == {key(BOB.number): "bob", key(9): ""}
    assert {peer["user_name"]: peer["expires_at"] for peer in result["peers"]} == {"bob": expiry, "": None}
    assert (result["managed"], result["interface_up"], result["generation"]) == (True, True, 2)
    assert [removal["user_name"] for removal in result["removals"]] == ["alice"]
    assert result["public_key"] == host.device.public_key
    assert key(5) not in str(result)


def test_info_of_a_host_without_an_interface(host: Host) -> None:
    result = _module(host, "wireguard_interface_info")
    assert (result["managed"], result["interface_exists"], result["peers"]) == (False, False, [])


def test_diff_names_devices_and_a_second_run_has_none(host: Host) -> None:
    host.apply(host.order(1, [ALICE, BOB]))
    file = _brought(host, 2, [BOB, CAROL], revoked=[ALICE])
    result = _module(host, "wireguard_interface", config_file=str(file))
    assert "alice/laptop" in result["diff"]["before"]
    assert "carol/laptop" in result["diff"]["after"]
    assert key(CAROL.number) not in str(result["diff"])
    again = _module(host, "wireguard_interface", config_file=str(_brought(host, 2, [BOB, CAROL], revoked=[ALICE])))
    assert (again["changed"], again["diff"]["before"]) == (False, again["diff"]["after"])


def test_info_says_the_same_again_and_in_check_mode(host: Host) -> None:
    host.apply(host.order(1, [ALICE, BOB]))
    before = host.files()
    results = [_module(host, "wireguard_interface_info", check=check) for check in (False, False, True)]
    peers = [sorted(each["peers"], key=itemgetter("user_name")) for each in results]  # wireguard-go has no order
    assert peers == [peers[0]] * 3
    assert [(each["changed"], "diff" in each) for each in results] == [(False, False)] * 3
    assert host.files() == before


def test_r8_info_names_what_differs_from_the_last_apply_and_repairs_nothing(host: Host) -> None:
    host.apply(host.order(1, [ALICE, BOB]))
    assert _module(host, "wireguard_interface_info", drift=True)["drift"] == []
    host.sh("wg", "set", host.name, "peer", key(9), "allowed-ips", "10.44.0.99/32")
    host.sh("wg", "set", host.name, "peer", key(BOB.number), "remove")
    found = _module(host, "wireguard_interface_info", drift=True)
    assert sorted(found["drift"]) == ["bob/laptop missing on the device", f"peer {key(9)} added by hand"]
    assert (found["problems"], key(9) in host.peers, key(BOB.number) in host.peers) == ([], True, False)


def test_info_names_whom_the_gateway_keeps_out(host: Host) -> None:
    host.apply(host.order(1, [ALICE, BOB]))
    host.revoke("alice")
    (bar,) = _module(host, "wireguard_interface_info")["barred"]
    assert (bar["name"], bar["generation"]) == ("alice", 0)


def test_info_of_a_changed_file_or_a_damaged_state_still_shows_the_live_peers(host: Host) -> None:
    host.apply(host.order(1, [ALICE, BOB]))
    host.site.config.write_text(host.site.config.read_text() + "\n# by hand\n")
    changed = _module(host, "wireguard_interface_info", drift=True)
    assert "changed by hand" in changed["problems"][0]
    host.site.state.write_text("{")
    damaged = _module(host, "wireguard_interface_info", drift=True)
    assert "is corrupt; run a reconcile" in damaged["problems"][0]
    assert len(changed["peers"]) == len(damaged["peers"]) == 2
