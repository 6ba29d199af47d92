# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The service on a gateway that waits for revocations in the gateway's own queue, and can do nothing else.

A message only bars (R6, no resurrection): it is refused where it is of another registry, and harmless where it is
doubled, late or out of order. What it doesn't get done, the next run of `reconcile` does.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Callable, Sequence

from ..wireguard.commands import run
from ..wireguard.files import Site
from ..wireguard.gateway import Gateway
from ..wireguard.operations import revoke
from ..wireguard.order import Origin, RevokeOrder
from ..wireguard.plan_former import other_sites
from ..wireguard.state import State, StateError, load, load_copy
from .message import RefusedMessageError, RevocationMessage, read_message
from .metadata import RoleCredentials
from .queue import Queue, Received

_LOCK_TIMEOUT = 5.0  # seconds, for each of ten messages at most: what wasn't done after 60 comes back
_SOON = 1.0  # seconds
_PAUSES = (1, 2, 4, 8, 16, 32, 60)  # seconds after so many failures in a row

Log = Callable[[str], object]


def main(arguments: Sequence[str]) -> int:
    """Run the service until it is stopped; what happens is on stderr, so in the journal."""
    options = _options(arguments)
    gateway = Gateway(Site(options.name, options.config_dir, options.state_dir, options.run_dir), run)
    queue = Queue(options.queue, options.region, RoleCredentials())
    _log(f"waits for revocations in {options.queue}")
    listener = Listener(queue, gateway, _log)
    while True:
        listener.listen_once()


class Listener:
    """Takes messages from a queue to a gateway."""

    def __init__(self, queue: Queue, gateway: Gateway, log: Log, sleep: Callable[[float], object] = time.sleep) -> None:
        self._queue = queue
        self._gateway = gateway
        self._log = log
        self._sleep = sleep
        self._failures = 0  # in a row
        self._failure = ""  # the last one that was logged

    def listen_once(self) -> None:
        """Wait for messages once, and do what they say; after a failure, pause."""
        begun = time.monotonic()
        try:
            waiting = self._queue.receive()
            if (
                not waiting and time.monotonic() < begun + _SOON
            ):  # what answers at once is no queue that one can wait at
                self._sleep(_SOON)
            done = [received for received in waiting if self._take(received)]
            for received in done:  # what can't be deleted comes back, and is done already
                self._queue.delete(received.receipt_handle)
        except OSError as error:
            self._pause(str(error))
        else:
            if self._failure:
                self._log("the queue answers again")
            self._failures, self._failure = 0, ""

    def _pause(self, failure: str) -> None:
        if failure != self._failure:
            self._log(f"{failure}; trying again. Until then only runs of reconcile revoke here")
        self._failure = failure
        self._sleep(_PAUSES[min(self._failures, len(_PAUSES) - 1)])
        self._failures += 1

    def _take(self, received: Received) -> bool:
        """Do what a message says. :returns: whether it is done with, for good or ill; if not, it comes back."""
        try:
            message = read_message(received.body, received.sent_at)
            self._refuse_other_registry(message)
        except RefusedMessageError as error:
            self._log(f"refused a message: {error}")
            return True
        except OSError as error:  # it keeps no other message waiting
            self._log(f"a message waits in the queue: {error}")
            return False
        report = revoke(RevokeOrder(message.barred, lock_timeout=_LOCK_TIMEOUT), self._gateway)
        for name in report.removed:
            self._log(f"removed {name}: revoked by {message.event_id}")
        for said in (*report.notices, *report.problems):
            self._log(said)
        return not report.problems or report.stale

    def _refuse_other_registry(self, message: RevocationMessage) -> None:
        """Hold R16, the wrong world is refused.

        :raises RefusedMessageError: this gateway follows another registry.
        :raises OSError: it can't be told which one it follows. A first roster may be on its way that has the leaver,
            or a state file was lost: the message stays until a registry is followed again.
        """
        followed = self._followed()
        if not followed:
            raise OSError(
                f"{message.barred.name} is to be off, and this gateway follows no registry that is known; run reconcile"
            )
        if all(each.identity != message.registry for each in followed):
            raise RefusedMessageError(
                f"it is of the registry {message.registry}, and this gateway follows {', '.join(map(str, followed))}"
            )

    def _followed(self) -> list[Origin]:
        """List the registries that this interface follows, and others of ours, as one that was renamed."""
        sites = [self._gateway.site, *other_sites(self._gateway.site)]
        return [state.registry for state in map(_last_known, sites) if state is not None and state.registry is not None]


def _last_known(site: Site) -> State | None:
    try:
        state = load(site)
    except StateError:
        state = None
    return load_copy(site) if state is None else state


def _log(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    site = Site("")
    parser = argparse.ArgumentParser(prog="listener", description="Take revoked peers off a WireGuard interface.")
    parser.add_argument("name", help="the interface")
    parser.add_argument("--queue", required=True, help="the URL of the gateway's queue")
    parser.add_argument("--region", required=True, help="the region of the queue")
    parser.add_argument("--config-dir", type=Path, default=site.config_dir)
    parser.add_argument("--state-dir", type=Path, default=site.state_dir)
    parser.add_argument("--run-dir", type=Path, default=site.run_dir)
    return parser.parse_args(arguments)
