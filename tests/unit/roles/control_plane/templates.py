# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The role's CloudFormation templates as data, and the policies in them with every reference filled in."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
import yaml
from ansible_collections.tracklib.vpn.plugins.module_utils.listener.queue import queue_name

ROLE = Path(__file__).parents[4] / "roles/control_plane"
FILES = ROLE / "files"
PARTS = sorted((FILES / "gateway_account").glob("*.yml"))  # of one stack, which the role merges
TEMPLATES = ["gateway_account", *sorted(path.name for path in FILES.glob("*.yml") if path.name != "buildspec.yml")]
_ACCOUNT, _REGION = "111122223333", "eu-west-1"
GATEWAY_ROLE = f"arn:aws:iam::{_ACCOUNT}:role/gateways/vpn-gateway"  # of an instance
LISTENERS = [
    {"name": name, "queue": queue_name("tracklib-vpn", name), "role_arn": GATEWAY_ROLE} for name in ("gw-1", "gw.two")
]
_GIVEN: dict[str, Any] = {
    "AWS::AccountId": _ACCOUNT,
    "AWS::Partition": "aws",
    "AWS::Region": _REGION,
    "BundleSha256": "b" * 64,
    "CodeBucket": "tracklib-vpn-code",
    "FunctionArn": f"arn:aws:lambda:{_REGION}:{_ACCOUNT}:function:tracklib-vpn-self-service",
    "GatewayAccount": _ACCOUNT,
    "GatewayRegion": _REGION,
    "GatewayRole": "vpn-gateway",
    "GatewayUser": "admin",
    "Listeners": [listener["queue"] for listener in LISTENERS],
    "IdentityAccounts": [_ACCOUNT, "444455556666"],
    "IdentityRoles": ["arn:aws:iam::444455556666:role/tracklib-vpn-forward"],
    "IdentityRules": ["arn:aws:events:us-east-1:444455556666:rule/tracklib-vpn-iam-events"],
    "InventorySha256": "c" * 64,
    "Name": "tracklib-vpn",
    "NamedRecords": ["*.internal.example"],
    "Operators": ["arn:aws:iam::111122223333:role/NetworkOperators"],
    "QueueArn": f"arn:aws:sqs:{_REGION}:{_ACCOUNT}:tracklib-vpn",
    "RegistryTable": "tracklib-vpn",
    "SweepRoles": ["arn:aws:iam::444455556666:role/tracklib-vpn-sweep"],
    "TableName": "tracklib-vpn",
    "VpcId": "vpc-0123456789abcdef0",
    "Writers": ["arn:aws:iam::111122223333:role/Operators"],
}
# the resource's part of an ARN, by the type of what is referred to
_ARNS = {
    "AWS::CodeBuild::Project": "codebuild:{region}:{account}:project/{name}",
    "AWS::CodeBuild::ReportGroup": "codebuild:{region}:{account}:report-group/{name}",
    "AWS::Events::EventBus": "events:{region}:{account}:event-bus/{name}",
    "AWS::Events::Rule": "events:{region}:{account}:rule/{name}",
    "AWS::Logs::LogGroup": "logs:{region}:{account}:log-group:{name}:*",
    "AWS::S3::Bucket": "s3:::{name}",
    "AWS::SNS::Topic": "sns:{region}:{account}:{name}",
    "AWS::SQS::Queue": "sqs:{region}:{account}:{name}",
}


class Policy(NamedTuple):
    """A policy document; `principals` is whether it says to whom it applies."""

    template: str
    resource: str
    document: dict[str, Any]
    principals: bool

    @property
    def label(self) -> str:
        return f"{self.template}: {self.resource}"

    @property
    def statements(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.document["Statement"]
        return found


def listeners() -> str:
    """The part of the gateways' stack that the role makes for the gateways in LISTENERS."""
    environment = jinja2.Environment(trim_blocks=True, undefined=jinja2.StrictUndefined, autoescape=False)
    environment.filters["to_json"] = json.dumps
    environment.filters["hash"] = lambda text, algorithm: hashlib.new(algorithm, text.encode()).hexdigest()
    template = (ROLE / "templates/listeners.yml.j2").read_text()
    return environment.from_string(template).render(_control_plane_listeners=LISTENERS)


def load(name: str) -> dict[str, Any]:
    template: dict[str, Any] = {}
    is_gateways = name == "gateway_account"
    parts = [*(path.read_text() for path in PARTS), listeners()] if is_gateways else [(FILES / name).read_text()]
    for part in parts:
        for section, content in yaml.safe_load(part).items():
            merged = {**template.get(section, {}), **content} if isinstance(content, dict) else content
            template[section] = merged
    return template


def policies(name: str) -> Iterator[Policy]:
    """Every policy of a template."""
    template = load(name)
    for logical_id, resource in template["Resources"].items():
        properties = _filled(resource.get("Properties", {}), template["Resources"])
        for document, principals in _documents(resource["Type"], properties):
            yield Policy(name, logical_id, document, principals)


def _documents(kind: str, properties: dict[str, Any]) -> Iterator[tuple[dict[str, Any], bool]]:
    if kind == "AWS::IAM::Role":
        yield properties["AssumeRolePolicyDocument"], True
        for policy in properties.get("Policies", ()):
            yield policy["PolicyDocument"], False
    elif kind in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"):
        yield properties["PolicyDocument"], False
    elif kind == "AWS::Events::EventBusPolicy":
        yield (
            {"Version": "2012-10-17", "Statement": [{"Sid": properties["StatementId"], **properties["Statement"]}]},
            True,
        )
    elif kind == "AWS::DynamoDB::Table":
        yield properties["ResourcePolicy"]["PolicyDocument"], True
    elif "PolicyDocument" in properties:
        yield properties["PolicyDocument"], True


def _filled(node: Any, resources: dict[str, Any]) -> Any:
    """A part of a template with its functions carried out; of a condition, what holds if it is true."""
    if isinstance(node, list):
        return [_filled(element, resources) for element in node if element != {"Ref": "AWS::NoValue"}]
    if not isinstance(node, dict):
        return node
    if len(node) == 1:
        ((function, argument),) = node.items()
        if function == "Ref":
            return _reference(argument, resources)
        if function == "Fn::GetAtt":
            return _attribute(argument[0], argument[1], resources)
        if function == "Fn::Sub":
            return _substituted(argument, resources)
        if function == "Fn::If":
            return _filled(argument[1], resources)
        if function == "Fn::Join":
            return argument[0].join(_filled(argument[1], resources))
        if function == "Fn::Split":
            return _filled(argument[1], resources).split(argument[0])
    return {key: _filled(value, resources) for key, value in node.items()}


def _reference(name: str, resources: dict[str, Any]) -> Any:
    if name in resources:
        return _attribute(name, "Arn", resources) if resources[name]["Type"] == "AWS::SNS::Topic" else name
    return _GIVEN.get(name, f"given-{name}")


def _attribute(name: str, attribute: str, resources: dict[str, Any]) -> str:
    form = _ARNS.get(resources[name]["Type"])
    if attribute != "Arn" or form is None:
        return f"sg-{'0' * 17}" if attribute == "GroupId" else f"{name}.{attribute}"
    return "arn:aws:" + form.format(region=_REGION, account=_ACCOUNT, name=name)


def _substituted(text: str, resources: dict[str, Any]) -> str:
    def value(match: re.Match[str]) -> str:
        name, _dot, attribute = match[1].partition(".")
        return _attribute(name, attribute, resources) if attribute else str(_reference(name, resources))

    return re.sub(r"\$\{([^}]+)\}", value, text)
