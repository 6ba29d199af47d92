# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The registry under load, and processes that are killed at each of their calls to AWS."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils import keys
from ansible_collections.tracklib.vpn.plugins.module_utils.addresses import parse_pools
from ansible_collections.tracklib.vpn.plugins.module_utils.enroll.function import SelfServiceError
from ansible_collections.tracklib.vpn.plugins.module_utils.model import Registration

from tests.integration.conftest import ROOT
from tests.integration.vpn import ACCOUNT, POOLS
from tests.support import function_server
from tests.support.fault_proxy import ANY, FaultProxy, Handler
from tests.support.waiting import PATIENCE

from .people import People, context_of, function_env

USERS = 16
DEVICES = 4  # each user's, all at once: 64 registrations


def outcome(call: Callable[[], dict[str, Any]]) -> str:
    try:
        call()
    except SelfServiceError as error:
        return error.code
    return "ok"


def check_consistent(people: People) -> list[Registration]:
    """Every registration has exactly its claims, and no key or address is two devices'."""
    registrations = people.vpn.registry().devices.registrations()
    held = {
        item["sk"]["S"]: item["holder"]["S"]
        for item in people.vpn.items("claim")
        if "released_at" not in item and "free_at" not in item
    }
    wanted = {}
    for registration in registrations:
        holder = "/".join((*registration.owner, registration.device))
        for claim in (f"key#{registration.public_key}", *(f"address#{address}" for address in registration.addresses)):
            assert claim not in wanted
            wanted[claim] = holder
    assert held == wanted
    return registrations


def test_r9_64_registrations_at_once_get_keys_and_addresses_of_their_own(people: People) -> None:
    users = [people.user(f"user-{number}") for number in range(USERS)]
    calls = [(user, f"device-{number}", keys.generate()[1]) for user in users for number in range(DEVICES)]
    with ThreadPoolExecutor(len(calls)) as pool:
        answers = list(pool.map(lambda call: call[0].register(call[1], call[2]), calls))
    assert {answer["device"]["public_key"] for answer in answers} == {public for _user, _device, public in calls}
    addresses = Counter(address for answer in answers for address in answer["device"]["addresses"])
    assert len(addresses) == 2 * len(calls)
    registrations = check_consistent(people)
    kept = {(registration.user_name, registration.device): registration.public_key for registration in registrations}
    assert kept == {(user.name, device): public for user, device, public in calls}
    assert len(people.notices()) == len(calls)


def test_device_limit_holds_when_all_are_registered_at_once(people: People) -> None:
    alice = people.user("alice")
    with ThreadPoolExecutor(12) as pool:
        codes = Counter(pool.map(lambda number: outcome(lambda: alice.register(f"device-{number}")), range(12)))
    assert codes == {"ok": 5, "device_limit": 7}
    assert len(check_consistent(people)) == 5


def test_r9_one_key_registered_by_many_at_once_is_one_devices(people: People) -> None:
    users = [people.user(f"user-{number}") for number in range(8)]
    public = keys.generate()[1]
    with ThreadPoolExecutor(8) as pool:
        codes = Counter(pool.map(lambda user: outcome(lambda: user.register("laptop", public)), users))
    assert codes == {"ok": 1, "key_held": 7}
    assert len(check_consistent(people)) == 1


def test_renewal_and_rotation_at_once_lose_nothing(people: People) -> None:
    """Both change the same item: whoever comes second starts from what the first one left."""
    users = [people.user(f"user-{number}") for number in range(8)]
    now = int(time.time())
    wanted = {}
    for user in users:
        user_id = people.vpn.iam.get_user(UserName=user.name)["User"]["UserId"]
        old = Registration(ACCOUNT, user_id, "laptop", user.name, keys.generate()[1], (), now - 90, now + 10)
        people.vpn.registry().devices.register(old, parse_pools(POOLS))
        wanted[user.name] = keys.generate()[1]
    calls: list[Callable[[], Any]] = []
    for user in users:
        calls += [lambda user=user: user.renew("laptop"), lambda user=user: user.rotate("laptop", wanted[user.name])]  # type: ignore[misc]  # mypy loses the default's type
    with ThreadPoolExecutor(len(calls)) as pool:
        list(pool.map(lambda call: call(), calls))
    for registration in check_consistent(people):
        assert registration.public_key == wanted[registration.user_name]
        assert registration.expires_at is not None
        assert registration.expires_at > now + 29 * 86400


# -- killed

CALL = """
import json, sys
from tests.support.function_server import FUNCTION_ARN, Context, handler
event = json.load(sys.stdin)
alias = "manage" if event["requestContext"]["http"]["method"] == "DELETE" else "renew"
print(handler(event, Context(f"{FUNCTION_ARN}:{alias}", "request"))["statusCode"])
"""


def killed_at(number: int, proxy: FaultProxy, env: dict[str, str], event: dict[str, Any]) -> bool:
    """Run the handler in a process that is killed when AWS has done its call `number`; whether there was one."""
    process = subprocess.Popen(
        [sys.executable, "-c", CALL], cwd=ROOT, env=env, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )

    def kill(handler: Handler, _answer: Any) -> None:
        process.kill()
        handler.close_connection = True

    fatal = proxy.calls.total() + number
    proxy.fail(ANY, kill, fatal, fatal)
    answer, _errors = process.communicate(json.dumps(event), timeout=PATIENCE)
    if process.returncode == 0:
        assert answer.splitlines()[-1] == "200", answer
    return process.returncode != 0


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/devices", {"device": "laptop", "public_key": keys.generate()[1]}),
        ("PUT", "/devices/laptop/key", {"public_key": keys.generate()[1]}),
        ("DELETE", "/devices/laptop", None),
    ],
)
def test_r9_process_killed_at_any_of_its_calls_leaves_all_or_nothing(
    method: str,
    path: str,
    body: dict[str, str] | None,
    people: People,
    fault_proxy: FaultProxy,
    aws_env: dict[str, str],
) -> None:
    alice = people.user("alice")
    iam, through = context_of(people, alice), people.function._replace(sts_url=fault_proxy.url)
    first = keys.generate()[1]
    before: list[Registration] = []
    outcomes = set()
    for number in itertools.count(1):
        for registration in people.vpn.registry().devices.registrations():
            people.vpn.registry().devices.remove(registration, quarantine=0)
        if method != "POST":
            alice.register("laptop", first)
            before = check_consistent(people)
        headers = {"content-type": "application/json", "x-tracklib-vpn-proof": alice.proof(through)}
        event = function_server.event(method, path, headers, json.dumps(body).encode() if body else b"", iam)
        killed = killed_at(number, fault_proxy, {**aws_env, **function_env(fault_proxy.url)}, event)
        outcomes.add(check_consistent(people) == before)
        if not killed:
            break
    assert outcomes == {True, False}  # it was killed before and after it committed
    assert number > 6
