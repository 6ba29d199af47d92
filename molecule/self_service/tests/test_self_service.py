# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Users and their own devices, from the user's command to the packets of the tunnel."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils import keys
from ansible_collections.tracklib.vpn.plugins.module_utils.addresses import parse_pools
from ansible_collections.tracklib.vpn.plugins.module_utils.users_script import pack, read_modules

from tests.lab import actions, aws, hosts, self_service
from tests.lab.machine import LabError
from tests.support import ROOT
from tests.support.browser import chromium
from tests.support.phone import scanned
from tests.support.waiting import PATIENCE

NAME = "web.internal.example"  # see conftest.py
PUBLIC_NAME = "self-service.public.example"  # as well
ZONES = ["internal.example"]
SCRIPT = "/home/admin/tracklib-vpn-enroll.pyz"
KEY, CONFIG = "/etc/wireguard/vpn0.key", "/etc/wireguard/vpn0.conf"
NOTE = "/var/lib/tracklib-vpn/vpn0.json"
DROP_IN = "/etc/systemd/system/wg-quick@vpn0.service.d"
PHONE_CONFIG = "/etc/wireguard/phone0.conf"
TIMER = "tracklib-vpn-renew-vpn0.timer"
REMINDERS = "/etc/systemd/system/tracklib-vpn-renew-* /usr/local/lib/tracklib-vpn /etc/profile.d/tracklib-vpn.sh"
PAGE_PORT = 18008
UNTIL_GONE = 10  # seconds after its expiry


@pytest.fixture(scope="module", autouse=True)
def function() -> Iterator[None]:
    """The self-service function, and the runner behind its queue."""
    aws.seed()
    self_service.start(domains=ZONES)
    yield
    self_service.stop()


@pytest.fixture(scope="module")
def packed() -> bytes:
    """The script, with the file that operators give to users in it."""
    settings = self_service.users_file(NAME, PUBLIC_NAME)["vpn_self_service"]
    return pack(read_modules(ROOT / "plugins/module_utils"), settings)


class Laptop:
    """A user's laptop: the script is there, and her AWS credentials."""

    def __init__(self, name: str, script: bytes, user_name: str | None = None) -> None:
        self.name = name
        self.user_name = user_name or name.split("-")[0]
        self.user_id = aws.client("iam").get_user(UserName=self.user_name)["User"]["UserId"]
        self.clean()
        profile = aws.make_profile(self.user_name)
        actions.put(name, SCRIPT, script, "admin")
        actions.put(name, "/home/admin/.aws/credentials", profile.encode(), "admin")

    def script(self, *arguments: str) -> str:
        """Run the script as the laptop's user, with AWS_PROFILE; return what it says."""
        command = f"{SCRIPT} {' '.join(arguments)}"
        return actions.shell(self.name, f"su - admin -c 'AWS_PROFILE={self.user_name} {command}' 2>&1")

    @contextmanager
    def web(self, port: int) -> Iterator[str]:
        """Have the script serve its page there, and at the same port here; the page's address."""
        command = f"exec su - admin -c 'AWS_PROFILE={self.user_name} exec {SCRIPT} web --no-browser --port {port}'"
        with actions.started(self.name, command, "-L", f"{port}:127.0.0.1:{port}") as process:
            assert process.stdout is not None
            yield next(line.strip() for line in process.stdout if "token=" in line)
        actions.shell(self.name, f"pkill -f 'web --no-browser --port {port}'", check=False)

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
            f"systemctl disable --quiet --now wg-quick@vpn0 {TIMER} 2>&1; ip link delete phone0 2>/dev/null; rm -rf "
            f"{KEY} {CONFIG} {NOTE} {PHONE_CONFIG} {SCRIPT} /home/admin/.aws {DROP_IN} {REMINDERS}",
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


def from_terminal(screen: str, tmp_path: Path) -> str:
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
    return scanned(picture)


