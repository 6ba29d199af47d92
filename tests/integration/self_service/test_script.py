# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The script of one file against the function over HTTP, as a user runs it, by its commands that need no root."""

from __future__ import annotations

import contextlib
import http.client
import http.server
import json
import os
import pty
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils import keys

from tests.integration.conftest import REGION, ROOT
from tests.support.waiting import PATIENCE

from .people import People, Person
from .test_devices import aged
from .test_enrollment import denying, environment_of

KEY = keys.generate()[1]


@contextlib.contextmanager
def demanding_a_session(url: str) -> Iterator[str]:
    """A function URL whose policy lets sessions through only, as the one that asks for MFA does; other keys get 403.

    The emulated AWS can't tell a session with MFA from one without.
    """
    behind = urlsplit(url)

    class Policy(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, content = 403, b'{"Message":"Forbidden"}'
            if "X-Amz-Security-Token" in self.headers:
                connection = http.client.HTTPConnection(str(behind.hostname), behind.port or 80, timeout=PATIENCE)
                connection.request(self.command, self.path, body, dict(self.headers.items()))
                answer = connection.getresponse()
                status, content = answer.status, answer.read()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_PUT = do_POST

        def log_message(self, *_: object) -> None:
            """Stay quiet."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Policy) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}{behind.path}"
        server.shutdown()


class Script:
    """The packed script in a directory of its own, which is the user's home."""

    def __init__(self, directory: Path, people: People, aws_url: str) -> None:
        self._directory = directory
        self._aws_url = aws_url
        self._function = people.function
        self._path = directory / "enroll.pyz"
        subprocess.run([sys.executable, ROOT / "tools/enroll_script.py", self._path], check=True, capture_output=True)

    def __call__(
        self, person: Person, *arguments: str, typed: str | None = None, config: str = "", **settings: str
    ) -> subprocess.CompletedProcess[str]:
        """Run it; with `typed` in a terminal in which somebody types that."""
        function = self._function._asdict() | settings
        named = {f"function_{name}" if name == "arn" else name: function[name] for name in function if name != "verify"}
        (self._directory / "vpn.json").write_text(json.dumps({"vpn_self_service": named}))
        (self._directory / "aws").write_text(f"[default]\nregion = {REGION}\n{config}")
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self._directory),
            "AWS_CONFIG_FILE": str(self._directory / "aws"),
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ENDPOINT_URL": self._aws_url,
            **environment_of(person),
        }
        with _keyboard(typed) as stdin:
            return subprocess.run(
                [sys.executable, self._path, *arguments, "--settings", "vpn.json"],
                env=environment,
                cwd=self._directory,
                stdin=stdin,
                capture_output=True,
                text=True,
                check=False,
                timeout=PATIENCE,
            )


@contextlib.contextmanager
def _keyboard(typed: str | None) -> Iterator[int]:
    if typed is None:
        yield subprocess.DEVNULL
        return
    ours, its = pty.openpty()
    os.write(ours, typed.encode())
    try:
        yield its
    finally:
        os.close(ours)
        os.close(its)


@pytest.fixture
def script(tmp_path: Path, people: People, aws_url: str) -> Script:
    """`script(alice, "devices")`: what became of it."""
    return Script(tmp_path, people, aws_url)


def with_mfa(people: People, name: str) -> tuple[Person, str]:
    """A user with an MFA device, and the device's serial number."""
    person = people.user(name)
    serial: str = people.vpn.iam.create_virtual_mfa_device(VirtualMFADeviceName=name)["VirtualMFADevice"][
        "SerialNumber"
    ]
    codes: dict[str, Any] = {"AuthenticationCode1": "123456", "AuthenticationCode2": "654321"}
    people.vpn.iam.enable_mfa_device(UserName=name, SerialNumber=serial, **codes)
    return person, serial


def app(script: Script, person: Person, **options: Any) -> subprocess.CompletedProcess[str]:
    return script(person, "app", "tablet", "--public-key", KEY, "--output", "vpn.conf", **options)


def test_code_of_the_mfa_device_is_asked_for_where_the_policy_wants_a_fresh_session(
    people: People, script: Script
) -> None:
    alice, serial = with_mfa(people, "alice")
    with demanding_a_session(people.function.renew_url) as url:
        done = app(script, alice, renew_url=url, typed="123456\n")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"code of your MFA device {serial}: " in done.stdout
    (registration,) = people.vpn.registry().devices.registrations()
    assert (registration.label, registration.public_key) == ("alice/tablet", KEY)


def test_serial_number_of_the_profile_goes_before_the_users_devices(people: People, script: Script) -> None:
    alice, _serial = with_mfa(people, "alice")
    chosen = "arn:aws:iam::123456789012:mfa/chosen"
    with demanding_a_session(people.function.renew_url) as url:
        done = app(script, alice, renew_url=url, typed="123456\n", config=f"mfa_serial = {chosen}\n")
    assert f"code of your MFA device {chosen}: " in done.stdout


def test_user_without_an_mfa_device_is_told_to_add_one(people: People, script: Script) -> None:
    with demanding_a_session(people.function.renew_url) as url:
        done = app(script, people.user("alice"), renew_url=url, typed="123456\n")
    assert done.returncode == 1
    assert "your IAM user has no MFA device: add one" in done.stderr
    assert done.stderr.endswith("(authenticate_again)\n")


def test_session_of_which_none_can_be_made_is_said_to_be_one(people: People, script: Script) -> None:
    """Where the session itself isn't fresh enough."""
    alice, _serial = with_mfa(people, "alice")
    session = people.with_key("alice", people.sts(alice).get_session_token()["Credentials"])
    done = app(script, session, renew_url="http://127.0.0.1:9/", typed="123456\n")
    assert "unreachable" in done.stderr
    with denying() as url:
        done = app(script, session, renew_url=url, typed="123456\n")
    assert "these credentials are a session already" in done.stderr


def test_nobody_is_asked_where_there_is_no_terminal(people: People, script: Script) -> None:
    alice, _serial = with_mfa(people, "alice")
    with demanding_a_session(people.function.renew_url) as url:
        done = app(script, alice, renew_url=url)
    assert done.returncode == 1
    assert "get-session-token" in done.stderr
    assert "code of your MFA device" not in done.stdout
    assert people.vpn.registry().devices.registrations() == []


def test_end_that_operators_set_is_shown_as_theirs(people: People, script: Script) -> None:
    alice = people.user("alice")
    aged(people, alice, "laptop", days_left=3, fixed_end=True)
    assert "which the operators of the VPN set: ask them for more time" in script(alice, "devices").stdout
