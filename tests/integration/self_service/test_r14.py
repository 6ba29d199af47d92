# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""R14: callers prove who they are. The request contexts are those that function URLs make; forged ones are sent too."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils import keys
from ansible_collections.tracklib.vpn.plugins.module_utils.enroll.function import FUNCTION_HEADER, SelfServiceError
from ansible_collections.tracklib.vpn.plugins.module_utils.model import Block, Sweep, Tombstone, User
from self_service import urls

from tests.integration.vpn import ACCOUNT
from tests.support.fault_proxy import FaultProxy, error

from .people import Forged, People, Person, context_of


def new_device() -> dict[str, str]:
    return {"device": "laptop", "public_key": keys.generate()[1]}


def refused(call: Any, *arguments: Any) -> SelfServiceError:
    with pytest.raises(SelfServiceError) as caught:
        call(*arguments)
    return caught.value


def user_id(people: People, name: str) -> str:
    found: str = people.vpn.iam.get_user(UserName=name)["User"]["UserId"]
    return found


def test_r14_direct_call_with_an_own_proof_is_answered(people: People, forged: Forged) -> None:
    alice = people.user("alice")
    assert forged("POST", "/devices", context_of(people, alice), alice.proof(), new_device()) == (200, "ok")


@pytest.mark.parametrize("method_path", ["GET /devices", "POST /devices", "DELETE /devices/laptop"])
def test_r14_forged_context_without_a_proof_is_refused(method_path: str, people: People, forged: Forged) -> None:
    alice = people.user("alice")
    alice.register("laptop")
    before = people.written()
    method, path = method_path.split()
    assert forged(method, path, context_of(people, alice), None, new_device()) == (403, "proof_missing")
    assert people.written() == before


def test_r14_forged_context_with_ones_own_proof_is_refused(people: People, forged: Forged) -> None:
    alice, mallory = people.user("alice"), people.user("mallory")
    alice.register("laptop")
    before = people.written()
    answer = forged("DELETE", "/devices/laptop", context_of(people, alice), mallory.proof())
    assert answer == (403, "proof_of_another")
    assert people.written() == before


@pytest.mark.parametrize("part", ["accountId", "userArn", "userId"])
def test_r14_every_part_of_the_identity_must_be_the_proofs(part: str, people: People, forged: Forged) -> None:
    alice, mallory = people.user("alice"), people.user("mallory", "dba")
    mixed = {**context_of(people, alice), part: context_of(people, mallory)[part]}
    if part == "accountId":
        mixed = {**context_of(people, alice), "userArn": "arn:aws:iam::999999999999:user/alice", part: "999999999999"}
        assert forged("GET", "/devices", mixed, alice.proof()) == (403, "account_not_served")
    else:
        assert forged("GET", "/devices", mixed, alice.proof()) == (403, "proof_of_another")


def test_r14_proof_replayed_by_another_user_is_refused(people: People, forged: Forged) -> None:
    alice, mallory = people.user("alice"), people.user("mallory")
    assert forged("GET", "/devices", context_of(people, mallory), alice.proof()) == (403, "proof_of_another")


def test_r14_proof_for_another_function_is_refused(people: People, forged: Forged) -> None:
    alice = people.user("alice")
    other = people.function._replace(arn=people.function.arn + "-2")
    assert forged("GET", "/devices", context_of(people, alice), alice.proof(other)) == (
        403,
        "proof_for_another_function",
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-Amz-Date", "now"),
        (FUNCTION_HEADER, "here"),
        ("Authorization", "forged"),
    ],
)
def test_r14_sts_refuses_what_was_changed_after_it_was_signed(
    name: str, value: str, people: People, forged: Forged
) -> None:
    alice = people.user("alice")
    function = people.function._replace(arn=people.function.arn + "-2") if value == "here" else None
    request = json.loads(base64.urlsafe_b64decode(alice.proof(function)))
    request["headers"][name] = {
        "now": time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(time.time() - 30)),
        "here": people.function.arn,
        "forged": request["headers"]["Authorization"][:-64] + "0" * 64,
    }[value]
    changed = base64.urlsafe_b64encode(json.dumps(request).encode()).decode()
    assert forged("GET", "/devices", context_of(people, alice), changed) == (403, "proof_rejected")


def test_r14_proof_for_another_host_is_refused_and_nobody_is_called(
    people: People, forged: Forged, aws_url: str
) -> None:
    alice = people.user("alice")
    iam = context_of(people, alice)
    with FaultProxy(aws_url) as trap:
        request = json.loads(base64.urlsafe_b64decode(alice.proof(people.function._replace(sts_url=trap.url))))
        assert request["url"].startswith(trap.url)
        answer = forged("GET", "/devices", iam, base64.urlsafe_b64encode(json.dumps(request).encode()).decode())
        assert answer == (403, "proof_for_another_host")
        assert not trap.calls


