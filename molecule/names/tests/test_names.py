# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Private names through the tunnel, while what they stand for moves."""

from __future__ import annotations

import concurrent.futures
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab import actions, aws, feed, hosts, services
from tests.lab.services import NAMESPACE, TTL
from tests.support.waiting import PATIENCE

GATEWAYS = [host.name for host in hosts.GATEWAYS]
LAPTOP = "alice-laptop"
FORWARDER = ("10.44.0.1", "fd44:7472:6163:6b::1")
CLIENT = str(Path(__file__).parents[1] / "client.yml")
ZONE = "corp.example"
LARGE = "\n".join(f'"{number:03} {"x" * 240}"' for number in range(20))
UNIT = "tracklib-vpn-dns"
CONFIG = "/etc/unbound/tracklib-vpn.conf"


def ask(host: str, name: str, *options: str, server: str = FORWARDER[0]) -> dict[str, Any]:
    """What a DNS server tells a host; see dns.py."""
    words = " ".join((server, name, *options))
    return dict(json.loads(actions.shell(host, f"python3 /etc/lab/dns.py {words}")))


def bring_resolvers(*arguments: str, **variables: Any) -> actions.Run:
    """A run of the playbook private_dns."""
    return actions.run_playbook("private_dns", *arguments, **variables)


@pytest.fixture(scope="module", autouse=True)
def names() -> Iterator[None]:
    """A service of two tasks in Cloud Map, a private zone and another one in it, a public zone of the same name."""
    aws.forget_names()
    for number in (1, 2):
        services.start_task(number)
    aws.create_zone(
        ZONE, ("web", "A", hosts.SERVICE_ADDRESSES[0]), ("large", "TXT", LARGE), ("*.any", "A", "10.20.0.9")
    )
    aws.create_zone(f"deep.{ZONE}", ("web", "A", "10.20.0.7"))
    aws.create_zone(ZONE, ("web", "A", "203.0.113.8"), ("blog", "A", "203.0.113.8"), private=False)
    aws.create_zone("public.example", ("www", "A", "203.0.113.9"), private=False)
    aws.create_zone("elsewhere.example", ("web", "A", "10.30.0.9"), associated=False)
    services.register_tasks("api", 1, 2)
    bring_resolvers()
    yield
    aws.forget_names()
    feed.feed()
    for number in (1, 2, 3, 4, 5):
        services.stop_task(number)


@pytest.fixture(scope="module")
def laptop() -> Iterator[str]:
    """alice's laptop with a tunnel by the role client."""
    actions.run_playbook(CLIENT, laptop=LAPTOP, user="alice", client_domains=[NAMESPACE, ZONE])
    actions.run_playbook("reconcile")
    wait = f"for _ in $(seq 1000); do getent hosts web.{ZONE} && exit; sleep 0.2; done; exit 1"
    actions.shell(LAPTOP, wait)
    yield LAPTOP
    actions.shell(LAPTOP, "systemctl disable --now wg-quick@vpn0 2>&1; rm -f /etc/wireguard/vpn0.*")


def page(laptop: str, name: str, *options: str) -> str:
    """The page behind a name as seen from the laptop, or nothing."""
    return actions.shell(laptop, f"curl --silent --max-time 3 {' '.join(options)} http://{name}/", check=False)


def test_laptop_reaches_the_service_by_name_over_ipv4_and_ipv6(laptop: str) -> None:
    for version, expected in (("4", 0), ("6", 1)):
        addresses = [hosts.task_addresses(number)[expected] for number in (1, 2)]
        found = actions.shell(laptop, f"getent ahostsv{version} api.{NAMESPACE} | cut -d ' ' -f 1 | sort -u").split()
        assert found == addresses
        found_page = page(laptop, f"api.{NAMESPACE}", f"-{version}")
        assert any(f"tracklib service on service, {address}" in found_page for address in addresses), found_page


