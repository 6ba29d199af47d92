# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Users and their own devices, from the user's command to the packets of the tunnel."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils.addresses import parse_pools

from tests.lab import actions, aws, hosts, self_service
from tests.lab.machine import LabError
from tests.support import ROOT
from tests.support.waiting import PATIENCE

NAME = "web.internal.example"  # see conftest.py
SCRIPT = "/home/admin/tracklib-vpn-enroll.pyz"
KEY, CONFIG = "/etc/wireguard/vpn0.key", "/etc/wireguard/vpn0.conf"
DROP_IN = "/etc/systemd/system/wg-quick@vpn0.service.d"
PHONE_CONFIG = "/etc/wireguard/phone0.conf"
UNTIL_GONE = 10  # seconds after its expiry


@pytest.fixture(scope="module", autouse=True)
def function() -> Iterator[None]:
    """The self-service function, and the runner behind its queue."""
    aws.seed()
    self_service.start(domains=["internal.example"])
    yield
    self_service.stop()


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The script, with the file that operators give to users in it."""
    directory = tmp_path_factory.mktemp("script")
    settings, script = directory / "vpn.json", directory / "enroll.pyz"
    settings.write_text(json.dumps(self_service.users_file(NAME)))
    program = str(ROOT / "tools" / "enroll_script.py")
    subprocess.run([sys.executable, program, "--settings", settings, script], check=True, capture_output=True)
    return script.read_bytes()


class Laptop:
    """A user's laptop: the script is there, and her AWS credentials."""

    def __init__(self, name: str, script: bytes) -> None:
        self.name = name
        self.user_name = name.split("-")[0]
        self.user_id = aws.client("iam").get_user(UserName=self.user_name)["User"]["UserId"]
        self.clean()
        profile = aws.make_profile(self.user_name)
        actions.put(name, SCRIPT, script, "admin")
        actions.put(name, "/home/admin/.aws/credentials", profile.encode(), "admin")

    def script(self, *arguments: str) -> str:
        """Run the script as the laptop's user; return what it says."""
        command = f"{SCRIPT} --profile {self.user_name} {' '.join(arguments)}"
        return actions.shell(self.name, f"su - admin -c '{command}' 2>&1")

    def public_key(self) -> str:
        """The public key of the private key on the laptop."""
        return actions.shell(self.name, f"wg pubkey < {KEY}")

    def page(self, address: str = hosts.SERVICE_ADDRESSES[0]) -> str:
        """The service's page, an empty text if it doesn't come."""
        return actions.fetch(self.name, address) or ""

    def change(self, **values: Any) -> None:
        """Change the registration as nobody can by self-service."""
        (found,) = actions.registry().devices.registrations_of((aws.ACCOUNT, self.user_id))
        actions.registry().devices.register(found._replace(**values), parse_pools(actions.POOLS))

    def expire_in(self, seconds: float) -> int:
        """Let the registration expire so soon; return when that is."""
        moment = int(time.time() + seconds)
        self.change(expires_at=moment, renewed_at=moment - 600)
        return moment

    def clean(self) -> None:
        """Leave nothing of an enrollment, on the laptop or in the registry."""
        actions.shell(
            self.name,
            "systemctl disable --quiet --now wg-quick@vpn0 2>&1; ip link delete phone0 2>/dev/null; rm -rf "
            f"{KEY} {CONFIG} {PHONE_CONFIG} {SCRIPT} /home/admin/.aws {DROP_IN}",
        )
        actions.forget_devices(self.user_name)


@pytest.fixture
def alice(packed: bytes) -> Iterator[Laptop]:
    """alice's laptop, Debian 12, not enrolled."""
    laptop = Laptop("alice-laptop", packed)
    yield laptop
    laptop.clean()


@pytest.fixture
def bob(packed: bytes) -> Iterator[Laptop]:
    """bob's laptop, Debian 13, not enrolled."""
    laptop = Laptop("bob-laptop", packed)
    yield laptop
    laptop.clean()


def scanned(screen: str, tmp_path: Path) -> str:
    """What a phone reads from the terminal: a character is two modules, one above the other."""
    upper, lower = "█▀", "█▄"
    lines = [re.sub("\x1b\\[[0-9;?]*[A-Za-z]", "", line).rstrip("\r") for line in screen.splitlines()]
    code = [line for line in lines if line and set(line) <= set("█▀▄ ")]
    light = [[character in half for character in line] for line in code for half in (upper, lower)]
    scale = 4
    rows = [" ".join("0" if module else "1" for module in row for _ in range(scale)) for row in light]
    width = max(len(row) for row in light) * scale
    picture = tmp_path / "screen.pbm"
    picture.write_text("\n".join([f"P1 {width} {len(rows) * scale}", *(row for row in rows for _ in range(scale))]))
    done = subprocess.run(["zbarimg", "--quiet", "--raw", picture], capture_output=True, text=True, check=True)
    return done.stdout


