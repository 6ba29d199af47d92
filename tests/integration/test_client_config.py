# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""`client_config` against an emulated AWS over HTTP; `wg-quick` and `wg` read what it wrote."""

from __future__ import annotations

import re
import stat
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils import keys

from tests.support.phone import scanned

from .vpn import POOLS, Vpn

ACCESS = [
    {"groups": ["vpn"], "networks": ["10.20.0.0/16", "fd20::/64"]},
    {"groups": ["dba"], "networks": ["10.20.8.0/24", "10.30.0.0/16"]},
]
_PRIVATE, GATEWAY_KEY = keys.generate()


class Device:
    """alice's laptop, and its configuration."""

    def __init__(self, vpn: Vpn, dest: Path) -> None:
        self.vpn = vpn
        self.dest = dest

    def options(self, **options: Any) -> dict[str, Any]:
        common = {
            "dest": str(self.dest),
            "user_name": "alice",
            "device": "laptop",
            "gateway_public_key": GATEWAY_KEY,
            "endpoint": "vpn.example.com:51820",
            "access": ACCESS,
            "address_pools": POOLS,
        }
        return {**common, **options}

    def write(self, check: bool = False, **options: Any) -> dict[str, Any]:
        return self.vpn.module("client_config", check=check, **self.options(**options))

    def fails(self, **options: Any) -> str:
        failure = self.vpn.fails("client_config", **self.options(**options))
        assert not self.dest.exists()
        return failure


@pytest.fixture
def laptop(vpn: Vpn, tmp_path: Path) -> Device:
    """alice's laptop, registered, after a complete sweep."""
    vpn.user("alice")
    vpn.register("alice", "laptop", keys.generate()[1])
    vpn.module("roster", dest=str(tmp_path / "roster.json"))
    return Device(vpn, tmp_path / "handed" / "vpn0.conf")


def stripped(path: Path) -> str:
    return subprocess.run(["wg-quick", "strip", str(path)], capture_output=True, text=True, check=True).stdout


def test_wg_quick_reads_the_registered_addresses_and_granted_networks(laptop: Device) -> None:
    result = laptop.write(dns="resolved", domains=["internal.example"], private_key_file="/etc/wireguard/vpn0.key")
    assert result["changed"]
    assert result["networks"] == ["10.20.0.0/16", "fd20::/64"]
    assert result["addresses"] == ["10.44.0.2", "fd44:7472:6163:6b::2"]
    text = laptop.dest.read_text()
    assert "Address = 10.44.0.2/32, fd44:7472:6163:6b::2/128\n" in text
    assert "PostUp = resolvectl dns %i 10.44.0.1 fd44:7472:6163:6b::1\n" in text
    networks = "10.20.0.0/16, 10.44.0.1/32, fd20::/64, fd44:7472:6163:6b::1/128"
    assert [line for line in stripped(laptop.dest).splitlines() if line and line[0] != "#"] == [
        "[Interface]",
        "[Peer]",
        f"PublicKey = {GATEWAY_KEY}",
        "Endpoint = vpn.example.com:51820",
        f"AllowedIPs = {networks}",
        "PersistentKeepalive = 25",
    ]


def test_file_is_private_and_a_second_run_changes_nothing(laptop: Device) -> None:
    assert laptop.write()["changed"]
    assert stat.S_IMODE(laptop.dest.stat().st_mode) == 0o600
    assert stat.S_IMODE(laptop.dest.parent.stat().st_mode) == 0o700
    before = laptop.dest.stat()
    assert not laptop.write()["changed"]
    assert laptop.dest.stat().st_ino == before.st_ino
    laptop.dest.chmod(0o644)
    assert laptop.write()["changed"]
    assert stat.S_IMODE(laptop.dest.stat().st_mode) == 0o600


