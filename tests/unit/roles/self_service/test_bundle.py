# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What a bundle for Lambda needs of this collection, laid out as docs/self-service.md says."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[4]

IMPORTING = """
import sys
class NoAnsible:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "ansible" or name.startswith("ansible_collections.amazon"):
            raise ImportError(name)
sys.meta_path.insert(0, NoAnsible())
import self_service.handler
import ansible_collections.tracklib.vpn.plugins.module_utils.enroll.function as found
print(found.__file__)
"""


def test_function_is_importable_from_a_bundle_without_ansible(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "roles/control_plane/files/self_service", tmp_path / "self_service")
    utils = "plugins/module_utils"
    shutil.copytree(ROOT / utils, tmp_path / "ansible_collections/tracklib/vpn" / utils)
    done = subprocess.run(
        [sys.executable, "-c", IMPORTING],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    assert done.stdout.startswith(str(tmp_path))


def test_client_needs_no_other_module_of_the_collection(tmp_path: Path) -> None:
    """So that a script can carry it along."""
    shutil.copy2(ROOT / "plugins/module_utils/enroll/function.py", tmp_path / "client.py")
    subprocess.run([sys.executable, "-I", "-c", "import runpy; runpy.run_path('client.py')"], check=True, cwd=tmp_path)
