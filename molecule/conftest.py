# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Give the lab's fixtures to the tests of every scenario."""

from __future__ import annotations

pytest_plugins = ["tests.lab.fixtures"]
