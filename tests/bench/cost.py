# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Count what a day costs, by running the sweeper's schedule in fast motion: `make cost` writes the table of the page.

An idle day and one of 50 changes are run, 1,440 looks each, on an emulated account of 20 devices: which builds start
depends on no size. Then looks at large accounts are measured: calls, DynamoDB's units, the processor's time, the log.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from ansible_collections.tracklib.vpn.plugins.module_utils import run_options
from ansible_collections.tracklib.vpn.plugins.module_utils.addresses import parse_pools
from ansible_collections.tracklib.vpn.plugins.module_utils.guard import Limits
from ansible_collections.tracklib.vpn.plugins.module_utils.iam.clients import IamClients
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.table import Registry
from ansible_collections.tracklib.vpn.plugins.module_utils.run import keep_books, run
from aws_lambda_powertools.utilities.typing import LambdaContext
from dispatcher.listeners import Listeners
from dispatcher.settings import DispatcherSettings
from dispatcher.sweeper import Sweeper

from tests.support import ROOT
from tests.unit.roles.control_plane.templates import load

from . import emulated
from .figures import say
from .prices import BUILD_MINUTES, Counts, Stacks, table
from .replay import Replay

COUNTS = Path(__file__).with_name("cost.json")
PAGE = ROOT / "docs" / "cost.md"
TABLE = re.compile(r"^\| USD a month \|.*\n(?:\|.*\n)+", re.MULTILINE)
MINUTE, DAY = 60, 24 * 60  # seconds, minutes
CHANGES = 50  # in the busy day
SMALL = 20  # devices of the account whose days are run
_READS = frozenset({"GetItem", "Query", "Scan"})
_WRITES = {"PutItem": "Item", "UpdateItem": "ExpressionAttributeValues"}


class Clock:
    """The day's time, in seconds since the epoch."""

    def __init__(self) -> None:
        self.now = float(int(time.time()))

    def __call__(self) -> float:
        return self.now


class Builds:
    """CodeBuild as far as the sweeper asks it, in the day's time; a build runs for its charged minutes."""

    def __init__(self, clock: Clock, work: Callable[[str], None]) -> None:
        self.builds: list[dict[str, Any]] = []
        self._clock = clock
        self._work = work

    def start_build(self, **_project: str) -> dict[str, Any]:
        """Start one; the sweeper doesn't while one runs."""
        build_id = f"tracklib-vpn-reconcile:{len(self.builds)}"
        started = datetime.fromtimestamp(self._clock.now, UTC)
        build = {"id": build_id, "buildStatus": "IN_PROGRESS", "startTime": started, "environment": {}}
        self.builds.insert(0, build)
        self._work(build_id)
        return {"build": self.builds[0]}

    def go_on(self) -> None:
        """End the build that has run long enough."""
        for build in self.builds[:1]:
            if self._clock.now - build["startTime"].timestamp() >= MINUTE * BUILD_MINUTES:
                build["buildStatus"] = "SUCCEEDED"

    @property
    def is_running(self) -> bool:
        """Whether one runs."""
        return bool(self.builds) and self.builds[0]["buildStatus"] == "IN_PROGRESS"

    def list_builds_for_project(self, **_project: str) -> dict[str, Any]:
        """The newest first."""
        return {"ids": [build["id"] for build in self.builds]}

    def batch_get_builds(self, ids: list[str]) -> dict[str, Any]:
        """What is known of each."""
        return {"builds": [build for build in self.builds if build["id"] in ids]}


class Meter:
    """Counts the calls of clients, and what DynamoDB charges for them."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.read_units = 0
        self.write_units = 0

    def on(self, client: Any) -> Any:
        """Count a client's calls."""
        client.meta.events.register("provide-client-params.dynamodb", self._written)
        client.meta.events.register("after-call", self._called)
        return client

    def _written(self, params: dict[str, Any], model: Any, **_others: Any) -> None:
        if model.name in _WRITES:
            self.write_units += _units(_size(params.get(_WRITES[model.name], {})), 1024)

    def _called(self, parsed: dict[str, Any], model: Any, **_others: Any) -> None:
        self.calls[f"{model.service_model.service_name}:{model.name}"] += 1
        if model.name in _READS:
            items = [*parsed.get("Items", []), *([parsed["Item"]] if "Item" in parsed else [])]
            self.read_units += _units(sum(map(_size, items)), 4096)


