#!/usr/bin/python
# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: enrollment
version_added: 0.1.0
short_description: Registers, renews, rotates and removes one's own device
description:
  - Calls the self-service function with the AWS credentials of an IAM user, who needs no permission on the registry.
  - Runs where these credentials are, which need not be the device. Only the device's public key is needed.
  - The credentials must be the IAM user's own, such as access keys, an MFA session made with them, or C(aws login).
    Sessions of roles (single sign-on, instance profiles) are refused.
author:
  - Tracklib (@tracklib)
options:
  state:
    description:
      - V(present) registers the device, and renews it once more than half of its life is over. A device that lives an
        hour or longer can so be renewed 30 minutes before it expires.
      - V(absent) removes the registration. Its key stays reserved for the same user.
    type: str
    choices: [present, absent]
    default: present
  device:
    description: Name of the device, 1 to 32 lower-case letters, digits and hyphens.
    type: str
    required: true
  public_key:
    description: The device's public key, as C(wg pubkey) prints it. Required for V(present).
    type: str
  rotate:
    description:
      - Whether a device that has another key gets O(public_key), and so loses the tunnel that it has. Otherwise that is
        refused, since it may be another machine of the same name.
    type: bool
    default: false
  function_arn:
    description: ARN of the self-service function, without alias. The proof of identity is for this function only.
    type: str
    required: true
  manage_url:
    description: URL of the function's alias C(manage).
    type: str
    required: true
  renew_url:
    description: URL of the function's alias C(renew). Policies can demand a fresh MFA session for it.
    type: str
    required: true
  sts_url:
    description: Address of STS, when it isn't AWS's own in the function's region. The function must have the same.
    type: str
  gateway:
    description: Endpoint, C(HOST:PORT), of the gateway to return, when the VPN has several. By default the first.
    type: str
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
  - tracklib.vpn.attributes
  - tracklib.vpn.attributes.actiongroup_aws
attributes:
  check_mode:
    support: full
    details: A device that isn't registered yet has no addresses then.
  diff_mode:
    support: full
  idempotent:
    support: full
"""

EXAMPLES = r"""
- name: Register this laptop, or renew it
  tracklib.vpn.enrollment:
    profile: alice
    device: laptop
    public_key: "{{ client_public_key }}"
    function_arn: arn:aws:lambda:eu-west-1:111122223333:function:tracklib-vpn-self-service
    manage_url: https://abcdefghijklmnopqrstuvwxyz012345.lambda-url.eu-west-1.on.aws/
    renew_url: https://543210zyxwvutsrqponmlkjihgfedcba.lambda-url.eu-west-1.on.aws/
  register: enrolled

- name: Remove a phone that was lost
  tracklib.vpn.enrollment:
    state: absent
    device: phone
    function_arn: arn:aws:lambda:eu-west-1:111122223333:function:tracklib-vpn-self-service
    manage_url: https://abcdefghijklmnopqrstuvwxyz012345.lambda-url.eu-west-1.on.aws/
    renew_url: https://543210zyxwvutsrqponmlkjihgfedcba.lambda-url.eu-west-1.on.aws/
"""

RETURN = r"""
actions:
  description: What was done, or would be, of V(registered), V(rotated), V(renewed), V(removed).
  returned: success
  type: list
  elements: str
addresses:
  description: The device's addresses in the tunnel. Empty for a device that isn't registered.
  returned: success
  type: list
  elements: str
expires_at:
  description: When the registration expires, in seconds since the epoch. Null if it doesn't.
  returned: success
  type: int
renewable_from:
  description: From when it can be renewed, in seconds since the epoch. Null if it doesn't expire.
  returned: success
  type: int
unknown:
  description:
    - Whether the gateways didn't have the device as it is now, because it is new, has a new key, or had expired.
    - They have it at RV(in_force_from) at the latest.
  returned: success
  type: bool
in_force_from:
  description: When every gateway has the change at the latest, in seconds since the epoch. Null without a change.
  returned: success
  type: int
wait:
  description: How many seconds it may take until a gateway answers the device.
  returned: success
  type: int
public_key:
  description: The device's public key; of a removed device the one that it had. Null for one that isn't registered.
  returned: success
  type: str
gateway_public_key:
  description: Public key of the gateway.
  returned: success
  type: str
endpoint:
  description: What the device dials, C(HOST:PORT).
  returned: success
  type: str
