# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What moto's EventBridge does otherwise than AWS: an event keeps its whole envelope on the way to a queue or another
bus, and a rule that has a schedule and no pattern matches no event.
"""

from __future__ import annotations

import copy
from typing import Any

from moto.events.models import Rule, events_backends
from moto.utilities.arns import parse_arn

_to_other_targets = Rule.send_to_targets


def _send_to_targets(rule: Any, event: Any, transform_input: bool = True) -> None:
    if rule.scheduled_expression or not rule.event_pattern.matches_event(event):
        return
    targets = rule.targets
    buses = [target for target in targets if ":event-bus/" in target["Arn"]]
    rule.targets = [target for target in targets if target not in buses]
    transformed = transform_input and any("InputTransformer" in target for target in targets)
    sent: Any = {name: value for name, value in copy.deepcopy(event).items() if name != "ingestion-time"}
    try:
        _to_other_targets(rule, sent, transformed)
    finally:
        rule.targets = targets
    for bus in buses:
        arn = parse_arn(bus["Arn"])
        for other in events_backends[arn.account][arn.region].describe_event_bus(arn.resource_id).rules.values():
            other.send_to_targets(copy.deepcopy(event))


def complete() -> None:
    """Put this in place of moto's, in this process."""
    Rule.send_to_targets = _send_to_targets  # type: ignore[assignment, method-assign]  # replaced on purpose
