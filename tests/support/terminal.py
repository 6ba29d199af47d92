# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Programs that are started in a terminal, with their output redirected, as with `| tee`."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import subprocess
import termios
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple


class Seen(NamedTuple):
    """What a program left."""

    returncode: int
    output: str  # both, redirected
    stdout: str
    terminal: str  # what the terminal alone has shown


def run_at_terminal(command: Sequence[str], env: Mapping[str, str], directory: Path) -> Seen:
    """Run a program whose controlling terminal is a new one, and whose output goes elsewhere."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command,
        env=env,
        cwd=directory,
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(theirs, termios.TIOCSCTTY, 0),
    )
    stdout, stderr = process.communicate()
    os.close(theirs)
    shown = b""
    with contextlib.suppress(OSError), os.fdopen(ours, "rb", buffering=0) as terminal:  # EIO: all was read
        while part := terminal.read(1000):
            shown += part
    return Seen(process.returncode, stdout + stderr, stdout, shown.decode())
