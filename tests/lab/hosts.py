# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The lab's networks and hosts: booted Debian systems in podman containers."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import hashlib
import io
import ipaddress
import json
import re
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.support import ROOT
from tests.support.waiting import PATIENCE

from .images import image_names
from .machine import STATE, as_root, podman, release_slot, run, say, slot, slot_owners

LABEL = "com.tracklib.vpn.lab"  # the repository that the lab belongs to
SPEC_LABEL = "com.tracklib.vpn.spec"  # the hash of what the host is made from
HERE = Path(__file__).parent
KEY = STATE / "id_ed25519"
KNOWN_HOSTS = STATE / "known_hosts"
INSTANCE_METADATA = STATE / "metadata"  # what the emulated AWS tells instances, for the service host to serve
SSH_CONFIG = STATE / "ssh_config"
# One connection for many commands: making one takes as long as 15 commands. The socket is in the working directory,
# which must be STATE, because a socket's path has at most 108 characters.
SHARED_CONNECTION = ("-o", "ControlMaster=auto", "-o", "ControlPersist=60", "-o", "ControlPath=ssh-%C")
FIREWALL_TABLE = "tracklib_vpn_lab_"  # and the slot
PRIVATE_NETWORKS = ("10.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16")
METADATA = ("169.254.169.254", "fd00:ec2::254")


def _prefix() -> str:
    return f"tracklib-vpn-{slot()}-"


@dataclasses.dataclass(frozen=True)
class Network:
    """One of the lab's networks, which podman makes as a bridge."""

    name: str
    internal: bool  # no way out to the machine's own network

    @property
    def podman_name(self) -> str:
        """The network's name for podman."""
        return _prefix() + self.name

    @property
    def ipv4(self) -> str:
        """Its IPv4 network, as CIDR: the internet has one for each slot, so that labs run beside each other."""
        return "10.20.0.0/16" if self.internal else f"198.51.100.{32 * slot()}/27"

    @property
    def ipv6(self) -> str:
        """Its IPv6 network, as CIDR."""
        return "fd20:7472:6163:6b::/64" if self.internal else f"2001:db8:{slot() + 1}::/64"

    def addresses(self, number: int) -> tuple[str, str]:
        """Return the IPv4 and the IPv6 address of a number, which both end with."""
        return str(ipaddress.ip_network(self.ipv4)[number]), self.ipv6.replace("/64", str(number))


@dataclasses.dataclass(frozen=True, eq=False)
class Host:
    """One of the lab's hosts."""

    name: str
    suite: str
    numbers: Mapping[Network, int]  # its addresses' in each network; the first is how this machine reaches it
    volumes: tuple[str, ...] = ()  # in podman's form
    packages: tuple[str, ...] = ()  # installed by the lab, with what they depend on; what a role installs isn't here
    files: tuple[str, ...] = ()  # of this directory, for the host's /etc/lab
    machine_dns: bool = True  # resolves names as this machine does

    @property
    def container(self) -> str:
        """The host's container name."""
        return _prefix() + self.name

    @property
    def addresses(self) -> dict[str, tuple[str, str]]:
        """Its IPv4 and IPv6 address by the network's name."""
        return {network.name: network.addresses(number) for network, number in self.numbers.items()}

    @property
    def address(self) -> str:
        """The IPv4 address by which this machine reaches the host."""
        return next(iter(self.addresses.values()))[0]


INTERNET = Network("internet", internal=False)
VPC = Network("vpc", internal=True)
NETWORKS = (INTERNET, VPC)
SERVICE_ADDRESSES = VPC.addresses(80)
RESOLVER_ADDRESSES = VPC.addresses(2)  # where every VPC has its resolver: base address + 2


def task_addresses(number: int) -> tuple[str, str]:
    """Return the IPv4 and the IPv6 address of a task, numbered from 1; see services.py."""
    return VPC.addresses(80 + number)


def machine_address() -> str:
    """Return this machine's address in the internet network, which podman gives it."""
    return INTERNET.addresses(1)[0]


