# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""How the VPN is: what is wrong, the gateways, who is connected, who is left out and why. Pure.

`view` is what the module `devices_info` returns, or what gateways alone say.
"""

from __future__ import annotations

from typing import Any, Iterator, Mapping

from ..wireguard.bars import how_to_release
from .devices import View, device_name, left_out_words, told_apart, unanswered
from .layout import Explained, ago, count, life, names, paragraph, section, size, span
from .merge import DeviceStatus
from .seen import CONNECTED

_SHOW_ALL = "status_all"


def status_report(view: View, now: float, *, max_age: int, show_all: bool) -> Explained:
    """Answer how the VPN is; whatever is wrong is a failure.

    :param max_age: of a gateway's roster, in seconds; 0 means any age will do.
    """
    limit = None if show_all else _SHOW_ALL
    wrong = list(_wrong(view, max_age))
    lines = [
        *_headline(view, wrong),
        *section("Gateways", _GATEWAY_HEADING, [_gateway_row(each) for each in view["gateways"]], limit),
        *section(
            "Sweeps of IAM", ("ACCOUNT", "NOW", "LAST STORED"), [_sweep_row(each, now) for each in view["accounts"]]
        ),
        *section("Peers", _PEER_HEADING, _peer_rows(view, now), limit),
        *section("Left out", ("DEVICE", "WHY"), _left_out_rows(view, now), limit),
        *section("Held removals", ("DEVICE",), [(name,) for name in view["held"]], limit),
        *section("Kept out by gateways (barred)", ("GATEWAY", "WHO"), _barred_rows(view), limit),
        *section("Strangers, whom no registration explains", _STRANGER_HEADING, _stranger_rows(view), limit),
    ]
    return Explained(lines, wrong, {"well": not wrong, **view})


def _headline(view: View, wrong: list[str]) -> list[str]:
    peers = [each for each in view["devices"] if _is_peer(each)]
    connected = sum(any(map(_is_connected, each["gateways"])) for each in peers)
    gateways = count(len(view["gateways"]), "gateway")
    summary = f"{gateways}, {count(len(peers), 'peer')}, {connected} connected"
    if not wrong:
        return [f"all well: {summary}"]
    sentences = [line for each in wrong for line in paragraph(each, "  ", begins="- ")]
    return [f"{count(len(wrong), 'thing')} to look at; {summary}", *sentences]


def _is_peer(device: View) -> bool:
    """Tell whether a gateway has a device as a peer; of one that can't be asked, the decision tells."""
    is_to_be = device["status"] != DeviceStatus.LEFT_OUT.value
    return any(is_to_be if seen["is_peer"] is None else seen["is_peer"] for seen in device["gateways"])


def _is_connected(seen: Mapping[str, Any]) -> bool:
    return seen["handshake_age"] is not None and seen["handshake_age"] <= CONNECTED


def _wrong(view: View, max_age: int) -> Iterator[str]:
    """Say what needs an operator, each in a sentence with what to do."""
    yield from unanswered(view)
    told = [account["error"] for account in view["accounts"] if account["error"] is not None]
    for problem in view["problems"]:
        if not any(problem.endswith(str(error)) for error in told):  # which unanswered() has said
            yield problem
    for gateway in view["gateways"]:
        yield from _wrong_at(gateway, max_age)
    for gateway in view["lost_gateways"]:
        untold = f", and may still have these peers: {names(gateway['missed'])}" if gateway["missed"] else ""
        yield (
            f"{gateway['name']} isn't in the inventory, though it was set up{untold}. Use an inventory that has it, "
            "or, if it is gone for good, have the registry forget it: registry_cleanup with registry_cleanup_gateways"
        )
    if view["strangers"]:
        found = names(
            sorted({f"{each['name'] or each['fingerprint']} on {each['gateway']}" for each in view["strangers"]})
        )
        live = count(len(view["strangers"]), "live peer")
        yield f"{live} without a registration: {found}. Run reconcile, which removes them"


