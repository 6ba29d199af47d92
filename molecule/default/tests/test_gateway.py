# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A gateway that `site` set up, and what its clients reach."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.lab import actions, hosts
from tests.support.waiting import PATIENCE

GATEWAYS = [host.name for host in hosts.GATEWAYS]

Remote = Callable[[str], Any]
Connect = Callable[..., actions.Connection]
RunPlaybook = Callable[..., actions.Run]


@pytest.mark.parametrize("gateway", GATEWAYS)
@pytest.mark.parametrize("name", ["wg-quick@wg0", "tracklib-vpn-expire@wg0.timer"])
def test_interface_and_its_timer_run_now_and_at_boot(remote: Remote, gateway: str, name: str) -> None:
    unit = remote(gateway).service(name)
    assert unit.is_running
    assert unit.is_enabled


@pytest.mark.parametrize("gateway", GATEWAYS)
def test_r10_private_key_is_readable_by_root_alone(remote: Remote, gateway: str) -> None:
    key = remote(gateway).file("/etc/wireguard/wg0.key")
    assert (key.user, key.group, key.mode) == ("root", "root", 0o600)


@pytest.mark.parametrize("gateway", GATEWAYS)
def test_r13_client_reaches_the_service_and_nothing_else(
    connect: Connect, run_playbook: RunPlaybook, gateway: str
) -> None:
    alice = connect("alice-laptop", gateway=gateway)
    bob = connect("bob-laptop", gateway=gateway)
    run_playbook("reconcile")

    for address in hosts.SERVICE_ADDRESSES:
        assert "tracklib service" in (alice.fetch(address) or ""), address
    for address in hosts.METADATA:
        assert alice.cut_off(address), address
    for address in bob.addresses:
        assert not reaches(alice, address, 22), address
    for address in ("10.44.0.1", "fd44:7472:6163:6b::1"):
        assert not reaches(alice, address, 22), address


@pytest.fixture(params=GATEWAYS)
def bob(request: pytest.FixtureRequest, connect: Connect, run_playbook: RunPlaybook) -> tuple[str, actions.Connection]:
    """A gateway, and a client of it."""
    connection = connect("bob-laptop", gateway=request.param)
    run_playbook("reconcile")
    assert "tracklib service" in (connection.fetch() or "")
    return request.param, connection


def _change(gateway: str, command: str, *repaired: str) -> None:
    """Change something by hand, and wait until the journal names each repair."""
    since = actions.shell(gateway, "date +%s")
    actions.shell(gateway, command)
    end = time.monotonic() + PATIENCE
    missing = {f"wg0: repaired: {what}" for what in repaired}
    while missing:
        assert time.monotonic() < end, missing
        time.sleep(0.5)
        journal = actions.shell(gateway, f"journalctl --since=@{since} -u tracklib-vpn-expire@wg0")
        missing = {line for line in missing if line not in journal}


def test_r8_rules_that_were_changed_come_back_by_themselves_and_r7_nobody_notices(
    bob: tuple[str, actions.Connection], run_playbook: RunPlaybook
) -> None:
    gateway, client = bob
    rules = actions.shell(gateway, "nft -s -t list table inet tracklib_vpn_wg0")
    with actions.probing(client.laptop) as probe:
        _change(gateway, "nft flush chain inet tracklib_vpn_wg0 forward", "firewall")
        report = probe.stop()
    assert actions.shell(gateway, "nft -s -t list table inet tracklib_vpn_wg0") == rules
    assert report["lost"] == 0, report
    assert run_playbook("reconcile").result("apply firewall", gateway)["changed"] is False


def test_r8_flushed_rules_come_back_by_themselves(bob: tuple[str, actions.Connection]) -> None:
    gateway, client = bob
    rules = actions.shell(gateway, "nft -s -t list table inet tracklib_vpn_wg0")
    _change(gateway, "nft flush ruleset", "firewall")
    assert actions.shell(gateway, "nft -s -t list table inet tracklib_vpn_wg0") == rules
    assert client.cut_off(hosts.METADATA[0])
    assert "tracklib service" in (client.fetch() or "")


def test_r8_deleted_route_and_forwarding_come_back_by_themselves(bob: tuple[str, actions.Connection]) -> None:
    gateway, client = bob
    by_hand = "ip route del 10.44.0.0/20; sysctl -qw net.ipv4.ip_forward=0"
    _change(gateway, by_hand, "route 10.44.0.0/20 missing", "net/ipv4/ip_forward 0 instead of 1")
    assert "tracklib service" in (client.fetch() or "")


def test_r8_units_that_somebody_disabled_are_enabled_by_the_next_run(
    bob: tuple[str, actions.Connection], run_playbook: RunPlaybook
) -> None:
    gateway, _client = bob
    timer, service = "tracklib-vpn-expire@wg0.timer", "wg-quick@wg0.service"
    # a look that is under way would repair them before the run does
    actions.shell(gateway, f"systemctl stop {timer} {timer.replace('.timer', '.service')}")
    actions.shell(gateway, f"systemctl disable {timer} {service}")
    repaired = run_playbook("reconcile").result("apply firewall", gateway)["repaired"]
    assert repaired == [f"{service} disabled", f"{timer} disabled", f"{timer} stopped"]
    assert actions.shell(gateway, f"systemctl is-enabled {timer} {service}").split() == ["enabled"] * 2
    assert actions.shell(gateway, f"systemctl is-active {timer}") == "active"
    assert run_playbook("reconcile").changed == []


