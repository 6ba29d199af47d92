# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What AWS takes for what was counted. Pure.

Prices of US East (N. Virginia), without the free tier, as of 2026-11; docs/cost.md says where they stand.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

DAYS = 30  # of a month
_GB_SECOND = 0.0000166667  # USD; of Lambda on x86
_INVOCATION = 0.20 / 1e6
_READ_UNIT, _WRITE_UNIT = 0.125 / 1e6, 0.625 / 1e6
_BUILD_MINUTE = 0.005  # of general1.small
_ALARM, _METRIC = 0.10, 0.30  # a month
_LOG_GB = 0.50
_SQS_REQUEST = 0.40 / 1e6


class Counts(NamedTuple):
    """What a day has, with so many devices and changes."""

    devices: int
    changes: int
    looks: int  # of the sweeper
    builds: int
    calls: float  # a look's, to AWS
    cpu: float  # seconds of a look, on one core of the machine that measured
    read_units: float  # of DynamoDB, a look's
    write_units: float
    log_bytes: float  # a look's


class Stacks(NamedTuple):
    """What the templates make, whatever happens."""

    alarms: int
    metrics: int  # that are published all the time
    memory: int  # MB, of the sweeper


ANSWER = 0.03  # seconds that a call of the sweeper waits for AWS; assumed
BUILD_MINUTES = 2  # that a build is charged for; assumed: download, start and run within the second minute
_CORE = 1769  # MB of memory that come with a whole core
_PLATFORM_LOG = 350  # bytes of START, END and REPORT
_POLLS = (5 + 2) * 86400 / 20  # of the dispatcher's queue, by Lambda's 5 pollers, and of two gateways' by listeners


def bill(counts: Counts, stacks: Stacks) -> dict[str, float]:
    """Return what a month of such days costs, in USD, by what it is for."""
    looks, builds = counts.looks * DAYS, counts.builds * DAYS
    seconds = counts.cpu * max(1.0, _CORE / stacks.memory) + counts.calls * ANSWER
    return {
        "the sweeper's looks (Lambda)": looks * (_INVOCATION + seconds * stacks.memory / 1024 * _GB_SECOND),
        "its reads and writes (DynamoDB)": looks * (counts.read_units * _READ_UNIT + counts.write_units * _WRITE_UNIT),
        "builds (CodeBuild)": builds * BUILD_MINUTES * _BUILD_MINUTE,
        "alarms and metrics (CloudWatch)": stacks.alarms * _ALARM + stacks.metrics * _METRIC,
        "the sweeper's log (CloudWatch)": looks * (counts.log_bytes + _PLATFORM_LOG) / 1e9 * _LOG_GB,
        "waiting at three queues (SQS)": _POLLS * DAYS * _SQS_REQUEST,
    }


def table(counted: Sequence[Counts], stacks: Stacks) -> str:
    """Return in Markdown what months cost, and what was counted for it."""
    days = [
        f"{each.devices:,} devices, {f'{each.changes} changes a day' if each.changes else 'idle'}" for each in counted
    ]
    bills = [bill(each, stacks) for each in counted]
    lines = [["USD a month", *days]]
    lines += [[what, *(f"{each[what]:.2f}" for each in bills)] for what in bills[0]]
    lines += [["**together**", *(f"**{sum(each.values()):.2f}**" for each in bills)]]
    lines += [["builds a day", *(f"{each.builds}" for each in counted)]]
    lines += [["a look's calls to AWS", *(f"{each.calls:.0f}" for each in counted)]]
    lines += [["a look's read units", *(f"{each.read_units:,.0f}" for each in counted)]]
    lines += [["a look's processor time, s, on a whole core", *(f"{each.cpu:.2f}" for each in counted)]]
    lines.insert(1, ["---", *("---:" for _day in days)])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
