# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The state machine: does things to the world and to the model of the rules, and compares them after every step."""

from __future__ import annotations

import json
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence, Set
from contextlib import ExitStack
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, TypeVar

from ansible_collections.tracklib.vpn.plugins.module_utils.aws import AWSCallError
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.dynamodb import RegistryError
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.table import Registry
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from . import rules
from .device import SimulatedHost
from .dynamodb import MemoryDynamoDb
from .gateway import MAX_AGE, Killed, MakeRunner, killed_before
from .iam import IamUser, QuestionFault, SweepFault
from .rules import (
    DAY,
    HOUR,
    MINUTE,
    READABLE,
    Bar,
    Block,
    Decision,
    Device,
    Item,
    Outcome,
    Peer,
    Registration,
    Release,
    Roster,
    Tombstone,
)
from .world import ACCOUNTS, GROUP, Event, Run, World

NAMES = ("ann", "bob", "cid", "dan", "eve", "fay", "gus", "hal", "ivy", "joe")
DEVICES = ("laptop", "phone")
MOST_USERS = len(NAMES) - 2  # of an account, so that there are always names that nobody has
STEP = 7  # seconds that each step takes
KEPT_ROSTERS = 6
Step = tuple[str, dict[str, Any]]  # an action and its arguments
_Item = TypeVar("_Item")
_Method = TypeVar("_Method", bound=Callable[..., None])
# that can't be read; none is about a device
NONSENSE: Sequence[dict[str, Any]] = (
    {"pk": {"S": "registration"}, "sk": {"S": "nobody"}},
    {"pk": {"S": "block"}, "sk": {"S": "a/b/c/d/e"}},
    {"pk": {"S": "tombstone"}, "sk": {"S": "111122223333/nothing"}},
    {"pk": {"S": "sweep"}, "sk": {"S": "999999999999"}, "data": {"S": "text"}},
    {"pk": {"S": "removed"}, "sk": {"S": "111122223333/AIDA/laptop"}},
    {"pk": {"S": "recorded"}, "sk": {"S": "gw"}},
    {"pk": {"S": "sign"}, "sk": {"S": "111122223333/AIDA0001"}},
)

index = st.integers(0, 1000)
account = st.sampled_from(ACCOUNTS)
name = st.sampled_from(NAMES)
life = st.sampled_from([None, 2 * HOUR, 3 * DAY])
sweep_fault = st.sampled_from(SweepFault)
question_fault = st.sampled_from(QuestionFault)
kill = st.one_of(st.none(), st.none(), st.integers(0, 7))


_actions: dict[str, list[st.SearchStrategy[Step]]] = defaultdict(list)


def action(group: str, /, **options: st.SearchStrategy[Any]) -> Callable[[_Method], _Method]:
    """Make a method one of the actions of a group, with strategies for its arguments.

    Hypothesis chooses a group first: of fifty rules it would leave most out of most examples.
    """

    def register(method: _Method) -> _Method:
        _actions[group].append(st.tuples(st.just(method.__name__), st.fixed_dictionaries(options)))
        return method

    return register


def steps(group: str) -> st.SearchStrategy[Step]:
    """Any action of a group."""
    return st.one_of(_actions[group])


class Made(NamedTuple):
    """A roster, and what the model makes of it."""

    path: Path
    roster: Roster


def picked(items: Sequence[_Item], number: int) -> _Item:
    """One of the items, whatever the number is."""
    return items[number % len(items)]


