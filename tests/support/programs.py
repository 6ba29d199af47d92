# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Python programs that begin with what all of them need loaded: forks of multiprocessing's server.

A test's module of Ansible, or run of a playbook, spends most of its start on loading the AWS SDK and Ansible. What the
program finds is the same: its environment, directory and arguments are its own.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import multiprocessing.forkserver
import os
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from unittest import mock

from .waiting import PATIENCE

_FORKS = multiprocessing.get_context("forkserver")


def load(*modules: str, env: Mapping[str, str]) -> None:
    """Load modules for all programs to come, in an environment of their own."""
    _FORKS.set_forkserver_preload(["__main__", *modules])
    with mock.patch.dict(os.environ, env, clear=True):
        multiprocessing.forkserver.ensure_running()


def run(
    *program: str | Path, env: Mapping[str, str], directory: Path | None = None, timeout: float = 3 * PATIENCE
) -> subprocess.CompletedProcess[str]:
    """Run a program as `python PROGRAM` would, with this and no other environment, and without input.

    :param program: A script's path, or `-m` and a module's name, and its arguments.
    :param directory: Where it is run; by default where this process is.
    :param timeout: Seconds after which it is killed.
    :raises subprocess.TimeoutExpired: It was killed after that time.
    """
    words = [str(word) for word in program]
    with tempfile.TemporaryDirectory() as outputs:
        stdout, stderr = Path(outputs, "stdout"), Path(outputs, "stderr")
        process = _FORKS.Process(target=_run, args=(words, dict(env), directory or Path.cwd(), (stdout, stderr)))
        process.start()
        process.join(timeout)
        if process.is_alive():
            process.kill()
            raise subprocess.TimeoutExpired(words, timeout)
        return subprocess.CompletedProcess(words, process.exitcode or 0, stdout.read_text(), stderr.read_text())


def _run(program: list[str], env: dict[str, str], directory: Path, outputs: Sequence[Path]) -> None:
    """Run the program in this process, which is its own."""
    os.environ.clear()
    os.environ.update(env)
    os.chdir(directory)
    # files and not objects: the program's children write there, too
    for descriptor, path in enumerate(outputs, start=1):
        with path.open("wb") as file:
            os.dup2(file.fileno(), descriptor)
    # a fork ends without what the program has registered for its end
    with contextlib.ExitStack() as at_exit, mock.patch("atexit.register", at_exit.callback):
        if program[0] == "-m":
            sys.argv = program[1:]
            runpy.run_module(program[1], run_name="__main__", alter_sys=True)
        else:
            sys.argv = program
            runpy.run_path(program[0], run_name="__main__")
