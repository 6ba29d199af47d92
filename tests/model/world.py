# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""IAM of two accounts, registries, operators and a gateway; everything that is done goes through the shipped code.

The registry is the emulated DynamoDB in this process. Each action does one thing and returns what came of it; what that
has to be is `rules`' to say.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, cast

from ansible_collections.tracklib.vpn.plugins.module_utils import revocation, roster_file
from ansible_collections.tracklib.vpn.plugins.module_utils.addresses import parse_pools
from ansible_collections.tracklib.vpn.plugins.module_utils.iam.sweep import find_user
from ansible_collections.tracklib.vpn.plugins.module_utils.model import Registration, User
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.table import Registry
from ansible_collections.tracklib.vpn.plugins.module_utils.roster import Policy
from ansible_collections.tracklib.vpn.plugins.module_utils.run import (
    AccountToSweep,
    RunOptions,
    RunResult,
    keep_books,
    run,
)
from dispatcher.dispatch import tombstone
from dispatcher.messages import UserDeleted

from . import rules
from .dynamodb import FailingDynamoDb
from .gateway import GatewayHost, MakeRunner
from .iam import IamAccount, QuestionFault, SweepFault
from .rules import Device, Iam

ACCOUNTS = ("111122223333", "444455556666")
GROUP = "vpn"
POOLS = parse_pools(["10.44.0.0/24"])
BEGINNING = 1_800_000_000.0


