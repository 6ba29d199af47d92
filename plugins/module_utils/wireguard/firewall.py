# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The gateway's nftables rules: checking them, and telling whether the kernel has them."""

from __future__ import annotations

import re

from .commands import GatewayError, Runner
from .config import digest

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


def loaded(run: Runner, text: str) -> str:
    """Return what identifies rules together with what the kernel has in their tables now, counters left out.

    It stays the same as long as nobody changes either.
    """
    listings = [run(["nft", "-s", "list", "table", *table]) for table in _tables(text)]
    return digest(text + "".join(result.stdout if result.rc == 0 else "\0" for result in listings))


def _tables(text: str) -> list[list[str]]:
    return [list(table) for table in sorted(set(_TABLE.findall(text)))]
