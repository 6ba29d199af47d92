# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Runs modules of the collection, each in a process of its own: a fork of this one, which has loaded the AWS SDK.

A test's module spends most of a Python process on loading it. What the module finds is the same: its environment,
directory and arguments are the request's, and the modules themselves are imported by the fork.

Usage: python -m tests.support.module_host PORT
"""

from __future__ import annotations

import atexit
import contextlib
import http.server
import io
import json
import os
import runpy
import socketserver
import sys
import traceback
import urllib.request
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

MODULES = "ansible_collections.tracklib.vpn.plugins.modules"


def run(url: str, name: str, arguments: Path, env: Mapping[str, str]) -> dict[str, Any]:
    """Run a module as `python -m` would, with this and no other environment; return its `stdout` and `stderr`."""
    request = {"name": name, "arguments": str(arguments), "env": dict(env), "directory": str(Path.cwd())}
    with urllib.request.urlopen(url, json.dumps(request).encode(), timeout=300) as answer:
        done: dict[str, Any] = json.load(answer)
    return done


class Server(socketserver.ForkingMixIn, http.server.HTTPServer):
    """Forks for each request."""


class Handler(http.server.BaseHTTPRequestHandler):
    """Runs in the fork."""

    def do_POST(self) -> None:
        """Run the module and answer with what it printed."""
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        os.environ.clear()
        os.environ.update(request["env"])
        os.chdir(request["directory"])
        sys.argv = [request["name"], request["arguments"]]
        with contextlib.redirect_stdout(io.StringIO()) as stdout, contextlib.redirect_stderr(io.StringIO()) as stderr:
            try:
                runpy.run_module(f"{MODULES}.{request['name']}", run_name="__main__", alter_sys=True)
            except SystemExit:
                pass
            except BaseException:  # noqa: BLE001 - the test shows it
                traceback.print_exc()
            atexit._run_exitfuncs()
        body = json.dumps({"stdout": stdout.getvalue(), "stderr": stderr.getvalue()}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing of each request."""


if __name__ == "__main__":
    import_module("ansible_collections.amazon.aws.plugins.module_utils.modules")  # for the forks
    with Server(("127.0.0.1", int(sys.argv[1])), Handler) as server:
        server.serve_forever()