class Machine(RuleBasedStateMachine):
    """The world and the model, side by side."""

    make_runner: ClassVar[MakeRunner] = SimulatedHost
    make_dynamodb: ClassVar[Callable[[], Any]] = MemoryDynamoDb
    done: ClassVar[Counter[str]] = Counter()  # what was done, over all examples

    def __init__(self) -> None:
        super().__init__()
        self._stack = ExitStack()
        memory = "/dev/shm" if Path("/dev/shm").is_dir() else None
        directory = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="tracklib-model-", dir=memory))
        self.world = World(Path(directory), type(self).make_runner, type(self).make_dynamodb())
        self.registry = rules.Registry(granting=dict(self.world.granting))
        # several while a run was killed and none has ended since: what the gateway may be
        self.gateways = [rules.Gateway(self.world.gateway.own_key, MAX_AGE)]
        self.drifted = False  # hands changed the device, and nothing has repaired it yet
        self.rosters: list[Made] = []
        self.addresses: dict[str, str] = {}  # by public key, which has them for good
        self.registries: dict[str, tuple[Registry, rules.Registry]] = {}  # by table, with what the model has of each
        self.events: list[Event] = []
        self.whole: dict[Device, dict[str, Any]] = {}  # items as they were before they were spoilt
        self.token: tuple[str, frozenset[Device]] | None = None  # of the removals that the last run held
        self.words: list[tuple[dict[str, str], int | None]] = []  # of operators, to the gateway alone
        self._users = 0
        self._steps = 0
        self._pace = 1

    def teardown(self) -> None:
        self._stack.close()

    # -- what the rules below share

    @property
    def gateway(self) -> rules.Gateway:
        return self.gateways[0]

    @property
    def is_certain(self) -> bool:
        return len(self.gateways) == 1

    def _users_of(self, account_id: str) -> list[IamUser]:
        return list(self.world.iam[account_id].users.values())

    def _everybody(self) -> list[tuple[str, IamUser]]:
        return [(account_id, user) for account_id in ACCOUNTS for user in self._users_of(account_id)]

    def _devices(self, *items: Item) -> list[Device]:
        return [device for device, each in self.registry.registrations.items() if each.item in items]

    def _create(self, account_id: str, user_name: str, is_member: bool = True) -> IamUser:
        self._users += 1
        groups = frozenset({GROUP} if is_member else ())
        user = IamUser(f"AIDA{self._users:04}", user_name, int(self.world.now), groups)
        self.world.iam[account_id].put(user)
        return user

    def _register(self, account_id: str, user: IamUser, device_name: str, seconds: int | None = None) -> None:
        device = Device(account_id, user.user_id, device_name)
        expires_at = None if seconds is None else int(self.world.now) + seconds
        before = self.registry.registrations.get(device)
        if before is not None and before.item is not Item.FIT:
            return
        after = self.world.register(device, user.user_name, self.world.next_key(), expires_at)
        self.registry.registrations[device] = Registration(device, user.user_name, after.public_key, expires_at)

    def _count(self, what: str) -> None:
        self.done[what] += 1

    # -- the beginning

    @initialize(pace=st.sampled_from([3, 5, 10]))
    def begin(self, pace: int) -> None:
        """Have devices of nine users on the gateway; from then on a scheduled run comes every `pace` steps."""
        self._pace = pace
        for account_id, user_names in zip(ACCOUNTS, (NAMES[:7], NAMES[:2]), strict=True):
            for user_name in user_names:
                device = Device(account_id, self._create(account_id, user_name).user_id, "laptop")
                self.registry.registrations[device] = Registration(device, user_name, self.world.next_key())
        self.world.register_first(self.registry.registrations.values())
        self._reconcile({})

    # -- IAM

    @action("iam", account_id=account, number=index, is_member=st.booleans(), with_device=st.booleans())
    def create_user(self, account_id: str, number: int, is_member: bool, with_device: bool) -> None:
        if len(self._users_of(account_id)) < MOST_USERS:
            user = self._create(account_id, self._free_name(account_id, number), is_member)
            if with_device:
                self._register(account_id, user, "laptop")

    @action("iam", number=index, is_told=st.booleans())
    def delete_user(self, number: int, is_told: bool) -> None:
        everybody = self._everybody()
        if everybody:
            account_id, user = picked(everybody, number)
            self._delete(account_id, user)
            if is_told:
                self._tell(self.events[-1])

    def _delete(self, account_id: str, user: IamUser) -> None:
        self.world.iam[account_id].delete(user)
        self.events.append(Event(account_id, user.user_name, f"event-{len(self.events)}", self.world.now))

    def _free_name(self, account_id: str, number: int) -> str:
        """A name that nobody has now; somebody may have had it."""
        return picked([each for each in NAMES if self.world.iam[account_id].named(each) is None], number)

    @action("iam", number=index, other=index)
    def rename_user(self, number: int, other: int) -> None:
        everybody = self._everybody()
        if everybody:
            account_id, user = picked(everybody, number)
            self.world.iam[account_id].rename(user, self._free_name(account_id, other))

    @action("iam", number=index, other=index)
    def rename_user_and_give_the_name_to_a_newcomer(self, number: int, other: int) -> None:
        everybody = self._everybody()
        if everybody:
            account_id, user = picked(everybody, number)
            if len(self._users_of(account_id)) == MOST_USERS:
                return
            self.world.iam[account_id].rename(user, self._free_name(account_id, other))
            self.world.now += STEP
            newcomer = self._create(account_id, user.user_name)
            self._register(account_id, newcomer, "laptop")

    @action("iam", number=index, other=index)
    def rename_user_to_a_name_just_deleted(self, number: int, other: int) -> None:
        everybody = self._everybody()
        if everybody:
            account_id, user = picked(everybody, number)
            victim = picked(self._users_of(account_id), other)
            if victim != user:
                self._delete(account_id, victim)
                self.world.now += STEP
                self.world.iam[account_id].rename(user, victim.user_name)

    @action("iam", number=index, other=index)
    def rename_user_to_a_name_that_came_and_went(self, number: int, other: int) -> None:
        """A user whom no sweep ever saw, and whose name another one has now."""
        everybody = self._everybody()
        if everybody:
            account_id, user = picked(everybody, number)
            ghost = self._create(account_id, self._free_name(account_id, other))
            self._come_and_go(account_id, ghost)
            self.world.iam[account_id].rename(user, ghost.user_name)

    @action("iam", number=index, other=index)
    def rename_user_and_let_a_newcomer_come_and_go(self, number: int, other: int) -> None:
        """A user whom no sweep ever saw, under a name that the last sweep gives to another one."""
        everybody = self._everybody()
        if everybody:
            account_id, user = picked(everybody, number)
            self.world.iam[account_id].rename(user, self._free_name(account_id, other))
            self._come_and_go(account_id, self._create(account_id, user.user_name))

    def _come_and_go(self, account_id: str, user: IamUser) -> None:
        self.world.now += STEP
        self._delete(account_id, user)
        self.world.now += STEP
        self._tell(self.events[-1])

    @action("iam", number=index)
    def recreate_user(self, number: int) -> None:
        everybody = self._everybody()
        if everybody:
            account_id, user = picked(everybody, number)
            self._delete(account_id, user)
            self.world.now += STEP
            self._create(account_id, user.user_name)

    @action("iam", number=index)
    def change_group(self, number: int) -> None:
        everybody = self._everybody()
        if everybody:
            account_id, user = picked(everybody, number)
            self.world.iam[account_id].put(user.in_groups({GROUP} ^ user.groups))

    @action("iam", account_id=account, number=index, count=st.integers(1, 4))
    def put_some_out_of_the_group(self, account_id: str, number: int, count: int) -> None:
        members = [user for user in self._users_of(account_id) if user.groups]
        for user in members[number % (len(members) + 1) :][:count]:
            self.world.iam[account_id].put(user.in_groups(()))
        self._reconcile({})

    @action("iam", account_id=account)
    def empty_group(self, account_id: str) -> None:
        for user in self._users_of(account_id):
            self.world.iam[account_id].put(user.in_groups(()))

    @action("iam", account_id=account)
    def fill_group(self, account_id: str) -> None:
        for user in self._users_of(account_id):
            self.world.iam[account_id].put(user.in_groups({GROUP}))

    @action("iam", account_id=account, group=st.sampled_from([GROUP, "mistyped"]))
    def write_policy(self, account_id: str, group: str) -> None:
        self.world.granting[account_id] = frozenset({group})
        self.registry.granting[account_id] = frozenset({group})

    # -- events

    @action("iam", number=index)
    def event(self, number: int) -> None:
        """Deliver any deletion's event, as often and as late as it comes."""
        if self.events:
            self._tell(picked(self.events, number))

    def _tell(self, event: Event) -> None:
        self.world.events(event)
        self.registry.delete_event(event.account_id, event.event_id, event.user_name, event.event_time, self.world.now)

    # -- registrations

    @action("people", number=index, device_name=st.sampled_from(DEVICES), seconds=life)
    def register(self, number: int, device_name: str, seconds: int | None) -> None:
        """Register a device, or give it another key and life."""
        everybody = self._everybody()
        if everybody:
            account_id, user = picked(everybody, number)
            self._register(account_id, user, device_name, seconds)

    @action("people", number=index)
    def remove_registration(self, number: int) -> None:
        devices = self._devices(Item.FIT)
        if devices:
            device = picked(devices, number)
            self.world.remove(device)
            del self.registry.registrations[device]

    # -- nonsense in the registry

    @action("people", number=index, how=st.sampled_from(["short key", "own key", "no address", "number", "lost"]))
    def spoil_registration(self, number: int, how: str) -> None:
        devices = self._devices(Item.FIT)
        if not devices or (how == "own key" and not self.world.knows_own_key):
            return
        device = picked(devices, number)
        item = self.world.item("registration", "/".join(device))
        self.whole[device] = item
        if how == "lost":
            self.world.delete_by_hand("registration", "/".join(device))
        else:
            self.world.put_by_hand({**item, **self._nonsense(how)})
        becomes = {"number": Item.UNREADABLE, "lost": Item.LOST}.get(how, Item.UNFIT)
        self.registry.registrations[device] = self.registry.registrations[device]._replace(item=becomes)

    @action("people", number=index)
    def register_the_gateways_own_key(self, number: int) -> None:
        """By hand, in a registry that doesn't know the key: the gateway is the last to look."""
        devices = self._devices(Item.FIT)
        own_key = self.world.gateway.own_key
        has_it = any(each.public_key == own_key for each in self.registry.registrations.values())
        if not devices or has_it or self.whole:
            return
        device = picked(devices, number)
        item = self.world.item("registration", "/".join(device))
        self.world.put_by_hand({**item, "public_key": {"S": own_key}})
        self.world.delete_by_hand("gateway", "gateway")
        self.registry.registrations[device] = self.registry.registrations[device]._replace(public_key=own_key)

    def _nonsense(self, how: str) -> dict[str, Any]:
        changes: dict[str, dict[str, Any]] = {
            "short key": {"public_key": {"S": "short"}},
            "own key": {"public_key": {"S": self.world.gateway.own_key}},
            "no address": {"addresses": {"L": []}},
            "number": {"public_key": {"N": "1"}},
        }
        return changes[how]

    @action("people", number=index)
    def mend_registration(self, number: int) -> None:
        devices = self._devices(Item.UNFIT, Item.UNREADABLE, Item.LOST)
        if devices:
            device = picked(devices, number)
            self.world.put_by_hand(self.whole.pop(device))
            self.registry.registrations[device] = self.registry.registrations[device]._replace(item=Item.FIT)

    @action("people", number=st.sampled_from(range(len(NONSENSE))))
    def put_nonsense(self, number: int) -> None:
        self.world.put_by_hand(NONSENSE[number])
        self.registry.nonsense.add(NONSENSE[number]["sk"]["S"])

    @action("people", number=index, pk=st.sampled_from(["block", "tombstone"]))
    def put_half_a_revocation(self, number: int, pk: str) -> None:
        """Write a block without a reason, or a tombstone without a time: it holds as far as it can be understood."""
        everybody = self._everybody()
        if not everybody:
            return
        account_id, user = picked(everybody, number)
        if pk == "block":
            self.world.put_by_hand({"pk": {"S": pk}, "sk": {"S": f"{account_id}/{user.user_id}"}})
            self.registry.blocks.add(Block(account_id, user.user_id, None))
        else:
            event_id = f"half-{user.user_id}"
            sk = {"S": f"{account_id}/{event_id}"}
            self.world.put_by_hand({"pk": {"S": pk}, "sk": sk, "user_id": {"S": user.user_id}})
            half = Tombstone(account_id, event_id, "", user.user_id, float("inf"))
            self.registry.tombstones[(account_id, event_id)] = half

    @action("people")
    def delete_nonsense(self) -> None:
        for item in NONSENSE:
            self.world.delete_by_hand(item["pk"]["S"], item["sk"]["S"])
            self.registry.nonsense.discard(item["sk"]["S"])
        for key in [key for key in self.registry.tombstones if key[1].startswith("half-")]:
            self.world.delete_by_hand("tombstone", "/".join(key))
            del self.registry.tombstones[key]

    # -- operators

    @action(
        "people", number=index, by=st.sampled_from(["name", "id"]), only_device=st.booleans(), iam_is_up=st.booleans()
    )
    def revoke(self, number: int, by: str, only_device: bool, iam_is_up: bool) -> None:
        devices = self._devices(*READABLE)
        if not devices:
            return
        device = picked(devices, number)
        called = device.user_id if by == "id" else self.registry.user_name(device)
        self._revoke(device.account_id, called, device.name if only_device else None, iam_is_up)

    @action("people", account_id=account, user_name=name)
    def revoke_by_any_name(self, account_id: str, user_name: str) -> None:
        self._revoke(account_id, user_name, None, iam_is_up=True)

    def _revoke(self, account_id: str, called: str, device_name: str | None, iam_is_up: bool) -> None:
        matches = self._matches(account_id, called, iam_is_up)
        deleted = {tombstone.user_id for tombstone in self.registry.tombstones.values()}
        is_refused = False
        try:
            whom = self.world.revoke(account_id, called, device_name, iam_is_up=iam_is_up)
        except (AWSCallError, RegistryError):
            is_refused = True
        if is_refused:
            assert not matches or len(matches - deleted) > 1, f"{called} is {matches}, and the revocation was refused"
            return
        assert whom.names.keys() == matches, f"{called} is {matches}, and the revocation hit {whom.names}"
        for user_id in matches:
            self.registry.blocks.add(Block(account_id, user_id, device_name))

    def _matches(self, account_id: str, called: str, iam_is_up: bool) -> set[str]:
        """Whom an operator's word means: IAM's names, the stored sweep's, labels and ids."""
        registry = self.registry
        listed = registry.sweeps[account_id].users.values() if account_id in registry.sweeps else ()
        known = {(user.user_id, user.user_name) for user in listed}
        known |= {
            (device.user_id, registry.user_name(device))
            for device in self._devices(*READABLE)
            if device.account_id == account_id
        }
        known |= {
            (device.user_id, registry.labels[device]) for device in registry.decided if device.account_id == account_id
        }
        user = self.world.iam[account_id].named(called) if iam_is_up else None
        known |= {(user.user_id, user.user_name)} if user else set()
        if called in {user_id for user_id, _name in known}:
            return {called}
        return {user_id for user_id, user_name in known if user_name == called}

    @action("people", number=index)
    def unblock(self, number: int) -> None:
        blocks = sorted(self.registry.blocks, key=str)
        if blocks:
            block = picked(blocks, number)
            if self._matches(block.account_id, block.user_id, iam_is_up=True):
                self.world.unblock(block.account_id, block.user_id, block.device)
                self.registry.blocks.remove(block)

    @action(
        "people", number=index, by=st.sampled_from(["name", "label", "id"]), is_recorded=st.booleans(), kill_before=kill
    )
    def revoke_on_the_gateway(self, number: int, by: str, is_recorded: bool, kill_before: int | None) -> None:
        """Take somebody off without a roster; with the registry up, record it first."""
        peers = list(self.gateway.peers.values())
        if not peers:
            return
        peer = picked(peers, number)
        device_name = peer.device.name if by == "label" else None
        generation = None
        if is_recorded:
            if peer.device not in self._devices(*READABLE):
                return
            self._revoke(peer.device.account_id, peer.device.user_id, device_name, iam_is_up=False)
            generation = self.world.registry.generations.take()
        whom = {"account_id": peer.device.account_id}
        if by == "id":
            whom["user_id"] = peer.device.user_id
        else:
            whom["user_name"] = f"{peer.user_name}/{device_name}" if device_name else peer.user_name
        self.words.append((whom, generation))
        self._take_off(whom, generation, kill_before)

    @action("people", number=index, by=st.sampled_from(["name", "label", "id"]), is_recorded=st.booleans())
    def apply_an_older_roster_after_a_revocation_on_the_gateway(self, number: int, by: str, is_recorded: bool) -> None:
        made = self._decide({})
        self.revoke_on_the_gateway(number, by, is_recorded, kill_before=None)
        self._apply(made)

    @action("people", number=index)
    def repeat_revocation_on_the_gateway(self, number: int) -> None:
        """Have a word arrive again, or late."""
        if self.words:
            self._take_off(*picked(self.words, number))

    def _take_off(self, whom: Mapping[str, str], generation: int | None, kill_before: int | None = None) -> None:
        def expect(gateway: rules.Gateway) -> None:
            for bar in self._bars(gateway, whom, generation):
                gateway.take_off(bar)

        self._on_gateway(lambda: self.world.gateway.revoke(generation or 0, whom), expect, kill_before)

    def _bars(self, gateway: rules.Gateway, whom: Mapping[str, str], generation: int | None) -> set[Bar]:
        """Whom an operator's word means on a gateway: every user whom its peers call so."""
        called, _slash, device_name = whom.get("user_name", "").partition("/")
        return {
            Bar(peer.device.owner, peer.user_name, device_name or None, generation)
            for peer in gateway.peers.values()
            if peer.device.account_id == whom["account_id"]
            and (peer.device.user_id == whom.get("user_id") or peer.user_name == called)
        }

    # -- runs

    @action(
        "runs",
        fault=sweep_fault,
        other=st.sampled_from([SweepFault.NONE, SweepFault.THROTTLED]),
        questions=question_fault,
    )
    def reconcile_with_faults(self, fault: SweepFault, other: SweepFault, questions: QuestionFault) -> None:
        self._reconcile(dict(zip(ACCOUNTS, (fault, other), strict=True)), questions)

    @action("runs", number=index, questions=question_fault)
    def reconcile_after_a_deletion_that_nobody_told(self, number: int, questions: QuestionFault) -> None:
        self.delete_user(number, is_told=False)
        self._reconcile({}, questions)

    @action("runs", kill_before=kill)
    def reconcile(self, kill_before: int | None) -> None:
        self._reconcile({}, kill_before=kill_before)

    @action("runs", account_id=account, number=index, by=st.sampled_from(["token", "user", "device"]))
    def mistype_group_and_release(self, account_id: str, number: int, by: str) -> None:
        self.write_policy(account_id, "mistyped")
        self._reconcile({})
        self.release(number, by)

    @action("runs", number=index, by=st.sampled_from(["token", "user", "device"]))
    def release(self, number: int, by: str) -> None:
        """Release what the last run held: all of it, or one by name."""
        if self.token is None:
            return
        token, held = self.token
        device = picked(sorted(held), number)
        if by == "token":
            self._reconcile({}, release=[token], released=Release(exactly=held))
        elif device in self.registry.registrations:
            called = self.registry.user_name(device)
            called = called if by == "user" else f"{called}/{device.name}"
            self._reconcile({}, release=[called], released=Release(names={called}))

    @action("runs", fault=sweep_fault)
    def decide(self, fault: SweepFault) -> None:
        """Make a roster that reaches the gateway late or never."""
        self._decide({ACCOUNTS[0]: fault})

    @action("runs", fault=sweep_fault)
    def reconcile_while_nothing_can_be_written(self, fault: SweepFault) -> None:
        self.world.dynamodb.throttles_writes = True
        try:
            self._reconcile({ACCOUNTS[0]: fault})
        finally:
            self.world.dynamodb.throttles_writes = False

    @action("runs", number=index)
    def reconcile_while_the_device_refuses_a_removal(self, number: int) -> None:
        """Somebody can't be taken off: all others are, and the next apply tries again."""
        live = sorted(self.world.gateway.peers)
        if not live or not self.is_certain:
            return
        key, made, before = picked(live, number), self._decide({}), self.gateway.copy()
        outcome = self.gateway.apply(made.roster, self.world.gateway_clock())
        with self.world.gateway.refusing(key):
            result = self.world.gateway.apply(made.path)
        if outcome in (Outcome.APPLIED, Outcome.EMPTYING):
            assert not made.roster.confirmed.keys() & self.world.gateway.peers.keys() - {key}, (
                "R4, R17: others wait for one"
            )
            assert key in self.gateway.peers or result["problems"], "R17: the run said nothing"
        self.gateways.append(before)
        self._apply(made)

    @action("runs", number=index, kill_before=kill)
    def apply(self, number: int, kill_before: int | None) -> None:
        """Apply any of the last rosters, the newest as well as older ones."""
        if self.rosters:
            self._apply(picked(self.rosters, number), kill_before)

    def _reconcile(
        self,
        faults: Mapping[str, SweepFault],
        questions: QuestionFault = QuestionFault.NONE,
        release: Sequence[str] = (),
        released: Release = rules.NO_RELEASE,
        kill_before: int | None = None,
    ) -> None:
        made = self._decide(faults, questions, release, released)
        self._apply(made, kill_before)

    def _decide(
        self,
        faults: Mapping[str, SweepFault],
        questions: QuestionFault = QuestionFault.NONE,
        release: Sequence[str] = (),
        released: Release = rules.NO_RELEASE,
    ) -> Made:
        run = self.world.decide(faults, questions, release)
        for fault in faults.values():
            self._count(str(fault))
        decision = self.registry.decide(self.world.now, run.iam, released)
        before = self.registry.decided
        if not self.world.dynamodb.throttles_writes:
            self.registry.learn(decision, self.world.now)
        content = json.loads(run.roster.read_text())
        self._check_decision(run, decision, content, before)
        held = frozenset(decision.held)
        self.token = (str(run.result.roster.release_token), held) if held else None
        self.addresses.update({each["public_key"]: ",".join(each["allowed_ips"]) for each in content["peers"]})
        made = Made(run.roster, _roster(content))
        self.rosters = [*self.rosters, made][-KEPT_ROSTERS:]
        self._count("held" if held else "decided")
        for why in decision.out.values():
            self._count(why.name.lower())
        for what in ("unanswered", "incomplete", "released", "unreadable"):
            self.done[what] += bool(getattr(decision, what))
        return made

    def _check_decision(self, run: Run, decision: Decision, content: dict[str, Any], before: rules.Devices) -> None:
        said = " ".join(run.problems)
        peers = {_device(entry): entry for entry in content["peers"]}
        why = {_device(entry): f"{entry['reason']}: {entry['detail']}" for entry in content["excluded"]}
        assert peers.keys() == decision.peers, _difference(peers, why, decision)
        held = {device for device, entry in peers.items() if entry["held"]}
        assert held == decision.held, f"R5: held {held}, and the rules hold {decision.held}: {decision.swept}"
        revoked = {_device(entry) for entry in content["revoked"]} & self.registry.registrations.keys()
        wrong = [f"{device}: {why[device]}" for device in revoked - decision.confirmed]
        assert not wrong, f"R4: not confirmed: {wrong}"
        assert decision.confirmed & before <= revoked, "R4: a confirmed revocation isn't in the roster as one"
        for device, entry in peers.items():
            label = decision.names[device]
            assert entry["user_name"] == label, f"R1: {device} is {label}, not {entry['user_name']}"
            assert entry["public_key"] == self.registry.registrations[device].public_key or device in decision.held
        must_fail = decision.must_fail or self.world.dynamodb.throttles_writes
        complete = {entry["account_id"] for entry in content["accounts"] if entry["complete"]}
        assert complete == decision.swept.keys() - decision.incomplete, f"R3: {complete} count as complete"
        assert bool(said) == must_fail, f"the run said {said!r}, and it had to fail for {decision}"
        for account_id in decision.incomplete:
            assert account_id in said, f"R3: {account_id} isn't named in {said!r}"
        for sk in decision.unreadable:
            assert sk in said, f"R17: {sk} isn't named in {said!r}"
        for device in decision.held:
            assert f"{decision.names[device]}/{device.name}" in said, f"R5: {device} isn't named"

    # -- the gateway

    def _apply(
        self, made: Made, kill_before: int | None = None, accept: str | None = None, release: Sequence[str] = ()
    ) -> None:
        if not self.is_certain and made.roster.generation < max(each.generation for each in self.gateways):
            return  # nobody can say how far the killed run came
        outcomes: list[Outcome] = []

        def expect(gateway: rules.Gateway) -> None:
            outcomes.append(gateway.apply(made.roster, self.world.gateway_clock(), accept, release))

        before = self.world.gateway.peers
        options = {"accept_registry": accept, "release_revoked": list(release)}
        result = self._on_gateway(lambda: self.world.gateway.apply(made.path, **options), expect, kill_before)
        if result is None:
            return
        expected = list(zip(self.gateways, outcomes, strict=True))
        faults = [self._fault(made, gateway, outcome, before, result) for gateway, outcome in expected]
        assert "" in faults, faults
        self.gateways = [gateway for gateway, fault in zip(self.gateways, faults, strict=True) if not fault]
        outcome = outcomes[faults.index("")]
        self.drifted = self.drifted and outcome is not Outcome.APPLIED
        self._count(outcome.name.lower())

    def _fault(
        self,
        made: Made,
        gateway: rules.Gateway,
        outcome: Outcome,
        before: Mapping[str, str],
        result: Mapping[str, Any],
    ) -> str:
        """Say what is wrong about an apply that had to end so; nothing if it is as the rules have it."""
        live = self.world.gateway.peers
        if result["stale"] is not (outcome is Outcome.STALE):
            return f"R6: {outcome.value}, and the gateway said {result}"
        if outcome in (Outcome.STALE, Outcome.REFUSED) and live != before:
            return f"R6: {outcome.value}, and the device changed"
        if outcome in (Outcome.REFUSED, Outcome.EMPTYING) and not result["problems"]:
            return f"{outcome.value}, and the gateway said nothing"
        if outcome is not Outcome.APPLIED:
            return ""
        left_out = [peer for peer in made.roster.peers.values() if gateway.must_tell(peer)]
        is_from_ahead = gateway.is_from_ahead(made.roster, self.world.gateway_clock())
        if bool(result["problems"]) != bool(left_out or is_from_ahead):
            return f"problems of an apply: {result['problems']}; left out: {left_out}; from ahead: {is_from_ahead}"
        if live != {key: self.addresses[key] for key in gateway.peers}:
            lost, found = gateway.peers.keys() - live, live.keys() - gateway.peers
            return f"R8: the device lacks {self._people(lost)} and has {self._people(found)}, or other addresses"
        return "" if self.world.gateway.forwards else "R8: packets of the tunnel aren't routed or forwarded"

    def _on_gateway(
        self, act: Callable[[], _Item], expect: Callable[[rules.Gateway], None], kill_before: int | None = None
    ) -> _Item | None:
        """Do something to the gateway and the model; return None if it was killed."""
        before = [each.copy() for each in self.gateways]
        for each in self.gateways:
            expect(each)
        try:
            with killed_before(kill_before):
                return act()
        except Killed:
            self._count("killed")
            self.gateways += before
            return None

    @action("gateway", kill_before=kill)
    def timer(self, kill_before: int | None) -> None:
        """Have the timer take off who has expired, and repair firewall, route and forwarding."""
        report = self._on_gateway(
            self.world.gateway.timer, lambda each: each.expire(self.world.gateway_clock()), kill_before
        )
        if report is not None and self.world.gateway.is_up:
            assert not report.problems, report.problems
            assert self.world.gateway.forwards, "R8: packets of the tunnel aren't routed or forwarded"

    @action("gateway")
    def reload(self) -> None:
        """Reload the unit, which goes by the files."""
        if not self.world.gateway.is_up:
            return
        report = self._on_gateway(self.world.gateway.reload, lambda each: each.expire(self.world.gateway_clock()))
        assert report is not None
        assert not report.problems, report.problems
        assert self.world.gateway.forwards, "R8: packets of the tunnel aren't routed or forwarded"
        if self.is_certain and not self.gateway.is_too_old(self.world.gateway_clock()):
            self.gateway.is_dark = self.drifted = False

    @action("gateway", kill_before=kill)
    def reboot(self, kill_before: int | None) -> None:
        """Lose device and firewall, and start from the files; a start that is killed is repeated."""
        self.world.gateway.vanish()
        try:
            with killed_before(kill_before):
                self.world.gateway.start()
        except Killed:
            self.world.gateway.start()
        for gateway in self.gateways:
            gateway.start(self.world.gateway_clock())
        self.drifted = False

    @action("gateway")
    def lose_interface(self) -> None:
        """Delete it by hand, and leave it to the next apply."""
        self.world.gateway.vanish()
        self.drifted = True

    @action("gateway", number=index)
    def take_peer_off_by_hand(self, number: int) -> None:
        peers = sorted(self.world.gateway.peers)
        if peers:
            self.world.gateway.take_off(picked(peers, number))
            self.drifted = True

    @action("gateway")
    def add_peer_by_hand(self) -> None:
        if self.world.gateway.is_up:
            self.world.gateway.add(self.world.next_key(), "10.44.9.9/32")
            self.drifted = True

    @action("gateway")
    def lose_firewall(self) -> None:
        self.world.gateway.sh("nft", "flush", "ruleset")

    @action("gateway")
    def delete_route(self) -> None:
        if self.world.gateway.has_route:
            self.world.gateway.delete_route()

    @action("gateway")
    def switch_forwarding_off(self) -> None:
        self.world.gateway.sh("sysctl", "-q", "-w", "net/ipv4/ip_forward=0")

    # -- registries

    @action("runs", how=st.sampled_from(["new", "restored", "back"]))
    def swap_registry(self, how: str) -> None:
        """Have the next runs use another registry."""
        self.registries[self.world.table] = (self.world.registry, self.registry)
        if how == "new":
            self.registry = rules.Registry(granting=dict(self.world.granting))
            self.world.registry = self.world.deploy_registry()
        elif how == "restored":
            self.registry = self.registry.copy()
            self.world.registry = self.world.restore_registry()
        else:
            self.world.table = min(self.registries)
            self.world.registry, self.registry = self.registries[self.world.table]
            self.registry.granting = dict(self.world.granting)
        self.token = None

    @action("runs", how=st.sampled_from(["new", "restored", "back"]), number=index, with_device=st.booleans())
    def swap_and_accept_the_registry(self, how: str, number: int, with_device: bool) -> None:
        self.swap_registry(how)
        if with_device:
            self.register(number, "laptop", None)
        self._reconcile({})
        self.reconcile_and_accept_the_registry()

    @action("runs")
    def reconcile_and_accept_the_registry(self) -> None:
        made = self._decide({})
        self._apply(made, accept=made.roster.registry.table_id)

    @action("runs", number=index)
    def reconcile_and_release_bars(self, number: int) -> None:
        if self.gateway.bars:
            bar = picked(self.gateway.bars, number)
            called = f"{bar.user_name}/{bar.device}" if bar.device else bar.user_name
            self._apply(self._decide({}), release=[called])

    @action("runs")
    def reconcile_without_the_registry(self) -> None:
        """Try to; nothing happens."""
        self.world.dynamodb.is_down = True
        try:
            self.world.decide({})
        except AWSCallError:
            pass
        else:
            raise AssertionError("R16: a run without a registry ended well")
        finally:
            self.world.dynamodb.is_down = False

    # -- time

    @action("gateway", seconds=st.sampled_from([0, HOUR]))
    def set_the_gateways_clock_back(self, seconds: int) -> None:
        self.world.clocks_apart = seconds

    @action("gateway", seconds=st.sampled_from([MINUTE, 15 * MINUTE + 1, 2 * HOUR, DAY + 1, 7 * DAY + 1]))
    def pass_time(self, seconds: int) -> None:
        self.world.now += seconds

    # -- how they are chosen

    @rule(step=steps("iam"))
    def change_iam(self, step: Step) -> None:
        self._do(step)

    @rule(step=steps("people"))
    def have_people_act(self, step: Step) -> None:
        self._do(step)

    @rule(step=steps("runs"))
    def run(self, step: Step) -> None:
        self._do(step)

    @rule(step=steps("gateway"))
    def touch_the_gateway(self, step: Step) -> None:
        self._do(step)

    def _do(self, step: Step) -> None:
        name, options = step
        self._count(name)
        getattr(self, name)(**options)

    @invariant()
    def device_is_what_the_rules_say(self) -> None:
        self.world.now += STEP
        self._steps += 1
        self._count("steps")
        if self._steps % self._pace == 0:
            self._reconcile({})
        self._compare("file", self.world.gateway.filed, [each.peers.keys() for each in self.gateways])
        if not self.drifted:
            self._compare("device", self.world.gateway.peers.keys(), [each.live for each in self.gateways])

    def _compare(self, what: str, found: Set[str], expected: Sequence[Set[str]]) -> None:
        """Hold what is found against what has to be there; after a kill, against what may be there."""
        lost, strange = frozenset.intersection(*map(frozenset, expected)) - found, found - frozenset().union(*expected)
        assert not lost, f"R3, R7: {what} lost {self._people(lost)}"
        assert not strange, f"R2, R4, R12: {what} has {self._people(strange)}"

    def _people(self, keys: Set[str]) -> list[str]:
        labels = {
            key: f"{peer.user_name}/{peer.device.name} ({peer.device.user_id})"
            for made in self.rosters
            for key, peer in made.roster.peers.items()
        }
        return sorted(labels.get(key, key) for key in keys)