def test_r14_role_session_named_like_a_user_is_refused(people: People, forged: Forged) -> None:
    alice = people.user("alice")
    people.vpn.iam.create_role(RoleName="Admin", AssumeRolePolicyDocument="{}")
    answer = people.sts(alice).assume_role(RoleArn=f"arn:aws:iam::{ACCOUNT}:role/Admin", RoleSessionName="alice")
    role = people.with_key("alice", answer["Credentials"])
    error = refused(role.register, "laptop")
    assert (error.status, error.code) == (403, "role_session")
    assert "use the access keys of your IAM user" in str(error)
    assert forged("GET", "/devices", context_of(people, alice), role.proof()) == (403, "proof_of_another")


def test_r14_federated_user_is_refused(people: People, forged: Forged) -> None:
    alice = people.user("alice")
    federated = people.with_key("alice", people.sts(alice).get_federation_token(Name="alice")["Credentials"])
    assert refused(federated.register, "laptop").code == "federated_user"
    assert forged("GET", "/devices", context_of(people, alice), federated.proof()) == (403, "proof_of_another")


def test_r14_root_user_is_refused(forged: Forged) -> None:
    iam = {"accountId": ACCOUNT, "userArn": f"arn:aws:iam::{ACCOUNT}:root", "userId": ACCOUNT, "callerId": ACCOUNT}
    assert forged("GET", "/devices", iam, "x") == (403, "root_user")


def test_r14_user_of_an_account_that_is_not_served_is_refused(people: People, aws_client: Callable[..., Any]) -> None:
    role = aws_client("sts").assume_role(RoleArn="arn:aws:iam::999999999999:role/x", RoleSessionName="xy")[
        "Credentials"
    ]
    iam = people.client("iam", role)
    iam.create_user(UserName="alice")
    stranger = people.with_key("alice", iam.create_access_key(UserName="alice")["AccessKey"])
    error = refused(stranger.register, "laptop")
    assert (error.status, error.code) == (403, "account_not_served")


def test_r2_user_in_no_granting_group_is_refused(people: People) -> None:
    error = refused(people.user("eve", None).register, "laptop")
    assert (error.status, error.code) == (403, "not_in_group")
    assert "in none of the groups that grant access: dba, vpn" in str(error)
    assert people.written() == []


def test_r2_blocked_user_is_refused_with_the_reason(people: People) -> None:
    alice = people.user("alice")
    people.vpn.registry().block(Block(ACCOUNT, user_id(people, "alice"), None, "left the company", time.time()))
    for call in (alice.devices, lambda: alice.register("laptop"), lambda: alice.renew("laptop")):
        error = refused(call)
        assert (error.status, error.code) == (403, "blocked")
        assert "left the company" in str(error)


def test_r14_user_deleted_a_moment_ago_is_refused_by_sts(people: People) -> None:
    alice = people.user("alice")
    for key in people.vpn.iam.list_access_keys(UserName="alice")["AccessKeyMetadata"]:
        people.vpn.iam.delete_access_key(UserName="alice", AccessKeyId=key["AccessKeyId"])
    people.vpn.delete_user("alice")
    assert refused(alice.register, "laptop").code == "forbidden"  # by the function URL itself


def test_r4_user_with_a_tombstone_is_refused_while_iam_still_lists_them(people: People) -> None:
    alice = people.user("alice")
    tombstone = Tombstone(ACCOUNT, "event-1", "alice", user_id(people, "alice"), time.time() - 60)
    people.vpn.registry().write_tombstone(tombstone)
    error = refused(alice.register, "laptop")
    assert (error.status, error.code) == (403, "user_deleted")
    assert people.written() == []


def test_r4_tombstone_without_an_id_refuses_the_name_for_users_made_before(people: People) -> None:
    alice = people.user("alice")
    people.vpn.registry().write_tombstone(Tombstone(ACCOUNT, "event-1", "ALICE", None, time.time() + 5))
    assert refused(alice.register, "laptop").code == "user_deleted"


def test_r4_user_whom_iam_lists_long_after_a_tombstone_is_admitted(people: People) -> None:
    alice = people.user("alice")
    tombstone = Tombstone(ACCOUNT, "event-1", "alice", user_id(people, "alice"), time.time() - 16 * 60)
    people.vpn.registry().write_tombstone(tombstone)
    alice.register("laptop")


