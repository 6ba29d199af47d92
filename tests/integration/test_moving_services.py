# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The examples of docs/moving-services.md are complete, and do what it says."""

from __future__ import annotations

import json
import re
from typing import Any

from .names import ROOT, ZONE, Account, Playbook

GUIDE = (ROOT / "docs/moving-services.md").read_text()
EXAMPLES = ROOT / "docs/examples"


def _address(account: Account, name: str) -> list[str]:
    return [at["address"] for at in account.names()[name]["addresses"]]


def test_ecs_service_of_the_ansible_example_is_registered_under_its_name(account: Account, playbook: Playbook) -> None:
    group = account.ec2.create_security_group(GroupName="tasks", Description="tasks", VpcId=account.vpc)["GroupId"]
    options = {"vpc_id": account.vpc, "subnets": account.subnets, "security_groups": [group]}
    options["vpn_aws_options"] = {"endpoint_url": account.client("ec2").meta.endpoint_url}
    playbook("docs/examples/ecs_service.yml", **options)
    (service,) = account.info(vpc_id=account.vpc)["ecs_services"]
    assert (service["name"], service["desired"], service["names"]) == ("api", 2, [f"api.{ZONE}"])
    assert account.names()[f"api.{ZONE}"]["ttl"] == 15


def test_ec2_host_of_the_example_keeps_its_name_when_it_is_replaced(account: Account, playbook: Playbook) -> None:
    def run() -> dict[str, Any]:
        tags = [{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": "build-host"}]}]
        common = {"ImageId": "ami-12c6146b", "MinCount": 1, "MaxCount": 1, "SubnetId": account.subnets[0]}
        instance: dict[str, Any] = account.ec2.run_instances(**common, TagSpecifications=tags)["Instances"][0]
        return instance

    def bring_in_line(*arguments: str) -> str:
        return playbook("names", "-e", f"@{EXAMPLES / 'ec2_host.yml'}", *arguments, names_vpc_id=account.vpc)

    first = run()
    assert "would change" in bring_in_line("--check", "--diff")
    bring_in_line()
    assert _address(account, f"build.{ZONE}") == [first["PrivateIpAddress"]]
    account.ec2.terminate_instances(InstanceIds=[first["InstanceId"]])
    second = run()
    bring_in_line()
    assert _address(account, f"build.{ZONE}") == [second["PrivateIpAddress"]]
    assert "no change" in bring_in_line()


def test_name_for_a_load_balancer_is_made_by_the_command_of_the_guide(account: Account) -> None:
    found = re.search(r"--change-batch '(\{.*?\})'\n", GUIDE, re.DOTALL)
    assert found
    zone = account.zone()
    account.client("route53").change_resource_record_sets(HostedZoneId=zone, ChangeBatch=json.loads(found[1]))
    assert account.names()[f"web.{ZONE}"]["types"] == ["CNAME"]


def test_guide_quotes_the_examples_as_they_are() -> None:
    examples = [path.read_text() for path in sorted(EXAMPLES.iterdir())]
    quoted = re.findall(r"```yaml\n(?:# .*\n)?(.*?)```", GUIDE, re.DOTALL)
    assert len(quoted) == 2
    for block in quoted:
        assert any(block in text for text in examples), block
