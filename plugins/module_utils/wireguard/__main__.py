# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Makes the installed directory a program: `python3 -I /usr/local/lib/tracklib-vpn/wireguard up wg0`."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

if __name__ == "__main__":
    # a directory that is run isn't a package; its parent, where the package is found, isn't on an isolated path
    package = Path(__file__).resolve().parent
    sys.path.insert(0, str(package.parent))
    sys.exit(import_module(f"{package.name}.unit").main(sys.argv[1:]))
