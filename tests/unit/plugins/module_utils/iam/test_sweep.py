# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Reading IAM: pages that end early, contradict one another or lack a field, users who vanish meanwhile."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

import boto3
import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils.aws import AWSCallError
from ansible_collections.tracklib.vpn.plugins.module_utils.iam.sweep import (
    check_account,
    find_user,
    find_user_in_any_case,
    sweep,
    sweep_of_user,
)
from ansible_collections.tracklib.vpn.plugins.module_utils.model import Sweep, User
from botocore.exceptions import ClientError
from botocore.stub import Stubber

ACCOUNT = "111122223333"
CREATED = datetime(2026, 1, 1, tzinfo=UTC)
FIELDS = ("UserId", "UserName", "CreateDate", "Path", "Arn")


def group(name: str) -> dict[str, Any]:
    arn = f"arn:aws:iam::{ACCOUNT}:group/{name}"
    return {"Path": "/", "GroupName": name, "GroupId": "AGPAIOSFODNN7EXAMPLE", "Arn": arn, "CreateDate": CREATED}


def test_groups_of_a_user_are_read_to_the_last_page() -> None:
    iam = boto3.client("iam", region_name="eu-west-1", aws_access_key_id="x", aws_secret_access_key="x")
    user_id, arn = "AIDAIOSFODNN7EXAMPLE", f"arn:aws:iam::{ACCOUNT}:user/alice"
    detail = {"Path": "/", "UserName": "alice", "UserId": user_id, "Arn": arn, "CreateDate": CREATED}
    with Stubber(iam) as stub:
        stub.add_response("get_user", {"User": detail}, {"UserName": "alice"})
        first = {"Groups": [group("a")], "IsTruncated": True, "Marker": "more"}
        stub.add_response("list_groups_for_user", first, {"UserName": "alice"})
        last = {"Groups": [group("vpn")], "IsTruncated": False}
        stub.add_response("list_groups_for_user", last, {"UserName": "alice", "Marker": "more"})
        found = sweep_of_user(iam, ACCOUNT, "alice", lambda: 5.0)
        stub.assert_no_pending_responses()
    assert (found.account_id, found.begun_at) == (ACCOUNT, 5.0)
    assert found.users[user_id].groups == ("a", "vpn")


class Iam:
    """Answers from lists, each call with the next answer; an error is raised."""

    def __init__(self, **answers: list[Any]) -> None:
        self._answers = answers
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def __getattr__(self, operation: str) -> Any:
        def call(**request: Any) -> Any:
            self.calls.append((operation, request))
            answer = self._answers[operation].pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer

        return call


def detail(number: int, **changes: Any) -> dict[str, Any]:
    made = {
        "Path": "/",
        "UserName": f"user{number}",
        "UserId": f"AIDA{number}",
        "Arn": f"arn:aws:iam::{ACCOUNT}:user/user{number}",
        "CreateDate": CREATED,
        "GroupList": ["vpn"],
        "Tags": [{"Key": "team", "Value": "x"}],
    }
    return {**made, **changes}


def page(*numbers: int, **more: Any) -> dict[str, Any]:
    return {"UserDetailList": [detail(number) for number in numbers], "IsTruncated": False, **more}


def swept(*pages: Any) -> Sweep:
    return sweep(cast(Any, Iam(get_account_authorization_details=list(pages))), ACCOUNT, lambda: 5.0)


def error(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "said"}}, "Operation")


def test_sweep_has_the_users_of_all_pages_and_asks_for_each_once() -> None:
    iam = Iam(get_account_authorization_details=[page(1, IsTruncated=True, Marker="more"), page(2)])
    found = sweep(cast(Any, iam), ACCOUNT, lambda: 5.0)
    assert (found.account_id, found.begun_at, sorted(found.users)) == (ACCOUNT, 5.0, ["AIDA1", "AIDA2"])
    assert [request for _operation, request in iam.calls] == [
        {"Filter": ["User"], "MaxItems": 1000},
        {"Filter": ["User"], "MaxItems": 1000, "Marker": "more"},
    ]


