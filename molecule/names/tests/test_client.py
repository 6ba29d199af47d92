# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The role `client` on laptops: the tunnel, and which names are asked of it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab import actions, aws, feed, hosts
from tests.support.waiting import PATIENCE

ALICE = "alice-laptop"
PLAYBOOK = str(Path(__file__).parents[1] / "client.yml")
ZONE = "client.example"
NAME = f"web.{ZONE}"
PUBLIC_NAME = "www.public.example"
EVERYTHING = ["0.0.0.0/0", "::/0"]
FAR_AWAY = "203.0.113.19"  # an address of the service host that only a default route leads to
CONFIG = "/etc/wireguard/vpn0.conf"
KEY = "/etc/wireguard/vpn0.key"
PLAIN = "/etc/resolv.conf.plain"


@pytest.fixture(scope="module", autouse=True)
def names() -> Iterator[None]:
    """A private zone with the service's name in it, which the gateways' resolvers know, and a public one."""
    aws.forget_names()
    service = zip(("A", "AAAA"), hosts.SERVICE_ADDRESSES, strict=True)
    aws.create_zone(ZONE, *(("web", kind, address) for kind, address in service))
    aws.create_zone("public.example", ("www", "A", "203.0.113.9"), private=False)
    feed.feed()
    actions.run_playbook("private_dns", "--limit=localhost,gateway")
    yield
    aws.forget_names()
    feed.feed()


def questions() -> int:
    """How many questions the gateway's resolver has been asked."""
    listed = actions.shell("gateway", "unbound-control -c /etc/unbound/tracklib-vpn.conf stats_noreset")
    return int(next(line for line in listed.splitlines() if line.startswith("total.num.queries=")).split("=")[1])


def remove_client(laptop: str) -> None:
    """Leave nothing of the role on a laptop."""
    actions.shell(
        laptop,
        "systemctl disable --quiet --now wg-quick@vpn0 2>&1; "
        "rm -rf /etc/wireguard/vpn0.* /etc/systemd/system/wg-quick@vpn0.service.d; systemctl daemon-reload",
    )


def remove_resolvers(laptop: str) -> None:
    """Leave a laptop with a plain /etc/resolv.conf."""
    actions.shell(
        laptop,
        f"[ -e {PLAIN} ] || cp /etc/resolv.conf {PLAIN}; "
        "{ command -v resolvectl || command -v resolvconf; } >/dev/null "
        "&& apt-get -qq purge -y systemd-resolved openresolv 2>&1; "
        f"rm -f /etc/resolv.conf; cp {PLAIN} /etc/resolv.conf",
    )


@pytest.fixture(scope="module")
def alice() -> Iterator[actions.Run]:
    """The run that set the tunnel of alice's laptop up, Debian 12 with systemd-resolved, which the role found."""
    remove_client(ALICE)
    yield join(ALICE, "-vvv", "--diff")
    remove_client(ALICE)


@pytest.fixture
def bob() -> Iterator[str]:
    """bob's laptop, Debian 13 with a plain /etc/resolv.conf, without anything of the role."""
    remove_client("bob-laptop")
    remove_resolvers("bob-laptop")
    yield "bob-laptop"
    remove_client("bob-laptop")
    remove_resolvers("bob-laptop")


def join(laptop: str, *arguments: str, **variables: Any) -> actions.Run:
    """Set the laptop's tunnel up by the role, and let the gateway know of it."""
    done = run_role(laptop, *arguments, **variables)
    actions.run_playbook("reconcile")
    return done


def run_role(laptop: str, *arguments: str, rc: int = 0, **variables: Any) -> actions.Run:
    """Run the role on the laptop of the user whose name it has."""
    wanted = {"client_domains": [ZONE], **variables}
    user = laptop.split("-", maxsplit=1)[0]
    return actions.run_playbook(PLAYBOOK, *arguments, rc=rc, laptop=laptop, user=user, **wanted)


def page(laptop: str, host: str = NAME) -> str:
    """Return the page of a host by name, as soon as the tunnel is up; an empty text if it doesn't come."""
    give_up = time.monotonic() + PATIENCE
    found = ""
    while not found and time.monotonic() < give_up:
        found = actions.shell(laptop, f"curl --silent --max-time 3 http://{host}/", check=False)
    return found


def asks_the_tunnel(laptop: str, name: str) -> bool:
    """Whether a program that looks a name up makes the laptop ask the tunnel's resolver, whatever comes of it."""
    before = questions()
    actions.shell(laptop, f"timeout 5 getent ahosts {name}", check=False)
    return questions() > before


@pytest.mark.usefixtures("alice")
def test_systemd_resolved_asks_the_tunnel_for_private_names_only() -> None:
    assert "tracklib service" in page(ALICE)
    assert asks_the_tunnel(ALICE, f"other.{ZONE}")
    assert not asks_the_tunnel(ALICE, PUBLIC_NAME)