def test_name_follows_a_replaced_task_within_its_ttl_and_2_seconds(laptop: str) -> None:
    before = actions.shell(laptop, "sha256sum /etc/wireguard/vpn0.conf; resolvectl domain vpn0")
    old, new = hosts.task_addresses(1)[0], services.start_task(3)[0]
    assert old in actions.shell(laptop, f"getent ahosts api.{NAMESPACE}")  # now the laptop remembers it, too
    services.stop_task(1)
    services.register_tasks("api", 2, 3)
    started = time.monotonic()
    actions.shell(laptop, f"while getent ahosts api.{NAMESPACE} | grep -qw {old}; do sleep 0.1; done")
    took = time.monotonic() - started
    assert new in actions.shell(laptop, f"getent ahosts api.{NAMESPACE}")
    assert "tracklib service" in page(laptop, f"api.{NAMESPACE}")
    assert actions.cut_off(laptop, old)
    assert took <= TTL + 2, f"the old address was answered for {took:.1f} s"
    assert actions.shell(laptop, "sha256sum /etc/wireguard/vpn0.conf; resolvectl domain vpn0") == before


def questions() -> int:
    """How many questions the forwarder has been asked."""
    listed = actions.shell("gateway", f"unbound-control -c {CONFIG} stats_noreset")
    return int(next(line for line in listed.splitlines() if line.startswith("total.num.queries=")).split("=")[1])


def test_public_name_is_not_asked_of_the_tunnel(laptop: str) -> None:
    before = questions()
    assert "203.0.113.9" in actions.shell(laptop, "getent ahosts www.public.example")
    assert questions() == before
    actions.shell(laptop, f"getent ahosts a{time.time_ns()}.any.{ZONE}")
    assert questions() > before


def test_host_outside_the_tunnel_gets_no_answer(laptop: str) -> None:
    outside, gateway = "bob-laptop", hosts.GATEWAYS[0].addresses["internet"]
    for server, way in zip(FORWARDER, gateway, strict=True):
        actions.shell(outside, f"ip route replace {server} via {way}")
        assert ask(outside, f"web.{ZONE}", server=server)["rcode"] is None
        assert ask(outside, f"web.{ZONE}", server=way)["rcode"] is None
        assert ask(laptop, f"web.{ZONE}", server=server)["rcode"] == "NOERROR"
        actions.shell(outside, f"ip route delete {server}")


@pytest.mark.parametrize("server", FORWARDER)
def test_answer_of_more_than_4_kb_comes_by_tcp(laptop: str, server: str) -> None:
    assert ask(laptop, f"large.{ZONE}", "TXT", server=server)["truncated"]
    answer = ask(laptop, f"large.{ZONE}", "TXT", "--tcp", server=server)
    assert len(answer["answers"]) == 20
    assert answer["size"] > 4096


def test_names_follows_an_ec2_host_whose_address_changed(laptop: str) -> None:
    declared = [{"name": "host", "namespace": NAMESPACE, "tags": {"Service": "host"}, "ttl": TTL}]
    for number in (4, 5):
        address = services.start_task(number)[0]
        aws.replace_instance("host", address, Service="host")
        services.stop_task(9 - number)
        actions.run_playbook("names", vpn_names=declared)
        feed.feed()
        time.sleep(TTL)
        assert address in page(laptop, f"host.{NAMESPACE}")


def test_load_balancer_is_reached_by_its_name(laptop: str) -> None:
    name = services.create_balancer("names")
    aws.create_zone("elb.example", ("lb", "CNAME", name))
    feed.feed()
    try:
        bring_resolvers("--limit=localhost,gateway")
        answer = ask(laptop, "lb.elb.example")
        assert set(answer["answers"]) == {name, *(address for address, _ in services.BALANCER_ADDRESSES.values())}
        assert all("tracklib service" in (actions.fetch(laptop, one) or "") for one in answer["answers"][:2])
    finally:
        services.delete_balancer("names")


def test_500_questions_a_second_lose_none_while_zones_change(laptop: str) -> None:
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        asking = pool.submit(ask, laptop, f"n{{}}.any.{ZONE}", "A", "--rate", "500", "--seconds", "10")
        time.sleep(1)
        done = bring_resolvers("--limit=localhost,gateway", private_dns_extra_zones=[f"new.{ZONE}"])
        report = asking.result()
    assert done.result("zones to the running resolver", "gateway")["changed"]
    assert report["sent"] == 5000
    assert report["lost"] == 0, report
    assert report["rate"] >= 490, report
    assert report["rcodes"] == {"NOERROR": 5000}
    assert bring_resolvers("--limit=localhost,gateway").changed  # the extra zone is gone again


