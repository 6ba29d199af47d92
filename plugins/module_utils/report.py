# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What a run of the playbooks says in the end, from the results of its modules; pure."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from .model import printable
from .people.layout import command, paragraph, utc
from .people.receipt_lines import table
from .people.seen import first_line

_REKEYED = "key_replaced"  # a gateway's reason for a device that stays, with another key
_UNDEFINED = re.compile(
    r"^Task failed: Finalization of task args for '\S+' failed: Error while resolving .*?: "
)  # likewise
_TIME_OUT = re.compile(r"(?:Task failed: )?Timed out after (\d+) second\(s\)\.?")  # of a task, by ansible-core
SHOWN = 20  # names of one kind; a first roster may add thousands

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


class _Device(NamedTuple):
    """A device that a gateway added or removed; without an identity, nothing says whose it is."""

    name: str
    identity: tuple[Any, Any] | None = None  # (user_id, device)
    cause: str | None = None
    has_other_key: bool = False  # it was removed since it has another key now

    def shown(self, namesakes: Container[str]) -> str:
        """Return the name, with the user's id where several have had it."""
        return f"{self.name} ({self.identity[0]})" if self.identity and self.name in namesakes else self.name

    def is_hit(self, user_id: str, user_name: str, device: str | None) -> bool:
        """Tell whether a revocation is about it; `device` is None for all of a user's."""
        if self.identity:
            return self.identity[0] == user_id and device in (None, self.identity[1])
        own_user, _slash, own_device = self.name.partition("/")
        return own_user == user_name and device in (None, own_device)

    def is_rekeyed(self, removed: _Device) -> bool:
        """Tell whether this one, which was added, is what was removed, with another key (R1, identity)."""
        if self.identity and removed.identity:
            return self.identity == removed.identity
        return self.name == removed.name and (removed.has_other_key or not removed.identity)


def run_lines(roster: Mapping[str, Any], steps: StepResults, scope: Scope = WHOLE) -> list[str]:
    """Return what a run did, or would do in check mode, as lines for an operator, the worst first, a summary last.

    :param roster: the result of the module `roster`, empty when it failed.
    """
    failed = [name for name, result in steps.gateways.items() if _has_served_and_failed(result)]
    others = [name for name in steps.gateways if name not in failed]
    lines = [
        *_unserved_lines(roster, steps, scope),
        *(line for name in failed for line in _gateway_lines(name, roster, steps, scope)),
        *_written_lines(steps.revocation, scope),
        *_roster_lines(roster),
        *(line for name in others for line in _gateway_lines(name, roster, steps, scope)),
        *_notice_lines(roster, _namesakes(roster, steps), scope),
        *(f"handed out and used now: {name}, which lives on" for name in steps.recording.get("confirmed", [])),
        *_sign_lines(steps.signs),
    ]
    fitted = [line for each in lines for line in _fitted(each)]
    receipts = [] if scope.check_mode else steps.recording.get("receipts", [])
    proofs = ["receipts:", *table(receipts)] if receipts else []
    return [*fitted, *proofs, *_fitted(_summary(roster, steps, scope))]


def _fitted(line: str) -> list[str]:
    return paragraph(line, " " * (len(line) - len(line.lstrip()) + 4), begins="")


def is_served(result: Mapping[str, Any]) -> bool:
    """Tell whether a gateway was reached; `result` is that of the module `wireguard_interface`."""
    return bool(result) and not result.get("skipped", False) and not result.get("unreachable", False)


def _has_served_and_failed(result: Mapping[str, Any]) -> bool:
    return is_served(result) and result.get("failed", False) is True


def _unlimited(scope: Scope) -> str:
    return " without --limit" if scope.limited else ""


def _is_unchecked(result: Mapping[str, Any], scope: Scope) -> bool:
    """Tell whether a check left a gateway out by itself: what would be applied needs what would be installed before."""
    return scope.check_mode and not result.get("unreachable", False)


def still_peers(roster: Mapping[str, Any], gateway: str, result: Mapping[str, Any]) -> list[str]:
    """Name who may still be a peer of a gateway that wasn't reached, or failed.

    That is who left in this run, or since it was served last.
    """
    if _is_applied(result):
        return []
    left = [each["name"] for each in roster.get("left", [])]
    names = dict.fromkeys([*roster.get("missed", {}).get(gateway, []), *left])
    return [name for name in names if name not in result.get("removed", [])]


