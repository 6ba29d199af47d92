# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What was read of a gateway, made up: for planners, which need neither root nor `wg`."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ansible_collections.tracklib.vpn.plugins.action.wireguard_interface import render
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard import config
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.check import CheckedRoster
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.device import Device, Link, LivePeer
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.files import Site
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.order import ApplyOrder, Revocation
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.plan import Plan
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.read import Snapshot
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.report import Report
from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard.state import State

from tests.support.wireguard_host import NOW, REGISTRY, TEMPLATES, Person, key, variables

SITE = Site("wg0", Path("/etc/wireguard"), Path("/var/lib/tracklib-vpn"), Path("/run/tracklib-vpn"))
PRIVATE_KEY = base64.b64encode(bytes([8, *range(1, 31), 64])).decode()
OWN_PUBLIC_KEY = key(1000)
FIREWALL = "table inet tracklib_vpn { }\n"


def live(person: Person, **changes: str) -> LivePeer:
    """A peer as the device has it when nobody has tampered with it."""
    allowed_ips = ",".join(person.entry()["allowed_ips"])
    peer = LivePeer(key(person.number), "(none)", "(none)", allowed_ips, "0", "0", "0", "off")
    return peer._replace(**changes)


def device(people: Iterable[Person]) -> Device:
    """A device with these peers."""
    peers = {key(person.number): live(person) for person in people}
    return Device(PRIVATE_KEY, OWN_PUBLIC_KEY, "51820", "off", peers)


def config_text(generation: int, people: Iterable[Person]) -> str:
    """wg0.conf of these peers, from the role's own template."""
    roster = {"generation": generation, "made_at": NOW + generation, "peers": [person.entry() for person in people]}
    text = render(TEMPLATES / "wg0.conf.j2", roster, variables("wg0"))
    return config.installable(text, generation, PRIVATE_KEY)


def order(
    generation: int,
    people: Sequence[Person],
    revoked: Iterable[Person] = (),
    firewall: str = FIREWALL,
    **changes: Any,
) -> ApplyOrder:
    """A roster of these people to apply."""
    reasons = {key(person.number): Revocation(person.label(), "tombstoned", of_user=True) for person in revoked}
    fields: dict[str, Any] = {
        "generation": generation,
        "made_at": NOW + generation,
        "registry": REGISTRY,
        "private_key_file": SITE.config_dir / "wg0.key",
        "config": config.body(config_text(generation, people)),
        "firewall": firewall,
        "revoked": reasons,
        **changes,
    }
    return ApplyOrder(**fields)


def checked(wanted: ApplyOrder, load_firewall: bool = False) -> CheckedRoster:
    """The same, as it is after its check."""
    assert wanted.config is not None
    assert wanted.firewall is not None
    sections = config.split(config.installable(wanted.config, wanted.generation, PRIVATE_KEY))
    return CheckedRoster(sections, config.parse(sections.text()), wanted.unfit, wanted.firewall, load_firewall)


def snapshot(people: Sequence[Person], generation: int = 1, **changes: Any) -> Snapshot:
    """A gateway to which a roster of these people was applied."""
    text = config_text(generation, people)
    state = State(
        registry=REGISTRY,
        generation=generation,
        content=order(generation, people).content,
        made_at=NOW + generation,
        heard_at=NOW + generation,
        config=(config.digest(config.body(text)),),
        firewall=(config.digest(FIREWALL),),
        loaded="as loaded",
    )
    fields: dict[str, Any] = {
        "site": SITE,
        "now": NOW,
        "seed": "00",
        "config_text": text,
        "firewall_text": FIREWALL,
        "link": Link(up=True, mtu=1420, addresses=("10.44.0.1/16", "fd44:7472:6163:6b::1/64")),
        "device": device(people),
        "device_error": None,
        "state": state,
        "state_error": None,
        **changes,
    }
    return Snapshot(**{"sections": config.split(fields["config_text"]), **fields})


def actions(plan: Plan) -> list[str]:
    """What a plan does, in order."""
    return [type(step.action).__name__ for step in plan.steps]


def only(plan: Plan, action: type) -> Any:
    """The one step's action that is of this kind."""
    (found,) = (step.action for step in plan.steps if isinstance(step.action, action))
    return found


def full_report(plan: Plan) -> Report:
    """What is reported if every step works."""
    report = plan.report
    for step in plan.steps:
        report = report.followed_by(step.reports)
    return report
