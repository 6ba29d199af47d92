# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""A simulated gateway host: as much of `wg`, `ip`, `nft` and `systemctl` as the gateway's code calls, in memory.

Each command does what the real one does, or the test ends: one that isn't known here is a mistake of the simulation.
"""

from __future__ import annotations

import base64
import ipaddress
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.commands import CommandResult
from nacl.bindings import crypto_scalarmult_base

_TABLE = re.compile(r"^table (\w+ \w+) \{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
DONE = CommandResult(0, "", "")
NO_EXTRAS = {"PresharedKey": base64.b64encode(bytes(32)).decode(), "PersistentKeepalive": "off"}


def public_key(private_key: str) -> str:
    """What `wg pubkey` prints for a private key."""
    return base64.b64encode(crypto_scalarmult_base(base64.b64decode(private_key))).decode()


def _network(address: str) -> str:
    return str(ipaddress.ip_interface(address).network)


class UnknownCommandError(AssertionError):
    """A command that the simulation doesn't have."""


@dataclass
class Interface:
    """A WireGuard interface."""

    up: bool = True
    mtu: int = 1420
    addresses: list[str] = field(default_factory=list)
    private_key: str = "(none)"
    listen_port: int = 0
    fwmark: str = "off"
    peers: dict[str, list[str]] = field(default_factory=dict)  # allowed addresses by public key


class SimulatedHost:
    """Runs commands. `start_unit` is what systemd runs for the interface's unit."""

    def __init__(self, name: str, start_unit: Callable[[], int]) -> None:
        self.name = name
        self.interface: Interface | None = None
        self.tables: dict[str, str] = {}  # of nftables
        self.routes: set[str] = set()  # networks that are routed to the interface
        self.parameters: dict[str, str] = {}  # of the kernel, where they aren't 1
        self._start_unit = start_unit

    def __call__(self, args: Sequence[str], stdin: str = "") -> CommandResult:
        """Run a command."""
        for words, command in _COMMANDS.items():
            pattern = words.replace("NAME", self.name).split()
            if list(args[: len(pattern)]) == pattern:
                return command(self, list(args[len(pattern) :]), stdin)
        raise UnknownCommandError(f"the simulated host has no `{' '.join(args)}`")

    @property
    def _wg(self) -> Interface:
        assert self.interface is not None, "a command for an interface that isn't there"
        return self.interface

    # -- wg

    def _dump(self, _args: list[str], _stdin: str) -> CommandResult:
        if self.interface is None:
            return CommandResult(1, "", f"Unable to access interface {self.name}: No such device")
        wg = self.interface
        lines = [[wg.private_key, public_key(wg.private_key), str(wg.listen_port), wg.fwmark]]
        lines += [
            [key, "(none)", "(none)", ",".join(allowed) or "(none)", "0", "0", "0", "off"]
            for key, allowed in wg.peers.items()
        ]
        return CommandResult(0, "".join("\t".join(line) + "\n" for line in lines), "")

    def _set(self, args: list[str], stdin: str) -> CommandResult:
        if args == ["private-key", "/dev/stdin"]:
            self._wg.private_key = stdin.strip()
        elif args[0] == "listen-port":
            self._wg.listen_port = int(args[1])
        else:
            return self._remove(args)
        return DONE

    def _remove(self, args: list[str]) -> CommandResult:
        """`peer KEY remove`, as often as it is given; or by hand `peer KEY allowed-ips ADDRESS`."""
        if args[2] == "allowed-ips":
            self._wg.peers[args[1]] = args[3].split(",")
            return DONE
        for word, key, remove in zip(args[::3], args[1::3], args[2::3], strict=True):
            assert (word, remove) == ("peer", "remove"), args
            self._wg.peers.pop(key, None)
        return DONE

    def _addconf(self, _args: list[str], stdin: str) -> CommandResult:
        for section in stdin.split("[Peer]\n")[1:]:
            settings = dict(line.split(" = ", 1) for line in section.splitlines() if line)
            key, allowed = settings.pop("PublicKey"), settings.pop("AllowedIPs").replace(" ", "").split(",")
            assert settings.items() <= NO_EXTRAS.items(), f"the simulated device knows no {settings}"
            for others in self._wg.peers.values():  # an address belongs to the peer that got it last
                others[:] = [address for address in others if address not in allowed]
            self._wg.peers[key] = allowed
        return DONE

    def _pubkey(self, _args: list[str], stdin: str) -> CommandResult:
        return CommandResult(0, public_key(stdin.strip()) + "\n", "")

    def _up(self, args: list[str], _stdin: str) -> CommandResult:
        """`wg-quick up FILE`, of a file without peers."""
        with open(args[0], encoding="utf-8") as file:
            text = file.read()
        assert "[Peer]" not in text, "an interface is started without peers"
        settings = dict(line.split(" = ", 1) for line in text.splitlines() if " = " in line)
        self.interface = Interface(
            mtu=int(settings.get("MTU", "1420")),
            addresses=settings["Address"].split(", "),
            private_key=settings["PrivateKey"],
            listen_port=int(settings["ListenPort"]),
        )
        self.routes = {_network(address) for address in self.interface.addresses}
        return DONE

    # -- ip

    def _show_addresses(self, _args: list[str], _stdin: str) -> CommandResult:
        if self.interface is None:
            return CommandResult(1, "", f'Device "{self.name}" does not exist.')
        flags = ["POINTOPOINT", "NOARP", *(["UP", "LOWER_UP"] if self.interface.up else [])]
        addresses = [
            {"local": local, "prefixlen": int(length), "scope": "global"}
            for local, length in (address.split("/") for address in self.interface.addresses)
        ]
        found = [{"ifname": self.name, "flags": flags, "mtu": self.interface.mtu, "addr_info": addresses}]
        return CommandResult(0, json.dumps(found), "")

    def _set_link(self, args: list[str], _stdin: str) -> CommandResult:
        if args == ["up"]:
            self._wg.up = True
        else:
            assert args[0] == "mtu", args
            self._wg.mtu = int(args[1])
        return DONE

    def _delete_link(self, _args: list[str], _stdin: str) -> CommandResult:
        self.interface = None
        self.routes.clear()
        return DONE

    def _add_address(self, args: list[str], _stdin: str) -> CommandResult:
        self._wg.addresses.append(args[0])
        self.routes.add(_network(args[0]))
        return DONE

    def _show_routes(self, _args: list[str], _stdin: str) -> CommandResult:
        routes = [{"dst": network, "dev": self.name} for network in sorted(self.routes)]
        return CommandResult(0, json.dumps(routes), "")

    def _answer_route(self, _args: list[str], _stdin: str) -> CommandResult:
        return CommandResult(0, json.dumps([{"dev": self.name}]), "")

    def _add_route(self, args: list[str], _stdin: str) -> CommandResult:
        self.routes.add(args[0])
        return DONE

    def _delete_route(self, args: list[str], _stdin: str) -> CommandResult:
        self.routes.remove(args[0])
        return DONE

    # -- sysctl

    def _read_parameters(self, args: list[str], _stdin: str) -> CommandResult:
        return CommandResult(0, "".join(self.parameters.get(each, "1") + "\n" for each in args), "")

    def _write_parameters(self, args: list[str], _stdin: str) -> CommandResult:
        for each in args:
            name, _equals, value = each.partition("=")
            self.parameters[name] = value
        return DONE

    def _delete_address(self, args: list[str], _stdin: str) -> CommandResult:
        self._wg.addresses.remove(args[0])
        return DONE

    # -- nft

    def _check_rules(self, _args: list[str], stdin: str) -> CommandResult:
        return DONE if _TABLE.search(stdin) else CommandResult(1, "", "syntax error")

    def _load_rules(self, _args: list[str], stdin: str) -> CommandResult:
        self.tables.update(_TABLE.findall(stdin))
        return DONE

    def _list_table(self, args: list[str], _stdin: str) -> CommandResult:
        if " ".join(args) not in self.tables:
            return CommandResult(1, "", "No such file or directory")
        return CommandResult(0, self.tables[" ".join(args)], "")

    def _list_chains(self, _args: list[str], _stdin: str) -> CommandResult:
        return CommandResult(0, json.dumps({"nftables": []}), "")

    def _no_legacy_tables(self, _args: list[str], _stdin: str) -> CommandResult:
        return DONE

    def _flush(self, _args: list[str], _stdin: str) -> CommandResult:
        self.tables.clear()
        return DONE

    # -- systemd

    def _no_units(self, _args: list[str], _stdin: str) -> CommandResult:
        return CommandResult(0, "", "")

    def _restart(self, _args: list[str], _stdin: str) -> CommandResult:
        return CommandResult(self._start_unit(), "", "")


