# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""`handout` against an emulated AWS over HTTP; the standard tool `age` opens what it wrote."""

from __future__ import annotations

import json
import os
import pty
import re
import stat
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils import keys
from ansible_collections.tracklib.vpn.plugins.module_utils.timespan import DAY

from tests.support import fault_proxy as faults
from tests.support.terminal import run_at_terminal

from .vpn import ACCESS, ACCOUNT, POOLS, Vpn

_PRIVATE, GATEWAY_KEY = keys.generate()
AS_JSON = {"ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json", "ANSIBLE_LOAD_CALLBACK_PLUGINS": "1"}
PASSPHRASE = r"[a-z2-9]{4}(-[a-z2-9]{4}){5}"


class Handout:
    """What carol gets for her laptop."""

    def __init__(self, vpn: Vpn, directory: Path) -> None:
        self.vpn = vpn
        self.dest = directory / "handed" / "vpn0.conf.age"

    def options(self, **options: Any) -> dict[str, Any]:
        common = {
            "dest": str(self.dest),
            "user_name": "carol",
            "device": "laptop",
            "gateway_public_key": GATEWAY_KEY,
            "endpoint": "vpn.example.com:51820",
            "access": ACCESS,
            "address_pools": POOLS,
        }
        return {**common, **options}

    def __call__(self, recipient: str, check: bool = False, **options: Any) -> dict[str, Any]:
        return self.vpn.module("handout", check=check, **self.options(recipient=recipient, **options))

    def fails(self, **options: Any) -> str:
        registered = self.vpn.items("registration"), self.vpn.items("claim")
        failure = self.vpn.fails("handout", **self.options(**options))
        assert (self.vpn.items("registration"), self.vpn.items("claim")) == registered
        assert not self.dest.parent.exists() or list(self.dest.parent.iterdir()) == []
        return failure


