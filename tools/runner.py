# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Runs gates in parallel: a line when one starts and ends, the whole output of those that fail, a table at the end."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import IO, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
LIMIT = 5400  # seconds, for one command that hangs; a busy machine is slow, which is no failure


class GateFailed(Exception):
    """A gate doesn't hold; the message says why, in one line."""


class Session:
    """What one gate runs: its commands, one after the other, with their output in one log."""

    def __init__(self, log: IO[str], niceness: int) -> None:
        self.log = log
        self._niceness = niceness

    def say(self, text: str) -> None:
        """Add a line to the gate's log."""
        self.log.write(text + "\n")
        self.log.flush()

    def __call__(self, *command: str | Path, cwd: Path = ROOT, env: dict[str, str] | None = None) -> None:
        """Run a command, without terminal or input.

        :raises GateFailed: It ended with another status than 0, or hung.
        """
        words = [str(word) for word in command]
        self.say("$ " + shlex.join(words))
        process = subprocess.Popen(
            ["nice", "-n", str(self._niceness), *words],
            cwd=cwd,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # so that its children can be ended with it
        )
        # Linux may share the processor out by sessions first: then `nice` counts within one only (sched(7), autogroup)
        with contextlib.suppress(OSError):
            Path(f"/proc/{process.pid}/autogroup").write_text(str(self._niceness), encoding="ascii")
        _running.add(process.pid)
        if _stopping.is_set():  # a gate may have gone on to its next command, or been about to
            _end(process.pid)
        try:
            status = process.wait(LIMIT)
        except subprocess.TimeoutExpired:
            raise GateFailed(f"`{shlex.join(words)}` took longer than {LIMIT} s") from None
        finally:
            _running.discard(process.pid)
            _end(process.pid)
        if status != 0:
            raise GateFailed(f"{Path(words[0]).name} ended with {status}")


class Gate(NamedTuple):
    """A named check that keeps about half of a core busy. With a higher `niceness` it waits for the others.

    It starts once those of `after` have ended, as far as they run at all.
    """

    name: str
    check: Callable[[Session], object]
    niceness: int = 19
    after: tuple[str, ...] = ()


class Result(NamedTuple):
    """How a gate ended; `why` is empty when it passed."""

    gate: Gate
    seconds: float
    why: str
    log: Path


_running: set[int] = set()  # the sessions under way
_stopping = threading.Event()


def run(gates: Sequence[Gate], logs: Path) -> int:
    """Run the gates; return the number of those that failed. Their output stays in `logs`, one file a gate."""
    logs.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # or what it started would go on
    began = time.monotonic()
    results: dict[str, Result] = {}
    workers = 1 + (os.cpu_count() or 1)  # the slow gates wait for hosts and emulators nearly half of their time
    with ThreadPoolExecutor(max_workers=workers) as pool:
        waiting = list(gates)
        running: set[Future[Result]] = set()
        try:
            while waiting or running:
                pending = {gate.name for gate in gates} - set(results)
                for gate in [gate for gate in waiting if pending.isdisjoint(gate.after)][: workers - len(running)]:
                    waiting.remove(gate)
                    running.add(pool.submit(_run_gate, gate, logs / f"{gate.name}.log"))
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for result in (future.result() for future in done):
                    results[result.gate.name] = result
                    _say(_report(result))
        except KeyboardInterrupt:
            _stopping.set()
            pool.shutdown(wait=False, cancel_futures=True)
            for session in list(_running):
                _end(session)
            raise
    width = max(len(name) for name in (*results, "together"))
    lines = [
        f"{name:<{width}}  {seconds:7.1f} s  {outcome}"
        for name, seconds, outcome in (
            *((gate.name, results[gate.name].seconds, _outcome(results[gate.name])) for gate in gates),
            ("together", time.monotonic() - began, ""),
        )
    ]
    failed = sum(bool(result.why) for result in results.values())
    _say("\n".join(["", *lines, "", f"{len(results) - failed} passed, {failed} failed"]))
    return failed


def _run_gate(gate: Gate, log: Path) -> Result:
    _say(f"start  {gate.name}")
    began = time.monotonic()
    why = ""
    with log.open("w", encoding="utf-8") as stream:
        session = Session(stream, gate.niceness)
        try:
            gate.check(session)
        except (GateFailed, OSError) as error:
            why = str(error)
            session.say(why)
    return Result(gate, time.monotonic() - began, why, log)


def _outcome(result: Result) -> str:
    return f"FAILED: {result.why}" if result.why else "ok"


def _report(result: Result) -> str:
    if not result.why:
        return f"ok     {result.gate.name}  {result.seconds:.1f} s"
    output = result.log.read_text(encoding="utf-8", errors="replace").rstrip()
    rule = "-" * 100
    return f"FAILED {result.gate.name}  {result.seconds:.1f} s\n{rule}\n{output}\n{rule}"


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _end(session: int) -> None:
    """End what a session's command left running, or the command itself."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(session, signal.SIGTERM)
