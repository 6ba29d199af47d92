# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""ECS services: their state, and the registries that name their tasks."""

from __future__ import annotations

from typing import Any, Mapping, NamedTuple

from ..aws import calling

_DESCRIBED = 10  # DescribeServices' most in one call


class EcsService(NamedTuple):
    """An ECS service. `registries` are ARNs of Cloud Map services; `balanced` says that a load balancer names it."""

    arn: str
    name: str
    cluster: str
    state: str
    desired: int
    running: int
    pending: int
    registries: tuple[str, ...]
    balanced: bool


def ecs_services(ecs: Any) -> list[EcsService]:
    """List the services of every cluster of the region, ordered by cluster and name.

    :raises AWSCallError: any page failed.
    """
    with calling("ecs:ListClusters", "the ECS clusters of this region"):
        clusters = [arn for page in ecs.get_paginator("list_clusters").paginate() for arn in page["clusterArns"]]
    described = [service for cluster in clusters for service in _of_cluster(ecs, cluster)]
    return sorted(described, key=lambda service: (service.cluster, service.name))


def _of_cluster(ecs: Any, cluster: str) -> list[EcsService]:
    with calling("ecs:ListServices", f"cluster {cluster}"):
        pages = ecs.get_paginator("list_services").paginate(cluster=cluster, PaginationConfig={"PageSize": 100})
        arns = [arn for page in pages for arn in page["serviceArns"]]
    described = []
    for start in range(0, len(arns), _DESCRIBED):
        with calling("ecs:DescribeServices", f"cluster {cluster}"):
            answer = ecs.describe_services(cluster=cluster, services=arns[start : start + _DESCRIBED])
        described += answer["services"]  # one that was deleted since it was listed is among its failures
    return [_service(service) for service in described]


def _service(described: Mapping[str, Any]) -> EcsService:
    return EcsService(
        arn=described["serviceArn"],
        name=described["serviceName"],
        cluster=described["clusterArn"].rpartition("/")[2],
        state=described["status"],
        desired=described["desiredCount"],
        running=described["runningCount"],
        pending=described["pendingCount"],
        registries=tuple(registry["registryArn"] for registry in described.get("serviceRegistries", ())),
        balanced=bool(described.get("loadBalancers")),
    )
