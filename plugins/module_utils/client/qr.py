# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""QR codes of configurations, which the WireGuard apps of phones read."""

from __future__ import annotations

import contextlib
import io

with contextlib.suppress(ImportError):  # the module that needs it reports it
    import segno

KINDS = (".png", ".svg", ".txt")


def picture(text: str, kind: str) -> bytes:
    """The QR code of a text.

    :param kind: one of KINDS; `.txt` is for terminals, of half blocks in UTF-8.
    :raises ValueError: the text doesn't fit a QR code.
    """
    try:
        code = segno.make(text, error="l", micro=False)
    except segno.DataOverflowError:
        raise ValueError(
            f"the configuration has {len(text)} characters, more than a QR code holds; grant larger networks instead "
            "of many small ones, or use the configuration itself"
        ) from None
    if kind == ".txt":
        drawn = io.StringIO()
        code.terminal(drawn, compact=True)
        return drawn.getvalue().encode()
    image = io.BytesIO()
    code.save(image, kind=kind[1:], scale=6)
    return image.getvalue()
