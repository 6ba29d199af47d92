# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Lines for a hosts file, from names whose addresses stay; pure."""

from __future__ import annotations

from collections import Counter
from typing import Any, Mapping, NamedTuple, Sequence

from .dns import is_host_name


class HostsLines(NamedTuple):
    """The lines, and for each other name the reason."""

    lines: list[str]
    left_out: list[dict[str, str]]


def hosts_lines(names: Sequence[Mapping[str, Any]]) -> HostsLines:
    """Write lines `ADDRESS NAME` for the names that a hosts file can hold.

    :param names: as `service_names_info` returns them.
    """
    lines, left_out = [], []
    counts = Counter(name["name"] for name in names)
    for name in names:
        reason = _unfit(name)
        if counts[name["name"]] > 1:
            reason = "several zones have it; choose the VPC whose resolver counts"
        if reason is None:
            lines += [f"{at['address']} {name['name']}" for at in name["addresses"]]
        else:
            left_out.append({"name": name["name"], "reason": reason})
    return HostsLines(lines, left_out)


def _unfit(name: Mapping[str, Any]) -> str | None:
    """Say why a name can't be in a hosts file; None if it can."""
    said = "; ".join(name["warnings"])
    if not is_host_name(name["name"]):
        return "it is no host name: letters, digits and hyphens are expected"
    if name["types"] == ["SRV"]:
        return "it has SRV records, which a hosts file can't hold"
    if name["reachable"] is False:
        return str(name["reason"])
    if not name["addresses"]:
        return said or "it has no address"
    moving = [at["address"] for at in name["addresses"] if not at["fixed"]]
    if moving:
        return f"its addresses move, now {', '.join(moving)}" + (f"; {said}" if said else "")
    return said or None