def test_user_is_enrolled_by_the_playbook_and_a_second_run_changes_nothing(alice: Laptop) -> None:
    done = self_service.enroll(alice.name, check_name=NAME, client_dns="resolved")
    assert "tracklib service" in alice.page(NAME)
    private_key = actions.shell(alice.name, f"cat {KEY}")
    assert private_key not in json.dumps(done.report) + done.stderr  # R10
    assert actions.shell(alice.name, f"stat -c %a {KEY} {CONFIG}").split() == ["600", "600"]
    assert self_service.enroll(alice.name, check_name=NAME, client_dns="resolved").changed == []


def test_new_key_takes_the_old_ones_place_by_the_playbook(alice: Laptop) -> None:
    alice.script("up laptop")
    before = alice.public_key()
    done = self_service.enroll(
        alice.name, enroll_new_key=True, client_keepalive=0
    )  # nothing has the laptop send but enroll
    assert done.result("register or renew laptop")["actions"] == ["rotated"]
    assert alice.public_key() != before
    assert "tracklib service" in alice.page()
    assert before not in actions.live_peers()


def test_key_that_an_interrupted_run_registered_gets_into_the_tunnel(alice: Laptop) -> None:
    alice.script("up laptop")
    new = actions.shell(alice.name, f"wg genkey > {KEY}; wg pubkey < {KEY}")
    alice.change(public_key=new)  # where it stopped: the registry has the key, the tunnel doesn't
    actions.run_playbook("reconcile")
    alice.script("up laptop")
    assert actions.shell(alice.name, "wg show vpn0 public-key") == new
    assert "tracklib service" in alice.page()


def test_removed_device_leaves_nothing_by_the_playbook(alice: Laptop) -> None:
    alice.script("up laptop")
    public_key = alice.public_key()
    self_service.enroll(alice.name, enroll_state="absent")
    assert actions.shell(alice.name, f"ls {KEY} {CONFIG} 2>/dev/null; wg show interfaces", check=False) == ""
    give_up = time.monotonic() + PATIENCE
    while public_key in actions.live_peers() and time.monotonic() < give_up:
        time.sleep(0.5)
    assert public_key not in actions.live_peers()


def test_user_is_enrolled_by_the_script_and_removes_the_device(bob: Laptop) -> None:
    with pytest.raises(LabError) as ended:
        bob.script("up laptop")
    said = str(ended.value)
    assert "registered" in said
    assert "waiting until the gateway knows this machine" in said
    assert "this machine isn't told to ask it for private names" in said
    assert "tracklib service" in bob.page()
    assert "nothing to do" in bob.script("up --dns none")
    bob.expire_in(100)
    assert "renewed" in bob.script("renew --dns none")
    assert "laptop" in bob.script("devices")
    actions.shell(bob.name, "systemctl reload wg-quick@vpn0")
    assert actions.shell(bob.name, "wg show vpn0 public-key") == bob.public_key()
    bob.script("remove laptop")
    assert actions.shell(bob.name, f"ls -d {KEY} {CONFIG} {DROP_IN} 2>/dev/null", check=False) == ""
    assert actions.cut_off(bob.name)
    assert "not registered, nothing to do" in bob.script("remove laptop")


@pytest.fixture
def resolvconf(bob: Laptop) -> Iterator[Laptop]:
    """bob's laptop with openresolv, by which every name is asked of a tunnel's servers, or none."""
    actions.shell(bob.name, "cp /etc/resolv.conf /etc/resolv.conf.plain; apt-get -qq install -y openresolv 2>&1")
    yield bob
    bob.clean()
    actions.shell(
        bob.name,
        "apt-get -qq purge -y openresolv 2>&1; rm -f /etc/resolv.conf; mv /etc/resolv.conf.plain /etc/resolv.conf",
    )


@pytest.fixture
def answering_all() -> Iterator[None]:
    """A function that knows that the gateways' resolvers answer every name."""
    self_service.start(domains=ZONES, answers_other_names=True)
    yield
    self_service.start(domains=ZONES)


def finds(laptop: Laptop, name: str) -> bool:
    """Whether programs on the laptop find a name."""
    return actions.shell(laptop.name, f"timeout 8 getent ahosts {name}", check=False) != ""


