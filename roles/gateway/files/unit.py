# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Starts or reloads a managed interface for systemd: `python3 -I unit.py up wg0`. The package is beside this file."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent))  # isolated (-I), Python has no other path to it
    sys.exit(import_module("wireguard.unit").main(sys.argv[1:]))
