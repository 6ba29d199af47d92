# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the lab needs to know about the machine it runs on, and how it runs programs there."""

from __future__ import annotations

import contextlib
import functools
import os
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

from tests.support import ROOT

STATE = ROOT / ".lab"
CONTAINERS_CONF = STATE / "containers.conf"
NETWORK_CONFIG = STATE / "networks"  # of our own, because labs beside each other have VPCs of the same addresses
CLAIMS = Path("/var/tmp")
SLOTS = 7  # labs of different checkouts that fit beside each other: the networks of /27 in 198.51.100.0/24
SETTINGS = CLAIMS / "tracklib-vpn-lab-settings"  # the machine's, so one note for all of its labs
SYSCTL = Path("/proc/sys")
FORWARDING_SWITCHES = ("net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding")
# what hosts can't change for themselves, and how much it must be at least
RAISED_SETTINGS = {
    # bytes, of every socket: a second of probes at 1 ms, so that a busy machine doesn't look like a loss
    # (wireguard-go and anything else on a host has the default)
    "net/core/rmem_default": 2 << 20,
    # of all hosts of all labs together, each of which has several processes that watch files
    "fs/inotify/max_user_instances": 1024,
}
NEEDED_COMMANDS = ("podman", "nft", "iptables", "mmdebstrap", "ssh", "ssh-keygen")

_started = time.monotonic()


class LabError(Exception):
    """Something the lab can't do here; its text says what was found and what to do."""


@functools.cache
def slot() -> int:
    """Return this checkout's slot, claimed when first asked for.

    Labs of other checkouts on the machine have other slots, and so other names and public addresses.

    :raises LabError: All slots are taken.
    """
    owners = slot_owners()
    for number, owner in owners.items():
        if owner == ROOT:
            return number
    for number in set(range(SLOTS)) - set(owners):
        with contextlib.suppress(FileExistsError):
            _claim(number).symlink_to(ROOT)
            return number
    raise LabError(f"{SLOTS} other labs run: {', '.join(map(str, owners.values()))}; run `make lab-down` in one")


def slot_owners() -> dict[int, Path]:
    """Return the checkout that has each taken slot."""
    owners = {}
    for number in range(SLOTS):
        with contextlib.suppress(FileNotFoundError):
            owners[number] = _claim(number).readlink()
    return owners


def release_slot(number: int) -> None:
    """Give a slot back."""
    _claim(number).unlink(missing_ok=True)
    slot.cache_clear()


def _claim(number: int) -> Path:
    return CLAIMS / f"tracklib-vpn-lab-{number}"


def say(text: str) -> None:
    """Print one line of progress, with the seconds since the program started."""
    sys.stdout.write(f"lab {time.monotonic() - _started:5.1f}s  {text}\n")
    sys.stdout.flush()


def run(*command: str | Path, stdin: bytes | None = None, check: bool = True, cwd: Path | None = None) -> str:
    """Run a program and return its standard output.

    :param stdin: What the program reads; nothing when None.
    :param check: Raise when the program fails; otherwise its output is returned whatever its exit code.
    :raises LabError: The program failed; with its output.
    """
    done = subprocess.run(
        [str(word) for word in command],
        input=stdin if stdin is not None else b"",
        capture_output=True,
        check=False,
        cwd=cwd,
    )
    if check and done.returncode:
        output = (done.stdout + done.stderr).decode(errors="replace").strip()
        raise LabError(f"{' '.join(map(str, command))} failed with exit code {done.returncode}:\n{output}")
    return done.stdout.decode(errors="replace")


def as_root(*command: str | Path) -> tuple[str | Path, ...]:
    """Return the command in a form that runs it as root."""
    return command if os.geteuid() == 0 else ("sudo", "--", *command)


def podman(*arguments: str | Path, stdin: bytes | None = None, check: bool = True) -> str:
    """Run podman as root with the lab's configuration; see :func:`run`."""
    environment = ("env", f"CONTAINERS_CONF={CONTAINERS_CONF}")
    return run(*as_root(*environment, "podman", *arguments), stdin=stdin, check=check)


def install_missing_packages() -> None:
    """Let tools/setup install the system packages when a program that the lab needs is missing.

    :raises LabError: A program is missing and can't be installed.
    """
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    os.environ["PATH"] = path
    missing = [name for name in NEEDED_COMMANDS if shutil.which(name) is None]
    if not missing:
        return
    say(f"installing system packages ({', '.join(missing)} missing)")
    if subprocess.run([ROOT / "tools" / "setup"], check=False).returncode:
        raise LabError("the system packages could not be installed; the lines above say why")


def write_containers_conf() -> None:
    """Write podman's configuration for this machine.

    crun refuses hybrid cgroups, so runc runs the hosts there. podman's own default limits are refused where they
    exceed what this process may have (no CAP_SYS_RESOURCE), so the lab's hosts get what this process has.
    """
    unified = Path("/sys/fs/cgroup/cgroup.controllers").exists()
    runtime = "" if unified else 'runtime = "runc"\n'
    limits = [f'"nofile={_allowed_limit(resource.RLIMIT_NOFILE)}"', f'"nproc={_allowed_limit(resource.RLIMIT_NPROC)}"']
    text = (
        f"[containers]\ndefault_ulimits = [{', '.join(limits)}]\n\n"
        f'[engine]\n{runtime}\n[network]\nnetwork_backend = "netavark"\nnetwork_config_dir = "{NETWORK_CONFIG}"\n'
    )
    if not CONTAINERS_CONF.exists() or CONTAINERS_CONF.read_text() != text:
        CONTAINERS_CONF.write_text(text)


def change_settings() -> None:
    """Raise what is too low for the lab; note what was, as with forwarding, which netavark turns on for good."""
    found = {name: (SYSCTL / name).read_text().strip() for name in (*FORWARDING_SWITCHES, *RAISED_SETTINGS)}
    noted = SETTINGS.read_text() if SETTINGS.exists() else ""
    missing = [f"{name} {value}\n" for name, value in found.items() if f"{name} " not in noted]
    SETTINGS.write_text(noted + "".join(missing))
    for name, least in RAISED_SETTINGS.items():
        if int(found[name]) < least:
            _set(name, str(least))


def restore_settings() -> None:
    """Restore the noted settings, unless other containers run: the last lab to stop does it."""
    if not SETTINGS.exists() or podman("ps", "--quiet").strip():
        return
    for line in SETTINGS.read_text().splitlines():
        _set(*line.split())
    SETTINGS.unlink()


def _set(name: str, value: str) -> None:
    run(*as_root("sysctl", "-q", "-w", f"{name.replace('/', '.')}={value}"))


def _allowed_limit(kind: int) -> str:
    # conmon lowers its process limit to the largest pid, and what it starts can't go above that
    most = int(Path("/proc/sys/kernel/pid_max").read_text()) if kind == resource.RLIMIT_NPROC else 1048576
    hard = resource.getrlimit(kind)[1]
    limit = most if hard == resource.RLIM_INFINITY else min(hard, most)
    return f"{limit}:{limit}"
