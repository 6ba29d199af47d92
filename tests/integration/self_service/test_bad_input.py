# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Bad input: an answer of 4xx with a stable code, never a 500, and nothing is written."""

from __future__ import annotations

import base64
import json
import string
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from ansible_collections.tracklib.vpn.plugins.module_utils import keys
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.integration.vpn import ACCOUNT
from tests.support.waiting import PATIENCE

from .people import Forged, People, Person, Signing, context_of

GOOD_KEY = "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo="
HTTP_4XX = range(400, 500)


def encoded(number: int) -> str:
    return base64.b64encode(number.to_bytes(32, "little")).decode()


def sent(person: Person, method: str, path: str, body: bytes | str = b"", **headers: str) -> tuple[int, str]:
    """Status and code of a call as the client would sign it, with any body and path."""
    headers = {"Content-Type": "application/json", **{name.replace("_", "-"): text for name, text in headers.items()}}
    url = person.function.manage_url + path
    answer = requests.request(method, url, data=body, headers=headers, auth=Signing(person), timeout=PATIENCE)
    return answer.status_code, answer.json()["error"]["code"]


@pytest.fixture
def alice(people: People) -> Iterator[Person]:
    """A user without devices, who has none afterwards either."""
    yield people.user("alice")
    assert people.written() == []
    assert people.notices() == []


BODIES: list[tuple[bytes, int, str]] = [
    (b"", 400, "invalid_request"),
    (b"{", 400, "invalid_json"),
    (b"not JSON", 400, "invalid_json"),
    (b"\xff\xfe{}", 400, "invalid_json"),
    (b"[" * 4000, 400, "invalid_json"),
    (b"1" * 4000, 400, "invalid_request"),
    (b"1" * 4500, 413, "body_too_large"),
    (b" " * 4097, 413, "body_too_large"),
    (b'{"device": "' + b"a" * 1_000_000 + b'"}', 413, "body_too_large"),
    (b"null", 400, "invalid_request"),
    (b"[]", 400, "invalid_request"),
    (b'"laptop"', 400, "invalid_request"),
    (b"NaN", 400, "invalid_request"),
    (b"{}", 400, "invalid_request"),
    (json.dumps({"device": "laptop"}).encode(), 400, "invalid_request"),
    (json.dumps({"public_key": GOOD_KEY}).encode(), 400, "invalid_request"),
    (json.dumps({"device": 1, "public_key": GOOD_KEY}).encode(), 400, "invalid_device"),
    (json.dumps({"device": ["laptop"], "public_key": GOOD_KEY}).encode(), 400, "invalid_device"),
    (json.dumps({"device": None, "public_key": GOOD_KEY}).encode(), 400, "invalid_device"),
    (json.dumps({"device": "laptop", "public_key": 7}).encode(), 400, "invalid_key"),
    (json.dumps({"device": "laptop", "public_key": {"a": 1}}).encode(), 400, "invalid_key"),
    (json.dumps({"device": "laptop", "public_key": GOOD_KEY, "user_name": "bob"}).encode(), 400, "invalid_request"),
    (json.dumps({"device": "laptop", "public_key": GOOD_KEY, "expires_at": 2**60}).encode(), 400, "invalid_request"),
    (b'{"device": "laptop", "public_key": "\\ud800"}', 400, "invalid_key"),
    (b'{"device": "\\ud800", "public_key": "x"}', 400, "invalid_device"),
]


def test_bad_body_is_refused(alice: Person) -> None:
    for body, status, code in BODIES:
        assert sent(alice, "POST", "/devices", body) == (status, code), body[:100]


def test_body_of_another_type_is_refused(alice: Person) -> None:
    body = json.dumps({"device": "laptop", "public_key": GOOD_KEY})
    for media_type in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "x"):
        assert sent(alice, "POST", "/devices", body, Content_Type=media_type) == (415, "not_json"), media_type


KEYS = [
    "",
    "not a key",
    "aGVsbG8=",
    "A" * 44,
    encoded(0),
    encoded(1),
    encoded(9) + "\n",
    " " + encoded(9),
    encoded(9)[:-2] + "B=",
    encoded(2**255 + 9),
    encoded(2**255 - 19 + 9),
    encoded(9) * 20,
    encoded(9).replace("A", "\uff21", 1),
]


def test_key_that_no_client_can_have_is_refused_without_repeating_it(alice: Person) -> None:
    for public_key in KEYS:
        body = json.dumps({"device": "laptop", "public_key": public_key})
        answer = requests.post(f"{alice.function.manage_url}/devices", data=body, auth=Signing(alice), timeout=PATIENCE)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_key"), public_key
        assert not public_key or public_key not in answer.text


