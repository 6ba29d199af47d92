# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""A server of the tests as a process of its own, on a free port."""

from __future__ import annotations

import contextlib
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import IO

from . import ROOT
from .waiting import wait_for

LOOPBACK = "127.0.0.1"


def free_port(address: str = LOOPBACK) -> int:
    """Return a port of an address of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


def start(
    module: str,
    *arguments: str,
    port: int,
    address: str = LOOPBACK,
    env: Mapping[str, str] | None = None,
    log: IO[bytes] | None = None,
    outlives: bool = False,
) -> subprocess.Popen[bytes]:
    """Run `python -m MODULE PORT ARGUMENTS`, and wait until it answers at the port.

    :param env: The environment; by default this process's own.
    :param log: Where its output goes.
    :param outlives: Whether it goes on when this process is interrupted.
    :raises RuntimeError: It ended.
    :raises TimeoutError: It doesn't answer.
    """
    words = [sys.executable, "-m", module, str(port), *arguments]
    output = log or subprocess.DEVNULL
    server = subprocess.Popen(
        words, cwd=ROOT, env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=outlives
    )

    def answers() -> bool:
        if server.poll() is not None:
            raise RuntimeError(f"the server ended; run `{shlex.join(words)}` to see why")
        return _listens(address, port)

    try:
        wait_for(f"an answer of `{shlex.join(words)}`", answers)
    except BaseException:
        server.kill()
        server.wait()
        raise
    return server


@contextlib.contextmanager
def serving(module: str, *arguments: str, env: Mapping[str, str] | None = None) -> Iterator[str]:
    """Run a server, see :func:`start`, and yield its address; it is ended afterwards."""
    port = free_port()
    server = start(module, *arguments, port=port, env=env)
    try:
        yield f"http://{LOOPBACK}:{port}"
    finally:
        server.kill()
        server.wait()


def _listens(address: str, port: int) -> bool:
    with contextlib.suppress(OSError):
        socket.create_connection((address, port), timeout=1).close()
        return True
    return False
