# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The self-service function's settings as the registry keeps them: one item, a JSON document.

Lambda has 4 KB for all variables of a function, which a company's grants and zones outgrow.
"""

from __future__ import annotations

import re
from typing import Any, Mapping

from ..access import Access
from ..addresses import parse_pools
from ..keys import check_public_key
from ..timespan import LONGEST
from .dynamodb import Put, RegistryError, Table

ACCOUNT_ID = r"[0-9]{12}"
ENDPOINT = r"(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+):[0-9]{1,5}"
KEY = ("settings", "self-service")
# DynamoDB's limit for an item is 400 KB
LONGEST_DOCUMENT = 350_000

# The least and the most of each number; None for no limit. Times are in seconds.
RANGES: Mapping[str, tuple[int, int | None]] = {
    "mtu": (576, 65535),
    "devices_per_user": (1, None),
    "changes_per_day": (1, None),
    "life": (3600, LONGEST),
    "address_quarantine": (0, None),
    "in_force_within": (0, None),
}


class SelfServiceDocument:
    """The item in one registry."""

    def __init__(self, table: Table) -> None:
        """Take the registry's table."""
        self._table = table

    def read(self) -> str | None:
        """The JSON text; None before the first deployment of self-service."""
        value = (self._table.get(*KEY) or {}).get("value")
        return value if isinstance(value, str) else None

    def write(self, document: str) -> None:
        """Replace it.

        :raises RegistryError: it is too long.
        """
        if len(document.encode()) > LONGEST_DOCUMENT:
            raise RegistryError(
                f"the settings of self-service take {len(document.encode())} bytes, and an item of the registry holds "
                f"{LONGEST_DOCUMENT} of them: grant larger networks in place of many small ones"
            )
        self._table.write(Put({"pk": KEY[0], "sk": KEY[1], "value": document}))


def check(document: Mapping[str, Any]) -> None:
    """Refuse settings that the function would refuse, which then answers nobody.

    :param document: the settings, of the types that module `self_service_settings` has.
    :raises ValueError: saying which one, what was found and what is expected.
    """
    for name, (least, most) in RANGES.items():
        number = document.get(name, least)
        if number < least or (most is not None and number > most):
            raise ValueError(f"{name} is {number}, expected {least} to {most or 'any number'}")
    accounts = [document["account_id"], *(account["account_id"] for account in document.get("identity_accounts", ()))]
    accounts += [account for entry in document["access"] for account in entry.get("accounts", ())]
    for account_id in accounts:
        if not re.fullmatch(ACCOUNT_ID, account_id):
            raise ValueError(f"{account_id!r} is no account's id, expected 12 digits")
    for entry in document["access"]:
        if not entry["groups"] or not entry["networks"]:
            raise ValueError(f"an entry of access has no groups or no networks: {dict(entry)}")
    if not document["access"] or not document["gateways"]:
        raise ValueError("access and gateways must have an entry each")
    for gateway in document["gateways"]:
        if not re.fullmatch(ENDPOINT, gateway["endpoint"]):
            raise ValueError(f"{gateway['endpoint']!r} is no endpoint, expected one such as vpn.example.com:51820")
        check_public_key(gateway["public_key"])
    networks = Access.parse(document["access"], document["account_id"]).networks()
    parse_pools(document["address_pools"], [str(network) for network in networks])
