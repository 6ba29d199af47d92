# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The OpenAPI description of the self-service function, which docs/self-service.openapi.json is.

Usage: `make api-description` writes that file
"""

from __future__ import annotations

import json

import urllib3
from self_service.api import Api
from self_service.devices import OwnDevices
from self_service.proof import Sts
from self_service.settings import read
from self_service.urls import FunctionUrls

from . import ROOT

FILE = ROOT / "docs/self-service.openapi.json"


def describe() -> str:
    """The text of the file, made from the routes that are served."""
    access = [{"groups": ["vpn"], "networks": ["10.20.0.0/16"]}]
    gateway = {"endpoint": "vpn.example.com:51820", "public_key": "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo="}
    document = {
        "account_id": "111122223333",
        "access": access,
        "address_pools": ["10.44.0.0/20"],
        "gateways": [gateway],
    }
    settings = read(Sts("", "eu-west-1"), json.dumps(document))
    nothing = OwnDevices(settings, None, None)  # type: ignore[arg-type]  # nothing is called
    api = Api(settings, nothing, urllib3.PoolManager(), lambda _removed: None, FunctionUrls(lambda: None))
    return json.dumps(api.description(), indent=2, sort_keys=True) + "\n"


if __name__ == "__main__":
    FILE.write_text(describe(), encoding="utf-8")
