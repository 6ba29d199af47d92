# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""A secret as a QR code on a terminal: seen once, stored nowhere (R10, secrets stay home).

segno draws it, or else qrencode.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import time
from typing import TextIO

from ..client.qr import qr_code

# the terminal's second screen has no scrollback: what was on it is gone when the first one comes back
_SECOND_SCREEN, _FIRST_SCREEN = "\x1b[?1049h\x1b[H", "\x1b[?1049l"


class TerminalError(RuntimeError):
    """A QR code that can't be shown; the message says what to do."""


class Screen:
    """Lines for the user, with the seconds since the start."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._began = time.monotonic()

    def say(self, text: str) -> None:
        """One line of progress."""
        self.line(f"{time.monotonic() - self._began:6.1f}s  {text}")

    def ask(self, question: str) -> str:
        """Show a question, and return what the user types."""
        self._stream.write(question)
        self._stream.flush()
        return sys.stdin.readline()

    def line(self, text: str) -> None:
        """A line as it is."""
        self._stream.write(f"{text}\n")
        self._stream.flush()


def check(terminal: TextIO) -> None:
    """Check, before there is a secret, that it can be shown.

    :raises TerminalError: nothing here makes QR codes, or the output isn't a terminal.
    """
    if not _has_segno() and shutil.which("qrencode") is None:
        raise TerminalError(
            "nothing here makes QR codes; install segno (pip install segno) or qrencode (apt, dnf, brew)"
        )
    if not terminal.isatty():
        raise TerminalError(
            "the QR code holds a private key and is shown on a terminal only; don't redirect the output"
        )


def show_once(text: str, message: str, terminal: TextIO, keyboard: TextIO) -> None:
    """Show `text` as a QR code, with a message below, until somebody presses Enter."""
    terminal.write(f"{_SECOND_SCREEN}{_code(text)}\n{message}\n")
    terminal.flush()
    try:
        keyboard.readline()
    finally:
        terminal.write(_FIRST_SCREEN)
        terminal.flush()


def _code(text: str) -> str:
    if _has_segno():
        return qr_code(text, ".txt").decode()
    done = subprocess.run(
        ["qrencode", "-t", "ANSIUTF8", "-m", "2"], input=text, stdout=subprocess.PIPE, text=True, check=True
    )
    return done.stdout


def _has_segno() -> bool:
    return importlib.util.find_spec("segno") is not None
