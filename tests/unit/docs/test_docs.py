# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What the documentation names exists: files, sections, plugins, playbooks, roles, make targets."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[3]
PAGES = sorted(
    page
    for pattern in ("*.md", ".github/**/*.md", "docs/**/*.md", "roles/*/README.md", "tests/lab/*.md")
    for page in ROOT.glob(pattern)
    if page.name != "CHANGELOG.md"  # antsibull-changelog writes it, about every version there was
)
LINK = re.compile(r"\]\(([^)\s]+)\)")
FENCE = re.compile(r"^( *)```.*?^\1```", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`([^`\n]+)`")
COLLECTION_NAME = re.compile(r"\btracklib\.vpn\.([a-z_]+)\b")
MAKE = re.compile(r"\bmake ([a-z]+(?:-[a-z]+)*)\b")
VARIABLE = re.compile(r"(?<![\w.])vpn_[a-z]+(?:_[a-z]+)*\b(?!\.yml)")
# a group, and what one play of a playbook leaves for the next
BETWEEN_PLAYS = {
    "vpn_devices",
    "vpn_gateway_seen",
    "vpn_gateways",
    "vpn_instance_connect_dir",
    "vpn_login",
    "vpn_roster",
    "vpn_run_is_whole",
}
GATES = re.compile(r"tools/gates\.py((?: [a-z-]+)+)")
PATH = re.compile(
    r"(?:plugins|roles|playbooks|inventories|tests|tools|docs|molecule|changelogs|meta|\.github|\.ci)/[\w./*-]*"
)


def _id(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.fixture(params=PAGES, ids=_id)
def page(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


def _code(text: str) -> Iterator[str]:
    """Yield what a page sets as code: blocks, and words within a line."""
    for block in FENCE.finditer(text):
        yield block[0]
    for word in CODE.finditer(FENCE.sub("", text)):
        yield word[1]


def _anchors(page: Path) -> set[str]:
    """Name a page's headings as GitHub does."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _collection_names() -> set[str]:
    """Name what the collection has: modules, plugins, roles, playbooks, action groups."""
    files = [path for pattern in ("plugins/*/*.py", "playbooks/*.yml") for path in ROOT.glob(pattern)]
    groups = yaml.safe_load((ROOT / "meta/runtime.yml").read_text(encoding="utf-8"))["action_groups"]
    return {path.stem for path in files} | {path.name for path in (ROOT / "roles").iterdir()} | set(groups)


def _make_targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def test_links_lead_to_files_and_sections(page: Path) -> None:
    broken = []
    for target in LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = page if not name else (page.parent / name).resolve()
        if not file.exists() or (anchor and anchor not in _anchors(file)):
            broken.append(target)
    assert broken == []


def test_plugins_roles_and_playbooks_exist(page: Path) -> None:
    named = set(COLLECTION_NAME.findall(page.read_text(encoding="utf-8")))
    # examples of one's own: tracklib.vpn.NAME is in capitals
    assert named - _collection_names() == set()


def test_make_targets_exist(page: Path) -> None:
    named = {target for code in _code(page.read_text(encoding="utf-8")) for target in MAKE.findall(code)}
    assert named - _make_targets() == set()


def test_workflows_run_targets_and_gates_that_exist() -> None:
    files = [*ROOT.glob(".github/workflows/*.yml"), ROOT / ".pre-commit-config.yaml", ROOT / "CONTRIBUTING.md"]
    text = "\n".join(file.read_text(encoding="utf-8") for file in files)
    gates = subprocess.run(
        [sys.executable, ROOT / "tools/gates.py", "list"], check=True, capture_output=True, text=True
    ).stdout
    known = {line.split()[0] for line in gates.splitlines()} | {"list"}
    assert {name for names in GATES.findall(text) for name in names.split()} - known == set()
    workflows = "\n".join(file.read_text(encoding="utf-8") for file in files[:-1])
    assert set(re.findall(r"^[ -]*(?:run: )?make ([a-z-]+)$", workflows, re.MULTILINE)) - _make_targets() == set()


def test_files_in_code_exist(page: Path) -> None:
    words = CODE.findall(FENCE.sub("", page.read_text(encoding="utf-8")))
    missing = [word for word in words if PATH.fullmatch(word) and not list(ROOT.glob(word.rstrip("/")))]
    assert missing == []


def test_variables_of_the_inventory_are_listed() -> None:
    files = [
        path
        for pattern in ("playbooks/**/*.yml", "roles/*/*/*.yml", "roles/*/templates/*", "inventories/aws/**/*.yml")
        for path in ROOT.glob(pattern)
        if "files" not in path.parts
    ]
    used = {name for path in files for name in VARIABLE.findall(path.read_text(encoding="utf-8"))}
    listed = {name for path in ROOT.glob("docs/reference/*.md") for name in VARIABLE.findall(path.read_text("utf-8"))}
    inventory = VARIABLE.findall((ROOT / "docs/reference/inventory.md").read_text(encoding="utf-8"))
    assert used - listed == BETWEEN_PLAYS
    assert set(inventory) - used == set()


def test_the_reference_is_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "tools/reference.py", "--check"], check=False, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, "")
