# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""IAM of one account, as far as runs ask it: it pages, and it fails in the ways in which IAM and networks fail.

What it is going to answer during one run is fixed before (`freeze`), so that the model can judge the same answers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from botocore.exceptions import ClientError, EndpointConnectionError
from botocore.parsers import ResponseParserError

from . import rules
from .rules import Answer, Said

PAGE = 4  # users on a page
LATENESS = 600  # seconds for which IAM may say what was before a change


class SweepFault(Enum):
    """How a sweep may go wrong. Where only one page is hit, it is the last one."""

    NONE = "none"
    THROTTLED = "throttled on the last page"
    UNREACHABLE = "no connection"
    FOREIGN = "a body that isn't IAM's"
    ODD = "an exception of a class that nobody expected"
    EMPTY = "success, and no users"
    UNTOLD = "the last page doesn't say whether something follows"
    CUT = "the last page lacks its last user, and says that nothing follows"
    LOST = "the last page is missing, and the one before says that nothing follows"
    CONFUSED = "the page before the last says that nothing follows, and where"
    NO_MARKER = "something follows, but not where"
    NO_LIST = "the last page has no list of users"
    BAD_DATE = "a user's date is none"
    NO_ID = "a user has no id"
    DOUBLED = "a user is listed twice, alike"
    CONTRADICTED = "a user is listed twice, in different groups"
    LATE = "as it was before the last change"


class QuestionFault(Enum):
    """How a question for one user may go wrong."""

    NONE = "none"
    DENIED = "denied"
    THROTTLED = "throttled"
    NOBODY = "IAM knows nobody"  # of another world: an endpoint or account that is empty
    FOREIGN = "an answer without a user"


class OddError(Exception):
    """An exception that neither botocore nor the collection has."""


@dataclass(frozen=True)
class IamUser:
    """A user as IAM has it."""

    user_id: str
    user_name: str
    created_at: int
    groups: frozenset[str]

    def in_groups(self, groups: Iterable[str]) -> IamUser:
        """Return the same user in these groups and no others."""
        return replace(self, groups=frozenset(groups))

    def detail(self) -> dict[str, Any]:
        """As IAM's answers have it."""
        return {
            "UserId": self.user_id,
            "UserName": self.user_name,
            "CreateDate": datetime.fromtimestamp(self.created_at, UTC),
            "GroupList": sorted(self.groups),
            "Path": "/",
            "Arn": f"arn:aws:iam::111122223333:user/{self.user_name}",
        }


def _error(code: str, operation: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "told to"}}, operation)


