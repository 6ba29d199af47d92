#!/usr/bin/python
# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: iam_trails_info
version_added: 0.1.0
short_description: Lists the CloudTrail trails of an account, and whether they see changes of IAM
description:
  - EventBridge gets IAM's events through CloudTrail, and only where a trail logs management events that write.
  - Give it the region that IAM's events are in, V(us-east-1).
author:
  - Tracklib (@tracklib)
options:
  account_id:
    description: The AWS account that the credentials must belong to, 12 digits.
    type: str
    required: true
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
  - tracklib.vpn.attributes
  - tracklib.vpn.attributes.actiongroup_aws
  - tracklib.vpn.attributes.info_module
"""

EXAMPLES = r"""
- name: Read the trails
  tracklib.vpn.iam_trails_info:
    account_id: "111122223333"
    region: us-east-1
  register: found

- name: Check that one sees changes of IAM
  ansible.builtin.assert:
    that: found.trails | selectattr('logs_iam_changes') | length > 0
"""

RETURN = r"""
trails:
  description: The trails that log in the region, those of other regions and of the organization among them.
  returned: success
  type: list
  elements: dict
  contains:
    arn:
      description: ARN of the trail.
      type: str
      sample: arn:aws:cloudtrail:us-east-1:111122223333:trail/management
    logs_iam_changes:
      description: Whether it logs every change of IAM. An organization's trail of another account is taken to.
      type: bool
    fault:
      description: Why it doesn't, or why that can't be told; null if it does.
      type: str
      sample: its logging is off
"""

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.tracklib.vpn.plugins.module_utils.aws_module import (
    check_credentials,
    client,
    one_line_failures,
)
from ansible_collections.tracklib.vpn.plugins.module_utils.iam.trails import iam_trails


def main() -> None:
    module = AnsibleAWSModule(argument_spec={"account_id": {"type": "str", "required": True}}, supports_check_mode=True)
    with one_line_failures(module):
        check_credentials(module)
        trails = iam_trails(client(module, "cloudtrail"), module.params["account_id"])
    module.exit_json(
        changed=False, trails=[{**trail._asdict(), "logs_iam_changes": trail.fault is None} for trail in trails]
    )


if __name__ == "__main__":
    main()
