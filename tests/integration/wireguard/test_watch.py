# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Between two runs the timer repairs what opens or cuts the tunnel (R8)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.wireguard_host import Host, Person, allowed, held, key

ALICE, BOB, CAROL = (Person(name, number) for number, name in enumerate(("alice", "bob", "carol"), 1))


@pytest.fixture
def watched(host: Host) -> Host:
    """A gateway at which the timer has looked, and found all well."""
    host.apply(host.order(1, [ALICE, BOB]))
    assert host.timer_starts_program()  # nobody has looked yet
    done = host.program("watch")
    assert (done.returncode, done.stderr) == (0, "")
    assert not host.timer_starts_program()
    return host


def _flush_all(host: Host) -> None:
    host.sh("nft", "flush", "ruleset")


def _flush_chain(host: Host) -> None:
    host.sh("nft", "flush", "chain", "inet", f"tracklib_vpn_{host.name}", "from_tunnel")


def _open(host: Host) -> None:
    rule = f"insert rule inet tracklib_vpn_{host.name} forward accept"
    host.sh("nft", *rule.split())


def _unroute(host: Host) -> None:
    host.sh("ip", "route", "del", "10.44.0.0/16")


def _stop_forwarding(host: Host) -> None:
    host.sh("sysctl", "-qw", "net.ipv4.ip_forward=0")


def _stop_forwarding_ipv6(host: Host) -> None:
    host.sh("sysctl", "-qw", "net.ipv6.conf.all.forwarding=0")


def _take_down(host: Host) -> None:
    host.sh("ip", "link", "set", "dev", host.name, "down")


def _widen(host: Host) -> None:
    host.sh("ip", "link", "set", "dev", host.name, "mtu", "8921")


def _other_port(host: Host) -> None:
    host.sh("wg", "set", host.name, "listen-port", "4444")


def _mark(host: Host) -> None:
    host.sh("wg", "set", host.name, "fwmark", "9")


def _without_key(host: Host) -> None:
    host.sh("wg", "set", host.name, "private-key", "/dev/null")


def _remove_address(host: Host) -> None:
    host.sh("ip", "address", "del", "10.44.0.1/16", "dev", host.name)


@pytest.mark.parametrize(
    ("change", "repaired"),
    [
        (_flush_all, ["firewall"]),
        (_flush_chain, ["firewall"]),
        (_open, ["firewall"]),
        (_unroute, ["route 10.44.0.0/16 missing"]),
        (_stop_forwarding, ["net/ipv4/ip_forward 0 instead of 1"]),
        (_stop_forwarding_ipv6, ["net/ipv6/conf/all/forwarding 0 instead of 1"]),
        (_take_down, ["interface down", "address fd44:7472:6163:6b::1/64 missing"]),
        (_widen, ["mtu 8921 instead of 1420"]),
        (_remove_address, ["address 10.44.0.1/16 missing"]),
        (_other_port, ["listen port 4444 instead of 51820"]),
        (_mark, ["fwmark"]),
        (_without_key, ["private key"]),
    ],
)
def test_r8_what_opens_or_cuts_the_tunnel_is_repaired_between_runs_and_named(
    watched: Host, change: Callable[[Host], None], repaired: list[str]
) -> None:
    before, rules, state = watched.peers, watched.rules, watched.state
    change(watched)
    assert watched.timer_starts_program()
    done = watched.program("watch")
    assert (done.returncode, done.stderr.splitlines()) == (
        0,
        [f"{watched.name}: repaired: {what}" for what in repaired],
    )
    assert (watched.peers, watched.rules, watched.state) == (before, rules, state)
    assert watched.program("watch").stderr == ""
    assert not watched.timer_starts_program()
    assert watched.apply(watched.order(1, [ALICE, BOB])).changed is False


def test_r7_repairs_mention_no_peer(watched: Host) -> None:
    _flush_all(watched)
    _unroute(watched)
    assert watched.watch().repaired == ["firewall", "route 10.44.0.0/16 missing"]
    assert not any(call[0] == "wg" for call in watched.run.changes)


def test_r13_rules_come_back_before_anything_else(watched: Host) -> None:
    _flush_all(watched)
    _stop_forwarding(watched)
    _take_down(watched)
    watched.watch()
    assert watched.run.changes[0] == ["nft", "-f", "-"]


def test_program_is_not_started_for_what_clients_or_runs_of_the_same_rules_do(watched: Host) -> None:
    watched.sh("nft", "add", "element", "inet", f"tracklib_vpn_{watched.name}", "ip_new", "{ 10.44.0.3 }")
    assert not watched.timer_starts_program()
    watched.apply(watched.order(2, [BOB, CAROL]))
    watched.expire()  # as the timer does after each run, for the expiries in the new configuration
    assert not watched.timer_starts_program()


def test_program_is_started_once_for_what_needs_no_repair(watched: Host) -> None:
    watched.apply(watched.order(2, [ALICE, BOB], networks=["10.30.0.0/16"]))
    watched.expire()
    assert watched.timer_starts_program()
    assert watched.program("watch").stderr == ""
    assert not watched.timer_starts_program()


def test_run_at_work_is_left_to_finish(watched: Host) -> None:
    _flush_all(watched)
    with held(watched.site.apply_lock):
        done = watched.program("watch")
    assert (done.returncode, done.stderr) == (0, "")
    assert "tracklib_vpn" not in watched.rules
    assert watched.timer_starts_program()
    watched.program("watch")
    assert "tracklib_vpn" in watched.rules


def test_r4_revocation_during_a_repair_is_not_forgotten(watched: Host) -> None:
    _flush_all(watched)

    def revoked_meanwhile(args: list[str]) -> None:
        if args[:3] == ["ip", "-j", "route"]:
            watched.run.before = lambda _args: None
            assert watched.revoke("alice").removed == ["alice/laptop"]

    watched.run.before = revoked_meanwhile
    watched.watch()
    assert (watched.peers, watched.state.loaded is not None) == (allowed(BOB), True)
    assert [bar.user_name for bar in watched.state.bars] == ["alice"]
    assert key(ALICE.number) not in watched.site.config.read_text()


def test_rules_that_cannot_be_trusted_are_not_loaded_and_that_is_said_until_it_is_mended(watched: Host) -> None:
    _flush_all(watched)
    watched.site.firewall.write_text("table inet mine { }\n")
    for _times in range(2):
        assert watched.timer_starts_program()
        done = watched.program("watch")
        assert done.returncode == 1
        assert "the firewall isn't loaded: " in done.stderr
        assert f"{watched.site.firewall} is not what the last apply left" in done.stderr
    assert watched.rules == ""
    assert watched.apply(watched.order(1, [ALICE, BOB])).repaired == ["firewall"]


def test_edited_configuration_keeps_no_rules_from_coming_back(watched: Host) -> None:
    watched.site.config.write_text(watched.site.config.read_text() + "# mine\n")
    _flush_all(watched)
    _unroute(watched)
    assert watched.program("watch").stderr == f"{watched.name}: repaired: firewall\n"
    assert "tracklib_vpn" in watched.rules


def test_interface_that_was_stopped_is_left_alone(watched: Host) -> None:
    watched.sh("ip", "link", "del", watched.name)
    watched.sh("nft", "flush", "ruleset")
    assert watched.timer_starts_program()
    assert watched.program("watch").stderr == ""
    assert not watched.timer_starts_program()
    assert watched.rules == ""
