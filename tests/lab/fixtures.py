# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""pytest fixtures of the molecule scenarios; molecule/conftest.py gives them to every scenario's tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import pytest

from . import actions, aws, hosts

if TYPE_CHECKING:
    from testinfra.host import Host as RemoteHost

__all__ = ["aws_client", "connect", "lab_is_up", "probe", "probing", "remote", "run_module", "run_playbook", "shell"]


@pytest.fixture(scope="session", autouse=True)
def lab_is_up() -> Iterator[None]:
    """Stop at once, with what to do, when there is no lab; have Ansible loaded for all tests, when there is one."""
    down = {host.name for host in hosts.HOSTS} - set(hosts.running_hosts())
    if down or aws.server_pid() is None:
        pytest.exit(
            f"the lab isn't up ({', '.join(sorted(down)) or 'emulated AWS'} missing): make lab-up", returncode=2
        )
    with actions.ansible_loaded():
        yield


@pytest.fixture(scope="session")
def aws_client() -> Callable[..., Any]:
    """`aws_client("iam")`: a boto3 client of the emulated AWS."""
    return aws.client


@pytest.fixture(scope="session")
def remote() -> Callable[[str], RemoteHost]:
    """`remote("gateway")`: testinfra's view of a lab host, as root."""
    return actions.remote


@pytest.fixture(scope="session")
def shell() -> Callable[..., str]:
    """`shell("gateway", "wg show")`: a command's output, as root; see :func:`tests.lab.actions.shell`."""
    return actions.shell


@pytest.fixture(scope="session")
def run_playbook() -> Callable[..., actions.Run]:
    """`run_playbook("reconcile", "--check")`; see :func:`tests.lab.actions.run_playbook`."""
    return actions.run_playbook


@pytest.fixture(scope="session")
def run_module() -> Callable[..., dict[str, Any]]:
    """`run_module("iam_users_info")`: the module's result; see :func:`tests.lab.actions.run_module`."""
    return actions.run_module


@pytest.fixture
def connect() -> Iterator[Callable[..., actions.Connection]]:
    """`connect("alice-laptop")`: a tunnel, taken down after the test; see :func:`tests.lab.actions.connect`."""
    made: list[actions.Connection] = []

    def make(*arguments: Any, **options: Any) -> actions.Connection:
        made.append(actions.connect(*arguments, **options))
        return made[-1]

    yield make
    for connection in made:
        connection.disconnect()


@pytest.fixture(scope="session")
def probe() -> Callable[..., dict[str, Any]]:
    """`probe("bob-laptop", 2.0)`: the report of a probe of some seconds; see :func:`tests.lab.actions.probe`."""
    return actions.probe


@pytest.fixture(scope="session")
def probing() -> Callable[..., AbstractContextManager[actions.RunningProbe]]:
    """`with probing("bob-laptop") as running: …; running.stop()`; see :func:`tests.lab.actions.probing`."""
    return actions.probing
