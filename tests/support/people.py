# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What operators ask about, for tests: a decision on some people, and gateways that see their devices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.tracklib.vpn.plugins.module_utils.access import Access
from ansible_collections.tracklib.vpn.plugins.module_utils.keys import fingerprint
from ansible_collections.tracklib.vpn.plugins.module_utils.model import (
    Block,
    Decision,
    Device,
    Registered,
    Registration,
    RegistryIdentity,
    Tombstone,
)
from ansible_collections.tracklib.vpn.plugins.module_utils.people.merge import Whose, known_of, overview
from ansible_collections.tracklib.vpn.plugins.module_utils.people.seen import GatewaySeen
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.facts import RegistryFacts
from ansible_collections.tracklib.vpn.plugins.module_utils.run import RunResult
from ansible_collections.tracklib.vpn.plugins.module_utils.whitelist import AccountSweeps

from .decisions import ACCOUNT, GRANTING, NOW, decided, key

ACCESS = Access.parse([{"groups": ["vpn"], "networks": ["10.20.0.0/16"]}], ACCOUNT)
IDENTITY = RegistryIdentity("r-1", ACCOUNT, "eu-west-1", "tracklib-vpn", "t-1")


def result(
    accounts: Sequence[AccountSweeps],
    registered: Sequence[Registration],
    *,
    tombstones: Sequence[Tombstone] = (),
    blocks: Sequence[Block] = (),
    peers: Sequence[Registration] = (),
    unreadable: Mapping[Device, str] | None = None,
    problems: Sequence[str] = (),
    missed: Mapping[str, list[str]] | None = None,
) -> RunResult:
    """What a run in check mode found; `peers` are the last decision's."""
    facts = RegistryFacts(
        registered=Registered(registered, unreadable or {}),
        tombstones=list(tombstones),
        blocks=list(blocks),
        signs=[],
        sweeps={each.account_id: each.stored for each in accounts if each.stored is not None},
        decision=Decision(tuple(peers)),
        gateway_keys=frozenset(),
        acknowledge=[],
        problems=[],
        surplus=[],
        gateways=tuple(sorted(missed or {})),
        missed=missed or {},
    )
    roster = decided(accounts, registered, tombstones=tombstones, blocks=blocks, peers=peers, unreadable=unreadable)
    return RunResult(IDENTITY, 7, NOW, facts, [], accounts, roster.decision, roster, None, list(problems))


def peer(number: int, *, age: int | None = 20, **changes: Any) -> dict[str, Any]:
    """The laptop of the user of that number as a gateway sees it, with its handshake so many seconds ago."""
    made = {
        "public_key": key(number),
        "user_name": f"user{number}",
        "device": "laptop",
        "account_id": ACCOUNT,
        "user_id": f"AIDA{number}",
        "expires_at": None,
        "allowed_ips": [f"10.44.0.{number + 2}/32"],
        "endpoint": "198.51.100.7:40000",
        "latest_handshake": None if age is None else int(NOW) - age,
        "transfer_rx": 4096,
        "transfer_tx": 100,
    }
    return {**made, **changes}


def gateway(name: str = "gw-1", *peers: Mapping[str, Any], **changes: Any) -> GatewaySeen:
    """A gateway that is well and has these peers."""
    info = {
        "peers": list(peers),
        "generation": 7,
        "roster_age": 60,
        "now": int(NOW),
        "interface_up": True,
        "barred": [],
        "drift": [],
        "notices": [],
        "problems": [],
    }
    return GatewaySeen(name, reached=True, info={**info, **changes}, endpoint="vpn.example.com:51820")


def unreached(name: str = "gw-2") -> GatewaySeen:
    """A gateway that doesn't answer."""
    return GatewaySeen(name, reached=False, error="it can't be reached: no route to host")


def view(found: RunResult, *gateways: GatewaySeen, user_name: str | None = None) -> dict[str, Any]:
    """What the module `devices_info` returns."""
    return overview(known_of(ACCOUNT, found, GRANTING, ACCESS), gateways, Whose(user_name))


def device(of: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The one device of that name."""
    (found,) = (each for each in of["devices"] if each["name"] == name)
    return dict(found)


def fingerprint_of(number: int) -> str:
    """The fingerprint of the key of that number."""
    return fingerprint(key(number))
