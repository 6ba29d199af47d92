# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What tests and the demo do with a running lab: playbooks, modules, tunnels, probes."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import testinfra
from ansible_collections.tracklib.vpn.plugins.module_utils.addresses import parse_pools
from ansible_collections.tracklib.vpn.plugins.module_utils.model import Lifted, Registration
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.table import Registry

from tests.support import ROOT, program_host
from tests.support.serving import serving
from tests.support.waiting import PATIENCE

from . import aws, hosts
from .machine import STATE, LabError, podman

if TYPE_CHECKING:
    from testinfra.host import Host as RemoteHost

BIN = Path(sys.executable).parent
TABLE = "tracklib-vpn"
POOLS = ["10.44.0.0/20", "fd44:7472:6163:6b::/64"]
SERVICE_IPV4, SERVICE_IPV6 = hosts.SERVICE_ADDRESSES
# what a client sends into the tunnel: more than it may, because the gateway's rules are the control
ROUTES = (hosts.VPC.ipv4, hosts.VPC.ipv6, *POOLS, "169.254.169.254/32", "fd00:ec2::254/128")
KEY_FILE = "/etc/wireguard/wg0.key"
PLAYBOOK_TIMEOUT = 3 * int(PATIENCE)
LONG_ENOUGH = 1  # seconds, for what is not to come: through a tunnel that works the page comes in milliseconds
# every thread of wireguard-go: in the kernel, WireGuard wouldn't wait for its turn on a busy machine, either
_PREFER_WIREGUARD = "for pid in $(pidof wireguard-go); do renice -n -15 -p $(ls /proc/$pid/task); done"
_CALLBACK = {
    "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json",
    "ANSIBLE_LOAD_CALLBACK_PLUGINS": "1",
    "ANSIBLE_DEPRECATION_WARNINGS": "1",
}
_LOADED = ("ansible.cli.adhoc", "ansible.cli.playbook", "boto3")
_program_host: str | None = None  # its address


@dataclasses.dataclass(frozen=True)
class Run:
    """What a playbook or a module did."""

    rc: int
    seconds: float
    report: dict[str, Any]  # of the callback plugin ansible.posix.json
    stderr: str

    def results(self, host: str | None = None) -> list[dict[str, Any]]:
        """Return the tasks' results in their order, each with its task's name as `task` and its host as `host`."""
        return [
            {**result, "task": task["task"]["name"], "host": name}
            for play in self.report.get("plays", [])
            for task in play["tasks"]
            for name, result in task["hosts"].items()
            if host in (None, name)
        ]

    def result(self, word: str, host: str | None = None) -> dict[str, Any]:
        """Return the one result of a task whose name holds `word`, whatever the case of its letters."""
        found = [result for result in self.results(host) if word.lower() in result["task"].lower()]
        assert len(found) == 1, f"{len(found)} tasks are named like {word!r}: {[item['task'] for item in found]}"
        return found[0]

    @property
    def failures(self) -> list[str]:
        """The failed tasks, as `host: task: message`."""
        return [
            f"{result['host']}: {result['task']}: {result.get('msg', '')}"
            for result in self.results()
            if result.get("failed") or result.get("unreachable")
        ]

    @property
    def changed(self) -> list[str]:
        """The tasks that changed something, as `host: task`."""
        return [f"{result['host']}: {result['task']}" for result in self.results() if result.get("changed")]


def run_playbook(
    name: str, /, *arguments: str, rc: int | None = 0, profile: str | None = None, **variables: Any
) -> Run:
    """Run a playbook of the collection against the lab's inventory.

    :param name: The playbook's name in playbooks/, without `.yml`, or a path.
    :param arguments: Further arguments of ansible-playbook, such as `--check` or `--limit=gateway`.
    :param rc: The expected exit code; None: any.
    :param profile: The IAM user whose AWS credentials it has, see
        :func:`tests.lab.aws.make_profile`; by default an operator.
    :param variables: Extra variables.
    """
    playbook = name if name.endswith(".yml") else str(ROOT / "playbooks" / f"{name}.yml")
    extra = [f"--extra-vars={json.dumps(variables)}"] if variables else []
    done = _ansible("ansible-playbook", playbook, *arguments, *extra, profile=profile)
    assert rc is None or done.rc == rc, f"{name} ended with {done.rc}, not {rc}: {done.failures}\n{done.stderr}"
    return done


