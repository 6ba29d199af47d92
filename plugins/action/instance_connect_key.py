# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Runs M(tracklib.vpn.instance_connect_key) without a process of its own where it can: it is on the hot path."""

from __future__ import annotations

from ansible_collections.tracklib.vpn.plugins.plugin_utils.direct_execution import ActionModule

__all__ = ["ActionModule"]
