# Copyright: (c) 2026, Tracklib
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What the stack sets: environment variables."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

NAMESPACE = "tracklib.vpn"  # of the metrics
_REQUIRED = (
    "REGISTRY_TABLE", "QUEUE_URL", "DEAD_LETTERS_URL", "GATEWAY_ACCOUNT", "GATEWAY_ROLE", "IDENTITY_ACCOUNTS",
    "RECONCILE_PROJECT", "BUNDLE_SHA256", "INVENTORY_SHA256", "DRIFT", "TOPIC",
)  # fmt: skip
_ACCOUNT = re.compile(r"[0-9]{12}")
_ROLE = re.compile(r"arn:[a-z-]+:iam::[0-9]{12}:role/[\x21-\x7e]+")


class NamedHosts(BaseModel):
    """What an entry of `vpn_names` says of hosts: an instance, or those with all of the tags."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    instance_id: str | None = None
    tags: dict[str, str] = {}


class DispatcherSettings(NamedTuple):
    """Everything that is set for dispatcher and sweeper, checked. `names_project` is None where no names are kept."""

    table: str
    queue_url: str
    dead_letters_url: str
    gateway_account: str
    identity_accounts: frozenset[str]
    reconcile_project: str
    topic: str  # the ARN of the operators' topic
    names_project: str | None
    named_hosts: tuple[NamedHosts, ...]
    listeners: tuple[str, ...] = ()  # URLs of the gateways' queues
    sweep_roles: Mapping[str, str] = {}  # by identity account; the gateways' own needs none
    gateway_role: str = ""  # the gateways' tag
    code: str = ""  # hashes of the bundle and the inventory that builds run
    drift: float = 0  # seconds for which what changes on a gateway may wait for a build

    @property
    def roles(self) -> dict[str, str | None]:
        """The role to read each identity account's users with; None where the function's own credentials do."""
        return {account_id: self.sweep_roles.get(account_id) for account_id in self.identity_accounts}

    def is_for_names(self, project: str) -> bool:
        """Tell whether a project keeps names, on which no access depends."""
        return project == self.names_project


def read(environment: Mapping[str, str]) -> DispatcherSettings:
    """Read the settings from environment variables.

    NAMES_PROJECT, NAMED_HOSTS (JSON), LISTENERS and SWEEP_ROLES (comma-separated) may be missing or empty.

    :raises ValueError: naming the variable, what was found and what is expected.
    """
    missing = [name for name in _REQUIRED if not environment.get(name)]
    if missing:
        raise ValueError(f"environment variables {', '.join(missing)} are not set")
    accounts = environment["IDENTITY_ACCOUNTS"].split(",")
    wrong = [account for account in accounts if not _ACCOUNT.fullmatch(account)]
    if wrong:
        raise ValueError(f"IDENTITY_ACCOUNTS: {wrong[0]!r} is no account; give accounts of 12 digits, and commas")
    try:
        named_hosts = TypeAdapter(tuple[NamedHosts, ...]).validate_json(environment.get("NAMED_HOSTS") or "[]")
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise ValueError(f"NAMED_HOSTS is refused: {first['msg']}") from None
    roles = [role for role in environment.get("SWEEP_ROLES", "").split(",") if role]
    wrong = [role for role in roles if not _ROLE.fullmatch(role)]
    if wrong:
        raise ValueError(f"SWEEP_ROLES: {wrong[0]!r} is no ARN of a role; give ARNs, and commas")
    place = environment["QUEUE_URL"].rpartition("/")[0]  # all queues of the account have URLs that begin alike
    return DispatcherSettings(
        table=environment["REGISTRY_TABLE"],
        queue_url=environment["QUEUE_URL"],
        dead_letters_url=environment["DEAD_LETTERS_URL"],
        gateway_account=environment["GATEWAY_ACCOUNT"],
        identity_accounts=frozenset(accounts),
        reconcile_project=environment["RECONCILE_PROJECT"],
        topic=environment["TOPIC"],
        names_project=environment.get("NAMES_PROJECT") or None,
        named_hosts=named_hosts,
        listeners=tuple(f"{place}/{name}" for name in environment.get("LISTENERS", "").split(",") if name),
        sweep_roles={role.split(":")[4]: role for role in roles},
        gateway_role=environment["GATEWAY_ROLE"],
        drift=int(environment["DRIFT"]),
        code=f"{environment['BUNDLE_SHA256']} {environment['INVENTORY_SHA256']}",
    )
