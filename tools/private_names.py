# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Finds private names of ansible-core or any other library in Python files: imports, attributes, overridden methods.

A name that begins with one underscore is its library's own business, and changes without notice. It may be used where
our sources define it: in the same file, or in a file of ours that this one imports.
"""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

# typing.NamedTuple's documented methods: the underscore keeps them apart from fields
_NAMED_TUPLE = {"_asdict", "_field_defaults", "_fields", "_make", "_replace"}
# Protected members that ansible-core's developer guide, or the constructor's parameters, offer to subclasses.
# There is no public way to what they do.
_OFFERED = {
    "plugins/action/": {
        "_task",  # the task's arguments and check mode; a parameter of ActionBase
        "_connection",  # whether it gives commands an input, and put_file; a parameter of ActionBase
        "_loader",  # finds templates; a parameter of ActionBase
        "_execute_module",  # "Action plugins" in the developer guide; runs the module
        "_low_level_execute_command",  # gives a command on the gateway an input, with the task's become
    },
    "plugins/inventory/": {  # "Developing dynamic inventory" in the developer guide has all four
        "_read_config_data",  # parses the source file
        "_set_composite_vars",  # compose
        "_add_host_to_composed_groups",  # groups
        "_add_host_to_keyed_groups",  # keyed_groups
    },
}
_OUR_PLACES = {
    "ansible_collections.tracklib.vpn.": "",
    "": "",  # from the root: tests.support
    "tools": "tools/",
    "roles": "roles/control_plane/files/",
}
_BY_NAME = {"delattr", "getattr", "hasattr", "setattr"}


def check(root: Path, names: Iterable[str]) -> list[str]:
    """Complaints about the Python files among `names` below `root`, each as `file:line: what`."""
    files = {name: _parse(root / name) for name in names if name.endswith(".py")}
    return [complaint for name in files for complaint in _check_file(name, files)]


@dataclass
class _File:
    """What a file defines and imports."""

    tree: ast.Module
    defined: set[str] = field(default_factory=set)
    imported: list[tuple[int, str, str | None]] = field(default_factory=list)  # line, module, name


def _parse(path: Path) -> _File:
    file = _File(ast.parse(path.read_text(encoding="utf-8")))
    for node in ast.walk(file.tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            file.defined.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            file.defined.add(node.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and _is_own(node.value):
            file.defined.add(node.attr)
        elif isinstance(node, ast.Import):
            file.imported += [(node.lineno, alias.name, None) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            file.imported += [(node.lineno, module, alias.name) for alias in node.names]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.endswith(".py"):
            file.imported.append((node.lineno, node.value.removesuffix(".py").replace("/", "."), None))  # by its path
    return file


def _is_own(value: ast.expr) -> bool:
    return isinstance(value, ast.Name) and value.id in {"self", "cls"}


def _is_private(name: str) -> bool:
    return name.startswith("_") and not (name.startswith("__") and name.endswith("__")) and name.strip("_") != ""


def _check_file(name: str, files: Mapping[str, _File]) -> Iterator[str]:
    file = files[name]
    ours = set(file.defined)
    for line, module, imported in file.imported:
        sources = _our_files(name, module, imported, files)
        for source in sources:
            ours |= files[source].defined
        if not sources and any(map(_is_private, [*module.split("."), imported or ""])):
            yield f"{name}:{line}: a private name is imported: {module} {imported or ''}".rstrip()
    allowed = ours | _NAMED_TUPLE | _offered(name)
    for line, used in _uses(file.tree):
        if used not in allowed:
            yield f"{name}:{line}: a private name that isn't ours: {used}"
    yield from _overridden(name, file, files)


def _offered(name: str) -> set[str]:
    return next((names for place, names in _OFFERED.items() if name.startswith(place)), set())


def _our_files(name: str, module: str, imported: str | None, files: Mapping[str, _File]) -> list[str]:
    """The files of ours that an import in the file `name` may mean."""
    level = len(module) - len(module.lstrip("."))
    if level:
        starts = ["/".join(name.split("/")[:-level] + [part for part in module[level:].split(".") if part])]
    else:
        starts = [
            place + module.removeprefix(prefix if prefix.endswith(".") else "").replace(".", "/")
            for prefix, place in _OUR_PLACES.items()
        ]
    candidates = [path for start in starts for path in (start, f"{start}/{imported}")]
    return [path + end for path in candidates for end in (".py", "/__init__.py") if path + end in files]


def _uses(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Private names that are read or written on an object, or named in a string to getattr and its like."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and _is_private(node.attr):
            yield node.lineno, node.attr
        elif isinstance(node, ast.Call) and _called(node.func) in _BY_NAME:
            for argument in node.args[1:2]:
                if isinstance(argument, ast.Constant) and _is_private(str(argument.value)):
                    yield node.lineno, str(argument.value)


def _called(function: ast.expr) -> str | None:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else None


def _overridden(name: str, file: _File, files: Mapping[str, _File]) -> Iterator[str]:
    """Private members of a library's class that a subclass of ours puts others in the place of."""
    modules = {
        imported: module
        for _line, module, imported in file.imported
        if imported is not None and not _our_files(name, module, imported, files)
    }
    for node in (each for each in ast.walk(file.tree) if isinstance(each, ast.ClassDef)):
        bases = [each.id for each in node.bases if isinstance(each, ast.Name) and each.id in modules]
        libraries = [getattr(importlib.import_module(modules[base]), base) for base in bases]
        for member in node.body:
            if not isinstance(member, ast.FunctionDef) or not _is_private(member.name):
                continue
            if any(hasattr(library, member.name) for library in libraries):
                yield f"{name}:{member.lineno}: overrides a private name that isn't ours: {member.name}"
