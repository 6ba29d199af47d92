# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The gateway's own work, in network namespaces with real WireGuard devices."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.support import ROOT
from tests.support.wireguard_host import Host, Person

from .figures import Figure, Row, Sizes, faster, in_pairs, say, timed

LAB = ROOT / "tests/lab"


def one_peer(sizes: Sizes) -> Iterator[Row]:
    """One peer removed, from writing the file to the device read back."""
    for count, factor in ((sizes.few, 5), (sizes.many, 15)):
        with _gateway(count) as gateway:
            pair = in_pairs(gateway.remove, gateway.sync_removal, sizes.repetitions, f"one of {count} peers removed")
        yield faster(
            "one peer removed, on the gateway", f"{count:,} peers", pair, "wg syncconf <(wg-quick strip)", factor,
            "ours is verified, theirs isn't; wireguard-go",
        )  # fmt: skip


def no_change(sizes: Sizes) -> Iterator[Row]:
    """What is written when there is nothing to do."""
    with _gateway(sizes.few) as gateway:
        for what, later in (("no change to make: writes", 0), ("the same, from a later run", 1)):
            device, files = gateway.writes(later)
            note = f"device {device}, files {files}" + (": the generation, which R6 needs" if later else "")
            met = device + files == 0 if not later else None
            figure = Figure((device + files,), "writes")
            yield Row(what, f"{sizes.few:,} peers", figure, "-", None, "", "0" if not later else "", met, note)


def survivors(sizes: Sizes) -> Iterator[Row]:
    """What a client that stays notices of others' changes."""
    with _gateway(sizes.few) as gateway, _client(gateway) as inside:
        ways: list[tuple[str, Callable[[], object]]] = [
            ("nothing", lambda: time.sleep(0.2)),
            ("ours", gateway.remove),
            ("wg syncconf", gateway.sync_removal),
            ("wg-quick restart", gateway.restart),
        ]
        found = [_probe(inside, name, way, sizes.applies) for name, way in ways]
    lost = [Figure((report["lost"],), "lost") for report in found]
    at = f"{sizes.few:,} peers, {sizes.applies} applies"
    for (name, _way), report, theirs in list(zip(ways, found, lost, strict=True))[2:]:
        note = (
            f"{found[1]['sent']} sent, longest gap {_gap(found[1])}; theirs {report['sent']}, {_gap(report)}; "
            f"while nothing was done {found[0]['lost']} of {found[0]['sent']}, {_gap(found[0])}"
        )
        yield Row("survivor's probes lost, 1 ms", at, lost[1], name, theirs, "", "0", lost[1].median == 0, note)


def _gap(report: dict[str, float]) -> str:
    return f"{report['longest_gap'] * 1000:.0f} ms"


class _Survivor(Person):
    """A peer with a key that a device has."""

    private_key = ""

    def entry(self, reason: str = "") -> dict[str, Any]:
        return {**super().entry(reason), "public_key": _run("wg", "pubkey", stdin=self.private_key)}


