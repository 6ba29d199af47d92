# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The lab's command line: `python -m tests.lab up`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from . import aws, feed, lab
from .machine import LabError


def main() -> int:
    """Do what the command line says; return the exit code."""
    parser = argparse.ArgumentParser(description="Start or stop the lab, show its state, or put IAM users into it.")
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="make what is missing, keep what is as it should be")
    up.add_argument("--fresh", action="store_true", help="keep no host and nothing in the emulated AWS")
    commands.add_parser("down", help="remove everything that up made, the cached images excepted")
    commands.add_parser("status", help="say what runs; exit with 1 unless everything does")
    seed = commands.add_parser("seed", help="make the IAM users and groups and the EC2 instances that are missing")
    seed.add_argument("--users", type=int, default=aws.USERS, help="how many IAM users (default %(default)s)")
    seed.add_argument("--reset", action="store_true", help="empty the emulated AWS first")
    commands.add_parser("feed", help="give the lab's name servers what Route 53 and Cloud Map have now")
    arguments = parser.parse_args()
    actions: dict[str, Callable[[], bool | None]] = {
        "up": lambda: lab.start(fresh=arguments.fresh),
        "down": lab.stop,
        "status": lab.status,
        "seed": lambda: lab.alone()(aws.seed)(arguments.users, empty_first=arguments.reset),
        "feed": feed.feed,
    }
    try:
        complete = actions[arguments.command]()
    except LabError as error:
        sys.stderr.write(f"lab: {error}\n")
        return 1
    return 1 if complete is False else 0


if __name__ == "__main__":
    sys.exit(main())
