# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""A server of the tests as a process of its own, on a free loopback port."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping

from . import ROOT


@contextlib.contextmanager
def serving(module: str, *arguments: str, env: Mapping[str, str] | None = None, timeout: float = 60) -> Iterator[str]:
    """Run `python -m MODULE PORT ARGUMENTS` and yield its address once it answers; ended afterwards.

    :param env: the environment; by default this process's own.
    :param timeout: seconds until it has to answer.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-m", module, str(port), *arguments],
        cwd=ROOT,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_for(port, server, time.monotonic() + timeout)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.kill()
        server.wait()


def _wait_for(port: int, server: subprocess.Popen[bytes], deadline: float) -> None:
    while time.monotonic() < deadline and server.poll() is None:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        time.sleep(0.1)
    words = [str(word) for word in server.args] if isinstance(server.args, list) else []
    raise RuntimeError(f"the server did not start; run `{' '.join(words)}` to see why")
