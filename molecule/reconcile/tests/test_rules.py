# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The rules, by their numbers, from IAM to the packets of real tunnels."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import subprocess
import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils import keys
from ansible_collections.tracklib.vpn.plugins.module_utils.model import Registration

from tests.lab import actions, aws, hosts
from tests.support import ROOT, fault_proxy
from tests.support.waiting import PATIENCE

GATEWAYS = [host.name for host in hosts.GATEWAYS]
EXPIRE_UNIT = "tracklib-vpn-expire@wg0.service"
STATE_FILE = "/var/lib/tracklib-vpn/wg0.json"
ROSTER = ROOT / ".lab" / "work" / f"roster-{aws.ACCOUNT}-{actions.TABLE}.json"
TEMPLATES = ROOT / "roles" / "gateway" / "templates"
RECONCILES = 20
LAPTOP = "alice-laptop"
LEAVERS = [f"leaver-{number:02}" for number in range(1, 22)]  # one for each test that has one
NOWHERE = "http://127.0.0.1:9"  # the discard port of this machine, where nobody listens


class Peers:
    """bob, and users who leave, one in a test; making them peers takes a whole run, so one does that for all."""

    def __init__(self) -> None:
        """Make them."""
        self.bob = actions.Connection("bob-laptop", "bob", "laptop", *self._registered("bob-laptop", "bob"))
        self._staying = {name: self._registered(LAPTOP, name, key_file(name)) for name in map(add_user, LEAVERS)}
        actions.run_playbook("reconcile")
        self._others = actions.live_peers() - self._expected()

    @staticmethod
    def _registered(laptop: str, user_name: str, path: str = actions.KEY_FILE) -> tuple[str, list[str]]:
        public_key = actions.make_key(laptop, path)
        return public_key, list(actions.register_directly(user_name, "laptop", public_key).addresses)

    def take(self) -> actions.Connection:
        """Connect the laptop of the next one who leaves."""
        assert self._staying, "LEAVERS is too low"
        name = next(iter(self._staying))
        leaver = actions.Connection(LAPTOP, name, "laptop", *self._staying.pop(name))
        leaver.start(key_file=key_file(name))
        return leaver

    def settle(self) -> None:
        """Have a run put right what the test before left to the next one."""
        if any(actions.live_peers(gateway) != self._others | self._expected() for gateway in GATEWAYS):
            actions.run_playbook("reconcile")

    def _expected(self) -> set[str]:
        return {self.bob.public_key} | {public_key for public_key, _addresses in self._staying.values()}


def key_file(user_name: str) -> str:
    """Where alice's laptop has the private key of a user who leaves."""
    return f"/etc/wireguard/{user_name}.key"


def add_user(name: str) -> str:
    """Make an IAM user who may be a peer; return the name."""
    iam = aws.client("iam")
    iam.create_user(UserName=name)
    iam.add_user_to_group(UserName=name, GroupName="vpn-developers")
    return name


def forget(*names: str) -> None:
    """Leave nothing of users in IAM and the registry, and nobody blocked."""
    actions.forget_devices(*names)
    actions.lift_blocks()
    for user in aws.client("iam").list_users()["Users"]:
        if user["UserName"] in names:
            aws.delete_user(user["UserName"])


@pytest.fixture(scope="module")
def peers() -> Iterator[Peers]:
    """Everybody whom the lab starts with is in IAM, and those who leave are, too."""
    aws.seed()
    forget(*LEAVERS)
    yield Peers()
    forget(*LEAVERS)
    actions.shell(LAPTOP, f"rm -f {' '.join(map(key_file, LEAVERS))}")


@pytest.fixture(autouse=True)
def settled(peers: Peers) -> None:
    """All of them are peers of both gateways, but for those who have left."""
    peers.settle()


@pytest.fixture
def leaver(peers: Peers) -> Iterator[actions.Connection]:
    """The tunnel of alice's laptop, which a user has who will leave."""
    connection = peers.take()
    yield connection
    connection.disconnect()
    forget(connection.user_name)


@pytest.fixture
def bob(peers: Peers) -> Iterator[actions.Connection]:
    """bob's tunnel."""
    peers.bob.start()
    yield peers.bob
    peers.bob.disconnect()


