# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What an apply does to a gateway whose parts all work."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.wireguard_host import NOW, Host, Person, allowed, key

ALICE, BOB, CAROL, DAVE = (Person(name, number) for number, name in enumerate(("alice", "bob", "carol", "dave"), 1))


def test_first_apply_starts_the_interface_with_its_peers(host: Host) -> None:
    outcome = host.apply(host.order(1, [ALICE, BOB]))
    assert outcome.problems == []
    assert outcome.added == ["alice/laptop", "bob/laptop"]
    assert host.peers == allowed(ALICE, BOB)
    assert host.device.private_key == host.private_key
    assert "tracklib_vpn" in host.rules
    assert outcome.repaired == []


def test_r7_only_what_differs_is_sent(host: Host) -> None:
    host.apply(host.order(1, [ALICE, BOB, CAROL]))
    moved = BOB._replace(address=9)
    outcome = host.apply(host.order(2, [ALICE, moved, DAVE]))
    assert (outcome.added, outcome.removed, outcome.updated) == (
        ["dave/laptop"],
        ["carol/laptop"],
        {"bob/laptop": "allowed_ips"},
    )
    assert (outcome.problems, outcome.repaired) == ([], [])
    assert host.peers == allowed(ALICE, moved, DAVE)
    assert key(ALICE.number) not in str(host.run.changes) + "".join(
        text for text in host.run.inputs if "[Peer]" in text
    )


def test_addresses_change_hands_in_one_apply(host: Host) -> None:
    host.apply(host.order(1, [ALICE, BOB]))
    swapped = [ALICE._replace(address=BOB.number), BOB._replace(address=ALICE.number)]
    assert host.apply(host.order(2, swapped)).problems == []
    assert host.peers == allowed(*swapped)


def test_second_apply_of_the_same_changes_nothing(host: Host) -> None:
    order = host.order(1, [ALICE, BOB])
    host.apply(order)
    before = host.files()
    outcome = host.apply(order)
    assert (outcome.changed, outcome.problems, host.run.changes) == (False, [], [])
    assert host.files() == before


def test_r11_revocation_then_firewall_then_removals_then_the_rest(host: Host) -> None:
    host.apply(host.order(1, [ALICE, BOB, CAROL]))
    outcome = host.apply(host.order(2, [CAROL._replace(address=9), DAVE], revoked=[ALICE], networks=["10.30.0.0/16"]))
    assert outcome.problems == []
    assert host.run.changes == [
        ["wg", "set", host.name, "peer", key(ALICE.number), "remove"],
        ["nft", "-f", "-"],
        ["wg", "set", host.name, "peer", key(BOB.number), "remove"],
        ["wg", "addconf", host.name, "/dev/stdin"],
    ]
    assert host.run.calls.index(["nft", "-c", "-f", "-"]) < host.run.calls.index(host.run.changes[1])
    read_back = host.run.calls[host.run.calls.index(host.run.changes[-1]) + 1 :]
    assert [call[0] for call in read_back] == ["wg", "ip", "ip", "ip", "sysctl", "ip", "ip", "nft", "cat", "systemctl"]
    (update,) = (text for text in host.run.inputs if "[Peer]" in text and "[Interface]" not in text)
    assert update.index(key(CAROL.number)) < update.index(key(DAVE.number))


def test_r13_firewall_is_loaded_before_the_interface_exists(host: Host) -> None:
    host.apply(host.order(1, [ALICE]))
    changes = [call[0] for call in host.run.changes]
    assert changes.index("nft") < changes.index("systemctl")


def _add(host: Host) -> None:
    host.sh("wg", "set", host.name, "peer", key(99), "allowed-ips", "10.44.9.9/32")


def _remove(host: Host) -> None:
    host.sh("wg", "set", host.name, "peer", key(BOB.number), "remove")


def _widen(host: Host) -> None:
    host.sh("wg", "set", host.name, "peer", key(BOB.number), "allowed-ips", "0.0.0.0/0")


def _steal(host: Host) -> None:
    host.sh("wg", "set", host.name, "peer", key(ALICE.number), "allowed-ips", "10.44.0.3/32,10.44.0.4/32")


def _preshare(host: Host) -> None:
    host.sh("wg", "set", host.name, "peer", key(BOB.number), "preshared-key", "/dev/stdin", stdin=key(5))


