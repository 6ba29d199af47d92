# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What real connections through a gateway meet: path MTU, and a client that opens more than its share."""

from __future__ import annotations

import sys

from tests.support import conntrack
from tests.support.tunnel import SERVICE, Tunnels, tunnels
from tests.support.wireguard_host import Host, Person

ALICE, BOB = Person("alice", 1), Person("bob", 2)

SERVE = """
import socket, socketserver, threading
class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    request_queue_size = 4096
class Handler(socketserver.BaseRequestHandler):
    def handle(self):
        self.request.sendall(b"x" * int(self.request.recv(16)))
server = Server(("", 80), Handler)
print("ready", flush=True)
server.serve_forever()
"""
FETCH = """
import socket, sys
with socket.create_connection((sys.argv[1], 80), timeout=10) as connection:
    connection.sendall(sys.argv[2].encode())
    received = 0
    while received < int(sys.argv[2]):
        received += len(connection.recv(65536))
print(received)
"""

OPEN_MANY = """
import resource, select, socket, sys, time
many = int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_NOFILE, (many + 100, max(many + 100, resource.getrlimit(resource.RLIMIT_NOFILE)[1])))
poll, waiting, opened = select.poll(), {}, []
for _number in range(many):
    connection = socket.socket()
    connection.setblocking(False)
    connection.connect_ex((sys.argv[1], 80))
    waiting[connection.fileno()] = connection
    poll.register(connection, select.POLLOUT)
    while ready := poll.poll(5):
        for handle, _event in ready:
            poll.unregister(handle)
            opened.append(waiting.pop(handle))
            if sys.argv[3:]:
                opened[-1].close()
end = time.monotonic() + 3
while waiting and time.monotonic() < end:
    for handle, _event in poll.poll(100):
        poll.unregister(handle)
        opened.append(waiting.pop(handle))
print(len(opened), flush=True)
time.sleep(600)
"""

COUNT = """
import socket
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as endpoint:
    endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    endpoint.bind(("", 0))
    print(endpoint.getsockname()[1], flush=True)
    count = 0
    while True:
        packet, sender = endpoint.recvfrom(100)
        if packet == b"how many":
            endpoint.sendto(str(count).encode(), sender)
        count += 1
"""
SEND_MANY = """
import socket, sys, time
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as endpoint:
    endpoint.connect((sys.argv[1], int(sys.argv[2])))
    for _number in range(int(sys.argv[3])):
        endpoint.send(b"news")
        time.sleep(0.001)
time.sleep(0.5)
"""
HOW_MANY = """
import socket, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as endpoint:
    endpoint.sendto(b"how many", ("127.0.0.1", int(sys.argv[1])))
    print(endpoint.recv(100).decode())
"""


def _config(host: Host, made: Tunnels) -> str:
    config = host.order(1, [ALICE, BOB]).config
    assert config is not None
    return made.replaced(config)


def _apply(host: Host, made: Tunnels, connections_per_peer: int = 2000) -> None:
    order = host.order(1, [], connections_per_peer=connections_per_peer, config=_config(host, made))
    assert host.apply(order).problems == []


def _free(host: Host) -> int:
    names = ("net.netfilter.nf_conntrack_max", "net.netfilter.nf_conntrack_count")
    size, used = map(int, host.sh("sysctl", "-n", *names).split())
    return size - used


def test_large_answers_arrive_from_a_network_of_9001_bytes_that_hears_no_icmp(host: Host) -> None:
    with tunnels(host, [ALICE], mtu=9001, client_mtu=9000) as made, made.service.running(SERVE):
        made.service.sh("nft", "-f", "-", stdin=DEAF)
        _apply(host, made)
        assert made.clients[0].python(FETCH, SERVICE, 200_000) == "200000"


def test_r17_client_that_opens_too_many_connections_stops_nobody_else(host: Host) -> None:
    with tunnels(host, [ALICE, BOB]) as made, made.service.running(SERVE):
        _apply(host, made, connections_per_peer=200)
        assert int(host.sh(sys.executable, conntrack.__file__, "1000")) == 1000
        alice, bob = made.clients
        with alice.running(OPEN_MANY, SERVICE, 1500) as opened:
            assert 100 <= int(opened) <= 200
            assert _free(host) > 500
            assert bob.python(FETCH, SERVICE, 1000) == "1000"


def test_r17_client_that_opens_and_closes_connections_stops_nobody_else(host: Host) -> None:
    with tunnels(host, [ALICE, BOB]) as made, made.service.running(SERVE):
        _apply(host, made, connections_per_peer=100)
        free = _free(host)
        alice, bob = made.clients
        with alice.running(OPEN_MANY, SERVICE, 300, "close"):
            assert free - _free(host) <= 150
            assert bob.python(FETCH, SERVICE, 1000) == "1000"


def test_stream_that_nobody_answers_is_one_connection(host: Host) -> None:
    with tunnels(host, [ALICE]) as made:
        _apply(host, made, connections_per_peer=50)
        with made.service.running(COUNT) as port:
            made.clients[0].python(SEND_MANY, SERVICE, port, 1000)
            assert int(made.service.python(HOW_MANY, port)) > 500


def test_client_opens_as_many_connections_as_it_likes_without_a_limit(host: Host) -> None:
    with tunnels(host, [ALICE]) as made, made.service.running(SERVE):
        _apply(host, made, connections_per_peer=0)
        with made.clients[0].running(OPEN_MANY, SERVICE, 500) as opened:
            assert int(opened) == 500


def test_r8_what_clients_open_is_no_drift_of_the_firewall(host: Host) -> None:
    with tunnels(host, [ALICE]) as made, made.service.running(SERVE):
        _apply(host, made, connections_per_peer=50)
        made.clients[0].python(FETCH, SERVICE, 10)
        assert "10.44.0.3" in host.sh("nft", "list", "ruleset")
        again = host.apply(host.order(2, [ALICE], connections_per_peer=50, config=_config(host, made)))
        assert (again.repaired, again.settings, again.problems) == ([], [], [])


DEAF = "table inet deaf {\n chain input {\n type filter hook input priority 0;\n meta l4proto { 1, 58 } drop\n}\n}\n"
