# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""QR codes of configurations, which the WireGuard apps of phones read."""

from __future__ import annotations

import contextlib
import io

with contextlib.suppress(ImportError):  # the module that needs it reports it
    import segno

SUFFIXES = (".png", ".svg", ".txt")


def qr_code(text: str, suffix: str) -> bytes:
    """Draw a text as a QR code.

    :param suffix: one of SUFFIXES; `.txt` is for terminals, of half blocks in UTF-8.
    :raises ValueError: the text doesn't fit a QR code.
    """
    try:
        code = segno.make(text, error="l", micro=False)
    except segno.DataOverflowError:
        raise ValueError(
            f"the configuration has {len(text)} characters, more than a QR code holds; grant larger networks instead "
            "of many small ones, or use the configuration itself"
        ) from None
    if suffix == ".txt":
        drawn = io.StringIO()
        code.terminal(drawn, compact=True)
        return drawn.getvalue().encode()
    image = io.BytesIO()
    code.save(image, kind=suffix[1:], scale=6)
    return image.getvalue()
