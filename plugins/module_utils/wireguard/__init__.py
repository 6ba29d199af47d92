# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""A WireGuard gateway's own side: configuration text, live device, and the way from one to the other.

Runs on the gateway in two places, as the utilities of M(tracklib.vpn.wireguard_interface) and as the start, reload
and timer of `wg-quick@.service` (`python3 -I …/unit.py up wg0`). So it needs Python 3.8 and its standard library,
nothing else, and knows neither AWS nor Ansible. Rule numbers (R1 to R15) are those of docs/architecture.md.
"""
