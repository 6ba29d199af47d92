# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The module `enrollment`, with a user's credentials, against the function over HTTP."""

from __future__ import annotations

import contextlib
import http.server
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils import keys

from .people import GATEWAY, People, Person
from .test_devices import aged

NOWHERE = "http://127.0.0.1:9/"  # the discard port of this machine, where nobody listens
KEY = keys.generate()[1]


class Enrolling:
    """Runs the module for people."""

    def __init__(self, people: People, run: Callable[..., dict[str, Any]]) -> None:
        self._people = people
        self._run = run

    def __call__(
        self,
        person: Person | None,
        device: str = "laptop",
        check: bool = False,
        env: dict[str, str] | None = None,
        **options: Any,
    ) -> dict[str, Any]:
        function = self._people.function
        given = {
            "device": device,
            "function_arn": function.arn,
            "manage_url": function.manage_url,
            "renew_url": function.renew_url,
            "sts_url": function.sts_url,
            **({"public_key": KEY} if options.get("state") != "absent" else {}),
            **options,
        }
        return self._run("enrollment", given, check=check, env={**environment_of(person), **(env or {})})


def environment_of(person: Person | None) -> dict[str, str]:
    """What gives botocore a person's credentials; None for nobody's."""
    if person is None:
        return {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}
    access_key, secret_key, token, *_account = person.credentials
    given = {"AWS_ACCESS_KEY_ID": access_key, "AWS_SECRET_ACCESS_KEY": secret_key, "AWS_SESSION_TOKEN": token}
    return {name: value for name, value in given.items() if value}


@pytest.fixture
def enroll(people: People, run_module: Callable[..., dict[str, Any]]) -> Enrolling:
    """`enroll(alice, "laptop")`: the module's result."""
    return Enrolling(people, run_module)


