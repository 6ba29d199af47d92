# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What the script for users without Ansible makes of an answer of the function."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils.client.config import DEFAULT_MTU, DnsFlavour
from ansible_collections.tracklib.vpn.plugins.module_utils.enroll.device import Enrollment
from ansible_collections.tracklib.vpn.plugins.module_utils.enroll.script import client_tunnel

TUNNEL: dict[str, Any] = {
    "gateways": [{"endpoint": "vpn.example.com:51820", "public_key": "KEY"}],
    "networks": ["10.20.0.0/16"],
    "dns_servers": ["10.44.0.1"],
    "domains": [],
}


@pytest.mark.parametrize(("said", "mtu"), [({"mtu": 1380}, 1380), ({"mtu": 8921}, 8921), ({}, DEFAULT_MTU)], ids=str)
def test_device_has_the_mtu_of_the_gateways_and_the_usual_one_where_an_earlier_function_does_not_say_it(
    said: dict[str, int], mtu: int
) -> None:
    enrollment = Enrollment({"addresses": ["10.44.0.2"]}, None, (), False, None, {**TUNNEL, **said}, [])
    assert client_tunnel(enrollment, None, DnsFlavour.NONE).mtu == mtu
