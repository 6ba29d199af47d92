# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Resources that moto's CloudFormation skips: CodeBuild projects, policies of queues and buses, alarms, URLs.

Projects, queues' policies and alarms can be read afterwards by their own APIs; of the others only the stack knows.
And an update that changes nothing is told so also where a parameter is a list or a number, one may change a parameter
of what a condition leaves out, and a stack's protection from deletion can be changed.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from moto.awslambda.models import lambda_backends
from moto.cloudformation import parsing
from moto.cloudformation.models import Stack
from moto.cloudformation.responses import CloudFormationResponse
from moto.cloudwatch.models import cloudwatch_backends
from moto.codebuild.models import codebuild_backends
from moto.core.common_models import CloudFormationModel
from moto.core.responses import ActionResult
from moto.sqs.models import sqs_backends

Properties = dict[str, Any]
_update = parsing.parse_and_update_resource


class Place(NamedTuple):
    """Where a resource is made."""

    account_id: str
    region: str


class _Resource:
    """A resource of a kind that moto has no model for; `made` and `removed` tell the service of it."""

    kind: str
    name_property = ""
    made: Callable[[Properties, Place], object] = staticmethod(lambda _properties, _place: None)
    removed: Callable[[str, Place], object] = staticmethod(lambda _name, _place: None)

    def __init__(self, name: str, properties: Properties, place: Place) -> None:
        self.name = name
        self.properties = properties
        self.place = place

    @property
    def physical_resource_id(self) -> str:
        return self.name

    @classmethod
    def cloudformation_type(cls) -> str:
        return cls.kind

    @classmethod
    def cloudformation_name_type(cls) -> str:
        return cls.name_property

    @classmethod
    def has_cfn_attr(cls, attr: str) -> bool:
        return attr in ("Arn", "FunctionUrl")

    def get_cfn_attribute(self, attr: str) -> str:
        if attr == "FunctionUrl":
            function = str(self.properties["TargetFunctionArn"]).rpartition(":")[2]
            return f"https://{function}-{self.properties['Qualifier']}.lambda-url.{self.place.region}.on.aws/"
        service, kind = self.kind.split("::")[1:]
        resource = {"Project": "project", "ReportGroup": "report-group"}[kind]
        return f"arn:aws:{service.lower()}:{self.place.region}:{self.place.account_id}:{resource}/{self.name}"

    @classmethod
    def create_from_cloudformation_json(
        cls, name: str, definition: dict[str, Any], account_id: str, region: str, **_ignored: Any
    ) -> _Resource:
        properties, place = definition["Properties"], Place(account_id, region)
        cls.made({"Name": name, **properties}, place)
        return cls(name, properties, place)

    @classmethod
    def update_from_cloudformation_json(cls, **changed: Any) -> _Resource:
        return cls.create_from_cloudformation_json(
            changed["new_resource_name"],
            changed["cloudformation_json"],
            changed["account_id"],
            changed["region_name"],
        )

    @classmethod
    def delete_from_cloudformation_json(
        cls, name: str, _definition: dict[str, Any], account_id: str, region: str
    ) -> None:
        cls.removed(name, Place(account_id, region))

    def is_created(self) -> bool:
        return True


def _camel(value: Any) -> Any:
    """A template's property as CodeBuild's API writes it."""
    if isinstance(value, list):
        return [_camel(element) for element in value]
    if isinstance(value, dict):
        return {name[0].lower() + name[1:]: _camel(element) for name, element in value.items()}
    return value


def _make_project(properties: Properties, place: Place) -> None:
    backend = codebuild_backends[place.account_id][place.region]
    api = _camel(properties)
    source = {("buildspec" if name == "buildSpec" else name): value for name, value in api["source"].items()}
    logs = {"cloudWatchLogs": api["logsConfig"]["cloudWatchLogs"]}
    known = backend.create_project(
        api["name"], api["description"], source, api["artifacts"], api["environment"], api["serviceRole"], [],
        api["cache"], int(api["timeoutInMinutes"]), int(api["queuedTimeoutInMinutes"]), None, logs, api["vpcConfig"],
    )  # fmt: skip
    known["concurrentBuildLimit"] = int(api["concurrentBuildLimit"])