def test_check_mode_writes_nothing_and_the_diff_shows_what_changes(laptop: Device) -> None:
    result = laptop.write(check=True)
    assert result["changed"]
    assert not laptop.dest.exists()
    laptop.write()
    result = laptop.write(check=True, endpoint="other.example.com:51820")
    assert "Endpoint = vpn.example.com:51820\n" in result["diff"]["before"]
    assert "Endpoint = other.example.com:51820\n" in result["diff"]["after"]
    assert "vpn.example.com" in laptop.dest.read_text()


def test_r10_key_in_the_file_that_is_replaced_is_in_no_result(laptop: Device) -> None:
    private, _public = keys.generate()
    laptop.write()
    laptop.dest.write_text(f"[Interface]\nPrivateKey = {private}\nPostUp = echo {private}\nMTU = 1400\n")
    result = laptop.write()
    assert result["changed"]
    assert "MTU = 1400\n" in result["diff"]["before"]
    assert private not in str(result)


def test_networks_are_those_of_all_groups_that_the_user_is_in(laptop: Device, tmp_path: Path) -> None:
    laptop.vpn.iam.create_group(GroupName="dba")
    laptop.vpn.iam.add_user_to_group(GroupName="dba", UserName="alice")
    assert laptop.write()["networks"] == ["10.20.0.0/16", "fd20::/64"]  # the stored sweep decides
    laptop.vpn.module("roster", dest=str(tmp_path / "roster.json"))
    assert laptop.write()["networks"] == ["10.20.0.0/16", "10.30.0.0/16", "fd20::/64"]


def test_user_in_no_granting_group_is_refused(laptop: Device) -> None:
    failure = laptop.fails(access=[{"groups": ["dba"], "networks": ["10.30.0.0/16"]}])
    assert "alice" in failure
    assert "found vpn, expected one of: dba" in failure


def test_device_that_is_not_registered_is_refused(laptop: Device) -> None:
    assert "alice/phone isn't registered" in laptop.fails(device="phone")


def test_user_whom_no_sweep_has_seen_is_refused_with_what_to_do(laptop: Device) -> None:
    laptop.vpn.user("dave")
    laptop.vpn.register("dave", "laptop", keys.generate()[1])
    failure = laptop.fails(user_name="dave")
    assert failure.startswith("dave/laptop: the last complete sweep of account 123456789012 has no user dave")
    assert "tracklib.vpn.reconcile" in failure


def test_r1_recreated_user_gets_no_configuration_of_the_old_ones_device(laptop: Device, tmp_path: Path) -> None:
    laptop.vpn.delete_user("alice")
    laptop.vpn.user("alice")
    laptop.vpn.module("roster", dest=str(tmp_path / "roster.json"))
    assert "alice/laptop isn't registered" in laptop.fails()


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"endpoint": "vpn.example.com"}, "has no port"),
        ({"domains": ["in\nternal"], "dns": "resolved"}, "is not a DNS name"),
        ({"private_key_file": "/etc/$(reboot)"}, "is refused"),
        ({"gateway_public_key": "x"}, "the gateway: the public key is not base64"),
        ({"address_pools": ["10.44.0.1/20"]}, "host bits set"),
    ],
)
def test_wrong_option_names_the_device_or_the_value(laptop: Device, options: dict[str, Any], complaint: str) -> None:
    assert complaint in laptop.fails(**options)


def test_expired_device_is_written_with_a_warning(laptop: Device) -> None:
    laptop.vpn.register("alice", "phone", keys.generate()[1], expires_in="1s")
    time.sleep(1.1)
    result = laptop.write(device="phone")
    assert "alice/phone has expired" in str(result["warnings"])


def phone(laptop: Device, directory: Path, suffix: str) -> tuple[Path, Path, str]:
    """alice's phone, registered: where its QR code goes, and its private key in a file and as text."""
    private, public = keys.generate()
    laptop.vpn.register("alice", "phone", public)
    key_file = directory / "phone.key"
    key_file.write_text(f"{private}\n")
    return directory / f"phone{suffix}", key_file, private


def drawn(dots: list[list[bool]], picture: Path) -> Path:
    """A picture of 6 by 6 points for each dark dot."""
    rows = [" ".join("1" if dot else "0" for dot in row for _point in range(6)) for row in dots for _point in range(6)]
    picture.write_text(f"P1\n{len(dots[0]) * 6} {len(rows)}\n" + "\n".join(rows))
    return picture


