# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Shows the passphrase that M(tracklib.vpn.handout) makes once, on the terminal alone (R10, secrets stay home)."""

from __future__ import annotations

import glob
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

_NO_TERMINAL = (
    "nothing was registered: without a recipient a passphrase is made, and this run has no terminal of its own to show "
    "it on. Give the recipient's public key (handout_recipient), or start it in a terminal"
)

_NOT_SHOWN = (
    "the passphrase couldn't be shown, so nobody can open the file. If the device is registered now, hand it out again "
    "with replace (handout_replace)"
)


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible brings no types
    """Runs the module, with a pipe for the passphrase: neither file nor return value ever holds it."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        options = {name: value for name, value in self._task.args.items() if name != "passphrase_to"}
        if options.get("recipient"):
            return self._run_module(options, task_vars)
        try:
            terminal = _open_terminal(os.getppid(), os.environ)
        except OSError:
            return {"failed": True, "msg": _NO_TERMINAL}
        try:
            result, passphrase = self._run_with_pipe(options, task_vars)
            if passphrase and result.get("changed") and not self._task.check_mode:
                text = f"\nThe passphrase of {result['dest']}, shown only now: {passphrase}\n"
                os.write(terminal, text.encode())
        except OSError as error:
            return {"failed": True, "msg": f"{_NOT_SHOWN} ({error.strerror})"}
        finally:
            os.close(terminal)
        return result

    def _run_with_pipe(self, options: dict[str, Any], task_vars: dict[str, Any] | None) -> tuple[dict[str, Any], str]:
        with tempfile.TemporaryDirectory(prefix="tracklib-vpn-") as directory:  # mode 0700
            path = os.path.join(directory, "passphrase")
            os.mkfifo(path, 0o600)
            pipe = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # what is written stays in the kernel until it is read
            try:
                result = self._run_module({**options, "passphrase_to": path}, task_vars)
                return result, os.read(pipe, 1000).decode()
            finally:
                os.close(pipe)

    def _run_module(self, options: dict[str, Any], task_vars: dict[str, Any] | None) -> dict[str, Any]:
        result: dict[str, Any] = self._execute_module(
            module_name="tracklib.vpn.handout", module_args=options, task_vars=task_vars
        )
        return result


def _open_terminal(process: int, environ: Mapping[str, str]) -> int:
    """Open the controlling terminal of a process, whatever its output is redirected to.

    Ansible runs plugins in sessions of their own, for which /dev/tty is nothing; the terminal is that of their parent.

    :raises OSError: it has none, or one that ansible-runner made, which keeps what is shown there, as AWX does.
    """
    if "AWX_ISOLATED_DATA_DIR" in environ:
        raise OSError("ansible-runner keeps what is shown")
    # proc_pid_stat(5): state, ppid, pgrp, session and tty_nr follow the program's name, which may hold anything
    status = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
    number = int(status.rpartition(")")[2].split()[4])
    for path in [*glob.glob("/dev/pts/*"), *glob.glob("/dev/tty*"), "/dev/console"]:
        if number and os.path.exists(path) and os.stat(path).st_rdev == number:
            return os.open(path, os.O_WRONLY | os.O_NOCTTY)
    raise OSError("no controlling terminal")
