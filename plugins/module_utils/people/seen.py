# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What gateways said when they were read. Pure.

`info` is the result of the module `wireguard_interface_info`. Times are seconds since the epoch by the gateway's clock.
"""

from __future__ import annotations

import re
from typing import Any, Iterable, Iterator, Mapping, NamedTuple, Sequence

from ..keys import fingerprint
from ..wireguard.bars import Bar
from ..wireguard.config import PeerLabel

CONNECTED = 180  # seconds; WireGuard makes a new handshake every 2 minutes while packets flow
NOBODY = PeerLabel()
_UNANSWERED_SUDO = re.compile(r"Timeout \((\d+)s\) waiting for privilege escalation prompt")  # of ansible-core
_SSH = re.compile(r"(?:Failed to connect to the host via|.* can be reached over) ssh: ")  # of ansible-core
# of OpenSSH, among what a server's banner says
_SSH_SAYS = re.compile(r"ssh: |Permission denied|[Cc]onnection (?:refused|reset|closed|timed out)|verification failed")
_OTHER_HOST_KEY = "REMOTE HOST IDENTIFICATION HAS CHANGED"  # of OpenSSH
_ANSIBLES = frozenset({"changed", "failed", "invocation", "warnings", "deprecations"})  # not what was read


class GatewaySeen(NamedTuple):
    """A gateway, and what was read there; `info` is empty, and `error` says why, if nothing was."""

    name: str
    reached: bool
    info: Mapping[str, Any] = {}
    error: str | None = None
    endpoint: str | None = None  # what devices dial, HOST:PORT

    def peer(self, public_key: str) -> Mapping[str, Any] | None:
        """Find a live peer."""
        return next((peer for peer in self.peers if peer["public_key"] == public_key), None)

    def bar_on(self, label: PeerLabel) -> Mapping[str, Any] | None:
        """Find what keeps a device out there by a revocation without a roster, first what no later run ends."""
        found = [barring for barring in self.info.get("barred", []) if _as_bar(barring).names(label)]
        return min(found, key=_is_recorded, default=None)

    @property
    def peers(self) -> Sequence[Mapping[str, Any]]:
        """The live device's peers."""
        peers: Sequence[Mapping[str, Any]] = self.info.get("peers", [])
        return peers


def from_options(gateways: Iterable[Mapping[str, Any]]) -> list[GatewaySeen]:
    """Read gateways as playbooks and modules hand them on."""
    return [
        GatewaySeen(each["name"], each["reached"], each.get("info") or {}, each.get("error"), each.get("endpoint"))
        for each in gateways
    ]


def from_host_variables(hosts: Iterable[Mapping[str, Any]], registered: str) -> Iterator[dict[str, Any]]:
    """Make of each gateway's variables what the module `devices_info` takes.

    :param registered: the variable with the result of reading the gateway; missing where --limit left it out.
    """
    for host in hosts:
        name, result = host["inventory_hostname"], host.get(registered)
        if result is None:
            yield _unread(name, "it was not asked, --limit leaves it out")
        elif result.get("unreachable", False):
            yield _unread(name, f"it can't be reached: {_reason(result)}")
        elif "peers" not in result:
            yield {**_unread(name, f"it could not be read: {_reason(result)}"), "reached": True}
        else:
            yield {
                "name": name,
                "reached": True,
                "error": None,
                "endpoint": _endpoint(host.get("wireguard_endpoint"), result.get("listen_port")),
                "info": {key: value for key, value in result.items() if key not in _ANSIBLES},
            }


def _unread(name: str, error: str) -> dict[str, Any]:
    return {"name": name, "reached": False, "error": error, "endpoint": None, "info": {}}


def _reason(result: Mapping[str, Any]) -> str:
    return first_line(str(result.get("msg", "no reason was given")))


def first_line(message: str) -> str:
    """Return what a message begins with; of SSH's, between banners and warnings, why there is no connection."""
    if _OTHER_HOST_KEY in message:
        return (
            "its SSH host key isn't the one that is known: the host was made anew, or somebody answers in its place. "
            "Find out which before you accept the new key"
        )
    if waited := _UNANSWERED_SUDO.search(message):
        return f"it took the connection, and sudo didn't answer within {waited[1]} s: the host hangs, or is overloaded"
    message = message.removeprefix("Task failed: ")
    lines = [line.strip().rstrip(":") for line in message.split("\n")]
    if ssh := _SSH.match(lines[0]):
        lines[0] = lines[0][ssh.end() :]
        said = next((line for line in lines if _SSH_SAYS.search(line)), lines[0])
        return f"Failed to connect to the host via ssh: {said}"
    return lines[0]


def _endpoint(host: str | None, port: int | None) -> str | None:
    if not host or not port:
        return None
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _as_bar(barring: Mapping[str, Any]) -> Bar:
    user_name, _slash, device = barring["name"].partition("/")
    return Bar(user_name, device, barring.get("account_id", ""), barring.get("user_id", ""))


def _is_recorded(barring: Mapping[str, Any]) -> bool:
    return bool(barring.get("generation", 0))


def peer_view(gateway: GatewaySeen, peer: Mapping[str, Any] | None, label: PeerLabel = NOBODY) -> dict[str, Any]:
    """Say of a device what a gateway knows of it; `barred` names a revocation that only an operator can end."""
    barring = gateway.bar_on(label)
    view = {
        "gateway": gateway.name,
        "is_peer": peer is not None if gateway.info else None,
        "barred": None if barring is None or _is_recorded(barring) else barring["name"],
    }
    for name in ("latest_handshake", "endpoint", "transfer_rx", "transfer_tx"):
        view[name.replace("latest", "last")] = None if peer is None else peer.get(name)
    return {**view, "handshake_age": None if peer is None else _age(gateway, peer)}


def _age(gateway: GatewaySeen, peer: Mapping[str, Any]) -> int | None:
    handshake, now = peer.get("latest_handshake"), gateway.info.get("now")
    return None if handshake is None or now is None else max(0, now - handshake)


def stranger(gateway: GatewaySeen, peer: Mapping[str, Any]) -> dict[str, Any]:
    """Describe a live peer that no registration explains."""
    label = f"{peer['user_name']}/{peer['device']}" if peer.get("user_name") else None
    return {
        **peer_view(gateway, peer),
        "name": label,  # as the gateway's file has it
        "user_id": peer.get("user_id") or None,
        "fingerprint": fingerprint(peer["public_key"]),
        "allowed_ips": list(peer.get("allowed_ips", [])),
    }


def gateway_view(gateway: GatewaySeen) -> dict[str, Any]:
    """Say how a gateway is; what isn't known is null."""
    info = gateway.info
    return {
        "name": gateway.name,
        "reached": gateway.reached,
        "error": gateway.error,
        "endpoint": gateway.endpoint,
        "interface_up": info.get("interface_up"),
        "generation": info.get("generation"),
        "roster_age": info.get("roster_age"),
        "peers": len(gateway.peers) if info else None,
        "barred": [each["name"] for each in info.get("barred", [])],
        "unrecorded": [each["name"] for each in info.get("barred", []) if not _is_recorded(each)],
        "drift": list(info.get("drift", [])),
        "notices": list(info.get("notices", [])),
        "problems": list(info.get("problems", [])),
    }
