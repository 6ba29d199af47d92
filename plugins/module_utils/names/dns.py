# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""DNS names in the form that everything here compares: lower case, without the final dot."""

from __future__ import annotations

import re
from typing import Iterable

_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?")
_HOST_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_ESCAPED = re.compile(r"\\([0-7]{3})")  # Route 53 writes what isn't a letter, digit or hyphen in octal
_LONGEST = 253  # RFC 1035's 255 octets, less the root's and the first label's length octets


def normal(name: str) -> str:
    """Put a name that AWS wrote into the form of this module; nothing is checked."""
    plain = _ESCAPED.sub(lambda match: chr(int(match[1], 8)), name)
    return plain.removesuffix(".").lower()


def parse(text: str, what: str) -> str:
    """Check a name that a person wrote, and put it into the form of this module.

    :param what: what it names, for the message: `namespace`.
    :raises ValueError: it is no DNS name; the message says why.
    """
    name = text.removesuffix(".").lower()
    if len(name) > _LONGEST:
        raise ValueError(f"{what} {name[:40]}… has {len(name)} characters; a DNS name has at most {_LONGEST}")
    for label in name.split("."):
        if len(label) > 63:
            raise ValueError(f"{what} {name} has a label of {len(label)} characters ({label[:20]}…); 63 are the most")
        if not _LABEL.fullmatch(label):
            raise ValueError(
                f"{what} {text!r} is not a DNS name: {label!r} is not a label of letters, digits, hyphens and "
                "underscores that begins and ends without a hyphen"
            )
    return name


def is_host_name(name: str) -> bool:
    """Tell whether a hosts file can hold it: letters, digits and hyphens, no wildcard."""
    return len(name) <= _LONGEST and all(len(one) < 64 and _HOST_LABEL.fullmatch(one) for one in name.split("."))


def is_under(name: str, zone: str) -> bool:
    """Tell whether a name belongs to a zone: the zone's own name, or below it."""
    return name == zone or name.endswith(f".{zone}")


def most_specific(name: str, zones: Iterable[str]) -> str | None:
    """Return the zone that the VPC resolver answers a name from: of those that it is under, the longest."""
    return max((zone for zone in zones if is_under(name, zone)), key=len, default=None)


def matching(name: str, record_names: Iterable[str]) -> str | None:
    """Return the record name that answers for a name: its own, else the longest wildcard above it."""
    known = set(record_names)
    if name in known:
        return name
    labels = name.split(".")
    return next((one for one in ("*." + ".".join(labels[n:]) for n in range(1, len(labels))) if one in known), None)
