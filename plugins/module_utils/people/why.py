# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Why somebody can't connect: the first break of each device's chain, as an answer. Pure."""

from __future__ import annotations

from typing import Any, Iterator, NamedTuple, Sequence

from ..model import printable
from .chain import ChainLink, Subject, Verdict, as_data, is_connected, links
from .devices import View, devices_report, last_handshake, nobody, unanswered, without_registration
from .layout import Explained, ago, names, paragraph
from .merge import DeviceStatus

_VERDICT_WIDTH, _TITLE_WIDTH = 13, 18  # characters


class Case(NamedTuple):
    """A device, its chain, and what that comes to."""

    subject: Subject
    links: list[ChainLink]
    headline: str
    is_answered: bool


def why_report(view: View, user_name: str, device: str | None, now: float) -> Explained:
    """Answer why a user can't connect; it fails only if that could not be found out."""
    if view["error"] is not None:
        return devices_report(view, user_name, now)._replace(data={"cases": []})
    asked = device or user_name.partition("/")[2] or None
    cases = [_case(view, subject, now) for subject in _subjects(view, asked)]
    if not cases:
        failures = [*unanswered(view), nobody(view, user_name), *without_registration(view, user_name)]
        return Explained([line for each in failures for line in paragraph(each)], failures, {"cases": []})
    failures = [case.headline for case in cases if not case.is_answered]
    if failures:
        failures += unanswered(view)
    live = list(without_registration(view, user_name))
    failures += live
    lines = [line for case in cases for line in ("", *_case_lines(case))][1:]
    notes = [line for each in (*live, *unanswered(view)) for line in paragraph(each)]
    return Explained(
        [*lines, *(["", *notes] if notes else [])], failures, {"cases": [_case_data(each) for each in cases]}
    )


def _subjects(view: View, device: str | None) -> Iterator[Subject]:
    """Find whom and what is asked about; who is in IAM comes first."""
    for user in view["users"]:
        owner = (user["account_id"], user["user_id"])
        own = [each for each in view["devices"] if (each["account_id"], each["user_id"]) == owner]
        found = [each for each in own if device in (None, each["device"])]
        for each in found:
            yield Subject(user, each, each["name"])
        if not found:
            yield Subject(user, None, f"{user['user_name']}/{device}" if device else user["user_name"])


def _case(view: View, subject: Subject, now: float) -> Case:
    chain = links(view, subject, now)
    broken = next((link for link in chain if link.verdict is Verdict.BREAKS), None)
    device, name = subject.device, subject.name
    if len(view["users"]) > 1 or not subject.user["in_iam"]:  # of a name that several have had
        name = f"{name} ({subject.user['user_id']})"
    is_to_go = device is not None and device["status"] == DeviceStatus.LEFT_OUT.value
    if device is not None and is_connected(device):
        return Case(subject, chain, _connected_words(name, device, broken), is_answered=not is_to_go)
    if broken is not None:
        there = [each["gateway"] for each in device["gateways"] if each["is_peer"]] if device and is_to_go else []
        cant = f"is still a peer of {names(there)}, and isn't to be" if there else "can't connect"
        elsewhere = _unless_elsewhere(device)
        headline = f"{name} {cant}: {_break_words(broken)}{elsewhere}"
        return Case(subject, chain, headline, is_answered=not (there or elsewhere))
    open_links = ", ".join(link.title for link in chain if link.verdict is Verdict.UNKNOWN)
    headline = f"{name}: no break was found, and this is not known: {open_links or 'nothing'}"
    return Case(subject, chain, headline, is_answered=False)


def _connected_words(name: str, device: View, broken: ChainLink | None) -> str:
    seen = last_handshake(device)
    age, gateway = (seen["handshake_age"], seen["gateway"]) if seen is not None else (None, "a gateway")
    words = f"{name} is connected: a handshake {ago(age)} on {gateway}"
    if broken is not None:
        return f"{words}; but {_break_words(broken)}"
    return f"{words}. If a service doesn't answer, ask the playbook diagnose about its name"


def _unless_elsewhere(device: View | None) -> str:
    """Name the gateways that couldn't be asked, and may not know yet that somebody is to be off.

    R19, observation outranks the model.
    """
    if device is None or device["status"] != DeviceStatus.LEFT_OUT.value:
        return ""
    unknown = [each["gateway"] for each in device["gateways"] if each["is_peer"] is None]
    return f"; it may still be a peer of {names(unknown)}, which can't be asked" if unknown else ""


def _break_words(link: ChainLink) -> str:
    return f'"{link.title}" breaks: {link.finding}'


def _case_lines(case: Case) -> Iterator[str]:
    yield from paragraph(case.headline)
    for link in case.links:
        is_broken = link.verdict is Verdict.BREAKS
        verdict = link.verdict.value.upper() if is_broken else link.verdict.value
        yield from _link_lines(verdict, link.title, link.finding)
        if link.next_step is not None:
            yield from _next_lines(link.next_step)


def _next_lines(step: str) -> Sequence[str]:
    """Leave a command on one line, for a shell."""
    if step.startswith("ansible-playbook "):
        return [f"{'':{_VERDICT_WIDTH}}next", f"  {step}"]
    return _link_lines("", "next", step)


def _link_lines(verdict: str, title: str, text: str) -> Sequence[str]:
    margin = " " * (_VERDICT_WIDTH + _TITLE_WIDTH)
    begins = f"{verdict:{_VERDICT_WIDTH}}{printable(title):{_TITLE_WIDTH - 1}} "
    return paragraph(text, margin, begins=begins)


def _case_data(case: Case) -> dict[str, Any]:
    return {
        "name": case.subject.name,
        "account_id": case.subject.user["account_id"],
        "user_id": case.subject.user["user_id"],
        "headline": case.headline,
        "answered": case.is_answered,
        "links": [as_data(link) for link in case.links],
    }
