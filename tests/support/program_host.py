# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Runs Python programs, each in a process of its own: a fork of this one, which has loaded what all of them need.

A test's module of Ansible, or run of a playbook, spends most of its start on loading the AWS SDK and Ansible. What the
program finds is the same: its environment, directory and arguments are the request's.

Usage: python -m tests.support.program_host PORT MODULE..., where the modules are what it loads
"""

from __future__ import annotations

import contextlib
import http.client
import http.server
import json
import os
import runpy
import signal
import socketserver
import subprocess
import sys
import tempfile
import traceback
import urllib.request
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from unittest import mock


def run(
    url: str, *program: str | Path, env: Mapping[str, str], directory: Path | None = None, timeout: int = 300
) -> subprocess.CompletedProcess[str]:
    """Run a program as `python PROGRAM` would, with this and no other environment, and without input.

    :param program: A script's path, or `-m` and a module's name, and its arguments.
    :param directory: Where it is run; by default where this process is.
    :param timeout: seconds after which it is killed.
    :raises subprocess.TimeoutExpired: It was killed, by itself or after that time.
    """
    words = [str(word) for word in program]
    request = {"program": words, "env": dict(env), "directory": str(directory or Path.cwd()), "timeout": timeout}
    try:
        with urllib.request.urlopen(url, json.dumps(request).encode()) as answer:
            done = json.load(answer)
    except http.client.RemoteDisconnected:
        raise subprocess.TimeoutExpired(words, timeout) from None
    return subprocess.CompletedProcess(words, done["status"], done["stdout"], done["stderr"])


class Server(socketserver.ForkingMixIn, http.server.HTTPServer):
    """Forks for each request."""


class Handler(http.server.BaseHTTPRequestHandler):
    """Runs in the fork."""

    def do_POST(self) -> None:
        """Run the program and answer with its exit status and what it printed."""
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        signal.alarm(request["timeout"])
        os.environ.clear()
        os.environ.update(request["env"])
        os.chdir(request["directory"])
        # files and not objects: the program's children write there, too
        with tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
            os.dup2(stdout.fileno(), 1)
            os.dup2(stderr.fileno(), 2)
            status = _run(request["program"])
            sys.stdout.flush()
            sys.stderr.flush()
            stdout.seek(0)
            stderr.seek(0)
            done = {"status": status, "stdout": stdout.read().decode(), "stderr": stderr.read().decode()}
        body = json.dumps(done).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing of each request."""


def _run(program: list[str]) -> int:
    """Run the program in this process; return its exit status."""
    try:
        # a fork ends without what the program has registered for its end
        with contextlib.ExitStack() as at_exit, mock.patch("atexit.register", at_exit.callback):
            _run_here(program)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 - the test shows it
        traceback.print_exc()
        return 1
    return 0


def _run_here(program: list[str]) -> None:
    if program[0] == "-m":
        sys.argv = program[1:]
        runpy.run_module(program[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = program
        runpy.run_path(program[0], run_name="__main__")


if __name__ == "__main__":
    for module in sys.argv[2:]:
        import_module(module)
    with Server(("127.0.0.1", int(sys.argv[1])), Handler) as server:
        server.serve_forever()