@pytest.fixture
def handout(vpn: Vpn, tmp_path: Path) -> Handout:
    """carol is in IAM and has been swept."""
    vpn.user("carol")
    vpn.module("roster", dest=str(tmp_path / "roster.json"))
    return Handout(vpn, tmp_path)


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Identity files by kind, each with its public key beside it as `.pub`."""
    directory = tmp_path_factory.mktemp("people")
    for kind in ("ed25519", "rsa"):
        command = ["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", "carol@home", "-f", str(directory / kind)]
        subprocess.run(command, check=True)
    made = subprocess.run(
        ["age-keygen", "-o", str(directory / "age")], capture_output=True, text=True, check=True
    ).stderr
    (directory / "age.pub").write_text(made.removeprefix("Public key: "))
    return {kind: directory / kind for kind in ("ed25519", "rsa", "age")}


def public(identity: Path) -> str:
    return Path(f"{identity}.pub").read_text()


def opened(path: Path, identity: Path) -> str:
    command = ["age", "--decrypt", "--identity", str(identity), str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def opened_with(path: Path, passphrase: str) -> str:
    """What age makes of it for a person who types the passphrase at a terminal."""
    process, terminal = pty.fork()
    plain = path.with_suffix(".plain")
    if process == 0:
        os.execlp("age", "age", "--decrypt", "--output", str(plain), str(path))
    while b"passphrase" not in os.read(terminal, 1000):
        pass
    os.write(terminal, f"{passphrase}\n".encode())
    assert os.waitpid(process, 0)[1] == 0
    os.close(terminal)
    text = plain.read_text()
    plain.unlink()
    return text


def private_key(config: str) -> str:
    match = re.search(r"^PrivateKey = (.{44})$", config, re.MULTILINE)
    assert match
    return match[1]


def public_key(private: str) -> str:
    return subprocess.run(["wg", "pubkey"], input=private, capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.parametrize("kind", ["ed25519", "rsa", "age"])
def test_recipient_opens_it_with_age_and_has_the_registered_key(
    handout: Handout, people: dict[str, Path], kind: str
) -> None:
    result = handout(public(people[kind]), domains=["internal.example"], dns="line")
    assert stat.S_IMODE(handout.dest.stat().st_mode) == 0o600
    config = opened(handout.dest, people[kind])
    assert public_key(private_key(config)) == result["registration"]["public_key"]
    assert "Address = 10.44.0.2/32, fd44:7472:6163:6b::2/128\n" in config
    assert "DNS = 10.44.0.1, fd44:7472:6163:6b::1, internal.example\n" in config
    (registered,) = handout.vpn.module("registrations_info")["registrations"]
    assert registered["public_key"] == result["registration"]["public_key"]
    assert registered["addresses"] == result["registration"]["addresses"]


def test_handed_out_device_is_marked_and_ends_by_itself_unless_somebody_connects(
    handout: Handout, people: dict[str, Path]
) -> None:
    made = handout(public(people["age"]))["registration"]
    assert made["handed_out"]
    assert made["expires_at"] == pytest.approx(time.time() + 3 * DAY, abs=60)
    assert made["confirmed_end"] == pytest.approx(time.time() + 30 * DAY, abs=60)
    used = {name: made[name] for name in ("account_id", "user_id", "user_name", "device", "public_key")}

    def receipts(check: bool = False, **changes: str) -> dict[str, Any]:
        return handout.vpn.module("receipts", check=check, gateways=[{"name": "gw", "used": [{**used, **changes}]}])

    assert receipts(public_key=GATEWAY_KEY)["confirmed"] == [], "another key than the one that was handed out"
    assert receipts(device="phone")["confirmed"] == []
    assert receipts(check=True)["confirmed"] == ["carol/laptop"]
    assert receipts() | {"invocation": None} == {
        "changed": True,
        "receipts": [],
        "confirmed": ["carol/laptop"],
        "invocation": None,
    }
    (registered,) = handout.vpn.module("registrations_info")["registrations"]
    assert (registered["expires_at"], registered["confirmed_end"]) == (made["confirmed_end"], None)
    assert registered["handed_out"]
    for check in (True, False):
        assert not receipts(check=check)["changed"], "it is used once for good"


def test_handout_that_lives_no_longer_than_it_is_waited_for_just_ends(
    handout: Handout, people: dict[str, Path]
) -> None:
    made = handout(public(people["age"]), expires_in="3d")["registration"]
    assert made["expires_at"] == pytest.approx(time.time() + 3 * DAY, abs=60)
    assert made["confirmed_end"] is None


def test_roster_says_which_handouts_nobody_has_used(handout: Handout, people: dict[str, Path], tmp_path: Path) -> None:
    made = handout(public(people["age"]))["registration"]
    handout.vpn.module("roster", dest=str(tmp_path / "roster.json"))
    roster = json.loads((tmp_path / "roster.json").read_text())
    assert roster["awaited"] == [made["public_key"]]
    assert roster["peers"][0]["expires_at"] == made["expires_at"]


def test_page_is_opened_by_the_passphrase_alone(handout: Handout, people: dict[str, Path], tmp_path: Path) -> None:
    shown = tmp_path / "terminal"
    handout("", form="page", passphrase_to=str(shown))
    text = handout.dest.read_text()
    assert "<h1>VPN of carol/laptop</h1>" in text
    assert shown.read_text() not in text
    assert stat.S_IMODE(handout.dest.stat().st_mode) == 0o600
    handout.vpn.registry().devices.remove(handout.vpn.registry().devices.registrations()[0])
    handout.dest.unlink()
    assert "a page is opened by a passphrase alone" in handout.fails(form="page", recipient=public(people["age"]))


def test_nobody_else_opens_it(handout: Handout, people: dict[str, Path]) -> None:
    handout(public(people["ed25519"]))
    with pytest.raises(subprocess.CalledProcessError):
        opened(handout.dest, people["age"])


def test_registered_device_is_refused_until_its_replacement_is_asked_for(
    handout: Handout, people: dict[str, Path]
) -> None:
    first = handout(public(people["age"]))["registration"]
    again = handout.vpn.fails("handout", **handout.options(recipient=public(people["age"])))
    assert again.startswith("carol/laptop is registered already")
    assert public_key(private_key(opened(handout.dest, people["age"]))) == first["public_key"]
    second = handout(public(people["age"]), replace=True)["registration"]
    assert second["public_key"] != first["public_key"]
    assert second["addresses"] == first["addresses"]
    assert public_key(private_key(opened(handout.dest, people["age"]))) == second["public_key"]


def test_check_mode_registers_and_writes_nothing(handout: Handout, people: dict[str, Path]) -> None:
    assert handout(public(people["age"]), check=True)["changed"]
    assert handout.vpn.items("registration") == []
    assert not handout.dest.parent.exists()


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (
            {"recipient": "ecdsa-sha2-nistp256 AAAAE2VjZHNh"},
            "carol/laptop: the recipient is a key of type ecdsa-sha2-n",
        ),
        ({"recipient": "age1nonsense"}, "the recipient is not a public key"),
        ({"recipient": ""}, "no terminal to show a passphrase on"),
        ({"user_name": "nobody"}, f"nobody is called nobody in account {ACCOUNT}"),
        ({"device": "../x"}, "lower-case letters, digits and hyphens"),
        ({"expires_in": "soon"}, "is not a time span"),
        ({"endpoint": "vpn"}, "carol/laptop: endpoint 'vpn' has no port"),
        ({"access": [{"groups": ["dba"], "networks": ["10.0.0.0/8"]}]}, "in no group that grants access"),
    ],
)
def test_refusal_names_the_device_and_leaves_nothing(
    handout: Handout, people: dict[str, Path], options: dict[str, Any], complaint: str
) -> None:
    assert complaint in handout.fails(**{"recipient": public(people["age"]), **options})


def test_r10_private_key_given_as_recipient_is_not_repeated(handout: Handout, people: dict[str, Path]) -> None:
    secret = people["age"].read_text().splitlines()[-1]
    assert secret.startswith("AGE-SECRET-KEY-")
    assert secret not in handout.fails(recipient=secret)


def test_place_that_cannot_be_written_is_found_before_anything_is_registered(
    handout: Handout, people: dict[str, Path], tmp_path: Path
) -> None:
    for dest in (tmp_path, Path("/proc/nowhere/x.age")):
        failure = handout.fails(recipient=public(people["age"]), dest=str(dest))
        assert failure.startswith(f"{dest} can't be written: ")


def test_registry_that_fails_leaves_no_file(
    handout: Handout, people: dict[str, Path], fault_proxy: faults.FaultProxy
) -> None:
    fault_proxy.fail("TransactWriteItems", faults.json_error(400, "AccessDeniedException"))
    options = handout.options(recipient=public(people["age"]))
    assert "dynamodb:TransactWriteItems" in handout.vpn.fails("handout", env={"AWS_URL": fault_proxy.url}, **options)
    assert list(handout.dest.parent.iterdir()) == []  # it came as far as making the directory


def test_lost_answer_of_the_registry_hands_out_the_registered_key(
    handout: Handout, people: dict[str, Path], fault_proxy: faults.FaultProxy
) -> None:
    fault_proxy.fail("TransactWriteItems", faults.reset, last=1)
    options = handout.options(recipient=public(people["age"]))
    handout.vpn.module("handout", env={"AWS_URL": fault_proxy.url}, **options)
    (registered,) = handout.vpn.module("registrations_info")["registrations"]
    assert public_key(private_key(opened(handout.dest, people["age"]))) == registered["public_key"]


def test_user_whom_no_sweep_has_seen_is_refused_with_what_to_do(handout: Handout, people: dict[str, Path]) -> None:
    handout.vpn.user("dave")
    failure = handout.fails(user_name="dave", recipient=public(people["age"]))
    assert "tracklib.vpn.reconcile" in failure


def secret_places(directory: Path, secret: str) -> list[Path]:
    return [
        path
        for path in directory.rglob("*")
        if path.is_file() and not path.is_symlink() and secret.encode() in path.read_bytes()
    ]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home where Ansible keeps all that it writes."""
    directory = tmp_path / "home"
    directory.mkdir()
    return directory