def lift_blocks() -> None:
    """Leave nobody blocked in the registry."""
    table = registry()
    for block in table.blocks():
        table.unblock(Lifted(block, None, time.time()))


def run_module(name: str, /, host: str = "localhost", *, become: bool = False, **options: Any) -> dict[str, Any]:
    """Run one module of the collection, as `ansible HOST -m` does; return its result, which may have failed."""
    elevate = ["--become"] if become else []
    arguments = ["-a", json.dumps(options)] if options else []
    done = _ansible("ansible", host, "-m", f"tracklib.vpn.{name}", *arguments, *elevate)
    assert done.results(), f"module {name} left no result: {done.stderr}"
    return done.results()[0]


def environment(profile: str | None = None) -> dict[str, str]:
    """Return the environment of a program that is to use the lab and nothing of the developer's."""
    return {
        **{
            name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "ANSIBLE_", "PYTHONPATH"))
        },
        **aws.environment(profile),
        "PATH": f"{BIN}:{os.environ['PATH']}",
    }


@contextlib.contextmanager
def ansible_loaded() -> Iterator[None]:
    """Have runs of Ansible begin with it and the AWS SDK loaded, which takes longer than most of them."""
    global _program_host
    with serving("tests.support.program_host", *_LOADED, env={**environment(), **_CALLBACK}) as _program_host:
        try:
            yield
        finally:
            _program_host = None


def _ansible(program: str, *arguments: str, profile: str | None = None) -> Run:
    words, env = [str(BIN / program), *arguments], {**environment(profile), **_CALLBACK}
    started = time.monotonic()
    if _program_host is not None:
        done = program_host.run(_program_host, *words, env=env, directory=ROOT, timeout=PLAYBOOK_TIMEOUT)
    else:
        done = subprocess.run(
            words,
            env=env,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=PLAYBOOK_TIMEOUT,
        )
    seconds = time.monotonic() - started
    # what isn't the report, such as a message of the command line's parser, belongs to the errors
    start = done.stdout.find("{\n")
    report = json.loads(done.stdout[start:]) if start >= 0 else {}
    return Run(done.returncode, seconds, report, done.stdout[: max(start, 0)] + done.stderr)


def remote(name: str) -> RemoteHost:
    """Return testinfra's view of a lab host, as root, over SSH."""
    return testinfra.get_host(f"ssh://{name}?sudo=true", ssh_config=str(hosts.SSH_CONFIG))


def shell(host: str, command: str, *, check: bool = True) -> str:
    """Run a shell command on a lab host as root, over SSH; return its output.

    :raises LabError: The command failed and `check` is set.
    """
    done = _over_shared_connection(host, command)
    output = done.stdout.decode()
    if check and done.returncode:
        raise LabError(f"{host}: {command}: exit code {done.returncode}: {output}{done.stderr.decode()}")
    return output.strip()