def test_phone_scans_a_png_and_gets_its_whole_configuration(laptop: Device, tmp_path: Path) -> None:
    dest, key_file, private = phone(laptop, tmp_path, ".png")
    written: dict[str, Any] = {"device": "phone", "dest": str(dest), "embed_key_from": str(key_file), "dns": "line"}
    result = laptop.write(**written)
    assert result["changed"]
    assert stat.S_IMODE(dest.stat().st_mode) == 0o600
    assert private not in str(result)
    config = scanned(dest)
    assert f"PrivateKey = {private}\n" in config
    assert "DNS = 10.44.0.1, fd44:7472:6163:6b::1\n" in config
    assert not laptop.write(**written)["changed"]


def test_r18_device_is_told_of_no_dns_server_that_it_would_ask_for_every_name_unless_that_is_wanted(
    laptop: Device, tmp_path: Path
) -> None:
    dest, _key_file, _private = phone(laptop, tmp_path, ".txt")
    laptop.write(device="phone", dest=str(dest.with_suffix(".conf")), domains=["internal.example"])
    assert "DNS" not in dest.with_suffix(".conf").read_text()


def test_phone_scans_a_code_on_a_dark_terminal(laptop: Device, tmp_path: Path) -> None:
    dest, key_file, private = phone(laptop, tmp_path, ".txt")
    laptop.write(device="phone", dest=str(dest), embed_key_from=str(key_file))
    shown = re.sub("\x1b\\[(97;40|0)m", "", dest.read_text())
    halves = {"█": (False, False), "▀": (False, True), "▄": (True, False), " ": (True, True)}
    dots = [[halves[letter][half] for letter in line] for line in shown.splitlines() for half in (0, 1)]
    assert f"PrivateKey = {private}\n" in scanned(drawn(dots, tmp_path / "terminal.pbm"))


def test_phone_scans_an_svg(laptop: Device, tmp_path: Path) -> None:
    dest, key_file, private = phone(laptop, tmp_path, ".svg")
    laptop.write(device="phone", dest=str(dest), embed_key_from=str(key_file))
    size = int(re.findall(r'width="(\d+)"', dest.read_text())[0]) // 6
    dots = [[False] * size for _row in range(size)]
    column = row = 0.0
    ground, path = re.findall(r'<path[^>]* d="([^"]+)"', dest.read_text())
    assert re.search(r'<path fill="(#fff|white)"[^>]* d="' + re.escape(ground), dest.read_text()), (
        "whatever is behind it"
    )
    for command, numbers in re.findall(r"([Mmh])([^Mmh]*)", path):
        values = [float(number) for number in numbers.split()]
        if command == "h":
            dots[int(row)][int(column) : int(column + values[0])] = [True] * int(values[0])
            column += values[0]
        else:
            column, row = values if command == "M" else (column + values[0], row + values[1])
    assert f"PrivateKey = {private}\n" in scanned(drawn(dots, tmp_path / "svg.pbm"))


def test_key_that_is_not_the_registered_one_is_refused_without_repeating_it(laptop: Device, tmp_path: Path) -> None:
    _dest, key_file, private = phone(laptop, tmp_path, ".png")
    failure = laptop.fails(device="laptop", embed_key_from=str(key_file))
    assert "alice/laptop: the private key in " in failure
    assert "isn't the registered one" in failure
    assert private not in failure
    key_file.write_text(f"{private}x\n")
    failure = laptop.fails(device="phone", embed_key_from=str(key_file))
    assert "is not base64; expected the 44 characters that `wg genkey` prints" in failure
    assert private not in failure


def test_qr_code_without_a_key_is_refused(laptop: Device, tmp_path: Path) -> None:
    dest, _key_file, _private = phone(laptop, tmp_path, ".png")
    assert "give embed_key_from" in laptop.fails(device="phone", dest=str(dest))
