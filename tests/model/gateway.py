# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""A gateway: the shipped action plugin, planner, executor and files, over a device that is simulated or real."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock, patch

from ansible.parsing.dataloader import DataLoader
from ansible_collections.tracklib.vpn.plugins.action.wireguard_interface import ActionModule
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard import config, device, execute, operations
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.commands import CommandResult, Runner, output
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.files import Site
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.gateway import Gateway
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.order import ApplyOrder, RevokeOrder
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.report import Report
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.state import State
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.steps import Step

from tests.support.wireguard_host import TEMPLATES, variables

from .device import public_key

MAX_AGE = 86_400  # gateway_roster_max_age, seconds
MakeRunner = Callable[[str, Callable[[], int]], Runner]  # from the interface's name and what starts its unit


class Killed(BaseException):
    """The process ends here."""


@contextmanager
def killed_before(step: int | None) -> Iterator[None]:
    """Have the executor killed before the step with that number; None lets it live."""
    perform, done = execute.perform, 0

    def counting(step_: Step, gateway: Gateway, state: State) -> State:
        nonlocal done
        if done == step:
            raise Killed
        done += 1
        return perform(step_, gateway, state)

    with patch.object(execute, "perform", counting):
        yield


class GatewayHost:
    """One gateway, and what is done to it."""

    def __init__(self, name: str, directory: Path, make_runner: MakeRunner, clock: Callable[[], float]) -> None:
        self.site = Site(name, directory / "etc", directory / "state", directory / "run")
        self.site.config_dir.mkdir(parents=True)
        self.private_key_file = self.site.config_dir / f"{name}.key"
        private_key = base64.b64encode(bytes([8, *range(1, 31), 64])).decode()
        self.private_key_file.write_text(private_key + "\n")
        self.own_key = public_key(private_key)
        self.run = make_runner(name, self._start_unit)
        self._clock = clock

    def _gateway(self) -> Gateway:
        return Gateway(self.site, self.run, clock=self._clock)

    def _start_unit(self) -> int:
        return 1 if self.start().problems else 0

    # -- what the collection does

    def apply(self, roster: Path, **options: Any) -> dict[str, Any]:
        """Apply a roster; `options` are the module's. Returns the module's result."""
        return self._act(roster=str(roster), **options)

    def revoke(self, generation: int, revoke: Mapping[str, str]) -> dict[str, Any]:
        """Take somebody off without a roster. Returns the module's result."""
        return self._act(revoke=revoke, generation=generation)

    def _act(self, **options: Any) -> dict[str, Any]:
        options = {
            "name": self.site.name,
            "template": "wg0.conf.j2",
            "firewall_template": "nftables.j2",
            "variables": variables(self.site.name),
            **options,
        }
        result: dict[str, Any] = _Action(self, options).run()
        return result

    def module(self, options: dict[str, Any], document: dict[str, Any] | None) -> dict[str, Any]:
        """Do what the module does on the gateway with what the action plugin gives it."""
        if document is None:
            whom = RevokeOrder.of_options(options["revoke"], options["generation"], lock_timeout=0)
            report = operations.revoke(whom, self._gateway())
        else:
            order = ApplyOrder.of_document(
                document,
                private_key_file=self.private_key_file,
                accept_registry=options.get("accept_registry") or "",
                release_revoked=options.get("release_revoked") or [],
                lock_timeout=0,
            )
            report = operations.apply(order, self._gateway())
        return {**report.result(self.site.name), "config_file_removed": True}

    def start(self) -> Report:
        """Start the interface's unit."""
        operations.expire(self._gateway(), lock_timeout=0)
        return operations.start(self._gateway(), MAX_AGE)

    def reload(self) -> Report:
        """Reload the interface's unit."""
        operations.expire(self._gateway(), lock_timeout=0)
        return operations.reload(self._gateway(), MAX_AGE)

    def timer(self) -> Report:
        """Do what the timer does: take off who has expired, and repair."""
        operations.expire(self._gateway(), lock_timeout=0)
        return operations.watch(self._gateway(), lambda: "")

    # -- what hands do

    def sh(self, *args: str, stdin: str = "") -> str:
        """Run a command on the host."""
        return output(self.run, args, stdin)

    def vanish(self) -> None:
        """Lose the interface and the firewall, as a reboot does."""
        if self.is_up:
            self.sh("ip", "link", "del", "dev", self.site.name)
        self.sh("nft", "flush", "ruleset")

    def take_off(self, key: str) -> None:
        """Take a peer off the device."""
        self.sh("wg", "set", self.site.name, "peer", key, "remove")

    def add(self, key: str, address: str) -> None:
        """Add a peer to the device."""
        self.sh("wg", "set", self.site.name, "peer", key, "allowed-ips", address)

    @contextmanager
    def refusing(self, key: str) -> Iterator[None]:
        """Have `wg` refuse every command that takes this peer off."""
        run = self.run

        def refuse(args: Sequence[str], stdin: str = "") -> CommandResult:
            if list(args[:2]) == ["wg", "set"] and key in args and "remove" in args:
                return CommandResult(1, "", "Unable to modify interface: Device or resource busy")
            return run(args, stdin)

        self.run = refuse
        try:
            yield
        finally:
            self.run = run

    def delete_route(self) -> None:
        """Delete the route of the tunnel's first network."""
        self.sh("ip", "route", "del", self._network)

    # -- what is there

    @property
    def _network(self) -> str:
        pools: list[str] = variables(self.site.name)["pools"]
        return pools[0]

    @property
    def has_route(self) -> bool:
        """Whether the tunnel's first network is routed to the interface."""
        routes = json.loads(self.sh("ip", "-j", "route", "show", "table", "all"))
        return any(route["dst"] == self._network and route.get("dev") == self.site.name for route in routes)

    @property
    def forwards(self) -> bool:
        """Whether the host routes and forwards what comes from the tunnel, by rules of ours."""
        table = self.run(["nft", "-s", "-t", "list", "table", "inet", f"tracklib_vpn_{self.site.name}"])
        return self.has_route and self.sh("sysctl", "-n", "net/ipv4/ip_forward").strip() == "1" and table.rc == 0

    @property
    def is_up(self) -> bool:
        """Whether there is an interface."""
        return device.read_link(self.run, self.site.name) is not None

    @property
    def peers(self) -> dict[str, str]:
        """The device's peers: allowed addresses by public key; nobody if there is no device."""
        return device.read(self.run, self.site.name).allowed_ips() if self.is_up else {}

    @property
    def filed(self) -> set[str]:
        """The public keys of the peers in the configuration file."""
        text = self.site.config.read_text(encoding="utf-8") if self.site.config.exists() else ""
        return {key for key, _comment, _settings in config.split(text).peers}


class _Action(ActionModule):
    """The action plugin; what it would send to the gateway goes to the simulated one."""

    def __init__(self, host: GatewayHost, options: dict[str, Any]) -> None:
        places = [str(TEMPLATES.parent)]
        self._task = SimpleNamespace(args=options, async_val=0, check_mode=False, get_search_path=lambda: places)
        self._connection: Any = MagicMock()
        self._loader = DataLoader()
        self._host = host
        self._document_sent: dict[str, Any] | None = None

    def _transfer(self, data: bytes) -> str:
        self._document_sent = json.loads(data)
        return "/run/tracklib-vpn/apply.x"

    def _execute_module(self, module_args: dict[str, Any], **_others: Any) -> dict[str, Any]:
        return self._host.module(module_args, self._document_sent)

    def _low_level_execute_command(self, _command: str, **_options: Any) -> dict[str, Any]:
        return {}


def real_runner(inside: Sequence[str], run: Runner) -> MakeRunner:
    """Make runners that run real commands, prefixed by `inside`; there is no systemd, so the unit is started here."""
    raise NotImplementedError((inside, run))