def _set_queue_policies(properties: Properties, place: Place) -> None:
    for url in properties["Queues"]:
        queue = sqs_backends[place.account_id][place.region].get_queue(str(url).rsplit("/", maxsplit=1)[-1])
        queue.policy = json.dumps(properties["PolicyDocument"])


def _make_alarm(properties: Properties, place: Place) -> None:
    cloudwatch_backends[place.account_id][place.region].put_metric_alarm(
        name=properties["AlarmName"],
        namespace=properties["Namespace"],
        metric_name=properties["MetricName"],
        metric_data_queries=None,
        comparison_operator=properties["ComparisonOperator"],
        evaluation_periods=int(properties["EvaluationPeriods"]),
        datapoints_to_alarm=None,
        period=int(properties["Period"]),
        threshold=float(properties["Threshold"]),
        statistic=properties["Statistic"],
        extended_statistic=None,
        description=properties["AlarmDescription"],
        dimensions=properties["Dimensions"],
        alarm_actions=properties["AlarmActions"],
        ok_actions=properties["OKActions"],
        treat_missing_data=properties["TreatMissingData"],
    )


def _make_alias(properties: Properties, place: Place) -> None:
    lambda_backends[place.account_id][place.region].create_alias(
        properties["Name"], str(properties["FunctionName"]), properties["FunctionVersion"], "", ""
    )


def _given_parameters(stack: Any) -> dict[str, Any]:
    """A stack's parameters as they were given: moto compares an update's with lists and numbers."""
    resolved = stack.resource_map.resolved_parameters
    return {name: ",".join(value) if isinstance(value, list) else str(value) for name, value in resolved.items()}


def _update_if_there(logical_id: str, resource_json: dict[str, Any], resources_map: Any, **where: Any) -> Any:
    """Change a resource, unless its condition leaves it out before and after."""
    return None if resources_map[logical_id] is None else _update(logical_id, resource_json, resources_map, **where)


def complete() -> None:
    """Make the emulator's CloudFormation know these, in this process."""
    CloudFormationResponse.update_termination_protection = _protect  # type: ignore[attr-defined]  # moto lacks it
    parsing.parse_and_update_resource = _update_if_there  # type: ignore[assignment]  # it takes moto's place
    Stack.stack_parameters = property(_given_parameters)  # type: ignore[assignment, method-assign]  # replaced on purpose
    kinds: tuple[tuple[str, str, Any, Any], ...] = (
        ("AWS::CloudWatch::Alarm", "AlarmName", _make_alarm, _remove_alarm),
        ("AWS::CodeBuild::Project", "Name", _make_project, _remove_project),
        ("AWS::CodeBuild::ReportGroup", "Name", None, None),
        ("AWS::Events::EventBusPolicy", "", None, None),
        ("AWS::Lambda::Alias", "", _make_alias, None),
        ("AWS::Lambda::Url", "", None, None),
        ("AWS::S3::BucketPolicy", "", None, None),
        ("AWS::SNS::Subscription", "", None, None),
        ("AWS::SNS::TopicPolicy", "", None, None),
        ("AWS::SQS::QueuePolicy", "", _set_queue_policies, None),
    )
    for kind, name_property, made, removed in kinds:
        members: dict[str, Any] = {"kind": kind, "name_property": name_property}
        if made:
            members["made"] = staticmethod(made)
        if removed:
            members["removed"] = staticmethod(removed)
        # found by moto among its model's subclasses
        type(kind.replace("::", ""), (_Resource, CloudFormationModel), members)
    for cached in (parsing.get_model_list, parsing.get_model_map, parsing.get_name_type_map):
        cached.cache_clear()


def _protect(response: CloudFormationResponse) -> ActionResult:
    stack = response.cloudformation_backend.get_stack(response.querystring["StackName"][0])
    stack.enable_termination_protection = response.querystring["EnableTerminationProtection"] == ["true"]
    return ActionResult({"StackId": stack.stack_id})


def _remove_project(name: str, place: Place) -> None:
    codebuild_backends[place.account_id][place.region].delete_project(name)


def _remove_alarm(name: str, place: Place) -> None:
    cloudwatch_backends[place.account_id][place.region].delete_alarms([name])
