# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Brings a gateway to a roster, in the order of R11, and takes people off it in an emergency or when they expire.

Nothing here waits for what it doesn't need: confirmed revocations are recorded, taken out of the file and off the
device before anything else is even checked (R4). Every removal is recorded before it is done, so that a run that is
killed at any point is completed by the next one.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Container, Mapping, NamedTuple, Sequence

from . import config as wg_config
from . import device as wg_device
from . import firewall
from .commands import GatewayError, output
from .config import Config, Owner, Peer, body, digest
from .gateway import Gateway, Seen, converge, look, read_text
from .report import Outcome, noted, tell_interface, tell_peers
from .state import LockHeldError, Removal, Site, State, StateError, load, write

_NEVER = 2**62  # seconds since the epoch


class RefusedError(GatewayError):
    """What was asked for must not be done."""


class Revocation(NamedTuple):
    """Whose key may not be a peer, and why: the roster's reason, or `revoked` or `expired` by this gateway's own."""

    owner: Owner
    reason: str


@dataclass(frozen=True)
class Order:
    """What one apply is to reach."""

    generation: int
    made_at: int  # when the roster was made, seconds since the epoch
    private_key_file: Path
    config: str | None = None  # the rendered text; None if that failed
    config_error: str | None = None
    firewall: str | None = None
    firewall_error: str | None = None
    revoked: Mapping[str, Revocation] = field(default_factory=dict)  # confirmed (R4), by public key
    left_out: Mapping[str, Revocation] = field(default_factory=dict)  # for other reasons, by public key
    acknowledge: Sequence[str] = ()  # ids of removals whose receipts are safe
    release_revoked: bool = False
    lock_timeout: float = 30.0  # seconds

    @property
    def content(self) -> str:
        """Identifies what this generation brings."""
        return digest(f"{self.config}\0{self.firewall}")


class Plan(NamedTuple):
    """What an order comes to, checked."""

    text: str  # of wg0.conf
    config: Config
    firewall: str
    load_firewall: bool

    def without(self, keys: Container[str]) -> Plan:
        """The same without the peers that have these public keys."""
        peers = {key: peer for key, peer in self.config.peers.items() if key not in keys}
        text = wg_config.split(self.text).without(keys).text()
        return self._replace(text=text, config=self.config._replace(peers=peers))


def apply(order: Order, gateway: Gateway) -> Outcome:
    """Bring the gateway to what `order` says. Never raises GatewayError or OSError: they are in `problems`."""
    outcome = Outcome(generation=order.generation)
    with noted(outcome):
        try:
            with gateway.lock(gateway.site.apply_lock, order.lock_timeout):
                restart = _apply(order, gateway, outcome)
            if restart and not gateway.check_mode:
                _restart(order, gateway)
        except LockHeldError as error:
            _begin(order, gateway, outcome)
            if not outcome.stale:
                raise RefusedError(f"{error}. Only the confirmed revocations were done") from None
    outcome.removals = gateway.remembered.removals
    return outcome


def revoke(wanted: Owner, gateway: Gateway, generation: int = 0, lock_timeout: float = 30.0) -> Outcome:
    """Take a user's peers off without any roster, and bar them until a roster agrees (R4).

    :param wanted: the user's name, and where not empty the device, account or user id; names as IAM compares them.
    :param generation: the fencing token taken after the block was written, if the registry could be reached (R6).
    """
    outcome = Outcome(generation=generation)
    with noted(outcome), gateway.lock(gateway.site.state_lock, lock_timeout):
        seen = look(gateway)
        state = _recall(gateway, seen, outcome)
        owners = {key: wg_config.owner(comment) for key, comment in seen.sections.comments().items()}
        owners.update({removal.public_key: _owner(removal) for removal in state.pending().values()})
        owners.update(state.revoked)
        keys = {key: owner for key, owner in owners.items() if _is(owner, wanted)}
        nameless = [key for key in seen.live if not owners.get(key, Owner()).user_name]
        if not keys and nameless:
            raise RefusedError(
                f"none of the named peers is {wanted.user_name}'s, but {len(nameless)} live peers have no name: "
                f"{', '.join(nameless[:5])}. Run a reconcile to have them removed, or take the right one off with "
                f"`wg set {gateway.site.name} peer KEY remove`"
            )
        state.revoked = {**state.revoked, **keys}
        if generation > state.generation:
            state.generation, state.content = generation, None
        outcome.generation = state.generation
        _take_off(gateway, state, seen, {key: Revocation(owner, "revoked") for key, owner in keys.items()}, outcome)
        if seen.error:
            raise seen.error
    outcome.removals = gateway.remembered.removals
    return outcome


