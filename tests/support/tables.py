# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What tests say of the registry's table, the clock that it asks, and a registry that tells what it was asked."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from ansible_collections.tracklib.vpn.plugins.module_utils.aws import AWSCallError

TABLE = "tracklib-vpn"
NOW = 1_800_000_000.0


class Clock:
    """The time in seconds, which only a test moves."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


class Noted:
    """A registry, or its devices, whose calls are noted in order; those that are `failing` do nothing but fail."""

    def __init__(self, target: Any, calls: list[str] | None = None, failing: Collection[str] = ()) -> None:
        self.calls: list[str] = [] if calls is None else calls
        self._target = target
        self._failing = failing

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._target, name)
        if not callable(found):
            return Noted(found, self.calls, self._failing)

        def call(*arguments: Any, **options: Any) -> Any:
            self.calls.append(name)
            if name in self._failing:
                raise AWSCallError("throttled")
            return found(*arguments, **options)

        return call
