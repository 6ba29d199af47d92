# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Start and reload of `wg-quick@.service`, as safe as an apply (R11): only differences, never `wg syncconf`.

What systemd runs in place of `wg-quick up` and of the `wg syncconf` that empties a device when its input fails. Both
take off who has expired, and a timer's unit does that alone.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Sequence

from . import config as wg_config
from . import device as wg_device
from . import firewall
from .apply import expire
from .commands import GatewayError, output, run
from .config import Config, body, digest
from .gateway import Gateway, converge, read_text
from .state import Site, State, StateError, load, write

_LOCK_TIMEOUT = 30.0  # seconds


class UnsafeError(GatewayError):
    """The files aren't those that the last apply left."""


def up(gateway: Gateway, max_age: int) -> str | None:
    """Start the interface: firewall, then interface, then the peers, if they can be trusted.

    :param max_age: of the roster, in seconds; an older one brings no peers (R12). 0 means any age will do.
    :returns: why there are no peers, for the journal; None if there are.
    :raises GatewayError: not started; without its firewall an interface never is (R13).
    """
    with gateway.lock(gateway.site.apply_lock, _LOCK_TIMEOUT):
        name = gateway.site.name
        if wg_device.read_link(gateway.run, name):
            _reload(gateway)
            return None
        text = read_text(gateway.site.config)
        if not text.strip():
            raise UnsafeError(f"{gateway.site.config} is missing or empty; run a reconcile")
        interface = wg_config.split(text).interface
        doubt = _doubt(gateway, text) or _too_old(gateway, max_age)
        wanted = wg_config.parse(interface if doubt else text)
        _load_firewall(gateway)
        _start(gateway, interface)
        _bring(gateway, wanted)
        return doubt


def reload(gateway: Gateway) -> None:
    """Load the firewall again and repair the device, from the files that the last apply left.

    :raises GatewayError: nothing was changed, if the files aren't those; or a command failed.
    """
    with gateway.lock(gateway.site.apply_lock, _LOCK_TIMEOUT):
        if not wg_device.read_link(gateway.run, gateway.site.name):
            raise GatewayError(f"{gateway.site.name} doesn't exist; start its unit instead")
        _reload(gateway)


def _reload(gateway: Gateway) -> None:
    text = read_text(gateway.site.config)
    doubt = _doubt(gateway, text)
    if doubt:
        raise UnsafeError(f"{doubt}; nothing was changed")
    wanted = wg_config.parse(text)
    _load_firewall(gateway)
    _bring(gateway, wanted)


def _doubt(gateway: Gateway, text: str) -> str | None:
    """Why the files can't be trusted to name the peers; None if they can."""
    site = gateway.site
    try:
        state = load(site)
    except StateError as error:
        return f"{error}; run a reconcile"
    if state is None:
        return f"{site.state} is missing, so nothing says whose peers are in {site.config}; run a reconcile"
    if digest(body(text)) not in state.config:
        return f"{site.config} is not what the last apply left, it was changed by hand or lost; run a reconcile"
    if digest(read_text(site.firewall)) not in state.firewall:
        return f"{site.firewall} is not what the last apply left, it was changed by hand or lost; run a reconcile"
    return None


def _too_old(gateway: Gateway, max_age: int) -> str | None:
    made_at = (load(gateway.site) or State()).made_at or 0
    age = gateway.now() - made_at
    if not max_age or age <= max_age:
        return None
    return f"the roster is {age // 60} minutes old, {max_age // 60} are allowed; peers wait for the next reconcile"


def _load_firewall(gateway: Gateway) -> None:
    firewall.check(gateway.run, read_text(gateway.site.firewall))
    gateway.act(["nft", "-f", str(gateway.site.firewall)])


def _start(gateway: Gateway, interface: str) -> None:
    """Let wg-quick make the interface without any peer."""
    file = gateway.site.run_dir / f"{gateway.site.name}.conf"
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write(file, interface)
    try:
        output(gateway.run, ["wg-quick", "up", str(file)])
    finally:
        file.unlink()


def _bring(gateway: Gateway, wanted: Config) -> None:
    """Give the device these peers, but nobody who is being removed, was revoked (R4) or has expired (R2)."""
    name = gateway.site.name
    with gateway.lock(gateway.site.state_lock, _LOCK_TIMEOUT):
        try:
            barred = (load(gateway.site) or State()).barred()
        except StateError:
            barred = set(wanted.peers)
        barred.update(wg_config.expired({key: peer.comment for key, peer in wanted.peers.items()}, gateway.now()))
        wanted = wanted._replace(peers={key: peer for key, peer in wanted.peers.items() if key not in barred})
        device, link = wg_device.read(gateway.run, name), wg_device.read_link(gateway.run, name)
        changes = wg_device.interface_changes(name, link, device, wanted.interface)
        converge(gateway, wg_device.diff(device.peers, wanted.peers), changes, wanted)


def main(arguments: Sequence[str]) -> int:
    """The program. :returns: its exit status; what went wrong is on stderr, so in the journal."""
    options = _options(arguments)
    gateway = Gateway(Site(options.name, options.config_dir, options.state_dir, options.run_dir), run)
    all_off = _expire(gateway)
    doubt = None
    try:
        if options.command == "up":
            doubt = up(gateway, options.max_age)
        elif options.command == "reload":
            reload(gateway)
        elif not all_off:
            return 1
    except (GatewayError, OSError) as error:
        _log(gateway, str(error))
        return 1
    if doubt:
        _log(gateway, f"started WITHOUT PEERS: {doubt}")
    return 0


def _expire(gateway: Gateway) -> bool:
    """Take off who has expired, and log that. :returns: whether all of it worked."""
    done = expire(gateway, _LOCK_TIMEOUT)
    removed = [f"removed {name}: its registration has expired" for name in done.removed]
    for message in [*removed, *done.repaired, *done.problems]:
        _log(gateway, message)
    return not done.problems


def _log(gateway: Gateway, message: str) -> None:
    sys.stderr.write(f"{gateway.site.name}: {message}\n")


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    site = Site("")
    parser = argparse.ArgumentParser(
        prog="wireguard", description="Start, reload or tidy a managed WireGuard interface."
    )
    parser.add_argument("command", choices=["up", "reload", "expire"], help="expire: only take off who has expired")
    parser.add_argument("name", help="the interface")
    parser.add_argument("--max-age", type=int, default=0, help="seconds; with an older roster, start without peers")
    parser.add_argument("--config-dir", type=Path, default=site.config_dir)
    parser.add_argument("--state-dir", type=Path, default=site.state_dir)
    parser.add_argument("--run-dir", type=Path, default=site.run_dir)
    return parser.parse_args(arguments)