def expire(gateway: Gateway, lock_timeout: float = 30.0) -> Outcome:
    """Take off, without any roster, whose registration has expired by the gateway's clock (R2).

    Like a revocation this waits for nothing but the short lock.
    """
    outcome = Outcome()
    with noted(outcome), gateway.lock(gateway.site.state_lock, lock_timeout):
        seen = look(gateway)
        overdue = _overdue(gateway, seen)
        if overdue:
            state = _recall(gateway, seen, outcome)
            outcome.generation = state.generation
            _take_off(gateway, state, seen, overdue, outcome)
        if seen.error:
            raise seen.error
        _note_next_expiry(gateway, seen)
    outcome.removals = gateway.remembered.removals
    return outcome


def _overdue(gateway: Gateway, seen: Seen) -> dict[str, Revocation]:
    """Who has expired, and whose removal for that was begun by a killed run; by public key."""
    owners = wg_config.expired(seen.sections.comments(), gateway.now())
    with suppress(StateError):  # the file alone says enough; an apply reports the damage
        pending = (load(gateway.site) or State()).pending()
        owners.update({key: _owner(removal) for key, removal in pending.items() if removal.reason == "expired"})
    return {key: Revocation(owner, "expired") for key, owner in owners.items()}


def _note_next_expiry(gateway: Gateway, seen: Seen) -> None:
    """Let the timer's unit know until when there is nothing to do, as long as wg0.conf stays as it is."""
    times = [wg_config.expires_at(comment) for comment in seen.sections.comments().values()]
    file = gateway.site.next_expiry
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write(file, f"{min((time for time in times if time is not None), default=_NEVER)}\n")


def _is(owner: Owner, wanted: Owner) -> bool:
    if not owner.user_name or owner.user_name.casefold() != wanted.user_name.casefold():
        return False
    return all(not asked or asked == found for asked, found in zip(wanted[1:], owner[1:]))


def _apply(order: Order, gateway: Gateway, outcome: Outcome) -> bool:
    """Everything but a restart of the interface. :returns: whether that is needed."""
    seen = _begin(order, gateway, outcome)
    if outcome.stale:
        return False
    if seen.error:
        raise seen.error
    plan = _check(order, gateway, seen)
    with gateway.lock(gateway.site.state_lock, order.lock_timeout):
        state = gateway.recall()
        if state.generation > order.generation:
            outcome.stale = True
            return False
        if state != gateway.remembered:  # somebody was revoked or has expired meanwhile
            gateway.remembered = replace(state)
            seen = look(gateway)
            if seen.error:
                raise seen.error
        plan = _without_barred(plan, state, order, outcome)
        plan, order = _without_expired(plan, order, gateway, outcome)
        _load_firewall(plan, gateway, state, outcome)
        return _install(order, plan, gateway, state, seen, outcome)


def _begin(order: Order, gateway: Gateway, outcome: Outcome) -> Seen:
    """The part that waits for nothing: who is ahead (R6), receipts, and confirmed revocations (R4)."""
    with gateway.lock(gateway.site.state_lock, order.lock_timeout):
        seen = look(gateway)
        state = _recall(gateway, seen, outcome)
        state.removals = [removal for removal in state.removals if removal.id not in order.acknowledge]
        if order.release_revoked:
            state.revoked = {}
        if order.generation < state.generation:
            outcome.stale = True
            outcome.generation = state.generation
            gateway.remember(state)
            return seen
        if order.generation > state.generation:
            state.generation, state.content = order.generation, None
        by_operator = {key: Revocation(owner, "revoked") for key, owner in state.revoked.items()}
        _take_off(gateway, state, seen, {**by_operator, **order.revoked}, outcome)
        if state.content not in (None, order.content) and not gateway.check_mode:
            raise RefusedError(
                f"generation {order.generation} was already applied with other content; run with a new roster"
            )
        return seen


def _recall(gateway: Gateway, seen: Seen, outcome: Outcome) -> State:
    """The state; a lost one begins with what the file says. :raises RefusedError: the interface isn't ours."""
    site = gateway.site
    try:
        state = load(site)
    except StateError as error:
        aside = site.state.with_name(f"{site.state.name}.corrupt-{gateway.now()}")
        if not gateway.check_mode:
            site.state.replace(aside)
        outcome.repaired.append(f"{error}; moved to {aside}")
        state = State()
    marked = wg_config.generation(seen.text)
    if state is None and marked is None:
        _refuse_foreign(site, seen)
    state = state or State()
    gateway.remembered = replace(state)
    state.generation = max(state.generation, marked or 0)
    return state


