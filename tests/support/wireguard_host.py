# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""A gateway in a network namespace of its own: real wireguard-go, wg, wg-quick, ip and nft. Needs root.

What is left of it after a crash is removed by the next one to be made.
"""

from __future__ import annotations

import base64
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
from ansible_collections.tracklib.vpn.plugins.action.wireguard_interface import render
from ansible_collections.tracklib.vpn.plugins.module_utils.archive import pack_program
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard import commands, device, operations
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.config import PeerLabel
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.files import Site
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.gateway import Gateway
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.order import (
    ApplyOrder,
    Origin,
    Revocation,
    RevokeOrder,
)
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.report import Report
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.state import State, load

from . import ROOT

TEMPLATES = ROOT / "roles/gateway/templates"
REGISTRY = Origin("0f3a9c", "111122223333", "eu-central-1", "tracklib-vpn", "table-1")
NOW = 1_790_000_000  # when the rosters of these tests are made, seconds since the epoch
_FORWARDING = ("net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
_READING = {
    ("wg", "show"),
    ("wg", "pubkey"),
    ("ip", "-j"),
    ("nft", "-c"),
    ("nft", "-j"),
    ("nft", "-s"),
    ("cat", "/proc/net/ip_tables_names"),
    ("iptables-legacy-save",),
    ("ip6tables-legacy-save",),
    ("sysctl", "-n"),
    ("systemctl", "show"),
}


def key(number: int) -> str:
    """A public key, always the same for a number."""
    return base64.b64encode(number.to_bytes(4, "big") * 8).decode()


def variables(interface: str, networks: Sequence[str] = ("10.20.0.0/16",)) -> dict[str, Any]:
    """What the role gives its templates."""
    return {
        "interface": interface,
        "pools": ["10.44.0.0/16", "fd44:7472:6163:6b::/64"],
        "listen_port": 51820,
        "mtu": 1420,
        "connections_per_peer": 2000,
        "access": [{"groups": ["vpn"], "networks": networks}],
        "private_dns": False,
        "masquerade": True,
        "further_ports": [],
    }


class Person(NamedTuple):
    """A peer of a test's roster."""

    user_name: str
    number: int
    address: int | None = None  # by default that of the number
    device: str = "laptop"
    expires_at: int | None = None
    user_id: str = ""  # by default made from the name

    @property
    def id(self) -> str:
        """The user's unique id."""
        return self.user_id or f"AIDA{self.user_name.upper()}"

    def entry(self, reason: str = "") -> dict[str, Any]:
        """As the roster file has it."""
        address = self.number if self.address is None else self.address
        return {
            "public_key": key(self.number),
            "allowed_ips": [
                f"10.44.{address // 250}.{address % 250 + 2}/32",
                f"fd44:7472:6163:6b::{address + 2:x}/128",
            ],
            "account_id": "111122223333",
            "user_id": self.id,
            "user_name": self.user_name,
            "device": self.device,
            "expires_at": self.expires_at,
            "held": False,
            "reason": reason,
        }

    def label(self) -> PeerLabel:
        """As the gateway's code has it."""
        return PeerLabel(self.user_name, self.device, "111122223333", self.id)


class Recorder:
    """Runs commands in the namespace, and remembers them."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self.calls: list[list[str]] = []
        self.inputs: list[str] = []
        self.disabled: set[str] = set()  # units
        self.before: Callable[[list[str]], None] = lambda _args: None  # may raise in place of the command

    def __call__(self, args: Sequence[str], stdin: str = "") -> commands.CommandResult:
        self.before(list(args))
        self.calls.append(list(args))
        self.inputs.append(stdin)
        if args[0] == "systemctl":  # there is no systemd here; this is what its unit runs
            if args[1] == "show":
                return commands.CommandResult(0, self._units(args[3:]), "")
            if args[1] != "restart":
                self.disabled.update(args[3:] if args[1] == "disable" else ())
                self.disabled.difference_update(args if "enable" in args else ())
                return commands.CommandResult(0, "", "")
            assert list(args) == ["systemctl", "restart", f"wg-quick@{self._host.name}"]
            done = self._host.program("up")
            return commands.CommandResult(done.returncode, done.stdout, done.stderr)
        return commands.run([*self._host.inside, *args], stdin)

    def _units(self, names: Sequence[str]) -> str:
        states = {name: "disabled" if name in self.disabled else "enabled" for name in names}
        return "\n\n".join(f"Id={name}\nUnitFileState={state}\nActiveState=active" for name, state in states.items())

    @property
    def changes(self) -> list[list[str]]:
        """The commands that aren't just reading."""
        return [call for call in self.calls if tuple(call[:2]) not in _READING]


