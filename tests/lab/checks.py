# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What must hold of a fresh lab for its tests to mean anything."""

from __future__ import annotations

import concurrent.futures
import time

from .hosts import GATEWAYS, LAPTOPS, METADATA, SERVICE_ADDRESSES, Host
from .machine import LabError, podman

SETTLE = 120  # seconds: the service may still be starting, and the machine be busy
WAIT = 1  # second: a page comes in milliseconds, a dropped packet never
# eth0: on a laptop the way outside any tunnel that is up
PAGE = "curl -g --silent --output /dev/null --max-time {wait} {interface} 'http://{address}/' && echo '{address}' &"


def check_network() -> None:
    """Check that gateways reach the service and the metadata stand-in, and that laptops reach neither directly.

    :raises LabError: Something is reached, or isn't, against what the lab is for.
    """
    expected = {host: set(_addresses()) if host in GATEWAYS else set() for host in (*GATEWAYS, *LAPTOPS)}
    with concurrent.futures.ThreadPoolExecutor() as pool:
        found = dict(zip(expected, pool.map(_settled, expected, expected.values()), strict=True))
    wrong = [
        f"{host.name} reaches {sorted(found[host]) or 'nothing'}, expected {sorted(expected[host]) or 'nothing'}"
        for host in expected
        if found[host] != expected[host]
    ]
    if wrong:
        raise LabError("the lab's networks aren't as they should be:\n" + "\n".join(wrong))


def _addresses() -> list[str]:
    return [f"[{address}]" if ":" in address else address for address in (*SERVICE_ADDRESSES, *METADATA)]


def _settled(host: Host, expected: set[str]) -> set[str]:
    """Return what the host reaches, once that is what is expected or too much time has passed."""
    give_up = time.monotonic() + SETTLE
    while (reached := _reached(host)) != expected and time.monotonic() < give_up:
        time.sleep(0.2)
    return reached


def _reached(host: Host) -> set[str]:
    """Return the addresses of which the host gets a page, without any tunnel."""
    interface = "--interface eth0" if host in LAPTOPS else ""
    script = "\n".join(PAGE.format(wait=WAIT, interface=interface, address=address) for address in _addresses())
    return set(podman("exec", host.container, "sh", "-c", script + "\nwait").split())
