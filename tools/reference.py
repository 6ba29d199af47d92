# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Write docs/reference from what plugins, roles and playbooks say of themselves: `make reference`; or `--check` it.

Modules and plugins come from their DOCUMENTATION, roles from meta/argument_specs.yml, playbooks from the comment at
their top, permissions from docs/reference/permissions.yml, which is kept by hand.
"""

from __future__ import annotations

import ast
import re
import sys
import textwrap
import typing as t
from collections.abc import Iterable, Iterator
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
DIRECTORY = ROOT / "docs/reference"
MARKUP = re.compile(r"\b(?:[MVOCPEBI]|RV)\(((?:\\.|[^\\)])*)\)")
LINK = re.compile(r"\bL\(([^,)]+),\s*([^)]+)\)")
GENERATED = "<!-- made by `make reference`: change what it is made from, not this file -->"


def main() -> int:
    """Write every page, or with `--check` say which are out of date; return the exit code."""
    if sys.argv[1:] == ["--check"]:
        stale = [name for name, text in pages().items() if not _is(DIRECTORY / name, text)]
        for name in stale:
            print(f"docs/reference/{name} is out of date: run `make reference`")
        return 1 if stale else 0
    for name, text in pages().items():
        (DIRECTORY / name).write_text(text, encoding="utf-8")
    return 0


def _is(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text(encoding="utf-8") == text


def pages() -> dict[str, str]:
    """Make the pages of docs/reference: name of the file, text."""
    return {
        "modules.md": _page("Modules", _modules()),
        "plugins.md": _page("Inventory plugin, filters and lookup", _plugins()),
        "roles.md": _page("Roles", _roles()),
        "playbooks.md": _page("Playbooks", _playbooks()),
        "permissions.md": _page("IAM permissions", _permissions()),
    }


def markdown(text: str | Iterable[str]) -> str:
    """Turn Ansible's markup (`M(…)`, `V(…)`, `L(…)`) into Markdown."""
    if not isinstance(text, str):
        text = " ".join(text)
    return LINK.sub(r"[\1](\2)", MARKUP.sub(_literal, text)).replace("\n", " ").strip()


def _literal(match: re.Match[str]) -> str:
    return f"`{match[1].replace(chr(92), '')}`"


def _page(title: str, lines: Iterable[str]) -> str:
    return "\n".join([GENERATED, "", f"# {title}", "", *lines, ""])