class Host:
    """A gateway whose interface, configuration and state are this test's own."""

    def __init__(self, directory: Path) -> None:
        self.namespace, self.inside = make_namespace()
        self.name = f"tl{os.getpid()}"  # wireguard-go's sockets are shared by all namespaces
        self.site = Site(self.name, directory / "etc", directory / "state", directory / "run")
        self.site.config_dir.mkdir()
        self._program = directory / "wireguard.pyz"  # as the role installs it
        self._program.write_bytes(pack_program([ROOT / "plugins/module_utils/wireguard"], "wireguard.unit"))
        self.look_script = directory / "look.sh"
        self.look_script.write_bytes((ROOT / "roles/gateway/files/look.sh").read_bytes())
        self.private_key = subprocess.run(["wg", "genkey"], check=True, capture_output=True, text=True).stdout.strip()
        self.private_key_file = self.site.config_dir / f"{self.name}.key"
        self.private_key_file.write_text(self.private_key + "\n")
        self.run = Recorder(self)
        self.now = float(NOW)

    def rename_interface(self) -> str:
        """Have another interface configured from now on. :returns: the name of the one that was."""
        former, self.name = self.name, f"{self.name}b"
        self.site = self.site._replace(name=self.name)
        return former

    def close(self) -> None:
        """Remove everything."""
        remove_namespace(self.namespace)

    def sh(self, *args: str, stdin: str = "") -> str:
        """Run a command as an operator on the gateway would."""
        return commands.output(commands.run, [*self.inside, *args], stdin)

    def program(self, command: str, *options: str) -> subprocess.CompletedProcess[str]:
        """Run the unit's program as systemd does."""
        site = self.site
        directories = [
            f"--config-dir={site.config_dir}",
            f"--state-dir={site.state_dir}",
            f"--run-dir={site.run_dir}",
        ]
        return subprocess.run(
            [*self.inside, sys.executable, "-I", self._program, command, self.name, *directories, *options],
            check=False,
            capture_output=True,
            text=True,
        )

    def timer_starts_program(self) -> bool:
        """Whether systemd would start the timer's program: what its condition, from the role's template, says."""
        template = (TEMPLATES / "expire.service.j2").read_text()
        unit = jinja2.Template(template).render(
            _gateway_next_expiry=self.site.next_expiry,
            _gateway_seen=self.site.seen,
            _gateway_library=self.look_script.parent,
        )
        found = re.search(r"^ExecCondition=/bin/sh -c '(.*)'$", unit, re.MULTILINE)
        assert found is not None
        script = found[1].replace("%i", self.name).replace("%%", "%").replace("$$", "$")
        script = script.replace(f"/etc/wireguard/{self.name}.conf", str(self.site.config))
        command = [*self.inside, "/bin/sh", "-c", script]
        return subprocess.run(command, check=False, stderr=subprocess.DEVNULL).returncode == 0

    def gateway(self, check_mode: bool = False) -> Gateway:
        """The object under test."""
        return Gateway(self.site, self.run, check_mode, lambda: self.now)

    def order(
        self,
        generation: int,
        peers: Iterable[Person],
        revoked: Iterable[Person] = (),
        networks: Sequence[str] = ("10.20.0.0/16",),
        connections_per_peer: int = 2000,
        **changes: Any,
    ) -> ApplyOrder:
        """An order as the action plugin and the module make it, from the role's own templates."""
        given = {**variables(self.name, networks), "connections_per_peer": connections_per_peer}
        roster: dict[str, Any] = {
            "generation": generation,
            "made_at": changes.pop("made_at", NOW + generation),
            "peers": [peer.entry() for peer in peers],
        }
        rendered = {
            "config": render(TEMPLATES / "wg0.conf.j2", roster, given),
            "firewall": render(TEMPLATES / "nftables.j2", roster, given),
            "revoked": {key(peer.number): Revocation(peer.label(), "tombstoned", of_user=True) for peer in revoked},
            "lock_timeout": 0.1,
            "private_key_file": self.private_key_file,
        }
        return ApplyOrder(
            generation=generation,
            made_at=roster["made_at"],
            **{"registry": REGISTRY, **rendered, **changes},
        )

    def apply(self, order: ApplyOrder, check_mode: bool = False) -> Report:
        """One apply; only its own commands are in `run` afterwards."""
        self.run.calls.clear()
        self.run.inputs.clear()
        return operations.apply(order, self.gateway(check_mode))

    def revoke(self, user_name: str, generation: int = 0, check_mode: bool = False, **options: str) -> Report:
        """One emergency revocation; only its own commands are in `run` afterwards."""
        self.run.calls.clear()
        self.run.inputs.clear()
        order = RevokeOrder.of_options({"user_name": user_name, **options}, generation, lock_timeout=0.1)
        return operations.revoke(order, self.gateway(check_mode))

    def watch(self) -> Report:
        """What the timer runs beside that; only its own commands are in `run` afterwards."""
        self.run.calls.clear()
        self.run.inputs.clear()
        look = ["/bin/sh", str(self.look_script), self.name]
        return operations.watch(self.gateway(), lambda: self.sh(*look))

    def expire(self) -> Report:
        """What the timer runs, by the clock `now`; only its own commands are in `run` afterwards."""
        self.run.calls.clear()
        self.run.inputs.clear()
        return operations.expire(self.gateway(), lock_timeout=0.1)

    @property
    def rules(self) -> str:
        """The rules that the kernel has."""
        return self.sh("nft", "-s", "list", "ruleset")

    @property
    def device(self) -> device.Device:
        """The live device."""
        return device.parse_dump(self.sh("wg", "show", self.name, "dump"))

    @property
    def peers(self) -> dict[str, str]:
        """The live peers' allowed addresses by public key."""
        return self.device.allowed_ips()

    @property
    def state(self) -> State:
        """The state file."""
        state = load(self.site)
        assert state is not None
        return state

    def files(self) -> dict[str, tuple[int, int, bytes]]:
        """Every file of the gateway with inode, time of change and content."""
        every = self.site.config_dir.parent.rglob("*")
        found = (path for path in every if path.is_file() and path not in (self._program, self.look_script))
        return {str(path): (path.stat().st_ino, path.stat().st_ctime_ns, path.read_bytes()) for path in found}