def _wrong_at(gateway: View, max_age: int) -> Iterator[str]:
    name = gateway["name"]
    if gateway["error"] is not None and gateway["missed"]:
        yield f"{name}: may still be peers there: {names(gateway['missed'])}. Run reconcile once that is mended"
    if gateway["unrecorded"]:
        yield (
            f"{name} keeps {names(gateway['unrecorded'])} out by a revocation that the registry didn't get. Repeat the "
            f"revocation; or, to let them in, {how_to_release(*gateway['unrecorded'])}"
        )
    if gateway["interface_up"] is False:
        yield f"{name}: the interface is down or missing; look at its unit: systemctl status 'wg-quick@*'"
    for problem in gateway["problems"]:
        yield f"{name}: {problem}"
    if gateway["drift"]:
        yield f"{name} differs from what was applied: {names(gateway['drift'])}. Run reconcile, which repairs it"
    age = gateway["roster_age"]
    if max_age and age is not None and age > max_age:
        yield f"{name}: the last roster is {span(age)} old, {span(max_age)} are allowed. Run reconcile"
    if gateway["missing"]:
        yield f"{name}: not yet a peer: {names(gateway['missing'])}. Run reconcile, which adds them"
    if gateway["surplus"]:
        yield f"{name}: still a peer, though left out: {names(gateway['surplus'])}. Run reconcile, which removes them"


_GATEWAY_HEADING = ("GATEWAY", "INTERFACE", "PEERS", "GENERATION", "ROSTER", "STATE")
_PEER_HEADING = ("DEVICE", "GATEWAY", "HANDSHAKE", "ENDPOINT", "RECEIVED", "SENT", "LIFE")
_STRANGER_HEADING = ("GATEWAY", "NAME THERE", "KEY", "HANDSHAKE", "ENDPOINT", "ADDRESSES")


def _gateway_row(gateway: View) -> tuple[str, ...]:
    if gateway["error"] is not None:
        return (gateway["name"], "unknown", "-", "-", "-", gateway["error"])
    found = [f"drift: {names(gateway['drift'])}" if gateway["drift"] else "", *gateway["problems"]]
    found += [f"notice: {each}" for each in gateway["notices"]]
    age = gateway["roster_age"]
    return (
        gateway["name"],
        "up" if gateway["interface_up"] else "down",
        str(gateway["peers"]),
        str(gateway["generation"] or "none"),
        "none" if age is None else ago(age),
        "; ".join(each for each in found if each) or "as applied",
    )


def _sweep_row(account: View, now: float) -> tuple[str, ...]:
    stored = account["stored_at"]
    state = "complete" if account["complete"] else f"incomplete: {account['error']}"
    return (account["account_id"], state, "never" if stored is None else ago(now - stored))


def _peer_rows(view: View, now: float) -> list[tuple[str, ...]]:
    """Make a row for each live peer that has a name, who was seen last first."""
    apart = told_apart(view["devices"])
    live = [(seen, device) for device in view["devices"] for seen in device["gateways"] if seen["is_peer"]]
    live.sort(key=lambda each: (each[0]["handshake_age"] is None, each[0]["handshake_age"] or 0, each[1]["name"]))
    return [
        (
            device_name(device, apart),
            seen["gateway"],
            ago(seen["handshake_age"]),
            seen["endpoint"] or "-",
            size(seen["transfer_rx"]),
            size(seen["transfer_tx"]),
            life(device["expires_at"], now),
        )
        for seen, device in live
    ]


def _left_out_rows(view: View, now: float) -> list[tuple[str, ...]]:
    apart = told_apart(view["devices"])
    left_out = [each for each in view["devices"] if each["status"] == DeviceStatus.LEFT_OUT.value]
    return [(device_name(each, apart), left_out_words(each, now)) for each in left_out]


def _barred_rows(view: View) -> list[tuple[str, ...]]:
    return [(gateway["name"], name) for gateway in view["gateways"] for name in gateway["barred"]]


def _stranger_rows(view: View) -> list[tuple[str, ...]]:
    return [
        (
            each["gateway"],
            each["name"] or "-",
            each["fingerprint"],
            ago(each["handshake_age"]),
            each["endpoint"] or "-",
            ", ".join(each["allowed_ips"]),
        )
        for each in view["strangers"]
    ]
