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
import re
import signal
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils import keys
from ansible_collections.tracklib.vpn.plugins.module_utils.enroll.device import digest
from ansible_collections.tracklib.vpn.plugins.module_utils.model import Registration
from ansible_collections.tracklib.vpn.plugins.module_utils.users_script import pack, read_modules

from tests.integration.conftest import REGION, ROOT
from tests.integration.vpn import ACCOUNT
from tests.support.company_proxy import HOST, CompanyProxy, company_proxy
from tests.support.phone import scanned
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
        self._path.write_bytes(pack(read_modules(ROOT / "plugins/module_utils")))

    def __call__(
        self,
        person: Person,
        *arguments: str,
        typed: str | None = None,
        screen: tuple[int, int] | None = None,
        config: str = "",
        env: dict[str, str] | None = None,
        **settings: str,
    ) -> subprocess.CompletedProcess[str]:
        """Run it; with `typed` somebody types that, with `screen` in a terminal of so many columns and lines."""
        given = [] if arguments[0] in ("down", "status") else ["--settings", "vpn.json"]  # these ask nobody
        with _terminal(typed, screen) as (stdin, stdout, shown):
            done = subprocess.run(
                [sys.executable, self._path, *arguments, *given],
                env=self._prepare(person, config, env or {}, settings),
                cwd=self._directory,
                stdin=stdin,
                stdout=stdout,
                stderr=subprocess.PIPE,
                text=True,
                check=False,
                timeout=PATIENCE,
            )
        return subprocess.CompletedProcess(done.args, done.returncode, done.stdout or "".join(shown), done.stderr)

    def start(
        self, person: Person, *arguments: str, env: dict[str, str] | None = None, **settings: str
    ) -> subprocess.Popen[str]:
        """Start it, without a terminal."""
        return subprocess.Popen(
            [sys.executable, self._path, *arguments, "--settings", "vpn.json"],
            env=self._prepare(person, "", env or {}, settings),
            cwd=self._directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # of tests that run in the background it is ignored, and programs inherit that
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )

    def _prepare(self, person: Person, config: str, env: dict[str, str], settings: dict[str, str]) -> dict[str, str]:
        """Write the files that it reads; return its environment."""
        function = self._function._asdict() | settings
        named = {f"function_{name}" if name == "arn" else name: function[name] for name in function if name != "verify"}
        (self._directory / "vpn.json").write_text(json.dumps({"vpn_self_service": named}))
        (self._directory / "aws").write_text(f"[default]\nregion = {REGION}\n{config}")
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self._directory),
            "AWS_CONFIG_FILE": str(self._directory / "aws"),
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ENDPOINT_URL": self._aws_url,
            **environment_of(person),
            **env,
        }


@contextlib.contextmanager
def _terminal(typed: str | None, screen: tuple[int, int] | None) -> Iterator[tuple[int, int, list[str]]]:
    """What is to be standard input and output, and what is shown on the screen in the end."""
    if typed is None and screen is None:
        yield subprocess.DEVNULL, subprocess.PIPE, []
        return
    ours, its = pty.openpty()
    columns, lines = screen or (80, 24)
    termios.tcsetwinsize(its, (lines, columns))
    shown: list[str] = []
    os.write(ours, (typed or "").encode())
    reader = threading.Thread(target=_read, args=(ours, shown), daemon=True)
    reader.start()
    try:
        yield its, its if screen else subprocess.PIPE, shown
    finally:
        os.close(its)
        reader.join(PATIENCE)
        os.close(ours)


def _read(terminal: int, shown: list[str]) -> None:
    """Read until nobody has the terminal open any more."""
    with contextlib.suppress(OSError):
        while octets := os.read(terminal, 65536):
            shown.append(octets.decode(errors="replace"))


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


def test_broken_configuration_of_aws_is_named_in_a_sentence(people: People, script: Script) -> None:
    done = script(people.user("alice"), "devices", config="[broken\n")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
    assert "see ~/.aws/config" in done.stderr


