# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The program behind `wg-quick@.service` and the timer: start and reload as safe as an apply, expiry, repairs.

It is what systemd runs in place of `wg-quick up`, and of the `wg syncconf` that empties a device when its input fails.
Start and reload take off who has expired, too. So does a timer's unit, which also repairs firewall, interface, routes
and forwarding.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Iterable, Sequence

from .commands import output, run
from .files import Site
from .gateway import Gateway
from .operations import expire, reload, start, watch


def main(arguments: Sequence[str]) -> int:
    """Run the program. :returns: its exit status; what went wrong is on stderr, so in the journal."""
    options = _options(arguments)
    gateway = Gateway(Site(options.name, options.config_dir, options.state_dir, options.run_dir), run)
    all_are_off = _expire(gateway)
    if options.command == "watch":
        all_is_well = _watch(gateway)
        return 0 if all_are_off and all_is_well else 1
    report = {"up": start, "reload": reload}[options.command](gateway, options.max_age)
    _log(gateway, report.problems)
    if report.without_peers:
        _log(gateway, [report.without_peers])
    return 1 if report.problems else 0


def _expire(gateway: Gateway) -> bool:
    """Take off who has expired, and log that. :returns: whether all of it worked."""
    report = expire(gateway)
    _log(gateway, [f"removed {name}: its registration has expired" for name in report.removed])
    _log(gateway, report.repaired)
    _log(gateway, report.problems)
    return not report.problems


def _watch(gateway: Gateway) -> bool:
    """Repair what was changed since the last look, and log that. :returns: whether all of it worked."""
    report = watch(gateway, lambda: _look(gateway))
    _log(gateway, [f"repaired: {what}" for what in report.repaired])
    _log(gateway, report.problems)
    return not report.problems


def _look(gateway: Gateway) -> str:
    """Return what the script beside this program says, which the timer's unit asks, too."""
    return output(gateway.run, ["/bin/sh", str(Path(sys.argv[0]).with_name("look.sh")), gateway.site.name])


def _log(gateway: Gateway, messages: Iterable[str]) -> None:
    for message in messages:
        sys.stderr.write(f"{gateway.site.name}: {message}\n")


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    site = Site("")
    parser = argparse.ArgumentParser(
        prog="wireguard", description="Start, reload or tidy a managed WireGuard interface."
    )
    parser.add_argument(
        "command", choices=["up", "reload", "watch"], help="watch: take off who has expired, and repair"
    )
    parser.add_argument("name", help="the interface")
    parser.add_argument("--max-age", type=int, default=0, help="seconds; an older roster adds no peers")
    parser.add_argument("--config-dir", type=Path, default=site.config_dir)
    parser.add_argument("--state-dir", type=Path, default=site.state_dir)
    parser.add_argument("--run-dir", type=Path, default=site.run_dir)
    return parser.parse_args(arguments)
