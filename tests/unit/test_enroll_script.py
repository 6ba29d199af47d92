# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The script of one file, run as users run it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils import users_script

from tests.support.waiting import PATIENCE

ROOT = Path(__file__).parents[2]
FUNCTION = {
    "function_arn": "arn:aws:lambda:eu-west-1:111122223333:function:tracklib-vpn-self-service",
    "manage_url": "http://127.0.0.1:9/",  # the discard port of this machine, where nobody listens
    "renew_url": "http://127.0.0.1:9/",
}
KEYS = {"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY1"}


def pack(directory: Path, settings: dict[str, Any] | None = None) -> Path:
    script = directory / "enroll.pyz"
    script.write_bytes(users_script.pack(users_script.read_modules(ROOT / "plugins/module_utils"), settings))
    return script


def run(script: Path, *arguments: str, keys: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run it with nothing of this repository in Python's path."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(script.parent), "AWS_EC2_METADATA_DISABLED": "true"}
    return subprocess.run(
        [sys.executable, script, *arguments],
        env={**environment, **(keys or {})},
        cwd=script.parent,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )


def test_script_holds_all_that_it_imports(tmp_path: Path) -> None:
    done = run(pack(tmp_path), "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert "remove a device, and the tunnel" in done.stdout


def test_settings_are_packed_and_a_call_is_made_with_them(tmp_path: Path) -> None:
    script = pack(tmp_path, FUNCTION)
    done = run(script, "devices", keys=KEYS)
    assert done.returncode == 1
    assert re.fullmatch(r"enroll: .*127\.0\.0\.1:9 could not be reached.*\(unreachable\)\n", done.stderr)


@pytest.mark.parametrize(
    ("settings", "arguments", "complaint"),
    [
        (None, [], "no settings"),
        (FUNCTION, [], r"no AWS credentials .*\(no_credentials\)"),
        (FUNCTION, ["--profile", "x"], r"profile \(x\) could not be found"),
        (FUNCTION, ["--settings", "none.json"], "none.json"),
    ],
)
def test_what_is_missing_is_said_in_one_line(
    tmp_path: Path, settings: dict[str, Any] | None, arguments: list[str], complaint: str
) -> None:
    done = run(pack(tmp_path, settings), "devices", *arguments)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert re.search(complaint, done.stderr), done.stderr


@pytest.mark.parametrize(
    ("text", "missing"),
    [("{", "vpn_self_service"), ('{"vpn_self_service": {}}', "function_arn, manage_url, renew_url")],
)
def test_what_a_file_of_settings_lacks_is_said_in_one_line(tmp_path: Path, text: str, missing: str) -> None:
    (tmp_path / "vpn.json").write_text(text)
    done = run(pack(tmp_path), "devices", "--settings", "vpn.json")
    assert done.returncode == 1
    assert f"the settings lack {missing}; " in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_the_same_modules_and_settings_are_the_same_bytes(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for directory in (first, second):
        directory.mkdir()
    reordered = dict(reversed(FUNCTION.items()))
    assert pack(first, FUNCTION).read_bytes() == pack(second, reordered).read_bytes()


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"function_arn": "x"}, "lack manage_url, renew_url"),
        ({**FUNCTION, "aws_secret_access_key": "x"}, "have aws_secret_access_key, which the script doesn't know"),
        ({**FUNCTION, "check_name": ["a"]}, "check_name must be text"),
        ({**FUNCTION, "check_name": "a b"}, "check_name"),
        ({**FUNCTION, "renew_url": "renew"}, "'renew' isn't an address"),
    ],
)
def test_r10_nothing_but_settings_goes_into_the_script(settings: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        users_script.settings_file(settings)


def test_r10_phones_key_is_not_made_when_the_output_is_no_terminal(tmp_path: Path) -> None:
    script = pack(tmp_path, FUNCTION)
    done = run(script, "phone", "phone", keys=KEYS)
    assert "shown on a terminal only" in done.stderr
    assert "could not be reached" not in done.stderr
