# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What keeps a registration from ending unnoticed, as files; the scenario self_service runs them on a host."""

from __future__ import annotations

import json
import plistlib
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils.enroll import reminder

DAY = 24 * 3600
ARGUMENTS = ["--interface", "vpn0", "--profile", 'al"ice $HOME %h', "--settings", "/home dir/vpn.json"]


def login(tmp_path: Path, note: str | None, *, shell: str = "-eui") -> str:
    """What a login shell prints, on a machine with that note; `i` is for an interactive one."""
    script = reminder.LOGIN_MESSAGE.replace("/var/lib/tracklib-vpn", str(tmp_path))
    if note is not None:
        (tmp_path / "vpn0.json").write_text(note)
    done = subprocess.run(["sh", shell, "-c", script], capture_output=True, text=True, check=True)
    assert "sed" not in done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("days", "said"),
    [(8.0, ""), (6.5, "ends in 6 days. Renew it: enroll up"), (0.5, "ends in 0 days"), (-1.0, "has ended")],
)
def test_login_tells_of_an_end_within_a_week(tmp_path: Path, days: float, said: str) -> None:
    note = json.dumps({"device": "laptop", "expires_at": int(time.time() + days * DAY), "timer": True})
    assert login(tmp_path, note, shell="-eu") == "", "a script reads what a login shell prints"
    shown = login(tmp_path, note)
    assert said in shown
    assert (shown == "") == (said == "")


@pytest.mark.parametrize(
    "note", [None, "", "{", '{"expires_at": null}', '{"expires_at": $(touch /tmp/x)}', '{"expires_at": "`id`"}']
)
def test_r15_login_says_nothing_of_a_note_without_a_time_and_runs_nothing(tmp_path: Path, note: str | None) -> None:
    assert login(tmp_path, note) == ""


def test_units_say_what_was_given_whatever_is_in_it(tmp_path: Path) -> None:
    files = reminder.unit_files("vpn0", "alice", 1000, ARGUMENTS)
    assert sorted(files) == [
        "/etc/systemd/system/tracklib-vpn-renew-vpn0.service",
        "/etc/systemd/system/tracklib-vpn-renew-vpn0.timer",
    ]
    service = files["/etc/systemd/system/tracklib-vpn-renew-vpn0.service"]
    assert "User=alice\n" in service
    command = next(line for line in service.splitlines() if line.startswith("ExecStart="))
    assert command.endswith('remind --interface vpn0 --profile "al\\"ice $$HOME %%h" --settings "/home dir/vpn.json"')
    if shutil.which("systemd-analyze"):
        for path, text in files.items():
            (tmp_path / Path(path).name).write_text(text.replace("User=alice", "User=root"))
        done = subprocess.run(
            ["systemd-analyze", "verify", *map(str, tmp_path.iterdir())], capture_output=True, text=True, check=False
        )
        assert "vpn0" not in done.stderr, done.stderr


def test_line_break_gets_into_no_unit() -> None:
    with pytest.raises(ValueError, match="it has a line break"):
        reminder.unit_files("vpn0", "alice", 1000, ["--profile", "a\nExecStart=/bin/sh"])


def test_agent_of_macos_has_the_command_word_for_word() -> None:
    found = plistlib.loads(reminder.agent("vpn0", ARGUMENTS).encode())
    assert found["ProgramArguments"][2:] == ["/usr/local/lib/tracklib-vpn/enroll-vpn0.pyz", "remind", *ARGUMENTS]
    assert found["StartCalendarInterval"] == {"Hour": 12, "Minute": 0}
