# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Whole runs of playbooks over SSH to the lab's gateways, with replayed answers of AWS."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.lab import actions, aws, hosts
from tests.support import ROOT

from . import emulated
from .figures import Figure, Row, Sizes, at_most, faster, in_pairs, say
from .replay import LATENCIES, Replay

HERE = Path(__file__).parent
ALL, ONE_LESS = "all users", "one user less"


def runs(sizes: Sizes) -> Iterator[Row]:
    """`reconcile` with one change, against what Ansible costs anyway, the usual play, and itself."""
    with _lab(), contextlib.ExitStack() as stack:
        small, large = (gateway.name for gateway in hosts.GATEWAYS)
        few = stack.enter_context(_runner(small, sizes.few, sizes.few, aws.endpoint(), actions.environment()))
        name, users = "whole reconcile, one change, SSH", f"{sizes.few:,} users"
        ours, noop = in_pairs(few.reconcile, few.noop, 2 * sizes.repetitions, "reconcile, no-op play")
        for change, modules, every_other in (
            ("a user less, its receipt recorded", "three", 0),
            ("a user more", "two", 1),
        ):
            pair = Figure(ours.values[every_other::2]), Figure(noop.values[every_other::2])
            yield at_most(name, f"{users}, {change}", pair, f"a play of {modules} no-op modules", 2.2)
        few.prepare_naive()
        for few.replay.latency, at in LATENCIES.items():
            pair = in_pairs(few.reconcile, few.naive, sizes.long_repetitions, "reconcile, usual play")
            target = 8 if few.replay.latency else None
            yield faster(name, f"{users}, {at}", pair, "facts, iam_user_info, set_fact, template, syncconf", target)
        few.replay.latency = 0
        many = stack.enter_context(
            _runner(large, sizes.users_of_many, sizes.many, aws.endpoint(), actions.environment())
        )
        pair = in_pairs(many.reconcile, few.reconcile, sizes.long_repetitions, "reconcile, many and few")
        yield at_most(name, f"{sizes.many:,} devices", pair, f"itself at {sizes.few:,}", 2.5, many.note)


@contextlib.contextmanager
def _lab() -> Iterator[None]:
    """The lab; taken down again unless it was up before."""
    was_up = _lab_program("status").returncode == 0
    if not was_up:
        say("starting the lab")
        done = _lab_program("up")
        if done.returncode:
            raise RuntimeError(f"the lab doesn't start: {done.stdout}{done.stderr}")
    try:
        yield
    finally:
        if not was_up:
            _lab_program("down")


def _lab_program(command: str) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-m", "tests.lab", command]
    return subprocess.run(program, capture_output=True, text=True, check=False)


@contextlib.contextmanager
def _runner(gateway: str, users: int, devices: int, ec2: str, environment: dict[str, str]) -> Iterator[_Runner]:
    say(f"making an emulated account of {users} users and {devices} devices")
    with (
        emulated.account(users, devices) as url,
        Replay(url, ec2) as replay,
        tempfile.TemporaryDirectory() as directory,
    ):
        runner = _Runner(gateway, replay, Path(directory), environment)
        replay.state = ALL
        say(f"setting {gateway} up")
        emulator = runner.play(ROOT / "playbooks/site.yml")
        again = runner.play(ROOT / "playbooks/site.yml")
        # records what the usual way's module will ask
        emulated.client(replay.url, "iam").get_paginator("list_users").paginate(PathPrefix="/").build_full_result()
        emulated.delete_user(emulated.client(url, "iam"), emulated.LEAVER)
        runner.reconcile()  # records what IAM says without the user
        runner.reconcile()
        runner.note = f"while the emulator answered: {emulator - again:.0f} s more"
        yield runner


class _Runner:
    """Plays against one gateway of the lab and one account."""

    def __init__(self, gateway: str, replay: Replay, directory: Path, environment: dict[str, str]) -> None:
        self.note = ""
        self._gateway = gateway
        self.replay = replay
        self._seen: dict[str, str] = {}
        self._variables: dict[str, Any] = {"vpn_address_pools": emulated.POOLS, "vpn_work_dir": str(directory)}
        self._directory = directory
        endpoint = {"AWS_URL": replay.url, "AWS_ENDPOINT_URL": replay.url}
        self._environment = {**environment, **endpoint}

    def reconcile(self) -> float:
        """One run after a user was deleted, or came back."""
        self._change("reconcile")
        return self.play(ROOT / "playbooks/reconcile.yml", "changed=1 ")

    def _change(self, way: str) -> None:
        """Let IAM say something else than when this way was gone last."""
        self._seen[way] = ALL if self._seen.get(way) == ONE_LESS else ONE_LESS
        self.replay.state = self._seen[way]

    def noop(self) -> float:
        """What Ansible costs anyway, with as many module calls as `reconcile` has for the change that it is at."""
        self._change("noop")
        self._variables["bench_receipt"] = self._seen["noop"] == ONE_LESS
        return self.play(HERE / "noop.yml")

    def naive(self) -> float:
        """The usual way to the same change."""
        self._change("naive")
        return self.play(HERE / "naive.yml", "changed=2 ")

    def prepare_naive(self) -> None:
        """Make its interface, record its answers."""
        devices = emulated.registrations([str(number) for number in range(self._users())], self._users())
        by_name = {device.user_name: {"key": device.public_key, "addresses": device.addresses} for device in devices}
        key = subprocess.run(["wg", "genkey"], check=True, capture_output=True, text=True).stdout.strip()
        self._variables |= {"bench_devices": by_name, "bench_private_key": key}
        actions.shell(self._gateway, "ip link show bench0 >/dev/null 2>&1 || wireguard-go bench0")
        self.replay.state = ALL
        self.play(HERE / "naive.yml")
        self.naive()

    def _users(self) -> int:
        roster = next(self._directory.glob("roster-*.json"))
        return len(json.loads(roster.read_text())["peers"]) + 1

    def play(self, playbook: Path, expected: str = "") -> float:
        """Run a playbook on the gateway; seconds.

        :param expected: what the recap's line of the gateway has to say.
        """
        variables = self._directory / "variables.json"
        variables.write_text(json.dumps(self._variables))
        command = [
            "ansible-playbook",
            str(playbook),
            f"--limit={self._gateway},localhost",
            f"--extra-vars=@{variables}",
        ]
        began = time.perf_counter()
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        seconds = time.perf_counter() - began
        recap = next((line for line in done.stdout.splitlines() if line.startswith(f"{self._gateway} ")), "")
        if done.returncode or expected not in recap:
            raise RuntimeError(f"{playbook.name}: expected {expected!r}: {done.stdout[-3000:]}{done.stderr[-3000:]}")
        return seconds
