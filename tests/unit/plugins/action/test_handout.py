# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The controller's half of handout: it never runs the module without a place to show the passphrase."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.tracklib.vpn.plugins.action import handout


class Action(handout.ActionModule):
    """Notes whether the module would run."""

    def __init__(self, **options: Any) -> None:
        self._task = SimpleNamespace(args=options, async_val=0, check_mode=False, _collections=[])
        self._connection: Any = SimpleNamespace(_shell=SimpleNamespace(tmpdir=None))
        self.ran = False

    def _run_module(self, options: dict[str, Any], task_vars: dict[str, Any] | None) -> dict[str, Any]:
        del options, task_vars
        self.ran = True
        return {"changed": True, "dest": "/srv/kim/carol.age"}


@pytest.fixture
def no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ansible is ansible-runner's."""
    monkeypatch.setenv("AWX_ISOLATED_DATA_DIR", "/runner/artifacts/1")


@pytest.mark.usefixtures("no_terminal")
def test_r10_without_recipient_and_terminal_the_module_does_not_run() -> None:
    action = Action()
    result = action.run()
    assert result["failed"]
    assert "handout_recipient" in result["msg"]
    assert not action.ran


@pytest.mark.usefixtures("no_terminal")
def test_recipient_requires_no_terminal() -> None:
    action = Action(recipient="age1…")
    assert action.run()["changed"]
    assert action.ran
