# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What the page says of cost is what was counted, with what the templates make now."""

from __future__ import annotations

import json

from tests.bench import cost
from tests.bench.prices import Counts, Stacks, bill

STACKS = Stacks(alarms=10, metrics=3, memory=512)
DAY = Counts(
    devices=1, changes=0, looks=1440, builds=4, calls=10, cpu=0.2, read_units=100, write_units=1, log_bytes=650
)


def test_page_has_the_table_of_what_was_counted_last() -> None:
    assert cost.PAGE.read_text() == cost.page(), "run make cost"


def test_idle_month_at_1000_devices_is_ten_dollars_at_most_and_an_idle_day_has_few_builds() -> None:
    counted = [Counts(**each) for each in json.loads(cost.COUNTS.read_text())]
    idle, busy = (next(each for each in counted if each.devices == 1000 and bool(each.changes) is is_busy)
                  for is_busy in (False, True))  # fmt: skip
    assert sum(bill(idle, cost.stacks()).values()) <= 10
    assert idle.builds <= 4
    assert idle.builds < busy.builds <= busy.changes + 4


def test_bill_is_units_times_prices() -> None:
    assert {what: round(usd, 2) for what, usd in bill(DAY, STACKS).items()} == {
        "the sweeper's looks (Lambda)": 0.37,  # 43,200 x (0.2 s x 1769 / 512 + 10 x 0.03 s) x 0.5 GB
        "its reads and writes (DynamoDB)": 0.57,  # 43,200 x (100 x 0.125 + 0.625) USD a million
        "builds (CodeBuild)": 1.2,  # 120 x 2 min
        "alarms and metrics (CloudWatch)": 1.9,
        "the sweeper's log (CloudWatch)": 0.02,
        "waiting at three queues (SQS)": 0.36,
    }
