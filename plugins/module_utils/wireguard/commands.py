# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The one way this package runs a command."""

from __future__ import annotations

import os
import subprocess
from typing import NamedTuple, Protocol, Sequence

from .managed import PACKAGES

# A command that hangs must not keep a lock for ever. Seconds, above the 90 that systemd gives a start.
TIMEOUT = 100.0


class GatewayError(Exception):
    """What an operator has to know; the message says what was found, what was expected and what to do."""


class CommandError(GatewayError):
    """A command failed, or took too long."""


class CommandMissing(CommandError):
    """A command isn't installed."""


class CommandResult(NamedTuple):
    """How a command ended."""

    rc: int
    stdout: str
    stderr: str


class Runner(Protocol):
    """Runs a command with `stdin` as its input; raises CommandError only if it could not be run to its end."""

    def __call__(self, args: Sequence[str], stdin: str = "") -> CommandResult:
        """Run `args`, give it `stdin`, and wait for its end."""


def run(args: Sequence[str], stdin: str = "") -> CommandResult:
    """The runner for real use."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"  # missing from many users' PATH
    try:
        done = subprocess.run(
            list(args),
            input=stdin,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=TIMEOUT,
            env={**os.environ, "PATH": path, "LC_ALL": "C"},
            check=False,
        )
    except FileNotFoundError:
        package = PACKAGES.get(args[0], args[0])
        raise CommandMissing(f"`{args[0]}` isn't installed; install the package {package}") from None
    except subprocess.TimeoutExpired:
        raise CommandError(f"`{_shown(args)}` did not end within {TIMEOUT:.0f} seconds and was stopped") from None
    return CommandResult(done.returncode, done.stdout, done.stderr)


def output(runner: Runner, args: Sequence[str], stdin: str = "") -> str:
    """Run a command that must succeed.

    :returns: what it printed.
    :raises CommandError: with the command and what it wrote to stderr; its input and output may be secret.
    """
    result = runner(args, stdin)
    if result.rc != 0:
        raise CommandError(f"`{_shown(args)}` failed with exit status {result.rc}: {result.stderr.strip()}")
    return result.stdout


def _shown(args: Sequence[str]) -> str:
    return " ".join(args[:5]) + (" …" if len(args) > 5 else "")
