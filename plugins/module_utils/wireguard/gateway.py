# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""A handle for one gateway interface: its files, its clock, its locks, and how commands are run."""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Callable, ContextManager, Iterator

from .commands import Runner
from .files import LockHeldError, Site, locked

LOCK_TIMEOUT = 30.0  # seconds
CLOCKS_APART = 300  # seconds by which a roster may come from the future


class Gateway:
    """One gateway interface. In check mode nothing takes a lock, and nothing is done."""

    def __init__(self, site: Site, run: Runner, check_mode: bool = False, clock: Callable[[], float] = time.time):
        self.site = site
        self.run = run
        self.check_mode = check_mode
        self._clock = clock

    def of(self, site: Site) -> Gateway:
        """Return a handle for another interface of the same host."""
        return Gateway(site, self.run, self.check_mode, self._clock)

    def now(self) -> int:
        """Return the time in seconds since the epoch."""
        return int(self._clock())

    def apply_lock(self, timeout: float) -> ContextManager[None]:
        """Hold the lock of a whole apply, start or reload; wait up to `timeout` seconds for it."""
        return nullcontext() if self.check_mode else locked(self.site.apply_lock, timeout)

    def state_lock(self, timeout: float) -> ContextManager[None]:
        """Hold the lock of state, file and device; wait up to `timeout` seconds for it."""
        return nullcontext() if self.check_mode else locked(self.site.state_lock, timeout)

    @contextmanager
    def apply_lock_if_free(self) -> Iterator[bool]:
        """Hold the lock of a whole apply if nobody else does, and say whether it is held."""
        with ExitStack() as stack:
            is_held = True
            try:
                stack.enter_context(self.apply_lock(timeout=0))
            except LockHeldError:
                is_held = False
            yield is_held