@pytest.fixture
def forged_through(forged: Forged, fault_proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch) -> Forged:
    """The handler with everything but STS behind the fault proxy."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", fault_proxy.url)
    return forged


@pytest.mark.parametrize("action", ["GetUser", "ListGroupsForUser"])
def test_r14_user_deleted_after_sts_answered_is_refused(
    action: str, people: People, forged_through: Forged, fault_proxy: FaultProxy
) -> None:
    alice = people.user("alice")
    fault_proxy.fail(action, error(404, "NoSuchEntity"))
    answer = forged_through("POST", "/devices", context_of(people, alice), alice.proof(), new_device())
    assert answer == (403, "no_such_user")
    assert people.written() == []


def test_r3_while_iam_fails_the_last_complete_sweep_decides(
    people: People, forged_through: Forged, fault_proxy: FaultProxy
) -> None:
    alice, bob = people.user("alice"), people.user("bob")
    known = User(ACCOUNT, user_id(people, "alice"), "alice", time.time() - 60, ("vpn",))
    fault_proxy.fail("GetUser", error(503, "ServiceUnavailable"))
    call = ("POST", "/devices", context_of(people, alice), alice.proof())
    assert forged_through(*call, new_device()) == (503, "aws_unavailable")
    people.vpn.registry().store_sweep(Sweep(ACCOUNT, time.time(), {known.user_id: known}), 1)
    assert forged_through(*call, new_device()) == (200, "ok")
    assert "iam:GetUser" in forged_through.line["iam_error"]
    assert forged_through("POST", "/devices", context_of(people, bob), bob.proof(), new_device()) == (
        403,
        "no_such_user",
    )


def test_sts_that_fails_changes_nothing(
    people: People, forged_through: Forged, fault_proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = people.user("alice")
    iam, made = context_of(people, alice), alice.proof(people.function._replace(sts_url=fault_proxy.url))
    fault_proxy.fail("GetCallerIdentity", error(500, "InternalFailure"))
    monkeypatch.setenv("STS_URL", fault_proxy.url)
    assert forged_through("POST", "/devices", iam, made, new_device()) == (503, "sts_unavailable")
    assert people.written() == []


ROUTES = [
    ("POST", "/devices", "register", "renew"),
    ("GET", "/devices", "list", "manage"),
    ("PUT", "/devices/laptop/renewal", "renew", "renew"),
    ("PUT", "/devices/laptop/key", "rotate", "renew"),
    ("DELETE", "/devices/laptop", "remove", "manage"),
]


@pytest.mark.parametrize(("method", "path", "action", "alias"), ROUTES)
def test_each_alias_serves_its_own_routes_only(
    method: str, path: str, action: str, alias: str, people: People, forged: Forged
) -> None:
    alice = people.user("alice")
    body = new_device() if action == "register" else {"public_key": keys.generate()[1]} if action == "rotate" else None
    iam = context_of(people, alice)
    for other in {"manage", "renew", "$LATEST"} - {alias}:
        assert forged(method, path, iam, alice.proof(), body, alias=other) == (403, "wrong_url")
    assert forged(method, path, iam, alice.proof(), body, alias=alias)[1] != "wrong_url"
    assert forged.line["action"] == action


@pytest.mark.parametrize(("method", "path", "action", "alias"), ROUTES)
def test_each_url_serves_its_own_routes_only_where_the_context_does_not_say_the_alias(
    method: str, path: str, action: str, alias: str, people: People, forged: Forged, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The emulated AWS has one URL for a function: what it answers for each alias is put here."""
    monkeypatch.setattr(urls, "_host_of", lambda _client, _function, alias: f"{alias}.lambda-url.eu-west-1.on.aws")
    alice = people.user("alice")
    body = new_device() if action == "register" else {"public_key": keys.generate()[1]} if action == "rotate" else None
    iam = context_of(people, alice)
    for host in {f"{name}.lambda-url.eu-west-1.on.aws" for name in ("manage", "renew", "other")} | {""}:
        status, code = forged(method, path, iam, alice.proof(), body, alias=None, host=host)
        assert (code == "wrong_url") == (not host.startswith(f"{alias}.")), (host, status, code)


