# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The AuthorizedKeysCommand of gateways, as sshd runs it, against an instance metadata of our own."""

from __future__ import annotations

import http.server
import importlib.util
import sys
import threading
import types
from collections.abc import Iterator
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parents[4] / "roles/gateway/files/instance_connect.py"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB0ykIh3Xc0yoWmZmTjCR9bUhCAXMZ5yOvJuxUWmwBbZ"
NOW = 1_790_000_000


def block(end: int, key: str = KEY) -> str:
    """One key as the instance metadata has it."""
    return f"#Timestamp={end}\n#Instance=i-0123456789abcdef0\n#Caller=arn\n#Request=id\n{key}\nc2lnbmF0dXJl\n"


class Metadata(http.server.BaseHTTPRequestHandler):
    """IMDSv2 with keys for `admin`."""

    def do_PUT(self) -> None:
        self._answer(200 if self.headers["X-aws-ec2-metadata-token-ttl-seconds"] else 400, b"token")

    def do_GET(self) -> None:
        if self.headers["X-aws-ec2-metadata-token"] != "token":
            self._answer(401, b"")
        elif self.path.endswith("/meta-data/managed-ssh-keys/active-keys/admin/"):
            self._answer(200, block(NOW * 9).encode())
        else:
            self._answer(404, b"")

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it
        """Stay quiet."""


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> Iterator[types.ModuleType]:
    """The program, which asks the metadata of this test."""
    spec = importlib.util.spec_from_file_location("instance_connect", PROGRAM)
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    server = http.server.HTTPServer(("127.0.0.1", 0), Metadata)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    monkeypatch.setattr(loaded, "_METADATA", f"http://127.0.0.1:{server.server_port}/latest")
    yield loaded
    server.shutdown()
    server.server_close()


def run(program: types.ModuleType, user: str, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "argv", ["instance_connect.py", user])
    status: int = program.main()
    return status


def test_key_is_accepted_until_its_time_is_over(program: types.ModuleType) -> None:
    assert program.valid_keys(block(NOW + 1), NOW) == [KEY]
    assert program.valid_keys(block(NOW), NOW) == []
    assert program.valid_keys(block(NOW - 1) + block(NOW + 60, "ssh-rsa AAAA alice"), NOW) == ["ssh-rsa AAAA alice"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        KEY,
        f"#Timestamp=soon\n{KEY}\n",
        f"{KEY}\n#Timestamp={NOW + 9}\n",
        "<html>",
        f"#Timestamp={NOW + 9}\ncommand=x {KEY}",
    ],
)
def test_what_is_no_key_with_a_time_is_none(program: types.ModuleType, text: str) -> None:
    assert program.valid_keys(text, NOW) == []


def test_keys_of_a_user_are_printed(
    program: types.ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(program, "admin", monkeypatch) == 0
    assert capsys.readouterr().out == f"{KEY}\n"
    assert run(program, "root", monkeypatch) == 0
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("user", ["../admin", "a/b", "", "a b", "-x"])
def test_r15_user_that_is_no_name_is_never_asked_about(
    program: types.ModuleType, monkeypatch: pytest.MonkeyPatch, user: str
) -> None:
    assert run(program, user, monkeypatch) == 1


def test_unreachable_metadata_gives_no_key_and_says_so(
    program: types.ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(program, "_METADATA", "http://127.0.0.1:9/latest")
    assert run(program, "admin", monkeypatch) == 1
    printed = capsys.readouterr()
    assert (printed.out, "can't be asked" in printed.err) == ("", True)