DEVICES = [
    "Laptop",
    "my laptop",
    "a" * 33,
    "",
    ".",
    "..",
    "../x",
    "x/../../y",
    "laptop/",
    "laptop\n",
    "laptop\0",
    "\0",
    "%2e%2e",
    "laptop%00",
    "laptop;x",
    "laptop?x=1",
    "laptop#x",
    "läptop",
    "l\u0430ptop",  # a Cyrillic letter
    "\uff4captop",  # a wide letter
    "laptop\u200b",  # a space without width
    "lap\u202etop",  # right to left
    "laptop\u0301",  # an accent that combines
    "\U0001d5c5aptop",  # a mathematical letter
    "{{ 7 * 7 }}",
    "$(id)",
    "'; DROP TABLE",
]


def test_device_name_of_another_form_is_refused(alice: Person) -> None:
    for device in DEVICES:
        answer = sent(alice, "POST", "/devices", json.dumps({"device": device, "public_key": GOOD_KEY}))
        assert answer == (400, "invalid_device"), device


def spellings(device: str) -> list[str]:
    """Ways to spell a name in a path: as it is, and with escapes, once and twice."""
    once = "".join(f"%{octet:02x}" for octet in device.encode())
    return [device, once, once.upper(), once.replace("%", "%25")]


OTHERS = [*DEVICES, f"{ACCOUNT}/AIDA/laptop", "LAPTOP", "laptop%2e", "./laptop"]


@pytest.mark.parametrize("number", range(len(spellings("x"))))
def test_no_spelling_of_a_path_touches_anothers_device(number: int, people: People, forged: Forged) -> None:
    """AWS may hand the path over decoded or not: both are tried."""
    alice, bob = people.user("alice"), people.user("bob")
    alice.register("laptop")
    before, iam = people.written(), context_of(people, bob)
    for name in (spellings(device)[number] for device in OTHERS):
        for method, rest, alias in (("DELETE", "", "manage"), ("PUT", "/key", "renew"), ("PUT", "/renewal", "renew")):
            body = {"public_key": GOOD_KEY} if rest == "/key" else None
            status, code = forged(method, f"/devices/{name}{rest}", iam, bob.proof(), body, alias)
            assert status in (400, 404, 405), (name, code)
            assert code in ("invalid_device", "no_such_path", "no_such_method", "no_such_device"), name
    assert people.written() == before


OTHER_PATHS = [
    "/",
    "//devices",
    "/devices/",
    "/devices//",
    "/devices/laptop/",
    "/devices/laptop/keys",
    "/Devices",
    "/devices/../devices",
    "/%64evices",
    "/openapi.json",
    "/swagger",
]


def test_other_paths_are_not_found(people: People, forged: Forged) -> None:
    alice = people.user("alice")
    iam = context_of(people, alice)
    for path in OTHER_PATHS:
        assert forged("GET", path, iam, alice.proof()) == (404, "no_such_path"), path


def test_device_names_in_query_or_headers_count_for_nothing(people: People) -> None:
    alice, bob = people.user("alice"), people.user("bob")
    alice.register("laptop")
    before = people.written()
    for query in ("?user_name=alice", "?account_id=1&user_id=x", "?device=laptop"):
        assert sent(bob, "DELETE", f"/devices/laptop{query}", X_User="alice") == (404, "no_such_device")
    assert people.written() == before


_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=6,
)
_names = st.text(max_size=40) | st.text("/.%2ef-\\" + string.ascii_lowercase, max_size=40)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH"]),
    path=st.lists(st.just("devices") | st.just("key") | st.just("renewal") | _names, max_size=4).map("/".join),
    body=_values | st.fixed_dictionaries({"device": _values, "public_key": _values | st.just(GOOD_KEY)}),
    raw=st.none() | st.binary(max_size=100),
    alias=st.sampled_from(["manage", "renew"]),
)
@example(method="GET", path="\x85", body=None, raw=None, alias="manage")  # it ends a line in Unicode
def test_whatever_is_sent_is_refused_with_a_code_and_writes_nothing(
    method: str, path: str, body: Any, raw: bytes | None, alias: str, fuzzed: tuple[People, Person, dict[str, Any]],
    forged: Forged,
) -> None:  # fmt: skip
    people, alice, iam = fuzzed
    text = json.dumps(body)
    if raw is not None:
        text = base64.b64encode(raw).decode()
    status, code = forged(method, f"/{path}", iam, alice.proof(), text, alias, encoded=raw is not None)
    if (method, path, alias) != ("GET", "devices", "manage"):
        assert status in HTTP_4XX, code
    assert people.written() == []


@pytest.fixture
def fuzzed(people: People) -> tuple[People, Person, dict[str, Any]]:
    """A user, made once for all examples."""
    alice = people.user("alice")
    return people, alice, context_of(people, alice)


def test_good_input_is_accepted(people: People) -> None:
    """What the tests above send would be, but for what is bad in it."""
    answer = requests.post(
        f"{people.function.renew_url}/devices",
        json={"device": "laptop", "public_key": keys.generate()[1]},
        auth=Signing(people.user("alice")),
        timeout=PATIENCE,
    )
    assert answer.status_code == 200
