# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Show the whole thing on this machine: IAM, gateways, two people with tunnels, one of whom leaves.

Ends with 0 only if every check held. Leaves the lab running, to look around in.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

from ansible_collections.tracklib.vpn.plugins.module_utils import keys
from rich.console import Console
from rich.table import Table

from tests.support import fault_proxy

from . import actions, aws, hosts, lab, self_service, services
from .machine import LabError

OTHERS = tuple(name for name in aws.GROUPS["vpn-developers"] if name not in ("alice", "bob"))
console = Console(highlight=False)


@dataclasses.dataclass
class Story:
    """The steps told so far, and how their checks went."""

    began: float = dataclasses.field(default_factory=time.monotonic)
    steps: int = 0
    failed: list[str] = dataclasses.field(default_factory=list)

    @contextlib.contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Say what is about to happen, show that time passes, and say how long it took."""
        self.steps += 1
        console.print(f"\n[bold]{self.steps}. {title}[/bold]")
        began = time.monotonic()
        with console.status("working …"):
            yield
        console.print(f"   [dim]{time.monotonic() - began:.1f} s[/dim]")

    def check(self, what: str, holds: bool) -> None:
        """Show whether something is as it should be."""
        console.print(f"   [green]✓[/green] {what}" if holds else f"   [red]✗ NOT: {what}[/red]")
        if not holds:
            self.failed.append(what)

    def seconds(self) -> float:
        """How long the story has taken."""
        return time.monotonic() - self.began


def prepare(story: Story) -> None:
    """A running lab with an empty registry."""
    with story.step("A lab: an emulated AWS with 1,000 IAM users, and six booted Debian hosts"):
        lab.start()
        aws.forget_registry(actions.TABLE)
        aws.forget_names()
        services.start_task(1)
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            named = pool.submit(services.register_tasks, "api", 1)
            actions.run_playbook("deploy")
            named.result()
        users = aws.client("iam").get_account_authorization_details(Filter=["User"])["UserDetailList"]
        granted = {name for group in ("vpn-developers", "vpn-dba") for name in aws.GROUPS[group]}
    story.check(f"IAM has {len(users)} users, {len(granted)} of them in VPN groups", len(users) >= aws.USERS)


def set_up_gateways(story: Story) -> None:
    """Registered devices, and gateways found in EC2 and configured."""
    with story.step(f"{len(OTHERS)} people have registered their devices; `site` finds the gateways and sets them up"):
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            inventory = pool.submit(_inventory)
            for name in OTHERS:
                actions.register_directly(name, "laptop", keys.generate()[1])
            found = inventory.result()
        # there are no builds in this story, which would log in to the gateways
        done = actions.run_playbook("site", gateway_instance_connect=False, gateway_publish_host_key=False)
    for name, facts in found.items():
        console.print(f"   {name}: {_text(facts['instance_id'])}, clients dial {_text(facts['wireguard_endpoint'])}")
    expected = {host.name for host in hosts.GATEWAYS}
    story.check("the inventory plugin found the gateways in EC2, and nothing else", set(found) == expected)
    story.check("`site` set them up", done.rc == 0)
    live = len(actions.live_peers())
    story.check(f"the gateway has the {live} peers that IAM and the registry say", live == len(OTHERS))


def connect(story: Story) -> actions.Connection:
    """alice's tunnel."""
    with story.step("alice makes a key on her laptop, an operator registers it, and she connects"):
        alice = actions.connect("alice-laptop", by_module=True)
        actions.run_playbook("reconcile")
        page = alice.fetch()
    story.check("alice fetches a page from the service behind the gateway", "tracklib service" in (page or ""))
    return alice


def enroll(story: Story) -> actions.Connection:
    """bob's tunnel, by self-service."""
    with story.step("bob enrolls his laptop himself: one command, with the AWS credentials that he has anyway"):
        actions.shell("bob-laptop", "ip link delete wg0 2>/dev/null || true")  # of an earlier demo
        self_service.start()
        aws.make_profile("bob")
        began = time.monotonic()
        done = self_service.enroll("bob-laptop")
        page = actions.fetch("bob-laptop")
        seconds = time.monotonic() - began
    enrolled = done.result("register or renew laptop")
    console.print(f"   {', '.join(enrolled['actions'])}, {', '.join(enrolled['addresses'])}, no operator was needed")
    story.check(
        f"bob fetches the page {seconds:.0f} s after the command, a reconcile included",
        "tracklib service" in (page or ""),
    )
    public_key = actions.shell("bob-laptop", "wg show vpn0 public-key")
    return actions.Connection("bob-laptop", "bob", "laptop", public_key, enrolled["addresses"], "vpn0")


def move_service(story: Story, alice: actions.Connection) -> None:
    """A task is replaced by one with another address."""
    name = f"api.{services.NAMESPACE}"
    fetch = f"curl --silent --max-time 1 http://{name}/"
    with story.step(f"A task gets a new address; alice's laptop knows it as {name} and nothing else"):
        # what the role `client` writes into the tunnel's configuration
        actions.shell(alice.laptop, f"resolvectl dns wg0 10.44.0.1; resolvectl domain wg0 '~{services.NAMESPACE}'")
        before = actions.shell(alice.laptop, fetch, check=False)
        new = services.start_task(2)
        services.stop_task(1)
        services.register_tasks("api", 2)
        began = time.monotonic()
        after = actions.shell(alice.laptop, f"for _ in $(seq 20); do {fetch} && break; sleep 0.1; done", check=False)
        took = time.monotonic() - began
    story.check(f"alice fetches a page by name: {before.splitlines()[:1]}", "tracklib service" in before)
    works = any(address in after for address in new)
    story.check(f"the name works again {took:.1f} s after it was changed (its TTL is {services.TTL} s)", works)