def test_r18_default_deployment_costs_no_public_name(resolvconf: Laptop) -> None:
    bob = resolvconf
    with pytest.raises(LabError, match="the gateways answer private ones only"):
        bob.script("up --dns line laptop")
    assert actions.registry().devices.registrations_of((aws.ACCOUNT, bob.user_id)) == []
    with pytest.raises(LabError, match="this machine isn't told to ask it for private names"):
        bob.script("up laptop")
    assert "tracklib service" in bob.page()
    assert finds(bob, PUBLIC_NAME)


@pytest.mark.usefixtures("forwarding", "answering_all")
def test_r18_ended_registration_under_exclusive_dns_is_renewed_by_the_same_command(resolvconf: Laptop) -> None:
    bob = resolvconf
    said = bob.script("up laptop")
    assert f"the private name {NAME} resolves" in said
    assert "nameserver 10.44.0.1" in actions.shell(bob.name, "cat /etc/resolv.conf")
    assert "tracklib service" in bob.page(NAME)
    bob.expire_in(-10)
    actions.run_playbook("reconcile")
    actions.shell(bob.name, "wg set vpn0 listen-port 0")  # nothing is left of the session
    assert actions.cut_off(bob.name)
    assert not finds(bob, PUBLIC_NAME)
    said = bob.script("up")
    assert "vpn0 may be in the way: taking it down, and trying again" in said
    assert "renewed" in said
    assert "tracklib service" in bob.page(NAME)
    assert finds(bob, PUBLIC_NAME)


@pytest.mark.usefixtures("forwarding", "answering_all")
def test_r18_names_are_found_while_the_gateway_doesnt_answer_yet(resolvconf: Laptop) -> None:
    bob = resolvconf
    deaf = "type filter hook input priority -300; udp dport 51820 drop;"
    actions.shell("gateway", f"nft 'table inet lab_deaf {{ chain input {{ {deaf} }}; }}'")
    try:
        actions.shell(bob.name, f"su - admin -c 'AWS_PROFILE=bob {SCRIPT} up laptop > said 2>&1 &'")
        give_up = time.monotonic() + PATIENCE
        while "waiting" not in actions.shell(bob.name, "cat /home/admin/said") and time.monotonic() < give_up:
            time.sleep(0.5)
        assert finds(bob, PUBLIC_NAME)
    finally:
        actions.shell("gateway", "nft delete table inet lab_deaf")
    while "resolves to" not in (said := actions.shell(bob.name, "cat /home/admin/said")):
        assert time.monotonic() < give_up, said
        time.sleep(0.5)
    assert "tracklib service" in bob.page(NAME)


def test_r18_who_lost_the_group_takes_the_tunnel_off_all_the_same(bob: Laptop) -> None:
    bob.script("up --dns none laptop")
    iam = aws.client("iam")
    (group,) = (each["GroupName"] for each in iam.list_groups_for_user(UserName="bob")["Groups"])
    iam.remove_user_from_group(GroupName=group, UserName="bob")
    try:
        with pytest.raises(LabError, match=r"enroll remove --local .*not_in_group"):
            bob.script("remove laptop")
        assert "the registration of laptop stays" in bob.script("remove --local")
        left = actions.shell(
            bob.name, f"ls -d {KEY} {CONFIG} {NOTE} {DROP_IN} 2>/dev/null; wg show interfaces", check=False
        )
        assert left == ""
    finally:
        iam.add_user_to_group(GroupName=group, UserName="bob")


def test_tunnel_is_taken_down_without_asking_and_its_life_is_told(bob: Laptop) -> None:
    bob.script("up --dns none laptop")
    self_service.stop()
    try:
        before = json.loads(bob.script("status --json 2>/dev/null"))
        assert (before["up"], before["ended"], before["device"]) == (True, False, "laptop")
        assert before["handshake_age"] < 180
        assert before["expires_at"] > time.time()
        bob.script("down")
        assert actions.shell(bob.name, "systemctl is-enabled wg-quick@vpn0", check=False) == "disabled"
        assert "vpn0 is down; start it: enroll up" in bob.script("status")
    finally:
        self_service.start(domains=ZONES)
    bob.script("up --dns none")
    assert "tracklib service" in bob.page()


