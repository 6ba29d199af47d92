#!/usr/bin/env python3
# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Bring the lab up or down, show its state, or put IAM users into it."""

from __future__ import annotations

import argparse
import concurrent.futures
import contextlib
import fcntl
import sys
import typing as t
from pathlib import Path

# started as a program, Python would look for `lab` in this directory and find this file
sys.path[0] = str(Path(__file__).resolve().parents[2])

from tests.lab import aws, checks, feed, hosts, images, machine, self_service  # noqa: E402 - the path comes first
from tests.lab.machine import STATE, LabError, say  # noqa: E402 - the path comes first


@contextlib.contextmanager
def _alone() -> t.Iterator[None]:
    """Keep other runs of this program out for as long as this one works."""
    STATE.mkdir(mode=0o700, exist_ok=True)
    with (STATE / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another run of the lab program")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@_alone()
def up(*, fresh: bool = False) -> None:
    """Bring the lab up: make what is missing, keep what is as it should be.

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
    say("the lab is up; `. .lab/env` points ansible and boto3 at it, `ssh -F .lab/ssh_config gateway` logs in")


@_alone()
def down() -> None:
    """Remove everything that `up` made, the cached images and the ssh key excepted."""
    machine.write_containers_conf()
    say("removing the lab's hosts, networks and processes")
    self_service.stop()
    aws.stop_server()
    hosts.remove_hosts()
    machine.restore_settings()
    machine.release_slot(hosts.SLOT)
    for state in machine.ROOT.glob(".ansible/tmp/molecule.*/state.yml"):
        state.unlink()  # or molecule goes on believing in the lab that it made
    for path in (hosts.SSH_CONFIG, hosts.KNOWN_HOSTS):
        path.unlink(missing_ok=True)
    say("the lab is down")


@_alone()
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


def main() -> int:
    """Do what the command line says; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    bring_up = commands.add_parser("up", help="make what is missing, keep what is as it should be")
    bring_up.add_argument("--fresh", action="store_true", help="keep no host and nothing in the emulated AWS")
    commands.add_parser("down", help="remove everything that up made, the cached images excepted")
    commands.add_parser("status", help="say what runs; exit with 1 unless everything does")
    seed = commands.add_parser("seed", help="make the IAM users and groups and the EC2 instances that are missing")
    seed.add_argument("--users", type=int, default=aws.USERS, help="how many IAM users (default %(default)s)")
    seed.add_argument("--reset", action="store_true", help="empty the emulated AWS first")
    commands.add_parser("feed", help="bring the lab's name servers to Route 53 and Cloud Map as they are now")
    arguments = parser.parse_args()
    actions: dict[str, t.Callable[[], bool | None]] = {
        "up": lambda: up(fresh=arguments.fresh),
        "down": down,
        "status": status,
        "seed": lambda: _alone()(aws.seed)(arguments.users, empty_first=arguments.reset),
        "feed": feed.feed,
    }
    try:
        complete = actions[arguments.command]()
    except LabError as error:
        sys.stderr.write(f"lab: {error}\n")
        return 1
    return 1 if complete is False else 0


if __name__ == "__main__":
    sys.exit(main())
