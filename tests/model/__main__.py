# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Compare the collection with the model for as long as you like: `make model MINUTES=30 SEED=1 DEVICE=real`."""

from __future__ import annotations

import argparse
import time

from hypothesis import seed

from tests.support.wireguard_host import remove_leftovers

from .machine import Machine
from .real_device import RealHost
from .test_state_machine import compare


def main() -> None:
    """Go through one seed after the other until the time is over; a difference ends it with its steps."""
    parser = argparse.ArgumentParser(prog="python -m tests.model", description=__doc__)
    parser.add_argument("--minutes", type=float, default=1, help="stop once the seed that is running then is done")
    parser.add_argument("--seed", type=int, default=1, help="the first seed")
    parser.add_argument("--device", choices=["simulated", "real"], default="simulated", help="real requires root")
    options = parser.parse_args()
    if options.device == "real":
        Machine.make_runner = RealHost
    try:
        _run(options.seed, options.minutes * 60)
    finally:
        if options.device == "real":
            remove_leftovers()


def _run(number: int, seconds: float) -> None:
    began = time.monotonic()
    while time.monotonic() < began + seconds:
        seed(number)(Machine)
        compare(is_same=False)
        minutes = (time.monotonic() - began) / 60
        print(f"seed {number} is done: {Machine.done['steps']} steps so far, {minutes:.1f} minutes", flush=True)
        number += 1
    for name, count in sorted(Machine.done.items()):
        print(f"{count:7} {name}")


if __name__ == "__main__":
    main()