def test_user_of_a_sweep_has_name_groups_path_and_tags() -> None:
    (user,) = swept(page(1)).users.values()
    assert user == User(
        account_id=ACCOUNT,
        user_id="AIDA1",
        user_name="user1",
        created_at=CREATED.timestamp(),
        groups=("vpn",),
        path="/",
        arn=f"arn:aws:iam::{ACCOUNT}:user/user1",
        tags=(("team", "x"),),
    )


def test_user_without_groups_and_tags_is_a_user() -> None:
    bare = {name: value for name, value in detail(1).items() if name not in ("GroupList", "Tags")}
    (user,) = swept({"UserDetailList": [bare], "IsTruncated": False}).users.values()
    assert (user.groups, user.tags) == ((), ())


@pytest.mark.parametrize(
    "cut",
    [
        {"IsTruncated": True},
        {"IsTruncated": True, "Marker": ""},
        {"IsTruncated": None},
        {"IsTruncated": "false"},
        {"IsTruncated": None, "Marker": "more"},
    ],
)
def test_r3_page_that_says_neither_that_it_is_the_last_nor_what_follows_is_an_error(cut: dict[str, Any]) -> None:
    sentence = f"the sweep of account {ACCOUNT} broke off after 1 users: IAM's answer says neither that nothing follows"
    with pytest.raises(AWSCallError, match=sentence):
        swept({name: value for name, value in page(1, **cut).items() if value is not None}, page(2))


def test_r3_page_that_leads_to_itself_is_an_error() -> None:
    more = {"IsTruncated": True, "Marker": "more"}
    with pytest.raises(AWSCallError, match="broke off"):
        swept(page(1, **more), page(2, **more), page(3))


def test_r3_user_who_is_listed_twice_alike_is_one_user() -> None:
    assert sorted(swept(page(1, 2, IsTruncated=True, Marker="more"), page(2, 3)).users) == ["AIDA1", "AIDA2", "AIDA3"]


@pytest.mark.parametrize("change", [{"GroupList": []}, {"UserName": "alice"}])
def test_r3_user_who_is_listed_twice_and_not_alike_is_an_error(change: dict[str, Any]) -> None:
    again = {"UserDetailList": [detail(1, **change)], "IsTruncated": False}
    with pytest.raises(
        AWSCallError, match=rf"account {ACCOUNT} listed .* \(AIDA1\) twice, and not alike; run it again"
    ):
        swept(page(1, IsTruncated=True, Marker="more"), again)


FOREIGN = [
    *({"UserDetailList": [{name: value for name, value in detail(1).items() if name != field}]} for field in FIELDS),
    {"UserDetailList": [detail(1, CreateDate="yesterday")]},
    {"UserDetailList": [detail(1, Tags=[{"Name": "x"}])]},
    {"UserDetailList": [None]},
    {"UserDetailList": None},
    {"html": "captive portal"},
]


@pytest.mark.parametrize("answer", FOREIGN, ids=str)
def test_r3_answer_that_is_not_iams_is_an_error(answer: dict[str, Any]) -> None:
    with pytest.raises(AWSCallError, match=f"the sweep of account {ACCOUNT} got an answer that isn't IAM's"):
        swept({**answer, "IsTruncated": False})


def test_r3_failing_later_page_leaves_no_sweep() -> None:
    with pytest.raises(AWSCallError, match="GetAccountAuthorizationDetails on account"):
        swept(page(1, IsTruncated=True, Marker="more"), error("ServiceFailure"))


def test_credentials_of_another_account_are_refused_with_both() -> None:
    def answering() -> Iam:
        return Iam(get_caller_identity=[{"Account": "444455556666"}])

    with pytest.raises(AWSCallError, match=f"belong to account 444455556666, expected {ACCOUNT}") as refused:
        check_account(cast(Any, answering()), ACCOUNT)
    assert refused.value.code == "WrongAccount"
    check_account(cast(Any, answering()), "444455556666")
    with pytest.raises(AWSCallError, match="expected that of vpn_account_id, which is empty"):
        check_account(cast(Any, answering()), "")