def _absent(roster: Mapping[str, Any], steps: StepResults) -> list[str]:
    """Name the gateways that the registry knows and the inventory doesn't."""
    return [name for name in roster.get("gateways", []) if name not in steps.gateways]


def gateways_to_record(roster: Mapping[str, Any], gateways: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return what the module `receipts` has to record: removals that are done, what gateways missed, used handouts."""
    wanted: list[dict[str, Any]] = []
    for name, result in gateways.items():
        # whom a host missed that was never set up as a gateway, as one of a mistaken inventory, means nothing
        is_known = name in roster.get("gateways", [])
        missed, removals = still_peers(roster, name, result) if is_known else [], result.get("removals", [])
        used = result.get("used", [])
        if missed or removals or used or (_is_applied(result) and name in roster.get("missed", {})):
            wanted.append({"name": name, "removals": removals, "missed": missed, "used": used})
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
            yield f"NOT REACHED: {name}, {first_line(result.get('msg', 'see above'))}"
        yield from _lingering_lines(name, roster, result, scope)
    for name in _absent(roster, steps):
        yield f"NOT IN THE INVENTORY: {name}, which was set up; whoever was a peer there still is"


def _lingering_lines(gateway: str, roster: Mapping[str, Any], result: Mapping[str, Any], scope: Scope) -> Iterator[str]:
    names = still_peers(roster, gateway, result)
    if names:
        yield f"  may still be peers there: {_names(names, scope)}"
        once = " once the reason above is gone" if is_served(result) else " once the gateway answers"
        when = "" if gateway in scope.limited else once
        has = "would have" if scope.check_mode else "has"
        yield f"  the registry {has} their removal; repeat this{_unlimited(scope)}{when}"


def _written_lines(revocation: Mapping[str, Any], scope: Scope) -> Iterator[str]:
    verb = "would be written" if scope.check_mode else "written"
    for record in revocation.get("revocations", []):
        device = f"/{record['device']}" if record.get("device") else ", all devices"
        said = "already written" if record.get("was_there") else verb
        yield f"{said}: {record['kind']} of {record['user_name']}{device} ({record['user_id']})"
    names = ", ".join(dict.fromkeys(each["user_name"] for each in revocation.get("revocations", [])))
    for account_id in revocation.get("elsewhere", []):
        yield f"not meant: {names} of account {account_id}, who would be by revoke_account_id={account_id}"


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
    yield from _lingering_lines(name, roster, result, scope)
    namesakes = _namesakes(roster, steps)
    yield from _each("added", _added(result, roster), namesakes, scope)
    for what in ("updated", "repaired"):
        if result.get(what):
            yield f"  {what}: {_names(result[what], scope)}"
    ends = result.get("new_ends", [])
    moved = [f"  other end: {each['name']} ({_end(each['after'])}, before: {_end(each['before'])})" for each in ends]
    yield from _first(moved, "with another end", scope, "  ")
    removed = result.get("removed", [])
    early = [expired for expired in result.get("expired", []) if expired not in removed]
    if early:
        yield f"  left out, expired by this gateway's clock: {_names(early, scope)}"
    yield from _each("removed", _removed(name, roster, steps), namesakes, scope)
    for notice in result.get("notices", [])[:SHOWN]:
        yield f"  notice: {notice}"


def _end(seconds: float | None) -> str:
    return "never" if seconds is None else utc(seconds)


def _added(result: Mapping[str, Any], roster: Mapping[str, Any]) -> list[_Device]:
    """Return what a gateway added, with the cause that the roster has."""
    joined = {
        _identity(each): _Device(each["name"], _identity(each), each["cause"]) for each in roster.get("joined", [])
    }
    return _told(result.get("added", []), joined)


def _removed(gateway: str, roster: Mapping[str, Any], steps: StepResults) -> list[_Device]:
    """Return what a gateway removed, with the causes.

    The roster has the causes of who left in this run, receipts those of who left before the gateway could be reached.
    Of a device that was removed more than once, the last time counts.
    """
    result = steps.gateways[gateway]
    left = {_identity(each): _Device(each["name"], _identity(each), each["cause"]) for each in roster.get("left", [])}
    receipts = [each for each in steps.recording.get("receipts", []) if each["gateway"] == gateway]
    said = {_identity(each): _cause(each) for each in receipts if each.get("detail")}
    said |= {identity: str(each.cause) for identity, each in left.items()}
    removals: dict[Any, _Device] = {}
    for each in result.get("removals", []):
        identity, reason = _identity(each), each["reason"]
        cause = said.get(identity) or _REASONS.get(reason, reason)
        removals[identity] = _Device(f"{each['user_name']}/{each['device']}", identity, cause, reason == _REKEYED)
    unseen = {identity: each for identity, each in left.items() if identity not in removals}
    return _told(result.get("removed", []), {**unseen, **removals})


def _identity(of: Mapping[str, Any]) -> tuple[Any, Any]:
    return of.get("user_id"), of.get("device")


def _told(names: Sequence[str], known: Mapping[Any, _Device]) -> list[_Device]:
    """Find which devices names stand for; of several that have had a name, the last known ones (R1, identity)."""
    by_name: dict[str, list[_Device]] = {}
    for each in known.values():
        by_name.setdefault(each.name, []).append(each)
    found = [by_name[name].pop() if by_name.get(name) else _Device(name) for name in reversed(names)]
    return found[::-1]


def _namesakes(roster: Mapping[str, Any], steps: StepResults) -> set[str]:
    """Return the names that several users' devices have had."""
    ids: dict[str, set[Any]] = {}
    for each in (each for part in ("joined", "left", "left_out") for each in roster.get(part, [])):
        ids.setdefault(each["name"], set()).add(each.get("user_id"))
    for each in (each for result in steps.gateways.values() for each in result.get("removals", [])):
        ids.setdefault(f"{each['user_name']}/{each['device']}", set()).add(each["user_id"])
    return {name for name, of_name in ids.items() if len(of_name) > 1}


def _cause(receipt: Mapping[str, Any]) -> str:
    return f"{receipt['detail']}, by {receipt['by']}" if receipt.get("by") else str(receipt["detail"])


def _each(what: str, devices: Sequence[_Device], namesakes: Container[str], scope: Scope) -> Iterator[str]:
    lines = [
        f"  {what}: {device.shown(namesakes)}" + (f" ({device.cause})" if device.cause else "") for device in devices
    ]
    yield from _first(lines, what, scope, "  ")


def _first(lines: Sequence[str], what: str, scope: Scope, margin: str = "") -> Iterator[str]:
    """Yield the first lines, with details all, and how many more there are of what."""
    shown = lines if scope.details else lines[:SHOWN]
    yield from shown
    if len(lines) > len(shown):
        yield f"{margin}and {len(lines) - len(shown)} more {what}"


def _outcome(result: Mapping[str, Any], scope: Scope) -> str:
    if result.get("failed", False):
        return "FAILED: " + first_line(result.get("msg", "see above"))
    if result.get("stale", False):
        what = "only confirmed revocations were done" if result.get("removed") else "nothing was changed"
        return f"a later roster is already in force, {what}"
    if not result["changed"]:
        return "no change"
    return "would change" if scope.check_mode else "changed"


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


def _notice_lines(roster: Mapping[str, Any], namesakes: Container[str], scope: Scope) -> Iterator[str]:
    for name in roster.get("held", [])[:SHOWN]:
        yield f"held: {name} stays a peer until an operator releases the removal"
    if scope.check_mode:
        for one in roster.get("excluded", []):
            yield f"left out: {one['name']} ({one['detail']})"
        return
    new = roster.get("left_out", [])
    lines = [f"left out now: {_Device(one['name'], _identity(one)).shown(namesakes)} ({one['cause']})" for one in new]
    yield from _first(lines, "left out now", scope)


def _summary(roster: Mapping[str, Any], steps: StepResults, scope: Scope) -> str:
    """Say in one sentence what changed for whom."""
    results = {**steps.gateways, **{name: {} for name in _absent(roster, steps)}}
    unserved = [name for name, result in results.items() if not is_served(result)]
    namesakes, removed = _namesakes(roster, steps), _distinct(_removed(name, roster, steps) for name in steps.gateways)
    lingering = {
        device: [name for name, result in results.items() if _may_keep(device.name.__eq__, name, result, roster, scope)]
        for device in removed
    }
    off = [device for device in removed if not lingering[device]]
    added = _distinct(_added(result, roster) for result in steps.gateways.values())
    parts = [
        _names([device.shown(namesakes) for device in devices], scope) + f" {would}"
        for devices, would in _changed(off, added, scope)
    ]
    parts += [
        f"{device.shown(namesakes)} {'would be' if scope.check_mode else 'is'} off where the run "
        f"{'gets' if scope.check_mode else 'got'} to, and may still connect through {', '.join(gateways)}"
        for device, gateways in lingering.items()
        if gateways
    ]
    parts += _off_nowhere(roster, steps, scope, removed)
    moved = list(dict.fromkeys(each["name"] for result in results.values() for each in result.get("new_ends", [])))
    if moved:
        parts.append(f"{_names(moved, scope)} {'would end' if scope.check_mode else 'ends'} at another time")
    repaired = [name for name, result in steps.gateways.items() if result.get("repaired")]
    if repaired:
        done = "would be repaired" if scope.check_mode else "is repaired"
        parts.append(f"{_names(repaired, scope)} differed from what was applied, and {done}")
    parts = parts or ["nothing would change for anybody" if scope.check_mode else "nothing changed for anybody"]
    failed = [name for name, result in results.items() if _has_served_and_failed(result)]
    if failed:
        parts.append(f"FAILED: {', '.join(failed)}")
    if unserved:
        parts.append(f"NOT served: {', '.join(unserved)}")
    return "in short: " + "; ".join(parts)


def _may_keep(
    is_meant: Callable[[str], bool], gateway: str, result: Mapping[str, Any], roster: Mapping[str, Any], scope: Scope
) -> bool:
    """Tell whether a gateway may still have a peer that is to go; without a roster, each that wasn't served."""
    if scope.check_mode and not result.get("unreachable", False):
        return False
    if not roster:
        return not _is_applied(result)
    return any(map(is_meant, still_peers(roster, gateway, result)))


def _off_nowhere(
    roster: Mapping[str, Any], steps: StepResults, scope: Scope, removed: Sequence[_Device]
) -> Iterator[str]:
    """Name whom a revocation is about and no gateway took off: some may still have them, or all had none."""
    records, gateways = steps.revocation.get("revocations", []), steps.gateways
    for whom in dict.fromkeys((each["user_id"], each["user_name"], each.get("device")) for each in records):
        if any(each.is_hit(*whom) for each in removed):
            continue
        is_apart = len({each["user_id"] for each in records if each["user_name"] == whom[1]}) > 1
        user = "/".join(filter(None, whom[1:])) + (f" ({whom[0]})" if is_apart else "")
        is_meant = partial(_is_hit, *whom)
        keeping = [name for name, result in gateways.items() if _may_keep(is_meant, name, result, roster, scope)]
        if keeping:
            is_blocked = "would be" if scope.check_mode else "is"
            yield f"{user} {is_blocked} blocked, and may still connect through {', '.join(keeping)}"
        elif "generation" in roster and gateways and all(map(_is_applied, gateways.values())):
            yield f"{user} was off already"


def _is_hit(user_id: str, user_name: str, device: str | None, name: str) -> bool:
    return _Device(name).is_hit(user_id, user_name, device)


def _is_applied(result: Mapping[str, Any]) -> bool:
    """Tell whether a gateway has the roster; one that failed may have it all the same, and need an operator."""
    is_done = not result.get("failed", False) or result.get("complete", False)
    return is_served(result) and is_done and not result.get("stale", False)


def _changed(removed: Sequence[_Device], added: Sequence[_Device], scope: Scope) -> Iterator[tuple[list[_Device], str]]:
    again = [device for device in added if any(map(device.is_rekeyed, removed))]
    gone = [device for device in removed if not any(each.is_rekeyed(device) for each in again)]
    for devices, done, would in (
        (gone, "can't connect any more", "couldn't connect any more"),
        ([device for device in added if device not in again], "can connect now", "could connect"),
        (again, "can connect with another key", "could connect with another key"),
    ):
        if devices:
            yield devices, would if scope.check_mode else done


def _distinct(of_gateways: Iterable[Iterable[_Device]]) -> list[_Device]:
    """Return each device once, also one that a gateway knew by its name alone."""
    found = {device.identity or device.name: device for devices in of_gateways for device in devices}
    known = {device.name for device in found.values() if device.identity}
    return [device for device in found.values() if device.identity or device.name not in known]


def run_problems(
    roster: Mapping[str, Any], steps: StepResults, of_revocation: Sequence[str], scope: Scope = WHOLE
) -> list[str]:
    """Return what needs an operator after a run, whose gateways have been served.

    `roster` is the result of the module `roster`, empty where it failed; `of_revocation` comes from
    :func:`revocation_problems`. A gateway that --limit leaves out is a problem only of a revocation.
    """
    problems = [*_unserved(roster, steps, scope), *_untold(roster, steps), *of_revocation]
    if steps.gateways and set(steps.gateways) <= set(scope.limited):
        problems.append("--limit leaves out every gateway: nothing was applied anywhere. Run this again without it")
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
        names, is_limited = still_peers(roster, name, result), name in scope.limited
        if names and _has_served_and_failed(result):
            why = f"{name} failed ({first_line(result.get('msg', 'see above'))})"
            still = f"still peers there, as far as is known: {_names(names, WHOLE)}"
            yield f"{why}; {still}. Run this again{_unlimited(scope)} once that is mended"
        if is_served(result) or (_is_unchecked(result, scope) and not is_limited):
            continue
        if is_limited and not (steps.revocation and names):  # that was the operator's wish, and the report names it
            continue
        why = "was left out by --limit" if is_limited else "wasn't reached"
        if result.get("msg"):
            why += f" ({first_line(result['msg'])})"
        whom = "whoever was a peer there still is"
        if roster:
            whom = f"still peers there, as far as is known: {_names(names, WHOLE) or 'nobody who left'}"
        once = "" if is_limited else " once it can be reached"
        yield f"{name} {why}; {whom}. Run this again{_unlimited(scope)}{once}"


def _untold(roster: Mapping[str, Any], steps: StepResults) -> Iterator[str]:
    """Say of a revocation that gateways weren't told of it; other runs come again, and `status` names them."""
    for name in _absent(roster, steps) if steps.revocation else ():
        yield (
            f"{name} isn't in this inventory, though it was set up: whoever was a peer there still is. Run the same "
            "with an inventory that has it; if it is gone for good, have the registry forget it: registry_cleanup with "
            "registry_cleanup_gateways"
        )


def _has_failed(result: Mapping[str, Any], expected: str) -> bool:
    """Tell whether a module ran and didn't return what it does when it succeeds."""
    return bool(result) and not result.get("skipped", False) and expected not in result


def revocation_problems(
    written: Mapping[str, Any],
    given: Mapping[str, Any],
    failure: str | None,
    refused: Mapping[str, str] | None = None,
) -> list[str]:
    """Return what an operator has to do after a revocation.

    `written` is the result of the module `revocation`, empty when it didn't run; `given` has the variables of the
    playbook `revoke`; `failure` says why there is no roster, None when there is one; `refused` why gateways refused
    it, by their names.
    """
    failure = failure and _TIME_OUT.sub(r"AWS didn't answer within \1 s", _UNDEFINED.sub("", failure))
    recorded = bool(written) and not written.get("failed", False)
    problems = [] if failure is None else [_not_durable(given, failure, recorded=recorded)]
    return problems + [
        f"{gateway} refused the roster of this revocation: {_sentence(first_line(why))} {_whom(given)} was cut off "
        "there without it, and stays so until a roster that it accepts revokes the same"
        for gateway, why in (refused or {}).items()
    ]


def _sentence(text: str) -> str:
    """End what a module or AWS said, for another sentence to follow."""
    return text if text.endswith((".", "!", "?", ":")) else f"{text}."


def _whom(given: Mapping[str, Any]) -> str:
    return "/".join(given[name] for name in ("revoke_user_name", "revoke_device") if name in given)


def _not_durable(given: Mapping[str, Any], failure: str, *, recorded: bool) -> str:
    what = "blocked in the registry"
    if recorded:
        what = "taken through a new roster, the registry has the revocation"
    return (
        f"{_whom(given)} could not be {what}: {_sentence(failure)} "
        "The gateways that are reported above as served, and not as FAILED, cut the tunnel without a roster and keep "
        "it cut (in a check, they would). "
        f"Until it succeeds, repeat: {command('revoke')} -e {shlex.quote(json.dumps(dict(given)))}"
    )
