# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Networks that a device is in already, as systems tell of them, and what is left of the tunnel's."""

from __future__ import annotations

import ipaddress
import json

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils.client.overlap import (
    Attached,
    bsd_routes,
    hidden,
    linux_routes,
    taken,
    without,
)

# `ip -json route show` of a laptop at home with a company's static route, Docker and a host route
LINUX = json.dumps(
    [
        {"dst": "default", "gateway": "192.168.1.1", "dev": "wlan0", "protocol": "dhcp", "metric": 600, "flags": []},
        {"dst": "10.9.0.0/16", "gateway": "192.168.1.254", "dev": "wlan0", "flags": []},
        {"dst": "169.254.0.0/16", "dev": "wlan0", "scope": "link", "metric": 1000, "flags": []},
        {"dst": "172.17.0.0/16", "dev": "docker0", "protocol": "kernel", "scope": "link", "flags": ["linkdown"]},
        {"dst": "192.168.1.0/24", "dev": "wlan0", "protocol": "kernel", "scope": "link", "metric": 600, "flags": []},
        {"dst": "192.168.1.7", "dev": "wlan0", "scope": "link", "flags": []},
        {"type": "unreachable", "dst": "10.8.0.0/16", "dev": "lo", "flags": []},
    ]
)
LINUX_6 = json.dumps(
    [
        {"dst": "2001:db8:1::/64", "dev": "wlan0", "protocol": "ra", "metric": 600, "flags": [], "pref": "medium"},
        {"dst": "fe80::/64", "dev": "wlan0", "protocol": "kernel", "metric": 256, "flags": [], "pref": "medium"},
        {"dst": "default", "gateway": "fe80::1", "dev": "wlan0", "protocol": "ra", "metric": 600, "flags": []},
    ]
)
# `netstat -rn -f inet` of macOS; the form is that of netstat(1), no test runs on macOS
MACOS = """Routing tables

Internet:
Destination        Gateway            Flags               Netif Expire
default            192.168.1.1        UGScg                 en0
10                 link#9             UCS                 utun3
10.9/16            192.168.1.254      UGSc                  en0
10.0.1/26          link#12            UCS                   en5
127                127.0.0.1          UCS                   lo0
127.0.0.1          127.0.0.1          UH                    lo0
169.254            link#6             UCS                   en0      !
172.17             link#11            UC                bridge0      !
192.168.1          link#6             UCS                   en0      !
192.168.1.1/32     link#6             UCS                   en0      !
192.168.1.1        a4:91:b1:0:0:1     UHLWIir               en0   1192
224.0.0/4          link#6             UmCS                  en0      !
"""
HOME = Attached(ipaddress.ip_network("192.168.1.0/24"), "wlan0")


def seen(found: list[Attached]) -> dict[str, str]:
    return {str(one.network): one.interface for one in found}


def test_linux_names_the_networks_that_it_is_in() -> None:
    assert seen(list(linux_routes(LINUX))) == {"172.17.0.0/16": "docker0", "192.168.1.0/24": "wlan0"}
    assert seen(list(linux_routes(LINUX_6))) == {"2001:db8:1::/64": "wlan0"}
    assert list(linux_routes("")) == []


def test_macos_names_the_networks_that_it_is_in() -> None:
    assert seen(list(bsd_routes(MACOS))) == {
        "10.0.0.0/8": "utun3",
        "10.0.1.0/26": "en5",
        "172.17.0.0/16": "bridge0",
        "192.168.1.0/24": "en0",
    }


def test_what_is_no_table_of_routes_names_no_network() -> None:
    with pytest.raises(ValueError, match="Expecting"):
        list(linux_routes("Option -json is unknown"))
    assert list(linux_routes('[{"dev": "y"}, {"dst": "x", "dev": "y"}]')) == []
    assert list(bsd_routes("route: command not found\n")) == []


@pytest.mark.parametrize(
    ("network", "is_taken", "is_hidden"),
    [
        ("192.168.1.0/24", True, True),
        ("192.168.1.128/25", True, False),
        ("192.168.0.0/16", False, True),  # the smaller one wins
        ("192.168.2.0/24", False, False),
        ("0.0.0.0/0", False, False),  # as everybody expects of it
        ("fd44::/64", False, False),
    ],
)
def test_tunnel_takes_what_lies_in_a_network_that_the_machine_is_in(
    network: str, is_taken: bool, is_hidden: bool
) -> None:
    assert taken([network], [HOME]) == ([(network, HOME)] if is_taken else [])
    assert hidden([network], [HOME]) == ([HOME] if is_hidden else [])


@pytest.mark.parametrize(
    ("excluded", "left"),
    [
        ([], ["10.0.0.0/8", "fd44::/64"]),
        (["10.0.0.0/8"], ["fd44::/64"]),
        (["0.0.0.0/0", "::/0"], []),
        (["10.128.0.0/9"], ["10.0.0.0/9", "fd44::/64"]),
        (["192.168.1.0/24"], ["10.0.0.0/8", "fd44::/64"]),
    ],
)
def test_what_is_excluded_is_cut_out(excluded: list[str], left: list[str]) -> None:
    assert without(["10.0.0.0/8", "fd44::/64"], excluded) == left


def test_what_is_no_network_to_exclude_is_named() -> None:
    with pytest.raises(ValueError, match=r"network to exclude is not a network in CIDR form: .* has host bits set"):
        without(["10.0.0.0/8"], ["10.0.0.1/8"])
