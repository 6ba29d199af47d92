# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""A gateway's clients, and a service behind it, each in a network namespace: real tunnels, real connections.

Their namespaces are named as the gateway's, which is how the next one to be made finds what a crash has left.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard import commands

from .wireguard_host import Host, Person, key, remove_namespace

SERVICE = "10.20.0.80"


class Namespace:
    """One of a test's hosts, linked to the gateway by a pair of interfaces."""

    def __init__(self, host: Host, number: int, gateway_cidr: str, cidr: str, mtu: int = 1500) -> None:
        self._name = f"tracklib-gateway-{number}-{os.getpid()}"
        subprocess.run(["ip", "netns", "add", self._name], check=True)
        end = ["mtu", str(mtu), "type", "veth", "peer", "name", "eth0", "mtu", str(mtu), "netns", self._name]
        subprocess.run(["ip", "-n", host.namespace, "link", "add", f"to{number}", *end], check=True)
        host.sh("ip", "address", "add", gateway_cidr, "dev", f"to{number}")
        host.sh("ip", "link", "set", f"to{number}", "up")
        self.sh("ip", "address", "add", cidr, "dev", "eth0")
        self.sh("ip", "link", "set", "eth0", "up")
        self.sh("ip", "link", "set", "lo", "up")

    @property
    def _inside(self) -> list[str]:
        return ["ip", "netns", "exec", self._name]

    def sh(self, *args: str, stdin: str = "") -> str:
        """Run a command there."""
        return commands.output(commands.run, [*self._inside, *args], stdin)

    def python(self, code: str, *arguments: object) -> str:
        """Run a Python script there. :returns: what it printed."""
        return self.sh(sys.executable, "-c", code, *map(str, arguments)).strip()

    @contextmanager
    def running(self, code: str, *arguments: object) -> Iterator[str]:
        """Have a Python script running there; the line that it prints once it is ready."""
        command = [*self._inside, sys.executable, "-c", code, *map(str, arguments)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line
            try:
                yield line.strip()
            finally:
                process.kill()

    def close(self) -> None:
        """Remove it, with what it has."""
        remove_namespace(self._name)


class Tunnels(NamedTuple):
    """The clients of a gateway, in the order of their people, and the service."""

    clients: list[Namespace]
    service: Namespace
    peers: dict[str, str]  # a client's real public key by that of its person

    def replaced(self, text: str) -> str:
        """A configuration with the clients' real keys."""
        for made_up, real in self.peers.items():
            text = text.replace(made_up, real)
        return text


@contextmanager
def tunnels(host: Host, people: Sequence[Person], mtu: int = 1500, client_mtu: int = 1420) -> Iterator[Tunnels]:
    """A service behind a gateway, and a client for each of these people; the gateway has still to be applied to.

    :param mtu: of the service's network.
    """
    made: list[Namespace] = []
    try:
        service = Namespace(host, 0, "10.20.0.12/16", f"{SERVICE}/16", mtu)
        made.append(service)
        peers = {}
        for number, person in enumerate(people, 1):
            client = Namespace(host, number, f"198.18.{number}.1/24", f"198.18.{number}.2/24")
            made.append(client)
            peers[key(person.number)] = _connect(host, client, number, person, client_mtu)
        yield Tunnels(made[1:], service, peers)
    finally:
        for namespace in made:
            namespace.close()


def _connect(host: Host, client: Namespace, number: int, person: Person, mtu: int) -> str:
    """Start a client's tunnel. :returns: its public key."""
    name = f"{host.name}{'abcdefgh'[number]}"
    private_key = client.sh("wg", "genkey")
    gateway = client.sh("wg", "pubkey", stdin=host.private_key).strip()
    client.sh("wireguard-go", name)
    client.sh("wg", "set", name, "private-key", "/dev/stdin", stdin=private_key)
    settings = ["allowed-ips", "10.0.0.0/8", "endpoint", f"198.18.{number}.1:51820"]
    client.sh("wg", "set", name, "peer", gateway, *settings)
    client.sh("ip", "address", "add", person.entry()["allowed_ips"][0], "dev", name)
    client.sh("ip", "link", "set", name, "mtu", str(mtu), "up")
    client.sh("ip", "route", "add", "10.0.0.0/8", "dev", name)
    return client.sh("wg", "pubkey", stdin=private_key).strip()
