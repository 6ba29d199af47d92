# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Give the lab's fixtures to the tests of every scenario."""

from __future__ import annotations

import sys
from pathlib import Path

# the lab's package is beside this file (the directory itself has the name of the installed package molecule);
# the collection and the other tests' support are used by it
HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent / ".ansible" / "collections")]

from lab.fixtures import *  # noqa: E402, F403 - after the path; pytest finds fixtures by name in this module
