# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils.client.host import Needs, needs

ZONE = ["internal.example"]


def of(*found: str, **changes: Any) -> Needs:
    usual = {"dns": "auto", "domains": ZONE, "full_tunnel": False, "networks": ["10.20.0.0/16"]}
    return needs(found, **{**usual, "answers_other_names": True, **changes})


@pytest.mark.parametrize(
    ("found", "changes", "dns"),
    [
        (["systemd-resolved", "resolvconf"], {}, "resolved"),
        (["resolvectl", "resolvconf"], {}, "line"),
        (["resolvectl"], {}, "unknown"),
        ([], {"domains": []}, "none"),
        ([], {"domains": [], "full_tunnel": True}, "unknown"),
        (["systemd-resolved"], {"dns": "line"}, "line"),
        (["systemd-resolved"], {"dns": "none"}, "none"),
        ([], {"dns": "resolved"}, "resolved"),
    ],
)
def test_host_is_told_of_dns_servers_by_what_it_has_unless_it_is_said(
    found: list[str], changes: dict[str, Any], dns: str
) -> None:
    assert of(*found, **changes).dns == dns


@pytest.mark.parametrize(
    ("found", "changes", "dns"),
    [
        (["systemd-resolved", "resolvconf"], {}, "resolved"),
        (["resolvconf"], {}, "exclusive"),
        (["resolvconf"], {"dns": "line"}, "exclusive"),
        (["systemd-resolved"], {"full_tunnel": True}, "exclusive"),
        (["resolvconf"], {"full_tunnel": True, "dns": "none"}, "none"),
        (["resolvconf"], {"domains": []}, "none"),
        ([], {}, "unknown"),
    ],
)
def test_r18_host_that_would_lose_all_other_names_is_told_of_none(
    found: list[str], changes: dict[str, Any], dns: str
) -> None:
    assert of(*found, answers_other_names=False, **changes).dns == dns


@pytest.mark.parametrize(
    ("found", "changes", "packages"),
    [
        ([], {}, ["wireguard-tools"]),
        (["wg-quick"], {}, []),
        (["wg-quick"], {"dns": "resolved"}, ["systemd-resolved"]),
        (["wg-quick"], {"dns": "line"}, ["openresolv"]),
        (["wg-quick", "resolvconf"], {"dns": "line"}, []),
        (["wg-quick"], {"full_tunnel": True, "dns": "none"}, ["nftables", "procps"]),
        (["wg-quick", "nft"], {"networks": ["10.20.0.0/16", "::/0"]}, ["procps"]),
    ],
)
def test_packages_of_what_is_missing_are_named(found: list[str], changes: dict[str, Any], packages: list[str]) -> None:
    assert of(*found, **changes).packages == packages
