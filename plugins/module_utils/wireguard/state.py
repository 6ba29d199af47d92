# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What a gateway remembers between calls.

The state makes three rules hold across kills and reboots: R4, confirmed revocations go through; R6, no resurrection;
and R12, no peers from a roster that is too old. It is written before the device is touched, so that a killed run is
completed by the next one and loses no receipt.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Container, Mapping, NamedTuple

from .bars import Bar
from .commands import GatewayError
from .config import PeerLabel, label_of
from .files import Site, read_text, write
from .order import Origin

FORMAT = 2
_TIMES = ("last_handshake", "removed_at")  # or None


class StateError(GatewayError):
    """The state file can't be read."""


class Removal(NamedTuple):
    """A peer taken off the gateway. Times are seconds since the epoch; `removed_at` is None until it is done."""

    id: str
    user_name: str
    device: str
    account_id: str
    user_id: str
    public_key: str
    fingerprint: str
    generation: int
    reason: str
    last_handshake: int | None
    removed_at: int | None
    detail: str = ""  # why, in an operator's words; the registry may not have them

    @property
    def label(self) -> PeerLabel:
        """Whose peer it was."""
        return PeerLabel(self.user_name, self.device, self.account_id, self.user_id)

    @property
    def name(self) -> str:
        """`alice/laptop`"""
        return self.label.name


@dataclass(frozen=True)
class State:
    """What is remembered. Digests are of texts as `config.body()` has them, so without the private key."""

    registry: Origin | None = None  # whose rosters are applied; None before the first
    generation: int = 0  # the highest that a roster had; one of a lower one is stale
    content: str | None = None  # digest of what that generation's roster says, once it is fully applied
    made_at: int | None = None  # when the installed roster was made, seconds since the epoch
    heard_at: int | None = None  # when the roster with the highest generation was made, installed or not
    config: tuple[str, ...] = ()  # digests of what wg0.conf may be; two while it is being replaced
    firewall: tuple[str, ...] = ()  # the same for the firewall's file
    loaded: str | None = None  # digest of the firewall's text and of what the kernel made of it
    removals: tuple[Removal, ...] = ()  # until acknowledged
    bars: tuple[Bar, ...] = ()
    held: tuple[str, ...] = ()  # public keys of peers that stay although their items in the roster are unfit

    def pending(self) -> dict[str, Removal]:
        """Return the removals that were begun but not finished, by public key."""
        return {removal.public_key: removal for removal in self.removals if removal.removed_at is None}

    def barred(self, comments: Mapping[str, str]) -> dict[str, PeerLabel]:
        """Select the peers that a bar names. :param comments: the line above each peer, by public key."""
        if not self.bars:
            return {}
        labels = {key: label_of(comment) for key, comment in comments.items()}
        return {key: label for key, label in labels.items() if any(each.names(label) for each in self.bars)}

    def finished(self, keys: Container[str], now: int) -> State:
        """Return the state in which the pending removals of these public keys are done."""
        removals = [
            removal._replace(removed_at=now) if removal.removed_at is None and removal.public_key in keys else removal
            for removal in self.removals
        ]
        return replace(self, removals=tuple(removals))


def load(site: Site) -> State | None:
    """Read the state; None if there is none.

    :raises StateError: the file isn't what save() wrote.
    """
    return _load(site.state)


def load_copy(site: Site) -> State | None:
    """Read which registry a gateway follows, and whom it bars, where the state file is lost; None without a copy."""
    try:
        return _load(site.state_copy)
    except (OSError, StateError):
        return None


def _load(path: Path) -> State | None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        content = _of_this_format(content)
        if content.pop("format") != FORMAT:
            raise StateError(f"{path} is of another version of this collection")
        if content.get("registry") is not None:
            content["registry"] = Origin(**content["registry"])
        content["generation"] = int(content["generation"])
        content["removals"] = [Removal(**removal) for removal in content["removals"]]
        content["bars"] = [Bar(**each) for each in content["bars"]]
        for name in ("config", "firewall", "removals", "bars", "held"):
            content[name] = tuple(content.get(name, ()))
        state = State(**content)
        _check_types(state)
        return state
    except FileNotFoundError:
        return None
    except IsADirectoryError:
        raise StateError(f"{path} is a directory") from None
    except OSError as error:
        raise StateError(f"{path} can't be read: {error.strerror}") from None
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        raise StateError(f"{path} is corrupt") from None


def _check_types(state: State) -> None:
    """Refuse values that no save() wrote. :raises TypeError: there is one."""
    texts = [*state.config, *state.firewall, *state.held, state.content or "", state.loaded or ""]
    numbers = [state.made_at or 0, state.heard_at or 0]
    registry = [] if state.registry is None else [state.registry._asdict()]
    for each in (*registry, *(one._asdict() for one in state.removals), *(one._asdict() for one in state.bars)):
        for name, value in each.items():
            if name in _TIMES:
                numbers.append(value or 0)
            else:
                (numbers if name == "generation" else texts).append(value)
    if not all(isinstance(each, str) for each in texts):
        raise TypeError("something else than a text")
    if not all(isinstance(each, int) and not isinstance(each, bool) for each in numbers):
        raise TypeError("something else than a number")


def _of_this_format(content: dict[str, Any]) -> dict[str, Any]:
    """Return a state of format 1 in this one: there an operator's word was kept by public key."""
    if content["format"] != 1:
        return content
    revoked = content.pop("revoked")
    return {**content, "format": FORMAT, "bars": list(revoked.values())}


def save(site: Site, state: State) -> None:
    """Replace the state file, and its copy if that differs. :raises OSError: the old one is still there."""
    write(site.state, _text(state))
    lasting = _text(State(registry=state.registry, bars=state.bars))
    with suppress(OSError):  # it is a copy only
        if read_text(site.state_copy) != lasting:
            write(site.state_copy, lasting)


def _text(state: State) -> str:
    content: dict[str, Any] = {"format": FORMAT, **vars(state)}
    if state.registry is not None:
        content["registry"] = state.registry._asdict()
    content["removals"] = [removal._asdict() for removal in state.removals]
    content["bars"] = [each._asdict() for each in state.bars]
    return json.dumps(content, indent=1) + "\n"


def note_gone(site: Site, state: State) -> bool:
    """Note whose removal could not be saved, by files without content: those can be made on a full disk, too.

    :returns: whether each is noted somewhere.
    """
    for removal in state.pending().values():
        for directory in (site.state_dir, site.config_dir):
            with suppress(OSError):
                directory.joinpath(f"{_gone(site)}{removal.fingerprint}").touch(mode=0o600)
    return gone(site).issuperset(removal.fingerprint for removal in state.pending().values())


def gone(site: Site) -> frozenset[str]:
    """Return the fingerprints of whose removal could not be saved, until forget_gone()."""
    return frozenset(path.name[len(_gone(site)) :] for path in _notes(site))


def forget_gone(site: Site) -> None:
    """Forget the same, once files and state are whole again."""
    for path in _notes(site):
        path.unlink()


def _gone(site: Site) -> str:
    return f".{site.name}.gone-"


def _notes(site: Site) -> list[Path]:
    return [path for directory in (site.state_dir, site.config_dir) for path in directory.glob(f"{_gone(site)}*")]
