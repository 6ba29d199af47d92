# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What the registry's modules claim of themselves: check mode, diff mode, and that a second run changes nothing."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from ansible_collections.tracklib.vpn.plugins.module_utils import keys
from ansible_collections.tracklib.vpn.plugins.module_utils.addresses import parse_pools
from ansible_collections.tracklib.vpn.plugins.module_utils.model import Block, Receipt, Registration, Sign, Sweep
from ansible_collections.tracklib.vpn.plugins.module_utils.timespan import DAY

from tests.support.claims import claims

from .conftest import ROOT
from .vpn import ACCESS, ACCOUNT, POOLS, Vpn

OTHER = "tracklib-vpn-2"
REMOVAL = {
    "id": "0123456789abcdef",
    "user_name": "dave",
    "device": "laptop",
    "account_id": ACCOUNT,
    "user_id": "AIDADAVE",
    "fingerprint": "9f86d081884c7d65",
    "generation": 1_790_000_000_000,
    "reason": "tombstoned",
    "removed_at": 1_790_000_000,
}


GATEWAY_KEY = keys.generate()[1]


class Case(NamedTuple):
    """A call that finds something to do, if its module does anything; FOLDER stands for the test's own."""

    options: dict[str, Any]
    changes: bool


CASES = {
    "early_signs": Case({}, changes=True),
    "gateway_keys": Case({"gateways": [{"name": "gateway-1", "public_key": GATEWAY_KEY}]}, changes=True),
    "registry_identity": Case({"registry_table": OTHER}, changes=True),
    "registrations_info": Case({"access": ACCESS}, changes=False),
    "receipts_info": Case({}, changes=False),
    "receipts": Case({"gateways": [{"name": "gateway-1", "removals": [REMOVAL]}]}, changes=True),
    "registry_cleanup": Case({}, changes=True),
    "registry_export": Case({"dest": "FOLDER/new.jsonl"}, changes=True),
    "self_service_settings": Case(
        {
            "settings": {
                "access": ACCESS,
                "address_pools": POOLS,
                "gateways": [{"endpoint": "vpn.example.com:51820", "public_key": GATEWAY_KEY}],
                "life": "604800",
            }
        },
        changes=True,
    ),
    "registry_import": Case({"src": "FOLDER/registry.jsonl", "registry_table": OTHER}, changes=True),
}


class Subject(NamedTuple):
    """A module, the account that it works on and what there is before and after."""

    vpn: Vpn
    name: str
    folder: Path

    def run(self, *, check: bool = False) -> dict[str, Any]:
        """Call the module as its case says."""
        options: dict[str, Any] = {
            name: value.replace("FOLDER", str(self.folder)) if isinstance(value, str) else value
            for name, value in CASES[self.name].options.items()
        }
        return self.vpn.module(self.name, check, **options)

    def state(self) -> tuple[Any, ...]:
        """Everything that one of these modules may change."""
        tables = [self.vpn.dynamodb.scan(TableName=table)["Items"] for table in (self.vpn.table, OTHER)]
        return (*tables, {file.name: file.read_bytes() for file in self.folder.iterdir()})


@pytest.fixture(params=CASES)
def subject(request: pytest.FixtureRequest, vpn: Vpn, aws_client: Callable[..., Any], tmp_path: Path) -> Subject:
    """A module with a registry that has an expired device, a block and a receipt, its export, and an empty table."""
    template = (ROOT / "roles/control_plane/files/registry.yml").read_text()
    parameters = [{"ParameterKey": "TableName", "ParameterValue": OTHER}]
    aws_client("cloudformation").create_stack(StackName="registry-2", TemplateBody=template, Parameters=parameters)
    registry, now = vpn.registry(), int(time.time())
    for number, expires_at in enumerate((now - 400 * DAY, now + DAY)):
        wanted = Registration(ACCOUNT, f"AIDA{number}", "laptop", f"user-{number}", f"KEY{number}", (), 0, expires_at)
        registry.devices.register(wanted, parse_pools(POOLS))
    registry.block(Block(ACCOUNT, "AIDA1", None, "left", now))
    registry.record(
        [Receipt("gateway-2", "1", ACCOUNT, "AIDA2", "carol", "phone", "9f86", "tombstoned", 1, None, now, now, now)]
    )
    registry.store_sweep(Sweep(ACCOUNT, now, {}), 1)
    registry.write_sign(Sign(ACCOUNT, "AIDA0", "DeleteLoginProfile", now - DAY))
    folder = tmp_path / "folder"
    folder.mkdir()
    vpn.module("registry_export", dest=str(folder / "registry.jsonl"))
    return Subject(vpn, request.param, folder)


def test_module_does_what_its_attributes_claim(subject: Subject) -> None:
    """Check mode writes nothing and foretells the result; a second run changes nothing; a diff is where it is said."""
    claimed = claims(subject.name)
    assert (claimed["check_mode"], claimed["idempotent"]) == ("full", "full")
    before = subject.state()
    foretold = subject.run(check=True)
    assert subject.state() == before
    done = subject.run()
    assert {name: done[name] for name in foretold} == foretold  # Ansible adds a file's mode and owner once it is there
    assert done["changed"] == CASES[subject.name].changes
    assert ("diff" in done) == (claimed["diff_mode"] == "full")
    after = subject.state()
    assert (after != before) == CASES[subject.name].changes
    assert not subject.run()["changed"]
    assert subject.state() == after