def _keep_alive(host: Host) -> None:
    host.sh("wg", "set", host.name, "peer", key(BOB.number), "persistent-keepalive", "25")


def _listen_elsewhere(host: Host) -> None:
    host.sh("wg", "set", host.name, "listen-port", "51999")


def _take_down(host: Host) -> None:
    host.sh("ip", "link", "set", "dev", host.name, "down")


def _narrow(host: Host) -> None:
    host.sh("ip", "link", "set", "dev", host.name, "mtu", "1300")


def _readdress(host: Host) -> None:
    host.sh("ip", "address", "add", "10.55.0.1/24", "dev", host.name)


def _other_key(host: Host) -> None:
    host.sh("wg", "set", host.name, "private-key", "/dev/stdin", stdin=host.sh("wg", "genkey"))


def _open(host: Host) -> None:
    host.sh("nft", "flush", "table", "inet", f"tracklib_vpn_{host.name}")


def _flush_all(host: Host) -> None:
    host.sh("nft", "flush", "ruleset")


def _unroute(host: Host) -> None:
    host.sh("ip", "route", "del", "10.44.0.0/16")
    host.sh("ip", "route", "del", "fd44:7472:6163:6b::/64")


def _take_route(host: Host) -> None:
    host.sh("ip", "route", "replace", "10.44.0.0/16", "dev", "lo")


def _stop_forwarding(host: Host) -> None:
    host.sh("sysctl", "-qw", "net.ipv4.ip_forward=0", "net.ipv6.conf.all.forwarding=0")


def _stop_forwarding_of_the_tunnel(host: Host) -> None:
    host.sh("sysctl", "-qw", f"net/ipv4/conf/{host.name}/forwarding=0")


def _edit(host: Host) -> None:
    host.site.config.write_text(host.site.config.read_text() + f"[Peer]\nPublicKey = {key(99)}\n")


def _empty(host: Host) -> None:
    host.site.config.write_text("")


def _lose(host: Host) -> None:
    host.site.config.unlink()


@pytest.mark.parametrize(
    ("drift", "report"),
    [
        (_add, [f"peer {key(99)} added by hand"]),
        (_remove, ["bob/laptop missing on the device"]),
        (_widen, ["bob/laptop with other allowed_ips"]),
        (_steal, ["alice/laptop with other allowed_ips", "bob/laptop with other allowed_ips"]),
        (_preshare, ["bob/laptop with other preshared_key"]),
        (_keep_alive, ["bob/laptop with other keepalive"]),
        (_listen_elsewhere, ["listen port 51999 instead of 51820"]),
        (_take_down, ["interface down", "address fd44:7472:6163:6b::1/64 missing"]),
        (_narrow, ["mtu 1300 instead of 1420"]),
        (_readdress, ["address 10.55.0.1/24 not wanted"]),
        (_other_key, ["private key"]),
        (_open, ["firewall"]),
        (_flush_all, ["firewall"]),
        (_unroute, ["route 10.44.0.0/16 missing", "route fd44:7472:6163:6b::/64 missing"]),
        (_take_route, ["route 10.44.0.0/16 missing"]),
        (
            _stop_forwarding,
            ["net/ipv4/ip_forward 0 instead of 1", "net/ipv6/conf/all/forwarding 0 instead of 1"],
        ),
        (_stop_forwarding_of_the_tunnel, ["net/ipv4/conf/{name}/forwarding 0 instead of 1"]),
        (_edit, ["file not as the last apply left it"]),
        (_empty, ["file missing or empty"]),
        (_lose, ["file missing or empty"]),
    ],
)
def test_r8_what_was_changed_by_hand_is_reported_and_repaired(
    host: Host, drift: Callable[[Host], None], report: list[str]
) -> None:
    report = [line.format(name=host.name) for line in report]
    order = host.order(1, [ALICE, BOB])
    host.apply(order)
    text, rules = host.site.config.read_text(), host.rules
    drift(host)
    planned = host.apply(order, check_mode=True)
    assert (planned.repaired, host.run.changes) == (report, [])
    outcome = host.apply(order)
    assert (outcome.repaired, outcome.problems) == (report, [])
    assert (host.peers, host.site.config.read_text(), host.rules) == (allowed(ALICE, BOB), text, rules)
    assert (outcome.added, outcome.removed, outcome.updated, outcome.settings) == ([], [], {}, [])
    assert not any("remove" in call and key(ALICE.number) in call for call in host.run.calls)
    again = host.apply(order)
    assert (again.changed, again.problems) == (False, [])