def leave(story: Story, alice: actions.Connection, bob: actions.Connection) -> float:
    """alice leaves; returns how many seconds later the tunnel was dead."""
    with story.step("alice is deleted in IAM, `reconcile` runs; bob's laptop sends a probe each millisecond"):
        with actions.probing(bob.laptop) as probe:
            aws.delete_user("alice")
            deleted = time.monotonic()
            done = actions.run_playbook("reconcile")
            dead = time.monotonic() - deleted
            report = probe.stop()
        cut_off = alice.cut_off()
    removed = done.result("apply firewall", "gateway")["removed"]
    story.check(f"the gateway took alice off {dead:.1f} s after the deletion: {removed}", removed == ["alice/laptop"])
    story.check("alice's tunnel is dead", cut_off)
    story.check(f"bob's {report['sent']:,} probes lost {report['lost']}", report["lost"] == 0)
    return dead


def drift(story: Story) -> None:
    """A peer added by hand."""
    with story.step("Someone adds a peer to the gateway by hand; the next `reconcile` finds it"):
        stranger = keys.generate()[1]
        actions.shell("gateway", f"wg set wg0 peer {stranger} allowed-ips 10.44.15.250/32")
        done = actions.run_playbook("reconcile")
    console.print(f"   reported: {', '.join(done.result('apply firewall', 'gateway')['repaired'])}")
    story.check("it is gone", stranger not in actions.live_peers())


def partial_knowledge(story: Story, bob: actions.Connection) -> None:
    """IAM fails within a sweep."""
    with story.step("IAM fails in the middle of a sweep"):
        before = actions.live_peers()
        with fault_proxy.FaultProxy(aws.endpoint()) as proxy:
            proxy.page_size = 100
            proxy.fail("GetAccountAuthorizationDetails", fault_proxy.error(500, "ServiceFailure"), first=2)
            options = {"endpoint_url": proxy.url, "aws_config": {"retries": {"total_max_attempts": 2}}}
            done = actions.run_playbook("reconcile", rc=None, vpn_aws_options=options)
    console.print(f"   the run says: {done.failures[-1] if done.failures else 'nothing'}", soft_wrap=True)
    said = any("incomplete" in line and aws.ACCOUNT in line for line in done.failures)
    story.check("the run ended non-zero and named the account", done.rc != 0 and said)
    story.check("nobody was removed", actions.live_peers() == before)
    story.check("bob is still connected", "tracklib service" in (bob.fetch() or ""))


def namesake(story: Story, alice: actions.Connection) -> None:
    """A new user of the old name."""
    with story.step("A new alice joins: the same name in IAM, in the same groups"):
        aws.seed()
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            asked = pool.submit(actions.register_device, "alice", "laptop", alice.public_key)
            actions.run_playbook("reconcile")
            refusal = asked.exception()
        cut_off = alice.cut_off()
    console.print(f"   asked for the old key, the registry says: {refusal or 'nothing'}", soft_wrap=True)
    story.check("the old alice's key can't be registered again", isinstance(refusal, LabError))
    story.check("the old tunnel stays dead", cut_off)


def summary(story: Story, dead: float) -> None:
    """Who can connect, who was cut off, how long it took."""
    live = actions.live_peers()
    names = sorted(each.user_name for each in actions.registry().devices.registrations() if each.public_key in live)
    table = Table(title="\nAt the end", title_justify="left", show_header=False)
    table.add_row("can connect", f"{len(names)}: {', '.join(names[:6])} …")
    table.add_row("cut off", f"alice, {dead:.1f} s after the deletion in IAM")
    table.add_row("checks", "all held" if not story.failed else f"[red]{len(story.failed)} failed[/red]")
    table.add_row("time", f"{story.seconds():.0f} s")
    console.print(table)
    for what in story.failed:
        console.print(f"[red]did not hold: {what}[/red]")
    console.print(
        "\nThe lab is still up. Look around: `. .lab/env; ansible-inventory --graph`,"
        " `ssh -F .lab/ssh_config gateway sudo wg show`. `make lab-down` removes it.",
        soft_wrap=True,
    )


def _text(value: Any) -> str:
    """What ansible-inventory prints of a string from AWS, which it marks as no template."""
    return str(value["__ansible_unsafe"] if isinstance(value, dict) else value)


def _inventory() -> dict[str, dict[str, Any]]:
    """The gateways with their host variables, as the inventory plugin finds them."""
    done = subprocess.run(
        [actions.BIN / "ansible-inventory", "--list", "--limit=vpn_gateways"],
        env=actions.environment(),
        check=True,
        capture_output=True,
    )
    return dict(json.loads(done.stdout)["_meta"]["hostvars"])


def main() -> int:
    """Tell the story; return the exit code."""
    story = Story()
    try:
        prepare(story)
        set_up_gateways(story)
        alice = connect(story)
        bob = enroll(story)
        move_service(story, alice)
        dead = leave(story, alice, bob)
        drift(story)
        partial_knowledge(story, bob)
        namesake(story, alice)
        summary(story, dead)
    except (AssertionError, LabError, OSError, subprocess.CalledProcessError) as error:
        console.print(f"the demo stopped: {error}", style="red", soft_wrap=True, markup=False)
        return 1
    return 1 if story.failed else 0


if __name__ == "__main__":
    sys.exit(main())
