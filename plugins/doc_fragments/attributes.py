# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations


class ModuleDocFragment:
    """Attributes of modules."""

    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Can run in C(check_mode) and return what it would change, without changing anything.
  diff_mode:
    description: Returns what changed, or would change, by name; never keys or whole files.
  idempotent:
    description: A second run with the same arguments and facts changes nothing.
"""

    # together with the standard fragment, for modules that only read
    INFO_MODULE = r"""
options: {}
attributes:
  check_mode:
    support: full
    details: Changes nothing.
  diff_mode:
    support: N/A
    details: Changes nothing.
  idempotent:
    support: full
    details: Changes nothing.
"""

    # together with the standard fragment, for the modules of the action group in meta/runtime.yml
    ACTIONGROUP_AWS = r"""
options: {}
attributes:
  action_group:
    description: >-
      Use C(group/tracklib.vpn.aws) in C(module_defaults) to set options of AWS, such as O(region) and O(profile), for
      this module, the other modules of this collection that call AWS, and those of C(group/aws).
    support: full
    membership:
      - tracklib.vpn.aws
"""
