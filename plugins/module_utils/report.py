# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What a run of the playbooks says in the end, from the results of its modules; pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from .registry.receipts import FORMATS

SHOWN = 20  # names of one kind; a first roster may add thousands


def run_lines(
    gateways: Mapping[str, Mapping[str, Any]],
    roster: Mapping[str, Any],
    receipts: Sequence[Mapping[str, Any]],
    signs: Mapping[str, Any],
    *,
    check_mode: bool,
) -> list[str]:
    """Return what a run did, or would do in check mode, as lines for an operator.

    `gateways` has the result of the module `wireguard_interface` for each gateway's name, empty where there is none;
    `roster` is the result of the module `roster`, empty when it failed; `receipts` are those recorded in this run;
    `signs` is the result of the module `early_signs`, empty when it didn't run.
    """
    return [
        *_roster_lines(roster),
        *(line for name, result in gateways.items() for line in _gateway_lines(name, result, check_mode=check_mode)),
        *_receipt_lines(receipts),
        *_sign_lines(signs),
        *_notice_lines(roster, check_mode=check_mode),
    ]


def _roster_lines(roster: Mapping[str, Any]) -> Iterator[str]:
    if "generation" in roster:
        count = roster["counts"]
        yield (
            f"roster {roster['generation']}: {count['peers']} peers, {count['held']} held, {count['revoked']} revoked,"
            f" {count['excluded']} left out"
        )


def _gateway_lines(name: str, result: Mapping[str, Any], *, check_mode: bool) -> Iterator[str]:
    yield f"{name}: {_outcome(result, check_mode=check_mode)}"
    for what in ("added", "updated", "repaired"):
        if result.get(what):
            yield f"  {what}: {_names(result[what])}"
    removed = result.get("removed", [])
    early = [expired for expired in result.get("expired", []) if expired not in removed]
    if early:
        yield f"  left out, expired by this gateway's clock: {_names(early)}"
    # the last removal of a name counts: a registry may hold leavers of the same name
    reasons = {f"{one['user_name']}/{one['device']}": one["reason"] for one in result.get("removals", [])}
    for gone in removed[:SHOWN]:
        reason = f" ({reasons[gone]})" if gone in reasons else ""
        yield f"  removed: {gone}{reason}"
    if len(removed) > SHOWN:
        yield f"  and {len(removed) - SHOWN} more removed"
    for notice in result.get("notices", [])[:SHOWN]:
        yield f"  notice: {notice}"


def _outcome(result: Mapping[str, Any], *, check_mode: bool) -> str:
    if not result or result.get("skipped", False):
        return "not reached, see above"
    if result.get("unreachable", False) or result.get("failed", False):
        message: str = result.get("msg", "see above")
        return "FAILED: " + message.split("\n")[0]
    if result.get("stale", False):
        what = "only confirmed revocations were done" if result.get("removed") else "nothing was changed"
        return f"a later roster is already in force, {what}"
    if not result["changed"]:
        return "no change"
    return "would change" if check_mode else "changed"


def _names(names: Sequence[str]) -> str:
    shown = ", ".join(names[:SHOWN])
    return f"{shown} and {len(names) - SHOWN} more" if len(names) > SHOWN else shown


def _receipt_lines(receipts: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    heading = "receipts"
    if receipts:
        for line in FORMATS["table"](receipts):
            yield f"{heading:10}{line}"
            heading = ""


def _sign_lines(signs: Mapping[str, Any]) -> Iterator[str]:
    for name in signs.get("names", []):
        then = "; suspended, the next run takes the tunnel away" if name in signs["suspended"] else ""
        yield f"early sign: {name} has neither a login profile nor an active access key left in IAM{then}"
    if signs.get("left", 0):
        yield f"early sign: {signs['left']} more are checked by the next runs"


def _notice_lines(roster: Mapping[str, Any], *, check_mode: bool) -> Iterator[str]:
    for name in roster.get("held", [])[:SHOWN]:
        yield f"held: {name} stays a peer until an operator releases the removal"
    if check_mode:
        for one in roster.get("excluded", []):
            yield f"left out: {one['name']} ({one['reason']}: {one['detail']})"


class StepResults(NamedTuple):
    """The results of a run's modules after `roster`, each empty where it didn't run."""

    gateways: Mapping[str, Mapping[str, Any]] = {}  # of wireguard_interface, by gateway
    login: Mapping[str, Any] = {}  # of instance_connect_key
    recording: Mapping[str, Any] = {}  # of receipts
    signs: Mapping[str, Any] = {}  # of early_signs
    claiming: Mapping[str, Any] = {}  # of gateway_keys


def run_problems(roster: Mapping[str, Any], steps: StepResults, revocation: Sequence[str]) -> list[str]:
    """Return what needs an operator after a run, whose gateways have been served.

    `roster` is the result of the module `roster`, empty where it failed; `revocation` comes from
    :func:`revocation_problems`.
    """
    problems = [*revocation, *roster.get("problems", []), *steps.login.get("problems", [])]
    stale = sorted(name for name, result in steps.gateways.items() if result.get("stale", False))
    if stale:
        problems.append(
            f"{', '.join(stale)}: a later roster is in force, twice in this run; another controller, or a clock that "
            "is wrong, makes rosters meanwhile. Find it, and run this again"
        )
    if _has_failed(steps.recording, "receipts"):
        problems.append(
            f"the receipts of removals could not be recorded: {steps.recording.get('msg', 'see above')} "
            "The gateways keep these removals for the next run."
        )
    if _has_failed(steps.signs, "names"):
        problems.append(f"early signs of leaving could not be checked: {steps.signs.get('msg', 'see above')}")
    problems += steps.signs.get("problems", [])
    if _has_failed(steps.claiming, "claimed"):
        problems.append(
            f"the gateways' keys could not be kept from being devices': {steps.claiming.get('msg', 'see above')}"
        )
    return problems


def _has_failed(result: Mapping[str, Any], expected: str) -> bool:
    """Tell whether a module ran and didn't return what it does when it succeeds."""
    return bool(result) and not result.get("skipped", False) and expected not in result


def revocation_problems(
    written: Mapping[str, Any], given: Mapping[str, str], failure: str | None, unreached: Sequence[str] = ()
) -> list[str]:
    """Return what an operator has to do after a revocation.

    `written` is the result of the module `revocation`, empty when it didn't run; `given` has the variables of the
    playbook `revoke`; `failure` says why there is no roster, None when there is one;
    `unreached` names the gateways that did nothing.
    """
    recorded = bool(written) and not written.get("failed", False)
    problems = []
    if failure is not None:
        problems.append(_not_durable(given, failure, recorded=recorded))
    if unreached:
        problems.append(
            f"{', '.join(unreached)} wasn't reached, or was left out by --limit: whoever was a peer there still is. "
            "Run the same revocation again without --limit, once it can be reached"
        )
    return problems


def _not_durable(given: Mapping[str, str], failure: str, *, recorded: bool) -> str:
    whom = "/".join(given[name] for name in ("revoke_user_name", "revoke_device") if name in given)
    what = "blocked in the registry"
    if recorded:
        what = "taken through a new roster, the registry has the revocation"
    return (
        f"{whom} could not be {what}: {failure} "
        "The gateways that are reported above as served cut the tunnel without a roster and keep it cut. "
        f"Until it succeeds, repeat: ansible-playbook tracklib.vpn.revoke -e '{json.dumps(dict(given))}'"
    )