def _gateway(name: str, suite: str, number: int) -> Host:
    return Host(name, suite, {INTERNET: number, VPC: number}, files=("dns.py",))


def _laptop(name: str, suite: str, number: int, *packages: str) -> Host:
    return Host(
        name,
        suite,
        {INTERNET: number},
        packages=("wireguard-tools", *packages),
        files=("probe.py", "dns.py"),
        machine_dns=False,
    )


GATEWAYS = (_gateway("gateway", "bookworm", 12), _gateway("gateway-13", "trixie", 13))
LAPTOPS = (_laptop("alice-laptop", "bookworm", 21, "systemd-resolved"), _laptop("bob-laptop", "trixie", 22))
SERVICE = Host(
    "service",
    "bookworm",
    {VPC: 80},
    files=("service.py", "files/lab-web.service", "files/lab-echo.service"),
    volumes=(f"{INSTANCE_METADATA}:/run/lab-metadata:ro",),
)
RESOLVER = Host(
    "resolver",
    "bookworm",
    {INTERNET: 30, VPC: 2},
    packages=("libevent-2.1-7", "libfstrm0", "libprotobuf-c1", "nsd"),
    files=("dns.py", "files/nsd.sh", "files/lab-vpc-resolver.service", "files/lab-public-resolver.service"),
)
HOSTS = (*GATEWAYS, *LAPTOPS, SERVICE, RESOLVER)


def _network_commands(host: Host) -> list[str]:
    """Return what a host does at every boot."""
    if host in GATEWAYS:
        # so that nothing but the gateway's own firewall keeps a tunnel client from the instance metadata
        ways = zip(METADATA, SERVICE_ADDRESSES, strict=True)
        return [f"ip route replace {metadata} via {service}" for metadata, service in ways]
    if host is SERVICE:
        return [f"ip address replace {address} dev eth0 nodad" for address in METADATA]
    if host is RESOLVER:  # it is in both networks, and no way from one to the other
        return ["sysctl -q -w net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0"]
    servers = RESOLVER.addresses[INTERNET.name]
    lines = "".join(f"nameserver {address}\\n" for address in servers)
    resolved = "/etc/systemd/resolved.conf.d/lab.conf"
    plain_dns = f"[ -L /etc/resolv.conf ] || printf '{lines}' > /etc/resolv.conf"  # a link is systemd-resolved's
    resolved_dns = (
        f"[ -e {resolved} ] || {{ mkdir -p {Path(resolved).parent}; printf"
        f" '[Resolve]\\nDNS={' '.join(servers)}\\nFallbackDNS=\\n' > {resolved};"
        " systemctl --no-block try-restart systemd-resolved || true; }"  # may not be installed
    )
    return [plain_dns, resolved_dns]


def ensure_key() -> None:
    """Make the key by which this machine logs in to the hosts."""
    if not KEY.exists():
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "tracklib-vpn-lab", "-f", KEY)


def remove_orphans() -> None:
    """Remove what is left of labs whose checkout was deleted."""
    for number, owner in slot_owners().items():
        if (owner / ".lab").exists():
            continue
        say(f"removing what is left of the lab of {owner}, which was deleted")
        listed = podman("ps", "--all", "--quiet", f"--filter=label={LABEL}={owner}").split()
        if listed:
            podman("rm", "--force", "--time=0", "--volumes", *listed)
        # podman has lost the networks' description with the checkout; the rules still name the bridges
        rules = run(*as_root("nft", "list", "table", "inet", f"{FIREWALL_TABLE}{number}"), check=False)
        for bridge in set(re.findall(r'ifname "(podman\d+)"', rules)):
            run(*as_root("ip", "link", "delete", bridge), check=False)  # may be gone
        _remove_rules(number)
        release_slot(number)


