# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Words for what a DNS server's replies say; pure. Replies are those of module `name_probe`."""

from __future__ import annotations

from typing import Any, Mapping, NamedTuple, Sequence

from ..probe.ask import DnsOutcome, Transport

# the outcome that counts when the kinds of records had different ones: no word of the server, then an error, then a no
_GRAVEST = (
    DnsOutcome.ABSENT,
    DnsOutcome.UNREACHABLE,
    DnsOutcome.TIMEOUT,
    DnsOutcome.MALFORMED,
    DnsOutcome.SERVFAIL,
    DnsOutcome.REFUSED,
    DnsOutcome.ERROR,
    DnsOutcome.NXDOMAIN,
    DnsOutcome.NODATA,
)
_WORDS = {
    DnsOutcome.ABSENT: "isn't an address of this gateway",
    DnsOutcome.UNREACHABLE: "can't be reached",
    DnsOutcome.TIMEOUT: "gave no answer, asked twice",
    DnsOutcome.MALFORMED: "gave an answer that is no DNS message",
    DnsOutcome.SERVFAIL: "answered SERVFAIL, it couldn't find the answer itself",
    DnsOutcome.REFUSED: "answered REFUSED, it doesn't serve this name to this gateway",
    DnsOutcome.ERROR: "answered with an error",
    DnsOutcome.NXDOMAIN: "answered NXDOMAIN, the name doesn't exist there",
    DnsOutcome.NODATA: "knows the name, but has neither A nor AAAA nor SRV records of it",
}
_HARMLESS = (DnsOutcome.ANSWER, DnsOutcome.NODATA, DnsOutcome.NXDOMAIN)


class ServerSummary(NamedTuple):
    """A server's answer, or its gravest outcome, and a sentence about it."""

    server: str
    outcome: DnsOutcome
    text: str
    addresses: frozenset[str]
    path: Sequence[str]


def summarize(server: Mapping[str, Any]) -> ServerSummary:
    """Sum up a server's replies to all questions about one name."""
    replies = server["replies"]
    address = server["address"]
    by_udp = _without_last_by_tcp(replies)
    answers = [reply for reply in by_udp if _outcome(reply) is DnsOutcome.ANSWER]
    if answers:
        values = frozenset(value for reply in answers for value in reply["values"])
        return ServerSummary(address, DnsOutcome.ANSWER, _answer(address, answers, replies), values, answers[0]["path"])
    gravest = min(by_udp, key=lambda reply: _GRAVEST.index(_outcome(reply)))
    path: Sequence[str] = next((reply["path"] for reply in by_udp if reply["path"]), [])
    text = f"{address} {_WORDS[_outcome(gravest)]}"
    if gravest["detail"]:
        text += f" ({gravest['detail']})"
    if path and _outcome(gravest) is DnsOutcome.NODATA:
        text += f"; its CNAME leads to {path[-1]}, which has none"
    return ServerSummary(address, _outcome(gravest), text, frozenset(), path)


def _outcome(reply: Mapping[str, Any]) -> DnsOutcome:
    return DnsOutcome(reply["outcome"])


def _without_last_by_tcp(replies: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """Leave out the question that was asked by TCP at once, to see whether TCP works."""
    if len(replies) > 1 and Transport(replies[-1]["transport"]) is Transport.TCP:
        return replies[:-1]
    return replies


def _answer(address: str, answers: Sequence[Mapping[str, Any]], replies: Sequence[Mapping[str, Any]]) -> str:
    values = ", ".join(value for reply in answers for value in reply["values"])
    path = "".join(f"{name} -> " for name in answers[0]["path"])
    text = f"{address} answers {path}{values}"
    ttl = min((reply["ttl"] for reply in answers if reply["ttl"] is not None), default=None)
    if ttl is not None:
        text += f", for {ttl} s"
    # what doesn't keep the name from being reached, but will be felt
    others = [
        f"{reply['kind']} by {reply['transport'].upper()}: {reply['detail'] or reply['outcome']}"
        for reply in replies
        if _outcome(reply) not in _HARMLESS
    ]
    return f"{text}; but {', '.join(others)}" if others else text