def test_user_of_whom_iam_says_that_there_is_none_is_none() -> None:
    assert find_user(cast(Any, Iam(get_user=[error("NoSuchEntity")])), ACCOUNT, "user1") is None
    with pytest.raises(AWSCallError, match="access denied"):
        find_user(cast(Any, Iam(get_user=[error("AccessDenied")])), ACCOUNT, "user1")


@pytest.mark.parametrize("answer", [{}, {"User": {}}, {"User": detail(1, CreateDate="yesterday")}], ids=str)
def test_r3_answer_about_one_user_that_is_not_iams_is_an_error(answer: dict[str, Any]) -> None:
    with pytest.raises(AWSCallError, match=r"iam:GetUser for user user1 .* got an answer that isn't IAM's"):
        find_user(cast(Any, Iam(get_user=[answer])), ACCOUNT, "user1")


def test_user_in_another_case_is_found_by_the_name_that_the_last_sweep_has() -> None:
    iam = Iam(get_user=[error("NoSuchEntity"), {"User": detail(1)}])
    user = find_user_in_any_case(cast(Any, iam), ACCOUNT, "USER1", lambda: swept(page(1)))
    assert user is not None
    assert user.user_id == "AIDA1"
    assert [request for _operation, request in iam.calls] == [{"UserName": "USER1"}, {"UserName": "user1"}]


def test_last_sweep_is_read_only_when_iam_does_not_know_the_name() -> None:
    def unread() -> Sweep | None:
        raise AssertionError

    assert find_user_in_any_case(cast(Any, Iam(get_user=[{"User": detail(1)}])), ACCOUNT, "user1", unread) is not None


@pytest.mark.parametrize("stored", [None, swept(page(1)), swept(page(2))])
def test_iam_is_not_asked_again_by_the_same_or_an_unknown_name(stored: Sweep | None) -> None:
    iam = Iam(get_user=[error("NoSuchEntity")])
    assert find_user_in_any_case(cast(Any, iam), ACCOUNT, "user1", lambda: stored) is None


@pytest.mark.parametrize("answers", [{"get_user": [error("NoSuchEntity")]}, {"get_user": [{"User": detail(1)}]}])
def test_sweep_of_a_user_who_is_gone_before_either_answer_lists_nobody(answers: dict[str, Any]) -> None:
    iam = Iam(**answers, list_groups_for_user=[error("NoSuchEntity")])
    assert sweep_of_user(cast(Any, iam), ACCOUNT, "user1", lambda: 5.0) == Sweep(ACCOUNT, 5.0, {})


def test_groups_that_iam_does_not_tell_are_an_error() -> None:
    iam = Iam(get_user=[{"User": detail(1)}], list_groups_for_user=[error("AccessDenied")])
    with pytest.raises(AWSCallError, match="iam:ListGroupsForUser on user user1 of account"):
        sweep_of_user(cast(Any, iam), ACCOUNT, "user1")


def test_r3_page_that_says_where_it_goes_on_is_not_the_last_whatever_else_it_says() -> None:
    """To the SDK every text but `true` is False."""
    with pytest.raises(AWSCallError, match="broke off after 1 users"):
        swept(page(1, IsTruncated=False, Marker="more"))


@pytest.mark.parametrize("name", ["", "al ice", "alice\u2028[Peer]"])
def test_r3_name_that_no_iam_user_can_have_is_not_iams(name: str) -> None:
    with pytest.raises(AWSCallError, match="an answer that isn't IAM's"):
        swept({"UserDetailList": [detail(1, UserName=name)], "IsTruncated": False})


def test_r4_answer_about_another_user_says_nothing_of_the_one_who_was_asked_for() -> None:
    with pytest.raises(AWSCallError, match="it is about operator"):
        find_user(cast(Any, Iam(get_user=[{"User": detail(1, UserName="operator")}])), ACCOUNT, "user1")