def public_key(number: int) -> str:
    """A public key, always the same for a number."""
    return base64.b64encode(bytes([number % 256, number // 256]) * 16).decode()


class Run(NamedTuple):
    """What came of one run on the controller."""

    result: RunResult
    roster: Path
    problems: list[str]
    iam: Mapping[str, Iam]  # what it was answered


class Event(NamedTuple):
    """A deletion as CloudTrail tells it."""

    account_id: str
    user_name: str
    event_id: str
    event_time: float


class World:
    """Everything outside the rules."""

    _first_items: ClassVar[list[dict[str, Any]]] = []  # of a registry, as register_first leaves it

    def __init__(self, directory: Path, make_runner: MakeRunner, dynamodb: Any) -> None:
        self.now = BEGINNING
        self.clocks_apart = 0  # seconds that the gateway's clock is behind
        self.iam = {account_id: IamAccount(account_id, self.clock) for account_id in ACCOUNTS}
        self.granting = dict.fromkeys(ACCOUNTS, frozenset({GROUP}))
        self.gateway = GatewayHost(f"tl{os.getpid()}", directory / "gateway", make_runner, self.gateway_clock)
        self._directory = directory
        self.dynamodb = FailingDynamoDb(dynamodb)
        self._tables = 0
        self.table = ""
        self._rosters = 0
        self._keys = 0
        self.registry = self.deploy_registry()

    def clock(self) -> float:
        """Return the time, which stands still unless the test lets it pass."""
        return self.now

    def gateway_clock(self) -> float:
        """Return the time by the gateway's clock."""
        return self.now - self.clocks_apart

    def next_key(self) -> str:
        """Return a public key that nobody has yet."""
        self._keys += 1
        return public_key(self._keys)

    # -- registries

    def _make_table(self) -> Registry:
        self._tables += 1
        name = f"registry-{self._tables}"
        self.dynamodb.create_table(
            TableName=name,
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
            AttributeDefinitions=[{"AttributeName": each, "AttributeType": "S"} for each in ("pk", "sk")],
            BillingMode="PAY_PER_REQUEST",
        )
        self.table = name
        return Registry(cast(Any, self.dynamodb), name, self.clock)

    def deploy_registry(self) -> Registry:
        """Deploy a new registry, which knows the gateway's key."""
        registry = self._make_table()
        registry.make_identity()
        registry.claim_key("gateway", self.gateway.own_key)
        return registry

    def restore_registry(self) -> Registry:
        """Restore the registry into another table."""
        items = self.registry.items()
        registry = self._make_table()
        registry.restore(items)
        return registry

    @property
    def knows_own_key(self) -> bool:
        """Whether the registry knows the gateway's key."""
        key = {"pk": {"S": "gateway"}, "sk": {"S": "gateway"}}
        return "Item" in self.dynamodb.get_item(TableName=self.table, Key=key)

    # -- users and events

    def events(self, event: Event) -> None:
        """Have the dispatcher take a deletion, late, doubled, or in time."""
        deleted = UserDeleted(event.account_id, event.event_id, event.user_name, event.event_time)
        sweep = self.registry.sweep(event.account_id)
        self.registry.write_tombstone(tombstone(deleted, sweep, self.now))

    # -- registrations

    def register(self, device: Device, user_name: str, public_key_: str, expires_at: float | None) -> Registration:
        """Register a device, or change it."""
        wanted = Registration(*device.owner, device.name, user_name, public_key_, (), self.now, expires_at)
        _before, after = self.registry.devices.register(wanted, POOLS)
        return after

    def register_first(self, registrations: Iterable[rules.Registration]) -> None:
        """Register devices that are always the same, at the same time; doing that for each test anew takes long."""
        if not self._first_items:
            for each in registrations:
                self.register(each.device, each.user_name, each.public_key, each.expires_at)
            self._first_items.extend(self.registry.items())
        self.registry.restore(self._first_items)

    def remove(self, device: Device) -> None:
        """Remove a device's registration."""
        registered = self.registry.devices.registration(device.owner, device.name)
        assert registered is not None
        assert self.registry.devices.remove(registered) is not None

    def item(self, pk: str, sk: str) -> dict[str, Any]:
        """Return an item as DynamoDB has it."""
        found: dict[str, Any] = self.dynamodb.get_item(TableName=self.table, Key={"pk": {"S": pk}, "sk": {"S": sk}})
        return dict(found["Item"])

    def put_by_hand(self, item: Mapping[str, Any]) -> None:
        """Write an item of whatever form."""
        self.dynamodb.put_item(TableName=self.table, Item=item)

    def delete_by_hand(self, pk: str, sk: str) -> None:
        """Delete an item."""
        self.dynamodb.delete_item(TableName=self.table, Key={"pk": {"S": pk}, "sk": {"S": sk}})

    # -- operators

    def revoke(self, account_id: str, name: str, device: str | None, *, iam_is_up: bool = True) -> revocation.Whom:
        """Write an operator's revocation to the registry.

        :raises RegistryError: the name means nobody, or several users.
        """
        revoked = revocation.Revoked(account_id, name, device)
        whom = self._whom(revoked, iam_is_up)
        records = revocation.missing(whom.records(device), self.registry, revoked)
        revocation.write(self.registry, records, revoked, "told to", self.now)
        return whom

    def unblock(self, account_id: str, name: str, device: str | None) -> revocation.Whom:
        """Lift a block.

        :raises RegistryError: the name means nobody, or several users.
        """
        revoked = revocation.Revoked(account_id, name, device)
        whom = self._whom(revoked, iam_is_up=True)
        revocation.lift(self.registry, whom, revoked, now=self.now, check_mode=False)
        return whom

    def _whom(self, revoked: revocation.Revoked, iam_is_up: bool) -> revocation.Whom:
        iam = self.iam[revoked.account_id]
        iam.freeze(SweepFault.NONE, QuestionFault.NONE if iam_is_up else QuestionFault.THROTTLED)

        def find() -> User | None:
            return find_user(cast(Any, iam), revoked.account_id, revoked.user_name)

        return revocation.identify(find, self.registry, revoked)

    # -- runs

    def decide(
        self,
        faults: Mapping[str, SweepFault],
        questions: QuestionFault = QuestionFault.NONE,
        release: Collection[str] = (),
    ) -> Run:
        """Run on the controller, as the module `roster` does."""
        answers = {
            account_id: iam.freeze(faults.get(account_id, SweepFault.NONE), questions)
            for account_id, iam in self.iam.items()
        }
        options = RunOptions(
            accounts=[AccountToSweep(account_id) for account_id in ACCOUNTS],
            policy=Policy(granting=self.granting, pools=POOLS, release=frozenset(release)),
        )

        def iam_of(account: AccountToSweep) -> Any:
            return self.iam[account.account_id]

        result = run(self.registry, iam_of, options, check_mode=False, clock=self.clock)
        self._rosters += 1
        path = self._directory / f"roster-{self._rosters}.json"
        roster_file.replace(str(path), result)
        return Run(result, path, [*result.problems, *keep_books(self.registry, result)], answers)
