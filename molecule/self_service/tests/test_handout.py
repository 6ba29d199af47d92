# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The playbook `handout`: carol opens her file with age, and reaches the service."""

from __future__ import annotations

import base64
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils.model import Registration
from ansible_collections.tracklib.vpn.plugins.module_utils.timespan import DAY

from tests.lab import actions

LAPTOP = "bob-laptop"  # carol borrows it
CONFIG = "/etc/wireguard/handed0.conf"
NAME = "web.internal.example"  # see conftest.py


@pytest.fixture
def carols_key(tmp_path: Path) -> Path:
    """carol's SSH key."""
    key = tmp_path / "id_ed25519"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    return key


@pytest.fixture
def unregistered() -> Iterator[None]:
    """carol has no device, before and after, and no tunnel is left on the laptop."""
    remove()
    yield
    remove()


def remove() -> None:
    """Remove carol's device and her tunnel."""
    actions.forget_devices("carol")
    actions.shell(LAPTOP, f"wg-quick down {CONFIG} 2>&1; rm -f {CONFIG}", check=False)


@pytest.fixture
def resolvconf() -> Iterator[None]:
    """The laptop has a resolvconf, which `wg-quick` reads a `DNS` line by."""
    kept = "/etc/resolv.conf.before"
    install = "apt-get -qq install -y --no-install-recommends openresolv 2>&1"
    actions.shell(LAPTOP, f"cp /etc/resolv.conf {kept}; {install}")
    yield
    purge = "apt-get -qq purge -y openresolv 2>&1"
    actions.shell(LAPTOP, f"wg-quick down {CONFIG} 2>&1; {purge}; rm -f /etc/resolv.conf; mv {kept} /etc/resolv.conf")


def opened(dest: Path, key: Path) -> str:
    """The configuration in a file that was handed out."""
    command = ["age", "--decrypt", "--identity", str(key), str(dest)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def registered() -> Registration:
    """What the registry has of carol's device."""
    (found,) = (each for each in actions.registry().devices.registrations() if each.user_name == "carol")
    return found


def connect(config: str) -> None:
    """Bring carol's tunnel up by the configuration as it was delivered."""
    actions.run_playbook("reconcile")
    written = base64.b64encode(config.encode()).decode()
    actions.shell(LAPTOP, f"umask 077; echo {written} | base64 -d > {CONFIG}; wg-quick up {CONFIG} 2>&1")


@pytest.mark.usefixtures("unregistered", "resolvconf", "forwarding")
def test_r10_recipient_opens_the_file_and_reaches_the_service_by_name(carols_key: Path, tmp_path: Path) -> None:
    actions.run_playbook("reconcile")  # the sweep that knows carol's groups
    dest = tmp_path / "carol.conf.age"
    recipient = carols_key.with_suffix(".pub").read_text()
    done = actions.run_playbook(
        "handout",
        "-vvv",
        "--diff",
        private_dns_other="forward",
        handout_user_name="carol",
        handout_device="laptop",
        handout_recipient=recipient,
        handout_dest=str(dest),
    )
    assert any("--identity ~/.ssh/id_ed25519 " in line for line in done.result("say what to do")["msg"])
    config = opened(dest, carols_key)
    private_key = config.split("PrivateKey = ")[1].split("\n")[0]
    assert private_key not in str(done.report) + done.stderr
    connect(config)
    unused = registered()
    assert (unused.life, unused.expires_at) == (30 * DAY, unused.created_at + 3 * DAY)
    assert "tracklib service" in (actions.fetch(LAPTOP, NAME) or "")
    lines = actions.run_playbook("reconcile").result("show what happened")["msg"]
    assert "handed out and used now: carol/laptop, which lives on" in lines
    assert registered() == unused.confirmed()
    actions.run_playbook("reconcile")
    assert registered() == unused.confirmed()


@pytest.mark.usefixtures("unregistered")
@pytest.mark.parametrize("setting", [{"vpn_private_dns": False}, {"private_dns_other": "refuse"}], ids=str)
def test_r18_file_says_nothing_of_dns_where_not_every_name_is_answered(
    carols_key: Path, tmp_path: Path, setting: dict[str, Any]
) -> None:
    actions.run_playbook("reconcile")
    dest = tmp_path / "carol.conf.age"
    recipient = carols_key.with_suffix(".pub").read_text()
    done = actions.run_playbook(
        "handout",
        handout_user_name="carol",
        handout_device="laptop",
        handout_recipient=recipient,
        handout_dest=str(dest),
        **setting,
    )
    said = " ".join(done.result("say what to do")["msg"])
    assert ("It finds no private names" in said) == ("private_dns_other" in setting)
    connect(opened(dest, carols_key))  # `wg-quick` would refuse a DNS line: there is no resolvconf
    assert "tracklib service" in (actions.fetch(LAPTOP) or "")


def test_handout_without_whom_says_what_it_needs() -> None:
    done = actions.run_playbook("handout", rc=2, handout_user_name="carol", handout_device="My Laptop")
    assert "handout_device is My Laptop, expected the device's name, 1 to 32" in done.failures[0]
