# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What moto's load balancers leave out: health checks. Whatever is registered is healthy to moto.

Who checks a target says what was found in a tag of its target group, HEALTH_TAG and the target's id: `unhealthy`, or
`unhealthy: Connection refused`. DescribeTargetHealth then answers so.
"""

from __future__ import annotations

from typing import Any

from moto.elbv2.models import ELBv2Backend, FakeHealthStatus

HEALTH_TAG = "health-check/"
_as_moto_has_it = ELBv2Backend.describe_target_health


def _describe_target_health(self: ELBv2Backend, target_group_arn: str, targets: list[dict[str, Any]]) -> Any:
    found = _as_moto_has_it(self, target_group_arn, targets)
    tags = self.tagging_service.get_tag_dict_for_resource(target_group_arn)
    return [_checked(one, tags.get(f"{HEALTH_TAG}{one.instance_id}", "healthy")) for one in found]


def _checked(found: FakeHealthStatus, outcome: str) -> FakeHealthStatus:
    state, _colon, description = outcome.partition(": ")
    if found.status != "healthy" or state == "healthy":
        return found
    return FakeHealthStatus(
        found.instance_id, found.port, found.health_check_port, state, "Target.FailedHealthChecks", description or None
    )


def complete() -> None:
    """Put this in place of moto's, in this process."""
    ELBv2Backend.describe_target_health = _describe_target_health  # type: ignore[method-assign]  # that is the point
