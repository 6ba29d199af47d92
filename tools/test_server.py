# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Run the same tests again and again, each time in a fork of a process that has loaded pytest: an eighth of the time.

    test_server.py MODULE TEST...    # prints its port; whoever connects to it gets pytest's exit code as one octet

Code of the collection is loaded in the fork, so that each run meets the files as they are then. Compiled code is used
again, except for MODULE: two of its mutants may have the same size and time.
"""

from __future__ import annotations

import os
import socketserver
import sys
from contextlib import suppress
from importlib.util import cache_from_source

import boto3  # noqa: F401  # loaded before the fork, since it takes long
import hypothesis  # noqa: F401  # loaded before the fork, since it takes long
import pytest


class Runs(socketserver.ForkingMixIn, socketserver.TCPServer):
    """Forks for each connection."""

    max_children = 4


class Run(socketserver.BaseRequestHandler):
    """One run of the tests."""

    def handle(self) -> None:
        null = os.open(os.devnull, os.O_RDWR)
        for standard in (1, 2):
            os.dup2(null, standard)
        with suppress(FileNotFoundError):
            os.unlink(cache_from_source(sys.argv[1]))
        code = pytest.main(["-x", "-q", "-p", "no:cacheprovider", *sys.argv[2:]])
        self.request.sendall(bytes([int(code)]))


if __name__ == "__main__":
    sys.dont_write_bytecode = False
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # the plugins here take longer than the tests
    with Runs(("127.0.0.1", 0), Run) as server:
        print(server.server_address[1], flush=True)
        server.serve_forever()
