# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Sphinx's settings for the docsite: docs/docsite and what antsibull-docs makes of the plugins' documentation."""

from __future__ import annotations

project = "tracklib.vpn"
extensions = ["sphinx_antsibull_ext"]
html_theme = "alabaster"
html_show_sphinx = False
default_role = "any"
nitpicky = True
# pages of Ansible and of other collections, which are no part of this site
nitpick_ignore_regex = [
    ("std:ref", r"common_return_values|ansible_configuration_settings|action_plugins"),
    ("std:ref", r"ansible_collections\.(?!tracklib\.vpn\.).*"),
    ("std:envvar", r"ANSIBLE_CACHE_PLUGIN\w*"),
]
