# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The page of `enroll web` in a real browser, against the function over HTTP; and what others get of it: nothing.

`UPDATE_SCREENS=1` in the environment draws the picture of docs/self-service.md anew.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils import keys
from playwright.sync_api import Browser, Dialog, Page, expect

from tests.integration.conftest import ROOT
from tests.support.phone import scanned
from tests.support.waiting import PATIENCE, wait_for

from .people import People, Person
from .test_devices import aged
from .test_enrollment import denying
from .test_script import Script, demanding_a_session, script, with_mfa

__all__ = ["script"]
Open = Callable[..., Page]


@contextlib.contextmanager
def serving(script: Script, person: Person, **settings: Any) -> Iterator[str]:
    """The page's address while the script serves it."""
    with script.start(person, "web", "--no-browser", **settings) as process:
        assert process.stdout is not None
        try:
            process.stdout.readline()
            yield process.stdout.readline().strip()
        finally:
            process.terminate()
            process.communicate(timeout=PATIENCE)


@pytest.fixture
def open_page(browser: Browser, script: Script) -> Iterator[Open]:
    """`open_page(alice)`: her page, in a browser of its own, whose console stays empty."""
    wrong: list[str] = []
    served = script
    with contextlib.ExitStack() as stack:

        def open_page(
            person: Person, width: int = 900, scheme: str = "light", script: str = "", **settings: str
        ) -> Page:
            address = stack.enter_context(serving(served, person, **settings))
            context = browser.new_context(
                viewport={"width": width, "height": 700}, color_scheme="dark" if scheme == "dark" else "light"
            )
            stack.callback(context.close)
            page = context.new_page()
            page.add_init_script(script or "0")
            page.set_default_timeout(PATIENCE * 1000)
            page.on("console", lambda message: wrong.append(message.text))
            page.on("pageerror", lambda error: wrong.append(str(error)))
            page.on("dialog", lambda dialog: _unexpected(dialog, wrong))
            page.goto(address)
            expect(page.get_by_text("They reach")).to_be_visible()
            return page

        yield open_page
    assert wrong == []


def _unexpected(dialog: Dialog, wrong: list[str]) -> None:
    wrong.append(dialog.message)
    dialog.dismiss()


def add(page: Page, device: str, public_key: str | None = None) -> None:
    page.get_by_label("Name", exact=True).fill(device)
    if public_key is not None:
        page.get_by_role("radio", name="is made by the WireGuard app").check()
        page.get_by_label("Public key", exact=True).fill(public_key)
    page.get_by_role("button", name="Add the device").click()


def type_code(page: Page) -> None:
    question = page.get_by_role("dialog", name="Authenticate again")
    question.get_by_label("Code of your MFA device").fill("123456")
    question.get_by_role("button", name="Go on").click()


def registered(people: People) -> dict[str, str]:
    return {each.label: each.public_key for each in people.vpn.registry().devices.registrations()}


def test_phone_scans_the_code_on_the_screen_and_the_file_says_the_same(
    people: People, open_page: Open, tmp_path: Path
) -> None:
    page = open_page(people.user("alice"))
    expect(page.get_by_text("None yet")).to_be_visible()
    add(page, "phone")
    dialog = page.get_by_role("dialog", name="The tunnel of phone")
    expect(dialog.get_by_role("img", name="QR code of the tunnel")).to_be_visible()
    dialog.screenshot(path=tmp_path / "screen.png")
    if os.environ.get("UPDATE_SCREENS"):
        page.set_viewport_size({"width": 900, "height": 800})
        page.screenshot(path=ROOT / "docs/images/enroll-web.png")
    text = scanned(tmp_path / "screen.png")
    private_key = text.split("PrivateKey = ")[1].split("\n")[0]
    assert registered(people) == {"alice/phone": keys.public_key_of(private_key)}
    with page.expect_download() as download:
        dialog.get_by_role("button", name="Download").click()
    assert download.value.suggested_filename == "phone.conf"
    download.value.save_as(tmp_path / "phone.conf")
    saved = [line for line in (tmp_path / "phone.conf").read_text().splitlines() if line and line[0] != "#"]
    assert saved == text.strip().splitlines()
    dialog.get_by_role("button", name="Done").click()
    assert private_key not in page.content()
    expect(page.get_by_role("status")).to_contain_text("Device phone: registered; expires")
    expect(page.get_by_role("listitem").filter(has_text="phone")).to_contain_text("29 days left")


