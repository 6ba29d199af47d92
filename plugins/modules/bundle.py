#!/usr/bin/python
# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: bundle
version_added: 0.1.0
short_description: Makes what runs in AWS from the installed collection
description:
  - >-
    Makes C(bundle.tar), which builds run, and C(functions.zip), which the Lambda functions run. The same version of the
    collection gives the same bytes on every machine.
  - >-
    Packages come from where pip is told to look, each checked against the hash in the collection's locks. The
    collection's own files are checked against its manifest.
author:
  - Tracklib (@tracklib)
requirements:
  - pip
options:
  collection:
    description: Directory of the installed collection.
    type: path
    required: true
  dest:
    description: Directory for both files; made if missing.
    type: path
    required: true
  cache:
    description: Directory that keeps the packages, some 130 MB, for the next time.
    type: path
    default: ~/.cache/tracklib.vpn
  python:
    description: Version of the Python that runs them.
    type: str
    default: "3.13"
extends_documentation_fragment:
  - tracklib.vpn.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
"""

EXAMPLES = r"""
- name: Make what builds and functions run
  tracklib.vpn.bundle:
    collection: ~/.ansible/collections/ansible_collections/tracklib/vpn
    dest: bundle
"""

RETURN = r"""
archives:
  description: Both files, each with what a review of its content begins with.
  returned: success
  type: list
  elements: dict
  contains:
    path:
      description: Where it is.
      type: str
    sha256:
      description: Its SHA-256, hexadecimal.
      type: str
    size:
      description: Its size in bytes.
      type: int
    packages:
      description: The packages in it, with C(name), C(version), and the C(sha256) of the wheel.
      type: list
      elements: dict
"""

import os
import sys
from importlib.util import find_spec
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.tracklib.vpn.plugins.module_utils.archive import sha256
from ansible_collections.tracklib.vpn.plugins.module_utils.bundle import Archive, BundleError, Fetcher, make
from ansible_collections.tracklib.vpn.plugins.module_utils.files import present, write_private


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "collection": {"type": "path", "required": True},
            "dest": {"type": "path", "required": True},
            "cache": {"type": "path", "default": "~/.cache/tracklib.vpn"},
            "python": {"type": "str", "default": "3.13"},
        },
        supports_check_mode=True,
    )
    if find_spec("pip") is None:
        module.fail_json(
            msg=f"{sys.executable} has no pip, which fetches the packages: install it (Debian: python3-pip; "
            "uv: uv pip install pip), or make the bundle elsewhere and set control_plane_bundle"
        )
    options = module.params
    fetcher = Fetcher(Path(options["cache"]), [sys.executable, "-m", "pip"], module.run_command)
    try:
        archives = make(Path(options["collection"]), fetcher, options["python"])
        changed = [archive for archive in archives if present(_path(module, archive))[0] != archive.content]
        if not module.check_mode:
            for archive in changed:
                write_private(_path(module, archive), archive.content)
    except (BundleError, OSError, ValueError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(
        changed=bool(changed),
        archives=[
            {
                "path": _path(module, archive),
                "sha256": sha256(archive.content),
                "size": len(archive.content),
                "packages": [package._asdict() for package in archive.packages],
            }
            for archive in archives
        ],
    )


def _path(module: AnsibleModule, archive: Archive) -> str:
    return os.path.join(module.params["dest"], archive.name)


if __name__ == "__main__":
    main()
