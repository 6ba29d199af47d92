# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""One word for one thing, and plain English, as far as a program can tell."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

# what was said of a release stays as it was said; and examples of what is refused
EXEMPT = {"CHANGELOG.md", "changelogs/changelog.yaml", "tools/vocabulary.py", "tests/unit/tools/test_vocabulary.py"}
# what Ansible looks for in every plugin of a kind
FIXED_NAMES = {"ActionModule", "FilterModule", "InventoryModule", "ModuleDocFragment"}
_PRODUCT = ("plugins/", "roles/")
_CLASS = re.compile(r"^class ([A-Za-z]\w*)", re.MULTILINE)
# R3 without its words, which follow behind a comma, a colon or in parentheses. A range of rules needs none.
_BARE_RULE = re.compile(
    r"(?<![\w./])R(?:1\d?|20|[2-9])\b(?!(?:,|:| \()\s*(?:#\s+)?[a-z]| to R\d)(?<! to R\d)(?<! to R\d\d)"
)
_CLUMSY = {
    # bringing the tunnel up, a peer back or a file along is English
    "say apply, register, deploy, write or render instead of bring … to": re.compile(
        r"\b(?:bring(?:s|ing)?|brought)\b(?![^.,;:()\n]{0,50}\b(?:up|back|along|together)\b)"
        r"[^.,;:()\n]{0,60}?\b(?:to|into|in line)\b",
        re.IGNORECASE,
    ),
    "say beginning": re.compile(r"\bthe begin of\b", re.IGNORECASE),
    "say running X requires Y": re.compile(r"\bWho (?:runs|calls|deploys|reads|writes)\b[^.?\n]{0,60}\bneeds\b"),
}


def check(root: Path, names: Iterable[str]) -> Iterator[str]:
    """Complain about the files `names` below `root`, each as `file:line: what`."""
    texts = {}
    for name in set(names) - EXEMPT:
        with contextlib.suppress(UnicodeDecodeError):  # a picture
            texts[name] = (root / name).read_text(encoding="utf-8")
    yield from complaints(dict(sorted(texts.items())))


def complaints(texts: Mapping[str, str]) -> Iterator[str]:
    """Complain about the files of a collection, each as `file:line: what`.

    :param texts: the content of each file by its path below the collection.
    """
    yield from _doubled_classes(texts)
    for name, text in texts.items():
        if name.startswith(_PRODUCT) and name.endswith(".py"):
            yield from _matches(name, text, "a rule's number without its words", _BARE_RULE)
        for what, pattern in _CLUMSY.items():
            yield from _matches(name, text, what, pattern)


def _doubled_classes(texts: Mapping[str, str]) -> Iterator[str]:
    first: dict[str, str] = {}
    for name, text in texts.items():
        if not (name.startswith(_PRODUCT) and name.endswith(".py")):
            continue
        for match in _CLASS.finditer(text):
            place = f"{name}:{_line(text, match)}"
            if match[1] in first and match[1] not in FIXED_NAMES:
                yield f"{place}: class {match[1]} is another thing in {first[match[1]]}: give one of them its own name"
            first.setdefault(match[1], place)


def _matches(name: str, text: str, what: str, pattern: re.Pattern[str]) -> Iterator[str]:
    for match in pattern.finditer(text):
        line = _line(text, match)
        yield f"{name}:{line}: {what}: {text.splitlines()[line - 1].strip()[:120]}"


def _line(text: str, match: re.Match[str]) -> int:
    return text.count("\n", 0, match.start()) + 1