def ansible_env(aws_env: dict[str, str], home: Path) -> dict[str, str]:
    return {
        **aws_env,
        "HOME": str(home),
        "TMPDIR": str(home),
        "ANSIBLE_COLLECTIONS_PATH": aws_env["PYTHONPATH"],
        "ANSIBLE_HOME": str(home),
        "ANSIBLE_LOG_PATH": str(home / "ansible.log"),
        "ANSIBLE_KEEP_REMOTE_FILES": "1",
    }


def without_recipient(handout: Handout) -> list[str]:
    """The command that hands out with a passphrase."""
    options = json.dumps({**handout.options(), "account_id": ACCOUNT, "registry_table": handout.vpn.table})
    return ["ansible", "localhost", "-m", "tracklib.vpn.handout", "-a", options, "-vvvv", "--diff"]


@pytest.mark.parametrize("settings", [{}, AS_JSON], ids=["default", "json"])
def test_r10_passphrase_is_shown_once_on_the_terminal_and_the_key_is_nowhere(
    handout: Handout, aws_env: dict[str, str], tmp_path: Path, home: Path, settings: dict[str, str]
) -> None:
    env = {**ansible_env(aws_env, home), **settings}
    seen = run_at_terminal(without_recipient(handout), env, tmp_path)
    assert seen.returncode == 0, seen.output
    (passphrase,) = (match[0] for match in re.finditer(PASSPHRASE, seen.terminal))
    assert f"The passphrase of {handout.dest}, shown only now: {passphrase}\r\n" in seen.terminal
    assert passphrase not in seen.output
    assert secret_places(tmp_path, passphrase) == []
    assert "carol" in (home / "ansible.log").read_text()

    key = private_key(opened_with(handout.dest, passphrase))
    assert key not in seen.output + seen.terminal
    assert secret_places(tmp_path, key) == []
    (registered,) = handout.vpn.items("registration")
    assert public_key(key) == registered["public_key"]["S"]
    assert key not in json.dumps([handout.vpn.items(pk) for pk in ("registration", "claim")])


