# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What moto's EC2 Instance Connect lacks: an instance that gets the key, in its metadata."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from moto.ec2.models import ec2_backends
from moto.ec2instanceconnect.responses import Ec2InstanceConnectResponse

VALID = 60  # seconds


def complete(directory: Path) -> None:
    """Put this in place of moto's, in this process.

    :param directory: where the metadata of instances is written, ADDRESS/USER holding the keys of a user.
    """

    def send_ssh_public_key(response: Any) -> str:
        asked = json.loads(response.body)
        backend = ec2_backends[response.current_account][response.region]
        instance = backend.get_instance(asked["InstanceId"])
        keys = directory / str(instance.private_ip) / asked["InstanceOSUser"]
        keys.parent.mkdir(parents=True, exist_ok=True)
        lines = [
            f"#Timestamp={int(time.time()) + VALID}",
            f"#Instance={asked['InstanceId']}",
            f"#Caller=arn:aws:iam::{response.current_account}:root",
            "#Request=00000000-0000-0000-0000-000000000000",
            asked["SSHPublicKey"],
            "c2lnbmF0dXJl",  # which nobody here can check
        ]
        keys.write_text("".join(f"{line}\n" for line in lines))
        return json.dumps({"RequestId": "00000000-0000-0000-0000-000000000000", "Success": True})

    # mypy wants no method replaced, which is what completing the emulator is
    Ec2InstanceConnectResponse.send_ssh_public_key = send_ssh_public_key  # type: ignore[assignment, method-assign]
