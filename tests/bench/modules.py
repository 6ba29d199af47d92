# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Our modules and amazon.aws's, each a process of its own, against replayed answers of AWS."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from . import emulated
from .figures import Figure, Row, Sizes, faster, in_pairs, say, timed
from .replay import LATENCIES, Replay

OURS = "ansible_collections.tracklib.vpn.plugins.modules"
THEIRS = "ansible_collections.amazon.aws.plugins.modules"


def sweep(sizes: Sizes) -> Iterator[Row]:
    """The calls of a sweep, and the time of registry, sweep and decision."""
    users = sizes.few
    say(f"making an emulated account of {users} users and devices")
    with emulated.account(users, users) as url, Replay(url) as replay, tempfile.TemporaryDirectory() as directory:
        run = _Modules(replay, Path(directory))
        emulators = [timed(run.roster), timed(run.iam_user_info)]
        say(f"  recorded from the emulator: roster {emulators[0]:.1f} s, iam_user_info {emulators[1]:.1f} s")
        ours, calls = run.calls(run.iam_users_info), run.calls(run.iam_user_info)
        at = f"{users:,} users"
        yield Row(
            "HTTP calls of a sweep, at the socket", at, Figure((ours,), "calls"), "amazon.aws.iam_user_info",
            Figure((calls,), "calls"), f"{calls / ours:.0f}x fewer", "<= 2", ours <= 2,
            "GetCallerIdentity, one page; ListUsers in AWS's pages of 100",
        )  # fmt: skip
        note = f"while the emulator answered: {emulators[0]:.1f} s, {emulators[1]:.1f} s"
        for replay.latency, answers in LATENCIES.items():
            pair = in_pairs(lambda: timed(run.roster), lambda: timed(run.iam_user_info), sizes.repetitions, "sweep")
            target = 15 if replay.latency else None
            yield faster(
                "sweep, registry and roster, one process", f"{at} and devices, {answers}", pair,
                "amazon.aws.iam_user_info alone", target, note,
            )  # fmt: skip


class _Modules:
    """Starts modules and waits for them."""

    def __init__(self, replay: Replay, directory: Path) -> None:
        self._replay = replay
        self._directory = directory
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(directory),
            "PYTHONPATH": str(emulated.COLLECTIONS),
            "AWS_URL": replay.url,
            **emulated.ENVIRONMENT,
        }

    def roster(self) -> None:
        """Our module that sweeps, reads the registry and decides."""
        self._run(
            f"{OURS}.roster",
            account_id=emulated.ACCOUNT,
            dest=str(self._directory / "roster.json"),
            access=[{"groups": [emulated.GROUP], "networks": ["10.20.0.0/16"]}],
            address_pools=emulated.POOLS,
        )

    def iam_users_info(self) -> None:
        """Our module that only sweeps."""
        self._run(f"{OURS}.iam_users_info", account_id=emulated.ACCOUNT)

    def iam_user_info(self) -> None:
        """The peer."""
        self._run(f"{THEIRS}.iam_user_info")

    def calls(self, module: Any) -> int:
        """How many requests a module makes."""
        self._replay.calls.clear()
        module()
        return self._replay.calls.total()

    def _run(self, module: str, **options: Any) -> None:
        arguments = self._directory / "arguments.json"
        arguments.write_text(json.dumps({"ANSIBLE_MODULE_ARGS": options}))
        command = [sys.executable, "-m", module, str(arguments)]
        done = subprocess.run(command, env=self._environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{module} ended with {done.returncode}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
