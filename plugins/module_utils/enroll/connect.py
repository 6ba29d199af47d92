# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""From a registration to a tunnel that works, without ever leaving the machine without names (R18, recovery)."""

from __future__ import annotations

import socket
import time
from typing import Any, Mapping

from ..client.config import ClientTunnel, DnsFlavour, asks_every_name, render
from .device import Enrollment
from .machine import Machine, MachineError
from .terminal import Screen

_TRIES = 3  # for a name: what resolves names is told of new servers a moment after the tunnel starts


class Connection:
    """The tunnel of this machine, from its start to the check that names are found."""

    def __init__(self, machine: Machine, screen: Screen, tunnel: ClientTunnel) -> None:
        self._machine = machine
        self._screen = screen
        self._tunnel = tunnel

    def establish(self, enrollment: Enrollment) -> None:
        """Start the tunnel, wait for the gateway, and only then ask it for names, where it is asked for all of them.

        :raises MachineError: the gateway doesn't answer; then the machine asks it for no names.
        """
        exclusive = asks_every_name(self._tunnel.dns)
        if exclusive and (enrollment.unknown or not self._machine.is_known()):
            self._start(self._tunnel._replace(dns=DnsFlavour.NONE), restart=enrollment.unknown)
            self._wait(enrollment)
            self._start(self._tunnel, restart=False)
        else:
            self._start(self._tunnel, restart=enrollment.unknown)
        self._wait(enrollment)
        self._screen.say(f"the gateway {self._tunnel.endpoint} answers")

    def check_names(self, private: str | None, public: str) -> None:
        """Check that a private name is found, and a public one still is.

        :param private: chosen by the operators; None if they chose none.
        :param public: where users reach the self-service function.
        :raises MachineError: one isn't. If it is the public one, the tunnel is asked for no names any more.
        """
        if asks_every_name(self._tunnel.dns) and _addresses(public) is None:
            self._start(self._tunnel._replace(dns=DnsFlavour.NONE), restart=False)
            raise MachineError(
                f"through the tunnel {public} wasn't found, nor would any other public name be. This machine doesn't "
                "ask the tunnel for names any more; networks are reached by addresses. Tell the operators of the VPN"
            )
        if private is None or not self._tunnel.domains or self._tunnel.dns is DnsFlavour.NONE:
            return
        found = _addresses(private)
        if found is None:
            raise MachineError(
                f"the tunnel works, but the private name {private} doesn't resolve; see `resolvectl status`, and tell "
                "the operators of the VPN"
            )
        self._screen.say(f"the private name {private} resolves to {', '.join(found)}")

    def _start(self, tunnel: ClientTunnel, *, restart: bool) -> None:
        self._machine.bring_up(render(tunnel, private_key_file=self._machine.key_file), restart)
        self._screen.say(f"the interface {self._machine.interface} is up")

    def _wait(self, enrollment: Enrollment) -> None:
        """Show progress until the gateway answers a handshake.

        :raises MachineError: it didn't by the time at which it must know this machine.
        """
        bound = enrollment.wait(time.time())
        begun = time.monotonic()
        while not self._machine.is_known():
            waited = time.monotonic() - begun
            if waited > bound:
                raise MachineError(
                    f"gateway {self._tunnel.endpoint} didn't answer within {bound} s. The registration is made, and "
                    "this can be run again. Check that this network lets UDP out to that port and that this machine's "
                    "clock is right; then ask the operators of the VPN whether their last reconcile succeeded"
                )
            self._screen.say(f"waiting until the gateway knows this machine, {waited:.0f} of at most {bound} s")
            self._machine.knock(self._tunnel.keepalive)
            time.sleep(2)


def check_private_names(tunnel: ClientTunnel, said: Mapping[str, Any]) -> None:
    """Say at the end if this machine has no way to find private names.

    :param said: the function's answer.
    :raises MachineError: it hasn't, though there are some; saying what to do.
    """
    if tunnel.dns is not DnsFlavour.NONE or not tunnel.domains:
        return
    zones = ", ".join(tunnel.domains)
    ways = "systemd-resolved (Debian, Ubuntu: sudo apt install systemd-resolved)"
    if said.get("answers_other_names", False):
        ways += " or resolvconf (sudo apt install openresolv)"
    raise MachineError(
        f"the tunnel works, but this machine isn't told to ask it for private names ({zones}), by which services are "
        f"found. Install {ways} and run this again; or go without: --dns none"
    )


def _addresses(name: str) -> list[str] | None:
    for attempt in range(_TRIES):
        if attempt:
            time.sleep(1)
        try:
            return sorted({str(answer[4][0]) for answer in socket.getaddrinfo(name, None)})
        except OSError:
            continue
    return None