def test_second_machine_of_the_same_name_is_refused_and_the_first_keeps_its_tunnel(
    alice: Laptop, packed: bytes
) -> None:
    alice.script("up laptop")
    other = Laptop.__new__(Laptop)
    other.name, other.user_name, other.user_id = "bob-laptop", "alice", alice.user_id
    actions.put(other.name, SCRIPT, packed, "admin")
    actions.put(other.name, "/home/admin/.aws/credentials", aws.make_profile("alice").encode(), "admin")
    try:
        with pytest.raises(LabError, match="has another key, such as another machine's"):
            other.script("up --dns none laptop")
        assert actions.shell(other.name, f"ls {KEY} 2>/dev/null", check=False) == ""
        assert "tracklib service" in alice.page()
    finally:
        actions.shell(other.name, f"rm -rf {SCRIPT} /home/admin/.aws")


def test_machine_without_ipv6_is_enrolled(bob: Laptop) -> None:
    switches = ("net.ipv6.conf.all.disable_ipv6", "net.ipv6.conf.default.disable_ipv6")
    actions.shell(bob.name, "; ".join(f"sysctl -q -w {switch}=1" for switch in switches))
    try:
        bob.script("up --dns none laptop")
        assert "tracklib service" in bob.page()
        assert "fd44" not in actions.shell(bob.name, f"cat {CONFIG}")
    finally:
        actions.shell(bob.name, "; ".join(f"sysctl -q -w {switch}=0" for switch in switches))


def test_network_that_the_laptop_is_in_is_named_before_anything_is_registered_and_left_out_on_request(
    bob: Laptop,
) -> None:
    granted = "10.20.0.0/16"
    actions.shell(
        bob.name,
        "ip link add home0 type veth peer home1; ip link set home0 up; ip address add 10.20.200.1/16 dev home0",
    )
    try:
        with pytest.raises(LabError, match=f"{granted} of the tunnel lies in {granted} at home0"):
            bob.script("up --dns none laptop")
        assert actions.registry().devices.registrations_of((aws.ACCOUNT, bob.user_id)) == []
        for arguments in (f"up --dns none --exclude-network {granted} laptop", "up --dns none"):  # it is remembered
            bob.script(arguments)
            assert granted not in actions.shell(bob.name, f"grep AllowedIPs {CONFIG}")
        actions.shell(bob.name, "ip address flush dev home0; ip address add 10.20.200.1/24 dev home0")
        said = bob.script("up --dns none --exclude-network 192.168.77.0/24")
        assert "10.20.200.0/24 at home0 is this machine's own" in said
        assert "tracklib service" in bob.page()
    finally:
        actions.shell(bob.name, "ip link delete home0")


def test_timer_renews_by_the_users_credentials_and_a_login_tells_of_an_end_that_it_can_not_move(bob: Laptop) -> None:
    said = bob.script("up --dns none laptop")
    assert "Traceback" not in said
    assert actions.shell(bob.name, f"systemctl is-active {TIMER}") == "active"
    ends = bob.expire_in(5 * 24 * 3600)  # of a life of 10 minutes more: past its half
    bob.change(renewed_at=ends - 20 * 24 * 3600)
    _tell(bob, ends)
    actions.shell(bob.name, "systemctl start tracklib-vpn-renew-vpn0.service")
    noted = json.loads(actions.shell(bob.name, f"cat {NOTE}"))
    (registration,) = actions.registry().devices.registrations_of((aws.ACCOUNT, bob.user_id))
    assert noted["expires_at"] == registration.expires_at
    assert registration.expires_at is not None
    assert registration.expires_at > ends
    assert _login(bob) == ""

    soon = int(time.time() + 3 * 24 * 3600 + 600)
    bob.change(expires_at=soon, renewed_at=None, fixed_end=True)
    _tell(bob, soon)
    actions.shell(bob.name, "systemctl start tracklib-vpn-renew-vpn0.service")
    assert "Your registration in the VPN ends in 3 days. Renew it: enroll up" in _login(bob)

    bob.script("remove --local")
    assert actions.shell(bob.name, f"systemctl is-active {TIMER}", check=False) == "inactive"
    assert actions.shell(bob.name, "ls /etc/systemd/system | grep tracklib-vpn-renew", check=False) == ""
    assert _login(bob) == ""


