# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Self-service in the lab: the function over HTTP where the laptops reach it, and the runner behind its queue.

In AWS a function URL calls the Lambda, and what stands in the queue starts a CodeBuild project that runs `reconcile`;
the emulation runs neither. Here one process serves the function (tests/support/function_server.py says what of a
function URL that is) and runs the playbook when there is a message.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import botocore.exceptions
import yaml
from ansible_collections.tracklib.vpn.plugins.module_utils.registry.table import Registry

from tests.support import PYTHONPATH, ROOT
from tests.support.waiting import PATIENCE

from . import actions, aws
from .hosts import GATEWAYS, machine_address
from .machine import STATE, LabError, say

FUNCTION_ARN = f"arn:aws:lambda:{aws.REGION}:{aws.ACCOUNT}:function:tracklib-vpn-self-service"
QUEUE = "lab-self-service"  # not the one of the events' stack, which has a runner of its own
WORKERS = 2
PID = STATE / "self_service.pid"
PORT = STATE / "self_service.port"
LOG = STATE / "self_service.log"
MODULE = "tests.lab.self_service"
START_TIMEOUT = PATIENCE
POLL = 0.2  # seconds


def start(**changes: Any) -> None:
    """Start the function and the runner, as an operator deploys them once the gateways are there.

    :param changes: What to add to the function's settings, or to set otherwise.
    :raises LabError: It didn't answer in time; with the end of its log.
    """
    stop()
    queue_url = aws.client("sqs").create_queue(QueueName=QUEUE, Attributes={"VisibilityTimeout": "10"})["QueueUrl"]
    variables = yaml.safe_load((ROOT / "inventories" / "lab" / "group_vars" / "all.yml").read_text())
    settings = {
        "account_id": variables["vpn_account_id"],
        "access": variables["vpn_access"],
        "address_pools": variables["vpn_address_pools"],
        "gateways": [
            {"endpoint": f"{host.address}:51820", "public_key": actions.shell(host.name, "wg show wg0 public-key")}
            for host in GATEWAYS
        ],
        "changes_per_day": 1000,  # the tests' users enroll all day
        **changes,
    }
    environment = {
        **actions.environment(),
        "PYTHONPATH": PYTHONPATH,
        "STS_URL": aws.endpoint(),
        "REGISTRY_TABLE": variables["vpn_registry_table"],
        "QUEUE_URL": queue_url,
    }
    Registry(aws.client("dynamodb"), variables["vpn_registry_table"]).self_service.write(json.dumps(settings))
    port = _port()
    with LOG.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", MODULE, str(port)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd=ROOT,
            env=environment,
        )
    PID.write_text(str(process.pid))
    PORT.write_text(str(port))
    give_up = time.monotonic() + START_TIMEOUT
    while not _answers(port):
        if process.poll() is not None or time.monotonic() > give_up:
            raise LabError(f"the self-service function doesn't answer; the end of {LOG}:\n{LOG.read_text()[-2000:]}")
        time.sleep(0.1)
    say(f"self-service answers at {url()}")


def stop() -> None:
    """Stop the function and the runner, if they are what the lab started."""
    process = pid()
    if process is not None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process, signal.SIGKILL)
    PID.unlink(missing_ok=True)


def pid() -> int | None:
    """Return the id of the process and of its group, None when it doesn't run."""
    try:
        process = int(PID.read_text())
        words = Path(f"/proc/{process}/cmdline").read_bytes().split(b"\0")
    except (OSError, ValueError):
        return None
    return process if MODULE.encode() in words and PORT.read_bytes() in words else None


def url() -> str:
    """Return the address of the function, to which the aliases are added, as the laptops reach it."""
    return f"http://{machine_address()}:{PORT.read_text()}"


def users_file(check_name: str | None = None, host: str | None = None) -> dict[str, Any]:
    """Return what the operators give to users: the content of the file for the script, variables for the playbook.

    :param check_name: A private name that has to resolve once the tunnel is up.
    :param host: A public name of this machine, for laptops that resolve it; by default its address.
    """
    base = url() if host is None else url().replace(machine_address(), host)
    return {
        "vpn_self_service": {
            **({} if check_name is None else {"check_name": check_name}),
            "function_arn": FUNCTION_ARN,
            "manage_url": f"{base}/manage/",
            "renew_url": f"{base}/renew/",
            "sts_url": aws.endpoint(),
        }
    }


def enroll(laptop: str, *, check_name: str | None = None, **variables: Any) -> actions.Run:
    """Run the playbook `enroll` for a laptop's user, as its device `laptop`; self-service must have been started."""
    user_name = laptop.split("-")[0]
    given = {"enroll_host": laptop, "enroll_device": "laptop", **users_file(check_name), **variables}
    return actions.run_playbook("enroll", profile=user_name, **given)


def _port() -> int:
    """Return the port of before, which laptops know, if it is free; else a free one."""
    before = int(PORT.read_text()) if PORT.exists() else 0
    for port in (before, 0):
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((machine_address(), port))
            return int(probe.getsockname()[1])
    raise LabError(f"no port is free at {machine_address()}")


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError):
        socket.create_connection((machine_address(), port), timeout=1).close()
        return True
    return False


def _run_when_told() -> None:
    """Run `reconcile` whenever there is a message; one that comes meanwhile starts another run."""
    queue = aws.client("sqs", retries={"total_max_attempts": 2})
    queue_url = os.environ["QUEUE_URL"]
    while True:
        time.sleep(POLL)
        try:
            messages = queue.receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10).get("Messages", [])
        except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as error:
            _log(f"the queue can't be read: {error}")
            continue
        if not messages:
            continue
        # a work directory of its own, because others may run the playbook at the same time
        done = actions.run_playbook("reconcile", rc=None, vpn_work_dir=str(STATE / "work-runner"))
        _log(f"{len(messages)} messages, reconcile ended with {done.rc} after {done.seconds:.1f} s: {done.failures}")
        if done.rc == 0:
            for message in messages:
                queue.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])


def _log(text: str) -> None:
    sys.stdout.write(f"{time.strftime('%H:%M:%S')} {text}\n")
    sys.stdout.flush()


def main() -> None:
    """Serve the function at the port that the command line says, and run `reconcile` when told to, until killed."""
    server = [sys.executable, "-m", "tests.support.function_server", sys.argv[1], str(WORKERS), machine_address()]
    with subprocess.Popen(server):
        _run_when_told()


if __name__ == "__main__":
    main()