@pytest.mark.parametrize(
    ("route", "notice"),
    [
        ("10.44.8.0/24 dev lo", "10.44.8.0/24 dev lo"),
        ("blackhole 10.44.0.9", "blackhole 10.44.0.9/32"),
        ("fd44:7472:6163:6b::/64 dev lo metric 5", "fd44:7472:6163:6b::/64 dev lo"),
    ],
)
def test_r8_foreign_route_that_takes_packets_of_the_tunnel_is_named_and_left(
    host: Host, route: str, notice: str
) -> None:
    order = host.order(1, [ALICE, BOB])
    assert host.apply(order).notices == []
    host.sh("ip", "route", "add", *route.split())
    before = host.sh("ip", "route", "show", "table", "all")
    outcome = host.apply(order)
    assert (outcome.changed, outcome.problems, host.run.changes) == (False, [], [])
    (found,) = outcome.notices
    assert f"the route {notice} takes packets for the tunnel's network" in found
    assert host.sh("ip", "route", "show", "table", "all") == before


@pytest.mark.parametrize(
    ("rule", "kernel_says"),
    [
        (["-4", "from", "all", "lookup", "100"], "dev lo table 100"),
        (["-4", "to", "10.44.0.0/16", "prohibit"], "Permission denied"),
        (["-6", "to", "fd44:7472:6163:6b::/64", "blackhole"], "Invalid argument"),
    ],
)
def test_r8_routing_policy_that_takes_packets_of_the_tunnel_is_named_and_left(
    host: Host, rule: list[str], kernel_says: str
) -> None:
    order = host.order(1, [ALICE, BOB])
    host.apply(order)
    host.sh("ip", "route", "add", "10.44.0.0/16", "dev", "lo", "table", "100")
    host.sh("ip", rule[0], "rule", "add", *rule[1:], "priority", "100")
    outcome = host.apply(order)
    assert (outcome.changed, outcome.problems, host.run.changes) == (False, [], [])
    (found,) = outcome.notices
    assert found.startswith("the kernel doesn't send packets for ")
    assert kernel_says in found


def test_r8_routing_policy_of_other_sources_is_nobodys_business(host: Host) -> None:
    order = host.order(1, [ALICE, BOB])
    host.apply(order)
    host.sh("ip", "route", "add", "10.44.0.0/16", "dev", "lo", "table", "100")
    host.sh("ip", "rule", "add", "from", "10.20.0.9", "lookup", "100")  # as a second network interface on EC2 has it
    assert host.apply(order).notices == []


@pytest.mark.parametrize("route", ["10.44.0.0/16 dev lo metric 5", "10.0.0.0/8 dev lo", "10.45.0.0/24 dev lo"])
def test_r8_foreign_route_that_ours_goes_before_is_nobodys_business(host: Host, route: str) -> None:
    order = host.order(1, [ALICE, BOB])
    host.apply(order)
    host.sh("ip", "route", "add", *route.split())
    assert host.apply(order).notices == []


DOCKER = "*filter\n:FORWARD DROP [0:0]\n:DOCKER-USER - [0:0]\n-A FORWARD -j DOCKER-USER\n{rule}\nCOMMIT\n"
OWN_RULES = (
    "table inet filter {{\n chain {hook} {{\n type filter hook {hook} priority 0; policy {policy};\n{rule}\n}}\n}}\n"
)


@pytest.mark.parametrize("rule", ["", "-A DOCKER-USER -i eth0 -j ACCEPT", "-A DOCKER-USER -i {name} -j DROP"])
def test_r8_docker_that_drops_what_is_forwarded_is_named_and_left(host: Host, rule: str) -> None:
    order = host.order(1, [ALICE, BOB])
    host.sh("iptables-nft-restore", stdin=DOCKER.format(rule=rule.format(name=host.name)))
    before = host.sh("nft", "list", "table", "ip", "filter")
    assert host.apply(order).problems == []
    outcome = host.apply(order)
    assert (outcome.changed, outcome.problems) == (False, [])
    why = f"may drop the tunnel's packets: no rule there accepts {host.name}"
    assert outcome.notices == [f"ip filter FORWARD (hook forward, policy drop) {why}"]
    assert host.sh("nft", "list", "table", "ip", "filter") == before


