# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The rules, by their numbers, from IAM to the packets of real tunnels."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
import typing as t
from pathlib import Path

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils import keys
from ansible_collections.tracklib.vpn.plugins.module_utils.model import Registration
from lab import actions, aws, hosts
from lab.machine import ROOT

from tests.support import fault_proxy

GATEWAYS = [host.name for host in hosts.GATEWAYS]
EXPIRE_UNIT = "tracklib-vpn-expire@wg0.service"
STATE_FILE = "/var/lib/tracklib-vpn/wg0.json"
ROSTER = ROOT / ".lab" / "work" / f"roster-{aws.ACCOUNT}-{actions.TABLE}.json"
TEMPLATES = ROOT / "roles" / "gateway" / "templates"
RECONCILES = 20
NOWHERE = "http://127.0.0.1:9"  # the discard port of this machine, where nobody listens

Connect = t.Callable[..., actions.Connection]


@pytest.fixture(autouse=True)
def whole_account() -> t.Iterator[None]:
    """Everybody whom the lab starts with is in IAM, and nobody is blocked, before and after each test."""
    aws.seed()
    yield
    aws.seed()
    table = actions.registry()
    for block in table.blocks():
        table.unblock(block)


@pytest.fixture
def alice(connect: Connect) -> actions.Connection:
    """alice's tunnel; the gateways know of it after the next reconcile."""
    return connect("alice-laptop")


@pytest.fixture
def bob(connect: Connect) -> actions.Connection:
    """bob's tunnel; the gateways know of it after the next reconcile."""
    return connect("bob-laptop")


def reaches_service(connection: actions.Connection) -> bool:
    """Whether the page comes within 40 s: a device notices a restarted gateway after 15 s."""
    return any("tracklib service" in (connection.fetch() or "") for _ in range(13))


def renew(connection: actions.Connection, expires_in: str) -> dict[str, t.Any]:
    """Let a device's registration live for a time from now on; its key stays."""
    return actions.register_device(
        connection.user_name, connection.device, connection.public_key, renew=True, expires_in=expires_in
    )


def apply_by_hand(gateway: str = "gateway", **options: t.Any) -> dict[str, t.Any]:
    """One call of the gateway's module with the role's templates, or others."""
    variables = {
        "interface": "wg0",
        "addresses": ["10.44.0.1/20", "fd44:7472:6163:6b::1/64"],
        "listen_port": 51820,
        "mtu": None,
        "networks": ["10.20.0.0/16", "fd20:7472:6163:6b::/64"],
        "pools": actions.POOLS,
        "private_dns": True,
        "masquerade": True,
    }
    wanted = {
        "roster": str(ROSTER),
        "template": str(TEMPLATES / "wg0.conf.j2"),
        "firewall_template": str(TEMPLATES / "nftables.j2"),
        "variables": variables,
        **options,
    }
    return actions.run_module("wireguard_interface", gateway, become=True, **wanted)


@pytest.mark.usefixtures("bob")
def test_r4_leaver_is_cut_off_and_r7_the_others_probe_loses_nothing(alice: actions.Connection) -> None:
    actions.run_playbook("reconcile")
    assert "tracklib service" in (alice.fetch() or "")
    with actions.probing("bob-laptop") as probe:
        aws.delete_user("alice")
        done = actions.run_playbook("reconcile")
        report = probe.stop()
    assert alice.fetch() is None
    assert done.result("bring firewall", "gateway")["removed"] == ["alice/laptop"]
    assert report["lost"] == 0, report
    assert alice.public_key not in actions.live_peers("gateway") | actions.live_peers("gateway-13")