def test_app_with_its_own_key_gets_all_but_a_key(people: People, open_page: Open) -> None:
    public_key = keys.generate()[1]
    page = open_page(people.user("alice"))
    add(page, "tablet", public_key)
    dialog = page.get_by_role("dialog", name="The tunnel of tablet")
    text = dialog.get_by_label("Configuration", exact=True).input_value()
    assert text.startswith("Address = 10.44.0.")
    assert "PrivateKey" not in text
    expect(dialog.get_by_role("button", name="Download")).to_be_hidden()
    dialog.get_by_role("button", name="Done").click()
    assert registered(people) == {"alice/tablet": public_key}
    page.get_by_role("button", name="Configuration of tablet").click()
    assert dialog.get_by_label("Configuration", exact=True).input_value() == text


def test_devices_are_renewed_and_removed_by_the_keyboard_alone(people: People, open_page: Open) -> None:
    alice = people.user("alice")
    before = aged(people, alice, "laptop", days_left=5)
    page = open_page(alice)
    device = page.get_by_role("listitem").filter(has_text="laptop")
    expect(device).to_contain_text("days left")
    tab_to(page, "Renew laptop")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("Device laptop: renewed")
    (after,) = people.vpn.registry().devices.registrations()
    assert (after.expires_at or 0) > (before.expires_at or 0)
    expect(page.get_by_role("button", name="Renew laptop")).to_be_disabled()
    tab_to(page, "Remove laptop")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog", name="Remove laptop?")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    assert registered(people) != {}
    tab_to(page, "Remove laptop")
    page.keyboard.press("Enter")
    tab_to(page, "Remove it")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("Device laptop: removed")
    assert registered(people) == {}


def tab_to(page: Page, name: str) -> None:
    """Press Tab until a button has the focus."""
    for _press in range(40):
        page.keyboard.press("Tab")
        focus = page.evaluate("document.activeElement.ariaLabel ?? document.activeElement.textContent")
        if focus == name:
            return
    raise AssertionError(f"nothing called {name} can be reached by the keyboard")


def test_name_that_has_another_key_is_replaced_after_a_question_only(people: People, open_page: Open) -> None:
    alice = people.user("alice")
    alice.register("phone")
    before = registered(people)
    page = open_page(alice)
    for answer in ("No, leave it", "Replace it"):
        assert registered(people) == before
        add(page, "phone")
        question = page.get_by_role("dialog", name="Replace the key of phone?")
        expect(question).to_contain_text("the tunnel of whatever has the old key ends")
        question.get_by_role("button", name=answer).click()
    expect(page.get_by_role("dialog", name="The tunnel of phone")).to_contain_text("registered with another key")
    assert registered(people).keys() == before.keys()
    assert registered(people) != before


def test_code_of_the_mfa_device_is_typed_into_the_page(people: People, open_page: Open) -> None:
    alice, _serial = with_mfa(people, "alice")
    with demanding_a_session(people.function.renew_url) as url:
        page = open_page(alice, renew_url=url)
        add(page, "phone")
        type_code(page)
        expect(page.get_by_role("dialog", name="The tunnel of phone")).to_be_visible()
    assert registered(people).keys() == {"alice/phone"}


def test_what_the_function_refuses_is_told_in_its_words(people: People, open_page: Open) -> None:
    alice = people.user("alice")
    bobs = keys.generate()[1]
    people.user("bob").register("laptop", bobs)
    page = open_page(alice)
    add(page, "phone", bobs)
    expect(page.get_by_role("alert")).to_contain_text("key")
    expect(page.get_by_role("dialog")).to_be_hidden()
    add(page, "phone", keys.generate()[1])
    page.get_by_role("dialog").get_by_role("button", name="Done").click()
    expect(page.get_by_role("alert")).to_be_empty()


