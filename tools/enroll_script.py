# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Packs the script for users without Ansible from this checkout, as module `enroll_script` does when you deploy.

Run by `make enroll-script`, which lets Python find the collection.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from ansible_collections.tracklib.vpn.plugins.module_utils.archive import sha256
from ansible_collections.tracklib.vpn.plugins.module_utils.users_script import pack, read_modules

ROOT = Path(__file__).resolve().parent.parent
DESTINATION = ROOT / ".cache/build/tracklib-vpn-enroll.pyz"


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("destination", nargs="?", type=Path, default=DESTINATION)
    parser.add_argument("--settings", type=Path, help="the file that users get: it goes into the script")
    arguments = parser.parse_args()
    try:
        settings = json.loads(arguments.settings.read_bytes())["vpn_self_service"] if arguments.settings else None
        script = pack(read_modules(ROOT / "plugins/module_utils"), settings)
    except (KeyError, TypeError):
        sys.exit(f"{arguments.settings} has no vpn_self_service")
    except (OSError, ValueError) as error:
        sys.exit(str(error))
    arguments.destination.parent.mkdir(parents=True, exist_ok=True)
    arguments.destination.write_bytes(script)
    arguments.destination.chmod(0o755)
    sys.stdout.write(f"{sha256(script)}  {arguments.destination}\n")


if __name__ == "__main__":
    main()
