# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The script of one file, run as users run it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.waiting import PATIENCE

ROOT = Path(__file__).parents[2]
FUNCTION = {
    "function_arn": "arn:aws:lambda:eu-west-1:111122223333:function:tracklib-vpn-self-service",
    "manage_url": "http://127.0.0.1:9/",  # the discard port of this machine, where nobody listens
    "renew_url": "http://127.0.0.1:9/",
}
KEYS = {"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY1"}


def pack(directory: Path, settings: str | None = None) -> Path:
    script = directory / "enroll.pyz"
    given: list[str | Path] = [script]
    if settings is not None:
        (directory / "vpn.json").write_text(settings)
        given += ["--settings", directory / "vpn.json"]
    subprocess.run([sys.executable, ROOT / "tools/enroll_script.py", *given], check=True, capture_output=True)
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
    script = pack(tmp_path, json.dumps({"vpn_self_service": FUNCTION}))
    done = run(script, "devices", keys=KEYS)
    assert done.returncode == 1
    assert re.fullmatch(r"enroll: .*127\.0\.0\.1:9 could not be reached.*\(unreachable\)\n", done.stderr)


@pytest.mark.parametrize(
    ("settings", "arguments", "complaint"),
    [
        (None, ["devices"], "no settings"),
        ("{", ["devices"], "the settings lack vpn_self_service"),
        (json.dumps({"vpn_self_service": {}}), ["devices"], "lack function_arn, manage_url, renew_url"),
        (json.dumps({"vpn_self_service": FUNCTION}), ["devices"], r"no AWS credentials .*\(no_credentials\)"),
        (
            json.dumps({"vpn_self_service": FUNCTION}),
            ["devices", "--profile", "x"],
            r"profile \(x\) could not be found",
        ),
        (json.dumps({"vpn_self_service": FUNCTION}), ["devices", "--settings", "none.json"], "none.json"),
    ],
)
def test_what_is_missing_is_said_in_one_line(
    tmp_path: Path, settings: str | None, arguments: list[str], complaint: str
) -> None:
    done = run(pack(tmp_path, settings), *arguments)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert re.search(complaint, done.stderr), done.stderr


def test_r10_phones_key_is_not_made_when_the_output_is_no_terminal(tmp_path: Path) -> None:
    script = pack(tmp_path, json.dumps({"vpn_self_service": FUNCTION}))
    done = run(script, "phone", "phone", keys=KEYS)
    assert "shown on a terminal only" in done.stderr
    assert "could not be reached" not in done.stderr
