# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What runs on a gateway needs Python 3.8 and its standard library, nothing else."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

PLUGINS = Path(__file__).parents[5] / "plugins"
PACKAGES = ("wireguard", "probe", "listener")
FILES = sorted(path for package in PACKAGES for path in (PLUGINS / "module_utils" / package).glob("*.py"))
MODULES = [PLUGINS / f"modules/{name}.py" for name in ("name_probe", "wireguard_interface", "wireguard_interface_info")]
_OWN = tuple(f"ansible_collections.tracklib.vpn.plugins.module_utils.{package}." for package in PACKAGES)
_NEWER = {"graphlib", "tomllib", "zoneinfo"}  # than 3.8


def _imported(tree: ast.AST) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add(node.module or "")
    return names


def test_there_is_something_to_check() -> None:
    assert len(FILES) > 14
    assert all(path.exists() for path in MODULES)


@pytest.mark.parametrize("path", [*FILES, *MODULES], ids=lambda path: f"{path.parent.name}/{path.name}")
def test_it_compiles_on_python_3_8_and_imports_nothing_that_a_gateway_lacks(path: Path) -> None:
    tree = ast.parse(path.read_text(), feature_version=(3, 8))
    allowed = {"ansible.module_utils.basic"} if path in MODULES else set()
    strange = {
        name
        for name in _imported(tree) - allowed
        if not name.startswith(_OWN) and (name.partition(".")[0] not in sys.stdlib_module_names or name in _NEWER)
    }
    assert strange == set()
