# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What the collection's modules claim of themselves: check mode, diff mode, idempotence."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any

import yaml

NAMESPACE = "ansible_collections.tracklib.vpn.plugins"


def claims(name: str) -> dict[str, str]:
    """The support that a module's documentation, with its fragments, claims for each attribute."""
    documented = yaml.safe_load(import_module(f"{NAMESPACE}.modules.{name}").DOCUMENTATION)
    said: dict[str, dict[str, Any]] = {}
    for attributes in (*_fragments(documented["extends_documentation_fragment"]), documented.get("attributes", {})):
        for attribute, details in attributes.items():
            said.setdefault(attribute, {}).update(details)
    return {attribute: details["support"] for attribute, details in said.items() if attribute != "action_group"}


def _fragments(names: list[str]) -> Iterator[dict[str, Any]]:
    """The attributes in the collection's own fragments, which are named `tracklib.vpn.NAME` or with `.SECTION`."""
    for name in names:
        if name.startswith("tracklib.vpn."):
            fragment, _dot, section = name.removeprefix("tracklib.vpn.").partition(".")
            made = import_module(f"{NAMESPACE}.doc_fragments.{fragment}").ModuleDocFragment
            yield yaml.safe_load(getattr(made, section.upper() or "DOCUMENTATION")).get("attributes", {})