@contextmanager
def held(lock: Path) -> Iterator[int]:
    """Another process, whose id this gives, holds a lock."""
    code = (
        "import fcntl, sys; file = open(sys.argv[1], 'a'); fcntl.flock(file, fcntl.LOCK_EX); print(flush=True); input()"
    )
    with subprocess.Popen([sys.executable, "-c", code, lock], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        try:
            yield other.pid
        finally:
            other.kill()


def allowed(*people: Person) -> dict[str, str]:
    """What `Host.peers` is when a gateway has exactly these peers."""
    return {key(person.number): ",".join(person.entry()["allowed_ips"]) for person in people}


def make_namespace() -> tuple[str, list[str]]:
    """Make this process's one network namespace of a gateway. :returns: its name, and what runs a command in it."""
    remove_leftovers()
    namespace = f"tracklib-gateway-{os.getpid()}"
    inside = ["ip", "netns", "exec", namespace]
    subprocess.run(["ip", "netns", "add", namespace], check=True)
    for command in (["ip", "link", "set", "dev", "lo", "up"], ["sysctl", "-qw", *_FORWARDING]):  # as the role has it
        subprocess.run([*inside, *command], check=True)
    return namespace, inside


def remove_namespace(namespace: str) -> None:
    """Remove a network namespace with its WireGuard interfaces."""
    links = subprocess.run(["ip", "-n", namespace, "-o", "link"], check=False, capture_output=True, text=True).stdout
    for line in links.splitlines():
        name = line.split()[1].rstrip(":")
        if name.startswith("tl"):  # wireguard-go ends with its interface
            subprocess.run(["ip", "-n", namespace, "link", "del", name], check=True)
    subprocess.run(["ip", "netns", "del", namespace], check=True)


def remove_leftovers() -> None:
    """Remove the namespaces of this process, and of those that have ended."""
    names = subprocess.run(["ip", "netns", "list"], check=True, capture_output=True, text=True).stdout
    for name in (line.split()[0] for line in names.splitlines()):
        maker = name.rpartition("-")[2]
        if name.startswith("tracklib-gateway-") and (maker == str(os.getpid()) or not Path(f"/proc/{maker}").exists()):
            remove_namespace(name)