class IamAccount:
    """The users of an account, and a client of its IAM."""

    def __init__(self, account_id: str, clock: Callable[[], float]) -> None:
        self.account_id = account_id
        self.users: dict[str, IamUser] = {}  # by user id
        self._clock = clock
        self._before: dict[str, IamUser] = {}
        self._changed_at = 0.0
        self._pages: Sequence[Answer] = ()
        self._questions = QuestionFault.NONE
        self.asked: list[str] = []  # by get_user, since the last freeze

    # -- what administrators do

    def named(self, user_name: str) -> IamUser | None:
        """Find a user by name, in whatever case."""
        name = user_name.casefold()
        return next((user for user in self.users.values() if user.user_name.casefold() == name), None)

    def put(self, user: IamUser) -> None:
        """Create a user, or change one."""
        self._remember()
        self.users[user.user_id] = user

    def delete(self, user: IamUser) -> None:
        """Delete a user."""
        self._remember()
        del self.users[user.user_id]

    def rename(self, user: IamUser, user_name: str) -> None:
        """Give a user another name."""
        self.put(replace(user, user_name=user_name))

    def _remember(self) -> None:
        self._before, self._changed_at = dict(self.users), self._clock()

    # -- what one run is answered

    def freeze(self, fault: SweepFault, questions: QuestionFault) -> rules.Iam:
        """Fix the answers of the next run; return them for the model."""
        self._pages, self._questions = self._answers(fault), questions
        self.asked.clear()
        return rules.Iam(self._pages, self._said)

    def _said(self, user_name: str) -> str | Said:
        if self._questions is QuestionFault.NOBODY:
            return Said.NO_SUCH_ENTITY
        if self._questions is not QuestionFault.NONE:
            return Said.NOTHING
        user = self.named(user_name)
        return Said.NO_SUCH_ENTITY if user is None else user.user_id

    def _answers(self, fault: SweepFault) -> list[Answer]:
        is_late = fault is SweepFault.LATE and self._clock() < self._changed_at + LATENESS
        users = self._before if is_late else self.users
        details = [user.detail() for user in users.values()]
        if fault is SweepFault.EMPTY:
            details = []
        pages = [details[start : start + PAGE] for start in range(0, len(details), PAGE)] or [[]]
        answers: list[dict[str, Any]] = [
            {"UserDetailList": page, "IsTruncated": True, "Marker": str(number)} for number, page in enumerate(pages, 1)
        ]
        del answers[-1]["Marker"]
        answers[-1]["IsTruncated"] = False
        spoil = _SPOILS.get(fault)
        if isinstance(spoil, Exception):
            return [*answers[:-1], spoil]
        if spoil is not None:
            spoil(answers)
        return [*answers]

    # -- the client

    def get_account_authorization_details(self, **request: Any) -> Any:
        """Return a page of a sweep."""
        assert request["Filter"] == ["User"]
        return _answer(self._pages[int(request.get("Marker", "0"))])

    def get_user(self, **request: Any) -> dict[str, Any]:
        """Return one user."""
        name = request["UserName"]
        self.asked.append(name)
        if self._questions is QuestionFault.DENIED:
            raise _error("AccessDenied", "GetUser")
        if self._questions is QuestionFault.THROTTLED:
            raise _error("Throttling", "GetUser")
        if self._questions is QuestionFault.FOREIGN:
            return {"ResponseMetadata": {}}
        user = None if self._questions is QuestionFault.NOBODY else self.named(name)
        if user is None:
            raise _error("NoSuchEntity", "GetUser")
        detail = user.detail()
        del detail["GroupList"]
        return {"User": detail}

    def get_login_profile(self, **_request: Any) -> dict[str, Any]:
        """Return that the user has a password."""
        return {"LoginProfile": {}}

    def list_access_keys(self, **_request: Any) -> dict[str, Any]:
        """Return that the user has no keys."""
        return {"AccessKeyMetadata": [], "IsTruncated": False}


def _answer(answer: Answer) -> Any:
    if isinstance(answer, Exception):
        raise answer
    return answer


def _lose_last(answers: list[dict[str, Any]]) -> None:
    if len(answers) > 1:
        answers.pop()
        answers[-1]["IsTruncated"] = False
        del answers[-1]["Marker"]


def _confuse(answers: list[dict[str, Any]]) -> None:
    if len(answers) > 1:
        answers[-2]["IsTruncated"] = False


def _change_last(change: Callable[[dict[str, Any]], Any]) -> Callable[[list[dict[str, Any]]], None]:
    def spoil(answers: list[dict[str, Any]]) -> None:
        if answers[-1]["UserDetailList"]:
            change(answers[-1])

    return spoil


def _double(page: dict[str, Any], **changes: Any) -> None:
    page["UserDetailList"].append({**page["UserDetailList"][0], **changes})


_SPOILS: dict[SweepFault, Exception | Callable[[list[dict[str, Any]]], Any]] = {
    SweepFault.THROTTLED: _error("Throttling", "GetAccountAuthorizationDetails"),
    SweepFault.UNREACHABLE: EndpointConnectionError(endpoint_url="https://iam.amazonaws.com"),
    SweepFault.FOREIGN: ResponseParserError("not XML"),
    SweepFault.ODD: OddError("whatever"),
    SweepFault.UNTOLD: lambda answers: answers[-1].pop("IsTruncated"),
    SweepFault.CUT: _change_last(lambda page: page["UserDetailList"].pop()),
    SweepFault.LOST: _lose_last,
    SweepFault.CONFUSED: _confuse,
    SweepFault.NO_MARKER: lambda answers: answers[-1].update(IsTruncated=True),
    SweepFault.NO_LIST: lambda answers: answers[-1].pop("UserDetailList"),
    SweepFault.BAD_DATE: _change_last(lambda page: page["UserDetailList"][0].update(CreateDate="yesterday")),
    SweepFault.NO_ID: _change_last(lambda page: page["UserDetailList"][0].pop("UserId")),
    SweepFault.DOUBLED: _change_last(_double),
    SweepFault.CONTRADICTED: _change_last(lambda page: _double(page, GroupList=["others"])),
}