def test_r1_recreated_user_inherits_neither_tunnel_nor_key(alice: actions.Connection, connect: Connect) -> None:
    actions.run_playbook("reconcile")
    aws.delete_user("alice")
    actions.run_playbook("reconcile")
    aws.seed()  # there is an alice again, in the same groups
    refused = actions.run_module(
        "registration",
        account_id=aws.ACCOUNT,
        registry_table=actions.TABLE,
        user_name="alice",
        device="laptop",
        public_key=alice.public_key,
        address_pools=actions.POOLS,
    )
    assert refused["failed"]
    assert "alice/laptop" in refused["msg"]
    actions.run_playbook("reconcile")
    assert alice.fetch() is None
    new = connect("alice-laptop")
    actions.run_playbook("reconcile")
    assert "tracklib service" in (new.fetch() or "")


@pytest.mark.usefixtures("bob")
def test_r3_iam_failing_within_a_sweep_changes_nothing_and_says_so(alice: actions.Connection) -> None:
    actions.run_playbook("reconcile")
    before = actions.live_peers()
    aws.delete_user("alice")
    with fault_proxy.FaultProxy(aws.endpoint()) as proxy:
        proxy.page_size = 100
        proxy.fail("GetAccountAuthorizationDetails", fault_proxy.error(500, "ServiceFailure"), first=2)
        done = actions.run_playbook("reconcile", rc=2, vpn_aws_options={"endpoint_url": proxy.url})
    assert aws.ACCOUNT in done.failures[0]
    assert "incomplete" in done.failures[0]
    assert actions.live_peers() == before
    assert "tracklib service" in (alice.fetch() or "")


def test_r6_an_older_roster_brings_nobody_back(alice: actions.Connection, tmp_path: Path) -> None:
    actions.run_playbook("reconcile")
    shutil.copy(ROSTER, tmp_path / "old.json")
    aws.delete_user("alice")
    actions.run_playbook("reconcile")
    done = apply_by_hand(roster=str(tmp_path / "old.json"))
    assert done["stale"]
    assert not done["changed"]
    assert alice.public_key not in actions.live_peers()


def test_r6_an_older_roster_brings_nobody_back_after_a_revocation_without_roster(
    alice: actions.Connection, tmp_path: Path
) -> None:
    actions.run_playbook("reconcile")
    shutil.copy(ROSTER, tmp_path / "old.json")
    done = actions.run_playbook("revoke", rc=2, user_name="alice", vpn_address_pools=["10.20.0.0/24"])
    assert "10.20.0.0/24 overlaps" in done.failures[-1]
    assert alice.fetch() is None
    assert apply_by_hand(roster=str(tmp_path / "old.json"))["stale"]
    assert alice.public_key not in actions.live_peers()
    actions.run_playbook("reconcile")  # the first roster that agrees ends the gateways' own bar
    assert alice.public_key not in actions.live_peers()


@pytest.mark.usefixtures("bob")
def test_r7_no_probe_is_lost_in_20_reconciles_of_others() -> None:
    actions.run_playbook("reconcile")
    control = actions.probe("bob-laptop", 10)
    table = actions.registry()
    users = [f"user-{number:04}" for number in range(11, 21)]
    others: dict[str, Registration] = {}
    with actions.probing("bob-laptop") as probe:
        for number in range(RECONCILES):
            device = f"r7-{number}"
            others[device] = actions.register_directly(users[number % 10], device, keys.generate()[1])  # one is added,
            if number >= 2:
                table.remove(others.pop(f"r7-{number - 2}"))  # one is removed,
            if number >= 1:  # and one has a new key
                last = others[f"r7-{number - 1}"]
                others[last.device] = actions.register_directly(last.user_name, last.device, keys.generate()[1])
            run = actions.run_playbook("reconcile", "--limit=localhost,gateway")
            done = run.result("bring firewall", "gateway")
            assert done["added"]
            assert bool(done["removed"]) == (number >= 1)
        report = probe.stop()
    for left in others.values():
        table.remove(left)
    assert control["lost"] == 0, control
    assert report["lost"] == 0, report
    for leg in (control, report):
        assert leg["rate"] >= 950, leg
        assert leg["sent"] >= 950 * leg["seconds"] >= 5000, leg