def _units(size: int, of: int) -> int:
    return max(1, -(-size // of))


def _size(item: Mapping[str, Any]) -> int:
    """Bytes of an item as DynamoDB counts them, nearly: names and values, 3 more for a list or map, 1 for its parts."""
    return sum(len(name.encode()) + _value_size(value) for name, value in item.items())


def _value_size(typed: Mapping[str, Any]) -> int:
    ((kind, value),) = typed.items()
    if kind == "M":
        return 3 + sum(len(name) + 1 + _value_size(part) for name, part in value.items())
    if kind == "L":
        return 3 + sum(1 + _value_size(part) for part in value)
    if kind == "N":
        return 1 + (len(value) + 1) // 2
    return len(value.encode() if isinstance(value, str) else value) if kind in ("S", "B") else 1


class Day:
    """The sweeper on an emulated account, minute by minute."""

    def __init__(self, url: str, iam_url: str) -> None:
        self.clock = Clock()
        self.meter = Meter()
        self.log = io.StringIO()
        self.iam = emulated.client(iam_url, "iam")
        self.registry = Registry(emulated.client(url, "dynamodb"), emulated.TABLE, self.clock)
        self.builds = Builds(self.clock, self._build)
        settings = DispatcherSettings(
            table=emulated.TABLE,
            queue_url="",
            dead_letters_url="",
            gateway_account=emulated.ACCOUNT,
            identity_accounts=frozenset({emulated.ACCOUNT}),
            reconcile_project="tracklib-vpn-reconcile",
            topic="",
            names_project=None,
            named_hosts=(),
            gateway_role="vpn-gateway",
            drift=6 * 3600,
        )
        metered_iam = self.meter.on(emulated.client(iam_url, "iam"))
        metered = Registry(self.meter.on(emulated.client(url, "dynamodb")), emulated.TABLE, self.clock)
        with contextlib.redirect_stdout(self.log):
            self._sweeper = Sweeper(
                settings,
                metered,
                cast(IamClients, lambda _account: metered_iam),
                self.builds,
                self.meter.on(emulated.client(url, "ec2")),
                Listeners((), metered, None, lambda _account: metered_iam),
                self.clock,
            )

    def look(self) -> None:
        """Let a minute pass, and look."""
        self.clock.now += MINUTE
        self.builds.go_on()
        with contextlib.redirect_stdout(self.log):
            self._sweeper({}, cast(LambdaContext, _Context()))
        if '"Failed":' in self.log.getvalue():
            raise RuntimeError(f"a look failed: {self.log.getvalue()[-2000:]}")

    def start(self) -> None:
        """Begin as after a deployment: one build, and its end."""
        for _minute in range(1 + BUILD_MINUTES):
            self.look()
        self.builds.builds[1:] = []
        if [build["buildStatus"] for build in self.builds.builds] != ["SUCCEEDED"]:
            raise RuntimeError(f"the first build didn't start or end: {self.log.getvalue()}")

    def _build(self, build_id: str) -> None:
        """Do what a build does in the registry."""
        options = run_options.read(json.dumps(_OPTIONS))._replace(made_by=build_id)
        keep_books(
            self.registry,
            run(self.registry, lambda _account: self.iam, options, check_mode=False, clock=self.clock),
        )


class _Context:
    aws_request_id = "00000000-0000-0000-0000-000000000000"


_OPTIONS: dict[str, Any] = {
    "account_id": emulated.ACCOUNT,
    "identity_accounts": None,
    "access": [{"groups": [emulated.GROUP], "accounts": None, "networks": ["10.20.0.0/16"]}],
    "address_pools": emulated.POOLS,
    **{f"guard_{name}": value for name, value in {
        "count": Limits().some, "share": Limits().some_share, "majority": Limits().majority,
        "many": Limits().many, "many_share": Limits().many_share,
    }.items()},
}  # fmt: skip


def builds_of_a_day(changes: int) -> int:
    """Run 1,440 looks; every other change is a new device, the others delete a user. Return the builds that started."""
    with emulated.account(SMALL + changes, SMALL) as url:
        day = Day(url, url)
        day.start()
        every = DAY // changes if changes else DAY + 1
        for minute in range(1, DAY + 1):
            if minute % every == 0 and minute // every <= changes:
                _change(day, minute // every)
            day.look()
            if minute % 240 == 0:
                say(f"{minute // 60} h of the day with {changes} changes: {len(day.builds.builds) - 1} builds")
    return len(day.builds.builds) - 1


def _change(day: Day, number: int) -> None:
    """Change something, of which an event or a message tells, which starts a build at once."""
    if number % 2:
        user = day.iam.get_user(UserName=emulated.name(SMALL + number))["User"]
        (registration,) = emulated.registrations([user["UserId"]], 1)
        new = registration._replace(user_name=user["UserName"], public_key=_key(number), addresses=())
        day.registry.devices.register(new, parse_pools(emulated.POOLS))
    else:
        emulated.delete_user(day.iam, emulated.name(number // 2))
    if not day.builds.is_running:
        day.builds.start_build()


def _key(number: int) -> str:
    return emulated.registrations([str(each) for each in range(1000)], 1000)[100 + number].public_key


def measured(devices: int) -> Counts:
    """Measure the looks of some idle minutes at a large account; the day's builds are counted elsewhere."""
    users = min(devices, 5000)  # IAM's limit
    say(f"making an emulated account of {users} users and {devices} devices")
    with emulated.account(users, devices) as url, Replay(url) as iam:  # which has AWS's pages, and is quick
        day = Day(url, iam.url)
        day.start()
        looks = 5
        day.meter.calls.clear()
        day.meter.read_units = day.meter.write_units = 0
        logged = len(day.log.getvalue())
        cpu = time.process_time()
        for _look in range(looks):
            day.look()
        cpu = time.process_time() - cpu
        say(f"calls of {looks} looks: {dict(day.meter.calls)}")
    return Counts(
        devices=devices,
        changes=0,
        looks=DAY,
        builds=0,
        calls=(day.meter.calls.total() + 2 * looks) / looks,  # and CodeBuild's two
        cpu=round(cpu / looks, 3),
        read_units=day.meter.read_units / looks,
        write_units=day.meter.write_units / looks,
        log_bytes=(len(day.log.getvalue()) - logged) / looks,
    )


def counted() -> Iterator[Counts]:
    """Count idle days, and days of changes, of a small company and of a large one."""
    looks = [measured(devices) for devices in (1000, 20_000)]
    for changes in (0, CHANGES):
        builds = builds_of_a_day(changes)
        yield from (each._replace(changes=changes, builds=builds) for each in looks)


def stacks() -> Stacks:
    """Read from the templates what they make for two gateways and the users of their account."""
    templates = [load(name)["Resources"] for name in ("gateway_account", "identity_account.yml")]
    alarms = sum(each["Type"] == "AWS::CloudWatch::Alarm" for resources in templates for each in resources.values())
    memory = templates[0]["Sweeper"]["Properties"]["MemorySize"]
    return Stacks(alarms, metrics=len(("SweepAge", "ReconcileFails", "StartsRefused")), memory=memory)


def page() -> str:
    """Return the page with the table of what was counted last."""
    counted = [Counts(**each) for each in json.loads(COUNTS.read_text())]
    return TABLE.sub(lambda _found: table(counted, stacks()), PAGE.read_text())


def main() -> int:
    """Count, and keep the counts and the page."""
    COUNTS.write_text(json.dumps([each._asdict() for each in counted()], indent=1) + "\n")
    PAGE.write_text(page())
    return 0


if __name__ == "__main__":
    sys.exit(main())
