# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Resources that carry given tags."""

from __future__ import annotations

from typing import Any, Iterable, Mapping

from ..aws import calling
from .zones import Zone

_TYPES = ("servicediscovery", "elasticloadbalancing:loadbalancer", "ecs:service")
_ZONES_A_CALL = 10  # ListTagsForResources' most


def tagged_arns(tagging: Any, tags: Mapping[str, str]) -> set[str]:
    """Return the ARNs of everything of the region that has all these tags.

    These are Cloud Map namespaces and services, load balancers and ECS services.

    :raises AWSCallError: any page failed.
    """
    filters = [{"Key": key, "Values": [value]} for key, value in tags.items()]
    with calling("tag:GetResources", "the resources of this region"):
        pages = tagging.get_paginator("get_resources").paginate(TagFilters=filters, ResourceTypeFilters=list(_TYPES))
        return {resource["ResourceARN"] for page in pages for resource in page["ResourceTagMappingList"]}


def tagged_zones(route53: Any, zones: Iterable[Zone], tags: Mapping[str, str]) -> set[str]:
    """Return the ids of those zones that have all these tags.

    :raises AWSCallError: a call failed.
    """
    ids = [zone.zone_id for zone in zones]
    tagged = set()
    for start in range(0, len(ids), _ZONES_A_CALL):
        with calling("route53:ListTagsForResources", "the private zones"):
            answer = route53.list_tags_for_resources(
                ResourceType="hostedzone", ResourceIds=ids[start : start + _ZONES_A_CALL]
            )
        for tag_set in answer["ResourceTagSets"]:
            if tags.items() <= {tag["Key"]: tag["Value"] for tag in tag_set["Tags"]}.items():
                tagged.add(tag_set["ResourceId"])
    return tagged