def refused(handout: Handout, output: str) -> None:
    """Check that nothing was registered or written, and that a recipient is asked for."""
    assert "Give the recipient's public key (handout_recipient)" in output
    assert handout.vpn.items("registration") == []
    assert not handout.dest.parent.exists()


def test_r10_run_without_a_terminal_registers_nothing_and_asks_for_a_recipient(
    handout: Handout, aws_env: dict[str, str], tmp_path: Path, home: Path
) -> None:
    done = subprocess.run(
        without_recipient(handout), env=ansible_env(aws_env, home), cwd=tmp_path, capture_output=True, text=True,
        check=False, start_new_session=True,
    )  # fmt: skip
    assert done.returncode == 2
    refused(handout, done.stdout + done.stderr)
    assert re.search(PASSPHRASE, done.stdout + done.stderr) is None


def test_r10_terminal_that_ansible_runner_keeps_is_none(
    handout: Handout, aws_env: dict[str, str], tmp_path: Path, home: Path
) -> None:
    env = {**ansible_env(aws_env, home), "AWX_ISOLATED_DATA_DIR": "/runner/artifacts/1"}
    seen = run_at_terminal(without_recipient(handout), env, tmp_path)
    assert seen.returncode == 2
    refused(handout, seen.output)
    assert re.search(PASSPHRASE, seen.output + seen.terminal) is None


def test_user_is_found_in_any_case_and_by_the_id(handout: Handout, people: dict[str, Path]) -> None:
    recipient = public(people["age"])
    assert "The nearest names: carol" in handout.fails(recipient=recipient, user_name="caroll", device="tablet")
    by_name = handout(recipient, user_name="CAROL")["registration"]
    assert (by_name["user_name"], by_name["device"]) == ("carol", "laptop")
    by_id = handout(recipient, user_name=by_name["user_id"], device="phone")["registration"]
    assert by_id["user_name"] == "carol"


def test_what_keeps_the_device_off_all_the_same_is_said(handout: Handout, people: dict[str, Path]) -> None:
    recipient = public(people["age"])
    assert handout(recipient)["still_blocked_by"] == []
    handout.vpn.module("revocation", user_name="carol", all_devices=True, reason="left")
    (left,) = handout(recipient, device="phone")["still_blocked_by"]
    assert "'left'" in left
