# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""docs/people.md, word for word: each command is run from an installed tarball, and each screen is what it prints.

`UPDATE_SCREENS=1` in the environment writes the screens anew.
"""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.lab import actions, aws
from tests.support import ROOT
from tests.support.waiting import PATIENCE

PAGE = ROOT / "docs" / "people.md"
EXAMPLE = re.compile(
    r"^```shell\n(?P<command>.*?)^```\n(?:\n```text\n(?P<screen>.*?)^```\n)?", re.MULTILINE | re.DOTALL
)
INVENTORY = "inventories/aws"
KIM = "kim"
# What differs from run to run, and how the page has it.
_VARYING = (
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"), "2026-11-30T09:00:00Z"),
    (re.compile(r"\b1[789]\d{11}\b"), "1790000000000"),
    (re.compile(r"\b\d+ (?:s|min|h)\b"), "5 s"),
    (re.compile(r"\b\d+(?:\.\d+)? (?:B|KiB|MiB)\b"), "1 KiB"),
    (re.compile(r"(?<=/)[^ ]*/(?=[^/ ]*\.(?:age|csv|json)\b)"), "home/operator/"),
    (re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}:\d+\b"), "203.0.113.7:51820"),
)


class Example(NamedTuple):
    """A command of the page, and the screen below it; empty if there is none."""

    command: str
    screen: str


def examples() -> list[Example]:
    """All of the page, in its order."""
    return [Example(each["command"].strip(), each["screen"] or "") for each in EXAMPLE.finditer(PAGE.read_text())]


def told(lines: list[str]) -> list[str]:
    """Lines with what differs from run to run, and the width of columns, made the same."""
    said = []
    for line in lines:
        for pattern, always in _VARYING:
            line = pattern.sub(always, line)
        said.append(" ".join(line.split()))
    return said


class Console:
    """Where an operator types: another directory, with the collection installed from its tarball."""

    def __init__(self, directory: Path) -> None:
        build = ["ansible-galaxy", "collection", "build", "--output-path", str(directory)]
        linked = ROOT / ".ansible/collections/ansible_collections/tracklib/vpn"
        self._directory = directory
        self._env = {
            **actions.environment(),
            "ANSIBLE_COLLECTIONS_PATH": str(directory / "collections"),
            "ANSIBLE_HOME": str(directory / "home"),
            "ANSIBLE_LOAD_CALLBACK_PLUGINS": "1",
        }
        subprocess.run(build, cwd=linked, env=self._env, check=True, capture_output=True)
        (tarball,) = map(str, directory.glob("*.tar.gz"))
        install = [
            "ansible-galaxy",
            "collection",
            "install",
            "--no-deps",
            "-p",
            str(directory / "collections"),
            tarball,
        ]
        subprocess.run(install, cwd=directory, env=self._env, check=True, capture_output=True)

    def run(self, command: str, *, callback: str = "ansible.posix.json", rc: int = 0, **env: str) -> str:
        """Type a command, without a terminal; return what it printed."""
        done = subprocess.run(
            ["sh", "-c", self._here(command)],
            cwd=self._directory,
            env={**self._env, "ANSIBLE_STDOUT_CALLBACK": callback, **env},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE * 3,
        )
        assert done.returncode == rc, f"{command}\nended with {done.returncode}: {done.stdout[-3000:]}{done.stderr}"
        return done.stdout

    def run_in_terminal(self, command: str) -> str:
        """Type a command in a terminal; return what the screen shows."""
        controller, terminal = pty.openpty()
        with subprocess.Popen(
            ["sh", "-c", self._here(command)],
            cwd=self._directory,
            env={**self._env, "TERM": "xterm", "ANSIBLE_NOCOLOR": "1"},
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            start_new_session=True,
        ) as process:
            os.close(terminal)
            shown = b"".join(_read(controller))
        os.close(controller)
        assert process.returncode == 0, shown.decode()
        return shown.decode()

    @staticmethod
    def _here(command: str) -> str:
        return command.replace(INVENTORY, str(ROOT / "inventories" / "lab"))


def _read(descriptor: int) -> Iterator[bytes]:
    while True:
        try:
            read = os.read(descriptor, 65536)
        except OSError:  # the other end is closed
            return
        if not read:
            return
        yield read


def screen(printed: str) -> list[str]:
    """What a playbook shows in words, as the json callback has it."""
    report: dict[str, Any] = json.loads(printed)
    lines: list[str] = []
    for play in report["plays"]:
        for task in play["tasks"]:
            for result in task["hosts"].values():
                if result.get("action") == "ansible.builtin.debug" and "msg" in result:
                    said = result["msg"]
                    lines += said if isinstance(said, list) else str(said).splitlines()
    return lines


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    """An operator's console; kim is new, and nobody else has a device."""
    aws.seed()
    registry = actions.registry()
    for registration in registry.devices.registrations():
        registry.devices.remove(registration, quarantine=0)
    iam = aws.client("iam")
    iam.create_user(UserName=KIM)
    iam.add_user_to_group(UserName=KIM, GroupName="vpn-developers")
    actions.run_playbook("reconcile")
    yield Console(tmp_path_factory.mktemp("console"))
    actions.forget_devices(KIM)
    actions.lift_blocks()
    aws.delete_user(KIM)


def test_commands_of_the_page_print_its_screens(console: Console) -> None:
    """One after the other, since each is about what the ones before did."""
    page, shown = PAGE.read_text(), []
    for example in examples():
        lines = screen(console.run(example.command))
        shown.append((example, lines))
        if os.environ.get("UPDATE_SCREENS") and example.screen:
            page = page.replace(example.screen, "\n".join(told_layout(lines)) + "\n")
    if os.environ.get("UPDATE_SCREENS"):
        PAGE.write_text(page)
    for example, lines in shown:
        if example.screen:
            assert told(lines) == told(example.screen.splitlines()), example.command
        assert max(map(len, lines), default=0) <= 100, example.command


def told_layout(lines: list[str]) -> list[str]:
    """Lines for the page: only what differs from run to run is made the same."""
    for pattern, always in _VARYING:
        lines = [pattern.sub(always, line) for line in lines]
    return [line.rstrip() for line in lines]