@contextlib.contextmanager
def denying() -> Iterator[str]:
    """A function URL that a policy denies: AWS answers, the function is never asked."""

    class Denying(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(403)
            self.end_headers()
            self.wfile.write(b'{"Message":"Forbidden"}')

        do_PUT = do_POST

        def log_message(self, *_: object) -> None:
            """Stay quiet."""

    with http.server.HTTPServer(("127.0.0.1", 0), Denying) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def test_device_is_registered_once_and_a_second_run_changes_nothing(people: People, enroll: Enrolling) -> None:
    alice = people.user("alice")
    done = enroll(alice)
    assert (done["changed"], done["actions"], done["unknown"]) == (True, ["registered"], True)
    assert done["addresses"] == ["10.44.0.2", "fd44:7472:6163:6b::2"]
    assert {"public_key": done["gateway_public_key"], "endpoint": done["endpoint"]} == GATEWAY
    assert (done["networks"], done["domains"], done["mtu"]) == (["10.20.0.0/16"], ["internal.example"], 1380)
    assert 900 < done["wait"] <= 960
    again = enroll(alice)
    assert (again["changed"], again["actions"], again["unknown"], again["wait"]) == (False, [], False, 30)
    assert again["addresses"] == done["addresses"]
    assert len(people.notices()) == 1


def test_check_mode_says_what_would_be_done_and_changes_nothing(people: People, enroll: Enrolling) -> None:
    alice = people.user("alice")
    would = enroll(alice, check=True)
    assert (would["changed"], would["actions"], would["addresses"]) == (True, ["registered"], [])
    assert people.written() == []
    enroll(alice)
    before = people.written()
    assert enroll(alice, check=True, public_key=keys.generate()[1], rotate=True)["actions"] == ["rotated"]
    assert enroll(alice, check=True, state="absent")["actions"] == ["removed"]
    assert people.written() == before


def test_diff_names_what_is_done_and_the_addresses_and_no_key(people: People, enroll: Enrolling) -> None:
    alice = people.user("alice")
    made = enroll(alice)["diff"]
    assert (made["before"], set(made["after"])) == ({}, {"device", "addresses", "expires_at"})
    assert made["after"]["addresses"] == ["10.44.0.2", "fd44:7472:6163:6b::2"]
    assert enroll(alice, state="absent")["diff"] == {"before": made["after"], "after": {}}


def test_second_machine_of_the_same_name_is_refused_and_the_first_keeps_its_tunnel(
    people: People, enroll: Enrolling
) -> None:
    alice = people.user("alice")
    enroll(alice)
    before = people.written()
    refused = enroll(alice, public_key=keys.generate()[1])
    assert (refused["code"], "changed" in refused and refused["changed"]) == ("other_key", False)
    assert "your device laptop has another key, such as another machine's" in refused["msg"]
    assert "Choose another name for this machine" in refused["msg"]
    assert people.written() == before


def test_another_key_takes_the_old_ones_place_on_request_and_addresses_stay(people: People, enroll: Enrolling) -> None:
    alice = people.user("alice")
    before = enroll(alice)
    other = keys.generate()[1]
    done = enroll(alice, public_key=other, rotate=True)
    assert (done["actions"], done["unknown"], done["public_key"]) == (["rotated"], True, other)
    assert done["addresses"] == before["addresses"]


@pytest.mark.parametrize(
    ("days_left", "actions", "unknown"), [(16, [], False), (14, ["renewed"], False), (-1, ["renewed"], True)]
)
def test_device_is_renewed_from_half_of_its_life_on(
    people: People, enroll: Enrolling, days_left: float, actions: list[str], unknown: bool
) -> None:
    alice = people.user("alice")
    before = aged(people, alice, "laptop", days_left)
    done = enroll(alice, public_key=before.public_key)
    assert (done["actions"], done["unknown"]) == (actions, unknown)
    assert done["addresses"] == list(before.addresses)
    assert (done["expires_at"] > before.expires_at) == bool(actions)


def test_own_other_devices_that_expire_are_named(people: People, enroll: Enrolling) -> None:
    alice, bob = people.user("alice"), people.user("bob", None)
    phone = aged(people, alice, "phone", 3)
    aged(people, alice, "tablet", 20)
    aged(people, bob, "desktop", 3)
    assert enroll(alice)["expiring"] == [{"device": "phone", "expires_at": phone.expires_at}]


def test_removed_device_is_gone_and_a_second_run_changes_nothing(people: People, enroll: Enrolling) -> None:
    alice = people.user("alice")
    enroll(alice)
    done = enroll(alice, state="absent")
    assert (done["changed"], done["actions"], done["public_key"]) == (True, ["removed"], KEY)
    assert not enroll(alice, state="absent")["changed"]
    assert people.vpn.registry().devices.registrations() == []


def test_renewal_that_a_policy_denies_says_to_authenticate_again(people: People, enroll: Enrolling) -> None:
    alice = people.user("alice")
    before = aged(people, alice, "laptop", 3)
    with denying() as url:
        done = enroll(alice, public_key=before.public_key, renew_url=url)
    assert done["code"] == "authenticate_again"
    assert "get-session-token" in done["msg"]
    assert people.vpn.registry().devices.registrations() == [before]


def test_policy_that_wants_a_fresh_session_wants_it_for_registering_and_rotating_too(
    people: People, enroll: Enrolling
) -> None:
    """Else who has none removes the device and registers it again."""
    alice = people.user("alice")
    alice.register("phone")
    with denying() as url:
        for device, rotate in (("laptop", False), ("phone", True)):
            done = enroll(alice, device, renew_url=url, rotate=rotate)
            assert done["code"] == "authenticate_again"
        assert enroll(alice, "phone", renew_url=url, state="absent")["actions"] == ["removed"]
    assert people.vpn.registry().devices.registrations() == []


def test_key_of_another_device_is_refused_with_what_to_do_here(people: People, enroll: Enrolling) -> None:
    people.user("bob").register("laptop", KEY)
    done = enroll(people.user("alice"))
    assert done["code"] == "key_held"
    assert "enroll_new_key=true" in done["msg"]
    assert "wg genkey" not in done["msg"]


@pytest.mark.parametrize(
    "profile",
    [
        "role_arn = arn:aws:iam::123456789012:role/x\nsource_profile = keys",
        "sso_start_url = https://x.example\nsso_region = eu-west-1\nsso_account_id = 123456789012\nsso_role_name = x",
    ],
    ids=["role", "sso"],
)
def test_r14_profile_of_a_role_is_refused_before_any_call(enroll: Enrolling, tmp_path: Path, profile: str) -> None:
    config = tmp_path / "config"
    config.write_text(f"[profile alice]\n{profile}\n[profile keys]\naws_access_key_id = A\naws_secret_access_key = b\n")
    env = {"AWS_CONFIG_FILE": str(config), "AWS_PROFILE": "alice"}
    done = enroll(None, env=env, manage_url=NOWHERE, renew_url=NOWHERE)
    assert done["code"] == "role_session"
    assert "access keys of your own IAM user" in done["msg"]


def test_r14_exported_session_of_a_role_is_refused_by_the_function(people: People, enroll: Enrolling) -> None:
    alice = people.user("alice")
    role = people.sts(alice).assume_role(RoleArn="arn:aws:iam::123456789012:role/x", RoleSessionName="alice")
    done = enroll(people.with_key("alice", role["Credentials"]))
    assert done["code"] == "role_session"
    assert people.written() == []


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"function_arn": "tracklib-vpn-self-service"}, "invalid_function"),
        ({"manage_url": "vpn.example.com"}, "invalid_function"),
        ({"manage_url": NOWHERE}, "unreachable"),
        ({"gateway": "elsewhere:51820"}, "no_such_gateway"),
    ],
)
def test_wrong_address_is_refused_by_name(people: People, enroll: Enrolling, wrong: dict[str, Any], code: str) -> None:
    done = enroll(people.user("alice"), **wrong)
    assert done["code"] == code


def test_missing_credentials_say_what_to_use(enroll: Enrolling) -> None:
    done = enroll(None)
    assert done["code"] == "no_credentials"


def test_blocked_device_says_why(people: People, enroll: Enrolling) -> None:
    alice = people.user("alice")
    enroll(alice)
    people.vpn.module("revocation", user_name="alice", device="laptop", reason="was lost")
    done = enroll(alice)
    assert done["code"] == "blocked"
    assert "was lost" in done["msg"]