def _tell(laptop: Laptop, expires_at: int) -> None:
    """Have the laptop know an end of its registration that a test made."""
    noted = json.loads(actions.shell(laptop.name, f"cat {NOTE}"))
    changed = {**noted, "expires_at": expires_at, "renewable_from": int(time.time()) - 1}
    actions.put(laptop.name, NOTE, json.dumps(changed).encode(), "admin")


def _login(laptop: Laptop) -> str:
    """What a user sees of the VPN who logs in."""
    shown = actions.shell(laptop.name, "su - admin -c 'bash -l -i -c true' 2>/dev/null", check=False)
    return "\n".join(line for line in shown.splitlines() if "VPN" in line)


def test_app_gets_all_but_the_key_that_it_made(bob: Laptop) -> None:
    private, public = keys.generate()
    said = json.loads(bob.script(f"app tablet --public-key {public} --output tablet.conf --json 2>/dev/null"))
    assert (said["actions"], said["error"]) == (["registered"], None)
    text = actions.shell(bob.name, "cat /home/admin/tablet.conf")
    assert "PrivateKey" not in text
    whole = text.replace("[Interface]", f"[Interface]\nPrivateKey = {private}")
    actions.put(bob.name, PHONE_CONFIG, f"{whole}\n".encode())
    actions.shell(bob.name, f"wg-quick up {PHONE_CONFIG} 2>&1")
    assert any("tracklib service" in bob.page() for _ in range(10))


def test_r10_phone_is_enrolled_from_the_laptop_and_its_key_is_shown_once(bob: Laptop, tmp_path: Path) -> None:
    with pytest.raises(LabError, match="shown on a terminal only"):
        bob.script("phone phone")
    command = f"stty cols 100 rows 60; {SCRIPT} phone --profile bob phone"
    terminal = f"(sleep 5; echo) | script --quiet --return --command '{command}' /dev/null"
    screen = actions.shell(bob.name, f'su - admin -c "{terminal}"')
    config = from_terminal(screen, tmp_path)
    private_key = config.split("PrivateKey = ")[1].split("\n")[0]
    assert f"PublicKey = {actions.shell('gateway', 'wg show wg0 public-key')}" in config
    assert actions.shell(bob.name, f"grep -r -l '{private_key}' /home/admin /etc/wireguard", check=False) == ""
    use_as_phone(bob, config)


def use_as_phone(laptop: Laptop, config: str) -> None:
    """Have the laptop stand in for a phone with this configuration, and fetch the private page."""
    plain = "".join(f"{line}\n" for line in config.splitlines() if not line.startswith("DNS ="))
    actions.put(laptop.name, PHONE_CONFIG, plain.encode())
    actions.shell(laptop.name, f"wg-quick up {PHONE_CONFIG} 2>&1")
    assert any("tracklib service" in laptop.page() for _ in range(10))


def test_phone_scans_the_page_in_the_browser_and_reaches_the_service(bob: Laptop, tmp_path: Path) -> None:
    """The page is the laptop's, and seen from this machine through SSH, as the docs have it."""
    with bob.web(PAGE_PORT) as address, chromium() as browser:
        page = browser.new_page()
        page.goto(address)
        page.get_by_label("Name", exact=True).fill("phone")
        page.get_by_role("button", name="Add the device").click()
        code = page.get_by_role("img", name="QR code of the tunnel")
        code.screenshot(path=tmp_path / "code.png")
        use_as_phone(bob, scanned(tmp_path / "code.png"))


def test_expired_device_stops_on_time_without_a_run_and_works_again_after_renewal(alice: Laptop) -> None:
    alice.script("up laptop")
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
