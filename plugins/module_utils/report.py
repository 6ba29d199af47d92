# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What a run of the playbooks says in the end, from the results of its modules; pure."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from .model import printable
from .people.layout import command
from .registry.receipts import FORMATS

SHOWN = 20  # names of one kind; a first roster may add thousands
_WIDTH = 88  # Ansible indents a list of lines and quotes each: with that, a screen of 100 columns

# Why a gateway takes a peer off, in words; where the roster says more, that is shown.
_REASONS = {
    "tombstoned": "its user was deleted",
    "blocked": "blocked",
    "revoked": "revoked by an operator, without a roster",
    "expired": "its registration expired",
    "removed": "its registration was removed",
    "not_in_sweep": "IAM has no such user",
    "not_in_group": "in no group that grants access",
    "invalid_key": "its key can't be used",
    "duplicate_key": "its key is another device's",
    "duplicate_address": "its address is another device's",
    "address_outside_pool": "its address isn't in the pools",
    "unreadable": "its item in the registry can't be read",
    "not_registered": "its registration is gone, and nothing says who removed it",
    "key_replaced": "the device has another key now",
    "unfit": "the roster has it in a form that no peer can have",
    "unknown": "the roster doesn't know it",
}


class StepResults(NamedTuple):
    """The results of a run's modules after `roster`, each empty where it didn't run."""

    gateways: Mapping[str, Mapping[str, Any]] = {}  # of wireguard_interface, by gateway
    login: Mapping[str, Any] = {}  # of instance_connect_key
    recording: Mapping[str, Any] = {}  # of receipts
    signs: Mapping[str, Any] = {}  # of early_signs
    claiming: Mapping[str, Any] = {}  # of gateway_keys
    revocation: Mapping[str, Any] = {}  # of revocation


class Scope(NamedTuple):
    """What a run was told to do."""

    check_mode: bool = False
    limited: Sequence[str] = ()  # names of gateways that --limit leaves out
    details: bool = False  # whether every name is shown


WHOLE = Scope()


def run_lines(roster: Mapping[str, Any], steps: StepResults, scope: Scope = WHOLE) -> list[str]:
    """Return what a run did, or would do in check mode, as lines for an operator, the worst first, a summary last.

    :param roster: the result of the module `roster`, empty when it failed.
    """
    lines = [
        *_unserved_lines(roster, steps, scope),
        *_written_lines(steps.revocation, scope),
        *_roster_lines(roster),
        *(line for name in steps.gateways for line in _gateway_lines(name, roster, steps, scope)),
        *_notice_lines(roster, scope),
        *_sign_lines(steps.signs),
    ]
    fitted = [line for each in lines for line in _fitted(each)]
    receipts = steps.recording.get("receipts", [])
    table = ["receipts:", *(f"  {line}" for line in FORMATS["table"](receipts))] if receipts else []
    return [*fitted, *table, *_fitted(_summary(roster, steps, scope))]