def test_client_in_a_network_that_lets_few_ports_out_dials_another(
    bob: tuple[str, actions.Connection], run_playbook: RunPlaybook
) -> None:
    gateway, client = bob
    key = actions.shell(gateway, "wg show wg0 public-key")
    address = next(host.address for host in hosts.GATEWAYS if host.name == gateway)
    before = actions.shell(gateway, f"wg show wg0 endpoints | grep '{client.public_key}'")
    actions.shell(
        gateway, "nft add table inet few; nft 'add chain inet few input { type filter hook prerouting priority -150; }'"
    )
    actions.shell(gateway, "nft add rule inet few input udp dport 51820 drop")
    try:
        run_playbook("reconcile", gateway_further_ports=[443, 4500])
        assert client.fetch() is None, "51820 is closed on the way"
        actions.shell(client.laptop, f"wg set {client.interface} peer {key} endpoint {address}:443")
        assert "tracklib service" in (client.fetch() or "")
        assert (
            actions.shell(gateway, f"wg show wg0 endpoints | grep '{client.public_key}'").split(":")[0]
            == before.split(":")[0]
        )
        assert run_playbook("reconcile", gateway_further_ports=[443, 4500]).changed == []
    finally:
        actions.shell(gateway, "nft delete table inet few")
        run_playbook("reconcile")
    assert "prerouting" not in actions.shell(gateway, "nft list table inet tracklib_vpn_wg0")


def test_large_packets_fit_the_path(bob: tuple[str, actions.Connection]) -> None:
    gateway, _client = bob
    assert "mtu 1420 " in actions.shell(gateway, "ip link show dev wg0")


@pytest.fixture
def networkd(bob: tuple[str, actions.Connection]) -> Iterator[None]:
    """systemd-networkd can run on the gateway, with somebody's file that names the tunnel's interface, too.

    It waits for udev, which these hosts don't have, to say that an interface is ready.
    """
    gateway, _client = bob
    file, udev = "/etc/systemd/network/50-everything.network", "/run/udev/data"
    actions.put(gateway, file, b"[Match]\nName=wg*\n[Network]\nLinkLocalAddressing=no\n")
    actions.shell(gateway, f"chmod 644 {file}; mkdir -p {udev}; echo I:1 > {udev}/n$(cat /sys/class/net/wg0/ifindex)")
    yield
    actions.shell(gateway, f"systemctl stop systemd-networkd.socket systemd-networkd; rm -r {file} {udev}")


def _network(gateway: str) -> str:
    return actions.shell(gateway, "ip address show dev wg0; ip route show table all dev wg0; wg show wg0 peers | sort")


@pytest.mark.usefixtures("networkd")
def test_r7_systemd_networkd_costs_nobody_a_packet(bob: tuple[str, actions.Connection]) -> None:
    gateway, client = bob
    before = _network(gateway)
    with actions.probing(client.laptop) as probe:
        for command in ("systemctl start systemd-networkd", "networkctl reload", "systemctl restart systemd-networkd"):
            actions.shell(gateway, command)
            _wait_for_networkd(gateway)
            assert _network(gateway) == before
        report = probe.stop()
    assert report["lost"] == 0, report


def test_r8_another_name_takes_the_former_interface_down_and_clients_go_on(
    connect: Connect, run_playbook: RunPlaybook
) -> None:
    gateway, client = "gateway-13", connect("bob-laptop", gateway="gateway-13")
    run_playbook("reconcile")

    def site(*arguments: str, **variables: str) -> actions.Run:
        return run_playbook("site", f"--limit=localhost,{gateway}", *arguments, **variables)

    try:
        checked = site("--check", gateway_interface="wg1")
        assert "would take down wg0" in checked.result("configured no more", gateway)["msg"]
        done = site(gateway_interface="wg1", gateway_private_key_file="/etc/wireguard/wg0.key")
        repaired = done.result("apply firewall", gateway)["repaired"]
        assert repaired == ["wg0, an interface that is configured no more, taken down"]
        assert actions.shell(gateway, "wg show interfaces") == "wg1"
        assert "wg0" not in actions.shell(gateway, "nft list tables")
        assert "disabled" in actions.shell(gateway, "systemctl is-enabled wg-quick@wg0", check=False)
        client.reconnect()
        assert "tracklib service" in (client.fetch() or "")
        stale = run_playbook("reconcile", rc=2)  # of an inventory that still says wg0
        assert "wg1 serves this gateway, and wg0 isn't set up to take its place" in str(stale.failures)
        assert actions.shell(gateway, "wg show interfaces") == "wg1"
        assert "tracklib service" in (client.fetch() or "")
    finally:
        back = site()
    assert "wg1, an interface that is configured no more, taken down" in str(back.result("apply firewall", gateway))
    client.reconnect()
    assert "tracklib service" in (client.fetch() or "")


def _wait_for_networkd(gateway: str) -> None:
    """Wait until systemd-networkd has decided what to do with the interface."""
    end = time.monotonic() + PATIENCE
    while True:
        (line,) = actions.shell(gateway, "networkctl list --no-legend --no-pager wg0").splitlines()
        if line.split()[-1] not in ("pending", "initialized", "configuring"):
            return
        assert time.monotonic() < end, line
        time.sleep(0.2)


def reaches(connection: actions.Connection, address: str, port: int) -> bool:
    """Whether a TCP connection comes about."""
    script = f"nc -z -w {actions.LONG_ENOUGH} {address} {port} && echo yes"
    return actions.shell(connection.laptop, script, check=False) == "yes"
