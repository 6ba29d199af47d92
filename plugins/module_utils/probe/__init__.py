# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What a gateway finds out about a name: DNS servers' answers, open ports, and what its firewall grants.

Runs on the gateway, with Python 3.8 or later and its standard library.
"""