@contextlib.contextmanager
def started(host: str, command: str, *options: str) -> Iterator[subprocess.Popen[str]]:
    """Have a shell command run on a lab host as root, over SSH with these options, while the block does."""
    with subprocess.Popen(_ssh(host, command, *options), cwd=STATE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.terminate()


def put(host: str, path: str, content: bytes, owner: str = "root") -> None:
    """Write a file on a lab host, which only its owner may read and run."""
    where, whose = shlex.quote(path), shlex.quote(owner)
    make = f"umask 077; mkdir -p $(dirname {where}); cat > {where}; chmod 700 {where}"
    own = f"chown {whose}: {where} $(dirname {where})" if owner != "root" else "true"
    _over_shared_connection(host, f"set -e; {make}; {own}", content).check_returncode()


def _over_shared_connection(host: str, command: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    ssh = _ssh(host, command, *hosts.SHARED_CONNECTION)
    return subprocess.run(ssh, cwd=STATE, input=stdin, capture_output=True, check=False)


def _ssh(host: str, command: str, *options: str) -> list[str]:
    return ["ssh", "-F", str(hosts.SSH_CONFIG), *options, host, f"sudo sh -c {shlex.quote(command)}"]


@dataclasses.dataclass(frozen=True)
class Connection:
    """A registered device's tunnel to a gateway, which knows of it after the next reconcile."""

    laptop: str
    user_name: str
    device: str
    public_key: str
    addresses: list[str]
    interface: str = "wg0"

    @property
    def label(self) -> str:
        """What the gateways call it."""
        return f"{self.user_name}/{self.device}"

    def start(self, gateway: str = "gateway", key_file: str = KEY_FILE) -> None:
        """Configure the laptop's tunnel anew, and start it.

        :param key_file: Where the laptop has the private key.
        :raises LabError: A step on the laptop or the gateway failed.
        """
        gateway_key = shell(gateway, "wg show wg0 public-key")
        endpoint = next(host.address for host in hosts.GATEWAYS if host.name == gateway)
        config = (
            f"[Interface]\nAddress = {', '.join(self.addresses)}\nPostUp = wg set %i private-key {key_file}\n\n"
            f"[Peer]\nPublicKey = {gateway_key}\nEndpoint = {endpoint}:51820\nAllowedIPs = {', '.join(ROUTES)}\n"
        )
        write = f"umask 077; printf %s {shlex.quote(config)} > /etc/wireguard/{self.interface}.conf"
        shell(self.laptop, f"set -e; {write}; {self._restart}")

    def reconnect(self) -> None:
        """Make a handshake now: by itself a device notices only after 15 s that a gateway was restarted."""
        shell(self.laptop, self._restart)

    def disconnect(self) -> None:
        """Take the tunnel down; the registration stays."""
        shell(self.laptop, self._down)

    @property
    def _restart(self) -> str:
        return f"{self._down}; wg-quick up {self.interface} 2>&1"

    @property
    def _down(self) -> str:
        return f"if ip link show {self.interface} >/dev/null 2>&1; then wg-quick down {self.interface} 2>&1; fi"

    def fetch(self, address: str = SERVICE_IPV4, port: int = 80) -> str | None:
        """Return the page behind an address as seen from the device, None when it doesn't come; see :func:`fetch`."""
        return fetch(self.laptop, address, port)

    def cut_off(self, address: str = SERVICE_IPV4) -> bool:
        """Whether the device gets nothing from an address."""
        return cut_off(self.laptop, address)


def live_peers(gateway: str = "gateway") -> set[str]:
    """Return the public keys of the peers on a gateway's live device."""
    return set(shell(gateway, "wg show wg0 peers").split())


@contextlib.contextmanager
def unreachable(host: str) -> Iterator[None]:
    """Have a host refuse every new SSH connection; ten minutes at most, should this process be killed."""
    container = next(each.container for each in hosts.HOSTS if each.name == host)
    rules = """
        table inet lab_unreachable {
            set ports { type inet_service; flags timeout; elements = { 22 timeout 10m }; }
            chain input {
                type filter hook input priority -300;
                tcp dport @ports ct state new reject with tcp reset
            }
        }
    """
    podman("exec", "--interactive", container, "nft", "-f", "-", stdin=rules.encode())
    try:
        yield
    finally:
        podman("exec", container, "nft", "delete", "table", "inet", "lab_unreachable")


def fetch(host: str, address: str = SERVICE_IPV4, port: int = 80, *, seconds: float = 30) -> str | None:
    """Return the page behind an address as seen from a host, None when it doesn't come within so many seconds."""
    literal = f"[{address}]" if ":" in address else address
    page = shell(host, f"curl -g --silent --max-time {seconds} http://{literal}:{port}/", check=False)
    return page or None


def cut_off(host: str, address: str = SERVICE_IPV4) -> bool:
    """Whether a host gets nothing from an address."""
    return fetch(host, address, seconds=LONG_ENOUGH) is None


def make_key(laptop: str, path: str = KEY_FILE) -> str:
    """Make a private key on a laptop; return its public key."""
    make = f"umask 077; mkdir -p $(dirname {path}); wg genkey > {path}; wg pubkey < {path}"
    return shell(laptop, f"set -e; {make}")


def connect(
    laptop: str,
    user_name: str | None = None,
    *,
    device: str = "laptop",
    gateway: str = "gateway",
    by_module: bool = False,
) -> Connection:
    """Make a key on a laptop, register it and start a tunnel.

    :param user_name: Whose device it is; by default the first part of the laptop's name.
    :param gateway: The lab host to connect to.
    :param by_module: Register as an operator does, which takes a process of Ansible.
    :raises LabError: A step on the laptop or the gateway failed.
    """
    user_name = user_name or laptop.split("-")[0]
    public_key = make_key(laptop)
    addresses = (
        register_device(user_name, device, public_key)["addresses"]
        if by_module
        else list(register_directly(user_name, device, public_key).addresses)
    )
    connection = Connection(laptop, user_name, device, public_key, addresses)
    connection.start(gateway)
    return connection


def register_device(user_name: str, device: str, public_key: str, **options: Any) -> dict[str, Any]:
    """Register a device by the module `registration`; return the registration.

    :raises LabError: The module refused.
    """
    result = run_module(
        "registration",
        account_id=aws.ACCOUNT,
        registry_table=TABLE,
        user_name=user_name,
        device=device,
        public_key=public_key,
        address_pools=POOLS,
        **options,
    )
    if result.get("failed"):
        raise LabError(f"registration of {user_name}/{device}: {result['msg']}")
    return dict(result["registration"])


def registry() -> Registry:
    """Return the registry itself, for changes of many devices that would take a module call each."""
    return Registry(aws.client("dynamodb"), TABLE)


def register_directly(user_name: str, device: str, public_key: str) -> Registration:
    """Register a device as the module does, without a process for each; return the registration."""
    user_id = aws.client("iam").get_user(UserName=user_name)["User"]["UserId"]
    wanted = Registration(aws.ACCOUNT, user_id, device, user_name, public_key, (), time.time())
    return registry().devices.register(wanted, parse_pools(POOLS))[1]


def forget_devices(*user_names: str) -> None:
    """Remove all registrations of users, whose addresses needn't rest."""
    devices = registry().devices
    for registration in devices.registrations():
        if registration.user_name in user_names:
            devices.remove(registration, quarantine=0)


class RunningProbe:
    """A probe that runs on a lab host; see probe.py."""

    def __init__(self, host: str, address: str, *, interval: float, seconds: float) -> None:
        """Start it."""
        for name in (host, *(gateway.name for gateway in hosts.GATEWAYS)):
            shell(name, _PREFER_WIREGUARD)
        program = f"exec nice -n -10 python3 /etc/lab/probe.py {address} --interval {interval} --seconds {seconds}"
        self._process = subprocess.Popen(
            _ssh(host, program), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def wait_for_answer(self) -> None:
        """Wait until the first answer came.

        :raises LabError: The probe ended without one.
        """
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if line != "answered\n":
            raise LabError(f"no answer to the probe: {line}{self._process.communicate()[1]}")

    def stop(self) -> dict[str, Any]:
        """End it; return its report: sent, received, lost, rate, seconds, longest_gap, errors."""
        output, errors = self._process.communicate()  # closes its input
        lines = output.splitlines()
        if not lines or not lines[-1].startswith("{"):
            raise LabError(f"the probe left no report: {output}{errors}")
        return dict(json.loads(lines[-1]))

    def wait(self) -> dict[str, Any]:
        """Wait until its time is up; return its report."""
        self._process.wait()
        return self.stop()

    def abandon(self) -> None:
        """End it without a report, if it still runs."""
        if self._process.poll() is None:
            self._process.kill()  # ssh: the probe itself ends with its input
            self._process.communicate()


@contextlib.contextmanager
def probing(host: str, address: str = SERVICE_IPV4, *, interval: float = 0.001) -> Iterator[RunningProbe]:
    """Probe in the background from the first answer on; call `stop` for the report."""
    running = RunningProbe(host, address, interval=interval, seconds=3600)
    try:
        running.wait_for_answer()
        yield running
    finally:
        running.abandon()


def probe(host: str, seconds: float, address: str = SERVICE_IPV4, *, interval: float = 0.001) -> dict[str, Any]:
    """Probe for some seconds; return the report, which shows no answer at all as `received` 0."""
    return RunningProbe(host, address, interval=interval, seconds=seconds).wait()