def test_r10_private_key_is_roots_alone_and_in_no_configuration_or_output(alice: actions.Run) -> None:
    key = actions.shell(ALICE, f"cat {KEY}")
    assert len(key) == 44
    assert actions.shell(ALICE, f"stat -c '%U %a' {KEY} {CONFIG}") == "root 600\nroot 600"
    assert key not in actions.shell(ALICE, f"cat {CONFIG}; journalctl --no-pager")
    assert key not in str(alice.report) + alice.stderr


@pytest.mark.usefixtures("alice")
def test_second_run_changes_nothing_and_keeps_the_key() -> None:
    key = actions.shell(ALICE, f"sha256sum {KEY}")
    assert run_role(ALICE).changed == []
    assert actions.shell(ALICE, f"sha256sum {KEY}") == key
    assert "tracklib service" in page(ALICE)


@pytest.mark.usefixtures("alice")
def test_reload_of_the_unit_and_a_reboot_keep_tunnel_and_names() -> None:
    actions.shell(ALICE, "systemctl reload wg-quick@vpn0")
    assert "tracklib service" in page(ALICE)
    hosts.reboot(next(host for host in hosts.LAPTOPS if host.name == ALICE))
    assert "tracklib service" in page(ALICE)


@pytest.mark.usefixtures("alice")
def test_full_tunnel_leads_everywhere_that_the_policy_grants() -> None:
    actions.shell("service", f"ip address replace {FAR_AWAY}/32 dev lo")
    actions.shell("gateway", f"ip route replace {FAR_AWAY} via {actions.SERVICE_IPV4}")
    try:
        run_role(ALICE, client_full_tunnel=True, client_answers_other_names=True)
        assert "tracklib service" in page(ALICE)
        assert actions.cut_off(ALICE, FAR_AWAY)  # the gateway's rules are the control
        assert asks_the_tunnel(ALICE, PUBLIC_NAME)
        everything = [{"groups": ["vpn-developers"], "networks": EVERYTHING}]
        actions.run_playbook("reconcile", vpn_access=everything)
        assert "tracklib service" in page(ALICE, FAR_AWAY)
        assert actions.cut_off(ALICE, hosts.METADATA[0])
        assert "dev vpn0" in actions.shell(ALICE, "ip -6 route get 2001:4860:4860::8888")
    finally:
        actions.shell("service", f"ip address delete {FAR_AWAY}/32 dev lo")
        actions.shell("gateway", f"ip route delete {FAR_AWAY}")
        actions.run_playbook("reconcile")


def test_systemd_resolved_is_installed_where_it_is_asked_for(bob: str) -> None:
    join(bob, client_dns="resolved")
    assert "tracklib service" in page(bob)
    assert not asks_the_tunnel(bob, PUBLIC_NAME)


def test_resolvconf_asks_the_tunnel_for_every_name_and_gives_the_old_servers_back(bob: str) -> None:
    before = actions.shell(bob, "cat /etc/resolv.conf")
    join(bob, client_dns="line", client_answers_other_names=True)
    assert "tracklib service" in page(bob)
    assert "tracklib service" in page(bob, "web")  # the zone is searched
    assert asks_the_tunnel(bob, PUBLIC_NAME)
    actions.shell(bob, "systemctl stop wg-quick@vpn0")
    assert "10.44.0.1" not in actions.shell(bob, "cat /etc/resolv.conf")
    assert before.split()[-1] in actions.shell(bob, "cat /etc/resolv.conf")


def test_r18_laptop_that_would_lose_every_other_name_is_refused_before_anything(bob: str) -> None:
    done = run_role(bob, rc=2, client_dns="line")
    assert "would ask the tunnel for every name, and the gateways answer private ones only" in done.failures[0]
    assert actions.shell(bob, f"ls {CONFIG} {KEY} 2>/dev/null", check=False) == ""


def test_configuration_of_another_maker_is_refused_and_left(bob: str) -> None:
    actions.shell(bob, f"mkdir -p /etc/wireguard; echo '# mine' > {CONFIG}")
    done = run_role(bob, rc=2, client_dns="none")
    assert f"has a {CONFIG} that this role didn't make" in done.failures[0]
    assert actions.shell(bob, f"cat {CONFIG}; ls {KEY} 2>/dev/null || echo no key") == "# mine\nno key"


def test_laptop_without_a_way_for_private_names_is_told_its_choices(bob: str) -> None:
    done = run_role(bob, rc=2)
    assert "neither a running systemd-resolved nor resolvconf" in done.failures[0]


def test_check_mode_changes_nothing_on_a_new_laptop(bob: str) -> None:
    run_role(bob, "--check", client_dns="resolved")
    assert actions.shell(bob, f"ls {CONFIG} {KEY} 2>/dev/null", check=False) == ""
    assert actions.shell(bob, "command -v resolvectl", check=False) == ""