def _device(entry: Mapping[str, Any]) -> Device:
    return Device(entry["account_id"], entry["user_id"], entry["device"])


def _roster(content: Mapping[str, Any]) -> Roster:
    """What a roster file says, in the model's words."""
    explained = [entry for entry in content["excluded"] if entry["explained"]]
    return Roster(
        generation=content["generation"],
        made_at=content["made_at"],
        registry=rules.RegistryName(**content["registry"]),
        peers={
            entry["public_key"]: Peer(_device(entry), entry["user_name"], entry["public_key"], entry["expires_at"])
            for entry in content["peers"]
        },
        confirmed={entry["public_key"]: _device(entry) for entry in content["revoked"]},
        explained={_device(entry) for entry in (*explained, *content["revoked"], *content["removed"])},
        recorded=frozenset(_device(entry).owner for entry in content["revoked"] if entry["of_user"]),
    )


def _difference(peers: Mapping[Device, Any], why: Mapping[Device, str], decision: Decision) -> str:
    wrongly_in = [f"{device}: {decision.out.get(device)}" for device in peers.keys() - decision.peers]
    wrongly_out = [f"{device}: {why.get(device)}" for device in decision.peers - peers.keys()]
    return f"peers, and must not be: {wrongly_in}; no peers, and must be: {wrongly_out}"
