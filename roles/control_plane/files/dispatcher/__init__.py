# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The dispatcher and the sweeper: Lambdas between events, the schedule and the builds.

The dispatcher leaves tombstones in the registry and starts builds; the sweeper looks each minute whether one is due.
No build is told anything of an event (R15, data is never code). Of the collection they
need module_utils, which a bundle has below ansible_collections/tracklib/vpn/plugins.
"""
