# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What several kinds of tests use: stand-ins for servers, and where things are."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]
# where a program of the tests finds them, the collection, and the functions that run in AWS
PYTHONPATH = f"{ROOT}:{ROOT}/.ansible/collections:{ROOT}/roles/control_plane/files"
