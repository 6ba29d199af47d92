# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""`name_probe` as a process of its own, against DNS servers and ports on loopback."""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.dns_server import Answer, encode, records, response, serving

NAME = "api.internal.example"
FORWARDER = "127.0.0.2"
PATIENT = 30.0  # seconds: the answer comes, however busy the machine
SHORT = 0.3  # seconds, for an answer that doesn't come


class Probe:
    """The module, asking servers that a test starts."""

    def __init__(self, run: Callable[..., dict[str, Any]], stack: contextlib.ExitStack) -> None:
        self._run = run
        self._stack = stack

    def __call__(
        self, answer: Answer, forwarder: Answer | None = None, *, check: bool = False, **options: Any
    ) -> dict[str, Any]:
        port = self._stack.enter_context(serving(answer))
        if forwarder is not None:
            self._stack.enter_context(serving(forwarder, FORWARDER, port))
        wanted = {"name": NAME, "resolver": "127.0.0.1", "dns_port": port, "timeout": PATIENT, **options}
        result = self._run("name_probe", wanted, check=check)
        assert not result.get("failed"), result
        assert result["changed"] is False
        return result


@pytest.fixture
def probe(run_module: Callable[..., dict[str, Any]]) -> Iterator[Probe]:
    with contextlib.ExitStack() as stack:
        yield Probe(run_module, stack)


def outcomes(result: dict[str, Any], server: int = 0) -> dict[str, str]:
    replies = result["servers"][server]["replies"]
    return {f"{reply['kind']}/{reply['transport']}": reply["outcome"] for reply in replies}


def of_kind(result: dict[str, Any], kind: str) -> dict[str, Any]:
    found: dict[str, Any] = next(reply for reply in result["servers"][0]["replies"] if reply["kind"] == kind)
    return found


@pytest.fixture
def open_port() -> Iterator[int]:
    """A TCP port of 127.0.0.1 on which somebody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def test_answers_of_resolver_and_forwarder_and_the_ports_behind(probe: Probe, open_port: int) -> None:
    known = records((NAME, "A", 15, "127.0.0.1"), (NAME, "AAAA", 30, "::1"))
    closed = closed_port()
    found = probe(known, known, forwarders=[FORWARDER], ports=[closed, open_port])
    usual = {"A/udp": "answer", "AAAA/udp": "answer", "SRV/udp": "nodata", "A/tcp": "answer"}
    assert outcomes(found) == outcomes(found, 1) == usual
    assert [server["address"] for server in found["servers"]] == ["127.0.0.1", FORWARDER]
    assert (of_kind(found, "A")["values"], of_kind(found, "A")["ttl"]) == (["127.0.0.1"], 15)
    assert found["addresses"] == ["127.0.0.1", "::1"]
    assert {(port["address"], port["port"]): port["open"] for port in found["ports"]} == {
        ("127.0.0.1", closed): False,
        ("127.0.0.1", open_port): True,
        ("::1", closed): False,
        ("::1", open_port): False,
    }
    assert next(port["detail"] for port in found["ports"] if not port["open"]) == "Connection refused"
    assert found["firewall"] is None


def test_the_same_is_said_again_and_in_check_mode(probe: Probe, open_port: int) -> None:
    known = records((NAME, "A", 15, "127.0.0.1"))
    results = [probe(known, ports=[open_port], check=check) for check in (False, False, True)]
    assert [(outcomes(result), result["ports"]) for result in results] == [
        (outcomes(results[0]), results[0]["ports"])
    ] * 3
    assert not any("diff" in result for result in results)


def test_cname_chain_is_followed_in_the_answer_and_strangers_are_left_out(probe: Probe) -> None:
    def answer(query: bytes, _name: str, kind: int, _transport: str) -> bytes:
        chain = [(NAME, "CNAME", 60, "B.Internal.Example"), ("b.internal.example", "CNAME", 60, "c.internal.example")]
        ends = [("c.internal.example", "A", 5, "127.0.0.1"), ("stranger.example", "A", 5, "127.0.0.9")]
        return response(query, *chain, *(ends if kind == 1 else ()))

    found = probe(answer)
    assert of_kind(found, "A")["path"] == ["b.internal.example", "c.internal.example"]
    assert of_kind(found, "A")["ttl"] == 5
    assert found["addresses"] == ["127.0.0.1"]
    assert of_kind(found, "AAAA")["outcome"] == "nodata"


def test_srv_hosts_are_looked_up_and_their_port_is_tried(probe: Probe, open_port: int) -> None:
    found = probe(
        records(
            ("_http._tcp.internal.example", "SRV", 15, f"{open_port} one.internal.example"),
            ("one.internal.example", "A", 15, "127.0.0.1"),
        ),
        name="_http._tcp.internal.example",
    )
    assert of_kind(found, "SRV")["ports"] == [open_port]
    assert found["addresses"] == ["127.0.0.1"]
    assert found["ports"] == [{"address": "127.0.0.1", "port": open_port, "open": True, "detail": ""}]


def test_without_a_port_443_and_80_are_tried(probe: Probe) -> None:
    found = probe(records((NAME, "A", 15, "127.0.0.99")))
    assert [port["port"] for port in found["ports"]] == [443, 80]


@pytest.mark.parametrize(
    ("rcode", "outcome"), [(2, "servfail"), (3, "nxdomain"), (5, "refused"), (4, "error"), (0, "nodata")]
)
def test_each_answer_without_addresses_has_its_word(probe: Probe, rcode: int, outcome: str) -> None:
    found = probe(lambda query, *_: response(query, rcode=rcode))
    assert set(outcomes(found).values()) == {outcome}
    assert found["addresses"] == []


def test_silence_is_a_timeout_and_the_question_is_asked_twice(probe: Probe) -> None:
    asked: list[str] = []

    def silent(_query: bytes, _name: str, _kind: int, transport: str) -> None:
        asked.append(transport)

    found = probe(silent, timeout=SHORT)
    assert set(outcomes(found).values()) == {"timeout"}
    assert of_kind(found, "A")["detail"] == "no answer within 0.3 s"
    assert (asked.count("udp"), asked.count("tcp")) == (6, 1)


def test_lost_datagram_costs_no_answer(probe: Probe) -> None:
    lost: set[int] = set()

    def answer(query: bytes, _name: str, kind: int, transport: str) -> bytes | None:
        if transport == "udp" and kind not in lost:
            lost.add(kind)
            return None
        return response(query, (NAME, "A", 15, "127.0.0.1"))

    assert of_kind(probe(answer, timeout=2), "A")["outcome"] == "answer"


def test_answer_that_does_not_fit_comes_by_tcp(probe: Probe) -> None:
    many = [(NAME, "A", 15, f"127.1.{number // 256}.{number % 256}") for number in range(300)]

    def answer(query: bytes, _name: str, kind: int, transport: str) -> bytes:
        if kind != 1:
            return response(query)
        return response(query, truncated=True) if transport == "udp" else response(query, *many)

    found = probe(answer, ports=[closed_port()])
    assert len(of_kind(found, "A")["values"]) == 300
    assert of_kind(found, "A")["transport"] == "tcp"
    assert len(found["addresses"]) == 20


def test_nobody_listening_is_no_silence(probe: Probe) -> None:
    found = probe(records((NAME, "A", 15, "127.0.0.1")), forwarders=[FORWARDER])
    assert set(outcomes(found, 1).values()) == {"unreachable"}
    assert found["servers"][1]["replies"][0]["detail"] == "Connection refused"


def test_tunnel_address_that_the_host_lacks_is_told_apart(probe: Probe) -> None:
    found = probe(records((NAME, "A", 15, "127.0.0.1")), forwarders=["192.0.2.1", "fd99::1"])
    assert set(outcomes(found, 1).values()) == set(outcomes(found, 2).values()) == {"absent"}


def _circle(query: bytes) -> bytes:
    """An answer whose record's name points at itself."""
    head = query[:2] + struct.pack("!5H", 0x8180, 1, 1, 0, 0) + query[12:]
    return head + struct.pack("!H", 0xC000 | len(head)) + struct.pack("!2HIH", 1, 1, 5, 4) + b"\x7f\0\0\1"