def test_user_is_enrolled_by_the_playbook_and_a_second_run_changes_nothing(alice: Laptop) -> None:
    done = self_service.enroll(alice.name, check_name=NAME, client_dns="resolved")
    assert "tracklib service" in alice.page(NAME)
    private_key = actions.shell(alice.name, f"cat {KEY}")
    assert private_key not in json.dumps(done.report) + done.stderr  # R10
    assert actions.shell(alice.name, f"stat -c %a {KEY} {CONFIG}").split() == ["600", "600"]
    assert self_service.enroll(alice.name, check_name=NAME, client_dns="resolved").changed == []


def test_new_key_takes_the_old_ones_place_by_the_playbook(alice: Laptop) -> None:
    alice.script("laptop")
    before = alice.public_key()
    done = self_service.enroll(
        alice.name, enroll_new_key=True, client_keepalive=0
    )  # nothing has the laptop send but enroll
    assert done.result("register or renew laptop")["actions"] == ["rotated"]
    assert alice.public_key() != before
    assert "tracklib service" in alice.page()
    assert before not in actions.live_peers()


def test_key_that_an_interrupted_run_registered_gets_into_the_tunnel(alice: Laptop) -> None:
    alice.script("laptop")
    new = actions.shell(alice.name, f"wg genkey > {KEY}; wg pubkey < {KEY}")
    alice.change(public_key=new)  # where it stopped: the registry has the key, the tunnel doesn't
    actions.run_playbook("reconcile")
    alice.script("laptop")
    assert actions.shell(alice.name, "wg show vpn0 public-key") == new
    assert "tracklib service" in alice.page()


def test_removed_device_leaves_nothing_by_the_playbook(alice: Laptop) -> None:
    alice.script("laptop")
    public_key = alice.public_key()
    self_service.enroll(alice.name, enroll_state="absent")
    assert actions.shell(alice.name, f"ls {KEY} {CONFIG} 2>/dev/null; wg show interfaces", check=False) == ""
    give_up = time.monotonic() + PATIENCE
    while public_key in actions.live_peers() and time.monotonic() < give_up:
        time.sleep(0.5)
    assert public_key not in actions.live_peers()


def test_user_is_enrolled_by_the_script_and_removes_the_device(bob: Laptop) -> None:
    with pytest.raises(LabError, match="resolvconf not found: install openresolv"):
        bob.script("--dns line laptop")
    said = bob.script("laptop")
    assert "registered" in said
    assert "waiting until the gateway knows this machine" in said
    assert f"{NAME} isn't asked of the tunnel" in said
    assert "tracklib service" in bob.page()
    assert "nothing to do" in bob.script("laptop")
    bob.expire_in(100)
    assert "renewed" in bob.script("laptop")
    assert "laptop" in bob.script("--list")
    actions.shell(bob.name, "systemctl reload wg-quick@vpn0")
    assert actions.shell(bob.name, "wg show vpn0 public-key") == bob.public_key()
    bob.script("--remove laptop")
    assert actions.shell(bob.name, f"ls -d {KEY} {CONFIG} {DROP_IN} 2>/dev/null", check=False) == ""
    assert actions.cut_off(bob.name)
    assert "not registered, nothing to do" in bob.script("--remove laptop")


def test_r10_phone_is_enrolled_from_the_laptop_and_its_key_is_shown_once(bob: Laptop, tmp_path: Path) -> None:
    with pytest.raises(LabError, match="shown on a terminal only"):
        bob.script("--phone phone")
    terminal = f"(sleep 5; echo) | script --quiet --return --command '{SCRIPT} --profile bob --phone phone' /dev/null"
    screen = actions.shell(bob.name, f'su - admin -c "{terminal}"')
    config = scanned(screen, tmp_path)
    private_key = config.split("PrivateKey = ")[1].split("\n")[0]
    assert f"PublicKey = {actions.shell('gateway', 'wg show wg0 public-key')}" in config
    assert actions.shell(bob.name, f"grep -r -l '{private_key}' /home/admin /etc/wireguard", check=False) == ""
    # the laptop stands in for the phone
    plain = "".join(f"{line}\n" for line in config.splitlines() if not line.startswith("DNS ="))
    actions.put(bob.name, PHONE_CONFIG, plain.encode())
    actions.shell(bob.name, f"wg-quick up {PHONE_CONFIG} 2>&1")
    assert any("tracklib service" in bob.page() for _ in range(10))


def test_expired_device_stops_on_time_without_a_run_and_works_again_after_renewal(alice: Laptop) -> None:
    alice.script("laptop")
    addresses = actions.shell(alice.name, f"grep Address {CONFIG}")
    took = actions.run_playbook("reconcile").seconds
    expires_at = alice.expire_in(2.5 * took + 8)
    actions.run_playbook("reconcile")  # the gateway learns of the expiry, and of nothing afterwards
    assert "tracklib service" in alice.page()
    while alice.public_key() in actions.live_peers():
        assert time.time() < expires_at + UNTIL_GONE
        time.sleep(0.2)
    assert time.time() >= expires_at
    assert actions.cut_off(alice.name)
    assert self_service.enroll(alice.name).result("register or renew laptop")["actions"] == ["renewed"]
    assert "tracklib service" in alice.page()
    assert actions.shell(alice.name, f"grep Address {CONFIG}") == addresses
