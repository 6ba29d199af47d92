# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Starting and stopping the lab, and saying what of it runs."""

from __future__ import annotations

import concurrent.futures
import contextlib
import fcntl
from collections.abc import Iterator

from tests.support import ROOT

from . import aws, checks, feed, hosts, images, machine, self_service
from .machine import STATE, say


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Keep other runs of this program out for as long as this one works."""
    STATE.mkdir(mode=0o700, exist_ok=True)
    with (STATE / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another run of the lab program")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@alone()
def start(*, fresh: bool = False) -> None:
    """Start the lab: make what is missing, keep what is as it should be.

    :param fresh: Keep no host and nothing in the emulated AWS.
    """
    machine.install_missing_packages()
    machine.write_containers_conf()
    hosts.remove_orphans()
    machine.change_settings()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        emulation = pool.submit(_start_aws, fresh=fresh)
        images.ensure_images()
        hosts.ensure_key()
        hosts.ensure_networks()
        say(f"starting {', '.join(host.name for host in hosts.HOSTS)}")
        hosts.ensure_hosts(fresh=fresh)
        emulation.result()
    feed.feed()
    checks.check_network()
    say("the lab runs; `. .lab/env` points ansible and boto3 at it, `ssh -F .lab/ssh_config gateway` logs in")


@alone()
def stop() -> None:
    """Stop the lab: remove everything that `start` made, the cached images and the ssh key excepted."""
    machine.write_containers_conf()
    say("removing the lab's hosts, networks and processes")
    self_service.stop()
    aws.stop_server()
    hosts.remove_hosts()
    machine.restore_settings()
    machine.release_slot(machine.slot())
    for state in ROOT.glob(".ansible/tmp/molecule.*/state.yml"):
        state.unlink()  # or molecule goes on believing in the lab that it made
    for path in (hosts.SSH_CONFIG, hosts.KNOWN_HOSTS):
        path.unlink(missing_ok=True)
    say("the lab is gone")


@alone()
def status() -> bool:
    """Say what runs; return whether everything does."""
    machine.write_containers_conf()
    running = hosts.running_hosts()
    for host in hosts.HOSTS:
        say(f"{host.name:13} {host.address:15} {'running' if host.name in running else 'not running'}")
    pid = aws.server_pid()
    say(f"emulated AWS  {f'{aws.endpoint()} (process {pid})' if pid else 'not running'}")
    return pid is not None and len(running) == len(hosts.HOSTS)


def _start_aws(*, fresh: bool) -> None:
    if fresh:
        self_service.stop()
        aws.stop_server()
    aws.ensure_server()
    aws.write_env()
    aws.seed()
