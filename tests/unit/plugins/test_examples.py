# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The examples of the modules are tasks that the modules take: what they give is checked as a module checks it."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common.arg_spec import ModuleArgumentSpecValidator

NAMESPACE = "tracklib.vpn."
MODULES = sorted(path.stem for path in (Path(__file__).parents[3] / "plugins/modules").glob("*.py"))
# what an action plugin adds
ADDED = {"wireguard_interface": lambda options: {"config_file": "/run/x"} if "roster" in options else {}}
UNKNOWN: dict[str, Any] = {"bool": True, "dict": {}, "float": 1.0, "int": 1, "list": []}  # for what a template makes


class _Made(Exception):
    """What a module was made with, before it did anything."""

    def __init__(self, arguments: dict[str, Any]) -> None:
        super().__init__()
        self.arguments = arguments


@pytest.fixture
def validators(monkeypatch: pytest.MonkeyPatch) -> dict[str, ModuleArgumentSpecValidator]:
    """Checks the options of each module of the collection, by its name."""

    def stop(_module: AnsibleModule, **arguments: Any) -> None:
        raise _Made(arguments)

    monkeypatch.setattr(AnsibleModule, "__init__", stop)
    found = {}
    for name in MODULES:
        with pytest.raises(_Made) as made:
            import_module(f"ansible_collections.{NAMESPACE}plugins.modules.{name}").main()
        arguments = made.value.arguments
        conditions = ("mutually_exclusive", "required_together", "required_one_of", "required_if", "required_by")
        found[name] = ModuleArgumentSpecValidator(
            arguments["argument_spec"], **{condition: arguments.get(condition) for condition in conditions}
        )
    return found


def _examples(name: str) -> list[dict[str, Any]]:
    module = import_module(f"ansible_collections.{NAMESPACE}plugins.modules.{name}")
    tasks: list[dict[str, Any]] = yaml.safe_load(module.EXAMPLES)
    return tasks


def _filled(value: Any, spec: dict[str, Any]) -> Any:
    """The value of an option, with something of the right type for each template in it."""
    if isinstance(value, str) and "{{" in value:
        return UNKNOWN.get(spec.get("type", "str"), value)
    if isinstance(value, list):
        return [_filled(one, {**spec, "type": spec.get("elements", "str")}) for one in value]
    if isinstance(value, dict):
        inner = spec.get("options", {})
        return {name: _filled(one, inner.get(name, {})) for name, one in value.items()}
    return value


@pytest.mark.parametrize("name", MODULES)
def test_examples_are_what_the_modules_take(name: str, validators: dict[str, ModuleArgumentSpecValidator]) -> None:
    tasks = _examples(name)
    assert any(f"{NAMESPACE}{name}" in task for task in tasks)
    for task in tasks:
        for module in (key.removeprefix(NAMESPACE) for key in task if key.startswith(NAMESPACE)):
            options = _filled(task[f"{NAMESPACE}{module}"], {"options": validators[module].argument_spec})
            added = ADDED[module](options) if module in ADDED else {}
            result = validators[module].validate({**options, **added})
            assert result.error_messages == [], task["name"]
