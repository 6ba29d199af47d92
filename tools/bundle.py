# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Makes what runs in AWS from this checkout, as module `bundle` does from the installed collection.

Run by `make bundle`, which lets Python find the collection.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

from ansible_collections.tracklib.vpn.plugins.module_utils.archive import sha256
from ansible_collections.tracklib.vpn.plugins.module_utils.bundle import PYTHON, BundleError, Fetcher, make
from gates import CACHE, stage

WORK = CACHE / "bundle-work"


def main() -> int:
    """Make both, and say what they are."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", default=PYTHON, help=f"version of the Python that runs them ({PYTHON})")
    parser.add_argument("--output", type=Path, default=CACHE / "bundle", help="directory for both (.cache/bundle)")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    try:
        made = make(install(), Fetcher(WORK, [sys.executable, "-m", "pip"], _run), arguments.python)
    except BundleError as error:
        print(f"bundle: {error}", file=sys.stderr)
        return 1
    for archive in made:
        (arguments.output / archive.name).write_bytes(archive.content)
        size = len(archive.content) / 1e6
        print(f"{sha256(archive.content)}  {arguments.output / archive.name}  ({size:.0f} MB)")
    return 0


def install() -> Path:
    """Build the collection, and unpack it as an installation would; returns where."""
    output = WORK / "collection"
    shutil.rmtree(output, ignore_errors=True)
    command = ["ansible-galaxy", "collection", "build", "--output-path", str(output)]
    subprocess.run(command, cwd=stage("bundle-work/staged", is_delivered=True), check=True, stdout=subprocess.DEVNULL)
    installed = output / "installed"
    with tarfile.open(next(output.glob("*.tar.gz"))) as archive:
        archive.extractall(installed, filter="data")
    return installed


def _run(command: list[str]) -> tuple[int, str, str]:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


if __name__ == "__main__":
    sys.exit(main())
