# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What operators read of people, on real hosts with a real tunnel."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils import keys
from ansible_collections.tracklib.vpn.plugins.module_utils.model import Block

from tests.lab import actions, aws

NOWHERE = "http://127.0.0.1:9"  # the discard port of this machine, where nobody listens


def shown(run: actions.Run) -> str:
    """The lines of an answer, in one."""
    return " ".join(" ".join(run.result("show the answer")["msg"]).split())


@pytest.fixture(scope="module", autouse=True)
def alice() -> Iterator[actions.Connection]:
    """alice's laptop, connected to the gateway; nobody else has a device."""
    aws.seed()
    table = actions.registry()
    everybody = {registration.user_name for registration in table.devices.registrations()}
    actions.forget_devices(*everybody)
    actions.lift_blocks()
    connection = actions.connect("alice-laptop")
    actions.run_playbook("reconcile")
    connection.reconnect()
    assert "tracklib service" in (connection.fetch() or "")
    yield connection
    connection.disconnect()
    actions.forget_devices("alice")
    actions.run_playbook("reconcile")


@pytest.fixture
def blocked(alice: actions.Connection) -> Iterator[Block]:
    """alice's laptop is blocked in the registry, and no gateway knows yet."""
    table = actions.registry()
    (owner,) = (each for each in table.devices.registrations() if each.label == alice.label)
    block = Block(owner.account_id, owner.user_id, "laptop", "lost in a train", owner.created_at)
    table.block(block)
    yield block
    actions.lift_blocks()


def test_status_of_a_vpn_that_is_well_shows_who_is_connected_and_changes_nothing() -> None:
    before = actions.registry().generations.last()
    for arguments in ((), ("--check",)):
        done = actions.run_playbook("status", *arguments)
        said = shown(done)
        assert said.startswith("all well: 2 gateways, 1 peer, 1 connected")
        assert "alice/laptop gateway" in said
        assert done.changed == []
        assert max(len(line) for line in done.result("show the answer")["msg"]) <= 100
    assert actions.registry().generations.last() == before


def test_r8_stranger_is_named_by_status_and_left_to_the_next_run() -> None:
    stranger = keys.generate()[1]
    actions.shell("gateway", f"wg set wg0 peer {stranger} allowed-ips 10.44.15.250/32")
    try:
        done = actions.run_playbook("status", rc=2)
        assert f"peer {stranger} added by hand" in " ".join(done.failures)
        assert keys.fingerprint(stranger) in shown(done)
        assert stranger in actions.live_peers()
    finally:
        actions.shell("gateway", f"wg set wg0 peer {stranger} remove")


def test_r17_status_names_a_gateway_that_cant_be_reached_and_shows_the_other() -> None:
    with actions.unreachable("gateway-13"):
        done = actions.run_playbook("status", rc=2, ansible_ssh_args="-o ControlPath=none")  # a new connection
    assert "gateway gateway-13 is not shown: it can't be reached" in " ".join(done.failures)
    assert "alice/laptop gateway" in shown(done)


def test_r17_status_shows_the_gateways_while_aws_is_silent() -> None:
    done = actions.run_playbook(
        "status", rc=2, vpn_aws_options={"endpoint_url": NOWHERE, "aws_config": {"retries": {"total_max_attempts": 1}}}
    )
    assert "IAM or the registry could not be asked, so only the gateways are shown" in shown(done)
    assert "alice/laptop gateway" in shown(done)


def test_devices_are_written_as_json_for_the_operator_alone(tmp_path: Path) -> None:
    file = tmp_path / "alice.json"
    done = actions.run_playbook("devices", devices_user_name="ALICE", devices_format="json", devices_file=str(file))
    assert str(file) in done.result("say where")["msg"]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    (device,) = json.loads(file.read_text())["devices"]
    seen: dict[str, Any] = {each["gateway"]: each for each in device["gateways"]}
    assert (device["status"], seen["gateway"]["is_peer"], seen["gateway-13"]["is_peer"]) == ("peer", True, True)
    assert seen["gateway"]["transfer_rx"] > 0
    assert seen["gateway-13"]["last_handshake"] is None


def test_devices_of_nobody_fail_with_the_nearest_names() -> None:
    done = actions.run_playbook("devices", rc=2, devices_user_name="alicee")
    assert "nobody is called alicee" in done.failures[-1]
    assert "alice" in done.failures[-1].partition("The nearest names")[2]


def test_r19_why_says_that_a_connected_device_is_connected() -> None:
    said = shown(actions.run_playbook("why", why_user_name="alice"))
    assert said.startswith("alice/laptop is connected: a handshake")
    assert "BREAKS" not in said
    assert "ok beyond gateway route, forwarding and firewall are as applied" in said


@pytest.mark.usefixtures("blocked")
def test_why_names_the_block_and_that_the_gateway_doesnt_know_yet() -> None:
    done = actions.run_playbook("why", rc=2, why_user_name="alice", why_device="laptop")
    said = shown(done)
    assert "alice/laptop is connected" in done.failures[0], "which isn't to be"
    assert "alice/laptop is connected" in said
    assert 'but "not revoked" breaks: device blocked since' in said
    assert "lost in a train" in said
    assert "unblock_device" in said


def test_why_finds_a_user_who_has_no_device() -> None:
    said = shown(actions.run_playbook("why", why_user_name="bob"))
    assert 'bob can\'t connect: "registered" breaks: bob is not registered' in said


def test_expiring_shows_who_ends_soon_with_the_command_that_renews(alice: actions.Connection) -> None:
    renewed = {"renew": True, "expires_in": "3d"}
    actions.register_device(alice.user_name, alice.device, alice.public_key, **renewed)
    said = shown(actions.run_playbook("expiring"))
    assert said.startswith("1 registration to end within 14d")
    assert "tracklib.vpn.renew -e renew_user_name=alice -e renew_device=laptop" in said
    assert "0 registrations" in shown(actions.run_playbook("expiring", expiring_within="1d"))