# -- a company's network


@pytest.fixture
def company(people: People, tmp_path: Path) -> Iterator[tuple[CompanyProxy, dict[str, str]]]:
    """A proxy that opens TLS, and the addresses of the function behind it."""
    behind = urlsplit(people.function.manage_url)
    with company_proxy(tmp_path, f"http://{behind.netloc}") as proxy:
        yield proxy, {f"{name}_url": f"https://{HOST}/{name}" for name in ("manage", "renew")}


@pytest.mark.parametrize("by_profile", [False, True])
def test_companys_proxy_and_certificate_are_used_as_the_aws_cli_uses_them(
    people: People, script: Script, company: tuple[CompanyProxy, dict[str, str]], by_profile: bool
) -> None:
    proxy, urls = company
    env = {"HTTPS_PROXY": proxy.url}
    config = f"ca_bundle = {proxy.authority}\n" if by_profile else ""
    done = app(
        script, people.user("alice"), config=config, **urls,
        env=env if by_profile else {**env, "AWS_CA_BUNDLE": str(proxy.authority)},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert set(proxy.asked) == {f"{HOST}:443"}
    assert len(people.vpn.registry().devices.registrations()) == 1


def test_certificate_of_a_stranger_is_refused_in_words(
    people: People, script: Script, company: tuple[CompanyProxy, dict[str, str]]
) -> None:
    proxy, urls = company
    done = app(script, people.user("alice"), env={"HTTPS_PROXY": proxy.url}, **urls)
    assert done.returncode == 1
    assert (HOST in done.stderr, "AWS_CA_BUNDLE" in done.stderr, done.stderr.count("\n")) == (True, True, 1), (
        done.stderr
    )
    assert people.vpn.registry().devices.registrations() == []


# -- a phone


def phone(script: Script, person: Person, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return script(person, "phone", "phone", *arguments, **options)


def test_qr_code_that_the_terminal_can_not_show_is_refused_before_anything_is_registered(
    people: People, script: Script
) -> None:
    alice = people.user("alice")
    done = phone(script, alice, screen=(80, 24), typed="\n")
    found = re.search(r"the QR code takes (\d+) columns and (\d+) lines, and this terminal has 80 and 24", done.stderr)
    assert found is not None, done.stderr
    assert "--output phone.svg" in done.stderr
    assert people.vpn.registry().devices.registrations() == []
    done = phone(script, alice, screen=(int(found[1]), int(found[2])), typed="\n")
    assert (done.returncode, done.stderr) == (0, "")
    code = [line for line in done.stdout.replace("\r", "").splitlines() if "\x1b[97;40m" in line]
    lines = [re.sub("\x1b\\[[0-9;?]*[A-Za-z]", "", line) for line in code]
    assert max(map(len, lines)) <= int(found[1])
    assert len(lines) <= int(found[2]) - 2
    assert all(line.endswith("\x1b[0m") for line in code), "the colours are the code's own"


def test_qr_code_is_written_to_a_file_that_a_phone_scans(people: People, script: Script, tmp_path: Path) -> None:
    alice, picture = people.user("alice"), tmp_path / "phone.png"
    done = phone(script, alice, "--output", picture.name)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{picture.name} holds the private key: delete it" in done.stdout
    assert picture.stat().st_mode & 0o777 == 0o600
    text = scanned(picture)
    assert "#" not in text
    (registration,) = people.vpn.registry().devices.registrations()
    private_key = text.split("PrivateKey = ")[1].split("\n")[0]
    assert keys.public_key_of(private_key) == registration.public_key
    assert private_key not in done.stdout + done.stderr


def test_configuration_with_the_key_is_written_as_text_on_request(
    people: People, script: Script, tmp_path: Path
) -> None:
    done = phone(script, people.user("alice"), "--output", "phone.conf")
    assert (done.returncode, done.stderr) == (0, "")
    assert "PrivateKey = " in (tmp_path / "phone.conf").read_text()


def test_file_that_is_there_or_can_not_be_written_costs_no_registration(
    people: People, script: Script, tmp_path: Path
) -> None:
    alice = people.user("alice")
    (tmp_path / "phone.svg").write_text("mine")
    for name in ("phone.svg", "nowhere/phone.svg", "phone.pdf"):
        done = phone(script, alice, "--output", name)
        assert (done.returncode, done.stderr.count("\n")) == (1, 1)
        assert name in done.stderr
    assert (tmp_path / "phone.svg").read_text() == "mine"
    assert people.vpn.registry().devices.registrations() == []


def test_registration_that_is_refused_leaves_no_file(people: People, script: Script, tmp_path: Path) -> None:
    with denying() as url:
        done = phone(script, people.user("alice"), "--output", "phone.png", renew_url=url)
    assert "authenticate_again" in done.stderr
    assert not (tmp_path / "phone.png").exists()


@pytest.mark.parametrize("output", [".", "nowhere/vpn.conf"])
def test_place_where_an_apps_configuration_can_not_go_costs_no_registration(
    people: People, script: Script, output: str
) -> None:
    done = script(people.user("alice"), "app", "tablet", "--public-key", KEY, "--output", output)
    assert done.returncode == 1
    assert f"--output {output} can't be written; nothing was registered" in done.stderr
    assert people.vpn.registry().devices.registrations() == []


# -- a system without root and without WireGuard's tools, as Windows is


@pytest.fixture
def rootless(tmp_path: Path) -> dict[str, str]:
    """Python without os.geteuid, and a PATH without programs. No test runs on Windows."""
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text("import os, shutil\ndel os.geteuid\nshutil.which = lambda *_, **__: None\n")
    return {"PYTHONPATH": str(site), "PATH": str(tmp_path)}


def test_every_command_works_without_root_and_tools_or_says_what_does(
    people: People, script: Script, rootless: dict[str, str], tmp_path: Path
) -> None:
    alice = people.user("alice")

    def said(*arguments: str, rc: int = 0) -> str:
        done = script(alice, *arguments, env=rootless)
        assert (done.returncode, "Traceback" in done.stderr) == (rc, False), done
        return done.stdout + done.stderr

    said("app", "tablet", "--public-key", KEY, "--output", "tablet.conf")
    assert "PrivateKey" not in (tmp_path / "tablet.conf").read_text()
    said("phone", "phone", "--output", "phone.conf")
    assert "PrivateKey = " in (tmp_path / "phone.conf").read_text()
    assert "tablet" in said("devices")
    assert "nothing to do" in said("renew", "tablet")
    said("remove", "tablet")
    for arguments in (["up", "laptop"], ["remove", "--local"], ["down"]):
        assert "made by the WireGuard app" in said(*arguments, rc=1)
    assert "has no tunnel vpn0" in said("status")
    assert [each.device for each in people.vpn.registry().devices.registrations()] == ["phone"]


# -- the end of a registration


class Reminded:
    """`enroll remind` with a note of its own and a desktop that writes its notifications to a file."""

    def __init__(self, script: Script, directory: Path, person: Person) -> None:
        self._script = script
        self._person = person
        self.note = directory / "note.json"
        self._desktop = directory / "notifications"
        site = directory / "site"
        site.mkdir()
        (site / "sitecustomize.py").write_text(
            "import sys\n"
            f"sys.path.insert(0, {str(directory / 'enroll.pyz')!r})\n"
            "from tracklib_vpn.enroll import machine\n"
            f"machine.Machine.note_file = property(lambda self: {str(self.note)!r})\n"
        )
        (directory / "notify-send").write_text(f'#!/bin/sh\necho "$4" >> {self._desktop}\n')
        (directory / "notify-send").chmod(0o755)
        self._env = {"PYTHONPATH": str(site), "PATH": f"{directory}:{os.environ['PATH']}"}

    def __call__(self, before: Registration, renew_url: str | None = None, **noted: Any) -> tuple[dict[str, Any], str]:
        """Its result, and what the desktop shows, for a machine that has this registration."""
        kept = {"device": before.device, "expires_at": before.expires_at, "renewable_from": before.renewable_from}
        self.note.write_text(json.dumps({**kept, "excluded": [], **noted}))
        self._desktop.write_text("")
        settings: dict[str, Any] = {} if renew_url is None else {"renew_url": renew_url}
        done = self._script(self._person, "remind", "--json", env=self._env, **settings)
        assert (done.returncode, "Traceback" in done.stderr) == (0, False), done
        return json.loads(done.stdout), self._desktop.read_text()


def test_timer_renews_what_is_past_half_of_its_life_and_tells_nobody(
    people: People, script: Script, tmp_path: Path
) -> None:
    alice = people.user("alice")
    remind = Reminded(script, tmp_path, alice)
    result, shown = remind(aged(people, alice, "laptop", days_left=5))
    assert (result["renewed"], result["problem"], shown) == (True, None, "")
    (registration,) = people.vpn.registry().devices.registrations()
    assert json.loads(remind.note.read_text())["expires_at"] == registration.expires_at == result["expires_at"]
    assert json.loads(remind.note.read_text())["excluded"] == []
    again, _shown = remind(registration)
    assert again["renewed"] is False


@pytest.mark.parametrize(("days_left", "is_told"), [(10, False), (6, True), (-1, True)])
def test_end_that_the_timer_can_not_move_is_told_from_seven_days_on(
    people: People, script: Script, tmp_path: Path, days_left: int, is_told: bool
) -> None:
    alice = people.user("alice")
    remind = Reminded(script, tmp_path, alice)
    before = aged(people, alice, "laptop", days_left=days_left)
    with denying() as url:
        result, shown = remind(before, renew_url=url)
    assert result["renewed"] is False
    assert "fresh MFA session" in result["problem"]
    assert ("device laptop: expire" in shown) == is_told
    assert people.vpn.registry().devices.registrations() == [before]


def test_new_network_or_zone_is_told_until_the_machine_has_it(people: People, script: Script, tmp_path: Path) -> None:
    """The timer may not change the machine's tunnel, which takes root: its user is told."""
    alice = people.user("alice")
    alice.register("laptop")
    (before,) = people.vpn.registry().devices.registrations()
    remind, as_noted = Reminded(script, tmp_path, alice), digest(alice.devices()["tunnel"])
    result, shown = remind(before, tunnel=as_noted)
    assert (result["changed"], shown) == (False, "")
    people.set(domains=["internal.example", "new.example"])
    result, shown = remind(before, tunnel=as_noted)
    assert (result["changed"], result["renewed"], result["problem"]) == (True, False, None)
    assert "what you reach by the VPN has changed" in shown
    assert json.loads(remind.note.read_text())["changed"] is True, "for `enroll status`"
    result, shown = remind(before, tunnel=digest(alice.devices()["tunnel"]))
    assert (result["changed"], shown) == (False, "")


def test_timer_that_is_early_and_can_not_ask_tells_nobody(people: People, script: Script, tmp_path: Path) -> None:
    """Credentials that ended over night are no news as long as nothing else ends."""
    alice = people.user("alice", group="others")
    before = Registration(ACCOUNT, "AIDA1", "laptop", "alice", KEY, (), 0, int(time.time() + 20 * 86400))
    result, shown = Reminded(script, tmp_path, alice)(before)
    assert "not_in_group" not in shown
    assert (shown, result["renewed"]) == ("", False)
    assert result["problem"] is not None


def test_device_that_was_removed_elsewhere_is_told(people: People, script: Script, tmp_path: Path) -> None:
    alice = people.user("alice")
    before = aged(people, alice, "laptop", days_left=5)
    people.vpn.registry().devices.remove(before)
    result, shown = Reminded(script, tmp_path, alice)(before)
    assert result["problem"] == "device laptop isn't registered any more"
    assert "device laptop" in shown
