# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Questions that a gateway asks about a name: of DNS servers, of ports, and of its own firewall.

Runs on the gateway, with Python 3.8 or later and its standard library.
"""