def renew(connection: actions.Connection, expires_in: str) -> dict[str, Any]:
    """Let a device's registration live for a time from now on; its key stays."""
    return actions.register_device(
        connection.user_name, connection.device, connection.public_key, renew=True, expires_in=expires_in
    )


def apply_by_hand(gateway: str = "gateway", **options: Any) -> dict[str, Any]:
    """One call of the gateway's module with the role's templates, or others."""
    variables = {
        "interface": "wg0",
        "listen_port": 51820,
        "mtu": 1420,
        "connections_per_peer": 2000,
        "access": [{"groups": ["vpn"], "networks": ["10.20.0.0/16", "fd20:7472:6163:6b::/64"]}],
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
def test_r4_leaver_is_cut_off_and_r7_the_others_probe_loses_nothing(leaver: actions.Connection) -> None:
    assert "tracklib service" in (leaver.fetch() or "")
    with actions.probing("bob-laptop") as probe:
        aws.delete_user(leaver.user_name)
        done = actions.run_playbook("reconcile")
        report = probe.stop()
    assert leaver.cut_off()
    assert done.result("apply firewall", "gateway")["removed"] == [leaver.label]
    assert report["lost"] == 0, report
    assert leaver.public_key not in actions.live_peers("gateway") | actions.live_peers("gateway-13")


def test_r1_recreated_user_inherits_neither_tunnel_nor_key(leaver: actions.Connection) -> None:
    aws.delete_user(leaver.user_name)
    actions.run_playbook("reconcile")
    add_user(leaver.user_name)
    refused = actions.run_module(
        "registration",
        account_id=aws.ACCOUNT,
        registry_table=actions.TABLE,
        user_name=leaver.user_name,
        device="laptop",
        public_key=leaver.public_key,
        address_pools=actions.POOLS,
    )
    assert refused["failed"]
    assert leaver.label in refused["msg"]
    actions.run_playbook("reconcile")
    assert leaver.cut_off()
    new = actions.connect(LAPTOP, leaver.user_name)
    actions.run_playbook("reconcile")
    assert "tracklib service" in (new.fetch() or "")


@pytest.mark.usefixtures("bob")
def test_r3_iam_failing_within_a_sweep_changes_nothing_and_says_so(leaver: actions.Connection) -> None:
    before = actions.live_peers()
    aws.delete_user(leaver.user_name)
    with fault_proxy.FaultProxy(aws.endpoint()) as proxy:
        proxy.page_size = 100
        proxy.fail("GetAccountAuthorizationDetails", fault_proxy.error(500, "ServiceFailure"), first=2)
        done = actions.run_playbook("reconcile", rc=2, vpn_aws_options={"endpoint_url": proxy.url})
    assert aws.ACCOUNT in done.failures[0]
    assert "incomplete" in done.failures[0]
    assert actions.live_peers() == before
    assert "tracklib service" in (leaver.fetch() or "")


def test_r6_an_older_roster_brings_nobody_back(leaver: actions.Connection, tmp_path: Path) -> None:
    shutil.copy(ROSTER, tmp_path / "old.json")
    aws.delete_user(leaver.user_name)
    actions.run_playbook("reconcile")
    done = apply_by_hand(roster=str(tmp_path / "old.json"))
    assert done["stale"]
    assert not done["changed"]
    assert leaver.public_key not in actions.live_peers()


def test_r6_an_older_roster_brings_nobody_back_after_a_revocation_without_roster(
    leaver: actions.Connection, tmp_path: Path
) -> None:
    shutil.copy(ROSTER, tmp_path / "old.json")
    done = actions.run_playbook(
        "revoke", rc=2, revoke_user_name=leaver.user_name, revoke_all_devices=True, vpn_guard_count="five"
    )
    assert "guard_count" in done.failures[-1]
    assert leaver.cut_off()
    assert apply_by_hand(roster=str(tmp_path / "old.json"))["barred"] == [f"{leaver.user_name}/laptop"]
    assert leaver.public_key not in actions.live_peers()
    actions.run_playbook("reconcile")  # the first roster of a later run ends the gateways' bar
    assert leaver.public_key not in actions.live_peers()


@pytest.mark.usefixtures("bob")
def test_r7_no_probe_is_lost_in_20_reconciles_of_others() -> None:
    control = actions.probe("bob-laptop", 6)
    table = actions.registry()
    users = [f"user-{number:04}" for number in range(11, 21)]
    others: dict[str, Registration] = {}
    with actions.probing("bob-laptop") as probe:
        for number in range(RECONCILES):
            device = f"r7-{number}"
            others[device] = actions.register_directly(users[number % 10], device, keys.generate()[1])  # one is added,
            if number >= 2:
                table.devices.remove(others.pop(f"r7-{number - 2}"))  # one is removed,
            if number >= 1:  # and one has a new key
                last = others[f"r7-{number - 1}"]
                others[last.device] = actions.register_directly(last.user_name, last.device, keys.generate()[1])
            run = actions.run_playbook("reconcile", "--limit=localhost,gateway")
            done = run.result("apply firewall", "gateway")
            assert done["added"]
            assert bool(done["removed"]) == (number >= 1)
        report = probe.stop()
    for left in others.values():
        table.devices.remove(left)
    assert control["lost"] == 0, control
    assert report["lost"] == 0, report
    for leg in (control, report):
        assert leg["rate"] >= 950, leg
        assert leg["sent"] >= 950 * leg["seconds"] >= 5000, leg


def test_r8_what_was_changed_by_hand_is_put_right_and_reported(bob: actions.Connection) -> None:
    stranger = keys.generate()[1]
    actions.shell("gateway", f"wg set wg0 peer {stranger} allowed-ips 10.44.15.250/32")
    actions.shell("gateway-13", f"wg set wg0 peer {bob.public_key} remove")
    done = actions.run_playbook("reconcile")
    assert done.result("apply firewall", "gateway")["repaired"] == [f"peer {stranger} added by hand"]
    assert done.result("apply firewall", "gateway-13")["repaired"] == ["bob/laptop missing on the device"]
    assert stranger not in actions.live_peers()
    assert bob.public_key in actions.live_peers("gateway-13")


def test_r11_invalid_registration_leaves_a_revocation_done_and_the_rest_as_it_was(
    leaver: actions.Connection, bob: actions.Connection
) -> None:
    aws.delete_user(leaver.user_name)
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
    assert leaver.cut_off()
    assert "tracklib service" in (bob.fetch() or "")


def test_r11_broken_firewall_leaves_a_revocation_done_and_the_rest_as_it_was(
    leaver: actions.Connection, bob: actions.Connection, tmp_path: Path
) -> None:
    rules = actions.shell("gateway", "nft --stateless --terse list table inet tracklib_vpn_wg0")
    aws.delete_user(leaver.user_name)
    actions.run_playbook("reconcile", "--limit=localhost,gateway-13")
    broken = tmp_path / "broken.j2"
    broken.write_text("table inet tracklib_vpn_wg0 { chain forward { nonsense } }\n")
    done = apply_by_hand(firewall_template=str(broken))
    assert done["failed"]
    assert "nft refuses" in done["msg"]
    assert leaver.cut_off()
    assert "tracklib service" in (bob.fetch() or "")
    assert actions.shell("gateway", "nft --stateless --terse list table inet tracklib_vpn_wg0") == rules


def test_r11_held_lock_leaves_a_revocation_done_and_the_rest_as_it_was(
    leaver: actions.Connection, bob: actions.Connection
) -> None:
    aws.delete_user(leaver.user_name)
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
    assert done["removed"] == [leaver.label]
    assert leaver.cut_off()
    assert "tracklib service" in (bob.fetch() or "")


def test_r2_expired_device_is_cut_off_without_a_run_and_works_again_after_renewal(
    leaver: actions.Connection, bob: actions.Connection
) -> None:
    took = actions.run_playbook("reconcile").seconds
    expires_at = renew(leaver, f"{2.5 * took + 4:.0f}s")["expires_at"]
    actions.run_playbook("reconcile")
    assert "tracklib service" in (leaver.fetch() or "")
    assert time.time() < expires_at
    with actions.probing("bob-laptop") as probe:
        while leaver.public_key in actions.live_peers():
            assert time.time() < expires_at + 10
            time.sleep(0.2)
        assert time.time() >= expires_at
        actions.shell("gateway", "systemctl reload wg-quick@wg0")
        report = probe.stop()
    assert report["lost"] == 0, report
    assert leaver.cut_off()
    assert f"removed {leaver.label}" in actions.shell("gateway", f"journalctl -u {EXPIRE_UNIT}")

    hosts.reboot(next(host for host in hosts.GATEWAYS if host.name == "gateway"))
    assert actions.live_peers() & {leaver.public_key, bob.public_key} == {bob.public_key}

    assert renew(leaver, "1h")["addresses"] == leaver.addresses
    done = actions.run_playbook("reconcile").result("apply firewall", "gateway")
    assert (done["added"], done["repaired"]) == ([leaver.label], [])
    assert [entry["reason"] for entry in done["removals"] if entry["public_key"] == leaver.public_key] == ["expired"]
    leaver.reconnect()
    assert "tracklib service" in (leaver.fetch() or "")


@pytest.mark.parametrize("gateway", GATEWAYS)
def test_r12_reboot_brings_the_peers_back_unless_the_roster_is_too_old(bob: actions.Connection, gateway: str) -> None:
    bob.start(gateway)
    host = next(host for host in hosts.GATEWAYS if host.name == gateway)

    hosts.reboot(host)
    assert bob.public_key in actions.live_peers(gateway)
    bob.reconnect()
    assert "tracklib service" in (bob.fetch() or "")

    a_day_and_more_ago = (
        f"import json; f='{STATE_FILE}'; s=json.load(open(f)); s['made_at']-=90000; json.dump(s,open(f,'w'))"
    )
    actions.shell(gateway, f'python3 -c "{a_day_and_more_ago}"')
    hosts.reboot(host)
    assert actions.live_peers(gateway) == set()
    assert "WITHOUT PEERS" in actions.shell(gateway, "journalctl -b -u wg-quick@wg0")
    assert "tracklib_vpn" in actions.shell(gateway, "nft list tables")

    actions.run_playbook("reconcile")
    bob.reconnect()
    assert "tracklib service" in (bob.fetch() or "")


@pytest.mark.parametrize("gateway", GATEWAYS)
def test_r11_reload_of_the_unit_costs_nobody_a_packet(bob: actions.Connection, gateway: str) -> None:
    bob.start(gateway)
    with actions.probing("bob-laptop") as probe:
        actions.shell(gateway, "systemctl reload wg-quick@wg0")
        actions.shell(gateway, "echo '# by hand' >> /etc/wireguard/wg0.conf")
        refused = actions.shell(gateway, "systemctl reload wg-quick@wg0 || journalctl -n 20 -u wg-quick@wg0")
        done = actions.run_playbook("reconcile")
        report = probe.stop()
    assert "nothing was changed" in refused
    assert done.result("apply firewall", gateway)["repaired"] == ["file not as the last apply left it"]
    assert report["lost"] == 0, report


def test_r13_rules_survive_a_restart_of_nftables_service() -> None:
    for gateway in GATEWAYS:
        actions.shell(gateway, "systemctl restart nftables")
        assert "tracklib_vpn" in actions.shell(gateway, "nft list tables")
        actions.shell(gateway, "systemctl stop nftables")
        assert "tracklib_vpn" in actions.shell(gateway, "nft list tables")


def test_revoke_cuts_a_user_off_and_only_that_user(leaver: actions.Connection, bob: actions.Connection) -> None:
    actions.run_playbook("revoke", revoke_user_name=leaver.user_name, revoke_all_devices=True, revoke_reason="left")
    assert leaver.cut_off()
    assert "tracklib service" in (bob.fetch() or "")
    actions.run_playbook("reconcile")
    assert leaver.public_key not in actions.live_peers()


def test_revoke_in_check_mode_lists_who_would_go_and_from_where_and_writes_nothing(leaver: actions.Connection) -> None:
    before = actions.registry().generations.last()
    whom: dict[str, Any] = {"revoke_user_name": leaver.user_name, "revoke_device": "laptop"}
    done = actions.run_playbook("revoke", "--check", "--diff", **whom)
    for gateway in GATEWAYS:
        assert done.result("apply firewall", gateway)["diff"]["before"] == f"{leaver.label}\n"
    assert f"block {leaver.label} (" in done.result("write to the registry")["diff"]["after"]
    said = done.result("show what happened")["msg"]
    assert said[0].startswith(f"would be written: block of {leaver.label} (")
    removed = f"  removed: {leaver.label} (device blocked: revoked by an operator"
    assert len([line for line in said if line.startswith(removed)]) == len(GATEWAYS)
    assert said[-1] == f"in short: {leaver.label} couldn't connect any more"
    assert "tracklib service" in (leaver.fetch() or "")
    assert actions.registry().generations.last() == before
    assert [block for block in actions.registry().blocks() if block.user_id in said[0]] == []


def test_r17_gateway_that_is_not_reached_is_the_headline_until_it_is_served(
    leaver: actions.Connection, tmp_path: Path
) -> None:
    away = tmp_path / "away.yml"
    away.write_text("all: {hosts: {gateway-13: {ansible_host: 127.0.0.1, ansible_port: 9}}}\n")
    inventories = ["-i", str(ROOT / "inventories" / "lab"), "-i", str(away)]
    done = actions.run_playbook(
        "revoke", *inventories, rc=2, revoke_user_name=leaver.user_name, revoke_device="laptop", revoke_reason="lost"
    )
    assert leaver.cut_off()
    said = done.result("show what happened")["msg"]
    assert said[0].startswith("NOT REACHED: gateway-13, ")
    assert f"  may still be peers there: {leaver.label}" in said
    assert any(line.startswith(f"  removed: {leaver.label} (device blocked: lost (by") for line in said)
    summary = " ".join(line.strip() for line in said[-2:])
    assert f"{leaver.label} is off where the run got to, and may still connect through gateway-13" in summary
    assert f"still peers there, as far as is known: {leaver.label}. Run this again" in done.failures[-1]

    later = actions.run_playbook("reconcile", *inventories, rc=2)
    assert f"  may still be peers there: {leaver.label}" in later.result("show what happened")["msg"]

    served = actions.run_playbook("reconcile").result("show what happened")["msg"]
    assert served[-1] == f"in short: {leaver.label} can't connect any more"
    assert actions.run_playbook("reconcile").result("show what happened")["msg"][-1].endswith("changed for anybody")


def test_r4_revoke_reaches_the_gateways_when_aws_is_down_and_stays(
    leaver: actions.Connection, bob: actions.Connection
) -> None:
    down = {"endpoint_url": NOWHERE, "aws_config": {"retries": {"total_max_attempts": 1}}}
    whom: dict[str, Any] = {"revoke_user_name": leaver.user_name, "revoke_device": "laptop"}
    done = actions.run_playbook("revoke", rc=2, vpn_aws_options=down, **whom)
    assert "repeat: ansible-playbook -i INVENTORY tracklib.vpn.revoke" in done.failures[-1]
    assert leaver.cut_off()
    assert "tracklib service" in (bob.fetch() or "")

    disagrees = actions.run_playbook("reconcile", rc=2)
    assert "barred on this gateway by a revocation of" in disagrees.failures[0]
    assert leaver.cut_off()

    # a bar that waits is no reason to leave another one, of somebody whom the registry has
    other = actions.run_playbook("revoke", rc=2, revoke_user_name="carol", revoke_all_devices=True)
    assert "carol was off already" in " ".join(other.result("show what happened on each gateway")["msg"])
    assert "refused the roster" not in other.failures[-1]
    assert "carol" not in actions.run_playbook("reconcile", rc=2).failures[-1]

    actions.run_playbook("revoke", **whom)
    actions.run_playbook("reconcile")
    assert leaver.public_key not in actions.live_peers()
    assert "keeps carol out" not in str(actions.run_playbook("status").result("show the answer")["msg"])
    actions.lift_blocks()


@pytest.fixture
def copied_table() -> Iterator[str]:
    """A copy of the registry, item by item, which the gateways don't follow."""
    dynamodb, name = aws.client("dynamodb"), f"{actions.TABLE}-copied"
    found = dynamodb.describe_table(TableName=actions.TABLE)["Table"]
    schema = {part: found[part] for part in ("KeySchema", "AttributeDefinitions")}
    dynamodb.create_table(TableName=name, BillingMode="PAY_PER_REQUEST", **schema)
    for page in dynamodb.get_paginator("scan").paginate(TableName=actions.TABLE):
        for item in page["Items"]:
            dynamodb.put_item(TableName=name, Item=item)
    yield name
    dynamodb.delete_table(TableName=name)


def test_r4_r16_revocation_in_a_copied_registry_cuts_off_all_the_same(
    leaver: actions.Connection, bob: actions.Connection, copied_table: str
) -> None:
    whom: dict[str, Any] = {"revoke_user_name": leaver.user_name, "revoke_device": "laptop"}
    done = actions.run_playbook("revoke", rc=2, vpn_registry_table=copied_table, **whom)
    for gateway in GATEWAYS:
        refusal = f"{gateway} refused the roster of this revocation: this roster is from another table"
        assert refusal in " ".join(done.failures[-1].split())
        assert leaver.public_key not in actions.live_peers(gateway)
    assert leaver.cut_off()
    assert "tracklib service" in (bob.fetch() or "")
    assert "barred on this gateway" in actions.run_playbook("reconcile", rc=2).failures[0]
    assert leaver.cut_off()
    actions.run_playbook("revoke", **whom)
    actions.run_playbook("reconcile")


def _set_generation(milliseconds: int) -> None:
    """Have the gateways believe that they have seen a roster of that generation."""
    for gateway in GATEWAYS:
        actions.shell(gateway, f'sed -i \'s/"generation": [0-9]*/"generation": {milliseconds}/\' {STATE_FILE}')
        actions.shell(gateway, f"sed -i 's/(generation [0-9]*)/(generation {milliseconds})/' /etc/wireguard/wg0.conf")


@pytest.mark.parametrize(("ahead", "rc"), [(23 * 3600, 0), (15 * 60, 2)], ids=["a mistake", "less than a mistake"])
def test_r4_generation_ahead_of_the_clock_keeps_no_revocation_out(
    leaver: actions.Connection, ahead: int, rc: int
) -> None:
    _set_generation(int(time.time() + ahead) * 1000)
    done = actions.run_playbook("revoke", rc=rc, revoke_user_name=leaver.user_name, revoke_device="laptop")
    _set_generation(1)
    assert leaver.cut_off()
    assert "off already" not in str(done.result("show what happened")["msg"])
    actions.run_playbook("reconcile")
    assert leaver.public_key not in actions.live_peers()


@contextlib.contextmanager
def dropping_packets(url: str) -> Iterator[None]:
    """Let nothing answer there, not even by a refusal: a listening socket whose queue is full answers no SYN."""
    address = ("127.0.0.1", urllib.parse.urlsplit(url).port)
    with socket.create_server(address, backlog=0, reuse_port=False), contextlib.ExitStack() as queue:
        for _ in range(4):
            waiting = queue.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(address)
        yield


@pytest.mark.parametrize("credentials_ended", [False, True], ids=["packets-dropped", "credentials-ended"])
def test_r18_revoke_ends_the_tunnel_by_the_gateways_last_seen_when_aws_does_not_answer(
    leaver: actions.Connection, bob: actions.Connection, tmp_path: Path, credentials_ended: bool
) -> None:
    inventory = tmp_path / "a" / "b" / "lab"
    shutil.copytree(ROOT / "inventories" / "lab", inventory)
    (tmp_path / "a" / ".lab").symlink_to(ROOT / ".lab")
    source = inventory / "lab.gateway.yml"
    with fault_proxy.FaultProxy(aws.endpoint()) as proxy:
        source.write_text(f"{source.read_text()}endpoint_url: {proxy.url}\nlast_seen_dir: {tmp_path}\n")
        actions.run_playbook("reconcile", "-i", str(inventory))
    away: contextlib.AbstractContextManager[object] = dropping_packets(proxy.url)
    if credentials_ended:
        away = refusing = fault_proxy.FaultProxy(
            aws.endpoint(), ("127.0.0.1", urllib.parse.urlsplit(proxy.url).port or 0)
        )
        refusing.fail(fault_proxy.ANY, fault_proxy.error(403, "ExpiredToken"), reaches=False)
    aws_options = {"endpoint_url": proxy.url}
    whole: dict[str, Any] = {"revoke_user_name": leaver.user_name, "revoke_all_devices": True}
    with away:
        began = time.monotonic()
        done = actions.run_playbook("revoke", "-i", str(inventory), rc=2, vpn_aws_options=aws_options, **whole)
        took = time.monotonic() - began
    assert leaver.cut_off(), (done.failures, done.stderr)
    assert took < PATIENCE
    assert "repeat: ansible-playbook -i INVENTORY tracklib.vpn.revoke" in done.failures[-1]
    assert "tracklib service" in (bob.fetch() or "")
    print(f"revoked after {took:.0f} s")
    actions.run_playbook("revoke", **whole)


def test_r6_run_that_another_one_overtakes_makes_one_new_roster_and_then_says_so(leaver: actions.Connection) -> None:
    """A gateway whose generation is a quarter of an hour ahead, as if another controller's clock were."""
    kept = actions.shell("gateway", f"cat {STATE_FILE}")
    ahead = {**json.loads(kept), "generation": json.loads(kept)["generation"] + 10**6}
    actions.put("gateway", STATE_FILE, json.dumps(ahead).encode())
    before = actions.registry().generations.last()
    try:
        done = actions.run_playbook("reconcile", rc=2)
    finally:
        actions.put("gateway", STATE_FILE, kept.encode())
    assert "gateway: a later roster is in force, twice in this run" in done.failures[-1]
    assert actions.registry().generations.last() >= before + 2
    assert "tracklib service" in (leaver.fetch() or "")


def test_each_removal_has_a_receipt_from_each_gateway_before_that_forgets_it(leaver: actions.Connection) -> None:
    assert "tracklib service" in (leaver.fetch() or "")
    aws.delete_user(leaver.user_name)
    with fault_proxy.FaultProxy(aws.endpoint()) as proxy:
        proxy.fail("BatchWriteItem", fault_proxy.json_error(400, "AccessDeniedException"))
        failed = actions.run_playbook("reconcile", rc=2, vpn_aws_options={"endpoint_url": proxy.url})
    assert "the receipts of removals could not be recorded" in failed.failures[-1]
    assert leaver.cut_off()
    done = actions.run_playbook("reconcile")
    recorded = done.result("record the receipts")["receipts"]
    receipts = [receipt for receipt in recorded if receipt["user_name"] == leaver.user_name]
    assert sorted(receipt["gateway"] for receipt in receipts) == GATEWAYS
    for receipt in receipts:
        assert receipt["event_id"].startswith("sweep-")
        assert receipt["last_handshake"] or receipt["gateway"] != "gateway"
        assert receipt["delay"] < PATIENCE
    assert actions.run_playbook("reconcile").result("apply firewall", "gateway")["removals"] == []
    listed = actions.run_playbook("receipts", receipts_user_name=leaver.user_name).result("show the receipts")["msg"]
    assert [line for line in listed if f" {leaver.label} " in line and "  deleted in IAM  " in line]


def test_check_mode_names_who_would_go_and_changes_nothing(leaver: actions.Connection) -> None:
    before = actions.registry().generations.last()
    aws.delete_user(leaver.user_name)
    done = actions.run_playbook("reconcile", "--check", "--diff")
    assert done.result("apply firewall", "gateway")["diff"]["before"] == f"{leaver.label}\n"
    assert any(
        f"removed: {leaver.label} (absent from a complete sweep" in line
        for line in done.result("show what happened")["msg"]
    )
    assert "tracklib service" in (leaver.fetch() or "")
    assert actions.registry().generations.last() == before


@pytest.mark.usefixtures("bob")
def test_second_reconcile_changes_nothing() -> None:
    actions.run_playbook("reconcile")
    assert actions.run_playbook("reconcile").changed == []


def test_no_gateway_found_is_a_failure(tmp_path: Path) -> None:
    empty = tmp_path / "inventory.yml"
    empty.write_text("all: {hosts: {localhost: {ansible_connection: local}}}\n")
    needed: dict[str, Any] = {"vpn_account_id": "123456789012", "vpn_access": [], "vpn_address_pools": []}
    done = actions.run_playbook("reconcile", "-i", str(empty), rc=2, **needed)
    assert "0 gateways found" in done.failures[0]


def test_r10_private_key_is_nowhere_but_in_its_place() -> None:
    """Neither in what Ansible prints at its most talkative, nor in a log, a temporary file or the state."""
    secret = actions.shell("gateway", "cat /etc/wireguard/wg0.key")
    done = actions.run_playbook("site", "-vvv", "--diff", "--limit=localhost,gateway")
    assert secret not in json.dumps(done.report) + done.stderr
    places = "/var/log /tmp /run /var/tmp /var/lib/tracklib-vpn /home /root"
    # as a file of patterns: sudo writes commands into the journal
    assert actions.shell("gateway", f"grep -rlaFf /etc/wireguard/wg0.key {places} 2>/dev/null", check=False) == ""
    assert secret not in actions.shell("gateway", "journalctl --no-pager; ps -ef")
    assert secret not in ROSTER.read_text()
