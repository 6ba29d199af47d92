# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What a DNS server's replies say, in words; pure. Replies are those of module `name_probe`."""

from __future__ import annotations

from typing import Any, Mapping, NamedTuple, Sequence

# the outcome that counts when the kinds of records had different ones: no word of the server, then an error, then a no
_GRAVEST = (
    "absent",
    "unreachable",
    "timeout",
    "malformed",
    "servfail",
    "refused",
    "error",
    "nxdomain",
    "nodata",
)
_SAID = {
    "absent": "isn't an address of this gateway",
    "unreachable": "can't be reached",
    "timeout": "gave no answer, asked twice",
    "malformed": "gave an answer that is no DNS message",
    "servfail": "answered SERVFAIL, it couldn't find the answer itself",
    "refused": "answered REFUSED, it doesn't serve this name to this gateway",
    "error": "answered with an error",
    "nxdomain": "answered NXDOMAIN, the name doesn't exist there",
    "nodata": "knows the name, but has neither A nor AAAA nor SRV records of it",
}


class ServerSummary(NamedTuple):
    """What a server said: `answer`, or the gravest outcome, and a sentence about it."""

    server: str
    outcome: str
    text: str
    addresses: frozenset[str]
    path: Sequence[str]


def judge(server: Mapping[str, Any]) -> ServerSummary:
    """One verdict from a server's replies to all questions about one name."""
    replies = server["replies"]
    by_udp = replies[:-1] if replies[-1]["transport"] == "tcp" and len(replies) > 1 else replies
    found = [reply for reply in by_udp if reply["outcome"] == "answer"]
    address = server["address"]
    if found:
        values = frozenset(value for reply in found for value in reply["values"])
        return ServerSummary(address, "answer", _answer(address, found, replies), values, found[0]["path"])
    reply = min(by_udp, key=lambda one: _GRAVEST.index(one["outcome"]))
    detail = f" ({reply['detail']})" if reply["detail"] else ""
    path: Sequence[str] = next((one["path"] for one in by_udp if one["path"]), [])
    leads = f"; its CNAME leads to {path[-1]}, which has none" if path and reply["outcome"] == "nodata" else ""
    return ServerSummary(
        address, reply["outcome"], f"{address} {_SAID[reply['outcome']]}{detail}{leads}", frozenset(), path
    )


def _answer(address: str, found: Sequence[Mapping[str, Any]], replies: Sequence[Mapping[str, Any]]) -> str:
    values = ", ".join(value for reply in found for value in reply["values"])
    path = "".join(f"{name} -> " for name in found[0]["path"])
    ttl = min((reply["ttl"] for reply in found if reply["ttl"] is not None), default=None)
    text = f"{address} answers {path}{values}" + (f", for {ttl} s" if ttl is not None else "")
    # what doesn't keep the name from being reached, but will be felt
    others = [
        f"{reply['kind']} by {reply['transport'].upper()}: {reply['detail'] or reply['outcome']}"
        for reply in replies
        if reply["outcome"] not in ("answer", "nodata", "nxdomain")
    ]
    return f"{text}; but {', '.join(others)}" if others else text
