# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""A phone's camera."""

from __future__ import annotations

import subprocess
from pathlib import Path


def scanned(picture: Path) -> str:
    """What a phone reads from a picture of a QR code."""
    command = ["zbarimg", "--quiet", "--raw", str(picture)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
