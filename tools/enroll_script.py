# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Packs the script for users without Ansible into one file, from the modules that the collection has, too.

Usage: python3 tools/enroll_script.py [--settings FILE] [DESTINATION]. The standard library alone.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import zipapp
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MODULE_UTILS = ROOT / "plugins/module_utils"
DESTINATION = ROOT / ".cache/build/tracklib-vpn-enroll.pyz"
PACKAGE = "tracklib_vpn"
MODULES = (
    "addresses.py", "client/__init__.py", "client/config.py", "client/overlap.py", "client/qr.py", "enroll/__init__.py",
    "enroll/connect.py", "enroll/credentials.py", "enroll/device.py", "enroll/function.py", "enroll/machine.py",
    "enroll/page.html", "enroll/reminder.py", "enroll/script.py", "enroll/service.py", "enroll/terminal.py",
    "enroll/tunnel.py", "enroll/web.py", "keys.py", "model.py", "names/__init__.py", "names/dns.py",
    "wireguard/__init__.py", "wireguard/managed.py",
)  # fmt: skip


def pack(destination: Path = DESTINATION, settings: Path | None = None) -> Path:
    """Write the script; returns its path.

    :param settings: the file that the operators give to users, to go into the script.
    """
    destination.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as directory:
        package = Path(directory) / PACKAGE
        for name in MODULES:
            (package / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(MODULE_UTILS / name, package / name)
        (package / "__init__.py").touch()
        if settings is not None:
            shutil.copy(settings, package / "enroll/settings.json")
        zipapp.create_archive(
            directory,
            destination,
            interpreter="/usr/bin/env python3",
            main=f"{PACKAGE}.enroll.script:main",
            compressed=True,
        )
    destination.chmod(0o755)
    return destination


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("destination", nargs="?", type=Path, default=DESTINATION)
    parser.add_argument("--settings", type=Path)
    arguments = parser.parse_args()
    sys.stdout.write(f"{pack(arguments.destination, arguments.settings)}\n")


if __name__ == "__main__":
    main()
