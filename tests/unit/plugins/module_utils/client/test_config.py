# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The configuration text of a device."""

from __future__ import annotations

import ipaddress
import re
import string
from typing import Any

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils import keys
from ansible_collections.tracklib.vpn.plugins.module_utils.client.config import (
    ClientTunnel,
    DnsFlavour,
    dns_flavour,
    render,
    shown,
)
from hypothesis import given
from hypothesis import strategies as st

PRIVATE, PUBLIC = keys.generate()
TUNNEL = ClientTunnel(
    addresses=["10.44.0.2", "fd44::2"],
    gateway_public_key=PUBLIC,
    endpoint="vpn.example.com:51820",
    networks=["10.20.0.0/16"],
    dns_servers=["10.44.0.1", "fd44::1"],
    domains=["internal.example", "corp"],
)
NETWORKS_AND_DNS = "10.20.0.0/16, 10.44.0.1/32, fd44::1/128"


def settings(text: str) -> list[tuple[str, str]]:
    """Headings and settings, read as wg-quick reads them."""
    found = []
    for line in text.splitlines():
        name, _equals, value = line.partition("#")[0].partition("=")
        if name.strip():
            found.append((name.strip(), value.strip()))
    return found


def test_line_for_apps_names_servers_and_domains() -> None:
    text = render(TUNNEL._replace(dns=DnsFlavour.LINE), private_key=PRIVATE)
    assert settings(text) == [
        ("[Interface]", ""),
        ("Address", "10.44.0.2/32, fd44::2/128"),
        ("PrivateKey", PRIVATE),
        ("MTU", "1420"),
        ("DNS", "10.44.0.1, fd44::1, internal.example, corp"),
        ("[Peer]", ""),
        ("PublicKey", PUBLIC),
        ("Endpoint", "vpn.example.com:51820"),
        ("AllowedIPs", NETWORKS_AND_DNS),
        ("PersistentKeepalive", "25"),
    ]


def test_r10_key_in_a_file_stays_out_of_the_text_and_resolved_asks_for_the_domains_only() -> None:
    text = render(
        TUNNEL._replace(dns=DnsFlavour.RESOLVED, mtu=1380, keepalive=0), private_key_file="/etc/wireguard/vpn0.key"
    )
    assert settings(text) == [
        ("[Interface]", ""),
        ("Address", "10.44.0.2/32, fd44::2/128"),
        ("MTU", "1380"),
        ("PostUp", "wg set %i private-key /etc/wireguard/vpn0.key"),
        ("PostUp", "resolvectl dns %i 10.44.0.1 fd44::1"),
        ("PostUp", "resolvectl domain %i '~internal.example' '~corp'"),
        ("PostUp", "resolvectl default-route %i false"),
        ("[Peer]", ""),
        ("PublicKey", PUBLIC),
        ("Endpoint", "vpn.example.com:51820"),
        ("AllowedIPs", NETWORKS_AND_DNS),
    ]


def test_full_tunnel_takes_everything_and_asks_the_tunnel_every_name() -> None:
    found = settings(render(TUNNEL._replace(dns=DnsFlavour.RESOLVED, full_tunnel=True, domains=[], networks=[])))
    assert ("AllowedIPs", "0.0.0.0/0, ::/0") in found
    assert ("PostUp", "resolvectl domain %i '~.'") in found
    assert ("PostUp", "resolvectl default-route %i true") in found


def test_without_dns_the_tunnel_still_leads_to_the_dns_servers() -> None:
    text = render(TUNNEL)
    assert ("AllowedIPs", NETWORKS_AND_DNS) in settings(text)
    assert "resolvectl" not in text
    assert "DNS =" not in text


@pytest.mark.parametrize(
    ("endpoint", "written"),
    [
        ("VPN.Example.com:51820", "vpn.example.com:51820"),
        ("198.51.100.12:1", "198.51.100.12:1"),
        ("[2001:DB8::c]:65535", "[2001:db8::c]:65535"),
    ],
)
def test_endpoint_is_a_name_or_an_address_with_a_port(endpoint: str, written: str) -> None:
    assert ("Endpoint", written) in settings(render(TUNNEL._replace(endpoint=endpoint)))


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"endpoint": "vpn.example.com"}, r"'vpn.example.com' has no port; expected HOST:PORT"),
        ({"endpoint": "vpn.example.com:0"}, "has no port"),
        ({"endpoint": "vpn.example.com:65536"}, "has no port"),
        ({"endpoint": "2001:db8::c:51820"}, "an IPv6 address in brackets"),
        ({"endpoint": "[fe80::1%eth0\nPostUp = x]:1"}, "not an IP address"),
        ({"endpoint": "$(reboot):51820"}, "doesn't name a host"),
        ({"endpoint": "256.1.1.1:51820"}, "not an IP address"),
        ({"addresses": []}, "no address for the device"),
        ({"addresses": ["10.44.0.2/32"]}, "address '10.44.0.2/32' is not an IP address"),
        ({"addresses": ["fe80::1%\nPostUp = reboot"]}, "not an IP address"),
        ({"dns_servers": ["10.44.0.1; reboot"]}, "DNS server '10.44.0.1; reboot' is not"),
        ({"networks": []}, "no networks"),
        ({"networks": ["10.20.0.1/16"]}, "host bits set"),
        ({"networks": ["fe80::%\nPostUp = reboot\n/64"]}, "not a network"),
        ({"domains": ["a'; reboot #"]}, "not a DNS name"),
        ({"domains": ["10.1"]}, "is an address"),
        ({"dns": DnsFlavour.LINE, "dns_servers": []}, "no DNS server"),
        ({"dns": DnsFlavour.RESOLVED, "domains": []}, "no domains"),
        ({"gateway_public_key": "A" * 43 + "="}, "the gateway: the public key is zero"),
        ({"mtu": 70000}, "mtu is 70000, expected 576 to 65535"),
        ({"keepalive": -1}, "keepalive is -1"),
    ],
)
def test_wrong_value_is_refused_by_name(wrong: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        render(TUNNEL._replace(**wrong))


def test_unknown_flavour_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="expected one of line, resolved, none"):
        dns_flavour("app")


