# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The hosts' images: Debian root file systems made by mmdebstrap, kept in podman's store and reused."""

from __future__ import annotations

import concurrent.futures
import functools
import hashlib
import json
import os
import platform
import re
from pathlib import Path

from .machine import STATE, LabError, as_root, podman, run, say

REPOSITORY = "localhost/tracklib-vpn-lab"
SUITES = ("bookworm", "trixie")
PACKAGES = (
    "systemd", "systemd-sysv", "dbus", "openssh-server", "sudo", "ca-certificates",  # as on EC2's Debian images
    "python3", "python3-apt", "iproute2", "iputils-ping", "curl", "procps", "kmod",
    "wireguard-go",  # stands in for the kernel's WireGuard where the machine's kernel has none
    "python3-boto3", "qrencode",  # what the script for users needs on a laptop
    "netcat-openbsd", "tcpdump",  # for tests and for people
)  # fmt: skip
# what roles install themselves: not installed, but in apt's cache, so that no test depends on a mirror
CACHED_PACKAGES = ("wireguard-tools", "nftables", "unbound", "systemd-resolved", "openresolv")
# what the lab installs on its own hosts, with what these depend on; nsd's unit is left to the lab's units
LAB_PACKAGES = ("nsd",)
UNUSED_PATHS = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/info/*", "/usr/share/locale/*")
# settings of this machine's apt that its images need as well, to reach the same mirror under the same conditions
INHERITED_APT_OPTIONS = (
    "Acquire::http::Proxy", "Acquire::https::Proxy", "Acquire::Check-Valid-Until", "Acquire::Check-Date",
    "Acquire::Retries",
)  # fmt: skip
PREPARE = r"""
set -eu
useradd --root "$1" --create-home --shell /bin/bash --user-group admin
echo 'admin ALL=(ALL) NOPASSWD:ALL' > "$1/etc/sudoers.d/90-admin"
chmod 0440 "$1/etc/sudoers.d/90-admin"
rm -f "$1"/etc/ssh/ssh_host_*
mkdir -p "$1/etc/systemd/system/ssh.service.d"
printf '[Service]\nExecStartPre=\nExecStartPre=/usr/bin/ssh-keygen -A\nExecStartPre=/usr/sbin/sshd -t\n' \
    > "$1/etc/systemd/system/ssh.service.d/host-keys.conf"
chroot "$1" apt-get clean
for package in CACHED; do chroot "$1" apt-get -q -y install --download-only "$package"; done
ln -s /dev/null "$1/etc/systemd/system/nsd.service"
rm -f "$1"/var/cache/apt/*.bin
"""


@functools.cache
def image_names() -> dict[str, str]:
    """Return the image name of each suite, tagged with the hash of what the image is made from."""
    return {suite: f"{REPOSITORY}:{suite}-{_digest(suite)}" for suite in SUITES}


def ensure_images() -> None:
    """Make the images that aren't there yet, all at once.

    :raises LabError: An image could not be made; with the end of the build's output.
    """
    missing = [suite for suite, name in image_names().items() if not _exists(name)]
    if not missing:
        return
    say(f"making the host images {' and '.join(missing)}, which takes about a minute")
    with concurrent.futures.ThreadPoolExecutor() as pool:
        list(pool.map(_make, missing))
    _remove_older()


def _exists(name: str) -> bool:
    return bool(podman("images", "--quiet", name).strip())


def _make(suite: str) -> None:
    name = image_names()[suite]
    archive = STATE / f"{suite}.tar"
    try:
        run(*as_root(*_mmdebstrap(suite, archive)))
        podman("import", "--quiet", archive, name)
    except LabError as error:
        reason = "\n".join(str(error).splitlines()[-15:])
        raise LabError(f"no image for {suite} from {_mirror()} (LAB_DEBIAN_MIRROR names another):\n{reason}") from None
    finally:
        run(*as_root("rm", "-f", archive))
    say(f"made {name}")


def _mmdebstrap(suite: str, archive: str | Path) -> list[str | Path]:
    apt = {"APT::Install-Recommends": "false", "Acquire::Languages": "none", "Acquire::GzipIndexes": "true"}
    prepare = PREPARE.replace("CACHED", " ".join((*CACHED_PACKAGES, *LAB_PACKAGES)))
    return [
        "mmdebstrap", "--mode=root", "--variant=apt", "--format=tar", "--skip=cleanup/apt",
        *(f'--aptopt={option} "{value}"' for option, value in {**apt, **_machine_apt_options()}.items()),
        *(f"--dpkgopt=path-exclude={path}" for path in UNUSED_PATHS), "--dpkgopt=force-unsafe-io",
        f"--include={','.join(PACKAGES)}", f"--customize-hook={prepare}", suite, archive, _mirror(),
    ]  # fmt: skip


@functools.cache
def _mirror() -> str:
    """Return the Debian mirror: LAB_DEBIAN_MIRROR, else the one that this machine uses, else Debian's own."""
    if chosen := os.environ.get("LAB_DEBIAN_MIRROR"):
        return chosen
    if platform.freedesktop_os_release().get("ID") == "debian":
        targets = run("apt-get", "indextargets", "--format", "$(REPO_URI)", "Origin: Debian", "Label: Debian")
        for address in targets.splitlines():
            if address.startswith("http"):
                return address.rstrip("/")
    return "http://deb.debian.org/debian"


@functools.cache
def _machine_apt_options() -> dict[str, str]:
    lines = run("apt-config", "dump").splitlines()
    found = (re.fullmatch(r'(\S+) "(.*)";', line) for line in lines)
    settings = {match[1]: match[2] for match in found if match}
    return {name: settings[name] for name in INHERITED_APT_OPTIONS if settings.get(name)}


def _digest(suite: str) -> str:
    made_from = json.dumps([[str(word) for word in _mmdebstrap(suite, "")]])
    return hashlib.sha256(made_from.encode()).hexdigest()[:12]


def _remove_older() -> None:
    wanted = set(image_names().values())
    listed = podman("images", "--format", "{{.Repository}}:{{.Tag}}", REPOSITORY).split()
    for name in set(listed) - wanted:
        # in use by containers that are about to be replaced: then the next build removes it
        podman("rmi", name, check=False)
