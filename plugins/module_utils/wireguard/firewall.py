# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The gateway's nftables rules: checking and loading them, and telling whether the kernel has them."""

from __future__ import annotations

import re

from .commands import GatewayError, Runner, output
from .config import digest

OWN_TABLES = "tracklib_vpn"  # what the names of this collection's tables begin with
_SHARED_TABLE = ["inet", "tracklib_vpn"]  # of whichever interface loaded it last, before each had its own

_TABLE = re.compile(r"^[ \t]*(?:(?:add|delete|destroy|flush)[ \t]+)?table[ \t]+(\w+)[ \t]+([\w.-]+)", re.MULTILINE)


class FirewallError(GatewayError):
    """Rules that nft refuses."""


def check(run: Runner, text: str) -> None:
    """Let nft check rules without loading them. :raises FirewallError: with what nft says."""
    if not _tables(text):
        raise FirewallError("the firewall has no `table` in it: an interface without rules would forward everything")
    result = run(["nft", "-c", "-f", "-"], text)
    if result.rc != 0:
        raise FirewallError(f"nft refuses the firewall: {result.stderr.strip()}")


def table(interface: str) -> list[str]:
    """Return the family and the name of an interface's table, as the role's template has it."""
    return ["inet", f"{OWN_TABLES}_{interface}"]


def load(run: Runner, text: str, interface: str) -> None:
    """Load rules in one transaction, in which the table that all interfaces shared goes, if it has this one's.

    :raises CommandError: nothing was changed.
    """
    shared = run(["nft", "-s", "-t", "list", "table", *_SHARED_TABLE])
    if f'"{interface}"' in shared.stdout:
        text = f"delete table {' '.join(_SHARED_TABLE)}\n{text}"
    output(run, ["nft", "-f", "-"], text)


def loaded(run: Runner, text: str) -> str:
    """Return what identifies rules together with what the kernel has in their tables now.

    Counters and elements of sets are left out: packets change them.

    It stays the same as long as nobody changes either.
    """
    listings = [run(["nft", "-s", "-t", "list", "table", *names]) for names in _tables(text)]
    return digest(text + "".join(result.stdout if result.rc == 0 else "\0" for result in listings))


def _tables(text: str) -> list[list[str]]:
    return [list(names) for names in sorted(set(_TABLE.findall(text)))]
