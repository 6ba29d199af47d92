# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""QR codes of configurations, which the WireGuard apps of phones read. segno draws them, or else qrencode."""

from __future__ import annotations

import io
import shutil
import subprocess

try:
    import segno

    _HAS_SEGNO = True
except ImportError:  # the module that needs it reports it
    _HAS_SEGNO = False

SUFFIXES = (".png", ".svg", ".txt")
_MARGIN = 2  # modules of light around a code; apps read it so
_LIGHT = "\x1b[97;40m"  # white on black, whatever the terminal's colours are: the other way round, few apps read it
_USUAL = "\x1b[0m"


class QrError(ValueError):
    """A QR code that can't be drawn; the message says what to do."""


def is_possible() -> bool:
    """Tell whether something here draws QR codes."""
    return _HAS_SEGNO or shutil.which("qrencode") is not None


def qr_code(text: str, suffix: str) -> bytes:
    """Draw a configuration as a QR code, without its comments: they only make it larger.

    :param suffix: one of SUFFIXES; `.txt` is for terminals, of half blocks in UTF-8, with colours of its own.
    :raises QrError: the configuration doesn't fit a QR code.
    """
    kept = "".join(f"{line}\n" for line in text.splitlines() if line and not line.startswith("#"))
    drawn = _by_segno(kept, suffix) if _HAS_SEGNO else _by_qrencode(kept, suffix)
    if suffix != ".txt":
        return drawn
    return "".join(f"{_LIGHT}{line}{_USUAL}\n" for line in drawn.decode().splitlines()).encode()


def size(code: bytes) -> tuple[int, int]:
    """Return how many columns and lines of a terminal a code with suffix `.txt` takes."""
    lines = code.decode().replace(_LIGHT, "").replace(_USUAL, "").splitlines()
    return max(map(len, lines)), len(lines)


def _by_segno(text: str, suffix: str) -> bytes:
    try:
        code = segno.make(text, error="l", micro=False)
    except segno.DataOverflowError:
        raise _too_long(text) from None
    if suffix == ".txt":
        drawn = io.StringIO()
        code.terminal(drawn, border=_MARGIN, compact=True)
        return drawn.getvalue().encode()
    image = io.BytesIO()
    code.save(image, kind=suffix[1:], scale=6, light="white")
    return image.getvalue()


def _by_qrencode(text: str, suffix: str) -> bytes:
    form = {".png": "PNG", ".svg": "SVG", ".txt": "UTF8"}[suffix]
    command = ["qrencode", "-t", form, "-l", "L", "-o", "-", *(["-m", str(_MARGIN)] if suffix == ".txt" else [])]
    done = subprocess.run(command, input=text.encode(), capture_output=True, check=False)
    if done.returncode:
        raise _too_long(text)
    return done.stdout


def _too_long(text: str) -> QrError:
    return QrError(
        f"the configuration has {len(text)} characters, more than a QR code holds; grant larger networks instead of "
        "many small ones, or use the configuration itself"
    )