def ensure_networks() -> None:
    """Make the networks and forbid this machine to route between them."""
    there = podman("network", "ls", "--format", "{{.Name}}").split()
    for network in NETWORKS:
        if network.podman_name not in there:
            podman(
                "network", "create", "--disable-dns", "--ipv6", f"--label={LABEL}={ROOT}",
                f"--subnet={network.ipv4}", f"--subnet={network.ipv6}",
                *(["--internal"] if network.internal else []), network.podman_name,
            )  # fmt: skip
    internet, vpc = (_bridge(network) for network in NETWORKS)
    # netavark's own isolation leaves internal networks out. Private addresses end at this machine as they would at an
    # internet provider, its name servers excepted; there is no way out by IPv6, because not every kernel translates it.
    table = f"{FIREWALL_TABLE}{slot()}"
    rules = f"""
        table inet {table}
        delete table inet {table}
        table inet {table} {{
            chain forward {{
                type filter hook forward priority filter - 10; policy accept;
                iifname "{vpc}" oifname != "{vpc}" drop
                oifname "{vpc}" iifname != "{vpc}" drop
                iifname != "{internet}" accept
                oifname "{internet}" accept
                meta nfproto ipv6 drop
                ip daddr {VPC.ipv4} drop
                meta l4proto {{ tcp, udp }} th dport 53 accept
                ip daddr {{ {", ".join(PRIVATE_NETWORKS)} }} drop
            }}
            chain input {{
                type filter hook input priority filter - 10; policy accept;
                iifname "{internet}" ip daddr {VPC.ipv4} drop
                iifname "{internet}" ip6 daddr {VPC.ipv6} drop
            }}
        }}
    """
    run(*as_root("nft", "-f", "-"), stdin=rules.encode())


def ensure_hosts(*, fresh: bool = False) -> None:
    """Start the hosts: those that are there and as they should be are kept, others are made anew.

    :param fresh: Make all of them anew.
    :raises LabError: A host didn't start.
    """
    INSTANCE_METADATA.mkdir(exist_ok=True)
    _close_connections()
    there = _containers()
    for name in set(there) - (set() if fresh else {host.container for host in HOSTS}):
        podman("rm", "--force", "--time=0", name)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        keys = list(pool.map(lambda host: _ensure_host(host, None if fresh else there.get(host.container)), HOSTS))
    lines = [f"{name} {key}\n" for host, key in zip(HOSTS, keys, strict=True) for name in (host.name, host.address)]
    KNOWN_HOSTS.write_text("".join(lines))
    SSH_CONFIG.write_text(_ssh_config())


def reboot(host: Host) -> None:
    """Switch a host off and on again, as pulling its plug would."""
    _close_connections()
    podman("restart", "--time=0", host.container)
    _wait_until_booted(host)


def _close_connections() -> None:
    """End the shared connections: whoever used one to a host that is gone would wait for its answer."""
    for socket in STATE.glob("ssh-*"):
        run("ssh", "-o", f"ControlPath={socket.name}", "-O", "exit", "any", check=False, cwd=STATE)


def remove_hosts() -> None:
    """Remove all hosts, the networks and the rules between them."""
    _close_connections()
    names = sorted(_containers())
    if names:
        podman("rm", "--force", "--time=0", "--volumes", *names)
    there = podman("network", "ls", "--format", "{{.Name}}").split()
    for network in NETWORKS:
        if network.podman_name in there:
            podman("network", "rm", network.podman_name)
    _remove_rules(slot())


def _remove_rules(number: int) -> None:
    table = f"table inet {FIREWALL_TABLE}{number}"
    run(*as_root("nft", "-f", "-"), stdin=f"{table}\ndelete {table}\n".encode())


def running_hosts() -> list[str]:
    """Return the names of the hosts that run."""
    there = _containers()
    return [host.name for host in HOSTS if there.get(host.container, {}).get("State") == "running"]


def _ensure_host(host: Host, container: dict[str, Any] | None) -> str:
    """Start one host, made anew unless it is as it should be; return its ssh host key."""
    spec = _spec(host)
    if container is not None and container["Labels"].get(SPEC_LABEL) == spec:
        if container["State"] != "running":
            podman("start", host.container)
        if _is_set_up(host):
            return _wait_until_booted(host)
    podman("rm", "--force", "--ignore", "--time=0", host.container)
    podman("run", *_run_options(host), f"--label={SPEC_LABEL}={spec}", image_names()[host.suite], "/sbin/init")
    podman("exec", "--interactive", host.container, "tar", "-x", "-C", "/", stdin=_archive(host))
    packages = f"PACKAGES={' '.join(host.packages)}"
    podman("exec", "--env", packages, host.container, "sh", "-c", "sh /etc/lab/setup.sh && touch /etc/lab/done")
    key = _wait_until_booted(host)
    say(f"{host.name} is up")
    return key


