# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Give the lab's fixtures to the tests of every scenario."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / ".ansible" / "collections")]

from tests.lab.fixtures import *  # noqa: E402, F403 - after the path; pytest finds fixtures by name in this module