class _Gateway:
    """A host with many peers, changed in our way and in others'."""

    def __init__(self, host: Host, count: int) -> None:
        self.host = host
        self.people = [Person(f"user-{number:05}", number) for number in range(1, count + 1)]
        self._leaver = self.people[count // 2]
        self.survivor = _Survivor("survivor", count + 1)
        self.survivor.private_key = _run("wg", "genkey")
        self.people.append(self.survivor)
        self._generation = 1
        self._others = host.site.config_dir.parent / f"{host.name}.conf"
        self._check(host.apply(host.order(1, self.people)).problems)

    def remove(self) -> float:
        """Remove a peer, and put it back; seconds of the first."""
        rest = [person for person in self.people if person is not self._leaver]
        less = self.host.order(self._generation + 1, rest, [self._leaver])
        more = self.host.order(self._generation + 2, self.people)
        self._generation += 2
        seconds = timed(lambda: self._check(self.host.apply(less).problems))
        self._check(self.host.apply(more).problems)
        return seconds

    def sync_removal(self) -> float:
        """The same as most people do it."""
        text = self.host.site.config.read_text()
        sections = text.split("\n\n")
        less = "\n\n".join(section for section in sections if self._leaver.user_name not in section)
        assert len(less) < len(text)
        seconds = timed(lambda: self._sync(less))
        self._sync(text)
        return seconds

    def _sync(self, text: str) -> None:
        self._others.touch(0o600)
        self._others.write_text(text)
        self.host.sh("bash", "-c", f"wg syncconf {self.host.name} <(wg-quick strip {self._others})")

    def restart(self) -> None:
        """The interface down and up, as a handler `restarted` does."""
        config = str(self.host.site.config)
        for command in ("down", "up"):
            self.host.sh("wg-quick", command, config)

    def writes(self, later: int) -> tuple[int, int]:
        """Commands that change something, and files written, by an apply of what is there already."""
        self._generation += later
        order = self.host.order(self._generation, self.people)
        before = self.host.files()
        self._check(self.host.apply(order).problems)
        after = self.host.files()
        return len(self.host.run.changes), sum(before.get(path) != found for path, found in after.items())

    @staticmethod
    def _check(problems: list[str]) -> None:
        if problems:
            raise RuntimeError("; ".join(problems))


@contextlib.contextmanager
def _gateway(count: int) -> Iterator[_Gateway]:
    say(f"making a gateway of {count} peers")
    with tempfile.TemporaryDirectory() as directory:
        host = Host(Path(directory))
        try:
            yield _Gateway(host, count)
        finally:
            host.close()


@contextlib.contextmanager
def _client(gateway: _Gateway) -> Iterator[list[str]]:
    """A peer of the gateway in a namespace of its own, and an echo behind the gateway; the prefix of its commands."""
    host, me = gateway.host, gateway.survivor
    client, service = f"tracklib-client-{os.getpid()}", f"tracklib-service-{os.getpid()}"
    name, inside = f"tc{os.getpid()}", ["ip", "netns", "exec", client]
    echo: subprocess.Popen[bytes] | None = None
    try:
        _connect(client, "10.99.0.2", host.namespace, "to-client", "10.99.0.1")
        _connect(service, "10.20.0.80", host.namespace, "to-service", "10.20.0.1")
        _run(*host.inside, "sysctl", "-q", "-w", "net.ipv4.ip_forward=1")
        _run(*inside, "wireguard-go", name)
        _run(
            *inside, "wg", "set", name, "private-key", "/dev/stdin", "peer", host.device.public_key,
            "endpoint", "10.99.0.1:51820", "allowed-ips", "10.20.0.0/16", stdin=me.private_key,
        )  # fmt: skip
        _run("ip", "-n", client, "address", "add", me.entry()["allowed_ips"][0], "dev", name)
        _run("ip", "-n", client, "link", "set", name, "up")
        _run("ip", "-n", client, "route", "add", "10.20.0.0/16", "dev", name)
        echo = subprocess.Popen(["ip", "netns", "exec", service, sys.executable, str(LAB / "service.py"), "echo"])
        _probe(inside, "nothing, to settle", lambda: time.sleep(0.2), 5)
        yield inside
    finally:
        if echo:
            echo.kill()
            echo.wait()
        for command in (["-n", client, "link", "del", name], ["netns", "del", client], ["netns", "del", service]):
            subprocess.run(["ip", *command], check=False)


def _connect(namespace: str, address: str, gateway: str, link: str, gateway_address: str) -> None:
    """Make a namespace and a cable from it to the gateway's."""
    _run("ip", "netns", "add", namespace)
    _run("ip", "-n", gateway, "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", namespace)
    for where, device, own in ((gateway, link, gateway_address), (namespace, "eth0", address)):
        _run("ip", "-n", where, "address", "add", f"{own}/24", "dev", device)
        _run("ip", "-n", where, "link", "set", device, "up")


def _probe(inside: list[str], name: str, way: Callable[[], object], applies: int) -> dict[str, float]:
    """Probe while a way is gone so many times."""
    program = [*inside, "nice", "-n", "-10", sys.executable, str(LAB / "probe.py"), "10.20.0.80"]
    probe = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert probe.stdout is not None
    if probe.stdout.readline() != "answered\n":
        raise RuntimeError("no answer to the probe before anything was changed")
    for _ in range(applies):
        way()
    report: dict[str, float] = json.loads(probe.communicate()[0].splitlines()[-1])
    say(f"  {name}: {report['lost']} of {report['sent']} probes lost in {applies} applies")
    return report


def _run(*command: str, stdin: str = "") -> str:
    return subprocess.run(command, input=stdin, check=True, capture_output=True, text=True).stdout.strip()