@pytest.mark.parametrize("gateway", GATEWAYS)
def test_zones_that_overlap_or_have_a_public_namesake_are_told_apart(gateway: str) -> None:
    assert ask(gateway, f"web.{ZONE}")["answers"] == [hosts.SERVICE_ADDRESSES[0]]
    assert ask(gateway, f"WEB.{ZONE}.")["answers"] == [hosts.SERVICE_ADDRESSES[0]]
    assert ask(gateway, f"web.deep.{ZONE}")["answers"] == ["10.20.0.7"]
    assert ask(gateway, f"zz.{ZONE}")["rcode"] == "NXDOMAIN"
    assert ask(gateway, f"blog.{ZONE}")["rcode"] == "NXDOMAIN"  # is in the public namesake only


@pytest.mark.parametrize("gateway", GATEWAYS)
@pytest.mark.parametrize("name", ["www.public.example", "web.elsewhere.example", "zz.zz", "1.0.20.10.in-addr.arpa"])
def test_other_names_and_unassociated_zones_are_refused(gateway: str, name: str) -> None:
    assert ask(gateway, name)["rcode"] == "REFUSED"


def test_other_names_are_forwarded_if_wanted_and_a_zone_that_is_nowhere_or_odd_breaks_nothing() -> None:
    only = "--limit=localhost,gateway-13"
    pid = actions.shell("gateway-13", f"systemctl show --property MainPID {UNIT}")
    bring_resolvers(only, private_dns_other="forward", private_dns_extra_zones=["Nowhere.Example."])
    assert ask("gateway-13", "www.public.example")["answers"] == ["203.0.113.9"]
    odd = {"private_dns_extra_zones": ["Nowhere.Example."], "private_dns_zones": [ZONE, 'x" refuse\n']}
    done = bring_resolvers(only, **odd)
    assert 'x" refuse' in done.result("left out", "gateway-13")["msg"]
    assert ask("gateway-13", f"web.{ZONE}")["rcode"] == "NOERROR"
    assert ask("gateway-13", "a.nowhere.example")["rcode"] == "NXDOMAIN"
    assert ask("gateway-13", "www.public.example")["rcode"] == "REFUSED"
    bring_resolvers(only)
    assert ask("gateway-13", "a.nowhere.example")["rcode"] == "REFUSED"
    assert actions.shell("gateway-13", f"systemctl show --property MainPID {UNIT}") == pid


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"private_dns_extra_zones": [".".join(["a" * 63] * 3 + ["b" * 62])]}, "254 characters"),
        ({"private_dns_extra_zones": ['x" static']}, "not a DNS name"),
        ({"private_dns_resolver": "10.20.0.2.2"}, "unbound-checkconf"),
        ({"private_dns_zones": None}, "route53:ListHostedZonesByVPC"),
    ],
    ids=["254 characters", "quote", "resolver", "zones not read"],
)
def test_what_cannot_be_configured_leaves_the_resolver_as_it_was(wrong: dict[str, Any], said: str) -> None:
    state = f"sha256sum /etc/unbound/*; systemctl show --property MainPID {UNIT}"
    before = actions.shell("gateway-13", state)
    refused = bring_resolvers("--limit=localhost,gateway-13", rc=2, **wrong)
    assert said in json.dumps(refused.results("gateway-13"))
    assert actions.shell("gateway-13", state) == before
    assert ask("gateway-13", f"web.{ZONE}")["rcode"] == "NOERROR"


def test_forwarder_is_back_soon_after_a_resolver_that_did_not_answer() -> None:
    actions.shell("resolver", "systemctl stop lab-vpc-resolver")
    try:
        assert ask("gateway", f"a{time.time_ns()}.any.{ZONE}", "--timeout", "5")["rcode"] in ("SERVFAIL", None)
    finally:
        actions.shell("resolver", "systemctl start lab-vpc-resolver")
    give_up = time.monotonic() + PATIENCE
    while ask("gateway", f"a{time.time_ns()}.any.{ZONE}", "--timeout", "5")["rcode"] != "NOERROR":
        assert time.monotonic() < give_up


def test_forwarder_survives_a_restart_of_the_interface() -> None:
    actions.shell("gateway-13", "systemctl restart wg-quick@wg0")
    for server in FORWARDER:
        assert ask("gateway-13", f"web.{ZONE}", server=server)["rcode"] == "NOERROR"


@pytest.mark.parametrize("gateway", GATEWAYS)
def test_gateway_resolves_its_own_names_as_before(gateway: str) -> None:
    assert actions.shell(gateway, "systemctl is-enabled unbound", check=False) == "masked"
    assert not any(server in actions.shell(gateway, "cat /etc/resolv.conf") for server in ("127.0.0.1", *FORWARDER))