def _refuse_foreign(site: Site, seen: Seen) -> None:
    if not seen.text and not seen.link:
        if seen.error:
            raise seen.error
        return
    names = {**dict.fromkeys(seen.live, ""), **seen.sections.comments()}
    peers = [f"{key} {comment.lstrip('# ')}".strip() for key, comment in names.items()]
    raise RefusedError(
        f"{site.config} or the interface {site.name} was not made by this collection, and was left as it is; "
        f"its peers: {', '.join(peers) or 'none'}. Use another interface name, or stop it and move the file away"
    )


def _take_off(gateway: Gateway, state: State, seen: Seen, out: Mapping[str, Revocation], outcome: Outcome) -> None:
    """Record, take out of the file, take off the device; in this order, and each whether or not the last worked.

    :param out: who may not be a peer whatever else is to be done, by public key.
    :raises GatewayError: after all that could be done; whoever isn't out of both file and device stays barred.
    """
    filed = seen.sections.comments()
    keys = [key for key in out if key in seen.live or key in filed]
    unsaved = Outcome()
    if keys:
        _leave_out(state, seen, {key: out[key] for key in keys})
    with noted(unsaved):
        gateway.remember(state)
    with noted(unsaved):
        if any(key in filed for key in keys):
            gateway.write(gateway.site.config, seen.text)
    # a device that can't be read may have any of them
    for command in wg_device.removals(gateway.site.name, [key for key in out if key in seen.live or seen.error]):
        gateway.act(command)
    for key in keys:
        seen.live.pop(key, None)
    names = [out[key].owner.label for key in keys]
    outcome.removed += names
    if unsaved.problems:
        done = ", ".join(names) or "none"
        raise RefusedError(f"only removals from the live device were done ({done}): {unsaved.problems[0]}")
    if not seen.error:
        state.finish(out, gateway.now())
        gateway.remember(state)


def _leave_out(state: State, seen: Seen, revocations: Mapping[str, Revocation]) -> None:
    """Record revocations, and take their peers out of the text that was found."""
    found = digest(body(seen.text))
    kept = seen.sections.without(revocations)
    seen.sections = kept._replace(interface=wg_config.relabelled(kept.interface, state.generation))
    seen.text = seen.sections.text()
    _record(state, seen, revocations)
    if found in state.config:  # a file that was edited by hand stays unknown
        state.config = [found, digest(body(seen.text))]


def _record(state: State, seen: Seen, revocations: Mapping[str, Revocation]) -> None:
    """Add a record for each removal that isn't recorded yet."""
    pending = state.pending()
    state.removals = state.removals + [
        Removal(
            id=os.urandom(8).hex(),
            **owner._asdict(),
            public_key=key,
            fingerprint=digest(key)[:16],
            generation=state.generation,
            reason=reason,
            last_handshake=int(seen.live[key].latest_handshake) or None if key in seen.live else None,
            removed_at=None,
        )
        for key, (owner, reason) in revocations.items()
        if key not in pending
    ]


def _owner(removal: Removal) -> Owner:
    return Owner(removal.user_name, removal.device, removal.account_id, removal.user_id)


def _check(order: Order, gateway: Gateway, seen: Seen) -> Plan:
    """Check everything there is to check before anything more is touched."""
    if order.config is None:
        raise RefusedError(order.config_error or "the template of the configuration gave nothing")
    if order.firewall is None:
        raise RefusedError(order.firewall_error or "the template of the firewall gave nothing")
    private_key = read_text(order.private_key_file).strip()
    if not private_key:
        raise RefusedError(f"there is no private key in {order.private_key_file}; make one with `wg genkey`")
    text = wg_config.installable(order.config, order.generation, private_key)
    config = wg_config.parse(text, seen.device.allowed_ips() if seen.device else None)
    own = seen.device.public_key if seen.device and seen.device.private_key == config.interface.private_key else None
    peer = config.peers.get(own or output(gateway.run, ["wg", "pubkey"], private_key).strip())
    if peer is not None:
        raise RefusedError(f"{peer.name} has the gateway's own public key")
    for key in order.revoked:
        if key in config.peers:
            raise RefusedError(f"{config.peers[key].name} is a peer, but its key is revoked in the same roster")
    load_firewall = (
        read_text(gateway.site.firewall) != order.firewall
        or firewall.loaded(gateway.run, order.firewall) != gateway.remembered.loaded
    )
    if load_firewall:
        firewall.check(gateway.run, order.firewall)
    return Plan(text, config, order.firewall, load_firewall)


def _without_barred(plan: Plan, state: State, order: Order, outcome: Outcome) -> Plan:
    """Keep out whom an operator revoked here, until a roster agrees or the operator releases them."""
    state.revoked = {key: owner for key, owner in state.revoked.items() if key in plan.config.peers}
    if not state.revoked:
        return plan
    names = ", ".join(owner.label for owner in state.revoked.values())
    outcome.problems.append(
        f"{names}: revoked on this gateway by an operator, but a peer in the roster of generation {order.generation}; "
        "kept out. Repeat the revocation, or release it: run reconcile once with -e vpn_release_revoked=true"
    )
    return plan.without(state.revoked)