networks:
  description: The networks that the user's groups may reach, in CIDR form.
  returned: success
  type: list
  elements: str
dns_servers:
  description: DNS servers in the tunnel.
  returned: success
  type: list
  elements: str
domains:
  description: Domains that these servers answer.
  returned: success
  type: list
  elements: str
answers_other_names:
  description: Whether these servers answer other names than private ones, and the device may ask them for every name.
  returned: success
  type: bool
mtu:
  description: The MTU of the gateways' interfaces, which the device's should have, too.
  returned: success
  type: int
  sample: 1420
expiring:
  description: The user's other devices that have lived more than half of their life, or have expired.
  returned: success
  type: list
  elements: dict
  contains:
    device:
      description: Name of the device.
      type: str
    expires_at:
      description: When it expires, in seconds since the epoch.
      type: int
code:
  description: The stable code of the reason, such as V(role_session) or V(blocked).
  returned: failure
  type: str
"""

import time
from typing import Any, Mapping

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.tracklib.vpn.plugins.module_utils.aws_module import (
    certificates,
    one_line_failures,
    session,
)
from ansible_collections.tracklib.vpn.plugins.module_utils.enroll.credentials import user_credentials
from ansible_collections.tracklib.vpn.plugins.module_utils.enroll.device import (
    Enrollment,
    checked,
    ensure_absent,
    ensure_present,
    gateway,
    mtu,
)
from ansible_collections.tracklib.vpn.plugins.module_utils.enroll.function import (
    Function,
    SelfServiceError,
    devices,
)


def _result(enrollment: Enrollment, endpoint: str | None) -> dict[str, Any]:
    device = enrollment.device or {}
    known = enrollment.device or enrollment.before or {}
    dialled = gateway(enrollment.tunnel, endpoint)
    return {
        "changed": bool(enrollment.actions),
        "actions": list(enrollment.actions),
        "addresses": device.get("addresses", []),
        "expires_at": device.get("expires_at"),
        "renewable_from": device.get("renewable_from"),
        "unknown": enrollment.unknown,
        "in_force_from": enrollment.in_force_from,
        "wait": enrollment.wait(time.time()),
        "public_key": known.get("public_key"),
        "gateway_public_key": dialled["public_key"],
        "endpoint": dialled["endpoint"],
        "networks": enrollment.tunnel["networks"],
        "dns_servers": enrollment.tunnel["dns_servers"],
        "domains": enrollment.tunnel["domains"],
        "answers_other_names": enrollment.tunnel.get("answers_other_names", False),
        "mtu": mtu(enrollment.tunnel),
        "expiring": [{"device": one["device"], "expires_at": one["expires_at"]} for one in enrollment.due],
        "diff": {"before": _shown(enrollment.before), "after": _shown(enrollment.device)},
    }


def _shown(device: Mapping[str, Any] | None) -> dict[str, Any]:
    return {} if device is None else {name: device[name] for name in ("device", "addresses", "expires_at")}


def run(module: AnsibleAWSModule) -> dict[str, Any]:
    params = module.params
    urls = (params["manage_url"], params["renew_url"], params["sts_url"])
    function = checked(Function(params["function_arn"], *urls, verify=certificates(module)))
    credentials = user_credentials(session(module))
    listed = devices(credentials, function)
    if params["state"] == "absent":
        done = ensure_absent(credentials, function, listed, params["device"], check_mode=module.check_mode)
        return _result(done, params["gateway"])
    done = ensure_present(
        credentials,
        function,
        listed,
        params["device"],
        params["public_key"],
        rotate=params["rotate"],
        check_mode=module.check_mode,
    )
    return _result(done, params["gateway"])


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec={
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "device": {"type": "str", "required": True},
            "public_key": {"type": "str", "no_log": False},
            "rotate": {"type": "bool", "default": False},
            "function_arn": {"type": "str", "required": True},
            "manage_url": {"type": "str", "required": True},
            "renew_url": {"type": "str", "required": True},
            "sts_url": {"type": "str"},
            "gateway": {"type": "str"},
        },
        required_if=[("state", "present", ["public_key"])],
        supports_check_mode=True,
    )
    with one_line_failures(module):
        try:
            result = run(module)
        except SelfServiceError as error:
            module.fail_json(msg=str(error), code=error.code)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