@pytest.mark.parametrize(
    ("rule", "named"),
    [
        ("", True),
        ("-A DOCKER-USER -i {name} -j DROP", True),
        ("-A DOCKER-USER -i {name} -j ACCEPT", False),
        ("-A FORWARD -o tl+ -j ACCEPT", False),
    ],
)
def test_r8_rules_of_iptables_legacy_are_named_though_nft_does_not_list_them(
    host: Host, rule: str, named: bool
) -> None:
    host.sh("iptables-legacy-restore", stdin=DOCKER.format(rule=rule.format(name=host.name)))
    host.apply(host.order(1, [ALICE]))
    outcome = host.apply(host.order(2, [ALICE]))
    assert outcome.problems == []
    why = f"may drop the tunnel's packets: no rule there accepts {host.name}"
    assert outcome.notices == [f"ip iptables-legacy FORWARD (hook forward, policy drop) {why}"] * named


def test_r8_docker_that_was_told_of_the_tunnel_is_nobodys_business(host: Host) -> None:
    rule = f"-A DOCKER-USER -i {host.name} -j ACCEPT\n-A DOCKER-USER -o tl+ -j ACCEPT"
    host.sh("iptables-nft-restore", stdin=DOCKER.format(rule=rule))
    host.apply(host.order(1, [ALICE]))
    assert host.apply(host.order(2, [ALICE])).notices == []


@pytest.mark.parametrize(
    ("hook", "policy", "rule", "named"),
    [
        ("forward", "accept", "", False),
        ("forward", "accept", "ct state invalid drop", False),
        ("forward", "accept", "ip saddr 10.0.0.0/8 reject", True),
        ("forward", "accept", 'iifname "eth0" log prefix "drop"', False),
        ("input", "drop", "udp dport { 53, 51820 } accept", False),
        ("input", "drop", "udp dport 5182 accept", True),
        ("input", "drop", "ct state established accept", True),
        ("input", "accept", "tcp dport 22 reject", False),
        ("input", "accept", "reject", True),
    ],
)
def test_r8_foreign_chain_is_named_where_it_may_drop_what_ours_accepts(
    host: Host, hook: str, policy: str, rule: str, named: bool
) -> None:
    host.apply(host.order(1, [ALICE]))
    host.sh("nft", "-f", "-", stdin=OWN_RULES.format(hook=hook, policy=policy, rule=rule))
    assert [notice.split(" (")[0] for notice in host.apply(host.order(2, [ALICE])).notices] == (
        [f"inet filter {hook}"] if named else []
    )


def test_r8_what_does_not_stay_repaired_is_a_problem(host: Host) -> None:
    order = host.order(1, [ALICE, BOB])
    host.apply(order)
    _unroute(host)

    def undone(args: list[str]) -> None:
        if args[:4] == ["ip", "-j", "route", "show"] and ["ip", "route"] in [call[:2] for call in host.run.changes]:
            host.sh("ip", "route", "del", "10.44.0.0/16")

    host.run.before = undone
    (problem,) = host.apply(order).problems
    assert f"{host.name} still differs after applying: route 10.44.0.0/16 missing" in problem


def test_r10_secrets_are_in_no_argument_and_no_result(host: Host) -> None:
    host.apply(host.order(1, [ALICE]))
    _other_key(host)
    calls = list(host.run.calls)
    outcome = host.apply(host.order(2, [BOB], revoked=[ALICE]))
    assert outcome.repaired == ["private key"]
    assert host.private_key not in str([calls, host.run.calls, vars(outcome), outcome.diff()])
    assert host.private_key not in host.site.state.read_text()
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in map(Path, host.files())}
    made = {path: mode for path, mode in modes.items() if path != host.private_key_file}
    assert set(made.values()) == {0o600}


def test_check_mode_says_the_same_and_changes_nothing(host: Host) -> None:
    host.apply(host.order(1, [ALICE, BOB, CAROL]))
    order = host.order(2, [CAROL._replace(address=9), DAVE], revoked=[ALICE], networks=["10.30.0.0/16"])
    before, rules = host.files(), host.rules
    planned = host.apply(order, check_mode=True)
    assert host.run.changes == []
    assert (host.files(), host.rules, host.peers) == (before, rules, allowed(ALICE, BOB, CAROL))
    done = host.apply(order)
    assert (planned.added, planned.removed, planned.updated, planned.settings, planned.diff()) == (
        done.added,
        done.removed,
        done.updated,
        done.settings,
        done.diff(),
    )


