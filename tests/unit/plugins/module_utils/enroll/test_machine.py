# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What the script `enroll` does to the machine it runs on; molecule runs it on real ones."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import jinja2
import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils import keys
from ansible_collections.tracklib.vpn.plugins.module_utils.enroll import machine as this_machine
from ansible_collections.tracklib.vpn.plugins.module_utils.enroll.machine import Machine, MachineError, new_key

TEMPLATE = Path(__file__).parents[5] / "roles/client/templates/unit.conf.j2"
MACHINE = Machine("vpn0")
TEXT = "# Managed by tracklib.vpn\n[Interface]\n"


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What is run as root, on a machine with systemd and no files."""
    run: list[list[str]] = []

    def note(command: list[str], stdin: str = "") -> str:
        run.append([*command, stdin] if stdin else command)
        return ""

    monkeypatch.setattr(this_machine, "_run", note)
    monkeypatch.setattr(this_machine, "_has_systemd", lambda: True)
    return run


def test_drop_in_is_the_roles() -> None:
    environment = jinja2.Environment(keep_trailing_newline=True)
    values = {"client_interface": "vpn0", "client_private_key_file": MACHINE.key_file}
    assert environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(values) == MACHINE.drop_in


def test_drop_in_is_loaded_before_the_tunnel_starts(commands: list[list[str]]) -> None:
    MACHINE.bring_up(TEXT, restart=False)
    (written,) = [command for command in commands if command[-1] == MACHINE.drop_in]
    assert written[-3:-1] == [MACHINE.drop_in_file, "022"]
    reload, start = ["systemctl", "daemon-reload"], ["systemctl", "start", MACHINE.unit]
    assert commands.index(written) < commands.index(reload) < commands.index(start)


def test_removal_takes_the_drop_in_too(commands: list[list[str]]) -> None:
    MACHINE.take_down()
    directory = os.path.dirname(MACHINE.drop_in_file)
    assert commands.index(["rm", "-rf", directory]) < commands.index(["systemctl", "daemon-reload"])


@pytest.mark.parametrize(
    "call",
    [
        Machine.check,
        Machine.check_ours,
        Machine.take_down,
        Machine.ensure_key,
        Machine.public_key,
        lambda machine: machine.bring_up(TEXT, restart=True),
    ],
)
def test_system_without_root_is_told_of_the_app(
    monkeypatch: pytest.MonkeyPatch, call: Callable[[Machine], object]
) -> None:
    """As Windows is, where Python has no os.geteuid."""
    monkeypatch.delattr(os, "geteuid")
    with pytest.raises(MachineError, match="made by the WireGuard app: add an empty tunnel there"):
        call(MACHINE)
    assert (MACHINE.has_tools(), MACHINE.is_up(), MACHINE.handshake_age()) == (False, False, None)


def test_key_is_made_without_wireguards_tools(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(this_machine, "_found", lambda _program: False)
    private, public = new_key()
    assert keys.public_key_of(private) == public
    assert new_key() != (private, public)


def test_nothing_that_makes_keys_is_said_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(this_machine, "_found", lambda _program: False)
    monkeypatch.setitem(sys.modules, "nacl.public", None)
    with pytest.raises(MachineError, match=r"install WireGuard's tools .*pip install pynacl"):
        new_key()


@pytest.fixture
def key_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the key goes; somebody else makes one there while `wg genkey` makes ours."""
    path = tmp_path / "vpn0.key"
    wg = tmp_path / "wg"
    wg.write_text(f'#!/bin/sh\n[ "$1" = pubkey ] && exec cat\necho theirs > {path}\necho ours\n')
    wg.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return path


@pytest.mark.parametrize(("new", "kept"), [("", "theirs"), ("new", "ours")])
def test_key_that_is_there_stays_unless_a_new_one_is_wanted(key_file: Path, new: str, kept: str) -> None:
    subprocess.run(["sh", "-c", this_machine._KEY, "sh", key_file, new], capture_output=True, check=False)
    assert key_file.read_text() == f"{kept}\n"
