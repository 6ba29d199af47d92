# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""docs/people.md, word for word: each command is run from an installed tarball, and each screen is what it prints.

`UPDATE_SCREENS=1` in the environment writes the screens anew.
"""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import termios
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils import keys

from tests.lab import actions, aws
from tests.support import ROOT
from tests.support.waiting import PATIENCE

PAGE = ROOT / "docs" / "people.md"
EXAMPLE = re.compile(
    r"^```shell\n(?P<command>.*?)^```\n(?:\n```text\n(?P<screen>.*?)^```\n)?", re.MULTILINE | re.DOTALL
)
INVENTORY = "inventories/aws"
KIM = "kim"
COLUMNS = 100
START = datetime(2026, 11, 30, 9, tzinfo=UTC)  # when the page's commands are typed
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
# What else differs from run to run, and how the page has it.
_VARYING = (
    (re.compile(r"\b1[789]\d{11}\b"), "1790000000000"),
    (re.compile(r"\b\d+ s\b"), "5 s"),
    (re.compile(r"\b\d+s ago\b"), "5s ago"),
    (re.compile(r"(?<= )/[^ ]*/(?=[^/ ]*\.age\b)"), "/srv/vpn/"),
    (re.compile(r"\b10\.44\.\d+\.\d+, fd44:7472:6163:6b::[\da-f]+"), "10.44.0.2, fd44:7472:6163:6b::2"),
    (re.compile(r"(?<=kim/phone  )[\da-f]{16}\b"), "8066e71e00714d81"),  # its key is made anew
)


class Example(NamedTuple):
    """A command of the page, and the screen below it; empty if there is none."""

    command: str
    screen: str


def examples() -> list[Example]:
    """All of the page, in its order."""
    return [Example(each["command"].strip(), each["screen"] or "") for each in EXAMPLE.finditer(PAGE.read_text())]


def told(lines: list[str], kim: str) -> list[str]:
    """Lines in which what differs from run to run is made the same; `kim` is that user's id."""
    now = datetime.now(UTC)

    def shifted(found: re.Match[str]) -> str:
        hours = round((datetime.fromisoformat(found[0].replace("Z", "+00:00")) - now) / timedelta(hours=1))
        return f"{START + timedelta(hours=hours):%Y-%m-%dT%H:%M:%SZ}"

    said = []
    for line in lines:
        text = TIME.sub(shifted, line.replace(kim, "AIDAKIM4EXAMPLE"))
        for pattern, always in _VARYING:
            text = pattern.sub(always, text)
        said.append(text.rstrip())
    return said


def words(lines: list[str]) -> list[str]:
    """Lines whatever the width of columns and the order of what happened at once."""
    return sorted(" ".join(line.split()) for line in lines)


class Shown(NamedTuple):
    """What came on a screen, part by part, each with its time in seconds."""

    parts: list[tuple[float, str]]

    @property
    def text(self) -> str:
        """All of it."""
        return "".join(part for _time, part in self.parts).replace("\r\n", "\n")

    def before_pauses(self, seconds: float) -> list[str]:
        """Return what stood on the screen when nothing came for so long, without the start of Ansible itself."""
        ends = [after - before >= seconds for (before, _), (after, _) in pairwise(self.parts)]
        return [Shown(self.parts[: number + 1]).text for number, is_long in enumerate(ends) if is_long]


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

    def run_in_terminal(self, command: str, **env: str) -> Shown:
        """Type a command in a terminal of 100 columns; return what the screen shows."""
        controller, terminal = pty.openpty()
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 50, COLUMNS, 0, 0))
        with subprocess.Popen(
            ["sh", "-c", self._here(command)],
            cwd=self._directory,
            env={**self._env, "TERM": "xterm", "ANSIBLE_NOCOLOR": "1", **env},
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(terminal, termios.TIOCSCTTY, 0),
        ) as process:
            os.close(terminal)
            shown = Shown([(time.monotonic(), part.decode()) for part in _read(controller)])
        os.close(controller)
        assert process.returncode == 0, shown.text
        return shown

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
def user_id() -> Iterator[str]:
    """The id of kim, an IAM user."""
    aws.seed()
    iam = aws.client("iam")
    user = iam.create_user(UserName=KIM)["User"]
    iam.add_user_to_group(UserName=KIM, GroupName="vpn-developers")
    yield user["UserId"]
    actions.forget_devices(KIM)
    actions.lift_blocks()
    aws.delete_user(KIM)