def test_every_call_is_one_log_line_with_user_action_and_result_and_no_secret(people: People, forged: Forged) -> None:
    alice = people.user("alice")
    iam, made, body = context_of(people, alice), alice.proof(), new_device()
    assert forged("POST", "/devices", iam, made, body) == (200, "ok")
    line = forged.line
    assert (line["user_name"], line["user_id"], line["account_id"]) == ("alice", iam["userId"], ACCOUNT)
    assert (line["action"], line["device"], line["result"], line["status"]) == ("register", "laptop", "ok", 200)
    assert line["changed"] is True
    assert forged("POST", "/devices", iam, None, body) == (403, "proof_missing")
    assert (forged.line["user_id"], forged.line["result"]) == (iam["userId"], "proof_missing")
    signature = json.loads(base64.urlsafe_b64decode(made))["headers"]["Authorization"][-64:]
    for secret in (made, signature, str(alice.credentials.secret_key)):
        assert secret not in json.dumps([line, forged.line])


def test_queue_that_fails_does_not_undo_a_change(
    people: People, forged_through: Forged, fault_proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next scheduled sweep finds it (R12)."""
    alice = people.user("alice")
    monkeypatch.setenv("QUEUE_URL", f"{fault_proxy.url}/{ACCOUNT}/nowhere")
    assert forged_through("POST", "/devices", context_of(people, alice), alice.proof(), new_device()) == (200, "ok")
    assert "sqs:SendMessage" in forged_through.line["queue_error"]
    assert len(people.vpn.registry().devices.registrations()) == 1


def test_r10_unexpected_failure_is_answered_with_a_code_and_logged_in_the_one_line(
    people: People, forged: Forged, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of it reaches the caller but the request's id."""
    alice = people.user("alice")

    def fail(*_arguments: object) -> None:
        raise RuntimeError("something that nobody thought of")

    monkeypatch.setattr("self_service.devices.sweep_of_user", fail)
    assert forged("GET", "/devices", context_of(people, alice), alice.proof()) == (500, "internal")
    assert "something that nobody thought of" in forged.line["error"]


# -- users of other accounts

OTHER = "444455556666"


def other_account(people: People, aws_client: Callable[..., Any]) -> tuple[Person, Any]:
    """A user `alice` in another account, who is in its group vpn; and that account's IAM."""
    role = aws_client("sts").assume_role(RoleArn=f"arn:aws:iam::{OTHER}:role/admin", RoleSessionName="tests")
    iam = people.client("iam", role["Credentials"])
    iam.create_group(GroupName="vpn")
    iam.create_user(UserName="alice")
    iam.add_user_to_group(GroupName="vpn", UserName="alice")
    return people.with_key("alice", iam.create_access_key(UserName="alice")["AccessKey"]), iam


def serving_other(people: People, **access: Any) -> None:
    accounts = [{"account_id": OTHER, "role_arn": f"arn:aws:iam::{OTHER}:role/vpn-sweep"}, {"account_id": ACCOUNT}]
    grants = [{"groups": ["vpn"], "networks": ["10.20.0.0/16"], **access}]
    people.set(identity_accounts=accounts, access=grants)


def test_user_of_another_identity_account_is_read_there_by_its_role(
    people: People,
    aws_client: Callable[..., Any],
    forged_through: Forged,
    fault_proxy: FaultProxy,
) -> None:
    alice, _iam = other_account(people, aws_client)
    serving_other(people, accounts=[OTHER])
    iam = context_of(people, alice)
    assert iam["accountId"] == OTHER
    assert forged_through("POST", "/devices", iam, alice.proof(), new_device()) == (200, "ok")
    assert forged_through("GET", "/devices", iam, alice.proof()) == (200, "ok")
    assert fault_proxy.calls["AssumeRole"] == 1  # its credentials are kept
    (registration,) = people.vpn.registry().devices.registrations()
    assert registration.owner == (OTHER, iam["userId"])


def test_r2_grant_of_the_own_account_is_not_another_accounts(
    people: People, aws_client: Callable[..., Any], forged: Forged
) -> None:
    alice, _iam = other_account(people, aws_client)
    serving_other(people)
    answer = forged("POST", "/devices", context_of(people, alice), alice.proof(), new_device())
    assert answer == (403, "not_in_group")


def test_role_that_cannot_be_assumed_is_told_in_the_log_only(
    people: People,
    aws_client: Callable[..., Any],
    forged_through: Forged,
    fault_proxy: FaultProxy,
) -> None:
    alice, _iam = other_account(people, aws_client)
    serving_other(people, accounts=[OTHER])
    fault_proxy.fail("AssumeRole", error(403, "AccessDenied"))
    answer = forged_through("POST", "/devices", context_of(people, alice), alice.proof(), new_device())
    assert answer == (503, "aws_unavailable")
    assert "sts:AssumeRole" in forged_through.line["error"]
