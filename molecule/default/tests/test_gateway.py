# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A gateway that `site` set up, and what its clients reach."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.lab import actions, hosts

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


def reaches(connection: actions.Connection, address: str, port: int) -> bool:
    """Whether a TCP connection comes about."""
    script = f"nc -z -w {actions.LONG_ENOUGH} {address} {port} && echo yes"
    return actions.shell(connection.laptop, script, check=False) == "yes"
