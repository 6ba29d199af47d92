# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""A real gateway host, as far as the model is concerned: wg, wg-quick, ip, nft and sysctl in a network namespace.

Requires root. There is one at a time: the next one, or `remove_leftovers`, removes it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ansible_collections.tracklib.vpn.plugins.module_utils.wireguard import commands

from tests.support.wireguard_host import make_namespace


class RealHost:
    """Runs commands. `start_unit` is what systemd runs for the interface's unit."""

    def __init__(self, name: str, start_unit: Callable[[], int]) -> None:
        _namespace, self._inside = make_namespace()
        self._restart = ["systemctl", "restart", f"wg-quick@{name}"]
        self._start_unit = start_unit

    def __call__(self, args: Sequence[str], stdin: str = "") -> commands.CommandResult:
        """Run a command."""
        if list(args) == self._restart:
            return commands.CommandResult(self._start_unit(), "", "")
        return commands.run([*self._inside, *args], stdin)