@pytest.mark.parametrize("path", ["vpn0.key", "/etc/x y", "/etc/$(id)", "/etc/a;b", "/etc/%i", "/etc/a\nb", "/a#", ""])
def test_r15_path_of_the_key_is_never_a_shell_word(path: str) -> None:
    if path:
        with pytest.raises(ValueError, match="is refused"):
            render(TUNNEL, private_key_file=path)
    else:
        assert "PostUp" not in render(TUNNEL, private_key_file=path)


def test_r10_wrong_private_key_is_not_repeated() -> None:
    with pytest.raises(ValueError, match="the private key is not base64") as caught:
        render(TUNNEL, private_key=f"{PRIVATE}x")
    assert PRIVATE not in str(caught.value)


HOSTILE = st.one_of(
    st.text(max_size=30),
    st.text(string.digits + ".:[]/%ab\n\r'\";$#`~- \u2028\x0b", max_size=30),
    st.builds("{}{}{}".format, st.sampled_from(["10.0.0.1", "fe80::1%", "a.b", "~"]), st.text(max_size=9), st.text()),
)
ALLOWED_LINE = re.compile(
    r"# Managed by tracklib\.vpn; do not edit: changes are overwritten\.|\[Interface\]|\[Peer\]||MTU = 1420|"
    r"Address = [0-9a-f.:/, ]+|DNS = [0-9a-z_.:, -]+|PublicKey = [A-Za-z0-9+/]{43}=|Endpoint = [0-9a-z.:\[\]-]+|"
    r"AllowedIPs = [0-9a-f.:/, ]+|PersistentKeepalive = 25|PostUp = wg set %i private-key [A-Za-z0-9_+./-]+|"
    r"PostUp = resolvectl dns %i [0-9a-f.: ]+|PostUp = resolvectl domain %i( '~[0-9a-z_.-]+')+|"
    r"PostUp = resolvectl default-route %i (true|false)"
)


@given(
    field=st.sampled_from(["addresses", "networks", "dns_servers", "domains", "endpoint", "private_key_file"]),
    value=HOSTILE,
    dns=st.sampled_from([DnsFlavour.LINE, DnsFlavour.RESOLVED]),
)
def test_r15_no_value_adds_a_line_or_a_command(field: str, value: str, dns: DnsFlavour) -> None:
    tunnel, key_file = TUNNEL._replace(dns=dns), "/etc/wireguard/vpn0.key"
    lines = render(tunnel, private_key_file=key_file).split("\n")
    try:
        if field == "private_key_file":
            text = render(tunnel, private_key_file=value or key_file)
        else:
            hostile: Any = value if field == "endpoint" else [*getattr(TUNNEL, field), value]
            text = render(tunnel._replace(**{field: hostile}), private_key_file=key_file)
    except ValueError:
        return
    assert len(text.split("\n")) == len(lines)
    for line in text.split("\n"):
        assert ALLOWED_LINE.fullmatch(line), line


IPV4 = st.ip_addresses(v=4).map(str)
IPV6 = st.ip_addresses(v=6).map(str)
NETWORK = st.builds(
    lambda address, length: str(ipaddress.ip_network(f"{address}/{length}", strict=False)), IPV4, st.integers(1, 32)
)
DOMAIN = st.from_regex(r"[a-z]([a-z0-9-]{0,8}[a-z0-9])?(\.[a-z][a-z0-9]{0,8}){0,3}", fullmatch=True)


@given(
    addresses=st.lists(IPV4 | IPV6, min_size=1, max_size=3),
    networks=st.lists(NETWORK, min_size=1, max_size=5),
    servers=st.lists(IPV4 | IPV6, min_size=1, max_size=3),
    domains=st.lists(DOMAIN, min_size=1, max_size=4),
    port=st.integers(1, 65535),
)
def test_what_is_rendered_reads_back_the_same(
    addresses: list[str], networks: list[str], servers: list[str], domains: list[str], port: int
) -> None:
    tunnel = ClientTunnel(addresses, PUBLIC, f"a.example:{port}", networks, servers, domains, dns=DnsFlavour.LINE)
    found = dict(settings(render(tunnel)))
    assert [address.split("/")[0] for address in found["Address"].split(", ")] == addresses
    assert found["DNS"].split(", ") == [*servers, *domains]
    assert found["Endpoint"] == f"a.example:{port}"
    allowed = [ipaddress.ip_network(text) for text in found["AllowedIPs"].split(", ")]
    wanted = [ipaddress.ip_network(text) for text in [*networks, *servers]]
    assert all(any(one.version == two.version and one.subnet_of(two) for two in allowed) for one in wanted)  # type: ignore[arg-type]  # same version
    assert sum(one.num_addresses for one in allowed) <= sum(one.num_addresses for one in wanted)


def test_r10_diff_shows_no_line_that_can_hold_a_key() -> None:
    foreign = f"PostUp = wg set %i private-key <(echo {PRIVATE})\nPresharedKey = {PRIVATE}\nAddress = 10.0.0.1/32\n"
    assert shown(foreign) == "Address = 10.0.0.1/32\n"
    assert PRIVATE not in shown(render(TUNNEL, private_key=PRIVATE))
    assert "AllowedIPs = " in shown(render(TUNNEL))
