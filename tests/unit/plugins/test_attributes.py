# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Attributes that modules share are in the fragments, and say what is so."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[3]
FRAGMENTS = {
    path.stem: yaml.safe_load(
        import_module(f"ansible_collections.tracklib.vpn.plugins.modules.{path.stem}").DOCUMENTATION
    ).get("extends_documentation_fragment", [])
    for path in (ROOT / "plugins/modules").glob("*.py")
}


def _with(fragment: str) -> set[str]:
    return {name for name, fragments in FRAGMENTS.items() if f"tracklib.vpn.attributes.{fragment}" in fragments}


def test_every_module_of_the_action_group_says_so_and_no_other() -> None:
    groups = yaml.safe_load((ROOT / "meta/runtime.yml").read_text())["action_groups"]
    assert _with("actiongroup_aws") == {entry for entry in groups["aws"] if isinstance(entry, str)}


def test_every_module_that_only_reads_says_so_by_the_fragment() -> None:
    assert _with("info_module") >= {name for name in FRAGMENTS if name.endswith("_info")}
