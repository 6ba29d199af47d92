# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What this collection's files begin with, and which packages have the programs that it runs."""

from __future__ import annotations

MARKER = "# Managed by tracklib.vpn"
PACKAGES = {
    "ip": "iproute2",
    "nft": "nftables",
    "resolvconf": "openresolv",
    "resolvectl": "systemd-resolved",
    "sysctl": "procps",
    "systemctl": "systemd",
    "wg": "wireguard-tools",
    "wg-quick": "wireguard-tools",
}
