# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The lab: emulated AWS, booted Debian hosts and real WireGuard on one machine."""

from __future__ import annotations

import sys
from pathlib import Path

# what it shares with the collection and with the other tests
_ROOT = Path(__file__).resolve().parents[2]
sys.path[1:1] = [str(_ROOT), str(_ROOT / ".ansible" / "collections")]