@pytest.fixture
def kim(user_id: str) -> str:
    """The id of kim, who is new, while nobody else has a device."""
    registry, dynamodb = actions.registry(), aws.client("dynamodb")
    for registration in registry.devices.registrations():
        registry.devices.remove(registration, quarantine=0)
    # what these tests left before: receipts, tombstones of former kims, and keys, which stay the first kim's for good
    claimed = {f"key#{key}" for key in re.findall(r'"register_public_key": "([^"]+)"', PAGE.read_text())}
    for page in dynamodb.get_paginator("scan").paginate(TableName=actions.TABLE):
        for item in page["Items"]:
            if item["sk"]["S"] in claimed or item.get("user_name") == {"S": KIM}:
                dynamodb.delete_item(TableName=actions.TABLE, Key={name: item[name] for name in ("pk", "sk")})
    actions.run_playbook("reconcile")
    return user_id


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Console:
    """An operator's console."""
    return Console(tmp_path_factory.mktemp("console"))


def _in_json(console: Console, command: str) -> list[str]:
    return screen(console.run(command))


def _in_minimal(console: Console, command: str) -> list[str]:
    return console.run(command, callback="ansible.builtin.minimal").splitlines()


def _in_terminal(console: Console, command: str) -> list[str]:
    return _reports(console.run_in_terminal(command))


def _in_terminal_with_yaml(console: Console, command: str) -> list[str]:
    return _reports(console.run_in_terminal(command, ANSIBLE_CALLBACK_RESULT_FORMAT="yaml"))


def _reports(shown: Shown) -> list[str]:
    lines = shown.text.splitlines()
    ours = [line for line in lines if not NEVER_FOLDED.search(line)]
    assert max(map(len, ours)) <= COLUMNS, max(ours, key=len)
    return lines


NEVER_FOLDED = re.compile(r" : ok=\d+ | -e \w+=")  # Ansible's recap, and commands, which are to be pasted
WAYS = {way.__name__: way for way in (_in_json, _in_minimal, _in_terminal, _in_terminal_with_yaml)}


@pytest.mark.parametrize("way", WAYS)
def test_commands_of_the_page_print_its_screens(console: Console, kim: str, way: str) -> None:
    """One after the other, since each is about what the ones before did."""
    shown = [(example, told(WAYS[way](console, example.command), kim)) for example in examples()]
    if os.environ.get("UPDATE_SCREENS") and way == "_in_json":
        screens = iter(lines for _example, lines in shown)
        PAGE.write_text(EXAMPLE.sub(lambda found: _with_screen(found, next(screens)), PAGE.read_text()))
        return
    for example, lines in shown:
        expected = example.screen.splitlines()
        if way == "_in_json":
            assert not expected or words(lines) == words(expected), example.command
        else:
            printed = [_only_words(line) for line in lines]
            missing = [line for line in expected if not any(_only_words(line) in each for each in printed)]
            assert missing == [], example.command


def _with_screen(found: re.Match[str], lines: list[str]) -> str:
    return found[0].replace(found["screen"], "".join(f"{line}\n" for line in lines)) if found["screen"] else found[0]


@pytest.mark.usefixtures("kim")
def test_columns_of_a_table_stay_together_where_results_are_yaml(console: Console) -> None:
    actions.register_directly(KIM, "laptop", keys.generate()[1])
    order = f"ansible-playbook -i {INVENTORY} tracklib.vpn.devices"
    printed = console.run(order, callback="ansible.builtin.default", ANSIBLE_CALLBACK_RESULT_FORMAT="yaml")
    assert re.search(r"^ *DEVICE +STATUS +LIFE +GATEWAYS +HANDSHAKE$", printed, re.MULTILINE), printed


@pytest.mark.usefixtures("kim")
@pytest.mark.parametrize("order", ["site", f"handout -e handout_user_name={KIM} -e handout_device=pc"])
def test_whatever_takes_two_seconds_is_on_the_screen_before_by_its_name(console: Console, order: str) -> None:
    shown = console.run_in_terminal(f"ansible-playbook -i {INVENTORY} tracklib.vpn.{order}")
    assert len(re.findall(r"^(?:TASK|RUNNING HANDLER) \[", shown.text, re.MULTILINE)) > 5
    for before in shown.before_pauses(seconds=2):
        last = before.rstrip().splitlines()[-1]
        assert re.match(r"(?:TASK|RUNNING HANDLER) \[.*\] \*+$|(?:ok|changed|skipping|included): ", last), last


def _only_words(text: str) -> str:
    """A text without what a callback puts between lines: quotes, hyphens, folds."""
    return " ".join(re.findall(r"\w+", text))
