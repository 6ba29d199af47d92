# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The self-service function's settings as the registry keeps them: one item, a JSON document.

Lambda has 4 KB for all variables of a function, which a company's grants and zones outgrow.
"""

from __future__ import annotations

import json
import re
from typing import Any, Mapping

from ..access import Access
from ..addresses import parse_pools
from ..client.config import parse_domain, parse_endpoint
from ..keys import check_public_key
from ..timespan import LONGEST
from .dynamodb import Put, RegistryError, Table

ACCOUNT_ID = r"[0-9]{12}"
ROLE_ARN = r"arn:aws[a-z-]*:iam::[0-9]{12}:role/[\x21-\x7e]+"
_EXAMPLE = "arn:aws:iam::444455556666:role/tracklib-vpn-sweep"
KEY = ("settings", "self-service")
# DynamoDB's limit for an item is 400 KB
LONGEST_DOCUMENT = 350_000

# The least and the most of each number. Times are in seconds.
RANGES: Mapping[str, tuple[int, int]] = {
    "mtu": (576, 65535),
    "devices_per_user": (1, 1_000_000),
    "changes_per_day": (1, 1_000_000),
    "life": (3600, LONGEST),
    "address_quarantine": (0, LONGEST),
    "in_force_within": (0, LONGEST),
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
    """Refuse settings that the function would refuse, which then answers nobody, or by which no client gets a tunnel.

    :param document: the settings, of the types that module `self_service_settings` has.
    :raises ValueError: saying which one, what was found and what is expected.
    """
    try:
        json.dumps(document, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{error.object[error.start : error.end]!r} is no character") from None
    for name, (least, most) in RANGES.items():
        number = document.get(name, least)
        if isinstance(number, bool) or not least <= number <= most:  # YAML's `no` counts as 0 to Ansible
            raise ValueError(f"{name} is {number}, expected {least} to {most}")
    _check_accounts(document)
    _check_tunnel(document)


def _check_accounts(document: Mapping[str, Any]) -> None:
    identity_accounts = document.get("identity_accounts", ())
    accounts = [document["account_id"], *(account["account_id"] for account in identity_accounts)]
    accounts += [account for entry in document["access"] for account in entry.get("accounts", ())]
    for account_id in accounts:
        if not re.fullmatch(ACCOUNT_ID, account_id):
            raise ValueError(f"{account_id!r} is no account's id, expected 12 digits")
    for role_arn in (account["role_arn"] for account in identity_accounts if "role_arn" in account):
        if not re.fullmatch(ROLE_ARN, role_arn):
            raise ValueError(f"role_arn {role_arn!r} is no role's ARN, expected one such as {_EXAMPLE}")


def _check_tunnel(document: Mapping[str, Any]) -> None:
    for entry in document["access"]:
        if not entry["groups"] or not entry["networks"]:
            raise ValueError(f"an entry of access has no groups or no networks: {dict(entry)}")
    if not document["access"] or not document["gateways"]:
        raise ValueError("access and gateways must have an entry each")
    for gateway in document["gateways"]:
        parse_endpoint(gateway["endpoint"])
        check_public_key(gateway["public_key"])
    for domain in document.get("domains", ()):
        parse_domain(domain)
    networks = Access.parse(document["access"], document["account_id"]).networks()
    parse_pools(document["address_pools"], [str(network) for network in networks])
