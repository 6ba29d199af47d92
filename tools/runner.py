# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Runs gates in parallel: a line when one starts and ends, the whole output of those that fail, a table at the end."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import IO


class GateFailed(Exception):
    """A gate doesn't hold; the message says why, in one line."""


class Session:
    """What one gate runs: its commands, one after the other, with their output in one log."""

    def __init__(self, log: IO[str], niceness: int, processes: Processes, root: Path) -> None:
        self.log = log
        self._niceness = niceness
        self._processes = processes
        self._root = root

    def say(self, text: str) -> None:
        """Add a line to the gate's log."""
        self.log.write(text + "\n")
        self.log.flush()

    def __call__(
        self,
        *command: str | Path,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        timeout: float = 1500,
    ) -> None:
        """Run a command, without terminal or input; GateFailed unless it ends with 0 within `timeout` seconds."""
        words = [str(word) for word in command]
        self.say("$ " + shlex.join(words))
        environment = {**os.environ, **(env or {})}
        status = self._processes.run(words, self._niceness, cwd or self._root, environment, self.log, timeout)
        if status != 0:
            raise GateFailed(f"{Path(words[0]).name} ended with {status}")


class Processes:
    """The commands under way, each in a session of its own so that its children can be ended with it."""

    def __init__(self) -> None:
        self._groups: set[int] = set()
        self._lock = threading.Lock()
        self._stopped = False

    def run(
        self, words: Sequence[str], niceness: int, cwd: Path, env: Mapping[str, str], log: IO[str], timeout: float
    ) -> int:
        """Run to the end and return the exit status; GateFailed when it took longer than `timeout` seconds."""
        with self._lock:
            if self._stopped:
                raise GateFailed("interrupted")
            process = subprocess.Popen(
                ["nice", "-n", str(niceness), *words],
                cwd=cwd,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            self._groups.add(process.pid)
        # Linux may share the processor out by sessions first: then `nice` counts within one only (sched(7), autogroup)
        with contextlib.suppress(OSError):
            Path(f"/proc/{process.pid}/autogroup").write_text(str(niceness), encoding="ascii")
        try:
            return process.wait(timeout)
        except subprocess.TimeoutExpired:
            self._end(process.pid)
            process.wait()
            raise GateFailed(f"`{shlex.join(words)}` took longer than {timeout:.0f} s") from None
        finally:
            with self._lock:
                self._groups.discard(process.pid)

    def stop(self) -> None:
        """End what runs and let nothing more start."""
        with self._lock:
            self._stopped = True
            groups = list(self._groups)
        for group in groups:
            self._end(group)

    @staticmethod
    def _end(group: int) -> None:
        try:
            os.killpg(group, signal.SIGTERM)
        except ProcessLookupError:
            return


@dataclass(frozen=True)
class Gate:
    """A named check that keeps one of the machine's cores busy. With a higher `niceness` it waits for the others."""

    name: str
    check: Callable[[Session], None]
    niceness: int = 19


@dataclass
class Result:
    """How a gate ended; `why` is None when it passed."""

    gate: Gate
    seconds: float
    why: str | None
    log: Path


def run(gates: Iterable[Gate], root: Path, logs: Path) -> int:
    """Run the gates; returns the number of those that failed. Their output stays in `logs`, one file a gate."""
    wanted = list(gates)
    logs.mkdir(parents=True, exist_ok=True)
    processes = Processes()
    results: list[Result] = []
    print_lock = threading.Lock()

    def say(text: str) -> None:
        with print_lock:
            print(text, flush=True)

    def one(gate: Gate) -> Result:
        say(f"start  {gate.name}")
        return _run_gate(gate, processes, root, logs / f"{gate.name}.log")

    began = time.monotonic()
    with ThreadPoolExecutor(max_workers=max(2, os.cpu_count() or 1)) as pool:
        pending = [pool.submit(one, gate) for gate in wanted]
        try:
            for future in as_completed(pending):
                result = future.result()
                results.append(result)
                say(_report(result))
        except KeyboardInterrupt:
            processes.stop()
            raise
    _print_table(wanted, results, time.monotonic() - began)
    return sum(result.why is not None for result in results)


def _run_gate(gate: Gate, processes: Processes, root: Path, log: Path) -> Result:
    began = time.monotonic()
    why: str | None = None
    with log.open("w", encoding="utf-8") as stream:
        session = Session(stream, gate.niceness, processes, root)
        try:
            gate.check(session)
        except (GateFailed, OSError) as error:
            why = str(error)
            session.say(why)
    return Result(gate, time.monotonic() - began, why, log)


def _report(result: Result) -> str:
    if result.why is None:
        return f"ok     {result.gate.name}  {result.seconds:.1f} s"
    output = result.log.read_text(encoding="utf-8", errors="replace").rstrip()
    rule = "-" * 100
    return f"FAILED {result.gate.name}  {result.seconds:.1f} s\n{rule}\n{output}\n{rule}"


def _print_table(gates: Sequence[Gate], results: Sequence[Result], seconds: float) -> None:
    by_name = {result.gate.name: result for result in results}
    width = max((len(gate.name) for gate in gates), default=0)
    print()
    for gate in gates:
        result = by_name[gate.name]
        print(
            f"{gate.name:<{width}}  {result.seconds:7.1f} s  {'ok' if result.why is None else 'FAILED: ' + result.why}"
        )
    print(f"{'together':<{width}}  {seconds:7.1f} s")
    failed = sum(result.why is not None for result in results)
    print(f"\n{len(results) - failed} passed, {failed} failed")