def _fitted(line: str) -> list[str]:
    indent = " " * (len(line) - len(line.lstrip()) + 4)
    return textwrap.wrap(
        printable(line), _WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def is_served(result: Mapping[str, Any]) -> bool:
    """Tell whether a gateway was reached; `result` is that of the module `wireguard_interface`."""
    return bool(result) and not result.get("skipped", False) and not result.get("unreachable", False)


def _unlimited(scope: Scope) -> str:
    return " without --limit" if scope.limited else ""


def _is_unchecked(result: Mapping[str, Any], scope: Scope) -> bool:
    """Tell whether a check left a gateway out by itself: what would be applied needs what would be installed before."""
    return scope.check_mode and not result.get("unreachable", False)


def still_peers(roster: Mapping[str, Any], gateway: str) -> list[str]:
    """Name who may still be a peer of a gateway that wasn't reached: who left in this run, or since it was last."""
    left = [each["name"] for each in roster.get("left", [])]
    return list(dict.fromkeys([*roster.get("missed", {}).get(gateway, []), *left]))


def gateways_to_record(roster: Mapping[str, Any], gateways: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return what the module `receipts` has to record: removals that are done, and what gateways missed."""
    wanted: list[dict[str, Any]] = []
    for name, result in gateways.items():
        if not is_served(result):
            missed = still_peers(roster, name)
            wanted += [{"name": name, "missed": missed}] if missed else []
        elif result.get("removals") or name in roster.get("missed", {}):
            wanted.append({"name": name, "removals": result.get("removals", [])})
    return wanted


def _unserved_lines(roster: Mapping[str, Any], steps: StepResults, scope: Scope) -> Iterator[str]:
    for name, result in steps.gateways.items():
        if is_served(result):
            continue
        if name in scope.limited:
            yield f"LEFT OUT by --limit: {name}"
        elif _is_unchecked(result, scope):
            yield f"not checked: {name}, which has nothing to check yet, or see above"
            continue
        else:
            yield f"NOT REACHED: {name}, {_first_line(result.get('msg', 'see above'))}"
        names = still_peers(roster, name)
        if names:
            yield f"  may still be peers there: {_names(names, scope)}"
            yield f"  the registry has their removal; repeat this{_unlimited(scope)} once the gateway answers"


def _written_lines(revocation: Mapping[str, Any], scope: Scope) -> Iterator[str]:
    verb = "would be written" if scope.check_mode else "written"
    for record in revocation.get("revocations", []):
        device = f"/{record['device']}" if record.get("device") else ", all devices"
        yield f"{verb}: {record['kind']} of {record['user_name']}{device} ({record['user_id']})"


def _roster_lines(roster: Mapping[str, Any]) -> Iterator[str]:
    if "generation" in roster:
        count = roster["counts"]
        peers = "1 peer" if count["peers"] == 1 else f"{count['peers']} peers"
        yield (
            f"roster {roster['generation']}: {peers}, {count['held']} held, {count['revoked']} revoked,"
            f" {count['excluded']} left out"
        )


def _gateway_lines(name: str, roster: Mapping[str, Any], steps: StepResults, scope: Scope) -> Iterator[str]:
    result = steps.gateways[name]
    if not is_served(result):
        return
    yield f"{name}: {_outcome(result, scope)}"
    causes = {each["name"]: each["cause"] for each in roster.get("joined", [])}
    yield from _each("added", result.get("added", []), causes, scope)
    for what in ("updated", "repaired"):
        if result.get(what):
            yield f"  {what}: {_names(result[what], scope)}"
    removed = result.get("removed", [])
    early = [expired for expired in result.get("expired", []) if expired not in removed]
    if early:
        yield f"  left out, expired by this gateway's clock: {_names(early, scope)}"
    yield from _each("removed", removed, _removal_causes(name, roster, steps), scope)
    for notice in result.get("notices", [])[:SHOWN]:
        yield f"  notice: {notice}"


def _removal_causes(gateway: str, roster: Mapping[str, Any], steps: StepResults) -> dict[str, str]:
    """Return by name why devices were removed; the last one of a name counts, leavers may have had the same.

    The roster has the causes of who left in this run, receipts those of who left before the gateway could be reached.
    """
    receipts = [each for each in steps.recording.get("receipts", []) if each["gateway"] == gateway]
    said = {(each["user_id"], each["device"]): _cause(each) for each in receipts if each.get("detail")}
    said |= {(each["user_id"], each["device"]): each["cause"] for each in roster.get("left", [])}
    return {
        f"{one['user_name']}/{one['device']}": said.get((one["user_id"], one["device"]))
        or _REASONS.get(one["reason"], one["reason"])
        for one in steps.gateways[gateway].get("removals", [])
    }


def _cause(receipt: Mapping[str, Any]) -> str:
    return f"{receipt['detail']}, by {receipt['by']}" if receipt.get("by") else str(receipt["detail"])


def _each(what: str, names: Sequence[str], causes: Mapping[str, str], scope: Scope) -> Iterator[str]:
    shown = names if scope.details else names[:SHOWN]
    for name in shown:
        cause = f" ({causes[name]})" if name in causes else ""
        yield f"  {what}: {name}{cause}"
    if len(names) > len(shown):
        yield f"  and {len(names) - len(shown)} more {what}"


def _outcome(result: Mapping[str, Any], scope: Scope) -> str:
    if result.get("failed", False):
        return "FAILED: " + _first_line(result.get("msg", "see above"))
    if result.get("stale", False):
        what = "only confirmed revocations were done" if result.get("removed") else "nothing was changed"
        return f"a later roster is already in force, {what}"
    if not result["changed"]:
        return "no change"
    return "would change" if scope.check_mode else "changed"


def _first_line(message: str) -> str:
    return message.split("\n")[0].strip()


def _names(names: Sequence[str], scope: Scope) -> str:
    shown = names if scope.details else names[:SHOWN]
    more = f" and {len(names) - len(shown)} more" if len(names) > len(shown) else ""
    return ", ".join(shown) + more


def _sign_lines(signs: Mapping[str, Any]) -> Iterator[str]:
    for name in signs.get("names", []):
        then = "; suspended, the next run takes the tunnel away" if name in signs["suspended"] else ""
        yield f"early sign: {name} has neither a login profile nor an active access key left in IAM{then}"
    if signs.get("left", 0):
        yield f"early sign: {signs['left']} more are checked by the next runs"


def _notice_lines(roster: Mapping[str, Any], scope: Scope) -> Iterator[str]:
    for name in roster.get("held", [])[:SHOWN]:
        yield f"held: {name} stays a peer until an operator releases the removal"
    if scope.check_mode:
        for one in roster.get("excluded", []):
            yield f"left out: {one['name']} ({one['detail']})"
        return
    new = roster.get("left_out", [])
    shown = new if scope.details else new[:SHOWN]
    for one in shown:
        yield f"left out now: {one['name']} ({one['cause']})"
    if len(new) > len(shown):
        yield f"and {len(new) - len(shown)} more left out now"


def _summary(roster: Mapping[str, Any], steps: StepResults, scope: Scope) -> str:
    """Say in one sentence what changed for whom."""
    unserved = [name for name, result in steps.gateways.items() if not is_served(result)]
    lingering = {
        name: [each for each in unserved if name in still_peers(roster, each)] for name in _removed_names(steps)
    }
    parts = [_names(names, scope) + f" {would}" for names, would in _changed(steps, scope, lingering)]
    parts += [
        f"{name} is off where the run got to, and may still connect through {', '.join(gateways)}"
        for name, gateways in lingering.items()
        if gateways and not scope.check_mode
    ]
    repaired = [name for name, result in steps.gateways.items() if result.get("repaired")]
    if repaired:
        done = "would be repaired" if scope.check_mode else "is repaired"
        parts.append(f"{_names(repaired, scope)} differed from what was applied, and {done}")
    parts = parts or ["nothing would change for anybody" if scope.check_mode else "nothing changed for anybody"]
    if unserved:
        parts.append(f"NOT served: {', '.join(unserved)}")
    return "in short: " + "; ".join(parts)


def _changed(
    steps: StepResults, scope: Scope, lingering: Mapping[str, Sequence[str]]
) -> Iterator[tuple[list[str], str]]:
    removed = [name for name in _removed_names(steps) if scope.check_mode or not lingering[name]]
    added = list(dict.fromkeys(name for result in steps.gateways.values() for name in result.get("added", [])))
    both = [name for name in removed if name in added]
    for names, done, would in (
        ([name for name in removed if name not in both], "can't connect any more", "couldn't connect any more"),
        ([name for name in added if name not in both], "can connect now", "could connect"),
        (both, "can connect with another key", "could connect with another key"),
    ):
        if names:
            yield names, would if scope.check_mode else done


def _removed_names(steps: StepResults) -> list[str]:
    return list(dict.fromkeys(name for result in steps.gateways.values() for name in result.get("removed", [])))


def run_problems(
    roster: Mapping[str, Any], steps: StepResults, of_revocation: Sequence[str], scope: Scope = WHOLE
) -> list[str]:
    """Return what needs an operator after a run, whose gateways have been served.

    `roster` is the result of the module `roster`, empty where it failed; `of_revocation` comes from
    :func:`revocation_problems`. A gateway that --limit leaves out is a problem only of a revocation.
    """
    problems = [*_unserved(roster, steps, scope), *of_revocation]
    problems += [*roster.get("problems", []), *steps.login.get("problems", [])]
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
    return [printable(each) for each in problems]


def _unserved(roster: Mapping[str, Any], steps: StepResults, scope: Scope) -> Iterator[str]:
    for name, result in steps.gateways.items():
        names, is_limited = still_peers(roster, name), name in scope.limited
        if is_served(result) or _is_unchecked(result, scope):
            continue
        if is_limited and not (steps.revocation and names):  # that was the operator's wish, and the report names it
            continue
        why = "was left out by --limit" if is_limited else "wasn't reached"
        if result.get("msg"):
            why += f" ({_first_line(result['msg'])})"
        whom = "whoever was a peer there still is"
        if roster:
            whom = f"still peers there, as far as is known: {_names(names, WHOLE) or 'nobody who left'}"
        yield f"{name} {why}; {whom}. Run this again{_unlimited(scope)} once it can be reached"


def _has_failed(result: Mapping[str, Any], expected: str) -> bool:
    """Tell whether a module ran and didn't return what it does when it succeeds."""
    return bool(result) and not result.get("skipped", False) and expected not in result


def revocation_problems(written: Mapping[str, Any], given: Mapping[str, Any], failure: str | None) -> list[str]:
    """Return what an operator has to do after a revocation.

    `written` is the result of the module `revocation`, empty when it didn't run; `given` has the variables of the
    playbook `revoke`; `failure` says why there is no roster, None when there is one.
    """
    recorded = bool(written) and not written.get("failed", False)
    return [] if failure is None else [_not_durable(given, failure, recorded=recorded)]


def _not_durable(given: Mapping[str, Any], failure: str, *, recorded: bool) -> str:
    whom = "/".join(given[name] for name in ("revoke_user_name", "revoke_device") if name in given)
    what = "blocked in the registry"
    if recorded:
        what = "taken through a new roster, the registry has the revocation"
    return (
        f"{whom} could not be {what}: {failure} "
        "The gateways that are reported above as served cut the tunnel without a roster and keep it cut (in a check, "
        "they would). "
        f"Until it succeeds, repeat: {command('revoke')} -e '{json.dumps(dict(given))}'"
    )