@pytest.mark.parametrize(
    ("left_out", "said"),
    [
        ("10.20.0.0/33", "10.20.0.0/33"),
        (
            "10.20.0.0/16",
            "nothing is left for the tunnel: you may reach 10.20.0.0/16, and 10.20.0.0/16 is to be left out",
        ),
    ],
)
def test_networks_that_can_not_be_left_out_cost_no_registration(
    people: People, open_page: Open, left_out: str, said: str
) -> None:
    page = open_page(people.user("alice"))
    page.get_by_text("More", exact=True).click()
    page.get_by_label("Networks to leave out").fill(left_out)
    add(page, "phone")
    expect(page.get_by_role("alert")).to_contain_text(said)
    assert registered(people) == {}


# -- at odd moments

# of calls whose path is in window.slow, the answers come late
SLOW = """
const prompt = window.fetch;
window.slow = {};
window.fetch = async (path, options) => {
  const answer = await prompt(path, options);
  await new Promise((resolve) => setTimeout(resolve, window.slow[path] ?? 0));
  return answer;
};
"""


@pytest.fixture
def slow_page(people: People, open_page: Open) -> Page:
    """alice's page, with a phone and a laptop, whose answers take half a second."""
    alice = people.user("alice")
    for device in ("phone", "laptop"):
        alice.register(device)
    page = open_page(alice, script=SLOW)
    page.evaluate("Object.assign(window.slow, { '/make': 500, '/devices': 500, '/remove': 500 })")
    return page


def test_second_click_and_other_buttons_do_nothing_while_a_device_is_added(people: People, slow_page: Page) -> None:
    """One dialog must never answer for two questions, nor a success be told as a failure."""
    slow_page.get_by_label("Name", exact=True).fill("tablet")
    slow_page.get_by_role("button", name="Add the device").dblclick()
    slow_page.evaluate(
        "[...document.querySelectorAll('button')].find((each) => each.ariaLabel == 'Remove laptop').focus()"
    )
    slow_page.keyboard.press("Enter")
    expect(slow_page.get_by_role("dialog", name="The tunnel of tablet")).to_be_visible()
    expect(slow_page.get_by_role("dialog")).to_have_count(1)
    expect(slow_page.get_by_role("alert")).to_be_empty()
    assert registered(people).keys() == {"alice/phone", "alice/laptop", "alice/tablet"}


def test_only_copy_of_a_key_waits_for_nothing_and_does_not_go_by_escape(slow_page: Page) -> None:
    slow_page.evaluate(f"window.slow['/devices'] = {PATIENCE * 1000}")
    add(slow_page, "tablet")
    dialog = slow_page.get_by_role("dialog", name="The tunnel of tablet")
    expect(dialog).to_be_visible()
    slow_page.keyboard.press("Escape")
    expect(dialog).to_be_visible()
    assert slow_page.evaluate("document.activeElement.id") == "made-title"


def test_focus_stays_in_the_list_after_renewing_and_removing(people: People, open_page: Open) -> None:
    alice = people.user("alice")
    aged(people, alice, "laptop", days_left=5)
    page = open_page(alice)
    for name in ("Renew", "Remove"):
        page.get_by_role("button", name=f"{name} laptop").focus()
        page.keyboard.press("Enter")
        if name == "Remove":
            page.get_by_role("button", name="Remove it").click()
        expect(page.get_by_role("heading", name="Devices", exact=True)).to_be_focused()


