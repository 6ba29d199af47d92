# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""ministack, an emulator of AWS whose CloudFormation takes a failed creation back as AWS does; moto makes no stack.

It needs an older botocore than ours, so it has an environment of its own, which the gate `integration` makes.

Usage: python -m tests.support.second_emulator PORT
"""

from __future__ import annotations

import os
import sys

from . import ROOT

ACCOUNT = "000000000000"  # its only one
_ENVIRONMENT = ROOT / ".cache/ministack"


def main() -> None:
    """Serve until killed."""
    program = _ENVIRONMENT / "bin/ministack"
    if not program.exists():
        raise SystemExit(f"{program} is missing: tools/venv .cache/ministack tools/locks/ministack.txt")
    env = {"PATH": os.environ["PATH"], "HOME": str(_ENVIRONMENT), "BIND_HOST": "127.0.0.1", "GATEWAY_PORT": sys.argv[1]}
    os.execve(program, [program.name], env)


if __name__ == "__main__":
    main()
