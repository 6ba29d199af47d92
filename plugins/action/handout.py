# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Shows the passphrase that M(tracklib.vpn.handout) makes once, on the terminal alone (R10, secrets stay home)."""

from __future__ import annotations

import os
import tempfile
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible brings no types
    """Runs the module, with a pipe for the passphrase: neither file nor return value ever holds it."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        options = {name: value for name, value in self._task.args.items() if name != "passphrase_to"}
        if options.get("recipient"):
            return self._run_module(options, task_vars)
        with tempfile.TemporaryDirectory(prefix="tracklib-vpn-") as directory:  # mode 0700
            path = os.path.join(directory, "passphrase")
            os.mkfifo(path, 0o600)
            pipe = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # what is written stays in the kernel until it is read
            try:
                result = self._run_module({**options, "passphrase_to": path}, task_vars)
                passphrase = os.read(pipe, 1000).decode()
            finally:
                os.close(pipe)
        if passphrase and result.get("changed") and not self._task.check_mode:
            # on the screen only: a log file doesn't get it
            Display().display(f"The passphrase of {result['dest']}, shown only now: {passphrase}", screen_only=True)
        return result

    def _run_module(self, options: dict[str, Any], task_vars: dict[str, Any] | None) -> dict[str, Any]:
        result: dict[str, Any] = self._execute_module(
            module_name="tracklib.vpn.handout", module_args=options, task_vars=task_vars
        )
        return result