def test_code_that_can_not_help_is_not_asked_for_twice(people: People, open_page: Open) -> None:
    alice, _serial = with_mfa(people, "alice")
    session = people.with_key("alice", people.sts(alice).get_session_token()["Credentials"])
    with denying() as url:
        page = open_page(session, renew_url=url)
        add(page, "phone")
        type_code(page)
        expect(page.get_by_role("alert")).to_contain_text("these credentials are a session already")
        expect(page.get_by_role("dialog")).to_be_hidden()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_small_screen_shows_all_of_it(people: People, open_page: Open, scheme: str, tmp_path: Path) -> None:
    alice = people.user("alice")
    alice.register("a-very-long-name-of-32-letters-x")
    page = open_page(alice, width=320, scheme=scheme)
    for where in ("page", "dialog"):
        if where == "dialog":
            add(page, "phone")
            expect(page.get_by_role("dialog")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= 320
        assert (
            page.evaluate("Math.max(...[...document.querySelectorAll('dialog')].map((each) => each.scrollWidth))")
            <= 320
        )
        page.screenshot(path=tmp_path / f"{where}.png", full_page=True)
    assert page.evaluate(_CONTRAST) >= 4.5, "WCAG 2.1, 1.4.3"


# the least contrast of any text with the colour behind it
_CONTRAST = """() => {
  const numbers = (colour) => colour.match(/[0-9.]+/g).map(Number);
  const light = (colour) => {
    const [r, g, b] = numbers(colour).map((each) => each / 255)
      .map((each) => each <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const colour = getComputedStyle(each).backgroundColor;
      if ((numbers(colour)[3] ?? 1) === 1) return colour;
    }
    return "rgb(255, 255, 255)";
  };
  const texts = [...document.querySelectorAll("body *")].filter((each) =>
    each.checkVisibility() && [...each.childNodes].some((node) => node.nodeType === 3 && node.data.trim()));
  return Math.min(...texts.filter((each) => !each.disabled).map((each) => {
    const [one, other] = [light(getComputedStyle(each).color), light(ground(each))].sort((a, b) => b - a);
    return (one + 0.05) / (other + 0.05);
  }));
}"""


def test_page_ends_when_it_is_closed(people: People, browser: Browser, script: Script) -> None:
    with script.start(people.user("alice"), "web", "--no-browser") as process:
        assert process.stdout is not None
        process.stdout.readline()
        with browser.new_context() as context:
            page = context.new_page()
            page.goto(process.stdout.readline().strip())
            page.get_by_role("button", name="Close this page").click()
            expect(page.get_by_role("status")).to_contain_text("closed")
        assert process.wait(PATIENCE) == 0


# -- everybody else


def asked(
    address: str, method: str = "POST", path: str = "/devices", body: str = "{}", **headers: str
) -> tuple[int, str, dict[str, str]]:
    """Status, content and headers of an answer; by default to what the page itself asks."""
    url = urlsplit(address)
    token = url.query.partition("=")[2]
    usual = {"Host": url.netloc, "Origin": f"http://{url.netloc}", "X-Token": token}
    given = {**usual, **{name.replace("_", "-"): value for name, value in headers.items()}}
    connection = http.client.HTTPConnection(str(url.hostname), url.port, timeout=PATIENCE)
    connection.request(method, path, body, {name: value for name, value in given.items() if value})
    answer = connection.getresponse()
    return answer.status, answer.read().decode(), {name.lower(): value for name, value in answer.headers.items()}


def test_other_pages_and_users_get_nothing(people: People, script: Script) -> None:
    alice = people.user("alice")
    alice.register("laptop")
    with serving(script, alice) as address:
        token = urlsplit(address).query.partition("=")[2]
        status, content, headers = asked(address)
        assert (status, [each["device"] for each in json.loads(content)["devices"]]) == (200, ["laptop"])
        assert not [name for name in headers if name.startswith("access-control")]
        refused = [
            asked(address, Host=f"attacker.example:{urlsplit(address).port}"),
            asked(address, Origin="http://attacker.example"),
            asked(address, Origin=""),
            asked(address, Origin="null"),
            asked(address, X_Token=""),
            asked(address, X_Token=token[:-1]),
            asked(address, X_Token="é"),
            asked(address, path="/nothing"),
            asked(address, Content_Length="1000000000"),
            asked(address, Content_Length="-1"),
            asked(address, "GET", "/"),
            asked(address, "GET", "/?token="),
            asked(address, "GET", f"/?token={token}", Host="localhost"),
            asked(address, "GET", f"/devices?token={token}"),
        ]
        assert {status for status, _content, _headers in refused} == {403}
        assert not [content for _status, content, _headers in refused if "laptop" in content or token in content]
        assert asked(address, "OPTIONS")[0] == 501
        page, policy = asked(address, "GET", f"/?token={token}")[1:]
        assert (page.count("nonce"), policy["cache-control"]) == (2, "no-store")
        assert "frame-ancestors 'none'" in policy["content-security-policy"]
        assert token not in page


def test_address_stands_in_no_process_list_and_in_no_file_that_stays(
    people: People, script: Script, tmp_path: Path
) -> None:
    """Another user of the machine sees with what a browser is started."""
    seen = tmp_path / "seen"
    firefox = tmp_path / "firefox"
    firefox.write_text(
        f'#!/bin/sh\necho "$@" > {seen}.part\nstat -c %a "${{1#file://}}" >> {seen}.part\n'
        f'cat "${{1#file://}}" >> {seen}.part\nmv {seen}.part {seen}\n'
    )
    firefox.chmod(0o755)
    with script.start(people.user("alice"), "web", env={"BROWSER": f"{firefox} %s", "DISPLAY": ":99"}) as process:
        assert process.stdout is not None
        process.stdout.readline()
        address = process.stdout.readline().strip()
        wait_for("a browser", seen.exists)
        arguments, mode, page = seen.read_text().splitlines()
        token = address.partition("token=")[2]
        assert token not in arguments
        assert mode == "600"
        assert re.findall(r"url=([^\"]+)", page) == [address]
        assert asked(address, "GET", f"/?token={token}")[0] == 200
        wait_for("the file's end", lambda: not list(tmp_path.glob("tracklib-vpn-*")))
        processes = subprocess.run(["ps", "axww", "-o", "args"], capture_output=True, text=True, check=True).stdout
        assert token not in processes
        process.terminate()
        _out, error = process.communicate(timeout=PATIENCE)
        assert token not in error


def test_slow_stranger_keeps_nobody_waiting(people: People, script: Script) -> None:
    with serving(script, people.user("alice")) as address:
        url = urlsplit(address)
        connections = [http.client.HTTPConnection(str(url.hostname), url.port) for _number in range(20)]
        for each in connections:
            each.connect()
        began = time.monotonic()
        assert asked(address)[0] == 200
        assert time.monotonic() - began < PATIENCE
        for each in connections:
            each.close()


def test_page_that_is_closed_while_a_device_is_added_ends_after_its_key_is_sent(people: People, script: Script) -> None:
    with script.start(people.user("alice"), "web", "--no-browser") as process, ThreadPoolExecutor() as threads:
        assert process.stdout is not None
        process.stdout.readline()
        address = process.stdout.readline().strip()
        made = threads.submit(asked, address, path="/make", body='{"device": "tablet"}')
        wait_for("the registration", lambda: registered(people), every=0.001)
        assert asked(address, path="/close")[0] == 200
        assert "PrivateKey = " in json.loads(made.result()[1])["configuration"]
        assert process.wait(PATIENCE) == 0


def test_port_is_one_that_everybody_may_use(people: People, script: Script) -> None:
    alice = people.user("alice")
    for port in ("80", "99999", "x"):
        done = script(alice, "web", "--no-browser", "--port", port)
        assert done.returncode == 2
        assert f"{port} is no port from 1024 to 65535" in done.stderr


def test_nonsense_of_strangers_and_broken_connections_leave_the_terminal_alone(people: People, script: Script) -> None:
    with script.start(people.user("alice"), "web", "--no-browser", "--json") as process:
        assert process.stderr is not None
        lines = [process.stderr.readline() for _line in range(2)]
        url = urlsplit(lines[1].strip())
        for text in (b"GET http://[/ HTTP/1.1\r\n\r\n", b"nonsense\r\n\r\n", b"POST /make HTTP/1.1\r\nContent-Le"):
            with socket.create_connection((url.hostname, url.port), timeout=PATIENCE) as stranger:
                stranger.sendall(text)
        assert asked(lines[1].strip())[0] == 200
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=PATIENCE)
        assert (process.returncode, json.loads(stdout), stderr) == (0, {"error": None, "closed": True}, "")
