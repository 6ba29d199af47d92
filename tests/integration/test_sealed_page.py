# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""A handout as a page, opened from its file in a real browser that has no network."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils.client.age import new_passphrase
from ansible_collections.tracklib.vpn.plugins.module_utils.client.sealed_page import seal
from playwright.sync_api import Browser, Page, expect

from tests.support.phone import scanned
from tests.support.waiting import PATIENCE

CONFIG = """\
# carol/phone
[Interface]
PrivateKey = 8Ad2bd0tU2WlP4Jh2Z4Cj6z0lb4gBwqjEZb9hOyAnX8=
Address = 10.44.0.2/32

[Peer]
PublicKey = hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=
Endpoint = vpn.example.com:51820
AllowedIPs = 10.20.0.0/16
"""


class Sealed:
    """The page of carol's phone, and what opens it."""

    def __init__(self, browser: Browser, directory: Path) -> None:
        self.passphrase = new_passphrase()
        self.file = directory / "carol_phone.html"
        self.asked: list[str] = []
        self.wrong: list[str] = []
        self._browser = browser

    def opened(self, config: str = CONFIG, name: str = "carol/phone", width: int = 900, script: str = "0") -> Page:
        self.file.write_bytes(seal(config, name, self.passphrase))
        context = self._browser.new_context(viewport={"width": width, "height": 700}, offline=True)
        page = context.new_page()
        page.add_init_script(script)
        page.set_default_timeout(PATIENCE * 1000)
        page.on("request", lambda request: self.asked.append(request.url))
        page.on("console", lambda message: self.wrong.append(message.text))
        page.on("pageerror", lambda error: self.wrong.append(str(error)))
        page.goto(self.file.as_uri())
        return page

    def type(self, page: Page, passphrase: str) -> None:
        page.get_by_label("Passphrase").fill(passphrase)
        page.get_by_role("button", name="Open").click()


@pytest.fixture
def sealed(browser: Browser, tmp_path: Path) -> Iterator[Sealed]:
    made = Sealed(browser, tmp_path)
    yield made
    assert made.wrong == []
    assert {url.partition(":")[0] for url in made.asked} <= {"file", "data", "blob"}


def test_phone_scans_the_code_and_the_saved_file_is_the_configuration(sealed: Sealed, tmp_path: Path) -> None:
    page = sealed.opened()
    expect(page.get_by_role("heading", name="VPN of carol/phone")).to_be_visible()
    sealed.type(page, f"  {sealed.passphrase.upper()} ")  # as a phone's keyboard has it
    code = page.get_by_role("img", name="QR code of the configuration")
    expect(code).to_be_visible()
    expect(page.get_by_label("Passphrase")).to_be_hidden()
    shot = tmp_path / "code.png"
    code.screenshot(path=shot)
    assert scanned(shot).split() == CONFIG.removeprefix("# carol/phone\n").split()
    with page.expect_download() as saving:
        page.get_by_role("link", name="Save the file").click()
    assert saving.value.suggested_filename == "phone.conf"
    assert Path(saving.value.path()).read_text() == CONFIG


def test_wrong_passphrase_is_said_and_another_try_opens_it(sealed: Sealed) -> None:
    page = sealed.opened()
    sealed.type(page, new_passphrase())
    expect(page.get_by_role("alert")).to_contain_text("That isn't the passphrase: six groups of four")
    expect(page.get_by_role("region", name="Configuration")).to_be_hidden()
    sealed.type(page, sealed.passphrase)
    expect(page.get_by_role("region", name="Configuration")).to_be_visible()


def test_keyboard_alone_opens_it_on_a_narrow_screen(sealed: Sealed) -> None:
    page = sealed.opened(width=320)
    page.keyboard.press("Tab")
    page.keyboard.type(sealed.passphrase)
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="Save the file")).to_be_focused()
    assert page.evaluate("document.documentElement.scrollWidth") <= 320


def test_configuration_that_no_code_holds_is_saved_as_a_file(sealed: Sealed) -> None:
    page = sealed.opened(CONFIG + "".join(f"AllowedIPs = 10.{number}.0.0/16\n" for number in range(250)))
    sealed.type(page, sealed.passphrase)
    expect(page.get_by_text("The configuration is too long for a code: use the file.")).to_be_visible()


def test_program_that_lacks_cryptography_says_where_to_open_it(sealed: Sealed) -> None:
    page = sealed.opened(script="delete Crypto.prototype.subtle")
    sealed.type(page, sealed.passphrase)
    expect(page.get_by_role("alert")).to_contain_text("Save the file on a computer, and open it in Firefox")


def test_r10_r15_file_holds_no_secret_and_a_name_is_no_code(sealed: Sealed) -> None:
    page = sealed.opened(name="<img src=x>&$sealed/a")
    expect(page.get_by_role("heading")).to_have_text("VPN of <img src=x>&$sealed/a")
    text = sealed.file.read_text()
    assert "PrivateKey" not in text
    assert "8Ad2bd0tU2WlP4Jh2Z4Cj6z0lb4gBwqjEZb9hOyAnX8" not in text
    assert sealed.passphrase not in text
    assert seal(CONFIG, "a/b", sealed.passphrase) != seal(CONFIG, "a/b", sealed.passphrase), "no nonce twice"