_COMMANDS: dict[str, Callable[[SimulatedHost, list[str], str], CommandResult]] = {
    "wg show NAME dump": SimulatedHost._dump,
    "wg set NAME": SimulatedHost._set,
    "wg addconf NAME /dev/stdin": SimulatedHost._addconf,
    "wg pubkey": SimulatedHost._pubkey,
    "wg-quick up": SimulatedHost._up,
    "ip -j address show dev NAME": SimulatedHost._show_addresses,
    "ip link set dev NAME": SimulatedHost._set_link,
    "ip address add": SimulatedHost._add_address,
    "ip address del": SimulatedHost._delete_address,
    "ip link del dev NAME": SimulatedHost._delete_link,
    "ip -j route show table all": SimulatedHost._show_routes,
    "ip -j route get": SimulatedHost._answer_route,
    "ip route prepend": SimulatedHost._add_route,
    "ip route del": SimulatedHost._delete_route,
    "sysctl -n": SimulatedHost._read_parameters,
    "sysctl -q -w": SimulatedHost._write_parameters,
    "nft -j list chains": SimulatedHost._list_chains,
    "cat /proc/net/ip_tables_names": SimulatedHost._no_legacy_tables,
    "nft flush ruleset": SimulatedHost._flush,
    "nft -c -f -": SimulatedHost._check_rules,
    "nft -f -": SimulatedHost._load_rules,
    "nft -s -t list table": SimulatedHost._list_table,
    "systemctl show": SimulatedHost._no_units,
    "systemctl restart wg-quick@NAME": SimulatedHost._restart,
}