def test_r8_what_was_changed_by_hand_is_put_right_and_reported(bob: actions.Connection) -> None:
    actions.run_playbook("reconcile")
    stranger = keys.generate()[1]
    actions.shell("gateway", f"wg set wg0 peer {stranger} allowed-ips 10.44.15.250/32")
    actions.shell("gateway-13", f"wg set wg0 peer {bob.public_key} remove")
    done = actions.run_playbook("reconcile")
    assert done.result("bring firewall", "gateway")["repaired"] == [f"peer {stranger} added by hand"]
    assert done.result("bring firewall", "gateway-13")["repaired"] == ["bob/laptop missing on the device"]
    assert stranger not in actions.live_peers()
    assert bob.public_key in actions.live_peers("gateway-13")


def test_r11_invalid_registration_leaves_a_revocation_done_and_the_rest_as_it_was(
    alice: actions.Connection, bob: actions.Connection
) -> None:
    actions.run_playbook("reconcile")
    aws.delete_user("alice")
    dynamodb = aws.client("dynamodb")
    user_id = aws.client("iam").get_user(UserName="bob")["User"]["UserId"]
    key = {"pk": {"S": "registration"}, "sk": {"S": f"{aws.ACCOUNT}/{user_id}/broken"}}
    fields = {
        "user_name": {"S": "bob"},
        "public_key": {"S": "A" * 43 + "="},  # of low order
        "addresses": {"L": [{"S": "10.44.9.9"}]},
        "created_at": {"N": "1"},
    }
    dynamodb.put_item(TableName=actions.TABLE, Item={**key, **fields})
    try:
        done = actions.run_playbook("reconcile")
    finally:
        dynamodb.delete_item(TableName=actions.TABLE, Key=key)
    reasons = {entry["name"]: entry["reason"] for entry in done.result("decide who")["excluded"]}
    assert reasons["bob/broken"] == "invalid_key"
    assert alice.fetch() is None
    assert "tracklib service" in (bob.fetch() or "")


def test_r11_broken_firewall_leaves_a_revocation_done_and_the_rest_as_it_was(
    alice: actions.Connection, bob: actions.Connection, tmp_path: Path
) -> None:
    actions.run_playbook("reconcile")
    rules = actions.shell("gateway", "nft list table inet tracklib_vpn")
    aws.delete_user("alice")
    actions.run_playbook("reconcile", "--limit=localhost,gateway-13")
    broken = tmp_path / "broken.j2"
    broken.write_text("table inet tracklib_vpn { chain forward { nonsense } }\n")
    done = apply_by_hand(firewall_template=str(broken))
    assert done["failed"]
    assert "nft refuses" in done["msg"]
    assert alice.fetch() is None
    assert "tracklib service" in (bob.fetch() or "")
    assert actions.shell("gateway", "nft list table inet tracklib_vpn") == rules


