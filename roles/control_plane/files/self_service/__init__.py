# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The self-service function: a Lambda behind a function URL, with which users keep their own devices.

Of the collection it needs module_utils, which a bundle has below ansible_collections/tracklib/vpn/plugins: these
directories are namespace packages, so no file of Ansible's is needed to import from there. docs/self-service.md says
how a bundle is laid out.
"""
