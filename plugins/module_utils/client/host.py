# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What a host needs for a tunnel, and how it is told of the tunnel's DNS servers; the standard library alone."""

from __future__ import annotations

from typing import Iterable, NamedTuple, Sequence

from ..wireguard.managed import PACKAGES
from .config import DnsFlavour, asks_every_name

UNKNOWN = "unknown"  # the host can't be told
EXCLUSIVE = "exclusive"  # it would ask the tunnel every name, and nothing there answers other names than private ones


class Needs(NamedTuple):
    """How the host is told of DNS servers, and which packages it lacks.

    `dns` is `resolved`, `line` or `none`; `unknown` or `exclusive` if it can't be told.
    """

    dns: str
    packages: list[str]


def needs(
    found: Iterable[str],
    *,
    dns: str,
    domains: Sequence[str],
    full_tunnel: bool,
    networks: Sequence[str],
    answers_other_names: bool,
) -> Needs:
    """Decide what a host needs.

    :param found: The programs that the host has, and `systemd-resolved` if that answers the host.
    :param dns: `auto` to choose by what was found, or one of `resolved`, `line` and `none`.
    :param domains: The private zones that the tunnel's DNS servers answer.
    :param full_tunnel: Whether everything goes into the tunnel.
    :param networks: The networks behind the gateway, in CIDR form.
    :param answers_other_names: Whether these servers answer other names than private ones.
    """
    there = set(found)
    programs = ["wg-quick"]
    if full_tunnel or any(network.endswith("/0") for network in networks):
        programs += ["nft", "sysctl"]  # for a default route in the tunnel wg-quick needs rules of its own
    if dns == "resolved":
        programs.append("resolvectl")
    if dns == "line":
        programs.append("resolvconf")
    if dns == "auto":
        dns = _choose(there, asks=bool(domains) or full_tunnel)
    if dns != UNKNOWN and not answers_other_names and asks_every_name(DnsFlavour(dns), full_tunnel=full_tunnel):
        dns = EXCLUSIVE
    return Needs(dns, [PACKAGES[program] for program in programs if program not in there])


def _choose(there: set[str], *, asks: bool) -> str:
    if not asks:
        return "none"
    if "systemd-resolved" in there:
        return "resolved"
    if "resolvconf" in there:
        return "line"
    return UNKNOWN
