# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Runs a module in Ansible's own process on the controller, as `ansible.netcommon` does for network devices.

Packing a module, starting Python and loading the AWS SDK takes longer than what our modules do. Ansible's process has
done all of that: it is a fork, made for the task and gone with it, of one that has read the inventory.
"""

from __future__ import annotations

import json
import sys
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout, suppress
from importlib import import_module
from io import StringIO
from typing import Any, Iterator

from ansible.module_utils import basic
from ansible.module_utils.common.json import Direction, get_module_encoder
from ansible.plugins.action.normal import ActionModule as UsualAction
from ansible.utils.display import Display
from ansible.vars.clean import remove_internal_keys

_PROFILE = "legacy"  # how ansible-core writes the arguments and results of Python modules
_MODULES = "ansible_collections.tracklib.vpn.plugins.modules"


class ActionModule(UsualAction):  # type: ignore[misc]  # ansible brings no types
    """Runs the module of the same name here, unless the task says anything that only a process of its own can do."""

    def _execute_module(self, *args: Any, task_vars: dict[str, Any], **options: Any) -> dict[str, Any]:
        if not self._fits(task_vars):
            result: dict[str, Any] = super()._execute_module(*args, task_vars=task_vars, **options)
            return result
        Display().vvv(f"Running {self._task.action} in Ansible's own process")
        arguments = dict(self._task.args)
        self._update_module_args(self._task.action, arguments, task_vars)
        module = import_module(f"{_MODULES}.{self._task.action.rpartition('.')[2]}")
        # paths start at the playbook's directory, as on any local connection
        with chdir(self._loader.get_basedir()), _given(arguments) as output, suppress(SystemExit):
            module.main()
        result = self._parse_returned_data({"stdout": output.getvalue()}, _PROFILE)
        remove_internal_keys(result)
        return result

    def _fits(self, task_vars: dict[str, Any]) -> bool:
        """Whether the module would run as this user, in this environment, by this Python."""
        return (
            self._connection.transport == "local"
            and self._connection.become is None
            and not self._task.async_val
            and not self._task.delegate_to
            and not any(self._task.environment or [])
            and self._templar.template(task_vars.get("ansible_python_interpreter")) == sys.executable
            and hasattr(basic, "_ANSIBLE_PROFILE")  # internal: without it the usual way is right, if slower
        )


@contextmanager
def _given(arguments: dict[str, Any]) -> Iterator[StringIO]:
    """Give a module its arguments where it looks for them; yields what it prints, which is its result."""
    encoder = get_module_encoder(_PROFILE, Direction.CONTROLLER_TO_MODULE)
    before = basic._ANSIBLE_ARGS, basic._ANSIBLE_PROFILE
    basic._ANSIBLE_ARGS = json.dumps({"ANSIBLE_MODULE_ARGS": arguments}, cls=encoder).encode()
    basic._ANSIBLE_PROFILE = _PROFILE
    try:
        with redirect_stdout(StringIO()) as output, redirect_stderr(StringIO()):
            yield output
    finally:
        basic._ANSIBLE_ARGS, basic._ANSIBLE_PROFILE = before
