# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""moto's server, one request at a time: its DynamoDB transactions aren't atomic between threads, AWS's are.

Its Cloud Map, CloudFormation, CodeBuild, DynamoDB, EventBridge, load balancers and SQS are completed, see cloud_map.py,
cloudformation.py, builds.py, table_ids.py, events.py, target_health.py and queues.py, and its signatures are checked
where that matters, see signatures.py.

Usage: python -m tests.support.emulator PORT [DIRECTORY]

DIRECTORY is a lab's: what EC2 Instance Connect tells instances is written there, see instance_connect.py.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import run_simple

from . import (
    builds,
    cloud_map,
    cloudformation,
    events,
    instance_connect,
    queues,
    signatures,
    table_ids,
    target_health,
)


def main() -> None:
    """Serve until killed."""
    builds.complete()
    cloud_map.complete()
    cloudformation.complete()
    events.complete()
    queues.complete()
    signatures.complete()
    table_ids.complete()
    target_health.complete()
    if len(sys.argv) > 2:
        instance_connect.complete(Path(sys.argv[2]))
    app = signatures.CheckingSignatures(DomainDispatcherApplication(create_backend_app))
    lock = threading.Lock()

    def one_at_a_time(environ: dict[str, Any], start_response: Any) -> Any:
        with lock:
            return app(environ, start_response)

    run_simple("127.0.0.1", int(sys.argv[1]), queues.LongPolling(one_at_a_time), threaded=True)


if __name__ == "__main__":
    main()
