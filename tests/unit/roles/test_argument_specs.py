# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What a role says of its variables (meta/argument_specs.yml, README.md) is what it does (defaults/main.yml)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

ROLES = sorted(path for path in (Path(__file__).parents[3] / "roles").iterdir() if (path / "defaults").is_dir())


def _read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def _options(role: Path) -> dict[str, dict[str, Any]]:
    options: dict[str, dict[str, Any]] = _read(role / "meta" / "argument_specs.yml")["argument_specs"]["main"][
        "options"
    ]
    return options


@pytest.fixture(params=ROLES, ids=lambda role: role.name)
def role(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


def test_documented_defaults_are_the_real_ones(role: Path) -> None:
    options = _options(role)
    documented = {name: option["default"] for name, option in options.items() if "default" in option}
    real = _read(role / "defaults" / "main.yml")
    # antsibull-docs takes no template as the default of a list of dictionaries, or of a boolean
    undocumented = {
        name
        for name, value in real.items()
        if options[name].get("elements") == "dict" or (options[name]["type"] == "bool" and isinstance(value, str))
    }
    assert documented == {name: value for name, value in real.items() if name not in undocumented}


def test_variables_carry_the_name_of_their_role(role: Path) -> None:
    assert all(name.startswith(f"{role.name}_") for name in _options(role))


def test_readme_lists_every_variable(role: Path) -> None:
    readme = (role / "README.md").read_text(encoding="utf-8")
    assert [name for name in _options(role) if f"| `{name}` |" not in readme] == []