def _run_options(host: Host) -> list[str]:
    networks = []
    for number, (network, addresses) in enumerate(host.addresses.items()):
        # the same for a host made anew, so that its neighbours' tables stay true
        mac = "02:" + ":".join(f"{byte:02x}" for byte in ipaddress.IPv4Address(addresses[0]).packed) + ":00"
        options = ",".join([*(f"ip={address}" for address in addresses), f"mac={mac}", f"interface_name=eth{number}"])
        networks.append(f"--network={_prefix()}{network}:{options}")
    # privileged: systemd, nftables, wg-quick, sysctl and /dev/net/tun work as on a real host
    return [
        "--detach", "--privileged", "--systemd=always", f"--name={host.container}", f"--hostname={host.name}",
        f"--label={LABEL}={ROOT}", *networks, *(f"--volume={volume}" for volume in host.volumes),
        *([] if host.machine_dns else ["--dns=none"]),
    ]  # fmt: skip


def _is_set_up(host: Host) -> bool:
    return podman("exec", host.container, "sh", "-c", "test -e /etc/lab/done && echo yes", check=False) == "yes\n"


def _wait_until_booted(host: Host) -> str:
    lines = podman(
        "exec", host.container, "timeout", str(int(PATIENCE)), "sh", "-c", (HERE / "files" / "facts.sh").read_text()
    ).splitlines()
    failed = [line.split()[1] for line in lines if line.startswith("failed ")]
    facts = dict(line.split(" ", 1) for line in lines)
    if failed:
        say(f"{host.name} is {facts['state']}; failed units: {', '.join(failed)}")
    return facts["key"]


def _archive(host: Host) -> bytes:
    """Return what the host finds in /etc/lab, as a tar archive."""
    content = {"authorized_keys": KEY.with_suffix(".pub").read_bytes()}
    content |= {Path(name).name: (HERE / name).read_bytes() for name in ("files/setup.sh", *host.files)}
    content["network.sh"] = "\n".join(("set -eu", *_network_commands(host), "")).encode()
    content["lab-network.service"] = (HERE / "files" / "lab-network.service").read_bytes()
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, data in content.items():
            member = tarfile.TarInfo(f"etc/lab/{name}")
            member.size, member.mode = len(data), 0o644
            archive.addfile(member, io.BytesIO(data))
    return stream.getvalue()


def _spec(host: Host) -> str:
    made_from = json.dumps([image_names()[host.suite], _run_options(host), host.packages])
    return hashlib.sha256(made_from.encode() + _archive(host)).hexdigest()[:16]


def _containers() -> dict[str, dict[str, Any]]:
    listed = json.loads(podman("ps", "--all", "--format=json", f"--filter=label={LABEL}={ROOT}"))
    return {container["Names"][0]: container for container in listed}


def _bridge(network: Network) -> str:
    described = json.loads(podman("network", "inspect", network.podman_name))
    return str(described[0]["network_interface"])


def _ssh_config() -> str:
    entries = [f"Host {host.name}\n  HostName {host.address}\n" for host in HOSTS]
    # this machine has no way into the VPC, either
    entries.append(f"Host {SERVICE.name}\n  ProxyJump {GATEWAYS[0].name}\n")
    common = (
        f"Host {' '.join(host.name for host in HOSTS)}\n  User admin\n  IdentityFile {KEY}\n  IdentitiesOnly yes\n"
        f"  UserKnownHostsFile {KNOWN_HOSTS}\n  GlobalKnownHostsFile /dev/null\n  StrictHostKeyChecking yes\n"
        "  PasswordAuthentication no\n  ConnectTimeout 10\n"
    )
    return "".join([*entries, common])