@pytest.mark.parametrize(
    "nonsense",
    [
        lambda _query: b"",
        lambda query: query[:2],
        lambda query: query,  # a question in place of an answer
        lambda query: response(query, (NAME, "A", 15, "127.0.0.1"))[:-2],
        lambda query: response(query, (NAME, "CNAME", 15, "a.example"))[:-3],
        _circle,
        lambda query: response(query) + b"\xff" * 400,
        lambda query: query[:2] + struct.pack("!5H", 0x8180, 1, 65535, 0, 0) + query[12:],
        lambda query: query[:2] + struct.pack("!5H", 0x8180, 0, 0, 0, 0),
        lambda query: query[:2] + b"\x81\x80\x00\x01" + b"\0" * 6 + (b"\x3f" + b"a" * 63) * 5 + b"\0\0\1\0\1",
    ],
    ids=["empty", "two octets", "echo", "cut off", "cut in a name", "circle", "trailing", "too few", "none", "long"],
)
def test_nonsense_is_malformed_or_no_answer_and_never_a_crash(probe: Probe, nonsense: Any) -> None:
    assert set(outcomes(probe(lambda query, *_: nonsense(query), timeout=SHORT)).values()) <= {
        "malformed",
        "nodata",
        "timeout",
    }


def test_answers_to_other_questions_are_ignored(probe: Probe) -> None:
    """A forged answer with another number or another name doesn't count, whoever sends it."""

    def answer(query: bytes, _name: str, _kind: int, transport: str) -> bytes:
        if transport == "udp":
            return bytes([query[0] ^ 1]) + response(query, (NAME, "A", 15, "203.0.113.6"))[1:]
        return response(query[:12] + encode("other.example") + query[-4:], (NAME, "A", 15, "203.0.113.6"))

    found = probe(answer, timeout=SHORT)
    assert outcomes(found) == {"A/udp": "timeout", "AAAA/udp": "timeout", "SRV/udp": "timeout", "A/tcp": "malformed"}
    assert found["addresses"] == []


def test_name_that_no_question_can_hold_is_refused(run_module: Callable[..., dict[str, Any]]) -> None:
    result = run_module("name_probe", {"name": "a..b", "resolver": "127.0.0.1"})
    assert "has a label of 0 octets" in result["msg"]
