# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""docs/first-minutes.md: what a new user on Linux types, word for word, and what the screen shows.

`UPDATE_SCREENS=1` in the environment writes the screens anew. The page's words are those of test_page.py.
"""

from __future__ import annotations

import os
import re

from tests.support import ROOT

from .test_self_service import Laptop, alice, function, packed

__all__ = ["alice", "function", "packed"]
PAGE = ROOT / "docs/first-minutes.md"
EXAMPLE = re.compile(r"^```shell\n(?P<commands>.*?)^```\n\n```text\n(?P<screen>.*?)^```\n", re.MULTILINE | re.DOTALL)
SCRIPT = "./tracklib-vpn-enroll.pyz "
# what differs from run to run, and how the page has it
VARYING = (
    (re.compile(r"^ *\d+\.\ds  ", re.MULTILINE), ""),
    (re.compile(r"expires at \S+ \S+ UTC"), "expires at 2026-12-31 09:00 UTC"),
    (re.compile(r"renewed from \S+ \S+ UTC"), "renewed from 2026-12-16 09:00 UTC"),
    (re.compile(r"\b\d+ s ago\b"), "5 s ago"),
    (re.compile(r"(.* \d+ of at most \d+ s\n)+"), "waiting until the gateway knows this machine, 0 of at most 900 s\n"),
    (re.compile(r"\b10\.44\.\d+\.\d+\b"), "10.44.0.7"),
    (re.compile(r"\bfd44:7472:6163:6b::[0-9a-f]+\b"), "fd44:7472:6163:6b::7"),
    (re.compile(r"\b198\.51\.100\.\d+:\d+"), "vpn.example.com:51820"),
)


def told(screen: str) -> list[str]:
    """Lines in which what differs from run to run is made the same."""
    for pattern, always in VARYING:
        screen = pattern.sub(always, screen)
    return screen.strip().splitlines()


def test_commands_of_the_page_print_its_screens(alice: Laptop) -> None:
    text = PAGE.read_text()
    shown = []
    for example in EXAMPLE.finditer(text):
        command = example["commands"].splitlines()[-1]  # what is installed before is there
        assert command.startswith(SCRIPT)
        shown.append(told(alice.script(command.removeprefix(SCRIPT))))
    screens = iter(shown)
    if os.environ.get("UPDATE_SCREENS"):
        PAGE.write_text(EXAMPLE.sub(lambda found: found[0].replace(found["screen"], _lines(next(screens))), text))
        return
    assert [told(example["screen"]) for example in EXAMPLE.finditer(text)] == shown


def _lines(lines: list[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