def test_check_mode_before_the_first_apply_makes_no_file(host: Host) -> None:
    before = host.files()
    planned = host.apply(host.order(1, [ALICE]), check_mode=True)
    assert (planned.added, planned.problems, host.run.changes, host.files()) == (["alice/laptop"], [], [], before)


def test_private_key_that_wasnt_made_by_wg_is_no_drift(host: Host) -> None:
    host.private_key_file.write_text("/" * 42 + "8=\n")
    assert host.apply(host.order(1, [ALICE])).problems == []
    again = host.apply(host.order(1, [ALICE]))
    assert (again.changed, again.problems) == (False, [])


def test_r6_lower_generation_changes_nothing_and_says_so(host: Host) -> None:
    host.apply(host.order(5, [ALICE]))
    before = host.files()
    outcome = host.apply(host.order(4, [ALICE, BOB], revoked=[ALICE]))
    assert (outcome.stale, outcome.generation, outcome.changed, outcome.problems) == (True, 5, False, [])
    assert (host.peers, host.files(), host.run.changes) == (allowed(ALICE), before, [])


def test_r6_same_generation_with_other_content_is_refused(host: Host) -> None:
    host.apply(host.order(5, [ALICE]))
    outcome = host.apply(host.order(5, [ALICE, BOB]))
    assert outcome.problems == ["generation 5 was already applied with other content; run with a new roster"]
    assert (outcome.changed, host.peers) == (False, allowed(ALICE))


def test_r6_higher_generation_is_accepted_and_remembered_without_other_change(host: Host) -> None:
    host.apply(host.order(5, [ALICE]))
    outcome = host.apply(host.order(6, [ALICE]))
    assert (outcome.changed, outcome.problems, host.state.generation) == (False, [], 6)
    assert host.apply(host.order(5, [ALICE])).stale


def test_r17_generation_that_a_mistake_made_keeps_no_later_roster_out(host: Host) -> None:
    soon, late = (NOW + 20 * 60) * 1000, (NOW + 20 * 60) * 1000 + 1
    host.apply(host.order(soon, [ALICE], made_at=NOW))
    assert host.apply(host.order(NOW * 1000, [ALICE, BOB], made_at=NOW)).stale
    host.apply(host.order(late, [ALICE], made_at=NOW))
    outcome = host.apply(host.order(NOW * 1000, [BOB], revoked=[ALICE], made_at=NOW))
    assert (outcome.stale, outcome.problems, outcome.removed) == (False, [], ["alice/laptop"])
    assert f"generation {late}, recorded here, is 20 minutes ahead of this gateway's clock" in outcome.notices[0]
    assert (host.peers, host.state.generation) == (allowed(BOB), NOW * 1000)
    again = host.apply(host.order(NOW * 1000 + 1, [BOB], made_at=NOW))
    assert (again.notices, host.apply(host.order(NOW * 1000, [BOB], made_at=NOW)).stale) == ([], True)


def test_r6_late_roster_is_stale_also_where_the_gateways_clock_is_hours_behind(host: Host) -> None:
    hours_ahead = (NOW + 3 * 3600) * 1000
    host.apply(host.order(hours_ahead, [ALICE], made_at=NOW + 3 * 3600))
    assert host.apply(host.order((NOW + 3600) * 1000, [ALICE, BOB], made_at=NOW + 3600)).stale
    assert host.peers == allowed(ALICE)


def test_r6_generation_outlives_the_state_file(host: Host) -> None:
    host.apply(host.order(5, [ALICE]))
    host.site.state.unlink()
    assert host.apply(host.order(4, [BOB])).stale
    assert host.peers == allowed(ALICE)


def test_removals_are_kept_until_acknowledged(host: Host) -> None:
    host.apply(host.order(1, [ALICE, BOB]))
    (removal,) = host.apply(host.order(2, [BOB])).removals
    assert (removal.name, removal.public_key, removal.reason) == ("alice/laptop", key(1), "unknown")
    assert removal.removed_at == int(host.now)
    assert host.apply(host.order(3, [BOB])).removals == [removal]
    assert host.apply(host.order(4, [BOB], acknowledge=["another"])).removals == [removal]
    assert host.apply(host.order(5, [BOB], acknowledge=[removal.id])).removals == []
    assert host.apply(host.order(6, [BOB])).removals == []