def _without_expired(plan: Plan, order: Order, gateway: Gateway, outcome: Outcome) -> tuple[Plan, Order]:
    """Keep out who has expired by the gateway's clock since the roster was made."""
    comments = {key: peer.comment for key, peer in plan.config.peers.items()}
    expired = wg_config.expired(comments, gateway.now())
    if not expired:
        return plan, order
    outcome.expired = [owner.label for owner in expired.values()]
    reasons = {key: Revocation(owner, "expired") for key, owner in expired.items()}
    return plan.without(expired), replace(order, left_out={**order.left_out, **reasons})


def _load_firewall(plan: Plan, gateway: Gateway, state: State, outcome: Outcome) -> None:
    """R13: rules before peers."""
    if not plan.load_firewall:
        return
    new = digest(plan.firewall)
    (outcome.repaired if new in state.firewall else outcome.settings).append("firewall")
    state.firewall = [*state.firewall[-1:], new]
    gateway.remember(state)
    gateway.write(gateway.site.firewall, plan.firewall)
    gateway.act(["nft", "-f", str(gateway.site.firewall)])
    state.firewall = [new]
    state.loaded = firewall.loaded(gateway.run, plan.firewall)
    gateway.remember(state)


def _install(order: Order, plan: Plan, gateway: Gateway, state: State, seen: Seen, outcome: Outcome) -> bool:
    """Make file and device what was planned. :returns: whether the interface doesn't exist and must be started."""
    wanted = plan.config.peers
    difference = wg_device.diff(seen.live, wanted)
    changes = wg_device.interface_changes(gateway.site.name, seen.link, seen.device, plan.config.interface)
    gone = _gone(order, wanted, state, seen)
    tell_peers(outcome, seen, difference, {key: found.owner.label for key, found in gone.items()})
    named = [change.what for change in changes] if seen.link else ["interface missing"]
    tell_interface(outcome, seen, plan.text, order.generation, named)
    # a removal that a killed run had begun, of a peer that is wanted again and never left: there is nothing to record
    stayed = [key for key in state.pending() if key in wanted and key in seen.live]
    state.removals = [
        removal for removal in state.removals if removal.removed_at is not None or removal.public_key not in stayed
    ]
    _record(state, seen, gone)
    state.made_at = order.made_at
    _write_config(order, plan, gateway, state, seen, outcome)
    if seen.device is not None:
        converge(gateway, difference, changes, plan.config)
        state.content = order.content
    state.finish(state.pending(), gateway.now())
    gateway.remember(state)
    return seen.device is None


def _write_config(order: Order, plan: Plan, gateway: Gateway, state: State, seen: Seen, outcome: Outcome) -> None:
    """Remember the state and replace wg0.conf, so that a start in between knows the file as ours (R12)."""
    found, new = digest(body(seen.text)), digest(body(plan.text))
    same = wg_config.relabelled(seen.text, order.generation) == plan.text
    if not same and state.config and found not in state.config:
        outcome.repaired.append("file edited by hand" if seen.text.strip() else "file missing or empty")
    elif not same:
        outcome.settings.append("file")
    state.config = [found, new] if found in state.config and not same else [new]
    gateway.remember(state)
    if not same:
        gateway.write(gateway.site.config, plan.text)
    state.config = [new]


def _gone(order: Order, wanted: Mapping[str, Peer], state: State, seen: Seen) -> dict[str, Revocation]:
    """Peers in the file or on the device that are wanted no more, as far as anything names them."""
    filed, pending = seen.sections.comments(), state.pending()
    gone = {}
    for key in {**filed, **seen.live}:
        if key in wanted:
            continue
        found = order.left_out.get(key, Revocation(Owner(), "not_in_roster"))
        owner = wg_config.owner(filed.get(key, ""))
        if not owner.user_name:
            owner = _owner(pending[key]) if key in pending else found.owner
        if owner.user_name:
            gone[key] = Revocation(owner, found.reason)
    return gone


def _restart(order: Order, gateway: Gateway) -> None:
    """Start the missing interface by its unit, which takes the lock itself, and bring it to the order."""
    unit = f"wg-quick@{gateway.site.name}"
    gateway.act(["systemctl", "restart", unit])
    with gateway.lock(gateway.site.apply_lock, order.lock_timeout):
        if _apply(order, gateway, Outcome()):
            raise GatewayError(f"{gateway.site.name} doesn't come up; see `journalctl -u {unit}`")