def _documentation(path: Path) -> dict[str, t.Any]:
    """Read the DOCUMENTATION of a plugin without importing it."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "DOCUMENTATION":
            return dict(yaml.safe_load(ast.literal_eval(node.value)))
    raise ValueError(f"{path} has no DOCUMENTATION")


def _yaml(path: Path) -> t.Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def _plugin_rows(kind: str) -> Iterator[str]:
    for path in sorted((ROOT / "plugins" / kind).glob("*.py")):
        documentation = _documentation(path)
        yield f"| `tracklib.vpn.{path.stem}` | {markdown(documentation['short_description'])} |"


def _modules() -> Iterator[str]:
    yield "`ansible-doc tracklib.vpn.NAME` shows a module's options, examples and return values."
    yield from ["", "| module | does |", "|---|---|", *_plugin_rows("modules")]
    groups = _yaml(ROOT / "meta/runtime.yml")["action_groups"]
    for name, members in groups.items():
        listed = ", ".join(f"`{member}`" for member in members if isinstance(member, str))
        yield ""
        yield (
            f"`module_defaults` for `group/tracklib.vpn.{name}` apply to these modules, and so do those for"
            f" `group/amazon.aws.aws`: {listed}."
        )


def _plugins() -> Iterator[str]:
    yield "`ansible-doc -t inventory tracklib.vpn.gateway` and `ansible-doc -t filter tracklib.vpn.NAME` show the rest."
    yield from ["", "| inventory plugin | does |", "|---|---|", *_plugin_rows("inventory")]
    yield from ["", "| filter | makes |", "|---|---|", *_plugin_rows("filter")]
    yield from ["", "| lookup | makes |", "|---|---|", *_plugin_rows("lookup")]


def _roles() -> Iterator[str]:
    yield "A role's README says what it does, requires and refuses. Here are the variables of its entry point `main`."
    for path in sorted((ROOT / "roles").glob("*/meta/argument_specs.yml")):
        role = path.parents[1].name
        spec = _yaml(path)["argument_specs"]["main"]
        yield from ["", f"## [{role}](../../roles/{role}/README.md)", "", markdown(spec["description"]), ""]
        yield from ["| variable | type | default | meaning |", "|---|---|---|---|"]
        for name, option in spec["options"].items():
            yield f"| `{name}` | {_type(option)} | {_default(option)} | {markdown(option['description'])} |"


def _type(option: dict[str, t.Any]) -> str:
    elements = option.get("elements")
    if elements:
        return f"list of {elements}"
    return str(option.get("type", "str"))


def _default(option: dict[str, t.Any]) -> str:
    if option.get("required"):
        return "required"
    if "default" not in option:
        return "none"
    value = option["default"]
    if not isinstance(value, str):
        value = yaml.safe_dump(value, default_flow_style=True, width=1000).removesuffix("\n...\n").strip()
    return "`" + value.replace("|", "\\|") + "`"


_TABLE = ("| variable | type | meaning |", "|---|---|---|")


def _playbooks() -> Iterator[str]:
    yield "Every playbook can be run again at any time, and with `--check`. What it is given is checked before anything"
    yield "else is done, and a variable that begins with the playbook's name and isn't listed here is refused."
    yield from ["", "Variables that several playbooks need or read, and check:", "", *_TABLE]
    specs = _yaml(ROOT / "playbooks" / "vars" / "argument_specs.yml")
    shared = _yaml(ROOT / "playbooks" / "vars" / "known_variables.yml")["shared_options"]
    yield from _variables(shared, "")
    for path in sorted((ROOT / "playbooks").glob("*.yml")):
        yield from ["", f"## `tracklib.vpn.{path.stem}`", "", *_comment(path)]
        spec = specs.get(path.stem, {"options": {}})
        if "shared" in spec:
            needed = ", ".join(f"`{name}`" for name in spec["shared"])
            yield from ["", f"It needs {needed}, of the inventory as a rule."]
        if spec["options"]:
            yield from ["", *_TABLE, *_variables(spec["options"], "")]


def _variables(options: dict[str, t.Any], within: str) -> Iterator[str]:
    for name, option in options.items():
        needed = ", required" if option.get("required") else ""
        yield f"| `{within}{name}` | {option['type']}{needed} | {markdown(option['description'])} |"
        yield from _variables(option.get("options", {}), f"{within}{name}.")


def _comment(path: Path) -> Iterator[str]:
    """Turn the comment at a playbook's top into Markdown: what is indented there is a command or a file."""
    lines = []
    for line in path.read_text(encoding="utf-8").removeprefix("---\n").splitlines():
        if not line.startswith("#"):
            break
        lines.append(line[1:])
    # the table below the comment has them
    text = re.sub(r" ?vars/argument_specs\.yml has all variables\.", "", "\n".join(lines))
    blocks = [block for block in re.split(r"\n\s*\n", text) if block.strip()]
    for number, block in enumerate(blocks):
        if number:
            yield ""
        if block.startswith("   "):
            yield from ["```", *textwrap.dedent(block).splitlines(), "```"]
        else:
            yield textwrap.dedent(block)


def _permissions() -> Iterator[str]:
    document = _yaml(DIRECTORY / "permissions.yml")
    yield document["introduction"].strip()
    for section in document["sections"]:
        yield from ["", f"## {section['title']}"]
        for key in ("before", "rows", "after"):
            if key in section:
                yield ""
                yield from _permission_part(section[key])


def _permission_part(part: str | list[dict[str, t.Any]]) -> Iterator[str]:
    if isinstance(part, str):
        yield part.strip()
        return
    yield from ["| actions | on | for |", "|---|---|---|"]
    for row in part:
        actions = ", ".join(f"`{action}`" for action in row["actions"])
        yield f"| {actions} | {row['on']} | {row['for']} |"


if __name__ == "__main__":
    sys.exit(main())
