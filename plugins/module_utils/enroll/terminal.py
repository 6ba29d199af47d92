# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The user's terminal: progress, questions, and a secret as a QR code, seen once and stored nowhere.

R10, secrets stay home.
"""

from __future__ import annotations

import os
import sys
import time
from typing import TextIO

from ..client.qr import is_possible, qr_code, size

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


def check(terminal: TextIO | None) -> None:
    """Check, before anything is asked, that a QR code can be drawn, and shown on a terminal if there is to be one.

    :raises TerminalError: nothing here makes QR codes, or the output isn't a terminal.
    """
    if not is_possible():
        raise TerminalError(
            "nothing here makes QR codes; install segno (pip install segno) or qrencode (apt, dnf, brew)"
        )
    if terminal is not None and not terminal.isatty():
        raise TerminalError(
            "the QR code holds a private key and is shown on a terminal only; don't redirect the output, or have it "
            "written to a file by --output phone.svg"
        )


def check_size(terminal: TextIO, text: str) -> None:
    """Check, before there is a secret, that its QR code fits the terminal.

    :param text: as long as the secret's.
    :raises TerminalError: the terminal is too small.
    """
    columns, lines = size(qr_code(text, ".txt"))
    lines += 2  # the message below
    has = os.get_terminal_size(terminal.fileno())
    if 0 < has.columns < columns or 0 < has.lines < lines:  # 0 is a terminal that doesn't know
        raise TerminalError(
            f"the QR code takes {columns} columns and {lines} lines, and this terminal has {has.columns} and "
            f"{has.lines}: enlarge the window, make its letters smaller, or have the code written to a file by "
            "--output phone.svg (or .png)"
        )


def show_once(text: str, message: str, terminal: TextIO, keyboard: TextIO) -> None:
    """Show `text` as a QR code, with a message below, until somebody presses Enter."""
    terminal.write(f"{_SECOND_SCREEN}{qr_code(text, '.txt').decode()}{message}\n")
    terminal.flush()
    try:
        keyboard.readline()
    finally:
        terminal.write(_FIRST_SCREEN)
        terminal.flush()
