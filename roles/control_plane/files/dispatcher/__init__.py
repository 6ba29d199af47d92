# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The dispatcher: a Lambda between the queue of events and the builds.

It leaves tombstones in the registry and starts builds; no build is told anything of an event (R15, data is never
code). Of the collection
it needs module_utils, which a bundle has below ansible_collections/tracklib/vpn/plugins.
"""