def test_r11_held_lock_leaves_a_revocation_done_and_the_rest_as_it_was(
    alice: actions.Connection, bob: actions.Connection
) -> None:
    actions.run_playbook("reconcile")
    aws.delete_user("alice")
    held = subprocess.Popen(
        ["ssh", "-F", hosts.SSH_CONFIG, "gateway", "sudo flock /var/lib/tracklib-vpn/wg0.lock sh -c 'echo held; cat'"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert held.stdout is not None
        assert held.stdout.readline() == "held\n"
        actions.run_playbook("reconcile", "--limit=localhost,gateway-13")
        done = apply_by_hand(lock_timeout=1)
    finally:
        held.communicate()
    assert done["failed"]
    assert "wg0.lock was held by process" in done["msg"]
    assert done["removed"] == ["alice/laptop"]
    assert alice.fetch() is None
    assert "tracklib service" in (bob.fetch() or "")


def test_r2_expired_device_is_cut_off_without_a_run_and_works_again_after_renewal(
    alice: actions.Connection, bob: actions.Connection
) -> None:
    expires_at = renew(alice, "25s")["expires_at"]
    actions.run_playbook("reconcile")
    assert "tracklib service" in (alice.fetch() or "")
    assert time.time() < expires_at
    with actions.probing("bob-laptop") as probe:
        while alice.public_key in actions.live_peers():
            assert time.time() < expires_at + 10
            time.sleep(0.2)
        assert time.time() >= expires_at
        actions.shell("gateway", "systemctl reload wg-quick@wg0")
        report = probe.stop()
    assert report["lost"] == 0, report
    assert alice.fetch() is None
    assert "removed alice/laptop" in actions.shell("gateway", f"journalctl -u {EXPIRE_UNIT}")

    hosts.reboot(next(host for host in hosts.GATEWAYS if host.name == "gateway"))
    assert actions.live_peers() & {alice.public_key, bob.public_key} == {bob.public_key}

    assert renew(alice, "1h")["addresses"] == alice.addresses
    done = actions.run_playbook("reconcile").result("bring firewall", "gateway")
    assert (done["added"], done["repaired"]) == (["alice/laptop"], [])
    assert [entry["reason"] for entry in done["removals"] if entry["public_key"] == alice.public_key] == ["expired"]
    assert reaches_service(alice)


@pytest.mark.parametrize("gateway", GATEWAYS)
def test_r12_reboot_brings_the_peers_back_unless_the_roster_is_too_old(connect: Connect, gateway: str) -> None:
    bob = connect("bob-laptop", gateway=gateway)
    actions.run_playbook("reconcile")
    host = next(host for host in hosts.GATEWAYS if host.name == gateway)

    hosts.reboot(host)
    assert bob.public_key in actions.live_peers(gateway)
    assert reaches_service(bob)

    a_day_and_more_ago = (
        f"import json; f='{STATE_FILE}'; s=json.load(open(f)); s['made_at']-=90000; json.dump(s,open(f,'w'))"
    )
    actions.shell(gateway, f'python3 -c "{a_day_and_more_ago}"')
    hosts.reboot(host)
    assert actions.live_peers(gateway) == set()
    assert "WITHOUT PEERS" in actions.shell(gateway, "journalctl -b -u wg-quick@wg0")
    assert "tracklib_vpn" in actions.shell(gateway, "nft list tables")

    actions.run_playbook("reconcile")
    assert reaches_service(bob)


@pytest.mark.parametrize("gateway", GATEWAYS)
def test_r11_reload_of_the_unit_costs_nobody_a_packet(connect: Connect, gateway: str) -> None:
    connect("bob-laptop", gateway=gateway)
    actions.run_playbook("reconcile")
    with actions.probing("bob-laptop") as probe:
        actions.shell(gateway, "systemctl reload wg-quick@wg0")
        actions.shell(gateway, "echo '# by hand' >> /etc/wireguard/wg0.conf")
        refused = actions.shell(gateway, "systemctl reload wg-quick@wg0 || journalctl -n 20 -u wg-quick@wg0")
        done = actions.run_playbook("reconcile")
        report = probe.stop()
    assert "nothing was changed" in refused
    assert done.result("bring firewall", gateway)["repaired"] == ["file edited by hand"]
    assert report["lost"] == 0, report


def test_r13_rules_survive_a_restart_of_nftables_service() -> None:
    for gateway in GATEWAYS:
        actions.shell(gateway, "systemctl restart nftables")
        assert "tracklib_vpn" in actions.shell(gateway, "nft list tables")
        actions.shell(gateway, "systemctl stop nftables")
        assert "tracklib_vpn" in actions.shell(gateway, "nft list tables")


def test_revoke_cuts_a_user_off_and_only_that_user(alice: actions.Connection, bob: actions.Connection) -> None:
    actions.run_playbook("reconcile")
    actions.run_playbook("revoke", user_name="alice", reason="lost laptop")
    assert alice.fetch() is None
    assert "tracklib service" in (bob.fetch() or "")
    actions.run_playbook("reconcile")
    assert alice.public_key not in actions.live_peers()


def test_r4_revoke_reaches_the_gateways_when_aws_is_down_and_stays(
    alice: actions.Connection, bob: actions.Connection
) -> None:
    actions.run_playbook("reconcile")
    down = {"endpoint_url": NOWHERE, "aws_config": {"retries": {"total_max_attempts": 1}}}
    done = actions.run_playbook("revoke", rc=2, user_name="alice", device="laptop", vpn_aws_options=down)
    assert "repeat: ansible-playbook tracklib.vpn.revoke" in done.failures[-1]
    assert alice.fetch() is None
    assert "tracklib service" in (bob.fetch() or "")

    disagrees = actions.run_playbook("reconcile", rc=2)
    assert "revoked on this gateway by an operator" in disagrees.failures[0]
    assert alice.fetch() is None

    actions.run_playbook("revoke", user_name="alice", device="laptop")
    actions.run_playbook("reconcile")
    assert alice.public_key not in actions.live_peers()


def test_each_removal_has_a_receipt_from_each_gateway_before_that_forgets_it(alice: actions.Connection) -> None:
    actions.run_playbook("reconcile")
    assert "tracklib service" in (alice.fetch() or "")
    aws.delete_user("alice")
    with fault_proxy.FaultProxy(aws.endpoint()) as proxy:
        proxy.fail("BatchWriteItem", fault_proxy.json_error(400, "AccessDeniedException"))
        failed = actions.run_playbook("reconcile", rc=2, vpn_aws_options={"endpoint_url": proxy.url})
    assert "the receipts of removals could not be recorded" in failed.failures[-1]
    assert alice.fetch() is None
    done = actions.run_playbook("reconcile")
    receipts = [found for found in done.result("record the receipts")["receipts"] if found["device"] == alice.device]
    assert sorted(receipt["gateway"] for receipt in receipts) == GATEWAYS
    for receipt in receipts:
        assert receipt["event_id"].startswith("sweep-")
        assert receipt["last_handshake"] or receipt["gateway"] != "gateway"
        assert receipt["delay"] < 120
    assert actions.run_playbook("reconcile").result("bring firewall", "gateway")["removals"] == []
    listed = actions.run_playbook("receipts", vpn_receipts_user="alice").result("show the receipts")["msg"]
    assert [line for line in listed if receipts[0]["fingerprint"] in line and "tombstoned" in line]


def test_check_mode_names_who_would_go_and_changes_nothing(alice: actions.Connection) -> None:
    actions.run_playbook("reconcile")
    before = actions.registry().generation()
    aws.delete_user("alice")
    done = actions.run_playbook("reconcile", "--check", "--diff")
    assert done.result("bring firewall", "gateway")["diff"]["before"] == "alice/laptop\n"
    assert any("removed: alice/laptop (tombstoned)" in line for line in done.result("show what happened")["msg"])
    assert "tracklib service" in (alice.fetch() or "")
    assert actions.registry().generation() == before


@pytest.mark.usefixtures("bob")
def test_second_reconcile_changes_nothing() -> None:
    actions.run_playbook("reconcile")
    assert actions.run_playbook("reconcile").changed == []


def test_no_gateway_found_is_a_failure(tmp_path: Path) -> None:
    empty = tmp_path / "inventory.yml"
    empty.write_text("all: {hosts: {localhost: {ansible_connection: local}}}\n")
    done = actions.run_playbook("reconcile", "-i", str(empty), rc=2)
    assert "0 gateways found" in done.failures[0]


def test_r10_private_key_is_nowhere_but_in_its_place() -> None:
    """Neither in what Ansible prints at its most talkative, nor in a log, a temporary file or the state."""
    secret = actions.shell("gateway", "cat /etc/wireguard/wg0.key")
    done = actions.run_playbook("site", "-vvv", "--diff")
    assert secret not in json.dumps(done.report) + done.stderr
    places = "/var/log /tmp /run /var/tmp /var/lib/tracklib-vpn /home /root"
    # as a file of patterns: sudo writes commands into the journal
    assert actions.shell("gateway", f"grep -rlaFf /etc/wireguard/wg0.key {places} 2>/dev/null", check=False) == ""
    assert secret not in actions.shell("gateway", "journalctl --no-pager; ps -ef")
    assert secret not in ROSTER.read_text()
