# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""A name as a gateway sees it: what each DNS server says, and which ports are open behind it."""

from __future__ import annotations

from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import NamedTuple, Sequence

from .ask import DnsOutcome, DnsReply, DnsServer, Transport, ask
from .message import encode_question
from .ports import PortAttempt, connect

ADDRESSES = ("A", "AAAA")
KINDS = (*ADDRESSES, "SRV")
USUAL_PORTS = (443, 80)
_MOST = 20  # addresses; more than this many come from no service of AWS
_THREADS = 32


class ServerReplies(NamedTuple):
    """Replies of one server: one for each kind of record by UDP, and one for addresses by TCP."""

    server: DnsServer
    replies: list[DnsReply]


class NameProbe(NamedTuple):
    """A gateway's view of a name; `addresses` are those that the first server gives."""

    servers: list[ServerReplies]
    addresses: list[str]
    ports: list[PortAttempt]


def probe_name(name: str, servers: Sequence[DnsServer], ports: Sequence[int], timeout: float) -> NameProbe:
    """Ask every server for a name, and try the ports of each address that the first one gives.

    :param ports: any of which may be open; without them those of the name's SRV records, else USUAL_PORTS.
    :param timeout: seconds for each question and each connection.
    :raises MessageError: no question can hold the name.
    """
    encode_question(0, name, KINDS[0])  # refuses the name before anybody is asked
    with ThreadPoolExecutor(_THREADS) as pool:
        asked = [(server, _questions(pool, server, name, timeout)) for server in servers]
        servers_said = [ServerReplies(server, [one.result() for one in replies]) for server, replies in asked]
        first = servers_said[0]
        addresses = _values(first.replies, ADDRESSES)
        services = [reply for reply in first.replies if reply.kind == "SRV" and reply.outcome is DnsOutcome.ANSWER]
        if not addresses:
            addresses = _addresses_of_hosts(pool, first.server, services, timeout)
        wanted = list(ports) or [port for reply in services for port in reply.ports] or list(USUAL_PORTS)
        tried = [pool.submit(connect, address, port, timeout) for address in addresses for port in wanted]
        return NameProbe(servers_said, addresses, [port.result() for port in tried])


def _addresses_of_hosts(pool: Executor, server: DnsServer, services: Sequence[DnsReply], timeout: float) -> list[str]:
    """Ask for the addresses of the hosts that SRV records name."""
    hosts = [host for reply in services for host in reply.values[:_MOST]]
    replies = [pool.submit(ask, server, host, kind, timeout) for host in hosts for kind in ADDRESSES]
    return _values([reply.result() for reply in replies], ADDRESSES)


def _questions(pool: Executor, server: DnsServer, name: str, timeout: float) -> list[Future[DnsReply]]:
    by_udp = [pool.submit(ask, server, name, kind, timeout) for kind in KINDS]
    return [*by_udp, pool.submit(ask, server, name, "A", timeout, Transport.TCP)]


def _values(replies: Sequence[DnsReply], kinds: Sequence[str]) -> list[str]:
    found = (value for reply in replies if reply.kind in kinds for value in reply.values)
    return list(dict.fromkeys(found))[:_MOST]
